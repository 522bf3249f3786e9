//! The step to where the linearised loss is largest in the neighbourhood.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};

use super::SamConfig;
use super::scaling::Scaling;

/// e = ρ T²g/‖Tg‖, a tensor for each trained parameter that has a gradient. Zero where the gradient is zero.
///
/// Nothing is read from the device. Tg is divided by its largest entry first, for the squares can be beyond the type
/// where the gradient is not.
pub(super) fn ascent<M: Module>(
    config: &SamConfig,
    module: &M,
    gradients: GradientsParams,
) -> GradientsParams {
    let mut scale = Scale::default();
    let scaled = change(config, module, gradients, &mut scale);
    let Some(largest) = together(scale.largest) else {
        return scaled;
    };
    let mut normalise = Normalise {
        factor: reciprocal(largest.max()),
        squares: Vec::new(),
    };
    let normalised = change(config, module, scaled, &mut normalise);
    let Some(squares) = together(normalise.squares) else {
        return normalised;
    };
    let mut lengthen = Lengthen {
        factor: reciprocal(squares.sum().sqrt()) * config.rho,
    };
    change(config, module, normalised, &mut lengthen)
}

/// What is done with the tensor of one trained parameter.
trait Change {
    fn change<const D: usize>(
        &mut self,
        scaling: Scaling,
        parameter: &Tensor<D>,
        tensor: Tensor<D>,
    ) -> Tensor<D>;
}

/// Tg, and the largest |Tg| of each parameter.
#[derive(Default)]
struct Scale {
    largest: Vec<Tensor<1>>,
}

impl Change for Scale {
    fn change<const D: usize>(
        &mut self,
        scaling: Scaling,
        parameter: &Tensor<D>,
        tensor: Tensor<D>,
    ) -> Tensor<D> {
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
        _scaling: Scaling,
        _parameter: &Tensor<D>,
        tensor: Tensor<D>,
    ) -> Tensor<D> {
        let normalised = times(tensor, &self.factor);
        self.squares.push(wide(normalised.clone()).square().sum());
        normalised
    }
}

/// T·(Tg/‖Tg‖)·ρ.
struct Lengthen {
    factor: Tensor<1>,
}

impl Change for Lengthen {
    fn change<const D: usize>(
        &mut self,
        scaling: Scaling,
        parameter: &Tensor<D>,
        tensor: Tensor<D>,
    ) -> Tensor<D> {
        times(scaling.apply(parameter, tensor), &self.factor)
    }
}

/// Takes the tensors, so that no more than two sets of them are held at a time.
fn change<M: Module>(
    config: &SamConfig,
    module: &M,
    tensors: GradientsParams,
    change: &mut impl Change,
) -> GradientsParams {
    let mut walk = Walk {
        config,
        names: Vec::new(),
        tensors,
        change,
        changed: GradientsParams::new(),
    };
    module.visit(&mut walk);
    walk.changed
}

struct Walk<'a, C> {
    config: &'a SamConfig,
    names: Vec<String>,
    tensors: GradientsParams,
    change: &'a mut C,
    changed: GradientsParams,
}

impl<C> Walk<'_, C> {
    /// What the parameter is called; in a list, what the list is.
    fn name(&self) -> &str {
        let is_name = |name: &&String| name.parse::<usize>().is_err();
        let name = self.names.iter().rev().find(is_name);
        name.map_or("", String::as_str)
    }
}

impl<C: Change> ModuleVisitor for Walk<'_, C> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        let Some(tensor) = self.tensors.get::<D>(param.id) else {
            return;
        };
        let scaling = Scaling::of(self.config, self.name(), D);
        // Without autodiff: an operation on the parameter itself would be recorded and its graph kept.
        let parameter = param.val().inner();
        let changed = self.change.change(scaling, &parameter, tensor);
        self.changed.register(param.id, changed);
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.names.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.names.pop();
    }
}

/// Scalars as one tensor: on the first one's device, in the widest of their types. A module can lie on several
/// devices.
fn together(scalars: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    let device = scalars.first()?.device();
    let double = scalars.iter().any(|scalar| scalar.dtype() == DType::F64);
    let dtype = if double { DType::F64 } else { DType::F32 };
    let scalars = scalars
        .into_iter()
        .map(|scalar| scalar.to_device(&device).cast(dtype));
    Some(Tensor::cat(scalars.collect(), 0))
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

/// At least single precision: half can hold neither the sum of its own squares nor every reciprocal.
fn wide<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(DType::F32),
        _ => tensor,
    }
}

/// 1/x; 1 where x is too small for that, so that zero stays zero.
fn reciprocal(x: Tensor<1>) -> Tensor<1> {
    let smallest = match x.dtype().finfo() {
        Some(info) => info.min_positive,
        None => f64::from(f32::MIN_POSITIVE),
    };
    let nothing = x.clone().lower_elem(smallest);
    x.mask_fill(nothing, 1.0).recip()
}
