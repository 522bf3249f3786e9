//! The data of a run: loaded, split, standardised on the training split, on the host and on the device.

use std::borrow::Cow;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use hsr_core::{Batch, OutputLoss, Targets};

use super::architecture::{self, Architecture};
use super::config::TrainConfig;
use super::method::Method;
use super::reading::Reading;
use super::source::Origin;
use super::summary::ClassSummary;
use crate::about::About;
use crate::data::random::Stream;
use crate::data::split::{split_of, subset_of};
use crate::data::{
    DataError, DataFault, DataWarning, Dataset, Doubt, Place as DataPlace, Split, Standardizer,
    corrupt_labels, stratified_split,
};
use crate::error::{LabError, refuse};
use crate::memory::Sizes;
use crate::network;

/// One split of the data.
pub(crate) struct Part {
    pub data: Dataset,
    /// \[N, d\] and \[N\], without autodiff.
    pub x: Tensor<2>,
    pub y: Tensor<1, Int>,
}

impl Part {
    pub fn new(data: Dataset, device: &Device) -> Self {
        let (x, y) = network::tensors(&data, device);
        Self { data, x, y }
    }

    /// The split as the closed form sees it, in f64.
    pub fn batch(&self) -> Batch<'_, f64> {
        let targets = Targets::Classes(&self.data.labels);
        Batch::new(
            OutputLoss::SoftmaxCrossEntropy,
            &self.data.features,
            targets,
        )
    }
}

/// The share of the training split that is held back to choose by.
pub(crate) const VALIDATION: f64 = 0.2;

/// What became of a sample.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Trained on with the label of this class.
    Train(usize),
    Test,
    /// Of the training split, and not among the `--train-samples`.
    Unused,
}

/// Training and test split.
pub(crate) struct Problem {
    pub train: Part,
    pub test: Part,
    pub standardizer: Standardizer,
    /// That of the networks that are trained on it.
    pub architecture: Arc<dyn Architecture>,
    /// Of the data before the split, so that a resumed run notices other data.
    pub fingerprint: String,
    /// What looks wrong with the data.
    pub warnings: Vec<DataWarning>,
    origin: Origin,
    /// The class of each sample, and what became of it.
    places: Vec<(usize, Place)>,
}

impl Problem {
    pub fn load(config: &TrainConfig, device: &Device) -> Result<Self, LabError> {
        Self::of(config, &Reading::of(&config.source)?, device)
    }

    /// The same of a source that was read before.
    pub fn of(config: &TrainConfig, reading: &Reading, device: &Device) -> Result<Self, LabError> {
        let (data, split, mut origin) = reading.draw(&config.source, config.seed)?;
        // Before the split, so that no seed decides whether the data will do.
        if origin.lines.is_some()
            && let Some((index, problem)) = Standardizer::extreme(&data.features, data.inputs)
        {
            return Err(extreme_value(&origin, &data, index, problem).into());
        }
        let mut split = match split {
            Some(split) => split,
            None => stratified_split(
                &data.labels,
                data.classes(),
                config.test_fraction,
                config.seed,
            )?,
        };
        let classes = data.classes();
        let architecture = architecture::of(config, &data)?;
        config.refinements.check_classes(classes)?;
        let mut train = data.subset(&split.train);
        if let Some(count) = config.train_samples {
            let all = train.samples();
            if !(classes..=all).contains(&count) {
                refuse!(
                    "`train_samples` is {count}, expected {classes} (as many as there are classes) to {all} (the \
                     training split)"
                );
            }
            let chosen = subset_of(Stream::Subset, &train.labels, classes, count, config.seed);
            train = train.subset(&chosen);
            split.train = chosen.iter().map(|&sample| split.train[sample]).collect();
        }
        let mut test = data.subset(&split.test);
        corrupt_labels(&mut train.labels, classes, config.label_noise, config.seed);
        let sizes = Sizes {
            train: train.samples(),
            test: test.samples(),
            step: config.batch.unwrap_or(usize::MAX).min(train.samples()),
            penalty: config.method.sharpness().is_some(),
        };
        architecture.check_memory(&sizes, config.memory)?;
        // Fitted on the training split alone: the test split must not leak into training.
        let standardizer = Standardizer::fit(&train);
        for (part, samples) in [(&mut train, &split.train), (&mut test, &split.test)] {
            standardizer.apply(part)?;
            let mut features = part.features.iter();
            let far = features.position(|z| z.is_nan() || z.abs() > FARTHEST);
            if let Some(index) = far {
                let index = samples[index / data.inputs] * data.inputs + index % data.inputs;
                return Err(extreme_value(&origin, &data, index, TOO_FAR).into());
            }
        }
        let mut places: Vec<(usize, Place)> = data
            .labels
            .iter()
            .map(|&label| (label, Place::Unused))
            .collect();
        for (&sample, &label) in split.train.iter().zip(&train.labels) {
            places[sample].1 = Place::Train(label);
        }
        for &sample in &split.test {
            places[sample].1 = Place::Test;
        }
        let mut warnings = std::mem::take(&mut origin.warnings);
        warnings.extend(single_samples(&data, &origin));
        Ok(Self {
            architecture,
            fingerprint: fingerprint(&data),
            train: Part::new(train, device),
            test: Part::new(test, device),
            standardizer,
            warnings,
            origin,
            places,
        })
    }

    /// The number of features.
    pub fn inputs(&self) -> usize {
        self.architecture.inputs()
    }

    /// The number of classes.
    pub fn outputs(&self) -> usize {
        self.architecture.outputs()
    }

    /// D of the networks that are trained on it.
    pub fn parameters(&self) -> usize {
        self.architecture.parameters()
    }

    /// The training split, split again: what is trained on, and what is held back to choose by.
    pub fn validation_split(&self, seed: u64) -> Result<Split, DataError> {
        let labels = &self.train.data.labels;
        let classes = self.train.data.classes();
        split_of(Stream::Validation, labels, classes, VALIDATION, seed)
    }

    /// The training split as a problem of its own, the validation split being what is tested on.
    pub fn inner(&self, seed: u64, device: &Device) -> Result<Self, DataError> {
        let split = self.validation_split(seed)?;
        let part = |samples: &[usize]| Part::new(self.train.data.subset(samples), device);
        Ok(Self {
            train: part(&split.train),
            test: part(&split.test),
            standardizer: self.standardizer.clone(),
            architecture: Arc::clone(&self.architecture),
            fingerprint: self.fingerprint.clone(),
            warnings: Vec::new(),
            origin: self.origin.clone(),
            places: Vec::new(),
        })
    }

    /// What a network that was trained on this says of itself.
    pub fn about(&self, config: &TrainConfig, method: Method) -> About {
        let mut about = About {
            task: Some(config.source.name()),
            method: Some(method.name().to_owned()),
            network: None,
            activation: Some(config.activation.clone()),
            residual: None,
            loss: Some(OutputLoss::SoftmaxCrossEntropy),
            classes: Some(self.train.data.class_names.clone()),
            label: Some(self.origin.label.clone()),
            features: Some(self.origin.columns.clone()),
            standardizer: Some(self.standardizer.clone()),
            table: self.origin.table.clone(),
        };
        self.architecture.describe(&mut about);
        about
    }

    /// The samples of a split from which curvature is computed: all of them, or as many as the kind of network allows,
    /// every class with its share.
    pub fn curved<'a>(&self, data: &'a Dataset, seed: u64) -> Cow<'a, Dataset> {
        self.architecture.curved(data, seed)
    }

    /// The classes with their samples of both splits; labels trained on count as they are, wrong or not.
    pub fn classes(&self) -> Vec<ClassSummary> {
        let (train, test) = (
            self.train.data.class_counts(),
            self.test.data.class_counts(),
        );
        let names = self.train.data.class_names.iter().cloned();
        let classes = names.zip(train.into_iter().zip(test));
        let summary = |(name, (train, test))| ClassSummary { name, train, test };
        classes.map(summary).collect()
    }

    /// `split.csv`: what became of each row of the source, counted from 1, and of its label. `line` is that of the file,
    /// where the source is one; `noisy_class` is what the row was trained as, where label noise changed it.
    pub fn split_csv(&self, writer: &mut csv::Writer<Vec<u8>>) -> csv::Result<()> {
        writer.write_record(["row", "line", "split", "class", "noisy_class"])?;
        let names = &self.train.data.class_names;
        let mut dropped = self.origin.dropped.iter().peekable();
        // The samples in the order of the source, the rows that were left out between them.
        let mut rows = Vec::with_capacity(self.places.len() + self.origin.dropped.len());
        for (sample, place) in self.places.iter().enumerate() {
            let line = self.origin.lines.as_ref().map(|lines| lines[sample]);
            while let Some(&before) = dropped.next_if(|&&it| line.is_some_and(|line| it < line)) {
                rows.push((Some(before), None));
            }
            rows.push((line, Some(place)));
        }
        rows.extend(dropped.map(|&line| (Some(line), None)));
        for (row, (line, place)) in (1_usize..).zip(rows) {
            let [split, class, noisy] = match place {
                None => ["dropped", "", ""],
                Some((class, place)) => {
                    let class = names[*class].as_str();
                    match place {
                        Place::Train(label) if names[*label] != class => {
                            ["train", class, &names[*label]]
                        }
                        Place::Train(_) => ["train", class, ""],
                        Place::Test => ["test", class, ""],
                        Place::Unused => ["unused", class, ""],
                    }
                }
            };
            let line = line.map_or_else(String::new, |line| line.to_string());
            let row = row.to_string();
            writer.write_record([row.as_str(), line.as_str(), split, class, noisy])?;
        }
        Ok(())
    }
}

/// Standard deviations of the training split from its mean: farther off, f32 loses a value.
const FARTHEST: f64 = 1e30;
const TOO_FAR: &str = "more than 1e30 standard deviations of the training split from its mean";

/// The value at `index` of the features, laid at the door of its row and column.
fn extreme_value(
    origin: &Origin,
    data: &Dataset,
    index: usize,
    problem: &'static str,
) -> DataError {
    let (sample, feature) = (index / data.inputs, index % data.inputs);
    let place = DataPlace {
        path: Some(origin.path.clone()),
        line: origin.lines.as_ref().map(|lines| lines[sample]),
        sample: origin.lines.is_none().then_some(sample),
        column: Some(data.feature_names[feature].clone()),
    };
    let value = data.features[index];
    place.fault(DataFault::Extreme { value, problem })
}

/// The classes of a file that cannot be tested.
fn single_samples(data: &Dataset, origin: &Origin) -> Option<DataWarning> {
    let counts = data.class_counts().into_iter().zip(&data.class_names);
    let single = counts.filter(|(count, _)| *count == 1);
    let classes: Vec<String> = single.map(|(_, name)| name.clone()).collect();
    let column = origin.label.clone();
    (origin.table.is_some() && !classes.is_empty()).then(|| DataWarning {
        path: origin.path.clone(),
        doubt: Doubt::SingleSample { column, classes },
    })
}

/// FNV-1a over features and labels: stable between versions, which the standard library's hasher is not.
fn fingerprint(data: &Dataset) -> String {
    let features = data.features.iter().flat_map(|v| v.to_bits().to_le_bytes());
    let labels = data
        .labels
        .iter()
        .flat_map(|&label| (label as u64).to_le_bytes());
    let hash = features
        .chain(labels)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}
