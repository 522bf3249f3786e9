//! Moments of the blocks, the bounds, and the gradients of objectives.

use core::num::NonZeroUsize;

use super::blocks::{BlockAdjoints, BlockId, Source, Want, evaluate};
use super::network::FeedForward;
use super::objective::{BlockMoments, DeepBounds, Objective};
use super::pass::Part;
use super::plan::{DeepEvaluation, Sizes};
use super::pullback::traces;
use super::workspace::{DeepWorkspace, check_outputs, checked};
use crate::team::Helpers;
use crate::watch::{Parts, Watch};
use crate::{Batch, BlockEvaluation, Error, Real};

/// Multiply-adds that pay for another thread: some 50 µs.
const SHARE: f64 = 1e6;

impl<T: Real> DeepWorkspace<T> {
    /// t_l and q_{kl} of every block.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::TooLarge`] where a block was to be assembled and would not fit,
    /// [`Error::PlanShape`] where a plan is for another network.
    pub fn moments(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
    ) -> Result<BlockMoments<T>, Error> {
        Ok(self.bounds(network, batch, evaluation)?.moments)
    }

    /// The bounds of the whole Hessian and of each layer's block, λ_blk and λ_diag.
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments).
    pub fn bounds(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
    ) -> Result<DeepBounds<T>, Error> {
        self.bounds_of(Part::Whole, network, batch, evaluation)
    }

    pub(super) fn bounds_of(
        &mut self,
        part: Part,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
    ) -> Result<DeepBounds<T>, Error> {
        let want = Want {
            gradient: false,
            inputs: false,
            diagonal: true,
            cross: true,
            tile: self.tile,
        };
        self.contract(network, batch, evaluation, part, want, None)?;
        DeepBounds::new(&self.unit, self.pass.output.sigma)
    }

    /// The objective and, in `gradient` \[D\], its derivative for the parameters; in `input_gradient` \[N, n_0\], where
    /// given, that for the inputs. Exact.
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments); [`Error::Length`] where an output has the wrong length; [`Error::Range`] for the
    /// bound of a layer that the network does not have.
    pub fn objective_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let (_, value) = self.descend(
            network,
            batch,
            objective,
            evaluation,
            None,
            gradient,
            input_gradient,
        )?;
        Ok(value)
    }

    /// [`loss_gradient`](Self::loss_gradient) and [`objective_gradient`](Self::objective_gradient) from one forward
    /// pass: the loss and the objective, and their gradients.
    ///
    /// # Errors
    ///
    /// As [`objective_gradient`](Self::objective_gradient).
    pub fn loss_and_objective_gradient(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        loss_gradient: &mut [T],
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<(T, T), Error> {
        check_outputs(network, batch, loss_gradient, None)?;
        self.descend(
            network,
            batch,
            objective,
            evaluation,
            Some(loss_gradient),
            gradient,
            input_gradient,
        )
    }

    fn descend(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        loss_gradient: Option<&mut [T]>,
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<(T, T), Error> {
        check_outputs(network, batch, gradient, input_gradient.as_deref())?;
        if let Objective::Layer(layer) = objective
            && layer >= network.depth()
        {
            return Err(Error::Range {
                what: "the layer of an objective",
                value: layer as f64,
                expected: "an index below the number of layers",
            });
        }
        let part = match objective {
            Objective::GaussNewton => Part::GaussNewton,
            _ => Part::Whole,
        };
        let want = Want {
            gradient: true,
            inputs: input_gradient.is_some(),
            diagonal: objective != Objective::Trace,
            cross: !objective.is_diagonal(),
            tile: self.tile,
        };
        let (loss, helpers) =
            self.contract(network, batch, evaluation, part, want, loss_gradient)?;
        objective.weights(&self.unit, &mut self.weights)?;
        self.bars.pull_back(
            network,
            &self.pass,
            part,
            &mut self.tangents,
            &mut self.adjoints,
            &self.weights,
            gradient,
            input_gradient,
            &mut self.team,
        );
        drop(helpers);
        let value = T::of(self.weights.value * self.pass.output.sigma.as_f64());
        if !value.is_finite() {
            return Err(Error::Overflow {
                what: "the objective",
            });
        }
        let value = checked(value, gradient, "the gradient of the objective")?;
        Ok((loss, value))
    }

    /// The loss; and in `unit` the moments of the blocks of H/σ, with the adjoints that are wanted. The helpers that the
    /// evaluation is worth are still there.
    fn contract(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
        part: Part,
        want: Want,
        loss_gradient: Option<&mut [T]>,
    ) -> Result<(T, Option<Helpers>), Error> {
        let pass = &mut self.pass;
        let loss = pass.forward(network, batch)?;
        let sizes = Sizes::new::<T>(&pass.shapes, batch.loss(), pass.samples, want.inputs);
        sizes.plan(evaluation, &mut self.plan)?;
        self.tasks.clear();
        for id in BlockId::every(pass.depth()) {
            let last = id.is_diagonal() && id.row + 1 == pass.depth();
            // Without S the last layer's own block is 0.
            if want.block(id) && !id.is_empty(&pass.shapes) && !(last && part == Part::Residual) {
                let evaluation = self.plan[id.index()];
                let cost = sizes.cost(id, evaluation);
                self.tasks.push(Task::new(id, evaluation, cost));
            }
        }
        let costs = self.tasks.iter().map(|task| task.cost);
        let count = threads_that_pay(self.threads, costs.sum()).min(self.tasks.len());
        let helpers = (count > 1).then(|| self.team.call(count - 1));
        pass.scale_to_one();
        let of_loss = loss_gradient.is_some();
        if let Some(gradient) = loss_gradient {
            pass.backward(network, Part::Whole);
            pass.loss_gradient(network, pass.output.sigma, gradient);
        }
        if !of_loss || part != Part::Whole {
            pass.backward(network, part);
        }
        self.tangents.run(network, pass, part, &mut self.team);
        if want.gradient {
            self.adjoints.clear(pass, &want, &self.plan);
        }
        let depth = pass.depth();
        let moments = &mut self.unit;
        moments.clear(&pass.shapes);
        let [of_block, squared] = &mut self.sums;
        for l in 0..depth {
            // Without S the last layer's own block is 0.
            if !pass.shapes[l].is_trained() || (part == Part::Residual && l + 1 == depth) {
                continue;
            }
            traces(pass, &self.tangents, l, of_block);
            pass.input_squared(l, squared);
            moments.traces[l] = super::rows::dot(of_block, squared);
        }
        let source = Source {
            pass,
            tangents: &self.tangents,
            want,
            parts: Parts::new(self.watch.as_ref()),
        };
        for task in &mut self.tasks {
            task.adjoints = core::mem::take(self.adjoints.block_or_none(task.id, depth));
        }
        spread(&mut self.tasks);
        let scratch = &self.scratch;
        self.team.each(self.tasks.iter_mut(), |_, task| {
            let mut buffers = scratch.take();
            let adjoints = &mut task.adjoints;
            task.square = evaluate(&source, task.id, task.evaluation, adjoints, &mut buffers);
            scratch.put(buffers);
        });
        self.watch.as_ref().map_or(Ok(()), Watch::check)?;
        for task in &mut self.tasks {
            let id = task.id;
            *self.adjoints.block(id) = core::mem::take(&mut task.adjoints);
            moments.frobenius_squared[id.row * depth + id.column] = task.square;
            moments.frobenius_squared[id.column * depth + id.row] = task.square;
        }
        let total = moments.total();
        if total.frobenius_squared.is_finite() && total.trace.is_finite() {
            Ok((loss, helpers))
        } else {
            Err(Error::Overflow { what: "‖H‖²" })
        }
    }
}

/// One block that a thread evaluates.
pub(super) struct Task<T> {
    id: BlockId,
    evaluation: BlockEvaluation,
    /// In multiply-adds.
    cost: f64,
    adjoints: BlockAdjoints<T>,
    /// q_{kl}.
    square: T,
}

impl<T: Real> Task<T> {
    fn new(id: BlockId, evaluation: BlockEvaluation, cost: f64) -> Self {
        Self {
            id,
            evaluation,
            cost,
            adjoints: BlockAdjoints::default(),
            square: T::zero(),
        }
    }
}

/// The longest tasks at both ends, where threads begin, the shortest in the middle, where they meet.
fn spread<T>(tasks: &mut [Task<T>]) {
    tasks.sort_unstable_by(|a, b| b.cost.total_cmp(&a.cost));
    let mut rest = tasks;
    while rest.len() > 2 {
        // The second longest goes to the end; what it passes keeps its order.
        rest[1..].rotate_left(1);
        let end = rest.len() - 1;
        rest = &mut rest[1..end];
    }
}

/// How many threads an evaluation of so many multiply-adds is worth.
pub(super) fn threads_that_pay(most: Option<NonZeroUsize>, multiplications: f64) -> usize {
    let pays = (multiplications / SHARE) as usize;
    if pays < 2 {
        return 1;
    }
    // Asking for the pool's size starts its threads.
    pays.min(most.map_or_else(rayon::current_num_threads, NonZeroUsize::get))
}
