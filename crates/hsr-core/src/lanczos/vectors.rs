//! What the iteration does with vectors.

use crate::numeric::norm::normalize;

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn orthogonalize(vector: &mut [f64], basis: &[Vec<f64>]) {
    for base in basis {
        let share = dot(vector, base);
        for (v, b) in vector.iter_mut().zip(base) {
            *v -= share * b;
        }
    }
}

/// The vector with length 1; none where it is zero.
pub(super) fn normalized(vector: &[f64]) -> Option<Vec<f64>> {
    let mut unit = vector.to_vec();
    (normalize(&mut unit) != 0.0).then_some(unit)
}
