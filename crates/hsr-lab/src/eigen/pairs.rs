//! Eigenvalues with their eigenvectors.

use burn_sharpness::spectrum::{DenseSpectrum, EigenPair, LanczosConfig, lanczos};
use hsr_core::Batch;

use super::{DENSE_LIMIT, numbers_fault};
use crate::curvature::Curvature;
use crate::curvature::{FeedForwardSurface, Surface};
use crate::error::LabError;
use crate::weights::Weights;

/// An eigenvalue and its eigenvector of norm 1, the sign chosen so that the component of the largest magnitude is
/// positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// λ.
    pub value: f64,
    /// The vector.
    pub vector: Vec<f64>,
    /// ‖Hv − λv‖.
    pub residual: f64,
}

/// The eigenpairs at both ends of a spectrum.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs {
    /// Descending.
    pub largest: Vec<Pair>,
    /// Ascending.
    pub smallest: Vec<Pair>,
    /// Whether the residuals are as small as they were to be; always, where the Hessian was formed.
    pub converged: bool,
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

/// The `count` largest and the `count` smallest, whether they have converged or not.
///
/// # Errors
///
/// As [`largest_pairs`], for what fails altogether.
pub fn pairs_at_the_ends(
    curvature: &mut Curvature,
    weights: &Weights,
    batch: &Batch<f64>,
    count: usize,
    seed: u64,
) -> Result<Pairs, LabError> {
    let mut surface = FeedForwardSurface::new(curvature, &weights.layers, *batch);
    both_of(&mut surface, &weights.theta, count, seed)
}

/// The largest of a network of any kind.
pub(crate) fn pairs_of(
    surface: &mut dyn Surface,
    theta: &[f64],
    count: usize,
    seed: u64,
) -> Result<Vec<Pair>, LabError> {
    let pairs = both_of(surface, theta, count, seed)?;
    if !pairs.converged {
        return Err(LabError::Eigenvalues);
    }
    Ok(pairs.largest)
}

fn both_of(
    surface: &mut dyn Surface,
    theta: &[f64],
    count: usize,
    seed: u64,
) -> Result<Pairs, LabError> {
    let size = theta.len();
    if size <= DENSE_LIMIT
        && let Some(hessian) = surface.hessian(theta)?
    {
        let spectrum = DenseSpectrum::of_matrix(&hessian, size).map_err(numbers_fault)?;
        let pair = |i: usize| {
            let (value, vector) = (spectrum.eigenvalues[i], spectrum.eigenvector(i));
            let rows = hessian.chunks(size).zip(vector);
            let square = |(row, v): (&[f64], &f64)| {
                let product: f64 = row.iter().zip(vector).map(|(a, v)| a * v).sum();
                (product - value * v).powi(2)
            };
            let residual = rows.map(square).sum::<f64>().sqrt();
            Pair::new(value, vector.to_vec(), residual)
        };
        return Ok(Pairs {
            largest: (0..size).rev().take(count).map(pair).collect(),
            smallest: (0..size).take(count).map(pair).collect(),
            converged: true,
        });
    }
    let options = LanczosConfig::default();
    let options = LanczosConfig {
        seed,
        tolerance: options.tolerance.max(surface.tolerance()),
        ..options
    };
    let mut ends = None;
    let found = surface.with_hessian(theta, &mut |mut operator| {
        ends = Some(lanczos(&mut operator, count, None, &options)?);
        Ok(())
    });
    found.map_err(numbers_fault)?;
    let ends = ends.ok_or(LabError::Eigenvalues)?;
    let pairs = |pairs: Vec<EigenPair>| {
        let pairs = pairs.into_iter();
        pairs
            .map(|pair| Pair::new(pair.value, pair.vector, pair.residual))
            .collect()
    };
    Ok(Pairs {
        largest: pairs(ends.largest),
        smallest: pairs(ends.smallest),
        converged: ends.converged,
    })
}

impl Pair {
    fn new(value: f64, mut vector: Vec<f64>, residual: f64) -> Self {
        let largest = vector
            .iter()
            .copied()
            .max_by(|a, b| a.abs().total_cmp(&b.abs()));
        if largest.is_some_and(|v| v < 0.0) {
            vector.iter_mut().for_each(|v| *v = -*v);
        }
        Self {
            value,
            vector,
            residual,
        }
    }
}
