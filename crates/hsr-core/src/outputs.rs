//! What the output layer alone shows: logits, and the traces of its blocks of the Hessian.

use crate::lanes::{add_product, dot, row, zeroed};
use crate::{Batch, Error, Network, Real, Workspace, svec};

impl<T: Real> Workspace<T> {
    /// The logits o, N × K row-major.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss).
    pub fn logits(&mut self, network: &Network<T>, batch: &Batch<T>) -> Result<Vec<T>, Error> {
        self.forward(network, batch, false)?;
        let f = &self.shards[0].forward;
        let outputs = f.dims().outputs;
        let mut logits = vec![T::zero(); f.samples * outputs];
        for (n, logits) in logits.chunks_exact_mut(outputs).enumerate() {
            for (k, logit) in logits.iter_mut().enumerate() {
                *logit = f.o[k * f.stride + n];
            }
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
        // Entry by entry, so in the outputs' own basis.
        self.evaluate(network, batch, false)?;
        let f = &self.shards[0].forward;
        let (dims, n) = (f.dims(), f.stride);
        let a_squared = zeroed(&mut self.buffers[0], n);
        for i in 0..dims.hidden {
            add_product(a_squared, row(&f.a, n, i), row(&f.a, n, i));
        }
        let outputs = dims.outputs;
        let mut traces = vec![T::zero(); outputs * outputs];
        svec::pairs(outputs, |index, k, l| {
            let packed = f.sigma * dot(row(&f.s_basis, n, index), a_squared);
            let trace = if k == l {
                packed
            } else {
                packed / svec::scale::<T>()
            };
            traces[k * outputs + l] = trace;
            traces[l * outputs + k] = trace;
        });
        if crate::lanes::finite(&traces) {
            Ok(traces)
        } else {
            Err(Error::Overflow {
                what: "a trace of a block of H",
            })
        }
    }
}
