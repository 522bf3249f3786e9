//! Burn's `modern-lstm`: a cell with layer normalisation, run both ways over a sequence of numbers, whose last output
//! predicts the next number; the squared error in a loop of its own. HSR is a term of the loss on a head of three layers,
//! where the original has one.

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{
    Dropout, DropoutConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig,
    LstmState, Sigmoid, Tanh,
};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn_hsr::{Hsr, HsrConfig, ThreeLayerNet, ThreeLayerNetConfig}; // HSR
use burn_sharpness::SamConfig;

use crate::data::{noise, number};
use crate::{Error, Method, Outcome};

const SEQUENCES: usize = 96;
const LENGTH: usize = 5;
const HIDDEN: usize = 8;

/// One cell, its four gates in two combined layers.
#[derive(Module, Debug)]
pub struct LstmCell {
    hidden_size: usize,
    weight_ih: Linear,
    weight_hh: Linear,
    norm_x: LayerNorm,
    norm_h: LayerNorm,
    norm_c: LayerNorm,
}

impl LstmCell {
    fn new(input_size: usize, hidden_size: usize, device: &Device) -> Self {
        let layer = |inputs| {
            LinearConfig::new(inputs, 4 * hidden_size)
                .with_initializer(Initializer::XavierNormal { gain: 1.0 })
                .init(device)
        };
        Self {
            hidden_size,
            weight_ih: layer(input_size),
            weight_hh: layer(hidden_size),
            norm_x: LayerNormConfig::new(4 * hidden_size).init(device),
            norm_h: LayerNormConfig::new(hidden_size).init(device),
            norm_c: LayerNormConfig::new(hidden_size).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>, state: LstmState<2>) -> LstmState<2> {
        let gates_x = self.norm_x.forward(self.weight_ih.forward(x));
        let gates = gates_x + self.weight_hh.forward(state.hidden);
        let gates = gates.chunk(4, 1);
        let i_t = Sigmoid::new().forward(gates[0].clone());
        let f_t = Sigmoid::new().forward(gates[1].clone());
        let g_t = Tanh::new().forward(gates[2].clone());
        let o_t = Sigmoid::new().forward(gates[3].clone());
        let c_t = self.norm_c.forward(f_t * state.cell + i_t * g_t);
        let h_t = o_t * Tanh::new().forward(c_t.clone());
        LstmState::new(c_t, self.norm_h.forward(h_t))
    }

    /// The last hidden state of `[N, T, 1]`, `[N, h]`.
    fn last(&self, x: Tensor<3>) -> Tensor<2> {
        let [batch_size, seq_length, _] = x.dims();
        let mut state = LstmState::initial([batch_size, self.hidden_size], &x.device());
        for t in 0..seq_length {
            let input_t = x.clone().slice(s![.., t..t + 1, ..]).squeeze_dim::<2>(1);
            state = self.forward(input_t, state);
        }
        state.hidden
    }
}

/// Both directions and the head.
#[derive(Module, Debug)]
pub struct LstmNetwork {
    lstm: LstmCell,
    reverse_lstm: LstmCell,
    dropout: Dropout,
    head: ThreeLayerNet, // HSR: was one `Linear`
}

impl LstmNetwork {
    fn new(device: &Device) -> Self {
        Self {
            lstm: LstmCell::new(1, HIDDEN, device),
            reverse_lstm: LstmCell::new(1, HIDDEN, device),
            dropout: DropoutConfig::new(0.05).init(),
            head: ThreeLayerNetConfig::new(2 * HIDDEN, HIDDEN, 1).init(device), // HSR
        }
    }

    fn features(&self, x: Tensor<3>) -> Tensor<2> {
        let output = self.lstm.last(x.clone());
        let reverse_output = self.reverse_lstm.last(x.flip([1]));
        let output = Tensor::cat(vec![output, reverse_output], 1);
        self.dropout.forward(output)
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        self.head.forward(self.features(x))
    }
}

/// Sequences of Fibonacci's kind, scaled, `[N, 5, 1]`, and what follows, `[N, 1]`.
fn sequences(device: &Device) -> (Tensor<3>, Tensor<2>) {
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for start in noise(2 * SEQUENCES, 8).chunks(2) {
        let (mut a, mut b) = (0.1 + 0.05 * start[0], 0.1 + 0.05 * start[1]);
        for _ in 0..LENGTH {
            x.push(a);
            (a, b) = (b, a + b);
        }
        y.push(a);
    }
    (
        Tensor::from_data(TensorData::new(x, [SEQUENCES, LENGTH, 1]), device),
        Tensor::from_data(TensorData::new(y, [SEQUENCES, 1]), device),
    )
}

/// Trains it.
pub fn train(method: Method) -> Result<Outcome, Error> {
    let device = crate::device();
    let mut hsr = HsrConfig::for_mean_squared_error() // HSR
        .with_strength(method.strength(0.02)) // HSR
        .init()?; // HSR
    let mut model = LstmNetwork::new(&device);
    let mut optim = AdamConfig::new().init();
    let mut sam = SamConfig::new()
        .with_rho(0.05)
        .init(AdamConfig::new().init())?;
    let (x, y) = sequences(&device);
    let mse = |output, targets| MseLoss::new().forward(output, targets, Reduction::Mean);
    let measure = |model: &LstmNetwork, hsr: &Hsr| -> Result<(f32, f64), Error> {
        let (x, y) = (x.clone().inner(), y.clone().inner());
        let features = model.features(x);
        let bounds = hsr.bounds(&model.head, features.clone(), y.clone())?;
        let loss = mse(model.head.forward(features), y);
        Ok((number(loss), bounds.lambda_sup))
    };
    let (before, _) = measure(&model.valid(), &hsr)?;
    for _epoch in 0..12 {
        for (x, y) in x
            .clone()
            .split(32, 0)
            .into_iter()
            .zip(y.clone().split(32, 0))
        {
            if method == Method::Sam {
                let step = sam.step(0.01, model, |model: &LstmNetwork| {
                    mse(model.forward(x.clone()), y.clone())
                })?;
                model = step.module;
                continue;
            }
            let features = model.features(x); // HSR
            let output = model.head.forward(features.clone()); // HSR
            let loss = mse(output, y.clone());
            let loss = loss + hsr.penalty(&model.head, features, y)?; // HSR
            let grads = loss.backward();
            let grads = GradientsParams::from_grads(grads, &model);
            model = optim.step(0.01, model, grads);
        }
    }
    let (after, lambda_sup) = measure(&model.valid(), &hsr)?;
    Ok(Outcome {
        before,
        after,
        lambda_sup,
    })
}
