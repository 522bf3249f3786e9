//! The tables and the tests in them.

use hsr_lab::statistics::{Quartiles, SignedRank, holm, stars};

use crate::methods::Method;
use crate::networks::Network;
use crate::runs::{Measured, Task};

/// A method's runs, one a seed.
pub struct Row {
    pub method: Method,
    /// The tuned one.
    pub strength: f64,
    pub runs: Vec<Measured>,
}

impl Row {
    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        let values: Vec<f64> = self.runs.iter().map(of).collect();
        Quartiles::of(&values).map_or(f64::NAN, |quartiles| quartiles.median)
    }

    /// A line on the way.
    pub fn summary(&self) -> String {
        format!(
            "{} {}: λ_max {:.2}, {:.0} gradients",
            self.method.name(),
            self.strength,
            self.median(|run| run.lambda_max),
            self.median(|run| run.gradients as f64)
        )
    }

    /// The median ratio to another method's λ_max over the seeds with which both reached the loss, and the p-value of the
    /// paired test of its logarithm.
    fn against(&self, other: &Self) -> (f64, f64) {
        let pairs = self.runs.iter().zip(&other.runs);
        let logs: Vec<f64> = pairs
            .filter(|(a, b)| a.reached && b.reached)
            .map(|(a, b)| (a.lambda_max / b.lambda_max).ln())
            .collect();
        match SignedRank::of(&logs) {
            Some(test) => (test.median.exp(), test.p),
            None => (f64::NAN, 1.0),
        }
    }
}

/// Ratios of all rows to the one of a method, with the stars that Holm's correction over the rows leaves.
fn ratios(rows: &[Row], to: Method) -> Vec<String> {
    let Some(reference) = rows.iter().find(|row| row.method == to) else {
        return vec![String::new(); rows.len()];
    };
    let tests: Vec<(f64, f64)> = rows.iter().map(|row| row.against(reference)).collect();
    let others = |index: &usize| {
        // Plain training is compared with once, in its own column.
        rows[*index].method != to && (to == Method::Plain || rows[*index].method != Method::Plain)
    };
    let family: Vec<usize> = (0..rows.len()).filter(others).collect();
    let p: Vec<f64> = family.iter().map(|&index| tests[index].1).collect();
    let mut cells = vec![String::new(); rows.len()];
    for (&index, p) in family.iter().zip(holm(&p)) {
        let marks = stars(p).replace('*', "\\*");
        cells[index] = format!("{:.2}{marks}", tests[index].0);
    }
    cells
}

/// The section of a task.
pub fn table<N: Network>(task: &Task<N>, rows: &[Row]) -> String {
    let (of_plain, of_sam) = (ratios(rows, Method::Plain), ratios(rows, Method::Sam));
    let batch = match task.batch {
        Some(size) => format!("batches of {size}"),
        None => "all of them at every step".to_owned(),
    };
    let mut text = format!(
        "## {}\n\n{} training samples, {batch}; compared at a training loss of {}.\n\n\
         | method | ρ or strength | reached | steps | gradients | time | λ_max | to plain | to SAM | λ_min | test accuracy |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        task.name, task.train, task.loss
    );
    let plain = &rows[0];
    for ((row, of_plain), of_sam) in rows.iter().zip(of_plain).zip(of_sam) {
        let strength = match row.method {
            Method::Plain => String::new(),
            _ => row.strength.to_string(),
        };
        let reached = row.runs.iter().filter(|run| run.reached).count();
        text += &format!(
            "| {} | {strength} | {reached}/{} | {:.0} | {:.0} | {:.1} | {:.2} | {of_plain} | {of_sam} | {:.2} | {:.3} |\n",
            row.method.name(),
            row.runs.len(),
            row.median(|run| run.steps as f64),
            row.median(|run| run.gradients as f64),
            row.median(|run| run.seconds) / plain.median(|run| run.seconds),
            row.median(|run| run.lambda_max),
            row.median(|run| run.lambda_min),
            row.median(|run| run.accuracy),
        );
    }
    text
}

/// What stands before the tables.
pub const HEAD: &str = "\
# HSR for any module

Made by `target/release/any_module_study > docs/reproduction/any-module.md` (the program is `examples/study`). Three networks, each
with a head of three layers; ten seeds, which decide the training samples, the start, the batches and the dropout masks, and which
all methods share. Every method trains until the loss of all training samples, without dropout, is at the level that the table
names. There λ_max and λ_min are measured, the ends of the spectrum of that loss's Hessian, by Lanczos.

ρ and the strengths were tuned on three other seeds: the value of a grid with the smallest λ_max (geometric mean) among those with
which all three seeds reached the level within four times the gradients of plain training. A grid whose best value was its first
or last went on; of a method none of whose strengths passed, the smallest is shown. A strength of stochastic HSR is
that of a `StochasticHsrConfig` whose added gradient is never longer than the loss's (`Strength::Safe` with share 1), everything else
being as it is by default; that of the head is a fixed one of a `HsrConfig`.

Medians over seeds. *Gradients* are forward and backward passes of the loss, the repeated one of a first step included; *time* is
that of the steps in units of plain training's, on a machine that others shared. The ratios of λ_max are medians of paired ratios;
\\*, \\*\\* and \\*\\*\\*: p < 0.05, 0.01 and 0.001, paired Wilcoxon signed-rank test over the seeds with which both reached the
level, Holm's correction over the column.
";

/// What stands after them.
pub const FOOT: &str = "";
