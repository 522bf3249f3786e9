//! Which evaluation each block of the Hessian takes, decided by counting multiplications.

use core::fmt;

use crate::{Dimensions, Error};

/// How ‖H‖²_F and its gradient are evaluated. Both ways are exact ([theory](crate::theory) §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Evaluation {
    /// Each of the three blocks of H takes the cheaper way.
    #[default]
    Auto,
    /// The blocks are formed as products over samples: O(N·D²), for small D.
    Assembled,
    /// Sums over pairs of samples: O(N²·(d + h² + Kh)), whatever D, for few samples. Pairs are tiled, so that memory
    /// stays bounded.
    Gram,
}

/// The evaluation of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockEvaluation {
    /// The block is formed.
    Assembled,
    /// Sums over pairs of samples.
    Gram,
}

/// The evaluation of each block of the Hessian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// H22 (output layer, output layer).
    pub output: BlockEvaluation,
    /// H11 (hidden, hidden).
    pub hidden: BlockEvaluation,
    /// H21 (output, hidden).
    pub cross: BlockEvaluation,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.output, self.hidden, self.cross) {
            (
                BlockEvaluation::Assembled,
                BlockEvaluation::Assembled,
                BlockEvaluation::Assembled,
            ) => "assembled",
            (BlockEvaluation::Gram, BlockEvaluation::Gram, BlockEvaluation::Gram) => "gram",
            _ => "mixed",
        })
    }
}

/// A block is not formed where it would hold more values than this: half a GiB in f64.
const BLOCK_LIMIT: usize = 1 << 26;

/// What an evaluation has to produce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Trace and norm.
    Moments,
    /// Also what the gradient for the parameters needs.
    Gradient,
    /// Also what the gradient for the inputs needs.
    InputGradient,
}

impl Plan {
    /// The plan for a network of these sizes and a batch of `samples` samples.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] where [`Evaluation::Assembled`] was asked for and a block would not fit.
    pub fn new(
        evaluation: Evaluation,
        dimensions: &Dimensions,
        samples: usize,
    ) -> Result<Self, Error> {
        Self::with_rank(evaluation, dimensions, dimensions.outputs, samples)
    }

    /// The plan where the outputs' quantities take `rank` values a sample.
    pub(crate) fn with_rank(
        evaluation: Evaluation,
        dimensions: &Dimensions,
        rank: usize,
        samples: usize,
    ) -> Result<Self, Error> {
        use BlockEvaluation::{Assembled, Gram};
        match evaluation {
            Evaluation::Gram => Ok(Self {
                output: Gram,
                hidden: Gram,
                cross: Gram,
            }),
            Evaluation::Assembled => {
                let elements = Sizes::new(dimensions, rank, samples).largest_block();
                if elements > BLOCK_LIMIT as f64 {
                    return Err(Error::TooLarge {
                        what: "a block of the Hessian",
                        elements: elements as usize,
                        limit: BLOCK_LIMIT,
                    });
                }
                Ok(Self {
                    output: Assembled,
                    hidden: Assembled,
                    cross: Assembled,
                })
            }
            Evaluation::Auto => Ok(Self::cheapest(dimensions, rank, samples)),
        }
    }

    /// Multiplications of value and gradient, as the choice between evaluations counts them.
    pub(crate) fn cost(&self, dimensions: &Dimensions, rank: usize, samples: usize) -> f64 {
        Sizes::new(dimensions, rank, samples).cost(self)
    }

    fn cheapest(dimensions: &Dimensions, rank: usize, samples: usize) -> Self {
        use BlockEvaluation::{Assembled, Gram};
        let sizes = Sizes::new(dimensions, rank, samples);
        let mut best = Self {
            output: Gram,
            hidden: Gram,
            cross: Gram,
        };
        let mut least = sizes.cost(&best);
        for output in [Assembled, Gram] {
            for hidden in [Assembled, Gram] {
                for cross in [Assembled, Gram] {
                    let plan = Self {
                        output,
                        hidden,
                        cross,
                    };
                    let cost = sizes.cost(&plan);
                    if cost < least {
                        (best, least) = (plan, cost);
                    }
                }
            }
        }
        best
    }
}

/// The sizes that costs are counted in.
struct Sizes {
    n: f64,
    d: f64,
    h: f64,
    a: f64,
    hk: f64,
    s: f64,
    aa: f64,
    m: f64,
    xx: f64,
}

impl Sizes {
    fn new(dimensions: &Dimensions, rank: usize, samples: usize) -> Self {
        let packed = |n: f64| n * (n + 1.0) / 2.0;
        let d = dimensions.inputs_extended() as f64;
        let h = dimensions.hidden as f64;
        let a = dimensions.hidden_extended() as f64;
        let outputs = rank as f64;
        Self {
            n: samples as f64,
            d,
            h,
            a,
            hk: h * outputs,
            s: packed(outputs),
            aa: packed(a),
            m: packed(h),
            xx: packed(d),
        }
    }

    fn largest_block(&self) -> f64 {
        (self.s * self.aa)
            .max(self.m * self.xx)
            .max(self.hk * self.a * self.d)
    }

    /// Multiplications of value and gradient. Products in `gemm` count 1; loops over lanes are bound by memory and
    /// count more, as measured by the bench `evaluation`.
    fn cost(&self, plan: &Plan) -> f64 {
        use BlockEvaluation::{Assembled, Gram};
        const LANES: f64 = 4.0;
        let Self {
            n,
            d,
            h,
            a,
            hk,
            s,
            aa,
            m,
            xx,
        } = *self;
        let limit = BLOCK_LIMIT as f64;
        let block = |elements: f64, cost: f64| {
            if elements > limit {
                f64::INFINITY
            } else {
                cost
            }
        };
        let output = match plan.output {
            Assembled => block(s * aa, n * (3.0 * s * aa + LANES * 3.0 * aa)),
            Gram => n * n * (2.0 * s + h + LANES * 2.0),
        };
        let hidden = match plan.hidden {
            Assembled => block(m * xx, n * (2.0 * m * xx + LANES * (xx + m))),
            Gram => n * n * (m + LANES),
        };
        let cross = match plan.cross {
            Assembled => block(
                hk * a * d,
                n * (3.0 * hk * a * d + LANES * (3.0 * a * d + 2.0 * hk)),
            ),
            Gram => n * n * (2.0 * hk + h + LANES * 2.0) + n * hk * (4.0 * d.min(n) + LANES * 4.0),
        };
        let alpha = plan.output == Gram || plan.cross == Gram;
        let inner = plan.hidden == Gram || plan.cross == Gram;
        let shared = n * n * (if alpha { a } else { 0.0 } + if inner { d } else { 0.0 });
        output + hidden + cross + shared
    }
}
