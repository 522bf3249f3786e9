//! `hsr spectrum`.

use std::fmt::Write;
use std::ops::ControlFlow;

use hsr_lab::LabError;
use hsr_lab::spectrum::{SpectrumOptions as Options, SpectrumReport, spectrum_of};
use hsr_lab::train::Estimate;

use crate::args::SpectrumOptions;
use crate::output::{Manner, paths, warn};
use crate::progress;
use crate::subject::{opened, remark};

pub fn run(options: SpectrumOptions, quiet: bool) -> Result<String, LabError> {
    let stop = progress::stop_flag();
    let (out, subject) = opened(options.subject, options.out)?;
    stop.listen();
    let bar = progress::bar(0, "spectrum", quiet);
    let report = spectrum_of(
        &subject,
        &mut options.memory.unwrap_or_default().curvature(),
        &Options {
            top: options.top,
            probes: options.probes,
            seed: options.seed,
        },
        &out,
        |progress| {
            bar.set_message(progress.what);
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            if stop.is_set() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    bar.finish_and_clear();
    let manner = Manner {
        json: options.json,
        quiet,
    };
    let report = report?;
    remark(&subject, quiet);
    report.notes.iter().for_each(|note| warn(note));
    manner.tell(&report, |report| paths(&report.files), table)
}

fn table(report: &SpectrumReport) -> String {
    let [network, samples] = report.subject.heading();
    let mut text = format!(
        "{network}: {} parameters, {samples}, loss {:.6}\n\n",
        report.parameters, report.loss
    );
    let estimate = &report.trace_estimate;
    let unknown = || "–".to_owned();
    let known = |v: Option<f64>| v.map_or_else(unknown, |v| format!("{v:.6e}"));
    let estimates = report.estimates.iter().flat_map(|it| {
        let row = |name, estimate: Estimate| {
            let Estimate {
                value,
                standard_error,
            } = estimate;
            (
                name,
                format!("{value:.6e}  (standard error {standard_error:.1e})"),
            )
        };
        [
            row("λ_sup by random probes", it.lambda_sup),
            row("‖H‖ by random probes", it.frobenius),
        ]
    });
    let exact = [
        ("λ_sup", known(report.lambda_sup)),
        (
            "λ_max",
            format!("{:.6e}  ({})", report.lambda_max, report.eigenvalue_method),
        ),
        (
            "λ_min",
            format!("{:.6e}  ({})", report.lambda_min, report.eigenvalue_method),
        ),
        (
            "λ_sup/λ_max",
            report.tightness.map_or_else(unknown, |v| format!("{v:.4}")),
        ),
        (
            "negative eigenvalues",
            report
                .negative_eigenvalues
                .map_or_else(unknown, |count| count.to_string()),
        ),
        ("tr H", known(report.trace)),
        (
            "tr H by random probes",
            format!(
                "{:.6e}  ({:.0} % within {:.6e} … {:.6e})",
                estimate.trace,
                100.0 * estimate.confidence,
                estimate.interval[0],
                estimate.interval[1]
            ),
        ),
    ];
    for (name, value) in exact.into_iter().chain(estimates) {
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
