//! When to stop and where to start.

/// When to stop and where to start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LanczosOptions {
    /// The most products with the operator. As many vectors are kept.
    pub iterations: usize,
    /// Residuals below this fraction of the largest |λ| are converged.
    pub tolerance: f64,
    /// The seed of the first vector.
    pub seed: u64,
}

impl Default for LanczosOptions {
    fn default() -> Self {
        Self {
            iterations: 300,
            tolerance: 1e-10,
            seed: 0,
        }
    }
}

/// Products between two looks at the residuals.
pub(super) const CHECK: usize = 10;
