//! Differences of gradients: Hessian-vector products and their derivatives, where Burn differentiates once.
//!
//! With g(s) = ∇L(θ + s), all passes on the same data and with the same [random numbers](crate::Randomness):
//!
//! | function | formula | gives | error |
//! |---|---|---|---|
//! | [`forward`] | (g(εv) − g(0))/ε | Hv | O(ε), odd in v |
//! | [`central`] | (g(εv) − g(−εv))/2ε | Hv | O(ε²) |
//! | [`second`] | (g(εv) − 2g(0) + g(−εv))/ε² | ∇(vᵀHv) | O(ε²) |
//! | [`mixed`] | (g(ηw + εv) − g(ηw) − g(εv) + g(0))/εη | ∇(wᵀHv) | O(ε) + O(η) |
//!
//! `step` is what is really added to the parameters, εv in their own precision: see [`taken`].

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::algebra::{combination, difference, scale};
use crate::number::Number;
use crate::tensors::{in_precision, wide};

/// What a step becomes where it is added to the parameters in their precision: fl(θ + step) − θ. In single precision ε is
/// not much above what θ rounds to, and for signs it would round the same way at every step.
pub fn taken<M: Module>(module: &M, step: &GradientsParams) -> GradientsParams {
    struct Taken<'a> {
        step: &'a GradientsParams,
        out: GradientsParams,
    }
    impl ModuleVisitor for Taken<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(step) = self.step.get::<D>(param.id) {
                let here = param.val().inner();
                let dtype = here.dtype();
                let here = wide(here);
                let there = wide(in_precision(here.clone() + wide(step), dtype));
                self.out.register(param.id, there - here);
            }
        }
    }
    let mut taken = Taken {
        step,
        out: GradientsParams::new(),
    };
    module.visit(&mut taken);
    taken.out
}

/// The gradients at both ends of a step.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// g(εv).
    pub after: &'a GradientsParams,
    /// g(−εv), or g(0) where the difference is one-sided.
    pub before: &'a GradientsParams,
}

/// (g(εv) − g(0))/ε.
pub fn forward<M: Module>(
    module: &M,
    after: &GradientsParams,
    here: &GradientsParams,
    epsilon: &Tensor<1>,
) -> GradientsParams {
    let rise = difference(module, after, here);
    scale(module, &rise, epsilon.clone().recip())
}

/// (g(εv) − g(−εv))/2ε.
pub fn central<M: Module>(module: &M, ends: Ends<'_>, epsilon: &Tensor<1>) -> GradientsParams {
    let rise = difference(module, ends.after, ends.before);
    scale(module, &rise, (epsilon.clone() * 2.0).recip())
}

/// (g(εv) − 2g(0) + g(−εv))/ε².
pub fn second<M: Module>(
    module: &M,
    ends: Ends<'_>,
    here: &GradientsParams,
    epsilon: &Tensor<1>,
) -> GradientsParams {
    // Differences first: the three gradients are nearly the same.
    let rise = difference(module, ends.after, here);
    let fall = difference(module, ends.before, here);
    let bend = combination(module, &[(1.0.into(), &rise), (1.0.into(), &fall)]);
    scale(module, &bend, epsilon.clone().square().recip())
}

/// factor·[(there.after − there.before) − (here.after − here.before)]: the mixed difference of four gradients, where
/// `factor` is 1 over the product of the two steps.
pub fn mixed<M: Module>(
    module: &M,
    there: Ends<'_>,
    here: Ends<'_>,
    factor: impl Into<Number>,
) -> GradientsParams {
    let of_there = difference(module, there.after, there.before);
    let of_here = difference(module, here.after, here.before);
    scale(module, &difference(module, &of_there, &of_here), factor)
}
