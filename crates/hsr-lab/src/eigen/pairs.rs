//! Eigenvalues with their eigenvectors.

use burn_sharpness::spectrum::{DenseSpectrum, EigenPair, SpectrumEnds, lanczos};
use hsr_core::{Batch, Error};

use super::dense::hessian;
use super::lanczos::{options_for, stopped};
use crate::curvature::{Curvature, FeedForwardSurface, Surface, of_hessian};
use crate::error::LabError;
use crate::weights::Weights;

/// The `count` largest and the `count` smallest eigenvalues of the loss Hessian at `weights`, converged or not; of the dense
/// Hessian where it can be formed, else by Lanczos. The sign of a vector is that with which its component of the largest
/// magnitude is positive.
///
/// # Errors
///
/// What hsr-core refuses, and [`hsr_core::Error::Eigenvalues`] where the computation fails altogether.
pub fn pairs_at_the_ends(
    curvature: &mut Curvature,
    weights: &Weights,
    batch: &Batch<f64>,
    count: usize,
    seed: u64,
) -> Result<SpectrumEnds, LabError> {
    let mut surface = FeedForwardSurface::new(curvature, &weights.layers, *batch);
    both_of(&mut surface, &weights.theta, count, seed)
}

/// The `count` largest of a network of any kind, descending.
///
/// # Errors
///
/// [`hsr_core::Error::Eigenvalues`] where the computation does not converge.
pub(crate) fn pairs_of(
    surface: &mut dyn Surface,
    theta: &[f64],
    count: usize,
    seed: u64,
) -> Result<Vec<EigenPair>, LabError> {
    let pairs = both_of(surface, theta, count, seed)?;
    if !pairs.converged {
        return Err(Error::Eigenvalues.into());
    }
    Ok(pairs.largest)
}

fn both_of(
    surface: &mut dyn Surface,
    theta: &[f64],
    count: usize,
    seed: u64,
) -> Result<SpectrumEnds, LabError> {
    let mut ends = match hessian(surface, theta)? {
        Some(hessian) => of_dense(&hessian, theta.len(), count)?,
        None => {
            let options = options_for(surface, seed);
            let ends = of_hessian(surface, theta, |mut operator| {
                lanczos(&mut operator, count, None, &options.into())
            });
            ends.map_err(stopped)?
        }
    };
    let all = ends.largest.iter_mut().chain(&mut ends.smallest);
    all.for_each(|pair| orient(&mut pair.vector));
    Ok(ends)
}

/// The pairs at both ends of a dense matrix, with their residuals.
fn of_dense(matrix: &[f64], size: usize, count: usize) -> Result<SpectrumEnds, LabError> {
    let spectrum = DenseSpectrum::of_matrix(matrix, size)?;
    let pair = |i: usize| {
        let (value, vector) = (spectrum.eigenvalues[i], spectrum.eigenvector(i));
        let square = |(row, v): (&[f64], &f64)| {
            let product: f64 = row.iter().zip(vector).map(|(a, v)| a * v).sum();
            (product - value * v).powi(2)
        };
        let squares = matrix.chunks(size).zip(vector).map(square);
        EigenPair {
            value,
            vector: vector.to_vec(),
            residual: squares.sum::<f64>().sqrt(),
            iterations: 0,
            converged: true,
        }
    };
    Ok(SpectrumEnds {
        largest: (0..size).rev().take(count).map(pair).collect(),
        smallest: (0..size).take(count).map(pair).collect(),
        products: 0,
        converged: true,
    })
}

/// Turns a vector so that its component of the largest magnitude is positive.
fn orient(vector: &mut [f64]) {
    let largest = vector.iter().copied();
    let largest = largest.max_by(|a, b| a.abs().total_cmp(&b.abs()));
    if largest.is_some_and(|v| v < 0.0) {
        vector.iter_mut().for_each(|v| *v = -*v);
    }
}
