//! The Hessian at one point as an operator.

use crate::depth::network::FeedForward;
use crate::depth::passes::pass::Pass;
use crate::depth::passes::product::Product;
use crate::depth::stages::Stages;
use crate::error::{Error, check_length};
use crate::evaluation::watch::Watch;
use crate::numeric::buffer::{Buffer, fit};

/// The Hessian at one point as an operator, from [`DeepWorkspace::linearize`](super::DeepWorkspace::linearize).
pub struct DeepOperator<'a, T> {
    pub(in crate::depth) network: &'a FeedForward<'a, T>,
    pub(in crate::depth) pass: &'a mut Pass<T>,
    pub(in crate::depth) product: &'a mut Product<T>,
    /// A direction restricted to one layer.
    pub(in crate::depth) inside: &'a mut Buffer<T>,
    pub(in crate::depth) layer: Option<usize>,
    pub(in crate::depth) watch: Option<&'a Watch>,
}

impl<T: Stages> DeepOperator<'_, T> {
    /// Only the block H_ll of layer `layer`, counted from 0: what [`apply`](Self::apply) takes and gives is then 0 (or
    /// made 0) outside the layer's parameters. For the spectrum of one layer.
    ///
    /// # Panics
    ///
    /// Where there is no such layer.
    pub fn of_layer(mut self, layer: usize) -> Self {
        assert!(layer < self.network.depth());
        self.layer = Some(layer);
        self
    }

    /// The number of parameters D.
    pub fn parameters(&self) -> usize {
        self.network.parameters()
    }

    /// `product = H v`, both \[D\].
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a vector has not D values, [`Error::Stopped`] where who watches wants no more.
    pub fn apply(&mut self, v: &[T], product: &mut [T]) -> Result<(), Error> {
        check_length("v", "parameters", v.len(), self.parameters())?;
        check_length("product", "parameters", product.len(), self.parameters())?;
        let Some(layer) = self.layer else {
            T::product(self.product, self.network, self.pass, v, product, None);
            return self.watch.map_or(Ok(()), Watch::product);
        };
        let range = self.network.layout(layer).all();
        let inside = fit(self.inside, v.len());
        inside.fill(T::zero());
        inside[range.clone()].copy_from_slice(&v[range.clone()]);
        T::product(self.product, self.network, self.pass, inside, product, None);
        product[..range.start].fill(T::zero());
        product[range.end..].fill(T::zero());
        self.watch.map_or(Ok(()), Watch::product)
    }

    /// [`apply`](Self::apply) for vectors in f64, as eigensolvers have them. Allocates both vectors in `T`.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn apply_f64(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), Error> {
        let v: Vec<T> = v.iter().map(|&v| T::of(v)).collect();
        let mut out = vec![T::zero(); product.len()];
        self.apply(&v, &mut out)?;
        for (product, out) in product.iter_mut().zip(out) {
            *product = out.as_f64();
        }
        Ok(())
    }
}
