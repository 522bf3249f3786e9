//! `hsr landscape`.

use std::fmt::Write;

use hsr_lab::landscape::{LandscapeOptions as Options, LandscapeReport, landscape};
use hsr_lab::{LabError, visible};

use crate::args::LandscapeOptions;
use crate::output::{Manner, paths, warn};
use crate::subject::looked;

pub fn run(options: LandscapeOptions, quiet: bool) -> Result<String, LabError> {
    let json = options.subject.json;
    let asked = Options {
        directions: options.directions,
        from: options.from,
        size: options.size,
        range: options.range,
        steps: options.steps,
        seed: options.seed,
    };
    let report = looked(
        options.subject,
        options.out,
        quiet,
        |subject, curvature, out, show| {
            landscape(subject, curvature, &asked, out, |it| {
                show("landscape", it.done, it.total)
            })
        },
    )?;
    report.notes.iter().for_each(|note| warn(note));
    Manner { json, quiet }.tell(&report, |report| paths(&report.files), table)
}

fn table(report: &LandscapeReport) -> String {
    let number = |v: f64| format!("{v:.6}");
    let unknown = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), number);
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    let network = visible(&report.subject.network);
    row(&format!("loss of {network}"), number(report.loss));
    if let Some(loss) = report.plain_loss {
        let first = visible(report.from.as_deref().unwrap_or("plain"));
        row(&format!("loss of {first}"), number(loss));
    }
    row("lowest loss met", unknown(report.lowest));
    row("highest loss met", unknown(report.highest));
    if let Some([first, second]) = report.eigenvalues {
        row("eigenvalue of direction 1", number(first));
        row("eigenvalue of direction 2", number(second));
    }
    if let Some(barrier) = report.barrier {
        let at = report.barrier_at.map(|t| format!("  at {t:.3} of the way"));
        row("barrier", format!("{barrier:.6}{}", at.unwrap_or_default()));
    }
    if let Some(curve) = &report.curve {
        row("  … of the straight line", number(curve.line_barrier));
        row("largest λ_max on the curve", number(curve.curve_lambda_max));
        row("  … on the straight line", number(curve.line_lambda_max));
    }
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:28}{value}");
    }
    text.push('\n');
    text + &paths(&report.files)
}
