//! Ctrl-C and SIGTERM, delivered to whatever runs: a pipeline, as messages on its bus, or the server.
//!
//! The first asks it to finish, the second to stop at once, the third ends the process whatever it does.

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::exit::Exit;

/// Name of the application message.
pub(crate) const MESSAGE: &str = "interrupt";

/// Counts the signals and hands them on; clones share the count.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Shared>);

/// Called with each signal, on the thread that waits for them.
pub(crate) type Recipient = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct Shared {
    count: AtomicU32,
    recipient: Mutex<Option<Recipient>>,
}

/// Puts a message on the bus.
pub(crate) fn to_bus(bus: gst::Bus) -> Recipient {
    Arc::new(move || {
        let _ = bus.post(gst::message::Application::new(gst::Structure::new_empty(MESSAGE)));
    })
}

impl Signals {
    /// Begins to catch signals, on a thread that lives as long as the process. To be called before there are other
    /// threads: only those begun later leave the signals to this one.
    pub(crate) fn catch() -> io::Result<Self> {
        let set = block(&[libc::SIGINT, libc::SIGTERM])?;
        let signals = Self::default();
        let theirs = signals.clone();
        thread::Builder::new().name("signals".into()).spawn(move || loop {
            wait(&set);
            theirs.received();
        })?;
        Ok(signals)
    }

    /// How many came so far.
    pub(crate) fn count(&self) -> u32 {
        self.0.count.load(Ordering::Acquire)
    }

    /// From now on signals go there, or to nobody.
    pub(crate) fn deliver_to(&self, recipient: Option<Recipient>) {
        *self.recipient() = recipient;
    }

    /// Calls the recipient without a new signal.
    pub(crate) fn repeat(&self) {
        self.deliver();
    }

    fn received(&self) {
        if self.0.count.fetch_add(1, Ordering::AcqRel) >= 2 {
            std::process::exit(Exit::Interrupted.code().into());
        }
        self.deliver();
    }

    fn deliver(&self) {
        let recipient = self.recipient().clone();
        if let Some(recipient) = recipient {
            recipient();
        }
    }

    fn recipient(&self) -> MutexGuard<'_, Option<Recipient>> {
        self.0.recipient.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the signals from ending this thread and those it begins.
fn block(signals: &[libc::c_int]) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, the other calls get pointers to it that are valid while they run.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        let set = set.assume_init();
        match libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) {
            0 => Ok(set),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Sleeps until one of the blocked signals comes.
fn wait(set: &libc::sigset_t) {
    let mut signal = 0;
    // SAFETY: both pointers are valid while it waits; it fails only for sets with invalid signals.
    unsafe { libc::sigwait(set, &mut signal) };
}
