//! Which GPU whisper.cpp is to use. It counts GPUs of all kinds from 0 and goes on with the CPU, with no more than a
//! line in the log, when there is none; so they are counted and tried here first.

#[cfg(feature = "cuda")]
mod cuda;

use std::ffi::{c_char, c_int, CStr};

use whisper_rs::whisper_rs_sys as sys;

use crate::engine::device::{Backend, Device};
use crate::engine::EngineError;

/// What a state takes at work beyond what it takes when it is made.
const WORK_MEMORY: usize = 128 << 20;
/// Memory of a GPU that is not planned for.
const KEPT_FREE: usize = 256 << 20;

/// A GPU that this build of whisper.cpp can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuInfo {
    /// As ggml names it, with its number among those of its kind: `CUDA0`, `Vulkan1`.
    pub name: String,
    /// The maker's name for it.
    pub description: String,
    /// Memory that nobody uses now, bytes; 0 if the driver doesn't tell.
    pub free: usize,
    /// All its memory, bytes.
    pub total: usize,
}

/// The GPUs in the order of `gpu:0`, `gpu:1`, … Asking an NVIDIA GPU takes some of its memory for the process.
pub(super) fn infos() -> Vec<GpuInfo> {
    list().iter().map(Gpu::info).collect()
}

/// whisper.cpp's number of the GPU for `device`; `None` for the CPU.
pub(super) fn resolve(device: &Device) -> Result<Option<c_int>, EngineError> {
    device.check_built_in()?;
    let (backend, index) = match device {
        Device::Cpu => return Ok(None),
        Device::Auto if !Backend::WHISPER_CPP.iter().any(|b| b.is_built_in()) => return Ok(None),
        Device::Auto => (None, 0),
        Device::Gpu { backend, index } => (*backend, *index),
    };
    let gpus = list();
    let matching: Vec<usize> = (0..gpus.len()).filter(|n| backend.is_none_or(|b| is_kind(&gpus[*n].name, b))).collect();
    let error = |reason: String| EngineError::Device { device: device.to_string(), reason };
    match matching.get(index) {
        Some(&number) => match gpus[number].check() {
            Ok(()) => Ok(Some(number as c_int)),
            Err(reason) => Err(error(reason)),
        },
        None if *device == Device::Auto => Ok(None),
        None => Err(error(none_such(matching.iter().map(|n| gpus[*n].to_string()).collect()))),
    }
}

/// Free memory of the GPU with whisper.cpp's `number`, bytes; 0 if the driver doesn't tell.
pub(super) fn free(number: c_int) -> usize {
    usize::try_from(number).ok().and_then(|number| list().get(number).map(|gpu| gpu.info().free)).unwrap_or(0)
}

/// How many states there may be, the first among them, when it took free memory from `before` to `after`. ggml ends the
/// process when a GPU's memory runs out in the midst of a job, so some is left.
pub(super) fn states_that_fit(before: Option<usize>, after: Option<usize>) -> usize {
    match (before, after) {
        (Some(before), Some(after)) if before > 0 => {
            let state = before.saturating_sub(after) + WORK_MEMORY;
            1 + after.saturating_sub(KEPT_FREE) / state
        }
        _ => usize::MAX,
    }
}

/// Why there is no GPU of the number asked for, when `there` are all of its kind.
fn none_such(there: Vec<String>) -> String {
    match there.as_slice() {
        [] => "no such GPU is there, or its driver is missing or too old for this build; the log of whisper.cpp says \
               more, and the maker's tool (nvidia-smi, vulkaninfo, …) whether the driver works"
            .to_owned(),
        [only] => format!("there is only one, {only}; its number is 0"),
        all => format!("there are only {}, numbered from 0: {}", all.len(), all.join(", ")),
    }
}

struct Gpu {
    device: sys::ggml_backend_dev_t,
    name: String,
}

impl Gpu {
    /// Cause and mend if it can't be used: the build has no code for it, or its driver gives us no context.
    fn check(&self) -> Result<(), String> {
        #[cfg(feature = "cuda")]
        if is_kind(&self.name, Backend::Cuda) {
            cuda::check(self.device, &self.name).map_err(|reason| format!("{self}: {reason}"))?;
        }
        // SAFETY: the device comes from ggml's registry, which lives as long as the process; the backend is freed
        // once and used for nothing else.
        unsafe {
            let backend = sys::ggml_backend_dev_init(self.device, std::ptr::null());
            if backend.is_null() {
                return Err(format!("{self} is there but can't be started; see the log of whisper.cpp"));
            }
            sys::ggml_backend_free(backend);
        }
        Ok(())
    }

    fn description(&self) -> String {
        // SAFETY: the device is the registry's, and so is the string.
        unsafe { text(sys::ggml_backend_dev_description(self.device)) }
    }

    fn info(&self) -> GpuInfo {
        let (mut free, mut total) = (0, 0);
        // SAFETY: the device is the registry's; the call writes to the two numbers.
        unsafe { sys::ggml_backend_dev_memory(self.device, &mut free, &mut total) };
        GpuInfo { name: self.name.clone(), description: self.description(), free, total }
    }
}

impl std::fmt::Display for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.description())
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
            .map(|device| Gpu { device, name: text(sys::ggml_backend_dev_name(device)) })
            .collect()
    }
}

/// # Safety
/// `string` is null or a C string that lives during the call.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: as asked of the caller.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// Whether ggml names GPUs of this kind so: `CUDA0`, `ROCm1`, `Vulkan0`, `Metal`.
fn is_kind(name: &str, backend: Backend) -> bool {
    let prefix = match backend {
        Backend::Cuda => "cuda",
        Backend::Vulkan => "vulkan",
        Backend::Metal => "metal",
        Backend::Hip => "rocm",
        Backend::TensorRt | Backend::CoreMl | Backend::OpenVino(_) => return false,
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

    #[test]
    fn states_are_as_many_as_fit() {
        let gib = 1 << 30;
        assert_eq!(states_that_fit(None, None), usize::MAX, "the CPU");
        assert_eq!(states_that_fit(Some(0), Some(0)), usize::MAX, "a driver that doesn't tell");
        assert_eq!(states_that_fit(Some(gib), Some(gib / 2)), 1);
        assert_eq!(states_that_fit(Some(10 * gib), Some(9 * gib)), 8);
        assert!(states_that_fit(Some(80 * gib), Some(80 * gib)) > 100);
    }

    #[test]
    fn a_wrong_number_is_answered_with_the_gpus_there_are() {
        assert!(none_such(vec![]).contains("driver"));
        assert!(none_such(vec!["CUDA0 (Card)".into()]).contains("only one, CUDA0 (Card)"));
        assert!(none_such(vec!["CUDA0 (Card)".into(), "CUDA1 (Other)".into()]).contains("only 2"));
    }
}
