//! Where a model runs: the user's `device` string, parsed.
//!
//! `auto`, `cpu`, `gpu[:N]` (the N-th GPU of whatever kind) or a kind of GPU with an optional number: `cuda:1`,
//! `vulkan`, `metal`, `hip`, `tensorrt`. `coreml` is Apple's choice among its own processors, `openvino` Intel's, or one
//! of them: `openvino:cpu`, `openvino:gpu`, `openvino:npu`, `openvino:1`. Numbers count from 0. A device that was asked
//! for is never replaced by the CPU.

use std::fmt;
use std::str::FromStr;

use super::EngineError;

/// What drives a device: whisper.cpp built with a cargo feature of this crate, an execution provider of the ONNX Runtime
/// library, or either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT.
    TensorRt,
    /// Vulkan, for GPUs of most makers.
    Vulkan,
    /// Apple Metal.
    Metal,
    /// Apple Core ML.
    CoreMl,
    /// AMD HIP (ROCm).
    Hip,
    /// Intel OpenVINO.
    OpenVino(Intel),
}

/// Devices of Intel OpenVINO.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intel {
    /// Whichever it takes for the best.
    Any,
    /// The CPU.
    Cpu,
    /// A GPU.
    Gpu,
    /// The neural processing unit.
    Npu,
}

impl Backend {
    /// Those that whisper.cpp can be built with.
    pub const WHISPER_CPP: [Self; 4] = [Self::Cuda, Self::Vulkan, Self::Metal, Self::Hip];

    /// The cargo feature that builds whisper.cpp with it.
    pub fn feature(self) -> Option<&'static str> {
        Some(match self {
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Hip => "hipblas",
            Self::TensorRt | Self::CoreMl | Self::OpenVino(_) => return None,
        })
    }

    /// Whether whisper.cpp was built with it.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Hip => cfg!(feature = "hipblas"),
            Self::TensorRt | Self::CoreMl | Self::OpenVino(_) => false,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::CoreMl => "coreml",
            Self::Hip => "hip",
            Self::OpenVino(Intel::Any) => "openvino",
            Self::OpenVino(Intel::Cpu) => "openvino:cpu",
            Self::OpenVino(Intel::Gpu) => "openvino:gpu",
            Self::OpenVino(Intel::Npu) => "openvino:npu",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "cuda" => Self::Cuda,
            "tensorrt" => Self::TensorRt,
            "vulkan" => Self::Vulkan,
            "metal" => Self::Metal,
            "coreml" => Self::CoreMl,
            "hip" | "hipblas" | "rocm" => Self::Hip,
            "openvino" => Self::OpenVino(Intel::Any),
            _ => return None,
        })
    }

    /// Whether its devices are counted.
    fn is_numbered(self) -> bool {
        !matches!(self, Self::CoreMl | Self::OpenVino(Intel::Any | Intel::Cpu | Intel::Npu))
    }
}

/// Where to run a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The first GPU if this build and the machine have one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU, or another device that is no plain CPU, and nothing else.
    Gpu {
        /// Its kind; `None` takes any.
        backend: Option<Backend>,
        /// Which of that kind, from 0.
        index: usize,
    },
}

impl Device {
    /// An error that says what to build or to choose if whisper.cpp can't run there.
    pub fn check_built_in(&self) -> Result<(), EngineError> {
        let Self::Gpu { backend, .. } = self else { return Ok(()) };
        let reason = match backend.map(|backend| (backend, backend.feature())) {
            Some((_, None)) => "whisper.cpp knows nothing of it; set the engine to onnx".to_owned(),
            Some((backend, Some(feature))) if !backend.is_built_in() => {
                format!("this build has no support for it; build with the cargo feature `{feature}`")
            }
            None if !Backend::WHISPER_CPP.iter().any(|b| b.is_built_in()) => {
                let features: Vec<String> =
                    Backend::WHISPER_CPP.iter().filter_map(|b| b.feature()).map(|f| format!("`{f}`")).collect();
                format!("this build has no GPU support; build with one of the cargo features {}", features.join(", "))
            }
            _ => return Ok(()),
        };
        Err(EngineError::Device { device: self.to_string(), reason })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu { backend: Some(Backend::OpenVino(Intel::Gpu)), index } => write!(f, "openvino:{index}"),
            Self::Gpu { backend: Some(backend), .. } if !backend.is_numbered() => f.write_str(backend.name()),
            Self::Gpu { backend, index } => write!(f, "{}:{index}", backend.map_or("gpu", Backend::name)),
        }
    }
}

impl FromStr for Device {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        let error = |reason: &str| EngineError::Device { device: text.to_owned(), reason: reason.to_owned() };
        let lower = text.trim().to_lowercase();
        let gpu = |backend, index| Ok(Self::Gpu { backend, index });
        let (name, number) = match lower.split_once(':') {
            Some(("openvino", "cpu")) => return gpu(Some(Backend::OpenVino(Intel::Cpu)), 0),
            Some(("openvino", "gpu")) => return gpu(Some(Backend::OpenVino(Intel::Gpu)), 0),
            Some(("openvino", "npu")) => return gpu(Some(Backend::OpenVino(Intel::Npu)), 0),
            Some((name, number)) => (name, Some(number)),
            None => (lower.as_str(), None),
        };
        let index = number.map(|n| n.parse::<u16>().map_err(|_| error("the number behind ':' counts GPUs from 0")));
        let index = index.transpose()?.map(usize::from);
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("auto" | "cpu" | "coreml", Some(_)) => Err(error("only GPUs are numbered")),
            ("gpu", index) => gpu(None, index.unwrap_or(0)),
            ("openvino", Some(index)) => gpu(Some(Backend::OpenVino(Intel::Gpu)), index),
            (name, index) => match Backend::parse(name) {
                Some(backend) => gpu(Some(backend), index.unwrap_or(0)),
                None => Err(error(
                    "not one of auto, cpu, gpu, cuda, tensorrt, vulkan, metal, coreml, hip, openvino (GPUs may be \
                     numbered: cuda:1)",
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(backend: Option<Backend>, index: usize) -> Device {
        Device::Gpu { backend, index }
    }

    #[test]
    fn device_strings_are_understood() {
        for (text, device) in [
            ("auto", Device::Auto),
            ("CPU", Device::Cpu),
            ("gpu", gpu(None, 0)),
            ("gpu:2", gpu(None, 2)),
            ("cuda", gpu(Some(Backend::Cuda), 0)),
            ("cuda:1", gpu(Some(Backend::Cuda), 1)),
            (" Vulkan:0 ", gpu(Some(Backend::Vulkan), 0)),
            ("metal", gpu(Some(Backend::Metal), 0)),
            ("rocm:3", gpu(Some(Backend::Hip), 3)),
            ("tensorrt:1", gpu(Some(Backend::TensorRt), 1)),
            ("coreml", gpu(Some(Backend::CoreMl), 0)),
            ("openvino", gpu(Some(Backend::OpenVino(Intel::Any)), 0)),
            ("OpenVINO:CPU", gpu(Some(Backend::OpenVino(Intel::Cpu)), 0)),
            ("openvino:npu", gpu(Some(Backend::OpenVino(Intel::Npu)), 0)),
            ("openvino:gpu", gpu(Some(Backend::OpenVino(Intel::Gpu)), 0)),
            ("openvino:1", gpu(Some(Backend::OpenVino(Intel::Gpu)), 1)),
        ] {
            assert_eq!(text.parse::<Device>().unwrap(), device, "{text}");
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
    }

    #[test]
    fn other_strings_are_refused_with_a_mend() {
        for text in [
            "",
            "tpu",
            "cuda:",
            "cuda:-1",
            "cuda:x",
            "cpu:0",
            "auto:1",
            "gpu:0:1",
            "gpu:70000",
            "coreml:1",
            "openvino:tpu",
        ] {
            let error = text.parse::<Device>().unwrap_err();
            assert!(matches!(&error, EngineError::Device { .. }), "{text}");
        }
    }

    #[test]
    fn a_gpu_that_is_not_built_in_names_the_feature() {
        for backend in Backend::WHISPER_CPP {
            let result = gpu(Some(backend), 0).check_built_in();
            assert_eq!(result.is_ok(), backend.is_built_in());
            if let Err(error) = result {
                assert!(error.to_string().contains(backend.feature().unwrap()), "{error}");
            }
        }
        let error = gpu(Some(Backend::TensorRt), 0).check_built_in().unwrap_err();
        assert!(error.to_string().contains("engine to onnx"), "{error}");
        assert!(Device::Cpu.check_built_in().is_ok() && Device::Auto.check_built_in().is_ok());
    }
}
