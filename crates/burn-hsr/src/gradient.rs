//! The gradient of the bound as tensors shaped like the parameters they belong to.

use burn::module::{Param, ParamId};
use burn::nn::Linear;
use burn::optim::GradientsParams;
use burn::tensor::{Bool, DType, Tensor};

use crate::layers::Layers;

/// λ_sup, or the measure that is [descended](crate::Sharpness) in its place, and its gradient at one point. Plain
/// tensors, without autodiff, on the model's device.
#[derive(Clone, Debug)]
pub struct HsrGradient {
    /// The value, \[1\].
    pub value: Tensor<1>,
    /// The gradient for each layer's parameters, from the inputs on.
    pub layers: Vec<LayerGradient>,
    /// ∂value/∂x, \[N, d\], where it was asked for: the inputs are features of a backbone.
    pub inputs: Option<Tensor<2>>,
}

/// The part of a gradient that belongs to one layer, in the layout of Burn's `Linear`.
#[derive(Clone, Debug)]
pub struct LayerGradient {
    /// ∂value/∂W, \[inputs, outputs\]; none where the weight is frozen.
    pub weight: Option<Tensor<2>>,
    /// ∂value/∂b, \[outputs\]; none where there is no bias or it is frozen.
    pub bias: Option<Tensor<1>>,
}

impl HsrGradient {
    /// ‖∂value/∂θ‖ over all parameters together, \[1\].
    pub fn norm(&self) -> Tensor<1> {
        let of_layer = |layer: &LayerGradient| {
            let weight = layer.weight.clone().map(|weight| weight.square().sum());
            let bias = layer.bias.clone().map(|bias| bias.square().sum());
            [weight, bias]
        };
        let squares = self.layers.iter().flat_map(of_layer).flatten();
        squares
            .reduce(|sum, square| sum + square)
            .unwrap_or_else(|| self.value.zeros_like())
            .sqrt()
    }

    /// The same in another precision.
    pub(crate) fn cast(self, dtype: DType) -> Self {
        let value = self.value.clone().cast(dtype);
        Self {
            value,
            ..self.map(&Cast(dtype))
        }
    }

    /// The same value with every part of the gradient changed alike.
    pub(crate) fn map(self, change: &impl Change) -> Self {
        let of_layer = |layer: LayerGradient| LayerGradient {
            weight: layer.weight.map(|weight| change.change(weight)),
            bias: layer.bias.map(|bias| change.change(bias)),
        };
        Self {
            value: self.value,
            layers: self.layers.into_iter().map(of_layer).collect(),
            inputs: self.inputs.map(|inputs| change.change(inputs)),
        }
    }
}

/// What is done with every part of a gradient, whatever its rank.
pub(crate) trait Change {
    fn change<const D: usize>(&self, part: Tensor<D>) -> Tensor<D>;
}

/// Times a number.
pub(crate) struct ScaledBy(pub f64);

impl Change for ScaledBy {
    fn change<const D: usize>(&self, part: Tensor<D>) -> Tensor<D> {
        if self.0 == 1.0 { part } else { part * self.0 }
    }
}

/// Zero where the flag \[1\] is true or a value is NaN or infinite.
pub(crate) struct ZeroWhere(pub Tensor<1, Bool>);

impl Change for ZeroWhere {
    fn change<const D: usize>(&self, part: Tensor<D>) -> Tensor<D> {
        let broken = self.0.clone().reshape([1; D]).expand(part.shape());
        let not_finite = part.clone().is_finite().bool_not();
        part.mask_fill(not_finite.bool_or(broken), 0.0)
    }
}

/// In another precision.
pub(crate) struct Cast(pub DType);

impl Change for Cast {
    fn change<const D: usize>(&self, part: Tensor<D>) -> Tensor<D> {
        part.cast(self.0)
    }
}

/// What is done with each trainable parameter of a model and its part of the gradient.
pub(crate) trait Visit {
    fn visit<const D: usize>(&mut self, id: ParamId, parameter: &Tensor<D>, gradient: Tensor<D>);
}

/// Visits every trainable parameter; frozen ones stay frozen.
pub(crate) fn for_each_parameter<M: Layers>(
    model: &M,
    gradient: HsrGradient,
    visit: &mut impl Visit,
) {
    fn one<const D: usize>(
        param: &Param<Tensor<D>>,
        gradient: Option<Tensor<D>>,
        visit: &mut impl Visit,
    ) {
        if let Some(gradient) = gradient
            && param.is_require_grad()
        {
            visit.visit(param.id, param, gradient);
        }
    }
    for (layer, gradient) in model.layers().iter().zip(gradient.layers) {
        let linear = layer.linear();
        one(&linear.weight, gradient.weight, visit);
        if let Some(bias) = &linear.bias {
            one(bias, gradient.bias, visit);
        }
    }
}

/// The layers of a model as a module, with the parameters' identities.
pub(crate) fn linears<M: Layers>(model: &M) -> Vec<Linear> {
    let layers = model.layers();
    layers.iter().map(|layer| layer.linear().clone()).collect()
}

/// Adds the gradient to an optimizer's gradients, for every trainable parameter.
pub(crate) fn add_to<M: Layers>(model: &M, gradient: HsrGradient, gradients: &mut GradientsParams) {
    for_each_parameter(model, gradient, &mut Injection { gradients });
}

struct Injection<'a> {
    gradients: &'a mut GradientsParams,
}

impl Visit for Injection<'_> {
    fn visit<const D: usize>(&mut self, id: ParamId, _parameter: &Tensor<D>, gradient: Tensor<D>) {
        let sum = match self.gradients.remove::<D>(id) {
            Some(of_loss) => of_loss + gradient,
            None => gradient,
        };
        self.gradients.register(id, sum);
    }
}
