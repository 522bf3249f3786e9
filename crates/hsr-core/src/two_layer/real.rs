//! The scalar types of the closed form.

use crate::numeric::number::Number;
use crate::two_layer::stages::Stages;

/// A floating-point type in which the closed form can be evaluated: `f32` or `f64`.
pub trait Real: Number + Stages {}

impl Real for f32 {}
impl Real for f64 {}
