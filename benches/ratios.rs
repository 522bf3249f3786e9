//! λ_sup with its gradient, counted in plain Burn steps: `cargo bench --workspace --bench ratios`.
//!
//! All candidates take turns in one run; the table shows the median over rounds of each and its ratio to the plain
//! step.

use burn_hsr::{HsrConfig, Subsample};
use hsr_benches::{Candidate, Case, Extra, Loop, medians};
use hsr_core::Evaluation;

fn main() {
    println!("{:40}{:>12}{:>14}", "", "µs", "plain steps");
    for (sizes, rounds) in [
        ([2, 3, 3, 200], 60),
        ([2, 10, 3, 200], 60),
        ([2, 30, 3, 200], 40),
        ([2, 100, 3, 200], 30),
        ([64, 16, 10, 64], 40),
        ([784, 128, 10, 128], 10),
        // The head of Burn's custom-training-loop.
        ([1024, 1024, 10, 64], 5),
    ] {
        let [inputs, hidden, classes, samples] = sizes;
        let mut double = Case::<f64>::new(sizes);
        let mut single = Case::<f32>::new(sizes);
        let mut plain = Loop::new(sizes, Extra::Nothing);
        // The steps of a fixed strength; what the rule by default adds to them has a row of its own.
        let fixed = HsrConfig::new().with_strength(0.01);
        let all = fixed.clone().with_subsample(Subsample::All);
        let mut hsr = Loop::new(sizes, Extra::Penalty(all.clone()));
        let rule = HsrConfig::new().with_subsample(Subsample::All);
        let mut rule = Loop::new(sizes, Extra::Penalty(rule));
        let mut auto = Loop::new(sizes, Extra::Penalty(fixed));
        let mut one_call = Loop::new(sizes, Extra::LossStep(all));
        let parameters = double.dimensions.parameters();
        let mut candidates: Vec<Candidate> = vec![
            ("plain step, f32", Box::new(|| plain.step())),
            ("step with HSR, f32", Box::new(|| hsr.step())),
            ("the same, Strength::Auto, f32", Box::new(|| rule.step())),
            ("the same, Subsample::Auto, f32", Box::new(|| auto.step())),
            (
                "step with HSR in one call, f32",
                Box::new(|| one_call.step()),
            ),
            (
                "λ_sup and gradient, f64",
                Box::new(|| double.run(Evaluation::Auto)),
            ),
            (
                "λ_sup and gradient, f32",
                Box::new(|| single.run(Evaluation::Auto)),
            ),
        ];
        let seconds = medians(&mut candidates, rounds, 5e-3);
        println!("D = {parameters}: d = {inputs}, h = {hidden}, K = {classes}, N = {samples}");
        for ((name, _), &time) in candidates.iter().zip(&seconds) {
            println!("  {name:38}{:>12.1}{:>14.3}", 1e6 * time, time / seconds[0]);
        }
    }
}
