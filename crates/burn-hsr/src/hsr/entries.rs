//! The ways of HSR into a training step.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use burn_penalty::{Entered, Mode, Number};

use super::Hsr;
use super::checks::refuse_tracked;
use super::due::Due;
use super::surrogate::Surrogate;
use crate::error::HsrError;
use crate::gradient::{HsrGradient, LayerGradient, add_to, for_each_parameter, linears};
use crate::head::HeadTerm;
use crate::layers::Layers;
use crate::targets::Targets;

impl Hsr {
    /// strength·λ_sup as a term of the loss, \[1\]: `loss + hsr.penalty(&model, x, y)?`.
    ///
    /// Its backward pass gives every trainable parameter the closed-form gradient, and `inputs` theirs where autodiff
    /// tracks them, so that HSR regularises the head of a deeper model, one `Linear` or more. In the mode
    /// [`Direction`](Mode::Direction) the value is the same and the gradient normalised.
    ///
    /// A [`Strength`](crate::Strength) that depends on ‖∇L‖, as the default does, takes the ∇L of this batch for the
    /// layers, computed here: in closed form on the host, on a device by one pass through them.
    /// What is added to them is then what [`inject`](Self::inject) adds.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    /// - output: `[1]`
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::Decoupled`] in the decoupled mode.
    pub fn penalty<M: Layers>(
        &mut self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<Tensor<1>, HsrError> {
        self.refuse_decoupled("Hsr::penalty")?;
        let zero = Tensor::zeros([1], (&inputs.device(), inputs.dtype()));
        let (batch, targets) = (inputs.clone(), targets.into());
        let Some(mut due) = self.next_step(model, inputs, targets.clone(), false)? else {
            return Ok(zero);
        };
        let (inputs, strength) = (due.inputs.take(), due.strength);
        let mut surrogate = Surrogate {
            sum: due.gradient.value.clone(),
        };
        let mut gradient = match strength {
            Some(_) => due.gradient,
            None => {
                let of_loss = self.loss_for_lengths(model, &batch, &targets)?;
                let (factor, gradient) = self.sized(model, due, &of_loss)?;
                surrogate.sum = factor.times(surrogate.sum);
                gradient
            }
        };
        // value + Σ⟨θ − θ.inner(), g⟩: the sum is 0, its gradient is g. No operation of a backend is needed.
        if let (Some(of_inputs), Some(inputs)) = (gradient.inputs.take(), inputs) {
            surrogate.add(inputs, of_inputs);
        }
        for_each_parameter(model, gradient, &mut surrogate);
        Ok(match strength {
            // Once for the sum, where each part of the gradient would be another operation.
            Some(strength) => surrogate.sum * strength,
            None => surrogate.sum,
        })
    }

    /// Adds strength·∇λ_sup to gradients, between `backward` and the optimizer's step. Frozen parameters get nothing.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::Decoupled`] in the decoupled mode; [`HsrError::TrackedInputs`] where
    /// autodiff tracks the inputs: they are the features of a backbone, which would get no gradient. See
    /// [`head`](Self::head) and [`penalty`](Self::penalty).
    pub fn inject<M: Layers>(
        &mut self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        mut gradients: GradientsParams,
    ) -> Result<GradientsParams, HsrError> {
        self.refuse_decoupled("Hsr::inject")?;
        refuse_tracked("Hsr::inject", &inputs)?;
        let Some(due) = self.next_step(model, inputs, targets.into(), true)? else {
            return Ok(gradients);
        };
        if due.strength.is_none() {
            return Ok(self.enter(model, due, gradients)?.gradients);
        }
        add_to(model, due.gradient, &mut gradients);
        Ok(gradients)
    }

    /// HSR on the head of a deeper model, injected: with `features` the tracked output of the backbone and the head its
    /// last `Linear`,
    ///
    /// ```
    /// # use burn::module::Module;
    /// # use burn::nn::loss::CrossEntropyLossConfig;
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::{GradientsParams, SgdConfig};
    /// # use burn::tensor::{Device, Int, Tensor};
    /// # use burn_hsr::HsrConfig;
    /// # #[derive(Module, Debug)]
    /// # struct Deep { backbone: Linear, linear: Linear }
    /// # let device = Device::flex().autodiff();
    /// # let model = Deep {
    /// #     backbone: LinearConfig::new(4, 3).init(&device),
    /// #     linear: LinearConfig::new(3, 2).init(&device),
    /// # };
    /// # let loss = CrossEntropyLossConfig::new().init(&device);
    /// # let mut hsr = HsrConfig::new().init()?;
    /// # let x = Tensor::<2>::ones([2, 4], &device);
    /// # let y = Tensor::<1, Int>::from_ints([0, 1], &device);
    /// let features = model.backbone.forward(x).tanh();
    /// let loss = loss.forward(model.linear.forward(features.clone()), y.clone());
    /// let term = hsr.head(&model.linear, features, y)?;
    /// let grads = (loss + term.features_term()).backward();
    /// let grads = GradientsParams::from_grads(grads, &model);
    /// let grads = term.inject(&model.linear, grads);
    /// # SgdConfig::new().init().step(0.1, model, grads);
    /// # Ok::<(), burn_hsr::HsrError>(())
    /// ```
    ///
    /// The head may be deeper: whatever has [`Layers`](crate::Layers). The gradients are those of
    /// [`penalty`](Self::penalty).
    ///
    /// # Shapes
    ///
    /// - features: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// As [`penalty`](Self::penalty).
    pub fn head<M: Layers>(
        &mut self,
        head: &M,
        features: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<HeadTerm, HsrError> {
        self.refuse_decoupled("Hsr::head")?;
        let zero = Tensor::zeros([1], (&features.device(), features.dtype()));
        let mut term = HeadTerm {
            features: zero,
            gradient: None,
        };
        let (batch, targets) = (features.clone(), targets.into());
        if let Some(mut due) = self.next_step(head, features, targets.clone(), true)? {
            let inputs = due.inputs.take();
            let mut gradient = match due.strength {
                Some(_) => due.gradient,
                None => {
                    let of_loss = self.loss_for_lengths(head, &batch, &targets)?;
                    self.sized(head, due, &of_loss)?.1
                }
            };
            if let (Some(of_features), Some(inputs)) = (gradient.inputs.take(), inputs) {
                let mut surrogate = Surrogate { sum: term.features };
                surrogate.add(inputs, of_features);
                term.features = surrogate.sum;
            }
            term.gradient = Some(gradient);
        }
        Ok(term)
    }

    /// The optimizer's step with HSR in whatever mode: `model = hsr.step(&mut optimizer, lr, model, x, y, grads)?`.
    ///
    /// `lr` is a number, or the rates of parameter groups that a `ModuleLrScheduler` gives.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::TrackedInputs`] as [`inject`](Self::inject).
    pub fn step<M: Layers + Module>(
        &mut self,
        optimizer: &mut ModuleOptimizer,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        gradients: GradientsParams,
    ) -> Result<M, HsrError> {
        refuse_tracked("Hsr::step", &inputs)?;
        if self.config.mode != Mode::Decoupled {
            let gradients = self.inject(&model, inputs, targets, gradients)?;
            return Ok(optimizer.step(lr, model, gradients));
        }
        let Some(due) = self.next_step(&model, inputs, targets.into(), true)? else {
            return Ok(optimizer.step(lr, model, gradients));
        };
        if due.strength.is_none() {
            return Ok(self
                .enter(&model, due, gradients)?
                .step(optimizer, lr, model));
        }
        let mut decrement = GradientsParams::new();
        add_to(&model, due.gradient, &mut decrement);
        let entered = Entered {
            gradients,
            decrement: Some(decrement),
        };
        Ok(entered.step(optimizer, lr, model))
    }

    /// What a step takes where the strength depends on ∇L.
    fn enter<M: Layers>(
        &mut self,
        model: &M,
        due: Due,
        of_loss: GradientsParams,
    ) -> Result<Entered, HsrError> {
        let mut penalty = GradientsParams::new();
        add_to(model, due.gradient, &mut penalty);
        self.enter_gradients(model, due.schedule, of_loss, penalty)
    }

    /// The same for gradients that stand already as the optimizer wants them.
    pub(crate) fn enter_gradients<M: Layers>(
        &mut self,
        model: &M,
        schedule: f64,
        of_loss: GradientsParams,
        penalty: GradientsParams,
    ) -> Result<Entered, HsrError> {
        if penalty.is_empty() {
            return Ok(Entered {
                gradients: of_loss,
                decrement: None,
            });
        }
        let (mode, strength) = (self.config.mode, self.config.strength());
        let (layers, mean) = (linears(model), &mut self.mean);
        Ok(mode.enter(&layers, strength, schedule, of_loss, &penalty, mean)?)
    }

    /// What is added, where the strength depends on ∇L, as parts of the layers; and its factor.
    fn sized<M: Layers>(
        &mut self,
        model: &M,
        due: Due,
        of_loss: &GradientsParams,
    ) -> Result<(Number, HsrGradient), HsrError> {
        let mut gradient = due.gradient;
        let (value, inputs) = (gradient.value.clone(), gradient.inputs.take());
        let mut penalty = GradientsParams::new();
        add_to(model, gradient, &mut penalty);
        let (factor, mut sized) = match penalty.is_empty() {
            true => (0.0.into(), penalty),
            false => {
                let (mode, strength) = (self.config.mode, self.config.strength());
                let (layers, mean) = (linears(model), &mut self.mean);
                mode.apply(&layers, strength, due.schedule, of_loss, &penalty, mean)?
            }
        };
        let layers = model.layers();
        let of_layers = layers.iter().map(|layer| {
            let linear = layer.linear();
            // Vectors are at least in single precision.
            let weight = sized.remove::<2>(linear.weight.id);
            let bias = linear.bias.as_ref().and_then(|bias| {
                let part = sized.remove::<1>(bias.id);
                part.map(|part| part.cast(bias.dtype()))
            });
            LayerGradient {
                weight: weight.map(|part| part.cast(linear.weight.dtype())),
                bias,
            }
        });
        let gradient = HsrGradient {
            value,
            layers: of_layers.collect(),
            inputs: inputs.map(|inputs| factor.times(inputs)),
        };
        Ok((factor, gradient))
    }

    /// ∇L of a batch whose inputs are left alone, where the strength depends on it and the caller has none; nothing where it
    /// does not.
    fn loss_for_lengths<M: Layers>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: &Targets,
    ) -> Result<GradientsParams, HsrError> {
        if self.config.strength().share().is_none() {
            return Ok(GradientsParams::new());
        }
        let inputs = match inputs.is_tracked() {
            true => Tensor::from_inner(inputs.clone().inner()),
            false => inputs.clone(),
        };
        Ok(self.gradients_of_loss(model, &inputs, targets)?.gradients)
    }
}
