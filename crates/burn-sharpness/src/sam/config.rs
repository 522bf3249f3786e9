//! The options of SAM and ASAM.

use burn::config::Config;
use burn::optim::ModuleOptimizer;

use super::{Sam, SamGradient};
use crate::SharpnessError;

/// Configuration of SAM, and of ASAM with [`adaptive`](Self::adaptive).
///
/// ```
/// use burn::optim::{AdamConfig, SgdConfig};
/// use burn_sharpness::SamConfig;
///
/// let sam = SamConfig::new().init(AdamConfig::new().init())?;
/// let asam = SamConfig::asam().with_rho(1.0).init(SgdConfig::new().init())?;
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct SamConfig {
    /// ρ, the radius of the neighbourhood: ‖e‖ for SAM, ‖T⁻¹e‖ for ASAM. 0 is the optimizer as it is, bit for bit and
    /// with one pass. The papers use 0.05 for SAM and 0.5 for ASAM, whose unit is relative to the weights:
    /// [`asam`](Self::asam) has the latter.
    #[config(default = 0.05)]
    pub rho: f64,
    /// Whether the neighbourhood is ASAM's: T = |w| + η for weights, so that rescaling layers against each other, which
    /// leaves the function as it is, leaves the sharpness as it is. Biases are not adapted: T = 1.
    ///
    /// Burn does not say which parameter is a weight, so this is the rule. Weights are the parameters of rank 2 or
    /// more that are not called `bias`, and those of whatever rank that have `weight` in their name, as in the
    /// reference, or are called `gamma`, Burn's name for what the reference's normalisation layers call `weight`.
    #[config(default = false)]
    pub adaptive: bool,
    /// η in T = |w| + η, so that a weight of zero can move. Without meaning for SAM.
    #[config(default = 0.01)]
    pub eta: f64,
    /// Whether a step with a gradient that is NaN or infinite is skipped. The check reads a few numbers from the
    /// device, once a step. Without it such a gradient goes to the optimizer, as it would without SAM.
    #[config(default = true)]
    pub check_finite: bool,
    /// The seed of the random numbers that both passes of a step draw alike, such as dropout masks; new at every step.
    #[config(default = 0)]
    pub seed: u64,
}

impl SamConfig {
    /// ASAM with the ρ of its reference, 0.5.
    pub fn asam() -> Self {
        Self::new().with_adaptive(true).with_rho(0.5)
    }

    /// SAM around an optimizer: Burn's, or one of yours.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where ρ or η is negative or not finite.
    pub fn init(&self, optimizer: impl Into<ModuleOptimizer>) -> Result<Sam, SharpnessError> {
        Ok(Sam::new(self.init_gradient()?, optimizer.into()))
    }

    /// SAM without an optimizer.
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init).
    pub fn init_gradient(&self) -> Result<SamGradient, SharpnessError> {
        for (option, value) in [("rho", self.rho), ("eta", self.eta)] {
            if !value.is_finite() || value < 0.0 {
                return Err(SharpnessError::Option {
                    option,
                    value,
                    expected: "a finite number, 0 or more",
                });
            }
        }
        Ok(SamGradient::new(self.clone()))
    }
}
