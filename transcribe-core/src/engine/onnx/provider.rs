//! Where graphs run: on the CPU, or by one of the library's execution providers.
//!
//! Which providers there are is the library's matter: the official one has none, those of `onnxruntime-gpu` and
//! `onnxruntime-openvino` have theirs. A provider that was asked for is never replaced by the CPU, not even for a single
//! operator.

use ort::ep::{CoreML, ExecutionProvider, ExecutionProviderDispatch, MIGraphX, OpenVINO, ROCm, TensorRT, CUDA};
use ort::session::builder::SessionBuilder;

use super::graph::Operators;
use crate::engine::device::{Backend, Device, Intel};
use crate::engine::EngineError;
use crate::onnxruntime::LoadedLibrary;

/// Jobs at once on a device that is no CPU: while one waits for it, the other chooses tokens.
const STATES: usize = 2;

/// See the module.
#[derive(Debug, Clone)]
pub(super) enum Placement {
    Cpu,
    Provider(Provider),
}

/// An execution provider that the library has, and which of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Provider {
    kind: Kind,
    index: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cuda,
    TensorRt,
    MiGraphX,
    Rocm,
    CoreMl,
    OpenVino(Intel),
}

impl Kind {
    /// Those that are tried where any GPU will do.
    const GPUS: [Self; 5] = [Self::Cuda, Self::MiGraphX, Self::Rocm, Self::CoreMl, Self::OpenVino(Intel::Gpu)];

    /// Those that serve a backend, the best first; none for what ONNX Runtime knows nothing of.
    fn of(backend: Backend) -> &'static [Self] {
        match backend {
            Backend::Cuda => &[Self::Cuda],
            Backend::TensorRt => &[Self::TensorRt],
            Backend::Hip => &[Self::MiGraphX, Self::Rocm],
            Backend::CoreMl => &[Self::CoreMl],
            Backend::OpenVino(Intel::Any) => &[Self::OpenVino(Intel::Any)],
            Backend::OpenVino(Intel::Cpu) => &[Self::OpenVino(Intel::Cpu)],
            Backend::OpenVino(Intel::Gpu) => &[Self::OpenVino(Intel::Gpu)],
            Backend::OpenVino(Intel::Npu) => &[Self::OpenVino(Intel::Npu)],
            Backend::Vulkan | Backend::Metal => &[],
        }
    }

    /// ONNX Runtime's name without its ending.
    fn name(self) -> &'static str {
        let name = match self {
            Self::Cuda => CUDA::NAME,
            Self::TensorRt => TensorRT::NAME,
            Self::MiGraphX => MIGraphX::NAME,
            Self::Rocm => ROCm::NAME,
            Self::CoreMl => CoreML::NAME,
            Self::OpenVino(_) => OpenVINO::NAME,
        };
        name.trim_end_matches("ExecutionProvider")
    }

    /// Whether the library was built with it.
    fn is_there(self) -> bool {
        let found = match self {
            Self::Cuda => CUDA::is_available(),
            Self::TensorRt => TensorRT::is_available(),
            Self::MiGraphX => MIGraphX::is_available(),
            Self::Rocm => ROCm::is_available(),
            Self::CoreMl => CoreML::is_available(),
            Self::OpenVino(_) => OpenVINO::is_available(),
        };
        found.unwrap_or(false)
    }

    /// A library that has it.
    fn source(self) -> &'static str {
        match self {
            Self::Cuda | Self::TensorRt => "such as that of the Python package onnxruntime-gpu",
            Self::MiGraphX | Self::Rocm => "such as AMD's builds",
            Self::CoreMl => "such as those for macOS",
            Self::OpenVino(_) => "such as that of the Python package onnxruntime-openvino",
        }
    }
}

impl Placement {
    /// The place for `device`; an error says what the library lacks.
    pub(super) fn new(device: &Device, library: &LoadedLibrary) -> Result<Self, EngineError> {
        let Device::Gpu { backend, index } = device else { return Ok(Self::Cpu) };
        let error = |reason| EngineError::Device { device: device.to_string(), reason };
        let kinds = backend.map_or(&Kind::GPUS[..], Kind::of);
        let Some(first) = kinds.first() else {
            let feature = backend.and_then(Backend::feature).unwrap_or_default();
            return Err(error(format!(
                "ONNX Runtime has no execution provider for it; set the engine to whisper-cpp, in a build with the cargo \
                 feature `{feature}`"
            )));
        };
        if let Some(kind) = kinds.iter().find(|kind| kind.is_there()) {
            return Ok(Self::Provider(Provider { kind: *kind, index: *index }));
        }
        let feature = backend.map_or(Some("cuda"), Backend::feature);
        let whisper_cpp =
            feature.map(|feature| format!("; or take whisper.cpp, in a build with the cargo feature `{feature}`"));
        let wanted: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let all = Kind::GPUS.into_iter().chain([Kind::TensorRt]);
        let there: Vec<_> = all.filter(|kind| kind.is_there()).map(Kind::name).chain(["CPU"]).collect();
        Err(error(format!(
            "the ONNX Runtime library {} has no execution provider {}, only {}; name one that has, {}, in the \
             element's property onnxruntime or in {}{}",
            library.path().display(),
            wanted.join(" or "),
            there.join(", "),
            first.source(),
            crate::onnxruntime::PATH_VARIABLE,
            whisper_cpp.unwrap_or_default(),
        )))
    }

    pub(super) fn operators(&self) -> Operators {
        match self {
            Self::Cpu => Operators::Cpu,
            Self::Provider(_) => Operators::Standard,
        }
    }

    /// How many of `cores` jobs run at once.
    pub(super) fn states(&self, cores: usize) -> usize {
        match self {
            Self::Cpu | Self::Provider(Provider { kind: Kind::OpenVino(Intel::Cpu), .. }) => cores,
            Self::Provider(_) => cores.min(STATES),
        }
    }

    /// Makes an error of what ONNX Runtime says when the provider can't run a model, if it is not the CPU that should.
    pub(super) fn refusal(&self, device: &Device) -> Option<impl Fn(String) -> EngineError> {
        let Self::Provider(provider) = self else { return None };
        let (kind, device) = (provider.kind, device.to_string());
        Some(move |said: String| EngineError::Device {
            device: device.clone(),
            reason: format!(
                "the execution provider {} can't run the model there: {said} (what ONNX Runtime wrote to standard \
                 error may say more)",
                kind.name()
            ),
        })
    }
}

impl Provider {
    /// Has sessions run by it, and by nothing else.
    pub(super) fn add_to(&self, builder: SessionBuilder, threads: usize) -> ort::Result<SessionBuilder> {
        Ok(builder.with_disable_cpu_fallback()?.with_execution_providers(self.dispatch(threads))?)
    }

    fn dispatch(&self, threads: usize) -> Vec<ExecutionProviderDispatch> {
        let index = i32::try_from(self.index).unwrap_or(i32::MAX);
        let cuda = || CUDA::default().with_device_id(index).build().error_on_failure();
        match self.kind {
            Kind::Cuda => vec![cuda()],
            // What TensorRT can't do, CUDA does on the same GPU.
            Kind::TensorRt => vec![TensorRT::default().with_device_id(index).build().error_on_failure(), cuda()],
            Kind::MiGraphX => vec![MIGraphX::default().with_device_id(index).build().error_on_failure()],
            Kind::Rocm => vec![ROCm::default().with_device_id(index).build().error_on_failure()],
            Kind::CoreMl => vec![CoreML::default().build().error_on_failure()],
            Kind::OpenVino(part) => {
                let place = match part {
                    Intel::Any => "AUTO".to_owned(),
                    Intel::Cpu => "CPU".to_owned(),
                    Intel::Gpu => format!("GPU.{}", self.index),
                    Intel::Npu => "NPU".to_owned(),
                };
                let provider = OpenVINO::default().with_device_type(place).with_num_threads(threads);
                vec![provider.build().error_on_failure()]
            }
        }
    }
}
