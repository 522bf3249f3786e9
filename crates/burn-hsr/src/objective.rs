//! The whole objective L + strength·λ_sup in one call: the loss, its gradient and HSR's.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use burn_penalty::{Mode, Strength};
use hsr_core::OutputLoss;

use crate::activation::softplus;
use crate::config::HsrConfig;
use crate::device::reduce;
use crate::error::HsrError;
use crate::gradient::{HsrGradient, add_to};
use crate::host::Objective;
use crate::hsr::{Hsr, refuse_tracked};
use crate::layers::Layers;
use crate::mlp::Mlp;
use crate::targets::{Labels, Targets};

/// The loss of a batch and the gradients for an optimizer, from [`Hsr::loss_gradients`].
pub struct LossGradients {
    /// L at the parameters before the step and without the penalty, \[1\]. A plain tensor, without autodiff.
    pub loss: Tensor<1>,
    /// ∇(L + strength·λ_sup) for every trainable parameter of the layers.
    pub gradients: GradientsParams,
}

impl Hsr {
    /// The gradients of L + strength·λ_sup in one call, in place of forward pass, loss, `backward` and
    /// [`inject`](Self::inject): the fastest way to a step on the CPU, where one forward pass in the closed form serves
    /// both gradients and autodiff is not needed.
    ///
    /// L is the loss of the configuration, with its smoothing, weights and padding, as Burn's own losses average it (see
    /// [`HsrConfig::for_cross_entropy`]). `model` must be nothing but its [layers](Layers), without dropout or
    /// normalisation between: that is what is differentiated, whatever its `forward` does. On the device (see
    /// [`Execution`](crate::Execution)) that forward pass goes through autodiff, and HSR is injected. Gradients agree
    /// with those of [`inject`](Self::inject) to rounding.
    ///
    /// ```
    /// use burn::optim::SgdConfig;
    /// use burn::tensor::{Device, Int, Tensor};
    /// use burn_hsr::{HsrConfig, ThreeLayerNetConfig};
    ///
    /// let device = Device::flex().autodiff();
    /// device.seed(0);
    /// let mut model = ThreeLayerNetConfig::new(4, 8, 3).init(&device);
    /// let mut optimizer = SgdConfig::new().init();
    /// let mut hsr = HsrConfig::new().with_strength(0.1).init()?;
    ///
    /// // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
    /// let x = Tensor::<2>::from_floats([
    ///     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
    ///     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
    ///     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
    /// ], &device);
    /// let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
    /// let mut losses = Vec::new();
    /// for _ in 0..100 {
    ///     let of_batch = hsr.loss_gradients(&model, x.clone(), y.clone())?;
    ///     losses.push(of_batch.loss.into_scalar::<f32>());
    ///     model = optimizer.step(0.1, model, of_batch.gradients);
    /// }
    /// assert!(losses[99] < losses[0]);
    /// # Ok::<(), burn_hsr::HsrError>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::Decoupled`] in the decoupled mode, for which there is
    /// [`loss_step`](Self::loss_step); [`HsrError::TrackedInputs`] where autodiff tracks the inputs, which would get no
    /// gradient.
    pub fn loss_gradients<M: Layers>(
        &mut self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<LossGradients, HsrError> {
        self.refuse_decoupled("Hsr::loss_gradients")?;
        refuse_tracked("Hsr::loss_gradients", &inputs)?;
        let targets = targets.into();
        if self.on_host(model, &inputs)
            && let Some((strength, schedule)) = self.strength_of_sum(model, &inputs)
        {
            let objective = match strength {
                Strength::Fixed(strength) => Objective::Sum {
                    strength: strength * schedule,
                },
                _ => Objective::Both,
            };
            let targets = self.checked(model, &inputs, targets)?;
            let found = self.on_host_gradient(objective, 1.0, model, inputs, targets)?;
            let loss = found.gradient.value.clone();
            let mut gradients = GradientsParams::new();
            add_to(model, found.gradient, &mut gradients);
            if let Some(layers) = found.measure {
                let measure = HsrGradient {
                    value: loss.clone(),
                    layers,
                    inputs: None,
                };
                let mut penalty = GradientsParams::new();
                add_to(model, measure, &mut penalty);
                gradients = self
                    .enter_gradients(model, schedule, gradients, penalty)?
                    .gradients;
            }
            self.count_step(found.estimate);
            return Ok(LossGradients { loss, gradients });
        }
        let LossGradients { loss, gradients } = self.gradients_of_loss(model, &inputs, &targets)?;
        Ok(LossGradients {
            loss,
            gradients: self.inject(model, inputs, targets, gradients)?,
        })
    }

    /// A whole training step in whatever mode, from [`loss_gradients`](Self::loss_gradients):
    /// `(model, loss) = hsr.loss_step(&mut optimizer, lr, model, x, y)?`, the loss that of the model before the step,
    /// \[1\].
    ///
    /// `lr` is a number, or the rates of parameter groups that a `ModuleLrScheduler` gives.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    /// - loss: `[1]`
    ///
    /// # Errors
    ///
    /// As [`loss_gradients`](Self::loss_gradients), but in any mode.
    pub fn loss_step<M: Layers + Module>(
        &mut self,
        optimizer: &mut ModuleOptimizer,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<(M, Tensor<1>), HsrError> {
        if self.config().mode != Mode::Decoupled {
            let LossGradients { loss, gradients } = self.loss_gradients(&model, inputs, targets)?;
            return Ok((optimizer.step(lr, model, gradients), loss));
        }
        refuse_tracked("Hsr::loss_step", &inputs)?;
        let targets = targets.into();
        let LossGradients { loss, gradients } =
            self.gradients_of_loss(&model, &inputs, &targets)?;
        let model = self.step(optimizer, lr, model, inputs, targets, gradients)?;
        Ok((model, loss))
    }

    /// L of a batch without the penalty, \[1\], for looking at: no step counts. A plain tensor, without autodiff.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    /// - output: `[1]`
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn loss<M: Layers>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<Tensor<1>, HsrError> {
        let targets = targets.into();
        self.check(model, &inputs, &targets)?;
        let network = Mlp::of(model).valid();
        let targets = targets.without_autodiff();
        Ok(loss(
            self.config(),
            network.forward(inputs.without_autodiff()),
            &targets,
        ))
    }

    /// L and ∇L.
    pub(crate) fn gradients_of_loss<M: Layers>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: &Targets,
    ) -> Result<LossGradients, HsrError> {
        let (inputs, targets) = (inputs.clone(), targets.clone());
        if self.on_host(model, &inputs) {
            let targets = self.checked(model, &inputs, targets)?;
            let found = self.on_host_gradient(Objective::Loss, 1.0, model, inputs, targets)?;
            let loss = found.gradient.value.clone();
            let mut gradients = GradientsParams::new();
            add_to(model, found.gradient, &mut gradients);
            return Ok(LossGradients { loss, gradients });
        }
        self.check(model, &inputs, &targets)?;
        // The parameters keep their identity, so that these are the gradients of the model.
        let network = Mlp::of(model);
        let loss = loss(self.config(), network.forward(inputs), &targets);
        let gradients = match loss.is_tracked() {
            true => GradientsParams::from_grads(loss.clone().backward(), &network),
            // Everything is frozen.
            false => GradientsParams::new(),
        };
        Ok(LossGradients {
            loss: loss.without_autodiff(),
            gradients,
        })
    }
}

/// L = Σ_n ω_n ℓ(o_n, y_n), \[1\], with the reduction of [`hsr_core::Batch`], as a differentiable tensor.
///
/// The plain cross-entropy of class indices is Burn's own, operation for operation.
pub(crate) fn loss(config: &HsrConfig, logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
    let targets = &config.loss.prepare(targets.clone());
    if let (true, Labels::Classes(classes)) = (is_plain(config, targets), &targets.labels) {
        let cross_entropy = CrossEntropyLossConfig::new().init(&logits.device());
        return cross_entropy.forward(logits, classes.clone());
    }
    let [_, outputs] = logits.dims();
    let like = logits.clone().without_autodiff();
    let (y, omega) = reduce(config, targets.clone(), outputs, &like);
    let output_weights = targets.output_weights.clone();
    let of_outputs = match config.loss.kind {
        OutputLoss::SoftmaxCrossEntropy => (log_softmax(logits, 1) * y).neg().sum_dim(1),
        OutputLoss::SigmoidCrossEntropy => {
            ((y.neg() + 1.0) * logits.clone() + softplus(logits.neg())).mean_dim(1)
        }
        OutputLoss::MeanSquaredError => {
            let squares = (logits - y).square();
            match output_weights {
                Some(weights) => squares * weights.without_autodiff().cast(like.dtype()),
                None => squares,
            }
            .mean_dim(1)
        }
    };
    (of_outputs * omega).sum()
}

fn is_plain(config: &HsrConfig, targets: &Targets) -> bool {
    config.loss.kind == OutputLoss::SoftmaxCrossEntropy
        && config.loss.softmax_smoothing() == 0.0
        && config.loss.class_weights.is_none()
        && targets.sample_weights.is_none()
}
