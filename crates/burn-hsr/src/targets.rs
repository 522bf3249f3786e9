//! The targets of a batch, as a training loop has them.

use burn::tensor::{Int, Tensor};

/// Labels and, where samples do not weigh the same, their weights. Made from the tensor that the loss takes:
/// `Tensor<1, Int>` for class indices, `Tensor<2>` for soft labels, 0…1 targets or numbers.
#[derive(Clone, Debug)]
pub struct Targets {
    pub(crate) labels: Labels,
    pub(crate) sample_weights: Option<Tensor<1>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Labels {
    /// Class indices, \[N\].
    Classes(Tensor<1, Int>),
    /// Values, \[N, K\].
    Values(Tensor<2>),
}

impl Targets {
    /// Weights of the samples, \[N\], non-negative: the loss is then Σ w ℓ / Σ w.
    pub fn with_sample_weights(mut self, weights: Tensor<1>) -> Self {
        self.sample_weights = Some(weights);
        self
    }

    /// The same targets, off the autodiff graph.
    #[cfg(feature = "train")]
    pub(crate) fn without_autodiff(self) -> Self {
        Self {
            labels: match self.labels {
                Labels::Classes(classes) => Labels::Classes(classes.without_autodiff()),
                Labels::Values(values) => Labels::Values(values.without_autodiff()),
            },
            sample_weights: self.sample_weights.map(Tensor::without_autodiff),
        }
    }
}

impl From<Tensor<1, Int>> for Targets {
    fn from(classes: Tensor<1, Int>) -> Self {
        Self {
            labels: Labels::Classes(classes),
            sample_weights: None,
        }
    }
}

impl From<Tensor<2>> for Targets {
    fn from(values: Tensor<2>) -> Self {
        Self {
            labels: Labels::Values(values),
            sample_weights: None,
        }
    }
}

impl From<Tensor<2, Int>> for Targets {
    fn from(values: Tensor<2, Int>) -> Self {
        Self::from(values.float())
    }
}
