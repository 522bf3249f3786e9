//! Between Burn's tensors and CubeCL's.
//!
//! With Burn's feature `fusion`, one of its defaults, a tensor on a device of CubeCL is a promise of Burn's queue of
//! operations, and [`Cube`] another type than without. The program's features decide which of the two it is, and this
//! crate does not know them: [`Wrapped`] is implemented for both, and the compiler takes the one that there is. A tensor
//! that comes in makes the queue run up to it. Nothing is read back, and nobody waits for the device.

use burn::backend::BackendTypes;
use burn::tensor::{DType, Int, Shape, Tensor};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeBackend, CubeDevice};
use burn_fusion::custom::{CustomOpIr, OperationIr, OperationOutput, StreamId, TensorIr};
use burn_fusion::{FusionBackend, FusionTensor, NoOp, get_client};

type FloatPrimitive = <Cube as BackendTypes>::FloatTensorPrimitive;
type IntPrimitive = <Cube as BackendTypes>::IntTensorPrimitive;

/// The tensor of CubeCL; `None` where the device is not one of CubeCL's.
pub(super) fn float<const D: usize>(tensor: Tensor<D>) -> Option<CubeTensor> {
    let primitive: FloatPrimitive = tensor.try_into_primitive::<Cube>().ok()?;
    Some(Wrapped::<CubeBackend>::into_float(primitive))
}

/// The same for integers.
pub(super) fn int<const D: usize>(tensor: Tensor<D, Int>) -> Option<CubeTensor> {
    let primitive: IntPrimitive = tensor.try_into_primitive::<Cube>().ok()?;
    Some(Wrapped::<CubeBackend>::into_int(primitive))
}

/// The tensor of Burn.
pub(super) fn tensor<const D: usize>(tensor: CubeTensor) -> Tensor<D> {
    let (device, dtype) = (tensor.device.clone(), tensor.dtype);
    let shape = tensor.meta.shape().clone();
    let primitive = Wrapped::<CubeBackend>::of_float(tensor, &device, shape, dtype);
    Tensor::from_primitive::<Cube>(primitive)
}

/// What Burn has in place of the tensors of a backend.
trait Wrapped<B: BackendTypes> {
    fn into_float(self) -> B::FloatTensorPrimitive;

    fn into_int(self) -> B::IntTensorPrimitive;

    fn of_float(
        tensor: B::FloatTensorPrimitive,
        device: &B::Device,
        shape: Shape,
        dtype: DType,
    ) -> Self;
}

impl Wrapped<CubeBackend> for CubeTensor {
    fn into_float(self) -> CubeTensor {
        self
    }

    fn into_int(self) -> CubeTensor {
        self
    }

    fn of_float(tensor: CubeTensor, _: &CubeDevice, _: Shape, _: DType) -> Self {
        tensor
    }
}

impl<B: FusionBackend> Wrapped<B> for FusionTensor<B::FusionRuntime> {
    fn into_float(self) -> B::FloatTensorPrimitive {
        let client = self.client.clone();
        client.resolve_tensor_float::<B>(self)
    }

    fn into_int(self) -> B::IntTensorPrimitive {
        let client = self.client.clone();
        client.resolve_tensor_int::<B>(self)
    }

    /// A tensor that is there already, in Burn's queue as those that a program uploads.
    fn of_float(
        tensor: B::FloatTensorPrimitive,
        device: &B::Device,
        shape: Shape,
        dtype: DType,
    ) -> Self {
        let client = get_client::<B>(device);
        let id = client.register_tensor_handle(B::float_tensor_handle(tensor));
        let out = TensorIr::uninit(id, shape, dtype);
        let operation = OperationIr::Custom(CustomOpIr::new("hsr", &[], &[out]));
        client
            .register(StreamId::current(), operation, NoOp::<B>::new())
            .output()
    }
}
