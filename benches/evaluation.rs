//! The two evaluations and the one that the cost model picks: `cargo bench --workspace --bench evaluation`.

use divan::Bencher;
use hsr_benches::Case;
use hsr_core::Evaluation;

fn main() {
    divan::main();
}

/// d, h, K, N.
const SIZES: [[usize; 4]; 6] = [
    [2, 3, 3, 200],
    [2, 30, 3, 200],
    [2, 100, 3, 200],
    [13, 16, 3, 128],
    [64, 16, 10, 64],
    [64, 32, 10, 256],
];

#[divan::bench(args = SIZES)]
fn assembled(bencher: Bencher, sizes: [usize; 4]) {
    let mut case = Case::<f64>::new(sizes);
    bencher.bench_local(|| case.run(Evaluation::Assembled));
}

#[divan::bench(args = SIZES)]
fn gram(bencher: Bencher, sizes: [usize; 4]) {
    let mut case = Case::<f64>::new(sizes);
    bencher.bench_local(|| case.run(Evaluation::Gram));
}

#[divan::bench(args = SIZES)]
fn auto(bencher: Bencher, sizes: [usize; 4]) {
    let mut case = Case::<f64>::new(sizes);
    bencher.bench_local(|| case.run(Evaluation::Auto));
}
