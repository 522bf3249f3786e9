//! `hsr predict`.

use std::fmt::Write;

use hsr_lab::model::TableSource;
use hsr_lab::predict::{PredictOptions as Options, Prediction, predict};
use hsr_lab::{LabError, visible};

use crate::args::PredictOptions;
use crate::output::{Manner, paths, say, warn_of_data};

/// Classes that the table lists.
const LISTED: usize = 20;

pub fn run(options: PredictOptions, quiet: bool) -> Result<String, LabError> {
    let json = options.json;
    let prediction = predict(&Options {
        model: options.model.options()?,
        data: TableSource {
            path: options.data,
            label: options.label,
            options: options.table.options(false),
            ..TableSource::default()
        },
        out: options.out,
    })?;
    warn_of_data(&prediction.warnings, quiet);
    if !quiet {
        prediction.notes.iter().for_each(|note| say(note));
    }
    Manner { json, quiet }.tell(&prediction, |it| paths(&[&it.out]), table)
}

fn table(prediction: &Prediction) -> String {
    let mut text = format!("{} rows predicted\n\n", prediction.samples);
    for class in prediction.classes.iter().take(LISTED) {
        let _ = writeln!(text, "{:22}{:>14}", visible(&class.name), class.predicted);
    }
    if prediction.classes.len() > LISTED {
        let _ = writeln!(text, "… ({} classes in all)", prediction.classes.len());
    }
    if let Some(scores) = &prediction.scores {
        let _ = writeln!(
            text,
            "\n{:22}{:>12.2} %\n{:22}{:>14.4}\n{:22}{:>14.4}\n{:22}{:>14.4}",
            "accuracy",
            100.0 * scores.accuracy,
            "macro-F1",
            scores.macro_f1,
            "loss",
            scores.loss,
            "calibration error",
            scores.calibration_error
        );
    }
    let _ = writeln!(text, "\nIn {}", visible(&prediction.out));
    text
}
