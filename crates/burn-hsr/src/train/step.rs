//! A training and a validation step with HSR, for any module with a feed-forward head.

use core::cell::OnceCell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param, ParamId,
};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Shape, Tensor, TensorData};
use burn::train::TrainOutput;

use super::{Curvature, HsrOutput};
use crate::error::HsrError;
use crate::head::HeadTerm;
use crate::hsr::Hsr;
use crate::lanczos::LanczosConfig;
use crate::layers::Layers;
use crate::mlp::Mlp;
use crate::objective::loss;
use crate::probes::ProbeAverages;
use crate::targets::Targets;

/// A regulariser as a field of a model that has a `TrainStep` of its own. burn-train calls that step through `&self`, on
/// clones of the model: here [`penalty`](Self::penalty), [`inject`](Self::inject) and [`head`](Self::head) of [`Hsr`] take
/// `&self`, and all clones count their steps together. [`train_step`](Self::train_step) and
/// [`valid_step`](Self::valid_step) are the whole steps of an [`HsrModel`](super::HsrModel).
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn::tensor::{Int, Tensor};
/// use burn::train::{InferenceStep, TrainOutput, TrainStep};
/// use burn_hsr::train::{HsrOutput, HsrStep};
/// use burn_hsr::ThreeLayerNet;
///
/// #[derive(Clone, Debug)]
/// struct MyBatch { x: Tensor<2>, y: Tensor<1, Int> }
///
/// #[derive(Module, Debug)]
/// struct Deep { backbone: Linear, head: ThreeLayerNet, hsr: HsrStep }
///
/// impl Deep {
///     fn features(&self, x: Tensor<2>) -> Tensor<2> { self.backbone.forward(x).tanh() }
/// }
///
/// impl TrainStep for Deep {
///     type Input = MyBatch;
///     type Output = HsrOutput;
///     fn step(&self, batch: MyBatch) -> TrainOutput<HsrOutput> {
///         self.hsr.train_step(self, &self.head, self.features(batch.x), batch.y)
///     }
/// }
///
/// impl InferenceStep for Deep {
///     type Input = MyBatch;
///     type Output = HsrOutput;
///     fn step(&self, batch: MyBatch) -> HsrOutput {
///         self.hsr.valid_step(&self.head, self.features(batch.x), batch.y)
///     }
/// }
/// ```
///
/// # In the model's record
///
/// It is a module whose record is one integer, the steps that the regulariser has taken, under `steps` in the field's
/// name. burn-train's checkpoints hold it, and a training that resumes from one goes on at that step of the
/// [`ScheduleConfig`](crate::ScheduleConfig) and of the choice of rows. With [probes](crate::HsrConfig::probes) there are 24 integers
/// more under `averages`, the bytes of what probes said so far. Where the strength is a number the resumed steps are the same to
/// the bit; the running mean of a [projected](crate::Strength::Projected) one, the default, is not recorded and takes some twenty
/// steps to form again. Under `#[module(skip)]` nothing is recorded: right where the strength is constant, and for records without it.
#[derive(Clone)]
pub struct HsrStep {
    /// What steps. Locked because burn-train's steps take `&self`, and shared because it clones a model for every step
    /// and device: this is the one place where a regulariser steps behind a shared reference.
    hsr: Arc<Mutex<Hsr>>,
    /// What only looks, with buffers of its own, so that metrics do not wait for training.
    look: Arc<Hsr>,
    bounds_every: usize,
    lambda_max_every: usize,
    lanczos: LanczosConfig,
    /// burn-train clones a model for every step and device; all clones count together.
    batches: Arc<Batches>,
    /// The names of the steps and of the averages in a record.
    ids: [ParamId; 2],
}

impl core::fmt::Debug for HsrStep {
    /// What a model's summary should say of it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let config = self.look.config();
        f.debug_struct("HsrStep")
            .field("strength", &config.strength_rule)
            .field("mode", &config.mode)
            .field("loss", &config.loss.kind)
            .finish_non_exhaustive()
    }
}

/// Batches since the other split was last seen: both begin anew with every epoch, also with that of a resumed run.
#[derive(Debug, Default)]
struct Batches {
    train: AtomicUsize,
    valid: AtomicUsize,
}

impl HsrStep {
    /// Steps with this regulariser, bounds measured at every batch and λ_max at every tenth. The loss is the one
    /// that the regulariser's configuration names.
    ///
    /// # Errors
    ///
    /// [`HsrError::Decoupled`] in the decoupled mode, which no term of a loss can express.
    pub fn new(hsr: Hsr) -> Result<Self, HsrError> {
        hsr.refuse_decoupled("a burn-train learner")?;
        Ok(Self {
            look: Arc::new(hsr.clone()),
            hsr: Arc::new(Mutex::new(hsr)),
            bounds_every: 1,
            lambda_max_every: 10,
            // Metrics are read to a few digits, and a training step should not wait for more.
            lanczos: LanczosConfig::new()
                .with_iterations(100)
                .with_tolerance(1e-6),
            batches: Arc::default(),
            ids: [ParamId::new(), ParamId::new()],
        })
    }

    /// The bounds (λ_sup and the trace) are measured at the first batch of an epoch and at every `batches`-th after
    /// it, in training and in validation; 0 is never.
    pub fn with_bounds_every(mut self, batches: usize) -> Self {
        self.bounds_every = batches;
        self
    }

    /// λ_max and the tightness are measured at the first batch of an epoch and at every `batches`-th after it, in
    /// training and in validation; 0 is never.
    pub fn with_lambda_max_every(mut self, batches: usize) -> Self {
        self.lambda_max_every = batches;
        self
    }

    /// When the Lanczos iteration for λ_max stops: at 100 products or a relative residual of 10⁻⁶ unless told. An
    /// iteration that ends before it has converged gives a lower bound.
    pub fn with_lanczos(mut self, config: LanczosConfig) -> Self {
        self.lanczos = config;
        self
    }

    /// A copy of the regulariser where it is, to look with: [`Hsr::bounds`], [`Hsr::verify`], [`Hsr::to_record`].
    pub fn hsr(&self) -> Hsr {
        self.stepping().clone()
    }

    fn stepping(&self) -> MutexGuard<'_, Hsr> {
        self.hsr.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Hsr::penalty`], of which all clones count the steps together.
    ///
    /// # Shapes
    ///
    /// - features: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    /// - output: `[1]`
    ///
    /// # Errors
    ///
    /// As [`Hsr::penalty`].
    pub fn penalty<H: Layers>(
        &self,
        head: &H,
        features: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<Tensor<1>, HsrError> {
        self.stepping().penalty(head, features, targets)
    }

    /// [`Hsr::inject`], of which all clones count the steps together.
    ///
    /// # Shapes
    ///
    /// - inputs: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// As [`Hsr::inject`].
    pub fn inject<M: Layers>(
        &self,
        model: &M,
        inputs: Tensor<2>,
        targets: impl Into<Targets>,
        gradients: GradientsParams,
    ) -> Result<GradientsParams, HsrError> {
        self.stepping().inject(model, inputs, targets, gradients)
    }

    /// [`Hsr::head`], of which all clones count the steps together.
    ///
    /// # Shapes
    ///
    /// - features: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    ///
    /// # Errors
    ///
    /// As [`Hsr::head`].
    pub fn head<H: Layers>(
        &self,
        head: &H,
        features: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> Result<HeadTerm, HsrError> {
        self.stepping().head(head, features, targets)
    }

    /// A training step: the gradients of loss + strength·λ_sup for the parameters of `model`, whose head `head` sees
    /// `features`. An error is in the output; there are no gradients then.
    ///
    /// # Shapes
    ///
    /// - features: `[N, d]`
    /// - targets: `[N]` class indices or `[N, K]` values
    pub fn train_step<M: Module, H: Layers>(
        &self,
        model: &M,
        head: &H,
        features: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> TrainOutput<HsrOutput> {
        let targets = targets.into();
        // Before the loss: what does not fit is refused with a name here, while there a tensor operation would panic.
        match self.penalty(head, features.clone(), targets.clone()) {
            Ok(penalty) => {
                let item = self.output(head, features, targets, Split::Train);
                let objective = item.loss.clone() + penalty;
                TrainOutput::new(model, objective.backward(), item)
            }
            Err(error) => TrainOutput {
                grads: GradientsParams::new(),
                item: HsrOutput::failed(head, features, targets, self.look.config(), error),
            },
        }
    }

    /// A validation step: the loss without the penalty.
    ///
    /// # Shapes
    ///
    /// As [`train_step`](Self::train_step).
    pub fn valid_step<H: Layers>(
        &self,
        head: &H,
        features: Tensor<2>,
        targets: impl Into<Targets>,
    ) -> HsrOutput {
        let targets = targets.into();
        match self.look.check(head, &features, &targets) {
            Ok(()) => self.output(head, features, targets, Split::Valid),
            Err(error) => HsrOutput::failed(head, features, targets, self.look.config(), error),
        }
    }

    fn output<H: Layers>(
        &self,
        head: &H,
        features: Tensor<2>,
        targets: Targets,
        split: Split,
    ) -> HsrOutput {
        let network = Mlp::of(head);
        let logits = network.forward(features.clone());
        let batch = self.batches.next(split);
        let due = |every: usize| every != 0 && batch.is_multiple_of(every);
        HsrOutput {
            loss: loss(self.look.config(), logits.clone(), &targets),
            logits,
            targets: targets.clone(),
            kind: self.look.config().loss.kind,
            curvature: Some(Curvature {
                hsr: self.look.clone(),
                network: network.valid(),
                inputs: features.without_autodiff(),
                targets: targets.without_autodiff(),
                with_bounds: due(self.bounds_every),
                lanczos: due(self.lambda_max_every).then_some(self.lanczos),
                bounds: OnceCell::new(),
                extremes: OnceCell::new(),
            }),
            error: None,
        }
    }
}

/// The type in which numbers stand in a record, and their names.
const CONTAINER: &str = "Struct:HsrStep";
const STEPS: &str = "steps";
const AVERAGES: &str = "averages";

/// The bytes of the averages in a record.
const BYTES: usize = 24;

/// Where numbers stand while they are recorded: in the host's memory, where the build has a backend there.
fn beside() -> Device {
    #[cfg(feature = "flex")]
    return Device::flex();
    #[cfg(not(feature = "flex"))]
    Device::default()
}

/// Integers as a parameter, no tensor until somebody asks for it: an optimizer, which maps modules at every step, never
/// does.
fn integers(
    id: ParamId,
    size: usize,
    values: impl Fn() -> Vec<i64> + Send + Sync + 'static,
) -> Param<Tensor<1, Int>> {
    let init = move |device: &Device, _: bool| {
        Tensor::from_data(TensorData::new(values(), [size]), device)
    };
    Param::uninitialized(id, init, beside(), false, Shape::new([size]))
}

/// The integers of a parameter that was loaded; none where it was only passed through.
fn loaded(param: Param<Tensor<1, Int>>) -> Option<Vec<i64>> {
    if !param.is_initialized() {
        return None;
    }
    param.into_value().try_into_vec_as::<i64>().ok()
}

/// The averages as bytes, which an integer of any width holds; zeros where there are none yet.
fn to_bytes(averages: Option<ProbeAverages>) -> Vec<i64> {
    let words = match averages {
        Some(it) => [
            it.updates,
            it.trace.to_bits(),
            it.frobenius_squared.to_bits(),
        ],
        None => [0; 3],
    };
    let bytes = words.into_iter().flat_map(u64::to_le_bytes);
    bytes.map(i64::from).collect()
}

fn from_bytes(bytes: &[i64]) -> Option<ProbeAverages> {
    let bytes: Vec<u8> = bytes.iter().filter_map(|&b| u8::try_from(b).ok()).collect();
    let bytes: [u8; BYTES] = bytes.try_into().ok()?;
    let (words, _) = bytes.as_chunks::<8>();
    let &[updates, trace, square] = words else {
        return None;
    };
    let averages = ProbeAverages {
        updates: u64::from_le_bytes(updates),
        trace: f64::from_le_bytes(trace),
        frobenius_squared: f64::from_le_bytes(square),
    };
    (averages.updates > 0).then_some(averages)
}

impl HsrStep {
    /// The steps taken.
    fn steps(&self) -> Param<Tensor<1, Int>> {
        let step = self.clone();
        integers(self.ids[0], 1, move || {
            let (steps, _) = step.stepping().progress();
            vec![i64::try_from(steps).unwrap_or(i64::MAX)]
        })
    }

    /// What probes said so far.
    fn averages(&self) -> Param<Tensor<1, Int>> {
        let step = self.clone();
        integers(self.ids[1], BYTES, move || {
            to_bytes(step.stepping().progress().1)
        })
    }

    fn has_probes(&self) -> bool {
        self.look.config().probes > 0
    }
}

impl Module for HsrStep {
    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        visitor.enter_module(STEPS, CONTAINER);
        visitor.visit_int(&self.steps());
        visitor.exit_module(STEPS, CONTAINER);
        if self.has_probes() {
            visitor.enter_module(AVERAGES, CONTAINER);
            visitor.visit_int(&self.averages());
            visitor.exit_module(AVERAGES, CONTAINER);
        }
    }

    fn map<Mapper: ModuleMapper>(mut self, mapper: &mut Mapper) -> Self {
        mapper.enter_module(STEPS, CONTAINER);
        let steps = mapper.map_int(self.steps());
        mapper.exit_module(STEPS, CONTAINER);
        self.ids[0] = steps.id;
        if let Some(steps) = loaded(steps)
            && let Some(steps) = steps.first().and_then(|&steps| u64::try_from(steps).ok())
        {
            let mut hsr = self.stepping();
            let (_, averages) = hsr.progress();
            hsr.resume(steps, averages);
        }
        if self.has_probes() {
            mapper.enter_module(AVERAGES, CONTAINER);
            let averages = mapper.map_int(self.averages());
            mapper.exit_module(AVERAGES, CONTAINER);
            self.ids[1] = averages.id;
            if let Some(bytes) = loaded(averages) {
                let mut hsr = self.stepping();
                let (steps, _) = hsr.progress();
                hsr.resume(steps, from_bytes(&bytes));
            }
        }
        self
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }

    fn fork(self, _device: &Device) -> Self {
        self
    }

    fn to_device(self, _device: &Device) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn train(self) -> Self {
        self
    }

    fn materialize(self) -> Self {
        self
    }
}

impl ModuleDisplayDefault for HsrStep {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&format!("{self:?}")).optional()
    }
}

impl ModuleDisplay for HsrStep {}

impl core::fmt::Display for HsrStep {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(self, f)
    }
}

#[derive(Clone, Copy)]
enum Split {
    Train,
    Valid,
}

impl Batches {
    /// The number of this batch in its epoch, from 0.
    fn next(&self, split: Split) -> usize {
        let (this, other) = match split {
            Split::Train => (&self.train, &self.valid),
            Split::Valid => (&self.valid, &self.train),
        };
        other.store(0, Ordering::Relaxed);
        this.fetch_add(1, Ordering::Relaxed)
    }
}
