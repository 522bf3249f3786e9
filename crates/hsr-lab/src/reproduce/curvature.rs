//! What is known of a point: loss, gradient, bounds and the whole spectrum.

use burn_sharpness::spectrum::{DenseSpectrum, eigenvalues};
use hsr_core::{Evaluation, SpectralBounds, Workspace};
use serde::{Deserialize, Serialize};

use super::scene::Bed;
use crate::error::LabError;

/// The curvature at a point: that of the cross-entropy L, without weight decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curvature {
    /// L, the cross-entropy.
    pub loss: f64,
    /// ‖∇J‖, that of cross-entropy and weight decay.
    pub gradient_norm: f64,
    /// μ, by which every eigenvalue of J's Hessian is above that of L's.
    pub decay: f64,
    /// m, the mean eigenvalue.
    pub mean: f64,
    /// s, the standard deviation of the eigenvalues.
    pub std: f64,
    /// λ_sup.
    pub lambda_sup: f64,
    /// Every eigenvalue, ascending.
    pub eigenvalues: Vec<f64>,
}

impl Curvature {
    /// Measures a point.
    pub fn of(workspace: &mut Workspace<f64>, bed: &Bed, theta: &[f64]) -> Result<Self, LabError> {
        let (network, batch) = (bed.network(theta)?, bed.batch());
        let size = theta.len();
        let mut gradient = vec![0.0; size];
        bed.objective(workspace, theta, &mut gradient)?;
        let loss = workspace.loss(&network, &batch)?;
        let SpectralBounds {
            mean,
            std,
            lambda_sup,
            ..
        } = workspace.bounds(&network, &batch, Evaluation::Auto)?;
        let mut hessian = vec![0.0; size * size];
        workspace.hessian(&network, &batch, &mut hessian)?;
        Ok(Self {
            loss,
            gradient_norm: norm(&gradient),
            decay: bed.decay,
            mean,
            std,
            lambda_sup,
            eigenvalues: eigenvalues(&hessian, size)?,
        })
    }

    /// λ_1, the largest eigenvalue.
    pub fn lambda_max(&self) -> f64 {
        self.eigenvalues.last().copied().unwrap_or(0.0)
    }

    /// λ_D, the smallest eigenvalue.
    pub fn lambda_min(&self) -> f64 {
        self.eigenvalues.first().copied().unwrap_or(0.0)
    }

    /// Whether λ_1 ≤ λ_sup, up to rounding: where H has rank one they are equal.
    pub fn is_bounded(&self) -> bool {
        self.lambda_max() <= self.lambda_sup * (1.0 + 1e-12)
    }

    /// λ_1 − λ_D.
    pub fn spread(&self) -> f64 {
        self.lambda_max() - self.lambda_min()
    }

    /// The eigenvalues of J's Hessian below −`share` of the largest magnitude: directions that lead down.
    pub fn negative(&self, share: f64) -> usize {
        let limit = -share * self.magnitude() - self.decay;
        self.eigenvalues.iter().filter(|v| **v < limit).count()
    }

    /// The eigenvalues of J's Hessian within ±`share` of the largest magnitude: directions that are flat.
    pub fn flat(&self, share: f64) -> usize {
        let limit = share * self.magnitude();
        let flat = |v: &&f64| (**v + self.decay).abs() <= limit;
        self.eigenvalues.iter().filter(flat).count()
    }

    fn magnitude(&self) -> f64 {
        self.lambda_max().abs().max(self.lambda_min().abs())
    }
}

/// ‖v‖.
pub fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The eigenpairs of J's Hessian at a point.
pub fn spectrum(
    workspace: &mut Workspace<f64>,
    bed: &Bed,
    theta: &[f64],
) -> Result<DenseSpectrum, LabError> {
    let size = theta.len();
    let mut hessian = vec![0.0; size * size];
    workspace.hessian(&bed.network(theta)?, &bed.batch(), &mut hessian)?;
    for diagonal in hessian.iter_mut().step_by(size + 1) {
        *diagonal += bed.decay;
    }
    Ok(DenseSpectrum::of_matrix(&hessian, size)?)
}
