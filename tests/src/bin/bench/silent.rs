//! Two hundred streams in which nobody speaks: what they cost.

use anyhow::Result;
use e2e_tests::audio::{babble, pink_noise, silence};
use e2e_tests::clips::all;
use e2e_tests::rss::CpuTime;

use crate::crowd::Crowd;
use crate::driver::{buffer, tiny_en, Kind, PACKET};
use crate::table::{head, heading, number, row};

const STREAMS: usize = 200;
/// The limits, in percent of a core.
const SILENT: f64 = 15.0;
const DETECTOR: f64 = 40.0;

/// What is heard.
struct Scene {
    name: &'static str,
    signals: Vec<Vec<f32>>,
    /// The detector works, but whatever it finds is not taken for speech.
    deaf: bool,
}

pub(crate) fn measure(quick: bool) -> Result<()> {
    let seconds = if quick { 20.0 } else { 30.0 };
    heading(&format!("Silence: {STREAMS} streams in real time for {seconds} s, in buffers of 20 ms"));
    let recordings: Vec<&[f32]> = all().iter().map(|clip| clip.samples.as_slice()).collect();
    let many = |signal: &dyn Fn(u64) -> Vec<f32>| (1..=8).map(signal).collect::<Vec<_>>();
    let scenes = [
        Scene { name: "digital silence", signals: vec![silence(seconds)], deaf: false },
        Scene {
            name: "room noise at −60 dBFS", signals: many(&|seed| pink_noise(-60.0, seconds, seed)), deaf: false
        },
        Scene {
            name: "people in the background at −30 dBFS, the VAD alone",
            signals: many(&|seed| babble(&recordings, 6, -30.0, seconds, seed)),
            deaf: true,
        },
    ];
    head(&[
        "what is heard",
        "CPU % of a core",
        "of it the VAD's thread %",
        "source pads' tasks %",
        "making the buffers, not counted, %",
        "seconds in the network per second %",
        "frames the network saw %",
        "frames in a batch",
        "finals",
        "aim",
    ]);
    for scene in &scenes {
        run(scene, seconds)?;
    }
    println!(
        "\nThe process makes the buffers that a source would make: that is measured apart and taken off. For the last line, \
         `vad-threshold` is 1, so that the detector hears everything and nothing is decoded."
    );
    Ok(())
}

fn run(scene: &Scene, seconds: f64) -> Result<()> {
    let model = tiny_en();
    let model = model.to_string_lossy();
    let mut properties = vec![("model", model.as_ref()), ("language", "en"), ("partials", "none")];
    if scene.deaf {
        properties.push(("vad-threshold", "1"));
    }
    let mut crowd = Crowd::start(STREAMS, &properties)?;
    // The model is loaded in the background.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let signals: Vec<&[f32]> = scene.signals.iter().cycle().take(STREAMS).map(Vec::as_slice).collect();
    let cost = crowd.play(&signals, |_| false)?;
    let percent = |seconds: f64| 100.0 * seconds / cost.wall;
    let detector = percent(cost.threads.vad.as_secs_f64());
    let buffers = 100.0 * STREAMS as f64 * making_buffers(&scene.signals[0]) / seconds;
    let all = percent(cost.cpu) - buffers;
    let (figure, limit) = if scene.deaf { (detector, DETECTOR) } else { (all, SILENT) };
    let (frames, batches) = (crowd.stat("vad-frames")?, crowd.stat("vad-batches")?);
    let all_frames = STREAMS as f64 * seconds * 16_000.0 / transcribe_core::vad::FRAME as f64;
    row(&[
        scene.name.to_owned(),
        number(all, 1),
        number(detector, 1),
        number(percent(cost.threads.pads.as_secs_f64()), 1),
        number(buffers, 1),
        number(percent(crowd.stat("vad-busy")?), 1),
        number(100.0 * frames / all_frames, 1),
        number(frames / batches, 1),
        crowd.said.iter().flatten().filter(|said| said.kind == Kind::Final).count().to_string(),
        format!("at most {limit} %: {}", if figure <= limit { "met" } else { "**missed**" }),
    ]);
    Ok(())
}

/// CPU seconds that it takes to make the buffers of a signal.
fn making_buffers(signal: &[f32]) -> f64 {
    let cpu = CpuTime::own();
    let mut position = 0;
    for packet in signal.chunks(PACKET) {
        drop(std::hint::black_box(buffer(position, packet)));
        position += packet.len() as u64;
    }
    CpuTime::own().since(&cpu).own.as_secs_f64()
}
