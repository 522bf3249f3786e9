//! What came of an experiment, as files of a directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::experiment::Experiment;
use super::finding::{Claim, Finding};
use crate::error::LabError;
use crate::{files, input};

/// What came of an experiment, as stored in `NAME.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The experiment.
    pub experiment: Experiment,
    /// What it shows.
    pub title: String,
    /// What is seen, what was chosen, what differs from the paper.
    pub caption: String,
    /// The claims, with their numbers.
    pub claims: Vec<Claim>,
    /// The pictures: SVG files, each with a PNG beside it.
    pub pictures: Vec<String>,
    /// The numbers behind them.
    pub table: String,
    /// What decides the result: version, extent, seed and everything that was chosen.
    pub settings: Value,
    /// Seconds of work.
    pub seconds: f64,
    /// The SHA-256 of the pictures' SVG files and of the table, by name: what a later call reads back must be these.
    pub checksums: BTreeMap<String, String>,
}

/// An experiment that was done, with all its files as they were written.
pub(super) fn finished(out: &Path, experiment: Experiment) -> Option<Outcome> {
    let bytes = input::read(&out.join(format!("{experiment}.json"))).ok()?;
    let (outcome, _) = files::unsealed::<Outcome>(&bytes, "").ok()?;
    let is_whole = |(name, sum): (&String, &String)| {
        let bytes = input::read(&out.join(name));
        bytes.is_ok_and(|bytes| files::checksum([&bytes[..]]) == *sum)
    };
    let are_there = outcome
        .pictures
        .iter()
        .all(|svg| out.join(svg.replace(".svg", ".png")).is_file());
    (are_there && outcome.checksums.iter().all(is_whole)).then_some(outcome)
}

/// Writes pictures, table and, last, what came of the experiment.
pub(super) fn write(
    out: &Path,
    experiment: Experiment,
    finding: Finding,
    settings: Value,
    started: Instant,
) -> Result<Outcome, LabError> {
    let mut pictures = Vec::new();
    let mut checksums = BTreeMap::new();
    for (suffix, picture) in &finding.pictures {
        let name = match *suffix {
            "" => experiment.name().to_owned(),
            suffix => format!("{experiment}-{suffix}"),
        };
        let svg = format!("{name}.svg");
        files::write(&out.join(&svg), picture.svg().as_bytes())?;
        files::write(&out.join(format!("{name}.png")), &picture.png(2.0)?)?;
        checksums.insert(svg.clone(), files::checksum([picture.svg().as_bytes()]));
        pictures.push(svg);
    }
    let table = format!("{experiment}.csv");
    let numbers = finding.table.csv()?;
    files::write(&out.join(&table), &numbers)?;
    checksums.insert(table.clone(), files::checksum([&numbers[..]]));
    let outcome = Outcome {
        experiment,
        title: experiment.title().to_owned(),
        caption: finding.caption,
        claims: finding.claims,
        pictures,
        table,
        settings,
        seconds: started.elapsed().as_secs_f64(),
        checksums,
    };
    // Last: it says that the others are there.
    files::write(
        &out.join(format!("{experiment}.json")),
        &files::sealed(&outcome, "").0,
    )?;
    Ok(outcome)
}
