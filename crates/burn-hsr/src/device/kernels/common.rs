//! What several kernels share.

use cubecl::prelude::*;

use super::buffer::UNITS;

/// The loss, as a kernel is compiled for it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Loss {
    Softmax,
    Sigmoid,
    Squared,
}

/// Whether a number is neither NaN nor infinite, by its bits: shader compilers may assume that there are no others.
#[cube]
pub(super) fn is_finite(x: f32) -> bool {
    (u32::reinterpret(x) & 0x7f80_0000u32) != 0x7f80_0000u32
}

/// The sum of what every unit of the cube brings, known to all of them.
#[cube]
pub(super) fn sum_over_cube(mine: f32) -> f32 {
    let mut shared = Shared::new_slice(UNITS);
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
pub(super) fn max_over_cube(mine: f32) -> f32 {
    let mut shared = Shared::new_slice(UNITS);
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
pub(super) fn row_of_s(
    s: f32,
    p: f32,
    omega: f32,
    t: f32,
    is_top: bool,
    rest: f32,
    of_top: f32,
    #[comptime] loss: Loss,
) -> f32 {
    let mut row = s * t;
    if comptime!(loss == Loss::Softmax) {
        let others = select(is_top, rest, (rest - p * t) + of_top);
        row -= omega * p * others;
    }
    row
}
