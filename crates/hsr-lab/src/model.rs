//! A trained network with what it says of itself, and the tables that are read for it: columns matched by name, features
//! standardised as in training, labels as classes in the order of the outputs.

use std::fmt::Display;
use std::path::PathBuf;

use hsr_core::{Activation, OutputLoss, Targets};

use crate::about::name_of_loss;
use crate::data::error::{listed, shown};
use crate::data::{DataError, Missing, Roles, Standardizer, Table, TableOptions};
use crate::train::network_file;
use crate::{About, LabError, Weights, WeightsFile};

/// Where a network is.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// In the directory of a finished run.
    Run {
        /// The directory.
        directory: PathBuf,
        /// The network, by its method; `None` for that of the run.
        network: Option<String>,
    },
    /// In a safetensors file.
    Weights {
        /// The file.
        path: PathBuf,
        /// The hidden layer's name in it.
        hidden_key: String,
        /// The output layer's name in it.
        output_key: String,
        /// Whether other tensors in it are no reason to refuse it.
        ignore_unused: bool,
    },
}

/// A network, and what is told of it. What the network says of itself need not be told, and may not be told otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOptions {
    /// Where it is.
    pub source: ModelSource,
    /// The hidden activation.
    pub activation: Option<Activation>,
    /// The loss.
    pub loss: Option<OutputLoss>,
    /// The names of the classes in the order of the outputs.
    pub classes: Option<Vec<String>>,
}

/// A table for a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableSource {
    /// The file.
    pub path: PathBuf,
    /// The label column.
    pub label: Option<String>,
    /// The column with the samples' weights.
    pub weight_column: Option<String>,
    /// How it is read.
    pub options: TableOptions,
    /// Whether the features are brought to mean 0 and standard deviation 1 first, by those of this table.
    pub standardize: bool,
}

/// A network that is ready to be used.
#[derive(Clone, Debug)]
pub struct Model {
    /// The file.
    pub path: PathBuf,
    /// The parameters.
    pub weights: Weights,
    /// The hidden activation.
    pub activation: Activation,
    /// The loss.
    pub loss: OutputLoss,
    /// The names of the classes in the order of the outputs, where they are known.
    pub classes: Option<Vec<String>>,
    /// What the file says.
    pub about: About,
    /// The name of the hidden layer's weight, for messages.
    hidden_weight: String,
}

/// Labels as the loss takes them.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Class indices.
    Classes(Vec<usize>),
    /// Numbers.
    Values(Vec<f64>),
}

impl Labels {
    /// For a batch.
    pub fn targets(&self) -> Targets<'_, f64> {
        match self {
            Labels::Classes(classes) => Targets::Classes(classes),
            Labels::Values(values) => Targets::Values(values),
        }
    }
}

/// Beyond it, the fourth powers in ‖H‖² leave the range of numbers.
const LARGEST: f64 = 1e60;

impl Model {
    /// Reads a network.
    ///
    /// # Errors
    ///
    /// What reading weights can refuse; [`LabError::Weights`] where what the file says does not go together with its
    /// tensors or with the options, [`LabError::Option`] where something is said by neither.
    pub fn open(options: &ModelOptions) -> Result<Self, LabError> {
        let (file, [hidden_key, output_key], ignore_unused) = match &options.source {
            ModelSource::Run { directory, network } => {
                let (_, file) = network_file(directory, network.as_deref())?;
                (file, ["hidden", "output"], false)
            }
            ModelSource::Weights {
                path,
                hidden_key,
                output_key,
                ignore_unused,
            } => (
                WeightsFile::read(path)?,
                [hidden_key.as_str(), output_key.as_str()],
                *ignore_unused,
            ),
        };
        let about = file.about()?;
        let weights = file.weights(hidden_key, output_key, ignore_unused)?;
        if let Some(fault) = about.fault(&weights.dimensions) {
            return Err(file.refuse(fault));
        }
        let settled = Settled { file: &file };
        let activation =
            settled.value("--activation", options.activation, about.activation, |it| {
                it.name().to_owned()
            })?;
        let loss = settled.value("--loss", options.loss, about.loss, |it| {
            name_of_loss(*it).to_owned()
        })?;
        let classes = options.classes.clone();
        if let Some(classes) = &classes {
            check_classes(classes, loss, weights.dimensions.outputs)?;
        }
        let classes =
            settled.either("--classes", classes, about.classes.clone(), |it| listed(it))?;
        Ok(Self {
            path: file.path().to_owned(),
            weights,
            activation,
            loss,
            classes,
            about,
            hidden_weight: format!("{hidden_key}.weight"),
        })
    }

    /// Reads a table: the features that the network has, in its order, standardised as it was trained. With `labels` it
    /// needs a label column, of the option or of the network.
    ///
    /// # Errors
    ///
    /// What reading a table can refuse; [`LabError::Option`] where options contradict what the network says, or the table
    /// has another number of features.
    pub fn table(&self, source: &TableSource, labels: bool) -> Result<Table, LabError> {
        let label = match (&source.label, labels) {
            (Some(label), _) => Some(label.as_str()),
            (None, false) => None,
            (None, true) => Some(self.about.label.as_deref().ok_or_else(|| {
                LabError::Option(format!(
                    "{} does not say which column holds the labels: name it with --label",
                    self.path.display()
                ))
            })?),
        };
        let options = self.options(source, label)?;
        let roles = Roles {
            label,
            weight: source.weight_column.as_deref(),
            features: self.about.features.as_deref(),
        };
        let mut table = Table::read(&source.path, &roles, &options)?;
        let dimensions = self.weights.dimensions;
        if table.inputs != dimensions.inputs {
            return Err(LabError::Option(format!(
                "{}: has {} feature columns, expected {} for {} [{}, {}] in {}",
                source.path.display(),
                table.inputs,
                dimensions.inputs,
                shown(&self.hidden_weight),
                dimensions.hidden,
                dimensions.inputs,
                self.path.display(),
            )));
        }
        match (&self.about.standardizer, source.standardize) {
            (Some(_), true) => {
                return Err(LabError::Option(format!(
                    "--standardize contradicts {}, which says how its features are standardised",
                    self.path.display()
                )));
            }
            (Some(standardizer), false) => standardizer.apply_to_features(&mut table.features),
            (None, true) => {
                let extreme = Standardizer::extreme(&table.features, table.inputs);
                if let Some((index, problem)) = extreme {
                    return Err(table.extreme(index, table.features[index], problem).into());
                }
                Standardizer::of_features(&table.features, table.inputs)
                    .apply_to_features(&mut table.features);
            }
            (None, false) => {}
        }
        let far = table
            .features
            .iter()
            .position(|value| value.is_nan() || value.abs() > LARGEST);
        if let Some(index) = far {
            let problem = match self.about.standardizer {
                Some(_) => {
                    "standardised as in training, more than 1e60: nothing can be computed with it"
                }
                None => "more than 1e60: nothing can be computed with it",
            };
            return Err(table.extreme(index, table.features[index], problem).into());
        }
        Ok(table)
    }

    /// How a table is read: as the options say, and where these are silent as the network's own was.
    fn options(&self, source: &TableSource, label: Option<&str>) -> Result<TableOptions, LabError> {
        let mut options = source.options.clone();
        let Some(columns) = &self.about.features else {
            return Ok(options);
        };
        for name in &options.one_hot {
            let encoded = columns.iter().any(|column| {
                column.name() == name && matches!(column, crate::data::FeatureColumn::OneHot { .. })
            });
            if !encoded {
                return Err(LabError::Option(format!(
                    "--one-hot {} contradicts {}, which has no categories of it",
                    shown(name),
                    self.path.display()
                )));
            }
        }
        if let Some(feature) = options
            .drop
            .iter()
            .find(|name| columns.iter().any(|it| it.name() == *name))
        {
            return Err(LabError::Option(format!(
                "--drop {} contradicts {}, of which it is a feature",
                shown(feature),
                self.path.display()
            )));
        }
        // What the table of training had beside its features may be there again.
        options.drop.extend(self.about.label.clone());
        if let Some(table) = &self.about.table {
            options.no_header |= table.no_header;
            options.decimal_comma |= table.decimal_comma;
            if options.missing == Missing::default() {
                options.missing = table.missing;
            }
            options.drop.extend(table.drop.iter().cloned());
        }
        let special = [label, source.weight_column.as_deref()];
        options
            .drop
            .retain(|name| !special.contains(&Some(name.as_str())));
        Ok(options)
    }

    /// The labels of a table as the loss takes them.
    ///
    /// # Errors
    ///
    /// [`DataError`] of a label that does not go together with the loss, the classes or the outputs.
    pub fn labels(&self, table: &Table) -> Result<Labels, LabError> {
        let outputs = self.weights.dimensions.outputs;
        let labels: Result<Labels, DataError> = match (self.loss, &self.classes) {
            (OutputLoss::SoftmaxCrossEntropy, Some(classes)) => {
                table.known_labels(classes).map(Labels::Classes)
            }
            (OutputLoss::SoftmaxCrossEntropy, None) => {
                table.index_labels(outputs).map(Labels::Classes)
            }
            (OutputLoss::SigmoidCrossEntropy, Some(classes)) => {
                let value = |class: &usize| *class as f64;
                let indices = table.known_labels(classes);
                indices.map(|it| Labels::Values(it.iter().map(value).collect()))
            }
            (OutputLoss::SigmoidCrossEntropy, None) => table.binary_labels().map(Labels::Values),
            (OutputLoss::MeanSquaredError, _) => table.numeric_labels().map(Labels::Values),
        };
        let labels = labels?;
        if matches!(labels, Labels::Values(_)) && outputs != 1 {
            return Err(LabError::Option(format!(
                "the {} takes one label column and so one output, {} has {outputs}",
                self.loss.name(),
                self.path.display(),
            )));
        }
        Ok(labels)
    }
}

/// Brings together what an option says and what a file says.
struct Settled<'a> {
    file: &'a WeightsFile,
}

impl Settled<'_> {
    fn either<T: PartialEq>(
        &self,
        option: &str,
        given: Option<T>,
        stored: Option<T>,
        name: impl Fn(&T) -> String,
    ) -> Result<Option<T>, LabError> {
        match (given, stored) {
            (Some(given), Some(stored)) if given != stored => Err(self.file.refuse(format!(
                "says {}, which {option} {} contradicts",
                name(&stored),
                name(&given)
            ))),
            (given, stored) => Ok(given.or(stored)),
        }
    }

    fn value<T: PartialEq>(
        &self,
        option: &str,
        given: Option<T>,
        stored: Option<T>,
        name: impl Fn(&T) -> String,
    ) -> Result<T, LabError> {
        self.either(option, given, stored, name)?.ok_or_else(|| {
            let what = option.trim_start_matches("--");
            self.file
                .refuse(format!("does not say its {what}: name it with {option}"))
        })
    }
}

/// Refuses classes that do not fit the outputs.
fn check_classes(classes: &[String], loss: OutputLoss, outputs: usize) -> Result<(), LabError> {
    let refuse = |found: &dyn Display| Err(LabError::Option(format!("--classes {found}")));
    let expected = match loss {
        OutputLoss::SoftmaxCrossEntropy => outputs,
        OutputLoss::SigmoidCrossEntropy if outputs == 1 => 2,
        other => {
            return refuse(&format_args!(
                "belongs to a network that tells classes apart, not to the {}",
                other.name()
            ));
        }
    };
    if classes.len() != expected {
        return refuse(&format_args!(
            "names {} classes, expected {expected} for {outputs} outputs",
            classes.len()
        ));
    }
    if let Some(index) =
        (1..classes.len()).find(|&index| classes[..index].contains(&classes[index]))
    {
        return refuse(&format_args!("names {} twice", shown(&classes[index])));
    }
    if classes.iter().any(String::is_empty) {
        return refuse(&"has an empty name");
    }
    Ok(())
}
