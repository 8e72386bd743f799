//! Telephones: `baresip` from Debian, headless, and SIPp with a scenario.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use e2e_tests::audio::{resample, write_wav, SAMPLE_RATE};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{within, workspace};

/// A telephone that calls, says something and hangs up.
pub(crate) struct Phone {
    child: Child,
    _folder: TempDir,
}

/// How it calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dial<'a> {
    /// `PCMU/8000`.
    pub(crate) codec: &'a str,
    pub(crate) transport: &'a str,
    /// More of the account, such as `;auth_user=alice;auth_pass=secret`.
    pub(crate) account: &'a str,
}

impl Default for Dial<'_> {
    fn default() -> Self {
        Self { codec: "PCMU/8000", transport: "udp", account: "" }
    }
}

impl Phone {
    /// Calls `to` and says `speech` (16 kHz).
    pub(crate) fn call(to: &str, speech: &[f32], dial: Dial<'_>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rate = dial.codec.split('/').nth(1).unwrap().parse().unwrap();
        let speech_file = folder.path().join("speech.wav");
        write_wav(&speech_file, &resample(speech, SAMPLE_RATE, rate), rate, 1).unwrap();
        let config = format!(
            "poll_method epoll\nsip_listen 127.0.0.1:0\naudio_source aufile,{}\naudio_player nil\nausrc_srate {rate}\n\
             ausrc_channels 1\nopus_stereo no\nopus_sprop_stereo no\nmodule_path /usr/lib/baresip/modules\n\
             module g711.so\nmodule g722.so\nmodule opus.so\nmodule aufile.so\nmodule_tmp account.so\nmodule_app menu.so\n",
            speech_file.display()
        );
        std::fs::write(folder.path().join("config"), config).unwrap();
        let Dial { codec, transport, account } = dial;
        let account = format!("<sip:alice@127.0.0.1;transport={transport}>;regint=0;audio_codecs={codec}{account}\n");
        std::fs::write(folder.path().join("accounts"), account).unwrap();
        std::fs::write(folder.path().join("contacts"), "").unwrap();
        let child = Command::new("baresip")
            .arg("-f")
            .arg(folder.path())
            .args(["-e", &format!("/dial {to}"), "-t", "60"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("baresip: {error}: make setup-tests"));
        Self { child, _folder: folder }
    }

    /// Its process, to be killed.
    pub(crate) fn kill(&mut self) {
        self.child.start_kill().unwrap();
    }
}

/// Runs a SIPp scenario of `tests/peers/sip/` to its end, which must be as it is written there.
pub(crate) async fn sipp(server: SocketAddr, scenario: &str, arguments: &[&str]) {
    sipp_in(tempfile::tempdir().unwrap().path(), server, scenario, arguments).await;
}

/// The same in a folder with the files that the scenario names.
pub(crate) async fn sipp_in(folder: &Path, server: SocketAddr, scenario: &str, arguments: &[&str]) {
    let path = workspace().join("tests/peers/sip").join(scenario).with_extension("xml");
    assert!(path.exists(), "{}", path.display());
    let mut command = Command::new("sipp");
    command
        .arg(server.to_string())
        .arg("-sf")
        .arg(path)
        .args(["-i", "127.0.0.1", "-nostdin", "-timeout", "90", "-timeout_error", "-trace_err"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if !arguments.contains(&"-m") {
        command.args(["-m", "1"]);
    }
    let output = within(scenario, command.output()).await.unwrap_or_else(|e| panic!("sipp: {e}: make setup-tests"));
    assert!(
        output.status.success(),
        "{scenario}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        logs(folder)
    );
}

fn logs(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).unwrap().map_while(Result::ok);
    files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
}
