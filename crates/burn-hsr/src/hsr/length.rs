//! Gradients scaled to a length.

use burn::module::ParamId;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::gradient::{HsrGradient, Scaled, SquaredNorm, Visit, for_each_parameter};
use crate::{Layers, device};

/// ∇λ_sup scaled to the length strength, over the parameters that are trained; a zero gradient stays zero.
pub(super) fn normalised<M: Layers>(
    model: &M,
    gradient: HsrGradient,
    strength: f64,
) -> HsrGradient {
    // Divided by its largest entry first: the squares can be beyond the type where the gradient is not.
    let largest = Measure::Largest.of(model, &gradient);
    let gradient = gradient.map(&Scaled(reciprocal(largest)));
    let norm = Measure::Norm.of(model, &gradient);
    gradient.map(&Scaled(reciprocal(norm) * strength))
}

/// ∇λ_sup scaled to the length strength·‖∇L‖.
pub(super) fn relative<M: Layers>(
    gradient: HsrGradient,
    strength: f64,
    model: &M,
    gradients: &GradientsParams,
) -> HsrGradient {
    let mut of_loss = SquaredNorm {
        gradients,
        sum: gradient.value.zeros_like(),
    };
    for_each_parameter(model, gradient.clone(), &mut of_loss);
    let length = of_loss.sum.sqrt();
    normalised(model, gradient, strength).map(&Scaled(length))
}

/// 1/x; 1 where x is too small for that, so that zero stays zero.
fn reciprocal(x: Tensor<1>) -> Tensor<1> {
    let nothing = x.clone().lower_elem(device::smallest(x.dtype()));
    x.mask_fill(nothing, 1.0).recip()
}

/// The size of a gradient over the parameters that are trained.
#[derive(Clone, Copy)]
enum Measure {
    Largest,
    Norm,
}

impl Measure {
    fn of<M: Layers>(self, model: &M, gradient: &HsrGradient) -> Tensor<1> {
        let mut parts = Parts {
            measure: self,
            of: Vec::new(),
        };
        for_each_parameter(model, gradient.clone(), &mut parts);
        if parts.of.is_empty() {
            return gradient.value.zeros_like();
        }
        let parts = Tensor::cat(parts.of, 0);
        match self {
            Measure::Largest => parts.max(),
            Measure::Norm => parts.sum().sqrt(),
        }
    }
}

/// What each parameter contributes to a measure.
struct Parts {
    measure: Measure,
    of: Vec<Tensor<1>>,
}

impl Visit for Parts {
    fn visit<const D: usize>(&mut self, _id: ParamId, _parameter: &Tensor<D>, gradient: Tensor<D>) {
        self.of.push(match self.measure {
            Measure::Largest => gradient.max_abs(),
            Measure::Norm => gradient.square().sum(),
        });
    }
}
