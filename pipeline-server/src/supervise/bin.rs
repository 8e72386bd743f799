//! The bin: errors of its children are the supervisor's, everybody else hears of them as news; the supervisor's thread lives
//! while the bin plays.

use std::sync::mpsc::{Receiver, Sender};

use gst::glib;
use gst::subclass::prelude::*;

use super::run::{Order, Supervisor};

glib::wrapper! {
    /// See the module.
    pub(crate) struct Bin(ObjectSubclass<imp::Bin>) @extends gst::Bin, gst::Element, gst::Object, @implements gst::ChildProxy;
}

impl Bin {
    /// Without a supervisor.
    pub(super) fn new() -> Self {
        glib::Object::new()
    }

    /// Has it supervised from when it plays.
    pub(super) fn supervise(&self, supervisor: Supervisor, orders: Sender<Order>, received: Receiver<Order>) {
        self.imp().supervise(supervisor, orders, received);
    }
}

mod imp {
    use std::sync::mpsc::{Receiver, Sender};
    use std::sync::{Arc, Mutex, OnceLock, PoisonError};
    use std::thread::JoinHandle;

    use gst::glib;
    use gst::prelude::*;
    use gst::subclass::prelude::*;

    use crate::supervise::run::{self, Ear, Order, Supervisor};

    #[derive(Default)]
    pub(crate) struct Bin {
        ear: OnceLock<Arc<Ear>>,
        orders: OnceLock<Sender<Order>>,
        begin: Mutex<Option<(Supervisor, Receiver<Order>)>>,
        thread: Mutex<Option<JoinHandle<()>>>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Bin {
        const NAME: &'static str = "PipelineServerSupervised";
        type Type = super::Bin;
        type ParentType = gst::Bin;
    }

    impl Bin {
        pub(super) fn supervise(&self, supervisor: Supervisor, orders: Sender<Order>, received: Receiver<Order>) {
            let _ = self.ear.set(supervisor.ear.clone());
            let _ = self.orders.set(orders);
            *self.begin.lock().unwrap_or_else(PoisonError::into_inner) = Some((supervisor, received));
        }

        fn begin(&self) {
            let begin = self.begin.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some((supervisor, received)) = begin else { return };
            let spawned =
                std::thread::Builder::new().name("supervisor".into()).spawn(move || run::run(supervisor, &received));
            match spawned {
                Ok(thread) => *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread),
                Err(error) => {
                    gst::element_imp_error!(self, gst::ResourceError::Failed, ["no thread for a source: {}", error]);
                }
            }
        }

        fn end(&self) {
            if let Some(orders) = self.orders.get() {
                let _ = orders.send(Order::Stop);
            }
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                let _ = thread.join();
            }
        }
    }

    impl ObjectImpl for Bin {}
    impl GstObjectImpl for Bin {}

    impl ElementImpl for Bin {
        fn change_state(&self, transition: gst::StateChange) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            if transition == gst::StateChange::PausedToReady {
                self.end();
            }
            let changed = self.parent_change_state(transition)?;
            if transition == gst::StateChange::PausedToPlaying {
                self.begin();
            }
            Ok(changed)
        }
    }

    impl BinImpl for Bin {
        fn handle_message(&self, message: gst::Message) {
            // What it says itself is for those outside.
            let own = message.src() == Some(self.obj().upcast_ref::<gst::Object>());
            if own || !self.ear.get().is_some_and(|ear| ear.hear(&message)) {
                self.parent_handle_message(message);
            }
        }
    }
}
