//! What a supervised source tells on the bus: how it is, and when its audio was captured. Both are element messages of its
//! bin, so that whoever has the pipeline hears of it in order with what is said.

use std::time::Duration;

use super::decide::Status;
use super::{Fault, FaultKind};

const STATUS: &str = "source-status";
const CAPTURED: &str = "source-captured";

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// How it is.
    Status(Status),
    /// From `since` on (stream time, nanoseconds), audio was captured `offset` nanoseconds later than its stream time
    /// counted from 1970. Without an offset, a new connection begins there, and its source has told nothing yet.
    Captured { since: u64, offset: Option<i64> },
}

/// As a structure.
pub(super) fn status(status: &Status) -> gst::Structure {
    let named = |name: &str| gst::Structure::builder(STATUS).field("status", name);
    match status {
        Status::Connecting { attempt } => named("connecting").field("attempt", attempt).build(),
        Status::Streaming => named("streaming").build(),
        Status::Waiting { attempt, retry_in, fault } => named("waiting")
            .field("attempt", attempt)
            .field("retry-in", retry_in.as_millis() as u64)
            .field("fault", fault.kind.name())
            .field("detail", &fault.detail)
            .build(),
        Status::Failed(fault) => {
            named("failed").field("fault", fault.kind.name()).field("detail", &fault.detail).build()
        }
        Status::Finished => named("finished").build(),
    }
}

/// As a structure.
pub(super) fn captured(since: gst::ClockTime, offset: Option<i64>) -> gst::Structure {
    gst::Structure::builder(CAPTURED).field("since", since.nseconds()).field_if_some("offset", offset).build()
}

impl News {
    /// What a structure tells, if it is one of these.
    pub(crate) fn read(structure: &gst::StructureRef) -> Option<Self> {
        if structure.name() == CAPTURED {
            return Some(Self::Captured { since: structure.get("since").ok()?, offset: structure.get("offset").ok() });
        }
        if structure.name() != STATUS {
            return None;
        }
        let attempt = || structure.get::<u32>("attempt").ok();
        let fault = || {
            let kind = FaultKind::of_name(structure.get::<&str>("fault").ok()?)?;
            Some(Fault::new(kind, structure.get::<&str>("detail").ok()?))
        };
        Some(Self::Status(match structure.get::<&str>("status").ok()? {
            "connecting" => Status::Connecting { attempt: attempt()? },
            "streaming" => Status::Streaming,
            "waiting" => Status::Waiting {
                attempt: attempt()?,
                retry_in: Duration::from_millis(structure.get("retry-in").ok()?),
                fault: fault()?,
            },
            "failed" => Status::Failed(fault()?),
            "finished" => Status::Finished,
            _ => return None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_is_read() {
        gst::init().unwrap();
        let fault = Fault::new(FaultKind::Stalled, "nothing new came");
        for told in [
            Status::Connecting { attempt: 3 },
            Status::Streaming,
            Status::Waiting { attempt: 4, retry_in: Duration::from_millis(750), fault: fault.clone() },
            Status::Failed(fault),
            Status::Finished,
        ] {
            assert_eq!(News::read(&status(&told)), Some(News::Status(told)));
        }
        for offset in [None, Some(-5)] {
            let told = captured(gst::ClockTime::from_seconds(3), offset);
            assert_eq!(News::read(&told), Some(News::Captured { since: 3_000_000_000, offset }));
        }
        assert_eq!(News::read(&gst::Structure::new_empty("level")), None);
    }
}
