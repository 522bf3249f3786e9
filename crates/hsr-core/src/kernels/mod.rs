//! Loops over lanes of samples with the sizes as constants, so that sums stay in registers.
//!
//! Small networks have too few rows for a matrix product to pay: x̃ holds three values, the outputs two in their basis.
//! What a lane of samples needs then fits into the vector registers, and no intermediate array is written. The loops of
//! [`pairs`] serve networks of any size.

pub(crate) mod basis;
pub(crate) mod cross;
pub(crate) mod hidden;
pub(crate) mod output;
pub(crate) mod pairs;

use crate::Real;
use crate::forward::Forward;
use crate::lanes::{LANE, gather, row, zeroed};

/// The longest x̃ and the highest rank of the outputs that the kernels take.
const MOST: usize = 3;

/// Whether the kernels take this rank of the outputs.
pub(crate) fn fit_rank(rank: usize) -> bool {
    (1..=MOST).contains(&rank)
}

/// Whether the kernels over inputs take these sizes.
pub(crate) fn fit(inputs_extended: usize, rank: usize) -> bool {
    fit_rank(rank) && (1..=MOST).contains(&inputs_extended)
}

/// Calls a kernel with the sizes as constants; the caller has asked whether they fit.
macro_rules! with_sizes {
    ($size:expr, $rank:expr, $fma:expr, [$($n:literal),*], $call:ident $arguments:tt) => {
        match ($size, $rank, $fma) {
            $(
                ($n, 1, true) => $call::<T, $n, 1, true> $arguments,
                ($n, 2, true) => $call::<T, $n, 2, true> $arguments,
                ($n, 3, true) => $call::<T, $n, 3, true> $arguments,
                ($n, 1, false) => $call::<T, $n, 1, false> $arguments,
                ($n, 2, false) => $call::<T, $n, 2, false> $arguments,
                ($n, 3, false) => $call::<T, $n, 3, false> $arguments,
            )*
            _ => unreachable!("the caller asks whether the sizes fit"),
        }
    };
}
pub(crate) use with_sizes;

/// The same for kernels over packed outputs: the rank and its packed length.
macro_rules! with_rank {
    ($rank:expr, $fma:expr, $call:ident $arguments:tt) => {
        match ($rank, $fma) {
            (1, true) => $call::<T, 1, 1, true> $arguments,
            (2, true) => $call::<T, 2, 3, true> $arguments,
            (3, true) => $call::<T, 3, 6, true> $arguments,
            (1, false) => $call::<T, 1, 1, false> $arguments,
            (2, false) => $call::<T, 2, 3, false> $arguments,
            (3, false) => $call::<T, 3, 6, false> $arguments,
            _ => unreachable!("the caller asks whether the rank fits"),
        }
    };
}
pub(crate) use with_rank;

/// A lane of samples.
pub(crate) type Lane<T> = [T; LANE];

/// `a·b + c` in one rounding where the machine has that instruction. Elsewhere it would be a slow library call.
#[inline(always)]
pub(crate) fn multiply_add<T: Real, const FMA: bool>(a: T, b: T, c: T) -> T {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `sum += a·b`, lane by lane.
#[inline(always)]
pub(crate) fn add_to<T: Real, const FMA: bool>(sum: &mut Lane<T>, a: &Lane<T>, b: &Lane<T>) {
    for l in 0..LANE {
        sum[l] = multiply_add::<T, FMA>(a[l], b[l], sum[l]);
    }
}

/// `sum += factor·a`.
#[inline(always)]
pub(crate) fn add_scaled_to<T: Real, const FMA: bool>(sum: &mut Lane<T>, factor: T, a: &Lane<T>) {
    for l in 0..LANE {
        sum[l] = multiply_add::<T, FMA>(factor, a[l], sum[l]);
    }
}

/// `a·b`.
#[inline(always)]
pub(crate) fn product<T: Real>(a: &Lane<T>, b: &Lane<T>) -> Lane<T> {
    let mut product = [T::zero(); LANE];
    for l in 0..LANE {
        product[l] = a[l] * b[l];
    }
    product
}

/// `ROWS` consecutive rows in vectors of `WIDTH` samples.
#[inline(always)]
pub(crate) fn rows<T, const WIDTH: usize, const ROWS: usize>(
    data: &[T],
    stride: usize,
    first: usize,
) -> [&[[T; WIDTH]]; ROWS] {
    let mut rows = [&[][..]; ROWS];
    for (i, out) in rows.iter_mut().enumerate() {
        // The length is written in one way for all of them, so that the compiler sees them equal.
        *out = &row(data, stride, first + i).as_chunks::<WIDTH>().0[..stride / WIDTH];
    }
    rows
}

/// The lane from sample `from` on of `ROWS` consecutive rows.
#[inline(always)]
pub(crate) fn lanes_at<T: Real, const ROWS: usize>(
    data: &[T],
    stride: usize,
    first: usize,
    from: usize,
) -> [Lane<T>; ROWS] {
    let mut lanes = [[T::zero(); LANE]; ROWS];
    for (i, lane) in lanes.iter_mut().enumerate() {
        lane.copy_from_slice(&data[(first + i) * stride + from..][..LANE]);
    }
    lanes
}

/// Writes the lane from sample `from` on of consecutive rows.
#[inline(always)]
pub(crate) fn write_lanes<T: Real, const ROWS: usize>(
    lanes: &[Lane<T>; ROWS],
    data: &mut [T],
    stride: usize,
    first: usize,
    from: usize,
) {
    for (i, lane) in lanes.iter().enumerate() {
        data[(first + i) * stride + from..][..LANE].copy_from_slice(lane);
    }
}

/// ã of one lane of samples, and sums for its ā.
#[derive(Default)]
pub(crate) struct HiddenLane<T> {
    a: Vec<T>,
    sums: Vec<T>,
}

impl<T: Real> HiddenLane<T> {
    /// ã of the lane from sample `from` on, and its sums, cleared.
    #[inline(always)]
    pub fn load(&mut self, f: &Forward<T>, from: usize) -> (&[Lane<T>], &mut [Lane<T>]) {
        let rows = f.dims().hidden_extended();
        let a = gather(&f.a, f.stride, rows, from, &mut self.a);
        let sums = zeroed(&mut self.sums, rows * LANE);
        (a, sums.as_chunks_mut::<LANE>().0)
    }

    /// Adds the sums to `hidden` \[h\]; the bias has no ā.
    #[inline(always)]
    pub fn add_to(&self, f: &Forward<T>, from: usize, hidden: &mut [T]) {
        let sums = self.sums.as_chunks::<LANE>().0;
        for (i, sums) in sums[..f.dims().hidden].iter().enumerate() {
            let out = &mut hidden[i * f.stride + from..][..LANE];
            for l in 0..LANE {
                out[l] += sums[l];
            }
        }
    }
}

/// Whether the kernels may fuse multiply and add: every vector unit that `pulp` dispatches to can; without one, the
/// machine may not.
pub(crate) fn fused() -> bool {
    !matches!(pulp::Arch::new(), pulp::Arch::Scalar)
}
