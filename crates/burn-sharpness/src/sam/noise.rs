//! NSO: noise in both directions.

use burn::config::Config;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_penalty::Group;
use burn_penalty::algebra::{add, combination, scale};
use burn_penalty::probe::generator;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::ascent::adapted;
use super::config::at_least_one;
use super::step::{Descent, Step, shared};
use crate::error::SharpnessError;

/// Noise stability optimization: the mean of the loss's gradient over Gaussian noise u in the parameters, each u with its
/// negative, so that the part of first order cancels:
///
/// ```text
/// (1/2n) Σᵢ [∇L(θ + uᵢ) + ∇L(θ − uᵢ)],   u ~ N(0, ρ²)
/// ```
///
/// It estimates the gradient of L + ½ρ² tr H. ρ is σ of the paper, the deviation of each coordinate: e has a length of about
/// ρ√D. Where ASAM's T is asked for, which the paper does not have, u is T times that.
///
/// There is no pass at θ: running statistics are updated by the pass at θ + u₁, whose loss is the step's. The authors' code
/// updates them at θ, with a pass more.
///
/// Reference: H. R. Zhang, D. Li, H. Ju, "Noise Stability Optimization for Finding Flat Minima: A Hessian-based
/// Regularization Approach", TMLR 2024, [arXiv 2306.08553](https://arxiv.org/abs/2306.08553), algorithm 1.
#[derive(Config, Debug, PartialEq)]
pub struct NsoConfig {
    /// n, the pairs of a step, two passes each.
    #[config(default = 1)]
    pub pairs: u64,
}

impl NsoConfig {
    pub(super) fn check(&self) -> Result<(), SharpnessError> {
        at_least_one("pairs", self.pairs)
    }

    pub(super) fn descend<M: Module>(
        &self,
        step: &mut Step<'_, M>,
    ) -> Result<Descent, SharpnessError> {
        let (module, group) = (step.module, step.group()?);
        let mut generator = generator(step.config.seed, step.number);
        let mut sum = GradientsParams::new();
        for pair in 0..self.pairs {
            let noise = normal(module, step.rho, &mut generator, &group);
            let noise = if step.config.adaptive {
                adapted(step.config, module, noise)
            } else {
                noise
            };
            let after = if pair == 0 {
                step.first_at(&noise)?
            } else {
                step.at(shared(module, &noise))?
            };
            let before = step.at(scale(module, &noise, -1.0))?;
            let terms = [&sum, &after, &before].map(|gradients| (1.0.into(), gradients));
            sum = combination(module, &terms);
        }
        let share = 0.5 / self.pairs as f64;
        Ok(add(module, GradientsParams::new(), share, &sum).into())
    }
}

/// Independent normal numbers for every parameter of the group. At least in single precision. Drawn on the host, so that
/// every device gets the same ones.
fn normal<M: Module>(
    module: &M,
    deviation: f64,
    generator: &mut impl Rng,
    group: &Group,
) -> GradientsParams {
    struct Draw<'a, R> {
        generator: &'a mut R,
        deviation: f64,
        group: &'a Group,
        out: GradientsParams,
    }
    impl<R: Rng> ModuleVisitor for Draw<'_, R> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !self.group.has(param.id) {
                return;
            }
            let value = param.val().inner();
            let shape = value.shape();
            let numbers: Vec<f64> = (0..shape.num_elements())
                .map(|_| self.deviation * self.generator.sample::<f64, _>(StandardNormal))
                .collect();
            let dtype = match value.dtype() {
                DType::F64 => DType::F64,
                _ => DType::F32,
            };
            let at: (&Device, DType) = (&value.device(), dtype);
            let data = TensorData::new(numbers, shape);
            self.out
                .register(param.id, Tensor::<D>::from_data(data, at));
        }
    }
    let mut draw = Draw {
        generator,
        deviation,
        group,
        out: GradientsParams::new(),
    };
    module.visit(&mut draw);
    draw.out
}
