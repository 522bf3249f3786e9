//! How many bytes an evaluation takes at any depth, counted before anything is allocated: every buffer of a
//! [`DeepWorkspace`], by the expression that sizes it. The test `memory` holds the sums against an allocator that counts.

use crate::depth::block::BlockId;
use crate::depth::blocks::scratch::{ScratchValues, scratch_values};
use crate::depth::network::LayerShape;
use crate::depth::passes::pass::Part;
use crate::depth::plan::{DeepEvaluation, Sizes};
use crate::depth::stages::Stages;
use crate::depth::want::Want;
use crate::depth::workspace::DeepWorkspace;
use crate::depth::workspace::task::threads;
use crate::error::Error;
use crate::evaluation::block::BlockEvaluation;
use crate::evaluation::quantity::Quantity;
use crate::evaluation::shards;
use crate::numeric::lanes::stride;
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
        let counted = Counted::new::<T>(shapes, samples);
        let parameters = counted.parameters();
        let with_inputs = quantity == Quantity::BoundsInputGradient;
        let want = Want {
            part: Part::Whole,
            loss_gradient: false,
            gradient: quantity != Quantity::Bounds,
            inputs: with_inputs || quantity == Quantity::TraceGradient,
            diagonal: quantity != Quantity::TraceGradient,
            cross: quantity != Quantity::TraceGradient,
            tile: self.tile,
        };
        let values = match quantity {
            Quantity::Loss => counted.pass(false),
            // The gradient for the inputs is written where directions are.
            Quantity::LossGradient => counted.pass(true) + counted.inputs(),
            Quantity::HessianProduct => counted.pass(true) + counted.channels() + parameters,
            Quantity::CurvatureAlongGradient => {
                let along = 3.0 * counted.channels() + counted.widest() + counted.inputs();
                counted.pass(true) + along + parameters
            }
            Quantity::Bounds
            | Quantity::BoundsGradient
            | Quantity::BoundsInputGradient
            | Quantity::TraceGradient => {
                let sizes = Sizes::new::<T>(shapes, loss, samples, want.inputs);
                let mut plan = Vec::new();
                sizes.plan::<T>(evaluation, &mut plan)?;
                let wanted: Vec<_> = BlockId::every(shapes.len())
                    .filter(|&id| want.block(id) && !id.is_empty(shapes))
                    .map(|id| (id, plan[id.index()]))
                    .collect();
                self.of_blocks(&sizes, samples, &wanted, want)
            }
        };
        Ok((values * size_of::<T>() as f64) as u64)
    }

    /// The values of an evaluation of these blocks.
    fn of_blocks(&self, sizes: &Sizes, samples: usize, wanted: &[Wanted], want: Want) -> f64 {
        let count = sizes.shards::<T>(wanted.iter().copied());
        let in_shards = count > 1;
        let cost = wanted.iter().map(|&(id, way)| sizes.cost(id, way)).sum();
        let threads = threads(self.threads, cost, count, wanted.len());
        let lengths = (0..count).map(|i| shards::range::<T>(samples, count, i).len());

        // Of a shard.
        let parts = lengths.clone().map(|length| {
            let counted = Counted::new::<T>(sizes.shapes(), length);
            let gradient = if want.gradient {
                counted.parameters()
            } else {
                0.0
            };
            counted.pass(true) + counted.tangents() + gradient + 2.0 * counted.n
        });
        // Of a thread, for the longest shard.
        let longest = lengths.clone().max().unwrap_or_default();
        let reverse = if want.gradient {
            let counted = Counted::new::<T>(sizes.shapes(), longest);
            let at_once = if in_shards { threads } else { 1 };
            at_once as f64 * (counted.adjoints() + counted.bars())
        } else {
            0.0
        };
        let sizes = sizes.with_samples::<T>(longest);
        let mut scratch = ScratchValues::default();
        for &(id, way) in wanted {
            scratch.cover(&scratch_values::<T>(&sizes, id, way, want, in_shards));
        }
        // E of every shard, and their sum.
        let formed: usize = wanted.iter().map(|&(id, _)| sizes.formed(id)).sum();
        let formed = if in_shards { (count + 1) * formed } else { 0 };
        parts.sum::<f64>() + reverse + threads as f64 * scratch.total() + formed as f64
    }
}

/// A block that is evaluated.
type Wanted = (BlockId, BlockEvaluation);

/// Layers and the samples of a row.
struct Counted<'a> {
    shapes: &'a [LayerShape],
    n: f64,
}

impl<'a> Counted<'a> {
    fn new<T>(shapes: &'a [LayerShape], samples: usize) -> Self {
        Self {
            shapes,
            n: stride::<T>(samples) as f64,
        }
    }

    /// D.
    fn parameters(&self) -> f64 {
        self.shapes.iter().map(|it| it.parameters() as f64).sum()
    }

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
    fn bars(&self) -> f64 {
        let parameters = self.parameters();
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
