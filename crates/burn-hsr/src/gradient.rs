//! The gradient of the bound as tensors shaped like the parameters they belong to.

use burn::module::{Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Bool, DType, Tensor};

use crate::ThreeLayer;

/// λ_sup, or the measure that is [descended](crate::Sharpness) in its place, and its closed-form gradient at one point. Plain tensors, without autodiff, on the model's device.
#[derive(Clone, Debug)]
pub struct HsrGradient {
    /// The value, \[1\].
    pub value: Tensor<1>,
    /// ∂value/∂W1 in the layout of Burn's `Linear`, \[d, h\].
    pub hidden_weight: Tensor<2>,
    /// ∂value/∂b1, \[h\].
    pub hidden_bias: Option<Tensor<1>>,
    /// ∂value/∂W2, \[h, K\].
    pub output_weight: Tensor<2>,
    /// ∂value/∂b2, \[K\].
    pub output_bias: Option<Tensor<1>>,
    /// ∂value/∂x, \[N, d\], where it was asked for: the inputs are features of a backbone.
    pub inputs: Option<Tensor<2>>,
}

impl HsrGradient {
    /// ‖∂value/∂θ‖ over all parameters together, \[1\].
    pub fn norm(&self) -> Tensor<1> {
        let mut sum =
            self.hidden_weight.clone().square().sum() + self.output_weight.clone().square().sum();
        for bias in [&self.hidden_bias, &self.output_bias].into_iter().flatten() {
            sum = sum + bias.clone().square().sum();
        }
        sum.sqrt()
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
        Self {
            value: self.value,
            hidden_weight: change.change(self.hidden_weight),
            hidden_bias: self.hidden_bias.map(|bias| change.change(bias)),
            output_weight: change.change(self.output_weight),
            output_bias: self.output_bias.map(|bias| change.change(bias)),
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

/// Times a scalar on the device, \[1\].
pub(crate) struct Scaled(pub Tensor<1>);

impl Change for Scaled {
    fn change<const D: usize>(&self, part: Tensor<D>) -> Tensor<D> {
        part * self.0.clone().reshape([1; D])
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

/// What is done with each trainable parameter of a three-layer model and its part of the gradient.
pub(crate) trait Visit {
    fn visit<const D: usize>(&mut self, id: ParamId, parameter: &Tensor<D>, gradient: Tensor<D>);
}

/// Visits every trainable parameter; frozen ones stay frozen.
pub(crate) fn for_each_parameter<M: ThreeLayer>(
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
    let (hidden, output) = (model.hidden(), model.output());
    one(&hidden.weight, Some(gradient.hidden_weight), visit);
    if let Some(bias) = &hidden.bias {
        one(bias, gradient.hidden_bias, visit);
    }
    one(&output.weight, Some(gradient.output_weight), visit);
    if let Some(bias) = &output.bias {
        one(bias, gradient.output_bias, visit);
    }
}

/// Adds the gradient to an optimizer's gradients, for every trainable parameter.
pub(crate) fn add_to<M: ThreeLayer>(
    model: &M,
    gradient: HsrGradient,
    gradients: &mut GradientsParams,
) {
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

/// Whether every parameter that the closed form covers is trained.
pub(crate) fn is_trained_whole<M: ThreeLayer>(model: &M) -> bool {
    [model.hidden(), model.output()].into_iter().all(|layer| {
        let bias = layer.bias.as_ref();
        layer.weight.is_require_grad() && bias.is_none_or(|bias| bias.is_require_grad())
    })
}
