//! The public verbs: loss, moments, bounds and their gradient, Hessian-vector products, the dense Hessian.

use core::num::NonZeroUsize;

use crate::bounds::SpectralWeights;
use crate::directional::Directional;
use crate::error::check_length;
use crate::forward::Forward;
use crate::gram::{self, Pairing};
use crate::lanes::{LANE, add_scaled, dot, finite, row, row_mut, sized, sum, zeroed};
use crate::matmul::{Mat, Write, matmul};
use crate::output_basis;
use crate::plan::{Plan, Want};
use crate::pullback::Out;
use crate::shard::{self, Own, Shared};
use crate::stages::{
    ContractStage, CurvatureStage, ForwardStage, LargestStage, NormsStage, PrepareStage,
    ProductStage, PullbackStage,
};
use crate::team::Team;
use crate::{Batch, Error, Evaluation, Moments, Network, OutputLoss, Real, SpectralBounds};

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
    plan: Option<Plan>,
}

/// What the shards do before their blocks are added up.
#[derive(Clone, Copy)]
struct Preparation {
    plan: Plan,
    pairing: Pairing,
    want: Want,
}

impl Preparation {
    /// For shards that have been through the forward pass.
    fn new<T: Real>(shards: &[Shared<T>], plan: Plan, want: Want) -> Self {
        Self {
            plan,
            pairing: Pairing::new(&shards[0].forward, &plan, gram::total(shards)),
            want,
        }
    }

    fn run<T: Real>(self, shared: &mut Shared<T>, own: &mut Own<T>) {
        let Self {
            plan,
            pairing,
            want,
        } = self;
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
            plan: None,
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
        let (_, moments) =
            self.in_shards(network, batch, evaluation, Want::Moments, None, |_, _| ())?;
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
        let want = out.want();
        let (loss, moments) = self.in_shards(
            network,
            batch,
            evaluation,
            want,
            loss_gradient,
            |workspace, moments| {
                workspace.pull_back(network, &SpectralWeights::new(moments), out);
            },
        )?;
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

    /// The moments of H/σ, and what `then` makes of them, in as many shards as pay. Before them, where there is room
    /// for its gradient, the loss, else 0.
    pub(crate) fn in_shards(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
        want: Want,
        loss_gradient: Option<&mut [T]>,
        then: impl FnOnce(&mut Self, &Moments<T>),
    ) -> Result<(T, Moments<T>), Error> {
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let softmax = batch.loss() == OutputLoss::SoftmaxCrossEntropy;
        let rank = output_basis::reduced(dims.outputs, softmax);
        let plan = Plan::with_rank(evaluation, &dims, rank, samples)?;
        let count = self.shards_that_pay(samples, plan.cost(&dims, rank, samples));
        let _helpers = (count > 1).then(|| self.team.call(count - 1));
        let with_loss = loss_gradient.is_some();
        let loss = self.forward_in(network, batch, samples, count, with_loss)?;
        if let Some(gradient) = loss_gradient {
            self.write_loss_gradient(network, gradient)?;
        }
        let preparation = Preparation::new(&self.shards[..count], plan, want);
        self.curvature(network, true, |shared, own| preparation.run(shared, own))?;
        let moments = self.contract_prepared(preparation)?;
        then(self, &moments);
        Ok((loss, moments))
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
        let preparation = Preparation::new(&self.shards[..self.used], plan, want);
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
        let Preparation {
            plan,
            pairing,
            want,
        } = preparation;
        let shards = &mut self.shards[..self.used];
        let own = &mut self.own[..self.used];
        let parameters = shards[0].forward.dims().parameters();
        self.plan = Some(plan);
        let (first, rest) = shards.split_at_mut(1);
        for other in rest {
            first[0].blocks.add(&other.blocks);
            first[0].prepared.add_projections(&other.prepared, pairing);
        }
        let shards = &*shards;
        self.team.each(own.iter_mut(), |index, own| {
            T::contract(ContractStage {
                shards,
                index,
                own,
                plan,
                pairing,
                want,
            });
        });
        let [output, hidden, cross] = T::norms(NormsStage(&shards[0].blocks));
        let formed = output + hidden + T::of(2.0) * cross;
        let of_pairs: T = own
            .iter()
            .map(|own| own.contraction.frobenius_squared())
            .sum();
        let moments = Moments {
            trace: self.trace(),
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

    /// Everything up to the residuals, with the loss where it is wanted, in one shard.
    pub(crate) fn forward(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        with_loss: bool,
    ) -> Result<T, Error> {
        let samples = batch.check(&network.dimensions())?;
        self.forward_in(network, batch, samples, 1, with_loss)
    }

    /// Everything up to the residuals of a checked batch, in `count` shards.
    fn forward_in(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        samples: usize,
        count: usize,
        with_loss: bool,
    ) -> Result<T, Error> {
        let normalizer = batch.normalizer(samples)?;
        self.used = count;
        if self.shards.len() < count {
            self.shards.resize_with(count, Shared::default);
            self.own.resize_with(count, Own::default);
        }
        self.team
            .each(self.shards[..count].iter_mut(), |index, shared| {
                shared.loss = T::forward(ForwardStage {
                    forward: &mut shared.forward,
                    network,
                    batch,
                    normalizer,
                    range: shard::range::<T>(samples, count, index),
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

    /// Everything that the Hessian is made of, in one shard.
    pub(crate) fn evaluate(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        in_basis: bool,
    ) -> Result<(), Error> {
        let samples = batch.check(&network.dimensions())?;
        self.forward_in(network, batch, samples, 1, false)?;
        self.curvature(network, in_basis, |_, _| ())
    }

    /// From the residuals to everything that the Hessian is made of, and in the same pass over the shards what `then`
    /// makes of it.
    fn curvature(
        &mut self,
        network: &Network<T>,
        in_basis: bool,
        then: impl Fn(&mut Shared<T>, &mut Own<T>) + Sync,
    ) -> Result<(), Error> {
        let shards = &mut self.shards[..self.used];
        let own = &mut self.own[..self.used];
        let largest = shards
            .iter()
            .map(|shard| T::largest(LargestStage(&shard.forward)))
            .fold(T::zero(), T::max);
        let pairs = shards.iter_mut().zip(own);
        self.team.each(pairs, |_, (shared, own)| {
            let curvature = T::curvature(CurvatureStage {
                forward: &mut shared.forward,
                network,
                in_basis,
                largest,
            });
            if curvature.is_ok() {
                then(shared, own);
            }
            shared.loss = curvature.map(|()| T::zero());
        });
        for shard in shards {
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
        for (indefinite, norm) in [false, true].into_iter().zip(&mut norms) {
            self.evaluate(network, batch, true)?;
            self.shards[0].forward.keep_part(indefinite);
            let f = &self.shards[0].forward;
            let plan = Plan::with_rank(evaluation, &f.dims(), f.rank, f.samples)?;
            *norm = self.contract(plan, Want::Moments)?.frobenius_squared;
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
        batch: &Batch<T>,
    ) -> Result<HessianOperator<'a, T>, Error> {
        self.evaluate(network, batch, false)?;
        Ok(self.operator(network))
    }

    /// The Hessian where the last evaluation was done, which was not in the output basis.
    pub(crate) fn operator<'a>(
        &'a mut self,
        network: &'a Network<'a, T>,
    ) -> HessianOperator<'a, T> {
        HessianOperator {
            network,
            forward: &self.shards[0].forward,
            buffers: &mut self.buffers,
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
        self.evaluate(network, batch, false)?;
        let samples = self.shards[0].forward.samples;
        let plan = Plan::new(Evaluation::Assembled, &dims, samples)?;
        self.contract(plan, Want::Moments)?;
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
    forward: &'a Forward<T>,
    buffers: &'a mut [Vec<T>; 5],
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
        T::product(ProductStage {
            operator: self,
            v,
            product,
        });
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn product(&mut self, v: &[T], out: &mut [T]) {
        let f = self.forward;
        let dims = f.dims();
        let (n, h, outputs, d) = (f.stride, dims.hidden, dims.outputs, dims.inputs);
        let layout = dims.layout();
        let (v1, v2) = (&v[layout.hidden_weight()], &v[layout.output_weight()]);
        let [z_dot, o_dot, r_dot, delta, scratch] = self.buffers;

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
