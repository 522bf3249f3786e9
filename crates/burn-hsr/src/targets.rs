//! The targets of a batch, as a training loop has them.

use burn::tensor::{Int, Tensor};

/// Labels and, where samples or outputs do not weigh the same, their weights. Made from the tensor that the loss takes:
/// `Tensor<1, Int>` for class indices, `Tensor<2>` for soft labels, 0…1 targets or numbers, `Tensor<1>` for one number a
/// sample.
#[derive(Clone, Debug)]
pub struct Targets {
    pub(crate) labels: Labels,
    pub(crate) sample_weights: Option<Tensor<1>>,
    pub(crate) output_weights: Option<Tensor<2>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Labels {
    /// Class indices, \[N\].
    Classes(Tensor<1, Int>),
    /// Values, \[N, K\].
    Values(Tensor<2>),
}

impl Targets {
    /// Weights of the samples, non-negative: the loss is then Σ w ℓ / Σ w.
    ///
    /// # Shapes
    ///
    /// - weights: `[N]`
    pub fn with_sample_weights(mut self, weights: Tensor<1>) -> Self {
        self.sample_weights = Some(weights);
        self
    }

    /// Weights of each sample's outputs, non-negative, for the squared error: ℓ_n = (1/K) Σ_k v_nk (o_nk − y_nk)². 0 masks
    /// an output; nothing is divided by the weights.
    ///
    /// # Shapes
    ///
    /// - weights: `[N, K]`
    pub fn with_output_weights(mut self, weights: Tensor<2>) -> Self {
        self.output_weights = Some(weights);
        self
    }

    /// The targets of one output a sample, that which `gather` picks: the squared error of
    /// `logits.gather(1, chosen)` against `values`, averaged over the samples as Burn's `MseLoss` averages it. This is the
    /// loss of a deep Q-network, `chosen` being the actions.
    ///
    /// ```
    /// use burn::nn::loss::{MseLoss, Reduction};
    /// use burn::tensor::{Device, Int, Tensor};
    /// use burn_hsr::{HsrConfig, Targets, ThreeLayerNetConfig};
    ///
    /// let device = Device::flex().autodiff();
    /// // Two positions of a pole on a cart, the action taken in each and the return that followed.
    /// let states = Tensor::<2>::from_floats([[0.1, 0.2, 0.0, -0.3], [-0.2, 0.1, 0.1, 0.4]], &device);
    /// let actions = Tensor::<1, Int>::from_ints([0, 1], &device);
    /// let returns = Tensor::<1>::from_floats([1.5, 0.5], &device);
    /// let q = ThreeLayerNetConfig::new(4, 8, 2).init(&device);
    ///
    /// let chosen = q.forward(states.clone()).gather(1, actions.clone().unsqueeze_dim(1));
    /// let loss = MseLoss::new().forward(chosen, returns.clone().unsqueeze_dim(1), Reduction::Mean);
    /// let mut hsr = HsrConfig::for_mean_squared_error().init()?;
    /// let loss = loss + hsr.penalty(&q, states, Targets::gathered(actions, returns, 2))?;
    /// # loss.backward();
    /// # Ok::<(), burn_hsr::HsrError>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// - chosen: `[N]`, below `outputs`; an index beyond counts as no output at all
    /// - values: `[N]`
    pub fn gathered(chosen: Tensor<1, Int>, values: Tensor<1>, outputs: usize) -> Self {
        let [samples] = chosen.dims();
        let (device, dtype) = (values.device(), values.dtype());
        let index = Tensor::<1, Int>::arange(0..outputs as i64, &device);
        let chosen = chosen.cast(index.dtype()).reshape([samples, 1]);
        let mask = chosen.equal(index.reshape([1, outputs]));
        let mask = mask.float().cast(dtype);
        Self::from(values.unsqueeze_dim::<2>(1) * mask.clone())
            .with_output_weights(mask * outputs as f64)
    }

    /// The same targets, off the autodiff graph.
    pub(crate) fn without_autodiff(self) -> Self {
        Self {
            labels: match self.labels {
                Labels::Classes(classes) => Labels::Classes(classes.without_autodiff()),
                Labels::Values(values) => Labels::Values(values.without_autodiff()),
            },
            sample_weights: self.sample_weights.map(Tensor::without_autodiff),
            output_weights: self.output_weights.map(Tensor::without_autodiff),
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
            output_weights: self
                .output_weights
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
            output_weights: self.output_weights,
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
            output_weights: self.output_weights,
        }
    }
}

impl From<Labels> for Targets {
    fn from(labels: Labels) -> Self {
        Self {
            labels,
            sample_weights: None,
            output_weights: None,
        }
    }
}

impl From<Tensor<1, Int>> for Targets {
    fn from(classes: Tensor<1, Int>) -> Self {
        Self::from(Labels::Classes(classes))
    }
}

impl From<Tensor<2>> for Targets {
    fn from(values: Tensor<2>) -> Self {
        Self::from(Labels::Values(values))
    }
}

/// One number a sample, \[N\]: for a network with one output.
impl From<Tensor<1>> for Targets {
    fn from(values: Tensor<1>) -> Self {
        Self::from(values.unsqueeze_dim::<2>(1))
    }
}

impl From<Tensor<2, Int>> for Targets {
    fn from(values: Tensor<2, Int>) -> Self {
        Self::from(values.float())
    }
}
