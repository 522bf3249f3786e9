//! Borrowed matrices.

/// A borrowed matrix with arbitrary strides.
#[derive(Clone, Copy)]
pub struct Mat<'a, T> {
    pub(super) data: &'a [T],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

impl<'a, T> Mat<'a, T> {
    /// `rows` rows of `cols` contiguous values, the rows `stride` apart.
    #[inline(always)]
    pub fn new(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(rows == 0 || cols == 0 || (rows - 1) * stride + cols <= data.len());
        Self {
            data,
            rows,
            cols,
            row_stride: stride,
            col_stride: 1,
        }
    }

    /// Some columns next to one another.
    pub(super) fn columns(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.cols);
        Self {
            data: &self.data[first * self.col_stride..],
            cols: count,
            ..self
        }
    }

    /// The transpose.
    #[inline(always)]
    pub fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// What happens to the destination's old values.
#[derive(Clone, Copy, PartialEq)]
pub enum Write {
    /// They are replaced.
    Replace,
    /// The product is added to them.
    Add,
}

impl Write {
    /// Of one term of a sum that begins anew.
    pub fn term(first: bool) -> Self {
        if first { Self::Replace } else { Self::Add }
    }
}
