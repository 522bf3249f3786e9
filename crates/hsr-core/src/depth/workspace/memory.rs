//! How many bytes an evaluation takes at any depth, counted before anything is allocated: every buffer of a
//! [`DeepWorkspace`], by the expression that sizes it. The test `memory` holds the sums against an allocator that counts.

use crate::depth::block::BlockId;
use crate::depth::blocks::scratch::{ScratchValues, scratch_values};
use crate::depth::network::LayerShape;
use crate::depth::plan::{DeepEvaluation, Sizes};
use crate::depth::stages::Stages;
use crate::depth::want::Want;
use crate::depth::workspace::DeepWorkspace;
use crate::depth::workspace::task::threads_that_pay;
use crate::error::Error;
use crate::evaluation::block::BlockEvaluation;
use crate::evaluation::quantity::Quantity;
use crate::numeric::lanes::stride;
use crate::numeric::number::Number;
use crate::problem::loss::OutputLoss;

impl<T: Stages> DeepWorkspace<T> {
    /// The bytes of the buffers that `quantity` takes for layers of these shapes and a batch of N samples: counted, not
    /// allocated. ∇λ_sup and ∇tr H are [`Quantity::BoundsGradient`] and [`Quantity::TraceGradient`]; the gradient of any
    /// other objective takes no more than the former. (What the `gemm` crate packs matrices into for the time of a product
    /// is not among them.)
    ///
    /// # Errors
    ///
    /// As [`moments`](Self::moments), where a block was to be assembled and would not fit, or a plan is for another network.
    pub fn memory(
        &self,
        quantity: Quantity,
        shapes: &[LayerShape],
        loss: OutputLoss,
        samples: usize,
        evaluation: &DeepEvaluation,
    ) -> Result<u64, Error> {
        let counted = Counted {
            shapes,
            n: stride::<T>(samples) as f64,
        };
        let parameters: f64 = shapes.iter().map(|it| it.parameters() as f64).sum();
        let with_inputs = quantity == Quantity::BoundsInputGradient;
        let want = Want {
            gradient: quantity != Quantity::Bounds,
            inputs: with_inputs || quantity == Quantity::TraceGradient,
            diagonal: quantity != Quantity::TraceGradient,
            cross: quantity != Quantity::TraceGradient,
            tile: self.tile,
        };
        let values = counted.pass(quantity != Quantity::Loss)
            + match quantity {
                Quantity::Loss => 0.0,
                // The gradient for the inputs is written where directions are.
                Quantity::LossGradient => counted.inputs(),
                Quantity::HessianProduct => counted.channels() + parameters,
                Quantity::CurvatureAlongGradient => {
                    3.0 * counted.channels() + counted.widest() + counted.inputs() + parameters
                }
                Quantity::Bounds
                | Quantity::BoundsGradient
                | Quantity::BoundsInputGradient
                | Quantity::TraceGradient => {
                    let sizes = Sizes::new::<T>(shapes, loss, samples, want.inputs);
                    let mut plan = Vec::new();
                    sizes.plan(evaluation, &mut plan)?;
                    let gradient = if want.gradient {
                        counted.adjoints() + counted.bars(parameters)
                    } else {
                        0.0
                    };
                    counted.tangents()
                        + gradient
                        + self.scratch::<T>(&sizes, &plan, want)
                        + 2.0 * counted.n
                }
            };
        Ok((values * size_of::<T>() as f64) as u64)
    }

    /// What all threads need beside the tangents and their adjoints.
    fn scratch<R: Number>(&self, sizes: &Sizes, plan: &[BlockEvaluation], want: Want) -> f64 {
        let shapes = sizes.shapes();
        let wanted = BlockId::every(shapes.len())
            .filter(|&id| want.block(id) && !id.is_empty(shapes))
            .map(|id| (id, plan[id.index()]));
        let (mut most, mut cost, mut count) = (ScratchValues::default(), 0.0, 0);
        for (id, evaluation) in wanted {
            most.cover(&scratch_values::<R>(sizes, id, evaluation, want));
            cost += sizes.cost(id, evaluation);
            count += 1;
        }
        let threads = threads_that_pay(self.threads, cost).min(count.max(1));
        threads as f64 * most.total()
    }
}

/// Layers and the samples of a row.
struct Counted<'a> {
    shapes: &'a [LayerShape],
    n: f64,
}

impl Counted<'_> {
    fn width(&self, l: usize) -> f64 {
        self.shapes[l].outputs as f64
    }

    /// Σ n_l.
    fn widths(&self) -> f64 {
        (0..self.shapes.len()).map(|l| self.width(l)).sum()
    }

    fn widest(&self) -> f64 {
        let widths = (0..self.shapes.len()).map(|l| self.width(l));
        self.n * widths.fold(0.0, f64::max)
    }

    /// Of x.
    fn inputs(&self) -> f64 {
        self.n * self.shapes.first().map_or(0.0, |it| it.inputs as f64)
    }

    /// Forward pass, and backward vectors where they are found.
    fn pass(&self, backward: bool) -> f64 {
        let last = self.shapes.len() - 1;
        let of_inputs: f64 = self
            .shapes
            .iter()
            .map(|it| it.inputs as f64 + f64::from(u8::from(it.trains_bias())))
            .sum();
        let hidden = self.widths() - self.width(last);
        let outputs = self.width(last);
        let vectors = if backward {
            3.0 * hidden + outputs
        } else {
            0.0
        };
        self.n * (of_inputs + 4.0 * hidden + 6.0 * outputs + vectors + 5.0)
    }

    /// The four vectors a layer of products with the Hessian.
    fn channels(&self) -> f64 {
        4.0 * self.n * self.widths() + self.widest() + self.inputs()
    }

    /// J, A, U and Q of every pair of layers.
    fn tangents(&self) -> f64 {
        let last = self.shapes.len() - 1;
        let mut values = 0.0;
        for l in (0..last).filter(|&l| self.shapes[l].is_trained()) {
            for k in l..=last {
                let hidden = if k < last { 1.0 } else { 0.0 };
                let above = if k > l { 1.0 + hidden } else { 0.0 };
                values += (above + hidden + 1.0) * self.width(k) * self.width(l);
            }
        }
        values * self.n
    }

    /// The adjoints of every block.
    fn adjoints(&self) -> f64 {
        let depth = self.shapes.len();
        let mut values = 0.0;
        for BlockId { row: k, column: l } in BlockId::every(depth) {
            if !self.shapes[l].is_trained() {
                continue;
            }
            let (rows, seeds) = (self.width(k), self.width(l));
            let inputs = self.shapes[k].inputs as f64;
            values += self.shapes[l].inputs as f64;
            values += if k > l {
                let of_a = if k == l + 1 { seeds } else { inputs * seeds };
                rows * seeds + of_a + rows + inputs
            } else if k + 1 == depth {
                rows
            } else {
                rows * seeds
            };
        }
        values * self.n
    }

    /// What the reverse mode needs beside them.
    fn bars(&self, parameters: f64) -> f64 {
        let last = self.shapes.len() - 1;
        let of_inputs: f64 = self.shapes.iter().map(|it| it.inputs as f64).sum();
        let mut values = of_inputs + 5.0 * self.widths() + self.width(last) + 2.0;
        values *= self.n;
        values += 2.0 * self.widest();
        for l in (0..last).filter(|&l| self.shapes[l].is_trained()) {
            let seeds = self.width(l);
            let widest = |from: usize, to: usize| {
                (from..to).map(|k| self.width(k)).fold(0.0, f64::max) * seeds
            };
            let hidden: f64 = (l..last).map(|k| self.width(k)).sum();
            values += self.n * (2.0 * hidden + self.width(last))
                + self.n * (2.0 * widest(l, last) + widest(l + 1, last + 1) + seeds)
                + parameters;
        }
        values
    }
}
