//! Which evaluation each block of the Hessian takes, decided by counting what each has to do.

use core::fmt;

use crate::error::Error;
use crate::evaluation::block::BlockEvaluation;
use crate::numeric::lanes;
use crate::problem::loss::OutputLoss;
use crate::problem::network::Dimensions;
use crate::two_layer::work::{PlannedWork, Work};
use crate::two_layer::{kernels, output_basis};

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
    /// Each block in the way that is named here.
    Blocks(Plan),
}

/// The evaluation of each block of the Hessian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

/// Values of M that may be held at once; beyond, some rows of M are formed at a time, again for every tile.
pub(crate) const M_VALUES: usize = 1 << 24;

/// Values of M from which it pays not to form it where U and Q have few rows: it no longer stays in the cache.
const FORMED: usize = 1 << 21;

/// How the pairs meet M.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfHidden {
    /// M of all samples is kept.
    Kept,
    /// Some rows of M are formed at a time.
    Strips,
    /// M = Uᵀ Q + diag c is not formed: products of U with U and of Q with Q, K'² values a pair.
    Rank,
}

impl OfHidden {
    /// For `total` samples, padding included.
    pub fn new(hidden: usize, rank: usize, total: usize) -> Self {
        let values = crate::numeric::svec::packed_length(hidden as f64) * total as f64;
        if values > FORMED as f64 && rank.saturating_mul(rank).saturating_mul(4) <= hidden {
            Self::Rank
        } else if values <= M_VALUES as f64 {
            Self::Kept
        } else {
            Self::Strips
        }
    }
}

/// Without a limit on memory a block is not formed where it would hold more values than this: half a GiB in f64.
const BLOCK_LIMIT: usize = 1 << 26;

impl Plan {
    /// Every block formed.
    pub const ASSEMBLED: Self = Self::all(BlockEvaluation::Assembled);
    /// Every block by sums over pairs of samples.
    pub const GRAM: Self = Self::all(BlockEvaluation::Gram);

    const fn all(evaluation: BlockEvaluation) -> Self {
        Self {
            output: evaluation,
            hidden: evaluation,
            cross: evaluation,
        }
    }

    /// All eight plans.
    pub fn every() -> impl Iterator<Item = Self> {
        use BlockEvaluation::{Assembled, Gram};
        let of = |gram: bool| if gram { Gram } else { Assembled };
        (0..8).map(move |bits| Self {
            output: of(bits & 1 != 0),
            hidden: of(bits & 2 != 0),
            cross: of(bits & 4 != 0),
        })
    }

    /// The plan for a network of these sizes and a batch of `samples` samples.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] where a block was to be assembled and would not fit.
    pub fn new(
        evaluation: Evaluation,
        dimensions: &Dimensions,
        samples: usize,
    ) -> Result<Self, Error> {
        Self::with_rank(evaluation, dimensions, dimensions.outputs, samples, None)
    }

    /// The plan where the outputs' quantities take `rank` values a sample and a block at most `block` values.
    pub(crate) fn with_rank(
        evaluation: Evaluation,
        dimensions: &Dimensions,
        rank: usize,
        samples: usize,
        block: Option<usize>,
    ) -> Result<Self, Error> {
        let limit = block.unwrap_or(BLOCK_LIMIT);
        let plan = match evaluation {
            Evaluation::Auto => return Ok(Self::cheapest(dimensions, rank, samples, limit)),
            Evaluation::Assembled => Self::ASSEMBLED,
            Evaluation::Gram => Self::GRAM,
            Evaluation::Blocks(plan) => plan,
        };
        let elements = Sizes::new(dimensions, rank, samples).largest_block(&plan);
        if elements > limit as f64 {
            return Err(Error::TooLarge {
                what: "a block of the Hessian",
                elements: elements as usize,
                limit,
            });
        }
        Ok(plan)
    }

    /// What the evaluation of ‖H‖² with its gradient has to do under this plan.
    pub fn work(&self, dimensions: &Dimensions, loss: OutputLoss, samples: usize) -> PlannedWork {
        let softmax = loss.couples_outputs();
        let rank = output_basis::reduced(dimensions.outputs, softmax);
        Sizes::new(dimensions, rank, samples).work(self)
    }

    /// What that costs, in multiply-adds of a large matrix product.
    pub(crate) fn cost(&self, dimensions: &Dimensions, rank: usize, samples: usize) -> f64 {
        let work = Sizes::new(dimensions, rank, samples).work(self);
        work.total().cost()
    }

    /// The plan that costs least, among those whose blocks fit.
    fn cheapest(dimensions: &Dimensions, rank: usize, samples: usize, limit: usize) -> Self {
        let sizes = Sizes::new(dimensions, rank, samples);
        let mut best = (Self::GRAM, f64::INFINITY);
        for plan in Self::every() {
            let cost = plan.cost(dimensions, rank, samples);
            if cost < best.1 && sizes.largest_block(&plan) <= limit as f64 {
                best = (plan, cost);
            }
        }
        best.0
    }

    /// The plans that `evaluation` allows, the cheapest first.
    pub(crate) fn by_cost(
        evaluation: Evaluation,
        dimensions: &Dimensions,
        rank: usize,
        samples: usize,
    ) -> Vec<Self> {
        match evaluation {
            Evaluation::Auto => {
                let cost = |plan: &Self| plan.cost(dimensions, rank, samples);
                let mut plans: Vec<_> = Self::every().collect();
                plans.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
                plans
            }
            Evaluation::Assembled => vec![Self::ASSEMBLED],
            Evaluation::Gram => vec![Self::GRAM],
            Evaluation::Blocks(plan) => vec![plan],
        }
    }
}

/// Values that a tile of samples holds where blocks are assembled, and a tile of pairs.
const TILE: f64 = (1 << 17) as f64;
const PAIRS: f64 = (1 << 18) as f64;

/// The sizes that work is counted in.
struct Sizes {
    /// Samples, padded to whole lanes.
    n: f64,
    /// d̃, h, h̃, K' and h·K'.
    d: f64,
    h: f64,
    a: f64,
    rank: f64,
    hk: f64,
    /// Packed symmetric matrices of K', h̃, h and d̃ rows.
    s: f64,
    aa: f64,
    m: f64,
    xx: f64,
    /// Whether the kernels take this rank, and these inputs too.
    fit_rank: bool,
    fit: bool,
    /// Whether S is kept packed, and how the pairs meet M.
    packed: bool,
    of_hidden: OfHidden,
}

impl Sizes {
    fn new(dimensions: &Dimensions, rank: usize, samples: usize) -> Self {
        let packed = |n: f64| n * (n + 1.0) / 2.0;
        let d = dimensions.inputs_extended() as f64;
        let h = dimensions.hidden as f64;
        let a = dimensions.hidden_extended() as f64;
        let outputs = rank as f64;
        let n = lanes::stride::<f64>(samples);
        Self {
            n: n as f64,
            d,
            h,
            a,
            rank: outputs,
            hk: h * outputs,
            s: packed(outputs),
            aa: packed(a),
            m: packed(h),
            xx: packed(d),
            fit_rank: kernels::fit_rank(rank),
            fit: kernels::fit(dimensions.inputs_extended(), rank),
            packed: output_basis::packed(rank),
            of_hidden: OfHidden::new(dimensions.hidden, rank, n),
        }
    }

    /// The values of the largest block that the plan forms.
    fn largest_block(&self, plan: &Plan) -> f64 {
        let of = |block, elements| match block {
            BlockEvaluation::Assembled => elements,
            BlockEvaluation::Gram => 0.0,
        };
        of(plan.output, self.s * self.aa)
            .max(of(plan.hidden, self.m * self.xx))
            .max(of(plan.cross, self.hk * self.a * self.d))
    }

    fn work(&self, plan: &Plan) -> PlannedWork {
        use BlockEvaluation::{Assembled, Gram};
        let mut shared = Work::default();
        // G, α, and the weights of a_m.
        if plan.hidden == Gram || plan.cross == Gram {
            shared += self.inner_products(self.d);
        }
        if plan.output == Gram || plan.cross == Gram {
            shared += self.inner_products(self.a);
            let tiles = self.pair_tiles();
            shared += Work::product(self.h, self.n, self.n, tiles, self.h * self.n);
            shared += Work::values(self.n * self.n);
        }
        PlannedWork {
            output: match plan.output {
                Assembled => self.output_assembled(),
                Gram => self.output_gram(),
            },
            hidden: match plan.hidden {
                Assembled => self.hidden_assembled(),
                Gram => self.hidden_gram(),
            },
            cross: match plan.cross {
                Assembled => self.cross_assembled(),
                Gram => self.cross_gram(),
            },
            shared,
        }
    }

    /// Tiles of samples where a tile holds so many rows.
    fn tiles(&self, rows: f64) -> f64 {
        (self.n * rows / TILE).ceil().clamp(1.0, self.n)
    }

    /// Tiles of pairs.
    fn pair_tiles(&self) -> f64 {
        (self.n * self.n / PAIRS).ceil().clamp(1.0, self.n)
    }

    fn output_assembled(&self) -> Work {
        let Self { n, s, aa, .. } = *self;
        let mut work = Work::default();
        if self.fit_rank {
            work += Work::kernels(n * aa * (3.0 * s + 2.0));
            return work;
        }
        let tiles = self.tiles(if self.packed { aa } else { aa.max(s) });
        if !self.packed {
            // S is formed twice, S̃ reduced.
            work += Work::values(4.0 * n * s);
        }
        work += Work::product(s, n, aa, tiles, 2.0 * s * aa);
        work += Work::product(s, aa, n, tiles, s * aa);
        work += Work::product(aa, s, n, tiles, s * aa);
        // ããᵀ twice, and its part for ā.
        work += Work::values(6.0 * n * aa);
        work
    }

    fn output_gram(&self) -> Work {
        let Self { n, s, rank, .. } = *self;
        let mut work = Work::default();
        let tiles = self.pair_tiles();
        if !self.packed {
            for _ in 0..3 {
                work += self.inner_products(rank);
                work += Work::product(rank, n, n, tiles, rank * n);
            }
            work += Work::values(12.0 * n * n);
            return work;
        }
        work += Work::product(s, n, n, tiles, s * n);
        work += Work::product(n, s, n, tiles, s * n);
        work += Work::values(4.0 * n * n);
        work
    }

    /// M formed, and M̃ contracted to U M̃.
    fn form_and_contract(&self) -> Work {
        Work::lanes(3.0 * self.n * self.m * self.rank)
    }

    fn hidden_assembled(&self) -> Work {
        let Self { n, m, xx, .. } = *self;
        let mut work = self.form_and_contract();
        if self.fit {
            return Work::kernels(work.lanes + 2.0 * n * m * xx);
        }
        let tiles = self.tiles(m.max(xx));
        work += Work::product(m, n, xx, tiles, 2.0 * m * xx);
        work += Work::product(m, xx, n, tiles, m * xx);
        work += Work::values(2.0 * n * (m + xx));
        work
    }

    fn hidden_gram(&self) -> Work {
        let Self { n, m, rank, .. } = *self;
        let mut work = Work::default();
        let tiles = self.pair_tiles();
        // By rank there are fewer multiply-adds, in small products of strided operands: that takes about as long as M. In
        // strips M is formed for every tile.
        if let OfHidden::Strips = self.of_hidden {
            work += Work::lanes((tiles - 1.0) * n * m * rank);
        }
        work += self.form_and_contract();
        work += Work::product(m, n, n, tiles, m * n);
        work += Work::values(2.0 * n * n + 4.0 * n * m);
        work
    }

    fn cross_assembled(&self) -> Work {
        let Self { n, d, a, hk, .. } = *self;
        let mut work = Work::default();
        let columns = a * d;
        if self.fit {
            work += Work::kernels(3.0 * n * hk * columns);
            return work;
        }
        let tiles = self.tiles(columns.max(hk));
        work += Work::product(hk, n, columns, tiles, 2.0 * hk * columns);
        work += Work::product(hk, columns, n, tiles, hk * columns);
        work += Work::product(columns, hk, n, tiles, hk * columns);
        // What R meets.
        work += Work::product(hk, n, d, tiles, 2.0 * hk * d);
        work += Work::product(hk, d, n, tiles, hk * d);
        work += Work::values(n * (4.0 * columns + 6.0 * hk));
        work
    }

    fn cross_gram(&self) -> Work {
        let Self { n, d, hk, .. } = *self;
        let mut work = Work::default();
        let tiles = self.pair_tiles();
        work += Work::product(hk, n, n, tiles, hk * n);
        work += self.inner_products(hk);
        work += Work::values(6.0 * n * n + 14.0 * n * hk);
        if d < n {
            for _ in 0..2 {
                work += Work::product(hk, n, d, tiles, hk * d);
                work += Work::product(hk, d, n, tiles, hk * d);
            }
        } else {
            for _ in 0..2 {
                work += Work::product(hk, n, n, tiles, hk * n);
            }
        }
        work
    }

    /// Inner products of all samples with each other; only half of them where one tile holds all.
    fn inner_products(&self, rows: f64) -> Work {
        let n = self.n;
        let tiles = self.pair_tiles();
        let mut work = Work::product(n, rows, n, tiles, rows * n);
        if tiles == 1.0 && rows >= 64.0 {
            work.products *= 0.5 + 32.0 / n.max(64.0);
        }
        work
    }
}
