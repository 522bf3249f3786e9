//! Adaptive sharpness of second and first order: curvature and gradient measured in units of each parameter.

use burn_hsr::LanczosConfig;
use hsr_core::Extremes;

use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;

/// T A T with a symmetric operator A and T = diag(t).
///
/// ```
/// use burn_sharpness::measures::ScaledOperator;
/// use burn_sharpness::{SharpnessError, SymmetricOperator};
///
/// /// diag(1, 2).
/// struct Diagonal;
/// impl SymmetricOperator for Diagonal {
///     fn size(&self) -> usize {
///         2
///     }
///     fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
///         product.copy_from_slice(&[v[0], 2.0 * v[1]]);
///         Ok(())
///     }
/// }
///
/// let mut diagonal = Diagonal;
/// let mut scaled = ScaledOperator::new(&mut diagonal, vec![3.0, 1.0])?;
/// let mut product = [0.0; 2];
/// scaled.apply(&[1.0, 1.0], &mut product)?;
/// assert_eq!(product, [9.0, 2.0]);
/// # Ok::<(), SharpnessError>(())
/// ```
pub struct ScaledOperator<'a, A: ?Sized> {
    operator: &'a mut A,
    scale: Vec<f64>,
    scaled: Vec<f64>,
}

impl<'a, A: SymmetricOperator + ?Sized> ScaledOperator<'a, A> {
    /// `operator` between two factors diag(`scale`).
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the two do not fit.
    pub fn new(operator: &'a mut A, scale: Vec<f64>) -> Result<Self, SharpnessError> {
        check("the scale", scale.len(), operator.size())?;
        Ok(Self {
            scaled: vec![0.0; scale.len()],
            operator,
            scale,
        })
    }

    /// |θ| H |θ| from H: what [`adaptive_sharpness`] is the largest eigenvalue of.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where θ does not fit.
    pub fn adaptive(operator: &'a mut A, theta: &[f64]) -> Result<Self, SharpnessError> {
        Self::new(operator, theta.iter().map(|v| v.abs()).collect())
    }
}

impl<A: SymmetricOperator + ?Sized> SymmetricOperator for ScaledOperator<'_, A> {
    fn size(&self) -> usize {
        self.scale.len()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        check("v", v.len(), self.scale.len())?;
        for ((scaled, v), t) in self.scaled.iter_mut().zip(v).zip(&self.scale) {
            *scaled = t * v;
        }
        self.operator.apply(&self.scaled, product)?;
        for (product, t) in product.iter_mut().zip(&self.scale) {
            *product *= t;
        }
        Ok(())
    }
}

/// Adaptive sharpness of second order: the largest eigenvalue of T H T with T = diag(|θ|), from the Hessian H at θ.
///
/// max L(θ + Tu) − L(θ) over ‖u‖₂ ≤ ρ is ρ²/2 of it as ρ → 0 at a critical point (reference 2 of
/// [`measures`](crate::measures), proposition 1, with c = |w|). ASAM (reference 1) ascends the same quantity; its
/// training rule leaves biases out and adds a constant to |w|, which is not done here: all parameters are scaled by
/// their magnitude, for only then is the value invariant when a layer is rescaled.
///
/// Costs one Lanczos run; `largest` is the measure. For any module: the operator is its
/// [`FiniteDifferenceHessian`](crate::FiniteDifferenceHessian), θ what its [`ParameterSpace`](crate::ParameterSpace)
/// reads.
///
/// # Errors
///
/// [`SharpnessError::Length`] where θ does not fit, and what the products and Lanczos can refuse.
pub fn adaptive_sharpness<A: SymmetricOperator + ?Sized>(
    operator: &mut A,
    theta: &[f64],
    config: &LanczosConfig,
) -> Result<Extremes, SharpnessError> {
    let mut scaled = ScaledOperator::adaptive(operator, theta)?;
    hsr_core::extremes(
        theta.len(),
        |v, product| scaled.apply(v, product),
        &(*config).into(),
    )
}

/// Adaptive sharpness of first order: ‖T∇L‖₂ with T = diag(|θ|). ρ times it is the largest increase of the linearised
/// loss over displacements Tu with ‖u‖₂ ≤ ρ (references 1 and 2 of [`measures`](crate::measures)).
///
/// # Errors
///
/// [`SharpnessError::Length`] where the gradient does not fit.
pub fn adaptive_gradient_norm(theta: &[f64], gradient: &[f64]) -> Result<f64, SharpnessError> {
    check("the gradient", gradient.len(), theta.len())?;
    Ok(norm(theta.iter().zip(gradient).map(|(t, g)| t * g)))
}

/// ‖θ‖₂, biases included.
pub fn weight_norm(theta: &[f64]) -> f64 {
    norm(theta.iter().copied())
}

/// Divided by the largest first, so that no square overflows or vanishes.
fn norm(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(0.0, |max: f64, v| max.max(v.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    largest * values.map(|v| (v / largest).powi(2)).sum::<f64>().sqrt()
}

fn check(what: &'static str, got: usize, expected: usize) -> Result<(), SharpnessError> {
    if got == expected {
        return Ok(());
    }
    Err(SharpnessError::Length {
        what,
        got,
        expected,
    })
}
