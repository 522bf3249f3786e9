//! The Hessian at one point as an operator.

use crate::error::{Error, check_length};
use crate::evaluation::quantity::Quantity;
use crate::evaluation::watch::Watch;
use crate::numeric::buffer::{Buffer, fit};
use crate::numeric::lanes::add_scaled;
use crate::problem::batch::{Batch, Normalizer};
use crate::problem::network::Network;
use crate::two_layer::forward::Curvature;
use crate::two_layer::memory::Case;
use crate::two_layer::product::Along;
use crate::two_layer::samples::Forward;
use crate::two_layer::stages::Stages;
use crate::two_layer::stages::{CurvatureStage, ForwardStage, ProductStage};
use crate::two_layer::workspace::Workspace;
use crate::two_layer::workspace::cases::chunks;

/// The Hessian at one point as an operator, from [`Workspace::linearize`].
pub struct HessianOperator<'a, T> {
    network: &'a Network<'a, T>,
    forward: &'a mut Forward<T>,
    buffers: &'a mut Along<T>,
    /// Where the samples are gone through part by part, for every product anew.
    parts: Option<Parts<'a, T>>,
    watch: Option<&'a Watch>,
}

/// Samples that are gone through part by part.
struct Parts<'a, T> {
    batch: Batch<'a, T>,
    case: Case,
    normalizer: Normalizer<T>,
    /// max(|S|, |r|) of all.
    largest: T,
    part: &'a mut Buffer<T>,
}

impl<T: Stages> HessianOperator<'_, T> {
    /// The number of parameters D.
    pub fn parameters(&self) -> usize {
        self.network.dimensions().parameters()
    }

    /// `product = H v`, both \[D\].
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a vector has not D values.
    pub fn apply(&mut self, v: &[T], product: &mut [T]) -> Result<(), Error> {
        check_length("v", "parameters", v.len(), self.parameters())?;
        check_length("product", "parameters", product.len(), self.parameters())?;
        match self.parts.take() {
            None => T::product(ProductStage {
                network: self.network,
                forward: &*self.forward,
                buffers: &mut *self.buffers,
                v,
                product,
            }),
            Some(mut parts) => {
                let applied = self.apply_in_parts(&mut parts, v, product);
                self.parts = Some(parts);
                applied?;
            }
        }
        self.watch.map_or(Ok(()), Watch::product)
    }

    fn apply_in_parts(
        &mut self,
        parts: &mut Parts<T>,
        v: &[T],
        product: &mut [T],
    ) -> Result<(), Error> {
        let network = self.network;
        product.fill(T::zero());
        for range in chunks(&parts.case) {
            T::forward(ForwardStage {
                forward: &mut *self.forward,
                network,
                batch: &parts.batch,
                normalizer: parts.normalizer,
                range,
                with_loss: false,
            })?;
            T::curvature(CurvatureStage {
                forward: &mut *self.forward,
                network,
                what: Curvature::Operator,
                largest: parts.largest,
            })?;
            let part = fit(parts.part, product.len());
            T::product(ProductStage {
                network,
                forward: &*self.forward,
                buffers: &mut *self.buffers,
                v,
                product: &mut *part,
            });
            add_scaled(product, T::one(), part);
        }
        Ok(())
    }
}

impl<T: Stages> Workspace<T> {
    /// The product H v with the Hessian of the loss, exact and without forming H: two passes over the samples
    /// ([theory](crate::theory) §6). `v` and `product` are \[D\].
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::Length`] where a vector has not D values.
    pub fn hessian_vector_product(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        v: &[T],
        product: &mut [T],
    ) -> Result<(), Error> {
        self.linearize(network, batch)?.apply(v, product)?;
        if product.iter().all(|v| v.is_finite()) {
            Ok(())
        } else {
            Err(Error::Overflow { what: "H v" })
        }
    }

    /// The Hessian of the loss at one point, as an operator: the forward pass is done once, each product costs two
    /// passes over the samples. For iterative eigensolvers.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn linearize<'a>(
        &'a mut self,
        network: &'a Network<'a, T>,
        batch: &Batch<'a, T>,
    ) -> Result<HessianOperator<'a, T>, Error> {
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let case = self.case_of_pass(Quantity::HessianProduct, &dims, batch.loss(), samples)?;
        if case.chunk == samples {
            self.evaluate(network, batch, Curvature::Operator, case.quantity)?;
            return Ok(self.operator(network));
        }
        self.hold(case)?;
        let normalizer = batch.normalizer(samples)?;
        let mut largest = T::zero();
        for range in chunks(&case) {
            self.forward_in(network, batch, normalizer, range, 1, false)?;
            largest = largest.max(self.largest());
        }
        Ok(HessianOperator {
            parts: Some(Parts {
                batch: *batch,
                case,
                normalizer,
                largest,
                part: &mut self.part,
            }),
            network,
            forward: &mut self.shards[0].forward,
            buffers: &mut self.buffers,
            watch: self.watch.as_ref(),
        })
    }

    /// The Hessian where the last evaluation was done, which was not in the output basis.
    pub(crate) fn operator<'a>(
        &'a mut self,
        network: &'a Network<'a, T>,
    ) -> HessianOperator<'a, T> {
        HessianOperator {
            parts: None,
            network,
            forward: &mut self.shards[0].forward,
            buffers: &mut self.buffers,
            watch: self.watch.as_ref(),
        }
    }
}
