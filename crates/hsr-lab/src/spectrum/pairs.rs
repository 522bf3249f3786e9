//! Eigenvalues with their eigenvectors.

use burn_sharpness::spectrum::{DenseSpectrum, LanczosOptions, lanczos};
use hsr_core::Batch;

use super::{DENSE_LIMIT, numbers_fault};
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
    let network = weights.view()?;
    let size = weights.parameters();
    if size <= DENSE_LIMIT {
        let mut hessian = vec![0.0; size * size];
        curvature.hessian(&network, batch, &mut hessian)?;
        let spectrum = DenseSpectrum::of_matrix(&hessian, size).map_err(numbers_fault)?;
        let pairs = (0..size).rev().take(count).map(|i| {
            let vector = spectrum.eigenvector(i).to_vec();
            Pair::new(spectrum.eigenvalues[i], vector)
        });
        return Ok(pairs.collect());
    }
    let options = LanczosOptions {
        seed,
        ..LanczosOptions::default()
    };
    let mut operator = curvature.linearize(&network, batch)?;
    let ends = lanczos(&mut operator, count, None, &options).map_err(numbers_fault)?;
    if !ends.converged {
        return Err(LabError::Eigenvalues);
    }
    let pairs = ends.largest.into_iter();
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
