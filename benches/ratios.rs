//! λ_sup with its gradient, counted in plain Burn steps: `cargo bench -p hsr-benches --bench ratios`.
//!
//! Timings on shared machines drift, ratios taken in one run do not: every round times each candidate once, one after
//! the other, and the table shows the median over rounds of each and its ratio to the plain step.

use std::hint::black_box;
use std::time::Instant;

use hsr_benches::{Case, Loop};
use hsr_core::Evaluation;

type Candidate<'a> = (&'a str, Box<dyn FnMut() + 'a>);

/// Seconds of each candidate, the median over rounds; each is repeated within a round so that a round lasts.
fn medians(candidates: &mut [Candidate], rounds: usize, repeats: usize) -> Vec<f64> {
    let mut seconds = vec![Vec::with_capacity(rounds); candidates.len()];
    for round in 0..rounds + 3 {
        for (index, (_, run)) in candidates.iter_mut().enumerate() {
            let started = Instant::now();
            for _ in 0..repeats {
                run();
            }
            // The first rounds fill caches and buffers.
            if round >= 3 {
                seconds[index].push(started.elapsed().as_secs_f64() / repeats as f64);
            }
        }
    }
    seconds
        .into_iter()
        .map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        })
        .collect()
}

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
        let mut plain = Loop::new(inputs, hidden, classes, samples);
        let mut hsr = Loop::new(inputs, hidden, classes, samples);
        let parameters = double.dimensions.parameters();
        let mut candidates: Vec<Candidate> = vec![
            ("plain step, f32", Box::new(|| plain.plain_step())),
            ("step with HSR, f32", Box::new(|| hsr.hsr_step())),
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
