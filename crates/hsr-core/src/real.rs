//! The scalar types of the closed form.

use crate::depth;
use crate::two_layer;

/// A floating-point type in which the closed form can be evaluated: `f32` or `f64`.
pub trait Real: two_layer::stages::Stages + depth::workspace::evaluate::Evaluate {}

impl Real for f32 {}
impl Real for f64 {}
