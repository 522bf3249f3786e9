//! The step to where the linearised loss is largest in the neighbourhood.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_penalty::algebra::{Change, map, reciprocal, together, wide};

use super::SamConfig;
use super::scaling::Scaling;

/// e = ρ T²g/‖Tg‖ along g, a tensor for each trained parameter that has a part in g. Zero where g is zero.
///
/// Nothing is read from the device. Tg is divided by its largest entry first, for the squares can be beyond the type
/// where the gradient is not.
pub(super) fn ascent<M: Module>(
    config: &SamConfig,
    rho: f64,
    module: &M,
    along: GradientsParams,
) -> GradientsParams {
    let mut scale = Scale {
        config,
        largest: Vec::new(),
    };
    let scaled = map(module, along, &mut scale);
    let Some(largest) = together(scale.largest) else {
        return scaled;
    };
    let mut normalise = Normalise {
        factor: reciprocal(largest.max()),
        squares: Vec::new(),
    };
    let normalised = map(module, scaled, &mut normalise);
    let Some(squares) = together(normalise.squares) else {
        return normalised;
    };
    let mut lengthen = Lengthen {
        config,
        factor: reciprocal(squares.sum().sqrt()) * rho,
    };
    map(module, normalised, &mut lengthen)
}

/// Tg, and the largest |Tg| of each parameter.
struct Scale<'a> {
    config: &'a SamConfig,
    largest: Vec<Tensor<1>>,
}

impl Change for Scale<'_> {
    fn change<const D: usize>(
        &mut self,
        path: &[String],
        parameter: &Tensor<D>,
        tensor: Tensor<D>,
    ) -> Tensor<D> {
        let scaling = Scaling::of(self.config, name(path), D);
        let scaled = scaling.apply(parameter, tensor);
        self.largest.push(scaled.clone().max_abs());
        scaled
    }
}

/// Tg over its largest entry, and the squared norm of each parameter's part.
struct Normalise {
    factor: Tensor<1>,
    squares: Vec<Tensor<1>>,
}

impl Change for Normalise {
    fn change<const D: usize>(
        &mut self,
        _path: &[String],
        _parameter: &Tensor<D>,
        tensor: Tensor<D>,
    ) -> Tensor<D> {
        let normalised = times(tensor, &self.factor);
        self.squares.push(wide(normalised.clone()).square().sum());
        normalised
    }
}

/// T·(Tg/‖Tg‖)·ρ.
struct Lengthen<'a> {
    config: &'a SamConfig,
    factor: Tensor<1>,
}

impl Change for Lengthen<'_> {
    fn change<const D: usize>(
        &mut self,
        path: &[String],
        parameter: &Tensor<D>,
        tensor: Tensor<D>,
    ) -> Tensor<D> {
        let scaling = Scaling::of(self.config, name(path), D);
        times(scaling.apply(parameter, tensor), &self.factor)
    }
}

/// T·vector.
pub(super) fn adapted<M: Module>(
    config: &SamConfig,
    module: &M,
    vector: GradientsParams,
) -> GradientsParams {
    struct Adapt<'a>(&'a SamConfig);
    impl Change for Adapt<'_> {
        fn change<const D: usize>(
            &mut self,
            path: &[String],
            parameter: &Tensor<D>,
            tensor: Tensor<D>,
        ) -> Tensor<D> {
            Scaling::of(self.0, name(path), D).apply(parameter, tensor)
        }
    }
    map(module, vector, &mut Adapt(config))
}

/// What the parameter is called; in a list, what the list is.
fn name(path: &[String]) -> &str {
    let is_name = |name: &&String| name.parse::<usize>().is_err();
    let name = path.iter().rev().find(is_name);
    name.map_or("", String::as_str)
}

/// The tensor times a scalar, in the tensor's own precision.
fn times<const D: usize>(tensor: Tensor<D>, scalar: &Tensor<1>) -> Tensor<D> {
    let dtype = tensor.dtype();
    let tensor = wide(tensor);
    let scalar = scalar
        .clone()
        .to_device(&tensor.device())
        .cast(tensor.dtype());
    (tensor * scalar.reshape([1; D])).cast(dtype)
}
