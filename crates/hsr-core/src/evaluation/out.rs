//! Where gradients are written.

/// Where the gradient goes.
pub struct Out<'a, T> {
    /// For θ, \[D\].
    pub parameters: &'a mut [T],
    /// For the inputs, N × d row-major, where it is wanted.
    pub inputs: Option<&'a mut [T]>,
}
