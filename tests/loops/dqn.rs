//! A deep Q-network, as Burn's `dqn-agent` trains it: the value of the action taken (`gather`) against reward and the target
//! network's best value, AdamW with clipping, a target network that follows slowly. HSR regularises the two last layers, with
//! the loss of the gathered outputs alone ([`Targets::gathered`]).

use burn::grad_clipping::GradientClippingConfig;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::prelude::*;
use burn_hsr::{Activation, Hsr, HsrConfig, Targets, ThreeLayer}; // HSR
use burn_sharpness::SamConfig;

use crate::data::{noise, number};
use crate::{Error, Method, Outcome};

const STATE: usize = 4;
const ACTIONS: usize = 3;
const TRANSITIONS: usize = 192;

/// The network.
#[derive(Module, Debug)]
pub struct MlpNet {
    linears: Vec<Linear>,
    activation: Relu,
}

impl MlpNet {
    fn new(device: &Device) -> Self {
        let sizes = [[STATE, 24], [24, 16], [16, ACTIONS]];
        Self {
            linears: sizes
                .map(|[inputs, outputs]| LinearConfig::new(inputs, outputs).init(device))
                .into(),
            activation: Relu::new(),
        }
    }

    fn features(&self, states: Tensor<2>) -> Tensor<2> {
        self.activation.forward(self.linears[0].forward(states))
    }

    fn head(&self, features: Tensor<2>) -> Tensor<2> {
        let x = self.activation.forward(self.linears[1].forward(features));
        self.linears[2].forward(x)
    }

    fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        self.head(self.features(states))
    }

    /// The target network a step nearer to the policy's.
    fn soft_update(self, that: &Self, tau: f64) -> Self {
        let mix = |this: Linear, that: &Linear| {
            let weight = that.weight.val().detach() * tau;
            let bias = that.bias.as_ref().map(|bias| bias.val().detach() * tau);
            Linear {
                weight: this.weight.map(|w| w.detach() * (1.0 - tau) + weight),
                bias: this
                    .bias
                    .zip(bias)
                    .map(|(this, that)| this.map(|b| b.detach() * (1.0 - tau) + that)),
            }
        };
        let linears = self.linears.into_iter().zip(&that.linears);
        Self {
            linears: linears.map(|(this, that)| mix(this, that)).collect(),
            activation: self.activation,
        }
    }
}

impl ThreeLayer for MlpNet {
    fn hidden(&self) -> &Linear {
        &self.linears[1] // HSR
    }
    fn activation(&self) -> Activation {
        Activation::Relu // HSR
    }
    fn output(&self) -> &Linear {
        &self.linears[2] // HSR
    }
}

/// What a replay buffer holds.
#[derive(Clone)]
struct Transitions {
    states: Tensor<2>,
    actions: Tensor<1, Int>,
    rewards: Tensor<1>,
    next_states: Tensor<2>,
}

/// A world in which the right action is named by the largest of the first three numbers.
fn transitions(device: &Device) -> Transitions {
    let states = noise(TRANSITIONS * STATE, 1);
    let actions: Vec<i64> = noise(TRANSITIONS, 2)
        .iter()
        .map(|v| ((v + 1.0) * 1.499) as i64)
        .collect();
    let rewards: Vec<f32> = states
        .chunks(STATE)
        .zip(&actions)
        .map(|(state, &action)| {
            let best = (0..ACTIONS).max_by(|&a, &b| state[a].total_cmp(&state[b]));
            if best == Some(action as usize) {
                1.0
            } else {
                0.0
            }
        })
        .collect();
    let next_states = noise(TRANSITIONS * STATE, 4);
    let matrix = |values| Tensor::from_data(TensorData::new(values, [TRANSITIONS, STATE]), device);
    Transitions {
        states: matrix(states),
        actions: Tensor::from_data(TensorData::new(actions, [TRANSITIONS]), device),
        rewards: Tensor::from_data(TensorData::new(rewards, [TRANSITIONS]), device),
        next_states: matrix(next_states),
    }
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let mut hsr = HsrConfig::for_mean_squared_error() // HSR
        .with_strength(method.strength(0.02)) // HSR
        .init()?; // HSR
    let optimizer = || -> ModuleOptimizer {
        AdamWConfig::new()
            .with_grad_clipping(Some(GradientClippingConfig::Value(100.0)))
            .init()
    };
    let mut optim = optimizer();
    let mut sam = SamConfig::new().with_rho(0.05).init(optimizer())?;
    let mut policy = MlpNet::new(&device);
    let mut target = policy.clone();
    let batch = transitions(&device);
    let mse = |gathered, expected: &Tensor<1>| {
        MseLoss::new().forward(gathered, expected.clone().unsqueeze_dim(1), Reduction::Mean)
    };
    let actions = || batch.actions.clone().unsqueeze_dim::<2>(1);
    let expected_of = |target: &MlpNet| {
        let next = target.forward(batch.next_states.clone()).max_dim(1);
        (next.squeeze_dim::<1>(1) * 0.5 + batch.rewards.clone()).detach()
    };

    // Judged by the first target network, which does not move.
    let fixed = expected_of(&target);
    let measure = |policy: &MlpNet, hsr: &Hsr| -> Result<(f32, f64), Error> {
        let features = policy.features(batch.states.clone());
        let loss = mse(policy.head(features.clone()).gather(1, actions()), &fixed);
        let targets = Targets::gathered(batch.actions.clone(), fixed.clone(), ACTIONS);
        Ok((
            number(loss),
            hsr.bounds(policy, features, targets)?.lambda_sup,
        ))
    };
    let (before, _) = measure(&policy, &hsr)?;
    for _step in 0..60 {
        let expected = expected_of(&target);
        if method == Method::Sam {
            let step = sam.step(5e-3, policy, |policy: &MlpNet| {
                let values = policy.forward(batch.states.clone()).gather(1, actions());
                mse(values, &expected)
            })?;
            policy = step.module;
        } else {
            let features = policy.features(batch.states.clone()); // HSR
            let values = policy.head(features.clone()).gather(1, actions()); // HSR
            let loss = mse(values, &expected);
            let targets = Targets::gathered(batch.actions.clone(), expected, ACTIONS); // HSR
            let loss = loss + hsr.penalty(&policy, features, targets)?; // HSR
            let grads = GradientsParams::from_grads(loss.backward(), &policy);
            policy = optim.step(5e-3, policy, grads);
        }
        target = target.soft_update(&policy, 0.01);
    }
    let (after, lambda_sup) = measure(&policy, &hsr)?;
    Ok(Outcome {
        before,
        after,
        lambda_sup,
    })
}
