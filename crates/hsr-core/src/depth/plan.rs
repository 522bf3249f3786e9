//! Which evaluation each block takes, decided by counting multiply-adds (theory-depth §3).

use crate::depth::block::{BlockId, triangle};
use crate::depth::network::LayerShape;
use crate::error::Error;
use crate::evaluation::block::BlockEvaluation;
use crate::evaluation::shards;
use crate::numeric::lanes::stride;
use crate::problem::loss::OutputLoss;

/// How the blocks are evaluated. All ways are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeepEvaluation {
    /// Each block takes the cheaper way; or all are formed, where that costs little more and lets threads share the samples.
    #[default]
    Auto,
    /// The blocks are formed: O(N·D²).
    Assembled,
    /// Sums over pairs of samples: O(N²), whatever D.
    Gram,
    /// Each block in the way that is named here.
    Blocks(DeepPlan),
}

/// The evaluation of each block on and below the diagonal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeepPlan {
    blocks: Vec<BlockEvaluation>,
}

/// Values that an array of an assembled block may hold: half a GiB in f64.
const BLOCK_LIMIT: usize = 1 << 26;

/// Costs of one elementwise multiply-add and of one value that a product reads or writes, in multiply-adds of a large
/// product.
const ELEMENTWISE: f64 = 1.5;
const VALUES: f64 = 4.0;

/// What the blocks may cost more where that lets the batch be divided into shards.
const SHARDS_PAY: f64 = 4.0 / 3.0;

/// Multiply-adds that pay for another thread: some 50 µs.
pub(in crate::depth) const SHARE: f64 = 1e6;

impl DeepPlan {
    /// A plan from the evaluation of each block in the order of [`BlockId::every`].
    pub fn new(blocks: impl Into<Vec<BlockEvaluation>>) -> Self {
        Self {
            blocks: blocks.into(),
        }
    }

    /// What a block takes.
    pub fn block(&self, id: BlockId) -> Option<BlockEvaluation> {
        self.blocks.get(id.index()).copied()
    }

    /// The blocks in the order of [`BlockId::every`].
    pub fn blocks(&self) -> &[BlockEvaluation] {
        &self.blocks
    }
}

/// What costs depend on.
pub(in crate::depth) struct Sizes<'a> {
    shapes: &'a [LayerShape],
    softmax: bool,
    /// N, and the same padded.
    batch: usize,
    samples: usize,
    /// Whether the adjoints of the inputs are wanted.
    inputs: bool,
}

impl<'a> Sizes<'a> {
    pub fn new<T>(
        shapes: &'a [LayerShape],
        loss: OutputLoss,
        samples: usize,
        inputs: bool,
    ) -> Self {
        Self {
            shapes,
            softmax: loss.couples_outputs(),
            batch: samples,
            samples: stride::<T>(samples),
            inputs,
        }
    }

    /// The same of so many samples.
    pub fn with_samples<T>(&self, samples: usize) -> Self {
        Self {
            batch: samples,
            samples: stride::<T>(samples),
            ..*self
        }
    }

    pub fn shapes(&self) -> &'a [LayerShape] {
        self.shapes
    }

    /// N, padded.
    pub fn samples(&self) -> usize {
        self.samples
    }

    pub fn is_softmax(&self) -> bool {
        self.softmax
    }

    /// Writes the evaluation of every block.
    pub fn plan<T>(
        &self,
        evaluation: &DeepEvaluation,
        out: &mut Vec<BlockEvaluation>,
    ) -> Result<(), Error> {
        use BlockEvaluation::{Assembled, Gram};
        let depth = self.shapes.len();
        let expected = triangle(depth);
        out.clear();
        match evaluation {
            DeepEvaluation::Auto => {
                let fits = |id| self.largest(id) <= BLOCK_LIMIT;
                out.extend(BlockId::every(depth).map(|id| {
                    let cheaper = self.cost(id, Assembled) < self.cost(id, Gram);
                    if cheaper && fits(id) { Assembled } else { Gram }
                }));
                let formed = || BlockId::every(depth).map(|id| (id, Assembled));
                let cheapest = BlockId::every(depth).zip(out.iter().copied());
                // Shards also divide the passes, whose work is not counted here and as much again.
                if out.contains(&Gram)
                    && BlockId::every(depth).all(fits)
                    && self.total(formed()) < SHARDS_PAY * self.total(cheapest)
                    && self.shards::<T>(formed()) > 1
                {
                    out.fill(Assembled);
                }
            }
            DeepEvaluation::Assembled => out.resize(expected, Assembled),
            DeepEvaluation::Gram => out.resize(expected, Gram),
            DeepEvaluation::Blocks(plan) => {
                let got = plan.blocks.len();
                if got != expected {
                    return Err(Error::PlanShape { got, expected });
                }
                out.extend_from_slice(&plan.blocks);
            }
        }
        for id in BlockId::every(depth) {
            let elements = self.largest(id);
            if out[id.index()] == Assembled && elements > BLOCK_LIMIT {
                return Err(Error::TooLarge {
                    what: "a block of the Hessian",
                    elements,
                    limit: BLOCK_LIMIT,
                });
            }
        }
        Ok(())
    }

    /// The values of the largest array where a block is assembled.
    fn largest(&self, id: BlockId) -> usize {
        let (k, l) = (&self.shapes[id.row], &self.shapes[id.column]);
        if id.is_diagonal() {
            let columns = triangle(l.inputs_extended());
            // x̃x̃ᵀ of every sample, and one row of C at least.
            columns * self.samples
        } else if id.is_between_neighbours() {
            // x̃_k x̃_lᵀ of every sample, and the rows of one component at least.
            k.inputs_extended() * l.inputs_extended() * self.samples.max(l.outputs)
        } else {
            k.inputs_extended() * l.outputs * self.samples.max(l.inputs_extended())
        }
    }

    /// In how many shards of samples these blocks are evaluated: more than one where all are formed and so small that
    /// adding up what the shards have is little beside what each of them does. Threads have no part in it, so that results
    /// do not depend on their number.
    pub fn shards<T>(&self, blocks: impl Iterator<Item = (BlockId, BlockEvaluation)>) -> usize {
        /// Samples that a shard has at least.
        const SAMPLES: usize = 64;
        /// Shards that a batch makes at most.
        const MOST: usize = 8;
        /// Values that all blocks have together at most: a MiB in f64.
        const VALUES: usize = 1 << 17;
        let (mut cost, mut values) = (0.0, 0);
        for (id, evaluation) in blocks {
            if evaluation == BlockEvaluation::Gram {
                return 1;
            }
            cost += self.cost(id, evaluation);
            values += self.formed(id);
        }
        if values > VALUES {
            return 1;
        }
        // Powers of two, which as many threads share evenly.
        let most = ((cost / SHARE) as usize)
            .min(self.batch / SAMPLES)
            .min(MOST);
        let most = most.checked_ilog2().map_or(1, |log| 1 << log);
        shards::count::<T>(self.batch, most)
    }

    /// The values of E.
    pub fn formed(&self, id: BlockId) -> usize {
        let (k, l) = (&self.shapes[id.row], &self.shapes[id.column]);
        let (extended, columns) = (k.inputs_extended(), l.inputs_extended());
        if id.is_diagonal() {
            let last = id.row + 1 == self.shapes.len();
            packed_rows(l, last, self.softmax) * triangle(columns)
        } else {
            k.outputs * extended * l.outputs * columns
        }
    }

    /// What blocks cost together.
    fn total(&self, blocks: impl Iterator<Item = (BlockId, BlockEvaluation)>) -> f64 {
        blocks.map(|(id, way)| self.cost(id, way)).sum()
    }

    /// Multiply-adds of value and gradient, what is not a product weighted.
    pub fn cost(&self, id: BlockId, evaluation: BlockEvaluation) -> f64 {
        let (k, l) = (&self.shapes[id.row], &self.shapes[id.column]);
        let n = self.samples as f64;
        let lower = (id.column > 0 || self.inputs) && !l.weight_frozen;
        let flag = if lower { 1.0 } else { 0.0 };
        let of = |size: usize| size as f64;
        let (m_k, m_l) = (of(k.inputs_extended()), of(l.inputs_extended()));
        let (n_k, n_l) = (of(k.outputs), of(l.outputs));
        let (below_k, below_l) = (of(k.trained_inputs()), of(l.trained_inputs()));
        if id.is_diagonal() {
            let last = id.row + 1 == self.shapes.len();
            let rows = of(packed_rows(l, last, self.softmax));
            return match evaluation {
                BlockEvaluation::Gram => {
                    n * n * ((1.0 + flag) * rows + m_l + flag * below_l)
                        + VALUES * n * (4.0 * n + 2.0 * rows)
                }
                BlockEvaluation::Assembled => {
                    let columns = of(triangle(l.inputs_extended()));
                    n * (2.0 + flag) * rows * columns
                        + ELEMENTWISE * n * columns * (1.0 + flag)
                        + VALUES * (n * (2.0 * rows + columns) + rows * columns)
                }
            };
        }
        let rows = n_k * n_l;
        match evaluation {
            BlockEvaluation::Gram => {
                let common = n * n * (2.0 * rows + m_k + m_l + below_k + flag * below_l)
                    + VALUES * n * (6.0 * n + 3.0 * rows);
                if k.weight_frozen {
                    common
                } else if id.is_between_neighbours() {
                    let extended = l.inputs_extended();
                    let of_r = if through_inputs(extended, self.samples, lower) {
                        (4.0 + 2.0 * flag) * m_l
                    } else {
                        (2.0 + 3.0 * flag) * n
                    };
                    common + n * rows * of_r + ELEMENTWISE * 8.0 * n * rows
                } else {
                    let of_pairs = 3.0 * n_l * (n_k + below_k) + 2.0 * n_l * below_k + 2.0 * n_k;
                    common
                        + n * n * (of_pairs + flag * below_l)
                        + (ELEMENTWISE * 3.0 + VALUES) * n * n * n_l
                }
            }
            BlockEvaluation::Assembled if id.is_between_neighbours() => {
                let both = m_k * m_l;
                let of_r = if k.weight_frozen {
                    0.0
                } else {
                    (2.0 + flag) * n * rows * m_l + ELEMENTWISE * 3.0 * n * rows
                };
                3.0 * n * rows * both
                    + of_r
                    + ELEMENTWISE * 3.0 * n * both
                    + VALUES * (n * (2.0 * rows + 2.0 * both) + 2.0 * rows * both)
            }
            BlockEvaluation::Assembled => {
                let rows = n_k * m_k * n_l;
                n * (2.0 + flag) * rows * m_l
                    + ELEMENTWISE * 6.0 * n * rows
                    + VALUES * 2.0 * n * rows
            }
        }
    }
}

/// The packed rows of Γ_l: those on the diagonal alone where S is diagonal.
pub(in crate::depth) fn packed_rows(shape: &LayerShape, last: bool, softmax: bool) -> usize {
    if last && !softmax {
        shape.outputs
    } else {
        triangle(shape.outputs)
    }
}

/// Whether what R of neighbours meets is cheaper through x̃_l (m_l values a sample) than over the pairs: six products of
/// m_l against three or four of N, two less of each where the inputs' adjoint is not wanted.
pub(in crate::depth) fn through_inputs(extended: usize, samples: usize, lower: bool) -> bool {
    if lower {
        3 * extended < 2 * samples
    } else {
        2 * extended < samples
    }
}
