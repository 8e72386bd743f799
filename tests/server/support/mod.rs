//! What the tests share: the server as a process, a client that checks all it is told, HTTP, what it costs, and verdicts.

pub(crate) mod camera;
pub(crate) mod client;
pub(crate) mod cost;
pub(crate) mod events;
pub(crate) mod http;
pub(crate) mod line;
pub(crate) mod phone;
pub(crate) mod publisher;
pub(crate) mod relay;
pub(crate) mod server;
pub(crate) mod verdict;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

/// What takes longer stands still: many times what a busy machine needs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Waits for something that must happen.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("this stands still: {what}"),
    }
}
