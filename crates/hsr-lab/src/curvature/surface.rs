//! The loss of a network on a set of samples as a function of its parameters: what measuring asks of a network of any kind.

use burn_sharpness::landscape::Filter;
use burn_sharpness::measures::{MeasureConfig, SharpnessMeasures};
use burn_sharpness::{SharpnessError, SymmetricOperator};
use hsr_core::{Batch, SpectralBounds};

/// What is done with a Hessian.
pub(crate) type WithHessian<'a> =
    dyn FnMut(&mut dyn SymmetricOperator) -> Result<(), SharpnessError> + 'a;

/// The loss L(θ) of a kind of network on a set of samples, and what follows from it, in f64. θ \[D\] is in the order of the
/// kind.
///
/// Where numbers overflow, what a verb gives is an error of [`is_no_number`]; everything else that it refuses is wrong with
/// the samples or beyond the memory.
pub(crate) trait Surface {
    /// The samples.
    fn batch(&self) -> &Batch<'_, f64>;

    /// K.
    fn outputs(&self) -> usize;

    /// The parameters of the output layer, which are the last ones of θ.
    fn output_parameters(&self) -> usize;

    /// The weights into each unit of the network with these parameters.
    fn filters(&self, theta: &[f64]) -> Vec<Filter>;

    /// The residuals, relative to the largest |λ|, to which eigenvalues are found, where less is asked for: products that
    /// cost two passes over the samples are too many for the last digits.
    fn tolerance(&self) -> f64;

    /// L.
    fn loss(&mut self, theta: &[f64]) -> Result<f64, SharpnessError>;

    /// L and, in `gradient` \[D\], ∂L/∂θ.
    fn loss_gradient(&mut self, theta: &[f64], gradient: &mut [f64])
    -> Result<f64, SharpnessError>;

    /// The logits, N × K row-major.
    fn logits(&mut self, theta: &[f64]) -> Result<Vec<f64>, SharpnessError>;

    /// Calls `then` with the Hessian.
    fn with_hessian(&mut self, theta: &[f64], then: &mut WithHessian)
    -> Result<(), SharpnessError>;

    /// The Hessian, D × D row-major; none of a kind without a closed form, which would have to make D products.
    fn hessian(&mut self, _theta: &[f64]) -> Result<Option<Vec<f64>>, SharpnessError> {
        Ok(None)
    }

    /// The exact bounds of the spectrum; none of a kind without a closed form.
    fn bounds(&mut self, _theta: &[f64]) -> Result<Option<SpectralBounds<f64>>, SharpnessError> {
        Ok(None)
    }

    /// The share of ‖H‖² that is the Gauss-Newton part's; none of a kind without a closed form.
    fn gauss_newton_share(&mut self, _theta: &[f64]) -> Result<Option<f64>, SharpnessError> {
        Ok(None)
    }

    /// The relative flatness of the output layer; none of a kind that does not have it.
    fn output_flatness(&mut self, _theta: &[f64]) -> Result<Option<f64>, SharpnessError> {
        Ok(None)
    }

    /// The measures of sharpness.
    fn measures(
        &mut self,
        theta: &[f64],
        options: &MeasureConfig,
    ) -> Result<SharpnessMeasures, SharpnessError>;
}

/// What `of` makes of the Hessian.
pub(crate) fn of_hessian<T>(
    surface: &mut (impl Surface + ?Sized),
    theta: &[f64],
    mut of: impl FnMut(&mut dyn SymmetricOperator) -> Result<T, SharpnessError>,
) -> Result<T, SharpnessError> {
    let mut found = None;
    surface.with_hessian(theta, &mut |operator| {
        found = Some(of(operator)?);
        Ok(())
    })?;
    found.ok_or(SharpnessError::NoParameters)
}

/// Whether an error only says that numbers do not reach as far as a value.
pub(crate) fn is_no_number(error: &SharpnessError) -> bool {
    use hsr_core::Error;
    match error {
        SharpnessError::NotFinite { .. } => true,
        SharpnessError::Core(error) => matches!(
            error,
            Error::Overflow { .. }
                | Error::NotFinite { .. }
                | Error::LayerNotFinite { .. }
                | Error::Eigenvalues
        ),
        _ => false,
    }
}

/// L; infinite where numbers overflow, far from any network.
pub(crate) fn loss_anywhere(
    surface: &mut (impl Surface + ?Sized),
    theta: &[f64],
) -> Result<f64, SharpnessError> {
    match surface.loss(theta) {
        Err(error) if is_no_number(&error) => Ok(f64::INFINITY),
        result => result,
    }
}
