//! Burn's `wgan`: a generator and a critic whose weights are clipped, RMSprop, five steps of the critic to one of the
//! generator. HSR regularises the critic's two last layers.
//!
//! The critic's loss is linear in its output, so that S = 0 and there is no Hessian of a loss of this kind to bound. What is
//! bounded here is that of the squared error against 1 for images and −1 for what was generated, the loss of a
//! least-squares GAN: its Gauss-Newton part is the sum of ∇D ∇Dᵀ over the images, so that the critic's slope in its
//! parameters is what is kept small.

use burn::module::{ModuleMapper, Param};
use burn::optim::{GradientsParams, RmsPropConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn_hsr::{Activation, HsrConfig, ThreeLayer}; // HSR
use burn_sharpness::SamConfig;

use crate::data::{digit_batch, digit_loader, number};
use crate::{Error, Method, Outcome};

/// A layer of the generator.
#[derive(Module, Debug)]
pub struct LayerBlock {
    fc: nn::Linear,
    bn: nn::BatchNorm,
    leakyrelu: nn::LeakyRelu,
}

impl LayerBlock {
    fn new(input: usize, output: usize, device: &Device) -> Self {
        Self {
            fc: nn::LinearConfig::new(input, output).init(device),
            bn: nn::BatchNormConfig::new(output)
                .with_epsilon(0.8)
                .init(device),
            leakyrelu: nn::LeakyReluConfig::new().with_negative_slope(0.2).init(),
        }
    }

    fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let output = self.bn.forward(self.fc.forward(input));
        self.leakyrelu.forward(output)
    }
}

/// From noise to images.
#[derive(Module, Debug)]
pub struct Generator {
    layer1: LayerBlock,
    layer2: LayerBlock,
    fc: nn::Linear,
    tanh: nn::Tanh,
}

impl Generator {
    /// `[N, 8]` to `[N, 64]`.
    fn forward(&self, noise: Tensor<2>) -> Tensor<2> {
        let output = self.layer2.forward(self.layer1.forward(noise));
        self.tanh.forward(self.fc.forward(output))
    }
}

/// The critic.
#[derive(Module, Debug)]
pub struct Discriminator {
    fc1: nn::Linear,
    leakyrelu1: nn::LeakyRelu,
    fc2: nn::Linear,
    leakyrelu2: nn::LeakyRelu,
    fc3: nn::Linear,
}

impl Discriminator {
    fn features(&self, images: Tensor<2>) -> Tensor<2> {
        self.leakyrelu1.forward(self.fc1.forward(images))
    }

    fn head(&self, features: Tensor<2>) -> Tensor<2> {
        let output = self.leakyrelu2.forward(self.fc2.forward(features));
        self.fc3.forward(output)
    }

    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        self.head(self.features(images))
    }
}

impl ThreeLayer for Discriminator {
    fn hidden(&self) -> &nn::Linear {
        &self.fc2 // HSR
    }
    fn activation(&self) -> Activation {
        let negative_slope = self.leakyrelu2.negative_slope; // HSR
        Activation::LeakyRelu { negative_slope } // HSR
    }
    fn output(&self) -> &nn::Linear {
        &self.fc3 // HSR
    }
}

/// Clips every parameter.
struct Clip {
    min: f32,
    max: f32,
}

impl ModuleMapper for Clip {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let is_require_grad = tensor.is_require_grad();
        let mut tensor = Tensor::from_inner(tensor.inner().clamp(self.min, self.max));
        if is_require_grad {
            tensor = tensor.require_grad();
        }
        Param::from_mapped_value(id, tensor, mapper)
    }
}

const BATCH: usize = 64;
const LATENT: usize = 8;

/// 1 for images, −1 for what was generated.
fn sides(device: &Device) -> Tensor<1> {
    Tensor::cat(
        vec![
            Tensor::ones([BATCH], device),
            Tensor::ones([BATCH], device).neg(),
        ],
        0,
    )
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let linear = |inputs, outputs| nn::LinearConfig::new(inputs, outputs).init(&device);
    let leaky = || nn::LeakyReluConfig::new().with_negative_slope(0.2).init();
    let mut generator = Generator {
        layer1: LayerBlock::new(LATENT, 16, &device),
        layer2: LayerBlock::new(16, 32, &device),
        fc: linear(32, 64),
        tanh: nn::Tanh::new(),
    };
    let mut discriminator = Discriminator {
        fc1: linear(64, 32),
        leakyrelu1: leaky(),
        fc2: linear(32, 16),
        leakyrelu2: leaky(),
        fc3: linear(16, 1),
    };
    let mut hsr = HsrConfig::for_mean_squared_error() // HSR
        .with_strength(method.strength(0.02)) // HSR
        .init()?; // HSR
    let mut optimizer_g = RmsPropConfig::new().init();
    let mut optimizer_d = RmsPropConfig::new().init();
    let mut sam = SamConfig::new()
        .with_rho(0.05)
        .init(RmsPropConfig::new().init())?;
    let mut clip = Clip {
        min: -0.1,
        max: 0.1,
    };
    let wasserstein = |critic: &Discriminator, images: Tensor<2>, fakes: Tensor<2>| {
        critic.forward(fakes).mean() - critic.forward(images).mean()
    };

    // What the critic is judged by: the first digits, and the same noise as long as the generator is the first.
    let images = digit_batch(BATCH, &device).images.flatten::<2>(1, 2);
    let noise = Tensor::random([BATCH, LATENT], Distribution::Normal(0.0, 1.0), &device);
    let fakes = generator.forward(noise).detach();
    let before = number(wasserstein(&discriminator, images.clone(), fakes.clone()));

    let dataloader_train = digit_loader(256, BATCH, &device);
    for _epoch in 0..8 {
        for (iteration, batch) in dataloader_train.iter().enumerate() {
            let images = batch?.images.flatten::<2>(1, 2);
            let noise = Tensor::random([BATCH, LATENT], Distribution::Normal(0.0, 1.0), &device);
            let fake_images = generator.forward(noise.clone()).detach();
            discriminator = if method == Method::Sam {
                let loss_d = |critic: &Discriminator| {
                    wasserstein(critic, images.clone(), fake_images.clone())
                };
                sam.step(1e-3, discriminator, loss_d)?.module
            } else {
                let both = Tensor::cat(vec![images, fake_images], 0); // HSR
                let features = discriminator.features(both); // HSR
                let output = discriminator.head(features.clone()); // HSR
                let [real, fake] = [0, BATCH].map(|from| output.clone().narrow(0, from, BATCH)); // HSR
                let loss_d = fake.mean() - real.mean();
                let loss_d = loss_d + hsr.penalty(&discriminator, features, sides(&device))?; // HSR
                let grads = GradientsParams::from_grads(loss_d.backward(), &discriminator);
                optimizer_d.step(1e-3, discriminator, grads)
            };
            discriminator = discriminator.map(&mut clip);

            if iteration % 5 == 0 {
                let loss_g = -discriminator.forward(generator.forward(noise)).mean();
                let grads = GradientsParams::from_grads(loss_g.backward(), &generator);
                generator = optimizer_g.step(1e-3, generator, grads);
            }
        }
    }
    let after = number(wasserstein(&discriminator, images.clone(), fakes.clone()));
    let features = discriminator.features(Tensor::cat(vec![images, fakes], 0));
    let bounds = hsr.bounds(&discriminator, features, sides(&device))?;
    Ok(Outcome {
        before,
        after,
        lambda_sup: bounds.lambda_sup,
    })
}
