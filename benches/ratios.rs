//! λ_sup with its gradient, counted in plain Burn steps: `cargo bench -p hsr-benches --bench ratios`.
//!
//! Timings on shared machines drift, ratios taken in one run do not: every round times each candidate once, one after
//! the other, and the table shows the median over rounds of each and its ratio to the plain step.

use std::hint::black_box;

use burn_hsr::HsrConfig;
use hsr_benches::{Candidate, Case, Extra, Loop, medians};
use hsr_core::Evaluation;

fn main() {
    println!("{:40}{:>12}{:>14}", "", "µs", "plain steps");
    for (inputs, hidden, classes, samples, rounds, repeats) in [
        (2, 3, 3, 200, 60, 20),
        (2, 10, 3, 200, 40, 10),
        (2, 30, 3, 200, 40, 5),
        (2, 100, 3, 200, 30, 2),
        (64, 16, 10, 64, 40, 5),
        (784, 128, 10, 128, 5, 1),
    ] {
        let mut double = Case::<f64>::new(inputs, hidden, classes, samples);
        let mut single = Case::<f32>::new(inputs, hidden, classes, samples);
        let sizes = [inputs, hidden, classes, samples];
        let mut plain = Loop::new(sizes, Extra::Nothing);
        let mut hsr = Loop::new(sizes, Extra::Penalty(HsrConfig::new()));
        let parameters = double.dimensions.parameters();
        let mut candidates: Vec<Candidate> = vec![
            ("plain step, f32", Box::new(|| plain.step())),
            ("step with HSR, f32", Box::new(|| hsr.step())),
            (
                "λ_sup and gradient, f64",
                Box::new(|| {
                    black_box(double.bounds_gradient(Evaluation::Auto));
                }),
            ),
            (
                "λ_sup and gradient, f32",
                Box::new(|| {
                    black_box(single.bounds_gradient(Evaluation::Auto));
                }),
            ),
        ];
        let seconds = medians(&mut candidates, rounds, repeats);
        println!("D = {parameters}: d = {inputs}, h = {hidden}, K = {classes}, N = {samples}");
        for ((name, _), &time) in candidates.iter().zip(&seconds) {
            println!("  {name:38}{:>12.1}{:>14.3}", 1e6 * time, time / seconds[0]);
        }
    }
}
