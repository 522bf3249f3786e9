//! What came of a run.

use std::collections::BTreeMap;
use std::fmt::Write;

use burn_sharpness::measures::SharpnessMeasures;
use burn_sharpness::spectrum::{self, MomentsEstimate, TraceConfig, moments};
use serde::{Deserialize, Serialize};

use crate::curvature::Surface;
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
        let mut found = None;
        surface.with_hessian(theta, &mut |mut operator| {
            found = Some(moments(&mut operator, &options)?);
            Ok(())
        })?;
        found
            .map(|it| Self::from_moments(&it))
            .ok_or(LabError::Eigenvalues)
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
        type Cell<'a> = &'a dyn Fn(&NetworkSummary) -> String;
        let estimated = |of: fn(&Estimates) -> Estimate| {
            move |n: &NetworkSummary| {
                n.estimates.as_ref().map_or_else(unknown, |it| {
                    let Estimate {
                        value,
                        standard_error,
                    } = of(it);
                    format!("{}±{standard_error:.1e}", number(value))
                })
            }
        };
        let (trace, norm, bound) = (
            estimated(|it| it.trace),
            estimated(|it| it.frobenius),
            estimated(|it| it.lambda_sup),
        );
        let rows: [(&str, Cell); 20] = [
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
            ("λ_sup", &|n| n.lambda_sup.map_or_else(unknown, number)),
            ("λ_sup/λ_max", &|n| {
                n.tightness.map_or_else(unknown, number)
            }),
            ("λ_sup, estimated", &bound),
            ("tr H, estimated", &trace),
            ("‖H‖, estimated", &norm),
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
        let has_estimates = networks.iter().any(|(_, it)| it.estimates.is_some());
        let shown = |label: &str| has_estimates || !label.ends_with("estimated");
        for (label, cell) in rows.into_iter().filter(|(label, _)| shown(label)) {
            let _ = write!(text, "\n{label:22}");
            for (_, network) in &networks {
                let _ = write!(text, "{:>14}", cell(network));
            }
        }
        text.push('\n');
        text
    }
}
