//! The life of one stream: audio in pieces of any length, and between them whatever may happen to an element.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use e2e_tests::audio::{samples, seconds, Rng};

use crate::account::{finals, Account};
use crate::driver::{tiny_en, Driver};

/// What all streams did.
#[derive(Default)]
pub(crate) struct Totals {
    samples: AtomicU64,
    pub(crate) elements: AtomicU64,
    pub(crate) flushes: AtomicU64,
    pub(crate) jumps: AtomicU64,
    pub(crate) ends: AtomicU64,
    pub(crate) cycles: AtomicU64,
    pub(crate) account: Account,
}

impl Totals {
    /// Seconds of audio that were pushed.
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.samples.load(Ordering::Relaxed) as usize)
    }
}

/// One stream.
pub(crate) struct Life {
    rng: Rng,
    seconds: f64,
    piece: f64,
}

impl Life {
    /// A life whose turns depend on `seed`, for so many seconds of audio; something happens after at most `piece`.
    pub(crate) fn new(seed: u64, seconds: f64, piece: f64) -> Self {
        Self { rng: Rng::new(seed), seconds, piece }
    }

    /// Lives it.
    pub(crate) fn live(mut self, signal: &[f32], totals: &Totals) -> Result<()> {
        let end = samples(self.seconds);
        let mut pushed = 0;
        while pushed < end {
            pushed += self.element(signal, end - pushed, totals)?;
        }
        Ok(())
    }

    /// One element from NULL to NULL, with several sessions; gives the samples that it took.
    fn element(&mut self, signal: &[f32], most: usize, totals: &Totals) -> Result<usize> {
        let model = tiny_en();
        let partials = ["none", "interval", "local-agreement"][self.rng.below(3)];
        let properties = [("model", &*model.to_string_lossy()), ("language", "en"), ("partials", partials)];
        let mut driver = Driver::start(&properties, false)?;
        count(&totals.elements);
        let mut pushed = 0;
        let mut place = self.rng.below(signal.len());
        let (mut received, mut last) = (0, None);
        let pieces = 4 + self.rng.below(12);
        for piece in 1..=pieces {
            let length =
                samples(2.0 + (self.piece - 2.0) * self.rng.unit()).min(signal.len() - place).min(most - pushed);
            let packet = [16, 160, 320, 1024, 1601, 16_000][self.rng.below(6)];
            driver.push(&signal[place..place + length], packet)?;
            place = (place + length) % signal.len();
            pushed += length;
            totals.samples.fetch_add(length as u64, Ordering::Relaxed);
            received += finals(&driver, &mut last)?;
            if pushed == most || piece == pieces {
                break;
            }
            match self.rng.below(6) {
                0 => {
                    // Time for some of it to be on its way through the engine.
                    std::thread::sleep(Duration::from_secs_f64(self.rng.unit()));
                    driver.flush();
                    count(&totals.flushes);
                }
                1 => {
                    driver.jump(0.02 + 5.0 * self.rng.unit().powi(2));
                    count(&totals.jumps);
                }
                2 => {
                    self.end(&mut driver, &mut received, &mut last, totals)?;
                    (received, last) = (0, None);
                    driver.cycle()?;
                    count(&totals.cycles);
                }
                3 => {
                    // In the middle of everything: what is pending is lost, as it should be.
                    driver.cycle()?;
                    driver.take();
                    (received, last) = (0, None);
                    count(&totals.cycles);
                }
                _ => {}
            }
        }
        self.end(&mut driver, &mut received, &mut last, totals)?;
        Ok(pushed)
    }

    fn end(&self, driver: &mut Driver, received: &mut u64, last: &mut Option<u64>, totals: &Totals) -> Result<()> {
        driver.drain()?;
        count(&totals.ends);
        *received += finals(driver, last)?;
        totals.account.close(driver, *received)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
