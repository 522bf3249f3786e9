//! The scale of the logits, and the network without it.

use hsr_core::{Batch, Network, OutputLoss};

use crate::error::SharpnessError;

/// The scale of the logits of a batch, N × K row-major: √(Σ_n w_n Σ_k (o_nk − ō_n)² / (K Σ_n w_n)), with w the sample
/// weights, where there are any, and ō_n the mean over the classes for the softmax, which does not see a shift of all
/// logits; 0 for independent sigmoids. None where the outputs are no logits (squared error), and where all logits are 0
/// or a softmax has one output alone.
///
/// # Errors
///
/// [`SharpnessError::Length`] where logits and sample weights do not fit each other, [`SharpnessError::Option`] for no
/// outputs.
pub fn logit_scale(
    batch: &Batch<f64>,
    logits: &[f64],
    outputs: usize,
) -> Result<Option<f64>, SharpnessError> {
    let weights = weights(batch, logits, outputs)?;
    let softmax = match batch.loss() {
        OutputLoss::SoftmaxCrossEntropy => true,
        OutputLoss::SigmoidCrossEntropy => false,
        OutputLoss::MeanSquaredError => return Ok(None),
    };
    let (mut sum, mut total) = (0.0, 0.0);
    for (logits, weight) in logits.chunks_exact(outputs).zip(weights) {
        let mean = if softmax {
            logits.iter().sum::<f64>() / outputs as f64
        } else {
            0.0
        };
        let square: f64 = logits.iter().map(|o| (o - mean) * (o - mean)).sum();
        sum += weight * square / outputs as f64;
        total += weight;
    }
    let scale = (sum / total).sqrt();
    Ok((scale > 0.0 && scale.is_finite()).then_some(scale))
}

/// The weight of each sample of N × K logits.
pub(super) fn weights(
    batch: &Batch<f64>,
    logits: &[f64],
    outputs: usize,
) -> Result<Vec<f64>, SharpnessError> {
    if outputs == 0 {
        return Err(SharpnessError::Option {
            option: "outputs",
            value: 0.0,
            expected: "at least 1",
        });
    }
    let samples = logits.len() / outputs;
    let weights = batch.sample_weights();
    for (what, got, expected) in [
        ("the logits", logits.len(), samples * outputs),
        (
            "the sample weights",
            weights.map_or(samples, <[f64]>::len),
            samples,
        ),
    ] {
        if got != expected {
            return Err(SharpnessError::Length {
                what,
                got,
                expected,
            });
        }
    }
    Ok(weights.map_or_else(|| vec![1.0; samples], <[f64]>::to_vec))
}

/// A three-layer network whose output layer is divided by the [`logit_scale`] c of a batch: (W1, b1, W2/c, b2/c). Its
/// logits have scale 1, its predictions are those of the network.
///
/// Curvature is then the Hessian of the loss in the parameters of the divided network, c held fixed: what is left of it
/// when confidence, which makes every Hessian of a cross-entropy vanish, is taken out. Scaling (W2, b2) changes nothing
/// of it. Reference 2 of [`measures`](crate::measures) normalises each sample by the standard deviation of its own
/// logits instead; a scale common to the batch keeps the network a three-layer network, whose Hessian is exact, and
/// leaves the samples' confidences relative to each other as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct LogitNormalized {
    /// The scale c.
    pub scale: f64,
    /// θ of the divided network, in the order of [`Layout`](hsr_core::Layout).
    pub theta: Vec<f64>,
}

impl LogitNormalized {
    /// The network divided by the scale of its `logits`, N × K as [`Workspace::logits`](hsr_core::Workspace::logits)
    /// gives them; none where they have no scale.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where logits or sample weights do not fit the network or each other.
    pub fn of(
        network: &Network<f64>,
        batch: &Batch<f64>,
        logits: &[f64],
    ) -> Result<Option<Self>, SharpnessError> {
        let Some(scale) = logit_scale(batch, logits, network.dimensions().outputs)? else {
            return Ok(None);
        };
        let hidden = network
            .hidden_weight()
            .iter()
            .chain(network.hidden_bias())
            .copied();
        let output = network.output_weight().iter().chain(network.output_bias());
        Ok(Some(Self {
            scale,
            theta: hidden.chain(output.map(|v| v / scale)).collect(),
        }))
    }

    /// The divided network.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Core`] where `network` is not the one it was made of.
    pub fn network(&self, network: &Network<f64>) -> Result<Network<'_, f64>, SharpnessError> {
        Ok(Network::from_flat(
            network.dimensions(),
            network.activation(),
            &self.theta,
        )?)
    }
}
