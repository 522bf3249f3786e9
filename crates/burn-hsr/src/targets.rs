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
    pub(crate) fn without_autodiff(self) -> Self {
        Self {
            labels: match self.labels {
                Labels::Classes(classes) => Labels::Classes(classes.without_autodiff()),
                Labels::Values(values) => Labels::Values(values.without_autodiff()),
            },
            sample_weights: self.sample_weights.map(Tensor::without_autodiff),
        }
    }

    /// The targets of some of the rows.
    pub(crate) fn select(self, rows: &Tensor<1, Int>) -> Self {
        Self {
            labels: match self.labels {
                Labels::Classes(classes) => Labels::Classes(classes.select(0, rows.clone())),
                Labels::Values(values) => Labels::Values(values.select(0, rows.clone())),
            },
            sample_weights: self
                .sample_weights
                .map(|weights| weights.select(0, rows.clone())),
        }
    }

    /// Class indices that are padding weigh nothing, and become class 0 so that they are in range.
    pub(crate) fn without_padding(self, pad_tokens: &[usize]) -> Self {
        let Labels::Classes(classes) = &self.labels else {
            return self;
        };
        let mask = pad_tokens
            .iter()
            .map(|&token| classes.clone().equal_elem(token as i64))
            .reduce(|mask, of_token| mask.bool_or(of_token));
        let Some(mask) = mask else {
            return self;
        };
        let weights = self
            .sample_weights
            .unwrap_or_else(|| Tensor::ones(classes.shape(), &classes.device()));
        Self {
            labels: Labels::Classes(classes.clone().mask_fill(mask.clone(), 0)),
            sample_weights: Some(weights.mask_fill(mask, 0.0)),
        }
    }

    /// 0/1 targets smoothed as Burn's binary cross-entropy smooths them: y(1 − ε) + ε/c, c the number of columns, or
    /// 2 for targets in one dimension.
    pub(crate) fn smoothed(self, smoothing: f64) -> Self {
        if smoothing == 0.0 {
            return self;
        }
        let (values, classes) = match self.labels {
            Labels::Values(values) => {
                let [_, columns] = values.dims();
                (values, columns)
            }
            Labels::Classes(classes) => {
                let [samples] = classes.dims();
                (classes.reshape([samples, 1]).float(), 2)
            }
        };
        let values = values * (1.0 - smoothing) + smoothing / classes as f64;
        Self {
            labels: Labels::Values(values),
            sample_weights: self.sample_weights,
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
