//! What is learned from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::{DataWarning, Dataset, FeatureColumn, Roles, Split, Table, TableOptions};
use crate::error::LabError;
use crate::shell;
use crate::tasks::{self, TaskInfo, TaskOptions};

/// Where the data come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A built-in task.
    Task {
        /// Its name.
        name: String,
        /// What of it was changed.
        options: TaskOptions,
    },
    /// The user's CSV.
    Csv {
        /// The file, absolute.
        path: PathBuf,
        /// The label column.
        label: String,
        /// How it is read.
        #[serde(default)]
        table: TableOptions,
    },
}

/// The data of a source and where they come from.
pub(crate) struct Loaded {
    pub data: Dataset,
    /// Their own split, where they have one.
    pub split: Option<Split>,
    pub origin: Origin,
}

/// Where data come from, for messages and for tables of the same kind.
#[derive(Clone)]
pub(crate) struct Origin {
    /// The file, or the name of the task.
    pub path: PathBuf,
    /// The line of each sample, where they are from a file with lines.
    pub lines: Option<Vec<u64>>,
    /// The lines that were left out.
    pub dropped: Vec<u64>,
    /// The label column.
    pub label: String,
    /// The columns from which the features are made.
    pub columns: Vec<FeatureColumn>,
    /// How the table was read, where it was one.
    pub table: Option<TableOptions>,
    /// What looks wrong.
    pub warnings: Vec<DataWarning>,
}

/// The label column of tables that belong to a built-in task, as that of the bundled ones.
const LABEL_OF_TASKS: &str = "class";

impl Origin {
    /// That of a built-in task.
    pub fn of_task(name: &str, data: &Dataset) -> Self {
        let columns = data.feature_names.iter().cloned();
        Self {
            path: PathBuf::from(name),
            lines: None,
            dropped: Vec::new(),
            label: LABEL_OF_TASKS.to_owned(),
            columns: columns.map(FeatureColumn::Number).collect(),
            table: None,
            warnings: Vec::new(),
        }
    }
}

impl Source {
    /// A built-in task as it is.
    pub fn task(name: &str) -> Self {
        Self::Task {
            name: name.to_owned(),
            options: TaskOptions::default(),
        }
    }

    /// The name of the task or of the file.
    pub fn name(&self) -> String {
        match self {
            Source::Task { name, .. } => name.clone(),
            Source::Csv { path, .. } => path.file_stem().map_or_else(
                || "data".to_owned(),
                // It is shown on terminals, which obey control characters.
                |stem| stem.to_string_lossy().replace(char::is_control, "\u{fffd}"),
            ),
        }
    }

    /// What is known of the built-in task, where it is one.
    fn info(&self) -> Option<TaskInfo> {
        match self {
            Source::Task { name, .. } => tasks::all().into_iter().find(|it| it.name == name),
            Source::Csv { .. } => None,
        }
    }

    /// The pixels a side of the images that the data are, where they are square images row by row.
    pub(crate) fn image_side(&self) -> Option<usize> {
        self.info()?.image
    }

    /// Whether the data keep the split they are distributed with.
    pub fn has_fixed_split(&self) -> bool {
        self.info().is_some_and(|task| task.fixed_split)
    }

    /// The data.
    pub(crate) fn load(&self, seed: u64) -> Result<Loaded, LabError> {
        match self {
            Source::Task { name, options } => {
                let (data, split) = tasks::load_with_split(name, options, seed)?;
                Ok(Loaded {
                    origin: Origin::of_task(name, &data),
                    data,
                    split,
                })
            }
            Source::Csv {
                path,
                label,
                table: options,
            } => {
                let mut table = Table::read(path, &Roles::label(label), options)?;
                let origin = Origin {
                    path: path.clone(),
                    lines: Some(std::mem::take(&mut table.lines)),
                    dropped: std::mem::take(&mut table.dropped),
                    label: label.trim().to_owned(),
                    columns: std::mem::take(&mut table.columns),
                    table: Some(options.clone()),
                    warnings: std::mem::take(&mut table.warnings),
                };
                Ok(Loaded {
                    data: table.into_dataset(self.name())?,
                    split: None,
                    origin,
                })
            }
        }
    }

    /// Refuses a path that `config.json` cannot hold, and with which the run could not be repeated.
    pub(super) fn check(&self) -> Result<(), LabError> {
        let (option, path) = match self {
            Source::Csv { path, .. } => ("`data`", Some(path)),
            Source::Task { options, .. } => ("`data_dir`", options.data_dir.as_ref()),
        };
        match path {
            Some(path) if path.to_str().is_none() => Err(LabError::Option(format!(
                "{option} is {}, which is not UTF-8 and cannot be kept in config.json; expected another name, or a \
                 link of another name",
                shell::word(path)
            ))),
            _ => Ok(()),
        }
    }
}
