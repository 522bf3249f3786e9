//! Spectra against dense ones, known ones and those of PyTorch's libraries: both signed ends, clusters, repeated
//! eigenvalues, no ghosts; traces whose intervals hold; densities with the right moments.

use burn::tensor::{DType, Device};
use burn_sharpness::operator::{DenseOperator, from_fn};
use burn_sharpness::spectrum::{
    DENSE_LIMIT, DenseSpectrum, DensityConfig, LanczosConfig, SpectralDensity, TraceConfig,
    assemble, hutch_plus_plus, hutchinson, lanczos, lanczos_within, power_iteration,
    spectral_density, xtrace,
};
use burn_sharpness::{FiniteDifferenceHessian, SharpnessError, SymmetricOperator};
use hsr_core::{Activation, Dimensions, Network, OutputLoss, Targets, Workspace};
use hsr_tests::mlp::{Batch, Mlp};
use hsr_tests::references::{Case, references};
use hsr_tests::relative_error;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A dense symmetric matrix with the given eigenvalues: products of reflections around their diagonal.
fn with_spectrum(eigenvalues: &[f64]) -> Vec<f64> {
    let n = eigenvalues.len();
    let mut matrix = vec![0.0; n * n];
    for (i, &value) in eigenvalues.iter().enumerate() {
        matrix[i * n + i] = value;
    }
    for round in 0..4 {
        let mut v: Vec<f64> = (0..n)
            .map(|i| ((i * (7 + round) + round * 3) as f64 + 0.3).sin())
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

fn dense(eigenvalues: &[f64]) -> DenseOperator {
    DenseOperator::new(&with_spectrum(eigenvalues), eigenvalues.len()).unwrap()
}

fn diagonal(values: &[f64]) -> DenseOperator {
    let n = values.len();
    let mut matrix = vec![0.0; n * n];
    for (i, &value) in values.iter().enumerate() {
        matrix[i * n + i] = value;
    }
    DenseOperator::new(&matrix, n).unwrap()
}

fn ascending(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// ‖Av − λv‖.
fn residual(operator: &mut impl SymmetricOperator, value: f64, vector: &[f64]) -> f64 {
    let mut product = vec![0.0; vector.len()];
    operator.apply(vector, &mut product).unwrap();
    let squares = product
        .iter()
        .zip(vector)
        .map(|(p, v)| (p - value * v).powi(2));
    squares.sum::<f64>().sqrt()
}

/// A spectrum like that of a trained network: a few outliers at both ends, the rest near zero, some exactly there.
fn bulk_and_outliers(n: usize) -> Vec<f64> {
    (0..n)
        .map(|i| match i {
            0 => 9.0,
            1 => 5.0,
            2 => 4.9,
            3 => -2.0,
            4 => -1.5,
            _ if i % 4 == 0 => 0.0,
            _ => 0.3 * (i as f64).sin().powi(3),
        })
        .collect()
}

#[test]
fn dense_spectra_are_right_at_every_scale() {
    let known = bulk_and_outliers(60);
    for scale in [1e-250, 1e-3, 1.0, 1e250] {
        let scaled: Vec<f64> = known.iter().map(|v| v * scale).collect();
        let mut operator = dense(&scaled);
        let spectrum = DenseSpectrum::new(&mut operator).unwrap();
        let found: Vec<f64> = spectrum.eigenvalues.iter().map(|v| v / scale).collect();
        let error = relative_error(&found, &ascending(&known), 0.0);
        assert!(error < 1e-13, "{scale}: {error}");
        for (i, value) in found.iter().enumerate() {
            let vector = spectrum.eigenvector(i);
            let mut product = vec![0.0; 60];
            operator.apply(vector, &mut product).unwrap();
            let image: Vec<f64> = vector.iter().map(|v| v * value).collect();
            product.iter_mut().for_each(|v| *v /= scale);
            let error = relative_error(&product, &image, 1.0);
            assert!(error < 1e-13, "{scale}, {i}: {error}");
            for j in 0..=i {
                let product = dot(vector, spectrum.eigenvector(j));
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-13);
            }
        }
        let negative = known.iter().filter(|&&v| v < 0.0).count();
        assert_eq!(spectrum.negative(), negative, "{scale}");
    }
    assert_eq!(
        DenseSpectrum::of_matrix(&[0.0; 9], 3).unwrap().eigenvalues,
        [0.0; 3]
    );
}

#[test]
fn lanczos_finds_both_signed_ends_with_their_vectors() {
    let negative: Vec<f64> = bulk_and_outliers(120).iter().map(|v| -v - 20.0).collect();
    let clustered: Vec<f64> = (0..150)
        .map(|i| match i {
            0..5 => 3.0 + 1e-6 * i as f64,
            5..10 => -3.0 - 1e-5 * i as f64,
            _ => (i as f64).cos(),
        })
        .collect();
    let tiny: Vec<f64> = bulk_and_outliers(80).iter().map(|v| v * 1e-120).collect();
    let small = vec![1.0, -1.0, 0.5];
    for known in [bulk_and_outliers(200), negative, clustered, tiny, small] {
        let sorted = ascending(&known);
        let scale = sorted[0].abs().max(sorted[sorted.len() - 1].abs());
        let mut operator = dense(&known);
        for count in [1, 3, 5] {
            let ends = lanczos(&mut operator, count, None, &LanczosConfig::default()).unwrap();
            assert!(ends.converged, "{count}: {}", ends.products);
            let count = count.min(known.len());
            assert_eq!([ends.largest.len(), ends.smallest.len()], [count; 2]);
            for (end, expected) in [
                (&ends.largest, sorted.iter().rev().collect::<Vec<_>>()),
                (&ends.smallest, sorted.iter().collect()),
            ] {
                for (i, pair) in end.iter().enumerate() {
                    let error = (pair.value - expected[i]).abs() / scale;
                    assert!(
                        error < 1e-10,
                        "{count}, {i}: {} {}",
                        pair.value,
                        expected[i]
                    );
                    let exact = residual(&mut operator, pair.value, &pair.vector) / scale;
                    assert!(exact < 2e-10 && pair.converged, "{count}, {i}: {exact}");
                    for (j, other) in end[..=i].iter().enumerate() {
                        let unit = f64::from(u8::from(i == j));
                        assert!((dot(&pair.vector, &other.vector) - unit).abs() < 1e-9);
                    }
                }
            }
        }
    }
}

#[test]
fn repeated_eigenvalues_are_found_as_often_as_they_are_there() {
    let mut known: Vec<f64> = (0..90).map(|i| (i as f64).sin()).collect();
    known[..4].fill(6.0);
    known[4..6].fill(5.0);
    known[6..9].fill(-4.0);
    let sorted = ascending(&known);
    let mut operator = dense(&known);
    let options = LanczosConfig::default();
    for count in [2, 4, 5, 7] {
        let ends = lanczos(&mut operator, count, None, &options).unwrap();
        assert!(ends.converged);
        let found: Vec<f64> = ends.largest.iter().map(|pair| pair.value).collect();
        let expected: Vec<f64> = sorted.iter().rev().take(count).copied().collect();
        let error = relative_error(&found, &expected, 0.0);
        assert!(error < 1e-10, "{count}: {found:?}");
        let found: Vec<f64> = ends.smallest.iter().map(|pair| pair.value).collect();
        let error = relative_error(&found, &sorted[..count], 0.0);
        assert!(error < 1e-10, "{count}: {found:?}");
    }
    // Of a matrix of rank 2 the rest is zero, as often as it is.
    let mut known = vec![0.0; 70];
    known[0] = 2.0;
    known[1] = 1.0;
    let ends = lanczos(&mut dense(&known), 4, None, &options).unwrap();
    let found: Vec<f64> = ends.largest.iter().map(|pair| pair.value).collect();
    assert!(ends.converged && relative_error(&found, &[2.0, 1.0, 0.0, 0.0], 0.0) < 1e-12);
    let mut multiple = from_fn(50, |v, out| {
        out.iter_mut().zip(v).for_each(|(out, v)| *out = 3.0 * v);
        Ok(())
    });
    let ends = lanczos(&mut multiple, 3, None, &options).unwrap();
    assert!(ends.converged);
    for pair in ends.largest.iter().chain(&ends.smallest) {
        assert!((pair.value - 3.0).abs() < 1e-14);
    }
}

#[test]
fn no_ghosts_appear_however_long_the_iteration() {
    // Without reorthogonalisation copies of the outliers come long before the bulk is done.
    let known = bulk_and_outliers(160);
    let mut operator = dense(&known);
    let options = LanczosConfig {
        tolerance: 0.0,
        iterations: 1000,
        seed: 4,
    };
    let ends = lanczos(&mut operator, known.len(), None, &options).unwrap();
    let found: Vec<f64> = ends.smallest.iter().map(|pair| pair.value).collect();
    let error = relative_error(&found, &ascending(&known), 0.0);
    assert!(error < 1e-12, "{error}");
    assert_eq!(ends.products, known.len());
}

#[test]
fn a_warm_start_saves_products_and_too_few_products_are_admitted() {
    let known = bulk_and_outliers(300);
    let mut operator = dense(&known);
    let options = LanczosConfig::default();
    let cold = lanczos(&mut operator, 1, None, &options).unwrap();
    let near: Vec<f64> = (0..300)
        .map(|i| cold.largest[0].vector[i] + cold.smallest[0].vector[i] + 1e-6 * (i as f64).sin())
        .collect();
    let warm = lanczos(&mut operator, 1, Some(&near), &options).unwrap();
    assert!(
        warm.converged && warm.products < cold.products,
        "{} {}",
        warm.products,
        cold.products
    );
    assert!((warm.largest[0].value - 9.0).abs() < 1e-9);
    assert!((warm.smallest[0].value + 2.0).abs() < 1e-9);

    let few = LanczosConfig {
        iterations: 12,
        ..options
    };
    let ends = lanczos(&mut operator, 4, None, &few).unwrap();
    assert!(!ends.converged && ends.products == 12);
    for pair in ends.largest.iter().chain(&ends.smallest) {
        let exact = residual(&mut operator, pair.value, &pair.vector);
        assert!(
            (exact - pair.residual).abs() < 1e-12,
            "{exact} {}",
            pair.residual
        );
        assert_eq!(pair.converged, pair.residual <= 1e-10 * 9.0);
    }
    assert!(ends.largest.iter().any(|pair| !pair.converged));
}

/// The reference is the iteration without a bound; the mathematics of a restart is in hsr-core's own tests.
#[test]
fn a_bound_on_the_vectors_in_memory_costs_products_and_nothing_else() {
    let mut repeated = bulk_and_outliers(200);
    repeated[5] = 5.0;
    repeated[6] = 5.0;
    for (known, count, vectors) in [
        (bulk_and_outliers(400), 3, 40),
        (repeated, 4, 30),
        // From the smallest that there may be.
        (bulk_and_outliers(150), 1, 8),
        // No restart: the vectors span everything before.
        (bulk_and_outliers(30), 2, 30),
    ] {
        let mut operator = dense(&known);
        let options = LanczosConfig {
            iterations: 5000,
            ..LanczosConfig::default()
        };
        let free = lanczos(&mut operator, count, None, &options).unwrap();
        let bound = lanczos_within(&mut operator, count, None, &options, vectors).unwrap();
        assert!(free.converged && bound.converged, "{count} {vectors}");
        println!("{count} {vectors}: {} {}", free.products, bound.products);
        // Without a bound it looks whether it has converged after ten more products or an eighth more, whatever is more: at
        // its last look but one it had not.
        let between_looks = 10.max(free.products / 8);
        assert!(bound.products + between_looks > free.products);
        let sorted = ascending(&known);
        for (end, expected) in [
            (&bound.largest, sorted.iter().rev().collect::<Vec<_>>()),
            (&bound.smallest, sorted.iter().collect()),
        ] {
            assert_eq!(end.len(), count);
            for (i, pair) in end.iter().enumerate() {
                assert!(
                    (pair.value - expected[i]).abs() < 1e-9,
                    "{i}: {}",
                    pair.value
                );
                let exact = residual(&mut operator, pair.value, &pair.vector);
                assert!(
                    exact < 1e-9 && exact < pair.residual + 1e-11,
                    "{i}: {exact:e}"
                );
                for (j, other) in end[..=i].iter().enumerate() {
                    let unit = f64::from(u8::from(i == j));
                    assert!((dot(&pair.vector, &other.vector) - unit).abs() < 1e-9);
                }
            }
        }
    }
    let mut operator = dense(&bulk_and_outliers(60));
    let few = LanczosConfig {
        iterations: 60,
        ..LanczosConfig::default()
    };
    // Too few products are admitted, with the residual that they left.
    let ends = lanczos_within(&mut operator, 3, None, &few, 16).unwrap();
    assert!(ends.products <= 60 || ends.converged);
    for pair in ends.largest.iter().chain(&ends.smallest) {
        let exact = residual(&mut operator, pair.value, &pair.vector);
        assert!(
            (exact - pair.residual).abs() < 1e-11,
            "{exact:e} {:e}",
            pair.residual
        );
    }
    let error = lanczos_within(&mut operator, 3, None, &few, 15).unwrap_err();
    assert_eq!(
        error.to_string(),
        "vectors is 15, expected 4 for each eigenvalue at an end, and 4 more"
    );
}

#[test]
fn xtrace_is_unbiased_and_better_than_hutch_plus_plus_where_the_spectrum_decays() {
    let decaying: Vec<f64> = (0..50).map(|i| 0.7_f64.powi(i)).collect();
    for (known, products, gain) in [(decaying, 30, 3.0), (bulk_and_outliers(50), 12, 1.2)] {
        let trace: f64 = known.iter().sum();
        let operator = dense(&known);
        let seeds = 1000;
        let errors = |estimate: &dyn Fn(&TraceConfig) -> f64| -> (f64, f64) {
            let all: Vec<f64> = (0..seeds)
                .map(|seed| {
                    let options = TraceConfig {
                        products,
                        seed,
                        ..TraceConfig::default()
                    };
                    estimate(&options) - trace
                })
                .collect();
            let squares: f64 = all.iter().map(|v| v * v).sum();
            let n = seeds as f64;
            (all.iter().sum::<f64>() / n, (squares / n).sqrt())
        };
        let (mean, own) = errors(&|options| {
            let estimate = xtrace(&mut operator.clone(), options).unwrap();
            assert_eq!(estimate.products, products);
            estimate.trace
        });
        let (_, other) = errors(&|options| {
            hutch_plus_plus(&mut operator.clone(), options)
                .unwrap()
                .trace
        });
        assert!(
            mean.abs() < 4.0 * own / (seeds as f64).sqrt(),
            "{mean:e} {own:e}"
        );
        assert!(gain * own < other, "{own:e} {other:e}");
        // The interval is a size, not a promise.
        let held = coverage(
            |seed| {
                let options = TraceConfig {
                    products,
                    seed,
                    ..TraceConfig::default()
                };
                xtrace(&mut operator.clone(), &options).unwrap().interval
            },
            trace,
        );
        assert!((380..490).contains(&held), "{held}");
    }
    // Exact where the probes are more than the rank, and where they are as many as the rows.
    let mut low = vec![0.0; 60];
    low[..5].copy_from_slice(&[3.0, 2.0, 1.0, -1.0, 0.5]);
    let options = |products| TraceConfig {
        products,
        ..TraceConfig::default()
    };
    let found = xtrace(&mut dense(&low), &options(12)).unwrap();
    assert!((found.trace - 5.5).abs() < 1e-12 && found.standard_error == 0.0);
    assert_eq!((found.products, found.probes), (11, 0));
    let found = xtrace(&mut dense(&bulk_and_outliers(9)), &options(100)).unwrap();
    let trace: f64 = bulk_and_outliers(9).iter().sum();
    // One eigenvalue is 0, and its direction needs no product.
    assert!((found.trace - trace).abs() < 1e-12 && found.products == 17);
    let found = xtrace(&mut diagonal(&[0.0; 5]), &options(6)).unwrap();
    assert_eq!((found.trace, found.standard_error), (0.0, 0.0));
    let error = xtrace(&mut diagonal(&[1.0; 5]), &options(3)).unwrap_err();
    assert_eq!(error.to_string(), "products is 3, expected 4 or more");
}

#[test]
fn everything_is_decided_by_its_seed() {
    let mut operator = dense(&bulk_and_outliers(60));
    let mut with = |seed: u64| {
        let options = LanczosConfig {
            seed,
            ..LanczosConfig::default()
        };
        let trace = TraceConfig {
            seed,
            products: 12,
            ..TraceConfig::default()
        };
        let density = DensityConfig {
            seed,
            probes: 2,
            steps: 8,
        };
        (
            lanczos(&mut operator, 2, None, &options).unwrap(),
            power_iteration(&mut operator, None, &options).unwrap(),
            hutchinson(&mut operator, &trace).unwrap(),
            hutch_plus_plus(&mut operator, &trace).unwrap(),
            xtrace(&mut operator, &trace).unwrap(),
            spectral_density(&mut operator, &density).unwrap(),
        )
    };
    let (first, again, other) = (with(1), with(1), with(2));
    assert_eq!(first, again);
    assert_ne!(first.0.largest[0].vector, other.0.largest[0].vector);
    assert_ne!(first.1.vector, other.1.vector);
    assert_ne!(first.2, other.2);
    assert_ne!(first.3, other.3);
    assert_ne!(first.4, other.4);
    assert_ne!(first.5, other.5);
}

#[test]
fn power_iteration_finds_the_largest_magnitude_and_says_when_it_does_not_converge() {
    let options = LanczosConfig {
        iterations: 3000,
        ..LanczosConfig::default()
    };
    // −8 is not λ_max, which is 7.
    let mut known = bulk_and_outliers(50);
    known[0] = 7.0;
    known[3] = -8.0;
    let mut operator = dense(&known);
    let found = power_iteration(&mut operator, None, &options).unwrap();
    assert!(
        found.converged && (found.value + 8.0).abs() < 1e-9,
        "{}",
        found.value
    );
    let exact = residual(&mut operator, found.value, &found.vector);
    assert!((exact - found.residual).abs() < 1e-12 && exact < 8e-10);
    // As large at both ends: the quotient is anything in between.
    known[3] = -7.0;
    let mut operator = dense(&known);
    let found = power_iteration(&mut operator, None, &options).unwrap();
    assert!(!found.converged && found.iterations == 3000);
    assert!(found.value.abs() < 7.0 && found.residual > 1.0, "{found:?}");
    // From an eigenvector it stays there.
    let top = lanczos(&mut operator, 1, None, &options).unwrap();
    let start = &top.largest[0].vector;
    let found = power_iteration(&mut operator, Some(start), &options).unwrap();
    assert!((found.value - 7.0).abs() < 1e-9);
    let zero = power_iteration(&mut diagonal(&[0.0; 4]), None, &options).unwrap();
    assert!(zero.converged && zero.value == 0.0);
}

/// How many of the intervals of 500 seeds hold the trace.
fn coverage(estimate: impl Fn(u64) -> [f64; 2], trace: f64) -> usize {
    let holds = |seed: &u64| {
        let [low, high] = estimate(*seed);
        low <= trace && trace <= high
    };
    (0..500).filter(holds).count()
}

#[test]
fn the_intervals_of_traces_hold_as_often_as_they_say() {
    let known = bulk_and_outliers(50);
    let trace: f64 = known.iter().sum();
    let operator = dense(&known);
    for confidence in [0.5_f64, 0.95] {
        // Binomial counts within four standard deviations of their mean.
        let mean = 500.0 * confidence;
        let reach = 4.0 * (mean * (1.0 - confidence)).sqrt();
        for products in [12, 30] {
            let options = |seed| TraceConfig {
                products,
                confidence,
                seed,
            };
            let estimate = |seed| hutchinson(&mut operator.clone(), &options(seed)).unwrap();
            let held = coverage(|seed| estimate(seed).interval, trace) as f64;
            assert!(
                (held - mean).abs() < reach,
                "{confidence}, {products}: {held}"
            );
            let estimate = |seed| hutch_plus_plus(&mut operator.clone(), &options(seed)).unwrap();
            let held = coverage(|seed| estimate(seed).interval, trace) as f64;
            assert!(
                (held - mean).abs() < reach,
                "{confidence}, {products}: {held}"
            );
        }
    }
}

#[test]
fn traces_are_unbiased_with_the_variance_that_theory_gives() {
    let known = bulk_and_outliers(50);
    let trace: f64 = known.iter().sum();
    let operator = dense(&known);
    let off_diagonal: f64 = {
        let matrix = operator.matrix();
        let squares: f64 = matrix.iter().map(|v| v * v).sum();
        squares - (0..50).map(|i| matrix[i * 51].powi(2)).sum::<f64>()
    };
    let options = |seed| TraceConfig {
        products: 30,
        seed,
        ..TraceConfig::default()
    };
    let seeds = 2000;
    let moments = |estimate: &dyn Fn(u64) -> f64| {
        let all: Vec<f64> = (0..seeds).map(estimate).collect();
        let mean = all.iter().sum::<f64>() / seeds as f64;
        let squares: f64 = all.iter().map(|v| (v - mean).powi(2)).sum();
        (mean, squares / (seeds - 1) as f64)
    };
    let (mean, variance) = moments(&|seed| {
        hutchinson(&mut operator.clone(), &options(seed))
            .unwrap()
            .trace
    });
    let expected = 2.0 * off_diagonal / 30.0;
    assert!(
        (mean - trace).abs() < 4.0 * (expected / seeds as f64).sqrt(),
        "{mean} {trace}"
    );
    // The relative error of a sample variance is about √(2/n).
    assert!(
        (variance / expected - 1.0).abs() < 0.13,
        "{variance} {expected}"
    );
    let (mean, with_span) = moments(&|seed| {
        hutch_plus_plus(&mut operator.clone(), &options(seed))
            .unwrap()
            .trace
    });
    assert!(
        (mean - trace).abs() < 4.0 * (with_span / seeds as f64).sqrt(),
        "{mean} {trace}"
    );
    // The outliers are in the span: what is left has far less variance from the same products.
    assert!(with_span < 0.2 * variance, "{with_span} {variance}");
}

#[test]
fn traces_are_exact_where_nothing_is_left_to_chance() {
    // Signs see the diagonal exactly.
    let values = [3.0, -1.0, 0.5, 2.0];
    let estimate = hutchinson(&mut diagonal(&values), &TraceConfig::default()).unwrap();
    assert_eq!((estimate.trace, estimate.standard_error), (4.5, 0.0));
    assert_eq!(estimate.interval, [4.5, 4.5]);
    assert_eq!((estimate.probes, estimate.products), (90, 90));
    // Hutch++ sees a rank up to a third of its products.
    let mut known = vec![0.0; 80];
    known[..6].copy_from_slice(&[5.0, -4.0, 3.0, 1e-3, 2.0, 1e-6]);
    for products in [18, 20, 60] {
        let options = TraceConfig {
            products,
            ..TraceConfig::default()
        };
        let estimate = hutch_plus_plus(&mut dense(&known), &options).unwrap();
        assert!(
            (estimate.trace - 6.001001).abs() < 1e-11,
            "{}",
            estimate.trace
        );
        assert!(estimate.interval[1] - estimate.interval[0] < 1e-10);
        assert!(estimate.products <= products);
    }
    let few = TraceConfig {
        products: 15,
        ..TraceConfig::default()
    };
    let estimate = hutch_plus_plus(&mut dense(&known), &few).unwrap();
    assert!(estimate.standard_error > 1e-9);
    // The whole space is a span too.
    let known: Vec<f64> = (0..20).map(|i| i as f64 - 9.5).collect();
    let estimate = hutch_plus_plus(&mut dense(&known), &TraceConfig::default()).unwrap();
    assert!((estimate.trace - known.iter().sum::<f64>()).abs() < 1e-12);
    assert_eq!((estimate.probes, estimate.products), (0, 40));
}

#[test]
fn a_probe_is_integrated_exactly_up_to_twice_its_steps() {
    // k-point Gauss quadrature: moments up to 2k − 1 are vᵀAʲv of the probe itself.
    let mut inner = dense(&bulk_and_outliers(40));
    let mut first: Option<Vec<f64>> = None;
    let density = {
        let mut seen = from_fn(40, |v, out| {
            first.get_or_insert_with(|| v.to_vec());
            inner.apply(v, out)
        });
        let options = DensityConfig {
            probes: 1,
            steps: 6,
            seed: 3,
        };
        spectral_density(&mut seen, &options).unwrap()
    };
    let start = first.unwrap();
    assert!(
        start
            .iter()
            .all(|v| (v.abs() - 40.0_f64.sqrt().recip()).abs() < 1e-15)
    );
    assert_eq!((density.nodes.len(), density.products), (6, 6));
    let mut power = start.clone();
    for j in 0..14 {
        let expected = dot(&start, &power);
        let error = (density.moment(j) / expected - 1.0).abs();
        if j < 12 {
            assert!(error < 1e-11, "{j}: {error}");
        } else if j == 12 {
            assert!(error > 1e-9, "{error}");
        }
        let mut next = vec![0.0; 40];
        inner.apply(&power, &mut next).unwrap();
        power = next;
    }
}

/// The share of eigenvalues up to t.
fn up_to(density: &SpectralDensity, t: f64) -> f64 {
    let pairs = density.nodes.iter().zip(&density.weights);
    pairs.filter(|(node, _)| **node <= t).map(|(_, w)| w).sum()
}

#[test]
fn densities_have_the_moments_of_the_spectrum() {
    // Of a diagonal matrix the density is exact, repeated eigenvalues included.
    let known: Vec<f64> = (0..60).map(|i| (i % 5) as f64 - 1.0).collect();
    let options = DensityConfig {
        probes: 2,
        ..DensityConfig::default()
    };
    let density = spectral_density(&mut diagonal(&known), &options).unwrap();
    for t in [-1.0, 0.0, 1.0, 2.0, 3.0] {
        let share = up_to(&density, t + 0.5) - up_to(&density, t - 0.5);
        assert!((share - 0.2).abs() < 1e-13, "{t}: {share}");
    }
    assert_eq!(density.products, 10);

    let known = bulk_and_outliers(80);
    let exact = |k: i32| known.iter().map(|v| v.powi(k)).sum::<f64>() / 80.0;
    let options = DensityConfig {
        probes: 400,
        steps: 40,
        seed: 1,
    };
    let mut operator = dense(&known);
    let density = spectral_density(&mut operator, &options).unwrap();
    assert!((density.moment(0) - 1.0).abs() < 1e-12);
    // A probe's k-th moment has the variance 2(‖Aᵏ‖²_F − Σ diag²)/D², at most 2 Σ λ²ᵏ/D².
    for k in 1..5 {
        let deviation = (2.0 * exact(2 * k) / 80.0 / 400.0).sqrt();
        let error = (density.moment(k) - exact(k)).abs();
        assert!(error < 4.0 * deviation, "{k}: {error} {deviation}");
    }
    for t in [-1.7, -0.15, 0.1, 0.25, 4.95, 7.0] {
        let share = known.iter().filter(|&&v| v <= t).count() as f64 / 80.0;
        let found = up_to(&density, t);
        assert!((found - share).abs() < 0.03, "{t}: {found} {share}");
    }

    let curve = density.smoothed(4000, None).unwrap();
    assert!((curve.width - 11.0 / 200.0).abs() < 1e-9, "{}", curve.width);
    let distance = curve.values[1] - curve.values[0];
    let integral = |weight: &dyn Fn(f64) -> f64| {
        let pairs = curve.values.iter().zip(&curve.density);
        pairs.map(|(&t, d)| weight(t) * d).sum::<f64>() * distance
    };
    assert!((integral(&|_| 1.0) - 1.0).abs() < 1e-6);
    assert!((integral(&|t| t) - density.moment(1)).abs() < 1e-6);
    let second = density.moment(2) + curve.width.powi(2);
    assert!((integral(&|t| t * t) - second).abs() < 1e-5);
    // A node alone is a Gaussian.
    let alone = SpectralDensity {
        nodes: vec![2.0],
        weights: vec![1.0],
        products: 1,
    };
    let curve = alone.smoothed(11, Some(0.5)).unwrap();
    assert_eq!((curve.values[0], curve.values[10]), (-0.5, 4.5));
    let peak = 1.0 / (0.5 * (2.0 * core::f64::consts::PI).sqrt());
    assert!((curve.density[5] - peak).abs() < 1e-14);
    assert!((curve.density[6] - peak * (-0.5_f64).exp()).abs() < 1e-14);
}

/// The Hessian of a case over its batches, by differences of gradients.
fn differences(case: &Case, dtype: DType) -> FiniteDifferenceHessian<'static, Mlp> {
    let device = Device::flex().autodiff();
    let problem = case.problem();
    let batches = problem.batches(case.batch_size, &device, dtype);
    FiniteDifferenceHessian::of_mean(
        &problem.model(&device, dtype),
        move || batches.clone().into_iter().map(Ok::<_, SharpnessError>),
        |model: &Mlp, batch: Batch| (model.loss(&batch), batch.samples() as f64),
    )
    .unwrap()
}

/// Whether both ends are those of curvlinops, to a tolerance relative to the largest |λ|.
fn check_ends(
    case: &Case,
    operator: &mut impl SymmetricOperator,
    options: &LanczosConfig,
    allowed: f64,
) {
    let name = &case.name;
    let ends = lanczos(operator, 3, None, options).unwrap();
    assert!(ends.converged, "{name}");
    // However well the iteration believes to have converged.
    for pair in ends.largest.iter().chain(&ends.smallest) {
        let exact = residual(operator, pair.value, &pair.vector);
        assert!(
            exact < 1.1 * pair.residual,
            "{name}: {exact} {}",
            pair.residual
        );
    }
    let exact = &case.curvlinops;
    let scale = exact.lambda_max.abs().max(exact.lambda_min.abs());
    for (found, expected) in [
        (ends.largest[0].value, exact.lambda_max),
        (ends.smallest[0].value, exact.lambda_min),
    ] {
        let error = (found - expected).abs() / scale;
        assert!(error < allowed, "{name}: {found} {expected}");
    }
    for i in 0..3 {
        let from_above = exact.eigenvalues[exact.eigenvalues.len() - 1 - i];
        assert!(
            (ends.largest[i].value - from_above).abs() / scale < allowed,
            "{name}"
        );
        let from_below = exact.eigenvalues[i];
        assert!(
            (ends.smallest[i].value - from_below).abs() / scale < allowed,
            "{name}"
        );
    }
}

#[test]
fn differences_of_gradients_agree_with_curvlinops() {
    for case in references() {
        let (name, exact) = (&case.name, &case.curvlinops);
        let mut operator = differences(case, DType::F64);
        let v = case.in_burns_order(&exact.v);
        let mut product = vec![0.0; v.len()];
        operator.apply(&v, &mut product).unwrap();
        let expected = case.in_burns_order(&exact.product);
        let error = relative_error(&product, &expected, 0.0);
        assert!(error < 1e-8, "{name}: {error}");

        let spectrum = DenseSpectrum::new(&mut operator).unwrap();
        let error = relative_error(&spectrum.eigenvalues, &exact.eigenvalues, 0.0);
        assert!(error < 1e-9, "{name}: {error}");
        let trace: f64 = spectrum.eigenvalues.iter().sum();
        assert!(
            (trace - exact.trace).abs() < 1e-8,
            "{name}: {trace} {}",
            exact.trace
        );

        // The differences' own accuracy is the tolerance, in f32 as well.
        check_ends(case, &mut operator, &LanczosConfig::default(), 1e-9);
        check_ends(
            case,
            &mut differences(case, DType::F32),
            &LanczosConfig::default(),
            2e-4,
        );

        let estimate = hutch_plus_plus(&mut operator, &TraceConfig::default()).unwrap();
        let [low, high] = estimate.interval;
        assert!(
            low < exact.trace && exact.trace < high,
            "{name}: {estimate:?}"
        );
        assert!(
            estimate.standard_error < 0.03 * exact.trace,
            "{name}: {estimate:?}"
        );
    }
}

#[test]
fn the_closed_form_agrees_with_curvlinops() {
    let case = &references()[1];
    let &[inputs, hidden, outputs] = &case.sizes[..] else {
        panic!("three layers")
    };
    let dimensions = Dimensions {
        inputs,
        hidden,
        outputs,
        hidden_bias: true,
        output_bias: true,
    };
    // PyTorch's order is that of hsr-core.
    let theta = case.theta();
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let x = case.x.concat();
    let batch = hsr_core::Batch::new(
        OutputLoss::SoftmaxCrossEntropy,
        &x,
        Targets::Classes(&case.y),
    );
    let mut workspace = Workspace::new();
    let loss = workspace.loss(&network, &batch).unwrap();
    assert!((loss - case.loss).abs() < 1e-14);
    let mut operator = workspace.linearize(&network, &batch).unwrap();
    let mut product = vec![0.0; theta.len()];
    SymmetricOperator::apply(&mut operator, &case.curvlinops.v, &mut product).unwrap();
    let error = relative_error(&product, &case.curvlinops.product, 0.0);
    assert!(error < 1e-13, "{error}");
    check_ends(case, &mut operator, &LanczosConfig::default(), 1e-12);
    let matrix = assemble(&mut operator).unwrap();
    let trace: f64 = (0..theta.len())
        .map(|i| matrix[i * (theta.len() + 1)])
        .sum();
    assert!((trace - case.curvlinops.trace).abs() < 1e-13);
}

#[test]
fn pyhessian_agrees_to_its_own_accuracy() {
    for case in references() {
        let (name, theirs) = (&case.name, &case.pyhessian);
        let mut operator = differences(case, DType::F64);
        let options = LanczosConfig {
            tolerance: 1e-8,
            iterations: 5000,
            seed: 0,
        };
        let found = power_iteration(&mut operator, None, &options).unwrap();
        assert!(found.converged, "{name}");
        // PyHessian divides by ‖v‖ + 10⁻⁶: its λ is 2·10⁻⁶ too small.
        let relative = found.value / theirs.lambda_max - 1.0;
        assert!((relative - 2e-6).abs() < 2e-7, "{name}: {relative}");
        let trace = case.curvlinops.trace;
        assert!((theirs.trace_mean - trace).abs() < 4.0 * theirs.trace_standard_error);
    }
}

#[test]
fn what_cannot_be_done_is_an_error_in_one_line() {
    let mut operator = diagonal(&[1.0, 2.0]);
    let mut broken = from_fn(2, |_, out| {
        out.fill(f64::NAN);
        Ok(())
    });
    let mut empty = from_fn(0, |_, _| Ok(()));
    let options = LanczosConfig::default();
    let message = |error: SharpnessError| error.to_string();
    let nothing = "the size of the operator is 0, expected at least 1";
    let not_finite = "the eigenvalues of the Hessian did not converge";

    let found = lanczos(&mut operator, 0, None, &options).unwrap_err();
    assert_eq!(
        message(found),
        "the number of eigenvalues is 0, expected 1 or more"
    );
    let found = lanczos(&mut operator, 1, Some(&[1.0]), &options).unwrap_err();
    assert_eq!(
        message(found),
        "the start vector has 1 values, expected 2 (a value a row)"
    );
    assert_eq!(
        message(lanczos(&mut empty, 1, None, &options).unwrap_err()),
        nothing
    );
    assert_eq!(
        message(lanczos(&mut broken, 1, None, &options).unwrap_err()),
        not_finite
    );

    let power = |start: &[f64]| {
        let found = power_iteration(&mut diagonal(&[1.0, 2.0]), Some(start), &options);
        message(found.unwrap_err())
    };
    assert_eq!(power(&[1.0]), "the start vector has 1 values, expected 2");
    assert_eq!(
        power(&[0.0, 0.0]),
        "the direction of the start vector is not finite"
    );
    assert_eq!(
        message(power_iteration(&mut empty, None, &options).unwrap_err()),
        nothing
    );
    let found = power_iteration(&mut broken, None, &options).unwrap_err();
    assert_eq!(message(found), not_finite);

    let trace = |products, confidence| TraceConfig {
        products,
        confidence,
        seed: 0,
    };
    let found = hutchinson(&mut operator, &trace(1, 0.9)).unwrap_err();
    assert_eq!(message(found), "products is 1, expected 2 or more");
    let found = hutch_plus_plus(&mut operator, &trace(5, 0.9)).unwrap_err();
    assert_eq!(message(found), "products is 5, expected 6 or more");
    let found = hutchinson(&mut operator, &trace(9, 1.0)).unwrap_err();
    assert_eq!(
        message(found),
        "confidence is 1, expected a number between 0 and 1"
    );
    let found = hutchinson(&mut broken, &trace(9, 0.9)).unwrap_err();
    assert_eq!(message(found), "the trace is not finite");
    assert_eq!(
        message(hutchinson(&mut empty, &trace(9, 0.9)).unwrap_err()),
        nothing
    );

    let density = DensityConfig {
        steps: 0,
        ..DensityConfig::default()
    };
    let found = spectral_density(&mut operator, &density).unwrap_err();
    assert_eq!(message(found), "steps is 0, expected 1 or more");
    let density = spectral_density(&mut operator, &DensityConfig::default()).unwrap();
    let found = density.smoothed(1, None).unwrap_err();
    assert_eq!(message(found), "points is 1, expected 2 or more");
    let found = density.smoothed(9, Some(0.0)).unwrap_err();
    assert_eq!(
        message(found),
        "width is 0, expected a finite number above 0"
    );

    let mut large = from_fn(DENSE_LIMIT + 1, |_, _| Ok(()));
    let found = DenseSpectrum::new(&mut large).unwrap_err();
    assert_eq!(
        message(found),
        "a matrix of 4198401 values was asked for, the limit is 4194304"
    );
    assert_eq!(
        message(DenseSpectrum::new(&mut empty).unwrap_err()),
        nothing
    );
}
