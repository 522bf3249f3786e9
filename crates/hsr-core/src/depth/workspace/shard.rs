//! A batch in shards, each with some of the samples and everything that is found from them.
//!
//! H is a sum over samples, and so are its blocks and every gradient. What has to be known of the whole batch before a shard
//! can go on is small: σ, the blocks that are formed, and the weights of the moments.

use core::ops::Range;

use crate::depth::blocks::adjoints::{Adjoints, BlockAdjoints};
use crate::depth::blocks::scratch::Scratch;
use crate::depth::blocks::source::Source;
use crate::depth::blocks::way::{Half, Way};
use crate::depth::network::FeedForward;
use crate::depth::objective::Weights;
use crate::depth::passes::pass::{Part, Pass};
use crate::depth::passes::tangents::Tangents;
use crate::depth::reverse::bars::{Bars, Point};
use crate::depth::stages::Stages;
use crate::depth::want::Want;
use crate::depth::workspace::task::Task;
use crate::error::Error;
use crate::evaluation::block::BlockEvaluation;
use crate::evaluation::out::Out;
use crate::evaluation::pool::Pool;
use crate::evaluation::team::Team;
use crate::evaluation::watch::Parts;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::problem::batch::{Batch, Normalizer};

/// The shards of the last batch.
pub(in crate::depth) struct Shards<T> {
    all: Vec<Shard<T>>,
    used: usize,
}

impl<T: Default> Default for Shards<T> {
    /// One.
    fn default() -> Self {
        Self {
            all: vec![Shard::default()],
            used: 1,
        }
    }
}

impl<T: Default> Shards<T> {
    /// So many of them from now on.
    pub fn divide(&mut self, count: usize) {
        self.used = count.max(1);
        if self.all.len() < self.used {
            self.all.resize_with(self.used, Shard::default);
        }
    }

    /// The only shard, with all samples.
    pub fn whole(&mut self) -> &mut Shard<T> {
        self.used = 1;
        &mut self.all[0]
    }

    pub fn first(&self) -> &Shard<T> {
        &self.all[0]
    }

    pub fn used(&self) -> &[Shard<T>] {
        &self.all[..self.used]
    }

    pub fn used_mut(&mut self) -> &mut [Shard<T>] {
        &mut self.all[..self.used]
    }
}

/// Buffers of the reverse mode: of a shard only while it needs them, so that they stay in the cache for the next one.
#[derive(Default)]
pub(in crate::depth) struct Reverse<T> {
    pub adjoints: Adjoints<T>,
    pub bars: Bars<T>,
}

/// Some samples of a batch.
#[derive(Default)]
pub(in crate::depth) struct Shard<T> {
    pub pass: Pass<T>,
    pub tangents: Tangents<T>,
    /// While a gradient is found.
    pub reverse: Reverse<T>,
    /// Their part of the loss, and what is wrong with them.
    pub loss: T,
    pub error: Option<Error>,
    /// Their part of t_l, \[L\].
    pub traces: Buffer<T>,
    /// Their parts of ∂L/∂θ and of the gradient of the objective, \[D\].
    pub loss_gradient: Buffer<T>,
    pub gradient: Buffer<T>,
    /// Their part of E of each task, where it is formed.
    pub formed: Vec<Buffer<T>>,
    /// Sums of samples.
    sums: [Buffer<T>; 2],
}

impl<T: Stages> Shard<T> {
    /// The forward pass of these samples.
    pub fn forward(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        normalizer: Normalizer<T>,
        range: Range<usize>,
    ) {
        let result = T::forward(&mut self.pass, network, batch, normalizer, range);
        (self.loss, self.error) = match result {
            Ok(loss) => (loss, None),
            Err(error) => (T::zero(), Some(error)),
        };
    }

    /// From σ to the tangents and the traces, with the gradient of the loss where it is wanted.
    pub fn linearize(&mut self, network: &FeedForward<T>, want: &Want, sigma: T, team: Team) {
        let (part, pass) = (want.part, &mut self.pass);
        T::divide(pass, sigma);
        if want.loss_gradient {
            T::backward(pass, network, Part::Whole);
            let gradient = fit(&mut self.loss_gradient, network.parameters());
            T::loss_gradient(pass, network, pass.output.sigma, gradient);
        }
        if !want.loss_gradient || part != Part::Whole {
            T::backward(pass, network, part);
        }
        T::tangents(&mut self.tangents, network, pass, part, team);
        let depth = pass.depth();
        zeros(&mut self.traces, depth);
        for l in 0..depth {
            // Without S the last layer's own block is 0.
            if pass.shapes[l].is_trained() && !(part == Part::Residual && l + 1 == depth) {
                self.traces[l] = T::trace(pass, &self.tangents, l, &mut self.sums);
            }
        }
    }

    /// Takes the buffers of the reverse mode, and clears them.
    pub fn begin_reverse(
        &mut self,
        pool: &Pool<Reverse<T>>,
        want: &Want,
        plan: &[BlockEvaluation],
    ) {
        self.reverse = pool.take();
        self.reverse.adjoints.clear(&self.pass, want, plan);
    }

    /// E of every block.
    pub fn form(&mut self, tasks: &[Task<T>], want: Want, parts: &Parts, pool: &Pool<Scratch<T>>) {
        let source = Source {
            pass: &self.pass,
            tangents: &self.tangents,
            want,
            parts,
        };
        let (mut scratch, mut none) = (pool.take(), BlockAdjoints::default());
        // Never fewer: another objective may have more blocks.
        let count = tasks.len().max(self.formed.len());
        self.formed.resize_with(count, Buffer::default);
        for (Task { id, .. }, formed) in tasks.iter().zip(&mut self.formed) {
            core::mem::swap(&mut scratch.block, formed);
            let way = Way::Formed(Half::Form);
            T::block(&source, *id, way, &mut none, &mut scratch);
            core::mem::swap(&mut scratch.block, formed);
        }
        pool.put(scratch);
    }

    /// The adjoints from E of all samples.
    pub fn turn(
        &mut self,
        tasks: &[Task<T>],
        formed: &[Buffer<T>],
        want: Want,
        pool: &Pool<Scratch<T>>,
    ) {
        let source = Source {
            pass: &self.pass,
            tangents: &self.tangents,
            want,
            // Told of where it was formed.
            parts: &Parts::new(None),
        };
        let mut scratch = pool.take();
        for (Task { id, .. }, formed) in tasks.iter().zip(formed) {
            let adjoints = self.reverse.adjoints.block(*id);
            let way = Way::Formed(Half::Turn(formed));
            T::block(&source, *id, way, adjoints, &mut scratch);
        }
        pool.put(scratch);
    }

    /// The gradient from the adjoints of the blocks.
    pub fn pull_back(
        &mut self,
        network: &FeedForward<T>,
        part: Part,
        weights: &Weights,
        inputs: Option<&mut [T]>,
        team: Team,
    ) {
        let point = Point {
            network,
            pass: &self.pass,
            part,
            tangents: &self.tangents,
        };
        let out = Out {
            parameters: fit(&mut self.gradient, network.parameters()),
            inputs,
        };
        let Reverse { adjoints, bars } = &mut self.reverse;
        T::pull_back(bars, point, adjoints, weights, out, team);
    }
}
