//! The factor of a penalty's gradient where it depends on lengths.

use burn::module::{Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_penalty::Strength;

use crate::closed_form::read;
use crate::device;
use crate::error::HsrError;
use crate::gradient::{HsrGradient, Scaled, Visit, for_each_parameter};
use crate::host::norm;
use crate::layers::Layers;

/// A gradient times its factor.
pub(super) struct Applied {
    pub gradient: HsrGradient,
    /// The factor s, \[1\]; in the mode Direction that of ∇P/‖∇P‖.
    pub factor: Tensor<1>,
}

/// ∇P, or in the mode Direction ∇P/‖∇P‖, times the factor that the rule gives it, times that of the schedule. Lengths
/// are those over the parameters that are trained. A zero gradient stays zero.
pub(super) fn applied<M: Layers>(
    model: &M,
    gradient: HsrGradient,
    rule: Strength,
    schedule: f64,
    direction: bool,
    of_loss: Option<&GradientsParams>,
) -> Applied {
    // Divided by its largest entry first: the squares can be beyond the type where the gradient is not.
    let largest = Parts::of(model, &gradient, Part::Largest).largest();
    let gradient = gradient.map(&Scaled(reciprocal(largest.clone())));
    let scaled_norm = Parts::of(model, &gradient, Part::Square).sum().sqrt();
    // ‖∇P‖, or 1 for its direction.
    let norm = match direction {
        true => largest.ones_like(),
        false => largest * scaled_norm.clone(),
    };
    let longest = rule
        .share()
        .zip(of_loss)
        .map(|(share, of_loss)| length(model, &gradient, of_loss) * share);
    let own = rule.most().map(|most| norm.clone() * most);
    let length = match (own, longest) {
        (Some(own), Some(longest)) => own.min_pair(longest),
        (Some(length), None) | (None, Some(length)) => length,
        (None, None) => norm.zeros_like(),
    } * schedule;
    Applied {
        factor: length.clone() * reciprocal(norm),
        gradient: gradient.map(&Scaled(length * reciprocal(scaled_norm))),
    }
}

/// ‖∇L‖ over the parameters that are trained, of tensors in the host's memory.
pub(super) fn length_on_host<M: Layers>(
    model: &M,
    of_loss: &GradientsParams,
) -> Result<f64, HsrError> {
    fn of<const D: usize>(
        param: &Param<Tensor<D>>,
        of_loss: &GradientsParams,
        lengths: &mut Vec<f64>,
    ) -> Result<(), HsrError> {
        if param.is_require_grad()
            && let Some(part) = of_loss.get::<D>(param.id)
        {
            lengths.push(norm(&read::<f64, D>("a gradient of the loss", part)?));
        }
        Ok(())
    }
    let mut lengths = Vec::new();
    for layer in model.layers() {
        let linear = layer.linear();
        of(&linear.weight, of_loss, &mut lengths)?;
        if let Some(bias) = &linear.bias {
            of(bias, of_loss, &mut lengths)?;
        }
    }
    Ok(norm(&lengths))
}

/// ‖∇L‖ over the parameters that `gradient` has a part for.
fn length<M: Layers>(model: &M, gradient: &HsrGradient, of_loss: &GradientsParams) -> Tensor<1> {
    let largest = Parts::of(model, gradient, Part::LargestOf(of_loss)).largest();
    let unit = reciprocal(largest.clone());
    largest
        * Parts::of(model, gradient, Part::SquareOf(of_loss, unit))
            .sum()
            .sqrt()
}

/// 1/x; 1 where x is too small for that, so that zero stays zero.
fn reciprocal(x: Tensor<1>) -> Tensor<1> {
    let nothing = x.clone().lower_elem(device::smallest(x.dtype()));
    x.mask_fill(nothing, 1.0).recip()
}

/// What each trained parameter contributes to a measure.
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
enum Part<'a> {
    /// max |∂P|.
    Largest,
    /// Σ ∂P².
    Square,
    /// max |∂L|.
    LargestOf(&'a GradientsParams),
    /// Σ (unit·∂L)².
    SquareOf(&'a GradientsParams, Tensor<1>),
}

struct Parts<'a> {
    part: Part<'a>,
    parts: Vec<Tensor<1>>,
    zero: Tensor<1>,
}

impl<'a> Parts<'a> {
    fn of<M: Layers>(model: &M, gradient: &HsrGradient, part: Part<'a>) -> Self {
        let mut parts = Self {
            part,
            parts: Vec::new(),
            zero: gradient.value.zeros_like(),
        };
        for_each_parameter(model, gradient.clone(), &mut parts);
        parts
    }

    fn largest(self) -> Tensor<1> {
        match self.parts.is_empty() {
            true => self.zero,
            false => Tensor::cat(self.parts, 0).max(),
        }
    }

    fn sum(self) -> Tensor<1> {
        match self.parts.is_empty() {
            true => self.zero,
            false => Tensor::cat(self.parts, 0).sum(),
        }
    }
}

impl Visit for Parts<'_> {
    fn visit<const D: usize>(&mut self, id: ParamId, _parameter: &Tensor<D>, gradient: Tensor<D>) {
        self.parts.extend(match &self.part {
            Part::Largest => Some(gradient.max_abs()),
            Part::Square => Some(gradient.square().sum()),
            Part::LargestOf(of_loss) => of_loss.get::<D>(id).map(Tensor::max_abs),
            Part::SquareOf(of_loss, unit) => of_loss
                .get::<D>(id)
                .map(|it| (it * unit.clone().reshape([1; D])).square().sum()),
        });
    }
}
