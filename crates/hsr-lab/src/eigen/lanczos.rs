//! How far Lanczos runs go, and what it means where they fail.

use burn_sharpness::SharpnessError;
use burn_sharpness::measures::MeasureConfig;
use burn_sharpness::spectrum::DENSE_LIMIT;
use hsr_core::LanczosOptions;

use crate::curvature::Surface;
use crate::error::LabError;

/// The usual run, no further than the products of a surface are good for.
pub(super) fn options_for(surface: &dyn Surface, seed: u64) -> LanczosOptions {
    let options = LanczosOptions::default();
    LanczosOptions {
        seed,
        tolerance: options.tolerance.max(surface.tolerance()),
        ..options
    }
}

/// How the measures of a summary are computed. Their eigenvalues take three Lanczos runs: for a network whose Hessian is
/// not formed, to the digits that are printed and no further.
pub(crate) fn measure_options(
    surface: &dyn Surface,
    parameters: usize,
    seed: u64,
) -> MeasureConfig {
    let tolerance = if parameters <= DENSE_LIMIT {
        LanczosOptions::default().tolerance
    } else {
        1e-6
    };
    // Where products are expensive, to three digits.
    let tolerance = tolerance.max(100.0 * surface.tolerance());
    MeasureConfig {
        lanczos: LanczosOptions {
            seed,
            tolerance,
            ..LanczosOptions::default()
        }
        .into(),
        ..MeasureConfig::default()
    }
}

/// An iteration that was stopped is no failure.
pub(crate) fn stopped(error: SharpnessError) -> LabError {
    match error {
        SharpnessError::Stopped { done, total } => LabError::Stopped {
            what: "products with the Hessian",
            done,
            total,
        },
        error => error.into(),
    }
}
