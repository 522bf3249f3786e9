//! What evaluates one hidden layer, and the buffers it keeps. Its verbs are in the files beside this one.

mod cases;
mod dense;
mod loss;
mod moments;
pub(crate) mod operator;
mod outputs;
mod peers;
mod shards;

use core::num::NonZeroUsize;
use core::ops::ControlFlow;

use crate::evaluation::team::Team;
use crate::evaluation::watch::{Progress, Watch};
use crate::numeric::buffer::Buffer;
use crate::two_layer::buffers::Own;
use crate::two_layer::directional::Directional;
use crate::two_layer::formed::Blocks;
use crate::two_layer::memory::Case;
use crate::two_layer::plan::Plan;
use crate::two_layer::product::Along;
use crate::two_layer::shard::Shared;
use crate::two_layer::stages::Stages;

/// Evaluates the closed form. It owns every buffer that an evaluation needs and keeps them: after the first call
/// with a given size no buffer is allocated any more. (The `gemm` crate still takes packing space for each large matrix
/// product, and Rayon some bytes where its pool takes part.)
///
/// The verbs take a [`Network`](crate::Network) and a [`Batch`](crate::Batch); gradients are written in the order of
/// [`Layout`](crate::Layout).
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
    pub(super) threads: Option<NonZeroUsize>,
    pub(crate) team: Team,
    pub(crate) directional: Directional<T>,
    /// A unit vector in the parameter space.
    pub(crate) direction: Buffer<T>,
    pub(crate) buffers: Along<T>,
    /// Where the samples are gone through part by part: the sum of the blocks, and one part's share of a gradient.
    pub(super) blocks: Blocks<T>,
    pub(crate) part: Buffer<T>,
    pub(super) plan: Option<Plan>,
    pub(super) memory_limit: Option<u64>,
    /// The evaluations whose buffers are held, with their bytes.
    pub(super) held: Vec<(Case, f64)>,
    pub(super) watch: Option<Watch>,
}

impl<T: Stages> Default for Workspace<T> {
    fn default() -> Self {
        Self {
            shards: vec![Shared::default()],
            own: vec![Own::default()],
            used: 1,
            threads: None,
            team: Team::default(),
            directional: Directional::default(),
            direction: Buffer::default(),
            buffers: Along::default(),
            blocks: Blocks::default(),
            part: Buffer::default(),
            plan: None,
            memory_limit: None,
            held: Vec::new(),
            watch: None,
        }
    }
}

impl<T: Stages> Workspace<T> {
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
    /// samples where that helps, and is refused with [`Error::Memory`](crate::Error::Memory) before anything is allocated
    /// where none does.
    /// Without this call nothing is refused but what no machine could hold.
    pub fn with_memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Calls `observe` while an evaluation goes on: before each tile of pairs of samples, before each part of the samples
    /// where they are gone through part by part, and after each product with the Hessian. Where it breaks, the evaluation
    /// ends with [`Error::Stopped`](crate::Error::Stopped), and so does every one after it. It may be called by several
    /// threads at once.
    pub fn with_watch(
        mut self,
        observe: impl Fn(Progress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.watch = Some(Watch::new(observe));
        self
    }
}
