//! A loss at many points, one after the other.

use core::fmt::Display;
use core::ops::ControlFlow;

use burn::tensor::Tensor;

use crate::error::SharpnessError;

/// How far an evaluation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Points done.
    pub done: usize,
    /// Points in all.
    pub total: usize,
}

/// The loss at each point, in order. The observer is told after every point and may stop it.
pub(super) fn evaluate<P>(
    points: &[P],
    mut loss: impl FnMut(&P) -> Result<f64, SharpnessError>,
    mut observe: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Vec<f64>, SharpnessError> {
    let total = points.len();
    let mut losses = Vec::with_capacity(total);
    for point in points {
        losses.push(loss(point)?);
        let done = losses.len();
        if observe(Progress { done, total }).is_break() && done < total {
            return Err(SharpnessError::Stopped { done, total });
        }
    }
    Ok(losses)
}

/// Σ w ℓ / Σ w over batches whose mean losses are ℓ and whose weights, their numbers of samples, are w.
pub(super) fn mean_loss<M, B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
    model: &M,
    batches: &mut impl FnMut() -> I,
    loss: &mut impl FnMut(&M, B) -> (Tensor<1>, f64),
) -> Result<f64, SharpnessError> {
    let (mut sum, mut total) = (0.0, 0.0);
    for batch in batches() {
        let (loss, weight) = loss(model, batch.map_err(SharpnessError::batch)?);
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(SharpnessError::Option {
                option: "the weight of a batch",
                value: weight,
                expected: "a number, 0 or more",
            });
        }
        // 0·∞ is no number: what does not count does not count.
        if weight > 0.0 {
            sum += weight * value_of(loss)?;
            total += weight;
        }
    }
    if total == 0.0 {
        return Err(SharpnessError::Option {
            option: "the sum of the batches' weights",
            value: total,
            expected: "a positive number",
        });
    }
    Ok(sum / total)
}

/// The number in a tensor, or the sum of its numbers.
pub(crate) fn value_of(loss: Tensor<1>) -> Result<f64, SharpnessError> {
    let values = loss.inner().try_into_vec_as::<f64>();
    let values = values.map_err(|error| SharpnessError::Read {
        what: "the loss",
        message: error.to_string(),
    })?;
    Ok(values.iter().sum())
}
