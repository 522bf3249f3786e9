//! Regularisers made from the configuration of Burn's losses, so that the two cannot disagree.

use burn::nn::loss::{BinaryCrossEntropyLossConfig, CrossEntropyLossConfig};
use hsr_core::OutputLoss;

use crate::config::HsrConfig;
use crate::error::HsrError;
use crate::losses::HsrLossConfig;

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
