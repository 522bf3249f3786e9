//! The Hessian at L = 1…5 against hyper-dual numbers, which know the network and nothing of any formula here.

mod common;
#[path = "../../../tests/hyper_dual.rs"]
#[allow(dead_code)] // The tests of the workspace use the rest.
mod hyper_dual;

use common::{Case, random_case, relative_error};
use hsr_core::depth::{DeepEvaluation, DeepWorkspace, LayerShape};
use hsr_core::{Activation, OutputLoss, SpectralBounds};
use hyper_dual::HyperDual;

fn constant(value: f64) -> HyperDual {
    HyperDual::constant(value)
}

/// The loss of the batch at θ.
fn loss(case: &Case<f64>, theta: &[HyperDual]) -> HyperDual {
    let inputs = case.shapes[0].inputs;
    let total: f64 = case.weights.iter().sum();
    let outputs = case.shapes[case.shapes.len() - 1].outputs;
    let samples = case.x.chunks(inputs).zip(case.y.chunks(outputs));
    samples
        .zip(&case.weights)
        .map(|((x, y), &weight)| {
            let mut a: Vec<HyperDual> = x.iter().map(|&x| constant(x)).collect();
            let mut rest = theta;
            for shape in &case.shapes {
                let (of_weight, after) = rest.split_at(shape.outputs * shape.inputs);
                let (of_bias, after) = after.split_at(if shape.bias { shape.outputs } else { 0 });
                rest = after;
                let above = (0..shape.outputs).map(|i| {
                    let row = &of_weight[i * shape.inputs..][..shape.inputs];
                    let z: HyperDual = row.iter().zip(&a).map(|(&w, &a)| w * a).sum();
                    let z = z + of_bias.get(i).copied().unwrap_or_default();
                    let activation = match shape.activation {
                        Activation::Tanh => z.tanh(),
                        Activation::Softplus => (z.exp() + constant(1.0)).ln(),
                        _ => z,
                    };
                    activation + if shape.residual { a[i] } else { constant(0.0) }
                });
                a = above.collect();
            }
            let of_sample: HyperDual = match case.loss {
                OutputLoss::SoftmaxCrossEntropy => {
                    let normalizer: HyperDual = a.iter().map(|o| o.exp()).sum();
                    let logits = a.iter().zip(y).map(|(&o, &y)| constant(y) * o).sum();
                    normalizer.ln() - logits
                }
                OutputLoss::SigmoidCrossEntropy => a
                    .iter()
                    .zip(y)
                    .map(|(&o, &y)| (o.exp() + constant(1.0)).ln() - constant(y) * o)
                    .map(|of_output| constant(1.0 / outputs as f64) * of_output)
                    .sum(),
                OutputLoss::MeanSquaredError => a
                    .iter()
                    .zip(y)
                    .map(|(&o, &y)| o - constant(y))
                    .map(|error| constant(1.0 / outputs as f64) * error * error)
                    .sum(),
            };
            constant(weight / total) * of_sample
        })
        .sum()
}

/// L = 1…5, with residual layers, missing biases and every loss.
fn cases() -> Vec<Case<f64>> {
    use Activation::{Identity, Softplus, Tanh};
    use OutputLoss::{MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy};
    let layer =
        |inputs, outputs, activation| LayerShape::new(inputs, outputs).with_activation(activation);
    let last = LayerShape::new;
    [
        (vec![last(3, 3)], SoftmaxCrossEntropy),
        (vec![layer(3, 4, Tanh), last(4, 3)], SoftmaxCrossEntropy),
        (
            vec![
                layer(2, 4, Tanh),
                layer(4, 4, Softplus).with_residual(),
                last(4, 2).without_bias(),
            ],
            SigmoidCrossEntropy,
        ),
        (
            vec![
                layer(2, 3, Softplus),
                layer(3, 3, Identity).without_bias(),
                layer(3, 4, Tanh),
                last(4, 2),
            ],
            MeanSquaredError,
        ),
        (
            vec![
                layer(2, 3, Tanh),
                layer(3, 3, Tanh).with_residual(),
                layer(3, 3, Softplus).with_residual(),
                layer(3, 2, Tanh),
                last(2, 3),
            ],
            SoftmaxCrossEntropy,
        ),
    ]
    .into_iter()
    .zip(1..)
    .map(|((shapes, loss), seed)| random_case(&shapes, loss, 5, 1.0, seed))
    .collect()
}

#[test]
fn the_dense_hessian_and_the_bound_are_those_of_hyper_dual_numbers() {
    for case in cases() {
        let depth = case.shapes.len();
        let size = case.parameters();
        let expected = hyper_dual::hessian(&case.theta, |theta| loss(&case, theta));
        let (network, batch) = (case.network(), case.batch());
        let mut workspace = DeepWorkspace::new();
        let mut hessian = vec![0.0; size * size];
        workspace.hessian(&network, &batch, &mut hessian).unwrap();
        let error = relative_error(&hessian, &expected, 0.0);
        assert!(error < 1e-13, "L = {depth}: H {error:e}");

        let moments = hsr_core::Moments {
            trace: (0..size).map(|i| expected[i * (size + 1)]).sum(),
            frobenius_squared: expected.iter().map(|h| h * h).sum(),
            parameters: size,
        };
        let bound: f64 = SpectralBounds::new(moments).lambda_sup;
        for evaluation in [DeepEvaluation::Gram, DeepEvaluation::Assembled] {
            let ours = workspace.bounds(&network, &batch, &evaluation).unwrap();
            let error = (ours.whole.lambda_sup - bound).abs() / bound;
            assert!(error < 1e-12, "L = {depth}, {evaluation:?}: {error:e}");
        }
    }
}
