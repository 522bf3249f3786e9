//! The Gauss-Newton part H_GN of the Hessian through the K × K blocks of the neural tangent kernel (theory-depth §7):
//! with S = C Cᵀ the NK × NK matrix Cᵀ Θ C, Θ_nm = Σ_l G_l(n, m) J_{Ll,n} J_{Ll,m}ᵀ, has the nonzero spectrum of H_GN.

use super::network::FeedForward;
use super::objective::DeepBounds;
use super::pass::{Part, Pass};
use super::plan::DeepEvaluation;
use super::rows::{fit, zeros};
use super::tangents::Tangents;
use super::workspace::DeepWorkspace;
use crate::matmul::{Mat, Write, matmul};
use crate::{Batch, DENSE_LIMIT, Error, LanczosOptions, Real, top_eigenpair};

/// How much of the Hessian is its Gauss-Newton part H_GN.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussNewton<T> {
    /// The bounds of H_GN.
    pub bounds: DeepBounds<T>,
    /// The bounds of H.
    pub whole: DeepBounds<T>,
    /// ⟨H_GN, H⟩.
    pub inner: T,
}

impl<T: Real> GaussNewton<T> {
    /// ‖H_GN‖²/‖H‖², which can exceed 1.
    pub fn norm_share(&self) -> T {
        let square = |bounds: &DeepBounds<T>| bounds.whole.moments.frobenius_squared;
        square(&self.bounds) / square(&self.whole)
    }

    /// ⟨H_GN, H⟩/‖H‖².
    pub fn projection(&self) -> T {
        self.inner / self.whole.whole.moments.frobenius_squared
    }
}

impl<T: Real> DeepWorkspace<T> {
    /// The Gauss-Newton part beside the whole Hessian: three evaluations of moments, for H is linear in (S, r).
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments).
    pub fn gauss_newton(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        evaluation: &DeepEvaluation,
    ) -> Result<GaussNewton<T>, Error> {
        let rest = self.bounds_of(Part::Residual, network, batch, evaluation)?;
        let bounds = self.bounds_of(Part::GaussNewton, network, batch, evaluation)?;
        let whole = self.bounds_of(Part::Whole, network, batch, evaluation)?;
        let square = |bounds: &DeepBounds<T>| bounds.whole.moments.frobenius_squared;
        // ‖H − H_GN‖² = ‖H‖² − 2⟨H_GN, H⟩ + ‖H_GN‖².
        let inner = T::of(0.5) * (square(&whole) + square(&bounds) - square(&rest));
        Ok(GaussNewton {
            bounds,
            whole,
            inner,
        })
    }

    /// λ_max(H_GN) through the NK × NK matrix of the neural tangent kernel's blocks, which has the nonzero spectrum of
    /// H_GN, with Lanczos. Allocates Lanczos' vectors.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss), those of [`top_eigenpair`], and [`Error::TooLarge`] where N·K exceeds [`DENSE_LIMIT`].
    pub fn gauss_newton_lambda_max(
        &mut self,
        network: &FeedForward<T>,
        batch: &Batch<T>,
        options: &LanczosOptions,
    ) -> Result<f64, Error> {
        self.pass.forward(network, batch)?;
        let size = self.pass.samples * network.outputs();
        if size > DENSE_LIMIT {
            return Err(Error::TooLarge {
                what: "a matrix of the neural tangent kernel",
                elements: size * size,
                limit: DENSE_LIMIT * DENSE_LIMIT,
            });
        }
        self.pass.scale_to_one();
        self.pass.backward(network, Part::GaussNewton);
        self.tangents
            .run(network, &self.pass, Part::GaussNewton, &mut self.team);
        self.kernel.run(&self.pass, &self.tangents);
        let matrix = &self.kernel.matrix;
        let apply = |v: &[f64], out: &mut [f64]| {
            for (out, row) in out.iter_mut().zip(matrix.chunks_exact(size)) {
                *out = row.iter().zip(v).map(|(m, v)| m.as_f64() * v).sum();
            }
            Ok::<(), Error>(())
        };
        let top = top_eigenpair(size, apply, None, options)?;
        Ok(top.value.max(0.0) * self.pass.output.sigma.as_f64())
    }
}

/// Buffers.
#[derive(Default)]
pub(super) struct Kernel<T> {
    /// C of every sample, [N, K, K].
    roots: Vec<T>,
    /// Cᵀ J of one seed layer, [N·K, n_l].
    columns: Vec<T>,
    /// Its inner products, [N·K, N·K], and those of the layer's inputs, [N, N].
    inner: Vec<T>,
    gram: Vec<T>,
    /// Cᵀ Θ C.
    pub matrix: Vec<T>,
}

impl<T: Real> Kernel<T> {
    /// Forms the matrix, whose size N·K it gives. S and so the matrix are divided by σ.
    pub fn run(&mut self, pass: &Pass<T>, tangents: &Tangents<T>) -> usize {
        let (n, samples, outputs) = (pass.stride, pass.samples, pass.output.outputs);
        let size = samples * outputs;
        let roots = fit(&mut self.roots, size * outputs);
        for (sample, root) in roots.chunks_exact_mut(outputs * outputs).enumerate() {
            pass.output.root(sample, root);
        }
        let matrix = zeros(&mut self.matrix, size * size);
        let inner = fit(&mut self.inner, size * size);
        let gram = fit(&mut self.gram, samples * samples);
        for l in 0..pass.depth() {
            if !pass.shapes[l].is_trained() {
                continue;
            }
            let extended = pass.shapes[l].inputs_extended();
            let x = Mat::new(pass.extended_values(l), extended, samples, n);
            matmul(gram, samples, Write::Replace, T::one(), x.t(), x);
            let width = pass.width(l);
            let columns = match tangents.seeds.get(l) {
                Some(seed) => {
                    let columns = fit(&mut self.columns, size * width);
                    let j = &seed.j[pass.depth() - 1];
                    for (at, row) in columns.chunks_exact_mut(width).enumerate() {
                        let (sample, c) = (at / outputs, at % outputs);
                        let root = &roots[sample * outputs * outputs..][..outputs * outputs];
                        for (seed, out) in row.iter_mut().enumerate() {
                            *out = (0..outputs)
                                .map(|k| root[k * outputs + c] * j[(k * width + seed) * n + sample])
                                .sum();
                        }
                    }
                    &*columns
                }
                // J_{LL} = I, so that Cᵀ J = Cᵀ.
                None => {
                    let columns = fit(&mut self.columns, size * outputs);
                    for (at, row) in columns.chunks_exact_mut(outputs).enumerate() {
                        let (sample, c) = (at / outputs, at % outputs);
                        for (k, out) in row.iter_mut().enumerate() {
                            *out = roots[(sample * outputs + k) * outputs + c];
                        }
                    }
                    &*columns
                }
            };
            let columns = Mat::new(columns, size, width, width);
            matmul(inner, size, Write::Replace, T::one(), columns, columns.t());
            for (row, (out, inner)) in matrix
                .chunks_exact_mut(size)
                .zip(inner.chunks_exact(size))
                .enumerate()
            {
                let gram = &gram[row / outputs * samples..][..samples];
                for ((out, inner), &gram) in out
                    .chunks_exact_mut(outputs)
                    .zip(inner.chunks_exact(outputs))
                    .zip(gram)
                {
                    for (out, &inner) in out.iter_mut().zip(inner) {
                        *out += gram * inner;
                    }
                }
            }
        }
        size
    }
}
