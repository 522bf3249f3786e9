//! `hsr spectrum`.

use std::fmt::Write;

use hsr_lab::LabError;
use hsr_lab::spectrum::{SpectrumOptions as Options, SpectrumReport, spectrum_of};
use hsr_lab::train::{Estimate, Estimates};

use crate::args::SpectrumOptions;
use crate::output::{Manner, paths, warn};
use crate::subject::looked;

pub fn run(options: SpectrumOptions, quiet: bool) -> Result<String, LabError> {
    let json = options.subject.json;
    let asked = Options {
        top: options.top,
        probes: options.probes,
        seed: options.seed,
    };
    let report = looked(
        options.subject,
        options.out,
        quiet,
        |subject, curvature, out, show| {
            spectrum_of(subject, curvature, &asked, out, |it| {
                show(it.what, it.done, it.total)
            })
        },
    )?;
    report.notes.iter().for_each(|note| warn(note));
    Manner { json, quiet }.tell(&report, |report| paths(&report.files), table)
}

fn table(report: &SpectrumReport) -> String {
    let [network, samples] = report.subject.heading();
    let mut text = format!(
        "{network}: {} parameters, {samples}, loss {:.6}\n\n",
        report.parameters, report.loss
    );
    let unknown = || "–".to_owned();
    let number = |v: f64| format!("{v:.6e}");
    let known = |v: Option<f64>| v.map_or_else(unknown, number);
    let found = |v: f64| format!("{v:.6e}  ({})", report.eigenvalue_method);
    let tightness = report.tightness.map(|v| format!("{v:.4}"));
    let negative = report.negative_eigenvalues.map(|it| it.to_string());
    let trace = &report.trace_estimate;
    let [low, high] = trace.interval.map(number);
    let probed = format!(
        "{:.6e}  ({:.0} % within {low} … {high})",
        trace.trace,
        100.0 * trace.confidence
    );
    let mut rows = vec![
        ("λ_sup", known(report.lambda_sup)),
        ("λ_max", found(report.lambda_max)),
        ("λ_min", found(report.lambda_min)),
        ("λ_sup/λ_max", tightness.unwrap_or_else(unknown)),
        ("negative eigenvalues", negative.unwrap_or_else(unknown)),
        ("tr H", known(report.trace)),
        ("tr H by random probes", probed),
    ];
    if let Some(Estimates {
        lambda_sup,
        frobenius,
        ..
    }) = report.estimates
    {
        for (
            name,
            Estimate {
                value,
                standard_error,
            },
        ) in [
            ("λ_sup by random probes", lambda_sup),
            ("‖H‖ by random probes", frobenius),
        ] {
            rows.push((
                name,
                format!("{value:.6e}  (standard error {standard_error:.1e})"),
            ));
        }
    }
    for (name, value) in rows {
        let _ = writeln!(text, "{name:24}{value}");
    }
    let _ = writeln!(text, "\n{:>16}{:>16}", "largest", "smallest");
    for (largest, smallest) in report.largest.iter().zip(&report.smallest) {
        let _ = writeln!(text, "{largest:>16.6e}{smallest:>16.6e}");
    }
    if !report.eigenvalues_converged {
        text.push_str(
            "\nLanczos has not converged: see the residuals in spectrum_eigenvalues.csv\n",
        );
    }
    text.push('\n');
    text + &paths(&report.files)
}
