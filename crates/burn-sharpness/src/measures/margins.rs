//! By how much samples are classified correctly.

use hsr_core::{Batch, OutputLoss, Targets};
use serde::Serialize;

use super::logits::weights;
use crate::error::SharpnessError;

/// The margins of a batch: how far a sample's logits are from another decision, negative where it is wrong.
///
/// Softmax with class labels: the logit of the right class minus the largest other one. Sigmoid with labels 0 and 1: the
/// smallest (2y − 1)o over the outputs. Others have none: soft labels, numbers, a softmax of one class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Margins {
    /// The mean, weighted by the sample weights.
    pub mean: f64,
    /// The smallest; of samples that weigh anything.
    pub min: f64,
}

/// The margin of the n-th sample, from its logits.
type OfSample<'a> = Box<dyn Fn(usize, &[f64]) -> Option<f64> + 'a>;

impl Margins {
    /// The margins of `logits`, N × K row-major; none where the loss or the labels have no margin.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where logits and batch do not fit each other, [`SharpnessError::Option`] for no outputs.
    pub fn of(
        batch: &Batch<f64>,
        logits: &[f64],
        outputs: usize,
    ) -> Result<Option<Self>, SharpnessError> {
        let weights = weights(batch, logits, outputs)?;
        let (targets, labels) = match batch.targets() {
            targets @ Targets::Classes(classes) => (targets, classes.len()),
            targets @ Targets::Values(values) => (targets, values.len() / outputs),
        };
        if labels != weights.len() {
            return Err(SharpnessError::Length {
                what: "the labels",
                got: labels,
                expected: weights.len(),
            });
        }
        let margin: OfSample = match (batch.loss(), targets) {
            (OutputLoss::SoftmaxCrossEntropy, Targets::Classes(classes)) if outputs > 1 => {
                Box::new(|n, logits| of_class(logits, *classes.get(n)?))
            }
            (OutputLoss::SigmoidCrossEntropy, Targets::Classes(classes)) => {
                Box::new(move |n, logits| {
                    // One output tells two classes apart; of several, the class is the one that is 1.
                    let class = *classes.get(n)?;
                    let label = |k: usize| if outputs == 1 { class == 1 } else { k == class };
                    smallest(
                        logits
                            .iter()
                            .enumerate()
                            .map(|(k, &o)| if label(k) { o } else { -o }),
                    )
                })
            }
            (OutputLoss::SigmoidCrossEntropy, Targets::Values(values))
                if values.iter().all(|&y| y == 0.0 || y == 1.0) =>
            {
                Box::new(move |n, logits| {
                    let labels = values.get(n * outputs..)?;
                    smallest(logits.iter().zip(labels).map(|(o, y)| (2.0 * y - 1.0) * o))
                })
            }
            _ => return Ok(None),
        };
        let (mut sum, mut total, mut min) = (0.0, 0.0, f64::INFINITY);
        for (n, (logits, weight)) in logits.chunks_exact(outputs).zip(weights).enumerate() {
            if weight > 0.0 {
                let Some(margin) = margin(n, logits) else {
                    return Ok(None);
                };
                sum += weight * margin;
                total += weight;
                min = min.min(margin);
            }
        }
        Ok((total > 0.0).then(|| Self {
            mean: sum / total,
            min,
        }))
    }
}

fn of_class(logits: &[f64], class: usize) -> Option<f64> {
    let others = logits.iter().enumerate().filter(|(k, _)| *k != class);
    let best = others.map(|(_, &o)| o).fold(f64::NEG_INFINITY, f64::max);
    Some(logits.get(class)? - best)
}

fn smallest(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::min)
}
