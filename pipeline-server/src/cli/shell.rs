//! `pipeline-server completions` and `man`: what clap knows of the command line, for shells and for readers.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use super::Cli;
use crate::exit::Exit;

/// `completions`.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<Exit> {
    // The generator panics where it can't write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pipeline-server", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Ok)
}

/// `man`.
pub(crate) fn man(folder: &Path) -> anyhow::Result<Exit> {
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)
    };
    write().with_context(|| format!("cannot write the manual pages into {}", folder.display()))?;
    Ok(Exit::Ok)
}
