//! The options of stochastic HSR.

use burn::config::Config;
use burn::module::ParamGroup;
use serde::{Deserialize, Serialize};

use crate::error::PenaltyError;
use crate::mode::Mode;
use crate::schedule::ScheduleConfig;
use crate::strength::Strength;

/// What is descended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The bound λ_sup = m + s√(D − 1) of the largest eigenvalue.
    #[default]
    LambdaSup,
    /// ‖H‖, the Frobenius norm: within a few percent of λ_sup where there are many parameters.
    Frobenius,
    /// tr H. Its descent can make eigenvalues negative.
    Trace,
    /// λ_max itself, as eᵀHe with e from a power iteration that goes on from step to step: one product a step, the very
    /// one whose gradient is taken. It iterates with H + ½‖He‖, which converges to the largest eigenvalue, and not to the
    /// smallest of a larger size, where λ_min > −2λ_max. Neither probes nor schemes have a meaning for it.
    LambdaMax,
}

/// How the gradient of λ_sup or of ‖H‖ is made of gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// One-sided in both directions, three gradients: error O(ε) a probe, O(ε²) in the mean.
    #[default]
    S4,
    /// Central along the probe and one-sided along y, four gradients.
    S5,
    /// Central in both, six gradients: error O(ε²) a probe.
    S7,
}

/// Configuration of stochastic HSR (see [the module](super)).
///
/// ```
/// use burn::module::ParamGroup;
/// use burn::optim::SgdConfig;
/// use burn_penalty::{ScheduleConfig, StochasticHsrConfig};
///
/// let hsr = StochasticHsrConfig::new()
///     .with_strength(0.03)
///     .with_schedule(ScheduleConfig::new().with_interval(4))
///     // Neither biases nor the scales and shifts of normalisation layers.
///     .with_group(ParamGroup::from_predicate("weight"))
///     .init(SgdConfig::new().init())?;
/// # Ok::<(), burn_penalty::PenaltyError>(())
/// ```
#[derive(Config, Debug)]
pub struct StochasticHsrConfig {
    /// What is descended.
    #[config(default = "Objective::LambdaSup")]
    pub objective: Objective,
    /// The factor of the objective, or the rule for it; [`AUTO`](Self::AUTO) unless it is set, best with
    /// [`with_strength`](Self::with_strength). A fixed 0 is the optimizer as it is, bit for bit and with one pass. In the
    /// mode [`Direction`](Mode::Direction) the rules have ∇P/‖∇P‖ in the place of ∇P. An interval k multiplies what they
    /// give, limits too.
    #[config(default = "Strength::Auto")]
    pub strength_rule: Strength,
    /// How the strength changes from step to step, and every how many steps HSR acts.
    #[config(default = "ScheduleConfig::new()")]
    pub schedule: ScheduleConfig,
    /// How the gradient enters the step.
    #[config(default = "Mode::Coupled")]
    pub mode: Mode,
    /// How it is made of gradients.
    #[config(default = "Scheme::S4")]
    pub scheme: Scheme,
    /// Random probes a step. The estimate is unbiased with one; its variance falls with their number.
    #[config(default = 1)]
    pub probes: usize,
    /// β of the moving averages of t̂ and q̂.
    #[config(default = 0.95)]
    pub decay: f64,
    /// The seed of the probes, and of the random numbers that all passes of a step draw alike, such as dropout masks. Both
    /// are new at every step.
    #[config(default = 0)]
    pub seed: u64,
    /// The parameters whose curvature it is: the Hessian is that for these parameters, the others held fixed, and HSR
    /// moves these alone.
    #[config(default = "ParamGroup::all()")]
    pub group: ParamGroup,
    /// ε in units of θ̄, the root mean square of the parameters; none for one that fits their precision.
    pub step: Option<f64>,
    /// Whether a step with a gradient that is NaN or infinite is skipped. The check reads a few numbers from the
    /// device, once a step. Without it such a gradient goes to the optimizer, and into the averages.
    #[config(default = true)]
    pub check_finite: bool,
}

impl StochasticHsrConfig {
    /// What [`Strength::Auto`] is here. The gradient of a curvature can be of any size beside the loss's, and one
    /// strength does not fit all networks; its estimate is longer than it is, by its noise, and a share of ‖∇L‖ is less
    /// of it than the same share of the exact gradient.
    pub const AUTO: Strength = Strength::Safe {
        strength: 0.03,
        share: 1.0,
    };

    /// With a strength: a number, or a [`Strength`].
    pub fn with_strength(mut self, strength: impl Into<Strength>) -> Self {
        self.strength_rule = strength.into();
        self
    }

    /// The strength, [`Auto`](Strength::Auto) being the rule that it stands for.
    pub fn strength(&self) -> Strength {
        self.strength_rule.or(Self::AUTO)
    }

    /// Gradients of the loss that a step takes, in the mean over many steps: [costs](super#costs).
    pub fn passes(&self) -> f64 {
        let of_probes = |of_one: f64| of_one * self.probes as f64;
        let acting = match (self.objective, self.scheme) {
            (Objective::LambdaMax, _) => 2.0,
            (Objective::Trace, _) => of_probes(2.0),
            (Objective::LambdaSup | Objective::Frobenius, Scheme::S4) => of_probes(3.0),
            (Objective::LambdaSup | Objective::Frobenius, Scheme::S5) => of_probes(4.0),
            (Objective::LambdaSup | Objective::Frobenius, Scheme::S7) => of_probes(6.0),
        };
        1.0 + acting * self.schedule.share()
    }

    /// Refuses what no step can be taken with.
    pub(super) fn check(&self) -> Result<(), PenaltyError> {
        let refuse = |option, value, expected| {
            Err(PenaltyError::Option {
                option,
                value,
                expected,
            })
        };
        self.strength().check()?;
        if self.probes == 0 {
            return refuse("probes", 0.0, "1 or more");
        }
        if self.schedule.interval == 0 {
            return refuse("the interval of the schedule", 0.0, "1 or more");
        }
        if !(0.0..1.0).contains(&self.decay) {
            return refuse("decay", self.decay, "a number from 0 to below 1");
        }
        if let Some(step) = self.step
            && !(step.is_finite() && step > 0.0)
        {
            return refuse("step", step, "a finite number above 0");
        }
        Ok(())
    }
}
