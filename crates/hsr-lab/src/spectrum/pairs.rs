//! Eigenvalues with their eigenvectors.

use burn_sharpness::spectrum::{DenseSpectrum, LanczosOptions, lanczos};
use hsr_core::Batch;

use super::{DENSE_LIMIT, numbers_fault};
use crate::curvature::{FeedForwardSurface, Surface};
use crate::{Curvature, LabError, Weights};

/// An eigenvalue and its eigenvector of norm 1, the sign chosen so that the component of the largest magnitude is
/// positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// λ.
    pub value: f64,
    /// The vector.
    pub vector: Vec<f64>,
}

/// The `count` largest eigenvalues of the loss Hessian at `weights`, descending; of the dense Hessian where it can be
/// formed, else by Lanczos.
///
/// # Errors
///
/// What hsr-core refuses, and [`LabError::Eigenvalues`] where the computation does not converge.
pub fn largest_pairs(
    curvature: &mut Curvature,
    weights: &Weights,
    batch: &Batch<f64>,
    count: usize,
    seed: u64,
) -> Result<Vec<Pair>, LabError> {
    let mut surface = FeedForwardSurface::new(curvature, &weights.layers, *batch);
    pairs_of(&mut surface, &weights.theta, count, seed)
}

/// The same of a network of any kind.
pub(crate) fn pairs_of(
    surface: &mut dyn Surface,
    theta: &[f64],
    count: usize,
    seed: u64,
) -> Result<Vec<Pair>, LabError> {
    let size = theta.len();
    if size <= DENSE_LIMIT
        && let Some(hessian) = surface.hessian(theta)?
    {
        let spectrum = DenseSpectrum::of_matrix(&hessian, size).map_err(numbers_fault)?;
        let pairs = (0..size).rev().take(count).map(|i| {
            let vector = spectrum.eigenvector(i).to_vec();
            Pair::new(spectrum.eigenvalues[i], vector)
        });
        return Ok(pairs.collect());
    }
    let options = LanczosOptions::default();
    let options = LanczosOptions {
        seed,
        tolerance: options.tolerance.max(surface.tolerance()),
        ..options
    };
    let mut pairs = Vec::new();
    let mut converged = false;
    let found = surface.with_hessian(theta, &mut |mut operator| {
        let ends = lanczos(&mut operator, count, None, &options)?;
        converged = ends.converged;
        pairs = ends.largest;
        Ok(())
    });
    found.map_err(numbers_fault)?;
    if !converged {
        return Err(LabError::Eigenvalues);
    }
    let pairs = pairs.into_iter();
    Ok(pairs
        .map(|pair| Pair::new(pair.value, pair.vector))
        .collect())
}

impl Pair {
    fn new(value: f64, mut vector: Vec<f64>) -> Self {
        let largest = vector
            .iter()
            .copied()
            .max_by(|a, b| a.abs().total_cmp(&b.abs()));
        if largest.is_some_and(|v| v < 0.0) {
            vector.iter_mut().for_each(|v| *v = -*v);
        }
        Self { value, vector }
    }
}
