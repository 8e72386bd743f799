//! whisper.cpp's and ggml's log: C strings in, lines for [`log`] out. A job that was stopped is no error, though
//! whisper.cpp says so.

use std::cell::RefCell;
use std::ffi::{c_char, c_void, CStr};
use std::sync::Once;

use whisper_rs::whisper_rs_sys as sys;

use crate::engine::log::{tell, Level};
use crate::engine::CancelToken;

thread_local! {
    /// The job that runs on this thread.
    static JOB: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
}

/// Takes over the log, once.
pub(super) fn install() {
    static INSTALL: Once = Once::new();
    // SAFETY: the callback is a function for the whole life of the process and takes no user data.
    INSTALL.call_once(|| unsafe {
        sys::whisper_log_set(Some(callback), std::ptr::null_mut());
        sys::ggml_log_set(Some(callback), std::ptr::null_mut());
    });
}

/// While it lives, what this thread logs is about a job.
pub(super) struct About;

impl About {
    pub(super) fn job(cancel: &CancelToken) -> Self {
        JOB.set(Some(cancel.clone()));
        Self
    }
}

impl Drop for About {
    fn drop(&mut self) {
        JOB.set(None);
    }
}

unsafe extern "C" fn callback(level: sys::ggml_log_level, text: *const c_char, _: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: whisper.cpp and ggml hand over a string that ends with a zero byte and lives during the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let line = text.trim();
    if !line.is_empty() {
        tell(grade(level), line);
    }
}

/// The level of a line that whisper.cpp gave that level.
fn grade(level: sys::ggml_log_level) -> Level {
    match level {
        sys::ggml_log_level_GGML_LOG_LEVEL_ERROR if stopped() => Level::Debug,
        sys::ggml_log_level_GGML_LOG_LEVEL_ERROR => Level::Error,
        sys::ggml_log_level_GGML_LOG_LEVEL_WARN => Level::Warning,
        sys::ggml_log_level_GGML_LOG_LEVEL_INFO => Level::Info,
        _ => Level::Debug,
    }
}

/// Whether this thread's job was cancelled.
fn stopped() -> bool {
    // A line may be logged while the thread ends.
    JOB.try_with(|job| job.borrow().as_ref().is_some_and(CancelToken::is_cancelled)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_stopped_job_is_none() {
        let error = sys::ggml_log_level_GGML_LOG_LEVEL_ERROR;
        let cancel = CancelToken::new();
        assert_eq!(grade(error), Level::Error);
        let about = About::job(&cancel);
        assert_eq!(grade(error), Level::Error);
        cancel.cancel();
        assert_eq!(grade(error), Level::Debug);
        assert_eq!(grade(sys::ggml_log_level_GGML_LOG_LEVEL_WARN), Level::Warning);
        drop(about);
        assert_eq!(grade(error), Level::Error);
    }
}
