//! Sessions that are dropped while the engine works for them leave no trace.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use e2e_tests::clips::{named, Composition};
use e2e_tests::rss::allocated;
use e2e_tests::sessions::Sessions;
use transcribe_core::engine::device::Device;
use transcribe_core::runtime::{EngineKind, Hub, Model, ModelKey, Next, StreamHandle};
use transcribe_core::stream::{Output, StreamConfig};
use transcribe_core::vad::VadKind;

/// Sessions at a time.
const COUNT: usize = 40;
/// What the allocator keeps may come and go by so many bytes; what the decoder keeps of one job is as much.
const TOLERANCE: u64 = 2 << 20;

/// What one session that nobody disturbs hears.
fn hear(hub: &Arc<Hub>, model: &Arc<Model>, audio: &[f32]) -> Vec<String> {
    let session = StreamHandle::open(hub.clone(), StreamConfig::default(), Duration::from_secs(1), None).unwrap();
    session.attach(model.clone());
    session.push_audio(audio);
    session.push_marker(1);
    let mut texts = Vec::new();
    loop {
        match session.next(Duration::from_secs(60)) {
            Next::Output(Output::Final(f)) => texts.push(f.hypothesis.text()),
            Next::Output(Output::Marker(_)) => return texts,
            Next::Output(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_session_dropped_in_the_midst_of_a_job_leaves_no_trace() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/ggml-tiny.en-q8_0.bin");
    let key = ModelKey { path, engine: EngineKind::Onnx, device: Device::Cpu };
    let model = Model::load(&key).unwrap();
    let hub = Hub::shared(VadKind::Silero, None).unwrap();
    let speech = Composition::unbroken(20.0).samples;
    let clip = Composition::new().silence(0.5).clip(named("jfk-inaugural")).silence(1.0).samples;
    let alone = hear(&hub, &model, &clip);
    assert!(alone.len() >= 3, "{alone:?}");

    let mut sessions = Sessions::new(hub.clone(), &model, &speech, 1);
    std::thread::scope(|scope| {
        let beside = scope.spawn(|| hear(&hub, &model, &clip));
        (0..COUNT).for_each(|_| sessions.drop_one().unwrap());
        assert_eq!(beside.join().unwrap(), alone, "whoever stays hears the same");
    });
    sessions.settle().unwrap();
    let aborted = model.executor().stats().aborted;
    assert!(aborted >= COUNT as u64 / 4, "only {aborted} were dropped in the midst of a job");

    // From here on nothing is new, so nothing more is kept.
    let before = allocated();
    (0..COUNT).for_each(|_| sessions.drop_one().unwrap());
    sessions.settle().unwrap();
    if let Some((before, after)) = before.zip(allocated()) {
        println!("{aborted} aborted, {before} bytes in use, and {after} after {COUNT} more sessions");
        assert!(after < before + TOLERANCE, "{} bytes are left", after - before);
    }
    drop(sessions);
    assert_eq!(Arc::strong_count(&model), 1, "nobody holds the model any more");
    assert_eq!(hear(&hub, &model, &clip), alone);
}
