//! The scalar types of the closed form.

use num_traits::{Float, NumAssign};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point type in which the closed form can be evaluated: `f32` or `f64`.
pub trait Real:
    sealed::Sealed
    + Float
    + NumAssign
    + Default
    + core::fmt::Debug
    + core::fmt::Display
    + core::iter::Sum
    + Send
    + Sync
    + 'static
{
    /// The value nearest to `x`.
    fn of(x: f64) -> Self;
    /// The same value in `f64`.
    fn as_f64(self) -> f64;
    /// The error function.
    fn erf(self) -> Self;
    /// The complementary error function 1 − erf, accurate in its tail.
    fn erfc(self) -> Self;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
    fn erf(self) -> Self {
        libm::erff(self)
    }
    fn erfc(self) -> Self {
        libm::erfcf(self)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn as_f64(self) -> f64 {
        self
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn erfc(self) -> Self {
        libm::erfc(self)
    }
}
