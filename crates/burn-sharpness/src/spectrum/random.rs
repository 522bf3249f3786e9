//! Seeded probes.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

/// Signs, each +1 or −1 with probability ½.
pub(super) fn rademacher(size: usize, generator: &mut impl Rng) -> Vec<f64> {
    let sign = |bit: bool| if bit { 1.0 } else { -1.0 };
    (0..size).map(|_| sign(generator.random())).collect()
}

/// Independent normal numbers: a direction that prefers none.
pub(super) fn normal(size: usize, generator: &mut impl Rng) -> Vec<f64> {
    (0..size)
        .map(|_| generator.sample(StandardNormal))
        .collect()
}
