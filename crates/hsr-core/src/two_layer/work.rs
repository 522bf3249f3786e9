//! What an evaluation has to do, counted.

use core::ops::AddAssign;

/// What an evaluation of ‖H‖² with its gradient does between the forward pass and the pullback, by block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlannedWork {
    /// H22 (output layer, output layer).
    pub output: Work,
    /// H11 (hidden, hidden).
    pub hidden: Work,
    /// H21 (output, hidden).
    pub cross: Work,
    /// What blocks share: inner products over pairs of samples.
    pub shared: Work,
}

impl PlannedWork {
    /// The sum over all blocks.
    pub fn total(&self) -> Work {
        let mut total = self.output;
        total += self.hidden;
        total += self.cross;
        total += self.shared;
        total
    }
}

/// Operations by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Multiply-adds in matrix products.
    pub products: f64,
    /// Multiply-adds in the kernels of small sizes, whose sums stay in registers.
    pub kernels: f64,
    /// Multiply-adds in loops over lanes of samples of any size: M and its contraction.
    pub lanes: f64,
    /// Values read or written: operands of matrix products, and what elementwise loops go through.
    pub values: f64,
    /// Matrix products begun.
    pub calls: f64,
}

impl Work {
    /// A matrix product of m × k by k × n values, done in `tiles` parts of n (or of k), so that what is not divided,
    /// `whole` values, is gone through for each: out of the cache, at a quarter of the cost.
    pub(super) fn product(m: f64, k: f64, n: f64, tiles: f64, whole: f64) -> Self {
        Self {
            products: m * k * n,
            values: m * k + k * n + m * n + 0.25 * (tiles - 1.0) * whole,
            calls: tiles,
            ..Self::default()
        }
    }

    pub(super) fn lanes(lanes: f64) -> Self {
        Self {
            lanes,
            ..Self::default()
        }
    }

    pub(super) fn kernels(kernels: f64) -> Self {
        Self {
            kernels,
            ..Self::default()
        }
    }

    pub(super) fn values(values: f64) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// What it costs, in multiply-adds of a large matrix product. The bench `cost_model` measures what each kind costs
    /// beside that (`HSR_BENCH=fit`).
    pub fn cost(&self) -> f64 {
        let Self {
            products,
            kernels,
            lanes,
            values,
            calls,
        } = *self;
        products + KERNELS * kernels + LANES * lanes + VALUES * values + CALLS * calls
    }
}

/// Costs of one multiply-add in a kernel and in lanes, one value and one matrix product begun.
const KERNELS: f64 = 1.8;

const LANES: f64 = 6.0;

const VALUES: f64 = 6.0;

const CALLS: f64 = 800.0;

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.products += other.products;
        self.kernels += other.kernels;
        self.lanes += other.lanes;
        self.values += other.values;
        self.calls += other.calls;
    }
}
