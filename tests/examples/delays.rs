//! scratch
use std::sync::Arc;
use e2e_tests::{clips::Composition, replay::*, wer::word_errors};
use transcribe_core::{engine::*, partials::PartialPolicy, samples_from_ms, stream::StreamConfig, vad};
fn main() {
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ggml-tiny.en-q8_0.bin");
    let engine: Arc<dyn Engine> = Arc::new(whisper_cpp::WhisperCpp::load(std::path::Path::new(model), &"cpu".parse().unwrap(), 1).unwrap());
    let mut detector = vad::load(vad::VadKind::Silero, None).unwrap();
    let long = Composition::long();
    let config = |partials, floor: usize, revise| StreamConfig { partials, may_revise: revise, decode: DecodeOptions { context: ContextPolicy { floor, margin: 200 }, ..Default::default() }, ..Default::default() };
    let whole = Replay::of(&long.samples, 512, config(PartialPolicy::None, 512, false), Pace::Audio, detector.as_mut(), &engine).unwrap();
    println!("whole {:.1}", word_errors(&long.text(), &whole.text()).percent());
    let args: Vec<String> = std::env::args().collect();
    let verbose = args.iter().any(|a| a == "-v");
    for pace in [Pace::Audio, Pace::Computed] {
      for (name, policy, floor) in [
        ("interval 500", PartialPolicy::Interval { every: samples_from_ms(500) }, 512),
        ("la2 500", PartialPolicy::LocalAgreement { every: samples_from_ms(500), agree: 2 }, 512),
        ("la2 500 768", PartialPolicy::LocalAgreement { every: samples_from_ms(500), agree: 2 }, 768),
        ("la2 250", PartialPolicy::LocalAgreement { every: samples_from_ms(250), agree: 2 }, 512),
        ("la3 500", PartialPolicy::LocalAgreement { every: samples_from_ms(500), agree: 3 }, 512),
      ] {
        let r = Replay::of(&long.samples, 512, config(policy, floor, false), pace, detector.as_mut(), &engine).unwrap();
        let d = measure(&r, &whole);
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
        let p = |v: &[f64], q: f64| { let mut v = v.to_vec(); v.sort_by(f64::total_cmp); v.get(((v.len() as f64 - 1.0) * q) as usize).copied().unwrap_or(f64::NAN) };
        let free = Replay::of(&long.samples, 512, config(policy, floor, true), Pace::Audio, detector.as_mut(), &engine).unwrap();
        println!("{pace:?} {name}: wer {:.1} (revised {:.1}) committed {:.2}/{:.2} shown {:.2} first {:.2}/{:.2} last {:.2}/{:.2} flicker {:.0}% of {} tail {:.0}% broken {} n {} jobs {} busy {:.1}",
            word_errors(&long.text(), &r.text()).percent(), word_errors(&long.text(), &free.text()).percent(), mean(&d.committed), p(&d.committed, 0.9), mean(&d.shown), mean(&d.first_partial), p(&d.first_partial, 1.0),
            p(&d.last, 0.5), p(&d.last, 1.0), d.unstable.percent(), d.unstable.shown, d.with_tail.percent(), d.broken, d.committed.len(), r.jobs, r.busy);
        if verbose && matches!(pace, Pace::Audio) { for t in &r.outputs { match &t.output {
            transcribe_core::stream::Output::Partial(p) => println!("  {:6.2} {} | {} | {}", t.at, p.stable, p.unstable, p.tail),
            transcribe_core::stream::Output::Final(f) => println!("  {:6.2} FINAL {}", t.at, f.hypothesis.text()),
            _ => {} } } }
      }
      if args.iter().any(|a| a == "-a") { break; }
    }
}
