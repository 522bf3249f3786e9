//! The networks. Each ends in a three-layer head, so that HSR can be had of the head alone too.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig};
use burn::nn::transformer::{
    TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Initializer, Linear, LinearConfig,
};
use burn::tensor::activation::{gelu, tanh};
use burn::tensor::{Device, Tensor};
use burn_hsr::{ThreeLayerNet, ThreeLayerNetConfig};

/// A classifier of rows of numbers.
pub trait Network: Module {
    /// Inputs \[N, d\] to what the head sees, \[N, f\].
    fn features(&self, x: Tensor<2>) -> Tensor<2>;

    /// The last two layers.
    fn head(&self) -> &ThreeLayerNet;

    /// Inputs \[N, d\] to logits \[N, K\].
    fn logits(&self, x: Tensor<2>) -> Tensor<2> {
        self.head().forward(self.features(x))
    }
}

/// A convolution with batch normalisation and dropout, for images of 8×8 pixels.
#[derive(Module, Debug)]
pub struct ConvNet {
    conv: Conv2d,
    norm: BatchNorm,
    pool: AvgPool2d,
    dropout: Dropout,
    head: ThreeLayerNet,
}

impl ConvNet {
    /// Ten classes.
    pub fn new(device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            norm: BatchNormConfig::new(8).init(device),
            pool: AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            dropout: DropoutConfig::new(0.1).init(),
            head: ThreeLayerNetConfig::new(72, 16, 10).init(device),
        }
    }
}

impl Network for ConvNet {
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let [samples, _] = x.dims();
        let x = self.conv.forward(x.reshape([samples, 1, 8, 8]));
        let x = self.pool.forward(gelu(self.norm.forward(x)));
        self.dropout.forward(x.reshape([samples, 72]))
    }

    fn head(&self) -> &ThreeLayerNet {
        &self.head
    }
}

/// Five layers of tanh.
#[derive(Module, Debug)]
pub struct Perceptron {
    layers: [Linear; 3],
    head: ThreeLayerNet,
}

impl Perceptron {
    /// Two classes of 30 numbers.
    pub fn new(device: &Device) -> Self {
        let layer = |inputs| LinearConfig::new(inputs, 16).init(device);
        Self {
            layers: [30, 16, 16].map(layer),
            head: ThreeLayerNetConfig::new(16, 16, 2).init(device),
        }
    }
}

impl Network for Perceptron {
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let layers = self.layers.iter();
        layers.fold(x, |x, layer| tanh(layer.forward(x)))
    }

    fn head(&self) -> &ThreeLayerNet {
        &self.head
    }
}

/// A transformer encoder with dropout and layer normalisation, which reads an image as its eight rows.
#[derive(Module, Debug)]
pub struct Transformer {
    input: Linear,
    places: Param<Tensor<2>>,
    encoder: TransformerEncoder,
    head: ThreeLayerNet,
}

/// The width of the encoder.
const WIDTH: usize = 16;

impl Transformer {
    /// Ten classes.
    pub fn new(device: &Device) -> Self {
        let places = Initializer::Normal {
            mean: 0.0,
            std: 0.1,
        };
        Self {
            input: LinearConfig::new(8, WIDTH).init(device),
            places: places.init([8, WIDTH], device),
            encoder: TransformerEncoderConfig::new(WIDTH, 2 * WIDTH, 2, 1).init(device),
            head: ThreeLayerNetConfig::new(WIDTH, 16, 10).init(device),
        }
    }
}

impl Network for Transformer {
    fn features(&self, x: Tensor<2>) -> Tensor<2> {
        let [samples, _] = x.dims();
        let x = self.input.forward(x.reshape([samples, 8, 8]));
        let x = x + self.places.val().unsqueeze();
        let x = self.encoder.forward(TransformerEncoderInput::new(x));
        x.mean_dim(1).reshape([samples, WIDTH])
    }

    fn head(&self) -> &ThreeLayerNet {
        &self.head
    }
}
