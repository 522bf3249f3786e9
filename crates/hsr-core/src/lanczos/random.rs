//! The vectors that an iteration starts from.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::lanczos::vectors::orthogonalize;
use crate::numeric::norm::normalize;

/// A random unit vector, of a direction that prefers none among those orthogonal to `bases`.
pub(super) fn unit(random: &mut ChaCha8Rng, size: usize, bases: [&[Vec<f64>]; 2]) -> Vec<f64> {
    let mut vector: Vec<f64> = (0..size).map(|_| random.sample(StandardNormal)).collect();
    for _ in 0..2 {
        bases
            .iter()
            .for_each(|basis| orthogonalize(&mut vector, basis));
    }
    normalize(&mut vector);
    vector
}
