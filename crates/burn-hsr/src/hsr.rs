//! The regulariser and the ways it enters a training loop.

use burn::config::Config;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;
use hsr_core::{Evaluation, OutputLoss, SpectralBounds};
use serde::{Deserialize, Serialize};

use crate::gradient::{HsrGradient, Scaled, ScaledBy, Visit, for_each_parameter};
use crate::host::Host;
use crate::targets::{Labels, Targets};
use crate::{HsrError, ThreeLayer, backend, device};

/// How ∇λ_sup enters the step.
///
/// Burn's optimizers clip inside their step, each tensor for itself, then add weight decay, then apply momentum and
/// preconditioner, with the settings of each parameter group. A mode says whether ∇λ_sup is there by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// strength·∇λ_sup is added to the loss's gradient: the optimizer clips the sum of the two and treats it as one,
    /// as it would with an L2 penalty. Weight decay is added to it; in which order does not matter.
    #[default]
    Coupled,
    /// θ ← θ − lr·strength·∇λ_sup after the optimizer's step, as AdamW does with weight decay: neither clipped nor
    /// preconditioned. The gradient is that of the point before the step, as is AdamW's decay, so that neither scales
    /// the other.
    ///
    /// lr is the one that [`Hsr::step`] is given, for each parameter group its own. What an optimizer makes of it
    /// inside is not known here: Muon's factor for a matrix's shape, AdaGrad's `lr_decay`, Adafactor's relative step,
    /// LAMB's trust ratio.
    Decoupled,
    /// As coupled, with ∇λ_sup/‖∇λ_sup‖, the norm over all parameters that are trained together: what is added has
    /// the length strength whatever the curvature. A zero gradient stays zero. Clipping comes afterwards and per
    /// tensor, so it can bend the direction.
    Direction,
}

/// Where the closed form is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execution {
    /// On the host for CPU backends, on the device for all others.
    #[default]
    Auto,
    /// Through hsr-core: parameters and batch are read into the host's memory. In f64 for f64 models, else in f32.
    Host,
    /// With tensor operations on the model's device; nothing is read back. Labels are not checked, for that would be
    /// a read-back: a class index out of range counts as no class at all.
    Device,
}

/// Configuration of [`Hsr`]: the loss to be regularised and how.
///
/// The loss must be the one that is trained: build both from the same values.
///
/// ```
/// use burn_hsr::{HsrConfig, Mode};
///
/// let hsr = HsrConfig::new().with_strength(0.05).with_mode(Mode::Decoupled).init()?;
/// # Ok::<(), burn_hsr::HsrError>(())
/// ```
#[derive(Config, Debug)]
pub struct HsrConfig {
    /// The factor of λ_sup. 0 leaves training exactly as it was.
    #[config(default = 0.01)]
    pub strength: f64,
    /// How the gradient enters the step.
    #[config(default = "Mode::Coupled")]
    pub mode: Mode,
    /// The loss.
    #[config(default = "OutputLoss::SoftmaxCrossEntropy")]
    pub loss: OutputLoss,
    /// Label smoothing ε of the softmax cross-entropy.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// Class weights of the softmax cross-entropy, \[K\].
    pub class_weights: Option<Vec<f64>>,
    /// Which of the two exact evaluations.
    #[config(default = "Evaluation::Auto")]
    pub evaluation: Evaluation,
    /// Where it is computed.
    #[config(default = "Execution::Auto")]
    pub execution: Execution,
}

impl HsrConfig {
    /// The regulariser.
    ///
    /// # Errors
    ///
    /// [`HsrError::Config`] where the strength is negative or not finite, or the smoothing outside 0…1.
    pub fn init(&self) -> Result<Hsr, HsrError> {
        let refuse = |option, value, expected| {
            Err(HsrError::Config {
                option,
                value,
                expected,
            })
        };
        if !self.strength.is_finite() || self.strength < 0.0 {
            return refuse("strength", self.strength, "a finite number, 0 or more");
        }
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return refuse("label_smoothing", self.label_smoothing, "a number in 0…1");
        }
        for &weight in self.class_weights.iter().flatten() {
            if !weight.is_finite() || weight < 0.0 {
                return refuse("a class weight", weight, "a finite number, 0 or more");
            }
        }
        Ok(Hsr {
            config: self.clone(),
            host: Host::default(),
        })
    }
}

/// Hessian Spectral Range regularisation: adds strength·λ_sup to a loss, through its closed-form gradient.
///
/// Three ways in, all with the same result (choose one):
///
/// * [`penalty`](Hsr::penalty): a term of the loss;
/// * [`inject`](Hsr::inject): into the gradients, between `backward` and the optimizer's step;
/// * [`step`](Hsr::step): in place of the optimizer's step; the only one for the decoupled mode.
///
/// Frozen parameters get no gradient by any of them and do not move.
///
/// # Accumulation and several devices
///
/// Burn's `GradientsAccumulator` and its multi-device training add gradients and do not average them. What is added
/// should be share·(L + strength·λ_sup) of each part, its share being the fraction of the samples: scale the loss with
/// the penalty in it, or scale the loss and inject with share·strength. The sum then descends L + strength·(mean of the
/// parts' λ_sup). That mean is at least the λ_sup of the whole batch, which is convex in the Hessian; injecting once,
/// with the whole batch and the whole strength, after accumulation, descends the latter.
///
/// Where the parts are left unscaled, D of them take the step of D·(L + strength·mean λ_sup): the loss and HSR grow
/// alike, the strength keeps its meaning, and dividing the learning rate by D (for plain SGD) gives the mean.
///
/// Burn's distributed data parallel training, which exists for CUDA and remote devices, reduces gradients inside
/// `backward`: there only the penalty is reduced with them; an injection would be each device's own.
///
/// # Example
///
/// ```
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::optim::{GradientsParams, SgdConfig};
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_hsr::{HsrConfig, ThreeLayerNetConfig};
///
/// let device = Device::flex().autodiff();
/// let mut model = ThreeLayerNetConfig::new(2, 3, 2).init(&device);
/// let mut optimizer = SgdConfig::new().init();
/// let loss = CrossEntropyLossConfig::new().init(&device);
/// let hsr = HsrConfig::new().with_strength(0.1).init()?;                     // 1
///
/// let x = Tensor::<2>::from_floats([[0., 1.], [1., 0.], [1., 1.]], &device);
/// let y = Tensor::<1, Int>::from_ints([0, 1, 1], &device);
/// for _ in 0..10 {
///     let loss = loss.forward(model.forward(x.clone()), y.clone());
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     let grads = hsr.inject(&model, x.clone(), y.clone(), grads)?;          // 2
///     model = optimizer.step(0.1, model, grads);
/// }
/// # Ok::<(), burn_hsr::HsrError>(())
/// ```
pub struct Hsr {
    config: HsrConfig,
    host: Host,
}

impl core::fmt::Debug for Hsr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hsr")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Clone for Hsr {
    /// The same regulariser with buffers of its own.
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            host: Host::default(),
        }
    }
}

impl Hsr {
    /// The configuration.
    pub fn config(&self) -> &HsrConfig {
        &self.config
    }

    /// λ_sup and its gradient, without strength or mode; with `with_inputs` also the gradient for the inputs.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// [`HsrError::Shape`] where model, inputs and targets do not fit together; on the host also what hsr-core
    /// refuses (NaN, labels out of range, overflow).
    pub fn gradient<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        with_inputs: bool,
    ) -> Result<HsrGradient, HsrError> {
        let targets = targets.into();
        self.check(model, &inputs, &targets)?;
        let on_host = match self.config.execution {
            Execution::Host => true,
            Execution::Device => false,
            Execution::Auto => backend::is_host(&inputs.device()),
        };
        if on_host {
            self.host
                .gradient(&self.config, model, inputs, targets, with_inputs)
        } else {
            device::gradient(&self.config, model, inputs, targets, with_inputs)
        }
    }

    /// All six bounds on the spectrum, computed on the host in f64.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn bounds<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<SpectralBounds<f64>, HsrError> {
        let targets = targets.into();
        self.check(model, &inputs, &targets)?;
        self.host.bounds(&self.config, model, inputs, targets)
    }

    /// strength·λ_sup as a term of the loss, \[1\]: `loss + hsr.penalty(&model, x, y)?`.
    ///
    /// Its backward pass gives every trainable parameter the closed-form gradient, and `inputs` theirs where autodiff
    /// tracks them, so that HSR regularises the three-layer head of a deeper model. In the mode
    /// [`Direction`](Mode::Direction) the value is the same and the gradient normalised.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::Decoupled`] in the decoupled mode.
    pub fn penalty<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<Tensor<1>, HsrError> {
        self.refuse_decoupled("Hsr::penalty")?;
        let tracked = inputs.is_tracked();
        if self.config.strength == 0.0 {
            return Ok(Tensor::zeros([1], (&inputs.device(), inputs.dtype())));
        }
        let gradient = self.directed(
            model,
            self.gradient(model, inputs.clone(), targets, tracked)?,
        );
        let value = gradient.lambda_sup.clone() * self.config.strength;
        // value + Σ⟨θ − θ.inner(), g⟩: the sum is 0, its gradient is g. No operation of a backend is needed.
        let mut surrogate = Surrogate { sum: value };
        if let (true, Some(of_inputs)) = (tracked, gradient.inputs.clone()) {
            surrogate.add(inputs, of_inputs);
        }
        for_each_parameter(model, gradient, &mut surrogate);
        Ok(surrogate.sum)
    }

    /// Adds strength·∇λ_sup to gradients, between `backward` and the optimizer's step. Frozen parameters get nothing.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::Decoupled`] in the decoupled mode.
    pub fn inject<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        mut gradients: GradientsParams,
    ) -> Result<GradientsParams, HsrError> {
        self.refuse_decoupled("Hsr::inject")?;
        if self.config.strength == 0.0 {
            return Ok(gradients);
        }
        let gradient = self.directed(model, self.gradient(model, inputs, targets, false)?);
        let mut injection = Injection {
            gradients: &mut gradients,
        };
        for_each_parameter(model, gradient, &mut injection);
        Ok(gradients)
    }

    /// The optimizer's step with HSR in whatever mode: `model = hsr.step(&mut optimizer, lr, model, x, y, grads)?`.
    ///
    /// `lr` is a number, or the rates of parameter groups that a `ModuleLrScheduler` gives.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn step<M: ThreeLayer + Module>(
        &self,
        optimizer: &mut ModuleOptimizer,
        lr: impl Into<ModuleLearningRate>,
        model: M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        gradients: GradientsParams,
    ) -> Result<M, HsrError> {
        if self.config.mode != Mode::Decoupled {
            let gradients = self.inject(&model, inputs, targets, gradients)?;
            return Ok(optimizer.step(lr, model, gradients));
        }
        if self.config.strength == 0.0 {
            return Ok(optimizer.step(lr, model, gradients));
        }
        let lr = lr.into();
        let gradient = self.gradient(&model, inputs, targets, false)?;
        let mut decrements = GradientsParams::new();
        let mut injection = Injection {
            gradients: &mut decrements,
        };
        let gradient = gradient.map(&ScaledBy(self.config.strength));
        for_each_parameter(&model, gradient, &mut injection);
        let model = optimizer.step(lr.clone(), model, gradients);
        // Burn's plain SGD is θ − lr·g with the rate of each parameter's group, and leaves a parameter's autodiff
        // settings as they were.
        Ok(SgdConfig::new().init().step(lr, model, decrements))
    }

    /// The gradient that the coupled modes add: strength·∇λ_sup, normalised or not.
    fn directed<M: ThreeLayer>(&self, model: &M, gradient: HsrGradient) -> HsrGradient {
        let strength = self.config.strength;
        if self.config.mode != Mode::Direction {
            return gradient.map(&ScaledBy(strength));
        }
        // Divided by its largest entry first: the squares can be beyond the type where the gradient is not.
        let largest = Measure::Largest.of(model, &gradient);
        let gradient = gradient.map(&Scaled(reciprocal(largest)));
        let norm = Measure::Norm.of(model, &gradient);
        gradient.map(&Scaled(reciprocal(norm) * strength))
    }

    fn refuse_decoupled(&self, entry: &'static str) -> Result<(), HsrError> {
        match self.config.mode {
            Mode::Decoupled => Err(HsrError::Decoupled { entry }),
            Mode::Coupled | Mode::Direction => Ok(()),
        }
    }

    fn check<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: &Targets,
    ) -> Result<(), HsrError> {
        let dims = model.dimensions();
        let [samples, features] = inputs.dims();
        let refuse = |what, got: &[usize], expected: String| {
            Err(HsrError::Shape {
                what,
                got: got.to_vec(),
                expected,
            })
        };
        if features != dims.inputs || samples == 0 {
            let expected = format!("[samples ≥ 1, {}]", dims.inputs);
            return refuse("the input batch", &[samples, features], expected);
        }
        let [from_hidden, _] = model.output().weight.shape().dims();
        if from_hidden != dims.hidden {
            let expected = format!("[{}, outputs]", dims.hidden);
            return refuse("the output weight", &[from_hidden, dims.outputs], expected);
        }
        match &targets.labels {
            Labels::Classes(classes) if classes.dims() != [samples] => {
                return refuse("the targets", &classes.dims(), format!("[{samples}]"));
            }
            Labels::Values(values) if values.dims() != [samples, dims.outputs] => {
                return refuse(
                    "the targets",
                    &values.dims(),
                    format!("[{samples}, {}]", dims.outputs),
                );
            }
            Labels::Classes(_) | Labels::Values(_) => {}
        }
        if let Some(weights) = &targets.sample_weights
            && weights.dims() != [samples]
        {
            return refuse(
                "the sample weights",
                &weights.dims(),
                format!("[{samples}]"),
            );
        }
        if let Some(weights) = &self.config.class_weights
            && weights.len() != dims.outputs
        {
            return refuse(
                "class_weights",
                &[weights.len()],
                format!("[{}]", dims.outputs),
            );
        }
        let softmax = self.config.loss == OutputLoss::SoftmaxCrossEntropy;
        let option = match (&self.config.class_weights, self.config.label_smoothing) {
            (Some(_), _) => Some("a class weight"),
            (None, smoothing) if smoothing != 0.0 => Some("label smoothing"),
            _ => None,
        };
        if let (false, Some(option)) = (softmax, option) {
            let loss = self.config.loss.name();
            return Err(hsr_core::Error::Unsupported { option, loss }.into());
        }
        Ok(())
    }
}

/// 1/x; 1 where x is too small for that, so that zero stays zero.
fn reciprocal(x: Tensor<1>) -> Tensor<1> {
    let nothing = x.clone().lower_elem(device::smallest(x.dtype()));
    x.mask_fill(nothing, 1.0).recip()
}

/// The size of a gradient over the parameters that are trained.
#[derive(Clone, Copy)]
enum Measure {
    Largest,
    Norm,
}

impl Measure {
    fn of<M: ThreeLayer>(self, model: &M, gradient: &HsrGradient) -> Tensor<1> {
        let mut parts = Parts {
            measure: self,
            of: Vec::new(),
        };
        for_each_parameter(model, gradient.clone(), &mut parts);
        if parts.of.is_empty() {
            return gradient.lambda_sup.zeros_like();
        }
        let parts = Tensor::cat(parts.of, 0);
        match self {
            Measure::Largest => parts.max(),
            Measure::Norm => parts.sum().sqrt(),
        }
    }
}

/// What each parameter contributes to a measure.
struct Parts {
    measure: Measure,
    of: Vec<Tensor<1>>,
}

impl Visit for Parts {
    fn visit<const D: usize>(&mut self, _id: ParamId, _parameter: Tensor<D>, gradient: Tensor<D>) {
        self.of.push(match self.measure {
            Measure::Largest => gradient.max_abs(),
            Measure::Norm => gradient.square().sum(),
        });
    }
}

/// Builds the penalty.
struct Surrogate {
    sum: Tensor<1>,
}

impl Surrogate {
    fn add<const D: usize>(&mut self, tracked: Tensor<D>, gradient: Tensor<D>) {
        let zero = tracked.clone() - tracked.inner();
        self.sum = self.sum.clone() + (zero * gradient).sum();
    }
}

impl Visit for Surrogate {
    fn visit<const D: usize>(&mut self, _id: ParamId, parameter: Tensor<D>, gradient: Tensor<D>) {
        self.add(parameter, gradient);
    }
}

/// Adds to the gradients of an optimizer.
struct Injection<'a> {
    gradients: &'a mut GradientsParams,
}

impl Visit for Injection<'_> {
    fn visit<const D: usize>(&mut self, id: ParamId, _parameter: Tensor<D>, gradient: Tensor<D>) {
        let sum = match self.gradients.remove::<D>(id) {
            Some(of_loss) => of_loss + gradient,
            None => gradient,
        };
        self.gradients.register(id, sum);
    }
}
