//! Streams over HTTP: HLS from a web server, and Icecast.

use std::path::Path;
use std::process::Stdio;

use e2e_tests::audio::{write_wav, SAMPLE_RATE};
use e2e_tests::clips::{named, Composition};
use serde_json::{json, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::peers::{ffmpeg, free_port, speech};
use super::{at, becomes, declare, look, unix};
use crate::support::events::subscribe;
use crate::support::server::Server;
use crate::support::verdict::words_are_right;
use crate::support::within;

/// Seconds by which the start of speech may be off.
const TOLERANCE: f64 = 0.3;

async fn listens(port: u16) {
    within("a peer", async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Debian's nginx with the files of a folder.
async fn web_server(folder: &Path) -> (Child, u16) {
    let (port, at) = (free_port(), folder.display());
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid {at}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}\
         types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }}\n\
         server {{ listen 127.0.0.1:{port}; root {at}; }}\n}}\n"
    );
    let path = folder.join("nginx.conf");
    std::fs::write(&path, config).unwrap();
    let mut nginx = Command::new("/usr/sbin/nginx");
    nginx.args(["-e", "/dev/null", "-p"]).arg(folder).arg("-c").arg(&path).stdin(Stdio::null()).kill_on_drop(true);
    let child = nginx.spawn().unwrap_or_else(|error| panic!("nginx does not start: {error}; make setup-tests"));
    listens(port).await;
    (child, port)
}

/// The time of day at which the first segment of a playlist begins, once there is one.
async fn begins(playlist: &Path) -> f64 {
    within("a playlist", async {
        loop {
            let text = std::fs::read_to_string(playlist).unwrap_or_default();
            if let Some(time) = text.lines().find_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:")) {
                assert!(text.contains("live0.ts"), "{text}");
                return unix(&Value::String(time.to_owned()));
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_playlist_is_followed_and_says_when_words_were_spoken() {
    let folder = tempfile::tempdir().unwrap();
    let (said, path) = speech(folder.path());
    let (_nginx, port) = web_server(folder.path()).await;
    let playlist = folder.path().join("live.m3u8");
    let flags = "delete_segments+program_date_time+omit_endlist+append_list";
    let hls = ["-f", "hls", "-hls_time", "2", "-hls_list_size", "4", "-hls_flags", flags];
    let hls = [&hls[..], &[playlist.to_str().unwrap()]].concat();
    let film = folder.path().join("film.m3u8");
    let vod = ["-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod"];
    let mut filming = ffmpeg(&path, &[&vod[..], &[film.to_str().unwrap()]].concat());
    let mut live = ffmpeg(&path, &hls);
    let begun = begins(&playlist).await;
    let server = Server::start(&["--partials", "none"]);
    let source =
        json!({ "name": "live", "url": format!("http://127.0.0.1:{port}/live.m3u8"), "stall_timeout_seconds": 6 });
    let view = declare(&server, source).await;
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    let finals = [receiver.next_of("final").await, receiver.next_of("final").await];
    words_are_right(&said.text(), &finals, 5.0);
    for (spoken, last) in said.spoken.iter().zip(&finals) {
        let off = unix(&last["captured_at"]) - begun - spoken.start;
        assert!(off.abs() <= TOLERANCE, "{off}: {last}");
    }

    // Nothing new comes, and what is in the playlist still is not heard twice: the next that is heard is new.
    live.wait().await.unwrap();
    let waiting = becomes(&server, "live", "waiting").await;
    assert_eq!(waiting["state"]["fault"], "stalled", "{waiting}");
    let _live = ffmpeg(&path, &hls);
    let again = receiver.next_of("final").await;
    words_are_right(&said.spoken[0].text, std::slice::from_ref(&again), 5.0);
    let passed = unix(&again["captured_at"]) - unix(&finals[1]["captured_at"]);
    // ffmpeg goes on from the dates that stand there.
    let expected = said.seconds() + said.spoken[0].start - said.spoken[1].start;
    assert!((passed - expected).abs() <= TOLERANCE, "{passed} {expected}");

    // One that is complete has an end.
    filming.wait().await.unwrap();
    let view = declare(&server, at("film", &format!("http://127.0.0.1:{port}/film.m3u8"))).await;
    becomes(&server, "film", "finished").await;
    let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
    let messages = receiver.rest().await;
    words_are_right(&said.text(), &messages, 5.0);
    assert_eq!(messages.last().unwrap()["reason"], "end_of_stream");

    declare(&server, at("none", &format!("http://127.0.0.1:{port}/none.m3u8"))).await;
    assert_eq!(becomes(&server, "none", "failed").await["state"]["fault"], "not_found");
}

/// Debian's Icecast.
async fn icecast(folder: &Path) -> (Child, u16) {
    let (port, at) = (free_port(), folder.display());
    let config = format!(
        "<icecast><limits><sources>4</sources></limits>\
         <authentication><source-password>s3cret</source-password><admin-password>s3cret</admin-password></authentication>\
         <hostname>localhost</hostname>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\
         <paths><basedir>{at}</basedir><logdir>{at}</logdir><webroot>{at}</webroot><adminroot>{at}</adminroot></paths>\
         <logging><accesslog>-</accesslog><errorlog>-</errorlog><loglevel>1</loglevel></logging>\
         <security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security></icecast>"
    );
    let path = folder.join("icecast.xml");
    std::fs::write(&path, config).unwrap();
    let mut icecast = Command::new("icecast2");
    icecast.arg("-c").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = icecast.spawn().unwrap_or_else(|error| panic!("icecast2 does not start: {error}; make setup-tests"));
    listens(port).await;
    (child, port)
}

/// Waits until somebody is on the air.
async fn on_air(port: u16, name: &str) {
    within("somebody on the air", async {
        let request = format!("GET /{name} HTTP/1.0\r\n\r\n");
        let mut answer = [0; 12];
        while !answer.ends_with(b" 200") {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            let asked = async {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
                stream.write_all(request.as_bytes()).await?;
                stream.read_exact(&mut answer).await
            };
            // A server that is about to begin may hang up.
            let _ = asked.await;
        }
    })
    .await;
}

#[tokio::test]
async fn internet_radio_is_listened_to_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let said = Composition::new().silence(1.0).clip(named("librivox-sense-0930")).silence(2.0);
    let path = folder.path().join("speech.wav");
    write_wav(&path, &said.samples, SAMPLE_RATE, 1).unwrap();
    let (mut radio, port) = icecast(folder.path()).await;
    let server = Server::start(&["--partials", "none"]);
    let send = |name: &str, codec: &str, format: &str, kind: &str| {
        let url = format!("icecast://source:s3cret@127.0.0.1:{port}/{name}");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i"]).arg(&path);
        ffmpeg.args(["-c:a", codec, "-b:a", "64k", "-f", format, "-content_type", kind, &url]);
        ffmpeg.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap()
    };
    let _mp3 = send("mp3", "libmp3lame", "mp3", "audio/mpeg");
    let _ogg = send("ogg", "libopus", "ogg", "application/ogg");
    for name in ["mp3", "ogg"] {
        on_air(port, name).await;
        declare(&server, at(name, &format!("http://127.0.0.1:{port}/{name}"))).await;
    }
    for name in ["mp3", "ogg"] {
        let view = look(&server, name).await;
        let mut receiver = subscribe(&server, view["session_id"].as_str().unwrap(), 0).await;
        // The first one may have begun before it was there.
        receiver.next_of("final").await;
        let last = receiver.next_of("final").await;
        words_are_right(&said.text(), std::slice::from_ref(&last), 5.0);
    }
    radio.kill().await.unwrap();
    let waiting = becomes(&server, "mp3", "waiting").await;
    assert_eq!(waiting["state"]["detail"].as_str().map(str::is_empty), Some(false), "{waiting}");
}
