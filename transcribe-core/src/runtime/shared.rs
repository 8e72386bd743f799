//! Loaded models, shared by everything in the process: one set of weights for each file, engine and device.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::engine::device::Device;
use crate::engine::{Engine, EngineError};
use crate::scheduler::cores::Cores;
use crate::scheduler::run::Executor;

/// Which runtime decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EngineKind {
    /// The one on ONNX Runtime on a CPU, for folders, and on devices that whisper.cpp was not built for; whisper.cpp for
    /// ggml files on others. Of those that were built in.
    #[default]
    Auto,
    /// whisper.cpp.
    WhisperCpp,
    /// ONNX Runtime.
    Onnx,
}

impl EngineKind {
    /// What `auto` stands for with a model of this kind: a folder only one of them reads.
    fn reading(self, model: &Path) -> Self {
        match self {
            Self::Auto if model.is_dir() => Self::Onnx,
            kind => kind,
        }
    }

    /// What `auto` stands for on this device.
    fn on(self, device: Device) -> Self {
        let (onnx, whisper_cpp) = (cfg!(feature = "onnx-engine"), cfg!(feature = "whisper-cpp"));
        match self {
            Self::Auto if onnx && (!whisper_cpp || device == Device::Cpu || device.check_built_in().is_err()) => {
                Self::Onnx
            }
            Self::Auto => Self::WhisperCpp,
            kind => kind,
        }
    }
}

/// What makes two loaded models the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelKey {
    /// The model file or folder; links are followed before models are compared.
    pub path: PathBuf,
    /// Runtime.
    pub engine: EngineKind,
    /// Where it runs.
    pub device: Device,
}

/// A loaded model with its scheduler. Unloaded when the last user drops it.
pub struct Model {
    executor: Executor,
    _trim: TrimAtEnd, // dropped behind the executor, and so behind weights and states
}

/// Gives freed memory back to the system when it is dropped. glibc keeps what threads have freed for their next
/// allocations, and of a model that is gone that can be as much as the model was.
struct TrimAtEnd;

impl Drop for TrimAtEnd {
    fn drop(&mut self) {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        // SAFETY: it touches memory that nobody has allocated only, under the allocator's own locks.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("info", self.engine().info()).finish_non_exhaustive()
    }
}

impl Model {
    /// The process's instance of this model; loads it if nobody has. Two callers at once load it once.
    pub fn load(key: &ModelKey) -> Result<Arc<Self>, EngineError> {
        Self::load_with(key, None)
    }

    /// The same. `library` is the ONNX Runtime library's path if the user set one; a process has one for everything.
    pub fn load_with(key: &ModelKey, library: Option<&Path>) -> Result<Arc<Self>, EngineError> {
        type Slot = Arc<Mutex<Weak<Model>>>;
        static MODELS: OnceLock<Mutex<HashMap<ModelKey, Slot>>> = OnceLock::new();

        let path =
            key.path.canonicalize().map_err(|e| EngineError::Load { path: key.path.clone(), reason: e.to_string() })?;
        let engine = key.engine.reading(&path);
        let device = named(key.device, engine)?;
        let key = ModelKey { path, engine: engine.on(device), device };
        let slot = {
            let mut models = MODELS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
            models.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.lock().is_ok_and(|m| m.strong_count() > 0));
            models.entry(key.clone()).or_default().clone()
        };
        let mut weak = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = weak.upgrade() {
            return Ok(model);
        }
        let (engine, jobs) = open(&key, library, Cores::available())?;
        let model = Self::unshared(engine, jobs)?;
        *weak = Arc::downgrade(&model);
        Ok(model)
    }

    /// An engine of the caller's own with a scheduler that runs up to `jobs` of its jobs at once (of one thread each):
    /// for measurements and tests. [`load`](Self::load) finds out how many are best.
    pub fn unshared(engine: Arc<dyn Engine>, jobs: usize) -> Result<Arc<Self>, EngineError> {
        Ok(Arc::new(Self { executor: Executor::new(engine, jobs)?, _trim: TrimAtEnd }))
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<dyn Engine> {
        self.executor.engine()
    }

    /// The scheduler of all streams on this model.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }
}

/// What `auto` stands for: the CPU if the engine knows nothing else, or if there is no GPU.
fn named(device: Device, engine: EngineKind) -> Result<Device, EngineError> {
    Ok(match device {
        Device::Auto if engine == EngineKind::Onnx || !has_gpu()? => Device::Cpu,
        device => device,
    })
}

#[cfg(feature = "whisper-cpp")]
fn has_gpu() -> Result<bool, EngineError> {
    crate::engine::whisper_cpp::is_gpu(&Device::Auto)
}

#[cfg(not(feature = "whisper-cpp"))]
fn has_gpu() -> Result<bool, EngineError> {
    Ok(false)
}

/// The engine, and how many jobs it is to run at once on a machine with so many cores.
fn open(key: &ModelKey, library: Option<&Path>, cores: usize) -> Result<(Arc<dyn Engine>, usize), EngineError> {
    match key.engine {
        #[cfg(feature = "whisper-cpp")]
        EngineKind::WhisperCpp => {
            use crate::engine::whisper_cpp::{jobs_at_once, WhisperCpp};
            let jobs = jobs_at_once(&key.device, cores)?;
            let engine = WhisperCpp::load(&key.path, &key.device, jobs)?;
            let jobs = engine.states();
            Ok((Arc::new(engine), jobs))
        }
        #[cfg(feature = "onnx-engine")]
        EngineKind::Onnx => {
            use crate::engine::onnx::{Onnx, Precision};
            Ok((Arc::new(Onnx::load(&key.path, &key.device, Precision::default(), library, cores)?), cores))
        }
        #[allow(unreachable_patterns)] // if both were built in
        kind => {
            let (_, _) = (library, cores);
            let feature = if kind == EngineKind::Onnx { "onnx-engine" } else { "whisper-cpp" };
            let reason = format!("this build lacks that engine: build it with the cargo feature `{feature}`");
            Err(EngineError::Load { path: key.path.clone(), reason })
        }
    }
}
