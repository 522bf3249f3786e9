//! Curvature penalties for any [Burn](https://burn.dev) module, from gradients alone.
//!
//! Burn differentiates once. What needs second derivatives is made of differences of gradients here, with whatever a
//! module does inside: convolutions, recurrence, attention, normalisation, dropout.
//!
//! # Map
//!
//! * [`StochasticHsr`], [`StochasticHsrConfig`]: HSR for any module and any optimizer, see [`stochastic`].
//! * `train` (feature `train`): `StochasticHsrModel`, the same in Burn's `SupervisedTraining`.
//! * [`algebra`]: gradients as vectors, on the device.
//! * [`differences`]: Hessian-vector products and their derivatives from gradients.
//! * [`Group`]: some of a module's parameters, by name.
//! * [`passes`]: passes of one loss at several parameters: the same random numbers, running statistics left alone.
//! * [`Strength`], [`Mode`], [`ScheduleConfig`]: how strong a penalty is and how it enters a step ([`Mode::enter`]);
//!   [`MeanGradient`]: what it must not work against.
//! * [`Reach`]: what reading a number from a device costs.
//! * [`probe`], [`precision`]: seeded random numbers, and how long a step must be.
//! * [`files`], [`values`]: what records are made of.
//!
//! # Features
//!
//! The program chooses the backend through Burn's features.
//!
//! | feature | |
//! |---|---|
//! | `train` | `StochasticHsrModel` for burn-train |

pub mod algebra;
mod copies;
pub mod differences;
mod error;
pub mod files;
mod finite;
mod group;
mod mean;
mod mode;
mod number;
pub mod passes;
pub mod precision;
pub mod probe;
mod reach;
mod rounding;
mod schedule;
pub mod stochastic;
mod strength;
mod tensors;
#[cfg(feature = "train")]
pub mod train;
mod trained;
pub mod values;
mod vector;

pub use copies::{displaced, isolated};
pub use error::PenaltyError;
pub use files::RecordError;
pub use finite::Finite;
pub use group::Group;
pub use mean::MeanGradient;
pub use mode::{Entered, Mode};
pub use number::Number;
pub use passes::{Evaluated, Randomness};
pub use reach::Reach;
pub use schedule::ScheduleConfig;
pub use stochastic::{
    Curvature, Objective, Outcome, Scheme, StochasticHsr, StochasticHsrConfig,
    StochasticHsrGradient, StochasticHsrGradientRecord, StochasticHsrPasses, StochasticHsrRecord,
    StochasticHsrStep,
};
pub use strength::{ParseStrengthError, Strength, check_strength};
pub use values::ParameterValues;

/// The programs in the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
