//! The parameters of a network in memory and as safetensors in the layout of PyTorch's `nn.Linear`.

use std::path::Path;

use hsr_core::{Activation, Dimensions, Network};
use rand::RngExt;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::LabError;
use crate::data::random::{Stream, generator};

/// Parameters of a three-layer network in f64, flat in the order W1 \[h, d\], b1, W2 \[K, h\], b2.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The sizes.
    pub dimensions: Dimensions,
    /// θ.
    pub theta: Vec<f64>,
}

impl Weights {
    /// Fresh parameters, U(−1/√n, 1/√n) with n the inputs of the layer, as Burn's `Linear` has by default. Drawn on
    /// the host, so that every backend starts from the same network; representable in f32.
    pub fn random(dimensions: Dimensions, seed: u64) -> Self {
        let mut random = generator(seed, Stream::Parameters);
        let layout = dimensions.layout();
        let theta = (0..dimensions.parameters())
            .map(|i| {
                let fan_in = if i < layout.output_weight().start {
                    dimensions.inputs
                } else {
                    dimensions.hidden
                };
                let bound = 1.0 / (fan_in as f64).sqrt();
                let value: f64 = random.random_range(-bound..bound);
                f64::from(value as f32)
            })
            .collect();
        Self { dimensions, theta }
    }

    /// The network that the closed form sees.
    ///
    /// # Errors
    ///
    /// As [`Network::from_flat`].
    pub fn network(&self, activation: Activation) -> Result<Network<'_, f64>, LabError> {
        Ok(Network::from_flat(
            self.dimensions,
            activation,
            &self.theta,
        )?)
    }

    /// Reads `KEY.weight` \[h, d\], `KEY.bias` \[h\] for the hidden and the output key, F32 or F64; a missing bias
    /// means none.
    ///
    /// # Errors
    ///
    /// [`LabError::Io`] where the file cannot be read, [`LabError::Weights`] where it is no safetensors file, a
    /// tensor is missing or has the wrong shape or type, and [`LabError::Core`] where a value is not finite.
    pub fn read(path: &Path, hidden_key: &str, output_key: &str) -> Result<Self, LabError> {
        let bytes = crate::files::read(path).map_err(LabError::io(path, "be read"))?;
        Self::from_bytes(path, &bytes, hidden_key, output_key)
    }

    pub(crate) fn from_bytes(
        path: &Path,
        bytes: &[u8],
        hidden_key: &str,
        output_key: &str,
    ) -> Result<Self, LabError> {
        let refuse = |message: String| LabError::Weights {
            path: path.to_owned(),
            message,
        };
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| refuse(format!("is not a whole safetensors file: {error}")))?;
        let matrix = |key: &str, shape: &str| -> Result<(Vec<f64>, [usize; 2]), LabError> {
            let name = format!("{key}.weight");
            let tensor = tensor(&file, &name).map_err(refuse)?.ok_or_else(|| {
                let mut names: Vec<&str> = file.names().into_iter().collect();
                names.sort_unstable();
                refuse(format!(
                    "has no tensor {name:?}, expected {shape}; it holds {} (see --hidden-key and --output-key)",
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") },
                ))
            })?;
            match tensor.1[..] {
                [rows, columns] if rows > 0 && columns > 0 => Ok((tensor.0, [rows, columns])),
                _ => Err(refuse(format!(
                    "{name:?} has shape {:?}, expected {shape}",
                    tensor.1
                ))),
            }
        };
        let bias = |key: &str, size: usize| -> Result<Option<Vec<f64>>, LabError> {
            let name = format!("{key}.bias");
            match tensor(&file, &name).map_err(refuse)? {
                Some((_, shape)) if shape != [size] => Err(refuse(format!(
                    "{name:?} has shape {shape:?}, expected [{size}]"
                ))),
                found => Ok(found.map(|(values, _)| values)),
            }
        };
        let (w1, [hidden, inputs]) = matrix(hidden_key, "[hidden, inputs]")?;
        let b1 = bias(hidden_key, hidden)?;
        let (w2, [outputs, from_hidden]) = matrix(output_key, "[outputs, hidden]")?;
        let b2 = bias(output_key, outputs)?;
        if from_hidden != hidden {
            return Err(refuse(format!(
                "\"{output_key}.weight\" has shape [{outputs}, {from_hidden}], expected [outputs, {hidden}] after \
                 {hidden} hidden units"
            )));
        }
        let dimensions = Dimensions {
            inputs,
            hidden,
            outputs,
            hidden_bias: b1.is_some(),
            output_bias: b2.is_some(),
        };
        let theta = [w1, b1.unwrap_or_default(), w2, b2.unwrap_or_default()].concat();
        let weights = Self { dimensions, theta };
        for (name, range) in weights.tensors(hidden_key, output_key) {
            let values = &weights.theta[range.clone()];
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                return Err(refuse(format!(
                    "{name:?} holds {} at index {index}, expected finite numbers",
                    values[index]
                )));
            }
        }
        Ok(weights)
    }

    /// Names and places of the tensors that exist.
    pub(crate) fn tensors(
        &self,
        hidden: &str,
        output: &str,
    ) -> Vec<(String, core::ops::Range<usize>)> {
        let layout = self.dimensions.layout();
        [
            (format!("{hidden}.weight"), layout.hidden_weight()),
            (format!("{hidden}.bias"), layout.hidden_bias()),
            (format!("{output}.weight"), layout.output_weight()),
            (format!("{output}.bias"), layout.output_bias()),
        ]
        .into_iter()
        .filter(|(_, range)| !range.is_empty())
        .collect()
    }

    /// The shape of the tensor at `range`.
    fn shape(&self, range: &core::ops::Range<usize>) -> Vec<usize> {
        let (dims, layout) = (self.dimensions, self.dimensions.layout());
        if *range == layout.hidden_weight() {
            vec![dims.hidden, dims.inputs]
        } else if *range == layout.output_weight() {
            vec![dims.outputs, dims.hidden]
        } else {
            vec![range.len()]
        }
    }

    /// The parameters as a safetensors file of F32 tensors named as [`read`](Self::read) expects, with `about` under
    /// the metadata key `hsr`. (One key only: several are written in no particular order, and equal networks should
    /// give equal files.)
    pub fn to_safetensors(&self, about: Option<String>) -> Vec<u8> {
        let tensors = self.tensors("hidden", "output");
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, range)| {
                let values = &self.theta[range.clone()];
                values
                    .iter()
                    .flat_map(|&v| (v as f32).to_le_bytes())
                    .collect()
            })
            .collect();
        let views = tensors.iter().zip(&bytes).map(|((name, range), bytes)| {
            let view = TensorView::new(Dtype::F32, self.shape(range), bytes);
            (name.clone(), view.expect("as many bytes as the shape says"))
        });
        let metadata = about.map(|about| [("hsr".to_owned(), about)].into_iter().collect());
        safetensors::serialize(views, metadata).expect("tensors in memory always serialise")
    }
}

/// A tensor's values and shape.
type Values = (Vec<f64>, Vec<usize>);

/// A tensor; `None` where there is none of that name.
fn tensor(file: &SafeTensors, name: &str) -> Result<Option<Values>, String> {
    let Ok(view) = file.tensor(name) else {
        return Ok(None);
    };
    let data = view.data();
    let values = match view.dtype() {
        Dtype::F32 => data
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&bytes| f64::from(f32::from_le_bytes(bytes)))
            .collect(),
        Dtype::F64 => data
            .as_chunks::<8>()
            .0
            .iter()
            .map(|&bytes| f64::from_le_bytes(bytes))
            .collect(),
        other => {
            return Err(format!(
                "{name:?} is of type {other:?}, expected F32 or F64"
            ));
        }
    };
    Ok(Some((values, view.shape().to_vec())))
}
