//! What is looked at: a network and samples.

use std::path::PathBuf;

use clap::Args;
use hsr_lab::LabError;
use hsr_lab::memory::MemoryLimit;
use hsr_lab::model::{ModelOptions, TableSource};
use hsr_lab::train::Split;

use super::data::TableArguments;
use super::model::ModelArguments;
use super::named::named;

/// The network that is measured, and the samples that it is measured on.
#[derive(Debug, Args)]
pub struct SubjectArguments {
    /// The most memory that curvature may take, such as 2GiB [default: half of what is free].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryLimit>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// A CSV with a header row [default: the data of the run].
    #[arg(long, value_name = "FILE.csv", required_unless_present = "run")]
    pub data: Option<PathBuf>,
    /// The label column [default: that of the run].
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub label: Option<String>,
    /// The split of the data of the run.
    #[arg(long, default_value = "train", conflicts_with = "data", value_parser = named::<Split>())]
    pub split: Split,
    /// The column with the samples' weights.
    #[arg(long, value_name = "COLUMN", requires = "data")]
    pub weight_column: Option<String>,
    /// Bring the features to mean 0 and standard deviation 1 first, for weights that do not say how they were.
    #[arg(long, requires = "data")]
    pub standardize: bool,
    /// The network.
    #[command(flatten)]
    pub model: ModelArguments,
    /// The CSV.
    #[command(flatten)]
    pub table: TableArguments,
}

/// What the laboratory takes for [`SubjectArguments`].
pub type SubjectOptions = (ModelOptions, Option<TableSource>, Split);

impl SubjectArguments {
    /// As the laboratory takes them.
    pub fn options(self) -> Result<SubjectOptions, LabError> {
        let data = self.data.map(|path| TableSource {
            path,
            label: self.label,
            weight_column: self.weight_column,
            options: self.table.options(false),
            standardize: self.standardize,
        });
        Ok((self.model.options()?, data, self.split))
    }
}
