//! Where a model runs: the user's `device` string, parsed.
//!
//! `auto`, `cpu`, `gpu[:N]` (the N-th GPU of whatever kind) or a kind of GPU with an optional number: `cuda:1`,
//! `vulkan`, `metal`, `hip`. Numbers count from 0. A GPU that was asked for is never replaced by the CPU.

use std::fmt;
use std::str::FromStr;

use super::EngineError;

/// A kind of GPU support, each a cargo feature of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// NVIDIA CUDA.
    Cuda,
    /// Vulkan, for GPUs of most makers.
    Vulkan,
    /// Apple Metal.
    Metal,
    /// AMD HIP (ROCm).
    Hip,
}

impl Backend {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Cuda, Self::Vulkan, Self::Metal, Self::Hip];

    /// The cargo feature that builds it in.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Hip => "hipblas",
        }
    }

    /// Whether this build has it.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Metal => cfg!(feature = "metal"),
            Self::Hip => cfg!(feature = "hipblas"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Hip => "hip",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "cuda" => Self::Cuda,
            "vulkan" => Self::Vulkan,
            "metal" => Self::Metal,
            "hip" | "hipblas" | "rocm" => Self::Hip,
            _ => return None,
        })
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
    /// A GPU and nothing else.
    Gpu {
        /// Its kind; `None` takes any.
        backend: Option<Backend>,
        /// Which of that kind, from 0.
        index: usize,
    },
}

impl Device {
    /// An error that names the cargo feature if this build can't have the device.
    pub fn check_built_in(&self) -> Result<(), EngineError> {
        let Self::Gpu { backend, .. } = self else { return Ok(()) };
        let reason = match backend {
            Some(backend) if !backend.is_built_in() => {
                format!("this build has no support for it; build with the cargo feature `{}`", backend.feature())
            }
            None if !Backend::ALL.iter().any(|b| b.is_built_in()) => {
                let features: Vec<String> = Backend::ALL.iter().map(|b| format!("`{}`", b.feature())).collect();
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
            Self::Gpu { backend, index } => write!(f, "{}:{index}", backend.map_or("gpu", Backend::name)),
        }
    }
}

impl FromStr for Device {
    type Err = EngineError;

    fn from_str(text: &str) -> Result<Self, EngineError> {
        let error = |reason: &str| EngineError::Device { device: text.to_owned(), reason: reason.to_owned() };
        let lower = text.trim().to_lowercase();
        let (name, number) = match lower.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (lower.as_str(), None),
        };
        let index = number.map(|n| n.parse::<u16>().map_err(|_| error("the number behind ':' counts GPUs from 0")));
        let index = index.transpose()?.map(usize::from);
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("auto" | "cpu", Some(_)) => Err(error("only GPUs are numbered")),
            ("gpu", index) => Ok(Self::Gpu { backend: None, index: index.unwrap_or(0) }),
            (name, index) => match Backend::parse(name) {
                Some(backend) => Ok(Self::Gpu { backend: Some(backend), index: index.unwrap_or(0) }),
                None => {
                    Err(error("not one of auto, cpu, gpu, cuda, vulkan, metal, hip (GPUs may be numbered: cuda:1)"))
                }
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
        ] {
            assert_eq!(text.parse::<Device>().unwrap(), device, "{text}");
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
    }

    #[test]
    fn other_strings_are_refused_with_a_mend() {
        for text in ["", "tpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "auto:1", "gpu:0:1", "gpu:70000"] {
            let error = text.parse::<Device>().unwrap_err();
            assert!(matches!(&error, EngineError::Device { .. }), "{text}");
        }
    }

    #[test]
    fn a_gpu_that_is_not_built_in_names_the_feature() {
        for backend in Backend::ALL {
            let result = gpu(Some(backend), 0).check_built_in();
            assert_eq!(result.is_ok(), backend.is_built_in());
            if let Err(error) = result {
                assert!(error.to_string().contains(backend.feature()), "{error}");
            }
        }
        assert!(Device::Cpu.check_built_in().is_ok() && Device::Auto.check_built_in().is_ok());
    }
}
