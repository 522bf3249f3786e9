//! Moments of the blocks, the bounds, and the gradients of objectives.

use super::blocks::{BlockId, Source, Want, evaluate};
use super::network::FeedForward;
use super::objective::{BlockMoments, DeepBounds, Objective};
use super::pass::Part;
use super::plan::{DeepEvaluation, Sizes};
use super::pullback::traces;
use super::workspace::{DeepWorkspace, check_outputs, checked};
use crate::{Batch, Error, Real};

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
        let loss = self.contract(network, batch, evaluation, part, want, loss_gradient)?;
        objective.weights(&self.unit, &mut self.weights)?;
        self.bars.pull_back(
            network,
            &mut self.pass,
            part,
            &mut self.tangents,
            &mut self.adjoints,
            &self.weights,
            gradient,
            input_gradient,
        );
        let value = T::of(self.weights.value * self.pass.output.sigma.as_f64());
        if !value.is_finite() {
            return Err(Error::Overflow {
                what: "the objective",
            });
        }
        let value = checked(value, gradient, "the gradient of the objective")?;
        Ok((loss, value))
    }

    /// The loss; and in `unit` the moments of the blocks of H/σ, with the adjoints that are wanted.
    fn contract(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
        part: Part,
        want: Want,
        loss_gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let pass = &mut self.pass;
        let loss = pass.forward(network, batch)?;
        let sizes = Sizes::new::<T>(&pass.shapes, batch.loss(), pass.samples, want.inputs);
        sizes.plan(evaluation, &mut self.plan)?;
        pass.scale_to_one();
        let of_loss = loss_gradient.is_some();
        if let Some(gradient) = loss_gradient {
            pass.backward(network, Part::Whole);
            pass.loss_gradient(network, pass.output.sigma, gradient);
        }
        if !of_loss || part != Part::Whole {
            pass.backward(network, part);
        }
        self.tangents.run(network, pass, part);
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
        };
        for id in BlockId::every(depth) {
            let last = id.is_diagonal() && id.row + 1 == depth;
            if !want.block(id) || id.is_empty(&pass.shapes) || (last && part == Part::Residual) {
                continue;
            }
            let evaluation = self.plan[id.index()];
            let adjoints = self.adjoints.block_or_none(id, depth);
            let q = evaluate(&source, id, evaluation, adjoints, &mut self.scratch);
            moments.frobenius_squared[id.row * depth + id.column] = q;
            moments.frobenius_squared[id.column * depth + id.row] = q;
        }
        let total = moments.total();
        if total.frobenius_squared.is_finite() && total.trace.is_finite() {
            Ok(loss)
        } else {
            Err(Error::Overflow { what: "‖H‖²" })
        }
    }
}
