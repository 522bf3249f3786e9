//! H v with one hidden layer, the forward pass done ([theory](crate::theory) §6).

use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::lanes::{row, row_mut, sum};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::problem::network::Network;
use crate::two_layer::samples::Forward;

/// Buffers: ż, ȯ, ṙ and δ̇ along the direction.
#[derive(Default)]
pub struct Along<T> {
    pub z: Buffer<T>,
    pub o: Buffer<T>,
    pub r: Buffer<T>,
    pub delta: Buffer<T>,
    pub scratch: Buffer<T>,
}

/// `out = H v`.
#[inline(always)]
pub(crate) fn product<T: Number>(
    network: &Network<T>,
    f: &Forward<T>,
    buffers: &mut Along<T>,
    v: &[T],
    out: &mut [T],
) {
    let dims = f.dims();
    let (n, h, outputs, d) = (f.stride, dims.hidden, dims.outputs, dims.inputs);
    let layout = dims.layout();
    let (v1, v2) = (&v[layout.hidden_weight()], &v[layout.output_weight()]);
    let Along {
        z: z_dot,
        o: o_dot,
        r: r_dot,
        delta,
        scratch,
    } = buffers;

    // ż = V1 x + v1.
    let z_dot = zeros(z_dot, h * n);
    for (j, &bias) in v[layout.hidden_bias()].iter().enumerate() {
        row_mut(z_dot, n, j)[..f.samples].fill(bias);
    }
    let x = Mat::new(&f.x, d, n, n);
    matmul(z_dot, n, Write::Add, T::one(), Mat::new(v1, h, d, d), x);
    // ȯ = W2 (d1∘ż) + V2 a + v2.
    let a_dot = fit(delta, h * n);
    for ((a_dot, &z_dot), &d1) in a_dot.iter_mut().zip(z_dot.iter()).zip(&f.d1) {
        *a_dot = d1 * z_dot;
    }
    let o_dot = zeros(o_dot, outputs * n);
    for (k, &bias) in v[layout.output_bias()].iter().enumerate() {
        row_mut(o_dot, n, k)[..f.samples].fill(bias);
    }
    let w2 = Mat::new(network.output_weight(), outputs, h, h);
    let v2 = Mat::new(v2, outputs, h, h);
    let a = Mat::new(&f.a, h, n, n);
    matmul(o_dot, n, Write::Add, T::one(), w2, Mat::new(a_dot, h, n, n));
    matmul(o_dot, n, Write::Add, T::one(), v2, a);
    // ṙ = S ȯ.
    let r_dot = fit(r_dot, outputs * n);
    let scratch = fit(scratch, 2 * n);
    f.curvature_of().apply(o_dot, n, 0, n, r_dot, scratch);

    // σ was divided out of r and S; it comes back where the product is written.
    let sigma = f.sigma;
    let r = Mat::new(&f.r, outputs, n, n);
    let w2_out = &mut out[layout.output_weight()];
    let r_dot_view = Mat::new(r_dot, outputs, n, n);
    matmul(w2_out, h, Write::Replace, sigma, r_dot_view, a.t());
    matmul(
        w2_out,
        h,
        Write::Add,
        sigma,
        r,
        Mat::new(a_dot, h, n, n).t(),
    );
    for (k, bias) in out[layout.output_bias()].iter_mut().enumerate() {
        *bias = sigma * sum(row(r_dot, n, k));
    }
    // δ̇ = (V2ᵀ r + W2ᵀ ṙ)∘d1 + g∘d2∘ż.
    let delta = fit(delta, h * n);
    matmul(delta, n, Write::Replace, T::one(), v2.t(), r);
    matmul(delta, n, Write::Add, T::one(), w2.t(), r_dot_view);
    for (i, delta) in delta.iter_mut().enumerate() {
        *delta = *delta * f.d1[i] + f.c[i] * z_dot[i];
    }
    for (j, bias) in out[layout.hidden_bias()].iter_mut().enumerate() {
        *bias = sigma * sum(row(delta, n, j));
    }
    let w1_out = &mut out[layout.hidden_weight()];
    matmul(
        w1_out,
        d,
        Write::Replace,
        sigma,
        Mat::new(delta, h, n, n),
        x.t(),
    );
}
