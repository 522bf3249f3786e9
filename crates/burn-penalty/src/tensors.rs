//! Tensors of several devices and precisions, beside each other.

use burn::tensor::{DType, Device, Tensor};

/// Scalars as one tensor: on the first one's device, in the widest of their types. A module can lie on several
/// devices.
pub fn together(scalars: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let device = scalars.first()?.device();
    let double = scalars.iter().any(|scalar| scalar.dtype() == DType::F64);
    let dtype = if double { DType::F64 } else { DType::F32 };
    let scalars = scalars
        .into_iter()
        .map(|scalar| placed(scalar, &device, dtype));
    Some(Tensor::cat(scalars.collect(), 0))
}

/// At least single precision: half can hold neither the sum of its own squares nor every reciprocal.
pub fn wide<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(DType::F32),
        _ => tensor,
    }
}

/// 1/x; 1 where x is too small for that, so that zero stays zero.
pub fn reciprocal(x: Tensor<1>) -> Tensor<1> {
    let smallest = match x.dtype().finfo() {
        Some(info) => info.min_positive,
        None => f64::from(f32::MIN_POSITIVE),
    };
    let nothing = x.clone().lower_elem(smallest);
    x.mask_fill(nothing, 1.0).recip()
}

/// A scalar on a device, in a precision.
pub(crate) fn placed(scalar: Tensor<1>, device: &Device, dtype: DType) -> Tensor<1> {
    let scalar = if scalar.device() == *device {
        scalar
    } else {
        scalar.to_device(device)
    };
    in_precision(scalar, dtype)
}

/// A tensor in a precision; as it is where it has it.
pub(crate) fn in_precision<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if tensor.dtype() == dtype {
        tensor
    } else {
        tensor.cast(dtype)
    }
}
