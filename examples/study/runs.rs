//! One training run, to a training loss, and what is measured there.

use std::cell::Cell;
use std::error::Error;
use std::time::{Duration, Instant};

use burn::module::ParamGroup;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Int, Tensor};
use burn_penalty::isolated;
use burn_sharpness::FiniteDifferenceHessian;
use burn_sharpness::spectrum::{LanczosConfig, lanczos};
use hsr_lab::data::{Dataset, Standardizer, stratified_subset};
use hsr_lab::network::tensors;

use crate::methods::Method;
use crate::networks::Network;

/// A network to be trained on data.
pub struct Task<N> {
    /// What the table calls it.
    pub name: &'static str,
    /// All samples.
    pub data: Dataset,
    /// How many of them are trained on.
    pub train: usize,
    /// The size of a batch; none for all of the training samples at every step.
    pub batch: Option<usize>,
    /// A new network.
    pub network: fn(&Device) -> N,
    /// A new optimizer.
    pub optimizer: fn() -> ModuleOptimizer,
    /// Its learning rate.
    pub learning_rate: f64,
    /// The training loss at which all are compared.
    pub loss: f32,
}

/// What a run gave.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Whether the training loss was reached.
    pub reached: bool,
    /// Steps taken.
    pub steps: usize,
    /// Gradients of the loss, one forward and backward pass each, that the steps took.
    pub gradients: usize,
    /// The largest eigenvalue of the training loss's Hessian.
    pub lambda_max: f64,
    /// The smallest one.
    pub lambda_min: f64,
    /// The share of the samples not trained on that is classified correctly.
    pub accuracy: f64,
    /// The time of the steps.
    pub seconds: f64,
}

/// Steps between two looks at the loss of all training samples.
const LOOK: usize = 4;

impl<N: Network> Task<N> {
    /// Trains until the training loss is reached, with no more than so many gradients. The seed decides the samples, the
    /// start, the batches and all that is random on the way; methods with the same seed share them.
    ///
    /// # Errors
    ///
    /// What the methods and the measurement refuse.
    pub fn run(
        &self,
        method: Method,
        strength: f64,
        seed: u64,
        most: usize,
    ) -> Result<Measured, Box<dyn Error>> {
        let device = Device::flex().autodiff();
        let (labels, classes) = (&self.data.labels, self.data.classes());
        let chosen = stratified_subset(labels, classes, self.train, seed);
        let rest: Vec<usize> = (0..labels.len())
            .filter(|sample| chosen.binary_search(sample).is_err())
            .collect();
        let (mut train, mut test) = (self.data.subset(&chosen), self.data.subset(&rest));
        let standardizer = Standardizer::fit(&train);
        standardizer.apply(&mut train)?;
        standardizer.apply(&mut test)?;
        let (x, y) = tensors(&train, &device);
        let loss_fn = CrossEntropyLossConfig::new().init(&device);
        let loss = |model: &N| loss_fn.forward(model.logits(x.clone()), y.clone());

        device.seed(seed);
        // Parameters are drawn when they are first read.
        let mut model = (self.network)(&device).valid().train();
        let mut stepper = method.init(strength, seed, (self.optimizer)())?;
        let gradients = Cell::new(0);
        let (mut steps, mut time, mut reached) = (0, Duration::ZERO, false);
        while gradients.get() < most {
            if steps % LOOK == 0 && loss(&deterministic(&model)).into_scalar::<f32>() <= self.loss {
                reached = true;
                break;
            }
            let batch = match self.batch {
                None => (x.clone(), y.clone()),
                Some(size) => {
                    let draw = (seed << 32) + steps as u64;
                    let rows = stratified_subset(&train.labels, classes, size, draw);
                    let rows: Vec<i64> = rows.into_iter().map(|row| row as i64).collect();
                    let rows = Tensor::<1, Int>::from_data(&rows[..], &device);
                    (x.clone().select(0, rows.clone()), y.clone().select(0, rows))
                }
            };
            let begin = Instant::now();
            let batch = (&batch.0, &batch.1);
            model = stepper.step(self.learning_rate, model, batch, &loss_fn, &gradients)?;
            time += begin.elapsed();
            steps += 1;
        }

        let (x_test, y_test) = tensors(&test, &device.clone().inner());
        let right = model.valid().logits(x_test).argmax(1).reshape([-1]);
        let right = right.equal(y_test).int().sum().into_scalar::<i64>();
        let measured = deterministic(&model);
        let mut hessian = FiniteDifferenceHessian::new(&measured, loss)?;
        // A residual of 1 % leaves an eigenvalue with an error of its square.
        let options = LanczosConfig {
            iterations: 60,
            tolerance: 1e-2,
            seed: 0,
        };
        let ends = lanczos(&mut hessian, 1, None, &options)?;
        Ok(Measured {
            reached,
            steps,
            gradients: gradients.get(),
            lambda_max: ends.largest[0].value,
            lambda_min: ends.smallest[0].value,
            accuracy: right as f64 / rest.len() as f64,
            seconds: time.as_secs_f64(),
        })
    }
}

/// A copy without dropout whose passes leave the running statistics of the model alone; normalisation still takes the
/// statistics of the batch, as in training.
fn deterministic<N: Network>(model: &N) -> N {
    isolated(model).freeze_group(ParamGroup::from_predicate("dropout"))
}
