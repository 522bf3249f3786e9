//! Frozen weights and biases are no part of the Hessian: everything is what the full network's Hessian gives where its
//! rows and columns are left out.

mod common;

use common::{Case, Numbers, gradient_by_differences, random_case, relative_error, varied_cases};
use hsr_core::depth::{BlockId, DeepEvaluation, DeepWorkspace, FeedForward, LayerShape, Objective};
use hsr_core::{Activation, LanczosOptions, OutputLoss};

const OBJECTIVES: [Objective; 7] = [
    Objective::LambdaSup,
    Objective::LambdaBlock,
    Objective::LambdaDiagonal,
    Objective::Layer(0),
    Objective::GaussNewton,
    Objective::Trace,
    Objective::Frobenius,
];

/// The varied networks, each with every kind of frozen layer where it has layers for it: one frozen whole (each in its
/// turn), one with its bias alone, one with its weight alone.
fn frozen_cases() -> Vec<Case<f64>> {
    let mut cases = Vec::new();
    for case in varied_cases() {
        let depth = case.shapes.len();
        for at in 0..depth {
            let mut shapes = case.shapes.clone();
            shapes[at] = shapes[at].frozen();
            // The next ones lose one half each.
            let next = (at + 1) % depth;
            shapes[next] = if at % 2 == 0 {
                shapes[next].with_frozen_weight()
            } else {
                shapes[next].with_frozen_bias()
            };
            let mut whole = case.shapes.clone();
            whole[at] = whole[at].frozen();
            for shapes in [shapes, whole] {
                if shapes.iter().any(|shape| shape.parameters() > 0) {
                    cases.push(Case {
                        shapes,
                        ..case.clone()
                    });
                }
            }
        }
    }
    assert!(cases.len() > 30, "{}", cases.len());
    cases
}

/// Where the parameters stand in θ.
fn places(network: &FeedForward<f64>) -> Vec<usize> {
    let mut places = vec![0; network.parameters()];
    for l in 0..network.depth() {
        let (own, all) = (network.layout(l), network.value_layout(l));
        for (own, all) in [(own.weight, all.weight), (own.bias, all.bias)] {
            assert!(own.is_empty() || own.len() == all.len());
            for (own, all) in own.zip(all) {
                places[own] = all;
            }
        }
    }
    places
}

/// θ with these values of the parameters.
fn with_parameters(case: &Case<f64>, places: &[usize], values: &[f64]) -> Vec<f64> {
    let mut theta = case.theta.clone();
    for (&at, &value) in places.iter().zip(values) {
        theta[at] = value;
    }
    theta
}

#[test]
fn the_hessian_and_its_moments_are_the_restricted_ones() {
    for case in frozen_cases() {
        let shapes: Vec<_> = case
            .shapes
            .iter()
            .map(|&shape| LayerShape {
                weight_frozen: false,
                bias_frozen: false,
                ..shape
            })
            .collect();
        let whole = Case {
            shapes,
            ..case.clone()
        };
        let mut workspace = DeepWorkspace::new();
        let size = whole.parameters();
        let mut full = vec![0.0; size * size];
        workspace
            .hessian(&whole.network(), &whole.batch(), &mut full)
            .unwrap();

        let (network, batch) = (case.network(), case.batch());
        let places = places(&network);
        let own = network.parameters();
        assert!(own < size);
        let restricted: Vec<f64> = places
            .iter()
            .flat_map(|&i| places.iter().map(move |&j| (i, j)))
            .map(|(i, j)| full[i * size + j])
            .collect();
        let mut hessian = vec![0.0; own * own];
        workspace.hessian(&network, &batch, &mut hessian).unwrap();
        let error = relative_error(&hessian, &restricted, 0.0);
        assert!(error < 1e-13, "{:?}: H {error:e}", case.shapes);

        let ranges: Vec<_> = (0..network.depth())
            .map(|l| network.layout(l).all())
            .collect();
        for evaluation in [DeepEvaluation::Gram, DeepEvaluation::Assembled] {
            let bounds = workspace.bounds(&network, &batch, &evaluation).unwrap();
            let moments = &bounds.moments;
            let squares: Vec<f64> = BlockId::every(network.depth())
                .map(|id| {
                    let columns = ranges[id.column].clone();
                    ranges[id.row]
                        .clone()
                        .flat_map(|i| columns.clone().map(move |j| (i, j)))
                        .map(|(i, j)| restricted[i * own + j].powi(2))
                        .sum()
                })
                .collect();
            let got: Vec<f64> = BlockId::every(network.depth())
                .map(|id| moments.block(id))
                .collect();
            let error = relative_error(&got, &squares, 0.0);
            assert!(error < 1e-12, "{:?}: q {error:e}", case.shapes);
            let trace: f64 = (0..own).map(|i| restricted[i * (own + 1)]).sum();
            let scale = squares.iter().sum::<f64>().sqrt();
            assert!((moments.total().trace - trace).abs() < 1e-12 * scale);
            assert_eq!(moments.total().parameters, own);
            assert!(bounds.lambda_block <= bounds.whole.lambda_sup + 1e-12 * scale);

            let part = workspace
                .gauss_newton(&network, &batch, &evaluation)
                .unwrap();
            let top = workspace
                .gauss_newton_lambda_max(&network, &batch, &LanczosOptions::default())
                .unwrap();
            let of_part = part.bounds.whole;
            assert!(top <= of_part.lambda_sup + 1e-12 * scale);
            assert!(top >= of_part.lambda_max_lower - 1e-12 * scale);
        }
    }
}

#[test]
fn gradients_are_those_of_differences_in_what_is_not_frozen() {
    for case in frozen_cases() {
        let (network, batch, shapes) = (case.network(), case.batch(), &case.shapes);
        let places = places(&network);
        let point: Vec<f64> = places.iter().map(|&at| case.theta[at]).collect();
        let moved = |values: &[f64]| with_parameters(&case, &places, values);
        let mut workspace = DeepWorkspace::new();
        let (mut gradient, mut inputs) = (vec![0.0; point.len()], vec![0.0; case.x.len()]);
        let mut scratch = gradient.clone();

        workspace
            .loss_gradient(&network, &batch, &mut gradient, Some(&mut inputs))
            .unwrap();
        let expected = gradient_by_differences(&point, 1e-3, |values| {
            let theta = moved(values);
            let network = FeedForward::from_flat(shapes, &theta).unwrap();
            workspace.loss(&network, &batch).unwrap()
        });
        let error = relative_error(&gradient, &expected, 1e-6);
        assert!(error < 1e-8, "{shapes:?}: ∂L/∂θ {error:e}");

        let mut numbers = Numbers::new(3);
        let (p, v) = (numbers.vector(point.len()), numbers.vector(point.len()));
        let mut hv = gradient.clone();
        let mut bilinear = |theta: &[f64], x: &[f64], gradient: &mut [f64], inputs: &mut [f64]| {
            let network = FeedForward::from_flat(shapes, theta).unwrap();
            let case = Case {
                x: x.to_vec(),
                ..case.clone()
            };
            workspace
                .bilinear_gradient(
                    &network,
                    &case.batch(),
                    &p,
                    &v,
                    Some(&mut hv),
                    gradient,
                    Some(inputs),
                )
                .unwrap()
        };
        let mut nothing = inputs.clone();
        bilinear(&case.theta, &case.x, &mut gradient, &mut inputs);
        let by_theta = gradient_by_differences(&point, 1e-3, |values| {
            bilinear(&moved(values), &case.x, &mut scratch, &mut nothing)
        });
        let error = relative_error(&gradient, &by_theta, 1e-6);
        assert!(error < 1e-7, "{shapes:?}: ∂(pᵀHv)/∂θ {error:e}");
        let by_x = gradient_by_differences(&case.x, 1e-3, |x| {
            bilinear(&case.theta, x, &mut scratch, &mut nothing)
        });
        let error = relative_error(&inputs, &by_x, 1e-6);
        assert!(error < 1e-7, "{shapes:?}: ∂(pᵀHv)/∂x {error:e}");

        for evaluation in [DeepEvaluation::Gram, DeepEvaluation::Assembled] {
            for objective in OBJECTIVES {
                workspace
                    .objective_gradient(
                        &network,
                        &batch,
                        objective,
                        &evaluation,
                        &mut gradient,
                        Some(&mut inputs),
                    )
                    .unwrap();
                let mut value = |theta: &[f64], x: &[f64]| {
                    let network = FeedForward::from_flat(shapes, theta).unwrap();
                    let case = Case {
                        x: x.to_vec(),
                        ..case.clone()
                    };
                    workspace
                        .objective_gradient(
                            &network,
                            &case.batch(),
                            objective,
                            &evaluation,
                            &mut scratch,
                            None,
                        )
                        .unwrap()
                };
                let by_theta =
                    gradient_by_differences(&point, 1e-3, |values| value(&moved(values), &case.x));
                let error = relative_error(&gradient, &by_theta, 1e-5);
                let at = format!("{shapes:?}, {evaluation:?}, {objective:?}");
                assert!(error < 1e-6, "{at}: by θ {error:e}");
                let by_x = gradient_by_differences(&case.x, 1e-3, |x| value(&case.theta, x));
                let error = relative_error(&inputs, &by_x, 1e-5);
                assert!(error < 1e-6, "{at}: by x {error:e}");
            }
        }
    }
}

#[test]
fn a_linear_head_behind_a_frozen_identity_is_the_head_alone() {
    let head = random_case(
        &[LayerShape::new(4, 3)],
        OutputLoss::SoftmaxCrossEntropy,
        9,
        1.0,
        7,
    );
    let identity = (0..16).map(|i| if i % 5 == 0 { 1.0 } else { 0.0 });
    let behind = Case {
        shapes: vec![
            LayerShape::new(4, 4)
                .with_activation(Activation::Identity)
                .frozen(),
            head.shapes[0],
        ],
        theta: identity
            .chain([0.0; 4])
            .chain(head.theta.iter().copied())
            .collect(),
        ..head.clone()
    };
    let evaluate = |case: &Case<f64>| {
        let (network, batch) = (case.network(), case.batch());
        let (mut gradient, mut inputs) = (vec![0.0; network.parameters()], vec![0.0; case.x.len()]);
        let mut workspace = DeepWorkspace::new();
        let bounds = workspace
            .bounds(&network, &batch, &DeepEvaluation::Auto)
            .unwrap();
        let value = workspace
            .objective_gradient(
                &network,
                &batch,
                Objective::LambdaSup,
                &DeepEvaluation::Auto,
                &mut gradient,
                Some(&mut inputs),
            )
            .unwrap();
        assert_eq!(bounds.whole.lambda_sup, value);
        ([value, bounds.lambda_block], gradient, inputs)
    };
    let (alone, behind) = (evaluate(&head), evaluate(&behind));
    assert!(relative_error(&behind.0, &alone.0, 0.0) < 1e-14);
    assert!(relative_error(&behind.1, &alone.1, 0.0) < 1e-14);
    assert!(relative_error(&behind.2, &alone.2, 0.0) < 1e-14);
}

#[test]
fn a_network_without_parameters_is_refused() {
    let shapes = [LayerShape::new(2, 2).frozen()];
    let error = FeedForward::<f64>::from_flat(&shapes, &[0.0; 6]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the number of parameters that are not frozen is 0, expected at least 1"
    );
}
