//! A network in training.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLoss;
use burn::optim::ModuleOptimizer;
use burn::tensor::{DType, Device, Int, Tensor};

use super::config::TrainConfig;
use super::method::Method;
use super::rule::{Descent, Memory, Pass, Rule};
use crate::data::Dataset;
use crate::error::LabError;
use crate::network::Classifier;

/// A network in training: its module on a device, its optimizer, and what its method remembers.
pub(crate) trait Learner {
    /// One step on a batch.
    fn step(&mut self, x: Tensor<2>, y: Tensor<1, Int>) -> Result<(), LabError>;

    /// θ.
    fn theta(&self) -> Vec<f64>;

    /// Puts the parameters where they were.
    fn set_theta(&mut self, theta: &[f64]);

    /// The class of the largest logit of each row of `x`, which is on the device without autodiff.
    fn predict(&self, x: Tensor<2>) -> Vec<usize>;

    /// What a step on `rows` rows costs in the mean over steps, in forward and backward passes of plain training.
    fn passes(&self, rows: usize) -> Result<f64, LabError>;

    /// The optimizer.
    fn optimizer(&self) -> &ModuleOptimizer;

    /// Puts the optimizer where it was.
    fn set_optimizer(&mut self, optimizer: ModuleOptimizer);

    /// What the method remembers.
    fn memory(&self) -> Result<Memory, LabError>;

    /// Goes on after so many steps.
    fn recall(&mut self, steps: u64, memory: Memory);
}

/// A classifier in training, in f32.
pub(super) struct Trained<C: Classifier> {
    classifier: C,
    module: C::Module,
    rule: Box<dyn Rule<C::Module>>,
    descent: Descent,
    loss: CrossEntropyLoss,
    /// With autodiff.
    device: Device,
}

impl<C: Classifier> Trained<C> {
    /// From these parameters on, with the optimizer and the loss that a method has on its training data.
    pub fn boxed(
        classifier: &C,
        theta: &[f64],
        rule: Box<dyn Rule<C::Module>>,
        (config, method, train): (&TrainConfig, Method, &Dataset),
        device: &Device,
    ) -> Box<dyn Learner>
    where
        C: 'static,
    {
        Box::new(Self {
            module: classifier.to_burn(theta, device, DType::F32),
            classifier: classifier.clone(),
            rule,
            descent: Descent {
                optimizer: config.optimizer(method),
                lr: config.learning_rate,
            },
            loss: config.loss(method, train).init(device),
            device: device.clone(),
        })
    }
}

impl<C: Classifier> Learner for Trained<C> {
    fn step(&mut self, x: Tensor<2>, y: Tensor<1, Int>) -> Result<(), LabError> {
        let pass = Pass {
            x,
            y,
            loss: &self.loss,
            logits: &|module: &C::Module, x| self.classifier.logits(module, x),
        };
        let module = self.module.clone();
        self.module = self.rule.step(&mut self.descent, module, &pass)?;
        Ok(())
    }

    fn theta(&self) -> Vec<f64> {
        self.classifier.theta_of(&self.module)
    }

    fn set_theta(&mut self, theta: &[f64]) {
        self.module = self.classifier.to_burn(theta, &self.device, DType::F32);
    }

    fn predict(&self, x: Tensor<2>) -> Vec<usize> {
        self.classifier.predict(&self.module.valid(), x)
    }

    fn passes(&self, rows: usize) -> Result<f64, LabError> {
        self.rule.passes(&self.module, rows)
    }

    fn optimizer(&self) -> &ModuleOptimizer {
        &self.descent.optimizer
    }

    fn set_optimizer(&mut self, optimizer: ModuleOptimizer) {
        self.descent.optimizer = optimizer;
    }

    fn memory(&self) -> Result<Memory, LabError> {
        self.rule.memory(&self.module)
    }

    fn recall(&mut self, steps: u64, memory: Memory) {
        self.rule.recall(steps, memory);
    }
}
