//! Memory of a device as the kernels take it, products of matrices in it, and how many units a kernel is launched with.

use burn::tensor::{DType, Int, Shape, Tensor};
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::ops::permute;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::CubeCountSelection;

use super::boundary;

/// Units of a cube that adds something up together; a power of two, and what every device offers.
pub(super) const UNITS: usize = 64;

/// The most buffers that a kernel binds: [`residuals`](super::forward::residuals).
const BUFFERS: u32 = 7;

/// A contiguous block of numbers on the device.
#[derive(Clone)]
pub(super) struct Buffer(CubeTensor);

impl Buffer {
    /// The tensor in memory order; `None` where it is not on a device of CubeCL.
    pub(super) fn of<const D: usize>(tensor: Tensor<D>) -> Option<Self> {
        Some(Self(into_contiguous(boundary::float(tensor)?)))
    }

    /// The same for class indices.
    pub(super) fn of_indices(tensor: Tensor<1, Int>) -> Option<Self> {
        let tensor = boundary::int(tensor.cast(DType::I32))?;
        Some(Self(into_contiguous(tensor)))
    }

    /// As a factor of a product, from the number `start` on. The buffer may be longer than the shape.
    pub(super) fn matrix<const D: usize>(&self, start: usize, shape: [usize; D]) -> Matrix {
        let Self(tensor) = self.clone();
        let shape = Shape::from(shape);
        let size = tensor.dtype.size();
        let behind = tensor.meta.shape().num_elements() - start - shape.num_elements();
        let handle = tensor
            .handle
            .offset_start((start * size) as u64)
            .offset_end((behind * size) as u64);
        Matrix(CubeTensor::new_contiguous(
            tensor.client,
            tensor.device,
            shape,
            handle,
            tensor.dtype,
        ))
    }

    /// As a tensor of Burn, all of it.
    pub(super) fn tensor<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        boundary::tensor(self.matrix(0, shape).0)
    }

    /// As an argument of a kernel.
    pub(super) fn arg(&self) -> BufferArg {
        self.0.clone().into_buffer_arg()
    }
}

/// A matrix, or a batch of them, rows first.
#[derive(Clone)]
pub(super) struct Matrix(CubeTensor);

impl Matrix {
    /// Read by columns, each matrix of a batch; nothing is moved.
    pub(super) fn transpose(self) -> Self {
        let dims = self.0.meta.shape().num_dims();
        let mut axes: Vec<usize> = (0..dims).collect();
        axes.swap(dims - 2, dims - 1);
        Self(permute(self.0, &axes))
    }
}

/// A product of matrices, by Burn: it has kernels for every shape and layout, and reads a transposed factor as it is.
pub(super) fn product(left: Matrix, right: Matrix) -> Option<Buffer> {
    let dtype = left.0.dtype;
    let product = matmul(left.0, right.0, None, MatmulStrategy::default(), dtype).ok()?;
    Some(Buffer(into_contiguous(product)))
}

/// Where the kernels run, and in which precision.
pub(super) struct Place {
    pub client: Client,
    device: CubeDevice,
    dtype: DType,
}

impl Place {
    pub(super) fn of(buffer: &Buffer) -> Self {
        Self {
            client: buffer.0.client.clone(),
            device: buffer.0.device.clone(),
            dtype: buffer.0.dtype,
        }
    }

    /// Whether the device binds as many buffers at once as the kernels need, and one of so many numbers.
    pub(super) fn is_sufficient(&self, numbers: usize) -> bool {
        let properties = self.client.properties();
        let bytes = (numbers * self.dtype.size()) as u64;
        properties.hardware.max_bindings >= BUFFERS && properties.memory.max_page_size >= bytes
    }

    /// At a multiple of how many numbers a part of a buffer can be bound.
    pub(super) fn step(&self) -> usize {
        let alignment = self.client.properties().memory.alignment as usize;
        alignment.div_ceil(self.dtype.size()).max(1)
    }

    /// Room for so many numbers, not yet written.
    pub(super) fn room(&self, numbers: usize) -> Buffer {
        Buffer(empty_device_contiguous_dtype(
            self.client.clone(),
            self.device.clone(),
            Shape::from([numbers]),
            self.dtype,
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
