//! Eigenvalues of the tridiagonal matrix.
//!
//! Our own, because faer's eigensolver would bring 26 crates into a tree of 41, and forms all eigenvectors (O(n³)) where most
//! looks at a spectrum need their last components alone (O(n²)).

use crate::error::Error;

/// The eigenvalues of a symmetric tridiagonal matrix, in no order, by the implicit QL iteration. `rows` are multiplied
/// by the matrix of unit eigenvectors from the right: the unit matrix becomes the eigenvectors, its last row their
/// last components.
///
/// Reference: G. H. Golub, J. H. Welsch, "Calculation of Gauss quadrature rules", Mathematics of Computation 23
/// (1969), 221–230, which carries one row of the eigenvectors through the rotations.
pub(super) fn tridiagonal(
    diagonal: &[f64],
    beside: &[f64],
    rows: &mut [Vec<f64>],
) -> Result<Vec<f64>, Error> {
    /// Rotations of the whole matrix for one eigenvalue; two or three are usual.
    const SWEEPS: usize = 60;
    let mut diagonal = diagonal.to_vec();
    let n = diagonal.len();
    let mut off = beside[..n - 1].to_vec();
    off.push(0.0);
    for l in 0..n {
        let mut sweeps = 0;
        loop {
            let negligible = |m: usize| {
                off[m].abs() <= f64::EPSILON * (diagonal[m].abs() + diagonal[m + 1].abs())
            };
            let m = (l..n - 1).find(|&m| negligible(m)).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if sweeps == SWEEPS {
                return Err(Error::Eigenvalues);
            }
            sweeps += 1;
            // Wilkinson's shift.
            let mut g = (diagonal[l + 1] - diagonal[l]) / (2.0 * off[l]);
            let r = g.hypot(1.0);
            g = diagonal[m] - diagonal[l] + off[l] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut deflated = false;
            for i in (l..m).rev() {
                let (f, b) = (s * off[i], c * off[i]);
                let r = f.hypot(g);
                off[i + 1] = r;
                if r == 0.0 {
                    // The rotation is undefined: the matrix splits here, and the search starts again.
                    diagonal[i + 1] -= p;
                    off[m] = 0.0;
                    deflated = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = diagonal[i + 1] - p;
                let r = (diagonal[i] - g) * s + 2.0 * c * b;
                p = s * r;
                diagonal[i + 1] = g + p;
                g = c * r - b;
                for row in rows.iter_mut() {
                    let f = row[i + 1];
                    row[i + 1] = s * row[i] + c * f;
                    row[i] = c * row[i] - s * f;
                }
            }
            if !deflated {
                diagonal[l] -= p;
                off[l] = g;
                off[m] = 0.0;
            }
        }
    }
    if diagonal.iter().any(|v| !v.is_finite()) {
        return Err(Error::Eigenvalues);
    }
    Ok(diagonal)
}

/// The last row of the unit matrix.
pub(super) fn last_components(n: usize) -> [Vec<f64>; 1] {
    let mut row = vec![0.0; n];
    row[n - 1] = 1.0;
    [row]
}

/// The unit matrix.
pub(super) fn unit_matrix(n: usize) -> Vec<Vec<f64>> {
    let row = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect();
    (0..n).map(row).collect()
}
