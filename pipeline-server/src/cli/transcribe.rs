//! `pipeline-server transcribe`: each input through a pipeline, its events into an output.

use std::io::{self, IsTerminal, Write};

use transcribe_core::transcript::Event;

use super::progress::Progress;
use super::{OutputArgs, TranscribeArgs};
use crate::exit::{Exit, UsageError};
use crate::outputs::target::Target;
use crate::outputs::{self, Format, Live, Output, Screen};
use crate::pipeline::{self, Observer, Options, Outcome, Preparation, Setting, Source};
use crate::signals::Signals;
use crate::sources::pulled::Address;
use crate::supervise::decide::Status;

/// Columns when the terminal does not tell.
const COLUMNS: usize = 80;

/// Transcribes all inputs, one after the other.
pub(crate) fn run(args: TranscribeArgs, signals: &Signals) -> anyhow::Result<Exit> {
    let plan = Plan::new(&args, io::stdout().is_terminal())?;
    let mut target = Target::open(args.output.output.as_deref())?;
    let mut output = plan.output();

    match transcribe_all(&args, &plan, signals, &mut *output, &mut target) {
        Ok(exit) => {
            target.complete()?;
            Ok(exit)
        }
        Err(error) if error.downcast_ref().is_some_and(pipeline::Error::is_broken_pipe) => Ok(Exit::Ok),
        Err(error) => {
            if let Some(kept) = target.incomplete() {
                let _ = writeln!(io::stderr(), "What was transcribed until then is in {}", kept.display());
            }
            Err(error)
        }
    }
}

fn transcribe_all(
    args: &TranscribeArgs,
    plan: &Plan,
    signals: &Signals,
    output: &mut dyn Output,
    target: &mut Target,
) -> anyhow::Result<Exit> {
    let several = args.inputs.len() > 1;
    let mut duration = None;
    let mut interrupted = false;
    for input in &args.inputs {
        let source = Source::from_argument(input)?;
        if several {
            output.input(&name(input), target).map_err(pipeline::Error::Output)?;
        }
        let mut scribe = Scribe { output, target, progress: Progress::new(&name(input), !plan.uses_terminal()) };
        let result = pipeline::run(&source, &plan.options, signals, &mut scribe);
        scribe.progress.clear();
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => {
                if plan.screen {
                    // Takes away the row that was going to be overwritten.
                    let _ = output.finish(None, target);
                }
                return Err(in_input(error, input));
            }
        };
        duration = seconds(&outcome);
        interrupted = outcome.interrupted;
        if interrupted {
            break;
        }
    }
    output.finish(duration, target).map_err(pipeline::Error::Output)?;
    Ok(if interrupted { Exit::Interrupted } else { Exit::Ok })
}

/// The error with the input's name in front, unless it says it itself or has nothing to do with it.
fn in_input(error: pipeline::Error, input: &str) -> anyhow::Error {
    use pipeline::Error as E;
    match error {
        E::Input { .. } | E::NoAudio | E::MissingPlugin(_) | E::Failed { .. } => {
            anyhow::Error::new(error).context(name(input))
        }
        E::Unreadable { .. } | E::Address(_) | E::Setting(_) | E::Model { .. } | E::Output(_) => error.into(),
    }
}

/// What an input is called: without the password, where it has one.
fn name(input: &str) -> String {
    match (input, input.parse::<Address>()) {
        ("-", _) => "stdin".to_owned(),
        (_, Ok(address)) => address.to_string(),
        (_, Err(_)) => input.to_owned(),
    }
}

fn seconds(outcome: &Outcome) -> Option<f64> {
    outcome.duration.map(|duration| duration.mseconds() as f64 / 1000.0)
}

/// What the arguments come to.
struct Plan {
    format: Format,
    words: bool,
    partials: bool,
    /// Whether lines are overwritten in a terminal.
    screen: bool,
    options: Options,
}

impl Plan {
    fn new(args: &TranscribeArgs, terminal: bool) -> Result<Self, UsageError> {
        let OutputArgs { output_format, output, words, partials, no_partials } = &args.output;
        let usage = |message: &str| Err(UsageError(message.to_owned()));

        let by_name = output.as_deref().map_or(Format::Live, Format::of_file);
        let format = output_format.unwrap_or(by_name);
        if format == Format::Live && output.is_some() {
            return usage("--output-format live is for reading along; choose another for --output");
        }
        if args.inputs.len() > 1 && !format.takes_several_inputs() {
            return usage("several inputs can only be written as live or txt: call once for each input");
        }
        if args.inputs.iter().filter(|input| *input == "-").count() > 1 {
            return usage("stdin (-) can be read only once");
        }
        if args.inputs.iter().any(|input| input == "-") && io::stdin().is_terminal() {
            return usage("stdin (-) is the terminal: pipe or redirect audio into it");
        }
        if *partials && !format.takes_partials() {
            return usage("--partials goes with live and jsonl only");
        }
        if *words && !format.takes_words() {
            return usage("--words has no place in txt; take srt, vtt, json or jsonl");
        }

        let screen = format == Format::Live && terminal;
        let partials = *partials || (screen && !no_partials);
        let mut properties = args.element.properties();
        properties.push(("partials", Setting::nick(if partials { "interval" } else { "none" })));
        let options = Options { properties, real_time: args.real_time };
        Ok(Self { format, words: *words, partials, screen, options })
    }

    fn output(&self) -> Box<dyn Output> {
        if !self.screen {
            return outputs::recorded(self.format, self.words, self.partials);
        }
        let terminal = console::Term::stdout();
        let columns = Box::new(move || terminal.size_checked().map_or(COLUMNS, |(_, columns)| columns.into()));
        let styled = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Box::new(Live::new(Some(Screen { columns, styled }), self.words, self.partials))
    }

    /// Whether live text is where a progress bar would be.
    fn uses_terminal(&self) -> bool {
        self.format == Format::Live
    }
}

/// Hands what the pipeline says to the output and the progress.
struct Scribe<'a> {
    output: &'a mut dyn Output,
    target: &'a mut Target,
    progress: Progress,
}

impl Observer for Scribe<'_> {
    fn event(&mut self, event: &Event, captured_at: Option<&str>) -> io::Result<()> {
        self.output.event_of_day(event, captured_at, self.target)?;
        self.target.flush()
    }

    fn preparation(&mut self, step: &Preparation) {
        self.progress.preparation(step);
    }

    fn position(&mut self, position: gst::ClockTime, duration: Option<gst::ClockTime>) {
        self.progress.position(position, duration);
    }

    fn source(&mut self, status: &Status) {
        if let Status::Waiting { retry_in, fault, .. } = status {
            self.progress.clear();
            let seconds = retry_in.as_secs_f64();
            let _ = writeln!(io::stderr(), "{}; the next attempt comes in {seconds:.1} s", fault.detail);
        }
    }

    fn interrupted(&mut self) {
        self.progress.clear();
        if io::stderr().is_terminal() {
            let _ = writeln!(io::stderr(), "\nfinishing what was said so far; Ctrl-C again to stop at once");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    fn plan(args: &str, terminal: bool) -> Result<Plan, UsageError> {
        let cli = Cli::try_parse_from(["pipeline-server", "transcribe"].into_iter().chain(args.split(' '))).unwrap();
        let Command::Transcribe(args) = cli.command else { panic!("another command") };
        Plan::new(&args, terminal)
    }

    #[test]
    fn the_format_follows_the_file() {
        assert_eq!(plan("a.wav", true).unwrap().format, Format::Live);
        assert_eq!(plan("a.wav -o a.vtt", true).unwrap().format, Format::Vtt);
        assert_eq!(plan("a.wav -o a.vtt -f json", true).unwrap().format, Format::Json);
    }

    #[test]
    fn partials_are_computed_only_where_they_are_shown() {
        let partials = |args, terminal| {
            let plan = plan(args, terminal).unwrap();
            let nick = if plan.partials { "interval" } else { "none" };
            assert!(plan.options.properties.contains(&("partials", Setting::nick(nick))));
            plan.partials
        };
        assert!(partials("a.wav", true));
        assert!(!partials("a.wav", false));
        assert!(!partials("a.wav --no-partials", true));
        assert!(partials("a.wav --partials", false));
        assert!(partials("a.wav -f jsonl --partials", false));
        assert!(!partials("a.wav -f srt", true));
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for args in
            ["a.wav b.wav -f srt", "a.wav -f live -o a.txt", "a.wav -f vtt --partials", "a.wav -f txt --words", "- -"]
        {
            assert!(plan(args, false).is_err(), "{args}");
        }
    }

    #[test]
    fn what_was_not_asked_for_stays_at_the_elements_default() {
        let plan = plan("a.wav --beam-size 5 --task translate -m base", false).unwrap();
        assert_eq!(
            plan.options.properties,
            [
                ("model", Setting::Text("base".into())),
                ("task", Setting::nick("translate")),
                ("beam-size", Setting::Number(5)),
                ("partials", Setting::nick("none")),
            ]
        );
    }
}
