//! Burn's tensors as the kernels take them, and how many units a kernel is launched with.

use core::any::Any;

use burn::backend::BackendTypes;
use burn::tensor::{DType, Int, Shape, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{Cube, CubeDevice};
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::CubeCountSelection;

/// Units of a cube that adds something up together; a power of two, and what every device offers.
pub(super) const UNITS: usize = 64;

/// The most buffers that a kernel binds: [`adjoints`](super::pullback::adjoints).
const BUFFERS: u32 = 21;

type FloatPrimitive = <Cube as BackendTypes>::FloatTensorPrimitive;
type IntPrimitive = <Cube as BackendTypes>::IntTensorPrimitive;

/// A contiguous block of numbers on the device.
#[derive(Clone)]
pub(super) struct Buffer(CubeTensor);

impl Buffer {
    /// The tensor in memory order; `None` where it is not single precision on wgpu, the one runtime of CubeCL on which
    /// the kernels are tested. Burn's `fusion` wraps its tensors so that they are not seen to be: then plain
    /// operations, which it fuses, are the way.
    pub(super) fn of<const D: usize>(tensor: Tensor<D>) -> Option<Self> {
        let primitive: Box<dyn Any> = Box::new(tensor.try_into_primitive::<Cube>().ok()?);
        let tensor = primitive.downcast::<CubeTensor>().ok()?;
        let ours = tensor.dtype == DType::F32 && matches!(tensor.device, CubeDevice::Wgpu(_));
        ours.then(|| Self(into_contiguous(*tensor)))
    }

    /// The same for class indices.
    pub(super) fn of_indices(tensor: Tensor<1, Int>) -> Option<Self> {
        let tensor = tensor.cast(DType::I32);
        let primitive: IntPrimitive = tensor.try_into_primitive::<Cube>().ok()?;
        let primitive: Box<dyn Any> = Box::new(primitive);
        let tensor = primitive.downcast::<CubeTensor>().ok()?;
        Some(Self(into_contiguous(*tensor)))
    }

    /// As a tensor of Burn, for its matrix products. The buffer may be longer than the shape.
    pub(super) fn tensor<const D: usize>(&self, shape: [usize; D]) -> Option<Tensor<D>> {
        let Self(tensor) = self.clone();
        let shaped = CubeTensor::new_contiguous(
            tensor.client,
            tensor.device,
            Shape::from(shape),
            tensor.handle,
            tensor.dtype,
        );
        let primitive: Box<dyn Any> = Box::new(shaped);
        let primitive = primitive.downcast::<FloatPrimitive>().ok()?;
        Some(Tensor::from_primitive::<Cube>(*primitive))
    }

    /// As an argument of a kernel.
    pub(super) fn arg(&self) -> BufferArg {
        self.0.clone().into_buffer_arg()
    }
}

/// Where the kernels run.
pub(super) struct Place {
    pub client: Client,
    device: CubeDevice,
}

impl Place {
    pub(super) fn of(buffer: &Buffer) -> Self {
        Self {
            client: buffer.0.client.clone(),
            device: buffer.0.device.clone(),
        }
    }

    /// Whether the device binds as many buffers at once as the kernels need.
    pub(super) fn is_sufficient(&self) -> bool {
        self.client.properties().hardware.max_bindings >= BUFFERS
    }

    /// Room for so many numbers, not yet written.
    pub(super) fn room(&self, numbers: usize) -> Buffer {
        Buffer(empty_device_contiguous_dtype(
            self.client.clone(),
            self.device.clone(),
            Shape::from([numbers]),
            DType::F32,
        ))
    }

    /// One unit for each of so many numbers.
    pub(super) fn each(&self, numbers: usize) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new(&self.client, numbers);
        let count = calculate_cube_count_elemwise(&self.client, numbers, dim);
        (count, dim)
    }

    /// One cube for each of so many sums.
    pub(super) fn cubes(&self, sums: usize) -> (CubeCount, CubeDim) {
        let count = CubeCountSelection::new(&self.client, sums as u32).cube_count();
        (count, CubeDim::new_1d(UNITS as u32))
    }
}
