//! The Hessian of a network of any depth as an operator.

use burn_sharpness::{SharpnessError, SymmetricOperator};
use hsr_core::HessianOperator;
use hsr_core::depth::DeepOperator;

/// The Hessian at one point, from [`Curvature::linearize`](super::Curvature::linearize).
pub enum Operator<'a> {
    /// Of three layers.
    ThreeLayers(HessianOperator<'a, f64>),
    /// Of any number of layers.
    Layers(DeepOperator<'a, f64>),
}

impl Operator<'_> {
    /// `product = H v`, both \[D\].
    ///
    /// # Errors
    ///
    /// Where a vector has not D values.
    pub fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), hsr_core::Error> {
        match self {
            Self::ThreeLayers(operator) => operator.apply(v, product),
            Self::Layers(operator) => operator.apply(v, product),
        }
    }
}

impl SymmetricOperator for Operator<'_> {
    fn size(&self) -> usize {
        match self {
            Self::ThreeLayers(operator) => operator.parameters(),
            Self::Layers(operator) => operator.parameters(),
        }
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        Ok(Operator::apply(self, v, product)?)
    }
}
