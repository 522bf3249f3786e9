//! The iteration against matrices whose spectrum is known.

use super::*;
use crate::error::Error;
use crate::lanczos::tridiagonal::{last_components, tridiagonal};
use crate::lanczos::vectors::{dot, orthogonalize};

/// A dense symmetric matrix with the given eigenvalues: a product of reflections around their diagonal.
fn with_spectrum(eigenvalues: &[f64]) -> Vec<f64> {
    let n = eigenvalues.len();
    let mut matrix: Vec<f64> = vec![0.0; n * n];
    for (i, &value) in eigenvalues.iter().enumerate() {
        matrix[i * n + i] = value;
    }
    for round in 0..3 {
        let mut v: Vec<f64> = (0..n)
            .map(|i| ((i * 7 + round * 3) as f64 + 0.3).sin())
            .collect();
        let norm = dot(&v, &v).sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
        for transposed in [false, true] {
            let at = |i: usize, j: usize| if transposed { j * n + i } else { i * n + j };
            for j in 0..n {
                let share: f64 = 2.0 * (0..n).map(|i| v[i] * matrix[at(i, j)]).sum::<f64>();
                (0..n).for_each(|i| matrix[at(i, j)] -= share * v[i]);
            }
        }
    }
    matrix
}

fn run(eigenvalues: &[f64]) -> Extremes {
    let (n, matrix) = (eigenvalues.len(), with_spectrum(eigenvalues));
    let apply = |v: &[f64], out: &mut [f64]| {
        for (row, out) in matrix.chunks(n).zip(out) {
            *out = dot(row, v);
        }
        Ok::<(), Error>(())
    };
    extremes(n, apply, &LanczosOptions::default()).unwrap()
}

#[test]
fn both_signed_ends_are_found_also_where_the_negative_one_is_larger() {
    let mut eigenvalues: Vec<f64> = (0..400).map(|i| (i as f64 / 400.0).powi(3)).collect();
    eigenvalues[7] = -5.0;
    eigenvalues[11] = 2.0;
    let found = run(&eigenvalues);
    assert!(found.converged, "{found:?}");
    assert!(
        (found.largest - 2.0).abs() < 1e-9 && (found.smallest + 5.0).abs() < 1e-9,
        "{found:?}"
    );
    assert!(found.iterations < 200);
}

#[test]
fn few_distinct_eigenvalues_and_the_zero_operator_are_no_trouble() {
    let mut eigenvalues = vec![1.0; 60];
    eigenvalues[0] = -3.0;
    let found = run(&eigenvalues);
    assert!(
        (found.largest - 1.0).abs() < 1e-12 && (found.smallest + 3.0).abs() < 1e-12,
        "{found:?}"
    );
    let found = run(&vec![0.0; 30]);
    assert_eq!([found.largest, found.smallest], [0.0, 0.0]);
    assert_eq!(run(&[4.5]).largest, 4.5);
}

#[test]
fn the_tridiagonal_eigenvalues_are_those_of_the_second_difference() {
    // 2 on the diagonal, −1 beside it: λ_k = 2 − 2 cos(kπ/(n+1)), vectors √(2/(n+1)) sin(ikπ/(n+1)).
    let n = 200;
    let mut last = last_components(n);
    let values = tridiagonal(&vec![2.0; n], &vec![-1.0; n - 1], &mut last).unwrap();
    let mut pairs: Vec<(f64, f64)> = values.into_iter().zip(last.concat()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let angle = core::f64::consts::PI / (n as f64 + 1.0);
    for (k, (value, last)) in (1..).zip(&pairs) {
        let exact = 2.0 - 2.0 * (k as f64 * angle).cos();
        let component = (2.0 / (n as f64 + 1.0)).sqrt() * (n as f64 * k as f64 * angle).sin();
        assert!((value - exact).abs() < 1e-13, "{k}: {value} {exact}");
        assert!(
            (last.abs() - component.abs()).abs() < 1e-12,
            "{k}: {last} {component}"
        );
    }
}

#[test]
fn residuals_are_those_of_the_ritz_vectors_also_before_convergence() {
    let eigenvalues: Vec<f64> = (0..300).map(|i| i as f64 / 300.0).collect();
    let (n, matrix) = (eigenvalues.len(), with_spectrum(&eigenvalues));
    let apply = |v: &[f64], out: &mut [f64]| {
        for (row, out) in matrix.chunks(n).zip(out) {
            *out = dot(row, v);
        }
        Ok::<(), Error>(())
    };
    let options = LanczosOptions {
        iterations: 25,
        ..LanczosOptions::default()
    };
    let found = extremes(n, apply, &options).unwrap();
    assert!(!found.converged && found.iterations == 25, "{found:?}");
    // A symmetric matrix has an eigenvalue within the residual of every Ritz value.
    let nearest = |value: f64| {
        let distances = eigenvalues.iter().map(|e| (e - value).abs());
        distances.fold(f64::INFINITY, f64::min)
    };
    assert!(nearest(found.largest) <= found.largest_residual + 1e-14);
    assert!(nearest(found.smallest) <= found.smallest_residual + 1e-14);
    assert!(found.largest_residual > 1e-6, "{found:?}");
}

#[test]
fn a_product_that_is_not_finite_and_an_empty_operator_are_errors() {
    let apply = |_: &[f64], out: &mut [f64]| {
        out.fill(f64::NAN);
        Ok::<(), Error>(())
    };
    let options = LanczosOptions::default();
    assert_eq!(extremes(3, apply, &options), Err(Error::Eigenvalues));
    let empty = extremes(0, apply, &options).unwrap_err();
    assert_eq!(
        empty.to_string(),
        "the size of the operator is 0, expected at least 1"
    );
}

fn product(matrix: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), Error> {
    for (row, out) in matrix.chunks(v.len()).zip(out) {
        *out = dot(row, v);
    }
    Ok(())
}

/// ‖Av − λv‖.
fn residual(matrix: &[f64], value: f64, vector: &[f64]) -> f64 {
    let mut image = vec![0.0; vector.len()];
    product(matrix, vector, &mut image).unwrap();
    let rest: Vec<f64> = image
        .iter()
        .zip(vector)
        .map(|(a, v)| a - value * v)
        .collect();
    dot(&rest, &rest).sqrt()
}

#[test]
fn the_factorisation_is_one_also_across_an_exhausted_subspace() {
    // Three distinct eigenvalues: every three columns are an invariant subspace.
    let eigenvalues: Vec<f64> = (0..20).map(|i| [4.0, -1.0, 0.5][i % 3]).collect();
    let (n, matrix) = (eigenvalues.len(), with_spectrum(&eigenvalues));
    let mut lanczos = LanczosFactorization::new(n, None, 3).unwrap();
    for steps in 1..=n {
        lanczos.extend(|v, out| product(&matrix, v, out)).unwrap();
        let (basis, diagonal) = (lanczos.basis(), lanczos.diagonal());
        let beside = lanczos.off_diagonal();
        assert_eq!((steps, steps - 1), (lanczos.steps(), beside.len()));
        for (i, a) in basis.iter().enumerate() {
            for (j, b) in basis.iter().enumerate() {
                let unit = f64::from(u8::from(i == j));
                assert!((dot(a, b) - unit).abs() < 1e-13, "{steps}: {i}, {j}");
            }
        }
        for (j, base) in basis.iter().enumerate() {
            let mut image = vec![0.0; n];
            product(&matrix, base, &mut image).unwrap();
            for (i, other) in basis.iter().enumerate() {
                let expected = match i.abs_diff(j) {
                    0 => diagonal[i],
                    1 => beside[i.min(j)],
                    _ => 0.0,
                };
                let entry = dot(other, &image);
                assert!((entry - expected).abs() < 1e-13, "{steps}: {i}, {j}");
            }
            if j + 1 == steps {
                orthogonalize(&mut image, basis);
                let beta = dot(&image, &image).sqrt();
                assert!((beta - lanczos.beta()).abs() < 1e-13, "{steps}");
            }
        }
        // Later blocks end where rounding has it.
        if steps <= 6 {
            assert_eq!(lanczos.is_exhausted(), steps.is_multiple_of(3), "{steps}");
        }
    }
    assert!(lanczos.is_complete());
    lanczos
        .extend(|_, _| Err(Error::Eigenvalues))
        .expect("nothing is left to do");
}

#[test]
fn the_complement_of_eigenvectors_has_the_rest_of_the_spectrum() {
    let eigenvalues: Vec<f64> = (0..40).map(|i| (i as f64 - 25.0) * 0.3).collect();
    let (n, matrix) = (eigenvalues.len(), with_spectrum(&eigenvalues));
    let apply = |v: &[f64], out: &mut [f64]| product(&matrix, v, out);
    let options = LanczosOptions::default();
    let top = top_eigenpair(n, apply, None, &options).unwrap();
    let mut lanczos = LanczosFactorization::new(n, Some(&top.vector), 0)
        .unwrap()
        .orthogonal_to(vec![top.vector.clone()])
        .unwrap();
    while !lanczos.is_complete() {
        lanczos.extend(apply).unwrap();
    }
    assert_eq!(lanczos.steps(), n - 1);
    let mut values = tridiagonal(lanczos.diagonal(), lanczos.off_diagonal(), &mut []).unwrap();
    values.sort_by(f64::total_cmp);
    for (found, expected) in values.iter().zip(&eigenvalues[..n - 1]) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
    let all: Vec<Vec<f64>> = (0..3).map(|_| vec![0.0; 3]).collect();
    let whole = LanczosFactorization::new(3, None, 0).unwrap();
    let error = whole.orthogonal_to(all).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a set of vectors to be orthogonal to of 3 values was asked for, the limit is 2"
    );
}

#[test]
fn the_top_pair_is_one_whatever_the_sign_and_the_size_of_the_rest() {
    // The largest is positive, negative, zero, in a cluster, and repeated.
    let spectra: [Vec<f64>; 5] = [
        (0..90)
            .map(|i| if i == 4 { 2.0 } else { -(i as f64) })
            .collect(),
        (0..50).map(|i| -1.0 - i as f64).collect(),
        (0..50).map(|i| -(i as f64)).collect(),
        (0..60)
            .map(|i| {
                if i < 5 {
                    3.0 - 1e-4 * i as f64
                } else {
                    0.01 * i as f64
                }
            })
            .collect(),
        (0..30)
            .map(|i| if i < 4 { 7.0 } else { i as f64 * 0.1 })
            .collect(),
    ];
    for eigenvalues in spectra {
        let (n, matrix) = (eigenvalues.len(), with_spectrum(&eigenvalues));
        let apply = |v: &[f64], out: &mut [f64]| product(&matrix, v, out);
        let top = top_eigenpair(n, apply, None, &LanczosOptions::default()).unwrap();
        let largest = eigenvalues
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let scale = eigenvalues.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
        assert!(top.converged, "{}", top.residual);
        assert!(
            (top.value - largest).abs() < 1e-10 * scale,
            "{} {largest}",
            top.value
        );
        assert!((dot(&top.vector, &top.vector) - 1.0).abs() < 1e-14);
        let true_residual = residual(&matrix, top.value, &top.vector);
        assert!(true_residual < 2e-10 * scale, "{true_residual}");
    }
}

#[test]
fn the_residual_of_a_top_pair_that_has_not_converged_is_that_of_its_vector() {
    let eigenvalues: Vec<f64> = (0..300).map(|i| i as f64 / 300.0).collect();
    let (n, matrix) = (eigenvalues.len(), with_spectrum(&eigenvalues));
    let options = LanczosOptions {
        iterations: 17,
        ..LanczosOptions::default()
    };
    let apply = |v: &[f64], out: &mut [f64]| product(&matrix, v, out);
    let top = top_eigenpair(n, apply, None, &options).unwrap();
    assert!(!top.converged && top.iterations == 17);
    let exact = residual(&matrix, top.value, &top.vector);
    assert!(
        (exact - top.residual).abs() < 1e-13,
        "{exact} {}",
        top.residual
    );
}

#[test]
fn a_warm_start_saves_products_and_hides_no_eigenvalue() {
    let eigenvalues: Vec<f64> = (0..200)
        .map(|i| match i {
            0 => 5.0,
            1 => 4.0,
            _ => (i as f64).sin(),
        })
        .collect();
    let (n, matrix) = (eigenvalues.len(), with_spectrum(&eigenvalues));
    let apply = |v: &[f64], out: &mut [f64]| product(&matrix, v, out);
    let options = LanczosOptions {
        tolerance: 1e-6,
        ..LanczosOptions::default()
    };
    let cold = top_eigenpair(n, apply, None, &options).unwrap();
    let warm = top_eigenpair(n, apply, Some(&cold.vector), &options).unwrap();
    assert!((warm.value - 5.0).abs() < 1e-9, "{}", warm.value);
    assert!(
        warm.iterations < cold.iterations,
        "{} {}",
        warm.iterations,
        cold.iterations
    );
    // The eigenvectors of all others, each exactly.
    let mut lanczos = LanczosFactorization::new(n, None, 0).unwrap();
    while !lanczos.is_complete() {
        lanczos.extend(apply).unwrap();
    }
    let mut rows = tridiagonal::unit_matrix(n);
    let values = tridiagonal(lanczos.diagonal(), lanczos.off_diagonal(), &mut rows).unwrap();
    for (j, value) in values.iter().enumerate() {
        let y: Vec<f64> = rows.iter().map(|row| row[j]).collect();
        let start = lanczos.ritz_vector(&y).unwrap();
        assert!(residual(&matrix, *value, &start) < 1e-12);
        let top = top_eigenpair(n, apply, Some(&start), &options).unwrap();
        assert!((top.value - 5.0).abs() < 1e-9, "{j}: {}", top.value);
    }
    // No start and a start of zeros are the same.
    let zeros = top_eigenpair(n, apply, Some(&vec![0.0; n]), &options).unwrap();
    assert_eq!(zeros, cold);
}

#[test]
fn a_start_that_does_not_fit_is_an_error() {
    let apply = |v: &[f64], out: &mut [f64]| {
        out.copy_from_slice(v);
        Ok::<(), Error>(())
    };
    let options = LanczosOptions::default();
    let short = top_eigenpair(3, apply, Some(&[1.0]), &options).unwrap_err();
    assert_eq!(
        short.to_string(),
        "the start vector has 1 values, expected 3 (a value a row)"
    );
    let broken = top_eigenpair(2, apply, Some(&[0.0, f64::NAN]), &options).unwrap_err();
    assert_eq!(
        broken.to_string(),
        "the start vector[1] is NaN, expected a finite number"
    );
    // Tiny and huge starts are directions like any other.
    for scale in [1e-300, 1e300] {
        let start = [scale, 2.0 * scale];
        let lanczos = LanczosFactorization::new(2, Some(&start), 0).unwrap();
        let mut first = Vec::new();
        lanczos
            .clone()
            .extend(|v, out| {
                first = v.to_vec();
                out.copy_from_slice(v);
                Ok::<(), Error>(())
            })
            .unwrap();
        assert!((first[1] - 2.0 / 5.0_f64.sqrt()).abs() < 1e-15);
    }
}

/// A V = V T + β q eₖᵀ holds after a thick restart as before it, and so does what is read from T.
#[test]
fn a_restart_keeps_the_factorisation() {
    let size = 40;
    let eigenvalues: Vec<f64> = (0..size).map(|i| (1.7 * i as f64).sin()).collect();
    let matrix = with_spectrum(&eigenvalues);
    let apply = |v: &[f64], out: &mut [f64]| -> Result<(), Error> {
        for (row, out) in matrix.chunks(size).zip(out) {
            *out = dot(row, v);
        }
        Ok(())
    };
    let mut lanczos = LanczosFactorization::new(size, None, 1).unwrap();
    for _ in 0..12 {
        lanczos.extend(apply).unwrap();
    }
    assert!(lanczos.restart(&[]).is_err());
    let unit: Vec<f64> = (0..12).map(|i| f64::from(u8::from(i == 11))).collect();
    assert!(lanczos.restart(&vec![(0.0, &unit[..]); 12]).is_err());
    let (values, vectors) = eigenpairs(&lanczos.projected(), 12);
    let kept: Vec<(f64, &[f64])> = [0, 5, 11]
        .map(|i| (values[i], &vectors[i * 12..(i + 1) * 12]))
        .to_vec();
    lanczos.restart(&kept).unwrap();
    assert_eq!((lanczos.steps(), lanczos.products()), (3, 12));
    for _ in 0..6 {
        lanczos.extend(apply).unwrap();
    }
    let steps = lanczos.steps();
    assert_eq!((steps, lanczos.products()), (9, 18));
    let projected = lanczos.projected();
    let mut image = vec![0.0; size];
    for j in 0..steps {
        apply(&lanczos.basis()[j], &mut image).unwrap();
        for (i, base) in lanczos.basis().iter().enumerate() {
            let entry = dot(base, &image);
            assert!((entry - projected[i * steps + j]).abs() < 1e-13, "{i} {j}");
            let unit = f64::from(u8::from(i == j));
            assert!((dot(base, &lanczos.basis()[j]) - unit).abs() < 1e-13);
        }
        // What is left is along q, of the last column alone.
        let rest = image.iter().enumerate().map(|(row, value)| {
            let shares = lanczos.basis().iter().enumerate();
            value
                - shares
                    .map(|(i, base)| base[row] * projected[i * steps + j])
                    .sum::<f64>()
        });
        let rest = rest.map(|v| v * v).sum::<f64>().sqrt();
        let expected = if j + 1 == steps { lanczos.beta() } else { 0.0 };
        assert!((rest - expected).abs() < 1e-13, "{j}: {rest:e}");
    }
}

/// Eigenpairs of a small symmetric matrix by Jacobi's rotations, the vectors one after the other.
fn eigenpairs(matrix: &[f64], size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = matrix.to_vec();
    let mut vectors: Vec<f64> = (0..size * size)
        .map(|i| f64::from(u8::from(i / size == i % size)))
        .collect();
    for _ in 0..30 {
        for p in 0..size {
            for q in p + 1..size {
                let theta = 0.5 * (2.0 * a[p * size + q]).atan2(a[q * size + q] - a[p * size + p]);
                let (s, c) = theta.sin_cos();
                for i in 0..size {
                    let (x, y) = (a[i * size + p], a[i * size + q]);
                    (a[i * size + p], a[i * size + q]) = (c * x - s * y, s * x + c * y);
                }
                for i in 0..size {
                    let (x, y) = (a[p * size + i], a[q * size + i]);
                    (a[p * size + i], a[q * size + i]) = (c * x - s * y, s * x + c * y);
                    let (x, y) = (vectors[p * size + i], vectors[q * size + i]);
                    (vectors[p * size + i], vectors[q * size + i]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    ((0..size).map(|i| a[i * size + i]).collect(), vectors)
}
