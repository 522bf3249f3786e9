//! A curve between two models on which the loss stays low.

use core::fmt::Display;
use core::ops::ControlFlow;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use burn_penalty::passes::backward;
use burn_penalty::probe::generator;
use rand::RngExt;

use super::evaluate::{Progress, evaluate, value_of};
use super::line::{Profile, same_parameters};
use crate::error::SharpnessError;
use crate::parameters::ParameterSpace;

/// A quadratic Bézier curve in the space of the parameters,
///
/// ```text
/// φ(t) = (1 − t)² θ₀ + 2t(1 − t) θ + t² θ₁,   0 ≤ t ≤ 1,
/// ```
///
/// from one model θ₀ to another θ₁. Its control point θ is trained so that the mean loss on the curve, E L(φ(t)) for t
/// uniform in 0…1, is small: two minima between which the straight line rises over a barrier are often joined by such a
/// curve without one.
///
/// A step of the training draws a t and takes one gradient, ∂L(φ(t))/∂θ = 2t(1 − t) ∇L(φ(t)). Unlike in the reference it is
/// one of Adam, not of gradient descent with momentum: one learning rate then suits networks of any scale. The learning rate
/// falls to 0 along a line.
///
/// ```
/// use core::ops::ControlFlow;
///
/// use burn_sharpness::landscape::{Curve, CurveConfig};
///
/// // A ring of minima, x² + y² = 1, and a hill in the middle.
/// let ring = |p: &[f64]| (p[0] * p[0] + p[1] * p[1] - 1.0).powi(2);
/// let mut curve = Curve::straight([&[1.0, 0.0], &[-1.0, 0.1]])?;
/// let go_on = |_| ControlFlow::Continue(());
/// let before = curve.profile(11, |p| Ok(ring(p)), go_on)?.barrier().height;
/// curve.train(&CurveConfig::new(), |p, gradient| {
///     let slope = 4.0 * (p[0] * p[0] + p[1] * p[1] - 1.0);
///     gradient.copy_from_slice(&[slope * p[0], slope * p[1]]);
///     Ok(ring(p))
/// }, go_on)?;
/// let after = curve.profile(11, |p| Ok(ring(p)), go_on)?.barrier().height;
/// assert!(before > 0.9 && after < 0.2);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: T. Garipov, P. Izmailov, D. Podoprikhin, D. Vetrov, A. G. Wilson, "Loss Surfaces, Mode Connectivity, and Fast
/// Ensembling of DNNs", NeurIPS 2018, arXiv 1802.10026, equations 1, 2 and 6.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    ends: [Vec<f64>; 2],
    control: Vec<f64>,
}

/// How a curve is trained.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct CurveConfig {
    /// Steps, a gradient each.
    #[config(default = 300)]
    pub steps: usize,
    /// The learning rate of the first step.
    #[config(default = 0.03)]
    pub learning_rate: f64,
    /// The seed of the t.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for CurveConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl Curve {
    /// The straight line: the control point in the middle of the ends.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the ends are not of one length, [`SharpnessError::NotFinite`].
    pub fn straight(ends: [&[f64]; 2]) -> Result<Self, SharpnessError> {
        let [first, second] = ends;
        if second.len() != first.len() {
            return Err(SharpnessError::Length {
                what: "the second end",
                got: second.len(),
                expected: first.len(),
            });
        }
        if ends.iter().any(|end| end.iter().any(|v| !v.is_finite())) {
            let what = "an end of the curve";
            return Err(SharpnessError::NotFinite { what });
        }
        let middle = first.iter().zip(second).map(|(a, b)| 0.5 * a + 0.5 * b);
        Ok(Self {
            control: middle.collect(),
            ends: ends.map(<[f64]>::to_vec),
        })
    }

    /// The straight line between two modules of the same parameters, in the coordinates of the first one's
    /// [`ParameterSpace`].
    ///
    /// # Errors
    ///
    /// As [`straight`](Self::straight); [`SharpnessError::Parameters`] where the modules have other parameters.
    pub fn between<M: Module>(ends: [&M; 2]) -> Result<Self, SharpnessError> {
        let spaces = [ParameterSpace::of(ends[0])?, ParameterSpace::of(ends[1])?];
        same_parameters(&spaces)?;
        let [first, second] = [spaces[0].read(ends[0])?, spaces[1].read(ends[1])?];
        Self::straight([&first, &second])
    }

    /// θ.
    pub fn control(&self) -> &[f64] {
        &self.control
    }

    /// φ(t).
    pub fn point(&self, t: f64) -> Vec<f64> {
        let [first, second] = &self.ends;
        let [a, b, c] = [(1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t];
        let all = first.iter().zip(&self.control).zip(second);
        all.map(|((p, q), r)| a * p + b * q + c * r).collect()
    }

    /// A copy of a module with the parameters φ(t), what is no trainable parameter as it is there.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the module has other parameters.
    pub fn module<M: Module>(&self, module: &M, t: f64) -> Result<M, SharpnessError> {
        let space = ParameterSpace::of(module)?;
        space.check("the curve", &self.control)?;
        at(module, &space, &self.point(t))
    }

    /// Trains the control point; `gradient` gives L and writes ∇L at a point. It may be that of another batch at every call.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] for a learning rate that is not a positive number, [`SharpnessError::NotFinite`] where a
    /// gradient is, [`SharpnessError::Stopped`] where the observer stopped it, and what `gradient` gives.
    pub fn train(
        &mut self,
        options: &CurveConfig,
        mut gradient: impl FnMut(&[f64], &mut [f64]) -> Result<f64, SharpnessError>,
        mut observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), SharpnessError> {
        if !(options.learning_rate > 0.0 && options.learning_rate.is_finite()) {
            return Err(SharpnessError::Option {
                option: "learning_rate",
                value: options.learning_rate,
                expected: "a positive number",
            });
        }
        let size = self.control.len();
        let (mut own, mut mean, mut square) = (vec![0.0; size], vec![0.0; size], vec![0.0; size]);
        let total = options.steps;
        for step in 0..total {
            let t: f64 = generator(options.seed, step as u64).random();
            gradient(&self.point(t), &mut own)?;
            if !own.iter().all(|v| v.is_finite()) {
                let what = "the gradient";
                return Err(SharpnessError::NotFinite { what });
            }
            let share = 2.0 * t * (1.0 - t);
            let [first, second] = BETAS.map(|beta| 1.0 - beta.powf(step as f64 + 1.0));
            let rate = options.learning_rate * (1.0 - step as f64 / total as f64);
            let moments = mean.iter_mut().zip(&mut square);
            for ((theta, g), (m, v)) in self.control.iter_mut().zip(&own).zip(moments) {
                let g = share * g;
                *m += (1.0 - BETAS[0]) * (g - *m);
                *v += (1.0 - BETAS[1]) * (g * g - *v);
                *theta -= rate * (*m / first) / ((*v / second).sqrt() + EPSILON);
            }
            let done = step + 1;
            if observe(Progress { done, total }).is_break() && done < total {
                return Err(SharpnessError::Stopped { done, total });
            }
        }
        Ok(())
    }

    /// Trains the control point on batches, one a step and all of them in turn; `loss` gives a batch's mean loss, \[1\], and a
    /// weight that has no meaning here, so that it is the closure of [`Plane::of_module`](super::Plane::of_module) too. The
    /// module is one of the ends or another of the same parameters: everything beside the trained parameters is its own.
    /// `loss` gets it in training, with dropout and batch normalisation as there; the module itself stays as it is.
    ///
    /// # Shapes
    ///
    /// - loss of a batch: `[1]`
    ///
    /// # Errors
    ///
    /// As [`train`](Self::train); [`SharpnessError::Batch`] for a batch that cannot be had and [`SharpnessError::Option`]
    /// where there is none.
    pub fn train_module<M: Module, B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        &mut self,
        options: &CurveConfig,
        module: &M,
        mut batches: impl FnMut() -> I,
        mut loss: impl FnMut(&M, B) -> (Tensor<1>, f64),
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<(), SharpnessError> {
        let space = ParameterSpace::of(module)?;
        space.check("the curve", &self.control)?;
        let mut rest = batches().into_iter();
        let gradient = |point: &[f64], gradient: &mut [f64]| {
            let batch = match rest.next() {
                Some(batch) => Some(batch),
                None => {
                    rest = batches().into_iter();
                    rest.next()
                }
            };
            let Some(batch) = batch else {
                return Err(SharpnessError::Option {
                    option: "batches",
                    value: 0.0,
                    expected: "1 or more",
                });
            };
            let there = at(module, &space, point)?;
            let (loss, _) = loss(&there, batch.map_err(SharpnessError::batch)?);
            let value = value_of(loss.clone())?;
            gradient.copy_from_slice(&space.read_gradients(&there, &backward(&there, loss)?)?);
            Ok(value)
        };
        self.train(options, gradient, observe)
    }

    /// The loss at `points` equidistant t from 0 to 1, a function of the parameters; for a module take
    /// [`module`](Self::module).
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] for fewer than two points, [`SharpnessError::Stopped`] where the observer stopped it, and
    /// what `loss` gives.
    pub fn profile(
        &self,
        points: usize,
        mut loss: impl FnMut(&[f64]) -> Result<f64, SharpnessError>,
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Profile, SharpnessError> {
        if points < 2 {
            return Err(SharpnessError::Option {
                option: "points",
                value: points as f64,
                expected: "at least 2",
            });
        }
        let t: Vec<f64> = (0..points)
            .map(|i| i as f64 / (points - 1) as f64)
            .collect();
        let loss = evaluate(&t, |t| loss(&self.point(*t)), observe)?;
        let ends = [loss[0], loss[points - 1]];
        Ok(Profile { t, loss, ends })
    }
}

/// Adam's decay rates and the number that keeps it from dividing by 0 (D. P. Kingma, J. Ba, ICLR 2015, algorithm 1).
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// A copy of a module at a point of its parameters.
fn at<M: Module>(module: &M, space: &ParameterSpace, point: &[f64]) -> Result<M, SharpnessError> {
    let own = space.read(module)?;
    let direction: Vec<f64> = point.iter().zip(&own).map(|(p, own)| p - own).collect();
    space.displaced(module, &direction, 1.0)
}
