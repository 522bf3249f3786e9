//! What evaluates networks of any depth, and the buffers it keeps; the loss and its gradient. Other verbs are in
//! `directions`, `descent` and `gauss_newton`; the stages of `descent` are in `evaluate`.

mod descent;
pub(in crate::depth) mod directions;
pub(crate) mod evaluate;
pub(in crate::depth) mod gauss_newton;
mod memory;
pub(in crate::depth) mod operator;
pub(in crate::depth) mod shard;
mod task;

use core::num::NonZeroUsize;
use core::ops::ControlFlow;

use crate::depth::blocks::scratch::Scratch;
use crate::depth::network::{FeedForward, LayerShape};
use crate::depth::objective::{BlockMoments, Weights};
use crate::depth::passes::kernel::Kernel;
use crate::depth::passes::pass::Part;
use crate::depth::passes::product::Product;
use crate::depth::plan::DeepPlan;
use crate::depth::stages::Stages;
use crate::depth::workspace::shard::{Reverse, Shards};
use crate::depth::workspace::task::Task;
use crate::error::{Error, check_length};
use crate::evaluation::block::BlockEvaluation;
use crate::evaluation::pool::Pool;
use crate::evaluation::team::Team;
use crate::evaluation::watch::{Progress, Watch};
use crate::numeric::buffer::Buffer;
use crate::numeric::lanes::finite;
use crate::numeric::number::Number;
use crate::problem::batch::Batch;

/// Evaluates curvature of networks of any depth. It owns every buffer that an evaluation needs and keeps them: after the
/// first call with a given size no buffer is allocated any more, except where a verb says so.
///
/// Gradients are written in the order of [`FeedForward::layout`], without what is frozen. The bounds and the gradients of
/// objectives are divided among threads where that pays: by samples where every block of the Hessian is formed and small,
/// otherwise by blocks and layers. Results do not depend on the number of threads, to the bit.
#[derive(Default)]
pub struct DeepWorkspace<T> {
    pub(in crate::depth) shapes: Vec<LayerShape>,
    pub(in crate::depth) shards: Shards<T>,
    pub(in crate::depth) product: Product<T>,
    pub(in crate::depth) scratch: Pool<Scratch<T>>,
    pub(in crate::depth) reverse: Pool<Reverse<T>>,
    /// The blocks of the last evaluation.
    pub(in crate::depth) tasks: Vec<Task<T>>,
    /// E of all samples of each of them, where shards have formed it.
    pub(in crate::depth) formed: Vec<Buffer<T>>,
    pub(in crate::depth) kernel: Kernel<T>,
    /// The moments of H/σ, and what an objective makes of them.
    pub(in crate::depth) unit: BlockMoments<T>,
    pub(in crate::depth) weights: Weights,
    pub(in crate::depth) plan: Vec<BlockEvaluation>,
    pub(in crate::depth) tile: Option<usize>,
    pub(in crate::depth) threads: Option<NonZeroUsize>,
    pub(in crate::depth) team: Team,
    pub(in crate::depth) watch: Option<Watch>,
    /// A vector in the parameter space.
    pub(in crate::depth) direction: Buffer<T>,
}

impl<T: Stages> DeepWorkspace<T> {
    /// An empty workspace. Buffers grow when they are needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most threads that an evaluation may take; without this call, as many as Rayon's pool has.
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Calls `observe` while an evaluation goes on: before each part of a block of the Hessian, and after each product
    /// with it. Where it breaks, the evaluation ends with [`Error::Stopped`], and so does every one after it. It may be
    /// called by several threads at once.
    pub fn with_watch(
        mut self,
        observe: impl Fn(Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.watch = Some(Watch::new(observe));
        self
    }

    /// The most samples that a tile of pairs takes on one side; without this call as many as keep its arrays in the
    /// cache. It is rounded to whole vector registers.
    pub fn with_tile(mut self, samples: NonZeroUsize) -> Self {
        self.tile = Some(samples.get());
        self
    }

    /// The loss L.
    ///
    /// # Errors
    ///
    /// The [`Error`] that tells what is wrong with the batch, or [`Error::Overflow`] where a value is not
    /// representable in `T`. The other verbs have the same errors.
    pub fn loss(&mut self, network: &FeedForward<T>, batch: &Batch<T>) -> Result<T, Error> {
        let samples = batch.check(&network.ends())?;
        let (pass, normalizer) = (&mut self.shards.whole().pass, batch.normalizer(samples)?);
        T::forward(pass, network, batch, normalizer, 0..samples)
    }

    /// The logits o, N × K row-major.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn logits(&mut self, network: &FeedForward<T>, batch: &Batch<T>) -> Result<Vec<T>, Error> {
        self.loss(network, batch)?;
        let pass = &self.shards.first().pass;
        let mut logits = vec![T::zero(); pass.samples * network.outputs()];
        let (o, n) = (&pass.output.o, pass.stride);
        crate::numeric::lanes::write_samples(&mut logits, o, n, T::one());
        Ok(logits)
    }

    /// The loss L and, in `gradient` \[D\], ∂L/∂θ; in `input_gradient` \[N, n_0\], where given, ∂L/∂x.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where an output has the wrong length.
    pub fn loss_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        check_outputs(network, batch, gradient, input_gradient.as_deref())?;
        let loss = self.loss(network, batch)?;
        let pass = &mut self.shards.whole().pass;
        T::backward(pass, network, Part::Whole);
        T::loss_gradient(pass, network, T::one(), gradient);
        if let Some(out) = input_gradient {
            T::input_adjoint(pass, network, T::one(), &mut self.direction);
            let n = pass.stride;
            crate::numeric::lanes::write_samples(out, &self.direction, n, T::one());
        }
        if finite(gradient) {
            Ok(loss)
        } else {
            Err(Error::Overflow {
                what: "the gradient of the loss",
            })
        }
    }

    /// How the last evaluation was done.
    pub fn last_plan(&self) -> DeepPlan {
        DeepPlan::new(self.plan.clone())
    }

    /// Both passes, with r and S divided by σ.
    pub(in crate::depth) fn linearized(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
    ) -> Result<T, Error> {
        let loss = self.loss(network, batch)?;
        let pass = &mut self.shards.whole().pass;
        T::divide(pass, T::largest(pass));
        T::backward(pass, network, Part::Whole);
        Ok(loss)
    }
}

/// Refuses outputs of the wrong length.
pub(in crate::depth) fn check_outputs<T: Number>(
    network: &FeedForward<T>,
    batch: &Batch<T>,
    gradient: &[T],
    input_gradient: Option<&[T]>,
) -> Result<(), Error> {
    let parameters = network.parameters();
    check_length("gradient", "parameters", gradient.len(), parameters)?;
    if let Some(inputs) = input_gradient {
        let (got, expected) = (inputs.len(), batch.inputs.len());
        check_length("input_gradient", "samples × inputs", got, expected)?;
    }
    Ok(())
}

/// The value, where value and gradient are finite.
pub(in crate::depth) fn checked<T: Number, V>(
    value: V,
    gradient: &[T],
    what: &'static str,
) -> Result<V, Error> {
    if finite(gradient) {
        Ok(value)
    } else {
        Err(Error::Overflow { what })
    }
}
