//! Irises through two hidden layers, a first project. The last three layers are regularised, the first gets its part of the
//! gradient through the features.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Tanh};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn_hsr::{Activation, HsrConfig, HsrError, ThreeLayer}; // HSR
use burn_sharpness::SamConfig;

use crate::data::{irises, number};
use crate::{Error, Method, Outcome};

/// The network.
#[derive(Module, Debug)]
pub struct IrisModel {
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
    tanh: Tanh,
}

impl IrisModel {
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        self.tanh.forward(self.fc1.forward(x))
    }

    fn head(&self, features: Tensor<2>) -> Tensor<2> {
        self.fc3
            .forward(self.tanh.forward(self.fc2.forward(features)))
    }
}

impl ThreeLayer for IrisModel {
    fn hidden(&self) -> &Linear {
        &self.fc2 // HSR
    }
    fn activation(&self) -> Activation {
        Activation::Tanh // HSR
    }
    fn output(&self) -> &Linear {
        &self.fc3 // HSR
    }
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let mut hsr = HsrConfig::new()
        .with_strength(method.strength(0.1))
        .init()?; // HSR
    let (x, y) = irises(&device);
    let mut model = IrisModel {
        fc1: LinearConfig::new(4, 16).init(&device),
        fc2: LinearConfig::new(16, 8).init(&device),
        fc3: LinearConfig::new(8, 3).init(&device),
        tanh: Tanh::new(),
    };
    let mut optim = SgdConfig::new().init();
    let mut sam = SamConfig::new()
        .with_rho(0.1)
        .init(SgdConfig::new().init())?;
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let loss_of = |model: &IrisModel| {
        let output = model.head(model.features(x.clone()));
        cross_entropy.forward(output, y.clone())
    };
    let before = number(loss_of(&model));
    for _epoch in 0..150 {
        if method == Method::Sam {
            let step = sam.step(0.2, model, |model: &IrisModel| loss_of(model))?;
            model = step.module;
            continue;
        }
        let features = model.features(x.clone()); // HSR
        let loss = cross_entropy.forward(model.head(features.clone()), y.clone());
        let loss = loss + hsr.penalty(&model, features, y.clone())?; // HSR
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optim.step(0.2, model, grads);
    }
    // The first thing that one tries, and what it says.
    let injected = hsr.inject(
        &model,
        model.features(x.clone()),
        y.clone(),
        GradientsParams::new(),
    );
    if !matches!(injected, Err(HsrError::TrackedInputs { .. })) {
        return Err("the backbone would have been left out in silence".into());
    }
    let after = number(loss_of(&model));
    let bounds = hsr.bounds(&model, model.features(x.clone()), y.clone())?;
    Ok(Outcome {
        before,
        after,
        lambda_sup: bounds.lambda_sup,
    })
}
