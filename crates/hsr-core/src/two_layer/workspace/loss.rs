//! The loss and its gradient, alone or with the bounds.

use crate::bounds::SpectralBounds;
use crate::error::{Error, check_length};
use crate::evaluation::quantity::Quantity;
use crate::numeric::buffer::fit;
use crate::numeric::lanes::finite;
use crate::problem::batch::Batch;
use crate::problem::network::Network;
use crate::two_layer::plan::Evaluation;
use crate::two_layer::stages::LossGradientStage;
use crate::two_layer::stages::Stages;
use crate::two_layer::workspace::Workspace;
use crate::two_layer::workspace::cases::chunks;

impl<T: Stages> Workspace<T> {
    /// The loss L.
    ///
    /// # Errors
    ///
    /// The [`Error`] that tells what is wrong with the batch, or [`Error::Overflow`] where a value is not
    /// representable in `T`. The other verbs have the same errors.
    pub fn loss(&mut self, network: &Network<T>, batch: &Batch<T>) -> Result<T, Error> {
        self.in_passes(network, batch, None)
    }

    /// The loss L and, in `gradient` \[D\], ∂L/∂θ.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where `gradient` has not D values.
    pub fn loss_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        gradient: &mut [T],
    ) -> Result<T, Error> {
        check_gradient(network, gradient)?;
        self.in_passes(network, batch, Some(gradient))
    }

    /// The loss with its gradient where there is room for it, part by part of the samples where memory wants it.
    fn in_passes(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        gradient: Option<&mut [T]>,
    ) -> Result<T, Error> {
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let quantity = match gradient {
            None => Quantity::Loss,
            Some(_) => Quantity::LossGradient,
        };
        let case = self.case_of_pass(quantity, &dims, batch.loss(), samples)?;
        self.hold(case)?;
        let normalizer = batch.normalizer(samples)?;
        let mut gradient = gradient;
        if case.chunk == samples {
            let loss = self.forward_in(network, batch, normalizer, 0..samples, 1, true)?;
            if let Some(gradient) = gradient {
                self.write_loss_gradient(network, gradient)?;
            }
            return Ok(loss);
        }
        if let Some(gradient) = gradient.as_deref_mut() {
            gradient.fill(T::zero());
        }
        let mut loss = T::zero();
        for range in chunks(&case) {
            loss += self.forward_in(network, batch, normalizer, range, 1, true)?;
            if let Some(gradient) = gradient.as_deref_mut() {
                self.add_part(gradient, |workspace, part| {
                    workspace.write_loss_gradient(network, part)
                })?;
            }
        }
        Ok(loss)
    }

    /// [`loss_gradient`](Self::loss_gradient) and [`bounds_gradient`](Self::bounds_gradient) from one forward pass:
    /// everything that a step down L + strength·λ_sup needs. ∂L/∂θ is written in `loss_gradient` \[D\].
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where an output has the wrong length.
    pub fn loss_and_bounds_gradient(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        evaluation: Evaluation,
        loss_gradient: &mut [T],
        gradient: &mut [T],
        input_gradient: Option<&mut [T]>,
    ) -> Result<(T, SpectralBounds<T>), Error> {
        check_gradient(network, loss_gradient)?;
        let mut out = self.checked_out(network, batch, gradient, input_gradient)?;
        self.bounds_into(network, batch, evaluation, Some(loss_gradient), &mut out)
    }

    /// ∂L/∂θ after a forward pass; of L/σ where r was divided by σ since.
    pub(crate) fn write_loss_gradient(
        &mut self,
        network: &Network<T>,
        gradient: &mut [T],
    ) -> Result<(), Error> {
        let shards = &self.shards[..self.used];
        let own = &mut self.own[..self.used];
        if let ([shared], [own]) = (shards, &mut *own) {
            T::loss_gradient(LossGradientStage {
                forward: &shared.forward,
                network,
                delta: &mut own.delta,
                gradient,
            });
        } else {
            let parameters = gradient.len();
            self.team.each(own.iter_mut(), |index, own| {
                T::loss_gradient(LossGradientStage {
                    forward: &shards[index].forward,
                    network,
                    delta: &mut own.delta,
                    gradient: fit(&mut own.gradient, parameters),
                });
            });
            self.add_gradients(gradient);
        }
        if finite(gradient) {
            Ok(())
        } else {
            Err(Error::Overflow {
                what: "the gradient of the loss",
            })
        }
    }
}

fn check_gradient<T: Stages>(network: &Network<T>, gradient: &[T]) -> Result<(), Error> {
    let parameters = network.dimensions().parameters();
    check_length("gradient", "parameters", gradient.len(), parameters)
}
