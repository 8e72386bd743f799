//! Settings from everywhere as one command line, and `pipeline-server config` and `new-key`.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::{Cli, ConfigCommand, NewKeyArgs};
use crate::exit::{Exit, UsageError};
use crate::{access, config};

/// Reads the command line, and for `serve` and `config` the settings from file and environment. Ends the process where the
/// command line is wrong, as clap does.
pub(crate) fn parse() -> Result<(Cli, ArgMatches), UsageError> {
    let given: Vec<OsString> = std::env::args_os().collect();
    let matches = Cli::command().get_matches_from(&given);
    let (words, file): (&[&str], _) = match matches.subcommand() {
        Some(("serve", serve)) => (&["serve"], serve.get_one("config")),
        Some(("config", config)) => match config.subcommand() {
            Some(("check", check)) => (&["config", "check"], check.get_one("config")),
            Some((_, print)) => (&["config", "print"], print.get_one("config")),
            None => (&[], None),
        },
        _ => (&[], None),
    };
    if words.is_empty() {
        return Ok((from(&matches), matches));
    }
    // Nothing but switches stands before the subcommand.
    let mut at = 0;
    for word in words {
        at += given[at..].iter().position(|argument| argument == word).map_or(0, |found| found + 1);
    }
    let (head, tail) = given.split_at(at);
    let file = file.map(std::path::PathBuf::as_path);
    let all = config::resolve(head, tail, file, std::env::vars_os()).map_err(|e| UsageError(e.to_string()))?;
    let matches = Cli::command().get_matches_from(all);
    Ok((from(&matches), matches))
}

fn from(matches: &ArgMatches) -> Cli {
    Cli::from_arg_matches(matches).unwrap_or_else(|error| error.exit())
}

/// `config check` and `config print`.
pub(crate) fn run(command: &ConfigCommand, matches: &ArgMatches) -> anyhow::Result<Exit> {
    let mut stdout = io::stdout().lock();
    match command {
        ConfigCommand::Check(args) => {
            super::serve::check(args)?;
            writeln!(stdout, "The settings are right.")?;
        }
        ConfigCommand::Print(_) => {
            let matches = matches.subcommand_matches("config").and_then(|m| m.subcommand_matches("print"));
            if let Some(matches) = matches {
                write!(stdout, "{}", config::print(matches))?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// `new-key`.
pub(crate) fn new_key(args: &NewKeyArgs) -> anyhow::Result<Exit> {
    let (secret, key) = access::generate(&args.name).map_err(UsageError)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "For the client, and kept nowhere else:")?;
    writeln!(stdout, "    {secret}")?;
    writeln!(stdout, "For the server's settings:")?;
    writeln!(stdout, "    keys = [\"{key}\"]")?;
    Ok(Exit::Ok)
}
