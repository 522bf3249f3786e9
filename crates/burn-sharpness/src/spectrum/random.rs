//! Seeded probes.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// ChaCha8, whose output is the same on every platform; a stream for each probe, so that more probes of the same seed
/// begin with the same ones.
pub(crate) fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

/// Signs, each +1 or −1 with probability ½.
pub(crate) fn rademacher(size: usize, generator: &mut impl Rng) -> Vec<f64> {
    let sign = |bit: bool| if bit { 1.0 } else { -1.0 };
    (0..size).map(|_| sign(generator.random())).collect()
}

/// Independent normal numbers: a direction that prefers none.
pub(super) fn normal(size: usize, generator: &mut impl Rng) -> Vec<f64> {
    (0..size)
        .map(|_| generator.sample(StandardNormal))
        .collect()
}
