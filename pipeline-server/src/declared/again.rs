//! When a source whose session has ended by itself gets another one: the rules, and what is told meanwhile.

use std::time::{Duration, Instant};

use crate::protocol::problem::{Kind, Problem};
use crate::protocol::results::{SourceState, StatusReport};
use crate::session::Reason;
use crate::supervise::Policy;

/// A source that has no session and will get one.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    attempt: u32,
    at: Instant,
    /// Why it has none.
    pub(super) problem: Problem,
}

impl Waiting {
    /// As it is shown.
    pub(super) fn report(&self, now: Instant) -> StatusReport {
        StatusReport {
            attempt: Some(self.attempt),
            retry_in_seconds: Some(self.at.saturating_duration_since(now).as_secs_f64()),
            ..StatusReport::without_fault(SourceState::Waiting, self.problem.detail.clone())
        }
    }
}

/// How long a source waits; as for connections, each pause is longer than the one before until a session has lasted.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    policy: Policy,
    attempt: u32,
}

impl Pauses {
    /// A session lasted so long.
    pub(super) fn lasted(&mut self, time: Duration) {
        if time >= self.policy.settled {
            self.attempt = 0;
        }
    }

    /// The next wait; `chance` is from 0 to 1.
    pub(super) fn wait(&mut self, problem: Problem, now: Instant, chance: f64) -> (Waiting, Duration) {
        self.attempt += 1;
        let pause = self.policy.pause(self.attempt, chance);
        (Waiting { attempt: self.attempt, at: now + pause, problem }, pause)
    }
}

/// Whether another session may do better than one that ended for this reason.
pub(super) fn helps_after(reason: Reason) -> bool {
    match reason {
        Reason::Failed | Reason::MaxDuration | Reason::IdleTimeout | Reason::SlowReader => true,
        // Wanted so, at its end, or wrong until somebody changes something.
        Reason::ClientClosed
        | Reason::ClientGone
        | Reason::Shutdown
        | Reason::EndOfStream
        | Reason::InvalidInput
        | Reason::SourceFailed => false,
    }
}

/// Whether a session that can't be opened for this kind of problem may be later on.
pub(super) fn helps_against(kind: Kind) -> bool {
    !matches!(kind, Kind::InvalidSetting | Kind::InvalidParameter | Kind::InvalidAudio | Kind::ShuttingDown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_session_lasts() {
        let mut pauses = Pauses::default();
        let now = Instant::now();
        let mut pause = |lasted| {
            pauses.lasted(Duration::from_secs(lasted));
            let problem = Problem::new(Kind::TranscriptionFailed, "no memory");
            let (waiting, pause) = pauses.wait(problem, now, 1.0);
            let report = waiting.report(now + pause / 2);
            assert_eq!(report.retry_in_seconds, Some(pause.as_secs_f64() / 2.0));
            assert_eq!((report.status, report.detail.as_deref()), (SourceState::Waiting, Some("no memory")));
            pause.as_millis()
        };
        assert_eq!([pause(0), pause(1), pause(9), pause(10), pause(0)], [500, 1000, 2000, 500, 1000]);
    }
}
