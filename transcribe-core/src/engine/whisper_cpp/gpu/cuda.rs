//! Whether a build has machine code for an NVIDIA GPU. Without any, ggml ends the process at the first kernel, so it is
//! looked up beforehand: the generations the build was made for, as ggml tells them, against the GPU's own.

use std::ffi::{c_int, c_void, CStr};
use std::mem::transmute;

use whisper_rs::whisper_rs_sys as sys;

/// `cudaDevAttrComputeCapabilityMajor` and `…Minor`.
const CAPABILITY: [c_int; 2] = [75, 76];

extern "C" {
    /// Of the CUDA runtime, which a build with CUDA is linked with.
    fn cudaDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int) -> c_int;
}

/// Cause and mend if the build has no code for the GPU. `name` is ggml's: `CUDA0`.
pub(super) fn check(device: sys::ggml_backend_dev_t, name: &str) -> Result<(), String> {
    // SAFETY: ggml's devices live as long as the process.
    let registry = unsafe { sys::ggml_backend_dev_backend_reg(device) };
    let number = name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    let (Some(own), Some(built)) = (number.and_then(capability), generations(registry)) else { return Ok(()) };
    match oldest(&built) {
        Some(oldest) if oldest > own => Err(format!(
            "this build has code for CUDA generations {built} and later ones only, and the GPU's is {own}0; build with \
             CMAKE_CUDA_ARCHITECTURES={own}"
        )),
        _ => Ok(()),
    }
}

/// The compute capability of CUDA's GPU of that number, times 10: 90 for 9.0.
fn capability(number: c_int) -> Option<u32> {
    let mut parts = [0; 2];
    for (part, attribute) in parts.iter_mut().zip(CAPABILITY) {
        // SAFETY: the call writes one int, and refuses numbers that there are not.
        if unsafe { cudaDeviceGetAttribute(part, attribute, number) } != 0 {
            return None;
        }
    }
    u32::try_from(10 * parts[0] + parts[1]).ok()
}

/// What the build was made for, as nvcc lists it: `800,900`.
fn generations(registry: sys::ggml_backend_reg_t) -> Option<String> {
    // SAFETY: registries live as long as the process. ggml's backends answer to this name with null or a
    // function of this type, whose list has static strings and ends with a null name.
    unsafe {
        let function = sys::ggml_backend_reg_get_proc_address(registry, c"ggml_backend_get_features".as_ptr());
        let function = transmute::<*mut c_void, sys::ggml_backend_get_features_t>(function)?;
        let mut feature = function(registry);
        while !feature.is_null() && !(*feature).name.is_null() {
            if CStr::from_ptr((*feature).name) == c"ARCHS" {
                return Some(CStr::from_ptr((*feature).value).to_string_lossy().into_owned());
            }
            feature = feature.add(1);
        }
    }
    None
}

/// The oldest of a list as nvcc makes it, as a compute capability times 10. Later GPUs run its code, compiled anew by
/// the driver.
fn oldest(generations: &str) -> Option<u32> {
    generations.split(',').filter_map(|number| number.trim().parse::<u32>().ok()).map(|number| number / 10).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_tells_what_it_was_made_for() {
        // SAFETY: the name is a C string; the registry is there without a GPU, too.
        let registry = unsafe { sys::ggml_backend_reg_by_name(c"CUDA".as_ptr()) };
        let built = generations(registry).unwrap();
        assert!(oldest(&built).is_some_and(|generation| (50..200).contains(&generation)), "{built}");
    }

    #[test]
    fn the_oldest_generation_counts() {
        assert_eq!(oldest("900"), Some(90));
        assert_eq!(oldest("750,800,860, 1200"), Some(75));
        assert_eq!(oldest(""), None);
    }
}
