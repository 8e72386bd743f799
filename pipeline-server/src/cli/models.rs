//! `pipeline-server models`: which models have names, where they are, and whether they are right.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use transcribe_core::engine::CancelToken;
use transcribe_core::models::{names, ModelError, Registry, Verified};

use super::progress::Progress;
use super::ModelsCommand;
use crate::exit::Exit;
use crate::pipeline::Preparation;
use crate::signals::Signals;

/// Looks, fetches or checks.
pub(crate) fn run(command: &ModelsCommand, signals: &Signals) -> anyhow::Result<Exit> {
    let registry = Registry::from_env();
    let cancel = CancelToken::new();
    let theirs = cancel.clone();
    signals.deliver_to(Some(Arc::new(move || theirs.cancel())));
    if signals.count() > 0 {
        cancel.cancel();
    }
    let done = match command {
        ModelsCommand::List => list(&registry),
        ModelsCommand::Pull { models } => pull(&registry, models, &cancel),
        ModelsCommand::Verify { models } => verify(&registry, models, &cancel),
    };
    match done {
        Err(error) if matches!(error.downcast_ref(), Some(ModelError::Cancelled)) => Ok(Exit::Interrupted),
        done => done,
    }
}

fn list(registry: &Registry) -> anyhow::Result<Exit> {
    let width = names().map(str::len).max().unwrap_or_default();
    let mut stdout = io::stdout().lock();
    for name in names() {
        let path = registry.locate(name)?.map_or_else(|| "-".to_owned(), |path| path.display().to_string());
        writeln!(stdout, "{name:width$}  {path}")?;
    }
    Ok(Exit::Ok)
}

fn pull(registry: &Registry, models: &[String], cancel: &CancelToken) -> anyhow::Result<Exit> {
    for model in models {
        let path = fetch(registry, model, cancel)?;
        writeln!(io::stdout().lock(), "{}", path.display())?;
    }
    Ok(Exit::Ok)
}

/// The file, with what there is of it shown while it comes.
fn fetch(registry: &Registry, model: &str, cancel: &CancelToken) -> Result<PathBuf, ModelError> {
    let mut progress = Progress::new(model, false);
    let mut last = None;
    registry.resolve(model, cancel, &mut |so_far| {
        let percent = so_far.total.map(|total| so_far.downloaded * 100 / total.max(1));
        if last != Some(percent) {
            last = Some(percent);
            let share = percent.map_or_else(String::new, |percent| format!(": {percent} %"));
            let text = format!("Downloading the model {model}{share}");
            progress.preparation(&Preparation { code: format!("download-{model}"), text, over: false });
        }
    })
}

fn verify(registry: &Registry, models: &[String], cancel: &CancelToken) -> anyhow::Result<Exit> {
    let all: Vec<String>;
    let models = if models.is_empty() {
        let here = names().filter(|name| matches!(registry.locate(name), Ok(Some(_))));
        all = here.map(str::to_owned).collect();
        &all
    } else {
        models
    };
    // One that is wrong does not keep the others from being looked at.
    let mut exit = Exit::Ok;
    for model in models {
        let told = match registry.verify(model, cancel) {
            Ok(Some((path, verified))) => format!("{model}: {}: {}", described(verified), path.display()),
            Ok(None) => {
                exit = Exit::Model;
                format!("{model}: not on this machine; pipeline-server models pull {model} fetches it")
            }
            Err(ModelError::Cancelled) => return Err(ModelError::Cancelled.into()),
            Err(error) => {
                exit = Exit::Model;
                format!("{model}: {error}")
            }
        };
        writeln!(io::stdout().lock(), "{told}")?;
    }
    Ok(exit)
}

fn described(verified: Verified) -> &'static str {
    match verified {
        Verified::Official => "the official file",
        Verified::Bundled => "the bundled file",
        Verified::Usable => "can be loaded, of unknown origin",
    }
}
