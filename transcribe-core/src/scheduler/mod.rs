//! The scheduler: jobs of all streams in, batches for one engine out. One per loaded model.
//!
//! [`plan`] decides and has no clock: whose job is next ([`decide`]), on how many cores ([`cores`]), how rare partials
//! have to be ([`pace`]). [`run`] is the thin shell that owns the workers.

pub mod cores;
pub mod decide;
pub mod pace;
pub mod plan;
pub mod run;
mod stats;

pub use stats::{Spread, Stats};

#[cfg(test)]
mod simulation;
