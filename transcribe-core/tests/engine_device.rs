//! The engine on ONNX Runtime on another device than the CPU: OpenVINO's, which is to be had without a GPU, too.

#![cfg(target_arch = "x86_64")]

mod common;

use std::path::PathBuf;

use common::{clips, errors, job, root, words, Clip};
use transcribe_core::engine::device::Device;
use transcribe_core::engine::onnx::{Onnx, Precision};
use transcribe_core::engine::{DecodeOptions, Engine, EngineError, Search, Timestamps};

/// ONNX Runtime with OpenVINO. (A process has one library, and each test is a process.)
fn openvino() -> PathBuf {
    let path = root().join(".deps/onnxruntime-openvino/libonnxruntime.so");
    assert!(path.exists(), "there is no {}: `make setup-tests` gets it", path.display());
    path
}

fn load(device: &str, precision: Precision, library: Option<PathBuf>) -> Result<Onnx, EngineError> {
    let device: Device = device.parse().expect("a device");
    Onnx::load(&root().join("models/ggml-tiny.en-q8_0.bin"), &device, precision, library.as_deref(), 1)
}

fn heard(engine: &Onnx, clip: &Clip, options: &DecodeOptions) -> String {
    engine.transcribe(&[job(&clip.audio, options)], 1).remove(0).expect("the job is decoded").text()
}

#[test]
fn another_device_hears_what_the_cpu_hears() {
    let library = openvino();
    let cpu = load("cpu", Precision::F32, Some(library.clone())).unwrap();
    let other = load("openvino:cpu", Precision::Int8, Some(library)).unwrap();
    let clips = clips();
    let (mut wrong, mut total, mut same) = (0, 0, 0);
    for clip in &clips {
        let text = heard(&other, clip, &DecodeOptions::default());
        same += usize::from(text == heard(&cpu, clip, &DecodeOptions::default()));
        wrong += errors(&text, &clip.text);
        total += words(&clip.text).len();
    }
    assert!(wrong * 20 <= total, "{wrong} of {total} words");
    // Sums are added up in another order, which may turn the balance between two tokens.
    assert!(same + 1 >= clips.len(), "{same} of {} as on the CPU", clips.len());

    // A prompt, a draft and a beam have many rows, of which none may look ahead.
    let clip = &clips[0];
    let plain = DecodeOptions::default();
    let first = other.transcribe(&[job(&clip.audio, &plain)], 1).remove(0).unwrap();
    let drafted = DecodeOptions { draft: first.tokens.clone(), ..plain.clone() };
    assert_eq!(heard(&other, clip, &drafted), first.text());
    for options in [
        DecodeOptions { search: Search::Beam(3), ..plain.clone() },
        DecodeOptions { timestamps: Timestamps::Always, ..plain.clone() },
        DecodeOptions { prompt: Some("A letter of Jane Austen's sisters.".into()), ..plain },
    ] {
        assert_eq!(heard(&other, clip, &options), heard(&cpu, clip, &options), "{options:?}");
    }
}

#[test]
fn word_times_are_those_of_the_cpu() {
    let library = openvino();
    let cpu = load("cpu", Precision::F32, Some(library.clone())).unwrap();
    let other = load("openvino:cpu", Precision::F32, Some(library)).unwrap();
    let clip = &clips()[0];
    let [cpu, other] = [cpu, other]
        .map(|engine| engine.transcribe(&[job(&clip.audio, &DecodeOptions::default())], 1).remove(0).unwrap());
    assert_eq!(cpu.text(), other.text());
    for (a, b) in cpu.words().zip(other.words()) {
        assert!(a.span.start.abs_diff(b.span.start) <= 640 && a.span.end.abs_diff(b.span.end) <= 640, "{a:?} {b:?}");
    }
}

fn refused(result: Result<Onnx, EngineError>) -> (String, String) {
    match result.err() {
        Some(EngineError::Device { device, reason }) => (device, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_that_the_library_was_not_built_for_is_refused_with_a_mend() {
    let (device, reason) = refused(load("cuda:1", Precision::Int8, None));
    assert_eq!(device, "cuda:1");
    for part in ["no execution provider CUDA, only CPU", "onnxruntime-gpu", "ORT_DYLIB_PATH"] {
        assert!(reason.contains(part), "{reason}");
    }
    let (_, reason) = refused(load("rocm", Precision::Int8, None));
    assert!(reason.contains("MIGraphX or ROCM"), "{reason}");
    let (_, reason) = refused(load("vulkan", Precision::Int8, None));
    assert!(reason.contains("whisper-cpp"), "{reason}");
    let (device, reason) = refused(load("gpu", Precision::Int8, None));
    assert!(device == "gpu:0" && reason.contains("onnxruntime-gpu"), "{device} {reason}");
}

#[test]
fn a_device_that_the_machine_lacks_is_never_replaced_by_the_cpu() {
    let library = openvino();
    for (wanted, named) in [("openvino:7", "openvino:7"), ("gpu:7", "gpu:7"), ("cuda", "cuda:0")] {
        let (device, reason) = refused(load(wanted, Precision::Int8, Some(library.clone())));
        assert_eq!(device, named);
        assert!(reason.contains("OpenVINO"), "{reason}");
    }
}
