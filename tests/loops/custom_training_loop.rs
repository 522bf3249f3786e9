//! Burn's `custom-training-loop`: the network of [`guide`](crate::guide) in a loop of its own. HSR changes two lines and adds
//! two.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_hsr::HsrConfig; // HSR
use burn_hsr::train::HsrStep; // HSR
use burn_sharpness::SamConfig;

use crate::data::digit_loader;
use crate::guide::{Model, ModelConfig, SAMPLES, measure};
use crate::{Error, Method, Outcome};

/// How the loop is run.
#[derive(Config, Debug)]
pub struct MnistTrainingConfig {
    #[config(default = 6)]
    num_epochs: usize,
    #[config(default = 64)]
    batch_size: usize,
    #[config(default = 1e-2)]
    lr: f64,
    model: ModelConfig,
    optimizer: AdamConfig,
}

/// Runs it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let config = MnistTrainingConfig::new(ModelConfig::new(10, 32), AdamConfig::new());
    let device = crate::device();
    let hsr = HsrConfig::new()
        .with_strength(method.strength(0.01))
        .init()?; // HSR
    let hsr = HsrStep::new(hsr)?; // HSR

    let mut model = config.model.init(&device, hsr.clone());
    let (before, _) = measure(&model.valid())?;
    let mut optim = config.optimizer.init();
    let mut sam = SamConfig::new()
        .with_rho(0.05)
        .init(config.optimizer.init())?;
    let dataloader_train = digit_loader(SAMPLES, config.batch_size, &device);
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for _epoch in 1..=config.num_epochs {
        for batch in dataloader_train.iter() {
            let batch = batch?;
            if method == Method::Sam {
                let step = sam.step(config.lr, model, |model: &Model| {
                    let output = model.forward(batch.images.clone());
                    cross_entropy.forward(output, batch.targets.clone())
                })?;
                model = step.module;
                continue;
            }
            let features = model.features(batch.images); // HSR
            let output = model.head(features.clone()); // HSR
            let loss = cross_entropy.forward(output, batch.targets.clone());
            let loss = loss + hsr.penalty(&model, features, batch.targets)?; // HSR
            let grads = loss.backward();
            let grads = GradientsParams::from_grads(grads, &model);
            model = optim.step(config.lr, model, grads);
        }
    }
    let (after, lambda_sup) = measure(&model.valid())?;
    Ok(Outcome {
        before,
        after,
        lambda_sup,
    })
}
