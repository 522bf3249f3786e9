//! The network as a Burn module.

use burn::config::Config;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use burn_hsr::{Activation, activation_forward};

/// Pixels a side of a kernel.
const KERNEL: usize = 3;

/// Configuration of a [`ConvNet`].
#[derive(Config, Debug, PartialEq)]
pub struct ConvNetConfig {
    /// s, the pixels a side of an image.
    pub side: usize,
    /// K.
    pub classes: usize,
    /// The channels of each convolution, from the image on.
    #[config(default = "vec![8, 16]")]
    pub channels: Vec<usize>,
    /// φ after every convolution.
    #[config(default = "Activation::Tanh")]
    pub activation: Activation,
    /// One activation for each convolution, in place of the one for all.
    pub activations: Option<Vec<Activation>>,
}

/// The place of a tensor among the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its path in the module: `convolutions.0.weight`.
    pub path: String,
    /// Its shape in Burn's layout.
    pub shape: Vec<usize>,
    /// The inputs of a unit of its layer.
    pub fan_in: usize,
}

impl Place {
    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

impl ConvNetConfig {
    /// d = s², the inputs.
    pub fn inputs(&self) -> usize {
        self.side.saturating_mul(self.side)
    }

    /// D.
    pub fn parameters(&self) -> usize {
        let sizes = self.places().into_iter().map(|place| place.len());
        sizes.fold(0, usize::saturating_add)
    }

    /// The inputs of the linear layer.
    pub fn features(&self) -> usize {
        let halvings = self.channels.len().saturating_sub(1);
        let side = (0..halvings).fold(self.side, |side, _| side.div_ceil(2));
        let channels = self.channels.last().copied().unwrap_or(1);
        side.saturating_mul(side).saturating_mul(channels)
    }

    /// Activations and logits of a sample.
    pub(crate) fn units(&self) -> usize {
        let mut side = self.side;
        let mut units = self.classes;
        for (index, channels) in self.channels.iter().enumerate() {
            if index > 0 {
                side = side.div_ceil(2);
            }
            units = units.saturating_add(side.saturating_mul(side).saturating_mul(*channels));
        }
        units
    }

    /// The tensors in the order of θ, which is that in which Burn visits the module.
    pub(crate) fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        let mut push = |path: String, shape: Vec<usize>, fan_in| {
            places.push(Place {
                path,
                shape,
                fan_in,
            });
        };
        let mut before = 1;
        for (index, &channels) in self.channels.iter().enumerate() {
            let fan_in = before * KERNEL * KERNEL;
            let shape = vec![channels, before, KERNEL, KERNEL];
            push(format!("convolutions.{index}.weight"), shape, fan_in);
            push(format!("convolutions.{index}.bias"), vec![channels], fan_in);
            before = channels;
        }
        let features = self.features();
        let shape = vec![features, self.classes];
        push("output.weight".to_owned(), shape, features);
        push("output.bias".to_owned(), vec![self.classes], features);
        places
    }

    /// A network with fresh parameters on `device`, each layer's from U(−1/√n, 1/√n) with n the inputs of one of its units;
    /// on an autodiff device its parameters are tracked.
    ///
    /// # Panics
    ///
    /// Where `activations` is not one for each convolution.
    pub fn init(&self, device: &Device) -> ConvNet {
        let activations = match &self.activations {
            Some(activations) => activations.clone(),
            None => vec![self.activation; self.channels.len()],
        };
        assert_eq!(
            activations.len(),
            self.channels.len(),
            "ConvNetConfig has {} activations, expected one for each of the {} convolutions",
            activations.len(),
            self.channels.len()
        );
        let mut before = 1;
        let mut convolutions = Vec::with_capacity(self.channels.len());
        for (index, &channels) in self.channels.iter().enumerate() {
            let stride = if index == 0 { 1 } else { 2 };
            let config = Conv2dConfig::new([before, channels], [KERNEL, KERNEL])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
            convolutions.push(config.init(device));
            before = channels;
        }
        ConvNet {
            convolutions,
            output: LinearConfig::new(self.features(), self.classes).init(device),
            activations,
            side: self.side,
        }
    }
}

/// Convolutions with activations after them, and a linear layer that gives the logits.
#[derive(Module, Debug)]
pub struct ConvNet {
    /// From the image on; every one but the first halves the side.
    pub convolutions: Vec<Conv2d>,
    /// From the last convolution's channels and pixels to the logits.
    pub output: Linear,
    #[module(skip)]
    activations: Vec<Activation>,
    #[module(skip)]
    side: usize,
}

impl ConvNet {
    /// The logits.
    ///
    /// # Shapes
    ///
    /// - images, row by row: `[N, s²]`
    /// - output: `[N, K]`
    pub fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let [samples, _] = images.dims();
        let mut x: Tensor<4> = images.reshape([samples, 1, self.side, self.side]);
        for (convolution, &activation) in self.convolutions.iter().zip(&self.activations) {
            x = activation_forward(activation, convolution.forward(x));
        }
        self.output.forward(x.flatten(1, 3))
    }
}
