//! The options that all methods of the family share.

use burn::config::Config;
use burn::module::ParamGroup;
use burn::optim::ModuleOptimizer;

use super::{FollowRateConfig, Sam, SamGradient, SamRule};
use crate::error::SharpnessError;

/// Configuration of SAM and of the methods that came from it: [`rule`](Self::rule) says which one it is.
///
/// ```
/// use burn::module::ParamGroup;
/// use burn::optim::{AdamConfig, SgdConfig};
/// use burn_sharpness::SamConfig;
/// use burn_sharpness::sam::LookSamConfig;
///
/// let sam = SamConfig::new().init(AdamConfig::new().init())?;
/// let asam = SamConfig::asam().with_rho(1.0).init(SgdConfig::new().init())?;
/// let looksam = SamConfig::of(LookSamConfig::new().with_interval(10))
///     // Normalisation layers and biases stay where they are in the ascent.
///     .with_group(ParamGroup::from_predicate("weight"))
///     // The second half of a training of 2000 steps.
///     .with_from_step(1000)
///     .init(AdamConfig::new().init())?;
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Config, Debug)]
pub struct SamConfig {
    /// ρ, the radius of the neighbourhood: ‖e‖ for SAM, ‖T⁻¹e‖ for ASAM; the standard deviation of a coordinate for NSO. 0
    /// is the optimizer as it is, bit for bit and with one pass. [`of`](Self::of) and [`asam`](Self::asam) have each
    /// method's own.
    #[config(default = 0.05)]
    pub rho: f64,
    /// The method.
    #[config(default = "SamRule::Sam")]
    pub rule: SamRule,
    /// Whether the neighbourhood is ASAM's: T = |w| + η for weights, so that rescaling layers against each other, which
    /// leaves the function as it is, leaves the sharpness as it is. Biases are not adapted: T = 1. Every method takes it for
    /// its ascent.
    ///
    /// Burn does not say which parameter is a weight, so this is the rule. Weights are the parameters of rank 2 or
    /// more that are not called `bias`, and those of whatever rank that have `weight` in their name, as in the
    /// reference, or are called `gamma`, Burn's name for what the reference's normalisation layers call `weight`.
    #[config(default = false)]
    pub adaptive: bool,
    /// η in T = |w| + η, so that a weight of zero can move. Without meaning where [`adaptive`](Self::adaptive) is off.
    #[config(default = 0.01)]
    pub eta: f64,
    /// The parameters that are displaced; the others stay at θ in every pass and count in no norm of the ascent. They are
    /// trained all the same, with the gradient that the method gives.
    #[config(default = "ParamGroup::all()")]
    pub group: ParamGroup,
    /// The first step with the method, from 0; before it the optimizer is as it is, bit for bit. SAM selects flatter minima
    /// late in training, so that the last part of it can be enough (Zhou et al. 2025).
    #[config(default = 0)]
    pub from_step: u64,
    /// How ρ follows the learning rate, as GSAM's paper has it; `None` for a constant ρ.
    pub follow_rate: Option<FollowRateConfig>,
    /// Whether a step with a gradient that is NaN or infinite is skipped. The check reads a few numbers from the
    /// device, once a step. Without it such a gradient goes to the optimizer, as it would without SAM, and into what the
    /// method remembers.
    #[config(default = true)]
    pub check_finite: bool,
    /// The seed of the random numbers that all passes of a step draw alike, such as dropout masks, and of NSO's noise; new
    /// at every step.
    #[config(default = 0)]
    pub seed: u64,
}

impl SamConfig {
    /// A method with the ρ of its paper or reference code ([`SamRule::default_rho`]): a [`SamRule`], or the configuration
    /// of one of its methods.
    pub fn of(rule: impl Into<SamRule>) -> Self {
        let rule = rule.into();
        Self::new().with_rho(rule.default_rho()).with_rule(rule)
    }

    /// ASAM with the ρ of its reference, 0.5.
    pub fn asam() -> Self {
        Self::new().with_adaptive(true).with_rho(0.5)
    }

    /// The method around an optimizer: Burn's, or one of yours.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where ρ, η or an option of the method is outside its range.
    pub fn init(&self, optimizer: impl Into<ModuleOptimizer>) -> Result<Sam, SharpnessError> {
        Ok(Sam::new(self.init_gradient()?, optimizer.into()))
    }

    /// The method without an optimizer.
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init).
    pub fn init_gradient(&self) -> Result<SamGradient, SharpnessError> {
        for (option, value) in [("rho", self.rho), ("eta", self.eta)] {
            not_negative(option, value)?;
        }
        self.rule.check()?;
        if let Some(follow) = &self.follow_rate {
            follow.check()?;
        }
        Ok(SamGradient::new(self.clone()))
    }

    /// ρ of the step of this number, with the learning rate where it is known; 0 where the optimizer is as it is.
    pub(super) fn rho_of(&self, step: u64, rate: Option<f64>) -> f64 {
        if step < self.from_step || self.rule.is_off() {
            return 0.0;
        }
        match (&self.follow_rate, rate) {
            (Some(follow), Some(rate)) if self.rho > 0.0 => follow.rho(self.rho, rate),
            _ => self.rho,
        }
    }
}

/// Refuses an option that is negative, NaN or infinite.
pub(super) fn not_negative(option: &'static str, value: f64) -> Result<(), SharpnessError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(SharpnessError::Option {
        option,
        value,
        expected: "a finite number, 0 or more",
    })
}

/// Refuses an option that is 0.
pub(super) fn at_least_one(option: &'static str, value: u64) -> Result<(), SharpnessError> {
    if value > 0 {
        return Ok(());
    }
    Err(SharpnessError::Option {
        option,
        value: 0.0,
        expected: "1 or more",
    })
}
