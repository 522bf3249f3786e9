//! What came of a run.

use std::collections::BTreeMap;
use std::fmt::Write;

use burn_sharpness::measures::SharpnessMeasures;
use burn_sharpness::spectrum::{self, MomentsEstimate, TraceConfig, moments};
use serde::{Deserialize, Serialize};

use crate::curvature::{Surface, of_hessian};
use crate::data::wording::shown;
use crate::error::LabError;
use crate::text::visible;

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
    /// The Wolkowicz-Styan bound; none where the network has no closed form.
    pub lambda_sup: Option<f64>,
    /// λ_sup/λ_max, where λ_max > 0; none where λ_sup is.
    pub tightness: Option<f64>,
    /// What stands in for the exact numbers where there is no closed form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimates: Option<Estimates>,
    /// The samples of the training split from which eigenvalues, estimates and measures are computed, where that is only a
    /// part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curvature_samples: Option<usize>,
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

/// An estimate by random probes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
}

impl From<spectrum::Estimate> for Estimate {
    fn from(it: spectrum::Estimate) -> Self {
        Self {
            value: it.value,
            standard_error: it.standard_error,
        }
    }
}

/// What random probes say of the Hessian of the training loss, where that has no closed form.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// Random probes.
    pub probes: usize,
    /// tr H.
    pub trace: Estimate,
    /// ‖H‖.
    pub frobenius: Estimate,
    /// λ_sup from the two. Unlike the exact one it may lie below λ_max.
    pub lambda_sup: Estimate,
}

/// Probes of the estimates: their standard errors are then some percent.
const PROBES: usize = 30;

impl Estimates {
    /// Those of a loss.
    pub(crate) fn of(
        surface: &mut dyn Surface,
        theta: &[f64],
        seed: u64,
    ) -> Result<Self, LabError> {
        let options = TraceConfig {
            products: PROBES,
            seed,
            ..TraceConfig::default()
        };
        let found = of_hessian(surface, theta, |mut operator| {
            moments(&mut operator, &options)
        })?;
        Ok(Self::from_moments(&found))
    }

    pub(crate) fn from_moments(found: &MomentsEstimate) -> Self {
        Self {
            probes: found.trace.probes,
            trace: Estimate {
                value: found.trace.trace,
                standard_error: found.trace.standard_error,
            },
            frobenius: found.frobenius.into(),
            lambda_sup: found.lambda_sup.into(),
        }
    }
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
             `strength`, or `strength` auto with `method` hsr",
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
        let known = |v: Option<f64>| v.map_or_else(unknown, number);
        let estimated = |n: &NetworkSummary, of: fn(&Estimates) -> Estimate| {
            let found = n.estimates.as_ref().map(of);
            found.map_or_else(unknown, |it| {
                format!("{}±{:.1e}", number(it.value), it.standard_error)
            })
        };
        // The cells of a network, a row each.
        let cells = |n: &NetworkSummary| {
            let negative = n.negative_eigenvalues.map(|count| count.to_string());
            let m = &n.measures;
            [
                ("training loss", number(n.train_loss)),
                ("test loss", number(n.test_loss)),
                ("training accuracy", percent(n.train_accuracy)),
                ("test accuracy", percent(n.accuracy)),
                ("test macro-F1", format!("{:.4}", n.macro_f1)),
                ("calibration error", format!("{:.4}", n.calibration_error)),
                ("λ_max", number(n.lambda_max)),
                ("λ_min", number(n.lambda_min)),
                ("λ_max − λ_min", number(n.lambda_max - n.lambda_min)),
                ("λ_sup", known(n.lambda_sup)),
                ("λ_sup/λ_max", known(n.tightness)),
                ("λ_sup, estimated", estimated(n, |it| it.lambda_sup)),
                ("tr H, estimated", estimated(n, |it| it.trace)),
                ("‖H‖, estimated", estimated(n, |it| it.frobenius)),
                ("negative eigenvalues", negative.unwrap_or_else(unknown)),
                ("‖∇L‖", number(n.grad_norm)),
                ("adaptive sharpness", known(m.adaptive_sharpness)),
                ("relative flatness", known(m.relative_flatness)),
                (
                    "logit-normalised λ_max",
                    known(m.logit_normalized_lambda_max),
                ),
                ("ms a step", format!("{:.3}", 1e3 * n.seconds_per_step)),
            ]
        };
        let columns: Vec<_> = networks.iter().map(|(_, network)| cells(network)).collect();
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
        let has_estimates = networks.iter().any(|(_, it)| it.estimates.is_some());
        for (row, (label, _)) in columns.first().into_iter().flatten().enumerate() {
            if label.ends_with("estimated") && !has_estimates {
                continue;
            }
            let _ = write!(text, "\n{label:22}");
            for column in &columns {
                let _ = write!(text, "{:>14}", column[row].1);
            }
        }
        text.push('\n');
        text
    }
}
