//! The parameters of a convolutional network in memory, in safetensors and in Burn.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::net::{ConvNet, ConvNetConfig};
use crate::about::About;
use crate::data::random;
use crate::device::{measuring_device, tracked};
use crate::error::LabError;
use crate::weights::{WeightsFile, tensors_file};

/// The parameters θ of a convolutional network in f64, tensor after tensor in the order of the module, each as Burn holds
/// it: `convolutions.0.weight` \[out, in, 3, 3\], `convolutions.0.bias` \[out\] and so on, `output.weight` \[in, K\],
/// `output.bias` \[K\].
#[derive(Clone, Debug, PartialEq)]
pub struct ConvWeights {
    /// What they are the parameters of.
    pub config: ConvNetConfig,
    /// θ.
    pub theta: Vec<f64>,
}

impl ConvWeights {
    /// Fresh parameters, distributed as those of [`ConvNetConfig::init`]. Drawn on the host, so that every backend starts
    /// from the same network; representable in f32.
    pub fn random(config: ConvNetConfig, seed: u64) -> Self {
        let places = config.places().into_iter();
        let theta = random::parameters(seed, places.map(|it| (it.fan_in, it.len())));
        Self { config, theta }
    }

    /// The network on a device, in f32 or f64. Parameters have fixed identities, so that an optimizer's record finds them
    /// again after a resume.
    pub fn to_burn(&self, device: &Device, dtype: DType) -> ConvNet {
        struct Fill<'a> {
            rest: &'a [f64],
            next: u64,
            device: &'a Device,
            dtype: DType,
        }
        impl ModuleMapper for Fill<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let shape = param.shape();
                let (own, rest) = self.rest.split_at(shape.num_elements());
                (self.rest, self.next) = (rest, self.next + 1);
                let data = TensorData::new(own.to_vec(), shape);
                let tensor = Tensor::from_data(data, (self.device, self.dtype));
                Param::initialized(ParamId::from(self.next), tracked(tensor))
            }
        }
        self.config.init(device).map(&mut Fill {
            rest: &self.theta,
            next: 0,
            device,
            dtype,
        })
    }

    /// The parameters of a network that was made by [`to_burn`](Self::to_burn) with this configuration.
    pub fn from_burn(config: ConvNetConfig, network: &ConvNet) -> Self {
        struct Read(Vec<f64>);
        impl ModuleVisitor for Read {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let data = param.val().inner().into_data();
                self.0.extend(data.iter::<f64>());
            }
        }
        let mut read = Read(Vec::with_capacity(config.parameters()));
        network.visit(&mut read);
        Self {
            config,
            theta: read.0,
        }
    }

    /// The parameters as a safetensors file of F32 tensors under Burn's names and in its layout, with `about` under the
    /// metadata key `hsr`.
    pub fn to_safetensors(&self, about: Option<&About>) -> Vec<u8> {
        let mut rest = &self.theta[..];
        let tensors = self.config.places().into_iter().map(|place| {
            let (own, after) = rest.split_at(place.len());
            rest = after;
            (place.path, own, place.shape)
        });
        tensors_file(tensors, about)
    }

    /// Reads the tensors of a network of this configuration, F64, F32, F16 or BF16.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is no safetensors file, a tensor is missing or has another shape or type, a value is
    /// not finite, or there are other tensors.
    pub fn read(config: ConvNetConfig, file: &WeightsFile) -> Result<Self, LabError> {
        let places = config.places();
        let tensors: Vec<_> = places.into_iter().map(|it| (it.path, it.shape)).collect();
        let theta = file.tensors(&tensors)?;
        Ok(Self { config, theta })
    }

    /// The network of a file that says of itself that it is a convolutional one.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(crate) fn found(file: &WeightsFile, about: &About) -> Result<Self, LabError> {
        let refuse = |message: &str| Err(file.refuse(message.to_owned()));
        let Some(inputs) = about.standardizer.as_ref().map(|it| it.mean.len()) else {
            return refuse("does not say how its images are standardised");
        };
        let side = inputs.isqrt();
        if side * side != inputs {
            return refuse("is of a network for images, and its metadata has none that are square");
        }
        let shapes = file.shapes()?;
        let shape = |name: &str| shapes.get(name).map(Vec::as_slice);
        let convolutions =
            (0..).map_while(
                |index| match *shape(&format!("convolutions.{index}.weight"))? {
                    [channels, ..] => Some(channels),
                    [] => None,
                },
            );
        let channels: Vec<usize> = convolutions.collect();
        let Some(&[_, classes]) = shape("output.weight") else {
            return refuse("is of a convolutional network, and has no matrix output.weight");
        };
        let activations = match &about.activation {
            Some(activations) => activations.of_hidden(channels.len()),
            None => Err("does not say its activation".to_owned()),
        };
        let activations = activations.map_err(|it| file.refuse(format!("its metadata {it}")))?;
        let config = ConvNetConfig::new(side, classes)
            .with_channels(channels)
            .with_activations(Some(activations));
        Self::read(config, file)
    }

    /// The logits N × K of rows of pixels N × s², in f64 where a backend of this build has it.
    ///
    /// # Errors
    ///
    /// [`LabError::Backend`] where no backend can be used.
    pub fn logits(&self, pixels: &[f64]) -> Result<Vec<f64>, LabError> {
        let (device, dtype) = measuring_device()?;
        let network = self.to_burn(&device, dtype);
        let inputs = self.config.inputs();
        let mut logits = Vec::with_capacity(pixels.len() / inputs.max(1) * self.config.classes);
        for rows in pixels.chunks(AT_ONCE * inputs) {
            let data = TensorData::new(rows.to_vec(), [rows.len() / inputs, inputs]);
            let x = Tensor::<2>::from_data(data, (&device, dtype));
            logits.extend(network.forward(x).into_data().iter::<f64>());
        }
        Ok(logits)
    }
}

/// Images that are computed at once.
const AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::Standardizer;
    use burn_hsr::Backend;

    #[test]
    fn parameters_survive_burn_and_files() {
        let config = ConvNetConfig::new(5, 3).with_channels(vec![2, 3, 4]);
        let weights = ConvWeights::random(config.clone(), 1);
        // 5, 3, then 2 pixels a side.
        assert_eq!(weights.theta.len(), 20 + 57 + 112 + (4 * 4 + 1) * 3);
        let device = Backend::Flex.device().unwrap();
        let network = weights.to_burn(&device, DType::F64);
        assert_eq!(ConvWeights::from_burn(config.clone(), &network), weights);
        assert_eq!(network.num_params(), weights.theta.len());
        let about = About {
            activation: Some("tanh,gelu,silu".parse().unwrap()),
            standardizer: Some(Standardizer {
                mean: vec![0.0; 25],
                std: vec![1.0; 25],
            }),
            ..About::default()
        };
        let file = WeightsFile::from_bytes(Path::new("w"), weights.to_safetensors(None));
        assert_eq!(ConvWeights::read(config.clone(), &file).unwrap(), weights);
        let found = ConvWeights::found(&file, &about).unwrap();
        assert_eq!(found.config.channels, [2, 3, 4]);
        assert_eq!((found.config.side, found.theta), (5, weights.theta.clone()));
        let other = config.with_channels(vec![2, 3]);
        let refused = ConvWeights::read(other, &file).unwrap_err().to_string();
        assert!(
            refused.contains("\"output.weight\" has shape [16, 3]"),
            "{refused}"
        );
    }

    #[test]
    fn a_shifted_image_is_another_image_for_the_linear_layer_alone() {
        let config = ConvNetConfig::new(6, 2).with_channels(vec![3]);
        let weights = ConvWeights::random(config.clone(), 4);
        // One bright pixel in the middle, and the same one column to the right.
        let image = |bright: usize| {
            let mut pixels = vec![0.0; 36];
            pixels[bright] = 1.0;
            pixels
        };
        let device = Backend::Flex.device().unwrap();
        let network = weights.to_burn(&device, DType::F64);
        let channels = |bright| {
            let data = TensorData::new(image(bright), [1, 1, 6, 6]);
            let x = Tensor::<4>::from_data(data, (&device, DType::F64));
            let out = network.convolutions[0].forward(x).into_data();
            out.iter::<f64>().collect::<Vec<f64>>()
        };
        let (one, other) = (channels(14), channels(15));
        for channel in 0..3 {
            for row in 0..6 {
                for column in 1..6 {
                    let at = |column: usize| channel * 36 + row * 6 + column;
                    assert_eq!(one[at(column - 1)], other[at(column)]);
                }
            }
        }
        let logits = weights.logits(&[image(14), image(15)].concat()).unwrap();
        assert_eq!(logits.len(), 4);
        assert_ne!(logits[..2], logits[2..]);
    }
}
