//! Operators of any module beside the Hessian, against dense matrices of JAX and of hyper-dual derivatives: Gauss-Newton and
//! Fisher matrices, the block of some parameters, and diagonals by random probes.

use burn::module::ParamGroup;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Tensor};
use burn_sharpness::operator::{
    DenseOperator, EmpiricalFisher, GaussNewton, Inverse, MonteCarloFisher, OutputLoss, Subset,
    from_fn,
};
use burn_sharpness::spectrum::{
    DenseSpectrum, LanczosConfig, TraceConfig, assemble, hutchinson_diagonal, lanczos, xdiag,
    xtrace,
};
use burn_sharpness::{FiniteDifferenceHessian, ParameterSpace, SharpnessError, SymmetricOperator};
use hsr_core::depth::{DeepEvaluation, DeepWorkspace, FeedForward, LayerShape};
use hsr_core::{Activation, Targets};
use hsr_tests::hyper_dual::{self, HyperDual};
use hsr_tests::mlp::{Batch, Mlp, Problem};
use hsr_tests::references::{Matrix, operators as jax, references};
use hsr_tests::relative_error;

const LOSSES: [OutputLoss; 3] = [
    OutputLoss::SoftmaxCrossEntropy,
    OutputLoss::SigmoidCrossEntropy,
    OutputLoss::MeanSquaredError,
];

fn device() -> Device {
    Device::flex().autodiff()
}

fn problem() -> Problem {
    Problem::new(&[3, 4, 3], 7, 0.8)
}

/// The row-major sum of factor·a aᵀ.
fn add_outer(matrix: &mut [f64], factor: f64, a: &[f64], b: &[f64]) {
    for (row, x) in matrix.chunks_mut(a.len()).zip(a) {
        for (entry, y) in row.iter_mut().zip(b) {
            *entry += factor * x * y;
        }
    }
}

/// The Jacobian of the logits of a sample, a row each, and the logits.
fn jacobian(problem: &Problem, sample: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let outputs = problem.sizes[problem.sizes.len() - 1];
    let rows = (0..outputs)
        .map(|k| hyper_dual::gradient(&problem.theta, |theta| problem.logits(theta, sample)[k]));
    let point: Vec<HyperDual> = problem
        .theta
        .iter()
        .map(|&v| HyperDual::constant(v))
        .collect();
    let logits = problem.logits(&point, sample);
    (rows.collect(), logits.iter().map(|o| o.value).collect())
}

/// ∇²ℓ of a sample's logits, by hand.
fn curvature(loss: OutputLoss, logits: &[f64]) -> Vec<Vec<f64>> {
    let count = logits.len();
    let exp: Vec<f64> = logits.iter().map(|o| o.exp()).collect();
    let total: f64 = exp.iter().sum();
    let entry = |i: usize, j: usize| {
        let same = f64::from(u8::from(i == j));
        match loss {
            OutputLoss::SoftmaxCrossEntropy => {
                exp[i] / total * same - exp[i] * exp[j] / total / total
            }
            OutputLoss::SigmoidCrossEntropy => {
                same * exp[i] / (1.0 + exp[i]).powi(2) / count as f64
            }
            OutputLoss::MeanSquaredError => same * 2.0 / count as f64,
        }
    };
    (0..count)
        .map(|i| (0..count).map(|j| entry(i, j)).collect())
        .collect()
}

fn dense_gauss_newton(problem: &Problem, loss: OutputLoss) -> Vec<f64> {
    let size = problem.theta.len();
    let samples = problem.y.len();
    let mut matrix = vec![0.0; size * size];
    for sample in 0..samples {
        let (rows, logits) = jacobian(problem, sample);
        for (a, of_a) in rows.iter().zip(curvature(loss, &logits)) {
            for (b, c) in rows.iter().zip(of_a) {
                add_outer(&mut matrix, c / samples as f64, a, b);
            }
        }
    }
    matrix
}

fn matrix(operator: &mut impl SymmetricOperator) -> Vec<f64> {
    assemble(operator).unwrap()
}

fn logits(model: &Mlp, batch: &Batch) -> Tensor<2> {
    model.forward(batch.x.clone())
}

/// The loss of each sample.
fn losses(model: &Mlp, batch: &Batch) -> Tensor<1> {
    let log_p = log_softmax(logits(model, batch), 1);
    let of_class = log_p.gather(1, batch.y.clone().unsqueeze_dim(1));
    of_class.squeeze_dim::<1>(1).neg()
}

#[test]
fn gauss_newton_is_the_dense_matrix_for_every_loss_over_one_batch_and_over_several() {
    let problem = problem();
    for loss in LOSSES {
        let expected = dense_gauss_newton(&problem, loss);
        for (dtype, accuracy) in [(DType::F64, 1e-8), (DType::F32, 1e-3)] {
            let model = problem.model(&device(), dtype);
            let batch = problem.batch(&device(), dtype);
            let mut whole =
                GaussNewton::new(&model, loss, |model: &Mlp| logits(model, &batch)).unwrap();
            let error = relative_error(&matrix(&mut whole), &expected, 0.0);
            assert!(error < accuracy, "{loss:?} {dtype:?}: {error:e}");
            // The last batch is shorter.
            let batches = problem.batches(3, &device(), dtype);
            let all = || batches.iter().map(Ok::<_, SharpnessError>);
            let mut parts =
                GaussNewton::of_batches(&model, loss, all, |model, batch| logits(model, batch))
                    .unwrap();
            let error = relative_error(&matrix(&mut parts), &expected, 0.0);
            assert!(error < accuracy, "{loss:?} {dtype:?} in batches: {error:e}");
            assert_eq!(parts.space().size(), problem.theta.len());
        }
    }
}

#[test]
fn gauss_newton_agrees_with_the_closed_form() {
    let problem = problem();
    // hsr-core's layout is [outputs, inputs].
    let mut theta = Vec::new();
    let mut rest = &problem.theta[..];
    for pair in problem.sizes.windows(2) {
        let (inputs, outputs) = (pair[0], pair[1]);
        for j in 0..outputs {
            theta.extend((0..inputs).map(|i| rest[i * outputs + j]));
        }
        theta.extend(&rest[inputs * outputs..(inputs + 1) * outputs]);
        rest = &rest[(inputs + 1) * outputs..];
    }
    let shapes = [
        LayerShape::new(3, 4).with_activation(Activation::Tanh),
        LayerShape::new(4, 3),
    ];
    let network = FeedForward::from_flat(&shapes, &theta).unwrap();
    let loss = OutputLoss::SoftmaxCrossEntropy;
    let batch = hsr_core::Batch::new(loss, &problem.x, Targets::Classes(&problem.y));
    let mut workspace = DeepWorkspace::new();
    let exact = workspace
        .gauss_newton(&network, &batch, &DeepEvaluation::Auto)
        .unwrap();
    let largest = workspace
        .gauss_newton_lambda_max(&network, &batch, &LanczosConfig::new().into())
        .unwrap();

    let model = problem.model(&device(), DType::F64);
    let of_burn = problem.batch(&device(), DType::F64);
    let mut operator =
        GaussNewton::new(&model, loss, |model: &Mlp| logits(model, &of_burn)).unwrap();
    let ends = lanczos(&mut operator, 1, None, &LanczosConfig::default()).unwrap();
    assert!((ends.largest[0].value / largest - 1.0).abs() < 1e-8);
    assert!(ends.smallest[0].value > -1e-8 * largest);
    let size = problem.theta.len();
    let matrix = matrix(&mut operator);
    let trace: f64 = (0..size).map(|i| matrix[i * size + i]).sum();
    let square: f64 = matrix.iter().map(|v| v * v).sum();
    let moments = &exact.bounds.whole.moments;
    assert!((trace / moments.trace - 1.0).abs() < 1e-8);
    assert!((square / moments.frobenius_squared - 1.0).abs() < 1e-8);
}

#[test]
fn the_empirical_fisher_is_the_mean_of_outer_products_of_the_samples_gradients() {
    let problem = problem();
    let (size, samples) = (problem.theta.len(), problem.y.len());
    let mut expected = vec![0.0; size * size];
    for sample in 0..samples {
        let of_sample = |theta: &[HyperDual]| problem.sample_loss(theta, sample);
        let gradient = hyper_dual::gradient(&problem.theta, of_sample);
        add_outer(&mut expected, 1.0 / samples as f64, &gradient, &gradient);
    }
    for (dtype, accuracy) in [(DType::F64, 1e-8), (DType::F32, 1e-3)] {
        let model = problem.model(&device(), dtype);
        let batch = problem.batch(&device(), dtype);
        let mut whole = EmpiricalFisher::new(&model, |model: &Mlp| losses(model, &batch)).unwrap();
        let error = relative_error(&matrix(&mut whole), &expected, 0.0);
        assert!(error < accuracy, "{dtype:?}: {error:e}");
        let batches = problem.batches(3, &device(), dtype);
        let all = || batches.iter().map(Ok::<_, SharpnessError>);
        let mut parts =
            EmpiricalFisher::of_batches(&model, all, |model, batch| losses(model, batch)).unwrap();
        let error = relative_error(&matrix(&mut parts), &expected, 0.0);
        assert!(error < accuracy, "{dtype:?} in batches: {error:e}");
    }
}

#[test]
fn the_monte_carlo_fisher_is_one_matrix_whose_mean_is_gauss_newton() {
    let problem = problem();
    let (size, samples) = (problem.theta.len(), problem.y.len());
    let model = problem.model(&device(), DType::F64);
    let batches = problem.batches(4, &device(), DType::F64);
    for loss in LOSSES {
        let exact = dense_gauss_newton(&problem, loss);
        let fisher = |draws: usize, seed: u64| {
            let all = || batches.iter().map(Ok::<_, SharpnessError>);
            MonteCarloFisher::of_batches(&model, loss, draws, all, |model, batch| {
                logits(model, batch)
            })
            .unwrap()
            .with_seed(seed)
        };
        // One matrix: symmetric, the same again, another one of another seed.
        let mut one = fisher(1, 3);
        let first = matrix(&mut one);
        assert_eq!(first, matrix(&mut one));
        assert_eq!(first, matrix(&mut fisher(1, 3)));
        assert_ne!(first, matrix(&mut fisher(1, 4)));
        // Of no higher rank than the samples, and no eigenvalue below 0.
        let mut dense = DenseOperator::new(&first, size).unwrap();
        let ends = lanczos(&mut dense, size, None, &LanczosConfig::default()).unwrap();
        let values: Vec<f64> = ends.largest.iter().map(|pair| pair.value).collect();
        assert!(values[size - 1] > -1e-7 * values[0], "{loss:?}: {values:?}");
        assert!(values[samples] < 1e-7 * values[0], "{loss:?}: {values:?}");
        // The mean, along a vector: 400 draws in 20 seeds, within five of their own standard errors.
        let v: Vec<f64> = (0..size).map(|i| (1.3 * i as f64).sin()).collect();
        let form = |operator: &mut dyn FnMut(&[f64], &mut [f64])| {
            let mut product = vec![0.0; size];
            operator(&v, &mut product);
            v.iter().zip(&product).map(|(a, b)| a * b).sum::<f64>()
        };
        let seeds = 20;
        let found: Vec<f64> = (0..seeds)
            .map(|seed| {
                let mut fisher = fisher(20, seed);
                form(&mut |v, product| fisher.apply(v, product).unwrap())
            })
            .collect();
        let mut dense = DenseOperator::new(&exact, size).unwrap();
        let expected = form(&mut |v, product| dense.apply(v, product).unwrap());
        let n = seeds as f64;
        let mean = found.iter().sum::<f64>() / n;
        let squares: f64 = found.iter().map(|v| (v - mean).powi(2)).sum();
        let error = (squares / (n - 1.0) / n).sqrt();
        assert!(
            (mean - expected).abs() < 5.0 * error && error < 0.2 * expected,
            "{loss:?}: {mean} ± {error}, expected {expected}"
        );
    }
}

#[test]
fn sums_over_samples_are_so_many_means() {
    let problem = problem();
    let samples = problem.y.len() as f64;
    let loss = OutputLoss::SoftmaxCrossEntropy;
    let model = problem.model(&device(), DType::F64);
    let batches = problem.batches(3, &device(), DType::F64);
    let all = || batches.iter().map(Ok::<_, SharpnessError>);
    let gauss_newton = || GaussNewton::of_batches(&model, loss, all, |m, b| logits(m, b)).unwrap();
    let empirical = || EmpiricalFisher::of_batches(&model, all, |m, b| losses(m, b)).unwrap();
    let drawn = || MonteCarloFisher::of_batches(&model, loss, 2, all, |m, b| logits(m, b)).unwrap();
    let pairs = [
        (
            matrix(&mut gauss_newton()),
            matrix(&mut gauss_newton().with_sum()),
        ),
        (
            matrix(&mut empirical()),
            matrix(&mut empirical().with_sum()),
        ),
        (matrix(&mut drawn()), matrix(&mut drawn().with_sum())),
    ];
    for (mean, sum) in pairs {
        let scaled: Vec<f64> = mean.iter().map(|v| v * samples).collect();
        let error = relative_error(&sum, &scaled, 0.0);
        assert!(error < 1e-14, "{error:e}");
    }
}

/// Every operator of a module, its blocks and what is estimated from it, against dense matrices in double precision.
#[test]
fn operators_agree_with_dense_matrices_of_jax() {
    let options = LanczosConfig::default();
    for (case, exact) in references().iter().zip(jax()) {
        assert_eq!(case.name, exact.name);
        let problem = case.problem();
        let model = problem.model(&device(), DType::F64);
        let batches = problem.batches(case.batch_size, &device(), DType::F64);
        let all = || batches.iter().map(Ok::<_, SharpnessError>);
        let v = case.in_burns_order(&case.curvlinops.v);
        let check = |operator: &mut dyn SymmetricOperator, exact: &Matrix, what: &str| {
            let mut operator = operator;
            let mut product = vec![0.0; v.len()];
            operator.apply(&v, &mut product).unwrap();
            let expected = case.in_burns_order(&exact.product);
            let error = relative_error(&product, &expected, 0.0);
            assert!(error < 1e-8, "{what}: {error:e}");
            let spectrum = DenseSpectrum::new(&mut operator).unwrap();
            let error = relative_error(&spectrum.eigenvalues, &exact.eigenvalues, 0.0);
            assert!(error < 1e-8, "{what}: {error:e}");
            let ends = lanczos(&mut operator, 3, None, &options).unwrap();
            let largest: Vec<f64> = ends.largest.iter().map(|pair| pair.value).collect();
            let expected: Vec<f64> = exact.eigenvalues.iter().rev().take(3).copied().collect();
            let error = relative_error(&largest, &expected, 0.0);
            assert!(ends.converged && error < 1e-8, "{what}: {error:e}");
            // More probes than the rank: exact.
            let rank = exact.eigenvalues.iter().filter(|v| **v > 1e-12).count();
            let trace = TraceConfig {
                products: 2 * rank + 4,
                ..TraceConfig::default()
            };
            let estimate = xtrace(&mut operator, &trace).unwrap();
            let error = (estimate.trace / exact.trace - 1.0).abs();
            assert!(error < 1e-6, "{what}: {error:e}");
        };
        for (loss, name) in LOSSES.into_iter().zip(["softmax", "sigmoid", "mse"]) {
            let mut operator =
                GaussNewton::of_batches(&model, loss, all, |m, b| logits(m, b)).unwrap();
            check(&mut operator, &exact.gauss_newton[name], name);
        }
        let mut operator = EmpiricalFisher::of_batches(&model, all, |m, b| losses(m, b)).unwrap();
        check(&mut operator, &exact.empirical_fisher, "empirical Fisher");

        let hessian = || {
            FiniteDifferenceHessian::of_mean(&model, all, |model: &Mlp, batch: &Batch| {
                (model.loss(batch), batch.samples() as f64)
            })
            .unwrap()
        };
        let estimate = hutchinson_diagonal(&mut hessian(), 300, 1).unwrap();
        let diagonal = case.in_burns_order(&exact.hessian.diagonal);
        let pairs = diagonal.iter().zip(&estimate.diagonal);
        for ((expected, found), error) in pairs.zip(&estimate.standard_error) {
            assert!((found - expected).abs() < 5.0 * error + 1e-8);
        }
        let space = ParameterSpace::of(&model).unwrap();
        for (number, layer) in exact.layers.iter().enumerate() {
            let group = ParamGroup::from_predicate(format!("layers.{number}."));
            let mut block = Subset::new(hessian(), &space, &group).unwrap();
            let spectrum = DenseSpectrum::new(&mut block).unwrap();
            let error = relative_error(&spectrum.eigenvalues, &layer.eigenvalues, 0.0);
            assert!(error < 1e-8, "layer {number}: {error:e}");
            let square: f64 = spectrum.eigenvalues.iter().map(|v| v * v).sum();
            assert!((square / layer.frobenius_squared - 1.0).abs() < 1e-8);
            // The same by the place of its parameters.
            let ranges = space.parameters()[2 * number..2 * number + 2].iter();
            let ranges = ranges.map(|parameter| parameter.range.clone()).collect();
            let mut same = Subset::of_ranges(hessian(), ranges).unwrap();
            assert_eq!(matrix(&mut same), matrix(&mut block));
        }
    }
    let small = DenseOperator::new(&[1.0], 1).unwrap();
    let error = Subset::of_ranges(small.clone(), vec![0..1, 1..2]).unwrap_err();
    assert!(matches!(error, SharpnessError::Length { got: 2, .. }));
    let error = Subset::of_ranges(small, vec![]).unwrap_err();
    assert!(matches!(error, SharpnessError::NoParameters));
}

#[test]
fn a_subset_is_the_block_of_its_parameters() {
    let problem = problem();
    let model = problem.model(&device(), DType::F64);
    let batch = problem.batch(&device(), DType::F64);
    let space = ParameterSpace::of(&model).unwrap();
    let exact = problem.hessian();
    let size = space.size();
    let group = ParamGroup::from_predicate("weight");
    let kept: Vec<usize> = space
        .parameters()
        .iter()
        .filter(|parameter| parameter.path.contains("weight"))
        .flat_map(|parameter| parameter.range.clone())
        .collect();
    assert_eq!(kept.len(), 24);
    let hessian = FiniteDifferenceHessian::new(&model, |model: &Mlp| model.loss(&batch)).unwrap();
    let mut block = Subset::new(hessian, &space, &group).unwrap();
    let expected: Vec<f64> = kept
        .iter()
        .flat_map(|&i| kept.iter().map(move |&j| (i, j)))
        .map(|(i, j)| exact[i * size + j])
        .collect();
    let error = relative_error(&matrix(&mut block), &expected, 0.0);
    assert!(error < 1e-8, "{error:e}");
    // Vectors there and back.
    let v: Vec<f64> = (0..size).map(|i| i as f64 + 1.0).collect();
    let part = block.part(&v).unwrap();
    assert_eq!(part, kept.iter().map(|&i| v[i]).collect::<Vec<_>>());
    let whole = block.whole(&part).unwrap();
    for (i, value) in whole.iter().enumerate() {
        assert_eq!(*value, if kept.contains(&i) { v[i] } else { 0.0 });
    }
    assert!(block.part(&part).is_err() && block.whole(&v).is_err());
    assert_eq!(block.into_inner().size(), size);

    let nowhere = ParamGroup::from_predicate("nowhere");
    let dense = || DenseOperator::new(&exact, size).unwrap();
    let error = Subset::new(dense(), &space, &nowhere).unwrap_err();
    assert!(matches!(error, SharpnessError::NoParameters));
    let small = DenseOperator::new(&[1.0], 1).unwrap();
    let error = Subset::new(small, &space, &group).unwrap_err();
    assert!(matches!(error, SharpnessError::Length { got: 1, .. }));
}

#[test]
fn diagonals_are_unbiased_with_the_error_that_they_say() {
    let problem = problem();
    let exact = problem.hessian();
    let size = problem.theta.len();
    let mut operator = DenseOperator::new(&exact, size).unwrap();
    let products = 400;
    let estimate = hutchinson_diagonal(&mut operator, products, 7).unwrap();
    assert_eq!(estimate.products, products);
    let mut sum = 0.0;
    for i in 0..size {
        let row = &exact[i * size..(i + 1) * size];
        let variance: f64 = row.iter().map(|v| v * v).sum::<f64>() - row[i] * row[i];
        let error = (variance / products as f64).sqrt();
        let z = (estimate.diagonal[i] - row[i]) / error;
        assert!(z.abs() < 5.0, "entry {i}: {z} standard errors off");
        // Half a dozen deviations of a variance's estimate.
        assert!(
            (estimate.standard_error[i] / error - 1.0).abs() < 0.3,
            "entry {i}"
        );
        sum += z * z;
    }
    // The mean square is near 1: entries are not too good either.
    assert!((0.4..2.5).contains(&(sum / size as f64)), "{sum}");
    let again = hutchinson_diagonal(&mut operator, products, 7).unwrap();
    assert_eq!(again, estimate);
    let other = hutchinson_diagonal(&mut operator, products, 8).unwrap();
    assert_ne!(other.diagonal, estimate.diagonal);

    // XDiag is unbiased too, and nearer: a Gauss-Newton matrix of 7 samples and 3 classes has 14 directions that count.
    let exact = dense_gauss_newton(&problem, OutputLoss::SoftmaxCrossEntropy);
    let mut operator = DenseOperator::new(&exact, size).unwrap();
    let seeds = 200;
    let mut means = vec![0.0; size];
    let [mut own, mut other] = [0.0; 2];
    for seed in 0..seeds {
        let found = xdiag(&mut operator, 24, seed).unwrap();
        assert_eq!(found.products, 24);
        let plain = hutchinson_diagonal(&mut operator, 24, seed).unwrap();
        for i in 0..size {
            let [a, b] = [&found, &plain].map(|it| it.diagonal[i] - exact[i * (size + 1)]);
            (means[i], own, other) = (means[i] + a / seeds as f64, own + a * a, other + b * b);
        }
    }
    assert!(4.0 * own < other, "{own:e} {other:e}");
    let error = (own / seeds as f64 / size as f64 / seeds as f64).sqrt();
    let off: f64 = means.iter().map(|v| (v / error).powi(2)).sum();
    assert!(off / (size as f64) < 2.5, "{off}");
    // Exact where the products span all that the matrix makes.
    let found = xdiag(&mut operator, 2 * size, 0).unwrap();
    for i in 0..size {
        assert!((found.diagonal[i] - exact[i * (size + 1)]).abs() < 1e-9);
    }
    let error = xdiag(&mut operator, 3, 0).unwrap_err();
    assert_eq!(error.to_string(), "products is 3, expected 4 or more");

    // A diagonal matrix is seen exactly.
    let values = [3.0, -1.0, 0.0, 1e-3];
    let mut diagonal = from_fn(4, |v, out| {
        (0..4).for_each(|i| out[i] = values[i] * v[i]);
        Ok(())
    });
    let estimate = hutchinson_diagonal(&mut diagonal, 2, 0).unwrap();
    assert_eq!(estimate.diagonal, values);
    assert_eq!(estimate.standard_error, [0.0; 4]);

    let error = hutchinson_diagonal(&mut diagonal, 1, 0).unwrap_err();
    assert!(matches!(
        error,
        SharpnessError::Option {
            option: "products",
            ..
        }
    ));
    let mut empty = from_fn(0, |_, _| Ok(()));
    assert!(hutchinson_diagonal(&mut empty, 2, 0).is_err());
    let mut broken = from_fn(2, |_, out| {
        out.fill(f64::NAN);
        Ok(())
    });
    let error = hutchinson_diagonal(&mut broken, 2, 0).unwrap_err();
    assert!(matches!(error, SharpnessError::NotFinite { .. }));
}

#[test]
fn the_damped_inverse_is_that_of_the_dense_matrix() {
    let problem = problem();
    let size = problem.theta.len();
    let loss = OutputLoss::SoftmaxCrossEntropy;
    let exact = DenseSpectrum::of_matrix(&dense_gauss_newton(&problem, loss), size).unwrap();
    let v: Vec<f64> = (0..size).map(|i| (1.3 * i as f64).sin()).collect();
    for (dtype, damping, accuracy) in [
        (DType::F64, 0.1, 1e-7),
        (DType::F64, 1e-3, 1e-5),
        (DType::F32, 0.1, 1e-2),
    ] {
        let model = problem.model(&device(), dtype);
        let batch = problem.batch(&device(), dtype);
        let operator = GaussNewton::new(&model, loss, |model: &Mlp| logits(model, &batch)).unwrap();
        let mut inverse = Inverse::new(operator, damping).unwrap();
        let mut found = vec![0.0; size];
        inverse.apply(&v, &mut found).unwrap();
        let mut expected = vec![0.0; size];
        for (i, value) in exact.eigenvalues.iter().enumerate() {
            let u = exact.eigenvector(i);
            let share: f64 = u.iter().zip(&v).map(|(u, v)| u * v).sum();
            let part = expected.iter_mut().zip(u);
            part.for_each(|(x, u)| *x += share * u / (value + damping));
        }
        let error = relative_error(&found, &expected, 0.0);
        assert!(error < accuracy, "{dtype:?} {damping}: {error:e}");
    }
    // At every scale, and where it cannot be.
    let mut small = Inverse::new(DenseOperator::new(&[2.0], 1).unwrap(), 0.0).unwrap();
    for scale in [0.0, 1e-250, 1e250] {
        let mut x = [1.0];
        small.apply(&[scale], &mut x).unwrap();
        assert_eq!(x, [0.5 * scale]);
    }
    assert_eq!((small.size(), small.into_inner().size()), (1, 1));
    let dense = |matrix: &[f64]| DenseOperator::new(matrix, 2).unwrap();
    let refused = |operator: Inverse<DenseOperator>, message: &str| {
        let mut operator = operator;
        let error = operator.apply(&[1.0, 1.0], &mut [0.0; 2]).unwrap_err();
        assert_eq!(error.to_string(), message);
    };
    refused(
        Inverse::new(dense(&[1.0, 0.0, 0.0, -3.0]), 0.5).unwrap(),
        "damping is 0.5, expected more than −λ_min: the damped operator is not positive definite",
    );
    let slow = Inverse::new(dense(&[1.0, 0.0, 0.0, 3.0]), 0.0).unwrap();
    refused(
        slow.clone().with_iterations(1),
        "the conjugate gradients did not converge in 1 steps: the residual is 5.0e-1, expected 1.0e-10",
    );
    let coarse = slow.with_iterations(1).with_tolerance(0.8);
    assert_eq!(coarse.accuracy(), 0.8);
    assert!(coarse.clone().apply(&[1.0, 1.0], &mut [0.0; 2]).is_ok());
    assert!(Inverse::new(dense(&[1.0; 4]), -1.0).is_err());
}

#[test]
fn what_cannot_be_done_is_an_error_in_one_line() {
    let problem = problem();
    let model = problem.model(&device(), DType::F64);
    let batch = problem.batch(&device(), DType::F64);
    let loss = OutputLoss::SoftmaxCrossEntropy;
    let mut product = vec![0.0; problem.theta.len()];
    let v = vec![1.0; problem.theta.len()];

    let error = MonteCarloFisher::new(&model, loss, 0, |model: &Mlp| logits(model, &batch));
    assert!(matches!(
        error.unwrap_err(),
        SharpnessError::Option {
            option: "draws",
            ..
        }
    ));

    // The module does not change, and zero costs nothing.
    let passes = std::cell::Cell::new(0);
    let mut operator = GaussNewton::new(&model, loss, |model: &Mlp| {
        passes.set(passes.get() + 1);
        logits(model, &batch)
    })
    .unwrap();
    operator.apply(&vec![0.0; v.len()], &mut product).unwrap();
    assert_eq!((passes.get(), product.iter().all(|v| *v == 0.0)), (0, true));
    operator.apply(&v, &mut product).unwrap();
    operator.apply(&v, &mut product).unwrap();
    // The first product repeats a pass.
    assert_eq!(passes.get(), 7);
    let error = operator.apply(&v[1..], &mut product).unwrap_err();
    assert!(matches!(error, SharpnessError::Length { .. }));
    let error = operator
        .apply(&vec![f64::NAN; v.len()], &mut product)
        .unwrap_err();
    assert!(matches!(error, SharpnessError::NotFinite { .. }));

    // Outputs that change from call to call, or depend on nothing.
    let calls = std::cell::Cell::new(1.0);
    let mut operator = GaussNewton::new(&model, loss, |model: &Mlp| {
        calls.set(calls.get() + 1.0);
        logits(model, &batch) * calls.get()
    })
    .unwrap();
    let error = operator.apply(&v, &mut product).unwrap_err();
    assert!(matches!(error, SharpnessError::NotRepeatable { .. }));
    let mut operator = GaussNewton::new(&model, loss, |_: &Mlp| {
        Tensor::zeros([2, 3], (&device(), DType::F64))
    })
    .unwrap();
    let error = operator.apply(&v, &mut product).unwrap_err();
    assert!(matches!(error, SharpnessError::Untracked { .. }), "{error}");
    let none: [Result<Batch, SharpnessError>; 0] = [];
    let mut operator = GaussNewton::of_batches(&model, loss, || none.clone(), logits).unwrap();
    let error = operator.apply(&v, &mut product).unwrap_err();
    assert!(matches!(
        error,
        SharpnessError::Option {
            option: "samples",
            ..
        }
    ));
    let plain = problem.model(&Device::flex(), DType::F64);
    let error = GaussNewton::new(&plain, loss, |model: &Mlp| logits(model, &batch)).unwrap_err();
    assert!(matches!(error, SharpnessError::PlainDevice));
}
