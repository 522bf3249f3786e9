//! What several kernels share.

use cubecl::ir::ConstantValue;
use cubecl::prelude::*;

use super::buffer::UNITS;

/// The loss, as a kernel is compiled for it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Loss {
    Softmax,
    Sigmoid,
    Squared,
}

/// Whether the kernel computes in double precision.
#[cube]
pub(super) fn double_precision<F: Float>() -> comptime_type!(bool) {
    let elem = elem_type_of::<F>();
    comptime!(elem.size() > size_of::<f32>())
}

/// What a precision needs, known when a kernel is compiled.
pub(super) fn by_precision<T>(double: bool, of_single: T, of_double: T) -> T {
    match double {
        true => of_double,
        false => of_single,
    }
}

/// A constant to the last digit; `Float::new` takes it in single precision.
#[cube]
pub(super) fn constant<F: Float>(#[comptime] value: f64) -> F {
    intrinsic!(|scope| F::elem_type(scope)
        .constant(ConstantValue::Float(value))
        .into())
}

/// The smallest number that has a reciprocal.
#[cube]
pub(super) fn smallest<F: Float>() -> F {
    let double = double_precision::<F>();
    constant::<F>(comptime!(by_precision(
        double,
        f64::from(f32::MIN_POSITIVE),
        f64::MIN_POSITIVE
    )))
}

/// Whether a number is neither NaN nor infinite, by its bits: shader compilers may assume that there are no others. A double
/// is brought into the range of single precision first, for not every device that has it has integers of 64 bits.
#[cube]
pub(super) fn is_finite<F: Float>(x: F) -> bool {
    let double = double_precision::<F>();
    let single = match comptime!(double) {
        false => f32::cast_from(x),
        true => f32::cast_from(x * constant::<F>(comptime!(2f64.powi(-900)))),
    };
    (u32::reinterpret(single) & 0x7f80_0000u32) != 0x7f80_0000u32
}

/// The sum of what every unit of the cube brings, known to all of them.
#[cube]
pub(super) fn sum_over_cube<F: Float>(mine: F) -> F {
    let mut shared = Shared::<[F]>::new_slice(UNITS);
    let unit = UNIT_POS as usize;
    shared[unit] = mine;
    sync_cube();
    let mut width = comptime!(UNITS / 2).runtime();
    while width > 0 {
        if unit < width {
            let other = shared[unit + width];
            shared[unit] += other;
        }
        sync_cube();
        width /= 2;
    }
    shared[0]
}

/// The largest of what every unit of the cube brings.
#[cube]
pub(super) fn max_over_cube<F: Float>(mine: F) -> F {
    let mut shared = Shared::<[F]>::new_slice(UNITS);
    let unit = UNIT_POS as usize;
    shared[unit] = mine;
    sync_cube();
    let mut width = comptime!(UNITS / 2).runtime();
    while width > 0 {
        if unit < width {
            let other = shared[unit + width];
            if other > shared[unit] {
                shared[unit] = other;
            }
        }
        sync_cube();
        width /= 2;
    }
    shared[0]
}

/// A row of S times a vector T, without forming S: s_k T_k − ω p_k Σ_{l≠k} p_l T_l for the softmax, s_k T_k for the
/// others, whose S is diagonal.
///
/// `rest` is Σ p_l T_l over all but the class of the largest logit, `of_top` that class's own term: the sum over l ≠ k
/// is taken from the two, so that nothing of the size of the largest term has to cancel.
#[cube]
pub(super) fn row_of_s<F: Float>(
    s: F,
    p: F,
    omega: F,
    t: F,
    is_top: bool,
    rest: F,
    of_top: F,
    #[comptime] loss: Loss,
) -> F {
    let mut row = s * t;
    if comptime!(loss == Loss::Softmax) {
        let others = select(is_top, rest, (rest - p * t) + of_top);
        row -= omega * p * others;
    }
    row
}
