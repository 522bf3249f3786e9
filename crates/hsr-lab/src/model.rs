//! A trained network with what it says of itself, and the tables that are read for it: columns matched by name, features
//! standardised as in training, labels as classes in the order of the outputs.

use std::fmt::Display;
use std::path::PathBuf;

use hsr_core::{OutputLoss, Targets};

use crate::about::About;
use crate::about::name_of_loss;
use crate::architecture::activate;
use crate::architecture::{Activations, NetworkKind};
use crate::conv::ConvWeights;
use crate::data::wording::{listed, shown};
use crate::data::{DataError, Missing, Roles, Standardizer, Table, TableOptions};
use crate::error::LabError;
use crate::train::network_file;
use crate::weights::Found;
use crate::weights::{LayerKeys, Weights, WeightsFile};

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
        /// The layers' names in it.
        layers: LayerKeys,
        /// Whether other tensors in it are no reason to refuse it.
        ignore_unused: bool,
    },
}

/// A network, and what is told of it. What the network says of itself need not be told, and may not be told otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelOptions {
    /// Where it is.
    pub source: ModelSource,
    /// The hidden activations.
    pub activation: Option<Activations>,
    /// Whether each hidden layer that is as wide as its inputs adds them to its activations.
    pub residual: bool,
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
    pub network: ModelNetwork,
    /// The loss.
    pub loss: OutputLoss,
    /// The names of the classes in the order of the outputs, where they are known.
    pub classes: Option<Vec<String>>,
    /// What the file says.
    pub about: About,
}

/// A network in a file.
#[derive(Clone, Debug)]
pub enum ModelNetwork {
    /// A feed-forward network.
    FeedForward {
        /// The parameters.
        weights: Weights,
        /// The layers' names in the file, from the inputs on.
        names: Vec<String>,
        /// Whether nobody named the layers, so that their order was found from names and shapes.
        found: bool,
    },
    /// A convolutional network of `hsr train`.
    Conv(ConvWeights),
}

impl ModelNetwork {
    /// d.
    pub fn inputs(&self) -> usize {
        match self {
            Self::FeedForward { weights, .. } => weights.inputs(),
            Self::Conv(weights) => weights.config.inputs(),
        }
    }

    /// K.
    pub fn outputs(&self) -> usize {
        match self {
            Self::FeedForward { weights, .. } => weights.outputs(),
            Self::Conv(weights) => weights.config.classes,
        }
    }

    /// θ.
    pub fn theta(&self) -> &[f64] {
        match self {
            Self::FeedForward { weights, .. } => &weights.theta,
            Self::Conv(weights) => &weights.theta,
        }
    }

    /// The hidden activations; `None` where there is no hidden layer.
    pub(crate) fn activations(&self) -> Option<Activations> {
        let Self::FeedForward { weights, .. } = self else {
            return None;
        };
        let (_, hidden) = weights.layers.split_last()?;
        let activations: Vec<_> = hidden.iter().map(|layer| layer.activation).collect();
        (!activations.is_empty()).then(|| activations.into())
    }

    /// Whether a hidden layer adds its inputs.
    pub(crate) fn is_residual(&self) -> bool {
        match self {
            Self::FeedForward { weights, .. } => weights.layers.iter().any(|it| it.residual),
            Self::Conv(_) => false,
        }
    }

    /// Whether another network differs in nothing but the values of its parameters.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::FeedForward { weights: own, .. }, Self::FeedForward { weights, .. }) => {
                own.layers == weights.layers
            }
            (Self::Conv(own), Self::Conv(weights)) => own.config == weights.config,
            _ => false,
        }
    }

    /// The tensor that takes the inputs, for messages.
    fn first(&self) -> String {
        match self {
            Self::FeedForward { weights, names, .. } => {
                let first = weights.layers[0];
                let name = shown(&format!("{}.weight", names[0]));
                format!("{name} [{}, {}]", first.outputs, first.inputs)
            }
            Self::Conv(weights) => {
                let side = weights.config.side;
                format!("images of {side} × {side} pixels")
            }
        }
    }
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
            name_of_loss(*it).to_owned()
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
            ModelNetwork::Conv(_) => Err(LabError::Weights {
                path: self.path.clone(),
                message: "is of a convolutional network, which has no closed form; the spectrum of its run has its \
                          eigenvalues"
                    .to_owned(),
            }),
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
            return Err(LabError::Option(format!(
                "{}: has {} feature columns, expected {inputs} for {} in {}",
                source.path.display(),
                table.inputs,
                self.network.first(),
                self.path.display(),
            )));
        }
        match (&self.about.standardizer, source.standardize) {
            (Some(_), true) => {
                return Err(LabError::Option(format!(
                    "`standardize` contradicts {}, which says how its features are standardised",
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
                    "`one_hot` {} contradicts {}, which has no categories of it",
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
                "`drop` {} contradicts {}, of which it is a feature",
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
    /// Gives the network its activations.
    fn activate(
        &self,
        weights: &mut Weights,
        options: &ModelOptions,
        about: &About,
    ) -> Result<(), LabError> {
        let hidden = weights.layers.len() - 1;
        // One for all and the same for each say the same.
        let each = |it: &Activations| it.of_hidden(hidden).map(Activations::from);
        let given = options.activation.as_ref().map(each).transpose();
        let given = given.map_err(|it| LabError::Option(format!("`activation` {it}")))?;
        let stored = about.activation.as_ref().map(each).transpose();
        let stored = stored.map_err(|it| self.file.refuse(format!("its metadata {it}")))?;
        let none = Activations::from(Vec::new());
        let activations = match hidden {
            0 => none,
            _ => self.value("`activation`", given, stored, |it| it.to_string())?,
        };
        // hsr train says it wherever it could be otherwise.
        let by_train = about.method.as_ref().map(|_| false);
        if options.residual && about.residual.or(by_train) == Some(false) {
            return Err(self.file.refuse(
                "says that its layers are not residual, which `residual` contradicts".to_owned(),
            ));
        }
        let residual = options.residual || about.residual == Some(true);
        activate(&mut weights.layers, Some(&activations), residual).map_err(LabError::Option)
    }

    /// Refuses what contradicts a convolutional network, which says everything itself.
    fn check_conv(&self, options: &ModelOptions, about: &About) -> Result<(), LabError> {
        if options.residual {
            let message = "is of a convolutional network, which has no residual layers";
            return Err(self.file.refuse(message.to_owned()));
        }
        let (given, stored) = (options.activation.clone(), about.activation.clone());
        self.value("`activation`", given, stored, |it| it.to_string())?;
        Ok(())
    }

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
            let what = option.trim_matches('`');
            self.file
                .refuse(format!("does not say its {what}: name it with {option}"))
        })
    }
}

/// Refuses classes that do not fit the outputs.
fn check_classes(classes: &[String], loss: OutputLoss, outputs: usize) -> Result<(), LabError> {
    let refuse = |found: &dyn Display| Err(LabError::Option(format!("`classes` {found}")));
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
