//! The command line: what can be asked for, as clap reads it. Each subcommand does its work in its own module.

pub(crate) mod config;
mod element;
pub(crate) mod models;
mod progress;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod transcribe;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{value_parser, ArgAction, Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::access::Key;
use crate::config::{List, Sources};
use crate::exit;
use crate::outputs::Format;
use crate::protocol::control::{Partials, Timestamps};
use crate::sources;
use crate::traces::Header;

/// Live transcription with GStreamer and Whisper.
#[derive(Debug, Parser)]
#[command(name = "pipeline-server", version, after_help = exit::HELP)]
pub(crate) struct Cli {
    /// Say more: where an error happened, what is going on; -vv and -vvv for still more. RUST_LOG chooses finer.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write down what is said in files, on stdin or in streams.
    ///
    /// In a terminal the words appear while they are spoken and are overwritten until they are final.
    /// Ctrl-C finishes what was said so far, a second one stops at once.
    #[command(after_help = exit::HELP)]
    Transcribe(TranscribeArgs),

    /// Transcribe what clients send over WebSockets, while they speak.
    ///
    /// Clients connect to ws://ADDRESS:PORT/ws/transcribe, or with --tls-certificate to wss. SIGTERM or Ctrl-C lets nobody in any more, gives all clients
    /// what they have said so far, and ends; a second one ends at once.
    #[command(after_help = SETTINGS, args_override_self = true)]
    Serve(ServeArgs),

    /// Look at the settings of `serve`: file, environment and command line together.
    #[command(subcommand)]
    Config(ConfigCommand),

    /// Make an API key: the secret for the client, and the hash for the server's settings.
    NewKey(NewKeyArgs),

    /// Models: those that have names, fetch one, check what is here.
    #[command(subcommand)]
    Models(ModelsCommand),

    /// Print a script that has a shell complete this command line.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },

    /// Write the manual pages of all commands.
    Man {
        /// The folder to write them into, such as ~/.local/share/man/man1; it is made if need be.
        folder: PathBuf,
    },
}

/// The text about settings in `serve --help`.
const SETTINGS: &str = "\
Settings:
  Each option can also stand in a TOML file (--config, `max-sessions = 8`) and in a variable
  (PIPELINE_SERVER_MAX_SESSIONS=8). Options win over variables, variables over the file.";

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the server would take the settings.
    #[command(args_override_self = true)]
    Check(ServeArgs),
    /// Print the settings in force as a file.
    #[command(args_override_self = true)]
    Print(ServeArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Print all names, and the file where there is one on this machine.
    List,
    /// Fetch models that are not here yet, and print their files.
    Pull {
        /// Names, such as base or large-v3-turbo-q5_0.
        #[arg(required = true, value_name = "MODEL")]
        models: Vec<String>,
    },
    /// Check models on this machine, to the bit where the right bits are known.
    Verify {
        /// Names or paths; without any, all that are here and have a name.
        #[arg(value_name = "MODEL")]
        models: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NewKeyArgs {
    /// Who gets it: letters, digits, - and _. It stands in logs and metrics.
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct TranscribeArgs {
    /// Files in any format that GStreamer decodes, `-` for stdin, or URIs.
    #[arg(required = true, value_name = "FILE|URI|-")]
    pub(crate) inputs: Vec<String>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,

    #[command(flatten)]
    pub(crate) element: ElementArgs,

    /// Play at the pace of speech instead of as fast as possible.
    #[arg(long)]
    pub(crate) real_time: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes any that is free and says which.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8765")]
    pub(crate) listen: SocketAddr,

    /// Settings in TOML; PIPELINE_SERVER_CONFIG names it too.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Keys that clients may show, by their hashes; `pipeline-server new-key` makes them. Without any, nobody needs one.
    #[arg(long, value_name = "NAME=SHA256,…", default_value = "", hide_default_value = true)]
    pub(crate) keys: List<Key>,

    /// Without keys: listen where others than this machine can reach it, although anybody may use it.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(default_value = "false", hide_default_value = true, action = ArgAction::Set)]
    pub(crate) allow_anonymous: bool,

    /// Speak TLS with this certificate: a file in PEM, those that lead to a root behind the server's own. It is read anew
    /// on SIGHUP and when it changes.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// The certificate's private key, in PEM.
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Web pages from elsewhere that may connect, such as https://example.org; * for all.
    #[arg(long, value_name = "ORIGIN,…", default_value = "", hide_default_value = true)]
    pub(crate) allow_origins: List<String>,

    /// Networks of proxies whose X-Forwarded-For is believed, such as 127.0.0.1/32.
    #[arg(long, value_name = "NETWORK,…", default_value = "", hide_default_value = true)]
    pub(crate) trusted_proxies: List<IpNet>,

    /// Sessions at once from one address (of IPv6, a /64).
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) max_sessions_per_address: u32,

    /// Sessions at once with one key.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) max_sessions_per_key: u32,

    /// Connections a minute from one address.
    #[arg(long, value_name = "N", default_value_t = 240, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_rate: u32,

    /// Seconds that a token for browsers is good for.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) token_lifetime: u64,

    /// Sessions at once; who comes when all places are taken gets HTTP 503.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) max_sessions: u32,

    /// Load of the engine from which on nobody else is let in (HTTP 503): what the sessions' finals and partials need of the
    /// cores, 1 = all of them. From 0.7 on partials come less often than they are asked for, and finals are not in time
    /// any more when they alone need nearly all. /metrics has the load.
    #[arg(long, value_name = "LOAD", default_value_t = 1.5, value_parser = load)]
    pub(crate) max_load: f64,

    /// Seconds that a session may last.
    #[arg(long, value_name = "S", default_value_t = 3_600, value_parser = value_parser!(u64).range(1..=604_800))]
    pub(crate) max_duration: u64,

    /// Seconds without audio or any other message from the client after which its session is closed.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) idle_timeout: u64,

    /// Seconds between two pings to a client. One from which nothing comes for two of them, no answer either, is gone.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = value_parser!(u64).range(1..=3_600))]
    pub(crate) ping_interval: u64,

    /// Seconds that a client may take for a TLS handshake and for the head of a request.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) request_timeout: u64,

    /// Seconds that a session waits for its client to come back where the connection broke off and the client asked for
    /// that (resumable=true); 0 for never.
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = value_parser!(u64).range(0..=3_600))]
    pub(crate) resume_grace: u64,

    /// Bytes of a message from a client.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = value_parser!(u32).range(1_024..=1 << 28))]
    pub(crate) max_message: u32,

    /// Messages kept for a client that does not read, beyond what is under way to it.
    #[arg(long, value_name = "N", default_value_t = 1_024, value_parser = value_parser!(u32).range(8..=1 << 20))]
    pub(crate) max_unread: u32,

    /// Seconds that pending finals are waited for when a session ends.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = value_parser!(u64).range(1..=3_600))]
    pub(crate) drain_timeout: u64,

    /// Streams to pull, as addresses or as a JSON list of objects; in a file, `[[sources]]` with the fields of POST
    /// /v1/sources.
    #[arg(long, value_name = "URL,…|JSON", default_value = "", hide_default_value = true)]
    pub(crate) sources: Sources,

    /// Folder in which sources are kept that clients declare, so that they are there again after a restart. It is made
    /// if need be; without one they are forgotten.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Folder that sources write captions to (`files`): NAME.srt, NAME.vtt, NAME.jsonl.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) captions_dir: Option<PathBuf>,

    /// How logs are written to stderr. They hold session ids and no transcripts.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// Send OpenTelemetry traces to this collector by OTLP over HTTP, such as http://127.0.0.1:4318.
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) otlp_endpoint: Option<String>,

    /// Headers for the collector.
    #[arg(long, value_name = "NAME=VALUE,…", default_value = "", hide_default_value = true)]
    pub(crate) otlp_headers: List<Header>,

    #[command(flatten)]
    pub(crate) doors: sources::Options,

    #[command(flatten)]
    pub(crate) element: ElementArgs,

    /// Partial results of clients that do not choose for themselves [default: local-agreement].
    #[arg(long, value_enum, value_name = "POLICY", help_heading = "Transcription")]
    pub(crate) partials: Option<Partials>,

    /// With align-att: milliseconds before the end of the audio that the decoder must not have looked at for a word to
    /// be stable.
    #[arg(long, value_name = "MS", help_heading = "Transcription")]
    pub(crate) attention_margin: Option<u32>,
}

fn load(text: &str) -> Result<f64, String> {
    let load = text.parse::<f64>().ok().filter(|load| (0.01..=1000.0).contains(load));
    load.ok_or_else(|| "not a number from 0.01 to 1000".to_owned())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line an event, for people.
    Text,
    /// A JSON object an event.
    Json,
}

/// Where the text goes and how it looks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// How the text is written [default: by the ending of --output, else live].
    #[arg(short = 'f', long, value_enum, value_name = "FORMAT")]
    pub(crate) output_format: Option<Format>,

    /// Write to this file instead of stdout; it appears when it is complete.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Times of the single words: beneath each line (live), or as a cue of its own (srt, vtt). JSON always has them.
    #[arg(long)]
    pub(crate) words: bool,

    /// Write partial results too where that is not the default: jsonl, and live to a file or pipe.
    #[arg(long, conflicts_with = "no_partials")]
    pub(crate) partials: bool,

    /// Show each utterance only once it is final; saves most of the computing in live use.
    #[arg(long)]
    pub(crate) no_partials: bool,
}

/// Settings of the element; what is left out stays at the element's default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Transcription")]
pub(crate) struct ElementArgs {
    /// Whisper model: a ggml file, a folder with a Hugging Face or CTranslate2 model, or a name such as `base` or
    /// `large-v3-turbo-q5_0`, downloaded once [default: tiny.en].
    #[arg(short, long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,

    /// Language that is spoken (`en`, `de`, …), or `auto` to detect it for each utterance.
    #[arg(short, long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) language: Option<String>,

    /// Write down what is said, or translate it into English (multilingual models only).
    #[arg(short, long, value_enum)]
    pub(crate) task: Option<Task>,

    /// Width of the beam search, 1 for greedy: wider is slower and at times better.
    #[arg(long, value_name = "WIDTH")]
    pub(crate) beam_size: Option<u32>,

    /// Text in the style to write in, with the names that will come up.
    #[arg(long, value_name = "TEXT")]
    pub(crate) initial_prompt: Option<String>,

    /// Have the decoder go on from the finals before.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) condition_on_previous_text: Option<bool>,

    /// When the decoder writes timestamps among the words, so that less is left out; not every engine can [default:
    /// retries].
    #[arg(long, value_enum, value_name = "WHEN")]
    pub(crate) timestamps: Option<Timestamps>,

    /// Where the model runs: `auto`, `cpu`, `gpu:N`, `cuda:N`, `openvino:cpu` and so on: what the build or the ONNX Runtime
    /// library supports.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) device: Option<String>,

    /// CPU threads for one utterance.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<u32>,

    /// Inference engine.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) engine: Option<String>,

    /// How speech is told from other sound.
    #[arg(long, value_enum)]
    pub(crate) vad: Option<Vad>,

    /// Milliseconds of speech between two partial results.
    #[arg(long, value_name = "MS")]
    pub(crate) partial_interval: Option<u32>,

    /// ONNX Runtime library for the Silero VAD.
    #[arg(long, value_name = "LIBRARY")]
    pub(crate) onnxruntime: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
    /// In the language it is said in.
    Transcribe,
    /// In English.
    Translate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Vad {
    /// Silero VAD, a small neural network.
    Silero,
    /// Loudness alone: needs no ONNX Runtime, but takes music and noise for speech.
    Energy,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_tells_the_exit_codes() {
        let mut cli = Cli::command();
        let transcribe = cli.find_subcommand_mut("transcribe").unwrap();
        assert!(transcribe.render_help().to_string().contains("130"));
    }
}
