//! When to connect, when to give up a connection, when to try again: the rules, without clock, chance or threads.
//!
//! [`Input`]s go in with the time since the start and a random number; after each, [`Decisions::poll`] gives [`Output`]s
//! until there are none. At [`Decisions::deadline`] the time alone is an input.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Fault, FaultKind};

/// How patient the supervisor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// For the first audio of a connection; without, for ever, as of somebody who is waited for.
    pub(crate) connect_timeout: Option<Duration>,
    /// Without audio whose time goes on.
    pub(crate) stall_timeout: Duration,
    /// Before the second attempt; it doubles with each.
    pub(crate) least_pause: Duration,
    /// The longest pause.
    pub(crate) longest_pause: Duration,
    /// A connection that lasts that long makes the pauses short again.
    pub(crate) settled: Duration,
    /// Whether there is a second attempt when the first connection can't be made.
    pub(crate) insists: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            connect_timeout: Some(Duration::from_secs(15)),
            stall_timeout: Duration::from_secs(10),
            least_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            settled: Duration::from_secs(10),
            insists: true,
        }
    }
}

impl Policy {
    /// How long to wait after so many attempts. Half of the pause is certain, the other half is chance, so that a hundred
    /// clients of a server that comes back don't come all at once.
    pub(crate) fn pause(&self, attempts: u32, chance: f64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let whole = self.least_pause.saturating_mul(1 << doublings).min(self.longest_pause);
        whole.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

/// What happens. What a connection does goes with its number; of old ones nothing is heeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// It may begin.
    Start,
    /// Audio came at that time (since the start), and its own time went on. `live` as in `Lost`.
    Flow { connection: u64, at: Duration, live: bool },
    /// A connection is lost. `live` says whether it had no end of its own.
    Lost { connection: u64, fault: Fault, live: bool },
    /// Time has passed.
    Time,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Make the connection of that number.
    Connect(u64),
    /// Take the connection down.
    Disconnect,
    /// Say how it is.
    Tell(Status),
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    /// A connection is being made; attempts count from 1 since it last worked.
    Connecting { attempt: u32 },
    /// Audio comes.
    Streaming,
    /// The next attempt comes later.
    Waiting { attempt: u32, retry_in: Duration, fault: Fault },
    /// There won't be another attempt.
    Failed(Fault),
    /// It came to its end.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Connecting { since: Duration },
    Streaming { since: Duration, flowed: Duration, live: bool },
    Waiting { until: Duration },
    Over,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Decisions {
    policy: Policy,
    state: State,
    /// Number of the newest connection.
    connection: u64,
    /// Attempts since a connection lasted.
    attempt: u32,
    has_worked: bool,
    outputs: VecDeque<Output>,
}

impl Decisions {
    /// Nothing has happened yet.
    pub(crate) fn new(policy: Policy) -> Self {
        Self { policy, state: State::Idle, connection: 0, attempt: 0, has_worked: false, outputs: VecDeque::new() }
    }

    /// Takes what happened at `now`; `chance` is from 0 to 1.
    pub(crate) fn handle(&mut self, input: Input, now: Duration, chance: f64) {
        match input {
            Input::Start if self.state == State::Idle => self.connect(now),
            Input::Flow { connection, at, live } if connection == self.connection => self.flow(at, live, now),
            Input::Lost { connection, fault, live } if connection == self.connection => {
                self.lose(fault, live, now, chance);
            }
            Input::Time => self.wake(now, chance),
            Input::Start | Input::Flow { .. } | Input::Lost { .. } => {}
        }
    }

    /// What is to be done next.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When time is an input, if nothing else comes before.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Idle | State::Over => None,
            State::Connecting { since } => self.policy.connect_timeout.map(|patience| since + patience),
            State::Streaming { flowed, live, .. } => live.then_some(flowed + self.policy.stall_timeout),
            State::Waiting { until } => Some(until),
        }
    }

    /// Whether nothing more will come.
    #[cfg(test)]
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    fn connect(&mut self, now: Duration) {
        self.connection += 1;
        self.attempt += 1;
        self.state = State::Connecting { since: now };
        self.outputs.push_back(Output::Tell(Status::Connecting { attempt: self.attempt }));
        self.outputs.push_back(Output::Connect(self.connection));
    }

    fn flow(&mut self, at: Duration, live: bool, now: Duration) {
        match &mut self.state {
            State::Connecting { .. } => {
                self.has_worked = true;
                self.state = State::Streaming { since: now, flowed: at, live };
                self.outputs.push_back(Output::Tell(Status::Streaming));
            }
            State::Streaming { flowed, .. } => *flowed = at.max(*flowed),
            State::Idle | State::Waiting { .. } | State::Over => {}
        }
    }

    fn lose(&mut self, fault: Fault, live: bool, now: Duration, chance: f64) {
        match self.state {
            State::Connecting { .. } => {}
            State::Streaming { .. } if !live => {
                let finished = fault.kind == FaultKind::Ended;
                return self.finish(if finished { Status::Finished } else { Status::Failed(fault) });
            }
            State::Streaming { since, .. } => {
                if now.saturating_sub(since) >= self.policy.settled {
                    self.attempt = 0;
                }
            }
            State::Idle | State::Waiting { .. } | State::Over => return,
        }
        let hopeless = !self.has_worked && (fault.kind.is_lasting() || !self.policy.insists);
        if hopeless {
            return self.finish(Status::Failed(fault));
        }
        let retry_in = self.policy.pause(self.attempt, chance);
        self.state = State::Waiting { until: now + retry_in };
        self.outputs.push_back(Output::Disconnect);
        self.outputs.push_back(Output::Tell(Status::Waiting { attempt: self.attempt + 1, retry_in, fault }));
    }

    fn finish(&mut self, status: Status) {
        self.state = State::Over;
        self.outputs.push_back(Output::Disconnect);
        self.outputs.push_back(Output::Tell(status));
    }

    fn wake(&mut self, now: Duration, chance: f64) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state {
            State::Connecting { .. } => {
                let detail = "no audio comes from there; is the address right, and does the server answer?";
                self.lose(Fault::new(FaultKind::Unreachable, detail), true, now, chance);
            }
            State::Streaming { .. } => {
                let seconds = self.policy.stall_timeout.as_secs_f64();
                let detail = format!("nothing new came for {seconds} s");
                self.lose(Fault::new(FaultKind::Stalled, detail), true, now, chance);
            }
            State::Waiting { .. } => self.connect(now),
            State::Idle | State::Over => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn fault(kind: FaultKind) -> Fault {
        Fault::new(kind, "?")
    }

    fn lost(connection: u64, kind: FaultKind) -> Input {
        Input::Lost { connection, fault: fault(kind), live: true }
    }

    fn flow(connection: u64, at: Duration) -> Input {
        Input::Flow { connection, at, live: true }
    }

    fn started() -> Decisions {
        let mut decisions = Decisions::new(Policy::default());
        decisions.handle(Input::Start, Duration::ZERO, 0.5);
        assert_eq!(drain(&mut decisions), [Output::Tell(Status::Connecting { attempt: 1 }), Output::Connect(1)]);
        decisions
    }

    fn drain(decisions: &mut Decisions) -> Vec<Output> {
        std::iter::from_fn(|| decisions.poll()).collect()
    }

    /// The pause that is told of, in milliseconds.
    fn pause(outputs: &[Output]) -> u128 {
        let told = outputs.iter().find_map(|output| match output {
            Output::Tell(Status::Waiting { retry_in, .. }) => Some(retry_in.as_millis()),
            _ => None,
        });
        told.unwrap_or_else(|| panic!("no pause in {outputs:?}"))
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_chance() {
        let mut decisions = started();
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();
        for connection in 1..=9 {
            decisions.handle(lost(connection, FaultKind::Unreachable), now, 1.0);
            pauses.push(pause(&drain(&mut decisions)));
            now = decisions.deadline().unwrap();
            decisions.handle(Input::Time, now, 1.0);
            assert!(drain(&mut decisions).contains(&Output::Connect(connection + 1)));
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        decisions.handle(lost(10, FaultKind::Unreachable), now, 0.0);
        assert_eq!(pause(&drain(&mut decisions)), 15_000);
    }

    #[test]
    fn a_connection_that_lasted_makes_pauses_short_again_and_one_that_flaps_does_not() {
        let mut decisions = started();
        let mut now = Duration::ZERO;
        // The last one lasted: the next attempt is a first one again.
        for (connection, lasts, expected) in [(1, 1, 500), (2, 9, 1000), (3, 1, 2000), (4, 10, 500)] {
            decisions.handle(flow(connection, now), now, 1.0);
            drain(&mut decisions);
            now += S * lasts;
            decisions.handle(lost(connection, FaultKind::Broken), now, 1.0);
            assert_eq!(pause(&drain(&mut decisions)), expected, "{connection}");
            now = decisions.deadline().unwrap();
            decisions.handle(Input::Time, now, 1.0);
        }
    }

    #[test]
    fn what_stays_wrong_is_not_tried_again_unless_it_has_worked_before() {
        for kind in [FaultKind::Unauthorized, FaultKind::NotFound, FaultKind::NoAudio, FaultKind::Unsupported] {
            let mut decisions = started();
            decisions.handle(lost(1, kind), S, 0.5);
            assert_eq!(drain(&mut decisions), [Output::Disconnect, Output::Tell(Status::Failed(fault(kind)))]);
            assert!(decisions.is_over() && decisions.deadline().is_none());

            let mut decisions = started();
            decisions.handle(flow(1, S), S, 0.5);
            decisions.handle(lost(1, kind), S * 2, 0.5);
            assert!(pause(&drain(&mut decisions)) > 0, "a camera that restarts may not have its streams yet");
        }
    }

    #[test]
    fn who_does_not_insist_gives_up_when_the_first_connection_fails() {
        let mut decisions = Decisions::new(Policy { insists: false, ..Policy::default() });
        decisions.handle(Input::Start, Duration::ZERO, 0.5);
        decisions.handle(lost(1, FaultKind::Unreachable), S, 0.5);
        assert!(decisions.is_over());
    }

    #[test]
    fn silence_on_the_line_is_a_fault_and_audio_puts_it_off() {
        let mut decisions = started();
        decisions.handle(Input::Time, S * 14, 0.5);
        assert_eq!(drain(&mut decisions), [Output::Tell(Status::Connecting { attempt: 1 }); 0]);
        decisions.handle(flow(1, S * 14), S * 14, 0.5);
        assert_eq!(drain(&mut decisions), [Output::Tell(Status::Streaming)]);
        assert_eq!(decisions.deadline(), Some(S * 24));
        decisions.handle(flow(1, S * 20), S * 24, 0.5);
        decisions.handle(Input::Time, S * 24, 0.5);
        assert_eq!(decisions.deadline(), Some(S * 30));
        decisions.handle(Input::Time, S * 30, 0.5);
        let told = drain(&mut decisions);
        assert_eq!(told[0], Output::Disconnect);
        assert!(matches!(&told[1], Output::Tell(Status::Waiting { fault, .. }) if fault.kind == FaultKind::Stalled));
    }

    #[test]
    fn a_connection_without_audio_is_given_up() {
        let mut decisions = started();
        decisions.handle(Input::Time, S * 15, 0.5);
        assert!(pause(&drain(&mut decisions)) > 0);
        let mut waiting = Decisions::new(Policy { connect_timeout: None, ..Policy::default() });
        waiting.handle(Input::Start, Duration::ZERO, 0.5);
        assert_eq!(waiting.deadline(), None, "somebody who is waited for may take as long as he likes");
    }

    #[test]
    fn the_end_of_what_has_one_is_the_end() {
        let mut decisions = started();
        decisions.handle(Input::Flow { connection: 1, at: S, live: false }, S, 0.5);
        assert_eq!(decisions.deadline(), None, "it may be slowed down by whoever listens");
        drain(&mut decisions);
        decisions.handle(Input::Lost { connection: 1, fault: fault(FaultKind::Ended), live: false }, S * 9, 0.5);
        assert_eq!(drain(&mut decisions), [Output::Disconnect, Output::Tell(Status::Finished)]);
        // Beginning anew would say all of it twice.
        let mut decisions = started();
        decisions.handle(Input::Flow { connection: 1, at: S, live: false }, S, 0.5);
        decisions.handle(Input::Lost { connection: 1, fault: fault(FaultKind::Broken), live: false }, S * 9, 0.5);
        assert!(drain(&mut decisions).contains(&Output::Tell(Status::Failed(fault(FaultKind::Broken)))));
    }

    #[test]
    fn what_an_old_connection_does_is_not_heeded() {
        let mut decisions = started();
        decisions.handle(lost(1, FaultKind::Unreachable), S, 0.5);
        decisions.handle(Input::Time, S * 60, 0.5);
        drain(&mut decisions);
        decisions.handle(flow(1, S * 60), S * 60, 0.5);
        decisions.handle(lost(1, FaultKind::Broken), S * 60, 0.5);
        assert_eq!(drain(&mut decisions), []);
    }

    #[derive(Debug, Clone)]
    enum Happening {
        Passes(u64),
        Flows { old: bool },
        Breaks { old: bool, kind: usize, live: bool },
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (1_u64..40_000).prop_map(Happening::Passes),
            any::<bool>().prop_map(|old| Happening::Flows { old }),
            (any::<bool>(), 0_usize..3, any::<bool>()).prop_map(|(old, kind, live)| Happening::Breaks {
                old,
                kind,
                live
            }),
        ]
    }

    proptest! {
        /// Whatever happens: there is at most one connection, numbers rise, and unless it is over something is always due
        /// or there is a connection.
        #[test]
        fn there_is_never_more_than_one_connection_and_never_a_dead_end(
            happenings in proptest::collection::vec((happening(), 0.0..1.0_f64), 1..200),
        ) {
            let mut decisions = Decisions::new(Policy::default());
            decisions.handle(Input::Start, Duration::ZERO, 0.0);
            let (mut now, mut newest, mut connected) = (Duration::ZERO, 0, false);
            for (happening, chance) in happenings {
                let at = |old: bool| if old { newest - 1 } else { newest };
                let input = match happening {
                    Happening::Passes(ms) => {
                        now += Duration::from_millis(ms);
                        Input::Time
                    }
                    Happening::Flows { old } if newest > 0 => flow(at(old), now),
                    Happening::Breaks { old, kind, live } if newest > 0 => {
                        let kind = [FaultKind::Broken, FaultKind::Unauthorized, FaultKind::Ended][kind];
                        Input::Lost { connection: at(old), fault: fault(kind), live }
                    }
                    _ => Input::Time,
                };
                decisions.handle(input, now, chance);
                while let Some(output) = decisions.poll() {
                    match output {
                        Output::Connect(number) => {
                            prop_assert!(!connected && number == newest + 1);
                            (connected, newest) = (true, number);
                        }
                        Output::Disconnect => {
                            prop_assert!(connected);
                            connected = false;
                        }
                        Output::Tell(Status::Waiting { retry_in, .. }) => {
                            prop_assert!(retry_in >= Duration::from_millis(250) && retry_in <= S * 30);
                        }
                        Output::Tell(_) => {}
                    }
                }
                prop_assert!(decisions.is_over() || connected || decisions.deadline().is_some());
                prop_assert!(!(decisions.is_over() && connected));
            }
        }
    }
}
