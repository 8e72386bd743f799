//! Stores behind the hub, and proxies before it.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread;

use transcribe_core::models::Token;

use crate::server::{read_request, Reply, Server};
use crate::setup::{sha256, Setup, MODEL};

#[test]
fn the_token_is_not_shown_to_the_store_behind_the_hub() {
    let store = Server::once(&MODEL, "\"store\"", |reply| reply.cut_after(400_000));
    let address = store.url();
    let hub = Server::new(move |request, _| {
        if request.line.contains("/moved/") {
            return Reply::status(302)
                .with("Location", &format!("{address}/blob?signature=x"))
                .with("X-Linked-ETag", &format!("\"{}\"", sha256(&MODEL)))
                .with("X-Linked-Size", &MODEL.len().to_string());
        }
        Reply::status(307).with("Location", "/moved/ggml-tiny.bin")
    });
    let mut setup = Setup::unpinned(&hub.url());
    setup.hub.token = Token::new("hf_secret");
    setup.assert_downloads();

    let (asked, fetched) = (hub.requests(), store.requests());
    assert_eq!((asked.len(), fetched.len()), (4, 2));
    assert!(asked.iter().all(|request| request.header("authorization") == Some("Bearer hf_secret")));
    assert!(fetched.iter().all(|request| request.header("authorization").is_none()));
    assert_eq!(store.offsets(), [None, Some(400_000)]);
}

#[test]
fn an_expired_address_of_the_store_is_asked_for_anew() {
    let store = Server::new(|request, number| match number {
        0 => Reply::status(403),
        _ => Reply::file(request, &MODEL, None),
    });
    let hub = Server::pointing_to(&store);
    let setup = hub.setup();
    setup.assert_downloads();
    assert_eq!(hub.requests().len(), 2);
}

#[test]
fn a_proxy_is_gone_through_unless_the_host_is_spared() {
    let server = Server::file(&MODEL, None);
    // A proxy that does one CONNECT.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let tunnel = thread::spawn(move || {
        let (mut client, _) = proxy.accept().unwrap();
        let request = read_request(&client).unwrap();
        let mut hub = TcpStream::connect(request.line.split(' ').nth(1).unwrap()).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut up, mut to_hub) = (client.try_clone().unwrap(), hub.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut up, &mut to_hub));
        let _ = std::io::copy(&mut hub, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
        request.line
    });
    let mut setup = server.setup();
    setup.hub.proxies.http = Some(("HTTP_PROXY", format!("http://{address}")));
    setup.assert_downloads();
    assert_eq!(tunnel.join().unwrap(), format!("CONNECT {} HTTP/1.1", server.address));

    // The proxy is gone now: only a direct connection can succeed.
    let mut setup = server.setup();
    setup.hub.proxies.http = Some(("HTTP_PROXY", format!("http://{address}")));
    setup.hub.proxies.bypass = vec!["127.0.0.1".into()];
    setup.assert_downloads();
}
