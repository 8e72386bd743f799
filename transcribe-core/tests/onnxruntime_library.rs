//! Loading ONNX Runtime when the path is wrong, and then when it is right: one test, because a process loads it once.

use std::{env, fs, path::Path, process::Command};

use transcribe_core::onnxruntime::{self as library, NamedBy, PATH_VARIABLE};

#[test]
fn a_wrong_path_is_refused_with_the_reason_and_a_right_one_then_works() {
    env::remove_var(PATH_VARIABLE);
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path, reason: &str| {
        let error = library::load(Some(path)).unwrap_err();
        assert_eq!(error.named_by, Some(NamedBy::Setting));
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains(&*path.to_string_lossy()), "{text}");
    };

    refused(&folder.path().join("libonnxruntime.so"), "no such file");
    refused(folder.path(), "in this folder");
    let text = folder.path().join("notes.so");
    fs::write(&text, "no library").unwrap();
    let why = if cfg!(target_os = "linux") { "notes.so: file too short" } else { "notes.so: " };
    refused(&text, why);
    if let Some(other) = build(folder.path(), "other", "pub static NOTHING: u8 = 0;") {
        refused(&other, "not ONNX Runtime");
    }
    if let Some(old) = build(folder.path(), "old", OLD_RUNTIME) {
        refused(&old, "\"1.17.3\" is older than 1.22");
    }

    env::set_var(PATH_VARIABLE, &text);
    let error = library::load(None).unwrap_err();
    assert_eq!((error.named_by, error.tried.len()), (Some(NamedBy::Variable), 1), "{error}");
    env::remove_var(PATH_VARIABLE);

    let loaded = library::load(None).unwrap();
    assert!(std::ptr::eq(loaded, library::load(None).unwrap()));
    assert!(std::ptr::eq(loaded, library::load(Some(&text)).unwrap()), "the first stays");
    refused(&folder.path().join("gone.so"), "no such file");
}

/// A library that calls itself ONNX Runtime 1.17.3.
const OLD_RUNTIME: &str = r#"
    #[repr(C)]
    pub struct Base(extern "C" fn(u32) -> *const u8, extern "C" fn() -> *const u8);
    extern "C" fn api(_: u32) -> *const u8 { std::ptr::null() }
    extern "C" fn version() -> *const u8 { b"1.17.3\0".as_ptr() }
    static BASE: Base = Base(api, version);
    #[no_mangle]
    pub extern "C" fn OrtGetApiBase() -> *const Base { &BASE }
"#;

/// Compiles a library; `None` where there is no compiler to be had.
fn build(folder: &Path, name: &str, code: &str) -> Option<std::path::PathBuf> {
    let (source, library) = (folder.join(format!("{name}.rs")), folder.join(format!("lib{name}.so")));
    fs::write(&source, code).ok()?;
    let built =
        Command::new("rustc").args(["--crate-type", "cdylib", "-o"]).arg(&library).arg(&source).status().ok()?;
    built.success().then_some(library)
}
