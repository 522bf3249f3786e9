//! One evaluation, stage by stage. A batch is divided into shards of samples where every block is formed and small; then
//! the threads take shards, and otherwise blocks and seed layers.

use crate::depth::block::BlockId;
use crate::depth::blocks::scratch::Scratch;
use crate::depth::blocks::source::Source;
use crate::depth::network::{FeedForward, Layer};
use crate::depth::objective::Objective;
use crate::depth::passes::pass::Part;
use crate::depth::plan::{DeepEvaluation, Sizes};
use crate::depth::stages::{Stages, stages};
use crate::depth::want::Want;
use crate::depth::workspace::DeepWorkspace;
use crate::depth::workspace::shard::Shard;
use crate::depth::workspace::task::{Task, spread, threads};
use crate::error::Error;
use crate::evaluation::pool::Pool;
use crate::evaluation::shards;
use crate::evaluation::team::Team;
use crate::evaluation::watch::{Parts, Watch};
use crate::numeric::buffer::{Buffer, fit};
use crate::problem::batch::Batch;

stages! {
    /// Whole evaluations: what threads share is a good part of their code.
    trait Evaluate: Stages;

    /// In `unit` of the workspace the moments of the blocks of H/σ.
    fn contract(
        workspace: &mut DeepWorkspace<Self>,
        network: &FeedForward<Self>,
        batch: &Batch<Self>,
        evaluation: &DeepEvaluation,
        want: Want,
    ) -> Result<(), Error> = DeepWorkspace::evaluate;

    /// The loss; the objective in `weights`, and each shard's part of the gradient for the parameters.
    fn descend(
        workspace: &mut DeepWorkspace<Self>,
        network: &FeedForward<Self>,
        batch: &Batch<Self>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        want: Want,
        inputs: Option<&mut [Self]>,
    ) -> Result<Self, Error> = DeepWorkspace::evaluate_gradient;
}

impl<T: Stages> DeepWorkspace<T> {
    fn evaluate(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
        want: Want,
    ) -> Result<(), Error> {
        let samples = self.begin(network, batch, evaluation, want)?;
        self.forward_shards(network, batch, samples)?;
        self.contract_shards(network, want)
    }

    fn evaluate_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        want: Want,
        inputs: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let samples = self.begin(network, batch, evaluation, want)?;
        let loss = self.forward_shards(network, batch, samples)?;
        self.contract_shards(network, want)?;
        objective.weights(&self.unit, &mut self.weights)?;
        self.pull_back_shards(network, want, samples, inputs);
        Ok(loss)
    }

    /// Decides how a batch is evaluated: the blocks, the shards and the threads. Gives N.
    fn begin(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
        want: Want,
    ) -> Result<usize, Error> {
        let samples = batch.check(&network.ends())?;
        self.shapes.clear();
        self.shapes
            .extend(network.layers().iter().map(Layer::shape));
        let sizes = Sizes::new::<T>(&self.shapes, batch.loss(), samples, want.inputs);
        sizes.plan::<T>(evaluation, &mut self.plan)?;
        let depth = self.shapes.len();
        self.tasks.clear();
        for id in BlockId::every(depth) {
            let last = id.is_diagonal() && id.row + 1 == depth;
            // Without S the last layer's own block is 0.
            let vanishes = last && want.part == Part::Residual;
            if want.block(id) && !id.is_empty(&self.shapes) && !vanishes {
                let evaluation = self.plan[id.index()];
                let cost = sizes.cost(id, evaluation);
                self.tasks.push(Task::new(id, evaluation, cost));
            }
        }
        spread(&mut self.tasks);
        let wanted = self.tasks.iter().map(|task| (task.id, task.evaluation));
        let count = sizes.shards::<T>(wanted);
        self.shards.divide(count);
        let cost = self.tasks.iter().map(|task| task.cost).sum();
        let blocks = self.tasks.len();
        self.team = Team::new(threads(self.threads, cost, count, blocks));
        Ok(samples)
    }

    /// The forward pass of every shard. Gives the loss.
    fn forward_shards(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        samples: usize,
    ) -> Result<T, Error> {
        let normalizer = batch.normalizer(samples)?;
        let shards = self.shards.used_mut();
        let count = shards.len();
        self.team.each(shards.iter_mut(), |index, shard| {
            let range = shards::range::<T>(samples, count, index);
            shard.forward(network, batch, normalizer, range);
        });
        if let Some(error) = shards.iter().find_map(|shard| shard.error.clone()) {
            return Err(error);
        }
        let loss: T = shards.iter().map(|shard| shard.loss).sum();
        if loss.is_finite() {
            Ok(loss)
        } else {
            Err(Error::Overflow { what: "the loss" })
        }
    }

    /// In `unit` the moments of the blocks of H/σ, with the adjoints that are wanted.
    fn contract_shards(&mut self, network: &FeedForward<T>, want: Want) -> Result<(), Error> {
        let shards = self.shards.used_mut();
        let moments = &mut self.unit;
        let sigmas = shards.iter().map(|shard| T::largest(&shard.pass));
        let sigma = sigmas.fold(T::zero(), T::max);
        let parts = Parts::new(self.watch.as_ref());
        let (tasks, plan) = (&self.tasks, &self.plan);
        let (scratch, reverse) = (&self.scratch, &self.reverse);
        let whole = shards.len() == 1;
        let within = if whole { self.team } else { Team::default() };
        self.team.each(shards.iter_mut(), |_, shard| {
            shard.linearize(network, &want, sigma, within);
            if whole && want.gradient {
                shard.begin_reverse(reverse, &want, plan);
            }
            if !whole {
                shard.form(tasks, want, &parts, scratch);
            }
        });
        let depth = self.shapes.len();
        moments.clear(&self.shapes);
        for shard in &*shards {
            T::add_to(&mut moments.traces, &shard.traces);
        }
        match shards {
            [shard] => whole_blocks(
                shard,
                &mut self.tasks,
                &self.scratch,
                self.team,
                want,
                &parts,
            ),
            shards => sum_blocks(shards, &mut self.tasks, &mut self.formed, self.team),
        }
        self.watch.as_ref().map_or(Ok(()), Watch::check)?;
        for task in &self.tasks {
            let BlockId { row, column } = task.id;
            moments.frobenius_squared[row * depth + column] = task.square;
            moments.frobenius_squared[column * depth + row] = task.square;
        }
        let total = moments.total();
        if total.frobenius_squared.is_finite() && total.trace.is_finite() {
            Ok(())
        } else {
            Err(Error::Overflow { what: "‖H‖²" })
        }
    }

    /// The gradient of what has the weights found from `unit`: each shard's part of that for the parameters, and that for
    /// the inputs.
    fn pull_back_shards(
        &mut self,
        network: &FeedForward<T>,
        want: Want,
        samples: usize,
        inputs: Option<&mut [T]>,
    ) {
        let shards = self.shards.used_mut();
        let count = shards.len();
        let (tasks, formed) = (&self.tasks, &self.formed);
        let (plan, weights) = (&self.plan, &self.weights);
        let (scratch, reverse) = (&self.scratch, &self.reverse);
        let within = if count == 1 {
            self.team
        } else {
            Team::default()
        };
        let work = |shard: &mut Shard<T>, inputs: Option<&mut [T]>| {
            if count > 1 {
                shard.begin_reverse(reverse, &want, plan);
                shard.turn(tasks, formed, want, scratch);
            }
            shard.pull_back(network, want.part, weights, inputs, within);
            reverse.put(core::mem::take(&mut shard.reverse));
        };
        let Some(inputs) = inputs else {
            return self
                .team
                .each(shards.iter_mut(), |_, shard| work(shard, None));
        };
        let rows = shards::range::<T>(samples, count, 0).len();
        let inputs = inputs.chunks_mut(rows * network.inputs());
        let both = shards.iter_mut().zip(inputs);
        self.team
            .each(both, |_, (shard, inputs)| work(shard, Some(inputs)));
    }
}

/// The blocks of the only shard, with the adjoints that are wanted.
fn whole_blocks<T: Stages>(
    shard: &mut Shard<T>,
    tasks: &mut [Task<T>],
    scratch: &Pool<Scratch<T>>,
    team: Team,
    want: Want,
    parts: &Parts,
) {
    let depth = shard.pass.depth();
    let source = Source {
        pass: &shard.pass,
        tangents: &shard.tangents,
        want,
        parts,
    };
    for task in &mut *tasks {
        task.adjoints = core::mem::take(shard.reverse.adjoints.block_or_none(task.id, depth));
    }
    team.each(tasks.iter_mut(), |_, task| {
        let mut buffers = scratch.take();
        let (way, adjoints) = (task.evaluation.into(), &mut task.adjoints);
        task.square = T::block(&source, task.id, way, adjoints, &mut buffers);
        scratch.put(buffers);
    });
    for task in tasks {
        *shard.reverse.adjoints.block(task.id) = core::mem::take(&mut task.adjoints);
    }
}

/// Every E from those of the shards, added in one order, so that the number of threads does not change how they round.
fn sum_blocks<T: Stages>(
    shards: &[Shard<T>],
    tasks: &mut [Task<T>],
    formed: &mut Vec<Buffer<T>>,
    team: Team,
) {
    formed.resize_with(tasks.len().max(formed.len()), Buffer::default);
    let both = tasks.iter_mut().zip(formed);
    team.each(both, |index, (task, formed)| {
        let sum = fit(formed, shards[0].formed[index].len());
        add_up(sum, shards, |shard| &shard.formed[index]);
        task.square = T::dot(sum, sum);
    });
}

/// In `out` the sum of what the shards have, in their order.
pub(super) fn add_up<T: Stages>(
    out: &mut [T],
    shards: &[Shard<T>],
    of: impl Fn(&Shard<T>) -> &[T],
) {
    out.fill(T::zero());
    for shard in shards {
        T::add_to(out, of(shard));
    }
}
