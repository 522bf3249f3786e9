//! What the output layer alone shows: logits, and the traces of its blocks of the Hessian.

use crate::error::Error;
use crate::evaluation::quantity::Quantity;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::lanes::{add_product, dot, row, row_mut, write_samples};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::problem::batch::Batch;
use crate::problem::network::Network;
use crate::two_layer::forward::Curvature;
use crate::two_layer::product::Along;
use crate::two_layer::samples::Forward;
use crate::two_layer::stages::Stages;
use crate::two_layer::workspace::Workspace;
use crate::two_layer::workspace::cases::chunks;

impl<T: Stages> Workspace<T> {
    /// The logits o, N × K row-major.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn logits(&mut self, network: &Network<T>, batch: &Batch<T>) -> Result<Vec<T>, Error> {
        let dims = network.dimensions();
        let samples = batch.check(&dims)?;
        let case = self.case_of_pass(Quantity::Loss, &dims, batch.loss(), samples)?;
        self.hold(case)?;
        let normalizer = batch.normalizer(samples)?;
        let outputs = dims.outputs;
        let mut logits = vec![T::zero(); samples * outputs];
        for range in chunks(&case) {
            let logits = &mut logits[range.start * outputs..range.end * outputs];
            self.forward_in(network, batch, normalizer, range, 1, false)?;
            let f = &self.shards[0].forward;
            write_samples(logits, &f.o[..outputs * f.stride], f.stride, T::one());
        }
        Ok(logits)
    }

    /// tr H_kl for every two outputs k and l, K × K row-major, with H_kl the h × h block of the Hessian between the
    /// weights into k and those into l, without biases: Σ_n S_kl ‖a‖² (theory §2). One forward pass.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn output_block_traces(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
    ) -> Result<Vec<T>, Error> {
        self.evaluate(
            network,
            batch,
            Curvature::Operator,
            Quantity::HessianProduct,
        )?;
        let f = &self.shards[0].forward;
        let (outputs, n) = (f.dims().outputs, f.stride);
        let Along {
            z: a_squared,
            o: weighted,
            ..
        } = &mut self.buffers;
        hidden_squares(f, a_squared);
        let mut traces = vec![T::zero(); outputs * outputs];
        if f.loss_of().couples_outputs() {
            // S_kl = −ω p_k p_l; the diagonal is known better than as a difference.
            let weighted = fit(weighted, outputs * n);
            for k in 0..outputs {
                let factors = a_squared.iter().zip(&f.omega).zip(row(&f.p, n, k));
                for (out, ((&a, &omega), &p)) in row_mut(weighted, n, k).iter_mut().zip(factors) {
                    *out = a * (omega * p);
                }
            }
            let (p, weighted) = (
                Mat::new(&f.p, outputs, n, n),
                Mat::new(weighted, outputs, n, n),
            );
            matmul(
                &mut traces,
                outputs,
                Write::Replace,
                -f.sigma,
                p,
                weighted.t(),
            );
        }
        for k in 0..outputs {
            traces[k * outputs + k] = f.sigma * dot(row(&f.s_diagonal, n, k), &a_squared[..n]);
            for l in 0..k {
                traces[k * outputs + l] = traces[l * outputs + k];
            }
        }
        if crate::numeric::lanes::finite(&traces) {
            Ok(traces)
        } else {
            Err(Error::Overflow {
                what: "a trace of a block of H",
            })
        }
    }

    /// Σ_kl ⟨w_k, w_l⟩ tr H_kl over all pairs of outputs, with the traces of
    /// [`output_block_traces`](Self::output_block_traces) and the weights w_k into output k: Σ_n ‖a‖² tr(W2ᵀ S W2). Not
    /// negative, for S has no negative eigenvalue. One forward pass and h products with S, of which none is kept.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn output_flatness(&mut self, network: &Network<T>, batch: &Batch<T>) -> Result<T, Error> {
        self.evaluate(
            network,
            batch,
            Curvature::Operator,
            Quantity::HessianProduct,
        )?;
        let f = &self.shards[0].forward;
        let (dims, n) = (f.dims(), f.stride);
        let outputs = dims.outputs;
        let Along {
            z: a_squared,
            o: column,
            r: product,
            scratch,
            ..
        } = &mut self.buffers;
        hidden_squares(f, a_squared);
        let column = fit(column, outputs * n);
        let product = fit(product, outputs * n);
        let scratch = fit(scratch, 2 * n);
        let mut flatness = T::zero();
        for j in 0..dims.hidden {
            for k in 0..outputs {
                row_mut(column, n, k).fill(network.output_weight()[k * dims.hidden + j]);
            }
            f.curvature_of().apply(column, n, 0, n, product, scratch);
            let sum = &mut scratch[..n];
            sum.fill(T::zero());
            for k in 0..outputs {
                add_product(sum, row(column, n, k), row(product, n, k));
            }
            flatness += dot(sum, &a_squared[..n]);
        }
        let flatness = f.sigma * flatness;
        if flatness.is_finite() {
            Ok(flatness)
        } else {
            Err(Error::Overflow {
                what: "the relative flatness",
            })
        }
    }
}

/// ‖a‖² of each sample, without the bias.
fn hidden_squares<T: Stages>(f: &Forward<T>, out: &mut Buffer<T>) {
    let squares = zeros(out, f.stride);
    for i in 0..f.dims().hidden {
        add_product(squares, row(&f.a, f.stride, i), row(&f.a, f.stride, i));
    }
}
