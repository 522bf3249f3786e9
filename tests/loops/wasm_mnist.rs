//! A trainer in the browser, as projects compile it to WebAssembly: no burn-train, no threads, an object that JavaScript
//! calls with a batch of bytes at a time and that keeps model and optimizer between. The whole model is three layers, so
//! that one call of HSR takes the place of the forward pass, the loss, `backward` and the optimizer's step.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, ModuleOptimizer};
use burn::prelude::*;
use burn_hsr::{Hsr, HsrConfig, ThreeLayerNet, ThreeLayerNetConfig}; // HSR
use burn_sharpness::{Sam, SamConfig};

use crate::data::digits;
use crate::{Error, Method, Outcome};

/// What JavaScript holds.
pub struct Trainer {
    device: Device,
    model: Option<ThreeLayerNet>,
    optimizer: ModuleOptimizer,
    hsr: Hsr, // HSR
    sam: Sam,
    learning_rate: f64,
}

impl Trainer {
    /// A trainer with fresh parameters.
    pub fn new(hidden: usize, learning_rate: f64, strength: f64) -> Result<Self, Error> {
        let device = crate::device();
        Ok(Self {
            model: Some(ThreeLayerNetConfig::new(64, hidden, 10).init(&device)),
            optimizer: AdamConfig::new().init(),
            hsr: HsrConfig::new().with_strength(strength).init()?, // HSR
            sam: SamConfig::new()
                .with_rho(0.05)
                .init(AdamConfig::new().init())?,
            learning_rate,
            device,
        })
    }

    fn batch(&self, pixels: &[u8], labels: &[u8]) -> (Tensor<2>, Tensor<1, Int>) {
        let pixels: Vec<f32> = pixels
            .iter()
            .map(|&pixel| f32::from(pixel) / 255.0)
            .collect();
        let labels: Vec<i64> = labels.iter().map(|&label| i64::from(label)).collect();
        let samples = labels.len();
        (
            Tensor::from_data(TensorData::new(pixels, [samples, 64]), &self.device),
            Tensor::from_data(TensorData::new(labels, [samples]), &self.device),
        )
    }

    /// One step; gives the loss before it.
    pub fn train_batch(&mut self, pixels: &[u8], labels: &[u8]) -> Result<f32, Error> {
        let (x, y) = self.batch(pixels, labels);
        let model = self.model.take().ok_or("a step before failed")?;
        let (model, loss) =
            self.hsr
                .loss_step(&mut self.optimizer, self.learning_rate, model, x, y)?; // HSR
        self.model = Some(model);
        Ok(loss.into_scalar())
    }

    /// The same as it was before HSR, and with SAM.
    pub fn train_batch_with_sam(&mut self, pixels: &[u8], labels: &[u8]) -> Result<f32, Error> {
        let (x, y) = self.batch(pixels, labels);
        let model = self.model.take().ok_or("a step before failed")?;
        let cross_entropy = CrossEntropyLossConfig::new().init(&self.device);
        let step = self
            .sam
            .step(self.learning_rate, model, |model: &ThreeLayerNet| {
                cross_entropy.forward(model.forward(x.clone()), y.clone())
            })?;
        self.model = Some(step.module);
        Ok(step.loss.into_scalar())
    }

    /// The loss and λ_sup.
    pub fn measure(&self, pixels: &[u8], labels: &[u8]) -> Result<(f32, f64), Error> {
        let (x, y) = self.batch(pixels, labels);
        let model = self.model.as_ref().ok_or("a step before failed")?;
        let loss = self.hsr.loss(model, x.clone(), y.clone())?;
        Ok((loss.into_scalar(), self.hsr.bounds(model, x, y)?.lambda_sup))
    }
}

/// What the page does.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let mut trainer = Trainer::new(16, 0.01, method.strength(0.05))?;
    let items = digits(256);
    let of = |item: &crate::data::MnistItem| -> Vec<u8> {
        item.image
            .iter()
            .map(|pixel| (pixel * 255.0) as u8)
            .collect()
    };
    let pixels: Vec<u8> = items.iter().flat_map(of).collect();
    let labels: Vec<u8> = items.iter().map(|item| item.label as u8).collect();
    let (before, _) = trainer.measure(&pixels, &labels)?;
    for _epoch in 0..10 {
        for (pixels, labels) in pixels.chunks(64 * 64).zip(labels.chunks(64)) {
            match method {
                Method::Sam => trainer.train_batch_with_sam(pixels, labels)?,
                _ => trainer.train_batch(pixels, labels)?,
            };
        }
    }
    let (after, lambda_sup) = trainer.measure(&pixels, &labels)?;
    Ok(Outcome {
        before,
        after,
        lambda_sup,
    })
}
