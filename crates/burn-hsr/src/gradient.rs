//! The gradient of the bound as tensors shaped like the parameters they belong to.

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;

use crate::ThreeLayer;

/// λ_sup and its closed-form gradient at one point. Plain tensors, without autodiff, on the model's device.
#[derive(Clone, Debug)]
pub struct HsrGradient {
    /// λ_sup, \[1\].
    pub lambda_sup: Tensor<1>,
    /// ∂λ_sup/∂W1 in the layout of Burn's `Linear`, \[d, h\].
    pub hidden_weight: Tensor<2>,
    /// ∂λ_sup/∂b1, \[h\].
    pub hidden_bias: Option<Tensor<1>>,
    /// ∂λ_sup/∂W2, \[h, K\].
    pub output_weight: Tensor<2>,
    /// ∂λ_sup/∂b2, \[K\].
    pub output_bias: Option<Tensor<1>>,
    /// ∂λ_sup/∂x, \[N, d\], where it was asked for: the inputs are features of a backbone.
    pub inputs: Option<Tensor<2>>,
}

impl HsrGradient {
    /// ‖∂λ_sup/∂θ‖ over all parameters together, \[1\].
    pub fn norm(&self) -> Tensor<1> {
        let mut sum =
            self.hidden_weight.clone().square().sum() + self.output_weight.clone().square().sum();
        for bias in [&self.hidden_bias, &self.output_bias].into_iter().flatten() {
            sum = sum + bias.clone().square().sum();
        }
        sum.sqrt()
    }

    /// Every part of the gradient times `factor` \[1\].
    pub(crate) fn scale(self, factor: Tensor<1>) -> Self {
        let matrix = factor.clone().unsqueeze::<2>();
        Self {
            lambda_sup: self.lambda_sup,
            hidden_weight: self.hidden_weight * matrix.clone(),
            hidden_bias: self.hidden_bias.map(|bias| bias * factor.clone()),
            output_weight: self.output_weight * matrix.clone(),
            output_bias: self.output_bias.map(|bias| bias * factor),
            inputs: self.inputs.map(|inputs| inputs * matrix),
        }
    }

    /// Every part of the gradient times a number.
    pub(crate) fn scale_by(self, factor: f64) -> Self {
        if factor == 1.0 {
            return self;
        }
        Self {
            lambda_sup: self.lambda_sup,
            hidden_weight: self.hidden_weight * factor,
            hidden_bias: self.hidden_bias.map(|bias| bias * factor),
            output_weight: self.output_weight * factor,
            output_bias: self.output_bias.map(|bias| bias * factor),
            inputs: self.inputs.map(|inputs| inputs * factor),
        }
    }
}

/// What is done with each trainable parameter of a three-layer model and its part of the gradient.
pub(crate) trait Visit {
    fn visit<const D: usize>(&mut self, id: ParamId, parameter: Tensor<D>, gradient: Tensor<D>);
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
        let parameter = param.val();
        if let Some(gradient) = gradient
            && parameter.is_require_grad()
        {
            visit.visit(param.id, parameter, gradient);
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

impl HsrGradient {
    /// Zero where `broken` \[1\] is true or a value is NaN.
    pub(crate) fn or_zero(self, broken: Tensor<1, burn::tensor::Bool>) -> Self {
        fn clean<const D: usize>(
            tensor: Tensor<D>,
            broken: &Tensor<1, burn::tensor::Bool>,
        ) -> Tensor<D> {
            let broken = broken.clone().reshape([1; D]).expand(tensor.shape());
            let not_finite = tensor.clone().is_finite().bool_not();
            tensor.mask_fill(not_finite.bool_or(broken), 0.0)
        }
        Self {
            lambda_sup: self.lambda_sup,
            hidden_weight: clean(self.hidden_weight, &broken),
            hidden_bias: self.hidden_bias.map(|bias| clean(bias, &broken)),
            output_weight: clean(self.output_weight, &broken),
            output_bias: self.output_bias.map(|bias| clean(bias, &broken)),
            inputs: self.inputs.map(|inputs| clean(inputs, &broken)),
        }
    }
}
