//! The server behind Debian's nginx, with the site that the project ships.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use e2e_tests::clips::named;
use tokio::net::TcpSocket;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::client::{f32le, Client};
use crate::support::http::Response;
use crate::support::server::{Server, Transport};
use crate::support::verdict::words_are_right;
use crate::support::{within, workspace};

struct Nginx {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn before(server: &Server) -> Self {
        let program = "/usr/sbin/nginx";
        assert!(std::path::Path::new(program).exists(), "{program} is not there: make setup-tests");
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let site = std::fs::read_to_string(workspace().join("packaging/nginx.conf")).unwrap();
        let site = site
            .replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
            .replace("127.0.0.1:8765", &server.address.to_string());
        let at = folder.path().display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log stderr;\nevents {{}}\n\
             http {{\naccess_log off;\n{paths}{site}}}\n"
        );
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(program)
            .args(["-e", "stderr", "-p"])
            .arg(folder.path())
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port, _folder: folder }
    }

    async fn connect(&mut self, forwarded: &str) -> Result<Client, Response> {
        let port = self.port;
        let child = &mut self.child;
        let stream = within("nginx", async {
            loop {
                assert!(child.try_wait().unwrap().is_none(), "nginx ended");
                // Not from the address of the proxy itself, which the server trusts.
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
                if let Ok(stream) = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await {
                    return stream;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
        let mut request = format!("ws://127.0.0.1:{port}/ws/transcribe").into_client_request().unwrap();
        request.headers_mut().insert("origin", format!("http://127.0.0.1:{port}").parse().unwrap());
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        match client_async(request, Box::new(stream) as Box<dyn Transport>).await {
            Ok((socket, _)) => Ok(Client::over(socket)),
            Err(error) => Err(Response::refusal(error)),
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn words_come_through_nginx_and_addresses_can_not_be_made_up() {
    let server = Server::start(&["--trusted-proxies", "127.0.0.1/32", "--max-sessions-per-address", "1"]);
    let mut nginx = Nginx::before(&server);
    let clip = named("librivox-sense-0920");
    let connected = nginx.connect("198.51.100.1").await;
    let mut client = connected.unwrap_or_else(|response| panic!("{response:?}"));
    assert_eq!(client.receiver.next().await["type"], "ready");
    // nginx appends the address that it sees. One that the client makes up stands before it, and gets it no second place.
    let Err(response) = nginx.connect("198.51.100.2").await else { panic!("a made-up address counts") };
    response.problem("too-many-of-client", 429);
    let messages = client.transcribe(f32le(&clip.samples)).await;
    words_are_right(&clip.text, &messages, 5.0);
    assert_eq!(messages.last().unwrap()["reason"], "client_closed");
}
