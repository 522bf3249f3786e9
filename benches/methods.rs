//! What a whole training step costs with each method, counted in plain steps of the same model and batch:
//! `cargo bench --workspace --bench methods`.
//!
//! Passes are forward-backward passes over the batch through Burn; what the closed form computes beside them is in the
//! seconds. All candidates take turns in one run, see `ratios`.

use burn_hsr::{HsrConfig, ScheduleConfig, Sharpness, Subsample};
use burn_sharpness::SamConfig;
use burn_sharpness::penalty::{GradientNormConfig, HutchinsonTraceConfig};
use burn_sharpness::sam::{
    EigenSamConfig, FriendlySamConfig, GsamConfig, LookSamConfig, NsoConfig, WsamConfig,
};
use hsr_benches::{Candidate, Extra, Loop, medians};

/// A method's name, its passes a step, and what it adds.
type Method = (&'static str, f64, fn() -> Extra);

/// Whole batches, whatever they cost, at a fixed strength.
fn whole() -> HsrConfig {
    HsrConfig::new()
        .with_strength(0.01)
        .with_subsample(Subsample::All)
}

fn penalty(sharpness: Sharpness) -> Extra {
    Extra::Penalty(whole().with_sharpness(sharpness))
}

const METHODS: [Method; 20] = [
    ("plain", 1.0, || Extra::Nothing),
    ("hsr", 1.0, || penalty(Sharpness::LambdaSup)),
    ("hsr, Subsample::Auto", 1.0, || {
        Extra::Penalty(HsrConfig::new())
    }),
    ("hsr, every 4th step", 1.0, || {
        let schedule = ScheduleConfig::new().with_interval(4);
        Extra::Penalty(whole().with_schedule(schedule))
    }),
    ("hsr, loss_step", 0.0, || Extra::LossStep(whole())),
    ("hsr, loss_step, every 4th step", 0.0, || {
        let schedule = ScheduleConfig::new().with_interval(4);
        Extra::LossStep(whole().with_schedule(schedule))
    }),
    ("sam", 2.0, || Extra::Sam(SamConfig::new())),
    ("asam", 2.0, || Extra::Sam(SamConfig::asam())),
    ("gsam", 2.0, || Extra::Sam(SamConfig::of(GsamConfig::new()))),
    ("friendly-sam", 2.0, || {
        Extra::Sam(SamConfig::of(FriendlySamConfig::new()))
    }),
    ("looksam, every 5th step", 1.2, || {
        Extra::Sam(SamConfig::of(LookSamConfig::new()))
    }),
    ("wsam", 2.0, || Extra::Sam(SamConfig::of(WsamConfig::new()))),
    ("nso, one pair", 2.0, || {
        Extra::Sam(SamConfig::of(NsoConfig::new()))
    }),
    ("eigen-sam, every 100th step", 2.2, || {
        Extra::Sam(SamConfig::of(EigenSamConfig::new()))
    }),
    ("trace", 1.0, || penalty(Sharpness::Trace)),
    ("lambda-max", 1.0, || penalty(Sharpness::LambdaMax)),
    ("frobenius", 1.0, || penalty(Sharpness::Frobenius)),
    ("gradient-norm", 1.0, || penalty(Sharpness::GradientNorm)),
    ("gradient norm of any module", 3.0, || {
        Extra::GradientNorm(GradientNormConfig::new())
    }),
    ("trace of any module, one probe", 3.0, || {
        Extra::HutchinsonTrace(HutchinsonTraceConfig::new())
    }),
];

fn main() {
    println!("{:40}{:>8}{:>12}{:>14}", "", "passes", "µs", "plain steps");
    for (name, sizes, rounds) in [
        ("two inputs, as in the paper", [2, 3, 3, 200], 60),
        ("iris", [4, 16, 3, 64], 60),
        ("wine", [13, 16, 3, 64], 60),
        ("breast-cancer", [30, 16, 2, 64], 40),
        ("digits", [64, 16, 10, 64], 30),
        ("MNIST, 128 hidden units", [784, 128, 10, 64], 10),
        (
            "head of Burn's custom-training-loop",
            [1024, 1024, 10, 64],
            5,
        ),
    ] {
        let mut loops: Vec<Loop> = METHODS
            .iter()
            .map(|(_, _, extra)| Loop::new(sizes, extra()))
            .collect();
        let mut candidates: Vec<Candidate> = METHODS
            .iter()
            .zip(&mut loops)
            .map(|(&(method, ..), training)| -> Candidate {
                (method, Box::new(|| training.step()))
            })
            .collect();
        let seconds = medians(&mut candidates, rounds, 4e-3);
        let [inputs, hidden, classes, samples] = sizes;
        println!("{name}: d = {inputs}, h = {hidden}, K = {classes}, N = {samples}");
        for ((method, passes, _), time) in METHODS.iter().zip(&seconds) {
            println!(
                "  {method:38}{passes:>8}{:>12.1}{:>14.2}",
                1e6 * time,
                time / seconds[0]
            );
        }
    }
}
