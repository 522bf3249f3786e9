//! The three-layer network and the trait by which any model offers one.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use hsr_core::{Activation, Dimensions};

use crate::activation;

/// A model, or the head of a model, of the form output(φ(hidden(x))): a short way to [`Layers`](crate::Layers) for two
/// `Linear`s, and the form that has kernels of its own.
///
/// Five lines for a module of your own:
///
/// ```
/// use burn::module::Module;
/// use burn::nn::Linear;
/// use burn_hsr::{Activation, ThreeLayer};
///
/// #[derive(Module, Debug)]
/// struct Head { up: Linear, down: Linear }
///
/// impl ThreeLayer for Head {
///     fn hidden(&self) -> &Linear { &self.up }
///     fn activation(&self) -> Activation { Activation::Tanh }
///     fn output(&self) -> &Linear { &self.down }
/// }
/// ```
///
/// Anything else is refused by the compiler, which says how to get there:
///
/// ```compile_fail,E0277
/// use burn::nn::conv::Conv2d;
///
/// fn regularised(_: &impl burn_hsr::ThreeLayer) {}
///
/// fn of(conv: &Conv2d) {
///     regularised(conv);
/// }
/// ```
///
/// Before training, [`Hsr::verify`](crate::Hsr::verify) finds out whether what this says of a model is what it computes.
#[diagnostic::on_unimplemented(
    message = "HSR does not know the three layers of `{Self}`",
    label = "not a three-layer network, nor the head of one",
    note = "where `{Self}` computes output(φ(hidden(x))), implement `ThreeLayer` for it: `hidden`, `activation`, `output`",
    note = "where it is deeper, implement `Layers`, or give its last `Linear` with the features that it sees as inputs: \
            `hsr.penalty(&model.linear, features, targets)?`"
)]
pub trait ThreeLayer {
    /// The layer from the inputs to the hidden units.
    fn hidden(&self) -> &Linear;
    /// The activation of the hidden units. A model that keeps one of Burn's implements [`Layers`](crate::Layers), which takes it
    /// as it is.
    fn activation(&self) -> Activation;
    /// The layer from the hidden units to the logits.
    fn output(&self) -> &Linear;

    /// The sizes.
    fn dimensions(&self) -> Dimensions {
        let [inputs, hidden] = self.hidden().weight.shape().dims();
        let [_, outputs] = self.output().weight.shape().dims();
        Dimensions {
            inputs,
            hidden,
            outputs,
            hidden_bias: self.hidden().bias.is_some(),
            output_bias: self.output().bias.is_some(),
        }
    }
}

/// Configuration of a [`ThreeLayerNet`].
///
/// ```
/// use burn_hsr::{Activation, ThreeLayerNetConfig};
/// use burn::tensor::Device;
///
/// let net = ThreeLayerNetConfig::new(4, 16, 3)
///     .with_activation(Activation::Silu)
///     .init(&Device::flex());
/// ```
#[derive(Config, Debug)]
pub struct ThreeLayerNetConfig {
    /// Inputs d.
    pub inputs: usize,
    /// Hidden units h.
    pub hidden: usize,
    /// Outputs K.
    pub outputs: usize,
    /// The activation of the hidden units.
    #[config(default = "Activation::Tanh")]
    pub activation: Activation,
    /// Whether both layers have a bias.
    #[config(default = true)]
    pub bias: bool,
    /// How both layers are initialised: Burn's default for `Linear`, U(−1/√n, 1/√n) with n the layer's inputs.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/f64::sqrt(3.0), fan_out_only:false}")]
    pub initializer: Initializer,
}

impl ThreeLayerNetConfig {
    /// A network with fresh parameters on `device`; on an autodiff device its parameters are tracked.
    pub fn init(&self, device: &Device) -> ThreeLayerNet {
        let layer = |inputs, outputs| {
            LinearConfig::new(inputs, outputs)
                .with_bias(self.bias)
                .with_initializer(self.initializer.clone())
                .init(device)
        };
        ThreeLayerNet {
            hidden: layer(self.inputs, self.hidden),
            output: layer(self.hidden, self.outputs),
            activation: self.activation,
        }
    }
}

/// Input, one hidden layer with a smooth activation, logits.
#[derive(Module, Debug)]
pub struct ThreeLayerNet {
    /// From the inputs to the hidden units, weight \[d, h\].
    pub hidden: Linear,
    /// From the hidden units to the logits, weight \[h, K\].
    pub output: Linear,
    #[module(skip)]
    activation: Activation,
}

impl ThreeLayerNet {
    /// A network of existing layers.
    pub fn new(hidden: Linear, activation: Activation, output: Linear) -> Self {
        Self {
            hidden,
            output,
            activation,
        }
    }

    /// The logits.
    ///
    /// # Shapes
    ///
    /// - input: `[N, d]`
    /// - output: `[N, K]`
    pub fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let z = self.hidden.forward(inputs);
        self.output.forward(activation::forward(self.activation, z))
    }
}

impl ThreeLayer for ThreeLayerNet {
    fn hidden(&self) -> &Linear {
        &self.hidden
    }

    fn activation(&self) -> Activation {
        self.activation
    }

    fn output(&self) -> &Linear {
        &self.output
    }
}
