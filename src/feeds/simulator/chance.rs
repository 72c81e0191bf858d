//! Chance: one stream of random numbers for each appliance and purpose.

use rand::{Rng, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Household,
    Pictures,
    Sensors,
}

/// The random numbers of one purpose in one appliance: they depend on nothing else.
pub(super) fn stream(seed: u64, appliance: u32, purpose: Purpose) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(appliance) * 4 + purpose as u64);
    rng
}

/// A number about 0 that is hardly ever beyond 3: the sum of four even ones, scaled to a deviation of 1.
pub(super) fn normal(rng: &mut impl Rng) -> f32 {
    let bits: u64 = rng.random();
    let sum: u32 = (0..4).map(|part| (bits >> (16 * part)) as u32 & 0xffff).sum();
    (sum as f32 / 65_536.0 - 2.0) * 1.732
}

/// One of `0..weights.len()`, each as often as its weight says; none where all are 0.
pub(super) fn pick(rng: &mut impl Rng, weights: &[u32]) -> Option<usize> {
    let total: u32 = weights.iter().sum();
    if total == 0 {
        return None;
    }
    let mut at = rng.random_range(0..total);
    weights.iter().position(|weight| {
        let here = at < *weight;
        at = at.saturating_sub(*weight);
        here
    })
}
