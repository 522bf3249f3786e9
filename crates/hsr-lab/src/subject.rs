//! What is looked at: a trained network, of a run or of any program, and the samples that its loss is the mean over.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use hsr_core::Batch;
use hsr_core::depth::LayerShape;
use serde::Serialize;

use crate::curvature::Curvature;
use crate::curvature::{FeedForwardSurface, Surface};
use crate::data::{DataWarning, Dataset, Table};
use crate::error::{LabError, refuse};
use crate::model::{Labels, Model, ModelNetwork, ModelOptions, ModelSource, TableSource};
use crate::train::{Architecture, SavedRun, Split};
use crate::weights::WeightsFile;

/// A network with samples.
///
/// ```
/// use hsr_core::{Activation, OutputLoss};
/// use hsr_lab::model::{ModelOptions, ModelSource, TableSource};
/// use hsr_lab::train::Split;
/// use hsr_lab::{LayerKeys, Subject, Weights, layers};
///
/// let directory = tempfile::tempdir()?;
/// let [path, table] = ["net.safetensors", "irises.csv"].map(|name| directory.path().join(name));
/// let tanh = Activation::Tanh.into();
/// let network = Weights::random(layers(2, &vec![3, 3].into(), 2, &tanh, false)?, 0);
/// std::fs::write(&path, network.to_safetensors(None))?;
/// std::fs::write(&table, "length,width,species\n1.4,0.2,setosa\n4.7,1.4,versicolor\n")?;
/// let model = ModelOptions {
///     source: ModelSource::Weights { path, layers: LayerKeys::Found, ignore_unused: false },
///     activation: Some(tanh),
///     residual: false,
///     loss: Some(OutputLoss::SoftmaxCrossEntropy),
///     classes: None,
/// };
/// let label = Some("species".to_owned());
/// let data = TableSource { path: table, label, ..TableSource::default() };
/// let subject = Subject::open(&model, Some(&data), Split::Train)?;
/// assert_eq!(subject.theta().len(), 3 * 3 + 4 * 3 + 4 * 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subject {
    model: Model,
    options: ModelOptions,
    theta: Vec<f64>,
    network: String,
    samples: Origin,
}

/// Where the samples come from.
enum Origin {
    Run {
        run: Box<SavedRun>,
        split: Split,
    },
    Table {
        path: PathBuf,
        table: Box<Table>,
        labels: Labels,
    },
}

/// What is looked at, as the JSON of a report says it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubjectReport {
    /// The run directory, where it is a network of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The weights file, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The network: of a run, its method; else the name of its file.
    pub network: String,
    /// The table, where the samples are not those of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The split of the run's data, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

impl SubjectReport {
    /// The network and the samples, for a heading.
    pub fn heading(&self) -> [String; 2] {
        let network = match &self.run {
            Some(run) => format!("{} network of {run}", self.network),
            None => self.network.clone(),
        };
        let samples = match (&self.data, self.split) {
            (Some(data), _) => data.clone(),
            (None, split) => format!("{} split", split.unwrap_or_default().name()),
        };
        [network, samples]
    }
}

impl Subject {
    /// The network on a table, or on a split of the data of its run where no table is given.
    ///
    /// # Errors
    ///
    /// What opening the network, the run or the table can refuse; [`LabError::Option`] for weights without a table.
    pub fn open(
        options: &ModelOptions,
        data: Option<&TableSource>,
        split: Split,
    ) -> Result<Self, LabError> {
        let model = Model::open(options)?;
        let (network, theta, samples) = match (data, &options.source) {
            (Some(source), from) => {
                let table = Box::new(model.table(source, true)?);
                let labels = model.labels(&table)?;
                let path = source.path.clone();
                let method = match from {
                    ModelSource::Run { .. } => model.about.method.clone(),
                    ModelSource::Weights { .. } => None,
                };
                let network = method.unwrap_or_else(|| file_name(&model.path));
                let origin = Origin::Table {
                    path,
                    table,
                    labels,
                };
                (network, model.network.theta().to_vec(), origin)
            }
            (None, ModelSource::Run { directory, network }) => {
                let run = Box::new(SavedRun::open(directory)?);
                let (name, theta) = run.theta(network.as_deref())?;
                (name.to_owned(), theta, Origin::Run { run, split })
            }
            (None, ModelSource::Weights { .. }) => {
                refuse!("`weights` needs `data`, a table on which the curvature is computed");
            }
        };
        Ok(Self {
            model,
            options: options.clone(),
            theta,
            network,
            samples,
        })
    }

    /// θ.
    pub fn theta(&self) -> &[f64] {
        &self.theta
    }

    /// The network.
    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    /// Its name in pictures: of a run, its method.
    pub(crate) fn network(&self) -> &str {
        &self.network
    }

    /// What looks wrong with the table.
    pub fn warnings(&self) -> &[DataWarning] {
        match &self.samples {
            Origin::Run { .. } => &[],
            Origin::Table { table, .. } => &table.warnings,
        }
    }

    /// Which layers were found, where nobody named them.
    pub fn note(&self) -> Option<String> {
        self.model.note()
    }

    /// For the JSON.
    pub fn report(&self) -> SubjectReport {
        let shown = |path: &Path| path.display().to_string();
        let [run, weights] = match &self.options.source {
            ModelSource::Run { directory, .. } => [Some(shown(directory)), None],
            ModelSource::Weights { path, .. } => [None, Some(shown(path))],
        };
        let (data, split) = match &self.samples {
            Origin::Run { split, .. } => (None, Some(*split)),
            Origin::Table { path, .. } => (Some(shown(path)), None),
        };
        SubjectReport {
            run,
            weights,
            network: self.network.clone(),
            data,
            split,
        }
    }

    /// The network, for a caption.
    pub(crate) fn title(&self) -> String {
        match &self.options.source {
            ModelSource::Run { directory, .. } => {
                format!("the {} network of {}", self.network, run_name(directory))
            }
            ModelSource::Weights { .. } => self.network.clone(),
        }
    }

    /// The run or the file, for a caption.
    pub(crate) fn place(&self) -> String {
        match &self.options.source {
            ModelSource::Run { directory, .. } => run_name(directory),
            ModelSource::Weights { path, .. } => file_name(path),
        }
    }

    /// The samples, for a caption.
    pub(crate) fn of_samples(&self) -> String {
        match &self.samples {
            Origin::Run { split, .. } => match split {
                Split::Train => "training split".to_owned(),
                Split::Test => "test split".to_owned(),
            },
            Origin::Table { path, .. } => file_name(path),
        }
    }

    /// The samples as a batch of a feed-forward network.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is of another kind.
    pub(crate) fn batch(&self) -> Result<Batch<'_, f64>, LabError> {
        self.model.feed_forward()?;
        Ok(match &self.samples {
            Origin::Run { run, split } => run.batch(*split),
            Origin::Table { table, labels, .. } => self.of_table(table, labels),
        })
    }

    fn of_table<'a>(&self, table: &'a Table, labels: &'a Labels) -> Batch<'a, f64> {
        let batch = Batch::new(self.model.loss, &table.features, labels.targets());
        match &table.weights {
            Some(weights) => batch.with_sample_weights(weights),
            None => batch,
        }
    }

    /// The samples from which curvature is computed.
    pub(crate) fn samples(&self) -> Samples<'_> {
        match (&self.samples, &self.model.network) {
            (Origin::Run { run, split }, _) => Samples::Classified {
                architecture: run.architecture(),
                data: run.curved(*split),
            },
            (Origin::Table { table, labels, .. }, ModelNetwork::FeedForward { weights, .. }) => {
                Samples::Batch {
                    layers: &weights.layers,
                    batch: self.of_table(table, labels),
                }
            }
            (Origin::Table { table, labels, .. }, ModelNetwork::Conv(weights)) => {
                let data = self.dataset(table, labels);
                let curved = weights.config.curved(&data, 0).into_owned();
                Samples::Classified {
                    architecture: &weights.config,
                    data: Cow::Owned(curved),
                }
            }
        }
    }

    /// How many samples curvature is computed from, where that is only a part of them.
    pub(crate) fn curved_samples(&self) -> Option<usize> {
        match (&self.samples, &self.model.network) {
            (Origin::Run { run, split }, _) => run.curved_samples(*split),
            (Origin::Table { table, .. }, ModelNetwork::Conv(weights)) => {
                let most = weights.config.most_samples();
                (most < table.labels.len()).then_some(most)
            }
            _ => None,
        }
    }

    fn dataset(&self, table: &Table, labels: &Labels) -> Dataset {
        let names = self.model.classes.clone().unwrap_or_else(|| {
            let outputs = 0..self.model.network.outputs();
            outputs.map(|class| class.to_string()).collect()
        });
        Dataset {
            name: file_name(&table.path),
            features: table.features.clone(),
            inputs: table.inputs,
            feature_names: table.feature_names.clone(),
            labels: labels.clone().into_classes(),
            class_names: names,
        }
    }

    /// Another network of the same sizes, with its name: of a file, or where none is named the plain one of the run.
    ///
    /// # Errors
    ///
    /// What reading it can refuse, and [`LabError::Option`] where it is not of the same sizes or where there is no run.
    pub(crate) fn other(&self, path: Option<&Path>) -> Result<(String, Vec<f64>), LabError> {
        let source = match (path, &self.options.source) {
            (Some(path), of) => {
                let (layers, ignore_unused) = match of {
                    ModelSource::Weights {
                        layers,
                        ignore_unused,
                        ..
                    } => (layers.clone(), *ignore_unused),
                    ModelSource::Run { .. } => Default::default(),
                };
                ModelSource::Weights {
                    path: path.to_owned(),
                    layers,
                    ignore_unused,
                }
            }
            (None, ModelSource::Run { directory, .. }) => ModelSource::Run {
                directory: directory.clone(),
                network: Some("plain".to_owned()),
            },
            (None, ModelSource::Weights { .. }) => {
                refuse!("weights need `from`, the file of the network where the line begins");
            }
        };
        let unlike = |path: &Path| {
            LabError::Option(format!(
                "{} is a network of other layers than {}, expected the same sizes, activations and biases",
                path.display(),
                self.model.path.display()
            ))
        };
        // Of other sizes, the activations would be refused first.
        if let (
            ModelNetwork::FeedForward { weights, .. },
            ModelSource::Weights {
                path,
                layers,
                ignore_unused,
            },
        ) = (&self.model.network, &source)
        {
            let other = WeightsFile::read(path)?.weights(layers, *ignore_unused)?;
            if !other.weights.has_sizes_of(&weights.layers) {
                return Err(unlike(path));
            }
        }
        let other = Model::open(&ModelOptions {
            source,
            activation: self.model.network.activations(),
            residual: self.model.network.is_residual(),
            loss: Some(self.model.loss),
            classes: None,
        })?;
        if !other.network.is_like(&self.model.network) {
            return Err(unlike(&other.path));
        }
        let name = match path {
            Some(path) => file_name(path),
            None => "plain".to_owned(),
        };
        Ok((name, other.network.theta().to_vec()))
    }
}

/// Samples in the form in which they are measured.
pub(crate) enum Samples<'a> {
    Classified {
        architecture: &'a dyn Architecture,
        data: Cow<'a, Dataset>,
    },
    Batch {
        layers: &'a [LayerShape],
        batch: Batch<'a, f64>,
    },
}

impl Samples<'_> {
    /// The loss on them.
    ///
    /// # Errors
    ///
    /// [`LabError::Backend`] where a network without a closed form finds no backend.
    pub fn surface<'a>(
        &'a self,
        curvature: &'a mut Curvature,
    ) -> Result<Box<dyn Surface + 'a>, LabError> {
        match self {
            Self::Classified { architecture, data } => architecture.surface(curvature, data),
            Self::Batch { layers, batch } => {
                Ok(Box::new(FeedForwardSurface::new(curvature, layers, *batch)))
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// The directory's name, whatever it is called by.
fn run_name(directory: &Path) -> String {
    std::path::absolute(directory).map_or_else(|_| file_name(directory), |path| file_name(&path))
}
