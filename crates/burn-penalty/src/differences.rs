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
//! Where ε is not far above what θ rounds to, v should be what is really added over ε: fl(θ + εv) − θ.

use burn::module::Module;
use burn::optim::GradientsParams;

use crate::algebra::{combination, difference, scale};
use crate::number::Number;

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
    epsilon: &Number,
) -> GradientsParams {
    let rise = difference(module, after, here);
    scale(module, &rise, epsilon.clone().recip())
}

/// (g(εv) − g(−εv))/2ε.
pub fn central<M: Module>(module: &M, ends: Ends<'_>, epsilon: &Number) -> GradientsParams {
    let rise = difference(module, ends.after, ends.before);
    scale(module, &rise, (epsilon.clone() * 2.0).recip())
}

/// (g(εv) − 2g(0) + g(−εv))/ε².
pub fn second<M: Module>(
    module: &M,
    ends: Ends<'_>,
    here: &GradientsParams,
    epsilon: &Number,
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

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{DType, Device, Tensor};

    use super::{Ends, central, forward, mixed, second};

    #[derive(Module, Debug)]
    struct Parameters {
        theta: Param<Tensor<1>>,
    }

    /// L = Σ θ_i⁴, whose H is diag 12θ_i² and whose ∇(wᵀHv) is 24 θ_i w_i v_i.
    #[test]
    fn differences_of_gradients_are_the_derivatives_that_they_are_said_to_be() {
        let at = (&Device::flex(), DType::F64);
        let tensor = |values: [f64; 3]| Tensor::<1>::from_data(values, at);
        let (theta, v, w) = ([0.5, -1.0, 2.0], [1.0, -1.0, 0.5], [2.0, 0.25, -1.0]);
        let module = Parameters {
            theta: Param::from_tensor(tensor(theta)),
        };
        let (epsilon, eta) = (1e-4, 2e-4);
        let gradient = |along_v: f64, along_w: f64| {
            let there = |i: usize| theta[i] + epsilon * along_v * v[i] + eta * along_w * w[i];
            let mut gradients = GradientsParams::new();
            let values = [0, 1, 2].map(|i| 4.0 * there(i).powi(3));
            gradients.register(module.theta.id, tensor(values));
            gradients
        };
        let [here, after, before] = [0.0, 1.0, -1.0].map(|along| gradient(along, 0.0));
        let (there, there_after) = (gradient(0.0, 1.0), gradient(1.0, 1.0));
        let ends = Ends {
            after: &after,
            before: &before,
        };
        let one_sided = |after, before| Ends { after, before };
        let step = epsilon.into();
        let product = [0, 1, 2].map(|i| 12.0 * theta[i] * theta[i] * v[i]);
        let bend = |w: [f64; 3]| [0, 1, 2].map(|i| 24.0 * theta[i] * w[i] * v[i]);
        let factor = 1.0 / (epsilon * eta);
        for (name, found, expected, allowed) in [
            (
                "forward",
                forward(&module, &after, &here, &step),
                product,
                1e-2,
            ),
            ("central", central(&module, ends, &step), product, 1e-6),
            ("second", second(&module, ends, &here, &step), bend(v), 1e-5),
            (
                "mixed",
                mixed(
                    &module,
                    one_sided(&there_after, &there),
                    one_sided(&after, &here),
                    factor,
                ),
                bend(w),
                5e-2,
            ),
        ] {
            let found: Vec<f64> = found
                .get::<1>(module.theta.id)
                .expect("one parameter")
                .try_into_vec_as()
                .expect("a tensor in memory");
            for (found, expected) in found.iter().zip(expected) {
                let error = (found - expected).abs();
                assert!(error < allowed, "{name}: {found} and {expected}");
            }
        }
    }
}
