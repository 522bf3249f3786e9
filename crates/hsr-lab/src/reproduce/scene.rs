//! The small networks of the paper's experiments: data, shape and loss, in f64.

use hsr_core::{
    Activation, Batch, Dimensions, Evaluation, Network, OutputLoss, Targets, Workspace,
};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use crate::data::random::{Stream, generator};
use crate::data::{Dataset, Standardizer};
use crate::error::LabError;
use crate::figures::DecisionPanel;
use crate::tasks::{self, TaskOptions};
use crate::{pictures, scores};

/// Which data and which network, as stated in captions and settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// A built-in task of two inputs.
    pub task: String,
    /// What of it is changed.
    pub options: TaskOptions,
    /// Training samples.
    pub train: usize,
    /// Test samples, of the same distribution.
    pub test: usize,
    /// Hidden units.
    pub hidden: usize,
    /// The activation.
    pub activation: Activation,
    /// μ of the weight decay μ‖θ‖²/2 that is added to the cross-entropy. Without it most minima are at infinity: a tanh
    /// unit that becomes a step always fits a finite sample a little better.
    pub decay: f64,
    /// Whether the inputs are brought to mean 0 and standard deviation 1 on the training samples.
    pub standardized: bool,
}

/// The training samples of the paper's experiments.
const TRAIN: usize = 50;
/// Enough that a test score is one of the network and not of the sample: a standard error of 0.01.
const TEST: usize = 2000;

/// Small beside the curvature of the cross-entropy, and enough that training comes to an end.
const DECAY: f64 = 1e-3;

impl Scene {
    fn of(task: &str, options: TaskOptions, hidden: usize) -> Self {
        Self {
            task: task.to_owned(),
            options,
            train: TRAIN,
            test: TEST,
            hidden,
            activation: Activation::Tanh,
            decay: DECAY,
            standardized: true,
        }
    }

    /// Three bivariate normal classes that overlap, three hidden units, three logits: D = 21.
    pub fn gaussians(overlap: f64) -> Self {
        let options = TaskOptions::with(|it| it.overlap = Some(overlap));
        Self::of("gaussians", options, 3)
    }

    /// Two half circles with noise, five hidden units, one logit: D = 21.
    pub fn moons(noise: f64) -> Self {
        let options = TaskOptions::with(|it| it.noise = Some(noise));
        Self::of("moons", options, 5)
    }

    /// Two spiral arms with noise, five hidden units, one logit: D = 21.
    pub fn spirals(noise: f64) -> Self {
        let options = TaskOptions::with(|it| it.noise = Some(noise));
        Self::of("spirals", options, 5)
    }

    /// The same with other numbers of samples.
    pub fn with_samples(mut self, train: usize, test: usize) -> Self {
        (self.train, self.test) = (train, test);
        self
    }

    /// The same with another number of hidden units.
    pub fn with_hidden(mut self, hidden: usize) -> Self {
        self.hidden = hidden;
        self
    }

    /// The scene in words, for captions.
    pub fn words(&self) -> String {
        let data = match (self.options.overlap, self.options.noise) {
            (Some(overlap), _) => format!("{} with overlap {overlap}", self.task),
            (None, Some(noise)) => format!("{} with noise {noise}", self.task),
            (None, None) => self.task.clone(),
        };
        format!(
            "{data}, {} training samples, {} hidden units, {}",
            self.train, self.hidden, self.activation
        )
    }

    /// The data drawn from a seed, and the network's shape.
    pub fn load(&self, seed: u64) -> Result<Bed, LabError> {
        let options = TaskOptions {
            samples: Some(self.train + self.test),
            ..self.options.clone()
        };
        let data = tasks::load(&self.task, &options, seed)?;
        // The classes take turns, so that both parts are balanced.
        let part = |range: core::ops::Range<usize>| data.subset(&range.collect::<Vec<_>>());
        let mut train = part(0..self.train);
        let mut test = part(self.train..self.train + self.test);
        if self.standardized {
            let standardizer = Standardizer::fit(&train);
            standardizer.apply(&mut train)?;
            standardizer.apply(&mut test)?;
        }
        // Two classes need one logit.
        let (outputs, loss) = match data.classes() {
            2 => (1, OutputLoss::SigmoidCrossEntropy),
            classes => (classes, OutputLoss::SoftmaxCrossEntropy),
        };
        Ok(Bed {
            dimensions: Dimensions::new(data.inputs, self.hidden, outputs),
            activation: self.activation,
            loss,
            decay: self.decay,
            train,
            test,
        })
    }
}

/// A scene with its data.
#[derive(Clone, Debug)]
pub struct Bed {
    /// The sizes of the network.
    pub dimensions: Dimensions,
    /// Its activation.
    pub activation: Activation,
    /// Its loss.
    pub loss: OutputLoss,
    /// μ of the weight decay.
    pub decay: f64,
    /// What it is trained on.
    pub train: Dataset,
    /// What it is tested on.
    pub test: Dataset,
}

impl Bed {
    /// D.
    pub fn parameters(&self) -> usize {
        self.dimensions.parameters()
    }

    /// The network that the closed form sees.
    pub fn network<'a>(&self, theta: &'a [f64]) -> Result<Network<'a, f64>, LabError> {
        Ok(Network::from_flat(self.dimensions, self.activation, theta)?)
    }

    /// The training samples as the closed form sees them.
    pub fn batch(&self) -> Batch<'_, f64> {
        let targets = Targets::Classes(&self.train.labels);
        Batch::new(self.loss, &self.train.features, targets)
    }

    /// The training objective J = L + μ‖θ‖²/2 and, in `gradient`, ∇J.
    pub fn objective(
        &self,
        workspace: &mut Workspace<f64>,
        theta: &[f64],
        gradient: &mut [f64],
    ) -> Result<f64, LabError> {
        let loss = workspace.loss_gradient(&self.network(theta)?, &self.batch(), gradient)?;
        for (g, t) in gradient.iter_mut().zip(theta) {
            *g += self.decay * t;
        }
        Ok(loss + 0.5 * self.decay * theta.iter().map(|t| t * t).sum::<f64>())
    }

    /// λ_sup and ∂λ_sup/∂θ.
    pub fn bound_gradient(
        &self,
        workspace: &mut Workspace<f64>,
        theta: &[f64],
    ) -> Result<(f64, Vec<f64>), LabError> {
        let (network, batch) = (self.network(theta)?, self.batch());
        let mut gradient = vec![0.0; theta.len()];
        let slope = &mut gradient;
        let bounds = workspace.bounds_gradient(&network, &batch, Evaluation::Auto, slope, None)?;
        Ok((bounds.lambda_sup, gradient))
    }

    /// Parameters of normal distribution, their standard deviation `scale`/√n with n the inputs of the layer.
    pub fn start(&self, scale: f64, seed: u64) -> Vec<f64> {
        let mut random = generator(seed, Stream::Parameters);
        let split = self.dimensions.layout().output_weight().start;
        (0..self.parameters())
            .map(|i| {
                let inputs = if i < split {
                    self.dimensions.inputs
                } else {
                    self.dimensions.hidden
                };
                let value: f64 = random.sample(StandardNormal);
                scale * value / (inputs as f64).sqrt()
            })
            .collect()
    }

    /// The predicted class of each row of `features`.
    pub fn predict(
        &self,
        workspace: &mut Workspace<f64>,
        theta: &[f64],
        features: &[f64],
    ) -> Result<Vec<usize>, LabError> {
        // Logits do not depend on labels, which a batch must have.
        let labels = vec![0; features.len() / self.dimensions.inputs];
        let batch = Batch::new(self.loss, features, Targets::Classes(&labels));
        let logits = workspace.logits(&self.network(theta)?, &batch)?;
        Ok(match self.dimensions.outputs {
            1 => logits.iter().map(|o| usize::from(*o > 0.0)).collect(),
            outputs => logits.chunks_exact(outputs).map(largest).collect(),
        })
    }

    /// Macro-F1 on the test samples.
    pub fn macro_f1(&self, workspace: &mut Workspace<f64>, theta: &[f64]) -> Result<f64, LabError> {
        let predicted = self.predict(workspace, theta, &self.test.features)?;
        Ok(scores::macro_f1(
            &predicted,
            &self.test.labels,
            self.test.classes(),
        ))
    }

    /// What the network decides over the plane, with the training samples.
    pub fn decisions(
        &self,
        workspace: &mut Workspace<f64>,
        theta: &[f64],
        title: String,
    ) -> Result<DecisionPanel, LabError> {
        let points = self.train.features.as_chunks::<2>().0.to_vec();
        pictures::decisions(title, (120, 0.12), points, &self.train.labels, |cells| {
            self.predict(workspace, theta, cells.as_flattened())
        })
    }
}

/// The place of the largest value.
fn largest(values: &[f64]) -> usize {
    let largest = values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    largest.map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_of_the_paper_have_21_parameters_and_50_balanced_samples() {
        for scene in [
            Scene::gaussians(0.6),
            Scene::moons(0.3),
            Scene::spirals(0.1),
        ] {
            let bed = scene.load(1).unwrap();
            assert_eq!(
                (bed.parameters(), bed.train.samples()),
                (21, 50),
                "{}",
                scene.task
            );
            let counts = bed.train.class_counts();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            // Test samples are others.
            let first = bed.test.row(0);
            assert!((0..50).all(|n| bed.train.row(n) != first));
        }
    }

    #[test]
    fn weight_decay_is_in_the_objective_and_its_gradient() {
        let mut bed = Scene::moons(0.3).load(1).unwrap();
        let theta = bed.start(1.0, 1);
        let mut workspace = Workspace::new();
        let mut at = |decay: f64| {
            bed.decay = decay;
            let mut gradient = vec![0.0; theta.len()];
            let value = bed
                .objective(&mut workspace, &theta, &mut gradient)
                .unwrap();
            (value, gradient)
        };
        let (without, with) = (at(0.0), at(0.1));
        let squares: f64 = theta.iter().map(|t| t * t).sum();
        assert!((with.0 - without.0 - 0.05 * squares).abs() < 1e-14);
        for ((a, b), t) in with.1.iter().zip(&without.1).zip(&theta) {
            assert!((a - b - 0.1 * t).abs() < 1e-15);
        }
    }

    #[test]
    fn predictions_are_those_of_plain_arithmetic() {
        // One unit: tanh(x₁) > 0 decides.
        let mut bed = Scene::moons(0.3).with_hidden(1).load(1).unwrap();
        let mut workspace = Workspace::new();
        let features = [1.0, 5.0, -1.0, 5.0, 0.5, -3.0];
        let predicted = bed
            .predict(&mut workspace, &[1.0, 0.0, 0.0, 2.0, 0.0], &features)
            .unwrap();
        assert_eq!(predicted, [1, 0, 1]);
        // Three logits a, 0 and −a + 0.1: the largest wins.
        bed = Scene::gaussians(0.6).with_hidden(1).load(1).unwrap();
        let theta = [1.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.1];
        let features = [1.0, 0.0, -1.0, 0.0, 0.01, 7.0];
        let predicted = bed.predict(&mut workspace, &theta, &features).unwrap();
        assert_eq!(predicted, [0, 2, 2]);
    }
}
