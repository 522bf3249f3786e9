//! `hsr landscape`.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use hsr_lab::LabError;
use hsr_lab::landscape::{Directions, LandscapeOptions as Options, LandscapeReport, landscape};
use hsr_lab::train::SavedRun;

use crate::args::{DirectionsName, LandscapeOptions};
use crate::output::{Manner, paths};
use crate::progress;

pub fn run(options: LandscapeOptions, quiet: bool) -> Result<String, LabError> {
    let stop = progress::stop_flag();
    let run = SavedRun::open(&options.run)?.with_memory(options.memory.unwrap_or_default());
    let out = options.out.unwrap_or_else(|| options.run.clone());
    let bar = progress::bar(0, "landscape", quiet);
    let report = landscape(
        &run,
        &Options {
            network: options.network,
            directions: match options.directions {
                DirectionsName::Random => Directions::Random,
                DirectionsName::Eigen => Directions::Eigen,
                DirectionsName::Line => Directions::Line,
            },
            points: options.size,
            range: options.range,
            seed: options.seed,
            split: options.split.into(),
        },
        &out,
        |progress| {
            bar.set_length(progress.total as u64);
            bar.set_position(progress.done as u64);
            if stop.load(Ordering::SeqCst) {
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
    manner.tell(&report?, |report| paths(&report.files), table)
}

fn table(report: &LandscapeReport) -> String {
    let number = |v: f64| format!("{v:.6}");
    let unknown = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), number);
    let mut rows = vec![(format!("loss of {}", report.network), number(report.loss))];
    if let Some(loss) = report.plain_loss {
        rows.push(("loss of plain".to_owned(), number(loss)));
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
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:28}{value}");
    }
    text.push('\n');
    text + &paths(&report.files)
}
