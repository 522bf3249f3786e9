//! The block of an operator that belongs to some parameters.

use core::ops::Range;

use burn::module::ParamGroup;

use super::{SymmetricOperator, check_lengths};
use crate::error::SharpnessError;
use crate::parameters::ParameterSpace;

/// The block P A Pᵀ of an operator on a [`ParameterSpace`] that belongs to a group of parameters, the others held fixed:
/// of a Hessian, the one of a layer, say. Its coordinates are those of the group, in the order of the space.
///
/// ```
/// use burn::module::ParamGroup;
/// use burn::nn::LinearConfig;
/// use burn::tensor::Device;
/// use burn_sharpness::operator::{DenseOperator, Subset};
/// use burn_sharpness::{ParameterSpace, SymmetricOperator};
///
/// let layer = LinearConfig::new(2, 1).init(&Device::flex().autodiff());
/// let space = ParameterSpace::of(&layer)?;
/// let hessian = DenseOperator::new(&[4.0, 1.0, 2.0, 1.0, 5.0, 3.0, 2.0, 3.0, 6.0], 3)?;
/// let mut of_bias = Subset::new(hessian, &space, &ParamGroup::from_predicate("bias"))?;
/// let mut product = [0.0];
/// of_bias.apply(&[1.0], &mut product)?;
/// assert_eq!(product, [6.0]);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Subset<O> {
    operator: O,
    ranges: Vec<Range<usize>>,
    size: usize,
    vector: Vec<f64>,
    product: Vec<f64>,
}

impl<O: SymmetricOperator> Subset<O> {
    /// The block of the parameters of the space that `group` matches, by their names or by identity.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the operator is not on the space; [`SharpnessError::NoParameters`] where the group
    /// has no parameter of it.
    pub fn new(
        operator: O,
        space: &ParameterSpace,
        group: &ParamGroup,
    ) -> Result<Self, SharpnessError> {
        if operator.size() != space.size() {
            return Err(SharpnessError::Length {
                what: "a vector of the operator",
                got: operator.size(),
                expected: space.size(),
            });
        }
        let ranges: Vec<_> = space
            .parameters()
            .iter()
            .filter(|parameter| group.matches(&parameter.id, Some(&parameter.path)))
            .map(|parameter| parameter.range.clone())
            .collect();
        Self::of_ranges(operator, ranges)
    }

    /// The block of these places of the operator's vectors, in their order: of a layer in the closed form, say.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where a range ends beyond the vectors; [`SharpnessError::NoParameters`] where there is no
    /// place.
    pub fn of_ranges(operator: O, ranges: Vec<Range<usize>>) -> Result<Self, SharpnessError> {
        let whole = operator.size();
        if let Some(beyond) = ranges.iter().find(|range| range.end > whole) {
            return Err(SharpnessError::Length {
                what: "a vector up to the end of the range",
                got: beyond.end,
                expected: whole,
            });
        }
        let size = ranges.iter().map(ExactSizeIterator::len).sum();
        if size == 0 {
            return Err(SharpnessError::NoParameters);
        }
        Ok(Self {
            operator,
            ranges,
            size,
            vector: vec![0.0; whole],
            product: vec![0.0; whole],
        })
    }

    /// P v: the part of a vector of the space that is of the group.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the vector does not fit.
    pub fn part(&self, v: &[f64]) -> Result<Vec<f64>, SharpnessError> {
        fits(v.len(), self.vector.len())?;
        let parts = self.ranges.iter().map(|range| &v[range.clone()]);
        Ok(parts.flatten().copied().collect())
    }

    /// Pᵀ v: a vector of the group as one of the space, 0 elsewhere.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the vector does not fit.
    pub fn whole(&self, v: &[f64]) -> Result<Vec<f64>, SharpnessError> {
        fits(v.len(), self.size)?;
        let mut whole = vec![0.0; self.vector.len()];
        spread(&self.ranges, v, &mut whole);
        Ok(whole)
    }

    /// The operator on the whole space.
    pub fn into_inner(self) -> O {
        self.operator
    }
}

fn fits(got: usize, expected: usize) -> Result<(), SharpnessError> {
    if got == expected {
        return Ok(());
    }
    let what = "the vector";
    Err(SharpnessError::Length {
        what,
        got,
        expected,
    })
}

/// Puts the values of the ranges, one after another, where the ranges are.
fn spread(ranges: &[Range<usize>], mut values: &[f64], whole: &mut [f64]) {
    for range in ranges {
        let (part, rest) = values.split_at(range.len());
        whole[range.clone()].copy_from_slice(part);
        values = rest;
    }
}

impl<O: SymmetricOperator> SymmetricOperator for Subset<O> {
    fn size(&self) -> usize {
        self.size
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        check_lengths(self.size, v, product)?;
        spread(&self.ranges, v, &mut self.vector);
        self.operator.apply(&self.vector, &mut self.product)?;
        let mut rest = product;
        for range in &self.ranges {
            let (part, after) = rest.split_at_mut(range.len());
            part.copy_from_slice(&self.product[range.clone()]);
            rest = after;
        }
        Ok(())
    }

    fn accuracy(&self) -> f64 {
        self.operator.accuracy()
    }
}
