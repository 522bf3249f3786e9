//! What the closed form computes with.

use crate::numeric::products::Products;

/// A floating-point type with vectors and matrix products: `f32` or `f64`.
pub trait Number: Products {}

impl Number for f32 {}
impl Number for f64 {}
