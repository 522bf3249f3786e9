//! Exact gradients at L = 1…5 against finite differences and against the sum of ∇(pᵀHv) over unit vectors, which shares
//! nothing with the blocks; moments against the dense Hessian.

mod common;

use core::num::NonZeroUsize;

use common::{Case, gradient_by_differences, random_case, relative_error, varied_cases};
use hsr_core::depth::{BlockId, DeepEvaluation, DeepWorkspace, FeedForward, LayerShape, Objective};
use hsr_core::{Activation, OutputLoss};

const OBJECTIVES: [Objective; 7] = [
    Objective::LambdaSup,
    Objective::LambdaBlock,
    Objective::LambdaDiagonal,
    Objective::Layer(0),
    Objective::GaussNewton,
    Objective::Trace,
    Objective::Frobenius,
];

#[test]
fn moments_are_those_of_the_dense_hessian() {
    for case in varied_cases() {
        let (network, batch) = (case.network(), case.batch());
        let size = case.parameters();
        let mut workspace = DeepWorkspace::new();
        let mut hessian = vec![0.0; size * size];
        workspace.hessian(&network, &batch, &mut hessian).unwrap();
        let ranges: Vec<_> = (0..network.depth())
            .map(|l| network.layout(l).all())
            .collect();
        for evaluation in [DeepEvaluation::Gram, DeepEvaluation::Assembled] {
            let moments = workspace.moments(&network, &batch, &evaluation).unwrap();
            for id in BlockId::every(network.depth()) {
                let (rows, columns) = (ranges[id.row].clone(), ranges[id.column].clone());
                let square: f64 = rows
                    .flat_map(|i| columns.clone().map(move |j| (i, j)))
                    .map(|(i, j)| hessian[i * size + j].powi(2))
                    .sum();
                let error = relative_error(&[moments.block(id)], &[square], 0.0);
                assert!(error < 1e-11, "{id:?}, {evaluation:?}: {error:e}");
            }
            for (l, range) in ranges.iter().enumerate() {
                let trace: f64 = range.clone().map(|i| hessian[i * (size + 1)]).sum();
                let scale = moments
                    .traces
                    .iter()
                    .fold(0.0, |max: f64, t| max.max(t.abs()));
                assert!((moments.traces[l] - trace).abs() < 1e-12 * scale);
            }
        }
    }
}

#[test]
fn gradients_of_every_objective_agree_with_differences() {
    for case in varied_cases() {
        let (network, batch, shapes) = (case.network(), case.batch(), &case.shapes);
        let depth = shapes.len();
        let mut workspace = DeepWorkspace::new();
        let (mut gradient, mut inputs) = (vec![0.0; case.parameters()], vec![0.0; case.x.len()]);
        let mut scratch = gradient.clone();
        for objective in OBJECTIVES {
            let evaluation = DeepEvaluation::Auto;
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
            let mut value = |network: &FeedForward<f64>, batch: &hsr_core::Batch<f64>| {
                workspace
                    .objective_gradient(network, batch, objective, &evaluation, &mut scratch, None)
                    .unwrap()
            };
            let by_theta = gradient_by_differences(&case.theta, 1e-3, |theta| {
                value(&FeedForward::from_flat(shapes, theta).unwrap(), &batch)
            });
            let error = relative_error(&gradient, &by_theta, 0.0);
            assert!(error < 1e-7, "L = {depth}: ∂{objective:?}/∂θ {error:e}");
            let by_x = gradient_by_differences(&case.x, 1e-3, |x| {
                let moved = Case {
                    x: x.to_vec(),
                    ..case.clone()
                };
                value(&network, &moved.batch())
            });
            let error = relative_error(&inputs, &by_x, 1e-6);
            assert!(error < 1e-7, "L = {depth}: ∂{objective:?}/∂x {error:e}");
        }
    }
}

#[test]
fn the_sum_of_bilinear_gradients_over_unit_vectors_is_the_gradient() {
    // ∇t = Σ_i ∇(eᵢᵀHeᵢ) and ∇q = 2 Σ_i ∇(pᵢᵀHeᵢ) with pᵢ = Heᵢ fixed.
    for case in varied_cases() {
        let (network, batch) = (case.network(), case.batch());
        let (size, width) = (case.parameters(), case.x.len());
        let mut workspace = DeepWorkspace::new();
        let mut sums = [
            vec![0.0; size],
            vec![0.0; width],
            vec![0.0; size],
            vec![0.0; width],
        ];
        let (mut gradient, mut inputs) = (vec![0.0; size], vec![0.0; width]);
        let (mut unit, mut column) = (vec![0.0; size], vec![0.0; size]);
        for i in 0..size {
            unit[i] = 1.0;
            workspace
                .hessian_vector_product(&network, &batch, &unit, &mut column)
                .unwrap();
            for (at, p, factor) in [(0, &unit, 1.0), (2, &column, 2.0)] {
                workspace
                    .bilinear_gradient(
                        &network,
                        &batch,
                        p,
                        &unit,
                        None,
                        &mut gradient,
                        Some(&mut inputs),
                    )
                    .unwrap();
                for (sum, values) in [(at, &gradient), (at + 1, &inputs)] {
                    for (sum, value) in sums[sum].iter_mut().zip(values) {
                        *sum += factor * value;
                    }
                }
            }
            unit[i] = 0.0;
        }
        for evaluation in [DeepEvaluation::Gram, DeepEvaluation::Assembled] {
            let mut run = |objective| {
                let value = workspace
                    .objective_gradient(
                        &network,
                        &batch,
                        objective,
                        &evaluation,
                        &mut gradient,
                        Some(&mut inputs),
                    )
                    .unwrap();
                (value, gradient.clone(), inputs.clone())
            };
            let (_, of_theta, of_x) = run(Objective::Trace);
            let error =
                relative_error(&of_theta, &sums[0], 0.0).max(relative_error(&of_x, &sums[1], 1e-6));
            assert!(error < 1e-11, "∇t: {error:e}");
            let (norm, of_theta, of_x) = run(Objective::Frobenius);
            // ∇q = 2‖H‖∇‖H‖.
            let scaled = |values: Vec<f64>| -> Vec<f64> {
                values.into_iter().map(|v| 2.0 * norm * v).collect()
            };
            let error = relative_error(&scaled(of_theta), &sums[2], 0.0).max(relative_error(
                &scaled(of_x),
                &sums[3],
                0.0,
            ));
            assert!(error < 1e-11, "∇q: {error:e}");
        }
    }
}

#[test]
fn loss_and_objective_together_are_what_they_are_apart() {
    for case in varied_cases() {
        let (network, batch) = (case.network(), case.batch());
        let mut workspace = DeepWorkspace::new();
        let zeros = vec![0.0; case.parameters()];
        let [mut loss_alone, mut alone, mut loss_together, mut together] =
            [(); 4].map(|()| zeros.clone());
        let (objective, evaluation) = (Objective::LambdaSup, DeepEvaluation::Auto);
        let loss = workspace
            .loss_gradient(&network, &batch, &mut loss_alone, None)
            .unwrap();
        let value = workspace
            .objective_gradient(&network, &batch, objective, &evaluation, &mut alone, None)
            .unwrap();
        let both = workspace
            .loss_and_objective_gradient(
                &network,
                &batch,
                objective,
                &evaluation,
                &mut loss_together,
                &mut together,
                None,
            )
            .unwrap();
        assert_eq!(both, (loss, value));
        assert_eq!(alone, together);
        // One goes through r/σ.
        assert!(relative_error(&loss_together, &loss_alone, 0.0) < 1e-15);
    }
}

#[test]
fn the_operator_of_one_layer_is_its_block() {
    for case in varied_cases() {
        let (network, batch) = (case.network(), case.batch());
        let size = case.parameters();
        let mut workspace = DeepWorkspace::new();
        let mut hessian = vec![0.0; size * size];
        workspace.hessian(&network, &batch, &mut hessian).unwrap();
        for layer in 0..network.depth() {
            let range = network.layout(layer).all();
            let v = common::Numbers::new(3).vector(size);
            let mut operator = workspace
                .linearize(&network, &batch)
                .unwrap()
                .of_layer(layer);
            let mut product = vec![0.0; size];
            operator.apply(&v, &mut product).unwrap();
            let expected: Vec<f64> = (0..size)
                .map(|i| {
                    let inside = range.contains(&i);
                    let row = |j: usize| hessian[i * size + j] * v[j];
                    if inside {
                        range.clone().map(row).sum()
                    } else {
                        0.0
                    }
                })
                .collect();
            assert!(relative_error(&product, &expected, 0.0) < 1e-12);
        }
    }
}

#[test]
fn a_batch_in_shards_is_the_batch_over_pairs() {
    // Blocks that are formed are divided by samples here, sums over pairs never are.
    let tanh = |inputs, outputs| LayerShape::new(inputs, outputs).with_activation(Activation::Tanh);
    let plain = [
        tanh(3, 8),
        tanh(8, 8).with_residual(),
        LayerShape::new(8, 3),
    ];
    let frozen = [
        tanh(3, 8).with_frozen_bias(),
        tanh(8, 8).frozen(),
        LayerShape::new(8, 3),
    ];
    for shapes in [&plain, &frozen] {
        for loss in [
            OutputLoss::SoftmaxCrossEntropy,
            OutputLoss::SigmoidCrossEntropy,
            OutputLoss::MeanSquaredError,
        ] {
            // 64 and more samples a shard, none of them whole registers at the end.
            let mut case = random_case(&plain, loss, 331, 0.9, 5);
            case.shapes = shapes.to_vec();
            let masks = common::Numbers::new(6).vector(331 * 3);
            let masks: Vec<f64> = masks.into_iter().map(f64::abs).collect();
            let network = case.network();
            let mut batch = case.batch();
            if loss == OutputLoss::MeanSquaredError {
                batch = batch.with_output_weights(&masks);
            }
            for objective in OBJECTIVES {
                let of = |evaluation: &DeepEvaluation| {
                    let mut gradient = vec![0.0; network.parameters()];
                    let mut inputs = vec![0.0; case.x.len()];
                    let value = DeepWorkspace::new()
                        .objective_gradient(
                            &network,
                            &batch,
                            objective,
                            evaluation,
                            &mut gradient,
                            Some(&mut inputs),
                        )
                        .unwrap();
                    (value, gradient, inputs)
                };
                let (value, gradient, inputs) = of(&DeepEvaluation::Assembled);
                let expected = of(&DeepEvaluation::Gram);
                let error = relative_error(&[value], &[expected.0], 0.0)
                    .max(relative_error(&gradient, &expected.1, 0.0))
                    .max(relative_error(&inputs, &expected.2, 0.0));
                assert!(error < 1e-11, "{loss:?}, {objective:?}: {error:e}");
            }
        }
    }
}

#[test]
fn results_are_the_same_to_the_bit_on_any_number_of_threads() {
    // Large enough for an evaluation to be divided: one among threads by blocks, one into shards of samples.
    let layer = |inputs: usize, outputs: usize, activation| {
        LayerShape::new(inputs, outputs).with_activation(activation)
    };
    for (width, samples) in [(16, 96), (8, 270)] {
        let shapes = [
            layer(5, width, Activation::Silu),
            layer(width, width, Activation::Tanh).with_residual(),
            layer(width, width, Activation::Tanh),
            LayerShape::new(width, 4),
        ];
        let case = random_case(&shapes, OutputLoss::SoftmaxCrossEntropy, samples, 0.9, 7);
        let (network, batch) = (case.network(), case.batch());
        for objective in OBJECTIVES {
            let with_threads = |threads: usize| {
                let mut workspace =
                    DeepWorkspace::new().with_threads(NonZeroUsize::new(threads).unwrap());
                let [mut of_loss, mut gradient] = [(); 2].map(|()| vec![0.0; case.parameters()]);
                let mut inputs = vec![0.0; case.x.len()];
                let values = workspace
                    .loss_and_objective_gradient(
                        &network,
                        &batch,
                        objective,
                        &DeepEvaluation::Auto,
                        &mut of_loss,
                        &mut gradient,
                        Some(&mut inputs),
                    )
                    .unwrap();
                let bounds = workspace.bounds(&network, &batch, &DeepEvaluation::Auto);
                (values, of_loss, gradient, inputs, bounds)
            };
            let alone = with_threads(1);
            for threads in [2, 3, 8] {
                assert_eq!(alone, with_threads(threads), "{objective:?}, {threads}");
            }
        }
    }
}
