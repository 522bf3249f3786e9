//! What evaluates networks of any depth, and the buffers it keeps; the loss and its gradient. Other verbs are in
//! `directions`, `descent` and `gauss_newton`.

use core::num::NonZeroUsize;
use core::ops::ControlFlow;

use super::blocks::{Adjoints, Pool};
use super::descent::Task;
use super::gauss_newton::Kernel;
use super::network::FeedForward;
use super::objective::{BlockMoments, Weights};
use super::pass::{Part, Pass};
use super::plan::DeepPlan;
use super::product::Product;
use super::pullback::Bars;
use super::tangents::Tangents;
use crate::error::check_length;
use crate::lanes::finite;
use crate::team::Team;
use crate::watch::{Progress, Watch};
use crate::{Batch, BlockEvaluation, Error, Real};

/// Evaluates curvature of networks of any depth. It owns every buffer that an evaluation needs and keeps them: after the
/// first call with a given size no buffer is allocated any more, except where a verb says so.
///
/// Gradients are written in the order of [`FeedForward::layout`], without what is frozen. The bounds and the gradients of
/// objectives are divided among threads by blocks and layers, where that pays; results do not depend on their number, to
/// the bit.
#[derive(Default)]
pub struct DeepWorkspace<T> {
    pub(super) pass: Pass<T>,
    pub(super) product: Product<T>,
    pub(super) tangents: Tangents<T>,
    pub(super) adjoints: Adjoints<T>,
    pub(super) scratch: Pool<T>,
    /// The blocks of the last evaluation.
    pub(super) tasks: Vec<Task<T>>,
    pub(super) bars: Bars<T>,
    pub(super) kernel: Kernel<T>,
    /// The moments of H/σ, and what an objective makes of them.
    pub(super) unit: BlockMoments<T>,
    pub(super) weights: Weights,
    pub(super) plan: Vec<BlockEvaluation>,
    pub(super) tile: Option<usize>,
    pub(super) threads: Option<NonZeroUsize>,
    pub(super) team: Team,
    pub(super) watch: Option<Watch>,
    /// A vector in the parameter space.
    pub(super) direction: Vec<T>,
    /// Sums of samples.
    pub(super) sums: [Vec<T>; 2],
}

impl<T: Real> DeepWorkspace<T> {
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
        self.pass.forward(network, batch)
    }

    /// The logits o, N × K row-major.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn logits(&mut self, network: &FeedForward<T>, batch: &Batch<T>) -> Result<Vec<T>, Error> {
        self.pass.forward(network, batch)?;
        let mut logits = vec![T::zero(); self.pass.samples * network.outputs()];
        let (o, n) = (&self.pass.output.o, self.pass.stride);
        crate::lanes::write_samples(&mut logits, o, n, T::one());
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
        let loss = self.pass.forward(network, batch)?;
        self.pass.backward(network, Part::Whole);
        self.pass.loss_gradient(network, T::one(), gradient);
        if let Some(out) = input_gradient {
            self.pass
                .input_adjoint(network, T::one(), &mut self.direction);
            let n = self.pass.stride;
            crate::lanes::write_samples(out, &self.direction, n, T::one());
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
    pub(super) fn linearized(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
    ) -> Result<T, Error> {
        let loss = self.pass.forward(network, batch)?;
        self.pass.scale_to_one();
        self.pass.backward(network, Part::Whole);
        Ok(loss)
    }
}

/// Refuses outputs of the wrong length.
pub(super) fn check_outputs<T: Real>(
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
pub(super) fn checked<T: Real, V>(
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
