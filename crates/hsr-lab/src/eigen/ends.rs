//! Both ends of a spectrum.

use burn_sharpness::spectrum::{eigenvalues, negative};
use hsr_core::Batch;
use serde::Serialize;

use super::dense::hessian;
use super::lanczos::{options_for, stopped};
use crate::curvature::{Curvature, FeedForwardSurface, Surface, plain_ends};
use crate::error::LabError;
use crate::weights::Weights;

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
        self.eigenvalues.as_deref().map(negative)
    }
}

/// The ends of the spectrum of the loss Hessian at `weights`.
///
/// # Errors
///
/// What hsr-core refuses, and [`hsr_core::Error::Eigenvalues`] where the dense computation fails.
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
    if let Some(hessian) = hessian(surface, theta)? {
        let eigenvalues = eigenvalues(&hessian, theta.len())?;
        return Ok(Ends {
            lambda_max: eigenvalues[theta.len() - 1],
            lambda_min: eigenvalues[0],
            eigenvalues: Some(eigenvalues),
            lanczos: None,
        });
    }
    let options = options_for(surface, seed);
    let found = plain_ends(surface, theta, &options).map_err(stopped)?;
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
