//! Finding the ONNX Runtime library and loading it, once for the whole process.
//!
//! A path the user gave comes in, the process's one ONNX Runtime environment goes out. Without a path the places where
//! the library usually is are tried in turn; a path that was given and doesn't work is an error, never passed over.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use ort::environment::Environment;

/// Names a library file; takes the place of the search when the user sets nothing else.
pub const PATH_VARIABLE: &str = "ORT_DYLIB_PATH";
/// Official builds from 1.29 on report usage to their maker unless this is set before the library starts.
const TELEMETRY_VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

const FILE_NAME: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};
/// What the system's loader is asked for: Linux distributions ship the plain name in development packages only.
const LOADER_NAMES: &[&str] =
    if cfg!(any(windows, target_os = "macos")) { &[FILE_NAME] } else { &[FILE_NAME, "libonnxruntime.so.1"] };
/// Where `make` puts the library, below the workspace.
const WORKSPACE_FOLDER: &str = ".deps/onnxruntime";
/// Where `make install PREFIX=~/.local` puts it, below the home folder, and where others do.
const HOME_INSTALL_FOLDER: &str = ".local/lib/whispertranscribe";
const INSTALL_FOLDERS: &[&str] = &["/usr/local/lib/whispertranscribe", "/usr/lib/whispertranscribe"];

static LOADED: OnceLock<LoadedLibrary> = OnceLock::new();
static LOADING: Mutex<()> = Mutex::new(());

/// The library this process runs on.
#[derive(Debug)]
pub struct LoadedLibrary {
    path: PathBuf,
    environment: Environment,
}

impl LoadedLibrary {
    /// The file it was loaded from, or the bare name under which the system's loader found it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What sessions are made in.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// No usable library: what was tried, why each failed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryError {
    /// Every path or name that was tried, in order, with what went wrong.
    pub tried: Vec<(PathBuf, String)>,
    /// Who named the path, if it was named: then nothing else was tried.
    pub named_by: Option<NamedBy>,
}

/// Who said which library to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// The caller's setting: a property or an option.
    Setting,
    /// The variable [`PATH_VARIABLE`].
    Variable,
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.named_by {
            Some(NamedBy::Setting) => f.write_str("The ONNX Runtime library that was set can't be used:")?,
            Some(NamedBy::Variable) => {
                write!(f, "The ONNX Runtime library that {PATH_VARIABLE} names can't be used:")?;
            }
            None => f.write_str("No usable ONNX Runtime library was found. Tried:")?,
        }
        for (path, reason) in &self.tried {
            write!(f, "\n  {}: {reason}", path.display())?;
        }
        let least = ort::MINOR_VERSION;
        match self.named_by {
            Some(_) => {
                write!(f, "\nName the file of ONNX Runtime 1.{least} or later, or set nothing to have it looked for.")
            }
            None => write!(
                f,
                "\nRun `make setup` to get one, or name the file of ONNX Runtime 1.{least} or later in the element's \
                 property or in {PATH_VARIABLE}."
            ),
        }
    }
}

impl std::error::Error for LibraryError {}

/// The process's library, loaded by the first call that finds one.
///
/// `setting` is the path of the library or of a folder that holds it. Without it, in this order: what
/// `ORT_DYLIB_PATH` names; the system's loader; `.deps/onnxruntime` in the workspace this was built in and in each
/// folder above the running program; `~/.local/lib/whispertranscribe`, `/usr/local/lib/whispertranscribe` and
/// `/usr/lib/whispertranscribe`.
///
/// A process can hold one ONNX Runtime only, so the first to be loaded stays. A later `setting` that names another
/// file is answered with the loaded one and a warning in the log; one that names no file at all is an error then, too.
/// A failed call leaves nothing behind: the next one tries afresh.
pub fn load(setting: Option<&Path>) -> Result<&'static LoadedLibrary, LibraryError> {
    // Nothing is left half done when a holder panics, so its lock is as good as any.
    let _guard = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = LOADED.get() {
        check_same(loaded, setting)?;
        return Ok(loaded);
    }
    let (candidates, named_by) = candidates(setting)?;
    disable_telemetry();
    let mut tried = Vec::new();
    for path in candidates {
        match open(&path) {
            Ok(environment) => {
                tracing::info!(path = %path.display(), "ONNX Runtime loaded");
                return Ok(LOADED.get_or_init(|| LoadedLibrary { path, environment }));
            }
            Err(reason) => tried.push((path, reason)),
        }
    }
    Err(LibraryError { tried, named_by })
}

/// A later wish for a library: it must exist, and if it isn't the loaded one, that is said.
fn check_same(loaded: &LoadedLibrary, setting: Option<&Path>) -> Result<(), LibraryError> {
    let Some(setting) = setting else { return Ok(()) };
    let same = |wanted: &PathBuf| match (wanted.canonicalize(), loaded.path.canonicalize()) {
        (Ok(wanted), Ok(loaded)) => wanted == loaded,
        _ => *wanted == loaded.path,
    };
    if !named(setting, NamedBy::Setting)?.iter().any(same) {
        tracing::warn!(
            wanted = %setting.display(),
            loaded = %loaded.path.display(),
            "this process runs on another ONNX Runtime already; the setting takes effect in a new process"
        );
    }
    Ok(())
}

/// What to try, in order, and who named it.
fn candidates(setting: Option<&Path>) -> Result<(Vec<PathBuf>, Option<NamedBy>), LibraryError> {
    if let Some(setting) = setting.filter(|path| !path.as_os_str().is_empty()) {
        return Ok((named(setting, NamedBy::Setting)?, Some(NamedBy::Setting)));
    }
    if let Some(variable) = env::var_os(PATH_VARIABLE).filter(|value| !value.is_empty()) {
        return Ok((named(Path::new(&variable), NamedBy::Variable)?, Some(NamedBy::Variable)));
    }
    let above_program = env::current_exe()
        .map(|program| program.ancestors().skip(1).map(|folder| folder.join(WORKSPACE_FOLDER)).collect::<Vec<_>>())
        .unwrap_or_default();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|folder| folder.join(WORKSPACE_FOLDER));
    let mut paths: Vec<PathBuf> = LOADER_NAMES.iter().map(PathBuf::from).collect();
    // Of the folders above the program only those that have the library are worth a line in an error.
    let sought =
        |folder: PathBuf| Some(in_folder(&folder)).filter(|f| !f.is_empty()).unwrap_or(vec![folder.join(FILE_NAME)]);
    let files = workspace.into_iter().flat_map(sought);
    let files = files.chain(above_program.iter().flat_map(|folder| in_folder(folder)));
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(HOME_INSTALL_FOLDER));
    let installed = home.into_iter().chain(INSTALL_FOLDERS.iter().map(PathBuf::from));
    for file in files.chain(installed.flat_map(sought)) {
        if !paths.contains(&file) {
            paths.push(file);
        }
    }
    Ok((paths, None))
}

/// The files that a path stands for: itself, those in the folder it is, or a bare name for the system's loader.
fn named(path: &Path, named_by: NamedBy) -> Result<Vec<PathBuf>, LibraryError> {
    let fail = |reason: &str| {
        Err(LibraryError { tried: vec![(path.to_path_buf(), reason.to_owned())], named_by: Some(named_by) })
    };
    // Absolute, because a loader looks for a relative path in places of its own.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    if absolute.is_dir() {
        let mut files = in_folder(&absolute);
        files.extend(in_folder(&absolute.join("lib")));
        return if files.is_empty() { fail(&format!("no {FILE_NAME} in this folder")) } else { Ok(files) };
    }
    if absolute.is_file() {
        return Ok(vec![absolute]);
    }
    if path.components().count() == 1 && is_library_name(&path.to_string_lossy()) {
        return Ok(vec![path.to_path_buf()]);
    }
    fail("no such file")
}

/// The library's files in `folder`: the plain name first, then those with a version, the latest first.
fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_library_name(name))
        .collect();
    let version = |name: &str| -> Vec<u32> {
        name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    names.sort_by(|a, b| (b == FILE_NAME).cmp(&(a == FILE_NAME)).then_with(|| version(b).cmp(&version(a))));
    names.into_iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.22.0`, `libonnxruntime.1.22.0.dylib`, `onnxruntime.dll`.
fn is_library_name(name: &str) -> bool {
    let rest = name.strip_prefix("lib").unwrap_or(name).strip_prefix("onnxruntime");
    rest.is_some_and(|rest| {
        let mut parts = rest.split('.').skip(1).filter(|part| part.parse::<u32>().is_err());
        rest.starts_with('.') && parts.next() == FILE_NAME.rsplit('.').next() && parts.next().is_none()
    })
}

/// Loads the library at `path` and starts its environment.
fn open(path: &Path) -> Result<Environment, String> {
    let builder = ort::init_from(path).map_err(|error| reason(&error))?;
    builder.with_name("transcribe").with_telemetry(false).build().map_err(|error| error.to_string())
}

/// Why the library was refused, in words that leave out the path.
fn reason(error: &ort::LoadDynamicError) -> String {
    use ort::LoadDynamicError as E;
    match error {
        E::Dlopen { error, path } => {
            let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
            let path = format!("{}: ", path.display());
            cause.strip_prefix(&path).map(str::to_owned).unwrap_or(cause)
        }
        E::MissingApi { .. } => "a library, but not ONNX Runtime".to_owned(),
        E::InvalidVersionString => "it names a version that can't be read".to_owned(),
        E::BadVersion { version_str, .. } => {
            format!("its version {version_str:?} is older than 1.{}", ort::MINOR_VERSION)
        }
    }
}

/// Keeps the library from calling home: before it is loaded this is done at the latest, but better early in the life of
/// the process, since another thread may read the environment meanwhile. Switching it off in the environment comes too late for its first report; only
/// this variable, set before the library starts, stops it altogether. A value that is there already is the user's.
pub fn disable_telemetry() {
    if env::var_os(TELEMETRY_VARIABLE).is_none() {
        env::set_var(TELEMETRY_VARIABLE, "1");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_files_are_told_from_others() {
        let stem = if cfg!(windows) { "onnxruntime" } else { "libonnxruntime" };
        let ending = FILE_NAME.rsplit('.').next().unwrap();
        assert!(is_library_name(FILE_NAME));
        assert!(is_library_name(&format!("{stem}.{ending}.1")));
        assert!(is_library_name(&format!("{stem}.1.22.0.{ending}")));
        assert!(!is_library_name(&format!("{stem}_providers_shared.{ending}")));
        assert!(!is_library_name(&format!("{stem}.{ending}.txt")));
        assert!(!is_library_name("libonnx"));
    }

    #[test]
    fn the_plain_name_and_then_the_latest_version_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let ending = FILE_NAME.rsplit('.').next().unwrap();
        let versions = ["9.0", "22.1"].map(|v| format!("libonnxruntime.{ending}.1.{v}"));
        for name in versions.iter().map(String::as_str).chain([FILE_NAME, "readme.txt"]) {
            std::fs::write(folder.path().join(name), b"").unwrap();
        }
        let found = in_folder(folder.path());
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, [FILE_NAME, &versions[1], &versions[0]]);
    }

    #[test]
    fn the_error_says_what_was_tried_and_what_to_do() {
        let error =
            LibraryError { tried: vec![("a".into(), "gone".into()), ("b".into(), "bad".into())], named_by: None };
        let text = error.to_string();
        for part in ["a: gone", "b: bad", "make setup", PATH_VARIABLE] {
            assert!(text.contains(part), "{text}");
        }
    }
}
