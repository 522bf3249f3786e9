//! One trunk with a policy head and a value head, as actors and critics share it: cross-entropy of the actions taken, weighted
//! by their advantages, and the squared error of the returns. Each head has a regulariser of its own, with its own loss.

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use burn_hsr::{HsrConfig, Targets, ThreeLayerNet, ThreeLayerNetConfig}; // HSR
use burn_sharpness::SamConfig;

use crate::data::{noise, number};
use crate::{Error, Method, Outcome};

const STATE: usize = 4;
const ACTIONS: usize = 3;
const STEPS: usize = 160;

/// The network.
#[derive(Module, Debug)]
pub struct ActorCritic {
    trunk: Linear,
    policy: ThreeLayerNet, // HSR: two `Linear` before
    value: ThreeLayerNet,  // HSR: two `Linear` before
}

impl ActorCritic {
    fn features(&self, states: Tensor<2>) -> Tensor<2> {
        self.trunk.forward(states).tanh()
    }
}

/// What was seen, done and returned.
struct Rollout {
    states: Tensor<2>,
    actions: Tensor<1, Int>,
    advantages: Tensor<1>,
    returns: Tensor<1>,
}

/// States, random actions, and a return of 1 where the action is that of the largest of the state's first numbers.
fn rollout(device: &Device) -> Rollout {
    let states = noise(STEPS * STATE, 1);
    let (mut actions, mut returns) = (Vec::new(), Vec::new());
    for (state, v) in states.chunks(STATE).zip(noise(STEPS, 2)) {
        let action = ((v + 1.0) * 1.499) as usize;
        let best = (0..ACTIONS).max_by(|&a, &b| state[a].total_cmp(&state[b]));
        actions.push(action as i64);
        returns.push(if best == Some(action) { 1.0_f32 } else { 0.0 });
    }
    let advantages = returns.iter().map(|&v| v + 0.1).collect::<Vec<f32>>();
    let vector = |values| Tensor::from_data(TensorData::new(values, [STEPS]), device);
    Rollout {
        states: Tensor::from_data(TensorData::new(states, [STEPS, STATE]), device),
        actions: Tensor::from_data(TensorData::new(actions, [STEPS]), device),
        advantages: vector(advantages),
        returns: vector(returns),
    }
}

/// Both losses of a batch, whose features come out too.
fn losses(model: &ActorCritic, batch: &Rollout) -> (Tensor<1>, Tensor<2>) {
    let features = model.features(batch.states.clone());
    let logits = model.policy.forward(features.clone());
    let chosen = log_softmax(logits, 1).gather(1, batch.actions.clone().unsqueeze_dim(1));
    let weights = batch.advantages.clone() / batch.advantages.clone().sum();
    let of_policy = (chosen.squeeze_dim::<1>(1) * weights).sum().neg();
    let values = model.value.forward(features.clone()).squeeze_dim::<1>(1);
    let of_value = MseLoss::new().forward(values, batch.returns.clone(), Reduction::Mean);
    (of_policy + of_value * 0.5, features)
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let strength = method.strength(0.05);
    let mut of_policy = HsrConfig::new().with_strength(strength).init()?; // HSR
    let mut of_value = HsrConfig::for_mean_squared_error() // HSR
        .with_strength(0.5 * strength) // HSR
        .init()?; // HSR
    let mut model = ActorCritic {
        trunk: LinearConfig::new(STATE, 16).init(&device),
        policy: ThreeLayerNetConfig::new(16, 12, ACTIONS).init(&device), // HSR
        value: ThreeLayerNetConfig::new(16, 12, 1).init(&device),        // HSR
    };
    let mut optim = AdamConfig::new().init();
    let mut sam = SamConfig::new()
        .with_rho(0.05)
        .init(AdamConfig::new().init())?;
    let batch = rollout(&device);
    let (before, _) = losses(&model, &batch);
    // The weighted mean of the policy's loss is HSR's own, Σ w ℓ / Σ w.
    let actions =
        || Targets::from(batch.actions.clone()).with_sample_weights(batch.advantages.clone()); // HSR
    for _step in 0..60 {
        if method == Method::Sam {
            let step = sam.step(0.01, model, |model: &ActorCritic| losses(model, &batch).0)?;
            model = step.module;
            continue;
        }
        let (loss, features) = losses(&model, &batch);
        let loss = loss + of_policy.penalty(&model.policy, features.clone(), actions())?; // HSR
        let loss = loss + of_value.penalty(&model.value, features, batch.returns.clone())?; // HSR
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optim.step(0.01, model, grads);
    }
    let (after, features) = losses(&model, &batch);
    let bounds = of_policy.bounds(&model.policy, features.clone(), actions())?;
    let values = of_value.bounds(&model.value, features, batch.returns.clone())?;
    Ok(Outcome {
        before: number(before),
        after: number(after),
        lambda_sup: bounds.lambda_sup + 0.5 * values.lambda_sup,
    })
}
