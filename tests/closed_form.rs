//! The closed form against the golden cases, in f64 and f32 and under both evaluations.

use hsr_core::depth::{DeepEvaluation, DeepWorkspace, FeedForward, Layer, Objective};
use hsr_core::{Batch, Error, Evaluation, Network, Targets, Workspace};
use hsr_tests::golden::{Golden, cases};
use hsr_tests::relative_error;

const EVALUATIONS: [Evaluation; 3] = [Evaluation::Assembled, Evaluation::Gram, Evaluation::Auto];

#[test]
fn loss_and_its_gradient_equal_the_golden_ones() {
    let mut workspace = Workspace::new();
    for case in cases() {
        let mut gradient = vec![0.0; case.parameters];
        let loss = workspace
            .loss_gradient(&case.network(), &case.batch(), &mut gradient)
            .unwrap();
        assert!(
            relative_error(&[loss], &[case.loss], 0.0) < 1e-10,
            "{}",
            case.name
        );
        assert_eq!(
            workspace.loss(&case.network(), &case.batch()).unwrap(),
            loss
        );
        let error = relative_error(&gradient, &case.loss_grad, 0.0);
        assert!(error < 1e-10, "{}: {error:e}", case.name);
    }
}

#[test]
fn loss_and_bounds_with_both_gradients_equal_the_golden_ones() {
    let mut workspace = Workspace::new();
    for case in cases() {
        for evaluation in EVALUATIONS {
            let mut of_loss = vec![f64::NAN; case.parameters];
            let mut of_bound = vec![f64::NAN; case.parameters];
            let mut inputs = vec![f64::NAN; case.x.len()];
            let (loss, bounds) = workspace
                .loss_and_bounds_gradient(
                    &case.network(),
                    &case.batch(),
                    evaluation,
                    &mut of_loss,
                    &mut of_bound,
                    Some(&mut inputs),
                )
                .unwrap();
            for (ours, golden) in [
                (
                    &[loss, bounds.lambda_sup][..],
                    &[case.loss, case.lambda_sup][..],
                ),
                (&of_loss, &case.loss_grad),
                (&of_bound, &case.grad),
                (&inputs, &case.input_grad),
            ] {
                let error = relative_error(ours, golden, 0.0);
                assert!(error < 1e-10, "{} {evaluation:?}: {error:e}", case.name);
            }
        }
    }
}

#[test]
fn bounds_equal_the_golden_ones_under_every_evaluation() {
    let mut workspace = Workspace::new();
    for case in cases() {
        for evaluation in EVALUATIONS {
            let b = workspace
                .bounds(&case.network(), &case.batch(), evaluation)
                .unwrap();
            let ours = [
                b.moments.trace,
                b.moments.frobenius_squared,
                b.mean,
                b.std,
                b.lambda_sup,
                b.lambda_inf,
                b.lambda_max_lower,
                b.lambda_min_upper,
                b.spread_upper,
            ];
            let parameters = case.parameters as f64;
            let golden = [
                case.trace,
                case.frobenius_squared,
                case.mean,
                case.std,
                case.lambda_sup,
                case.lambda_inf,
                case.lambda_max_lower,
                case.lambda_min_upper,
                case.std * (2.0 * parameters).sqrt(),
            ];
            for (ours, golden) in ours.iter().zip(golden) {
                let error = relative_error(&[*ours], &[golden], 1e-6 * case.lambda_sup);
                assert!(error < 1e-10, "{} {evaluation:?}: {error:e}", case.name);
            }
        }
    }
}

#[test]
fn gradients_of_the_bound_equal_the_golden_ones_under_every_evaluation() {
    let mut workspace = Workspace::new();
    for case in cases() {
        for evaluation in EVALUATIONS {
            for with_inputs in [true, false] {
                let mut gradient = vec![f64::NAN; case.parameters];
                let mut inputs = vec![f64::NAN; case.x.len()];
                let bounds = workspace
                    .bounds_gradient(
                        &case.network(),
                        &case.batch(),
                        evaluation,
                        &mut gradient,
                        with_inputs.then_some(&mut inputs[..]),
                    )
                    .unwrap();
                let name = format!("{} {evaluation:?}", case.name);
                let error = relative_error(&[bounds.lambda_sup], &[case.lambda_sup], 0.0);
                assert!(error < 1e-10, "{name}: {error:e}");
                let error = relative_error(&gradient, &case.grad, 0.0);
                assert!(error < 1e-10, "{name}: gradient {error:e}");
                if with_inputs {
                    let error = relative_error(&inputs, &case.input_grad, 0.0);
                    assert!(error < 1e-10, "{name}: input gradient {error:e}");
                }
            }
        }
    }
}

struct Single {
    layers: [Vec<f32>; 4],
    x: Vec<f32>,
    y: Vec<f32>,
    weights: Vec<f32>,
}

impl Single {
    fn new(case: &Golden) -> Self {
        let cast = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
        Self {
            layers: [
                cast(&case.hidden_weight),
                cast(case.hidden_bias_values.as_deref().unwrap_or_default()),
                cast(&case.output_weight),
                cast(case.output_bias_values.as_deref().unwrap_or_default()),
            ],
            x: cast(&case.x),
            y: cast(&case.y),
            weights: cast(&case.sample_weights),
        }
    }
}

#[test]
fn single_precision_agrees_to_1e_4() {
    let mut workspace = Workspace::<f32>::new();
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    for case in cases() {
        let single = Single::new(&case);
        let [w1, b1, w2, b2] = &single.layers;
        let network = Network::new(
            case.dimensions(),
            case.activation(),
            w1,
            case.hidden_bias_values.is_some().then_some(&b1[..]),
            w2,
            case.output_bias_values.is_some().then_some(&b2[..]),
        )
        .unwrap();
        let batch = Batch::new(case.loss_kind(), &single.x, Targets::Values(&single.y))
            .with_sample_weights(&single.weights);
        for evaluation in EVALUATIONS {
            let mut gradient = vec![0.0; case.parameters];
            let mut inputs = vec![0.0; case.x.len()];
            let bounds = workspace
                .bounds_gradient(
                    &network,
                    &batch,
                    evaluation,
                    &mut gradient,
                    Some(&mut inputs),
                )
                .unwrap();
            let name = format!("{} {evaluation:?}", case.name);
            let error = relative_error(&[f64::from(bounds.lambda_sup)], &[case.lambda_sup], 0.0);
            assert!(error < 1e-4, "{name}: {error:e}");
            let error = relative_error(&wide(&gradient), &case.grad, 0.0);
            assert!(error < 1e-4, "{name}: gradient {error:e}");
            let error = relative_error(&wide(&inputs), &case.input_grad, 0.0);
            assert!(error < 1e-4, "{name}: input gradient {error:e}");
        }
    }
}

#[test]
fn hessian_vector_products_equal_the_golden_ones() {
    let mut workspace = Workspace::new();
    for case in cases() {
        let mut product = vec![0.0; case.parameters];
        workspace
            .hessian_vector_product(&case.network(), &case.batch(), &case.v, &mut product)
            .unwrap();
        let error = relative_error(&product, &case.hessian_vector_product, 0.0);
        assert!(error < 1e-10, "{}: {error:e}", case.name);
    }
}

#[test]
fn a_network_of_two_layers_at_any_depth_equals_the_golden_ones() {
    let mut workspace = DeepWorkspace::new();
    for case in cases() {
        let hidden_bias = case.hidden_bias_values.as_deref();
        let output_bias = case.output_bias_values.as_deref();
        let network = FeedForward::new([
            Layer::new(case.inputs, case.hidden, &case.hidden_weight, hidden_bias)
                .with_activation(case.activation()),
            Layer::new(case.hidden, case.outputs, &case.output_weight, output_bias),
        ])
        .unwrap();
        let batch = case.batch();
        for evaluation in [
            DeepEvaluation::Assembled,
            DeepEvaluation::Gram,
            DeepEvaluation::Auto,
        ] {
            let mut of_loss = vec![f64::NAN; case.parameters];
            let mut of_bound = vec![f64::NAN; case.parameters];
            let mut inputs = vec![f64::NAN; case.x.len()];
            let (loss, lambda_sup) = workspace
                .loss_and_objective_gradient(
                    &network,
                    &batch,
                    Objective::LambdaSup,
                    &evaluation,
                    &mut of_loss,
                    &mut of_bound,
                    Some(&mut inputs),
                )
                .unwrap();
            for (ours, golden) in [
                (&[loss, lambda_sup][..], &[case.loss, case.lambda_sup][..]),
                (&of_loss, &case.loss_grad),
                (&of_bound, &case.grad),
                (&inputs, &case.input_grad),
            ] {
                let error = relative_error(ours, golden, 0.0);
                assert!(error < 1e-10, "{} {evaluation:?}: {error:e}", case.name);
            }
        }
        let mut product = vec![0.0; case.parameters];
        workspace
            .hessian_vector_product(&network, &batch, &case.v, &mut product)
            .unwrap();
        let error = relative_error(&product, &case.hessian_vector_product, 0.0);
        assert!(error < 1e-10, "{}: {error:e}", case.name);
    }
}

#[test]
fn dense_hessian_has_the_golden_moments_and_products() {
    let mut workspace = Workspace::new();
    for case in cases() {
        let size = case.parameters;
        let mut hessian = vec![0.0; size * size];
        workspace
            .hessian(&case.network(), &case.batch(), &mut hessian)
            .unwrap();
        let trace: f64 = (0..size).map(|i| hessian[i * size + i]).sum();
        let norm: f64 = hessian.iter().map(|v| v * v).sum();
        assert!(
            relative_error(&[trace], &[case.trace], 0.0) < 1e-10,
            "{}",
            case.name
        );
        assert!(
            relative_error(&[norm], &[case.frobenius_squared], 0.0) < 1e-10,
            "{}",
            case.name
        );
        let product: Vec<f64> = hessian
            .chunks(size)
            .map(|row| row.iter().zip(&case.v).map(|(h, v)| h * v).sum())
            .collect();
        let error = relative_error(&product, &case.hessian_vector_product, 0.0);
        assert!(error < 1e-10, "{}: {error:e}", case.name);
        for i in 0..size {
            for j in 0..i {
                assert_eq!(hessian[i * size + j], hessian[j * size + i]);
            }
        }
    }
}

#[test]
fn gauss_newton_share_equals_that_of_the_dense_parts() {
    // For the identity with a squared error, the residual terms c vanish but R does not: the share is below 1. With
    // exact targets the residuals vanish and H is its own Gauss-Newton part.
    let mut workspace = Workspace::new();
    for case in cases() {
        let mut shares = EVALUATIONS.map(|evaluation| {
            workspace
                .gauss_newton_share(&case.network(), &case.batch(), evaluation)
                .unwrap()
        });
        assert!(
            (0.0..=1.0).contains(&shares[0]),
            "{}: {shares:?}",
            case.name
        );
        shares.sort_by(f64::total_cmp);
        assert!(shares[2] - shares[0] < 1e-10, "{}: {shares:?}", case.name);
    }
    let case = cases()
        .into_iter()
        .find(|case| case.loss_kind == "mse")
        .unwrap();
    let outputs = outputs_of(&case);
    let batch = Batch::new(case.loss_kind(), &case.x, Targets::Values(&outputs));
    let share = workspace
        .gauss_newton_share(&case.network(), &batch, Evaluation::Auto)
        .unwrap();
    assert!(1.0 - share < 1e-12, "{share}");
}

/// The network's outputs, computed the plain way.
fn outputs_of(case: &Golden) -> Vec<f64> {
    let mut outputs = Vec::new();
    for x in case.x.chunks(case.inputs) {
        let hidden: Vec<f64> = (0..case.hidden)
            .map(|j| {
                let row = &case.hidden_weight[j * case.inputs..(j + 1) * case.inputs];
                let bias = case.hidden_bias_values.as_ref().map_or(0.0, |b| b[j]);
                let z = bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
                case.activation().derivatives(z)[0]
            })
            .collect();
        for k in 0..case.outputs {
            let row = &case.output_weight[k * case.hidden..(k + 1) * case.hidden];
            let bias = case.output_bias_values.as_ref().map_or(0.0, |b| b[k]);
            outputs.push(bias + row.iter().zip(&hidden).map(|(w, a)| w * a).sum::<f64>());
        }
    }
    outputs
}

#[test]
fn a_missing_bias_in_the_wrong_place_is_an_error() {
    let case = &cases()[0];
    let error = Network::new(
        case.dimensions(),
        case.activation(),
        &case.hidden_weight,
        None,
        &case.output_weight,
        case.output_bias_values.as_deref(),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Length {
                what: "hidden.bias",
                got: 0,
                ..
            }
        ),
        "{error}"
    );
}
