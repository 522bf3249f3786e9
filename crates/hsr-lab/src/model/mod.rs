//! A trained network with what it says of itself, and the tables that are read for it: columns matched by name, features
//! standardised as in training, labels as classes in the order of the outputs.

mod network;
mod options;
mod settled;

use std::path::PathBuf;

use hsr_core::{OutputLoss, Targets};

use crate::about::About;
use crate::architecture::NetworkKind;
use crate::conv::ConvWeights;
use crate::data::wording::{listed, shown};
use crate::data::{DataError, Missing, Roles, Standardizer, Table, TableOptions};
use crate::error::{LabError, refuse};
use crate::named::Named;
use crate::train::network_file;
use crate::weights::{Found, LayerKeys, Weights, WeightsFile};

pub use network::ModelNetwork;
pub use options::{ModelOptions, ModelSource, TableSource};
use settled::{Settled, check_classes};

/// A network that is ready to be used.
#[derive(Clone, Debug)]
pub struct Model {
    /// The file.
    pub path: PathBuf,
    /// The parameters.
    pub network: ModelNetwork,
    /// The loss.
    pub loss: OutputLoss,
    /// The names of the classes in the order of the outputs, where they are known.
    pub classes: Option<Vec<String>>,
    /// What the file says.
    pub about: About,
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
    /// Class indices; of numbers, those that are 0, 1 and so on.
    pub(crate) fn into_classes(self) -> Vec<usize> {
        match self {
            Labels::Classes(classes) => classes,
            Labels::Values(values) => values.iter().map(|&value| value as usize).collect(),
        }
    }

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
        let of_run = LayerKeys::Found;
        let (file, layers, ignore_unused) = match &options.source {
            ModelSource::Run { directory, network } => {
                let (_, file) = network_file(directory, network.as_deref())?;
                (file, &of_run, false)
            }
            ModelSource::Weights {
                path,
                layers,
                ignore_unused,
            } => (WeightsFile::read(path)?, layers, *ignore_unused),
        };
        let about = file.about()?;
        let settled = Settled { file: &file };
        let mut network = match about.network {
            Some(NetworkKind::Conv) => ModelNetwork::Conv(ConvWeights::found(&file, &about)?),
            None | Some(NetworkKind::Mlp) => {
                let Found { weights, names } = file.weights(layers, ignore_unused)?;
                ModelNetwork::FeedForward {
                    found: *layers == LayerKeys::Found
                        && names != crate::weights::names(names.len()),
                    weights,
                    names,
                }
            }
        };
        let outputs = network.outputs();
        if let Some(fault) = about.fault(network.inputs(), outputs) {
            return Err(file.refuse(fault));
        }
        match &mut network {
            ModelNetwork::FeedForward { weights, .. } => {
                settled.activate(weights, options, &about)?;
            }
            ModelNetwork::Conv(_) => settled.check_conv(options, &about)?,
        }
        let loss = settled.value("`loss`", options.loss, about.loss, |it| {
            it.named().to_owned()
        })?;
        let classes = options.classes.clone();
        if let Some(classes) = &classes {
            check_classes(classes, loss, outputs)?;
        }
        let classes =
            settled.either("`classes`", classes, about.classes.clone(), |it| listed(it))?;
        Ok(Self {
            path: file.path().to_owned(),
            network,
            loss,
            classes,
            about,
        })
    }

    /// Which layers were found, where nobody named them.
    pub fn note(&self) -> Option<String> {
        let ModelNetwork::FeedForward {
            weights,
            names,
            found,
        } = &self.network
        else {
            return None;
        };
        let layers = weights.layers.iter().zip(names);
        let layers: Vec<String> = layers
            .map(|(layer, name)| format!("{} [{}, {}]", shown(name), layer.outputs, layer.inputs))
            .collect();
        found.then(|| {
            format!(
                "{}: the layers, in the one order that names and shapes allow: {}",
                self.path.display(),
                layers.join(", ")
            )
        })
    }

    /// The parameters of a feed-forward network and the names of its layers.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is of another kind.
    pub fn feed_forward(&self) -> Result<(&Weights, &[String]), LabError> {
        match &self.network {
            ModelNetwork::FeedForward { weights, names, .. } => Ok((weights, names)),
            ModelNetwork::Conv(_) => Err(LabError::weights(
                &self.path,
                "is of a convolutional network, which has no closed form; the spectrum of its run has its \
                          eigenvalues",
            )),
        }
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
                    "{} does not say which column holds the labels: name it with `label`",
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
        let inputs = self.network.inputs();
        if table.inputs != inputs {
            refuse!(
                "{}: has {} feature columns, expected {inputs} for {} in {}",
                source.path.display(),
                table.inputs,
                self.network.first(),
                self.path.display()
            );
        }
        match (&self.about.standardizer, source.standardize) {
            (Some(_), true) => {
                refuse!(
                    "`standardize` contradicts {}, which says how its features are standardised",
                    self.path.display()
                );
            }
            (Some(standardizer), false) => standardizer.apply_to_features(&mut table.features),
            (None, true) => {
                let extreme = Standardizer::extreme(&table.features, table.inputs);
                if let Some((index, problem)) = extreme {
                    return Err(table.extreme(index, problem).into());
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
            return Err(table.extreme(index, problem).into());
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
                refuse!(
                    "`one_hot` {} contradicts {}, which has no categories of it",
                    shown(name),
                    self.path.display()
                );
            }
        }
        if let Some(feature) = options
            .drop
            .iter()
            .find(|name| columns.iter().any(|it| it.name() == *name))
        {
            refuse!(
                "`drop` {} contradicts {}, of which it is a feature",
                shown(feature),
                self.path.display()
            );
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
        let outputs = self.network.outputs();
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
            refuse!(
                "the {} takes one label column and so one output, {} has {outputs}",
                self.loss.name(),
                self.path.display()
            );
        }
        Ok(labels)
    }
}
