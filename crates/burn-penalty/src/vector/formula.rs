//! Formulas of the components of vectors, written once for numbers and for tensors.

use core::ops::{Add, Mul, Sub};

use burn::tensor::Tensor;

use crate::number::Number;

/// What a formula computes with: a component in the host's memory, or all of a part on a device.
pub(crate) trait Element:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self>
{
    /// A number in the same precision.
    type Scale: Clone;

    /// This times a number.
    fn times(self, number: Self::Scale) -> Self;
}

impl Element for f32 {
    type Scale = f32;

    #[inline]
    fn times(self, number: f32) -> f32 {
        self * number
    }
}

impl Element for f64 {
    type Scale = f64;

    #[inline]
    fn times(self, number: f64) -> f64 {
        self * number
    }
}

impl Element for Tensor<1> {
    type Scale = Number;

    fn times(self, number: Number) -> Self {
        number.times(self)
    }
}

/// A formula of K numbers and of the components of N vectors.
pub(crate) trait Formula<const K: usize, const N: usize> {
    fn at<E: Element>(numbers: [E::Scale; K], components: [E; N]) -> E;
}

/// a − b.
pub(crate) struct Difference;

impl Formula<0, 2> for Difference {
    #[inline]
    fn at<E: Element>(_: [E::Scale; 0], [a, b]: [E; 2]) -> E {
        a - b
    }
}

/// a·b.
pub(crate) struct Product;

impl Formula<0, 2> for Product {
    #[inline]
    fn at<E: Element>(_: [E::Scale; 0], [a, b]: [E; 2]) -> E {
        a * b
    }
}

/// (ka)·(lb).
pub(crate) struct ScaledProduct;

impl Formula<2, 2> for ScaledProduct {
    #[inline]
    fn at<E: Element>([k, l]: [E::Scale; 2], [a, b]: [E; 2]) -> E {
        a.times(k) * b.times(l)
    }
}

/// ka.
pub(crate) struct Scaled;

impl Formula<1, 1> for Scaled {
    #[inline]
    fn at<E: Element>([k]: [E::Scale; 1], [a]: [E; 1]) -> E {
        a.times(k)
    }
}

/// l(ka): neither product need be representable as one number.
pub(crate) struct TwiceScaled;

impl Formula<2, 1> for TwiceScaled {
    #[inline]
    fn at<E: Element>([k, l]: [E::Scale; 2], [a]: [E; 1]) -> E {
        a.times(k).times(l)
    }
}

/// a + kb.
pub(crate) struct Moved;

impl Formula<1, 2> for Moved {
    #[inline]
    fn at<E: Element>([k]: [E::Scale; 1], [a, b]: [E; 2]) -> E {
        a + b.times(k)
    }
}
