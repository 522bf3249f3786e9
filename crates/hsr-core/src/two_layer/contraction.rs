//! What an evaluation of ‖H‖² leaves for the gradient: the norms of the three blocks, and the contractions of each
//! block with its samples, before the weight w_q is known.

use crate::evaluation::out::Out;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::number::Number;
use crate::two_layer::output_basis;

/// What an evaluation has to produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Trace and norm.
    Moments,
    /// Also what the gradient for the parameters needs.
    Gradient,
    /// Also what the gradient for the inputs needs.
    InputGradient,
}

impl Want {
    /// What these gradients need.
    pub fn of<T>(out: &Out<T>) -> Self {
        match out.inputs {
            None => Self::Gradient,
            Some(_) => Self::InputGradient,
        }
    }
}

/// Contractions of the blocks of H with the samples, feature-major. The adjoints of theory §4 are
/// S̄ = 2w_q S̃, M̄ = 2w_q M̃, Q̄ = 4w_q Q̃, R̄ = 4w_q R̃, and 4w_q times `hidden` and `inputs` for ā and x̄.
#[derive(Default)]
pub struct Contraction<T> {
    /// ‖H22‖², ‖H11‖², ‖H21‖².
    pub output_norm: T,
    pub hidden_norm: T,
    pub cross_norm: T,
    /// S̃ packed, \[K'(K' + 1)/2\]; here and below K' is the rank of the output basis. Where S is not kept packed, diag S̃
    /// and S̃ p, \[2K\].
    pub s: Buffer<T>,
    /// U M̃, \[h·K\]: M̃ itself (h² a sample) is never kept.
    pub um: Buffer<T>,
    /// diag M̃, \[h\].
    pub m_diagonal: Buffer<T>,
    /// Q̃, \[h·K\].
    pub q: Buffer<T>,
    /// R̃ d1, \[K\], and R̃ᵀ r, \[h\]: R = r d1ᵀ has rank one, so R̃ itself is not needed.
    pub r_d1: Buffer<T>,
    pub r_r: Buffer<T>,
    /// For ā, \[h\].
    pub hidden: Buffer<T>,
    /// For x̄, \[d̃\].
    pub inputs: Buffer<T>,
}

impl<T: Number> Contraction<T> {
    /// Makes room and sets everything to zero.
    #[inline(always)]
    pub fn clear(&mut self, f: &crate::two_layer::samples::Forward<T>, want: Want) {
        let (dims, stride) = (f.dims(), f.stride);
        self.output_norm = T::zero();
        self.hidden_norm = T::zero();
        self.cross_norm = T::zero();
        if want == Want::Moments {
            return;
        }
        let (h, k) = (dims.hidden, f.rank);
        fit(&mut self.s, output_basis::rows_of_s_bar(k) * stride);
        fit(&mut self.um, h * k * stride);
        fit(&mut self.m_diagonal, h * stride);
        fit(&mut self.q, h * k * stride);
        zeros(&mut self.r_d1, k * stride);
        zeros(&mut self.r_r, h * stride);
        zeros(&mut self.hidden, h * stride);
        if want == Want::InputGradient {
            zeros(&mut self.inputs, dims.inputs_extended() * stride);
        }
    }

    /// As where every block is zero.
    #[inline(always)]
    pub fn zero(&mut self, f: &crate::two_layer::samples::Forward<T>, want: Want) {
        self.clear(f, want);
        for left in [&mut self.s, &mut self.um, &mut self.m_diagonal, &mut self.q] {
            left.fill(T::zero());
        }
    }

    /// q = ‖H22‖² + ‖H11‖² + 2‖H21‖².
    pub fn frobenius_squared(&self) -> T {
        self.output_norm + self.hidden_norm + T::of(2.0) * self.cross_norm
    }
}
