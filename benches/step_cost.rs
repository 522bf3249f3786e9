//! What `Hsr::cost` predicts beside what a step takes: `cargo bench --workspace --bench step_cost`.
//!
//! Whole steps on flex, f32, plain SGD, every row of the batch, in plain steps of the same model and batch; the two take
//! turns in one run. `HSR_BENCH=fit` prints the times and the counted work of another grid, whose sizes lie between those
//! of the first: from it the constants of `crates/burn-hsr/src/cost.rs` were fitted, in the logarithms of both times.

use burn::tensor::Device;
use burn_hsr::{HsrConfig, Subsample, ThreeLayerNetConfig};
use hsr_benches::{Candidate, Extra, Loop, asked_for, medians};
use hsr_core::{Dimensions, Evaluation, OutputLoss, Plan};

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

const FITTED: [Size; 18] = [
    [3, 5, 2, 100],
    [6, 12, 3, 48],
    [8, 32, 4, 100],
    [20, 24, 5, 64],
    [48, 12, 8, 96],
    [48, 24, 10, 200],
    [32, 96, 10, 48],
    [96, 48, 10, 128],
    [100, 200, 10, 64],
    [200, 100, 5, 96],
    [300, 150, 10, 32],
    [400, 64, 10, 256],
    [400, 400, 10, 48],
    [600, 100, 10, 64],
    [640, 320, 10, 32],
    [784, 64, 10, 128],
    [900, 600, 10, 32],
    [768, 768, 10, 48],
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
    if asked_for("fit") {
        println!("d,h,k,n,plain,hsr,blocks");
        for size in FITTED {
            let [inputs, hidden, outputs, samples] = size;
            let dimensions = Dimensions::new(inputs, hidden, outputs);
            let plan = Plan::new(Evaluation::Auto, &dimensions, samples).expect("a plan");
            let work = plan.work(&dimensions, OutputLoss::SoftmaxCrossEntropy, samples);
            let [plain, hsr] = times(size);
            let blocks = work.total().cost();
            println!("{inputs},{hidden},{outputs},{samples},{plain:e},{hsr:e},{blocks:e}");
        }
        return;
    }
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
