//! Loops over vectors of samples with the sizes as constants, so that sums stay in registers.
//!
//! Small networks have too few rows for a matrix product to pay: x̃ holds three values, the outputs two in their basis.
//! What a vector of samples needs then fits into the registers, and no intermediate array is written. The loops of
//! [`pairs`], [`coupling`], [`own`] and [`traces`] serve networks of any size.

// Loops over constant sizes index several rows at once, and a kernel has as many arguments as it has rows.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]

pub(crate) mod basis;
pub(crate) mod coupling;
pub(crate) mod cross;
pub(crate) mod hidden;
pub(crate) mod output;
pub(crate) mod own;
pub(crate) mod pairs;
pub(crate) mod traces;

use core::iter::StepBy;
use core::ops::Range;

use pulp::Simd;

use crate::numeric::buffer::Buffer;
use crate::numeric::number::Number;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::samples::Forward;

/// The longest x̃ and the highest rank of the outputs that the kernels take.
const MOST: usize = 3;

/// Whether the kernels take this rank of the outputs.
pub(crate) fn fit_rank(rank: usize) -> bool {
    (1..=MOST).contains(&rank)
}

/// Whether the kernels over inputs take these sizes. A single input without a bias is too rare for copies of its own.
pub(crate) fn fit(inputs_extended: usize, rank: usize) -> bool {
    fit_rank(rank) && (2..=MOST).contains(&inputs_extended)
}

/// Calls a kernel with the sizes as constants; the caller has asked whether they fit.
macro_rules! with_sizes {
    ($size:expr, $rank:expr, [$($n:literal),*], $call:ident $arguments:tt) => {
        match ($size, $rank) {
            $(
                ($n, 1) => $call::<T, S, $n, 1> $arguments,
                ($n, 2) => $call::<T, S, $n, 2> $arguments,
                ($n, 3) => $call::<T, S, $n, 3> $arguments,
            )*
            _ => unreachable!("the caller asks whether the sizes fit"),
        }
    };
}
pub(crate) use with_sizes;

/// The same for kernels over packed outputs: the rank and its packed length.
macro_rules! with_rank {
    ($rank:expr, $call:ident $arguments:tt) => {
        match $rank {
            1 => $call::<T, S, 1, 1> $arguments,
            2 => $call::<T, S, 2, 3> $arguments,
            3 => $call::<T, S, 3, 6> $arguments,
            _ => unreachable!("the caller asks whether the rank fits"),
        }
    };
}
pub(crate) use with_rank;

/// Vectors of samples that are done together by the loops over networks of any size: shorter runs of memory come slowly.
pub(crate) const RUN: usize = 4;

/// Where runs of [`RUN`] vectors of these samples begin, and where the single vectors after them.
#[inline(always)]
fn runs<T: Number, S: Simd>(samples: Range<usize>) -> (StepBy<Range<usize>>, StepBy<Range<usize>>) {
    let width = Unit::<T, S>::WIDTH;
    let covered = samples.len() / (RUN * width) * (RUN * width);
    let middle = samples.start + covered;
    (
        (samples.start..middle).step_by(RUN * width),
        (middle..samples.end).step_by(width),
    )
}

/// What `through_u` of [`basis`] and [`own`] takes and changes.
pub(crate) struct ThroughU<'a, T> {
    pub w_t: T,
    pub w_q2: T,
    pub w_q4: T,
    pub w2_bar: &'a mut [T],
    pub d1_bar: &'a mut [T],
    /// What the pull needs of S̄.
    pub s_bar: &'a mut [T],
    /// Some vectors of samples.
    pub lanes: &'a mut Buffer<T>,
}

/// Rows, and sums of as many.
type Loaded<'a, V> = (&'a [V], &'a mut [V]);

/// ã of one vector of samples, and sums for its ā.
#[derive(Default)]
pub(crate) struct HiddenLane<T> {
    a: Buffer<T>,
    sums: Buffer<T>,
}

impl<T: Number> HiddenLane<T> {
    /// ã of the samples from `from` on, and its sums, cleared.
    #[inline(always)]
    pub fn load<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        from: usize,
    ) -> Loaded<'_, Vector<T, S>> {
        let rows = f.dims().hidden_extended();
        let a = unit.gather(&f.a, f.stride, rows, from, &mut self.a);
        (a, unit.cleared(rows, &mut self.sums))
    }

    /// Adds the sums to `hidden` \[h\]; the bias has no ā.
    #[inline(always)]
    pub fn add_to<S: Simd>(&self, unit: Unit<T, S>, f: &Forward<T>, from: usize, hidden: &mut [T]) {
        for i in 0..f.dims().hidden {
            let at = i * f.stride + from;
            let sum = unit.load(&self.sums, i * Unit::<T, S>::WIDTH);
            unit.store(hidden, at, unit.plus(unit.load(hidden, at), sum));
        }
    }
}
