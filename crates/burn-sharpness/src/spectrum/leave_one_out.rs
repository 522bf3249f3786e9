//! What k products with random vectors tell of a matrix, and what all but one of them tell: one factorisation for both.

use super::{dot, orthogonalize};
use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;

/// An orthonormal basis Q of the span of Aω₁ … Aωₖ.
pub(super) struct LeaveOneOut {
    /// Q, its vectors one after the other.
    pub basis: Vec<Vec<f64>>,
    /// QᵀAωᵢ: a row for each i, as long as the basis was then.
    rows: Vec<Vec<f64>>,
    /// ωᵢᵀAωᵢ.
    pub forms: Vec<f64>,
}

impl LeaveOneOut {
    /// From `probes` products with the vectors that `probe` gives.
    pub fn new(
        operator: &mut impl SymmetricOperator,
        probes: usize,
        probe: impl Fn(usize) -> Vec<f64>,
    ) -> Result<Self, SharpnessError> {
        let size = operator.size();
        let mut found = Self {
            basis: Vec::with_capacity(probes),
            rows: Vec::with_capacity(probes),
            forms: Vec::with_capacity(probes),
        };
        let mut product = vec![0.0; size];
        for i in 0..probes {
            let omega = probe(i);
            operator.apply(&omega, &mut product)?;
            found.forms.push(dot(&omega, &product));
            let basis = &mut found.basis;
            let mut row: Vec<f64> = basis.iter().map(|base| dot(base, &product)).collect();
            let before = dot(&product, &product).sqrt();
            orthogonalize(&mut product, basis);
            let after = dot(&product, &product).sqrt();
            // What is left of a column that depends on the others is rounding.
            if after > f64::EPSILON * size as f64 * before {
                basis.push(product.iter().map(|v| v / after).collect());
                row.push(after);
            }
            found.rows.push(row);
        }
        Ok(found)
    }

    /// Whether Q spans everything that A makes, so that nothing is left to estimate: fewer directions than products, or all
    /// that there are.
    pub fn is_exact(&self) -> bool {
        let size = self.basis.first().map_or(0, Vec::len);
        self.basis.len() < self.rows.len() || self.basis.len() == size
    }

    /// QᵀAωᵢ.
    pub fn row(&self, i: usize) -> Vec<f64> {
        let mut row = self.rows[i].clone();
        row.resize(self.basis.len(), 0.0);
        row
    }

    /// The unit vector s with which Q (I − s sᵀ) Qᵀ is the projection onto the span of all but the i-th product, where the
    /// products are independent: orthogonal to all rows of a lower triangular matrix but the i-th.
    pub fn left_out(&self, i: usize) -> Vec<f64> {
        let rows = &self.rows;
        let mut s = vec![0.0; rows.len()];
        s[i] = 1.0;
        for j in i + 1..rows.len() {
            s[j] = -dot(&rows[j][i..j], &s[i..j]) / rows[j][j];
            // Only the direction counts: no growth beyond what numbers hold.
            let largest = s[i..=j].iter().fold(0.0, |max: f64, v| max.max(v.abs()));
            if largest > 1e100 {
                s[i..=j].iter_mut().for_each(|v| *v /= largest);
            }
        }
        let norm = dot(&s, &s).sqrt();
        s.iter_mut().for_each(|v| *v /= norm);
        s
    }

    /// Q x.
    pub fn combined(&self, x: &[f64]) -> Vec<f64> {
        combined(&self.basis, x)
    }
}

/// The sum of vectors with these factors.
pub(super) fn combined(vectors: &[Vec<f64>], factors: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for (vector, factor) in vectors.iter().zip(factors) {
        for (sum, v) in sum.iter_mut().zip(vector) {
            *sum += factor * v;
        }
    }
    sum
}
