//! Whether the cost model picks the fastest of the eight plans, over a grid of sizes:
//! `cargo bench --workspace --bench cost_model`.
//!
//! A plan is written as three letters, A for assembled and G for Gram, for the blocks (output, output), (hidden, hidden)
//! and (output, hidden). The regret of a pick is its time over that of the fastest plan, less one. Plans whose first
//! time is more than twice the best are not timed again.
//!
//! `HSR_BENCH=fit` times every plan of a second grid, between the sizes of the first, and prints the costs with which
//! the model in `crates/hsr-core/src/two_layer/plan.rs` would have regretted least.

use std::time::Instant;

use hsr_benches::{Candidate, Case, asked_for, minima};
use hsr_core::{BlockEvaluation, Evaluation, Plan, Real, Work};

/// A pick this close to the fastest is as good as the fastest: two runs of the same plan differ as much.
const NOISE: f64 = 0.05;

/// A plan with more multiply-adds than this many times those of the leanest is not tried.
const HOPELESS: f64 = 10.0;

/// Every combination of some inputs, hidden units, classes and samples.
type Family = (
    &'static str,
    &'static [usize],
    &'static [usize],
    &'static [usize],
    &'static [usize],
);

const GRID: [Family; 4] = [
    ("small", &[2, 4], &[3, 10, 30, 100], &[3], &[50, 200, 1000]),
    ("wide", &[8, 30], &[16, 64, 128], &[2, 3], &[32, 128, 512]),
    (
        "many classes",
        &[16, 64],
        &[16, 32],
        &[10, 30],
        &[32, 128, 512],
    ),
    (
        "many inputs",
        &[200, 784],
        &[16, 64, 128],
        &[3, 10],
        &[32, 128],
    ),
];

/// What the costs are fitted to: other sizes than those that are judged.
const FIT: [Family; 4] = [
    ("small", &[1, 2, 3], &[6, 20, 60], &[2, 3, 4], &[100, 400]),
    ("wide", &[6, 13, 24], &[24, 48, 100], &[2, 4], &[48, 200]),
    (
        "many classes",
        &[10, 40],
        &[10, 24, 48],
        &[6, 16],
        &[24, 64, 300],
    ),
    (
        "many inputs",
        &[120, 400, 1200],
        &[24, 96],
        &[2, 8],
        &[24, 64, 200],
    ),
];

fn sizes(families: &[Family]) -> Vec<(&'static str, [usize; 4])> {
    let mut all = Vec::new();
    for &(name, inputs, hidden, classes, samples) in families {
        for &d in inputs {
            for &h in hidden {
                for &k in classes {
                    all.extend(samples.iter().map(|&n| (name, [d, h, k, n])));
                }
            }
        }
    }
    all
}

fn letters(plan: &Plan) -> String {
    [plan.output, plan.hidden, plan.cross]
        .map(|block| match block {
            BlockEvaluation::Assembled => 'A',
            BlockEvaluation::Gram => 'G',
        })
        .iter()
        .collect()
}

/// One plan of one case.
struct Timed {
    plan: Plan,
    work: Work,
    seconds: f64,
}

/// All plans of a case that may be the fastest, timed; the first is the one that `Auto` picks.
fn timed<T: Real>(sizes: [usize; 4], rounds: usize) -> Vec<Timed> {
    let mut auto = Case::<T>::new(sizes);
    auto.run(Evaluation::Auto);
    let pick = auto.last_plan();
    let work = |plan: Plan| auto.work(plan).total().products;
    let leanest = Plan::every().map(work).fold(f64::INFINITY, f64::min);
    let others = Plan::every().filter(|&plan| plan != pick);
    let mut tried: Vec<(Case<T>, Timed)> = Vec::new();
    for plan in std::iter::once(pick).chain(others) {
        if plan != pick && work(plan) > HOPELESS * leanest {
            continue;
        }
        let mut case = Case::<T>::new(sizes);
        // A block may be too large to be assembled at all.
        if case.bounds_gradient(Evaluation::Blocks(plan)).is_err() {
            continue;
        }
        let work = case.work(plan).total();
        let seconds = (0..3)
            .map(|_| {
                let started = Instant::now();
                case.run(Evaluation::Blocks(plan));
                started.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min);
        tried.push((
            case,
            Timed {
                plan,
                work,
                seconds,
            },
        ));
    }
    let least = tried
        .iter()
        .map(|(_, timed)| timed.seconds)
        .fold(f64::INFINITY, f64::min);
    let mut again: Vec<&mut (Case<T>, Timed)> = tried
        .iter_mut()
        .filter(|(_, timed)| timed.plan == pick || timed.seconds < 2.0 * least)
        .collect();
    if again.len() > 1 {
        let mut candidates: Vec<Candidate> = again
            .iter_mut()
            .map(|(case, timed)| -> Candidate {
                let evaluation = Evaluation::Blocks(timed.plan);
                ("", Box::new(move || case.run(evaluation)))
            })
            .collect();
        // Long runs differ less from each other.
        let rounds = ((0.1 / least) as usize).clamp(3, rounds);
        let seconds = minima(&mut candidates, rounds, 5e-4);
        drop(candidates);
        for ((_, timed), seconds) in again.into_iter().zip(seconds) {
            timed.seconds = seconds;
        }
    }
    tried.into_iter().map(|(_, timed)| timed).collect()
}

/// Regrets over cases.
#[derive(Default)]
struct Regrets(Vec<f64>);

impl Regrets {
    fn print(&self, name: &str) {
        let cases = self.0.len() as f64;
        let good = self.0.iter().filter(|&&regret| regret <= NOISE).count() as f64;
        println!(
            "{name}: fastest or within {:.0} % in {:.1} % of {cases} cases; regret {:.2} % on average, {:.1} % at worst",
            100.0 * NOISE,
            100.0 * good / cases,
            100.0 * self.0.iter().sum::<f64>() / cases,
            100.0
                * self
                    .0
                    .iter()
                    .fold(0.0, |worst: f64, &regret| worst.max(regret)),
        );
    }
}

fn fastest(plans: &[Timed]) -> &Timed {
    plans
        .iter()
        .min_by(|a, b| a.seconds.total_cmp(&b.seconds))
        .expect("the pick is timed")
}

fn judge<T: Real>(scalar: &str) -> Regrets {
    println!(
        "\n{scalar}\n{:14}{:>6}{:>6}{:>5}{:>6}{:>12}{:>12}{:>7}{:>7}{:>12}{:>12}{:>9}",
        "",
        "d",
        "h",
        "K",
        "N",
        "AAA, µs",
        "GGG, µs",
        "best",
        "pick",
        "best, µs",
        "pick, µs",
        "regret"
    );
    let mut grid = sizes(&GRID);
    if asked_for("quick") {
        grid = grid.into_iter().step_by(9).collect();
    }
    let mut regrets = Regrets::default();
    for (family, case) in grid {
        let plans = timed::<T>(case, 15);
        let (pick, best) = (&plans[0], fastest(&plans));
        let regret = pick.seconds / best.seconds - 1.0;
        regrets.0.push(regret);
        let of = |plan: Plan| {
            plans.iter().find(|timed| timed.plan == plan).map_or_else(
                || "-".to_string(),
                |timed| format!("{:.1}", 1e6 * timed.seconds),
            )
        };
        let [d, h, k, n] = case;
        println!(
            "{family:14}{d:>6}{h:>6}{k:>5}{n:>6}{:>12}{:>12}{:>7}{:>7}{:>12.1}{:>12.1}{:>7.1} %",
            of(Plan::ASSEMBLED),
            of(Plan::GRAM),
            letters(&best.plan),
            letters(&pick.plan),
            1e6 * best.seconds,
            1e6 * pick.seconds,
            100.0 * regret
        );
    }
    regrets
}

/// Costs beside 1 for a multiply-add in a large product: those of one in a kernel, of one in lanes, of a value, of a
/// product begun.
type Costs = [f64; 4];

fn cost(work: &Work, [kernels, lanes, values, calls]: Costs) -> f64 {
    work.products
        + kernels * work.kernels
        + lanes * work.lanes
        + values * work.values
        + calls * work.calls
}

/// The mean logarithm of picked over fastest time.
fn mean_regret(cases: &[Vec<Timed>], costs: Costs) -> f64 {
    let regret = |plans: &Vec<Timed>| {
        let pick = plans
            .iter()
            .min_by(|a, b| cost(&a.work, costs).total_cmp(&cost(&b.work, costs)))
            .expect("a plan is timed");
        (pick.seconds / fastest(plans).seconds).ln()
    };
    cases.iter().map(regret).sum::<f64>() / cases.len() as f64
}

fn fit() {
    println!("scalar,d,h,K,N,plan,products,kernels,lanes,values,calls,seconds");
    let mut cases = Vec::new();
    for scalar in ["f64", "f32"] {
        for (_, sizes) in sizes(&FIT) {
            let plans = match scalar {
                "f64" => timed::<f64>(sizes, 9),
                _ => timed::<f32>(sizes, 9),
            };
            let [d, h, k, n] = sizes;
            for Timed {
                plan,
                work,
                seconds,
            } in &plans
            {
                let Work {
                    products,
                    kernels,
                    lanes,
                    values,
                    calls,
                } = work;
                println!(
                    "{scalar},{d},{h},{k},{n},{},{products},{kernels},{lanes},{values},{calls},{seconds:.4e}",
                    letters(plan)
                );
            }
            cases.push(plans);
        }
    }
    // Every point of a logarithmic grid; where several are as good, their middle.
    let steps = |from: f64, to: f64| {
        let ratio = (to / from).powf(1.0 / 12.0);
        (0..13).map(move |i| from * ratio.powi(i))
    };
    let mut tried: Vec<(f64, Costs)> = Vec::new();
    for kernels in steps(0.6, 6.0) {
        for lanes in steps(1.0, 10.0) {
            for values in steps(1.0, 20.0) {
                for calls in steps(50.0, 10_000.0) {
                    let costs = [kernels, lanes, values, calls];
                    tried.push((mean_regret(&cases, costs), costs));
                }
            }
        }
    }
    let least = tried.iter().map(|t| t.0).fold(f64::INFINITY, f64::min);
    tried.retain(|t| t.0 <= least + 2e-4);
    let middle = [0, 1, 2, 3].map(|i| {
        let sum: f64 = tried.iter().map(|(_, costs)| costs[i].ln()).sum();
        (sum / tried.len() as f64).exp()
    });
    println!(
        "least mean regret {:.3} %; KERNELS = {:.2}, LANES = {:.2}, VALUES = {:.2}, CALLS = {:.0}: {:.3} %",
        100.0 * least,
        middle[0],
        middle[1],
        middle[2],
        middle[3],
        100.0 * mean_regret(&cases, middle)
    );
}

fn main() {
    if asked_for("fit") {
        return fit();
    }
    let double = judge::<f64>("f64");
    let single = judge::<f32>("f32");
    println!();
    double.print("f64");
    single.print("f32");
    let mut both = double;
    both.0.extend(single.0);
    both.print("both");
}
