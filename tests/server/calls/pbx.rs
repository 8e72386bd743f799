//! As an extension of a PBX: registered at Kamailio with a password, called through it.

use std::process::{Child, Command, Stdio};

use super::answered;
use crate::support::http::metric_becomes;
use crate::support::phone::{Dial, Phone};
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::support::workspace;
use crate::transcripts::two_sentences;

/// `kamailio` with `tests/peers/sip/kamailio.cfg`.
struct Pbx {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Pbx {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // One that is free: Kamailio can't choose.
        let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-n", "2", "-f"])
            .arg(workspace().join("tests/peers/sip/kamailio.cfg"))
            .args(["-l", &format!("udp:127.0.0.1:{port}"), "-Y"])
            .arg(folder.path())
            .arg("-P")
            .arg(folder.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("kamailio: {error}: make setup-tests"));
        Self { child, port, _folder: folder }
    }
}

impl Drop for Pbx {
    fn drop(&mut self) {
        // SAFETY: the child was not waited for yet, so that the number is still its own. It ends its own children.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}

fn register(pbx: &Pbx, password: &str) -> Server {
    let account = format!("sip:200:{password}@127.0.0.1:{}", pbx.port);
    Server::start(&["--sip-listen", "127.0.0.1:0", "--partials", "none", "--sip-register", &account])
}

#[tokio::test]
async fn a_call_to_the_extension_is_transcribed() {
    let pbx = Pbx::start();
    let server = register(&pbx, "s3cret");
    metric_becomes(&server, "pipeline_server_sip_registered", 1.0).await;
    let said = two_sentences();
    let _phone = Phone::call(&format!("sip:200@127.0.0.1:{}", pbx.port), &said.samples, Dial::default());
    let (_, mut receiver) = answered(&server).await;
    let messages = receiver.rest().await;
    words_are_right(&said.text(), &messages, 15.0);
    assert_eq!(super::only(&messages, "call_end")["reason"], "remote_hangup");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_nothing_else_is_harmed() {
    let pbx = Pbx::start();
    let server = register(&pbx, "wrong");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    metric_becomes(&server, "pipeline_server_sip_registered", 0.0).await;
    server.signal(libc::SIGTERM);
    let ended = server.finish();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("the PBX refuses the registration") && !ended.stderr.contains("wrong@"),
        "{}",
        ended.stderr
    );
}
