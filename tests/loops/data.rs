//! Digits and irises as a Burn project has them: items, a batcher, batches.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::prelude::*;

/// An image of 8 × 8 pixels in 0…1 and what it shows.
#[derive(Clone, Debug)]
pub struct MnistItem {
    /// The pixels, row by row.
    pub image: Vec<f32>,
    /// The digit.
    pub label: i64,
}

/// Images and digits.
#[derive(Clone, Debug)]
pub struct MnistBatch {
    /// `[N, 8, 8]`
    pub images: Tensor<3>,
    /// `[N]`
    pub targets: Tensor<1, Int>,
}

/// Stacks items.
#[derive(Clone, Default)]
pub struct MnistBatcher;

impl Batcher<MnistItem, MnistBatch> for MnistBatcher {
    fn batch(&self, items: Vec<MnistItem>, device: &Device) -> MnistBatch {
        let (samples, mut pixels, mut labels) = (items.len(), Vec::new(), Vec::new());
        for item in items {
            pixels.extend(item.image);
            labels.push(item.label);
        }
        MnistBatch {
            images: Tensor::from_data(TensorData::new(pixels, [samples, 8, 8]), device),
            targets: Tensor::from_data(TensorData::new(labels, [samples]), device),
        }
    }
}

/// The first digits of scikit-learn's 1,797.
pub fn digits(count: usize) -> Vec<MnistItem> {
    let table = include_str!("../../crates/hsr-lab/data/digits.csv");
    let rows = table.lines().skip(1).take(count);
    rows.map(|row| {
        let mut values: Vec<f32> = row
            .split(',')
            .map(|v| v.parse().expect("a number"))
            .collect();
        let label = values.pop().expect("the class") as i64;
        values.iter_mut().for_each(|pixel| *pixel /= 16.0);
        MnistItem {
            image: values,
            label,
        }
    })
    .collect()
}

/// A loader of digits.
pub fn digit_loader(
    count: usize,
    batch_size: usize,
    device: &Device,
) -> Arc<dyn DataLoader<MnistBatch>> {
    DataLoaderBuilder::new(MnistBatcher)
        .batch_size(batch_size)
        .shuffle(42)
        .set_device(device.clone())
        .build(InMemDataset::new(digits(count)))
}

/// Digits in one batch.
pub fn digit_batch(count: usize, device: &Device) -> MnistBatch {
    MnistBatcher.batch(digits(count), device)
}

/// Fisher's irises, `[150, 4]` in cm about their mean, and their species.
pub fn irises(device: &Device) -> (Tensor<2>, Tensor<1, Int>) {
    let table = include_str!("../../crates/hsr-lab/data/iris.csv");
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for row in table.lines().skip(1) {
        for (value, mean) in row.split(',').zip([5.8_f32, 3.1, 3.8, 1.2]) {
            x.push(value.parse::<f32>().expect("a length") - mean);
        }
        y.push(match row.rsplit(',').next() {
            Some("setosa") => 0_i64,
            Some("versicolor") => 1,
            _ => 2,
        });
    }
    let samples = y.len();
    (
        Tensor::from_data(TensorData::new(x, [samples, 4]), device),
        Tensor::from_data(TensorData::new(y, [samples]), device),
    )
}

/// Reproducible numbers in −1…1, for data that are made.
pub fn noise(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| {
            let x = ((i + 977 * seed) as f64 + 1.0) * 12.9898;
            (2.0 * (x.sin() * 43_758.545_3).rem_euclid(1.0) - 1.0) as f32
        })
        .collect()
}

/// A number on the host.
pub fn number(tensor: Tensor<1>) -> f32 {
    tensor.into_scalar()
}
