//! What `Hsr::cost` predicts beside what a step takes: `cargo bench --workspace --bench step_cost`.
//!
//! Whole steps on flex, f32, plain SGD, every row of the batch, in plain steps of the same model and batch; the two take
//! turns in one run.

use burn::tensor::Device;
use burn_hsr::{HsrConfig, Subsample, ThreeLayerNetConfig};
use hsr_benches::{Candidate, Extra, Loop, medians};

/// d, h, K and N.
type Size = [usize; 4];

const JUDGED: [Size; 16] = [
    [2, 3, 3, 200],
    [4, 16, 3, 64],
    [13, 16, 3, 64],
    [30, 16, 2, 64],
    [64, 16, 10, 64],
    [64, 16, 10, 256],
    [16, 64, 4, 128],
    [64, 64, 10, 64],
    [128, 128, 10, 32],
    [256, 64, 10, 128],
    [256, 256, 10, 64],
    [784, 128, 10, 64],
    [784, 128, 10, 128],
    [784, 256, 10, 64],
    [512, 512, 10, 64],
    [1024, 1024, 10, 64],
];

fn config() -> HsrConfig {
    HsrConfig::new().with_subsample(Subsample::All)
}

/// Seconds of a plain step and of one with HSR.
fn times(size: Size) -> [f64; 2] {
    let mut plain = Loop::new(size, Extra::Nothing);
    let mut hsr = Loop::new(size, Extra::Penalty(config()));
    let mut candidates: Vec<Candidate> = vec![
        ("plain", Box::new(|| plain.step())),
        ("hsr", Box::new(|| hsr.step())),
    ];
    let seconds = medians(&mut candidates, 15, 4e-3);
    [seconds[0], seconds[1]]
}

fn main() {
    println!(
        "{:24}{:>12}{:>14}{:>12}{:>10}",
        "d, h, K, N", "plain, µs", "plain steps", "predicted", "ratio"
    );
    let mut ratios = Vec::new();
    for size in JUDGED {
        let [inputs, hidden, outputs, samples] = size;
        let net = ThreeLayerNetConfig::new(inputs, hidden, outputs).init(&Device::flex());
        let hsr = config().init().expect("a valid configuration");
        let predicted = hsr.cost(&net, samples).expect("a plan").plain_steps;
        let [plain, with_hsr] = times(size);
        let measured = with_hsr / plain;
        let name = format!("{inputs}, {hidden}, {outputs}, {samples}");
        println!(
            "{name:24}{:>12.1}{measured:>14.2}{predicted:>12.2}{:>10.2}",
            1e6 * plain,
            predicted / measured
        );
        ratios.push((predicted / measured).ln().abs());
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "off by a factor of {:.2} in the median, {:.2} at worst",
        ratios[ratios.len() / 2].exp(),
        ratios[ratios.len() - 1].exp()
    );
}
