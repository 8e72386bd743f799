//! The thread that does what [`Decisions`](super::decide::Decisions) says: makes connections, takes them down, tells how it
//! is. What happens reaches it as [`Order`]s.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst::MessageView;

use super::decide::{Decisions, Input, Output, Policy, Status};
use super::passage::Line;
use super::{bin, news, Connect, Fault, FaultKind, Intake};
use crate::pipeline::{MissingPlugin, FINALIZE};

/// How long the thread sleeps at most; it is woken when something happens.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    /// The first audio of a connection came.
    Flow { connection: u64 },
    /// A connection is lost.
    Lost { connection: u64, fault: Fault },
    /// Nothing more is to be done.
    Stop,
}

/// What the thread needs.
pub(super) struct Supervisor {
    pub(super) bin: gst::glib::WeakRef<bin::Bin>,
    pub(super) ghost: gst::GhostPad,
    pub(super) connect: Arc<dyn Connect>,
    pub(super) policy: Policy,
    pub(super) line: Arc<Line>,
    pub(super) ear: Arc<Ear>,
    pub(super) orders: Sender<Order>,
}

/// Hears what the elements of a connection say, on their threads.
pub(super) struct Ear {
    connect: Arc<dyn Connect>,
    orders: Mutex<Sender<Order>>,
    /// Number of the connection whose elements there are.
    connection: AtomicU64,
    missing: Mutex<Option<MissingPlugin>>,
}

impl Ear {
    pub(super) fn new(connect: Arc<dyn Connect>, orders: Sender<Order>) -> Self {
        let (orders, connection) = (Mutex::new(orders), AtomicU64::new(0));
        Self { connect, orders, connection, missing: Mutex::default() }
    }

    /// Whether a message is nobody else's business.
    pub(super) fn hear(&self, message: &gst::Message) -> bool {
        match message.view() {
            MessageView::Error(error) => {
                let origin = self.connect.scrub(error.debug().as_deref().unwrap_or_default());
                let mut fault = self.connect.fault(error);
                if fault.kind == FaultKind::Unsupported {
                    let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner).take();
                    fault.detail = missing.map_or(fault.detail, |missing| missing.to_string());
                }
                fault.detail = self.connect.scrub(&fault.detail);
                tracing::debug!(kind = fault.kind.name(), origin, "a source failed: {}", fault.detail);
                let connection = self.connection.load(Ordering::Acquire);
                let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = orders.send(Order::Lost { connection, fault });
                true
            }
            MessageView::Warning(warning) => {
                tracing::debug!("a source warns: {}", self.connect.scrub(warning.error().message()));
                true
            }
            MessageView::Element(element) => {
                let missing = element.structure().and_then(MissingPlugin::from_structure);
                let is_one = missing.is_some();
                if is_one {
                    *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
                }
                is_one
            }
            // Nobody waits for buffers to fill: text may come at any time.
            MessageView::Buffering(_) => true,
            _ => false,
        }
    }
}

/// Runs until it is told to stop.
pub(super) fn run(supervisor: Supervisor, received: &Receiver<Order>) {
    let started = Instant::now();
    let decisions = Decisions::new(supervisor.policy);
    let mut running = Running { supervisor, decisions, started, current: None };
    running.handle(Input::Start);
    loop {
        let now = running.started.elapsed();
        let sleep = running.decisions.deadline().map_or(LONGEST_SLEEP, |deadline| deadline.saturating_sub(now));
        match received.recv_timeout(sleep.min(LONGEST_SLEEP)) {
            Ok(Order::Flow { connection }) => {
                let live = running.is_live(connection);
                running.handle(Input::Flow { connection, at: running.started.elapsed(), live });
            }
            Ok(Order::Lost { connection, fault }) => {
                let live = running.is_live(connection);
                running.handle(Input::Lost { connection, fault, live });
            }
            Err(RecvTimeoutError::Timeout) => {
                running.look();
                running.handle(Input::Time);
            }
            Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

struct Running {
    supervisor: Supervisor,
    decisions: Decisions,
    started: Instant,
    current: Option<Connection>,
}

struct Connection {
    number: u64,
    elements: Vec<gst::Element>,
    flowed: Arc<AtomicU64>,
}

impl Running {
    fn handle(&mut self, input: Input) {
        self.decisions.handle(input, self.started.elapsed(), fastrand::f64());
        while let Some(output) = self.decisions.poll() {
            match output {
                Output::Connect(number) => self.connect(number),
                Output::Disconnect => self.disconnect(),
                Output::Tell(status) => self.tell(&status),
            }
        }
    }

    /// Notes when audio came last.
    fn look(&mut self) {
        let Some(Connection { number, flowed, .. }) = &self.current else { return };
        let (connection, at) = (*number, Duration::from_millis(flowed.load(Ordering::Acquire)));
        if !at.is_zero() {
            let live = self.is_live(connection);
            self.decisions.handle(Input::Flow { connection, at, live }, self.started.elapsed(), 0.0);
        }
    }

    fn is_live(&self, connection: u64) -> bool {
        let current = self.current.as_ref().filter(|current| current.number == connection);
        current.is_none_or(|current| self.supervisor.connect.is_live(&current.elements))
    }

    fn connect(&mut self, number: u64) {
        let Some(bin) = self.supervisor.bin.upgrade() else { return };
        let Supervisor { ghost, connect, line, ear, orders, .. } = &self.supervisor;
        ear.connection.store(number, Ordering::Release);
        ear.missing.lock().unwrap_or_else(PoisonError::into_inner).take();
        let flowed = Arc::new(AtomicU64::new(0));
        let ends = (self.supervisor.bin.clone(), ghost.clone());
        let intake = Intake::new(number, ends, line.clone(), orders.clone(), (self.started, flowed.clone()));
        match connect.connect(bin.upcast_ref(), &intake) {
            Ok(elements) => {
                // Those that come last first, so that each finds its successor ready. The bin's own state is no guide: it
                // falls back while decoders look for their first data.
                let play = |element: &gst::Element| element.set_state(gst::State::Playing).map(|_| ());
                let started = elements.iter().rev().try_for_each(play);
                self.current = Some(Connection { number, elements, flowed });
                if started.is_err() {
                    // If an element has said why, that came before.
                    intake.fault(FaultKind::Broken, "its elements do not start");
                }
            }
            Err(error) => intake.fault(FaultKind::Unsupported, error.to_string()),
        }
    }

    fn disconnect(&mut self) {
        let Some(Connection { elements, flowed, .. }) = self.current.take() else { return };
        let ghost = &self.supervisor.ghost;
        for element in &elements {
            element.set_locked_state(true);
            let _ = element.set_state(gst::State::Null);
        }
        let _ = ghost.set_target(None::<&gst::Pad>);
        if let Some(bin) = self.supervisor.bin.upgrade() {
            let _ = bin.remove_many(&elements);
        }
        if flowed.load(Ordering::Acquire) > 0 {
            // Nobody has to wait for the next connection to read what was said last.
            ghost.push_event(gst::event::CustomDownstream::new(gst::Structure::new_empty(FINALIZE)));
        }
    }

    fn tell(&self, status: &Status) {
        let Some(bin) = self.supervisor.bin.upgrade() else { return };
        let message = gst::message::Element::builder(news::status(status)).src(&bin).build();
        let _ = bin.post_message(message);
        if *status == Status::Finished {
            self.supervisor.ghost.push_event(gst::event::Eos::new());
        }
    }
}
