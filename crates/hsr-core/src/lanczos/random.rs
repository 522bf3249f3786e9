//! The vectors that an iteration starts from.

use crate::lanczos::vectors::orthogonalize;
use crate::numeric::norm::normalize;

/// Normal numbers for a first vector, the same on every platform: SplitMix64 (G. L. Steele et al., OOPSLA 2014) and
/// the transform of Box and Muller. A dependency for a direction that need only not be special would be too much.
#[derive(Clone, Debug)]
pub(super) struct Normal {
    state: u64,
}

impl Normal {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((z >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn sample(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(self.uniform())).sqrt();
        radius * libm::cos(2.0 * core::f64::consts::PI * self.uniform())
    }

    /// A unit vector orthogonal to those of `bases`.
    pub(super) fn unit(&mut self, size: usize, bases: [&[Vec<f64>]; 2]) -> Vec<f64> {
        let mut vector: Vec<f64> = (0..size).map(|_| self.sample()).collect();
        for _ in 0..2 {
            bases
                .iter()
                .for_each(|basis| orthogonalize(&mut vector, basis));
        }
        normalize(&mut vector);
        vector
    }
}
