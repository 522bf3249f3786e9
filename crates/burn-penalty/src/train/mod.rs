//! Stochastic HSR in burn-train (feature `train`).
//!
//! [`StochasticHsrModel`] wraps the model of a `Learner`. Nothing else changes: the model's own `TrainStep` is what is run
//! at θ and near it, and the learner keeps its optimizer, its scheduler and its checkpoints.
//!
//! burn-train's gradient accumulation and its multi-device training add the gradients of training steps, each with a
//! probe of its own. The generator of random numbers is one for all devices of a backend: with dropout, steps that run on
//! several devices at the same time disturb each other's masks.

mod model;

pub use model::StochasticHsrModel;
