//! The largest eigenvalue of each layer's own block of the Hessian.

use burn_sharpness::operator::Subset;
use burn_sharpness::spectrum::{DENSE_LIMIT, eigenvalues};
use burn_sharpness::{SharpnessError, SymmetricOperator};
use hsr_core::{Batch, LanczosOptions, extremes};

use super::lanczos::stopped;
use crate::curvature::Curvature;
use crate::error::LabError;
use crate::weights::Weights;

/// An eigenvalue, and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Eigenvalue {
    /// λ.
    pub value: f64,
    /// ‖Hv − λv‖ of its vector v; 0 where every eigenvalue of the matrix was computed.
    pub residual: f64,
}

/// λ_max of each layer's block H_ll, from the inputs on: of the dense Hessian where it can be formed, else by Lanczos, a
/// product with H for each of its products.
///
/// # Errors
///
/// What hsr-core refuses, and [`hsr_core::Error::Eigenvalues`] where an iteration fails.
pub fn largest_of_layers(
    curvature: &mut Curvature,
    weights: &Weights,
    batch: &Batch<f64>,
    seed: u64,
) -> Result<Vec<Eigenvalue>, LabError> {
    let view = weights.view()?;
    let size = weights.parameters();
    let layers = weights
        .ranges()
        .map(|[weight, bias]| weight.start..bias.end);
    if size <= DENSE_LIMIT {
        let mut hessian = vec![0.0; size * size];
        curvature.hessian(&view, batch, &mut hessian)?;
        let largest = layers.map(|layer| {
            let rows = layer.clone().map(|i| &hessian[i * size..(i + 1) * size]);
            let block: Vec<f64> = rows.flat_map(|row| row[layer.clone()].to_vec()).collect();
            let values = eigenvalues(&block, layer.len())?;
            Ok(Eigenvalue {
                value: values.last().copied().unwrap_or(0.0),
                residual: 0.0,
            })
        });
        return largest.collect();
    }
    let options = LanczosOptions {
        seed,
        ..LanczosOptions::default()
    };
    let largest = layers.map(|layer| {
        let operator = curvature.linearize(&view, batch)?;
        let mut block = Subset::of_ranges(operator, vec![layer])?;
        let found = extremes(block.size(), |v, product| block.apply(v, product), &options);
        let found = found.map_err(|error: SharpnessError| stopped(error))?;
        Ok(Eigenvalue {
            value: found.largest,
            residual: found.largest_residual,
        })
    });
    largest.collect()
}
