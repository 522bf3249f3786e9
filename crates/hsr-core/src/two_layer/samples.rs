//! Every per-sample quantity of theory §1 that the Hessian is made of.

use crate::numeric::buffer::Buffer;
use crate::numeric::lanes::{add_product, flushed, part, row_mut};
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::problem::loss::OutputLoss;
use crate::problem::loss::rows::largest;
use crate::problem::network::Dimensions;

/// The per-sample quantities, feature-major (see [`lanes`](crate::numeric::lanes)). Matrices with hidden and output index have
/// row j·K + k, so that the K values of a hidden unit are neighbours.
#[derive(Default)]
pub struct Forward<T> {
    pub dimensions: Option<Dimensions>,
    pub loss_kind: Option<OutputLoss>,
    pub samples: usize,
    /// Row length: `samples` padded to whole lanes.
    pub stride: usize,
    /// x̃, [d̃].
    pub x: Buffer<T>,
    /// ã, [h̃].
    pub a: Buffer<T>,
    /// φ', φ'', φ''', [h] each.
    pub d1: Buffer<T>,
    pub d2: Buffer<T>,
    pub d3: Buffer<T>,
    /// Logits o, [K].
    pub o: Buffer<T>,
    /// Probabilities p, [K]; unused by the squared error.
    pub p: Buffer<T>,
    /// Softmax: 1 at the class of the largest logit, [K]. S·1 = 0 lets us measure against that class, which keeps
    /// S exact to rounding when p is almost one-hot.
    pub top: Buffer<T>,
    /// Labels y, [K].
    pub y: Buffer<T>,
    /// Weights of the outputs in the squared error, [K]; empty where all are 1.
    pub output_weights: Buffer<T>,
    /// ω, divided by σ once the curvature is asked for.
    pub omega: Buffer<T>,
    /// Residual r = ω ∂ℓ/∂o, [K].
    pub r: Buffer<T>,
    /// Diagonal of S, [K].
    pub s_diagonal: Buffer<T>,
    /// Unweighted losses.
    pub losses: Buffer<T>,
    /// K': how many values S, Q and R take a sample in the output basis (see [`output_basis`]), and these in it:
    /// W2 \[K', h\], U = W2 ∘ d1 and Q = S U \[h·K'\] with row j·K' + k, r \[K'\], S packed \[K'(K' + 1)/2\].
    pub rank: usize,
    pub w2_basis: Buffer<T>,
    pub u_basis: Buffer<T>,
    pub q_basis: Buffer<T>,
    pub r_basis: Buffer<T>,
    pub s_basis: Buffer<T>,
    /// g = W2ᵀ r and c = g ∘ d2, [h].
    pub g: Buffer<T>,
    pub c: Buffer<T>,
    /// ‖x̃‖², ‖ã‖², tr S, tr M.
    pub x_squared: Buffer<T>,
    pub a_squared: Buffer<T>,
    pub trace_s: Buffer<T>,
    pub trace_m: Buffer<T>,
    /// σ = max(|S|, |r|): S and r here are the theory's divided by σ (§5), or 1.
    pub sigma: T,
    pub scratch: Buffer<T>,
    pub packed: Buffer<T>,
    /// Softmax: the largest logit, its class, and the sum of the other exponentials.
    pub softmax_rows: [Buffer<T>; 3],
}

impl<T: Number> Forward<T> {
    /// The sizes of the network that was run.
    #[inline(always)]
    pub fn dims(&self) -> Dimensions {
        self.dimensions.expect("a forward pass was run")
    }

    /// The loss that was run.
    #[inline(always)]
    pub fn loss_of(&self) -> OutputLoss {
        self.loss_kind.expect("a forward pass was run")
    }

    /// The class of the largest logit of each sample, for a softmax.
    #[inline(always)]
    pub fn top_classes(&self) -> &[T] {
        &self.softmax_rows[1][..self.stride]
    }

    /// Whether S, Q and R are in a basis smaller than the outputs' own.
    #[inline(always)]
    pub fn in_basis(&self) -> bool {
        self.rank < self.dims().outputs
    }

    /// max(|S|, |r|) over the samples.
    #[inline(always)]
    pub fn largest(&self) -> T {
        let size = self.dims().outputs * self.stride;
        largest(&self.r[..size], &self.s_diagonal[..size])
    }

    /// S in the outputs' own basis, packed, of the samples `start..start + width`; rows are `width` apart.
    #[inline(always)]
    pub fn form_s(&self, start: usize, width: usize, s: &mut [T]) {
        let n = self.stride;
        let softmax = self.loss_of().couples_outputs();
        let root = svec::scale::<T>();
        let omega = &self.omega[start..][..width];
        svec::pairs(
            self.dims().outputs,
            #[inline(always)]
            |index, i, j| {
                let out = row_mut(s, width, index);
                if i == j {
                    out.copy_from_slice(part(&self.s_diagonal, n, i, start, width));
                } else if softmax {
                    let left = part(&self.p, n, i, start, width);
                    let right = part(&self.p, n, j, start, width);
                    for (((out, &l), &r), &omega) in out.iter_mut().zip(left).zip(right).zip(omega)
                    {
                        *out = flushed(-root * (omega * l * r));
                    }
                } else {
                    out.fill(T::zero());
                }
            },
        );
    }

    /// The product with S.
    #[inline(always)]
    pub fn curvature_of(&self) -> CurvatureOf<'_, T> {
        CurvatureOf {
            kind: self.loss_of(),
            outputs: self.dims().outputs,
            stride: self.stride,
            p: &self.p,
            top: &self.top,
            omega: &self.omega,
            s_diagonal: &self.s_diagonal,
        }
    }
}

/// S as an operator on output-sized vectors.
#[derive(Clone, Copy)]
pub struct CurvatureOf<'a, T> {
    kind: OutputLoss,
    outputs: usize,
    stride: usize,
    p: &'a [T],
    top: &'a [T],
    omega: &'a [T],
    s_diagonal: &'a [T],
}

impl<T: Number> CurvatureOf<'_, T> {
    /// `out = S v` for the samples `start..start + width`. `v` and `out` have K rows of `width` samples, `row_stride`
    /// apart; `scratch` holds at least 2·width values.
    #[inline(always)]
    pub fn apply(
        &self,
        v: &[T],
        row_stride: usize,
        start: usize,
        width: usize,
        out: &mut [T],
        scratch: &mut [T],
    ) {
        let n = self.stride;
        if !self.kind.couples_outputs() {
            for k in 0..self.outputs {
                let s = &self.s_diagonal[k * n + start..][..width];
                let v = &v[k * row_stride..][..width];
                let out = &mut out[k * row_stride..][..width];
                for ((out, &s), &v) in out.iter_mut().zip(s).zip(v) {
                    *out = s * v;
                }
            }
            return;
        }
        // S v = ω p ∘ (v' − p·v') with v' = v − v[top class].
        let (reference, mean) = scratch[..2 * width].split_at_mut(width);
        reference.fill(T::zero());
        mean.fill(T::zero());
        for k in 0..self.outputs {
            let v = &v[k * row_stride..][..width];
            add_product(reference, &self.top[k * n + start..][..width], v);
        }
        for k in 0..self.outputs {
            let v = &v[k * row_stride..][..width];
            let p = &self.p[k * n + start..][..width];
            for (((mean, &p), &v), &reference) in mean.iter_mut().zip(p).zip(v).zip(&*reference) {
                *mean += p * (v - reference);
            }
        }
        let omega = &self.omega[start..][..width];
        for k in 0..self.outputs {
            let v = &v[k * row_stride..][..width];
            let p = &self.p[k * n + start..][..width];
            let out = &mut out[k * row_stride..][..width];
            for i in 0..width {
                out[i] = omega[i] * p[i] * ((v[i] - reference[i]) - mean[i]);
            }
        }
    }
}
