//! Gradients accumulated over micro-batches, then clipped by the optimizer. Burn adds them up, so each micro-batch counts
//! with its share of the samples, loss and penalty alike; what is descended is L + strength·(mean of the parts' λ_sup).

use burn::grad_clipping::GradientClippingConfig;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use burn_hsr::{HsrConfig, ThreeLayerNet, ThreeLayerNetConfig}; // HSR
use burn_sharpness::SamConfig;

use crate::data::{digit_batch, number};
use crate::{Error, Method, Outcome};

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let mut hsr = HsrConfig::new()
        .with_strength(method.strength(0.05))
        .init()?; // HSR
    let optimizer = || -> ModuleOptimizer {
        AdamWConfig::new()
            .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
            .init()
    };
    let mut optim = optimizer();
    let mut sam = SamConfig::new().with_rho(0.05).init(optimizer())?;
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let batch = digit_batch(256, &device);
    let (x, y) = (batch.images.flatten::<2>(1, 2), batch.targets);
    let mut model = ThreeLayerNetConfig::new(64, 16, 10).init(&device);
    let before = number(cross_entropy.forward(model.forward(x.clone()), y.clone()));

    for _step in 0..40 {
        // The last micro-batch is shorter.
        let micro_batches: Vec<_> = x
            .clone()
            .split(96, 0)
            .into_iter()
            .zip(y.clone().split(96, 0))
            .collect();
        let share = |y: &Tensor<1, Int>| y.dims()[0] as f64 / 256.0;
        if method == Method::Sam {
            let step = sam.step(0.02, model, |model: &ThreeLayerNet| {
                let mut accumulator = GradientsAccumulator::new();
                for (x, y) in &micro_batches {
                    let loss =
                        cross_entropy.forward(model.forward(x.clone()), y.clone()) * share(y);
                    let grads = GradientsParams::from_grads(loss.backward(), model);
                    accumulator.accumulate(model, grads);
                }
                ((), accumulator.grads())
            })?;
            model = step.module;
            continue;
        }
        let mut accumulator = GradientsAccumulator::new();
        for (x, y) in micro_batches {
            let loss = cross_entropy.forward(model.forward(x.clone()), y.clone());
            let loss = loss + hsr.penalty(&model, x, y.clone())?; // HSR
            let grads = GradientsParams::from_grads((loss * share(&y)).backward(), &model);
            accumulator.accumulate(&model, grads);
        }
        model = optim.step(0.02, model, accumulator.grads());
    }
    let after = number(cross_entropy.forward(model.forward(x.clone()), y.clone()));
    Ok(Outcome {
        before,
        after,
        lambda_sup: hsr.bounds(&model, x, y)?.lambda_sup,
    })
}
