//! The norm of the loss's gradient.

use burn::config::Config;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::vector::{Factor, add, combination, noise, polar};
use super::{PenaltyGradient, check_strength, gradients_at};
use crate::SharpnessError;
use crate::isolated::isolated;

/// How H ĝ is made of gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// \[∇L(θ + εĝ) − ∇L(θ − εĝ)\]/2ε: two passes, error ε².
    #[default]
    Central,
    /// \[∇L(θ + εĝ) − ∇L(θ)\]/ε: one pass, error ε. That of the paper.
    Forward,
}

/// Configuration of [`GradientNorm`].
#[derive(Config, Debug)]
pub struct GradientNormConfig {
    /// The factor of ‖∇L‖.
    #[config(default = 0.01)]
    pub strength: f64,
    /// How H ĝ is made of gradients.
    #[config(default = "Difference::Central")]
    pub difference: Difference,
    /// ε; none for the step that balances rounding and truncation: ½(u(1 + θ̄))^⅓ for the central difference, as in
    /// [`FiniteDifferenceHessian`](crate::FiniteDifferenceHessian), (u(1 + θ̄))^½ for the forward one. The paper's r
    /// is a larger one, 0.05 and more, with which the penalty becomes that of a neighbourhood.
    pub step: Option<f64>,
}

impl GradientNormConfig {
    /// The penalty.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where a strength is negative or not finite, or a step is not a positive number.
    pub fn init(&self) -> Result<GradientNorm, SharpnessError> {
        check_strength(self.strength)?;
        if let Some(step) = self.step
            && !(step.is_finite() && step > 0.0)
        {
            return Err(SharpnessError::Option {
                option: "step",
                value: step,
                expected: "a finite number above 0",
            });
        }
        Ok(GradientNorm {
            config: self.clone(),
        })
    }
}

/// The gradient norm penalty: adds strength·‖∇L‖ to a loss, through ∇‖∇L‖ = H ĝ with ĝ = ∇L/‖∇L‖, a
/// Hessian-vector product made of a difference of gradients. Where the gradient is zero, so is the penalty's.
///
/// With [`Difference::Forward`] and a step r, what is injected is strength/r·(∇L(θ + rĝ) − ∇L(θ)): the paper's scheme,
/// whose balance coefficient α is strength/r, and which is SAM for α = 1.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::nn::loss::CrossEntropyLossConfig;
/// use burn::optim::{SgdConfig, GradientsParams};
/// use burn::tensor::{Device, Int, Tensor};
/// use burn_sharpness::penalty::GradientNormConfig;
///
/// let device = Device::flex().autodiff();
/// // Six of Fisher's irises, two of a species: length and width of sepal and petal in cm.
/// let x = Tensor::<2>::from_floats([
///     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
///     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
///     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
/// ], &device);
/// let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
/// let mut model = LinearConfig::new(4, 3).init(&device);
/// let loss_fn = CrossEntropyLossConfig::new().init(&device);
/// let loss = |model: &burn::nn::Linear| loss_fn.forward(model.forward(x.clone()), y.clone());
/// let mut optimizer = SgdConfig::new().init();
/// let penalty = GradientNormConfig::new().with_strength(0.1).init()?;
/// for _ in 0..10 {
///     let grads = GradientsParams::from_grads(loss(&model).backward(), &model);
///     let grads = penalty.inject(&model, &loss, grads)?;
///     model = optimizer.step(0.05, model, grads);
/// }
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// Reference: Y. Zhao, H. Zhang, X. Hu, "Penalizing gradient norm for efficiently improving generalization in deep
/// learning", ICML 2022, arXiv 2202.03599. It takes the forward difference; the central one is the default here.
#[derive(Clone, Debug)]
pub struct GradientNorm {
    config: GradientNormConfig,
}

impl GradientNorm {
    /// The configuration.
    pub fn config(&self) -> &GradientNormConfig {
        &self.config
    }

    /// ‖∇L‖ and its gradient at the module, where `gradients` are ∇L.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NoParameters`] where no gradient is that of a parameter that is trained;
    /// [`SharpnessError::Untracked`] for a loss without a graph.
    pub fn gradient<M: Module>(
        &self,
        module: &M,
        mut loss: impl FnMut(&M) -> Tensor<1>,
        gradients: &GradientsParams,
    ) -> Result<PenaltyGradient, SharpnessError> {
        let polar = polar(module, gradients)?;
        let copy = isolated(module);
        let step = match self.config.step {
            Some(step) => polar.norm.ones_like() * step,
            None => match self.config.difference {
                Difference::Central => noise(module)?.powf_scalar(1.0 / 3.0) * 0.5,
                Difference::Forward => noise(module)?.sqrt(),
            },
        };
        let mut at = |step: Tensor<1>| {
            let direction = combination(module, &[(Factor::from(step), &polar.direction)]);
            gradients_at(&copy, direction, &mut loss)
        };
        let after = at(step.clone())?;
        let gradients = match self.config.difference {
            Difference::Central => {
                let before = at(step.clone().neg())?;
                let scale = (step * 2.0).recip();
                let terms = [
                    (Factor::from(scale.clone()), &after),
                    (Factor::from(scale.neg()), &before),
                ];
                combination(module, &terms)
            }
            Difference::Forward => {
                let scale = step.recip();
                let terms = [
                    (Factor::from(scale.clone()), &after),
                    (Factor::from(scale.neg()), gradients),
                ];
                combination(module, &terms)
            }
        };
        Ok(PenaltyGradient {
            value: polar.norm,
            gradients,
        })
    }

    /// ∇L + strength·∇‖∇L‖, where `gradients` are ∇L. Other parameters' gradients are passed on.
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn inject<M: Module>(
        &self,
        module: &M,
        loss: impl FnMut(&M) -> Tensor<1>,
        gradients: GradientsParams,
    ) -> Result<GradientsParams, SharpnessError> {
        if self.config.strength == 0.0 {
            return Ok(gradients);
        }
        let penalty = self.gradient(module, loss, &gradients)?;
        Ok(add(
            module,
            gradients,
            self.config.strength,
            &penalty.gradients,
        ))
    }
}
