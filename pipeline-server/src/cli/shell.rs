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
    let mut script = String::from_utf8(script).context("the completions are no text")?;
    if shell == Shell::Bash {
        // clap_complete 4.6.11 sets one name for a command with a hyphen in it, and looks for another.
        script = script.replace("pipeline__subcmd__server", "pipeline__server");
    }
    io::stdout().lock().write_all(script.as_bytes())?;
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
