//! What is learned from.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgGroup, Args};
use hsr_lab::data::{Missing, Separator, TableOptions};
use hsr_lab::tasks;

use super::named::{Names, named, names};

/// What is learned from, and how a CSV is read.
#[derive(Clone, Debug, Args)]
pub struct SourceArguments {
    /// The data.
    #[command(flatten)]
    pub data: DataOptions,
    /// The CSV.
    #[command(flatten)]
    pub table: TableArguments,
    /// Whether numbers are classes.
    #[command(flatten)]
    pub labels: LabelArguments,
    /// Synthetic tasks.
    #[command(flatten)]
    pub synthetic: SyntheticOptions,
}

impl SourceArguments {
    /// The same for each task or table.
    ///
    /// # Errors
    ///
    /// What is wrong with the number of labels.
    pub fn each(self) -> Result<Vec<Self>, String> {
        let DataOptions {
            task, data, label, ..
        } = &self.data;
        let (tables, labels) = (data.len(), label.len());
        if labels > 1 && labels != tables {
            return Err(format!(
                "--label is given {labels} times for {tables} of --data, expected one for all or one for each"
            ));
        }
        if task.len().max(tables) < 2 {
            return Ok(vec![self]);
        }
        let with = |task: Option<&String>, data: Option<&PathBuf>, label: Option<&String>| {
            let mut one = self.clone();
            one.data.task = task.into_iter().cloned().collect();
            one.data.data = data.into_iter().cloned().collect();
            one.data.label = label.into_iter().cloned().collect();
            one
        };
        let tasks = task
            .iter()
            .map(|task| with(Some(task), None, label.first()));
        let tables = data.iter().enumerate().map(|(number, path)| {
            let label = label.get(number).or(label.first());
            with(None, Some(path), label)
        });
        Ok(tasks.chain(tables).collect())
    }
}

/// What is learned from.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Data")]
#[command(group = ArgGroup::new("source").args(["task", "data"]))]
pub struct DataOptions {
    /// A built-in task (`hsr tasks` says more of each); hsr compare takes several, A,B,… [default: digits].
    #[arg(long, value_name = "NAME", value_parser = task_names(), value_delimiter = ',')]
    pub task: Vec<String>,
    /// A CSV with a header row; every column but the label is a feature. Repeated for others in hsr compare.
    #[arg(long, value_name = "FILE.csv")]
    pub data: Vec<PathBuf>,
    /// The label column of the CSV; of several, one for all or one for each.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub label: Vec<String>,
    /// The directory with the IDX files of the task mnist.
    #[arg(long, value_name = "DIR", requires = "task")]
    pub data_dir: Option<PathBuf>,
    /// Of the task mnist, how many samples are used; of a synthetic one, how many are drawn.
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// The share of samples held out for testing.
    #[arg(long, value_name = "X", default_value_t = 0.25)]
    pub test_fraction: f64,
    /// Train on so many samples of the training split, every class with its share [default: all].
    #[arg(long, value_name = "N")]
    pub train_samples: Option<usize>,
    /// The share of the labels trained on that are replaced by another class.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    pub label_noise: f64,
}

/// How a CSV is read.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "CSV")]
pub struct TableArguments {
    /// What separates the fields: comma, semicolon, tab, pipe, space or a character [default: recognised].
    #[arg(long, value_name = "CHAR", requires = "data")]
    pub separator: Option<Separator>,
    /// The first row is a sample; columns go by their numbers, from 1.
    #[arg(long, requires = "data")]
    pub no_header: bool,
    /// Numbers have a comma before their decimals.
    #[arg(long, requires = "data")]
    pub decimal_comma: bool,
    /// Columns to leave out.
    #[arg(long, value_name = "A,B,…", requires = "data", value_parser = names)]
    pub drop: Option<Names>,
    /// Columns of text that become a feature for each of their values, 1 where the row has it and 0 elsewhere.
    #[arg(long, value_name = "A,B,…", requires = "data", value_parser = names)]
    pub one_hot: Option<Names>,
    /// Rows with missing values: refuse them or leave them out.
    #[arg(long, value_name = "HOW", requires = "data", value_parser = named::<Missing>())]
    pub missing: Option<Missing>,
}

impl TableArguments {
    /// As the laboratory takes them.
    pub fn options(self, numeric_classes: bool) -> TableOptions {
        let list = |names: Option<Names>| names.map(|names| names.0).unwrap_or_default();
        TableOptions {
            separator: self.separator,
            no_header: self.no_header,
            decimal_comma: self.decimal_comma,
            drop: list(self.drop),
            one_hot: list(self.one_hot),
            missing: self.missing.unwrap_or_default(),
            numeric_classes,
        }
    }
}

/// What the labels of a CSV mean in training.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "CSV")]
pub struct LabelArguments {
    /// Labels that look like a quantity are the names of classes.
    #[arg(long, requires = "data")]
    pub numeric_classes: bool,
}

/// Options of the synthetic tasks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Synthetic tasks")]
pub struct SyntheticOptions {
    /// Standard deviation of the noise (moons, circles, spirals).
    #[arg(long, value_name = "X")]
    pub noise: Option<f64>,
    /// Classes (spirals, gaussians).
    #[arg(long, value_name = "K")]
    pub classes: Option<usize>,
    /// Means of the gaussians: x,y for each class, separated by `;`.
    #[arg(long, value_name = "X,Y;…", value_parser = means, allow_hyphen_values = true)]
    pub means: Option<Means>,
    /// Covariance of the gaussians: xx,xy,yy.
    #[arg(long, value_name = "XX,XY,YY", value_parser = covariance, allow_hyphen_values = true)]
    pub covariance: Option<Covariance>,
    /// Overlap of the gaussians, 0 (separated) to 1 (identical).
    #[arg(long, value_name = "X")]
    pub overlap: Option<f64>,
}

fn task_names() -> PossibleValuesParser {
    let tasks = tasks::all().into_iter();
    // Without the marks of the library's fields, which a shell would run as commands.
    let help = |it: &str| it.replace('`', "");
    PossibleValuesParser::new(
        tasks.map(|task| PossibleValue::new(task.name).help(help(task.description))),
    )
}

/// `--means`.
#[derive(Clone, Debug, PartialEq)]
pub struct Means(pub Vec<[f64; 2]>);

/// `--covariance`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Covariance(pub [f64; 3]);

fn numbers<const N: usize>(text: &str) -> Option<[f64; N]> {
    let values: Vec<f64> = text
        .split(',')
        .map(|value| value.trim().parse().ok())
        .collect::<Option<_>>()?;
    values.try_into().ok()
}

fn means(text: &str) -> Result<Means, String> {
    text.split(';')
        .map(numbers::<2>)
        .collect::<Option<_>>()
        .map(Means)
        .ok_or_else(|| "expected x,y for each class, separated by ;".to_owned())
}

fn covariance(text: &str) -> Result<Covariance, String> {
    numbers(text)
        .map(Covariance)
        .ok_or_else(|| "expected three numbers xx,xy,yy".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_numbers_are_read() {
        assert_eq!(
            means("0,1; -2,3.5").unwrap(),
            Means(vec![[0.0, 1.0], [-2.0, 3.5]])
        );
        assert_eq!(
            covariance("1,-0.5,2").unwrap(),
            Covariance([1.0, -0.5, 2.0])
        );
        assert!(
            means("0,1,2").is_err() && covariance("1,2").is_err() && covariance("a,b,c").is_err()
        );
    }
}
