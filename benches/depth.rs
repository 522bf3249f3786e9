//! λ_sup and its gradient for networks of three layers of parameters, in the closed form, in milliseconds:
//! `cargo bench --workspace --bench depth`. The least of several runs; tanh, softmax, f64, one thread.
//!
//! The plan is written as one letter a block, A for assembled and G for Gram, in the order of `BlockId::every`. With
//! `HSR_BENCH=blocks` each block is timed under both evaluations, the others as planned.

use std::time::Instant;

use hsr_core::depth::{
    BlockId, DeepEvaluation, DeepPlan, DeepWorkspace, FeedForward, LayerShape, Objective,
};
use hsr_core::{Activation, Batch, BlockEvaluation, OutputLoss, Targets};

/// Widths and samples.
const NETWORKS: [(&[usize], &[usize]); 4] = [
    (&[2, 8, 8, 3], &[64, 128]),
    (&[2, 16, 16, 3], &[64, 128]),
    (&[10, 32, 32, 10], &[64, 128, 256]),
    (&[64, 64, 64, 10], &[64]),
];

/// A network at a batch.
struct Case {
    shapes: Vec<LayerShape>,
    theta: Vec<f64>,
    x: Vec<f64>,
    classes: Vec<usize>,
}

impl Case {
    fn new(widths: &[usize], samples: usize) -> Self {
        let mut state = 1_u64;
        let mut uniform = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
        };
        let shapes: Vec<LayerShape> = widths
            .windows(2)
            .enumerate()
            .map(|(l, pair)| {
                let shape = LayerShape::new(pair[0], pair[1]);
                if l + 2 < widths.len() {
                    shape.with_activation(Activation::Tanh)
                } else {
                    shape
                }
            })
            .collect();
        let theta = shapes
            .iter()
            .flat_map(|shape| vec![1.0 / (shape.inputs as f64).sqrt(); shape.parameters()])
            .map(|bound| bound * uniform())
            .collect();
        let outputs = widths[widths.len() - 1];
        Self {
            shapes,
            theta,
            x: (0..samples * widths[0]).map(|_| 1.7 * uniform()).collect(),
            classes: (0..samples).map(|n| n % outputs).collect(),
        }
    }

    /// The least milliseconds of a gradient of the objective.
    fn milliseconds(&self, objective: Objective, evaluation: &DeepEvaluation) -> (f64, DeepPlan) {
        let network = FeedForward::from_flat(&self.shapes, &self.theta).expect("a valid network");
        let loss = OutputLoss::SoftmaxCrossEntropy;
        let batch = Batch::new(loss, &self.x, Targets::Classes(&self.classes));
        let mut workspace = DeepWorkspace::new();
        let mut gradient = vec![0.0; self.theta.len()];
        let mut least = f64::INFINITY;
        let begin = Instant::now();
        let (least_runs, seconds) = match std::env::var("HSR_BENCH").as_deref() {
            Ok("quick") => (1, 0.0),
            _ => (5, 0.4),
        };
        for run in 0.. {
            let start = Instant::now();
            let value = workspace.objective_gradient(
                &network,
                &batch,
                objective,
                evaluation,
                &mut gradient,
                None,
            );
            assert!(value.is_ok_and(f64::is_finite));
            least = least.min(start.elapsed().as_secs_f64());
            if run >= least_runs && begin.elapsed().as_secs_f64() > seconds {
                break;
            }
        }
        (1e3 * least, workspace.last_plan())
    }
}

fn letters(plan: &DeepPlan) -> String {
    let letter = |block: &BlockEvaluation| match block {
        BlockEvaluation::Assembled => 'A',
        BlockEvaluation::Gram => 'G',
    };
    plan.blocks().iter().map(letter).collect()
}

fn main() {
    let blocks = std::env::var("HSR_BENCH").is_ok_and(|value| value == "blocks");
    println!("network        N      auto ms  plan    gram ms  assembled ms  λ_diag ms  trace ms");
    for (widths, samples) in NETWORKS {
        for &samples in samples {
            let case = Case::new(widths, samples);
            let name: Vec<String> = widths.iter().map(usize::to_string).collect();
            let name = name.join("-");
            let time =
                |objective, evaluation: &DeepEvaluation| case.milliseconds(objective, evaluation).0;
            let (auto, plan) = case.milliseconds(Objective::LambdaSup, &DeepEvaluation::Auto);
            println!(
                "{name:14} {samples:<4} {auto:9.3}  {}  {:8.3}  {:12.3}  {:9.3}  {:8.3}",
                letters(&plan),
                time(Objective::LambdaSup, &DeepEvaluation::Gram),
                time(Objective::LambdaSup, &DeepEvaluation::Assembled),
                time(Objective::LambdaDiagonal, &DeepEvaluation::Auto),
                time(Objective::Trace, &DeepEvaluation::Auto),
            );
            if !blocks {
                continue;
            }
            for id in BlockId::every(widths.len() - 1) {
                let with = |evaluation| {
                    let mut blocks = plan.blocks().to_vec();
                    blocks[id.index()] = evaluation;
                    let evaluation = DeepEvaluation::Blocks(DeepPlan::new(blocks));
                    time(Objective::LambdaSup, &evaluation)
                };
                println!(
                    "    block ({}, {}): gram {:8.3}, assembled {:8.3}",
                    id.row,
                    id.column,
                    with(BlockEvaluation::Gram),
                    with(BlockEvaluation::Assembled),
                );
            }
        }
    }
}
