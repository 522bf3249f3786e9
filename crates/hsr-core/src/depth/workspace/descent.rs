//! Moments of the blocks, the bounds, and the gradients of objectives.

use crate::depth::block::BlockId;
use crate::depth::blocks::source::Source;
use crate::depth::network::FeedForward;
use crate::depth::objective::{BlockMoments, DeepBounds, Objective};
use crate::depth::passes::pass::Part;
use crate::depth::plan::{DeepEvaluation, Sizes};
use crate::depth::reverse::bars::Point;
use crate::depth::stages::Stages;
use crate::depth::want::Want;
use crate::depth::workspace::task::{Task, spread, threads_that_pay};
use crate::depth::workspace::{DeepWorkspace, check_outputs, checked};
use crate::error::Error;
use crate::evaluation::out::Out;
use crate::evaluation::team::Team;
use crate::evaluation::watch::{Parts, Watch};
use crate::problem::batch::Batch;

impl<T: Stages> DeepWorkspace<T> {
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

    pub(in crate::depth) fn bounds_of(
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
        self.begin(network, batch, evaluation, part, want)?;
        let team = self.team;
        team.run(|| self.contract(network, part, want, None))?;
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
            Out {
                parameters: gradient,
                inputs: input_gradient,
            },
        )?;
        Ok(value)
    }

    /// [`loss_gradient`](Self::loss_gradient) and [`objective_gradient`](Self::objective_gradient) from one forward
    /// pass: the loss and the objective, and their gradients.
    ///
    /// # Errors
    ///
    /// As [`objective_gradient`](Self::objective_gradient).
    #[allow(clippy::too_many_arguments)] // Five that say what, and where each gradient goes.
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
            Out {
                parameters: gradient,
                inputs: input_gradient,
            },
        )
    }

    fn descend(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        objective: Objective,
        evaluation: &DeepEvaluation,
        loss_gradient: Option<&mut [T]>,
        out: Out<T>,
    ) -> Result<(T, T), Error> {
        let Out { parameters, inputs } = out;
        check_outputs(network, batch, parameters, inputs.as_deref())?;
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
            inputs: inputs.is_some(),
            diagonal: objective != Objective::Trace,
            cross: !objective.is_diagonal(),
            tile: self.tile,
        };
        let loss = self.begin(network, batch, evaluation, part, want)?;
        let team = self.team;
        team.run(|| {
            self.contract(network, part, want, loss_gradient)?;
            objective.weights(&self.unit, &mut self.weights)?;
            let point = Point {
                network,
                pass: &self.pass,
                part,
                tangents: &self.tangents,
            };
            let out = Out {
                parameters: &mut *parameters,
                inputs,
            };
            let (bars, adjoints) = (&mut self.bars, &mut self.adjoints);
            T::pull_back(bars, point, adjoints, &self.weights, out, team);
            Ok::<(), Error>(())
        })?;
        let value = T::of(self.weights.value * self.pass.output.sigma.as_f64());
        if !value.is_finite() {
            return Err(Error::Overflow {
                what: "the objective",
            });
        }
        let value = checked(value, parameters, "the gradient of the objective")?;
        Ok((loss, value))
    }

    /// The loss; and the blocks that are to be evaluated, with as many threads as they are worth.
    fn begin(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
        part: Part,
        want: Want,
    ) -> Result<T, Error> {
        let pass = &mut self.pass;
        let loss = T::forward(pass, network, batch)?;
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
        self.team = Team::new(count);
        Ok(loss)
    }

    /// In `unit` the moments of the blocks of H/σ, with the adjoints that are wanted.
    fn contract(
        &mut self,
        network: &FeedForward<T>,
        part: Part,
        want: Want,
        loss_gradient: Option<&mut [T]>,
    ) -> Result<(), Error> {
        let pass = &mut self.pass;
        T::scale_to_one(pass);
        let of_loss = loss_gradient.is_some();
        if let Some(gradient) = loss_gradient {
            T::backward(pass, network, Part::Whole);
            T::loss_gradient(pass, network, pass.output.sigma, gradient);
        }
        if !of_loss || part != Part::Whole {
            T::backward(pass, network, part);
        }
        T::tangents(&mut self.tangents, network, pass, part, self.team);
        if want.gradient {
            self.adjoints.clear(pass, &want, &self.plan);
        }
        let depth = pass.depth();
        let moments = &mut self.unit;
        moments.clear(&pass.shapes);
        for l in 0..depth {
            // Without S the last layer's own block is 0.
            if !pass.shapes[l].is_trained() || (part == Part::Residual && l + 1 == depth) {
                continue;
            }
            moments.traces[l] = T::trace(pass, &self.tangents, l, &mut self.sums);
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
            task.square = T::block(&source, task.id, task.evaluation, adjoints, &mut buffers);
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
            Ok(())
        } else {
            Err(Error::Overflow { what: "‖H‖²" })
        }
    }
}
