//! Moments of every block, bounds and gradients of every objective at any depth: the golden cases, under every
//! evaluation, in tiles, in both precisions.

mod common;

use core::num::NonZeroUsize;
use core::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Case, Golden, golden, relative_error};
use hsr_core::depth::{BlockId, DeepEvaluation, DeepPlan, DeepWorkspace, Objective};
use hsr_core::{BlockEvaluation, LanczosOptions, Real};

/// A name, an evaluation, and the most samples in a tile of pairs.
type Way = (String, DeepEvaluation, Option<usize>);

/// Every way to evaluate a network of this depth: one evaluation for all blocks, mixed ones, tiles of pairs.
fn ways(depth: usize) -> Vec<Way> {
    use BlockEvaluation::{Assembled, Gram};
    let mixed = |odd: bool| {
        let of = |id: BlockId| {
            if (id.index() % 2 == 1) == odd {
                Gram
            } else {
                Assembled
            }
        };
        let blocks: Vec<_> = BlockId::every(depth).map(of).collect();
        DeepEvaluation::Blocks(DeepPlan::new(blocks))
    };
    vec![
        ("auto".into(), DeepEvaluation::Auto, None),
        ("assembled".into(), DeepEvaluation::Assembled, None),
        ("gram".into(), DeepEvaluation::Gram, None),
        ("gram in tiles".into(), DeepEvaluation::Gram, Some(1)),
        ("mixed".into(), mixed(true), None),
        ("mixed the other way".into(), mixed(false), Some(8)),
    ]
}

fn workspace<T: Real>(tile: Option<usize>) -> DeepWorkspace<T> {
    let workspace = DeepWorkspace::new();
    match tile.and_then(NonZeroUsize::new) {
        Some(tile) => workspace.with_tile(tile),
        None => workspace,
    }
}

/// Tolerances of values, of gradients for parameters and of gradients for inputs.
#[derive(Clone, Copy)]
struct Tolerances {
    value: f64,
    parameters: f64,
    inputs: f64,
}

/// Checks a golden case, or so many copies of its batch, in these ways.
fn check<T: Real>(
    case: &Case<T>,
    golden: &Golden,
    tolerances: Tolerances,
    ways: &[Way],
    copies: usize,
) {
    let Tolerances {
        value,
        parameters,
        inputs,
    } = tolerances;
    let (network, batch) = (case.network(), case.batch());
    for (way, evaluation, tile) in ways {
        let at = |what: &str, error: f64, tolerance: f64| {
            let kind = size_of::<T>() * 8;
            assert!(
                error <= tolerance,
                "{}, f{kind}, {way}: {what}: {error:e} > {tolerance:e}",
                golden.name
            );
        };
        let mut workspace = workspace::<T>(*tile);
        let bounds = workspace.bounds(&network, &batch, evaluation).unwrap();
        let moments = &bounds.moments;
        assert_eq!(moments.parameters, golden.layer_parameters);
        at(
            "t",
            relative_error(&moments.traces, &golden.layer_traces, 0.0),
            value,
        );
        let squares = golden.block_frobenius_squared.concat();
        at(
            "q",
            relative_error(&moments.frobenius_squared, &squares, 0.0),
            value,
        );
        for (got, expected) in moments.frobenius_squared.iter().zip(&squares) {
            // Every block by itself, where it is not all cancellation.
            if *expected > 1e-6 * golden.frobenius_squared {
                at(
                    "a block of q",
                    relative_error(&[*got], &[*expected], 0.0),
                    10.0 * value,
                );
            }
        }
        let whole = bounds.whole;
        let got = [
            whole.moments.trace,
            whole.moments.frobenius_squared,
            whole.lambda_sup,
            whole.lambda_inf,
            whole.lambda_max_lower,
            whole.lambda_min_upper,
            whole.spread_upper,
            bounds.lambda_block,
        ];
        let expected = [
            golden.trace,
            golden.frobenius_squared,
            golden.lambda_sup,
            golden.lambda_inf,
            golden.lambda_max_lower,
            golden.lambda_min_upper,
            golden.spread_upper,
            golden.block_lambda_sup,
        ];
        for (got, expected) in got.into_iter().zip(expected) {
            let floor = golden.lambda_sup;
            at("a bound", relative_error(&[got], &[expected], floor), value);
        }
        let layers: Vec<T> = bounds
            .layers
            .iter()
            .map(|bounds| bounds.lambda_sup)
            .collect();
        at(
            "λ_sup of layers",
            relative_error(&layers, &golden.layer_lambda_sup, 0.0),
            value,
        );

        let mut gradient = vec![T::zero(); case.parameters()];
        let mut of_inputs = vec![T::zero(); case.x.len()];
        let sum: f64 = golden.layer_lambda_sup.iter().sum();
        for (objective, of_value, of_parameters) in [
            (Objective::LambdaSup, golden.lambda_sup, &golden.grad),
            (
                Objective::LambdaBlock,
                golden.block_lambda_sup,
                &golden.block_lambda_sup_grad,
            ),
            (
                Objective::LambdaDiagonal,
                sum,
                &golden.layer_lambda_sup_sum_grad,
            ),
        ] {
            let got = workspace
                .objective_gradient(&network, &batch, objective, evaluation, &mut gradient, None)
                .unwrap();
            let what = format!("{objective:?}");
            at(&what, relative_error(&[got], &[of_value], 0.0), value);
            let what = format!("∂{objective:?}/∂θ");
            at(
                &what,
                relative_error(&gradient, of_parameters, 0.0),
                parameters,
            );
        }
        workspace
            .objective_gradient(
                &network,
                &batch,
                Objective::LambdaSup,
                evaluation,
                &mut gradient,
                Some(&mut of_inputs),
            )
            .unwrap();
        at(
            "∂λ_sup/∂θ",
            relative_error(&gradient, &golden.grad, 0.0),
            parameters,
        );
        // Each copy of a sample has its share.
        let shares: Vec<f64> = golden.input_grad.concat();
        let shares: Vec<f64> = shares.iter().map(|v| v / copies as f64).collect();
        let expected = shares.repeat(copies);
        at(
            "∂λ_sup/∂x",
            relative_error(&of_inputs, &expected, 0.0),
            inputs,
        );
    }
}

/// Of a golden case in both precisions.
fn tolerances(golden: &Golden) -> [Tolerances; 2] {
    let scale_8 = golden.name.contains("scale8");
    // The reference of the case of weight scale 8 is good to 2e-11 itself, and the input gradient of that case is six
    // orders below that for the parameters.
    [
        (1e-10, if scale_8 { 1e-9 } else { 1e-10 }),
        (1e-4, if scale_8 { 5e-4 } else { 1e-4 }),
    ]
    .map(|(value, inputs)| Tolerances {
        value,
        parameters: value,
        inputs,
    })
}

#[test]
fn every_evaluation_agrees_with_the_golden_cases() {
    for golden in golden() {
        let case = golden.case();
        let [double, single] = tolerances(&golden);
        let ways = ways(golden.layers.len());
        check(&case, &golden, double, &ways, 1);
        check(&case.narrowed(), &golden, single, &ways, 1);
    }
}

#[test]
fn shards_of_samples_agree_with_the_golden_cases() {
    let ways = [("in shards".into(), DeepEvaluation::Assembled, None)];
    let mut divided = 0;
    for golden in golden() {
        // As many samples as make shards, and not whole registers in each.
        let copies = 1_001_usize.div_ceil(golden.samples);
        let case = golden.case().copies(copies);
        let [double, single] = tolerances(&golden);
        check(&case, &golden, double, &ways, copies);
        check(&case.narrowed(), &golden, single, &ways, copies);

        // Every shard tells of each of its blocks.
        let parts = Arc::new(AtomicUsize::new(0));
        let seen = parts.clone();
        let mut workspace = DeepWorkspace::new().with_watch(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Continue(())
        });
        let (network, batch) = (case.network(), case.batch());
        let bounds = workspace.bounds(&network, &batch, &DeepEvaluation::Assembled);
        assert!(bounds.is_ok());
        let depth = network.depth();
        let blocks = depth * (depth + 1) / 2;
        divided += usize::from(parts.load(Ordering::Relaxed) >= 2 * blocks);
    }
    assert!(divided > 10, "{divided} cases in shards");
}

#[test]
fn the_gauss_newton_part_is_that_of_the_golden_cases() {
    for golden in golden() {
        let case = golden.case();
        let (network, batch) = (case.network(), case.batch());
        let mut workspace = DeepWorkspace::new();
        let part = workspace
            .gauss_newton(&network, &batch, &DeepEvaluation::Auto)
            .unwrap();
        let moments = part.bounds.whole.moments;
        let got = [moments.trace, moments.frobenius_squared, part.inner];
        let expected = [
            golden.gauss_newton_trace,
            golden.gauss_newton_frobenius_squared,
            golden.gauss_newton_inner,
        ];
        for (got, expected) in got.into_iter().zip(expected) {
            let error = relative_error(&[got], &[expected], 0.0);
            assert!(error < 1e-10, "{}: {error:e}", golden.name);
        }
        // The matrix of the kernel's blocks has its spectrum.
        let top = workspace
            .gauss_newton_lambda_max(&network, &batch, &LanczosOptions::default())
            .unwrap();
        let bounds = part.bounds.whole;
        assert!(top <= bounds.lambda_sup * (1.0 + 1e-12), "{}", golden.name);
        assert!(
            top >= bounds.lambda_max_lower * (1.0 - 1e-12),
            "{}",
            golden.name
        );
    }
}

#[test]
fn the_block_bound_lies_between_the_largest_eigenvalue_and_the_global_bound() {
    for golden in golden() {
        let case = golden.case();
        let bounds = DeepWorkspace::new()
            .bounds(&case.network(), &case.batch(), &DeepEvaluation::Auto)
            .unwrap();
        let largest = golden.eigenvalues[golden.eigenvalues.len() - 1];
        let slack = 1e-12 * bounds.whole.lambda_sup;
        assert!(largest <= bounds.lambda_block + slack, "{}", golden.name);
        assert!(
            bounds.lambda_block <= bounds.whole.lambda_sup + slack,
            "{}",
            golden.name
        );
    }
}
