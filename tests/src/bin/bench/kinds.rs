//! Speech of all kinds: a seed in, the same words clean, without pauses and spoilt in several ways out.

use e2e_tests::audio::{babble, music, pink_noise, Room};
use e2e_tests::clips::{all, Composition};

/// Names of the kinds, in order.
pub(crate) const KINDS: [&str; 7] =
    ["clean", "unbroken", "telephone", "room", "pink 10 dB", "babble 10 dB", "music 10 dB"];

/// A signal of each kind; the seed decides what noise and room are like, and is of no account for the others.
pub(crate) fn kinds(seed: u64) -> Vec<Composition> {
    let clean = Composition::long();
    let recordings: Vec<&[f32]> = all().iter().map(|clip| clip.samples.as_slice()).collect();
    let noisy = |noise: &[f32]| clean.clone().with_noise(noise, 10.0);
    vec![
        clean.clone(),
        Composition::unbroken(60.0),
        clean.clone().through_telephone(),
        clean.clone().in_room(&Room::new(0.5, seed)),
        noisy(&pink_noise(-30.0, 60.0, seed)),
        noisy(&babble(&recordings, 6, -25.0, 60.0, seed)),
        noisy(&music(-25.0, 60.0, seed)),
    ]
}
