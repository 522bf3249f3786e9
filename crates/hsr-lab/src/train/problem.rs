//! The data of a run: loaded, split, standardised on the training split, on the host and on the device.

use burn::tensor::{Device, Int, Tensor};
use hsr_core::{Batch, Dimensions, OutputLoss, Targets};

use super::config::TrainConfig;
use crate::data::random::Stream;
use crate::data::split::subset_of;
use crate::data::{Dataset, Standardizer, corrupt_labels, stratified_split};
use crate::{LabError, memory, network};

/// One split of the data.
pub(crate) struct Part {
    pub data: Dataset,
    /// \[N, d\] and \[N\], without autodiff.
    pub x: Tensor<2>,
    pub y: Tensor<1, Int>,
}

impl Part {
    fn new(data: Dataset, device: &Device) -> Self {
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

/// Training and test split.
pub(crate) struct Problem {
    pub train: Part,
    pub test: Part,
    pub standardizer: Standardizer,
    pub dimensions: Dimensions,
    /// Of the data before the split, so that a resumed run notices other data.
    pub fingerprint: String,
}

impl Problem {
    pub fn load(config: &TrainConfig, device: &Device) -> Result<Self, LabError> {
        let (data, split) = config.source.load(config.seed)?;
        let split = match split {
            Some(split) => split,
            None => stratified_split(
                &data.labels,
                data.classes(),
                config.test_fraction,
                config.seed,
            )?,
        };
        let (mut train, mut test) = (data.subset(&split.train), data.subset(&split.test));
        let classes = data.classes();
        if let Some(count) = config.train_samples {
            let all = train.samples();
            if !(classes..=all).contains(&count) {
                return Err(LabError::Option(format!(
                    "--train-samples is {count}, expected {classes} (as many as there are classes) to {all} (the \
                     training split)"
                )));
            }
            let chosen = subset_of(Stream::Subset, &train.labels, classes, count, config.seed);
            train = train.subset(&chosen);
        }
        corrupt_labels(&mut train.labels, classes, config.label_noise, config.seed);
        // Fitted on the training split alone: the test split must not leak into training.
        let dimensions = Dimensions::new(data.inputs, config.hidden, classes);
        memory::Training {
            dimensions,
            train: train.samples(),
            test: test.samples(),
            step: config.batch.unwrap_or(usize::MAX).min(train.samples()),
            penalty: config.method.sharpness().is_some(),
        }
        .check(config.memory)?;
        let standardizer = Standardizer::fit(&train);
        standardizer.apply(&mut train)?;
        standardizer.apply(&mut test)?;
        Ok(Self {
            dimensions,
            fingerprint: fingerprint(&data),
            train: Part::new(train, device),
            test: Part::new(test, device),
            standardizer,
        })
    }
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
