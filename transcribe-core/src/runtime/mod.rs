//! The shell around the sans-IO core: the threads and the process-wide registries that element and server share.
//!
//! ```text
//! StreamHandle::push → [hub thread: detector, segmenters] → scheduler's workers → StreamHandle::next
//! ```
//!
//! Lock order: a stream's lock, then the hub's or the scheduler's. Nobody holds a lock while the detector or the engine
//! runs, or while a result is handed over.

mod backlog;
mod handle;
mod hub;
mod shared;

pub use backlog::{Behind, Overload, MOST_UNREAD};
pub use handle::{Next, StreamHandle, StreamStats};
pub use hub::{Hub, HubStats};
pub use shared::{EngineKind, Model, ModelKey};
