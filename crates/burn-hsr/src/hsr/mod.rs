//! The regulariser: what it keeps and what it says of a batch; the ways into a step are in `entries`.

mod checks;
mod due;
mod entries;
mod price;
mod surrogate;

use burn::tensor::{Element, Tensor};
use burn_penalty::{MeanGradient, Reach};
use hsr_core::depth::DeepBounds;
use hsr_core::{Extremes, Real, SpectralBounds};

use crate::closed_form::{ClosedForm, Spare};
use crate::config::{Execution, HsrConfig};
use crate::error::HsrError;
use crate::gradient::{HsrGradient, ScaledBy};
use crate::host::{Host, Objective, OnHost, Task};
use crate::lanczos::LanczosConfig;
use crate::layers::Layers;
use crate::probes::{Estimate, ProbeAverages, Probing};
use crate::record::HsrRecord;
use crate::targets::Targets;
use crate::{cost, device};

pub(crate) use self::checks::refuse_tracked;

/// Hessian Spectral Range regularisation: adds strength·λ_sup to a loss, through its closed-form gradient.
///
/// Three ways into a loop, all with the same result (choose one):
///
/// * [`penalty`](Hsr::penalty): a term of the loss;
/// * [`inject`](Hsr::inject): into the gradients, between `backward` and the optimizer's step;
/// * [`step`](Hsr::step): in place of the optimizer's step, for any mode.
///
/// And one that takes the place of forward pass, loss and `backward` too, the fastest where the model is nothing but the
/// layers that HSR knows and trains on the CPU: [`loss_gradients`](Hsr::loss_gradients), and
/// [`loss_step`](Hsr::loss_step) for any mode.
///
/// These step: each call is a step of the [schedule](HsrConfig::schedule), and they take `&mut self`. What only looks
/// ([`bounds`](Hsr::bounds), [`gradient`](Hsr::gradient), [`loss`](Hsr::loss) and so on) takes `&self`: a value that is logged
/// shifts nothing. In a model that burn-train trains, keep a `train::HsrStep`.
///
/// Each takes whatever has [`Layers`](crate::Layers): one `Linear`, such as the last layer of a classifier, whose inputs
/// are then the features of what comes before it ([`head`](Hsr::head)); an [`Mlp`](crate::Mlp) or a
/// [`ThreeLayerNet`](crate::ThreeLayerNet); or a module of your own that lists its layers.
///
/// Frozen parameters are no part of the Hessian, get no gradient by any of them and do not move.
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
/// device.seed(0);
/// let mut model = ThreeLayerNetConfig::new(4, 8, 3).init(&device);
/// let mut optimizer = SgdConfig::new().init();
/// let loss = CrossEntropyLossConfig::new().init(&device);
/// let mut hsr = HsrConfig::new().with_strength(0.1).init()?;                 // 1
///
/// // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
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
#[derive(Clone)]
pub struct Hsr {
    config: HsrConfig,
    pub(crate) host: Host,
    /// Steps taken.
    steps: u64,
    /// What probes said so far.
    averages: Option<ProbeAverages>,
    /// What a projected strength keeps.
    mean: MeanGradient,
    /// Whether it was said that a part of the batch is taken where all of it was not refused.
    told: bool,
}

impl HsrConfig {
    /// The regulariser.
    ///
    /// # Errors
    ///
    /// [`HsrError::Config`] where a value is outside its range: a strength or a class weight that is negative or not
    /// finite, a smoothing outside 0…1, an interval, a subsample or threads of 0; [`HsrError::HostOnly`] where the device
    /// is asked for what only the host computes.
    pub fn init(&self) -> Result<Hsr, HsrError> {
        self.check()?;
        Ok(Hsr {
            config: self.clone(),
            host: Host::new(self.threads),
            steps: 0,
            averages: None,
            mean: MeanGradient::default(),
            told: false,
        })
    }
}

impl core::fmt::Debug for Hsr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hsr")
            .field("config", &self.config)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

impl Hsr {
    /// The configuration.
    pub fn config(&self) -> &HsrConfig {
        &self.config
    }

    /// What a resumed run needs to go on where this one is; reads the device where the strength keeps a mean.
    ///
    /// # Errors
    ///
    /// [`HsrError::Penalty`] where the device cannot be read.
    pub fn to_record(&self) -> Result<HsrRecord, HsrError> {
        Ok(HsrRecord {
            steps: self.steps,
            averages: self.averages,
            mean: self.mean.to_record()?,
        })
    }

    /// The regulariser where the record was taken.
    pub fn load_record(mut self, record: HsrRecord) -> Self {
        self.resume(record.steps, record.averages);
        self.mean = MeanGradient::from_record(record.mean);
        self
    }

    /// The steps taken, and what probes said so far.
    #[cfg(feature = "train")]
    pub(crate) fn progress(&self) -> (u64, Option<ProbeAverages>) {
        (self.steps, self.averages)
    }

    pub(crate) fn resume(&mut self, steps: u64, averages: Option<ProbeAverages>) {
        (self.steps, self.averages) = (steps, averages);
    }

    /// λ_sup (or its [peer](crate::Sharpness)) and its gradient, without strength, schedule or mode, for looking at: no step
    /// counts. With `with_inputs` also the gradient for the inputs. With [probes](HsrConfig::probes) it is the estimate of the step that comes.
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
    pub fn gradient<M: Layers>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        with_inputs: bool,
    ) -> Result<HsrGradient, HsrError> {
        let of_step = self.of_step(model, inputs, targets.into(), with_inputs, 1.0)?;
        Ok(of_step.0)
    }

    /// [`gradient`](Self::gradient) with everything but the value multiplied by `factor`, and what probes said.
    fn of_step<M: Layers>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
        with_inputs: bool,
        factor: f64,
    ) -> Result<(HsrGradient, Option<Estimate>), HsrError> {
        let targets = self.checked(model, &inputs, targets)?;
        if self.on_host(model, &inputs) {
            let objective = Objective::Measure { with_inputs };
            let found = self.on_host_gradient(objective, factor, model, inputs, targets)?;
            Ok((found.gradient, found.estimate))
        } else {
            let gradient = device::gradient(&self.config, model, inputs, targets, with_inputs)?;
            Ok((gradient.map(&ScaledBy(factor)), None))
        }
    }

    /// An objective on the host, for targets that were checked.
    pub(crate) fn on_host_gradient<M: Layers>(
        &self,
        objective: Objective,
        factor: f64,
        model: &M,
        inputs: Tensor<2>,
        targets: Targets,
    ) -> Result<OnHost, HsrError> {
        let config = &self.config;
        let probing = (config.probes > 0).then_some(Probing {
            sharpness: config.sharpness,
            probes: config.probes,
            seed: config.seed,
            step: self.steps,
            before: self.averages,
        });
        let task = Task {
            config,
            objective,
            probing: probing.as_ref(),
            factor,
        };
        self.host.gradient(task, model, inputs, targets)
    }

    /// Whether the measure of a batch is computed on the host.
    pub(crate) fn on_host<M: Layers>(&self, model: &M, inputs: &Tensor<2>) -> bool {
        match self.config.execution {
            Execution::Host => true,
            Execution::Device => false,
            Execution::Auto => {
                !self.config.is_on_device()
                    || match Reach::of(&inputs.device()) {
                        Reach::Host => true,
                        Reach::Device => false,
                        _ => cost::is_small(&self.config, model, inputs.dims()[0]),
                    }
            }
        }
    }

    /// The model and the batch in the host's memory, in whatever precision, for the verbs of hsr-core.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// [`HsrError::Shape`] where model, inputs and targets do not fit together, [`HsrError::Read`].
    pub fn closed_form<T: Real + Element, M: Layers>(
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
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn bounds<M: Layers>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<SpectralBounds<f64>, HsrError> {
        let targets = self.checked(model, &inputs, targets.into())?;
        self.host.bounds(&self.config, model, inputs, targets)
    }

    /// The moments and bounds of every layer's block of the Hessian, and of the whole, computed on the host in f64.
    ///
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use burn_hsr::{HsrConfig, MlpConfig};
    ///
    /// let device = Device::flex();
    /// let model = MlpConfig::new(4, vec![8, 8], 3).init(&device);
    /// // Length and width of sepal and petal of three irises in cm.
    /// let x = Tensor::<2>::from_floats([[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]], &device);
    /// let y = Tensor::<1, Int>::from_ints([0, 1, 2], &device);
    /// let bounds = HsrConfig::new().init()?.layer_bounds(&model, x, y)?;
    /// assert_eq!(bounds.layers.len(), 3);
    /// assert!(bounds.lambda_block <= bounds.whole.lambda_sup);
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
    /// As [`gradient`](Self::gradient).
    pub fn layer_bounds<M: Layers>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<DeepBounds<f64>, HsrError> {
        let targets = self.checked(model, &inputs, targets.into())?;
        self.host.layer_bounds(&self.config, model, inputs, targets)
    }

    /// Both ends of the Hessian's spectrum, λ_max and λ_min, by Lanczos on the closed-form Hessian-vector product,
    /// computed on the host in f64.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn extremes<M: Layers>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        config: &LanczosConfig,
    ) -> Result<Extremes, HsrError> {
        let targets = self.checked(model, &inputs, targets.into())?;
        self.host
            .extremes(&self.config, model, inputs, targets, &(*config).into())
    }
}
