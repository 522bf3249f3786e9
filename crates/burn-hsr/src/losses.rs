//! The loss that is regularised, and regularisers made from the configuration of Burn's, so that the two cannot disagree.

use burn::config::Config;
use burn::nn::loss::{BinaryCrossEntropyLossConfig, CrossEntropyLossConfig};
use hsr_core::OutputLoss;

use crate::config::HsrConfig;
use crate::error::HsrError;
use crate::targets::Targets;

/// The loss of an [`HsrConfig`]. A kind alone is one: `OutputLoss::MeanSquaredError.into()`.
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

impl HsrConfig {
    /// The regulariser of Burn's cross-entropy loss, with its label smoothing, class weights and pad tokens.
    ///
    /// ```
    /// use burn::nn::loss::CrossEntropyLossConfig;
    /// use burn_hsr::HsrConfig;
    ///
    /// let loss = CrossEntropyLossConfig::new().with_smoothing(Some(0.1));
    /// let hsr = HsrConfig::for_cross_entropy(&loss)?.with_strength(0.05).init()?;
    /// # Ok::<(), burn_hsr::HsrError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HsrError::Loss`] where the loss takes probabilities: the model then ends in a softmax, and its Hessian is
    /// another.
    pub fn for_cross_entropy(loss: &CrossEntropyLossConfig) -> Result<Self, HsrError> {
        if !loss.logits {
            return Err(HsrError::Loss {
                loss: "the cross-entropy",
                option: "probabilities as input (logits = false)",
                expected: "let the model give logits and set logits = true",
            });
        }
        let widened = |weights: &Vec<f32>| weights.iter().map(|&w| f64::from(w)).collect();
        let loss = HsrLossConfig::new()
            .with_label_smoothing(loss.smoothing.map_or(0.0, f64::from))
            .with_class_weights(loss.weights.as_ref().map(widened))
            .with_pad_tokens(loss.pad_tokens.clone());
        Ok(Self::new().with_loss(loss))
    }

    /// The regulariser of Burn's binary cross-entropy loss with logits, with its label smoothing.
    ///
    /// # Errors
    ///
    /// [`HsrError::Loss`] where the loss takes probabilities, which is its default in Burn, and where it has weights:
    /// its mean is not divided by them, and the closed form's is.
    pub fn for_binary_cross_entropy(loss: &BinaryCrossEntropyLossConfig) -> Result<Self, HsrError> {
        let refuse = |option, expected| {
            Err(HsrError::Loss {
                loss: "the binary cross-entropy",
                option,
                expected,
            })
        };
        if !loss.logits {
            return refuse(
                "probabilities as input (logits = false)",
                "let the model give logits and set logits = true",
            );
        }
        if loss.weights.is_some() {
            return refuse("weights", "train without them");
        }
        let loss = HsrLossConfig::from(OutputLoss::SigmoidCrossEntropy)
            .with_label_smoothing(loss.smoothing.map_or(0.0, f64::from));
        Ok(Self::new().with_loss(loss))
    }

    /// The regulariser of Burn's `MseLoss` with its mean over samples and outputs (`Reduction::Mean` or `Auto`).
    pub fn for_mean_squared_error() -> Self {
        Self::new().with_loss(OutputLoss::MeanSquaredError.into())
    }
}
