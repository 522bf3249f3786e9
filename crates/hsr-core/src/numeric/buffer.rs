//! Buffers of samples, aligned to the widest vector register.

use core::ops::{Deref, DerefMut};

use aligned_vec::{AVec, ConstAlign, avec};

use crate::numeric::scalar::Scalar;

/// Numbers that begin on a boundary of 64 bytes. Rows are whole registers, so that none is read from two cache lines: that
/// is an eighth of an evaluation with AVX-512.
pub struct Buffer<T> {
    /// Room for more than are in use, all initialised.
    values: AVec<T, ConstAlign<64>>,
    used: usize,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self {
            values: AVec::new(64),
            used: 0,
        }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.values[..self.used]
    }
}

impl<T> DerefMut for Buffer<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.used]
    }
}

impl<'a, T> IntoIterator for &'a Buffer<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Room for `size` values: what it held is lost where it had less.
#[inline(always)]
pub(crate) fn make_room<T: Scalar>(buffer: &mut Buffer<T>, size: usize) {
    if buffer.values.len() < size {
        renew(buffer, size);
    }
}

/// A buffer of exactly `size` values, without an allocation once it was that large. Old values may remain.
#[inline(always)]
pub(crate) fn fit<T: Scalar>(buffer: &mut Buffer<T>, size: usize) -> &mut [T] {
    make_room(buffer, size);
    buffer.used = size;
    buffer
}

/// A buffer of exactly `size` zeros, without an allocation once it was that large.
#[inline(always)]
pub(crate) fn zeros<T: Scalar>(buffer: &mut Buffer<T>, size: usize) -> &mut [T] {
    let values = fit(buffer, size);
    values.fill(T::zero());
    values
}

/// Exactly `size` zeros, as [`memory`](crate::memory) counts them, after the old ones are given back.
#[cold]
fn renew<T: Scalar>(buffer: &mut Buffer<T>, size: usize) {
    *buffer = Buffer::default();
    buffer.values = avec![[64]| T::zero(); size];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_on_64_bytes_and_has_the_length_that_was_asked_for() {
        let mut buffer = Buffer::<f32>::default();
        for size in [0, 1, 16, 5, 1000, 3] {
            assert_eq!(fit(&mut buffer, size).len(), size);
            assert_eq!(buffer.as_ptr().align_offset(64), 0);
            assert_eq!(buffer.len(), size);
        }
    }

    #[test]
    fn what_a_buffer_held_stays_where_there_is_room_and_is_zero_on_demand() {
        let mut buffer = Buffer::<f64>::default();
        fit(&mut buffer, 8).fill(1.0);
        make_room(&mut buffer, 6);
        assert_eq!(*buffer, [1.0; 8]);
        assert_eq!(fit(&mut buffer, 3), [1.0; 3]);
        let at = buffer.as_ptr();
        assert_eq!(zeros(&mut buffer, 8), [0.0; 8]);
        assert_eq!(buffer.as_ptr(), at);
        make_room(&mut buffer, 9);
        assert_eq!(fit(&mut buffer, 9), [0.0; 9]);
    }
}
