//! Any classifier of images trained in several ways on real digits, and what comes of it at equal training loss and after
//! equally many gradients.

use std::error::Error;
use std::time::{Duration, Instant};

use burn::module::{Module, ParamGroup};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::tensor::{Device, Int, Tensor};
use burn_penalty::isolated;
use burn_sharpness::FiniteDifferenceHessian;
use burn_sharpness::spectrum::{LanczosConfig, lanczos};
use hsr_lab::network::tensors;
use hsr_lab::tasks::{self, TaskOptions};

/// A classifier of digits: images of 8×8 pixels, as rows of 64 numbers, to logits \[N, 10\].
pub trait Classifier: Module {
    /// The logits.
    fn forward(&self, images: Tensor<2>) -> Tensor<2>;
}

/// Real digits (UCI, as scikit-learn distributes them: `crates/hsr-lab/data`), pixels between 0 and 1.
pub struct Digits {
    /// Images to train on, \[N, 64\].
    pub x: Tensor<2>,
    /// Their digits.
    pub y: Tensor<1, Int>,
    held_out: (Tensor<2>, Tensor<1, Int>),
    loss: CrossEntropyLoss,
}

/// One step of a way to train.
pub type Step<'a, C> = Box<dyn FnMut(C) -> Result<C, Box<dyn Error>> + 'a>;

/// A way to train.
pub struct Way<'a, C> {
    /// What it is called.
    pub name: &'a str,
    /// Gradients of the loss a step.
    pub gradients: f64,
    /// The step.
    pub step: Step<'a, C>,
}

impl Digits {
    /// So many images to train on and as many held out.
    ///
    /// # Errors
    ///
    /// What loading gives.
    pub fn new(count: usize, device: &Device) -> Result<Self, Box<dyn Error>> {
        let (x, y) = tensors(&tasks::load("digits", &TaskOptions::default(), 0)?, device);
        let rows = |from: usize| {
            let x = x.clone().narrow(0, from, count);
            (x / 16.0, y.clone().narrow(0, from, count))
        };
        let (x, y) = rows(0);
        Ok(Self {
            x,
            y,
            held_out: rows(count),
            loss: CrossEntropyLossConfig::new().init(device),
        })
    }

    /// The mean cross-entropy of the images to train on.
    pub fn loss<C: Classifier>(&self, model: &C) -> Tensor<1> {
        self.loss
            .forward(model.forward(self.x.clone()), self.y.clone())
    }

    /// Trains from one start in every way, with so many gradients each, and prints what came of it. Gives the largest
    /// eigenvalue of the loss's Hessian for each of them where the loss is first at a level: curvature is compared there,
    /// for certain predictions have none, whatever the method.
    ///
    /// # Errors
    ///
    /// What a step gives, and a loss that is never reached.
    pub fn compare<C: Classifier>(
        &self,
        start: &C,
        level: f32,
        gradients: f64,
        ways: Vec<Way<C>>,
    ) -> Result<Vec<f64>, Box<dyn Error>> {
        let mut largest = Vec::new();
        for mut way in ways {
            let mut model = start.valid().train();
            let (mut taken, mut time, mut reached) = (0.0, Duration::ZERO, None);
            while taken < gradients {
                if reached.is_none() && self.deterministic(&model) <= level {
                    reached = Some((self.lambda_max(&model)?, taken));
                }
                let begin = Instant::now();
                model = (way.step)(model)?;
                time += begin.elapsed();
                taken += way.gradients;
            }
            let (lambda_max, after) = reached.ok_or("the training loss was not reached")?;
            println!(
                "{}: λ_max {lambda_max:.2} at loss {level}, after {after:.0} gradients; after {taken:.0}: loss {:.4}, \
                 λ_max {:.2}, {:.1} % of held-out images, {:.1} s",
                way.name,
                self.deterministic(&model),
                self.lambda_max(&model)?,
                100.0 * self.accuracy(&model),
                time.as_secs_f64()
            );
            largest.push(lambda_max);
        }
        Ok(largest)
    }

    /// The training loss without dropout.
    fn deterministic<C: Classifier>(&self, model: &C) -> f32 {
        self.loss(&without_dropout(model)).into_scalar()
    }

    fn lambda_max<C: Classifier>(&self, model: &C) -> Result<f64, Box<dyn Error>> {
        let model = without_dropout(model);
        let mut hessian = FiniteDifferenceHessian::new(&model, |model| self.loss(model))?;
        // A residual of 1 % leaves an eigenvalue with an error of its square.
        let options = LanczosConfig {
            tolerance: 1e-2,
            ..LanczosConfig::default()
        };
        let ends = lanczos(&mut hessian, 1, None, &options)?;
        Ok(ends.largest[0].value)
    }

    /// The share of the held-out images that is read correctly, by the model in inference.
    fn accuracy<C: Classifier>(&self, model: &C) -> f64 {
        let (x, y) = self.held_out.clone();
        let read = model.valid().forward(x.inner()).argmax(1).reshape([-1]);
        let right = read.equal(y.inner()).float().mean();
        f64::from(right.into_scalar::<f32>())
    }
}

/// A copy without dropout, whose passes leave the model's running statistics alone. Normalisation takes the statistics of
/// the batch, as in training.
fn without_dropout<C: Classifier>(model: &C) -> C {
    isolated(model).freeze_group(ParamGroup::from_predicate("dropout"))
}
