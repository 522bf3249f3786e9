//! Seeded streams of random numbers, one a purpose.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the random numbers are for. One seed gives every purpose a stream of its own: without that, the draws that
/// make the samples would also decide which of them are split off.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// Drawing the samples of a synthetic task.
    Samples = 1,
    /// Splitting into train and test.
    Split = 2,
    /// The parameters a network starts from.
    Parameters = 3,
    /// The order of the samples in an epoch; the epoch is added to the seed's stream.
    Shuffle = 4,
    /// Which labels are made wrong, and how.
    LabelNoise = 5,
    /// Which part of the training split is used.
    Subset = 6,
    /// Splitting the training split into what is trained on and what is held back to choose by.
    Validation = 7,
    /// Which part of a split curvature is computed from, where that is not all of it.
    Curvature = 8,
}

/// The generator of a purpose at one epoch, so that a resumed run shuffles as an uninterrupted one.
pub(crate) fn generator_at(seed: u64, stream: Stream, epoch: usize) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(((epoch as u64 + 1) << 8) | stream as u64);
    generator
}

/// The generator of a purpose: ChaCha8, whose output is the same on every platform.
pub(crate) fn generator(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream as u64);
    generator
}

/// Fresh parameters of layers, of each its inputs n and the number of its parameters: U(−1/√n, 1/√n), as Burn's layers have
/// by default. Drawn on the host, so that every backend starts from the same network; representable in f32.
pub(crate) fn parameters(seed: u64, layers: impl Iterator<Item = (usize, usize)>) -> Vec<f64> {
    let mut random = generator(seed, Stream::Parameters);
    let mut theta = Vec::new();
    for (inputs, count) in layers {
        let bound = 1.0 / (inputs as f64).sqrt();
        theta.extend((0..count).map(|_| {
            let value: f64 = random.random_range(-bound..bound);
            f64::from(value as f32)
        }));
    }
    theta
}
