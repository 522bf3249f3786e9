//! Random directions, normalised filter by filter.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use hsr_core::Dimensions;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// The weights into one unit: `len` values of θ, `stride` apart, from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The place of the first weight.
    pub start: usize,
    /// How many they are.
    pub len: usize,
    /// From one to the next.
    pub stride: usize,
}

impl Filter {
    /// The places of the weights.
    pub fn indices(&self) -> impl Iterator<Item = usize> + use<> {
        (self.start..).step_by(self.stride.max(1)).take(self.len)
    }

    fn norm(&self, values: &[f64]) -> f64 {
        self.indices()
            .map(|i| values[i] * values[i])
            .sum::<f64>()
            .sqrt()
    }
}

/// The filters of a module, in the order of [`ParameterSpace`](crate::ParameterSpace): the columns of the weight of a
/// `Linear`, which Burn holds as `[inputs, outputs]`; of every other tensor of two or more dimensions its slices along
/// the first, the output channels of a convolution `[out, in, …]` and the rows of an embedding. Biases and other tensors
/// of one dimension have none, as in the reference's default.
pub fn filters<M: Module>(module: &M) -> Vec<Filter> {
    let mut collect = Collect::default();
    module.visit(&mut collect);
    collect.filters
}

/// The filters of a three-layer network in the order of [`Layout`](hsr_core::Layout): the rows of W1 and of W2.
pub fn three_layer_filters(dimensions: &Dimensions) -> Vec<Filter> {
    let layout = dimensions.layout();
    let rows = |range: core::ops::Range<usize>, len: usize| {
        range.step_by(len).map(move |start| Filter {
            start,
            len,
            stride: 1,
        })
    };
    rows(layout.hidden_weight(), dimensions.inputs)
        .chain(rows(layout.output_weight(), dimensions.hidden))
        .collect()
}

/// A direction of independent normal values in which every filter has the norm that it has in θ: a step of 1 moves each
/// filter by its own length, whatever the scale of its layer (reference 1 of [`landscape`](crate::landscape)). What
/// belongs to no filter, biases above all, does not move. The same seed gives the same direction on every machine.
///
/// # Panics
///
/// Where a filter reaches beyond θ.
pub fn random_direction(theta: &[f64], filters: &[Filter], seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let drawn: Vec<f64> = theta
        .iter()
        .map(|_| StandardNormal.sample(&mut random))
        .collect();
    let mut direction = vec![0.0; theta.len()];
    for filter in filters {
        let norm = filter.norm(&drawn);
        if norm > 0.0 {
            let factor = filter.norm(theta) / norm;
            for i in filter.indices() {
                direction[i] = factor * drawn[i];
            }
        }
    }
    direction
}

/// Walks the trainable parameters as [`ParameterSpace`](crate::ParameterSpace) does.
#[derive(Default)]
struct Collect {
    containers: Vec<String>,
    filters: Vec<Filter>,
    size: usize,
}

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let (start, shape) = (self.size, param.shape());
        let count: usize = shape.iter().product();
        self.size += count;
        if D < 2 || count == 0 {
            return;
        }
        let is_linear = self
            .containers
            .last()
            .is_some_and(|container| container == "Struct:Linear");
        if is_linear && D == 2 {
            let outputs = shape[1];
            self.filters.extend((0..outputs).map(|unit| Filter {
                start: start + unit,
                len: count / outputs,
                stride: outputs,
            }));
        } else {
            let len = count / shape[0];
            let starts = (start..start + count).step_by(len);
            self.filters.extend(starts.map(|start| Filter {
                start,
                len,
                stride: 1,
            }));
        }
    }

    fn enter_module(&mut self, _name: &str, container_type: &str) {
        self.containers.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.containers.pop();
    }
}
