//! A random probe, the gradients along it and what they give.
//!
//! Everything that is as long as the parameters is passed over as seldom as it can be: on small networks such passes, not
//! the gradients, are what a step costs. So differences of gradients are never divided by their steps; numbers are.

use super::config::Objective;
use super::config::Scheme;
use super::config::StochasticHsrConfig;
use super::estimate::{Moments, Weights};
use crate::error::PenaltyError;
use crate::number::Number;
use crate::vector::{Difference, Element, Formula, Moved, ScaledProduct, Vector};

/// Where the passes of a step are made.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    /// θ.
    pub parameters: &'a Vector,
    /// g(0).
    pub gradients: &'a Vector,
    /// ε.
    pub epsilon: &'a Number,
    /// D.
    pub size: usize,
}

/// One probe v and the gradients along it, on a step of h = ε where the difference is one-sided, else 2ε.
pub(super) struct Probe<'a> {
    here: Here<'a>,
    scheme: Scheme,
    h: Number,
    /// hv as it was taken.
    span: Vector,
    /// Where the difference is central.
    ends: Option<Ends>,
    /// r = hHv, the difference of the two gradients.
    rise: Vector,
    /// ‖r‖_∞, and 1 over it.
    largest: Number,
    over: Number,
    /// (hv)ᵀ(r/‖r‖_∞) and ‖r/‖r‖_∞‖²: squares of r itself can overflow or vanish.
    across: Number,
    square: Number,
}

/// Both ends of a central difference.
struct Ends {
    /// εv as it is taken, and −εv.
    forward: Vector,
    backward: Vector,
    /// g(εv) and g(−εv).
    after: Vector,
    before: Vector,
}

impl<'a> Probe<'a> {
    /// The probe of these signs; `at` gives the gradients at other parameters.
    pub fn new(
        here: Here<'a>,
        signs: &Vector,
        config: &StochasticHsrConfig,
        at: &mut impl FnMut(Vector) -> Result<Vector, PenaltyError>,
    ) -> Result<Self, PenaltyError> {
        let Here {
            parameters,
            epsilon,
            ..
        } = here;
        let central = config.objective == Objective::Trace || config.scheme != Scheme::S4;
        // What is really added: fl(θ + εv) − θ. In single precision ε is not much above what θ rounds to, and for signs it
        // would round the same way at every step.
        let mut step = |epsilon: &Number| {
            let there = Vector::map(Moved, [epsilon], [parameters, signs]).rounded();
            let taken = Vector::map(Difference, [], [&there, parameters]);
            at(there).map(|gradients| (taken, gradients))
        };
        let (forward, after) = step(epsilon)?;
        let (h, span, rise, ends);
        if central {
            let (backward, before) = step(&(epsilon.clone() * -1.0))?;
            h = epsilon.clone() * 2.0;
            span = Vector::map(Difference, [], [&forward, &backward]);
            rise = Vector::map(Difference, [], [&after, &before]);
            ends = Some(Ends {
                forward,
                backward,
                after,
                before,
            });
        } else {
            h = epsilon.clone();
            span = forward;
            rise = Vector::map(Difference, [], [&after, here.gradients]);
            ends = None;
        }
        let largest = rise.largest()?;
        let over = largest.clone().reciprocal();
        let one = Number::Here(1.0);
        let across = Vector::sum(ScaledProduct, [&one, &over], [&span, &rise])?;
        let square = Vector::sum(ScaledProduct, [&over, &over], [&rise, &rise])?;
        Ok(Self {
            here,
            scheme: config.scheme,
            h,
            span,
            ends,
            rise,
            largest,
            over,
            across,
            square,
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

    /// ∇(vᵀHv) of a central difference.
    pub fn of_trace(&self) -> Option<Vector> {
        let ends = self.ends.as_ref()?;
        let factor = self.here.epsilon.clone().square().recip();
        let gradients = [&ends.after, self.here.gradients, &ends.before];
        Some(Vector::map(Second, [&factor], gradients))
    }

    /// ∇(yᵀHv), y = w_t v + 2w_q Hv.
    pub fn of_bound(
        &self,
        weights: &Weights,
        at: &mut impl FnMut(Vector) -> Result<Vector, PenaltyError>,
    ) -> Result<Vector, PenaltyError> {
        // η = 0.1 ε√D, and y = a·(hv) + b·r.
        let eta = self.here.epsilon.clone() * (0.1 * (self.here.size as f64).sqrt());
        let inverse = self.h.clone().recip();
        let a = weights.trace.clone() * inverse.clone();
        let b = weights.square.clone() * self.largest.clone() * inverse.clone() * 2.0;
        let norm = self.norm(&a, &b);
        let unit = eta.clone() * norm.clone().reciprocal();
        let (a, b) = (a * unit.clone(), b * unit * self.over.clone());
        let mut along = |sign: f64, step: Option<&Vector>| {
            let (a, b) = (a.clone() * sign, b.clone() * sign);
            let (parameters, span, rise) = (self.here.parameters, &self.span, &self.rise);
            at(match step {
                Some(step) => Vector::map(Along, [&a, &b], [parameters, step, span, rise]),
                None => Vector::map(Along, [&a, &b], [parameters, span, rise]),
            })
        };
        let (forward, backward) = match &self.ends {
            Some(ends) => (&ends.forward, Some(&ends.backward)),
            None => (&self.span, None),
        };
        let factor = norm * inverse * eta.reciprocal();
        let ends = [along(1.0, Some(forward))?, along(1.0, backward)?];
        let [after, before] = &ends;
        Ok(match self.scheme {
            Scheme::S4 | Scheme::S5 => Vector::map(Bend, [&factor], [after, before, &self.rise]),
            Scheme::S7 => {
                let opposite = [along(-1.0, Some(forward))?, along(-1.0, backward)?];
                let factor = factor * 0.5;
                Vector::map(Bend, [&factor], [after, before, &opposite[0], &opposite[1]])
            }
        })
    }

    /// ‖a·(hv) + b·(r/‖r‖_∞)‖ from the products that are known already; ‖hv‖ is h√D but for rounding. It only decides how
    /// far the step along y goes.
    fn norm(&self, a: &Number, b: &Number) -> Number {
        let span = self.h.clone() * (self.here.size as f64).sqrt();
        let length = self.square.clone().sqrt();
        // Both parts over the larger one, because squares of their own can be beyond the type.
        let parts = [a.clone() * span.clone(), b.clone() * length.clone()];
        let larger = parts[0].clone().abs().max(parts[1].clone().abs());
        let over = larger.clone().reciprocal();
        let [along, across] = parts.map(|part| part * over.clone());
        let cosine = self.across.clone() * span.reciprocal() * length.reciprocal();
        let square =
            along.clone().square() + across.clone().square() + along * across * cosine * 2.0;
        // Where the parts all but cancel, rounding would have the step go too far.
        larger * square.at_least(1e-6).sqrt()
    }
}

/// θ + a·span + b·rise.
struct Along;

impl Formula<2, 3> for Along {
    #[inline]
    fn at<E: Element>([a, b]: [E::Scale; 2], [parameters, span, rise]: [E; 3]) -> E {
        parameters + (span.times(a) + rise.times(b))
    }
}

/// θ + (step + (a·span + b·rise)).
impl Formula<2, 4> for Along {
    #[inline]
    fn at<E: Element>([a, b]: [E::Scale; 2], [parameters, step, span, rise]: [E; 4]) -> E {
        parameters + (step + (span.times(a) + rise.times(b)))
    }
}

/// k·((after − before) − rise). Differences first: the gradients are nearly the same.
struct Bend;

impl Formula<1, 3> for Bend {
    #[inline]
    fn at<E: Element>([k]: [E::Scale; 1], [after, before, rise]: [E; 3]) -> E {
        ((after - before) - rise).times(k)
    }
}

/// k·((a − b) − (c − d)).
impl Formula<1, 4> for Bend {
    #[inline]
    fn at<E: Element>([k]: [E::Scale; 1], [a, b, c, d]: [E; 4]) -> E {
        ((a - b) - (c - d)).times(k)
    }
}

/// k·((after − here) + (before − here)).
pub(super) struct Second;

impl Formula<1, 3> for Second {
    #[inline]
    fn at<E: Element>([k]: [E::Scale; 1], [after, here, before]: [E; 3]) -> E {
        ((after - here.clone()) + (before - here)).times(k)
    }
}
