//! `hsr landscape`.

use std::fmt::Write;
use std::ops::ControlFlow;

use hsr_lab::landscape::{Directions, LandscapeOptions as Options, LandscapeReport, landscape};
use hsr_lab::{LabError, visible};

use crate::args::{DirectionsName, LandscapeOptions};
use crate::output::{Manner, paths, warn};
use crate::progress;
use crate::subject::{opened, remark};

pub fn run(options: LandscapeOptions, quiet: bool) -> Result<String, LabError> {
    let stop = progress::stop_flag();
    let (out, subject) = opened(options.subject, options.out)?;
    stop.listen();
    let bar = progress::bar(0, "landscape", quiet);
    let report = landscape(
        &subject,
        &mut options.memory.unwrap_or_default().curvature(),
        &Options {
            directions: match options.directions {
                DirectionsName::Random => Directions::Random,
                DirectionsName::Eigen => Directions::Eigen,
                DirectionsName::Line => Directions::Line,
                DirectionsName::Curve => Directions::Curve,
            },
            from: options.from,
            points: options.size,
            range: options.range,
            steps: options.steps,
            seed: options.seed,
        },
        &out,
        |progress| {
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

fn table(report: &LandscapeReport) -> String {
    let number = |v: f64| format!("{v:.6}");
    let unknown = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), number);
    let network = visible(&report.subject.network);
    let mut rows = vec![(format!("loss of {network}"), number(report.loss))];
    if let Some(loss) = report.plain_loss {
        let first = report.from.as_deref().unwrap_or("plain");
        rows.push((format!("loss of {}", visible(first)), number(loss)));
    }
    rows.push(("lowest loss met".to_owned(), unknown(report.lowest)));
    rows.push(("highest loss met".to_owned(), unknown(report.highest)));
    if let Some([first, second]) = report.eigenvalues {
        rows.push(("eigenvalue of direction 1".to_owned(), number(first)));
        rows.push(("eigenvalue of direction 2".to_owned(), number(second)));
    }
    if let Some(barrier) = report.barrier {
        let at = report
            .barrier_at
            .map_or_else(String::new, |t| format!("  at {t:.3} of the way"));
        rows.push(("barrier".to_owned(), format!("{barrier:.6}{at}")));
    }
    if let Some(curve) = &report.curve {
        let line = [
            ("  … of the straight line", curve.line_barrier),
            ("largest λ_max on the curve", curve.curve_lambda_max),
            ("  … on the straight line", curve.line_lambda_max),
        ];
        rows.extend(line.map(|(name, value)| (name.to_owned(), number(value))));
    }
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:28}{value}");
    }
    text.push('\n');
    text + &paths(&report.files)
}
