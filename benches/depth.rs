//! λ_sup and its gradient for networks of three layers of parameters, in the closed form, in milliseconds, and a random
//! probe beside a plain step: `cargo bench --workspace --bench depth`. The least of several runs; tanh, softmax.
//!
//! The plan is written as one letter a block, A for assembled and G for Gram, in the order of `BlockId::every`. With
//! `HSR_BENCH=blocks` each block is timed under both evaluations, the others as planned.

use std::time::Instant;

use hsr_benches::deep::{DeepCase, DeepLoop};
use hsr_benches::{asked_for, minima};
use hsr_core::BlockEvaluation;
use hsr_core::depth::{BlockId, DeepEvaluation, DeepPlan, Objective};

/// Widths and samples.
const NETWORKS: [(&[usize], &[usize]); 4] = [
    (&[2, 8, 8, 3], &[64, 128]),
    (&[2, 16, 16, 3], &[64, 128]),
    (&[10, 32, 32, 10], &[64, 128, 256]),
    (&[64, 64, 64, 10], &[64]),
];

/// The least milliseconds of a gradient of the objective.
fn milliseconds(
    case: &mut DeepCase<f64>,
    objective: Objective,
    evaluation: &DeepEvaluation,
) -> f64 {
    let mut least = f64::INFINITY;
    let begin = Instant::now();
    let (least_runs, seconds) = if asked_for("quick") {
        (1, 0.0)
    } else {
        (5, 0.4)
    };
    for run in 0.. {
        let start = Instant::now();
        let answer = case.objective_gradient(objective, evaluation);
        assert!(answer.is_ok_and(|(value, _)| value.is_finite()));
        least = least.min(start.elapsed().as_secs_f64());
        if run >= least_runs && begin.elapsed().as_secs_f64() > seconds {
            break;
        }
    }
    1e3 * least
}

fn letters(plan: &DeepPlan) -> String {
    let letter = |block: &BlockEvaluation| match block {
        BlockEvaluation::Assembled => 'A',
        BlockEvaluation::Gram => 'G',
    };
    plan.blocks().iter().map(letter).collect()
}

fn name(widths: &[usize]) -> String {
    let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
    widths.join("-")
}

fn main() {
    println!("network        N      auto ms  plan    gram ms  assembled ms  λ_diag ms  trace ms");
    for (widths, samples) in NETWORKS {
        for &samples in samples {
            let mut case = DeepCase::new(widths, samples);
            let mut time = |objective, evaluation: &DeepEvaluation| {
                milliseconds(&mut case, objective, evaluation)
            };
            let gram = time(Objective::LambdaSup, &DeepEvaluation::Gram);
            let assembled = time(Objective::LambdaSup, &DeepEvaluation::Assembled);
            let diagonal = time(Objective::LambdaDiagonal, &DeepEvaluation::Auto);
            let trace = time(Objective::Trace, &DeepEvaluation::Auto);
            let auto = time(Objective::LambdaSup, &DeepEvaluation::Auto);
            let plan = case.last_plan();
            println!(
                "{:14} {samples:<4} {auto:9.3}  {}  {gram:8.3}  {assembled:12.3}  {diagonal:9.3}  {trace:8.3}",
                name(widths),
                letters(&plan),
            );
            if !asked_for("blocks") {
                continue;
            }
            for id in BlockId::every(case.depth()) {
                let mut with = |evaluation| {
                    let mut blocks = plan.blocks().to_vec();
                    blocks[id.index()] = evaluation;
                    let evaluation = DeepEvaluation::Blocks(DeepPlan::new(blocks));
                    milliseconds(&mut case, Objective::LambdaSup, &evaluation)
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
    println!("\nloss, its gradient and that of a probe, f32, in plain Burn steps (flex, SGD)");
    println!("network        N      plain ms  probe ms  ratio");
    for (widths, samples) in NETWORKS {
        let samples = samples[0];
        let mut step = DeepLoop::new(widths, samples);
        let mut case = DeepCase::<f32>::new(widths, samples);
        let mut candidates: [hsr_benches::Candidate; 2] = [
            ("plain", Box::new(|| step.step())),
            (
                "probe",
                Box::new(|| assert!(case.probe_gradient().is_ok_and(|p| p.loss.is_finite()))),
            ),
        ];
        let seconds = minima(&mut candidates, 7, 0.1);
        println!(
            "{:14} {samples:<4} {:10.3}  {:8.3}  {:5.2}",
            name(widths),
            1e3 * seconds[0],
            1e3 * seconds[1],
            seconds[1] / seconds[0],
        );
    }
}
