//! A safetensors file of any program, and the feed-forward network in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hsr_core::depth::LayerShape;
use safetensors::{Dtype, SafeTensors};

use super::chain::{Candidate, Orders, orders};
use super::{KEY, Weights};
use crate::data::error::{listed, shown};
use crate::{About, LabError};

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
        let bytes = crate::files::read(path).map_err(LabError::io(path, "be read"))?;
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

    /// The network in the tensors `KEY.weight` and `KEY.bias` of the layers, F32 or F64; a missing bias means none.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is no safetensors file, a tensor is missing or has the wrong shape or type, a value
    /// is not finite, names and shapes leave no order of the layers or several, or, unless `ignore_unused` is set, there
    /// are other tensors: they may be layers, without which nothing computed here would be true.
    pub fn weights(&self, keys: &LayerKeys, ignore_unused: bool) -> Result<Found, LabError> {
        let refuse = |message: String| self.refuse(message);
        let file = self.deserialized()?;
        let names = match keys {
            LayerKeys::Named(names) => names.clone(),
            LayerKeys::Found => found(&file).map_err(refuse)?,
        };
        let mut weights = Weights {
            layers: Vec::new(),
            theta: Vec::new(),
        };
        if let Some(twice) = (1..names.len()).find(|&at| names[..at].contains(&names[at])) {
            return Err(refuse(format!(
                "--layers (or --hidden-key and --output-key) name {} twice, expected every layer once",
                shown(&names[twice])
            )));
        }
        for name in &names {
            self.read_layer(&file, name, &mut weights)?;
        }
        let used = weights.tensors(&names);
        let mut unused: Vec<&str> = file.names().into_iter().collect();
        unused.retain(|name| !used.iter().any(|(used, ..)| used == name));
        unused.sort_unstable();
        if !unused.is_empty() && !ignore_unused {
            return Err(refuse(format!(
                "holds {} beside the layers {}: the network seems to have others; --layers names them all in order, \
                 --ignore-unused takes it without them",
                listed(&unused),
                listed(&names)
            )));
        }
        for (name, range, _) in used {
            if let Some(fault) = not_finite(&name, &weights.theta[range]) {
                return Err(refuse(fault));
            }
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
        let shapes = file.iter();
        Ok(shapes
            .map(|(name, view)| (name.to_owned(), view.shape().to_vec()))
            .collect())
    }

    /// The values of tensors of these names and shapes, F32 or F64, one after the other.
    ///
    /// # Errors
    ///
    /// [`LabError::Weights`] where it is no safetensors file, a tensor is missing or has another shape or type, a value is
    /// not finite, or there are other tensors.
    pub(crate) fn tensors(&self, places: &[(String, Vec<usize>)]) -> Result<Vec<f64>, LabError> {
        let file = self.deserialized()?;
        let mut all = Vec::new();
        for (name, expected) in places {
            let Some((values, shape)) = tensor(&file, name).map_err(|it| self.refuse(it))? else {
                return Err(self.refuse(format!(
                    "has no tensor {}; it holds {}",
                    shown(name),
                    contents(&file)
                )));
            };
            if shape != *expected {
                return Err(self.refuse(format!(
                    "{} has shape {shape:?}, expected {expected:?}",
                    shown(name)
                )));
            }
            if let Some(fault) = not_finite(name, &values) {
                return Err(self.refuse(fault));
            }
            all.extend(values);
        }
        let mut others = file.names().into_iter();
        if let Some(other) = others.find(|name| places.iter().all(|(known, _)| known != name)) {
            return Err(self.refuse(format!(
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

    /// Adds the layer of that name to those below it.
    fn read_layer(
        &self,
        file: &SafeTensors,
        name: &str,
        weights: &mut Weights,
    ) -> Result<(), LabError> {
        let refuse = |message: String| self.refuse(message);
        let of_weight = format!("{name}.weight");
        let Some((values, shape)) = tensor(file, &of_weight).map_err(refuse)? else {
            return Err(refuse(format!(
                "has no tensor {}; it holds {} (see --layers, or --hidden-key and --output-key)",
                shown(&of_weight),
                contents(file)
            )));
        };
        let below = weights.layers.last().map(|layer| layer.outputs);
        let expected = match below {
            None => "[outputs, inputs]".to_owned(),
            Some(below) => format!("[outputs, {below}] after {below} hidden units"),
        };
        let [outputs, inputs] = match shape[..] {
            [outputs, inputs]
                if outputs > 0 && inputs > 0 && below.is_none_or(|it| it == inputs) =>
            {
                [outputs, inputs]
            }
            _ => {
                return Err(refuse(format!(
                    "{} has shape {shape:?}, expected {expected}",
                    shown(&of_weight)
                )));
            }
        };
        let of_bias = format!("{name}.bias");
        let bias = match tensor(file, &of_bias).map_err(refuse)? {
            Some((_, shape)) if shape != [outputs] => {
                return Err(refuse(format!(
                    "{} has shape {shape:?}, expected [{outputs}]",
                    shown(&of_bias)
                )));
            }
            found => found.map(|(values, _)| values),
        };
        weights.layers.push(LayerShape {
            bias: bias.is_some(),
            ..LayerShape::new(inputs, outputs)
        });
        weights.theta.extend(values);
        weights.theta.extend(bias.unwrap_or_default());
        Ok(())
    }
}

/// What is wrong with a tensor that holds more than finite numbers.
fn not_finite(name: &str, values: &[f64]) -> Option<String> {
    let index = values.iter().position(|v| !v.is_finite())?;
    Some(format!(
        "{} holds {} at index {index}, expected finite numbers",
        shown(name),
        values[index]
    ))
}

/// The names of the layers in the one order that there is.
fn found(file: &SafeTensors) -> Result<Vec<String>, String> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for (name, view) in file.iter() {
        let (Some(name), &[outputs, inputs]) = (name.strip_suffix(".weight"), view.shape()) else {
            continue;
        };
        candidates.push(Candidate {
            name: name.to_owned(),
            inputs,
            outputs,
        });
    }
    candidates.sort_by(|a, b| a.name.cmp(&b.name));
    let trouble = match orders(&candidates) {
        _ if candidates.is_empty() => "holds no weight of a linear layer (NAME.weight, a matrix)",
        Orders::One(order) => {
            let names = order.into_iter().map(|at| candidates[at].name.clone());
            return Ok(names.collect());
        }
        Orders::None => {
            "its names and shapes allow no order of the layers: name them with --layers A,B,…"
        }
        Orders::Several => {
            "its names and shapes allow several orders of the layers: name them in order with --layers A,B,…"
        }
    };
    Err(format!("{trouble}; it holds {}", contents(file)))
}

/// Tensors that a message lists.
const LISTED: usize = 24;

/// The tensors of a file with their shapes, for messages.
fn contents(file: &SafeTensors) -> String {
    let mut tensors: Vec<String> = file
        .iter()
        .map(|(name, view)| format!("{} {:?}", shown(name), view.shape()))
        .collect();
    tensors.sort_unstable();
    let rest = tensors.len().saturating_sub(LISTED);
    tensors.truncate(LISTED);
    match (tensors.is_empty(), rest) {
        (true, _) => "none".to_owned(),
        (_, 0) => tensors.join(", "),
        _ => format!("{} and {rest} more", tensors.join(", ")),
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
                "{} is of type {other:?}, expected F32 or F64",
                shown(name)
            ));
        }
    };
    Ok(Some((values, view.shape().to_vec())))
}
