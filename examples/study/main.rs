//! The study of HSR for any module: what it does to λ_max at equal training loss, beside plain training, SAM and a trace
//! penalty, each with a strength tuned on seeds of its own. Prints `docs/reproduction/any-module.md`:
//! `cargo build --release --workspace --bin any_module_study`, then
//! `target/release/any_module_study > docs/reproduction/any-module.md`. With `quick`, one seed and a grid of one value: to see that it runs; with the name
//! of a task, `conv`, `perceptron` or `transformer`, that task alone.

mod methods;
mod networks;
mod report;
mod runs;

use std::error::Error;

use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, SgdConfig};
use hsr_lab::tasks::{self, TaskOptions};

use methods::{METHODS, Method};
use networks::{ConvNet, Network, Perceptron, Transformer};
use report::Row;
use runs::{Measured, Task};

/// How much is computed.
struct Extent {
    seeds: std::ops::Range<u64>,
    /// None of the seeds above.
    tuning: std::ops::Range<u64>,
    /// Whether the whole grid is tried, and more where its best value is at an end of it.
    whole: bool,
}

/// A strength counts where every tuning seed reaches the loss with at most so many times the gradients of plain training.
const DEARER: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let extent = match arguments.iter().any(|argument| argument == "quick") {
        true => Extent {
            seeds: 0..1,
            tuning: 100..101,
            whole: false,
        },
        false => Extent {
            seeds: 0..10,
            tuning: 100..103,
            whole: true,
        },
    };
    let asked = |name: &str| {
        let mut names = arguments.iter().filter(|argument| *argument != "quick");
        names.clone().next().is_none() || names.any(|argument| argument == name)
    };
    let digits = tasks::load("digits", &TaskOptions::default(), 0)?;
    println!("{}", report::HEAD);
    if asked("conv") {
        let task = Task {
            name: "Digits, convolutional network",
            data: digits.clone(),
            train: 200,
            batch: Some(50),
            network: ConvNet::new,
            optimizer: || AdamConfig::new().init(),
            learning_rate: 0.003,
            loss: 0.2,
        };
        study(&task, &extent)?;
    }
    if asked("perceptron") {
        let task = Task {
            name: "Breast cancer, perceptron of five layers",
            data: tasks::load("breast-cancer", &TaskOptions::default(), 0)?,
            train: 300,
            batch: None,
            network: Perceptron::new,
            optimizer: || {
                let momentum = MomentumConfig::new().with_momentum(0.9);
                SgdConfig::new().with_momentum(Some(momentum)).init()
            },
            learning_rate: 0.05,
            loss: 0.05,
        };
        study(&task, &extent)?;
    }
    if asked("transformer") {
        let task = Task {
            name: "Digits as sequences of rows, transformer encoder",
            data: digits,
            train: 400,
            batch: Some(100),
            network: Transformer::new,
            optimizer: || AdamConfig::new().init(),
            learning_rate: 0.01,
            loss: 0.2,
        };
        study(&task, &extent)?;
    }
    println!("{}", report::FOOT);
    Ok(())
}

/// Tunes every method, runs it with every seed and prints the table.
fn study<N: Network>(task: &Task<N>, extent: &Extent) -> Result<(), Box<dyn Error>> {
    eprintln!("{}", task.name);
    // Far more than plain training needs.
    let unlimited = 4000;
    let plain = tuning_runs(task, Method::Plain, 0.0, extent, unlimited)?;
    let mut gradients: Vec<usize> = plain.iter().map(|run| run.gradients).collect();
    gradients.sort_unstable();
    let most = DEARER * gradients[gradients.len() / 2];
    let mut rows = Vec::new();
    for method in METHODS {
        let strength = tuned(task, method, extent, most)?;
        let runs: Result<Vec<Measured>, _> = extent
            .seeds
            .clone()
            .map(|seed| task.run(method, strength, seed, 2 * most))
            .collect();
        let row = Row {
            method,
            strength,
            runs: runs?,
        };
        eprintln!("{}", row.summary());
        rows.push(row);
    }
    println!("{}", report::table(task, &rows));
    Ok(())
}

fn tuning_runs<N: Network>(
    task: &Task<N>,
    method: Method,
    strength: f64,
    extent: &Extent,
    most: usize,
) -> Result<Vec<Measured>, Box<dyn Error>> {
    let seeds = extent.tuning.clone();
    seeds
        .map(|seed| task.run(method, strength, seed, most))
        .collect()
}

/// The strength with the smallest λ_max, the geometric mean over the tuning seeds, of those with which all of them reach
/// the loss; the smallest strength where none does.
fn tuned<N: Network>(
    task: &Task<N>,
    method: Method,
    extent: &Extent,
    most: usize,
) -> Result<f64, Box<dyn Error>> {
    let (mut grid, factor) = method.grid();
    if method == Method::Plain {
        return Ok(grid[0]);
    }
    if !extent.whole {
        return Ok(grid[grid.len() / 2]);
    }
    let mut tried: Vec<(f64, f64)> = Vec::new();
    // Twice at most beyond an end.
    for _ in 0..3 {
        for strength in grid {
            let runs = tuning_runs(task, method, strength, extent, most)?;
            let all = runs.iter().all(|run| run.reached);
            let logs: f64 = runs.iter().map(|run| run.lambda_max.ln()).sum();
            let mean = (logs / runs.len() as f64).exp();
            eprintln!("  {} {strength}: {mean:.2}, all {all}", method.name());
            tried.push((strength, if all { mean } else { f64::INFINITY }));
        }
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = best(&tried);
        let (first, last) = (tried[0].0, tried[tried.len() - 1].0);
        grid = match best {
            _ if best == last => vec![rounded(last * factor)],
            _ if best == first => vec![rounded(first / factor)],
            _ => return Ok(best),
        };
    }
    Ok(best(&tried))
}

/// To three digits, as it is printed.
fn rounded(strength: f64) -> f64 {
    format!("{strength:.2e}").parse().unwrap_or(strength)
}

/// Of equal ones the smallest.
fn best(tried: &[(f64, f64)]) -> f64 {
    let least = tried.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    least.map_or(0.0, |&(strength, _)| strength)
}
