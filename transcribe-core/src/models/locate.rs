//! Where model files are looked for, and where a download is put; a look at folders, never at the network.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::ModelError;
use super::repository::{has_weights, Repository};
use super::{names, DEFAULT_MODEL};

/// Folder of the models below a data folder.
const IN_DATA: &str = "whispertranscribe/models";
/// The repository's folder in a Hugging Face cache.
const IN_HUB_CACHE: &str = "models--ggerganov--whisper.cpp";
/// The bundled model, which does for [`DEFAULT_MODEL`] where the full weights are not.
const BUNDLED: &str = "tiny.en-q8_0";

/// The folders a model may lie in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// Model folders in the order they are searched.
    pub folders: Vec<PathBuf>,
    /// Hugging Face caches (`…/hub`), searched after the folders and never written to.
    pub hub_caches: Vec<PathBuf>,
    /// Folders for downloads; the first that can be written to is taken.
    pub install: Vec<PathBuf>,
}

impl Places {
    /// The places that environment variables, looked up by `env`, tell.
    ///
    /// Folders are those of `WHISPER_MODELS_DIR` (a list as `PATH` is), the user's data folder, the system's, and
    /// `models/` of this workspace; downloads go to the first two kinds.
    pub fn from_lookup(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let own: Vec<PathBuf> = set(env, "WHISPER_MODELS_DIR")
            .map(|list| std::env::split_paths(&list).filter(|folder| !folder.as_os_str().is_empty()).collect())
            .unwrap_or_default();
        let home = home(env);
        let data = set(env, "XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| home.as_ref().map(|home| home.join(".local/share")))
            .map(|data| data.join(IN_DATA));

        let mut install = own;
        install.extend(data);
        let mut folders = install.clone();
        folders.extend(["/usr/local/share", "/usr/share"].iter().map(|share| Path::new(share).join(IN_DATA)));
        if let Some(workspace) = Path::new(env!("CARGO_MANIFEST_DIR")).parent() {
            folders.push(workspace.join("models"));
        }

        let hub_caches = set(env, "HF_HUB_CACHE")
            .map(PathBuf::from)
            .or_else(|| hub_home(env).map(|hub_home| hub_home.join("hub")))
            .into_iter()
            .collect();
        Self { folders, hub_caches, install }
    }

    /// Where it is, if some place has it; a path is where it says.
    pub(super) fn find_asked(&self, asked: &Asked) -> Option<PathBuf> {
        match asked {
            Asked::Path(path) => Some(path.clone()),
            Asked::Name(name) => self.find(name),
            Asked::Repository(repository) => self.find_repository(repository),
        }
    }

    /// The folder of a repository.
    fn find_repository(&self, repository: &Repository) -> Option<PathBuf> {
        let mut in_folders = self.folders.iter().map(|folder| repository.below(folder));
        let cached = |cache: &PathBuf| in_hub_cache(&cache.join(repository.in_cache())).find(|path| has_weights(path));
        let path = in_folders.find(|path| path.is_dir()).or_else(|| self.hub_caches.iter().find_map(cached))?;
        tracing::info!(model = %repository, path = %path.display(), "model found");
        Some(path)
    }

    /// The file of `model`, a canonical name, if some place has it.
    ///
    /// The default model is also satisfied by its bundled quantised file, once no place has the full weights.
    pub(super) fn find(&self, model: &str) -> Option<PathBuf> {
        if let Some(path) = self.find_exactly(model) {
            tracing::info!(model, path = %path.display(), "model found");
            return Some(path);
        }
        let path = (model == DEFAULT_MODEL).then(|| self.find_exactly(BUNDLED)).flatten()?;
        tracing::info!(model, path = %path.display(), "bundled quantised file taken for the default model");
        Some(path)
    }

    fn find_exactly(&self, model: &str) -> Option<PathBuf> {
        let file = names::file_name(model);
        let in_folders = self.folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file());
        let cached = |cache: &PathBuf| {
            in_hub_cache(&cache.join(IN_HUB_CACHE)).map(|snapshot| snapshot.join(&file)).find(|path| path.is_file())
        };
        in_folders.or_else(|| self.hub_caches.iter().find_map(cached))
    }
}

/// The revisions of a repository's folder in a Hugging Face cache, first the one that `main` was at.
fn in_hub_cache(repository: &Path) -> impl Iterator<Item = PathBuf> {
    let snapshots = repository.join("snapshots");
    let main = fs::read_to_string(repository.join("refs/main")).ok().map(|revision| snapshots.join(revision.trim()));
    let others = fs::read_dir(&snapshots).into_iter().flatten().flatten();
    let mut others: Vec<PathBuf> = others.map(|entry| entry.path()).collect();
    others.sort();
    main.into_iter().chain(others)
}

/// What is meant by what a user asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// A file or folder.
    Path(PathBuf),
    /// A model by its canonical name.
    Name(&'static str),
    /// A folder on the hub.
    Repository(Repository),
}

/// What `model` means. A path has a separator, ends in `.bin`, is a file, or is a folder that isn't called as a model is;
/// but what isn't there and looks like a repository's name is one.
pub(super) fn asked(model: &str) -> Result<Asked, ModelError> {
    let path = PathBuf::from(model);
    let is_bin = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin"));
    if path.is_file() || path.is_dir() && names::canonical(model).is_err() {
        return Ok(Asked::Path(path));
    }
    if !is_bin && !model.contains(std::path::is_separator) {
        return names::canonical(model).map(Asked::Name);
    }
    // What exists but is no file is the inspection's to explain.
    if path.exists() {
        return Ok(Asked::Path(path));
    }
    if let Some(repository) = Repository::parse(model) {
        return Ok(Asked::Repository(repository));
    }
    let known = path.file_name().and_then(|file| file.to_str()).and_then(names::named_by_file);
    let hint = match known {
        Some(name) => format!("check the path, or ask for the model by its name, '{name}'"),
        None => "check the path".into(),
    };
    Err(ModelError::Missing { path, hint })
}

/// `$HF_HOME`, by default `huggingface` in the user's cache folder.
pub(super) fn hub_home(env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(hub_home) = set(env, "HF_HOME") {
        return Some(hub_home.into());
    }
    let cache = set(env, "XDG_CACHE_HOME").map(PathBuf::from).or_else(|| home(env).map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("huggingface"))
}

/// A variable that is set and not empty.
pub(super) fn set(env: &dyn Fn(&str) -> Option<OsString>, variable: &str) -> Option<OsString> {
    env(variable).filter(|value| !value.is_empty())
}

fn home(env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    set(env, "HOME").or_else(|| set(env, "USERPROFILE")).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> Places {
        Places::from_lookup(&|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()))
    }

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }

    #[test]
    fn folders_stand_in_the_documented_order() {
        let list = std::env::join_paths(["/one", "/two"]).unwrap();
        let found = places(&[("WHISPER_MODELS_DIR", list.to_str().unwrap()), ("HOME", "/home/u")]);
        let user = PathBuf::from("/home/u/.local/share/whispertranscribe/models");
        let mut expected: Vec<PathBuf> = vec!["/one".into(), "/two".into(), user];
        assert_eq!(found.install, expected);
        expected.push("/usr/local/share/whispertranscribe/models".into());
        expected.push("/usr/share/whispertranscribe/models".into());
        expected.push(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models"));
        assert_eq!(found.folders, expected);
        assert_eq!(found.hub_caches, [PathBuf::from("/home/u/.cache/huggingface/hub")]);
    }

    #[test]
    fn variables_move_the_users_folders() {
        let found = places(&[("HOME", "/h"), ("XDG_DATA_HOME", "/data"), ("HF_HOME", "/hf")]);
        assert_eq!(found.install, [PathBuf::from("/data/whispertranscribe/models")]);
        assert_eq!(found.hub_caches, [PathBuf::from("/hf/hub")]);
        assert_eq!(places(&[("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/c")]).hub_caches, [PathBuf::from("/c")]);
        assert_eq!(places(&[("XDG_CACHE_HOME", "/x")]).hub_caches, [PathBuf::from("/x/huggingface/hub")]);
        // Empty is as good as unset, and a relative data folder is none.
        assert_eq!(
            places(&[("HOME", "/h"), ("XDG_DATA_HOME", "rel"), ("WHISPER_MODELS_DIR", "")]).install,
            [PathBuf::from("/h/.local/share/whispertranscribe/models")]
        );
        assert!(places(&[]).install.is_empty());
    }

    #[test]
    fn the_first_folder_wins_over_later_ones_and_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let places = Places { folders: vec![at("a"), at("b")], hub_caches: vec![at("hub")], install: vec![] };
        assert_eq!(places.find("base"), None);

        let repository = at("hub").join(IN_HUB_CACHE);
        touch(&repository.join("snapshots/111/ggml-base.bin"));
        assert_eq!(places.find("base"), Some(repository.join("snapshots/111/ggml-base.bin")));
        touch(&repository.join("snapshots/222/ggml-base.bin"));
        fs::create_dir_all(repository.join("refs")).unwrap();
        fs::write(repository.join("refs/main"), "222\n").unwrap();
        assert_eq!(places.find("base"), Some(repository.join("snapshots/222/ggml-base.bin")));

        touch(&at("b/ggml-base.bin"));
        assert_eq!(places.find("base"), Some(at("b/ggml-base.bin")));
        touch(&at("a/ggml-base.bin"));
        assert_eq!(places.find("base"), Some(at("a/ggml-base.bin")));
    }

    #[test]
    fn repositories_are_folders_of_their_owners_or_in_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let places = Places { folders: vec![at("a")], hub_caches: vec![at("hub")], install: vec![] };
        let find = || places.find_asked(&asked("openai/whisper-tiny").unwrap());
        let snapshots = at("hub/models--openai--whisper-tiny/snapshots");
        touch(&snapshots.join("111/config.json"));
        assert_eq!(find(), None, "without weights it is of no use");
        touch(&snapshots.join("222/model.safetensors"));
        assert_eq!(find(), Some(snapshots.join("222")));
        touch(&at("a/openai/whisper-tiny/model.safetensors"));
        assert_eq!(find(), Some(at("a/openai/whisper-tiny")));
    }

    #[test]
    fn the_bundled_file_does_for_the_default_only_and_only_last() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        let places = Places { folders: vec![at("a"), at("b")], ..Places::default() };
        touch(&at("a/ggml-tiny.en-q8_0.bin"));
        touch(&at("a/ggml-base.en-q8_0.bin"));
        assert_eq!(places.find(DEFAULT_MODEL), Some(at("a/ggml-tiny.en-q8_0.bin")));
        assert_eq!(places.find("base.en"), None);
        touch(&at("b/ggml-tiny.en.bin"));
        assert_eq!(places.find(DEFAULT_MODEL), Some(at("b/ggml-tiny.en.bin")));
    }

    #[test]
    fn paths_are_told_from_names() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("some-model");
        fs::write(&file, b"x").unwrap();
        assert_eq!(asked(file.to_str().unwrap()).unwrap(), Asked::Path(file));
        assert_eq!(asked("tiny.en").unwrap(), Asked::Name("tiny.en"));
        assert!(matches!(asked("nonsense"), Err(ModelError::UnknownName { .. })));
        // A folder is handed on: the inspection says whether it is a model.
        assert_eq!(asked(dir.path().to_str().unwrap()).unwrap(), Asked::Path(dir.path().to_owned()));
        assert!(matches!(asked("./tiny.en"), Err(ModelError::Missing { .. })));
        assert!(matches!(asked("openai/whisper-tiny.en").unwrap(), Asked::Repository(_)));
        assert!(matches!(asked("models/ggml-nonsense.bin"), Err(ModelError::Missing { .. })));
        let message = asked("ggml-tiny.en.bin").unwrap_err().to_string();
        assert!(message.contains("by its name, 'tiny.en'"), "{message}");
    }
}
