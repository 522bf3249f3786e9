//! The optimizers by name.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};

use crate::named::named;

named! {
/// The optimizer, with Burn's defaults but for what is stated.
pub enum Optimizer {
    /// Stochastic gradient descent, learning rate 0.1.
    Sgd = "sgd",
    /// The same with momentum 0.9, learning rate 0.02.
    Momentum = "momentum",
    /// Adam, learning rate 0.01.
    Adam = "adam",
    /// AdamW, learning rate 0.01, weight decay 10⁻⁴.
    Adamw = "adamw",
}
}

impl Optimizer {
    /// The learning rate where none is given.
    pub fn default_learning_rate(self) -> f64 {
        match self {
            Optimizer::Sgd => 0.1,
            Optimizer::Momentum => 0.02,
            Optimizer::Adam | Optimizer::Adamw => 0.01,
        }
    }

    /// With weight decay, or without one with what it does unless told.
    pub(crate) fn init(self, decay: Option<f64>) -> ModuleOptimizer {
        let added = decay.filter(|&decay| decay > 0.0);
        let added = added.map(|decay| WeightDecayConfig::new(decay as f32));
        match self {
            Optimizer::Sgd => SgdConfig::new().with_weight_decay(added).init(),
            Optimizer::Momentum => SgdConfig::new()
                .with_momentum(Some(
                    MomentumConfig::new().with_momentum(0.9).with_dampening(0.0),
                ))
                .with_weight_decay(added)
                .init(),
            Optimizer::Adam => AdamConfig::new().with_weight_decay(added).init(),
            Optimizer::Adamw => {
                let config = AdamWConfig::new();
                match decay {
                    Some(decay) => config.with_weight_decay(decay as f32).init(),
                    None => config.init(),
                }
            }
        }
    }
}
