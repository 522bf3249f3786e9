//! What came of a run.

use std::collections::BTreeMap;
use std::fmt::Write;

use burn_sharpness::measures::SharpnessMeasures;
use serde::{Deserialize, Serialize};

use crate::data::error::shown;
use crate::visible;

/// One trained network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkSummary {
    /// Mean cross-entropy on the training split.
    pub train_loss: f64,
    /// Mean cross-entropy on the test split.
    pub test_loss: f64,
    /// Accuracy on the training split.
    pub train_accuracy: f64,
    /// Accuracy on the test split.
    pub accuracy: f64,
    /// Macro-averaged F1 on the test split.
    pub macro_f1: f64,
    /// Expected calibration error on the test split.
    #[serde(default)]
    pub calibration_error: f64,
    /// Largest eigenvalue of the training loss's Hessian.
    pub lambda_max: f64,
    /// Smallest eigenvalue.
    pub lambda_min: f64,
    /// The Wolkowicz-Styan bound.
    pub lambda_sup: f64,
    /// λ_sup/λ_max, where λ_max > 0.
    pub tightness: Option<f64>,
    /// Eigenvalues below 0 beyond rounding; unknown where only the ends were computed.
    pub negative_eigenvalues: Option<usize>,
    /// ‖∇L‖ on the training split.
    pub grad_norm: f64,
    /// `dense` or `lanczos`.
    pub eigenvalue_method: String,
    /// Whether the eigenvalues are converged; always, where dense.
    pub eigenvalues_converged: bool,
    /// Measures that survive a rescaled layer or scaled logits, on the training split.
    pub measures: SharpnessMeasures,
    /// Optimizer steps taken.
    pub steps: usize,
    /// Seconds a step.
    pub seconds_per_step: f64,
}

/// A class and its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// The name.
    pub name: String,
    /// Samples of the training split, as they are labelled there.
    pub train: usize,
    /// Samples of the test split.
    pub test: usize,
}

/// Classes that a table lists.
const LISTED: usize = 12;

/// The classes in a line for people: names and samples of both splits together; of many, the first.
fn listing(classes: &[ClassSummary]) -> String {
    let first = classes.iter().take(LISTED);
    let mut parts: Vec<String> = first
        .map(|class| format!("{} {}", shown(&class.name), class.train + class.test))
        .collect();
    if classes.len() > LISTED {
        parts.push("…".to_owned());
    }
    format!("{} classes: {}", classes.len(), parts.join(", "))
}

/// The result of a run, as stored in `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The task or file.
    pub task: String,
    /// The backend.
    pub backend: String,
    /// D.
    pub parameters: usize,
    /// Samples of the training split.
    pub train_samples: usize,
    /// Samples of the test split.
    pub test_samples: usize,
    /// The seed.
    pub seed: u64,
    /// The run directory.
    pub directory: String,
    /// The classes in the order of the outputs.
    #[serde(default)]
    pub classes: Vec<ClassSummary>,
    /// The networks by method.
    pub networks: BTreeMap<String, NetworkSummary>,
    /// What could not be drawn, and why; and that the penalty was too strong, where it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How many times the plain network's training loss is too much.
const OUTWEIGHED: f64 = 3.0;

impl Summary {
    /// That what a method adds outweighs the loss, where the training loss is more than [`OUTWEIGHED`] times the plain
    /// network's, the test split is classified no better, and what the loss rose by is a tenth at least of the loss of
    /// guessing.
    pub(super) fn outweighed(&self) -> Option<String> {
        let plain = self.networks.get("plain")?;
        let guessing = (self.classes.len() as f64).ln();
        let (name, other) = self.networks.iter().find(|(name, other)| {
            name.as_str() != "plain"
                && other.train_loss > OUTWEIGHED * plain.train_loss
                && other.train_loss - plain.train_loss > 0.1 * guessing
                && other.macro_f1 <= plain.macro_f1
        })?;
        Some(format!(
            "{name} outweighs the loss: the training loss is {:.3}, {:.1} times that of the plain network; take a smaller \
             --strength, or --strength auto with --method hsr",
            other.train_loss,
            other.train_loss / plain.train_loss,
        ))
    }

    /// A table for people: a row a quantity, a column a network.
    pub fn table(&self) -> String {
        // The baseline stands first, whatever the alphabet says.
        let mut networks: Vec<(&String, &NetworkSummary)> = self.networks.iter().collect();
        networks.sort_by_key(|(name, _)| (name.as_str() != "plain", name.as_str()));
        let number = |v: f64| match v.abs() {
            0.0 => "0".to_owned(),
            a if (1e-3..1e5).contains(&a) => format!("{v:.4}"),
            _ => format!("{v:.3e}"),
        };
        let percent = |v: f64| format!("{:.2} %", 100.0 * v);
        let unknown = || "–".to_owned();
        type Cell<'a> = &'a dyn Fn(&NetworkSummary) -> String;
        let rows: [(&str, Cell); 17] = [
            ("training loss", &|n| number(n.train_loss)),
            ("test loss", &|n| number(n.test_loss)),
            ("training accuracy", &|n| percent(n.train_accuracy)),
            ("test accuracy", &|n| percent(n.accuracy)),
            ("test macro-F1", &|n| format!("{:.4}", n.macro_f1)),
            ("calibration error", &|n| {
                format!("{:.4}", n.calibration_error)
            }),
            ("λ_max", &|n| number(n.lambda_max)),
            ("λ_min", &|n| number(n.lambda_min)),
            ("λ_max − λ_min", &|n| {
                number(n.lambda_max - n.lambda_min)
            }),
            ("λ_sup", &|n| number(n.lambda_sup)),
            ("λ_sup/λ_max", &|n| {
                n.tightness.map_or_else(unknown, number)
            }),
            ("negative eigenvalues", &|n| {
                n.negative_eigenvalues
                    .map_or_else(unknown, |count| count.to_string())
            }),
            ("‖∇L‖", &|n| number(n.grad_norm)),
            ("adaptive sharpness", &|n| {
                n.measures.adaptive_sharpness.map_or_else(unknown, number)
            }),
            ("relative flatness", &|n| {
                n.measures.relative_flatness.map_or_else(unknown, number)
            }),
            ("logit-normalised λ_max", &|n| {
                n.measures
                    .logit_normalized_lambda_max
                    .map_or_else(unknown, number)
            }),
            ("ms a step", &|n| format!("{:.3}", 1e3 * n.seconds_per_step)),
        ];
        let mut text = format!(
            "{}: {} training and {} test samples, {} parameters, {} backend, seed {}\n{}\n\n{:22}",
            visible(&self.task),
            self.train_samples,
            self.test_samples,
            self.parameters,
            self.backend,
            self.seed,
            listing(&self.classes),
            ""
        );
        for (name, _) in &networks {
            let _ = write!(text, "{name:>14}");
        }
        for (label, cell) in rows {
            let _ = write!(text, "\n{label:22}");
            for (_, network) in &networks {
                let _ = write!(text, "{:>14}", cell(network));
            }
        }
        text.push('\n');
        text
    }
}
