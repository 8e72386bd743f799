//! Which GPU whisper.cpp is to use. It counts GPUs of all kinds from 0 and goes on with the CPU, with no more than a
//! line in the log, when there is none; so they are counted and tried here first.

use std::ffi::{c_int, CStr};

use whisper_rs::whisper_rs_sys as sys;

use crate::engine::device::{Backend, Device};
use crate::engine::EngineError;

/// whisper.cpp's number of the GPU for `device`; `None` for the CPU.
pub(super) fn resolve(device: &Device) -> Result<Option<c_int>, EngineError> {
    device.check_built_in()?;
    let (backend, index) = match device {
        Device::Cpu => return Ok(None),
        Device::Auto if !Backend::ALL.iter().any(|b| b.is_built_in()) => return Ok(None),
        Device::Auto => (None, 0),
        Device::Gpu { backend, index } => (*backend, *index),
    };
    let gpus = list();
    let matching: Vec<usize> = (0..gpus.len()).filter(|n| backend.is_none_or(|b| is_kind(&gpus[*n].name, b))).collect();
    let error = |reason: String| EngineError::Device { device: device.to_string(), reason };
    match matching.get(index) {
        Some(&number) if gpus[number].starts() => Ok(Some(number as c_int)),
        Some(&number) => Err(error(format!("{} is there but can't be started; see the log", gpus[number].name))),
        None if *device == Device::Auto => Ok(None),
        None if matching.is_empty() => Err(error("no such GPU is there, or its driver is not".to_owned())),
        None => Err(error(format!("there are only {} such GPUs", matching.len()))),
    }
}

struct Gpu {
    device: sys::ggml_backend_dev_t,
    name: String,
}

impl Gpu {
    /// Whether its driver gives us a context.
    fn starts(&self) -> bool {
        // SAFETY: the device comes from ggml's registry, which lives as long as the process; the backend is freed
        // once and used for nothing else.
        unsafe {
            let backend = sys::ggml_backend_dev_init(self.device, std::ptr::null());
            if backend.is_null() {
                return false;
            }
            sys::ggml_backend_free(backend);
        }
        true
    }
}

/// The GPUs in whisper.cpp's order.
fn list() -> Vec<Gpu> {
    // SAFETY: indices are below the count; names are C strings owned by the registry, which lives as long as the
    // process.
    unsafe {
        (0..sys::ggml_backend_dev_count())
            .map(|n| sys::ggml_backend_dev_get(n))
            .filter(|device| {
                let kind = sys::ggml_backend_dev_type(*device);
                kind == sys::ggml_backend_dev_type_GGML_BACKEND_DEVICE_TYPE_GPU
                    || kind == sys::ggml_backend_dev_type_GGML_BACKEND_DEVICE_TYPE_IGPU
            })
            .map(|device| {
                let name = CStr::from_ptr(sys::ggml_backend_dev_name(device)).to_string_lossy().into_owned();
                Gpu { device, name }
            })
            .collect()
    }
}

/// Whether ggml names GPUs of this kind so: `CUDA0`, `ROCm1`, `Vulkan0`, `Metal`.
fn is_kind(name: &str, backend: Backend) -> bool {
    let prefix = match backend {
        Backend::Cuda => "cuda",
        Backend::Vulkan => "vulkan",
        Backend::Metal => "metal",
        Backend::Hip => "rocm",
    };
    name.to_lowercase().starts_with(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_needs_no_number() {
        assert_eq!(resolve(&Device::Cpu).unwrap(), None);
    }

    #[test]
    fn a_gpu_is_never_replaced_by_the_cpu() {
        let device = Device::Gpu { backend: None, index: 999 };
        assert!(matches!(resolve(&device), Err(EngineError::Device { .. })));
    }
}
