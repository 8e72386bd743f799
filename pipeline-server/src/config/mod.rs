//! Settings of the server from a file, the environment and the command line.
//!
//! There is one table of them: the options of `pipeline-server serve`. A file is TOML with the options' names as keys, and
//! a variable is an option's name in capitals behind `PIPELINE_SERVER_`. Both are turned into options, put before
//! those of the command line, and what comes last holds: flags win over variables, variables over the file, the file over
//! the defaults. A list replaces a list.

mod list;
mod sources;

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory};
use toml::{Table, Value};

use crate::cli::Cli;
pub(crate) use list::List;
pub(crate) use sources::Sources;

/// What variables begin with.
const PREFIX: &str = "PIPELINE_SERVER_";
/// The variable that names the file.
const FILE: &str = "PIPELINE_SERVER_CONFIG";
/// The option that names the file. It can't stand in a file itself.
const FILE_OPTION: &str = "config";

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The file can't be read.
    #[error("cannot read the configuration {}: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    /// The file is no TOML.
    #[error("the configuration {} is not TOML: {error}", path.display())]
    NotToml { path: PathBuf, error: Box<toml::de::Error> },
    /// A setting is not right.
    #[error("{place}: {error}")]
    Wrong { place: String, error: String },
}

/// A setting from outside the command line, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    name: String,
    value: String,
    place: String,
}

/// Arguments with all settings in them, given those of the command line up to and with the subcommand, and behind it.
pub(crate) fn resolve(
    subcommand: &[OsString],
    options: &[OsString],
    file: Option<&Path>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<OsString>, Error> {
    let mut settings = Vec::new();
    let mut variables: Vec<(OsString, OsString)> = variables.collect();
    variables.sort();
    let named = variables.iter().find(|(name, _)| name == FILE).map(|(_, path)| PathBuf::from(path));
    if let Some(path) = file.map(Path::to_owned).or(named) {
        settings.extend(from_file(&path)?);
    }
    settings.extend(from_variables(&variables)?);
    for setting in &settings {
        check(setting)?;
    }
    let layers = settings.iter().map(|Setting { name, value, .. }| format!("--{name}={value}").into());
    Ok(subcommand.iter().cloned().chain(layers).chain(options.iter().cloned()).collect())
}

/// All settings in force as a file, with where each is from.
pub(crate) fn print(matches: &ArgMatches) -> String {
    let mut text = String::new();
    for argument in serve().get_arguments() {
        let (Some(name), id) = (argument.get_long(), argument.get_id().as_str()) else { continue };
        if [FILE_OPTION, "help", "version", "verbose"].contains(&name) {
            continue;
        }
        let value = matches.try_get_raw(id).ok().flatten().and_then(|mut values| values.next_back());
        let _ = match value {
            Some(value) => writeln!(text, "{name} = {}", literal(value)),
            None => writeln!(text, "# {name} is not set"),
        };
    }
    text
}

/// Plain numbers and truth values as they are, all else as strings.
fn literal(value: &OsStr) -> String {
    let value = value.to_string_lossy();
    match value.parse::<Value>() {
        Ok(Value::Integer(_) | Value::Boolean(_)) => value.into_owned(),
        // JSON's strings are TOML's basic strings.
        _ => serde_json::Value::from(value.into_owned()).to_string(),
    }
}

fn from_file(path: &Path) -> Result<Vec<Setting>, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::Unreadable { path: path.to_owned(), error })?;
    let table: Table =
        text.parse().map_err(|error| Error::NotToml { path: path.to_owned(), error: Box::new(error) })?;
    let place = |name: &str| format!("{}, {name}", path.display());
    let setting = |(name, value): (String, Value)| {
        let place = place(&name);
        let value = plain(&value).or_else(|| tables(&value)).ok_or_else(|| Error::Wrong {
            place: place.clone(),
            error: "neither a string, number or truth value, nor a list of these".into(),
        })?;
        Ok(Setting { name, value, place })
    };
    table.into_iter().map(setting).collect()
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Array(values) => {
            let values = values.iter().map(plain).collect::<Option<Vec<_>>>()?;
            Some(values.join(","))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

/// A list of tables as JSON: `[[sources]]`.
fn tables(value: &Value) -> Option<String> {
    let list = value.as_array().filter(|list| list.iter().all(Value::is_table))?;
    serde_json::to_string(list).ok()
}

fn from_variables(variables: &[(OsString, OsString)]) -> Result<Vec<Setting>, Error> {
    let ours = variables.iter().filter(|(name, _)| name != FILE);
    ours.filter_map(|(name, value)| {
        let name = name.to_str()?;
        let option = name.strip_prefix(PREFIX)?.to_lowercase().replace('_', "-");
        let place = format!("the variable {name}");
        Some(match value.to_str() {
            Some(value) => Ok(Setting { name: option, value: value.to_owned(), place }),
            None => Err(Error::Wrong { place, error: "is not UTF-8".into() }),
        })
    })
    .collect()
}

/// Tries a setting alone, so that an error can say where it is from.
fn check(setting: &Setting) -> Result<(), Error> {
    let Setting { name, value, place } = setting;
    let wrong = |error: String| Error::Wrong { place: place.clone(), error };
    let known = serve().get_arguments().any(|argument| argument.get_long() == Some(name));
    if !known || [FILE_OPTION, "help", "version", "verbose"].contains(&name.as_str()) {
        return Err(wrong(format!("there is no setting {name}; pipeline-server serve --help lists all")));
    }
    let arguments = ["serve".to_owned(), format!("--{name}={value}")];
    match serve().try_get_matches_from(arguments) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            Err(wrong(first.trim_start_matches("error: ").to_owned()))
        }
    }
}

fn serve() -> Command {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand("serve").cloned().unwrap_or_else(|| Command::new("serve"))
}

#[cfg(test)]
mod tests {
    use clap::{FromArgMatches, Parser};

    use super::*;
    use crate::cli::ServeArgs;

    fn os(texts: &[&str]) -> Vec<OsString> {
        texts.iter().map(OsString::from).collect()
    }

    /// The settings that a file, variables and options come to.
    fn settings(file: Option<&str>, variables: &[(&str, &str)], options: &[&str]) -> Result<ArgMatches, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.toml");
        if let Some(file) = file {
            std::fs::write(&path, file).unwrap();
        }
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let file = file.map(|_| path.as_path());
        let all =
            resolve(&os(&["pipeline-server", "serve"]), &os(options), file, variables).map_err(|e| e.to_string())?;
        let matches = Cli::command().try_get_matches_from(all).map_err(|e| e.to_string())?;
        Ok(matches.subcommand_matches("serve").unwrap().clone())
    }

    fn args(matches: &ArgMatches) -> ServeArgs {
        ServeArgs::from_arg_matches(matches).unwrap()
    }

    #[test]
    fn flags_win_over_variables_and_these_over_the_file() {
        let file = "max-sessions = 3\nidle-timeout = 30\nmax-duration = 20\nmodel = \"base\"";
        let variables =
            [("PIPELINE_SERVER_IDLE_TIMEOUT", "31"), ("PIPELINE_SERVER_MAX_DURATION", "21"), ("OTHER", "x")];
        let args = args(&settings(Some(file), &variables, &["--max-duration", "22"]).unwrap());
        assert_eq!((args.max_sessions, args.idle_timeout, args.max_duration), (3, 31, 22));
        assert_eq!(args.element.model.as_deref(), Some("base"));
        assert_eq!(args.drain_timeout, 20, "a default");
    }

    #[test]
    fn lists_replace_lists_and_switches_can_be_put_off() {
        let file = "allow-origins = [\"https://a.example\", \"https://b.example\"]\nallow-anonymous = true";
        let both = settings(Some(file), &[], &[]).unwrap();
        assert_eq!(args(&both).allow_origins.0.len(), 2);
        assert!(args(&both).allow_anonymous);
        let other =
            settings(Some(file), &[], &["--allow-origins=https://c.example", "--allow-anonymous=false"]).unwrap();
        assert_eq!(args(&other).allow_origins.0, ["https://c.example"]);
        assert!(!args(&other).allow_anonymous);
        assert!(args(&settings(None, &[], &["--allow-anonymous"]).unwrap()).allow_anonymous);
    }

    #[test]
    fn sources_are_tables_of_the_file() {
        let file = "max-sessions = 3\n[[sources]]\nname = \"door\"\nurl = \"rtsp://u:p@camera/live\"\n\
                    settings = { language = \"en\" }\n[[sources]]\nurl = \"srt://a:1\"";
        let matches = settings(Some(file), &[], &[]).unwrap();
        let sources = args(&matches).sources.0;
        assert_eq!((sources.len(), sources[0].name().as_str()), (2, "door"));
        assert_eq!(sources[0].settings.language.as_deref(), Some("en"));
        let printed = print(&matches);
        assert_eq!(print(&settings(Some(&printed), &[], &[]).unwrap()), printed);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (file, variables, named) in [
            ("max-session = 3", vec![], ["server.toml", "max-session"]),
            ("max-sessions = 0", vec![], ["server.toml", "0"]),
            ("config = \"x\"", vec![], ["server.toml", "config"]),
            ("[keys]\na = 1", vec![], ["server.toml", "keys"]),
            ("[[sources]]\nurl = \"xxxx://a\"", vec![], ["server.toml", "sources"]),
            ("keys = [\"a\"]", vec![], ["server.toml", "new-key"]),
            ("=", vec![], ["server.toml", "TOML"]),
            ("", vec![("PIPELINE_SERVER_MAX_SESSIONS", "many")], ["PIPELINE_SERVER_MAX_SESSIONS", "many"]),
            ("", vec![("PIPELINE_SERVER_PORT", "1")], ["PIPELINE_SERVER_PORT", "port"]),
        ] {
            let error = settings(Some(file), &variables, &[]).unwrap_err();
            assert!(named.iter().all(|name| error.contains(name)), "{file} {variables:?}: {error}");
        }
        let missing = resolve(&[], &[], Some(Path::new("/no/such.toml")), std::iter::empty()).unwrap_err().to_string();
        assert!(missing.contains("/no/such.toml"), "{missing}");
    }

    #[test]
    fn what_is_printed_is_a_file_that_comes_to_the_same() {
        let options = ["--max-sessions=7", "--language=de", "--allow-origins=https://a.example,https://b.example"];
        let first = settings(None, &[], &options).unwrap();
        let printed = print(&first);
        assert!(printed.contains("max-sessions = 7\n") && printed.contains("language = \"de\"\n"), "{printed}");
        assert!(printed.contains("# model is not set"), "{printed}");
        assert_eq!(print(&settings(Some(&printed), &[], &[]).unwrap()), printed);
    }

    #[test]
    fn the_file_may_be_named_by_a_variable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.toml");
        std::fs::write(&path, "max-sessions = 9").unwrap();
        let variables = [(OsString::from(FILE), path.clone().into_os_string())];
        let all = resolve(&os(&["p", "serve"]), &[], None, variables.into_iter()).unwrap();
        assert_eq!(all[2], "--max-sessions=9");
        assert!(Cli::try_parse_from(all).is_ok());
    }
}
