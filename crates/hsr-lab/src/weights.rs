//! The parameters of a network in memory and as safetensors in the layout of PyTorch's `nn.Linear`.

use std::path::{Path, PathBuf};

use hsr_core::{Activation, Dimensions, Network};
use rand::RngExt;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::data::error::{listed, shown};
use crate::data::random::{Stream, generator};
use crate::{About, LabError};

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
    /// As [`WeightsFile::read`] and [`WeightsFile::weights`], the file holding no other tensors.
    pub fn read(path: &Path, hidden_key: &str, output_key: &str) -> Result<Self, LabError> {
        WeightsFile::read(path)?.weights(hidden_key, output_key, false)
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
    pub fn to_safetensors(&self, about: Option<&About>) -> Vec<u8> {
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
        let metadata = about.map(|about| {
            let about = serde_json::to_string(about).expect("names and numbers always serialise");
            [(KEY.to_owned(), about)].into_iter().collect()
        });
        safetensors::serialize(views, metadata).expect("tensors in memory always serialise")
    }
}

/// A safetensors file in memory.
pub struct WeightsFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl WeightsFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`LabError::Io`] where the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, LabError> {
        let bytes = std::fs::read(path).map_err(LabError::io(path, "be read"))?;
        Ok(Self::from_bytes(path, bytes))
    }

    /// The bytes of a file; `path` only names it in messages.
    pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            bytes,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn refuse(&self, message: String) -> LabError {
        LabError::Weights {
            path: self.path.clone(),
            message,
        }
    }

    /// What the network says of itself in the file's metadata, which may be nothing.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is no safetensors file or the metadata cannot be understood.
    pub fn about(&self) -> Result<About, LabError> {
        let (_, header) = SafeTensors::read_metadata(&self.bytes)
            .map_err(|error| self.refuse(format!("is not a whole safetensors file: {error}")))?;
        let about = header
            .metadata()
            .as_ref()
            .and_then(|entries| entries.get(KEY));
        about.map_or(Ok(About::default()), |about| {
            serde_json::from_str(about).map_err(|error| {
                self.refuse(format!(
                    "has metadata under {KEY:?} that cannot be understood: {error}"
                ))
            })
        })
    }

    /// The network in the tensors `KEY.weight` and `KEY.bias` of the two keys, F32 or F64; a missing bias means none.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is no safetensors file, a tensor is missing or has the wrong shape or type, a value
    /// is not finite, or, unless `ignore_unused` is set, there are other tensors: they may be layers of a deeper network,
    /// of which nothing computed here would be true.
    pub fn weights(
        &self,
        hidden_key: &str,
        output_key: &str,
        ignore_unused: bool,
    ) -> Result<Weights, LabError> {
        let refuse = |message: String| self.refuse(message);
        let file = SafeTensors::deserialize(&self.bytes)
            .map_err(|error| refuse(format!("is not a whole safetensors file: {error}")))?;
        let matrix = |key: &str, shape: &str| -> Result<(Vec<f64>, [usize; 2]), LabError> {
            let name = format!("{key}.weight");
            let tensor = tensor(&file, &name).map_err(refuse)?.ok_or_else(|| {
                let mut names: Vec<&str> = file.names().into_iter().collect();
                names.sort_unstable();
                refuse(format!(
                    "has no tensor {}, expected {shape}; it holds {} (see --hidden-key and --output-key)",
                    shown(&name),
                    if names.is_empty() { "none".to_owned() } else { listed(&names) },
                ))
            })?;
            match tensor.1[..] {
                [rows, columns] if rows > 0 && columns > 0 => Ok((tensor.0, [rows, columns])),
                _ => Err(refuse(format!(
                    "{} has shape {:?}, expected {shape}",
                    shown(&name),
                    tensor.1
                ))),
            }
        };
        let bias = |key: &str, size: usize| -> Result<Option<Vec<f64>>, LabError> {
            let name = format!("{key}.bias");
            match tensor(&file, &name).map_err(refuse)? {
                Some((_, shape)) if shape != [size] => Err(refuse(format!(
                    "{} has shape {shape:?}, expected [{size}]",
                    shown(&name)
                ))),
                found => Ok(found.map(|(values, _)| values)),
            }
        };
        if hidden_key == output_key {
            return Err(refuse(format!(
                "--hidden-key and --output-key are both {}, expected two layers",
                shown(hidden_key)
            )));
        }
        let (w1, [hidden, inputs]) = matrix(hidden_key, "[hidden, inputs]")?;
        let b1 = bias(hidden_key, hidden)?;
        let (w2, [outputs, from_hidden]) = matrix(output_key, "[outputs, hidden]")?;
        let b2 = bias(output_key, outputs)?;
        if from_hidden != hidden {
            return Err(refuse(format!(
                "{} has shape [{outputs}, {from_hidden}], expected [outputs, {hidden}] after {hidden} hidden units",
                shown(&format!("{output_key}.weight"))
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
        let weights = Weights { dimensions, theta };
        let used = weights.tensors(hidden_key, output_key);
        let mut unused: Vec<&str> = file.names().into_iter().collect();
        unused.retain(|name| !used.iter().any(|(used, _)| used == name));
        unused.sort_unstable();
        if !unused.is_empty() && !ignore_unused {
            return Err(refuse(format!(
                "holds {} beside {} and {}: the network seems to have other layers; --ignore-unused takes it without them",
                listed(&unused),
                shown(hidden_key),
                shown(output_key)
            )));
        }
        for (name, range) in used {
            let values = &weights.theta[range];
            if let Some(index) = values.iter().position(|v| !v.is_finite()) {
                return Err(refuse(format!(
                    "{} holds {} at index {index}, expected finite numbers",
                    shown(&name),
                    values[index]
                )));
            }
        }
        Ok(weights)
    }
}

/// The metadata key of [`About`].
const KEY: &str = "hsr";

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
                "{} is of type {other:?}, expected F32 or F64",
                shown(name)
            ));
        }
    };
    Ok(Some((values, view.shape().to_vec())))
}
