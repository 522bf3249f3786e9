//! vᵀHv and its gradient: the curvature along a fixed direction v, and what becomes of it when θ moves.
//!
//! The second derivative of ℓ(o(θ + εv)) at ε = 0, in the way of theory §4 and with the quantities of §6. With
//!
//! ```text
//! ż = V1 x + v1      ȧ = d1∘ż      ȯ = W2 ȧ + V2 a + v2      ö = 2 V2 ȧ + W2 (d2∘ż²)      ṙ = S ȯ
//! vᵀHv = Σ ȯᵀṙ + rᵀö
//! ```
//!
//! the adjoints are, ż being no function of θ,
//!
//! ```text
//! S̄ = ȯȯᵀ,  r̄ = ö,  so ō = pull(ȯȯᵀ, ö)
//! W̄2 = Σ 2 ṙ ȧᵀ + r (d2∘ż²)ᵀ + ō aᵀ,   b̄2 = Σ ō
//! ā = 2 V2ᵀ ṙ + W2ᵀ ō,   d̄1 = 2 (W2ᵀ ṙ + V2ᵀ r)∘ż,   d̄2 = g∘ż²
//! z̄ = ā∘d1 + d̄1∘d2 + d̄2∘d3,   W̄1 = Σ z̄ xᵀ,   b̄1 = Σ z̄
//! x̄ = W1ᵀ z̄ + V1ᵀ (2 (W2ᵀ ṙ + V2ᵀ r)∘d1 + 2 g∘d2∘ż)
//! ```
//!
//! With v the unit eigenvector of a simple eigenvalue λ this is ∇λ = ∇(vᵀHv) (Hellmann and Feynman): v itself need not
//! be differentiated.

use crate::evaluation::out::Out;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::lanes::{dot, row, row_mut, sum, write_samples};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::problem::network::Network;
use crate::two_layer::samples::Forward;

/// Buffers.
#[derive(Default)]
pub struct Directional<T> {
    /// ż, ȧ, d2∘ż², z̄, \[h\].
    z_dot: Buffer<T>,
    a_dot: Buffer<T>,
    bent: Buffer<T>,
    z_bar: Buffer<T>,
    /// W2ᵀ ṙ + V2ᵀ r, \[h\].
    coupling: Buffer<T>,
    /// ȯ, ö and then the pull's argument, ṙ, ō, \[K\].
    o_dot: Buffer<T>,
    o_ddot: Buffer<T>,
    r_dot: Buffer<T>,
    o_bar: Buffer<T>,
    x_bar: Buffer<T>,
    scratch: Buffer<T>,
}

impl<T: Number> Directional<T> {
    /// vᵀHv; its gradient goes where `out` says. S, r and what follows from them are divided by σ in `f`.
    #[inline(always)]
    pub fn run(&mut self, network: &Network<T>, f: &Forward<T>, v: &[T], out: &mut Out<T>) -> T {
        let dims = f.dims();
        let (n, h, outputs, d) = (f.stride, dims.hidden, dims.outputs, dims.inputs);
        let layout = dims.layout();
        let (sigma, one, two) = (f.sigma, T::one(), T::of(2.0));
        let w1 = Mat::new(network.hidden_weight(), h, d, d);
        let w2 = Mat::new(network.output_weight(), outputs, h, h);
        let v1 = Mat::new(&v[layout.hidden_weight()], h, d, d);
        let v2 = Mat::new(&v[layout.output_weight()], outputs, h, h);
        let x = Mat::new(&f.x, d, n, n);
        let a = Mat::new(&f.a, h, n, n);
        let r = Mat::new(&f.r, outputs, n, n);

        let z_dot = zeros(&mut self.z_dot, h * n);
        for (j, &bias) in v[layout.hidden_bias()].iter().enumerate() {
            row_mut(z_dot, n, j)[..f.samples].fill(bias);
        }
        matmul(z_dot, n, Write::Add, one, v1, x);
        let a_dot = fit(&mut self.a_dot, h * n);
        let bent = fit(&mut self.bent, h * n);
        for i in 0..h * n {
            a_dot[i] = f.d1[i] * z_dot[i];
            bent[i] = f.d2[i] * z_dot[i] * z_dot[i];
        }
        let (a_dot, bent) = (Mat::new(a_dot, h, n, n), Mat::new(bent, h, n, n));
        let o_dot = zeros(&mut self.o_dot, outputs * n);
        for (k, &bias) in v[layout.output_bias()].iter().enumerate() {
            row_mut(o_dot, n, k)[..f.samples].fill(bias);
        }
        matmul(o_dot, n, Write::Add, one, w2, a_dot);
        matmul(o_dot, n, Write::Add, one, v2, a);
        let o_ddot = fit(&mut self.o_ddot, outputs * n);
        matmul(o_ddot, n, Write::Replace, two, v2, a_dot);
        matmul(o_ddot, n, Write::Add, one, w2, bent);
        let r_dot = fit(&mut self.r_dot, outputs * n);
        let scratch = fit(&mut self.scratch, 2 * n);
        let curvature = f.curvature_of();
        curvature.apply(o_dot, n, 0, n, r_dot, scratch);

        let along = dot(o_dot, r_dot) + dot(&f.r[..outputs * n], o_ddot);

        // ō = pull(ȯȯᵀ, ö). S carries ω and annihilates constants, so that ȯ² − 2ȯ(p·ȯ) may be (ȯ − p·ȯ)².
        if f.loss_of().couples_outputs() {
            let mean = &mut scratch[..n];
            mean.fill(T::zero());
            for k in 0..outputs {
                let (p, o_dot) = (row(&f.p, n, k), row(o_dot, n, k));
                for i in 0..n {
                    mean[i] += p[i] * o_dot[i];
                }
            }
            for k in 0..outputs {
                let (o_dot, o_ddot) = (row(o_dot, n, k), row_mut(o_ddot, n, k));
                for i in 0..n {
                    let beside = o_dot[i] - mean[i];
                    o_ddot[i] += beside * beside;
                }
            }
        } else {
            let slopes = &mut scratch[..n];
            for k in 0..outputs {
                f.loss_of().slopes(row(&f.p, n, k), slopes);
                let (o_dot, o_ddot) = (row(o_dot, n, k), row_mut(o_ddot, n, k));
                for i in 0..n {
                    o_ddot[i] += o_dot[i] * o_dot[i] * slopes[i];
                }
            }
        }
        let o_bar = fit(&mut self.o_bar, outputs * n);
        curvature.apply(o_ddot, n, 0, n, o_bar, scratch);

        let r_dot = Mat::new(r_dot, outputs, n, n);
        let of_logits = &*o_bar;
        let o_bar = Mat::new(of_logits, outputs, n, n);
        let theta = &mut *out.parameters;
        let w2_bar = &mut theta[layout.output_weight()];
        matmul(w2_bar, h, Write::Replace, two * sigma, r_dot, a_dot.t());
        matmul(w2_bar, h, Write::Add, sigma, r, bent.t());
        matmul(w2_bar, h, Write::Add, sigma, o_bar, a.t());
        for (k, bias) in theta[layout.output_bias()].iter_mut().enumerate() {
            *bias = sigma * sum(row(of_logits, n, k));
        }
        let coupling = fit(&mut self.coupling, h * n);
        matmul(coupling, n, Write::Replace, one, w2.t(), r_dot);
        matmul(coupling, n, Write::Add, one, v2.t(), r);
        let z_bar = fit(&mut self.z_bar, h * n);
        matmul(z_bar, n, Write::Replace, two, v2.t(), r_dot);
        matmul(z_bar, n, Write::Add, one, w2.t(), o_bar);
        for (i, z_bar) in z_bar.iter_mut().enumerate() {
            let z_dot = z_dot[i];
            *z_bar = *z_bar * f.d1[i]
                + two * coupling[i] * z_dot * f.d2[i]
                + f.g[i] * z_dot * z_dot * f.d3[i];
        }
        for (j, bias) in theta[layout.hidden_bias()].iter_mut().enumerate() {
            *bias = sigma * sum(row(z_bar, n, j));
        }
        let z_bar = Mat::new(z_bar, h, n, n);
        let w1_bar = &mut theta[layout.hidden_weight()];
        matmul(w1_bar, d, Write::Replace, sigma, z_bar, x.t());

        if let Some(inputs) = out.inputs.as_deref_mut() {
            // ż̄ in place of the coupling.
            for (i, coupling) in coupling.iter_mut().enumerate() {
                *coupling = two * (*coupling * f.d1[i] + f.c[i] * z_dot[i]);
            }
            let x_bar = fit(&mut self.x_bar, d * n);
            matmul(x_bar, n, Write::Replace, one, w1.t(), z_bar);
            let z_dot_bar = Mat::new(coupling, h, n, n);
            matmul(x_bar, n, Write::Add, one, v1.t(), z_dot_bar);
            write_samples(inputs, x_bar, n, sigma);
        }
        sigma * along
    }
}
