//! Matrix products that are too small for packing.

use pulp::Simd;

use crate::numeric::dispatch::{Verb, vectorized};
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::vectors::{Unit, Vectors};

/// Below this many coefficients a product is faster without packing: as sums of rows, or as inner products.
pub(super) const SMALL: usize = 128;

/// A scalar type whose small products are compiled here, once for every instruction set.
pub trait Products: Vectors {
    /// Does the product.
    fn small_product(product: SmallProduct<Self>);
}

impl Products for f32 {
    fn small_product(product: SmallProduct<Self>) {
        vectorized(product);
    }
}

impl Products for f64 {
    fn small_product(product: SmallProduct<Self>) {
        vectorized(product);
    }
}

/// Where results go: rows of `out`, `stride` apart.
pub struct Destination<'o, T> {
    pub(super) out: &'o mut [T],
    pub(super) stride: usize,
    pub(super) write: Write,
    pub(super) alpha: T,
}

/// A product too small for packing.
pub struct SmallProduct<'a, T> {
    pub(super) to: Destination<'a, T>,
    pub(super) a: Mat<'a, T>,
    pub(super) b: Mat<'a, T>,
    pub(super) by_rows: bool,
}

impl<T: Vectors> Verb for SmallProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self {
            mut to,
            a,
            b,
            by_rows,
        } = self;
        let unit = Unit::new(simd);
        if by_rows {
            broadcast(unit, &mut to, a, b);
        } else {
            inner_products(unit, &mut to, a, b);
        }
    }
}

/// A small matrix times rows of samples: vectors of samples are summed in registers.
#[inline(always)]
fn broadcast<T: Vectors, S: Simd>(unit: Unit<T, S>, to: &mut Destination<T>, a: Mat<T>, b: Mat<T>) {
    let mut i = 0;
    while i < a.rows {
        let group = (a.rows - i).min(4);
        match group {
            1 => broadcast_rows::<T, S, 1>(unit, to, a, b, i),
            2 => broadcast_rows::<T, S, 2>(unit, to, a, b, i),
            3 => broadcast_rows::<T, S, 3>(unit, to, a, b, i),
            _ => broadcast_rows::<T, S, 4>(unit, to, a, b, i),
        }
        i += group;
    }
}

/// A group of rows, two vectors of samples at once, for each coefficient to be read once for both.
#[inline(always)]
fn broadcast_rows<T: Vectors, S: Simd, const ROWS: usize>(
    unit: Unit<T, S>,
    to: &mut Destination<T>,
    a: Mat<T>,
    b: Mat<T>,
    first: usize,
) {
    // The coefficients next to one another, column by column.
    let mut copied = [T::zero(); SMALL];
    let columns = copied.as_chunks_mut::<ROWS>().0;
    for (j, column) in columns[..a.cols].iter_mut().enumerate() {
        for (i, value) in column.iter_mut().enumerate() {
            *value = a.data[(first + i) * a.row_stride + j * a.col_stride];
        }
    }
    let columns = &columns[..a.cols];
    let mut from = 0;
    while from + 2 * Unit::<T, S>::WIDTH <= b.cols {
        broadcast_run::<T, S, ROWS, 2>(unit, to, columns, b, first, from);
        from += 2 * Unit::<T, S>::WIDTH;
    }
    while from < b.cols {
        broadcast_run::<T, S, ROWS, 1>(unit, to, columns, b, first, from);
        from += Unit::<T, S>::WIDTH;
    }
}

#[inline(always)]
fn broadcast_run<T: Vectors, S: Simd, const ROWS: usize, const RUN: usize>(
    unit: Unit<T, S>,
    to: &mut Destination<T>,
    columns: &[[T; ROWS]],
    b: Mat<T>,
    first: usize,
    from: usize,
) {
    let mut sums = [unit.zeros::<RUN>(); ROWS];
    for (j, column) in columns.iter().enumerate() {
        let b = unit.load_run::<RUN>(b.data, j * b.row_stride + from);
        for (sums, &a) in sums.iter_mut().zip(column) {
            let a = unit.splat(a);
            for (sum, &b) in sums.iter_mut().zip(&b) {
                unit.add_to(sum, a, b);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        let at = (first + i) * to.stride + from;
        let mut result = sums.map(|sum| unit.scaled(to.alpha, sum));
        if to.write == Write::Add {
            let old = unit.load_run::<RUN>(to.out, at);
            for (result, &old) in result.iter_mut().zip(&old) {
                *result = unit.plus(*result, old);
            }
        }
        unit.store_run(&result, to.out, at);
    }
}

/// Rows of samples times rows of samples, two by four at once, for each vector to be read once for several products.
#[inline(always)]
fn inner_products<T: Vectors, S: Simd>(
    unit: Unit<T, S>,
    to: &mut Destination<T>,
    a: Mat<T>,
    b: Mat<T>,
) {
    let mut i = 0;
    while i < a.rows {
        let pair = i + 1 < a.rows;
        let mut j = 0;
        while j < b.cols {
            let four = j + 3 < b.cols;
            match (pair, four) {
                (true, true) => products::<T, S, 2, 4>(unit, to, a, b, i, j),
                (true, false) => products::<T, S, 2, 1>(unit, to, a, b, i, j),
                (false, true) => products::<T, S, 1, 4>(unit, to, a, b, i, j),
                (false, false) => products::<T, S, 1, 1>(unit, to, a, b, i, j),
            }
            j += if four { 4 } else { 1 };
        }
        i += if pair { 2 } else { 1 };
    }
}

#[inline(always)]
fn products<T: Vectors, S: Simd, const ROWS: usize, const COLS: usize>(
    unit: Unit<T, S>,
    to: &mut Destination<T>,
    a: Mat<T>,
    b: Mat<T>,
    first: usize,
    column: usize,
) {
    let vectors = a.cols / Unit::<T, S>::WIDTH;
    let mut left = [&[][..]; ROWS];
    for (i, left) in left.iter_mut().enumerate() {
        let row = &a.data[(first + i) * a.row_stride..][..a.cols];
        *left = &T::vectors::<S>(row)[..vectors];
    }
    let mut right = [&[][..]; COLS];
    for (j, right) in right.iter_mut().enumerate() {
        let row = &b.data[(column + j) * b.col_stride..][..a.cols];
        *right = &T::vectors::<S>(row)[..vectors];
    }
    let mut sums = [unit.zeros::<COLS>(); ROWS];
    for v in 0..vectors {
        for (sums, left) in sums.iter_mut().zip(&left) {
            for (sum, right) in sums.iter_mut().zip(&right) {
                unit.add_to(sum, left[v], right[v]);
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, &sum) in sums.iter().enumerate() {
            let out = &mut to.out[(first + i) * to.stride + column + j];
            let old = if to.write == Write::Add {
                *out
            } else {
                T::zero()
            };
            *out = old + to.alpha * unit.total(sum);
        }
    }
}
