//! The dense Hessian.

use crate::error::{Error, check_length};
use crate::evaluation::quantity::{DENSE_LIMIT, Quantity};
use crate::numeric::lanes::finite;
use crate::problem::batch::Batch;
use crate::problem::network::Network;
use crate::two_layer::contraction::Want;
use crate::two_layer::forward::Curvature;
use crate::two_layer::plan::Plan;
use crate::two_layer::shard::Shared;
use crate::two_layer::stages::Stages;
use crate::two_layer::workspace::Workspace;

impl<T: Stages> Workspace<T> {
    /// The dense Hessian of the loss, D × D row-major (it is symmetric), into `hessian`.
    ///
    /// # Errors
    ///
    /// As [`loss`](Self::loss); [`Error::TooLarge`] beyond [`DENSE_LIMIT`] parameters, [`Error::Length`] where
    /// `hessian` has not D² values.
    pub fn hessian(
        &mut self,
        network: &Network<T>,
        batch: &Batch<T>,
        hessian: &mut [T],
    ) -> Result<(), Error> {
        let dims = network.dimensions();
        let parameters = dims.parameters();
        if parameters > DENSE_LIMIT {
            return Err(Error::TooLarge {
                what: "a dense Hessian",
                elements: parameters * parameters,
                limit: DENSE_LIMIT * DENSE_LIMIT,
            });
        }
        check_length(
            "hessian",
            "parameters²",
            hessian.len(),
            parameters * parameters,
        )?;
        // The blocks are read entry by entry, in the outputs' own basis.
        self.evaluate(network, batch, Curvature::Own, Quantity::Bounds)?;
        self.contract(Plan::ASSEMBLED, Want::Moments)?;
        self.spread_blocks(hessian);
        if finite(hessian) {
            Ok(())
        } else {
            Err(Error::Overflow { what: "H" })
        }
    }

    /// Writes the assembled blocks where they belong.
    #[inline(always)]
    pub(crate) fn spread_blocks(&self, hessian: &mut [T]) {
        let Shared {
            forward: f, blocks, ..
        } = &self.shards[0];
        let dims = f.dims();
        let parameters = dims.parameters();
        let (h, d) = (dims.hidden, dims.inputs);
        let (ha, dx, outputs) = (dims.hidden_extended(), dims.inputs_extended(), dims.outputs);
        let layout = dims.layout();
        // Places of the hidden parameter (j, e) and the output parameter (k, i); the last e or i is the bias.
        let hidden = |j: usize, e: usize| {
            if e < d {
                j * d + e
            } else {
                layout.hidden_bias().start + j
            }
        };
        let output = |k: usize, i: usize| {
            if i < h {
                layout.output_weight().start + k * h + i
            } else {
                layout.output_bias().start + k
            }
        };
        let sigma = f.sigma;
        let half = T::one() / crate::numeric::svec::scale::<T>();
        let packed = |n: usize| crate::numeric::svec::len(n);
        let root = |equal: bool| if equal { T::one() } else { half };
        let mut set = |i: usize, j: usize, value: T| {
            hessian[i * parameters + j] = value * sigma;
            hessian[j * parameters + i] = value * sigma;
        };
        crate::numeric::svec::pairs(outputs, |kl, k, l| {
            crate::numeric::svec::pairs(ha, |ij, i, j| {
                let value = blocks.a[kl * packed(ha) + ij] * root(k == l) * root(i == j);
                set(output(k, i), output(l, j), value);
                set(output(k, j), output(l, i), value);
            });
        });
        crate::numeric::svec::pairs(h, |ij, i, j| {
            crate::numeric::svec::pairs(dx, |ef, e, g| {
                let value = blocks.c[ij * packed(dx) + ef] * root(i == j) * root(e == g);
                set(hidden(i, e), hidden(j, g), value);
                set(hidden(i, g), hidden(j, e), value);
            });
        });
        for j in 0..h {
            for k in 0..outputs {
                for i in 0..ha {
                    for e in 0..dx {
                        let at = (j * outputs + k) * ha * dx + i * dx + e;
                        set(output(k, i), hidden(j, e), blocks.e[at]);
                    }
                }
            }
        }
    }
}
