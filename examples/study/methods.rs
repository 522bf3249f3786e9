//! What is compared, and over which grids it is tuned.

use std::cell::Cell;
use std::error::Error;

use burn::nn::loss::CrossEntropyLoss;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Int, Tensor};
use burn_hsr::{Hsr, HsrConfig};
use burn_penalty::{Objective, ScheduleConfig, StochasticHsr, StochasticHsrConfig, Strength};
use burn_sharpness::{Sam, SamConfig};

use crate::networks::Network;

/// A way to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The optimizer as it is.
    Plain,
    /// SAM.
    Sam,
    /// A penalty on tr H by random probes, at every step.
    Trace,
    /// Stochastic HSR every k-th step.
    Hsr(u64),
    /// λ_max along the vector of a power iteration, every k-th step.
    LambdaMax(u64),
    /// The closed form of HSR on the last two layers, whose gradient goes on into those before.
    Head,
}

/// All, in the order of the table.
pub const METHODS: [Method; 8] = [
    Method::Plain,
    Method::Sam,
    Method::Trace,
    Method::Hsr(1),
    Method::Hsr(4),
    Method::Hsr(10),
    Method::LambdaMax(4),
    Method::Head,
];

impl Method {
    /// What the table calls it.
    pub fn name(self) -> String {
        match self {
            Self::Plain => "plain".to_owned(),
            Self::Sam => "SAM".to_owned(),
            Self::Trace => "tr H".to_owned(),
            Self::Hsr(1) => "HSR, every step".to_owned(),
            Self::Hsr(k) => format!("HSR, every {k}th step"),
            Self::LambdaMax(k) => format!("λ_max, every {k}th step"),
            Self::Head => "HSR of the head alone".to_owned(),
        }
    }

    /// The values of ρ or of the strength that are tried, and the factor by which the grid goes on where its best value
    /// is its first or last. Plain training has none.
    pub fn grid(self) -> (Vec<f64>, f64) {
        match self {
            Self::Plain => (vec![0.0], 1.0),
            Self::Sam => (vec![0.05, 0.1, 0.2, 0.4, 0.8], 2.0),
            Self::Trace => (vec![0.0003, 0.001, 0.003, 0.01, 0.03], 3.0),
            Self::Hsr(_) | Self::LambdaMax(_) => (vec![0.003, 0.01, 0.03, 0.1, 0.3], 3.0),
            Self::Head => (vec![0.01, 0.03, 0.1, 0.3, 1.0], 3.0),
        }
    }

    /// The method with an optimizer.
    pub fn init(
        self,
        strength: f64,
        seed: u64,
        optimizer: ModuleOptimizer,
    ) -> Result<Stepper, Box<dyn Error>> {
        let stochastic = |objective, interval| {
            StochasticHsrConfig::new()
                .with_objective(objective)
                // The gradient of a curvature can be of any size beside the loss's.
                .with_strength(Strength::Safe {
                    strength,
                    share: 1.0,
                })
                .with_schedule(ScheduleConfig::new().with_interval(interval))
                .with_seed(seed)
        };
        Ok(match self {
            Self::Plain => Stepper::Plain(optimizer),
            Self::Sam => {
                let config = SamConfig::new().with_rho(strength).with_seed(seed);
                Stepper::Sam(config.init(optimizer)?)
            }
            Self::Trace => Stepper::Hsr(stochastic(Objective::Trace, 1).init(optimizer)?),
            Self::Hsr(k) => Stepper::Hsr(stochastic(Objective::LambdaSup, k).init(optimizer)?),
            Self::LambdaMax(k) => {
                Stepper::Hsr(stochastic(Objective::LambdaMax, k).init(optimizer)?)
            }
            Self::Head => {
                let hsr = HsrConfig::new().with_strength(strength).init()?;
                Stepper::Head(Box::new(hsr), optimizer)
            }
        })
    }
}

/// A method in the course of a run.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of them; a tensor's size follows the backends"
)]
pub enum Stepper {
    /// See [`Method::Plain`].
    Plain(ModuleOptimizer),
    /// See [`Method::Sam`].
    Sam(Sam),
    /// Every form of stochastic HSR.
    Hsr(StochasticHsr),
    /// See [`Method::Head`].
    Head(Box<Hsr>, ModuleOptimizer),
}

impl Stepper {
    /// One step on a batch; counts the gradients of the loss that it takes.
    pub fn step<N: Network>(
        &mut self,
        lr: f64,
        model: N,
        (x, y): (&Tensor<2>, &Tensor<1, Int>),
        loss_fn: &CrossEntropyLoss,
        gradients: &Cell<usize>,
    ) -> Result<N, Box<dyn Error>> {
        let pass = |model: &N| {
            gradients.set(gradients.get() + 1);
            let loss = loss_fn.forward(model.logits(x.clone()), y.clone());
            ((), GradientsParams::from_grads(loss.backward(), model))
        };
        Ok(match self {
            Self::Plain(optimizer) => {
                let ((), of_loss) = pass(&model);
                optimizer.step(lr, model, of_loss)
            }
            Self::Sam(sam) => sam.step(lr, model, pass)?.module,
            Self::Hsr(hsr) => hsr.step(lr, model, pass)?.module,
            Self::Head(hsr, optimizer) => {
                gradients.set(gradients.get() + 1);
                let features = model.features(x.clone());
                let loss = loss_fn.forward(model.head().forward(features.clone()), y.clone());
                let loss = loss + hsr.penalty(model.head(), features, y.clone())?;
                let of_both = GradientsParams::from_grads(loss.backward(), &model);
                optimizer.step(lr, model, of_both)
            }
        })
    }
}
