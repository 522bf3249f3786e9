//! The public verbs: loss, moments, bounds and their gradient, Hessian-vector products, the dense Hessian.

use core::num::NonZeroUsize;
use core::ops::{ControlFlow, Range};

use crate::assembled::Blocks;
use crate::batch::Normalizer;
use crate::bounds::SpectralWeights;
use crate::directional::Directional;
use crate::error::check_length;
use crate::forward::{Curvature, Forward};
use crate::gram::{self, Pairing};
use crate::lanes::{LANE, add_scaled, dot, finite, row, row_mut, sized, sum, whole, zeroed};
use crate::matmul::{Mat, Write, matmul};
use crate::memory::{Case, Quantity};
use crate::output_basis;
use crate::plan::{Plan, Want};
use crate::pullback::Out;
use crate::shard::{self, Own, Shared};
use crate::stages::{
    ContractStage, CurvatureStage, ForwardStage, LargestStage, NormsStage, PrepareStage,
    ProductStage, PullbackStage,
};
use crate::team::Team;
use crate::watch::{Progress, Ticks, Watch};
use crate::{
    Batch, Dimensions, Error, Evaluation, Moments, Network, OutputLoss, Real, SpectralBounds,
};

/// A dense Hessian is refused beyond this many parameters: 1.2 GiB in f64.
pub const DENSE_LIMIT: usize = 12_288;

/// Evaluates the closed form. It owns every buffer that an evaluation needs and keeps them: after the first call
/// with a given size no buffer is allocated any more. (The `gemm` crate still takes packing space for each large matrix
/// product, and Rayon some bytes for each helper it is asked for.)
///
/// The verbs take a [`Network`] and a [`Batch`]; gradients are written in the order of [`Layout`](crate::Layout).
///
/// ```
/// use hsr_core::{Activation, Batch, Dimensions, Evaluation, Network, OutputLoss, Targets, Workspace};
/// use hsr_core::{LanczosOptions, extremes};
///
/// // Nine of Fisher's irises, three of a species: length and width of sepal and petal in cm.
/// let x = [
///     5.1, 3.5, 1.4, 0.2,  4.9, 3.0, 1.4, 0.2,  4.7, 3.2, 1.3, 0.2, // setosa
///     7.0, 3.2, 4.7, 1.4,  6.4, 3.2, 4.5, 1.5,  6.9, 3.1, 4.9, 1.5, // versicolor
///     6.3, 3.3, 6.0, 2.5,  5.8, 2.7, 5.1, 1.9,  7.1, 3.0, 5.9, 2.1, // virginica
/// ];
/// let species = [0, 0, 0, 1, 1, 1, 2, 2, 2];
/// let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, Targets::Classes(&species));
/// let dimensions = Dimensions::new(4, 3, 3);
/// let size = dimensions.parameters();
/// let theta: Vec<f64> = (0..27).map(|i| 0.5 * f64::from(i).sin()).collect();
/// let network = Network::from_flat(dimensions, Activation::Tanh, &theta)?;
///
/// let mut workspace = Workspace::new();
/// let mut gradient = vec![0.0; size];
/// let bounds = workspace.bounds_gradient(&network, &batch, Evaluation::Auto, &mut gradient, None)?;
///
/// // The ends of the spectrum lie within the bounds.
/// let mut hessian = workspace.linearize(&network, &batch)?;
/// let ends = extremes(size, |v, product| hessian.apply(v, product), &LanczosOptions::default())?;
/// assert!(bounds.lambda_max_lower <= ends.largest && ends.largest <= bounds.lambda_sup);
/// assert!(bounds.lambda_inf <= ends.smallest && ends.smallest <= bounds.lambda_min_upper);
///
/// // The trace is that of the dense Hessian.
/// let mut dense = vec![0.0; size * size];
/// workspace.hessian(&network, &batch, &mut dense)?;
/// let trace: f64 = dense.iter().step_by(size + 1).sum();
/// assert!((bounds.moments.trace - trace).abs() < 1e-12 * trace.abs());
///
/// // A step against the gradient narrows the spectrum.
/// let stepped: Vec<f64> = theta.iter().zip(&gradient).map(|(t, g)| t - 1e-3 * g).collect();
/// let stepped = Network::from_flat(dimensions, Activation::Tanh, &stepped)?;
/// let after = workspace.bounds(&stepped, &batch, Evaluation::Auto)?;
/// assert!(after.lambda_sup < bounds.lambda_sup);
/// # Ok::<(), hsr_core::Error>(())
/// ```
pub struct Workspace<T> {
    /// One shard of the batch, or several where the evaluation is parallel: the same number in both lists, of which
    /// the first `used` take part in the last evaluation.
    pub(crate) shards: Vec<Shared<T>>,
    pub(crate) own: Vec<Own<T>>,
    pub(crate) used: usize,
    threads: Option<NonZeroUsize>,
    pub(crate) team: Team,
    pub(crate) directional: Directional<T>,
    /// A unit vector in the parameter space.
    pub(crate) direction: Vec<T>,
    pub(crate) buffers: [Vec<T>; 5],
    /// Where the samples are gone through part by part: the sum of the blocks, and one part's share of a gradient.
    blocks: Blocks<T>,
    pub(crate) part: Vec<T>,
    plan: Option<Plan>,
    memory_limit: Option<u64>,
    /// The evaluations whose buffers are held, with their bytes.
    held: Vec<(Case, f64)>,
    watch: Option<Watch>,
}

/// An evaluation of moments.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub evaluation: Evaluation,
    pub want: Want,
    /// The Gauss-Newton part of H alone, or the rest alone.
    pub part: Option<Part>,
}

/// A part of H.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    GaussNewton,
    Indefinite,
}

/// What the shards do before their blocks are added up.
#[derive(Clone, Copy)]
struct Preparation {
    plan: Plan,
    pairing: Pairing,
    want: Want,
    part: Option<Part>,
}

impl Preparation {
    /// For shards that have been through the forward pass.
    fn new<T: Real>(shards: &[Shared<T>], plan: Plan, want: Want, part: Option<Part>) -> Self {
        Self {
            plan,
            pairing: Pairing::new(&shards[0].forward, &plan, gram::total(shards)),
            want,
            part,
        }
    }

    fn run<T: Real>(self, shared: &mut Shared<T>, own: &mut Own<T>) {
        let Self {
            plan,
            pairing,
            want,
            part,
        } = self;
        if let Some(part) = part {
            shared.forward.keep_part(part == Part::Indefinite);
        }
        T::prepare(PrepareStage {
            shared,
            own,
            plan,
            pairing,
            want,
        });
    }
}

impl<T: Real> Default for Workspace<T> {
    fn default() -> Self {
        Self {
            shards: vec![Shared::default()],
            own: vec![Own::default()],
            used: 1,
            threads: None,
            team: Team::default(),
            directional: Directional::default(),
            direction: Vec::new(),
            buffers: Default::default(),
            blocks: Blocks::default(),
            part: Vec::new(),
            plan: None,
            memory_limit: None,
            held: Vec::new(),
            watch: None,
        }
    }
}

impl<T: Real> Workspace<T> {
    /// An empty workspace. Buffers grow when they are needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty workspace whose results are the same to the bit on any number of cores.
    pub fn single_threaded() -> Self {
        Self::new().with_threads(NonZeroUsize::MIN)
    }

    /// The most threads that an evaluation may take; without this call, as many as Rayon's pool has. Only the bounds,
    /// ‖H‖ and their gradients take more than one, and only where that pays. The samples are divided among them, so
    /// that another number rounds the sums differently: with one thread, results do not depend on the machine's cores.
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// The most bytes that buffers may take. An evaluation then takes the cheapest way that fits, part by part of the
    /// samples where that helps, and is refused with [`Error::Memory`] before anything is allocated where none does.
    /// Without this call nothing is refused but what no machine could hold.
    pub fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Calls `observe` while an evaluation goes on: before each tile of pairs of samples, before each part of the samples
    /// where they are gone through part by part, and after each product with the Hessian. Where it breaks, the evaluation
    /// ends with [`Error::Stopped`], and so does every one after it. It may be called by several threads at once.
    pub fn with_watch(
        mut self,
        observe: impl Fn(Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.watch = Some(Watch::new(observe));
        self
    }

    /// The bytes of the buffers that `quantity` takes for a network and a batch of these sizes: counted, not allocated.
    /// (The space that the `gemm` crate packs matrices into for the time of a product is not among them.)
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] where no evaluation fits the limit; [`Error::TooLarge`] where a block of H was to be assembled and
    /// would not fit, without a limit.
    pub fn memory(
        &self,
        quantity: Quantity,
        dimensions: &Dimensions,
        loss: OutputLoss,
        samples: usize,
        evaluation: Evaluation,
    ) -> Result<u64, Error> {
        let want = match quantity {
            Quantity::Bounds => Some(Want::Moments),
            Quantity::BoundsGradient => Some(Want::Gradient),
            Quantity::BoundsInputGradient => Some(Want::InputGradient),
            Quantity::Loss
            | Quantity::LossGradient
            | Quantity::HessianProduct
            | Quantity::TraceGradient
            | Quantity::CurvatureAlongGradient => None,
        };
        let case = match want {
            Some(want) => self.case_of_moments(dimensions, loss, samples, evaluation, want)?,
            None => self.case_of_pass(quantity, dimensions, loss, samples)?,
        };
        Ok(case.bytes::<T>() as u64)
    }

    /// Trace and squared Frobenius norm of the Hessian.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn moments(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
    ) -> Result<Moments<T>, Error> {
        Ok(self.bounds(network, batch, evaluation)?.moments)
    }

    /// The Wolkowicz-Styan bounds.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn bounds(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
    ) -> Result<SpectralBounds<T>, Error> {
        let asked = Asked {
            evaluation,
            want: Want::Moments,
            part: None,
        };
        let (_, moments) = self.in_shards(network, batch, asked, None, None)?;
        self.finish(moments, &SpectralWeights::new(&moments))
    }

    /// The bounds and, in `gradient` \[D\], ∂λ_sup/∂θ; in `input_gradient` \[N, d\], where given, ∂λ_sup/∂x.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where an output has the wrong length.
    pub fn bounds_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<SpectralBounds<T>, Error> {
        let mut out = self.checked_out(network, batch, gradient, input_gradient)?;
        let (_, bounds) = self.bounds_into(network, batch, evaluation, None, &mut out)?;
        Ok(bounds)
    }

    /// The bounds with the gradient of λ_sup and, where there is room for its gradient, the loss.
    pub(crate) fn bounds_into(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
        loss_gradient: Option<&mut [T]>,
        out: &mut Out<T>,
    ) -> Result<(T, SpectralBounds<T>), Error> {
        let asked = Asked {
            evaluation,
            want: out.want(),
            part: None,
        };
        let descend = Descend {
            weights: SpectralWeights::new,
            out: &mut *out,
        };
        let (loss, moments) =
            self.in_shards(network, batch, asked, loss_gradient, Some(descend))?;
        if finite(out.parameters) && out.inputs.as_deref().is_none_or(finite) {
            let bounds = self.finish(moments, &SpectralWeights::new(&moments))?;
            Ok((loss, bounds))
        } else {
            Err(Error::Overflow {
                what: "the gradient of λ_sup",
            })
        }
    }

    /// Where a gradient goes, if it fits.
    pub(crate) fn checked_out<'o>(
        &self,
        network: &Network<T>,
        batch: &Batch<T>,
        parameters: &'o mut [T],
        inputs: Option<&'o mut [T]>,
    ) -> Result<Out<'o, T>, Error> {
        let expected = network.dimensions().parameters();
        check_length("gradient", "parameters", parameters.len(), expected)?;
        if let Some(inputs) = &inputs {
            check_length(
                "input_gradient",
                "samples × inputs",
                inputs.len(),
                batch.inputs.len(),
            )?;
        }
        Ok(Out { parameters, inputs })
    }

    /// How the last evaluation of moments or bounds was done, block by block.
    pub fn last_plan(&self) -> Option<Plan> {
        self.plan
    }

    /// The moments of H/σ, and the gradient of what is to be descended of them, in as many shards as pay. Before them,
    /// where there is room for its gradient, the loss, else 0.
    pub(crate) fn in_shards(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        asked: Asked,
        loss_gradient: Option<&mut [T]>,
        descend: Option<Descend<T>>,
    ) -> Result<(T, Moments<T>), Error> {
        let Asked {
            evaluation,
            want,
            part,
        } = asked;
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let case = self.case_of_moments(&dims, batch.loss(), samples, evaluation, want)?;
        self.hold(case)?;
        if case.chunk < samples {
            return self.in_chunks(network, batch, case, asked, loss_gradient, descend);
        }
        let Case {
            plan,
            shards: count,
            ..
        } = case;
        let _helpers = (count > 1).then(|| self.team.call(count - 1));
        let with_loss = loss_gradient.is_some();
        let normalizer = batch.normalizer(samples)?;
        let loss = self.forward_in(network, batch, normalizer, 0..samples, count, with_loss)?;
        if let Some(gradient) = loss_gradient {
            self.write_loss_gradient(network, gradient)?;
        }
        let preparation = Preparation::new(&self.shards[..count], plan, want, part);
        let largest = self.largest();
        self.curvature(network, Curvature::InBasis, largest, |shared, own| {
            preparation.run(shared, own);
        })?;
        let moments = self.contract_prepared(preparation)?;
        if let Some(Descend { weights, out }) = descend {
            self.pull_back(network, &weights(&moments), out);
        }
        Ok((loss, moments))
    }

    /// The same for an evaluation whose blocks are all formed, part by part of the samples: once through them for σ, once
    /// for the blocks, and where a gradient is wanted once more.
    fn in_chunks(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        case: Case,
        asked: Asked,
        loss_gradient: Option<&mut [T]>,
        descend: Option<Descend<T>>,
    ) -> Result<(T, Moments<T>), Error> {
        let Case {
            plan,
            samples,
            shards: count,
            ..
        } = case;
        let want = asked.want;
        let parameters = case.dimensions.parameters();
        let normalizer = batch.normalizer(samples)?;
        let _helpers = (count > 1).then(|| self.team.call(count - 1));
        let watch = self.watch.clone();
        let passes = if descend.is_some() { 3 } else { 2 };
        let parts = samples.div_ceil(case.chunk);
        let mut ticks = Ticks::new(watch.as_ref(), "parts of the samples", passes * parts);
        let mut next = || {
            if ticks.stopped() {
                Err(Error::Stopped)
            } else {
                Ok(())
            }
        };
        let with_loss = loss_gradient.is_some();
        let mut of_loss = loss_gradient;
        if let Some(gradient) = of_loss.as_deref_mut() {
            gradient.fill(T::zero());
        }
        let (mut loss, mut largest) = (T::zero(), T::zero());
        for range in chunks(&case) {
            next()?;
            loss += self.forward_in(network, batch, normalizer, range, count, with_loss)?;
            largest = largest.max(self.largest());
            if let Some(gradient) = of_loss.as_deref_mut() {
                self.add_part(gradient, |workspace, part| {
                    workspace.write_loss_gradient(network, part)
                })?;
            }
        }
        let mut trace = T::zero();
        for (index, range) in chunks(&case).enumerate() {
            next()?;
            self.forward_in(network, batch, normalizer, range, count, false)?;
            let shards = &self.shards[..self.used];
            let preparation = Preparation::new(shards, plan, want, asked.part);
            self.curvature(network, Curvature::InBasis, largest, |shared, own| {
                preparation.run(shared, own);
            })?;
            trace += self.trace();
            if index == 0 {
                self.blocks.clear(&self.shards[0].forward, &plan);
            }
            for shard in &self.shards[..self.used] {
                self.blocks.add(&shard.blocks);
            }
        }
        let moments = self.moments_of(&self.blocks, trace, T::zero(), parameters)?;
        self.plan = Some(plan);
        let Some(Descend { weights, out }) = descend else {
            return Ok((loss, moments));
        };
        let weights = weights(&moments);
        core::mem::swap(&mut self.blocks, &mut self.shards[0].blocks);
        out.parameters.fill(T::zero());
        let inputs = case.dimensions.inputs;
        for range in chunks(&case) {
            next()?;
            self.forward_in(network, batch, normalizer, range.clone(), count, false)?;
            let clear = |shared: &mut Shared<T>, own: &mut Own<T>| {
                own.contraction.clear(&shared.forward, want);
            };
            self.curvature(network, Curvature::InBasis, largest, clear)?;
            let preparation = Preparation::new(&self.shards[..self.used], plan, want, None);
            self.contract_blocks(preparation)?;
            let of_inputs = out.inputs.as_deref_mut();
            let of_inputs = of_inputs.map(|x| &mut x[range.start * inputs..range.end * inputs]);
            self.add_part(out.parameters, |workspace, part| {
                workspace.pull_back(
                    network,
                    &weights,
                    &mut Out {
                        parameters: part,
                        inputs: of_inputs,
                    },
                );
                Ok(())
            })?;
        }
        Ok((loss, moments))
    }

    /// Adds to `sum` what `write` writes of one part of the samples.
    pub(crate) fn add_part(
        &mut self,
        sum: &mut [T],
        write: impl FnOnce(&mut Self, &mut [T]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut part = core::mem::take(&mut self.part);
        let written = write(self, sized(&mut part, sum.len()));
        add_scaled(sum, T::one(), &part[..sum.len()]);
        self.part = part;
        written
    }

    /// The most bytes that buffers may take.
    fn limit(&self) -> u64 {
        self.memory_limit.unwrap_or(isize::MAX as u64)
    }

    /// How moments are evaluated: the cheapest way that fits the memory.
    fn case_of_moments(
        &self,
        dims: &Dimensions,
        loss: OutputLoss,
        samples: usize,
        evaluation: Evaluation,
        want: Want,
    ) -> Result<Case, Error> {
        let softmax = loss == OutputLoss::SoftmaxCrossEntropy;
        let rank = output_basis::reduced(dims.outputs, softmax);
        let limit = self.limit();
        let of = |plan: Plan| Case {
            quantity: Quantity::of(want),
            dimensions: *dims,
            loss,
            in_basis: true,
            plan,
            samples,
            chunk: samples,
            shards: self.shards_that_pay(samples, plan.cost(dims, rank, samples)),
        };
        // Under a limit on memory that of a block is part of it.
        let block = self.memory_limit.map(|_| usize::MAX);
        let cheapest = of(Plan::with_rank(evaluation, dims, rank, samples, block)?);
        if cheapest.bytes::<T>() <= limit as f64 {
            return Ok(cheapest);
        }
        let mut least = cheapest;
        for plan in Plan::by_cost(evaluation, dims, rank, samples) {
            let mut case = of(plan);
            while case.bytes::<T>() > limit as f64 && case.shards > 1 {
                case.shards = shard::count::<T>(samples, case.shards - 1);
            }
            if case.bytes::<T>() > limit as f64 && plan == Plan::ASSEMBLED {
                case = self.in_chunks_that_fit(case);
            }
            if case.bytes::<T>() <= limit as f64 {
                return Ok(case);
            }
            if case.bytes::<T>() < least.bytes::<T>() {
                least = case;
            }
        }
        Err(least.refuse::<T>(limit))
    }

    /// How a quantity is evaluated that one pass over the samples gives: whole, or part by part where that fits better.
    pub(crate) fn case_of_pass(
        &self,
        quantity: Quantity,
        dims: &Dimensions,
        loss: OutputLoss,
        samples: usize,
    ) -> Result<Case, Error> {
        let case = Case {
            quantity,
            dimensions: *dims,
            loss,
            in_basis: true,
            plan: Plan::ASSEMBLED,
            samples,
            chunk: samples,
            shards: 1,
        };
        let case = match quantity {
            Quantity::Loss | Quantity::LossGradient | Quantity::HessianProduct => {
                self.in_chunks_that_fit(case)
            }
            _ => case,
        };
        if case.bytes::<T>() <= self.limit() as f64 {
            Ok(case)
        } else {
            Err(case.refuse::<T>(self.limit()))
        }
    }

    /// The largest parts of the samples that fit, or the smallest that there are.
    fn in_chunks_that_fit(&self, mut case: Case) -> Case {
        /// Samples that a part has at least.
        const LEAST: usize = 64;
        while case.bytes::<T>() > self.limit() as f64 && case.chunk > LEAST {
            case.chunk = (case.chunk / 2).max(LEAST).next_multiple_of(whole::<T>());
            case.shards = shard::count::<T>(case.chunk, case.shards.min(case.chunk / LEAST));
        }
        case
    }

    /// Takes note of buffers that are about to be allocated, and gives back those of other evaluations where both do not
    /// fit.
    pub(crate) fn hold(&mut self, case: Case) -> Result<(), Error> {
        /// More different evaluations than a loop goes through.
        const MOST: usize = 64;
        if let Some(watch) = &self.watch {
            watch.check()?;
        }
        let Some(limit) = self.memory_limit else {
            return Ok(());
        };
        if self.held.iter().any(|(held, _)| *held == case) {
            return Ok(());
        }
        let bytes = case.bytes::<T>();
        let sum = bytes + self.held.iter().map(|(_, bytes)| bytes).sum::<f64>();
        if sum > limit as f64 || self.held.len() >= MOST {
            self.release();
        }
        self.held.push((case, bytes));
        Ok(())
    }

    /// Gives all buffers back.
    fn release(&mut self) {
        self.shards = vec![Shared::default()];
        self.own = vec![Own::default()];
        self.used = 1;
        self.directional = Directional::default();
        self.direction = Vec::new();
        self.buffers = Default::default();
        self.blocks = Blocks::default();
        self.part = Vec::new();
        self.held.clear();
    }

    /// How many shards an evaluation of so many samples and multiplications is divided into.
    fn shards_that_pay(&self, samples: usize, multiplications: f64) -> usize {
        /// Multiplications that pay for another thread: some 0.2 ms, five times what it takes to wake one.
        const SHARE: f64 = 8e6;
        /// Samples a shard should have at least.
        const SAMPLES: usize = 4 * LANE;
        let most = ((multiplications / SHARE) as usize).min(samples / SAMPLES);
        if most < 2 {
            return 1;
        }
        // Asking for the pool's size starts its threads.
        let threads = match self.threads {
            Some(threads) => threads.get(),
            None => rayon::current_num_threads(),
        };
        shard::count::<T>(samples, most.min(threads))
    }

    /// The moments of H/σ.
    fn contract(&mut self, plan: Plan, want: Want) -> Result<Moments<T>, Error> {
        let preparation = Preparation::new(&self.shards[..self.used], plan, want, None);
        let shards = &mut self.shards[..self.used];
        let own = &mut self.own[..self.used];
        self.team
            .each(shards.iter_mut().zip(own), |_, (shared, own)| {
                preparation.run(shared, own);
            });
        self.contract_prepared(preparation)
    }

    /// The moments of H/σ from what each shard has prepared.
    fn contract_prepared(&mut self, preparation: Preparation) -> Result<Moments<T>, Error> {
        let Preparation { plan, pairing, .. } = preparation;
        let parameters = self.shards[0].forward.dims().parameters();
        self.plan = Some(plan);
        let (first, rest) = self.shards[..self.used].split_at_mut(1);
        for other in rest {
            first[0].blocks.add(&other.blocks);
            first[0].prepared.add_projections(&other.prepared, pairing);
        }
        self.contract_blocks(preparation)?;
        let own = &self.own[..self.used];
        let of_pairs: T = own
            .iter()
            .map(|own| own.contraction.frobenius_squared())
            .sum();
        self.moments_of(&self.shards[0].blocks, self.trace(), of_pairs, parameters)
    }

    /// What each shard makes of the blocks of the whole batch, which are those of the first, and of the pairs.
    fn contract_blocks(&mut self, preparation: Preparation) -> Result<(), Error> {
        let Preparation {
            plan,
            pairing,
            want,
            ..
        } = preparation;
        let shards = &self.shards[..self.used];
        let watch = self.watch.as_ref();
        self.team
            .each(self.own[..self.used].iter_mut(), |index, own| {
                T::contract(ContractStage {
                    shards,
                    index,
                    own,
                    plan,
                    pairing,
                    want,
                    watch,
                });
            });
        watch.map_or(Ok(()), Watch::check)
    }

    /// The moments from the blocks that are formed and the part of ‖H‖² that pairs of samples give.
    fn moments_of(
        &self,
        blocks: &Blocks<T>,
        trace: T,
        of_pairs: T,
        parameters: usize,
    ) -> Result<Moments<T>, Error> {
        let [output, hidden, cross] = T::norms(NormsStage(blocks));
        let formed = output + hidden + T::of(2.0) * cross;
        let moments = Moments {
            trace,
            frobenius_squared: formed + of_pairs,
            parameters,
        };
        if !moments.frobenius_squared.is_finite() || !moments.trace.is_finite() {
            return Err(Error::Overflow { what: "‖H‖²" });
        }
        Ok(moments)
    }

    /// The gradient of what has these weights, after its contraction.
    pub(crate) fn pull_back(
        &mut self,
        network: &Network<T>,
        weights: &SpectralWeights,
        out: &mut Out<T>,
    ) {
        let shards = &self.shards[..self.used];
        let own = &mut self.own[..self.used];
        if let ([shared], [own]) = (shards, &mut *own) {
            return T::pull_back(PullbackStage {
                pullback: &mut own.pullback,
                network,
                forward: &shared.forward,
                contraction: &own.contraction,
                weights,
                out,
            });
        }
        let parameters = out.parameters.len();
        let one = |index: usize, own: &mut Own<T>, inputs: Option<&mut [T]>| {
            T::pull_back(PullbackStage {
                pullback: &mut own.pullback,
                network,
                forward: &shards[index].forward,
                contraction: &own.contraction,
                weights,
                out: &mut Out {
                    parameters: sized(&mut own.gradient, parameters),
                    inputs,
                },
            });
        };
        match out.inputs.as_deref_mut() {
            None => self
                .team
                .each(own.iter_mut(), |index, own| one(index, own, None)),
            Some(inputs) => {
                let length = shards[0].forward.samples * network.dimensions().inputs;
                let parts = own.iter_mut().zip(inputs.chunks_mut(length));
                self.team.each(parts, |index, (own, inputs)| {
                    one(index, own, Some(inputs));
                });
            }
        }
        self.add_gradients(out.parameters);
    }

    /// The sum of the gradients that each shard has written.
    pub(crate) fn add_gradients(&self, out: &mut [T]) {
        out.fill(T::zero());
        for own in &self.own[..self.used] {
            add_scaled(out, T::one(), &own.gradient[..out.len()]);
        }
    }

    /// Everything up to the residuals of the samples in `range`, which are of a checked batch, in `count` shards. Gives
    /// their part of the loss, or 0 where it is not wanted.
    pub(crate) fn forward_in(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        normalizer: Normalizer<T>,
        range: Range<usize>,
        count: usize,
        with_loss: bool,
    ) -> Result<T, Error> {
        let count = shard::count::<T>(range.len(), count);
        self.used = count;
        if self.shards.len() < count {
            self.shards.resize_with(count, Shared::default);
            self.own.resize_with(count, Own::default);
        }
        self.team
            .each(self.shards[..count].iter_mut(), |index, shared| {
                let part = shard::range::<T>(range.len(), count, index);
                shared.loss = T::forward(ForwardStage {
                    forward: &mut shared.forward,
                    network,
                    batch,
                    normalizer,
                    range: range.start + part.start..range.start + part.end,
                    with_loss,
                });
            });
        let mut loss = T::zero();
        for shard in &mut self.shards[..count] {
            loss += core::mem::replace(&mut shard.loss, Ok(T::zero()))?;
        }
        if loss.is_finite() {
            Ok(loss)
        } else {
            Err(Error::Overflow { what: "the loss" })
        }
    }

    /// From the samples to what `what` wants of the curvature, in one shard.
    pub(crate) fn evaluate(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        what: Curvature,
        quantity: Quantity,
    ) -> Result<(), Error> {
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let mut case = self.case_of_pass(quantity, &dims, batch.loss(), samples)?;
        case.chunk = samples;
        case.in_basis = what == Curvature::InBasis;
        if case.bytes::<T>() > self.limit() as f64 {
            return Err(case.refuse::<T>(self.limit()));
        }
        self.hold(case)?;
        let normalizer = batch.normalizer(samples)?;
        self.forward_in(network, batch, normalizer, 0..samples, 1, false)?;
        let largest = self.largest();
        self.curvature(network, what, largest, |_, _| ())
    }

    /// max(|S|, |r|) of the samples that have been through the forward pass.
    fn largest(&self) -> T {
        self.shards[..self.used]
            .iter()
            .map(|shard| T::largest(LargestStage(&shard.forward)))
            .fold(T::zero(), T::max)
    }

    /// From the residuals to what `what` wants of the curvature, and in the same pass over the shards what `then` makes
    /// of it. `largest` is max(|S|, |r|) of the whole batch.
    fn curvature(
        &mut self,
        network: &Network<T>,
        what: Curvature,
        largest: T,
        then: impl Fn(&mut Shared<T>, &mut Own<T>) + Sync,
    ) -> Result<(), Error> {
        let shards = &mut self.shards[..self.used];
        let own = &mut self.own[..self.used];
        let pairs = shards.iter_mut().zip(own);
        self.team.each(pairs, |_, (shared, own)| {
            let curvature = T::curvature(CurvatureStage {
                forward: &mut shared.forward,
                network,
                what,
                largest,
            });
            if curvature.is_ok() {
                then(shared, own);
            }
            shared.loss = curvature.map(|()| T::zero());
        });
        for shard in &mut self.shards[..self.used] {
            core::mem::replace(&mut shard.loss, Ok(T::zero()))?;
        }
        Ok(())
    }

    /// t = Σ tr S · ‖ã‖² + tr M · ‖x̃‖².
    pub(crate) fn trace(&self) -> T {
        let of_shard = |f: &Forward<T>| {
            let n = f.stride;
            dot(&f.trace_s[..n], &f.a_squared[..n]) + dot(&f.trace_m[..n], &f.x_squared[..n])
        };
        self.shards[..self.used]
            .iter()
            .map(|shard| of_shard(&shard.forward))
            .sum()
    }

    /// The bounds of H from those of H/σ.
    #[inline(always)]
    pub(crate) fn finish(
        &self,
        moments: Moments<T>,
        weights: &SpectralWeights,
    ) -> Result<SpectralBounds<T>, Error> {
        let sigma = self.shards[0].forward.sigma;
        let unscaled = Moments {
            trace: moments.trace * sigma,
            frobenius_squared: moments.frobenius_squared * sigma * sigma,
            parameters: moments.parameters,
        };
        let bounds = SpectralBounds::scaled(weights, unscaled, sigma);
        if bounds.lambda_sup.is_finite()
            && bounds.spread_upper.is_finite()
            && bounds.moments.trace.is_finite()
            && bounds.moments.frobenius_squared.is_finite()
        {
            Ok(bounds)
        } else {
            Err(Error::Overflow { what: "λ_sup" })
        }
    }

    /// How the squared norm splits: ‖G‖²/(‖G‖² + ‖H − G‖²) with G the Gauss-Newton part of H ([theory](crate::theory)
    /// §2), between 0 and 1. The rest to 1 is the share of the indefinite part; 1 where H = 0, which is its own Gauss-
    /// Newton part.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn gauss_newton_share(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
    ) -> Result<T, Error> {
        let mut norms = [T::zero(); 2];
        let parts = [Part::GaussNewton, Part::Indefinite];
        for (part, norm) in parts.into_iter().zip(&mut norms) {
            let asked = Asked {
                evaluation,
                want: Want::Moments,
                part: Some(part),
            };
            let (_, moments) = self.in_shards(network, batch, asked, None, None)?;
            *norm = moments.frobenius_squared;
        }
        let [gauss_newton, indefinite] = norms;
        if gauss_newton + indefinite == T::zero() {
            return Ok(T::one());
        }
        Ok(gauss_newton / (gauss_newton + indefinite))
    }

    /// The product H v with the Hessian of the loss, exact and without forming H: two passes over the samples
    /// ([theory](crate::theory) §6). `v` and `product` are \[D\].
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where a vector has not D values.
    pub fn hessian_vector_product(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        v: &[T],
        product: &mut [T],
    ) -> Result<(), Error> {
        self.linearize(network, batch)?.apply(v, product)?;
        if product.iter().all(|v| v.is_finite()) {
            Ok(())
        } else {
            Err(Error::Overflow { what: "H v" })
        }
    }

    /// The Hessian of the loss at one point, as an operator: the forward pass is done once, each product costs two
    /// passes over the samples. For iterative eigensolvers.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn linearize<'a>(
        &'a mut self,
        network: &'a Network<'a, T>,
        batch: &Batch<'a, T>,
    ) -> Result<HessianOperator<'a, T>, Error> {
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let case = self.case_of_pass(Quantity::HessianProduct, &dims, batch.loss(), samples)?;
        if case.chunk == samples {
            self.evaluate(network, batch, Curvature::Operator, case.quantity)?;
            return Ok(self.operator(network));
        }
        self.hold(case)?;
        let normalizer = batch.normalizer(samples)?;
        let mut largest = T::zero();
        for range in chunks(&case) {
            self.forward_in(network, batch, normalizer, range, 1, false)?;
            largest = largest.max(self.largest());
        }
        Ok(HessianOperator {
            parts: Some(Parts {
                batch: *batch,
                case,
                normalizer,
                largest,
                part: &mut self.part,
            }),
            network,
            forward: &mut self.shards[0].forward,
            buffers: &mut self.buffers,
            watch: self.watch.as_ref(),
        })
    }

    /// The Hessian where the last evaluation was done, which was not in the output basis.
    pub(crate) fn operator<'a>(
        &'a mut self,
        network: &'a Network<'a, T>,
    ) -> HessianOperator<'a, T> {
        HessianOperator {
            parts: None,
            network,
            forward: &mut self.shards[0].forward,
            buffers: &mut self.buffers,
            watch: self.watch.as_ref(),
        }
    }

    /// The dense Hessian of the loss, D × D row-major (it is symmetric), into `hessian`.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::TooLarge`] beyond [`DENSE_LIMIT`] parameters, [`Error::Length`] where
    /// `hessian` has not D² values.
    pub fn hessian(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        hessian: &mut [T],
    ) -> Result<(), Error> {
        let dims = network.dimensions();
        let parameters = dims.parameters();
        if parameters > DENSE_LIMIT {
            return Err(Error::TooLarge {
                what: "a dense Hessian",
                elements: parameters * parameters,
                limit: DENSE_LIMIT * DENSE_LIMIT,
            });
        }
        check_length(
            "hessian",
            "parameters²",
            hessian.len(),
            parameters * parameters,
        )?;
        // The blocks are read entry by entry, in the outputs' own basis.
        self.evaluate(network, batch, Curvature::Own, Quantity::Bounds)?;
        self.contract(Plan::ASSEMBLED, Want::Moments)?;
        self.spread_blocks(hessian);
        if finite(hessian) {
            Ok(())
        } else {
            Err(Error::Overflow { what: "H" })
        }
    }

    /// Writes the assembled blocks where they belong.
    #[inline(always)]
    pub(crate) fn spread_blocks(&self, hessian: &mut [T]) {
        let Shared {
            forward: f, blocks, ..
        } = &self.shards[0];
        let dims = f.dims();
        let parameters = dims.parameters();
        let (h, d) = (dims.hidden, dims.inputs);
        let (ha, dx, outputs) = (dims.hidden_extended(), dims.inputs_extended(), dims.outputs);
        let layout = dims.layout();
        // Places of the hidden parameter (j, e) and the output parameter (k, i); the last e or i is the bias.
        let hidden = |j: usize, e: usize| {
            if e < d {
                j * d + e
            } else {
                layout.hidden_bias().start + j
            }
        };
        let output = |k: usize, i: usize| {
            if i < h {
                layout.output_weight().start + k * h + i
            } else {
                layout.output_bias().start + k
            }
        };
        let sigma = f.sigma;
        let half = T::one() / crate::svec::scale::<T>();
        let packed = |n: usize| crate::svec::len(n);
        let root = |equal: bool| if equal { T::one() } else { half };
        let mut set = |i: usize, j: usize, value: T| {
            hessian[i * parameters + j] = value * sigma;
            hessian[j * parameters + i] = value * sigma;
        };
        crate::svec::pairs(outputs, |kl, k, l| {
            crate::svec::pairs(ha, |ij, i, j| {
                let value = blocks.a[kl * packed(ha) + ij] * root(k == l) * root(i == j);
                set(output(k, i), output(l, j), value);
                set(output(k, j), output(l, i), value);
            });
        });
        crate::svec::pairs(h, |ij, i, j| {
            crate::svec::pairs(dx, |ef, e, g| {
                let value = blocks.c[ij * packed(dx) + ef] * root(i == j) * root(e == g);
                set(hidden(i, e), hidden(j, g), value);
                set(hidden(i, g), hidden(j, e), value);
            });
        });
        for j in 0..h {
            for k in 0..outputs {
                for i in 0..ha {
                    for e in 0..dx {
                        let at = (j * outputs + k) * ha * dx + i * dx + e;
                        set(output(k, i), hidden(j, e), blocks.e[at]);
                    }
                }
            }
        }
    }
}

/// The Hessian at one point as an operator, from [`Workspace::linearize`].
pub struct HessianOperator<'a, T> {
    network: &'a Network<'a, T>,
    forward: &'a mut Forward<T>,
    buffers: &'a mut [Vec<T>; 5],
    /// Where the samples are gone through part by part, for every product anew.
    parts: Option<Parts<'a, T>>,
    watch: Option<&'a Watch>,
}

/// Samples that are gone through part by part.
struct Parts<'a, T> {
    batch: Batch<'a, T>,
    case: Case,
    normalizer: Normalizer<T>,
    /// max(|S|, |r|) of all.
    largest: T,
    part: &'a mut Vec<T>,
}

/// The ranges of samples that are gone through one after the other.
pub(crate) fn chunks(case: &Case) -> impl Iterator<Item = Range<usize>> + use<> {
    let Case { samples, chunk, .. } = *case;
    (0..samples)
        .step_by(chunk)
        .map(move |start| start..samples.min(start + chunk))
}

/// What is descended, and where its gradient goes.
pub(crate) struct Descend<'a, 'o, T> {
    /// The derivatives of what is descended with respect to the moments.
    pub weights: fn(&Moments<T>) -> SpectralWeights,
    pub out: &'a mut Out<'o, T>,
}

impl<T: Real> HessianOperator<'_, T> {
    /// The number of parameters D.
    pub fn parameters(&self) -> usize {
        self.network.dimensions().parameters()
    }

    /// `product = H v`, both \[D\].
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a vector has not D values.
    pub fn apply(&mut self, v: &[T], product: &mut [T]) -> Result<(), Error> {
        check_length("v", "parameters", v.len(), self.parameters())?;
        check_length("product", "parameters", product.len(), self.parameters())?;
        match self.parts.take() {
            None => T::product(ProductStage {
                operator: self,
                v,
                product,
            }),
            Some(mut parts) => {
                let applied = self.apply_in_parts(&mut parts, v, product);
                self.parts = Some(parts);
                applied?;
            }
        }
        self.watch.map_or(Ok(()), Watch::product)
    }

    fn apply_in_parts(
        &mut self,
        parts: &mut Parts<T>,
        v: &[T],
        product: &mut [T],
    ) -> Result<(), Error> {
        let network = self.network;
        product.fill(T::zero());
        for range in chunks(&parts.case) {
            T::forward(ForwardStage {
                forward: &mut *self.forward,
                network,
                batch: &parts.batch,
                normalizer: parts.normalizer,
                range,
                with_loss: false,
            })?;
            T::curvature(CurvatureStage {
                forward: &mut *self.forward,
                network,
                what: Curvature::Operator,
                largest: parts.largest,
            })?;
            let part = sized(parts.part, product.len());
            T::product(ProductStage {
                operator: &mut *self,
                v,
                product: &mut *part,
            });
            add_scaled(product, T::one(), part);
        }
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn product(&mut self, v: &[T], out: &mut [T]) {
        let f = &*self.forward;
        let dims = f.dims();
        let (n, h, outputs, d) = (f.stride, dims.hidden, dims.outputs, dims.inputs);
        let layout = dims.layout();
        let (v1, v2) = (&v[layout.hidden_weight()], &v[layout.output_weight()]);
        let [z_dot, o_dot, r_dot, delta, scratch] = &mut *self.buffers;

        // ż = V1 x + v1.
        let z_dot = zeroed(z_dot, h * n);
        for (j, &bias) in v[layout.hidden_bias()].iter().enumerate() {
            row_mut(z_dot, n, j)[..f.samples].fill(bias);
        }
        let x = Mat::new(&f.x, d, n, n);
        matmul(z_dot, n, Write::Add, T::one(), Mat::new(v1, h, d, d), x);
        // ȯ = W2 (d1∘ż) + V2 a + v2.
        let a_dot = sized(delta, h * n);
        for ((a_dot, &z_dot), &d1) in a_dot.iter_mut().zip(z_dot.iter()).zip(&f.d1) {
            *a_dot = d1 * z_dot;
        }
        let o_dot = zeroed(o_dot, outputs * n);
        for (k, &bias) in v[layout.output_bias()].iter().enumerate() {
            row_mut(o_dot, n, k)[..f.samples].fill(bias);
        }
        let w2 = Mat::new(self.network.output_weight(), outputs, h, h);
        let v2 = Mat::new(v2, outputs, h, h);
        let a = Mat::new(&f.a, h, n, n);
        matmul(o_dot, n, Write::Add, T::one(), w2, Mat::new(a_dot, h, n, n));
        matmul(o_dot, n, Write::Add, T::one(), v2, a);
        // ṙ = S ȯ.
        let r_dot = sized(r_dot, outputs * n);
        let scratch = sized(scratch, 2 * n);
        f.curvature_of().apply(o_dot, n, 0, n, r_dot, scratch);

        // σ was divided out of r and S; it comes back where the product is written.
        let sigma = f.sigma;
        let r = Mat::new(&f.r, outputs, n, n);
        let w2_out = &mut out[layout.output_weight()];
        let r_dot_view = Mat::new(r_dot, outputs, n, n);
        matmul(w2_out, h, Write::Replace, sigma, r_dot_view, a.t());
        matmul(
            w2_out,
            h,
            Write::Add,
            sigma,
            r,
            Mat::new(a_dot, h, n, n).t(),
        );
        for (k, bias) in out[layout.output_bias()].iter_mut().enumerate() {
            *bias = sigma * sum(row(r_dot, n, k));
        }
        // δ̇ = (V2ᵀ r + W2ᵀ ṙ)∘d1 + g∘d2∘ż.
        let delta = sized(delta, h * n);
        matmul(delta, n, Write::Replace, T::one(), v2.t(), r);
        matmul(delta, n, Write::Add, T::one(), w2.t(), r_dot_view);
        for (i, delta) in delta.iter_mut().enumerate() {
            *delta = *delta * f.d1[i] + f.c[i] * z_dot[i];
        }
        for (j, bias) in out[layout.hidden_bias()].iter_mut().enumerate() {
            *bias = sigma * sum(row(delta, n, j));
        }
        let w1_out = &mut out[layout.hidden_weight()];
        matmul(
            w1_out,
            d,
            Write::Replace,
            sigma,
            Mat::new(delta, h, n, n),
            x.t(),
        );
    }
}
