//! A feed-forward network of any depth as a Burn module.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use hsr_core::Activation;

use crate::layers::{Layer, Layers};

/// Configuration of an [`Mlp`].
///
/// ```
/// use burn::tensor::Device;
/// use burn_hsr::{Activation, Layers, MlpConfig};
///
/// let net = MlpConfig::new(64, vec![32, 32], 10)
///     .with_activation(Activation::Silu)
///     .with_residual(true)
///     .init(&Device::flex());
/// assert_eq!(net.layers().len(), 3);
/// ```
#[derive(Config, Debug)]
pub struct MlpConfig {
    /// Inputs d.
    pub inputs: usize,
    /// The widths of the hidden layers, from the inputs on. Without one the network is linear.
    pub hidden: Vec<usize>,
    /// Outputs K.
    pub outputs: usize,
    /// The activation of the hidden layers.
    #[config(default = "Activation::Tanh")]
    pub activation: Activation,
    /// One activation for each hidden layer, in place of the one for all.
    pub activations: Option<Vec<Activation>>,
    /// Whether each hidden layer that is as wide as its inputs adds them to its activations.
    #[config(default = false)]
    pub residual: bool,
    /// Whether the layers have a bias.
    #[config(default = true)]
    pub bias: bool,
    /// How the layers are initialised: Burn's default for `Linear`, U(−1/√n, 1/√n) with n the layer's inputs.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/f64::sqrt(3.0), fan_out_only:false}")]
    pub initializer: Initializer,
}

impl MlpConfig {
    /// A network with fresh parameters on `device`; on an autodiff device its parameters are tracked.
    ///
    /// # Panics
    ///
    /// Where `activations` is not one for each hidden layer.
    pub fn init(&self, device: &Device) -> Mlp {
        let hidden = self.hidden.len();
        if let Some(activations) = &self.activations {
            assert_eq!(
                activations.len(),
                hidden,
                "MlpConfig has {} activations, expected one for each of the {hidden} hidden layers",
                activations.len()
            );
        }
        let widths: Vec<usize> = [self.inputs]
            .iter()
            .chain(&self.hidden)
            .chain(&[self.outputs])
            .copied()
            .collect();
        Mlp {
            layers: widths
                .windows(2)
                .map(|of| {
                    LinearConfig::new(of[0], of[1])
                        .with_bias(self.bias)
                        .with_initializer(self.initializer.clone())
                        .init(device)
                })
                .collect(),
            activations: match &self.activations {
                Some(activations) => activations.clone(),
                None => vec![self.activation; hidden],
            },
            residual: widths[..=hidden]
                .windows(2)
                .map(|of| self.residual && of[0] == of[1])
                .collect(),
        }
    }
}

/// Linear layers with smooth activations between them, the last one giving the logits.
#[derive(Module, Debug)]
pub struct Mlp {
    /// From the inputs to the logits.
    pub layers: Vec<Linear>,
    /// Of the hidden layers.
    #[module(skip)]
    activations: Vec<Activation>,
    /// Of the hidden layers: whether each adds its inputs.
    #[module(skip)]
    residual: Vec<bool>,
}

impl Mlp {
    /// A network of existing layers: `activations` and `residual` have an entry for each hidden layer.
    ///
    /// # Panics
    ///
    /// Where they do not.
    pub fn new(layers: Vec<Linear>, activations: Vec<Activation>, residual: Vec<bool>) -> Self {
        let hidden = layers.len().saturating_sub(1);
        assert!(
            !layers.is_empty() && activations.len() == hidden && residual.len() == hidden,
            "an Mlp of {} layers with {} activations and {} residual flags, expected one of each for each hidden layer",
            layers.len(),
            activations.len(),
            residual.len()
        );
        Self {
            layers,
            activations,
            residual,
        }
    }

    /// The layers of a model, whose parameters keep their identity.
    pub(crate) fn of<M: Layers>(model: &M) -> Self {
        let layers = model.layers();
        let hidden = &layers[..layers.len().saturating_sub(1)];
        Self {
            activations: hidden.iter().map(Layer::activation).collect(),
            residual: hidden.iter().map(Layer::is_residual).collect(),
            layers: layers.iter().map(|layer| layer.linear().clone()).collect(),
        }
    }

    /// Those of the hidden layers.
    pub(crate) fn activations(&self) -> &[Activation] {
        &self.activations
    }

    /// The same layers with other activations between them, one for each hidden layer.
    pub(crate) fn with_activations(mut self, activations: &[Activation]) -> Self {
        self.activations = activations.to_vec();
        self
    }

    /// The logits.
    ///
    /// # Shapes
    ///
    /// - input: `[N, d]`
    /// - output: `[N, K]`
    pub fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let layers = self.layers();
        layers.iter().fold(inputs, |x, layer| layer.forward(x))
    }
}

impl Layers for Mlp {
    fn layers(&self) -> Vec<Layer<'_>> {
        self.layers
            .iter()
            .enumerate()
            .map(|(index, linear)| {
                let mut layer = Layer::new(linear);
                if let Some(&activation) = self.activations.get(index) {
                    layer = layer.with_activation(activation);
                }
                if self.residual.get(index) == Some(&true) {
                    layer = layer.with_residual();
                }
                layer
            })
            .collect()
    }
}
