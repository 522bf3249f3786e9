//! What a loss reads and writes of a batch at the outputs; and the scale σ that both r and S are divided by (theory §5).

use crate::numeric::lanes::flushed;
use crate::numeric::scalar::Scalar;

/// The rows of a batch at the outputs: K of `stride` samples each where nothing else is said.
pub(crate) struct Residuals<'a, T> {
    pub stride: usize,
    pub outputs: usize,
    /// Logits o, labels y.
    pub o: &'a [T],
    pub y: &'a [T],
    /// ω, one row.
    pub omega: &'a [T],
    /// Weights of the outputs in the squared error; empty where all are 1.
    pub output_weights: &'a [T],
    /// To be written: the probabilities, not by the squared error.
    pub p: &'a mut [T],
    /// Softmax alone: 1 at the class of the largest logit, else 0. S·1 = 0 allows measuring against that class, which keeps
    /// S exact to rounding where p is almost one-hot.
    pub top: &'a mut [T],
    /// r and the diagonal of S, with ω.
    pub r: &'a mut [T],
    pub s_diagonal: &'a mut [T],
    /// Losses without ω, one row.
    pub losses: &'a mut [T],
    /// Softmax: the largest logit, its class, and the sum of the other exponentials, one row each.
    pub rows: [&'a mut [T]; 3],
}

/// max(|S|, |r|).
#[inline(always)]
pub(crate) fn largest<T: Scalar>(r: &[T], s_diagonal: &[T]) -> T {
    let largest = |values: &[T]| values.iter().fold(T::zero(), |max, v| max.max(v.abs()));
    largest(r).max(largest(s_diagonal))
}

/// Divides r, S and ω by σ = max(|S|, |r|), so that squares of a vanishing loss do not underflow. Gives what they were
/// divided by: σ, or 1 where that is 0 or its reciprocal infinite; such a Hessian is 0 for every purpose, and then r, S
/// and ω are.
#[inline(always)]
pub(crate) fn divide<T: Scalar>(sigma: T, r: &mut [T], s_diagonal: &mut [T], omega: &mut [T]) -> T {
    let inverse = T::one() / sigma;
    if sigma == T::zero() || !inverse.is_finite() {
        r.fill(T::zero());
        s_diagonal.fill(T::zero());
        omega.fill(T::zero());
        return T::one();
    }
    for values in [r, s_diagonal] {
        for value in values {
            *value = flushed(*value * inverse);
        }
    }
    for omega in omega {
        *omega *= inverse;
    }
    sigma
}
