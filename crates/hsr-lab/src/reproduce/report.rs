//! `report.html` of a directory of experiments.

use std::path::Path;

use serde_json::Value;

use super::outcome::Outcome;
use crate::error::LabError;
use crate::figures::{self, Figure};
use crate::report::{Cell, Report, Table};

/// The report of experiments whose files are in `folder`.
///
/// # Errors
///
/// [`LabError::Io`] where a picture cannot be read.
pub(super) fn html(folder: &Path, outcomes: &[Outcome]) -> Result<String, LabError> {
    let mut report = Report::new("HSR regularisation: the paper, reproduced");
    let claims = || outcomes.iter().flat_map(|outcome| &outcome.claims);
    report.paragraph(&format!(
        "{} of {} claims hold. Thresholds stand in the program and do not depend on what is measured: a claim that fails is a \
         result.",
        claims().filter(|claim| claim.holds).count(),
        claims().count()
    ));
    let mut overview = Table::new(["experiment", "what it shows", "claims that hold"]);
    for outcome in outcomes {
        let holds = outcome.claims.iter().filter(|claim| claim.holds).count();
        overview.row(
            outcome.experiment.name(),
            [
                Cell::words(&outcome.title),
                Cell::number(format!("{holds} of {}", outcome.claims.len())),
            ],
        );
    }
    report.table(&overview);
    for outcome in outcomes {
        report.heading(&format!("{}: {}", outcome.experiment, outcome.title));
        for (i, picture) in outcome.pictures.iter().enumerate() {
            let path = folder.join(picture);
            let svg = std::fs::read_to_string(&path).map_err(LabError::io(&path, "be read"))?;
            let caption = if i == 0 { outcome.caption.as_str() } else { "" };
            report.figure(&Figure::from_svg(svg), caption);
        }
        for claim in &outcome.claims {
            let relation = serde_json::to_value(claim.relation).unwrap_or_default();
            let number = match claim.value {
                Some(value) => format!(
                    "{} {} {}",
                    figures::value(value),
                    relation.as_str().unwrap_or_default(),
                    figures::value(claim.threshold)
                ),
                None => "not a number".to_owned(),
            };
            report.verdict(claim.holds, &claim.text, &number);
        }
        let mut settings = Table::new(["setting", "value"]);
        flatten(&mut settings, "", &outcome.settings);
        report.folded("Settings", &settings);
        report.paragraph(&format!(
            "The numbers are in `{}`; {:.0} seconds of work.",
            outcome.table, outcome.seconds
        ));
    }
    Ok(report.html())
}

/// A row for each setting, those within others by their path.
fn flatten(table: &mut Table, path: &str, value: &Value) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                flatten(table, &below(name), value);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (i, item) in items.iter().enumerate() {
                flatten(table, &below(&i.to_string()), item);
            }
        }
        // What was left as it is by default.
        Value::Null => {}
        Value::String(text) => table.row(path, [Cell::words(text)]),
        other => table.row(path, [Cell::words(other.to_string())]),
    }
}
