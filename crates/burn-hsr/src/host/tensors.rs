//! A gradient in the host's memory, and the tensors that it becomes.

use burn::tensor::{DType, Device, Element, Tensor, TensorData};
use hsr_core::depth::LayerShape;
use hsr_core::{Error, Real};

use crate::closed_form::transpose_into;
use crate::config::HsrConfig;
use crate::gradient::{HsrGradient, LayerGradient};
use crate::probes::Estimate;

/// A gradient in the host's memory.
pub(super) struct HostGradient<T> {
    pub value: T,
    /// For the parameters \[D\], without what is frozen.
    pub parameters: Vec<T>,
    /// The measure's gradient for the parameters \[D\], where the other is the loss's.
    pub measure: Option<Vec<T>>,
    pub inputs: Option<Vec<T>>,
    /// What probes said of the moments, where they were used.
    pub estimate: Option<Estimate>,
}

impl HostGradient<f64> {
    /// The same in single precision; what single precision cannot hold is an overflow.
    pub fn narrow(&self, config: &HsrConfig) -> Result<HostGradient<f32>, Error> {
        let cast = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let parameters = cast(&self.parameters);
        let measure = self.measure.as_deref().map(cast);
        let inputs = self.inputs.as_deref().map(cast);
        let others = measure.iter().chain(&inputs).flatten();
        let mut all = parameters.iter().chain(others);
        let value = self.value as f32;
        if !value.is_finite() || !all.all(|v| v.is_finite()) {
            return Err(Error::Overflow {
                what: config.sharpness.name(),
            });
        }
        Ok(HostGradient {
            value,
            parameters,
            measure,
            inputs,
            estimate: self.estimate,
        })
    }
}

/// The value, and the gradient times `factor`: a pass over D numbers here is less than four operations of Burn.
pub(super) fn to_tensors<T: Real + Element>(
    gradient: &mut HostGradient<T>,
    factor: f64,
    shapes: &[LayerShape],
    device: &Device,
    dtype: DType,
) -> HsrGradient {
    if factor != 1.0 {
        let inputs = gradient.inputs.iter_mut().flatten();
        for value in gradient.parameters.iter_mut().chain(inputs) {
            // In double precision: the factor of a gradient that is almost 0 can be beyond single.
            *value = T::of(factor * value.as_f64());
        }
    }
    HsrGradient {
        value: vector(&[gradient.value], device, dtype),
        layers: layers(&gradient.parameters, shapes, device, dtype),
        inputs: gradient.inputs.take().map(|values| {
            let features = shapes.first().map_or(1, |shape| shape.inputs);
            let samples = values.len() / features;
            matrix(values, [samples, features], device, dtype)
        }),
    }
}

/// The parts of a vector over the parameters.
pub(super) fn layers<T: Real + Element>(
    parameters: &[T],
    shapes: &[LayerShape],
    device: &Device,
    dtype: DType,
) -> Vec<LayerGradient> {
    let mut rest = parameters;
    let mut take = |count: usize| {
        let (first, after) = rest.split_at(count);
        rest = after;
        first
    };
    let mut of_layer = |shape: &LayerShape| LayerGradient {
        weight: (!shape.weight_frozen).then(|| {
            let weight = take(shape.inputs * shape.outputs);
            let mut values = Vec::with_capacity(weight.len());
            transpose_into(weight, shape.inputs, &mut values);
            matrix(values, [shape.inputs, shape.outputs], device, dtype)
        }),
        bias: (shape.bias && !shape.bias_frozen)
            .then(|| vector(take(shape.outputs), device, dtype)),
    };
    shapes.iter().map(&mut of_layer).collect()
}

fn matrix<T: Element>(
    values: Vec<T>,
    shape: [usize; 2],
    device: &Device,
    dtype: DType,
) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), (device, dtype))
}

fn vector<T: Element>(values: &[T], device: &Device, dtype: DType) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, (device, dtype))
}
