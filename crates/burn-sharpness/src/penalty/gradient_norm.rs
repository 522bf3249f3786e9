//! The norm of the loss's gradient.

use burn::config::Config;
use burn::module::Module;
use burn::optim::GradientsParams;
use burn_penalty::algebra::{add, polar, scale};
use burn_penalty::differences::{self, Ends};
use burn_penalty::passes::{Evaluated, gradients_at};
use burn_penalty::precision::rounding_noise;
use burn_penalty::{Number, Randomness, check_strength, isolated};
use serde::{Deserialize, Serialize};

use super::baseline::Baseline;
use super::{PenaltyGradient, PenaltyRecord};
use crate::error::SharpnessError;

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
    /// The seed of the random numbers that all passes of a step draw alike, such as dropout masks; new at every step.
    #[config(default = 0)]
    pub seed: u64,
}

impl GradientNormConfig {
    /// The penalty.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where a strength is negative or not finite, or a step is not a positive number.
    pub fn init(&self) -> Result<GradientNorm, SharpnessError> {
        check_strength("strength", self.strength)?;
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
            baseline: Baseline::default(),
            steps: 0,
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
/// // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
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
/// let mut penalty = GradientNormConfig::new().with_strength(0.1).init()?;
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
    baseline: Baseline,
    steps: u64,
}

impl GradientNorm {
    /// The configuration.
    pub fn config(&self) -> &GradientNormConfig {
        &self.config
    }

    /// The steps taken, which a resumed run needs to draw the same dropout masks.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What a resumed run needs to go on where this one is.
    pub fn to_record(&self) -> PenaltyRecord {
        PenaltyRecord { steps: self.steps }
    }

    /// The penalty where the record was taken.
    pub fn load_record(self, record: PenaltyRecord) -> Self {
        Self {
            steps: record.steps,
            ..self
        }
    }

    /// ‖∇L‖ and its gradient at the module, where `gradients` are ∇L; counts a step.
    ///
    /// # Shapes
    ///
    /// - the closure's loss, where it gives that alone: `[1]`
    /// - value: `[1]`
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NoParameters`] where no gradient is that of a parameter that is trained,
    /// [`SharpnessError::PlainDevice`] where the module is not on an autodiff device, [`SharpnessError::Untracked`] for a
    /// loss without a graph, [`SharpnessError::NotRepeatable`] for one that is another function at every call.
    pub fn gradient<M: Module, E: Evaluated<M>>(
        &mut self,
        module: &M,
        mut loss: impl FnMut(&M) -> E,
        gradients: &GradientsParams,
    ) -> Result<PenaltyGradient, SharpnessError> {
        let taken = self.steps;
        self.steps += 1;
        let noise = rounding_noise(module)?;
        let polar = polar(module, gradients)?;
        let copy = isolated(module);
        let randomness = Randomness::new(&copy, self.config.seed, taken);
        let given = self
            .baseline
            .is_given(&copy, &randomness, &mut loss, gradients)?;
        let step = match self.config.step {
            Some(step) => step.into(),
            None => match self.config.difference {
                Difference::Central => noise.powf(1.0 / 3.0) * 0.5,
                Difference::Forward => noise.sqrt(),
            },
        };
        let mut at = |step: Number| {
            let direction = scale(module, &polar.direction, step);
            gradients_at(&copy, direction, &randomness, &mut loss)
        };
        let after = at(step.clone())?;
        let gradients = match self.config.difference {
            Difference::Central => {
                let before = at(step.clone() * -1.0)?;
                let ends = Ends {
                    after: &after,
                    before: &before,
                };
                differences::central(module, ends, &step)
            }
            Difference::Forward => {
                let own = match given {
                    true => None,
                    false => Some(at(0.0.into())?),
                };
                let here = own.as_ref().unwrap_or(gradients);
                differences::forward(module, &after, here, &step)
            }
        };
        Ok(PenaltyGradient {
            value: polar.norm.beside(module),
            gradients,
        })
    }

    /// ∇L + strength·∇‖∇L‖, where `gradients` are ∇L; counts a step. Other parameters' gradients are passed on.
    ///
    /// # Shapes
    ///
    /// - the closure's loss, where it gives that alone: `[1]`
    ///
    /// # Errors
    ///
    /// As [`gradient`](Self::gradient).
    pub fn inject<M: Module, E: Evaluated<M>>(
        &mut self,
        module: &M,
        loss: impl FnMut(&M) -> E,
        gradients: GradientsParams,
    ) -> Result<GradientsParams, SharpnessError> {
        if self.config.strength == 0.0 {
            self.steps += 1;
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
