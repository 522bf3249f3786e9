//! Eigenvalues of the loss Hessian: all of them where it can be formed, both ends by Lanczos where it cannot.

mod dense;
mod layers;
mod pairs;

use burn_sharpness::SharpnessError;
use burn_sharpness::measures::MeasureConfig;
use hsr_core::{Batch, Error};
use serde::Serialize;

pub use dense::eigenvalues;
pub use hsr_core::{Extremes, LanczosOptions, extremes};
pub use layers::{Eigenvalue, largest_of_layers};
pub(crate) use pairs::pairs_of;
pub use pairs::{Pair, Pairs, largest_pairs, pairs_at_the_ends};

use crate::curvature::Curvature;
use crate::curvature::{FeedForwardSurface, Surface, plain_ends};
use crate::error::LabError;
use crate::weights::Weights;

/// The Hessian is formed up to this many parameters: 32 MiB in f64, seconds of eigenvalue computation.
pub const DENSE_LIMIT: usize = 2048;

/// The ends of the spectrum and how they were found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ends {
    /// λ_max.
    pub lambda_max: f64,
    /// λ_min.
    pub lambda_min: f64,
    /// Where the Hessian was formed: every eigenvalue, ascending.
    #[serde(skip)]
    pub eigenvalues: Option<Vec<f64>>,
    /// Where it was not: how well Lanczos converged.
    pub lanczos: Option<LanczosReport>,
}

/// How a Lanczos computation ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanczosReport {
    /// Hessian-vector products.
    pub iterations: usize,
    /// ‖Hv − λv‖ at λ_max and λ_min.
    pub residuals: [f64; 2],
    /// Whether both residuals are below the tolerance.
    pub converged: bool,
}

impl Ends {
    /// `dense` or `lanczos`.
    pub fn method(&self) -> &'static str {
        match self.lanczos {
            Some(_) => "lanczos",
            None => "dense",
        }
    }

    /// λ_sup/λ_max, where λ_max > 0.
    pub fn tightness(&self, lambda_sup: f64) -> Option<f64> {
        (self.lambda_max > 0.0).then(|| lambda_sup / self.lambda_max)
    }

    /// Eigenvalues that are negative beyond rounding, where all are known.
    pub fn negative(&self) -> Option<usize> {
        let eigenvalues = self.eigenvalues.as_ref()?;
        let scale = self.lambda_max.abs().max(self.lambda_min.abs());
        let noise = f64::EPSILON * eigenvalues.len() as f64 * scale;
        Some(eigenvalues.iter().filter(|&&v| v < -noise).count())
    }
}

/// The ends of the spectrum of the loss Hessian at `weights`.
///
/// # Errors
///
/// What hsr-core refuses, and [`LabError::Eigenvalues`] where the dense computation fails.
pub fn ends(
    curvature: &mut Curvature,
    weights: &Weights,
    batch: &Batch<f64>,
    seed: u64,
) -> Result<Ends, LabError> {
    let mut surface = FeedForwardSurface::new(curvature, &weights.layers, *batch);
    ends_of(&mut surface, &weights.theta, seed)
}

/// The same of a network of any kind.
pub(crate) fn ends_of(
    surface: &mut dyn Surface,
    theta: &[f64],
    seed: u64,
) -> Result<Ends, LabError> {
    let size = theta.len();
    if size <= DENSE_LIMIT
        && let Some(hessian) = surface.hessian(theta)?
    {
        let eigenvalues = eigenvalues(&hessian, size)?;
        return Ok(Ends {
            lambda_max: eigenvalues[size - 1],
            lambda_min: eigenvalues[0],
            eigenvalues: Some(eigenvalues),
            lanczos: None,
        });
    }
    let options = LanczosOptions::default();
    let options = LanczosOptions {
        seed,
        tolerance: options.tolerance.max(surface.tolerance()),
        ..options
    };
    let found = plain_ends(surface, theta, &options).map_err(numbers_fault)?;
    Ok(Ends {
        lambda_max: found.largest,
        lambda_min: found.smallest,
        eigenvalues: None,
        lanczos: Some(LanczosReport {
            iterations: found.iterations,
            residuals: [found.largest_residual, found.smallest_residual],
            converged: found.converged,
        }),
    })
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

/// An iteration that fails is the numbers' fault and not the input's; one that was stopped is no failure.
pub(crate) fn numbers_fault(error: SharpnessError) -> LabError {
    match error {
        SharpnessError::Core(Error::Eigenvalues) => LabError::Eigenvalues,
        SharpnessError::Stopped { done, total } => LabError::Stopped {
            what: "products with the Hessian",
            done,
            total,
        },
        error => error.into(),
    }
}
