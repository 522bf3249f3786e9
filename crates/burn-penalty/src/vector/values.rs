//! The components of one parameter's part.

use burn::tensor::{DType, Device, Element as ElementType, Shape, Tensor, TensorData};

use crate::reach::Reach;
use crate::tensors::{in_precision, placed, wide};

/// The components of a part, flat.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there are few; a tensor's size follows the backends"
)]
pub(super) enum Values {
    Single(Vec<f32>),
    Double(Vec<f64>),
    Device(Tensor<1>),
}

impl Values {
    /// Whether those of such a tensor are numbers: half precision is left to tensors, whose rounding is the module's.
    pub fn are_here<const D: usize>(tensor: &Tensor<D>) -> bool {
        matches!(tensor.dtype(), DType::F32 | DType::F64)
            && Reach::of(&tensor.device()) == Reach::Host
    }

    /// Those of a tensor that belongs to a parameter, which says where they are and how: all vectors of a module agree.
    pub fn beside<const D: usize>(parameter: &Tensor<D>, tensor: Tensor<D>) -> Self {
        let here = Self::are_here(parameter);
        match parameter.dtype() {
            DType::F32 if here => Self::Single(components(in_precision(tensor, DType::F32))),
            DType::F64 if here => Self::Double(components(in_precision(tensor, DType::F64))),
            _ => Self::Device(wide(tensor).reshape([-1])),
        }
    }

    /// decay·before + (1 − decay)·self where that is finite, else `before`.
    pub fn averaged(&self, before: Option<&Self>, decay: f64) -> Self {
        fn of<T: Copy>(
            values: &[T],
            before: Option<&[T]>,
            one: impl Fn(T, Option<T>) -> T,
        ) -> Vec<T> {
            let before = |i: usize| before.map(|before| before[i]);
            let values = values.iter().enumerate();
            values.map(|(i, &value)| one(value, before(i))).collect()
        }
        match self {
            Self::Single(values) => {
                let before = match before {
                    Some(Self::Single(before)) => Some(&before[..]),
                    _ => None,
                };
                let (decay, share) = (decay as f32, (1.0 - decay) as f32);
                Self::Single(of(values, before, |value, before| {
                    let before = before.unwrap_or(0.0);
                    match value.is_finite() {
                        true => before * decay + value * share,
                        false => before,
                    }
                }))
            }
            Self::Double(values) => {
                let before = match before {
                    Some(Self::Double(before)) => Some(&before[..]),
                    _ => None,
                };
                Self::Double(of(values, before, |value, before| {
                    let before = before.unwrap_or(0.0);
                    match value.is_finite() {
                        true => before * decay + value * (1.0 - decay),
                        false => before,
                    }
                }))
            }
            Self::Device(values) => {
                let before = match before {
                    // burn-train copies a model to every device, and what steps is shared.
                    Some(Self::Device(before)) => {
                        placed(before.clone(), &values.device(), values.dtype())
                    }
                    _ => values.zeros_like(),
                };
                let mean = before.clone() * decay + values.clone() * (1.0 - decay);
                Self::Device(mean.mask_where(values.clone().is_finite().bool_not(), before))
            }
        }
    }

    pub fn is_tensor(&self) -> bool {
        matches!(self, Self::Device(_))
    }

    pub fn into_tensor<const D: usize>(self, shape: Shape, device: &Device) -> Tensor<D> {
        let (data, dtype) = match self {
            Self::Single(values) => (TensorData::new(values, shape), DType::F32),
            Self::Double(values) => (TensorData::new(values, shape), DType::F64),
            Self::Device(tensor) => return tensor.reshape(shape),
        };
        Tensor::from_data(data, (&device.clone().inner(), dtype))
    }
}

/// Those of a tensor in the host's memory. Where nobody else has the tensor its memory is taken.
fn components<T: ElementType, const D: usize>(tensor: Tensor<D>) -> Vec<T> {
    let values = tensor.into_data().try_into_vec();
    values.expect("the type is the tensor's")
}
