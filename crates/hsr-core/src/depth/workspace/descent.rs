//! Moments of the blocks, the bounds, and the gradients of objectives.

use crate::depth::network::FeedForward;
use crate::depth::objective::{BlockMoments, DeepBounds, Objective};
use crate::depth::passes::pass::Part;
use crate::depth::plan::DeepEvaluation;
use crate::depth::want::Want;
use crate::depth::workspace::evaluate::{Evaluate, add_up};
use crate::depth::workspace::{DeepWorkspace, check_outputs, checked};
use crate::error::Error;
use crate::evaluation::out::Out;
use crate::problem::batch::Batch;

impl<T: Evaluate> DeepWorkspace<T> {
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
            part,
            loss_gradient: false,
            gradient: false,
            inputs: false,
            diagonal: true,
            cross: true,
            tile: self.tile,
        };
        T::contract(self, network, batch, evaluation, want)?;
        DeepBounds::new(&self.unit, self.shards.first().pass.output.sigma)
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
        let want = Want {
            part: match objective {
                Objective::GaussNewton => Part::GaussNewton,
                _ => Part::Whole,
            },
            loss_gradient: loss_gradient.is_some(),
            gradient: true,
            inputs: inputs.is_some(),
            diagonal: objective != Objective::Trace,
            cross: !objective.is_diagonal(),
            tile: self.tile,
        };
        let loss = T::descend(self, network, batch, objective, evaluation, want, inputs)?;
        add_up(parameters, self.shards.used(), |shard| &shard.gradient);
        if let Some(out) = loss_gradient {
            add_up(out, self.shards.used(), |shard| &shard.loss_gradient);
        }
        let value = T::of(self.weights.value * self.shards.first().pass.output.sigma.as_f64());
        if !value.is_finite() {
            return Err(Error::Overflow {
                what: "the objective",
            });
        }
        let value = checked(value, parameters, "the gradient of the objective")?;
        Ok((loss, value))
    }
}
