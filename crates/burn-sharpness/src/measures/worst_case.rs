//! The worst increase of the loss within a radius, by projected gradient ascent.

use core::fmt::Display;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use burn_penalty::passes::backward;
use burn_penalty::{Randomness, isolated};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::error::SharpnessError;
use crate::landscape::value_of;
use crate::parameters::ParameterSpace;

/// How far a displacement u reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Radius {
    /// ‖u‖₂ ≤ ρ.
    Euclidean,
    /// ‖u‖_∞ ≤ ρ.
    Maximum,
}

/// Worst-case sharpness: max L(θ + Tu) − L(θ) over |u| ≤ ρ, with T = diag(|θ|) (adaptive) or T = I.
///
/// Reference: numbers 1 and 2 of [`measures`](crate::measures). The maximum is sought by projected ascent in u from 0:
/// u ← P(u + η T∇L/‖T∇L‖₂), or P(u + η sign(T∇L)) with the maximum norm. η begins at ρ, and where a step does not
/// raise the loss, it is taken back and η is halved. So the result is a lower bound of the maximum, never negative, and
/// one step with the Euclidean norm is ASAM's own ascent. Two deviations from reference 2, both for the sake of exact
/// invariance: the ascent is done in u and not in θ, and there is no momentum.
///
/// ```
/// use burn_sharpness::measures::WorstCaseConfig;
///
/// // L = (3x² + y²)/2 at its minimum 0, plain radius 0.1: along x, 3·0.1²/2.
/// let worst = WorstCaseConfig::new().with_adaptive(false).with_rho(0.1).with_steps(60).init()?;
/// let found = worst.ascend(&[0.0, 0.0], |theta, gradient| {
///     gradient.copy_from_slice(&[3.0 * theta[0], theta[1]]);
///     Ok((3.0 * theta[0].powi(2) + theta[1].powi(2)) / 2.0)
/// })?;
/// assert!((found.increase - 0.015).abs() < 1e-9);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorstCase {
    config: WorstCaseConfig,
}

/// Configuration of [`WorstCase`]: by default ASAM's own radius, ρ = 0.5 in the Euclidean norm, adaptive.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct WorstCaseConfig {
    /// The radius ρ.
    #[config(default = 0.5)]
    pub rho: f64,
    /// Its norm.
    #[config(default = "Radius::Euclidean")]
    pub radius: Radius,
    /// Whether u counts in units of |θ|.
    #[config(default = true)]
    pub adaptive: bool,
    /// The most steps; each costs a loss and a gradient.
    #[config(default = 20)]
    pub steps: usize,
    /// The seed of the direction that is tried where the gradient is 0, and of dropout masks.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for WorstCaseConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl WorstCaseConfig {
    /// The measure.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where ρ is not positive and finite.
    pub fn init(&self) -> Result<WorstCase, SharpnessError> {
        if !(self.rho > 0.0 && self.rho.is_finite()) {
            return Err(SharpnessError::Option {
                option: "rho",
                value: self.rho,
                expected: "a positive number",
            });
        }
        Ok(WorstCase { config: *self })
    }
}

/// What an ascent found.
#[derive(Clone, Debug, PartialEq)]
pub struct Ascent {
    /// L(θ + displacement) − L(θ), 0 or more.
    pub increase: f64,
    /// Tu.
    pub displacement: Vec<f64>,
    /// Losses with gradients.
    pub evaluations: usize,
}

/// Step sizes below this fraction of ρ end the search.
const SMALLEST_STEP: f64 = 1e-6;

impl WorstCase {
    /// Ascends from `theta`; `loss_gradient(θ, g)` gives the loss and writes its gradient.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NotFinite`] where the loss or its gradient at θ is not, and what `loss_gradient` gives. A point whose loss is not finite counts as no ascent.
    pub fn ascend(
        &self,
        theta: &[f64],
        mut loss_gradient: impl FnMut(&[f64], &mut [f64]) -> Result<f64, SharpnessError>,
    ) -> Result<Ascent, SharpnessError> {
        let scale: Vec<f64> = theta
            .iter()
            .map(|v| if self.config.adaptive { v.abs() } else { 1.0 })
            .collect();
        let displaced =
            |u: &[f64]| -> Vec<f64> { u.iter().zip(&scale).map(|(u, t)| u * t).collect() };
        let mut gradient = vec![0.0; theta.len()];
        let start = loss_gradient(theta, &mut gradient)?;
        if !start.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            return Err(SharpnessError::NotFinite {
                what: "the loss or its gradient",
            });
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.config.seed);
        let (mut best, mut u, mut step) = (start, vec![0.0; theta.len()], self.config.rho);
        let mut evaluations = 1;
        let mut direction = self.direction(&gradient, &scale, &mut random);
        for _ in 0..self.config.steps {
            let trial: Vec<f64> = u
                .iter()
                .zip(&direction)
                .map(|(u, d)| u + step * d)
                .collect();
            let trial = self.projected(trial);
            let point: Vec<f64> = theta
                .iter()
                .zip(displaced(&trial))
                .map(|(v, d)| v + d)
                .collect();
            let loss = loss_gradient(&point, &mut gradient)?;
            evaluations += 1;
            // A NaN fails the comparison.
            if loss > best && loss.is_finite() && gradient.iter().all(|g| g.is_finite()) {
                (best, u) = (loss, trial);
                direction = self.direction(&gradient, &scale, &mut random);
            } else {
                step /= 2.0;
                if step < SMALLEST_STEP * self.config.rho {
                    break;
                }
            }
        }
        Ok(Ascent {
            increase: best - start,
            displacement: displaced(&u),
            evaluations,
        })
    }

    /// Ascends from a module's parameters; the loss is the mean over batches Σ_b w_b L_b / Σ_b w_b, where `loss` gives a
    /// batch's mean loss L_b, \[1\], and its weight w_b, its number of samples. `batches` gives all batches, anew at every
    /// step, as Burn's data loaders do: `|| loader.iter()`, or `|| batches.iter().map(Ok::<_, SharpnessError>)`. The
    /// module itself stays as it is; coordinates are those of its [`ParameterSpace`]. Every step sees the same dropout
    /// masks, those of the seed.
    ///
    /// # Shapes
    ///
    /// - loss of a batch: `[1]`
    ///
    /// # Errors
    ///
    /// As [`ascend`](Self::ascend); [`SharpnessError::Batch`] for a batch that cannot be had, [`SharpnessError::Option`]
    /// where the weights do not have a positive sum, and [`SharpnessError::Untracked`] where a loss has no graph.
    pub fn of_module<M: Module, B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        &self,
        module: &M,
        mut batches: impl FnMut() -> I,
        mut loss: impl FnMut(&M, B) -> (Tensor<1>, f64),
    ) -> Result<Ascent, SharpnessError> {
        let space = ParameterSpace::of(module)?;
        let theta = space.read(module)?;
        let module = isolated(module);
        let randomness = Randomness::new(&module, self.config.seed, 0);
        self.ascend(&theta, |point, gradient| {
            let step: Vec<f64> = point.iter().zip(&theta).map(|(p, t)| p - t).collect();
            let displaced = space.displaced(&module, &step, 1.0)?;
            let (mut sum, mut total) = (0.0, 0.0);
            gradient.fill(0.0);
            randomness.restart();
            for batch in batches() {
                let (loss, weight) = loss(&displaced, batch.map_err(SharpnessError::batch)?);
                sum += weight * value_of(loss.clone())?;
                total += weight;
                let of_batch = backward(&displaced, loss)?;
                let of_batch = space.read_gradients(&displaced, &of_batch)?;
                gradient
                    .iter_mut()
                    .zip(of_batch)
                    .for_each(|(g, b)| *g += weight * b);
            }
            if !(total > 0.0 && total.is_finite()) {
                return Err(SharpnessError::Option {
                    option: "the sum of the batches' weights",
                    value: total,
                    expected: "a finite number above 0",
                });
            }
            gradient.iter_mut().for_each(|g| *g /= total);
            Ok(sum / total)
        })
    }

    /// The direction of steepest ascent in u; a random one where the gradient says nothing.
    fn direction(&self, gradient: &[f64], scale: &[f64], random: &mut ChaCha8Rng) -> Vec<f64> {
        let mut ascent: Vec<f64> = gradient.iter().zip(scale).map(|(g, t)| g * t).collect();
        // Relative to the largest, so that squares of a tiny gradient do not vanish.
        let largest = ascent.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
        if largest == 0.0 {
            ascent
                .iter_mut()
                .for_each(|v| *v = StandardNormal.sample(random));
        } else {
            ascent.iter_mut().for_each(|v| *v /= largest);
        }
        match self.config.radius {
            Radius::Euclidean => {
                let norm = ascent.iter().map(|v| v * v).sum::<f64>().sqrt();
                ascent.iter_mut().for_each(|v| *v /= norm);
            }
            Radius::Maximum => {
                for v in &mut ascent {
                    *v = if *v == 0.0 { 0.0 } else { v.signum() };
                }
            }
        }
        ascent
    }

    fn projected(&self, mut u: Vec<f64>) -> Vec<f64> {
        match self.config.radius {
            Radius::Euclidean => {
                let norm = u.iter().map(|v| v * v).sum::<f64>().sqrt();
                if norm > self.config.rho {
                    u.iter_mut().for_each(|v| *v *= self.config.rho / norm);
                }
            }
            Radius::Maximum => u
                .iter_mut()
                .for_each(|v| *v = v.clamp(-self.config.rho, self.config.rho)),
        }
        u
    }
}
