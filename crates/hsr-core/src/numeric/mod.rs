//! Numbers and their vectors, rows of samples, matrices and their products.

pub(crate) mod buffer;
pub(crate) mod bytes;
pub(crate) mod dispatch;
pub(crate) mod lanes;
pub(crate) mod matmul;
pub(crate) mod matrix;
pub(crate) mod norm;
pub(crate) mod number;
pub(crate) mod products;
pub(crate) mod scalar;
pub(crate) mod svec;
pub(crate) mod vectors;
