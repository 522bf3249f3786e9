//! The inverse of an operator.

use super::finite_difference::{add_scaled, norm};
use super::{SymmetricOperator, check_lengths};
use crate::error::SharpnessError;

/// The damped inverse (A + δI)⁻¹ of a positive semidefinite operator, such as a Gauss-Newton or Fisher matrix, by conjugate
/// gradients: natural gradients and influence functions are products with it.
///
/// A product takes as many products with A as the iteration has steps, √(λ_max/δ) times a few, and four vectors of memory.
///
/// ```
/// use burn_sharpness::SymmetricOperator;
/// use burn_sharpness::operator::{DenseOperator, Inverse};
///
/// let a = DenseOperator::new(&[3.0, 1.0, 1.0, 3.0], 2)?;
/// let mut inverse = Inverse::new(a, 1.0)?;
/// let mut x = [0.0; 2];
/// inverse.apply(&[5.0, 5.0], &mut x)?;
/// assert!((x[0] - 1.0).abs() < 1e-9 && (x[1] - 1.0).abs() < 1e-9);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: M. R. Hestenes, E. Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", Journal of Research of
/// the National Bureau of Standards 49 (1952), 409–436.
#[derive(Clone, Debug)]
pub struct Inverse<O> {
    operator: O,
    damping: f64,
    iterations: usize,
    tolerance: f64,
}

impl<O: SymmetricOperator> Inverse<O> {
    /// With the damping δ; 1000 steps at most, to a residual of 10⁻¹⁰ of the vector's length or to the accuracy of A's
    /// products, where that is coarser.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] for a damping that is no number or below 0.
    pub fn new(operator: O, damping: f64) -> Result<Self, SharpnessError> {
        if !(damping >= 0.0 && damping.is_finite()) {
            return Err(SharpnessError::Option {
                option: "damping",
                value: damping,
                expected: "a number, 0 or more",
            });
        }
        Ok(Self {
            tolerance: operator.accuracy().max(1e-10),
            operator,
            damping,
            iterations: 1000,
        })
    }

    /// With so many steps at most.
    pub fn with_iterations(self, iterations: usize) -> Self {
        Self { iterations, ..self }
    }

    /// To a residual ‖v − (A + δI)x‖ of this share of ‖v‖.
    pub fn with_tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// A.
    pub fn into_inner(self) -> O {
        self.operator
    }
}

/// # Errors
///
/// Products give what A's do, [`SharpnessError::NotFinite`], [`SharpnessError::Option`] where A + δI turns out not to be
/// positive definite, and [`SharpnessError::NotConverged`] after too many steps.
impl<O: SymmetricOperator> SymmetricOperator for Inverse<O> {
    fn size(&self) -> usize {
        self.operator.size()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        check_lengths(self.size(), v, product)?;
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        product.fill(0.0);
        let length = norm(v);
        if !length.is_finite() {
            let what = "the vector";
            return Err(SharpnessError::NotFinite { what });
        }
        if length == 0.0 {
            return Ok(());
        }
        // To unit length, so that no square overflows or underflows on the way.
        let mut residual: Vec<f64> = v.iter().map(|v| v / length).collect();
        let mut direction = residual.clone();
        let mut image = vec![0.0; v.len()];
        let mut square = dot(&residual, &residual);
        for _ in 0..self.iterations {
            self.operator.apply(&direction, &mut image)?;
            add_scaled(&mut image, self.damping, &direction);
            let curvature = dot(&direction, &image);
            if !curvature.is_finite() {
                let what = "a product";
                return Err(SharpnessError::NotFinite { what });
            }
            if curvature <= 0.0 {
                return Err(SharpnessError::Option {
                    option: "damping",
                    value: self.damping,
                    expected: "more than −λ_min: the damped operator is not positive definite",
                });
            }
            let step = square / curvature;
            add_scaled(product, step, &direction);
            add_scaled(&mut residual, -step, &image);
            let before = std::mem::replace(&mut square, dot(&residual, &residual));
            if square.sqrt() <= self.tolerance {
                product.iter_mut().for_each(|v| *v *= length);
                return Ok(());
            }
            let share = square / before;
            for (direction, residual) in direction.iter_mut().zip(&residual) {
                *direction = residual + share * *direction;
            }
        }
        Err(SharpnessError::NotConverged {
            what: "the conjugate gradients",
            steps: self.iterations,
            residual: square.sqrt(),
            tolerance: self.tolerance,
        })
    }

    fn accuracy(&self) -> f64 {
        self.tolerance
    }
}
