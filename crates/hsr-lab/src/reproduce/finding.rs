//! What comes of an experiment: claims with their numbers, pictures, the numbers behind them.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::figures::{self, Chart, Figure, FigureError, Mark, Plot, Series};
use crate::files;
use crate::statistics::Quartiles;

/// A claim and what was found. Thresholds are fixed in the program before anything is measured: a claim that fails is a
/// result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The claim with its number, in a line.
    pub text: String,
    /// The number on which it depends; none where it could not be found.
    pub value: Option<f64>,
    /// How the number has to stand to the threshold.
    pub relation: Relation,
    /// The threshold.
    pub threshold: f64,
    /// Whether it does.
    pub holds: bool,
}

/// A relation of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// At most the threshold.
    #[serde(rename = "≤")]
    AtMost,
    /// At least the threshold.
    #[serde(rename = "≥")]
    AtLeast,
    /// Below the threshold.
    #[serde(rename = "<")]
    Below,
    /// Above the threshold.
    #[serde(rename = ">")]
    Above,
}

impl Claim {
    fn new(text: impl Into<String>, value: f64, relation: Relation, threshold: f64) -> Self {
        // A NaN fails every comparison.
        let holds = match relation {
            Relation::AtMost => value <= threshold,
            Relation::AtLeast => value >= threshold,
            Relation::Below => value < threshold,
            Relation::Above => value > threshold,
        };
        Self {
            text: text.into(),
            value: Some(value).filter(|v| v.is_finite()),
            relation,
            threshold,
            holds,
        }
    }

    /// The number has to be at most the threshold.
    pub(super) fn at_most(text: impl Into<String>, value: f64, threshold: f64) -> Self {
        Self::new(text, value, Relation::AtMost, threshold)
    }

    /// The number has to be at least the threshold.
    pub(super) fn at_least(text: impl Into<String>, value: f64, threshold: f64) -> Self {
        Self::new(text, value, Relation::AtLeast, threshold)
    }

    /// The number has to be below the threshold.
    pub(super) fn below(text: impl Into<String>, value: f64, threshold: f64) -> Self {
        Self::new(text, value, Relation::Below, threshold)
    }

    /// The number has to be above the threshold.
    pub(super) fn above(text: impl Into<String>, value: f64, threshold: f64) -> Self {
        Self::new(text, value, Relation::Above, threshold)
    }

    /// What has to be the case at each of `all`, which it is at `count`.
    pub(super) fn of_all(text: impl Into<String>, count: usize, all: usize) -> Self {
        Self::at_least(text, count as f64, all as f64)
    }

    /// `PASS` or `FAIL`.
    pub fn verdict(&self) -> &'static str {
        if self.holds { "PASS" } else { "FAIL" }
    }
}

/// Numbers as a CSV.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns, as the first line of the file has them.
    pub fn new(header: &str) -> Self {
        Self {
            header: header.split(',').map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, which has as many cells as the header.
    pub fn row(&mut self, cells: &[&dyn Display]) {
        let cells = cells.iter().map(|it| it.to_string());
        self.rows.push(cells.collect());
    }

    /// The file. Numbers have as many digits as it takes to read the same number back.
    pub fn csv(&self) -> Result<Vec<u8>, LabError> {
        let mut lines = std::iter::once(&self.header).chain(&self.rows);
        let written = files::csv(|writer| lines.try_for_each(|line| writer.write_record(line)));
        written.map_err(|error| LabError::Figure(FigureError::Draw(error.to_string())))
    }
}

/// A panel with linear axes.
pub(super) fn plot(
    title: impl Into<String>,
    x: impl Into<String>,
    y: impl Into<String>,
    series: Vec<Series>,
) -> Plot {
    Plot {
        title: title.into(),
        x: x.into(),
        y: y.into(),
        series,
        ..Plot::default()
    }
}

/// Medians with a band of their quartiles.
pub(super) fn quartiles(
    label: &str,
    mark: Mark,
    values: impl Iterator<Item = (f64, Quartiles)>,
) -> Series {
    let (points, band) = values
        .map(|(x, q)| ([x, q.median], [x, q.lower, q.upper]))
        .unzip();
    Series {
        band,
        ..Series::new(label, mark, points)
    }
}

/// The picture of some panels, so many beside each other.
pub(super) fn chart(
    title: impl Into<String>,
    note: impl Into<String>,
    columns: usize,
    plots: Vec<Plot>,
) -> Result<Figure, FigureError> {
    figures::chart(&Chart {
        title: title.into(),
        note: note.into(),
        columns,
        plots,
    })
}

/// What an experiment gives to be written and reported.
pub(super) struct Finding {
    /// What is seen, what was chosen, and what differs from the paper: a few sentences.
    pub caption: String,
    pub claims: Vec<Claim>,
    /// Pictures by the suffix of their file, the main one with an empty suffix.
    pub pictures: Vec<(&'static str, Figure)>,
    pub table: Table,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_as_its_number_stands_to_the_threshold() {
        let holds = |claim: Claim| claim.holds;
        assert!(holds(Claim::at_most("", 1.0, 1.0)) && holds(Claim::at_least("", 1.0, 1.0)));
        assert!(!holds(Claim::below("", 1.0, 1.0)) && !holds(Claim::above("", 1.0, 1.0)));
        assert!(holds(Claim::below("", 0.9, 1.0)) && holds(Claim::above("", 1.1, 1.0)));
        assert!(!holds(Claim::at_most("", 1.1, 1.0)) && !holds(Claim::at_least("", 0.9, 1.0)));
    }

    #[test]
    fn what_could_not_be_found_fails_and_survives_json() {
        for claim in [
            Claim::below("", f64::NAN, 1.0),
            Claim::above("", f64::NAN, 1.0),
            Claim::at_most("", f64::NAN, 1.0),
            Claim::at_least("", f64::NAN, 1.0),
        ] {
            assert_eq!(
                (claim.holds, claim.value, claim.verdict()),
                (false, None, "FAIL")
            );
            let text = serde_json::to_string(&claim).unwrap();
            assert_eq!(serde_json::from_str::<Claim>(&text).unwrap(), claim);
        }
    }

    #[test]
    fn a_table_is_a_csv_whose_numbers_read_back() {
        let mut table = Table::new("name,value");
        table.row(&[&"a, b", &0.1]);
        let csv = String::from_utf8(table.csv().unwrap()).unwrap();
        assert_eq!(csv, "name,value\n\"a, b\",0.1\n");
    }
}
