//! Silero, the gate and the segmenter together on real speech, and on sounds that are none.

use std::ops::Range;

use super::{
    gate::Gate,
    silero::Silero,
    testing::{at_dbfs, chirp, clip, frames, music, pink, probabilities, white},
    Lane, Memory, Vad, FRAME,
};
use crate::{
    samples_from_ms,
    segmenter::{SegmentEvent, Segmenter, SegmenterConfig},
    Position,
};

const CLIPS: [&str; 7] = [
    "librivox-sense-0870.flac",
    "librivox-sense-0880.flac",
    "librivox-sense-0890.flac",
    "librivox-sense-0920.flac",
    "librivox-sense-0930.flac",
    "librispeech-2412-153948-0000.flac",
    "jfk-inaugural.flac",
];
const JFK: &str = CLIPS[6];

fn silero() -> Silero {
    Silero::load(None).unwrap()
}

#[test]
fn probabilities_are_those_of_the_reference() {
    // From the Python package onnxruntime 1.32.0 on the same model and clip.
    let reference = [
        (0, 0.001014),
        (1, 0.056809),
        (5, 0.045148),
        (10, 0.469392),
        (11, 0.973377),
        (40, 0.999074),
        (80, 0.051810),
        (150, 0.031541),
        (200, 0.999888),
        (342, 0.887063),
    ];
    let found = probabilities(&mut silero(), &clip(JFK));
    for (frame, probability) in reference {
        assert!((found[frame] - probability).abs() < 2e-3, "frame {frame}: {} not {probability}", found[frame]);
    }
}

#[test]
fn a_stream_in_a_batch_gets_what_it_gets_alone() {
    let clips = CLIPS.map(clip);
    let mut detector = silero();
    let alone = clips.each_ref().map(|samples| probabilities(&mut detector, samples));
    let mut memories = vec![Memory::default(); clips.len()];
    // Streams come and go: each frame number has another batch.
    for number in 0..200 {
        let there: Vec<usize> = (0..clips.len()).filter(|n| number < alone[*n].len()).collect();
        let frame = |n: usize| frames(&clips[n]).nth(number).unwrap();
        let mut lanes: Vec<Lane> =
            there.iter().map(|n| Lane::new(frame(*n), std::mem::take(&mut memories[*n]))).collect();
        detector.run(&mut lanes).unwrap();
        for (n, lane) in there.into_iter().zip(lanes) {
            assert!((lane.probability - alone[n][number]).abs() < 1e-4, "stream {n}, frame {number}");
            memories[n] = lane.memory;
        }
    }
}

#[test]
fn an_empty_batch_is_fine() {
    silero().run(&mut []).unwrap();
}

#[test]
fn samples_that_are_no_numbers_do_no_lasting_harm() {
    let mut broken = vec![0.0; 4 * FRAME];
    broken.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e30].repeat(FRAME));
    broken.resize(40 * FRAME, 0.0);
    let speech_from = broken.len() / FRAME;
    let speech = clip(JFK);
    broken.extend(&speech);
    let mut detector = silero();
    let (found, clean) = (probabilities(&mut detector, &broken), probabilities(&mut detector, &speech));
    assert!(found.iter().all(|p| (0.0..=1.0).contains(p)));
    for (found, clean) in found[speech_from + 20..].iter().zip(&clean[20..]) {
        assert!((*found >= 0.5) == (*clean >= 0.5) || (found - clean).abs() < 0.2);
    }
}

/// An utterance that is over.
#[derive(Debug, PartialEq)]
struct Utterance {
    speech: Range<Position>,
    audio: Range<Position>,
}

/// What a stream of these samples is cut into, and how many of its frames the network saw.
fn segment(detector: &mut dyn Vad, mut gate: Gate, samples: &[f32]) -> (Vec<Utterance>, usize) {
    let mut memory = Memory::default();
    let mut segmenter = Segmenter::new(SegmenterConfig::default()).unwrap();
    let mut seen = 0;
    for frame in frames(samples) {
        if gate.skips(&frame, !segmenter.is_idle()) {
            Gate::pass_over(&frame, &mut memory);
            segmenter.skip(1);
            continue;
        }
        let mut lanes = [Lane::new(frame, std::mem::take(&mut memory))];
        detector.run(&mut lanes).unwrap();
        let [lane] = lanes;
        memory = lane.memory;
        segmenter.push(lane.probability);
        seen += 1;
    }
    segmenter.finish(samples.len() as Position);
    let ended = std::iter::from_fn(|| segmenter.poll()).filter_map(|event| match event {
        SegmentEvent::SpeechEnd { speech, audio, .. } => Some(Utterance { speech, audio }),
        SegmentEvent::SpeechStart { .. } => None,
    });
    (ended.collect(), seen)
}

/// Where a clip is loud: from the first to the last 50 ms within 20 dB of its loudest. The clips have breath and room
/// 25 dB below the voice, so more would measure those.
fn loud_part(samples: &[f32]) -> Range<Position> {
    let power: Vec<f32> = samples.windows(800).step_by(160).map(|w| w.iter().map(|s| s * s).sum()).collect();
    let least = power.iter().fold(0.0_f32, |a, b| a.max(*b)) / 100.0;
    let first = power.iter().position(|p| *p > least).unwrap();
    let last = power.iter().rposition(|p| *p > least).unwrap();
    first as u64 * 160..last as u64 * 160 + 800
}

/// The clips at this gain with pauses of 1.5 s, all over this noise, and where each is loud.
fn conversation(gain_db: f32, noise: impl Fn(usize) -> Vec<f32>) -> (Vec<f32>, Vec<Range<Position>>) {
    let gain = 10.0_f32.powf(gain_db / 20.0);
    let mut samples = vec![0.0; samples_from_ms(1_500) as usize];
    let mut loud = Vec::new();
    for name in CLIPS {
        let (clip, at) = (clip(name), samples.len() as Position);
        let mut part = loud_part(&clip);
        if name == JFK {
            // What is loud after this is the crowd.
            part.end = samples_from_ms(10_560);
        }
        loud.push(at + part.start..at + part.end);
        samples.extend(clip.iter().map(|sample| gain * sample));
        samples.resize(samples.len() + samples_from_ms(1_500) as usize, 0.0);
    }
    let noise = noise(samples.len());
    samples.iter_mut().zip(noise).for_each(|(sample, noise)| *sample += noise);
    (samples, loud)
}

/// Those of the utterances whose speech lies in a clip's loud part.
fn within<'u>(utterances: &'u [Utterance], loud: &Range<Position>) -> Vec<&'u Utterance> {
    utterances.iter().filter(|u| u.speech.start < loud.end && u.speech.end > loud.start).collect()
}

/// `a − b` in milliseconds.
fn ms_between(a: Position, b: Position) -> i64 {
    (a as i64 - b as i64) / samples_from_ms(1) as i64
}

#[test]
fn each_clip_is_found_from_its_first_sound_to_its_last() {
    let (samples, loud) = conversation(0.0, |n| at_dbfs(white(1, n), -65.0));
    let (utterances, _) = segment(&mut silero(), Gate::default(), &samples);
    let mut claimed = 0;
    for (name, loud) in CLIPS.iter().zip(&loud) {
        let found = within(&utterances, loud);
        claimed += found.len();
        let (first, last) = (found.first().unwrap(), found.last().unwrap());
        let (start, end) = (ms_between(first.speech.start, loud.start), ms_between(last.speech.end, loud.end));
        println!("{name}: {} utterance(s), start {start:+} ms, end {end:+} ms", found.len());
        assert!(start.abs() <= 100, "{name} starts {start} ms late");
        // A word's last sound may be quieter than what counts as loud.
        assert!((-100..=250).contains(&end), "{name} ends {end} ms late");
        assert!(first.audio.start <= loud.start && last.audio.end >= loud.end, "{name}: all in the audio");
    }
    assert_eq!(claimed, utterances.len(), "nothing between the clips");
    // Seven clips; one pauses once for over half a second, one three times.
    assert_eq!(utterances.len(), 11);
}

#[test]
fn the_gate_loses_no_words_of_a_quiet_microphone() {
    let mut detector = silero();
    for (gain, most) in [(0.0, 230), (-12.0, 230), (-20.0, 230), (-26.0, 330)] {
        let (samples, loud) = conversation(gain, |n| at_dbfs(pink(1, n), -75.0));
        let (gated, seen) = segment(&mut detector, Gate::default(), &samples);
        let (whole, all) = segment(&mut detector, Gate::new(f32::NEG_INFINITY), &samples);
        assert!(seen < all && all == samples.len() / FRAME);
        for (name, loud) in CLIPS.iter().zip(&loud) {
            let (gated, whole) = (within(&gated, loud)[0], within(&whole, loud)[0]);
            let late = ms_between(gated.speech.start, whole.speech.start);
            assert!(late <= most, "{name} at {gain} dB: {late} ms later than without the gate");
            assert!(gated.audio.start <= loud.start || gain < -20.0, "{name} at {gain} dB: all in the audio");
        }
    }
}

#[test]
fn what_is_not_speech_is_not_heard() {
    const MINUTE: usize = 60 * 16_000;
    let mut detector = silero();
    let sounds = [
        ("digital silence", vec![0.0; MINUTE]),
        ("white noise", at_dbfs(white(1, MINUTE), -30.0)),
        ("pink noise", at_dbfs(pink(1, MINUTE), -30.0)),
        ("tone", at_dbfs(chirp(440.0, 440.0, MINUTE), -20.0)),
        ("slow chirp", at_dbfs(chirp(80.0, 7_000.0, MINUTE), -20.0)),
        ("fast chirps", at_dbfs(chirp(100.0, 4_000.0, 16_000).repeat(60), -20.0)),
        ("music", at_dbfs(music(MINUTE), -20.0)),
    ];
    for (name, samples) in sounds {
        let (utterances, seen) = segment(&mut detector, Gate::default(), &samples);
        let most = probabilities(&mut detector, &samples).into_iter().fold(0.0, f32::max);
        println!("{name}: {seen} frames seen, probability at most {most:.3}");
        assert_eq!(utterances, [], "{name}");
    }
}

#[test]
fn speech_after_an_hour_of_silence_is_found_as_at_the_start() {
    let speech = clip(JFK);
    let mut detector = silero();
    let (at_once, _) = segment(&mut detector, Gate::default(), &speech);
    let silence = 3_600 * 16_000 / FRAME * FRAME;
    let mut late = vec![0.0; silence];
    late.extend(&speech);
    let (found, seen) = segment(&mut detector, Gate::default(), &late);
    assert_eq!(found.len(), at_once.len());
    assert_eq!(found[0].speech.start - silence as u64, at_once[0].speech.start);
    assert!(seen <= speech.len() / FRAME);
}
