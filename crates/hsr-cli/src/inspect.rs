//! `hsr inspect`.

use std::fmt::Write;

use hsr_lab::inspect::{InspectOptions as Options, Inspection, TopEigenvalues, inspect_in};
use hsr_lab::spectrum::{Eigenvalue, LanczosReport};
use hsr_lab::{LabError, visible};

use crate::args::InspectOptions;
use crate::output::{Manner, paths, say, warn_of_data};
use crate::progress;

pub fn run(options: InspectOptions, quiet: bool) -> Result<String, LabError> {
    let (json, memory) = (options.subject.json, options.subject.memory);
    if !json && (options.gradient || options.eigenvalues) {
        return Err(LabError::option(
            "--gradient and --eigenvalues are part of the JSON object: add --json",
        ));
    }
    let waiting = progress::Waiting::new(quiet);
    let curvature = memory.unwrap_or_default().curvature();
    let mut curvature = curvature.with_watch(waiting.observer());
    let (model, data, split) = options.subject.options()?;
    let asked = Options {
        model,
        data,
        split,
        gradient: options.gradient,
        eigenvalues: options.eigenvalues,
        top: options.top,
        per_layer: options.per_layer,
        out: options.out,
    };
    let inspection = inspect_in(&mut curvature, &asked);
    waiting.done();
    let inspection = inspection?;
    warn_of_data(&inspection.warnings, quiet);
    if !quiet {
        inspection.notes.iter().for_each(|note| say(note));
    }
    Manner { json, quiet }.tell(&inspection, numbers, table)
}

/// Names and values alone.
fn numbers(inspection: &Inspection) -> String {
    let mut text = String::new();
    for (name, value) in curvature(inspection) {
        let _ = writeln!(text, "{name:24}{value:>19}");
    }
    for (name, value, ..) in measures(inspection) {
        let _ = writeln!(text, "{:24}{:>19}", name, number(value));
    }
    for (name, found) in inspection.top.iter().flat_map(outermost) {
        let _ = writeln!(text, "{name:24}{:>19.9e}", found.value);
    }
    text + &paths(&inspection.files)
}

/// The outermost eigenvalues with names.
fn outermost(top: &TopEigenvalues) -> Vec<(String, Eigenvalue)> {
    let ends = [("largest", &top.largest), ("smallest", &top.smallest)];
    let named = |(name, end): (&'static str, &'_ Vec<Eigenvalue>)| {
        let end = end.clone().into_iter().enumerate();
        end.map(move |(i, it)| (format!("{name} {}", i + 1), it))
    };
    ends.into_iter().flat_map(named).collect()
}

/// What was asked for beside the whole Hessian: the outermost eigenvalues, and the layers.
fn extras(inspection: &Inspection) -> String {
    let mut text = String::new();
    if let Some(top) = &inspection.top {
        let _ = writeln!(
            text,
            "\n{:24}{:>19}{:>12}",
            "eigenvalue", "value", "residual"
        );
        for (name, Eigenvalue { value, residual }) in outermost(top) {
            let _ = writeln!(text, "{name:24}{value:>19.9e}{residual:>12.1e}");
        }
        if !top.converged {
            text.push_str("Lanczos has not converged: see the residuals\n");
        }
    }
    let layers = inspection.layers.iter().flatten();
    for (number, it) in layers.filter(|it| it.lambda_max.is_some()).enumerate() {
        if number == 0 {
            let _ = writeln!(
                text,
                "\n{:24}{:>10}{:>14}{:>14}{:>14}{:>14}",
                "layer", "parameters", "trace", "‖H_ll‖²", "λ_max", "λ_sup"
            );
        }
        let _ = write!(text, "{:24}{:>10}", visible(&it.name), it.parameters);
        let lambda_max = it.lambda_max.unwrap_or(f64::NAN);
        for value in [it.trace, it.frobenius_squared, lambda_max, it.lambda_sup] {
            let _ = write!(text, "{value:>14.6e}");
        }
        text.push('\n');
    }
    if !inspection.files.is_empty() {
        text.push('\n');
    }
    text + &paths(&inspection.files)
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{v:.9e}"))
}

fn table(inspection: &Inspection) -> String {
    let mut text = format!(
        "{} parameters, {} samples, evaluation {}, eigenvalues {}\n\n",
        inspection.parameters,
        inspection.samples,
        inspection.evaluation,
        inspection.eigenvalue_method
    );
    for (name, value) in curvature(inspection) {
        let _ = writeln!(text, "{name:24}{value:>19}");
    }
    text.push_str(
        "\nmeasures                              value   layers rescaled*  logits scaled\n",
    );
    for (name, value, rescaled, scaled) in measures(inspection) {
        let value = number(value);
        let effect = |invariant: bool| if invariant { "same" } else { "changes it" };
        let (rescaled, scaled) = (effect(rescaled), effect(scaled));
        let _ = writeln!(text, "{name:24}{value:>19}  {rescaled:>16}  {scaled:>13}");
    }
    text.push_str("* (αW1, αb1, W2/α), the same function where the activation is positively homogeneous, as relu is\n");
    let lanczos = inspection.lanczos.as_ref().filter(|it| !it.converged);
    if let Some(LanczosReport { residuals, .. }) = lanczos {
        let _ = writeln!(text, "\nLanczos has not converged: residuals {residuals:?}");
    }
    text + &extras(inspection)
}

/// The numbers about the Hessian, those of single layers last.
fn curvature(inspection: &Inspection) -> Vec<(String, String)> {
    let it = inspection;
    let whole = [
        ("loss", it.loss),
        ("tr H", it.trace),
        ("‖H‖²", it.frobenius_squared),
        ("mean eigenvalue", it.mean),
        ("std of eigenvalues", it.std),
        ("λ_sup", it.lambda_sup),
        ("λ_max", it.lambda_max),
        ("λ_max at least", it.lambda_max_lower),
        ("λ_min at most", it.lambda_min_upper),
        ("λ_min", it.lambda_min),
        ("λ_inf", it.lambda_inf),
        ("λ_max − λ_min at most", it.spread_upper),
    ];
    let ratio = |v: f64| format!("{v:.6}");
    let tightness = it.tightness.map_or_else(|| "–".to_owned(), ratio);
    let ratios = [
        ("λ_sup/λ_max", tightness),
        ("Gauss-Newton share", ratio(it.gauss_newton_share)),
    ];
    let block = it.lambda_block.map(|it| ("λ_blk".to_owned(), it));
    let layers = it.layers.iter().flatten();
    let layers = layers.map(|it| (format!("λ_sup of {}", visible(&it.name)), it.lambda_sup));
    let of_layers = block.into_iter().chain(layers);
    let number = |v: f64| format!("{v:.9e}");
    let whole = whole.map(|(name, value)| (name, number(value)));
    let whole = whole.into_iter().chain(ratios);
    let whole = whole.map(|(name, value)| (name.to_owned(), value));
    whole
        .chain(of_layers.map(|(name, value)| (name, number(value))))
        .collect()
}

/// The measures, and whether each stays the same where layers are rescaled or logits are scaled.
fn measures(inspection: &Inspection) -> Vec<(&'static str, Option<f64>, bool, bool)> {
    let m = &inspection.measures;
    let (sharpness, worst) = (m.adaptive_sharpness, m.adaptive_worst_case);
    let of_scaled = m.logit_normalized_adaptive_sharpness;
    vec![
        ("‖∇L‖", Some(m.grad_norm), false, false),
        ("‖θ‖", Some(m.weight_norm), false, false),
        ("indefinite share", m.indefinite_share, false, false),
        ("adaptive sharpness", sharpness, true, false),
        ("adaptive worst case", worst, true, false),
        ("relative flatness", m.relative_flatness, true, false),
        (
            "logit-normalised λ_max",
            m.logit_normalized_lambda_max,
            false,
            true,
        ),
        (
            "logit-normalised tr H",
            m.logit_normalized_trace,
            false,
            true,
        ),
        ("  … adaptive sharpness", of_scaled, true, true),
        ("mean margin", m.margin_mean, true, false),
        ("smallest margin", m.margin_min, true, false),
        (
            "mean margin/logit scale",
            m.normalized_margin_mean,
            true,
            true,
        ),
    ]
}
