//! A random probe, the gradients along it and what they give.
//!
//! Everything that is as long as the parameters is passed over as seldom as it can be: on small networks such passes, not
//! the gradients, are what a step costs. So differences of gradients are never divided by their steps; numbers are.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::estimate::{Moments, Weights};
use super::{Objective, Scheme, StochasticHsrConfig};
use crate::algebra::{combination, difference, dot, filter, largest, reciprocal, scale};
use crate::differences::{self, Ends, taken};
use crate::precision::placed;
use crate::{Group, PenaltyError};

/// One probe v and the gradients along it, on a step of h = ε where the difference is one-sided, else 2ε.
pub(super) struct Probe {
    scheme: Scheme,
    epsilon: Tensor<1>,
    h: Tensor<1>,
    /// D.
    size: usize,
    /// εv as it is taken, and −εv.
    forward: GradientsParams,
    backward: Option<GradientsParams>,
    /// hv as it was taken.
    span: GradientsParams,
    after: GradientsParams,
    before: Option<GradientsParams>,
    /// r = hHv, the difference of the two gradients.
    rise: GradientsParams,
    /// r/‖r‖_∞, whose squares neither overflow nor vanish.
    scaled: GradientsParams,
    /// ‖r‖_∞, \[1\].
    largest: Tensor<1>,
    /// (hv)ᵀ(r/‖r‖_∞) and ‖r/‖r‖_∞‖², \[1\] each.
    across: Tensor<1>,
    square: Tensor<1>,
}

impl Probe {
    /// The probe of these signs; `at` gives the gradients at a step away from θ, `here` are those at θ.
    pub fn new<M: Module>(
        module: &M,
        group: &Group,
        signs: &GradientsParams,
        epsilon: Tensor<1>,
        config: &StochasticHsrConfig,
        here: &GradientsParams,
        at: &mut impl FnMut(GradientsParams) -> GradientsParams,
    ) -> Result<Self, PenaltyError> {
        let central = config.objective == Objective::Trace || config.scheme != Scheme::S4;
        let forward = taken(module, &scale(module, signs, epsilon.clone()));
        let after = group.filter(module, &at(copy(module, &forward)));
        let (h, span, rise, backward, before);
        if central {
            let step = taken(module, &scale(module, signs, epsilon.clone().neg()));
            let there = group.filter(module, &at(copy(module, &step)));
            h = epsilon.clone() * 2.0;
            span = difference(module, &forward, &step);
            rise = difference(module, &after, &there);
            (backward, before) = (Some(step), Some(there));
        } else {
            h = epsilon.clone();
            span = copy(module, &forward);
            rise = difference(module, &after, here);
            (backward, before) = (None, None);
        }
        // Beside ε, where the module lies on several devices.
        let beside = |number| placed(number, &epsilon.device(), epsilon.dtype());
        let largest = beside(largest(module, &rise)?);
        let scaled = scale(module, &rise, reciprocal(largest.clone()));
        let across = beside(dot(module, &span, &scaled)?);
        let square = beside(dot(module, &scaled, &scaled)?);
        Ok(Self {
            scheme: config.scheme,
            epsilon,
            h,
            size: group.size(),
            across,
            square,
            forward,
            backward,
            span,
            after,
            before,
            rise,
            scaled,
            largest,
        })
    }

    /// t̂ = vᵀHv and q̂ = ‖Hv‖².
    pub fn moments(&self) -> Moments {
        // Hv/‖r/‖r‖_∞‖.
        let unit = self.largest.clone() * self.h.clone().recip();
        Moments {
            trace: self.across.clone() * self.h.clone().recip() * unit.clone(),
            square: (self.square.clone().sqrt() * unit).square(),
        }
    }

    /// ∇(vᵀHv).
    pub fn of_trace<M: Module>(&self, module: &M, here: &GradientsParams) -> GradientsParams {
        let ends = Ends {
            after: &self.after,
            before: self.before.as_ref().unwrap_or(here),
        };
        differences::second(module, ends, here, &self.epsilon)
    }

    /// ∇(yᵀHv), y = w_t v + 2w_q Hv.
    pub fn of_bound<M: Module>(
        &self,
        module: &M,
        group: &Group,
        weights: &Weights,
        at: &mut impl FnMut(GradientsParams) -> GradientsParams,
    ) -> GradientsParams {
        // η = 0.1 ε√D, and y = a·(hv) + b·(r/‖r‖_∞).
        let eta = self.epsilon.clone() * (0.1 * (self.size as f64).sqrt());
        let inverse = self.h.clone().recip();
        let a = weights.trace.clone() * inverse.clone();
        let b = weights.square.clone() * self.largest.clone() * inverse.clone() * 2.0;
        let norm = self.norm(&a, &b);
        let unit = eta.clone() * reciprocal(norm.clone());
        let level = combination(
            module,
            &[
                ((a * unit.clone()).into(), &self.span),
                ((b * unit).into(), &self.scaled),
            ],
        );
        let mut along = |sign: f64, step: &GradientsParams| {
            let there = combination(module, &[(1.0.into(), step), (sign.into(), &level)]);
            group.filter(module, &at(there))
        };
        let none = GradientsParams::new();
        let backward = self.backward.as_ref().unwrap_or(&none);
        let mut across = |sign: f64| {
            let after = along(sign, &self.forward);
            difference(module, &after, &along(sign, backward))
        };
        let there = across(1.0);
        let (bend, length) = match self.scheme {
            Scheme::S4 | Scheme::S5 => (difference(module, &there, &self.rise), eta),
            Scheme::S7 => (difference(module, &there, &across(-1.0)), eta * 2.0),
        };
        scale(module, &bend, norm * inverse * reciprocal(length))
    }

    /// ‖a·(hv) + b·(r/‖r‖_∞)‖ from the products that are known already; ‖hv‖ is h√D but for rounding. It only decides how
    /// far the step along y goes.
    fn norm(&self, a: &Tensor<1>, b: &Tensor<1>) -> Tensor<1> {
        let span = self.h.clone() * (self.size as f64).sqrt();
        // Both parts over the larger one, because squares of their own can be beyond the type.
        let parts = [
            a.clone() * span.clone(),
            b.clone() * self.square.clone().sqrt(),
        ];
        let larger = parts[0].clone().abs().max_pair(parts[1].clone().abs());
        let over = reciprocal(larger.clone());
        let [along, across] = parts.map(|part| part * over.clone());
        let cosine =
            self.across.clone() * reciprocal(span) * reciprocal(self.square.clone().sqrt());
        let square =
            along.clone().square() + across.clone().square() + along * across * cosine * 2.0;
        // Where the parts all but cancel, rounding would have the step go too far.
        larger * square.clamp_min(1e-6).sqrt()
    }
}

/// The same tensors, shared.
fn copy<M: Module>(module: &M, vector: &GradientsParams) -> GradientsParams {
    filter(module, vector, |_| true)
}
