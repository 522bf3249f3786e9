//! How strong a penalty is beside the loss.

use core::fmt;
use core::str::FromStr;

use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::PenaltyError;
#[cfg(doc)]
use crate::mean::MeanGradient;

/// How strong a penalty P is beside the loss L: the factor s of ∇P in ∇L + s∇P.
///
/// | rule | s |
/// |---|---|
/// | `Fixed(strength)` | strength |
/// | `Relative(share)` | share·‖∇L‖/‖∇P‖ |
/// | `Safe { strength, share }` | min(strength, share·‖∇L‖/‖∇P‖) |
/// | `Projected(share)` | share·‖∇L‖/‖∇P‖, applied to the [projection](MeanGradient) of ∇P |
/// | `Auto` | one of these, chosen by what it is the strength of |
///
/// The norms are taken over the parameters that are trained, at every step. With a share below 1 (times the interval of
/// the schedule), what is added never turns a step against the loss of its batch: ⟨∇L, ∇L + s∇P⟩ ≥
/// (1 − share)‖∇L‖². The gradient of a batch is mostly noise, though, to which ∇P is nearly orthogonal: a penalty that seems
/// harmless at every step can work against the loss over many. `Projected` takes that part away.
///
/// A number is a fixed strength. As text, in configuration files and on command lines, a strength is `0.05`,
/// `relative:0.5`, `safe:0.05` (with [`SHARE`](Self::SHARE)), `safe:0.05:0.3`, `projected:0.3` or `auto`; files hold a fixed
/// one as a number.
///
/// ```
/// use burn_penalty::Strength;
///
/// assert_eq!(Strength::from(0.05), Strength::Fixed(0.05));
/// assert_eq!("relative:0.5".parse(), Ok(Strength::Relative(0.5)));
/// assert_eq!(Strength::Safe { strength: 0.05, share: 0.3 }.to_string(), "safe:0.05:0.3");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Strength {
    /// No number to choose: what the strength belongs to has a rule that was found by measuring, and says which.
    #[default]
    Auto,
    /// Always the same. 0 adds nothing.
    Fixed(f64),
    /// What is added is always so long, as a share of ‖∇L‖.
    Relative(f64),
    /// Fixed, but what is added is never longer than a share of ‖∇L‖.
    Safe {
        /// The factor where it does not make ∇P too long.
        strength: f64,
        /// The most that what is added may be long, as a share of ‖∇L‖.
        share: f64,
    },
    /// At most as long as in [`Relative`](Self::Relative): the part that works against the running mean of ∇L is removed.
    Projected(f64),
}

impl Strength {
    /// The share of `safe:X`.
    pub const SHARE: f64 = 0.5;

    /// This one, or where it is [`Auto`](Self::Auto) the other.
    pub fn or(self, auto: Strength) -> Strength {
        match self {
            Self::Auto => auto,
            other => other,
        }
    }

    /// The most that the factor of ∇P may be; none where only lengths limit it.
    pub fn most(self) -> Option<f64> {
        match self {
            Self::Fixed(strength) | Self::Safe { strength, .. } => Some(strength),
            Self::Auto | Self::Relative(_) | Self::Projected(_) => None,
        }
    }

    /// The most that what is added may be long, as a share of ‖∇L‖; none where ∇L is not asked for.
    pub fn share(self) -> Option<f64> {
        match self {
            Self::Relative(share) | Self::Safe { share, .. } | Self::Projected(share) => {
                Some(share)
            }
            Self::Auto | Self::Fixed(_) => None,
        }
    }

    /// Whether ∇P is [projected](MeanGradient).
    pub fn projects(self) -> bool {
        matches!(self, Self::Projected(_))
    }

    /// Whether nothing is added, ever.
    pub fn is_zero(self) -> bool {
        self.most() == Some(0.0) || self.share() == Some(0.0)
    }

    /// Refuses what is no strength.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Option`] where a number is negative or not finite.
    pub fn check(self) -> Result<(), PenaltyError> {
        if let Some(most) = self.most() {
            check_strength("strength", most)?;
        }
        match self.share() {
            Some(share) => check_strength("the strength's share of ‖∇L‖", share),
            None => Ok(()),
        }
    }
}

impl From<f64> for Strength {
    fn from(strength: f64) -> Self {
        Self::Fixed(strength)
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(strength) => write!(f, "{strength:?}"),
            Self::Relative(share) => write!(f, "relative:{share:?}"),
            Self::Projected(share) => write!(f, "projected:{share:?}"),
            Self::Safe { strength, share } if share == Self::SHARE => {
                write!(f, "safe:{strength:?}")
            }
            Self::Safe { strength, share } => write!(f, "safe:{strength:?}:{share:?}"),
        }
    }
}

/// A text that is no strength.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text} is no strength, expected auto, a number, relative:X, safe:X or projected:X with a number X, 0 or more"
)]
pub struct ParseStrengthError {
    text: String,
}

impl FromStr for Strength {
    type Err = ParseStrengthError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let number = part.parse::<f64>().ok();
            number.filter(|it| it.is_finite() && *it >= 0.0)
        };
        let parts: Vec<&str> = text.split(':').collect();
        let strength = match parts[..] {
            ["auto"] => Some(Self::Auto),
            [strength] => number(strength).map(Self::Fixed),
            ["relative", share] => number(share).map(Self::Relative),
            ["projected", share] => number(share).map(Self::Projected),
            ["safe", strength] => number(strength).map(|strength| Self::Safe {
                strength,
                share: Self::SHARE,
            }),
            ["safe", strength, share] => number(strength)
                .zip(number(share))
                .map(|(strength, share)| Self::Safe { strength, share }),
            _ => None,
        };
        strength.ok_or_else(|| ParseStrengthError {
            text: text.to_owned(),
        })
    }
}

impl Serialize for Strength {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(strength) => serializer.serialize_f64(*strength),
            other => serializer.collect_str(other),
        }
    }
}

impl<'de> Deserialize<'de> for Strength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Strength;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, auto, relative:X, safe:X or projected:X")
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Strength, E> {
                Ok(Strength::Fixed(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Strength, E> {
                Ok(Strength::Fixed(value as f64))
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Strength, E> {
                Ok(Strength::Fixed(value as f64))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Strength, E> {
                text.parse()
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer
            .deserialize_any(Either)
            .map_err(D::Error::custom)
    }
}

/// Refuses what is no strength.
///
/// # Errors
///
/// [`PenaltyError::Option`] where it is negative or not finite.
pub fn check_strength(option: &'static str, value: f64) -> Result<(), PenaltyError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(PenaltyError::Option {
        option,
        value,
        expected: "a finite number, 0 or more",
    })
}

#[cfg(test)]
mod tests {
    use super::Strength;

    const ALL: [Strength; 6] = [
        Strength::Auto,
        Strength::Fixed(0.05),
        Strength::Relative(0.5),
        Strength::Projected(0.3),
        Strength::Safe {
            strength: 1e-7,
            share: Strength::SHARE,
        },
        Strength::Safe {
            strength: 0.05,
            share: 0.25,
        },
    ];

    #[test]
    fn a_strength_survives_text_and_files() {
        for strength in ALL {
            assert_eq!(strength.to_string().parse(), Ok(strength));
            let json = serde_json::to_string(&strength).unwrap();
            assert_eq!(serde_json::from_str::<Strength>(&json).unwrap(), strength);
        }
        for old in ["0.05", "5e-2"] {
            let strength: Strength = serde_json::from_str(old).unwrap();
            assert_eq!(strength, Strength::Fixed(0.05));
        }
        assert_eq!(serde_json::from_str::<Strength>("1").unwrap(), 1.0.into());
    }

    #[test]
    fn what_is_no_strength_is_refused() {
        for text in [
            "",
            "automatic",
            "-1",
            "nan",
            "inf",
            "relative",
            "relative:",
            "relative:-1",
            "projected:",
            "safe:",
            "safe:1:2:3",
            "fixed:1",
            "auto:1",
        ] {
            let error = text.parse::<Strength>().unwrap_err().to_string();
            assert!(error.contains("expected auto, a number"), "{error}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<Strength>(&json).is_err(), "{text}");
        }
        assert!(Strength::Relative(f64::NAN).check().is_err());
        assert!(Strength::Fixed(-1.0).check().is_err());
        assert!(ALL.iter().all(|strength| strength.check().is_ok()));
    }
}
