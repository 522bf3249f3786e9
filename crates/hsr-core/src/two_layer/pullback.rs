//! From the adjoints of S, M, B, ã and x̃ to the gradient for parameters and inputs (theory §4), one pullback common
//! to both evaluations.

use pulp::Simd;

use crate::bounds::SpectralWeights;
use crate::evaluation::out::Out;
use crate::numeric::buffer::{Buffer, fit};
use crate::numeric::lanes::{row, row_mut, sum, write_samples};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::numeric::vectors::Unit;
use crate::problem::network::Network;
use crate::two_layer::contraction::Contraction;
use crate::two_layer::kernels::ThroughU;
use crate::two_layer::samples::Forward;
use crate::two_layer::{kernels, output_basis};

/// Buffers of the pullback.
#[derive(Default)]
pub struct Pullback<T> {
    /// ō, \[K\], and before the pull r̄.
    o_bar: Buffer<T>,
    /// ā, d̄1, d̄2, \[h\], then z̄.
    a_bar: Buffer<T>,
    d1_bar: Buffer<T>,
    g_bar: Buffer<T>,
    /// W̄2 \[K', h\] and b̄2 \[K'\] in the output basis.
    w2_bar: Buffer<T>,
    b2_bar: Buffer<T>,
    /// S̄ in the output basis, pairs k ≤ l; in the outputs' own basis diag S̄ and (S̄ + S̄ᵀ) p, 2K rows.
    s_bar: Buffer<T>,
    scratch: Buffer<T>,
    x_bar: Buffer<T>,
}

impl<T: Number> Pullback<T> {
    /// Writes ∂λ_sup/∂θ and, where asked for, ∂λ_sup/∂x.
    #[inline(always)]
    pub(crate) fn run<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        network: &Network<T>,
        f: &Forward<T>,
        contraction: &Contraction<T>,
        weights: &SpectralWeights,
        out: &mut Out<T>,
    ) {
        let dims = f.dims();
        // Everything between here and the gradient is in the output basis, K' values a sample.
        let (n, h, outputs) = (f.stride, dims.hidden, f.rank);
        // σ·λ_sup(H/σ): the whole gradient carries σ, and so do the weights it starts from.
        let sigma = f.sigma;
        let w_t = T::of(weights.trace);
        let w_q2 = T::of(2.0 * weights.frobenius_squared);
        let w_q4 = T::of(4.0 * weights.frobenius_squared);
        let two = T::of(2.0);
        let layout = dims.layout();
        let theta = &mut *out.parameters;
        theta.fill(T::zero());
        let w2_bar = fit(&mut self.w2_bar, outputs * h);

        // Starting values: r̄ = R̄ d1, d̄1 = R̄ᵀ r, ā = 4w_q(…) + 2w_t tr S · a, ḡ = c̄ ∘ d2.
        let r_bar = fit(&mut self.o_bar, outputs * n);
        for (r_bar, &value) in r_bar.iter_mut().zip(&contraction.r_d1) {
            *r_bar = w_q4 * value;
        }
        let d1_bar = fit(&mut self.d1_bar, h * n);
        for (d1_bar, &value) in d1_bar.iter_mut().zip(&contraction.r_r) {
            *d1_bar = w_q4 * value;
        }
        let a_bar = fit(&mut self.a_bar, h * n);
        let g_bar = fit(&mut self.g_bar, h * n);
        let vectors = n / Unit::<T, S>::WIDTH;
        let (trace_s, x_squared) = (unit.row(&f.trace_s, n, 0), unit.row(&f.x_squared, n, 0));
        for j in 0..h {
            let (a, hidden) = (unit.row(&f.a, n, j), unit.row(&contraction.hidden, n, j));
            let (m, d2) = (
                unit.row(&contraction.m_diagonal, n, j),
                unit.row(&f.d2, n, j),
            );
            let (a_bar, g_bar) = (unit.row_mut(a_bar, n, j), unit.row_mut(g_bar, n, j));
            for v in 0..vectors {
                a_bar[v] = unit.times(unit.scaled(two * w_t, trace_s[v]), a[v]);
                unit.add_scaled_to(&mut a_bar[v], w_q4, hidden[v]);
                let mut c_bar = unit.scaled(w_t, x_squared[v]);
                unit.add_scaled_to(&mut c_bar, w_q2, m[v]);
                g_bar[v] = unit.times(c_bar, d2[v]);
            }
        }
        // r̄ += W2 ḡ, and W̄2 += Σ r ḡᵀ.
        let weight = Mat::new(&f.w2_basis, outputs, h, h);
        matmul(
            r_bar,
            n,
            Write::Add,
            T::one(),
            weight,
            Mat::new(g_bar, h, n, n),
        );
        let r = Mat::new(&f.r_basis, outputs, n, n);
        matmul(
            w2_bar,
            h,
            Write::Replace,
            T::one(),
            r,
            Mat::new(g_bar, h, n, n).t(),
        );

        let of_s = if f.in_basis() {
            svec::len(outputs)
        } else {
            2 * outputs
        };
        let s_bar = fit(&mut self.s_bar, of_s * n);
        let through_u = ThroughU {
            w_t,
            w_q2,
            w_q4,
            w2_bar,
            d1_bar,
            s_bar,
            lanes: &mut self.scratch,
        };
        if f.in_basis() {
            kernels::basis::through_u(unit, f, contraction, through_u);
            kernels::basis::pull(unit, f, contraction, [w_t, w_q2], &self.s_bar, r_bar);
        } else {
            kernels::own::through_u(unit, f, contraction, through_u);
            self.pull(f, contraction, w_t, w_q2);
        }

        // W̄2 += Σ ō aᵀ, b̄2 = Σ ō, ā += W2ᵀ ō.
        let o_bar = Mat::new(&self.o_bar, outputs, n, n);
        let a = Mat::new(&f.a, h, n, n);
        let w2_bar = &mut self.w2_bar[..outputs * h];
        matmul(w2_bar, h, Write::Add, T::one(), o_bar, a.t());
        let b2_bar = fit(&mut self.b2_bar, outputs);
        for (k, bias) in b2_bar.iter_mut().enumerate() {
            *bias = sum(row(&self.o_bar, n, k));
        }
        let (of_weight, of_bias) = (layout.output_weight(), layout.output_bias());
        if f.in_basis() {
            output_basis::expand(w2_bar, h, dims.outputs, &mut theta[of_weight], h, h);
            if !of_bias.is_empty() {
                output_basis::expand(b2_bar, 1, dims.outputs, &mut theta[of_bias], 1, 1);
            }
        } else {
            theta[of_weight].copy_from_slice(w2_bar);
            if !of_bias.is_empty() {
                theta[of_bias].copy_from_slice(b2_bar);
            }
        }
        matmul(&mut self.a_bar, n, Write::Add, T::one(), weight.t(), o_bar);

        // z̄ = ā∘d1 + d̄1∘d2 + d̄2∘d3 with d̄2 = c̄∘g.
        for j in 0..h {
            let [d1, d2, d3] = [&f.d1, &f.d2, &f.d3].map(|d| unit.row(d, n, j));
            let (m, g) = (
                unit.row(&contraction.m_diagonal, n, j),
                unit.row(&f.g, n, j),
            );
            let d1_bar = unit.row(&self.d1_bar, n, j);
            let z_bar = unit.row_mut(&mut self.a_bar, n, j);
            for v in 0..vectors {
                let mut c_bar = unit.scaled(w_t, x_squared[v]);
                unit.add_scaled_to(&mut c_bar, w_q2, m[v]);
                let mut sum = unit.times(unit.times(c_bar, g[v]), d3[v]);
                unit.add_to(&mut sum, d1_bar[v], d2[v]);
                z_bar[v] = unit.times_plus(z_bar[v], d1[v], sum);
            }
        }
        let z_bar = Mat::new(&self.a_bar, h, n, n);
        let x = Mat::new(&f.x, dims.inputs, n, n);
        let w1_bar = &mut theta[layout.hidden_weight()];
        matmul(w1_bar, dims.inputs, Write::Add, T::one(), z_bar, x.t());
        for (j, bias) in theta[layout.hidden_bias()].iter_mut().enumerate() {
            *bias = sum(row(&self.a_bar, n, j));
        }

        for value in theta.iter_mut() {
            *value *= sigma;
        }
        let Some(inputs) = out.inputs.as_deref_mut() else {
            return;
        };
        // x̄ = 4w_q(…) + 2w_t tr M · x + W1ᵀ z̄.
        let d = dims.inputs;
        let x_bar = fit(&mut self.x_bar, d * n);
        for e in 0..d {
            let (x, of_blocks) = (row(&f.x, n, e), row(&contraction.inputs, n, e));
            let x_bar = row_mut(x_bar, n, e);
            for i in 0..n {
                x_bar[i] = w_q4 * of_blocks[i] + two * w_t * f.trace_m[i] * x[i];
            }
        }
        let weight = Mat::new(network.hidden_weight(), h, d, d).t();
        matmul(x_bar, n, Write::Add, T::one(), weight, z_bar);
        write_samples(inputs, x_bar, n, sigma);
    }

    /// ō = pull(S̄, r̄), in place of r̄.
    #[inline(always)]
    fn pull(&mut self, f: &Forward<T>, contraction: &Contraction<T>, w_t: T, w_q2: T) {
        let dims = f.dims();
        let (n, outputs) = (f.stride, dims.outputs);
        let two = T::of(2.0);
        // The symmetric part of S̄ still missing: 2w_q S̃ + w_t‖ã‖² I.
        let contracted_s = &contraction.s;
        let (s_diagonal, s_p) = self.s_bar[..2 * outputs * n].split_at_mut(outputs * n);
        let packed = output_basis::packed(outputs);
        for k in 0..outputs {
            let of_k = if packed {
                svec::diagonal(outputs, k)
            } else {
                k
            };
            let s = row(contracted_s, n, of_k);
            let diagonal = row_mut(s_diagonal, n, k);
            for i in 0..n {
                diagonal[i] += w_q2 * s[i] + w_t * f.a_squared[i];
            }
        }
        if !f.loss_of().couples_outputs() {
            let slopes = fit(&mut self.scratch, n);
            for k in 0..outputs {
                f.loss_of().slopes(row(&f.p, n, k), slopes);
                let (s, diagonal) = (row(&f.s_diagonal, n, k), row(s_diagonal, n, k));
                let o_bar = row_mut(&mut self.o_bar, n, k);
                for i in 0..n {
                    o_bar[i] = s[i] * (o_bar[i] + diagonal[i] * slopes[i]);
                }
            }
            return;
        }
        if !packed {
            let product = &contracted_s[outputs * n..2 * outputs * n];
            crate::numeric::lanes::add_scaled(s_p, two * w_q2, product);
        }
        let half = T::one() / svec::scale::<T>();
        svec::pairs(
            if packed { outputs } else { 0 },
            #[inline(always)]
            |index, k, l| {
                let s = row(contracted_s, n, index);
                let factor = two * w_q2 * if k == l { T::one() } else { half };
                for (to, from) in [(k, l), (l, k)]
                    .into_iter()
                    .take(if k == l { 1 } else { 2 })
                {
                    let p = row(&f.p, n, from);
                    let s_p = row_mut(s_p, n, to);
                    for i in 0..n {
                        s_p[i] += factor * s[i] * p[i];
                    }
                }
            },
        );
        // S̄ and r̄ both carry ω: S and r are linear in it. Then ō = p̄-part of S itself: ō = S (of_s + r̄).
        for k in 0..outputs {
            let p = row(&f.p, n, k);
            let (diagonal, s_p) = (row(s_diagonal, n, k), row_mut(s_p, n, k));
            let r_bar = row(&self.o_bar, n, k);
            for i in 0..n {
                let of_s = diagonal[i] - s_p[i] - two * w_t * f.a_squared[i] * p[i];
                s_p[i] = of_s + r_bar[i];
            }
        }
        let scratch = fit(&mut self.scratch, 2 * n);
        f.curvature_of()
            .apply(s_p, n, 0, n, &mut self.o_bar, scratch);
    }
}
