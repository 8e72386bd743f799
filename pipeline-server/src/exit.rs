//! Exit codes: what scripts may rely on.

use std::process::ExitCode;

use transcribe_core::models::ModelError;

use crate::outputs::target::TargetError;
use crate::pipeline;

/// The text about them in `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  everything was transcribed
    1  the pipeline or the transcription failed, or the output could not be written
    2  the command line is wrong
    3  an input can't be opened or decoded, or holds no audio
    4  the model or a library it needs can't be had or loaded
  130  interrupted; what was said until then has been written";

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Ok,
    /// Something broke.
    Failed,
    /// The command line asks for what can't be; clap itself exits with the same code.
    Usage,
    /// The input is not there or is no audio.
    Input,
    /// The model is not there or can't be used.
    Model,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

impl Exit {
    /// The code for an error that reached `main`.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if let Some(error) = error.downcast_ref::<pipeline::Error>() {
            return error.exit();
        }
        if error.is::<ModelError>() {
            return Self::Model;
        }
        if error.is::<UsageError>() {
            return Self::Usage;
        }
        if let Some(TargetError::NotAFile(_)) = error.downcast_ref() {
            return Self::Usage;
        }
        Self::Failed
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Model => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Options that don't go together in a way that clap can't tell.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_is_used_and_only_those() {
        let documented: Vec<u8> =
            HELP.lines().skip(1).filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        let all = [Exit::Ok, Exit::Failed, Exit::Usage, Exit::Input, Exit::Model, Exit::Interrupted];
        assert_eq!(documented, all.map(Exit::code));
    }

    #[test]
    fn an_error_of_no_known_kind_is_a_failure() {
        assert_eq!(Exit::of(&anyhow::anyhow!("?")), Exit::Failed);
        assert_eq!(Exit::of(&UsageError("?".into()).into()), Exit::Usage);
    }
}
