//! Connections that break off and come back: one supervisor for all sources that the server opens itself.
//!
//! A source says how a connection is made ([`Connect`]); [`Supervised`] is a bin with one pad of raw audio that has as many
//! connections, one after the other, as it takes. [`decide`] holds the rules and does nothing, [`run`] is the thread that
//! does it, [`passage`] lays the audio of all connections on one time line, [`news`] is what is told on the bus, [`capture`] what that
//! says of times of day.

mod bin;
pub(crate) mod capture;
mod dates;
pub(crate) mod decide;
mod fault;
mod intake;
pub(crate) mod news;
mod passage;
mod run;

use std::sync::mpsc;
use std::sync::Arc;

use gst::prelude::*;

pub(crate) use self::decide::Policy;
pub(crate) use self::fault::{Fault, FaultKind};
pub(crate) use self::intake::Intake;
use self::passage::Line;
use self::run::{Ear, Order, Supervisor};
use crate::pipeline::Error;

/// How a source makes a connection.
pub(crate) trait Connect: Send + Sync + 'static {
    /// The elements of a new connection, linked as far as can be; they are added to `bin` already. The audio, once it is
    /// there, and what goes wrong beside error messages, go to `intake`.
    fn connect(&self, bin: &gst::Bin, intake: &Intake) -> Result<Vec<gst::Element>, Error>;

    /// Whether what the connection gives has no end of its own, so that an end is a loss.
    fn is_live(&self, elements: &[gst::Element]) -> bool;

    /// What an error message of one of its elements means.
    fn fault(&self, error: &gst::message::Error) -> Fault {
        Fault::of_message(error)
    }

    /// A text of GStreamer without what must not be known.
    fn scrub(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// A bin whose connections are supervised while it plays.
#[derive(Debug, Clone)]
pub(crate) struct Supervised {
    bin: bin::Bin,
    orders: mpsc::Sender<Order>,
}

impl Supervised {
    /// It connects when it is set playing.
    pub(crate) fn new(connect: Box<dyn Connect>, policy: Policy) -> Result<Self, Error> {
        let bin = bin::Bin::new();
        // The pipeline does not wait for connections.
        bin.set_property("async-handling", true);
        let ghost = gst::GhostPad::builder(gst::PadDirection::Src).name("src").build();
        bin.add_pad(&ghost)?;
        let (orders, received) = mpsc::channel();
        let connect: Arc<dyn Connect> = Arc::from(connect);
        let supervisor = Supervisor {
            bin: bin.downgrade(),
            ghost,
            ear: Arc::new(Ear::new(connect.clone(), orders.clone())),
            connect,
            policy,
            line: Arc::new(Line::default()),
            orders: orders.clone(),
        };
        bin.supervise(supervisor, orders.clone(), received);
        Ok(Self { bin, orders })
    }

    /// To put into a pipeline; its pad `src` has raw audio.
    pub(crate) fn element(&self) -> &gst::Element {
        self.bin.upcast_ref()
    }

    /// No connection is made or watched any more; what is there goes on until the bin is stopped.
    pub(crate) fn let_go(&self) {
        let _ = self.orders.send(Order::Stop);
    }
}
