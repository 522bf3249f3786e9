//! Vector registers of the machine's width, for the loops in which the evaluation spends its time: left to the compiler,
//! some of them come out with half of their instructions moving values between registers.

use core::marker::PhantomData;

use pulp::Simd;

use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::lanes::{row, row_mut};
use crate::numeric::scalar::Scalar;

/// A scalar type and its vectors under an instruction set.
pub trait Vectors: Scalar {
    /// A register of these numbers.
    type Vector<S: Simd>: Copy;

    /// The values as whole registers; what is left over is dropped.
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];
    /// The values as whole registers, mutable.
    fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [Self::Vector<S>];
    /// One value everywhere.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// a + b.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a − b.
    fn minus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a·b.
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a·b + c, in one rounding where the machine has that instruction.
    fn times_plus<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
    /// The sum of the values.
    fn total<S: Simd>(simd: S, a: Self::Vector<S>) -> Self;
}

/// A register of `T` under `S`.
pub(crate) type Vector<T, S> = <T as Vectors>::Vector<S>;

/// The vector unit under an instruction set, with what the kernels ask of it. Feature-major arrays have whole
/// registers in each row (see [`lanes`](crate::numeric::lanes)).
#[derive(Clone, Copy)]
pub(crate) struct Unit<T, S> {
    simd: S,
    scalar: PhantomData<T>,
}

impl<T: Vectors, S: Simd> Unit<T, S> {
    /// Values a register holds.
    pub const WIDTH: usize = size_of::<Vector<T, S>>() / size_of::<T>();

    #[inline(always)]
    pub fn new(simd: S) -> Self {
        Self {
            simd,
            scalar: PhantomData,
        }
    }

    /// One value everywhere.
    #[inline(always)]
    pub fn splat(self, value: T) -> Vector<T, S> {
        T::splat(self.simd, value)
    }

    /// Zeros.
    #[inline(always)]
    pub fn zeros<const N: usize>(self) -> [Vector<T, S>; N] {
        [self.splat(T::zero()); N]
    }

    /// a + b.
    #[inline(always)]
    pub fn plus(self, a: Vector<T, S>, b: Vector<T, S>) -> Vector<T, S> {
        T::plus(self.simd, a, b)
    }

    /// a − b.
    #[inline(always)]
    pub fn minus(self, a: Vector<T, S>, b: Vector<T, S>) -> Vector<T, S> {
        T::minus(self.simd, a, b)
    }

    /// a·b.
    #[inline(always)]
    pub fn times(self, a: Vector<T, S>, b: Vector<T, S>) -> Vector<T, S> {
        T::times(self.simd, a, b)
    }

    /// factor·a.
    #[inline(always)]
    pub fn scaled(self, factor: T, a: Vector<T, S>) -> Vector<T, S> {
        self.times(self.splat(factor), a)
    }

    /// a·b + c.
    #[inline(always)]
    pub fn times_plus(self, a: Vector<T, S>, b: Vector<T, S>, c: Vector<T, S>) -> Vector<T, S> {
        T::times_plus(self.simd, a, b, c)
    }

    /// `sum += a·b`.
    #[inline(always)]
    pub fn add_to(self, sum: &mut Vector<T, S>, a: Vector<T, S>, b: Vector<T, S>) {
        *sum = self.times_plus(a, b, *sum);
    }

    /// `sum += factor·a`.
    #[inline(always)]
    pub fn add_scaled_to(self, sum: &mut Vector<T, S>, factor: T, a: Vector<T, S>) {
        self.add_to(sum, self.splat(factor), a);
    }

    /// The sum of the values.
    #[inline(always)]
    pub fn total(self, a: Vector<T, S>) -> T {
        T::total(self.simd, a)
    }

    /// The vector that begins at `index`.
    #[inline(always)]
    pub fn load(self, data: &[T], index: usize) -> Vector<T, S> {
        T::vectors::<S>(&data[index..][..Self::WIDTH])[0]
    }

    /// Writes the vector that begins at `index`.
    #[inline(always)]
    pub fn store(self, data: &mut [T], index: usize, vector: Vector<T, S>) {
        T::vectors_mut::<S>(&mut data[index..][..Self::WIDTH])[0] = vector;
    }

    /// `N` vectors next to one another.
    #[inline(always)]
    pub fn load_run<const N: usize>(self, data: &[T], index: usize) -> [Vector<T, S>; N] {
        let mut vectors = self.zeros::<N>();
        vectors.copy_from_slice(T::vectors::<S>(&data[index..][..N * Self::WIDTH]));
        vectors
    }

    /// Writes vectors next to one another.
    #[inline(always)]
    pub fn store_run<const N: usize>(
        self,
        vectors: &[Vector<T, S>; N],
        data: &mut [T],
        index: usize,
    ) {
        T::vectors_mut::<S>(&mut data[index..][..N * Self::WIDTH]).copy_from_slice(vectors);
    }

    /// The vectors from sample `from` on of `ROWS` consecutive rows.
    #[inline(always)]
    pub fn load_rows<const ROWS: usize>(
        self,
        data: &[T],
        stride: usize,
        first: usize,
        from: usize,
    ) -> [Vector<T, S>; ROWS] {
        let mut vectors = self.zeros::<ROWS>();
        for (i, vector) in vectors.iter_mut().enumerate() {
            *vector = self.load(data, (first + i) * stride + from);
        }
        vectors
    }

    /// Writes the vectors from sample `from` on of consecutive rows.
    #[inline(always)]
    pub fn store_rows<const ROWS: usize>(
        self,
        vectors: &[Vector<T, S>; ROWS],
        data: &mut [T],
        stride: usize,
        first: usize,
        from: usize,
    ) {
        for (i, &vector) in vectors.iter().enumerate() {
            self.store(data, (first + i) * stride + from, vector);
        }
    }

    /// One row in vectors of samples.
    #[inline(always)]
    pub fn row(self, data: &[T], stride: usize, index: usize) -> &[Vector<T, S>] {
        // The length is written in one way for all rows, so that the compiler sees them equal.
        &T::vectors::<S>(row(data, stride, index))[..stride / Self::WIDTH]
    }

    /// One row in vectors of samples, mutable.
    #[inline(always)]
    pub fn row_mut(self, data: &mut [T], stride: usize, index: usize) -> &mut [Vector<T, S>] {
        &mut T::vectors_mut::<S>(row_mut(data, stride, index))[..stride / Self::WIDTH]
    }

    /// `ROWS` consecutive rows in vectors of samples.
    #[inline(always)]
    pub fn rows<const ROWS: usize>(
        self,
        data: &[T],
        stride: usize,
        first: usize,
    ) -> [&[Vector<T, S>]; ROWS] {
        let mut rows = [&[][..]; ROWS];
        for (i, out) in rows.iter_mut().enumerate() {
            *out = self.row(data, stride, first + i);
        }
        rows
    }

    /// A copy of `rows` rows for the vector of samples from `from` on, so that nested loops over rows read contiguous
    /// memory.
    #[inline(always)]
    pub fn gather<'a>(
        self,
        data: &[T],
        stride: usize,
        rows: usize,
        from: usize,
        out: &'a mut Buffer<T>,
    ) -> &'a [Vector<T, S>] {
        let out = self.room(rows, out);
        self.gather_into(data, stride, from, out);
        out
    }

    /// The same into room that is there, as many rows as it holds.
    #[inline(always)]
    pub fn gather_into(self, data: &[T], stride: usize, from: usize, out: &mut [Vector<T, S>]) {
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.load(data, i * stride + from);
        }
    }

    /// Room for `rows` vectors, which may hold old values.
    #[inline(always)]
    pub fn room(self, rows: usize, out: &mut Buffer<T>) -> &mut [Vector<T, S>] {
        T::vectors_mut::<S>(fit(out, rows * Self::WIDTH))
    }

    /// `rows` vectors of zeros.
    #[inline(always)]
    pub fn cleared(self, rows: usize, out: &mut Buffer<T>) -> &mut [Vector<T, S>] {
        T::vectors_mut::<S>(zeros(out, rows * Self::WIDTH))
    }

    /// The number of registers that a kernel may count on.
    pub const REGISTERS: usize = S::REGISTER_COUNT;
}

macro_rules! vectors {
    ($scalar:ty, $vector:ident, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident,
     $mul_add:ident, $sum:ident) => {
        impl Vectors for $scalar {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn vectors<S: Simd>(values: &[Self]) -> &[S::$vector] {
                S::$as_simd(values).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(values: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut_simd(values).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn times<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn times_plus<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                c: S::$vector,
            ) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn total<S: Simd>(simd: S, a: S::$vector) -> Self {
                simd.$sum(a)
            }
        }
    };
}

vectors!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    add_f32s,
    sub_f32s,
    mul_f32s,
    mul_add_e_f32s,
    reduce_sum_f32s
);
vectors!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    add_f64s,
    sub_f64s,
    mul_f64s,
    mul_add_e_f64s,
    reduce_sum_f64s
);
