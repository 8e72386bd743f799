//! Many elements at the speed of a microphone, fed by one thread: signals in, what each element said out.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e_tests::rss::CpuTime;

use crate::driver::{Driver, Kind, Said};
use crate::outcome::Outcome;
use crate::threads::{cpu_of_threads, ThreadTimes};
use crate::voices::{Utterance, Voice};

/// How exactly packets are pushed when they are due.
const TICK: Duration = Duration::from_millis(5);
/// How often is looked at what came.
const LOOK: Duration = Duration::from_millis(250);
/// So long behind the end of the audio the rest of the text may come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Elements that run, and what they said so far.
pub(crate) struct Crowd {
    /// The elements.
    pub(crate) drivers: Vec<Driver>,
    /// What each said.
    pub(crate) said: Vec<Vec<Said>>,
}

/// What a crowd cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// From the first packet to the end.
    pub(crate) wall: f64,
    /// CPU seconds of the whole process.
    pub(crate) cpu: f64,
    /// Those of some threads.
    pub(crate) threads: ThreadTimes,
    /// Whether all signals were played and all text is there.
    pub(crate) finished: bool,
}

impl Crowd {
    /// Starts so many elements with these properties.
    pub(crate) fn start(count: usize, properties: &[(&str, &str)]) -> Result<Self> {
        let drivers = (0..count).map(|_| Driver::start(properties, true)).collect::<Result<Vec<_>>>()?;
        Ok(Self { said: vec![Vec::new(); drivers.len()], drivers })
    }

    /// Plays a signal to each element, until all is said or `hopeless` says that there is no need to go on.
    pub(crate) fn play(&mut self, signals: &[&[f32]], hopeless: impl Fn(&Self) -> bool) -> Result<Cost> {
        let (wall, cpu, threads) = (Instant::now(), CpuTime::own(), cpu_of_threads()?);
        let mut feeding = vec![true; self.drivers.len()];
        let (mut tick, mut look) = (wall, wall);
        let mut last_packet = None;
        let finished = loop {
            for ((driver, signal), feeding) in self.drivers.iter_mut().zip(signals).zip(&mut feeding) {
                if *feeding && !driver.feed(signal)? {
                    *feeding = false;
                    driver.end();
                }
            }
            if feeding.iter().all(|feeding| !feeding) {
                last_packet.get_or_insert_with(Instant::now);
            }
            if look.elapsed() >= LOOK {
                look = Instant::now();
                self.listen();
                if hopeless(self) {
                    break false;
                }
                if let Some(last_packet) = last_packet {
                    if self.drivers.iter().map(Driver::ended).collect::<Result<Vec<_>>>()?.iter().all(|ended| *ended) {
                        break true;
                    }
                    if last_packet.elapsed() > PATIENCE {
                        break false;
                    }
                }
            }
            tick += TICK;
            std::thread::sleep(tick.saturating_duration_since(Instant::now()));
        };
        self.listen();
        let after = cpu_of_threads()?;
        Ok(Cost {
            wall: wall.elapsed().as_secs_f64(),
            cpu: CpuTime::own().since(&cpu).own.as_secs_f64(),
            threads: after.since(&threads),
            finished,
        })
    }

    /// For each voice the moments at which its utterances had their text, in seconds since its start: those of the last
    /// final that has part in the utterance.
    pub(crate) fn settled(&self, voices: &[Voice]) -> Vec<Vec<Option<f64>>> {
        let heard = self.drivers.iter().zip(&self.said).zip(voices);
        heard
            .map(|((driver, said), voice)| {
                let of = |u: &Utterance| {
                    let said = said.iter().rfind(|s| s.kind == Kind::Final && s.start < u.end && s.end > u.start)?;
                    Some((said.at - driver.started()).as_secs_f64())
                };
                voice.utterances.iter().map(of).collect()
            })
            .collect()
    }

    /// What the elements made of the voices. `partials`: the interval that was asked for.
    pub(crate) fn outcome(&self, voices: &[Voice], partials: Option<f64>, cost: &Cost) -> Outcome {
        let of_kind = |said: &[Said], kind| -> Vec<String> {
            said.iter().filter(|said| said.kind == kind).map(|said| said.text.clone()).collect()
        };
        let texts: Vec<String> = self.said.iter().map(|said| of_kind(said, Kind::Final).join(" ")).collect();
        Outcome {
            partials: self.said.iter().map(|said| of_kind(said, Kind::Partial).len() as u64).sum(),
            asked: partials.map_or(0, |interval| voices.iter().map(|voice| voice.partials(interval)).sum()),
            cpu: cost.cpu,
            wall: cost.wall,
            finished: cost.finished,
            ..Outcome::new(voices, &self.settled(voices), &texts)
        }
    }

    /// A counter of the first element's, which may be that of the process.
    pub(crate) fn stat(&self, name: &str) -> Result<f64> {
        let stats = self.drivers.first().context("there are no elements")?.stats();
        Ok(stats.get::<f64>(name).or_else(|_| stats.get::<u64>(name).map(|count| count as f64))?)
    }

    fn listen(&mut self) {
        for (driver, said) in self.drivers.iter().zip(&mut self.said) {
            said.extend(driver.take());
        }
    }
}
