//! The configuration of the regulariser.

use burn::config::Config;
use burn_penalty::{Mode, ScheduleConfig, Strength};
use hsr_core::Evaluation;
use serde::{Deserialize, Serialize};

use crate::error::HsrError;
use crate::losses::HsrLossConfig;
use crate::sharpness::Sharpness;
use crate::subsample::Subsample;

/// Where the closed form is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execution {
    /// On the host for CPU backends, on the device for those of CubeCL (GPUs). For all others, such as the devices of
    /// another machine, on the host where the evaluation is less than 10⁹ multiply-adds: that is less than what
    /// hundreds of operations take there.
    #[default]
    Auto,
    /// Through hsr-core: parameters and batch are read into the host's memory. In f64 for f64 models, else in f32.
    Host,
    /// On the model's device, in some 30 kernels and matrix products on devices of CubeCL, with some 300 tensor
    /// operations on other backends; nothing is read back. Labels are not checked, for that would be a
    /// read-back: a class index out of range counts as no class at all.
    Device,
}

/// Configuration of [`Hsr`](crate::Hsr): how a loss is regularised.
///
/// The [loss](Self::loss) must be the one that you minimise: [`for_cross_entropy`](HsrConfig::for_cross_entropy) and its like
/// take it from the configuration of Burn's own losses.
///
/// ```
/// use burn_hsr::{HsrConfig, Mode};
///
/// let hsr = HsrConfig::new().with_strength(0.05).with_mode(Mode::Decoupled).init()?;
/// # Ok::<(), burn_hsr::HsrError>(())
/// ```
#[derive(Config, Debug)]
pub struct HsrConfig {
    /// What is descended: λ_sup, or one of its peers to compare it with.
    #[config(default = "Sharpness::LambdaSup")]
    pub sharpness: Sharpness,
    /// The factor of λ_sup, or the rule for it; [`AUTO`](Self::AUTO) unless it is set, best with
    /// [`with_strength`](Self::with_strength). Norms are those over the trainable parameters that the closed form
    /// covers, and ∇L is the gradient that [`Hsr::inject`](crate::Hsr::inject) or [`Hsr::step`](crate::Hsr::step) is given; where there is none, it is
    /// computed from the batch. In the mode [`Direction`](Mode::Direction) the rules have ∇λ_sup/‖∇λ_sup‖ in the place of
    /// ∇λ_sup. A fixed 0 adds nothing: training is exactly as it was.
    #[config(default = "Strength::Auto")]
    pub strength_rule: Strength,
    /// How the strength changes from step to step.
    #[config(default = "ScheduleConfig::new()")]
    pub schedule: ScheduleConfig,
    /// Random probes that a step takes in place of the exact gradient, 0 for none: exact Hessian-vector products of random
    /// signs, at the counted price of ten gradients of the loss for each, whatever the depth and the width. The mean over
    /// probes is the exact gradient, the spread around it that of its size; deep networks in training want no more. For
    /// λ_sup, tr H and ‖H‖, on the host. The value given is that of moving averages over the steps.
    #[config(default = 0)]
    pub probes: usize,
    /// How the gradient enters the step.
    #[config(default = "Mode::Coupled")]
    pub mode: Mode,
    /// Rows of the batch that the regulariser takes, chosen anew each step.
    #[config(default = "Subsample::Auto")]
    pub subsample: Subsample,
    /// The seed of that choice, and of the probes.
    #[config(default = 0)]
    pub seed: u64,
    /// The loss whose Hessian it is: the one that you minimise.
    #[config(default = "HsrLossConfig::new()")]
    pub loss: HsrLossConfig,
    /// Which of the two exact evaluations.
    #[config(default = "Evaluation::Auto")]
    pub evaluation: Evaluation,
    /// Where it is computed.
    #[config(default = "Execution::Auto")]
    pub execution: Execution,
    /// The most threads of the host's evaluation, which takes more than one only where that pays; none for as many as
    /// Rayon's pool has. Another number rounds sums differently: with 1, a run does not depend on the machine's cores.
    pub threads: Option<usize>,
}

impl HsrConfig {
    /// What [`Strength::Auto`] is here: of the rules that were tried on eighteen tables, MNIST among them, the one that took
    /// most off λ_max for what it cost in training loss. A larger share takes more.
    pub const AUTO: Strength = Strength::Projected(0.3);

    /// With a strength: a number, or a [`Strength`].
    ///
    /// ```
    /// use burn_hsr::{HsrConfig, Strength};
    ///
    /// let fixed = HsrConfig::new().with_strength(0.05);
    /// let relative = HsrConfig::new().with_strength(Strength::Relative(0.3));
    /// ```
    pub fn with_strength(mut self, strength: impl Into<Strength>) -> Self {
        self.strength_rule = strength.into();
        self
    }

    /// The strength, [`Auto`](Strength::Auto) being the rule that it stands for.
    pub fn strength(&self) -> Strength {
        self.strength_rule.or(Self::AUTO)
    }

    /// Refuses what [`init`](Self::init) refuses.
    pub(crate) fn check(&self) -> Result<(), HsrError> {
        let refuse = |option, value, expected| {
            Err(HsrError::Config {
                option,
                value,
                expected,
            })
        };
        let strength = self.strength();
        for (option, value) in [
            ("strength", strength.most()),
            ("the strength's share of ‖∇L‖", strength.share()),
        ] {
            if let Some(value) = value
                && !(value.is_finite() && value >= 0.0)
            {
                return refuse(option, value, "a finite number, 0 or more");
            }
        }
        self.loss.check()?;
        if self.schedule.interval == 0 {
            return refuse("the interval of the schedule", 0.0, "1 or more");
        }
        if self.subsample == Subsample::Rows(0) {
            return refuse("subsample", 0.0, "1 row or more");
        }
        if self.threads == Some(0) {
            return refuse("threads", 0.0, "1 or more");
        }
        if self.probes > 0 && !self.sharpness.is_of_whole() {
            return refuse(
                "probes",
                self.probes as f64,
                "0, unless λ_sup, tr H or ‖H‖_F is descended",
            );
        }
        if self.execution == Execution::Device && !self.is_on_device() {
            let sharpness = match self.probes {
                0 => self.sharpness.name(),
                _ => "the estimate by probes",
            };
            return Err(HsrError::HostOnly { sharpness });
        }
        Ok(())
    }

    /// Whether the device execution computes what is descended.
    pub(crate) fn is_on_device(&self) -> bool {
        self.probes == 0 && self.sharpness.on_device()
    }
}
