//! Eigenvalues with their eigenvectors.

use faer::{MatRef, Side};
use hsr_core::{Activation, Batch, Workspace};

use super::DENSE_LIMIT;
use crate::{LabError, Weights};

/// An eigenvalue and its eigenvector of norm 1, the sign chosen so that the component of the largest magnitude is
/// positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// λ.
    pub value: f64,
    /// The vector.
    pub vector: Vec<f64>,
}

/// The `count` largest eigenvalues of the loss Hessian at `weights`, descending.
///
/// # Errors
///
/// What hsr-core refuses, and [`LabError::Eigenvalues`] where the computation does not converge.
pub fn largest_pairs(
    workspace: &mut Workspace<f64>,
    weights: &Weights,
    activation: Activation,
    batch: &Batch<f64>,
    count: usize,
    _seed: u64,
) -> Result<Vec<Pair>, LabError> {
    let network = weights.network(activation)?;
    let size = weights.dimensions.parameters();
    if size > DENSE_LIMIT {
        return Err(LabError::Eigenvalues);
    }
    let mut hessian = vec![0.0; size * size];
    workspace.hessian(&network, batch, &mut hessian)?;
    let decomposition = MatRef::from_row_major_slice(&hessian, size, size)
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| LabError::Eigenvalues)?;
    let mut pairs: Vec<Pair> = decomposition
        .S()
        .column_vector()
        .iter()
        .zip(decomposition.U().col_iter())
        .map(|(&value, vector)| Pair::new(value, vector.iter().copied().collect()))
        .collect();
    if pairs.iter().any(|pair| pair.value.is_nan()) {
        return Err(LabError::Eigenvalues);
    }
    pairs.sort_by(|a, b| b.value.total_cmp(&a.value));
    pairs.truncate(count);
    Ok(pairs)
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
