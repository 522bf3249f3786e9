//! How long a penalty's gradient may be beside the loss's.

use burn::module::Module;
use burn::optim::GradientsParams;

use crate::PenaltyError;
use crate::algebra::{Factor, norm, reciprocal};

/// The factor of a penalty's gradient: `strength`, and where a limit is set as much less as makes strength·‖penalty‖ no
/// more than limit·‖gradients‖. On the device.
///
/// # Errors
///
/// [`PenaltyError::NoParameters`] where one of the two has no parameter that is trained.
pub fn limited<M: Module>(
    module: &M,
    strength: f64,
    limit: Option<f64>,
    gradients: &GradientsParams,
    penalty: &GradientsParams,
) -> Result<Factor, PenaltyError> {
    let Some(limit) = limit else {
        return Ok(strength.into());
    };
    let longest = norm(module, gradients)? * limit;
    let longest = longest * reciprocal(norm(module, penalty)?);
    let strength = longest.ones_like() * strength;
    Ok(strength.min_pair(longest).into())
}

/// Refuses what is no strength.
///
/// # Errors
///
/// [`PenaltyError::Option`] where it is negative or not finite.
pub fn check_strength(option: &'static str, value: f64) -> Result<(), PenaltyError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(PenaltyError::Option {
        option,
        value,
        expected: "a finite number, 0 or more",
    })
}
