//! Several comparisons of the same methods, each on a task of its own: which method ranks best over the tasks.

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::findings::Findings;
use super::metric::Metric;
use crate::error::LabError;
use crate::figures::mean_ranks;
use crate::report::{Cell, Report, Table};
use crate::statistics::Friedman;
use crate::train::Method;
use crate::{files, pictures};

/// The comparisons and what they say together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Across {
    /// A comparison for each task.
    pub comparisons: Vec<Findings>,
    /// The methods, in the order of the ranks.
    pub methods: Vec<Method>,
    /// A Friedman test for each metric in which every method has a median on every task.
    pub ranks: Vec<Ranks>,
    /// What could not be drawn, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// The ranks of the methods in one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranks {
    /// The metric.
    pub metric: Metric,
    /// The test of the medians over seeds.
    #[serde(flatten)]
    pub test: Friedman,
}

/// The metrics that methods are ranked in, and whether more is better.
const RANKED: [(Metric, bool); 5] = [
    (Metric::MacroF1, true),
    (Metric::Accuracy, true),
    (Metric::TestLoss, false),
    (Metric::CalibrationError, false),
    (Metric::LambdaMax, false),
];

impl Across {
    /// The ranks over comparisons of the same methods; none are computed for fewer than two.
    pub fn new(comparisons: Vec<Findings>) -> Self {
        let methods: Vec<Method> = comparisons
            .first()
            .map(|first| first.methods.iter().map(|it| it.method).collect())
            .unwrap_or_default();
        let of = |(metric, larger): (Metric, bool)| {
            let scores = comparisons.iter().map(|findings| {
                let medians = methods.iter().map(|&method| {
                    let found = findings.methods.iter().find(|it| it.method == method)?;
                    let median = found.metrics.get(&metric)?.median;
                    Some(if larger { median } else { -median })
                });
                medians.collect::<Option<Vec<f64>>>()
            });
            let test = Friedman::of(&scores.collect::<Option<Vec<_>>>()?)?;
            Some(Ranks { metric, test })
        };
        Self {
            ranks: RANKED.into_iter().filter_map(of).collect(),
            methods,
            comparisons,
            missing: Vec::new(),
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.methods.iter().map(|it| it.name()).collect()
    }

    /// A table for people: a row a metric, a column a method.
    pub fn table(&self) -> String {
        let mut text = format!(
            "Mean ranks over {} tasks, 1 is best\n{:20}",
            self.comparisons.len(),
            ""
        );
        for name in self.names() {
            let _ = write!(text, "{name:>16}");
        }
        let _ = writeln!(text, "{:>12}{:>8}", "Friedman p", "CD");
        for Ranks { metric, test } in &self.ranks {
            let _ = write!(text, "{:20}", metric.label());
            for rank in &test.mean_ranks {
                let _ = write!(text, "{rank:>16.2}");
            }
            let distance = test.critical_difference;
            let distance = distance.map_or("–".to_owned(), |it| format!("{it:.2}"));
            let _ = writeln!(text, "{:>12.2e}{distance:>8}", test.p);
        }
        text.push_str(
            "Medians over seeds are ranked. Two methods differ (Nemenyi, 0.05) where their mean ranks differ by more than CD.\n",
        );
        text
    }

    /// `ranks.csv`: a row a metric and method.
    fn csv(&self) -> String {
        let mut text = "metric,method,mean_rank,tasks,statistic,p,critical_difference\n".to_owned();
        for Ranks { metric, test } in &self.ranks {
            for (name, rank) in self.names().iter().zip(&test.mean_ranks) {
                let distance = test.critical_difference;
                let distance = distance.map_or(String::new(), |it| format!("{it:?}"));
                let _ = writeln!(
                    text,
                    "{},{name},{rank:?},{},{:?},{:?},{distance}",
                    metric.name(),
                    test.tasks,
                    test.statistic,
                    test.p
                );
            }
        }
        text
    }

    /// Writes `ranks.csv`, a critical-difference diagram for each metric and `report.html` into a directory.
    ///
    /// # Errors
    ///
    /// [`LabError::Io`] where a file cannot be written.
    pub fn write(&mut self, directory: &Path) -> Result<(), LabError> {
        let save = |name: &str, bytes: &[u8]| files::write(&directory.join(name), bytes);
        save("ranks.csv", self.csv().as_bytes())?;
        let tasks: Vec<&str> = self.comparisons.iter().map(|it| it.task.as_str()).collect();
        let mut report = Report::new(&format!(
            "{}: {}",
            tasks.join(", "),
            self.names().join(", ")
        ));
        report.paragraph(
            "Each method's median over seeds is ranked on each task, 1 being best. The Friedman test asks whether the mean \
             ranks differ at all; Nemenyi's critical difference, which stands for all pairs together, which of them do. \
             Methods whose bars overlap do not differ. The tests between methods on one task are in its own report.",
        );
        let mut missing = Vec::new();
        for Ranks { metric, test } in &self.ranks {
            let figure = || mean_ranks(metric.title(), &self.names(), test);
            if let Ok(figure) = figure() {
                report.figure(&figure, "");
            }
            let name = format!("ranks_{}", metric.name());
            pictures::write(directory, &name, figure(), &mut missing)?;
        }
        let mut table = Table::new(std::iter::once("macro-F1").chain(self.names()));
        for findings in &self.comparisons {
            let cells = findings.methods.iter().map(|it| {
                let median = it.metrics.get(&Metric::MacroF1);
                let text = median.map_or("–".to_owned(), |it| Metric::MacroF1.text(it.median));
                Cell::number(text)
                    .with_mark(findings.mark(Metric::MacroF1, it.method))
                    .with_note(findings.strength(it))
            });
            table.row(findings.task.clone(), cells);
        }
        report.table(&table);
        save("report.html", report.html().as_bytes())?;
        self.missing = missing;
        Ok(())
    }
}
