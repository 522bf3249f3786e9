//! The regulariser and the ways it enters a training loop.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use burn::config::Config;
use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, ParamId};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Element, Tensor};
use hsr_core::{Evaluation, Extremes, LanczosOptions, OutputLoss, Real, SpectralBounds};
use serde::{Deserialize, Serialize};

use crate::closed_form::{ClosedForm, Spare};
use crate::gradient::{
    HsrGradient, Scaled, ScaledBy, SquaredNorm, Visit, add_to, for_each_parameter,
};
use crate::head::HeadTerm;
use crate::host::{Host, Objective};
use crate::targets::{Labels, Targets};
use crate::{
    HsrError, HsrRecord, Schedule, Sharpness, Subsample, ThreeLayer, backend, device, subsample,
};

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
    /// On the model's device, in some 30 kernels and matrix products on wgpu, with some 300 tensor operations on other
    /// backends (and on wgpu under Burn's `fusion`); nothing is read back. Labels are not checked, for that would be a
    /// read-back: a class index out of range counts as no class at all.
    Device,
}

/// Configuration of [`Hsr`]: the loss to be regularised and how.
///
/// The loss must be the one that is trained: [`for_cross_entropy`](HsrConfig::for_cross_entropy) and its like take it
/// from the configuration of Burn's own losses.
///
/// ```
/// use burn_hsr::{HsrConfig, Mode};
///
/// let hsr = HsrConfig::new().with_strength(0.05).with_mode(Mode::Decoupled).init()?;
/// # Ok::<(), burn_hsr::HsrError>(())
/// ```
#[derive(Config, Debug)]
pub struct HsrConfig {
    /// What is descended: λ_sup, or one of its peers to compare it with.
    #[config(default = "Sharpness::LambdaSup")]
    pub sharpness: Sharpness,
    /// The factor of λ_sup. 0 adds nothing: training is exactly as it was.
    #[config(default = 0.01)]
    pub strength: f64,
    /// Whether the strength is a ratio: what is added is then always strength·‖∇L‖ long, ‖·‖ over the trainable
    /// parameters of the three layers and ∇L the gradient that [`Hsr::inject`] or [`Hsr::step`] is given. Not for the
    /// mode [`Direction`](Mode::Direction).
    #[config(default = false)]
    pub adaptive: bool,
    /// How the strength changes from step to step.
    #[config(default = "Schedule::new()")]
    pub schedule: Schedule,
    /// How the gradient enters the step.
    #[config(default = "Mode::Coupled")]
    pub mode: Mode,
    /// Rows of the batch that the regulariser takes, chosen anew each step.
    #[config(default = "Subsample::Auto")]
    pub subsample: Subsample,
    /// The seed of that choice.
    #[config(default = 0)]
    pub seed: u64,
    /// The loss.
    #[config(default = "OutputLoss::SoftmaxCrossEntropy")]
    pub loss: OutputLoss,
    /// Label smoothing ε of the cross-entropies. For the sigmoid one as in Burn: y(1 − ε) + ε/K, for targets \[N\] with
    /// 2 in place of K.
    #[config(default = 0.0)]
    pub label_smoothing: f64,
    /// Class weights of the softmax cross-entropy, \[K\].
    pub class_weights: Option<Vec<f64>>,
    /// Class indices that are padding: samples so labelled count as absent.
    pub pad_tokens: Option<Vec<usize>>,
    /// Which of the two exact evaluations.
    #[config(default = "Evaluation::Auto")]
    pub evaluation: Evaluation,
    /// Where it is computed.
    #[config(default = "Execution::Auto")]
    pub execution: Execution,
    /// The most threads of the host's evaluation, which takes more than one only where that pays; none for as many as
    /// Rayon's pool has. Another number rounds sums differently: with 1, a run does not depend on the machine's cores.
    pub threads: Option<usize>,
}

impl HsrConfig {
    /// The regulariser.
    ///
    /// # Errors
    ///
    /// [`HsrError::Config`] where a value is outside its range: a strength or a class weight that is negative or not
    /// finite, a smoothing outside 0…1, an interval, a subsample or threads of 0, an adaptive strength in the mode
    /// [`Direction`](Mode::Direction); [`HsrError::HostOnly`] where the device is asked for what only the host computes.
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
        if self.schedule.interval == 0 {
            return refuse("the interval of the schedule", 0.0, "1 or more");
        }
        if self.subsample == Subsample::Rows(0) {
            return refuse("subsample", 0.0, "1 row or more");
        }
        if self.threads == Some(0) {
            return refuse("threads", 0.0, "1 or more");
        }
        if self.adaptive && self.mode == Mode::Direction {
            return refuse(
                "adaptive",
                1.0,
                "false in the mode Direction, which fixes the length itself",
            );
        }
        for &weight in self.class_weights.iter().flatten() {
            if !weight.is_finite() || weight < 0.0 {
                return refuse("a class weight", weight, "a finite number, 0 or more");
            }
        }
        if self.execution == Execution::Device && !self.sharpness.on_device() {
            let sharpness = self.sharpness.name();
            return Err(HsrError::HostOnly { sharpness });
        }
        Ok(Hsr {
            config: self.clone(),
            host: Host::new(self.threads),
            steps: AtomicU64::new(0),
            told: AtomicBool::new(false),
        })
    }

    /// The smoothing that is left to the closed form; that of the sigmoid cross-entropy acts on its targets.
    pub(crate) fn softmax_smoothing(&self) -> f64 {
        match self.loss {
            OutputLoss::SigmoidCrossEntropy => 0.0,
            _ => self.label_smoothing,
        }
    }
}

/// Hessian Spectral Range regularisation: adds strength·λ_sup to a loss, through its closed-form gradient.
///
/// Three ways into a loop, all with the same result (choose one):
///
/// * [`penalty`](Hsr::penalty): a term of the loss;
/// * [`inject`](Hsr::inject): into the gradients, between `backward` and the optimizer's step;
/// * [`step`](Hsr::step): in place of the optimizer's step, for any mode.
///
/// And one that takes the place of forward pass, loss and `backward` too, the fastest where the model is nothing but the
/// three layers and trains on the CPU: [`loss_gradients`](Hsr::loss_gradients), and
/// [`loss_step`](Hsr::loss_step) for any mode.
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
/// let mut model = ThreeLayerNetConfig::new(4, 8, 3).init(&device);
/// let mut optimizer = SgdConfig::new().init();
/// let loss = CrossEntropyLossConfig::new().init(&device);
/// let hsr = HsrConfig::new().with_strength(0.1).init()?;                     // 1
///
/// // Six of Fisher's irises, two of a species: length and width of sepal and petal in cm.
/// let x = Tensor::<2>::from_floats([
///     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
///     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
///     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
/// ], &device);
/// let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
/// let before = hsr.bounds(&model, x.clone(), y.clone())?;
/// for _ in 0..100 {
///     let loss = loss.forward(model.forward(x.clone()), y.clone());
///     let grads = GradientsParams::from_grads(loss.backward(), &model);
///     let grads = hsr.inject(&model, x.clone(), y.clone(), grads)?;          // 2
///     model = optimizer.step(0.1, model, grads);
/// }
/// let after = hsr.bounds(&model, x, y)?;
/// assert!(after.lambda_sup < before.lambda_sup);
/// # Ok::<(), burn_hsr::HsrError>(())
/// ```
pub struct Hsr {
    config: HsrConfig,
    pub(crate) host: Host,
    /// Steps taken. Atomic, so that the entry points need no `&mut` in the loops they are put into.
    steps: AtomicU64,
    /// Whether it was said that a part of the batch is taken where all of it was not refused.
    told: AtomicBool,
}

impl core::fmt::Debug for Hsr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hsr")
            .field("config", &self.config)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl Clone for Hsr {
    /// The same regulariser at the same step, with buffers and a count of its own.
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            host: Host::new(self.config.threads),
            steps: AtomicU64::new(self.steps.load(Ordering::Relaxed)),
            told: AtomicBool::new(self.told.load(Ordering::Relaxed)),
        }
    }
}

impl Hsr {
    /// The configuration.
    pub fn config(&self) -> &HsrConfig {
        &self.config
    }

    /// What a resumed run needs to go on where this one is.
    pub fn to_record(&self) -> HsrRecord {
        HsrRecord {
            steps: self.steps.load(Ordering::Relaxed),
        }
    }

    /// The regulariser where the record was taken.
    pub fn load_record(mut self, record: HsrRecord) -> Self {
        *self.steps.get_mut() = record.steps;
        self
    }

    /// Goes on at a step, through what is shared.
    #[cfg(feature = "train")]
    pub(crate) fn resume_at(&self, steps: u64) {
        self.steps.store(steps, Ordering::Relaxed);
    }

    /// λ_sup (or its [peer](Sharpness)) and its gradient, without strength, schedule or mode; with `with_inputs` also the gradient for the inputs.
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
        self.scaled_gradient(model, inputs, targets.into(), with_inputs, 1.0)
    }

    /// [`gradient`](Self::gradient) with everything but the value multiplied by `factor`.
    fn scaled_gradient<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        with_inputs: bool,
        factor: f64,
    ) -> Result<HsrGradient, HsrError> {
        let targets = self.checked(model, &inputs, targets)?;
        if self.on_host(&inputs) {
            let objective = Objective::Measure { with_inputs };
            self.host
                .gradient(&self.config, model, inputs, targets, objective, factor)
        } else {
            let gradient = device::gradient(&self.config, model, inputs, targets, with_inputs)?;
            Ok(gradient.map(&ScaledBy(factor)))
        }
    }

    /// Whether the measure of a batch is computed on the host.
    pub(crate) fn on_host(&self, inputs: &Tensor<2>) -> bool {
        match self.config.execution {
            Execution::Host => true,
            Execution::Device => false,
            Execution::Auto => {
                !self.config.sharpness.on_device() || backend::is_host(&inputs.device())
            }
        }
    }

    /// The model and the batch in the host's memory, in whatever precision, for the verbs of hsr-core.
    ///
    /// # Errors
    ///
    /// [`HsrError::Shape`] where model, inputs and targets do not fit together, [`HsrError::Read`].
    pub fn closed_form<T: Real + Element, M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<ClosedForm<T>, HsrError> {
        let targets = self.checked(model, &inputs, targets.into())?;
        ClosedForm::read(&self.config, model, inputs, targets, &mut Spare::default())
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
        let targets = self.checked(model, &inputs, targets.into())?;
        self.host.bounds(&self.config, model, inputs, targets)
    }

    /// Both ends of the Hessian's spectrum, λ_max and λ_min, by Lanczos on the closed-form Hessian-vector product,
    /// computed on the host in f64.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn extremes<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        options: &LanczosOptions,
    ) -> Result<Extremes, HsrError> {
        let targets = self.checked(model, &inputs, targets.into())?;
        self.host
            .extremes(&self.config, model, inputs, targets, options)
    }

    /// strength·λ_sup as a term of the loss, \[1\]: `loss + hsr.penalty(&model, x, y)?`.
    ///
    /// Its backward pass gives every trainable parameter the closed-form gradient, and `inputs` theirs where autodiff
    /// tracks them, so that HSR regularises the three-layer head of a deeper model. In the mode
    /// [`Direction`](Mode::Direction) the value is the same and the gradient normalised.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::Decoupled`] in the decoupled mode, [`HsrError::Adaptive`] with an
    /// adaptive strength.
    pub fn penalty<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<Tensor<1>, HsrError> {
        self.refuse_what_needs_gradients("Hsr::penalty")?;
        let device = inputs.device();
        let dtype = inputs.dtype();
        let Some(due) = self.next_step(model, inputs, targets.into(), false)? else {
            return Ok(Tensor::zeros([1], (&device, dtype)));
        };
        let (value, mut gradient) = (due.gradient.value.clone(), due.gradient);
        let mut surrogate = Surrogate { sum: value };
        if self.config.mode == Mode::Direction {
            // Already of the length strength.
            gradient = normalised(model, gradient, due.strength);
            surrogate.sum = surrogate.sum * due.strength;
        }
        // value + Σ⟨θ − θ.inner(), g⟩: the sum is 0, its gradient is g. No operation of a backend is needed.
        if let (Some(of_inputs), Some(inputs)) = (gradient.inputs.take(), due.inputs) {
            surrogate.add(inputs, of_inputs);
        }
        for_each_parameter(model, gradient, &mut surrogate);
        if self.config.mode != Mode::Direction {
            // Once for the sum, where each part of the gradient would be another operation.
            surrogate.sum = surrogate.sum * due.strength;
        }
        Ok(surrogate.sum)
    }

    /// Adds strength·∇λ_sup to gradients, between `backward` and the optimizer's step. Frozen parameters get nothing.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::Decoupled`] in the decoupled mode; [`HsrError::TrackedInputs`] where
    /// autodiff tracks the inputs: they are the features of a backbone, which would get no gradient. See
    /// [`head`](Self::head) and [`penalty`](Self::penalty).
    pub fn inject<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        mut gradients: GradientsParams,
    ) -> Result<GradientsParams, HsrError> {
        self.refuse_decoupled("Hsr::inject")?;
        refuse_tracked("Hsr::inject", &inputs)?;
        if let Some(due) = self.next_step(model, inputs, targets.into(), true)? {
            let gradient = if self.config.adaptive {
                relative(due.gradient, due.strength, model, &gradients)
            } else {
                self.directed(model, due.gradient, due.strength)
            };
            add_to(model, gradient, &mut gradients);
        }
        Ok(gradients)
    }

    /// HSR on the three-layer head of a deeper model, injected: with `features` the tracked output of the backbone,
    ///
    /// ```
    /// # use burn::module::Module;
    /// # use burn::nn::loss::CrossEntropyLossConfig;
    /// # use burn::nn::{Linear, LinearConfig};
    /// # use burn::optim::{GradientsParams, SgdConfig};
    /// # use burn::tensor::{Device, Int, Tensor};
    /// # use burn_hsr::{HsrConfig, ThreeLayerNet, ThreeLayerNetConfig};
    /// # #[derive(Module, Debug)]
    /// # struct Deep { backbone: Linear, head: ThreeLayerNet }
    /// # let device = Device::flex().autodiff();
    /// # let model = Deep {
    /// #     backbone: LinearConfig::new(4, 3).init(&device),
    /// #     head: ThreeLayerNetConfig::new(3, 5, 2).init(&device),
    /// # };
    /// # let loss = CrossEntropyLossConfig::new().init(&device);
    /// # let hsr = HsrConfig::new().init()?;
    /// # let x = Tensor::<2>::ones([2, 4], &device);
    /// # let y = Tensor::<1, Int>::from_ints([0, 1], &device);
    /// let features = model.backbone.forward(x).tanh();
    /// let loss = loss.forward(model.head.forward(features.clone()), y.clone());
    /// let term = hsr.head(&model.head, features, y)?;
    /// let grads = (loss + term.features_term()).backward();
    /// let grads = GradientsParams::from_grads(grads, &model);
    /// let grads = term.inject(&model.head, grads);
    /// # SgdConfig::new().init().step(0.1, model, grads);
    /// # Ok::<(), burn_hsr::HsrError>(())
    /// ```
    ///
    /// The gradients are those of [`penalty`](Self::penalty).
    ///
    /// # Errors
    ///
    /// As [`penalty`](Self::penalty).
    pub fn head<M: ThreeLayer>(
        &self,
        head: &M,
        features: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<HeadTerm, HsrError> {
        self.refuse_what_needs_gradients("Hsr::head")?;
        let zero = Tensor::zeros([1], (&features.device(), features.dtype()));
        let mut term = HeadTerm {
            features: zero,
            gradient: None,
        };
        if let Some(due) = self.next_step(head, features, targets.into(), true)? {
            let mut gradient = self.directed(head, due.gradient, due.strength);
            if let (Some(of_features), Some(inputs)) = (gradient.inputs.take(), due.inputs) {
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
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient); [`HsrError::TrackedInputs`] as [`inject`](Self::inject).
    pub fn step<M: ThreeLayer + Module>(
        &self,
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
        let decrement = if self.config.adaptive {
            relative(due.gradient, due.strength, &model, &gradients)
        } else {
            due.gradient
        };
        let mut decrements = GradientsParams::new();
        add_to(&model, decrement, &mut decrements);
        let lr = lr.into();
        let model = optimizer.step(lr.clone(), model, gradients);
        // Burn's plain SGD is θ − lr·g with the rate of each parameter's group, and leaves a parameter's autodiff
        // settings as they were.
        Ok(SgdConfig::new().init().step(lr, model, decrements))
    }

    /// The gradient that the coupled modes add: strength·∇λ_sup, normalised or not.
    fn directed<M: ThreeLayer>(
        &self,
        model: &M,
        gradient: HsrGradient,
        strength: f64,
    ) -> HsrGradient {
        if self.config.mode == Mode::Direction {
            normalised(model, gradient, strength)
        } else {
            gradient
        }
    }

    /// Whether what is added has a length of its own, whatever that of ∇λ_sup.
    fn normalises(&self) -> bool {
        self.config.adaptive || self.config.mode == Mode::Direction
    }

    /// What this step adds, at the rows that it takes; `None` where the schedule pauses. Inputs that autodiff tracks get
    /// their gradient. `scaled` asks for the strength in it, which what is normalised afterwards does not get. The step
    /// counts unless it is refused.
    fn next_step<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        scaled: bool,
    ) -> Result<Option<Due>, HsrError> {
        let (step, strength) = self.strength_of_step();
        let due = if strength == 0.0 {
            None
        } else {
            let (inputs, targets) = self.rows_of_step(step, model, inputs, targets)?;
            let with_inputs = inputs.is_tracked();
            let scaled = scaled && !self.normalises();
            let factor = if scaled { strength } else { 1.0 };
            let at = with_inputs.then(|| inputs.clone());
            Some(Due {
                strength,
                gradient: self.scaled_gradient(model, inputs, targets, with_inputs, factor)?,
                inputs: at,
            })
        };
        self.count_step();
        Ok(due)
    }

    /// The strength of this step where what it descends is the sum L + strength·λ_sup over one batch: nothing is
    /// normalised, no rows are chosen, the schedule does not pause.
    pub(crate) fn strength_of_sum<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
    ) -> Option<f64> {
        let (_, strength) = self.strength_of_step();
        let [samples, _] = inputs.dims();
        let takes_all = || {
            Subsample::rows(&self.config, &model.dimensions(), samples)
                .is_ok_and(|rows| rows == samples)
        };
        (strength != 0.0 && !self.normalises() && takes_all()).then_some(strength)
    }

    /// The step that comes, and its strength.
    fn strength_of_step(&self) -> (u64, f64) {
        let step = self.steps.load(Ordering::Relaxed);
        (
            step,
            self.config.strength * self.config.schedule.factor(step),
        )
    }

    pub(crate) fn count_step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// The rows of the batch that a step's regulariser takes.
    fn rows_of_step<M: ThreeLayer>(
        &self,
        step: u64,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<(Tensor<2>, Targets), HsrError> {
        let config = &self.config;
        let [samples, _] = inputs.dims();
        let rows = Subsample::rows(config, &model.dimensions(), samples)?;
        let device = inputs.device().inner();
        let Some(chosen) = subsample::choose(rows, samples, config.seed, step, &device) else {
            return Ok((inputs, targets));
        };
        self.check(model, &inputs, &targets)?;
        if config.subsample == Subsample::Auto && !self.told.swap(true, Ordering::Relaxed) {
            log::warn!(
                "HSR takes {rows} of {samples} rows of a batch: with all of them a step would cost more than {} plain \
                 steps (Subsample::All takes them all, Subsample::Rows(m) as many as you say, Hsr::cost predicts the price)",
                Subsample::BUDGET
            );
        }
        let targets = targets.without_autodiff().select(&chosen);
        // Tracked features stay tracked: the rows not chosen get a zero.
        let inputs = if inputs.is_tracked() {
            inputs.select(0, Tensor::from_inner(chosen))
        } else {
            inputs.inner().select(0, chosen)
        };
        Ok((inputs, targets))
    }

    pub(crate) fn refuse_what_needs_gradients(&self, entry: &'static str) -> Result<(), HsrError> {
        self.refuse_decoupled(entry)?;
        if self.config.adaptive {
            return Err(HsrError::Adaptive { entry });
        }
        Ok(())
    }

    /// The targets, where they fit, as the closed form takes them.
    pub(crate) fn checked<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: Targets,
    ) -> Result<Targets, HsrError> {
        self.check(model, inputs, &targets)?;
        Ok(self.prepare(targets))
    }

    /// The targets with padding, and the smoothing that acts on them, applied.
    pub(crate) fn prepare(&self, targets: Targets) -> Targets {
        let mut targets = targets;
        if let Some(pad_tokens) = &self.config.pad_tokens {
            targets = targets.without_padding(pad_tokens);
        }
        if self.config.loss == OutputLoss::SigmoidCrossEntropy {
            targets = targets.smoothed(self.config.label_smoothing);
        }
        targets
    }

    pub(crate) fn refuse_decoupled(&self, entry: &'static str) -> Result<(), HsrError> {
        match self.config.mode {
            Mode::Decoupled => Err(HsrError::Decoupled { entry }),
            Mode::Coupled | Mode::Direction => Ok(()),
        }
    }

    /// Whether the layers fit each other and the inputs.
    pub(crate) fn check_model<M: ThreeLayer>(
        model: &M,
        inputs: &Tensor<2>,
    ) -> Result<(), HsrError> {
        let dims = model.dimensions();
        let [samples, features] = inputs.dims();
        if features != dims.inputs || samples == 0 {
            let expected = format!("[samples ≥ 1, {}]", dims.inputs);
            return refuse("the input batch", &[samples, features], expected);
        }
        let [from_hidden, _] = model.output().weight.shape().dims();
        if from_hidden != dims.hidden {
            let expected = format!("[{}, outputs]", dims.hidden);
            return refuse("the output weight", &[from_hidden, dims.outputs], expected);
        }
        Ok(())
    }

    pub(crate) fn check<M: ThreeLayer>(
        &self,
        model: &M,
        inputs: &Tensor<2>,
        targets: &Targets,
    ) -> Result<(), HsrError> {
        Self::check_model(model, inputs)?;
        let dims = model.dimensions();
        let [samples, _] = inputs.dims();
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
        if let Some(weights) = &targets.output_weights {
            if weights.dims() != [samples, dims.outputs] {
                return refuse(
                    "the output weights",
                    &weights.dims(),
                    format!("[{samples}, {}]", dims.outputs),
                );
            }
            if self.config.loss != OutputLoss::MeanSquaredError {
                let loss = self.config.loss.name();
                return Err(hsr_core::Error::OutputWeights { loss }.into());
            }
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
        let config = &self.config;
        let given = [
            ("a class weight", config.class_weights.is_some()),
            ("a pad token", config.pad_tokens.is_some()),
            ("label smoothing", config.softmax_smoothing() != 0.0),
        ];
        if config.loss != OutputLoss::SoftmaxCrossEntropy
            && let Some((option, _)) = given.into_iter().find(|&(_, given)| given)
        {
            let loss = config.loss.name();
            return Err(hsr_core::Error::Unsupported { option, loss }.into());
        }
        Ok(())
    }
}

fn refuse(what: &'static str, got: &[usize], expected: String) -> Result<(), HsrError> {
    Err(HsrError::Shape {
        what,
        got: got.to_vec(),
        expected,
    })
}

/// Refuses inputs that would get no gradient although autodiff waits for one. A tensor of an autodiff device that is
/// no part of a graph is none.
pub(crate) fn refuse_tracked(entry: &'static str, inputs: &Tensor<2>) -> Result<(), HsrError> {
    if inputs.is_tracked() {
        return Err(HsrError::TrackedInputs { entry });
    }
    Ok(())
}

/// What a step adds.
struct Due {
    strength: f64,
    /// Times the strength where that was asked for.
    gradient: HsrGradient,
    /// The rows it was taken at, where it has a part for them.
    inputs: Option<Tensor<2>>,
}

/// Builds the penalty.
struct Surrogate {
    sum: Tensor<1>,
}

impl Surrogate {
    fn add<const D: usize>(&mut self, tracked: Tensor<D>, gradient: Tensor<D>) {
        let zero = tracked.clone() - tracked.inner();
        // One row summed is one reduction on a device, where `sum` is two.
        let numbers = zero.shape().num_elements();
        let term = (zero * gradient).reshape([1, numbers]).sum_dim(1);
        self.sum = self.sum.clone() + term.reshape([1]);
    }
}

impl Visit for Surrogate {
    fn visit<const D: usize>(&mut self, _id: ParamId, parameter: &Tensor<D>, gradient: Tensor<D>) {
        self.add(parameter.clone(), gradient);
    }
}

/// ∇λ_sup scaled to the length strength, over the parameters that are trained; a zero gradient stays zero.
fn normalised<M: ThreeLayer>(model: &M, gradient: HsrGradient, strength: f64) -> HsrGradient {
    // Divided by its largest entry first: the squares can be beyond the type where the gradient is not.
    let largest = Measure::Largest.of(model, &gradient);
    let gradient = gradient.map(&Scaled(reciprocal(largest)));
    let norm = Measure::Norm.of(model, &gradient);
    gradient.map(&Scaled(reciprocal(norm) * strength))
}

/// ∇λ_sup scaled to the length strength·‖∇L‖.
fn relative<M: ThreeLayer>(
    gradient: HsrGradient,
    strength: f64,
    model: &M,
    gradients: &GradientsParams,
) -> HsrGradient {
    let mut of_loss = SquaredNorm {
        gradients,
        sum: gradient.value.zeros_like(),
    };
    for_each_parameter(model, gradient.clone(), &mut of_loss);
    let length = of_loss.sum.sqrt();
    normalised(model, gradient, strength).map(&Scaled(length))
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
            return gradient.value.zeros_like();
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
    fn visit<const D: usize>(&mut self, _id: ParamId, _parameter: &Tensor<D>, gradient: Tensor<D>) {
        self.of.push(match self.measure {
            Measure::Largest => gradient.max_abs(),
            Measure::Norm => gradient.square().sum(),
        });
    }
}
