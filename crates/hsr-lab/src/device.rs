//! The device on which curvature is measured.

use burn::tensor::{DType, Device, Tensor};
use burn_hsr::Backend;

use crate::error::LabError;

/// Where a network without a closed form is measured, and in which precision: on a CPU where this build has one, else where
/// Burn chooses, in f64 where that has it. A run that was made on a GPU is measured without.
pub(crate) fn measuring_device() -> Result<(Device, DType), LabError> {
    let host = [Backend::Flex, Backend::NdArray];
    let device = match host.into_iter().find_map(|it| it.device().ok()) {
        Some(device) => device,
        None => Backend::Default.device()?,
    };
    let dtype = match device.supports_dtype(DType::F64) {
        true => DType::F64,
        false => DType::F32,
    };
    Ok((device, dtype))
}

/// The tensor as one that autodiff follows; without autodiff there is nothing to track.
pub(crate) fn tracked<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.is_autodiff() {
        true => tensor.require_grad(),
        false => tensor,
    }
}
