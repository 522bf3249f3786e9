//! `mnist`: handwritten digits from the files that the user has, or from those that burn-dataset fetches.

use std::path::{Path, PathBuf};

use super::error::TaskError;
use super::info::TaskInfo;
use super::options::TaskOptions;
use crate::data::{DataError, DataFault, Dataset, Idx, Place, Split, stratified_subset};

pub(super) const INFO: TaskInfo = TaskInfo {
    name: "mnist",
    inputs: SIDE * SIDE,
    classes: CLASSES,
    samples: 70_000,
    description: if cfg!(feature = "download") {
        "handwritten digit from an image of 28 × 28 pixels, each 0 to 1; fetched, or from `data_dir`"
    } else {
        "handwritten digit from an image of 28 × 28 pixels, each 0 to 1; needs `data_dir`"
    },
    source: "Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits (1998); not bundled",
    licence: "CC BY-SA 3.0 (as Keras states it)",
    fixed_split: true,
    image: Some(SIDE),
    takes: &["data-dir", "samples"],
};

const SIDE: usize = 28;
const CLASSES: usize = 10;
/// The files of images and labels, for training and for testing.
const FILES: [[&str; 2]; 2] = [
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
    ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
];

/// One split.
struct Part {
    /// N × 784 of them.
    pixels: Vec<u8>,
    /// N of them, each below 10.
    labels: Vec<usize>,
}

/// Both splits, training first.
pub(crate) struct Files([Part; 2]);

impl Files {
    /// The task that has them.
    pub(crate) const TASK: &str = INFO.name;

    /// Reads them.
    pub(crate) fn read(options: &TaskOptions) -> Result<Self, TaskError> {
        options.check(&INFO)?;
        Ok(Self(match &options.data_dir {
            Some(directory) => read(directory)?,
            None => fetch()?,
        }))
    }

    /// The samples of the training split, then those of the test split.
    pub(crate) fn draw(
        &self,
        options: &TaskOptions,
        seed: u64,
    ) -> Result<(Dataset, Split), TaskError> {
        let sizes = [0, 1].map(|part| self.0[part].labels.len());
        let wanted = wanted(options, sizes)?;
        let mut data = Dataset {
            name: INFO.name.to_owned(),
            features: Vec::with_capacity((wanted[0] + wanted[1]) * INFO.inputs),
            inputs: INFO.inputs,
            feature_names: (0..INFO.inputs)
                .map(|pixel| format!("pixel_{}_{}", pixel / SIDE, pixel % SIDE))
                .collect(),
            labels: Vec::with_capacity(wanted[0] + wanted[1]),
            class_names: (0..CLASSES).map(|class| class.to_string()).collect(),
        };
        for (Part { pixels, labels }, count) in self.0.iter().zip(wanted) {
            for sample in stratified_subset(labels, CLASSES, count, seed) {
                let image = &pixels[sample * INFO.inputs..(sample + 1) * INFO.inputs];
                let scaled = image.iter().map(|&pixel| f64::from(pixel) / 255.0);
                data.features.extend(scaled);
                data.labels.push(labels[sample]);
            }
        }
        let split = Split {
            train: (0..wanted[0]).collect(),
            test: (wanted[0]..wanted[0] + wanted[1]).collect(),
        };
        Ok((data, split))
    }
}

/// How many samples of either split are used.
fn wanted(options: &TaskOptions, [train, test]: [usize; 2]) -> Result<[usize; 2], TaskError> {
    let all = train + test;
    let Some(samples) = options.samples else {
        return Ok([train, test]);
    };
    let least = 2 * CLASSES;
    if !(least..=all).contains(&samples) {
        let expected = format!("{least} to {all}");
        return Err(INFO.invalid("samples", samples, expected));
    }
    let share = samples as f64 * test as f64 / all as f64;
    let tested = (share.round() as usize).max(1);
    Ok([samples - tested, tested])
}

/// Both splits from the files in a directory.
fn read(directory: &Path) -> Result<[Part; 2], DataError> {
    // All four names before the first byte, so that a missing file is told at once.
    let [train, test] = FILES.map(|[images, labels]| -> Result<_, DataError> {
        Ok([Idx::find(directory, images)?, Idx::find(directory, labels)?])
    });
    let part = |[images_path, labels_path]: [PathBuf; 2]| {
        let labels = Idx::read(&labels_path, &[])?;
        let images = Idx::read(&images_path, &[SIDE, SIDE])?;
        let refuse = |fault| Err(Place::of(&labels_path).fault(fault));
        if images.items != labels.items {
            return refuse(DataFault::IdxCount {
                found: labels.items,
                expected: images.items,
                images: images_path,
            });
        }
        let class = |label: &u8| usize::from(*label);
        if let Some(index) = labels.values.iter().position(|it| class(it) >= CLASSES) {
            return refuse(DataFault::IdxLabel {
                index,
                found: labels.values[index],
                classes: CLASSES,
            });
        }
        Ok(Part {
            pixels: images.values,
            labels: labels.values.iter().map(class).collect(),
        })
    };
    let (train, test) = (train?, test?);
    Ok([part(train)?, part(test)?])
}

#[cfg(not(feature = "download"))]
fn fetch() -> Result<[Part; 2], TaskError> {
    Err(TaskError::FilesNeeded { task: INFO.name })
}

/// Both splits from burn-dataset, which fetches the files once and keeps them in the user's cache directory.
#[cfg(feature = "download")]
fn fetch() -> Result<[Part; 2], TaskError> {
    use burn_dataset::Dataset as _;
    use burn_dataset::vision::MnistDataset;

    let part = |set: MnistDataset| -> Result<Part, String> {
        let mut part = Part {
            pixels: Vec::with_capacity(set.len() * INFO.inputs),
            labels: Vec::with_capacity(set.len()),
        };
        for index in 0..set.len() {
            let item = set.get(index).map_err(|error| error.to_string())?;
            let pixels = item.image.as_flattened().iter();
            part.pixels.extend(pixels.map(|&pixel| pixel as u8));
            match usize::from(item.label) {
                label if label < CLASSES => part.labels.push(label),
                label => return Err(format!("label {index} is {label}")),
            }
        }
        Ok(part)
    };
    // burn-dataset panics where there is no network, and the panic would be printed.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let fetched = std::panic::catch_unwind(|| -> Result<_, String> {
        Ok([part(MnistDataset::train())?, part(MnistDataset::test())?])
    });
    std::panic::set_hook(hook);
    let refuse = |reason| TaskError::Fetch {
        task: INFO.name,
        reason,
    };
    match fetched {
        Ok(parts) => parts.map_err(refuse),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(refuse(brief(text.unwrap_or("burn-dataset gave up"))))
        }
    }
}

/// What a panic of `unwrap` says, without its preamble and of bounded length.
#[cfg(feature = "download")]
fn brief(text: &str) -> String {
    let text = text.rsplit("on an `Err` value: ").next().unwrap_or(text);
    match text.char_indices().nth(240) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(options: &TaskOptions, seed: u64) -> Result<(Dataset, Split), TaskError> {
        Files::read(options)?.draw(options, seed)
    }

    /// A directory of files with these labels; pixel p of image i is (i + p) mod 256.
    fn files(train: &[u8], test: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for ([images, labels], classes) in FILES.into_iter().zip([train, test]) {
            let count = u32::try_from(classes.len()).unwrap().to_be_bytes();
            let side = 28_u32.to_be_bytes();
            let pixels: Vec<u8> = (0..classes.len())
                .flat_map(|image| (0..784).map(move |pixel| ((image + pixel) % 256) as u8))
                .collect();
            let head = [[0, 0, 8, 3], count, side, side].concat();
            std::fs::write(folder.path().join(images), [head, pixels].concat()).unwrap();
            let head = [[0, 0, 8, 1], count].concat();
            std::fs::write(folder.path().join(labels), [&head, classes].concat()).unwrap();
        }
        folder
    }

    fn options(folder: &tempfile::TempDir) -> TaskOptions {
        TaskOptions::with(|it| it.data_dir = Some(folder.path().to_owned()))
    }

    #[test]
    fn the_split_is_as_distributed_and_pixels_are_scaled() {
        let folder = files(&[3, 1, 4, 1, 5], &[9, 2]);
        let (data, split) = load(&options(&folder), 0).unwrap();
        assert_eq!((data.samples(), data.inputs, data.classes()), (7, 784, 10));
        assert_eq!(data.labels, [3, 1, 4, 1, 5, 9, 2]);
        assert_eq!(split.train, [0, 1, 2, 3, 4]);
        assert_eq!(split.test, [5, 6]);
        assert_eq!(data.row(1)[..2], [1.0 / 255.0, 2.0 / 255.0]);
        assert_eq!(data.row(5)[255], 1.0);
        assert_eq!(data.feature_names[29], "pixel_1_1");
    }

    #[test]
    fn fewer_samples_are_of_both_splits_and_chosen_by_the_seed() {
        let train: Vec<u8> = (0..60).map(|i| i % 10).collect();
        let folder = files(&train, &train[..20]);
        let load = |samples, seed| {
            let options = TaskOptions {
                samples: Some(samples),
                ..options(&folder)
            };
            load(&options, seed)
        };
        let (data, split) = load(40, 1).unwrap();
        assert_eq!((split.train.len(), split.test.len()), (30, 10));
        assert_eq!(data.subset(&split.train).class_counts(), [3; 10]);
        assert_eq!(data.subset(&split.test).class_counts(), [1; 10]);
        assert_eq!(load(40, 1).unwrap().0, data);
        assert_ne!(load(40, 2).unwrap().0, data);
        assert_eq!(load(80, 2).unwrap().0.samples(), 80);
        for samples in [0, 19, 81] {
            assert_eq!(
                load(samples, 0).unwrap_err().to_string(),
                format!("task \"mnist\", option samples: found {samples}, expected 20 to 80")
            );
        }
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let message = |folder: &tempfile::TempDir| {
            let text = load(&options(folder), 0).unwrap_err().to_string();
            text.replace(&format!("{}/", folder.path().display()), "")
        };
        let folder = files(&[1, 2], &[3]);
        let other = files(&[1, 2, 3], &[3]);
        let [images, labels] = FILES[0];
        std::fs::copy(other.path().join(labels), folder.path().join(labels)).unwrap();
        assert_eq!(
            message(&folder),
            format!("{labels}: found 3 labels, expected 2, one for each image in {images}")
        );
        assert_eq!(
            message(&files(&[1, 2], &[3, 4, 10])),
            "t10k-labels-idx1-ubyte: label 2 (counted from 0) is 10, expected 0 to 9"
        );
        std::fs::remove_file(other.path().join("t10k-images-idx3-ubyte")).unwrap();
        assert!(message(&other).contains("has no file t10k-images-idx3-ubyte"));
    }

    #[cfg(not(feature = "download"))]
    #[test]
    fn without_files_the_way_to_them_is_told() {
        assert_eq!(
            load(&TaskOptions::default(), 0).unwrap_err().to_string(),
            "task \"mnist\" is not bundled: give the directory of its files with `data_dir`, or build with \
             --features download to have them fetched"
        );
    }
}
