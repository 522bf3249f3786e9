//! A safetensors file of any program, and the feed-forward network in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hsr_core::depth::LayerShape;
use safetensors::SafeTensors;

use super::chain::{Orders, orders};
use super::flat::Weights;
use super::tensors::Tensors;
use super::written::KEY;
use crate::about::About;
use crate::data::wording::{listed, shown};
use crate::error::LabError;

/// Which tensors of a file are the layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LayerKeys {
    /// Those of these names, without `.weight` and `.bias`, from the inputs on.
    Named(Vec<String>),
    /// All, in the one order that their names and shapes allow.
    #[default]
    Found,
}

impl LayerKeys {
    /// These names.
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self::Named(names.into_iter().map(Into::into).collect())
    }
}

/// The network of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The parameters; activations are not in the file.
    pub weights: Weights,
    /// The names of the layers, from the inputs on.
    pub names: Vec<String>,
}

impl Weights {
    /// Reads the layers of these names; activations are not in the file: [`with_activations`](Self::with_activations).
    ///
    /// # Errors
    ///
    /// As [`WeightsFile::read`] and [`WeightsFile::weights`], the file holding no other tensors.
    pub fn read(path: &Path, keys: &LayerKeys) -> Result<Self, LabError> {
        Ok(WeightsFile::read(path)?.weights(keys, false)?.weights)
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
        let bytes = crate::input::read(path).map_err(LabError::io(path, "be read"))?;
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
        LabError::weights(&self.path, message)
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

    /// The network in the tensors `KEY.weight` \[outputs, inputs\] and `KEY.bias` of the layers, or `KEY.kernel` \[inputs,
    /// outputs\] as Flax and Keras have it, F64, F32, F16 or BF16; a missing bias means none. `_orig_mod` of `torch.compile` and
    /// `module.` of `DataParallel` need not be written in a key.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is no safetensors file, a tensor is missing or has the wrong shape or type, a value
    /// is not finite, names and shapes leave no order of the layers or several, or, unless `ignore_unused` is set, there
    /// are other tensors: they may be layers, without which nothing computed here would be true.
    pub fn weights(&self, keys: &LayerKeys, ignore_unused: bool) -> Result<Found, LabError> {
        let refuse = |message: String| self.refuse(message);
        let file = self.deserialized()?;
        let tensors = Tensors::new(&file);
        let names = match keys {
            LayerKeys::Named(names) => names.clone(),
            LayerKeys::Found => found(&tensors).map_err(refuse)?,
        };
        if let Some(twice) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
            return Err(refuse(format!(
                "`layers` (or `hidden_key` and `output_key`) name {} twice, expected every layer once",
                shown(&names[twice])
            )));
        }
        let mut weights = Weights {
            layers: Vec::new(),
            theta: Vec::new(),
        };
        let mut used = Vec::new();
        for name in &names {
            let below = weights.layers.last().map(|layer| layer.outputs);
            let layer = tensors.linear(name, below).map_err(refuse)?;
            weights.layers.push(LayerShape {
                bias: layer.bias.is_some(),
                ..LayerShape::new(layer.inputs, layer.outputs)
            });
            weights.theta.extend(layer.weight);
            weights.theta.extend(layer.bias.unwrap_or_default());
            used.extend(layer.tensors);
        }
        let unused = tensors.beside(&used);
        if !unused.is_empty() && !ignore_unused {
            return Err(refuse(format!(
                "holds {} beside the layers {}: the network seems to have others; `layers` names them all in order, \
                 `ignore_unused` takes it without them",
                listed(&unused),
                listed(&names)
            )));
        }
        Ok(Found { weights, names })
    }

    /// The shapes of all tensors by name.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is no safetensors file.
    pub(crate) fn shapes(&self) -> Result<BTreeMap<String, Vec<usize>>, LabError> {
        let file = self.deserialized()?;
        let tensors = Tensors::new(&file);
        let shapes = tensors.shapes();
        Ok(shapes
            .map(|(name, shape)| (name.to_owned(), shape.to_vec()))
            .collect())
    }

    /// The values of tensors of these names and shapes, F64, F32, F16 or BF16, one after the other.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is no safetensors file, a tensor is missing or has another shape or type, a value is
    /// not finite, or there are other tensors.
    pub(crate) fn tensors(&self, places: &[(String, Vec<usize>)]) -> Result<Vec<f64>, LabError> {
        let refuse = |message: String| self.refuse(message);
        let file = self.deserialized()?;
        let tensors = Tensors::new(&file);
        let mut all = Vec::new();
        for (name, expected) in places {
            let Some((values, shape)) = tensors.values(name).map_err(refuse)? else {
                return Err(refuse(format!(
                    "has no tensor {}; it holds {}",
                    shown(name),
                    tensors.contents()
                )));
            };
            if shape != expected {
                return Err(refuse(format!(
                    "{} has shape {shape:?}, expected {expected:?}",
                    shown(name)
                )));
            }
            all.extend(values);
        }
        let mut names = tensors.shapes().map(|(name, _)| name);
        if let Some(other) = names.find(|name| places.iter().all(|(known, _)| known != name)) {
            return Err(refuse(format!(
                "holds {}, which is no part of the network",
                shown(other)
            )));
        }
        Ok(all)
    }

    fn deserialized(&self) -> Result<SafeTensors<'_>, LabError> {
        SafeTensors::deserialize(&self.bytes)
            .map_err(|error| self.refuse(format!("is not a whole safetensors file: {error}")))
    }
}

/// The names of the layers in the one order that there is.
fn found(tensors: &Tensors) -> Result<Vec<String>, String> {
    let candidates = tensors.candidates();
    let trouble = match orders(&candidates) {
        _ if candidates.is_empty() => {
            "holds no weight of a linear layer (NAME.weight or NAME.kernel, a matrix)"
        }
        Orders::One(order) => {
            let names = order.into_iter().map(|at| candidates[at].name.clone());
            return Ok(names.collect());
        }
        Orders::None => {
            "its names and shapes allow no order of the layers: name them with `layers` A,B,…"
        }
        Orders::Several => {
            "its names and shapes allow several orders of the layers: name them in order with `layers` A,B,…"
        }
    };
    Err(format!("{trouble}; it holds {}", tensors.contents()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::Activations;
    use crate::weights::names;
    use hsr_core::Activation;

    #[test]
    fn a_file_gives_back_what_was_written_at_any_depth() {
        let tanh = Activations::from(Activation::Tanh);
        for widths in [&[3, 2][..], &[4, 3, 2], &[2, 3, 3, 3, 2]] {
            let layers: Vec<LayerShape> = widths
                .windows(2)
                .map(|of| LayerShape::new(of[0], of[1]))
                .collect();
            let names = names(layers.len());
            let weights = Weights::random(layers, 1);
            let bytes = weights.to_safetensors(None);
            let file = WeightsFile::from_bytes(Path::new("w"), bytes);
            for keys in [LayerKeys::Named(names.clone()), LayerKeys::Found] {
                let read = file.weights(&keys, false).unwrap();
                assert_eq!((&read.weights, &read.names), (&weights, &names));
            }
            if widths.len() > 2 {
                let bent = weights.clone().with_activations(&tanh, false).unwrap();
                assert!(bent.has_sizes_of(&weights.layers) && bent != weights);
            }
            assert!(!weights.has_sizes_of(&weights.layers[1..]));
        }
    }
}
