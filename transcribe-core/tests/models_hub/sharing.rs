//! Several that want the same model at once, and some that do not want it any more.

use std::thread;
use std::time::{Duration, Instant};

use transcribe_core::engine::CancelToken;
use transcribe_core::models::ModelError;

use crate::server::{Reply, Server, V1};
use crate::setup::MODEL;

#[test]
fn those_that_want_the_same_model_share_one_download() {
    let server = Server::new(|request, _| {
        thread::sleep(Duration::from_millis(150));
        Reply::file(request, &MODEL, None)
    });
    let setup = server.setup();
    thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| setup.resolve().unwrap())).collect();
        for one in all {
            assert_eq!(one.join().unwrap(), setup.models().join("ggml-tiny.bin"));
        }
    });
    setup.assert_installed(&setup.models().join("ggml-tiny.bin"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cancelled_wait_for_anothers_download_ends() {
    let server = Server::new(|request, _| Reply::file(request, &MODEL, None).stalling_after(10));
    let setup = server.setup();
    let (first, second) = (CancelToken::new(), CancelToken::new());
    thread::scope(|scope| {
        let holder = scope.spawn(|| setup.resolve_until(&first));
        while server.requests().is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        let waiter = scope.spawn(|| setup.resolve_until(&second));
        second.cancel();
        assert!(matches!(waiter.join().unwrap(), Err(ModelError::Cancelled)));
        first.cancel();
        assert!(matches!(holder.join().unwrap(), Err(ModelError::Cancelled)));
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_cancelled_download_ends_at_once_and_can_be_resumed() {
    let server = Server::once(&MODEL, V1, |reply| reply.stalling_after(200_000));
    let setup = server.setup();
    let cancel = CancelToken::new();
    let started = Instant::now();
    let result = setup.registry().resolve("tiny", &cancel, &mut |progress| {
        // The next read waits for bytes that never come; only the token can end it in time.
        if progress.downloaded == 200_000 {
            let later = cancel.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                later.cancel();
            });
        }
    });
    assert!(matches!(result, Err(ModelError::Cancelled)));
    assert!(started.elapsed() < Duration::from_secs(4));
    setup.assert_downloads();
    assert_eq!(server.offsets(), [None, Some(200_000)]);
}
