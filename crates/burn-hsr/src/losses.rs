//! The loss that is regularised.

use burn::config::Config;
use hsr_core::OutputLoss;

use crate::error::HsrError;
use crate::targets::Targets;

/// The loss of an [`HsrConfig`](crate::HsrConfig). A kind alone is one: `OutputLoss::MeanSquaredError.into()`.
#[derive(Config, Debug, PartialEq)]
pub struct HsrLossConfig {
    /// Which loss.
    #[config(default = "OutputLoss::SoftmaxCrossEntropy")]
    pub kind: OutputLoss,
    /// Label smoothing ε of the cross-entropies. For the sigmoid one as in Burn: y(1 − ε) + ε/K, for targets \[N\] with
    /// 2 in place of K.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// Class weights of the softmax cross-entropy, \[K\].
    pub class_weights: Option<Vec<f64>>,
    /// Class indices that are padding: samples so labelled count as absent.
    pub pad_tokens: Option<Vec<usize>>,
}

impl From<OutputLoss> for HsrLossConfig {
    fn from(kind: OutputLoss) -> Self {
        Self::new().with_kind(kind)
    }
}

impl HsrLossConfig {
    /// Refuses settings that no loss can have.
    pub(crate) fn check(&self) -> Result<(), HsrError> {
        let refuse = |option, value, expected| {
            Err(HsrError::Config {
                option,
                value,
                expected,
            })
        };
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return refuse("label_smoothing", self.label_smoothing, "a number in 0…1");
        }
        for &weight in self.class_weights.iter().flatten() {
            if !weight.is_finite() || weight < 0.0 {
                return refuse("a class weight", weight, "a finite number, 0 or more");
            }
        }
        Ok(())
    }

    /// The targets with padding, and the smoothing that acts on them, applied.
    pub(crate) fn prepare(&self, targets: Targets) -> Targets {
        let mut targets = targets;
        if let Some(pad_tokens) = &self.pad_tokens {
            targets = targets.without_padding(pad_tokens);
        }
        if self.kind == OutputLoss::SigmoidCrossEntropy {
            targets = targets.smoothed(self.label_smoothing);
        }
        targets
    }

    /// The smoothing that is left to the closed form; that of the sigmoid cross-entropy acts on its targets.
    pub(crate) fn softmax_smoothing(&self) -> f64 {
        match self.kind {
            OutputLoss::SigmoidCrossEntropy => 0.0,
            _ => self.label_smoothing,
        }
    }
}
