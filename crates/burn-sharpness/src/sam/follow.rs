//! A radius that follows the learning rate.

use burn::config::Config;

use super::config::not_negative;
use crate::error::SharpnessError;

/// ρ of a step with the learning rate η (GSAM, algorithm 1):
///
/// ```text
/// ρ_t = ρ_min + (ρ − ρ_min)(η_t − η_min)/(η_max − η_min)
/// ```
///
/// where ρ is [`SamConfig::rho`](super::SamConfig::rho), what the largest rate has. Beyond the two rates ρ stays at its
/// ends, which the paper leaves open. Where parameter groups have rates of their own, η is that of the base.
///
/// [`Sam::step`](super::Sam::step) knows the rate. A [`SamGradient`](super::SamGradient) is told by
/// [`at_rate`](super::SamGradient::at_rate), and has ρ itself until then. burn-train says the rate after the gradient, so
/// that a `SamModel` has the rate of the step before.
///
/// ```
/// use burn::optim::SgdConfig;
/// use burn_sharpness::SamConfig;
/// use burn_sharpness::sam::{FollowRateConfig, GsamConfig};
///
/// // From 0.04 at the learning rate 0.1 to 0.02 at 0.
/// let follow = FollowRateConfig::new(0.02, 0.1);
/// let gsam = SamConfig::of(GsamConfig::new())
///     .with_follow_rate(Some(follow))
///     .init(SgdConfig::new().init())?;
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct FollowRateConfig {
    /// ρ_min.
    pub rho_min: f64,
    /// η_max.
    pub rate_max: f64,
    /// η_min.
    #[config(default = 0.0)]
    pub rate_min: f64,
}

impl FollowRateConfig {
    pub(super) fn check(&self) -> Result<(), SharpnessError> {
        not_negative("rho_min", self.rho_min)?;
        not_negative("rate_min", self.rate_min)?;
        if self.rate_max.is_finite() && self.rate_max > self.rate_min {
            return Ok(());
        }
        Err(SharpnessError::Option {
            option: "rate_max",
            value: self.rate_max,
            expected: "a finite number above rate_min",
        })
    }

    pub(super) fn rho(&self, rho: f64, rate: f64) -> f64 {
        let share = (rate - self.rate_min) / (self.rate_max - self.rate_min);
        self.rho_min + (rho - self.rho_min) * share.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::FollowRateConfig;

    #[test]
    fn rho_is_linear_between_the_rates_and_stays_at_its_ends() {
        let follow = FollowRateConfig::new(0.25, 0.5).with_rate_min(0.125);
        let rho = |rate| follow.rho(0.75, rate);
        assert_eq!(
            [0.0, 0.125, 0.3125, 0.5, 0.6].map(rho),
            [0.25, 0.25, 0.5, 0.75, 0.75]
        );
    }

    #[test]
    fn rates_in_the_wrong_order_are_refused() {
        for (rho, max, min) in [
            (0.0, 0.1, 0.1),
            (0.0, f64::NAN, 0.0),
            (-1.0, 0.1, 0.0),
            (0.0, 0.1, -0.1),
        ] {
            let follow = FollowRateConfig::new(rho, max).with_rate_min(min);
            assert!(follow.check().is_err(), "{follow}");
        }
    }
}
