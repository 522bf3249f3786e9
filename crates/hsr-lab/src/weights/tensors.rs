//! The tensors of a safetensors file, whatever program wrote it: names without what wrappers put before them, values in
//! f64, weights of linear layers in either layout.

use std::collections::{BTreeMap, BTreeSet};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::chain::Candidate;
use crate::data::wording::shown;

/// How the tensors of a linear layer are named, and how its weight lies.
struct Convention {
    weight: &'static str,
    bias: &'static str,
    /// \[inputs, outputs\] in place of \[outputs, inputs\].
    inputs_first: bool,
}

const fn convention(weight: &'static str, bias: &'static str, inputs_first: bool) -> Convention {
    Convention {
        weight,
        bias,
        inputs_first,
    }
}

/// PyTorch's first: it is what a message names. Then Flax, its paths joined by `.` or `/`, and Keras' variables.
const CONVENTIONS: [Convention; 4] = [
    convention(".weight", ".bias", false),
    convention(".kernel", ".bias", true),
    convention("/kernel", "/bias", true),
    convention("/kernel:0", "/bias:0", true),
];

/// The module under `torch.compile` in the name of a parameter.
const COMPILED: &str = "_orig_mod";
/// That under `DataParallel` and `DistributedDataParallel`, before every name.
const PARALLEL: &str = "module.";

/// A linear layer.
pub(super) struct Linear {
    pub inputs: usize,
    pub outputs: usize,
    /// \[outputs, inputs\], row by row.
    pub weight: Vec<f64>,
    pub bias: Option<Vec<f64>>,
    /// The names of its tensors in the file.
    pub tensors: Vec<String>,
}

/// A tensor's values and shape.
type Values<'a> = (Vec<f64>, &'a [usize]);

/// A tensor.
struct Stored<'a> {
    /// Its name in the file.
    name: &'a str,
    view: TensorView<'a>,
}

/// The tensors of a file, by the names that the model itself gave. What is wrong with one is a text that follows the file's
/// name.
pub(super) struct Tensors<'a>(BTreeMap<String, Stored<'a>>);

impl<'a> Tensors<'a> {
    pub fn new(file: &'a SafeTensors<'a>) -> Self {
        let stored: Vec<Stored> = file
            .iter()
            .map(|(name, view)| Stored { name, view })
            .collect();
        let plain = plain_names(stored.iter().map(|it| it.name).collect());
        Self(plain.into_iter().zip(stored).collect())
    }

    /// Names, and shapes.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let all = self.0.iter();
        all.map(|(name, stored)| (name.as_str(), stored.view.shape()))
    }

    /// The names of those whose names in the file are none of these.
    pub fn beside(&self, used: &[String]) -> Vec<&str> {
        let unused = |(_, stored): &(&String, &Stored)| used.iter().all(|it| it != stored.name);
        let all = self.0.iter().filter(unused);
        all.map(|(name, _)| name.as_str()).collect()
    }

    /// By either name.
    fn find(&self, name: &str) -> Option<&Stored<'a>> {
        let in_file = || self.0.values().find(|stored| stored.name == name);
        self.0.get(name).or_else(in_file)
    }

    /// The values and the shape of a tensor; `None` where there is none of that name.
    pub fn values(&self, name: &str) -> Result<Option<Values<'_>>, String> {
        let Some(stored) = self.find(name) else {
            return Ok(None);
        };
        let values = values(name, &stored.view)?;
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(format!(
                "{} holds {} at index {index}, expected finite numbers",
                shown(name),
                values[index]
            ));
        }
        Ok(Some((values, stored.view.shape())))
    }

    /// The linear layer of that name, whose inputs are `below` hidden units where it is not the first.
    pub fn linear(&self, name: &str, below: Option<usize>) -> Result<Linear, String> {
        let named = |it: &&Convention| self.find(&format!("{name}{}", it.weight)).is_some();
        let convention = CONVENTIONS.iter().find(named).unwrap_or(&CONVENTIONS[0]);
        let [of_weight, of_bias] =
            [convention.weight, convention.bias].map(|it| format!("{name}{it}"));
        let Some((values, shape)) = self.values(&of_weight)? else {
            return Err(format!(
                "has no tensor {}; it holds {} (see `layers`, or `hidden_key` and `output_key`)",
                shown(&of_weight),
                self.contents()
            ));
        };
        let sizes = match (shape, convention.inputs_first) {
            (&[outputs, inputs], false) | (&[inputs, outputs], true) => [inputs, outputs],
            _ => [0, 0],
        };
        let [inputs, outputs] = sizes;
        if outputs == 0 || inputs == 0 || below.is_some_and(|it| it != inputs) {
            let inputs = below.map_or_else(|| "inputs".to_owned(), |it| it.to_string());
            let expected = match convention.inputs_first {
                false => format!("[outputs, {inputs}]"),
                true => format!("[{inputs}, outputs]"),
            };
            let after = below.map_or_else(String::new, |it| format!(" after {it} hidden units"));
            return Err(format!(
                "{} has shape {shape:?}, expected {expected}{after}",
                shown(&of_weight)
            ));
        }
        let bias = match self.values(&of_bias)? {
            Some((_, shape)) if shape != [outputs] => {
                return Err(format!(
                    "{} has shape {shape:?}, expected [{outputs}]",
                    shown(&of_bias)
                ));
            }
            found => found.map(|(values, _)| values),
        };
        let tensors = [of_weight, of_bias];
        let tensors = tensors.iter().filter_map(|it| self.find(it));
        Ok(Linear {
            inputs,
            outputs,
            weight: match convention.inputs_first {
                false => values,
                true => (0..outputs)
                    .flat_map(|j| values.iter().skip(j).step_by(outputs).copied())
                    .collect(),
            },
            bias,
            tensors: tensors.map(|stored| stored.name.to_owned()).collect(),
        })
    }

    /// What may be a weight of a linear layer.
    pub fn candidates(&self) -> Vec<Candidate> {
        let all = self.shapes().filter_map(|(name, shape)| {
            let &[first, second] = shape else {
                return None;
            };
            let named = |it: &Convention| Some((name.strip_suffix(it.weight)?, it.inputs_first));
            let (layer, inputs_first) = CONVENTIONS.iter().find_map(named)?;
            let (inputs, outputs) = if inputs_first {
                (first, second)
            } else {
                (second, first)
            };
            Some(Candidate {
                name: layer.to_owned(),
                inputs,
                outputs,
            })
        });
        all.collect()
    }

    /// The tensors with their shapes, for messages.
    pub fn contents(&self) -> String {
        let all = self.shapes();
        let tensors: Vec<String> = all
            .map(|(name, shape)| format!("{} {shape:?}", shown(name)))
            .collect();
        let listed = &tensors[..tensors.len().min(LISTED)];
        match (listed.is_empty(), tensors.len() - listed.len()) {
            (true, _) => "none".to_owned(),
            (_, 0) => listed.join(", "),
            (_, rest) => format!("{} and {rest} more", listed.join(", ")),
        }
    }
}

/// Tensors that a message lists.
const LISTED: usize = 24;

/// The names without what wrappers put before them; as they are where that would leave two the same.
fn plain_names(names: Vec<&str>) -> Vec<String> {
    let uncompiled = |name: &&str| {
        let modules: Vec<&str> = name.split('.').filter(|it| *it != COMPILED).collect();
        modules.join(".")
    };
    let mut plain: Vec<String> = names.iter().map(uncompiled).collect();
    while !plain.is_empty() && plain.iter().all(|name| name.starts_with(PARALLEL)) {
        for name in &mut plain {
            name.drain(..PARALLEL.len());
        }
    }
    let different: BTreeSet<&String> = plain.iter().collect();
    if different.len() < plain.len() {
        return names.into_iter().map(str::to_owned).collect();
    }
    plain
}

/// The values of a tensor of floating-point numbers.
fn values(name: &str, view: &TensorView) -> Result<Vec<f64>, String> {
    fn read<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let numbers = bytes.as_chunks::<N>().0.iter();
        numbers.map(|&bytes| number(bytes)).collect()
    }
    let bytes = view.data();
    Ok(match view.dtype() {
        Dtype::F64 => read(bytes, f64::from_le_bytes),
        Dtype::F32 => read(bytes, |it| f32::from_le_bytes(it).into()),
        Dtype::F16 => read(bytes, |it| f16::from_le_bytes(it).into()),
        Dtype::BF16 => read(bytes, |it| bf16::from_le_bytes(it).into()),
        other => {
            return Err(format!(
                "{} is of type {other:?}, expected F64, F32, F16 or BF16",
                shown(name)
            ));
        }
    })
}
