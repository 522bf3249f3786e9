//! The K × K blocks of the neural tangent kernel (theory-depth §7).

use crate::depth::passes::pass::Pass;
use crate::depth::passes::tangents::Tangents;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;

/// Buffers.
#[derive(Default)]
pub struct Kernel<T> {
    /// C of every sample, [N, K, K].
    roots: Buffer<T>,
    /// Cᵀ J of one seed layer, [N·K, n_l].
    columns: Buffer<T>,
    /// Its inner products, [N·K, N·K], and those of the layer's inputs, [N, N].
    inner: Buffer<T>,
    gram: Buffer<T>,
    /// Cᵀ Θ C.
    pub matrix: Buffer<T>,
}

impl<T: Number> Kernel<T> {
    /// Forms the matrix, N·K × N·K. S and so the matrix are divided by σ.
    pub fn run(&mut self, pass: &Pass<T>, tangents: &Tangents<T>) {
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
    }
}
