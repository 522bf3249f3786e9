//! How many bytes an evaluation takes, counted before anything is allocated.
//!
//! Every buffer of a [`Workspace`](crate::Workspace) is counted where it is sized, by the expression that sizes it; the
//! test `memory` holds the sums against an allocator that counts. What the `gemm` crate packs matrices into is not among
//! them: it lives in the caches, some MiB for each thread, and is freed when a product returns.

use crate::error::Error;
use crate::evaluation::block::BlockEvaluation;
use crate::evaluation::quantity::Quantity;
use crate::evaluation::shards;
use crate::numeric::lanes::{stride, whole, whole_registers};
use crate::numeric::number::Number;
use crate::numeric::svec::packed_length;
use crate::problem::loss::OutputLoss;
use crate::problem::network::Dimensions;
use crate::two_layer::contraction::Want;
use crate::two_layer::gram::scratch::{M_ROWS, PAIRS, STRIP};
use crate::two_layer::kernels::{RUN, pairs};
use crate::two_layer::plan::{M_VALUES, OfHidden, Plan};
use crate::two_layer::{assembled, kernels, output_basis};

/// An evaluation whose buffers are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Case {
    pub quantity: Quantity,
    pub dimensions: Dimensions,
    pub loss: OutputLoss,
    /// Whether a basis smaller than the outputs' own is taken where there is one.
    pub in_basis: bool,
    /// Where ‖H‖ takes part.
    pub plan: Plan,
    /// All samples, those that are gone through at a time, and the shards that these are divided into.
    pub samples: usize,
    pub chunk: usize,
    pub shards: usize,
}

impl Case {
    /// The bytes of all buffers.
    pub fn bytes<T: Number>(&self) -> f64 {
        self.values::<T>() * size_of::<T>() as f64
    }

    /// The refusal of this evaluation.
    pub fn refuse<T: Number>(&self, limit: u64) -> Error {
        Error::Memory {
            what: self.quantity.name(),
            samples: self.samples,
            hidden: self.dimensions.hidden,
            outputs: self.dimensions.outputs,
            needed: self.bytes::<T>() as u64,
            limit,
        }
    }

    /// Whether the samples are gone through part by part.
    fn in_chunks(&self) -> bool {
        self.chunk < self.samples
    }

    fn values<T: Number>(&self) -> f64 {
        let strides = |count: usize| {
            let samples = self.chunk.min(self.samples);
            (0..count).map(move |i| stride::<T>(shards::range::<T>(samples, count, i).len()))
        };
        let total: usize = strides(self.shards).sum();
        let sizes = Sizes::new(self);
        let mut values = 0.0;
        for n in strides(self.shards) {
            values += sizes.of_shard::<T>(self, n, total);
        }
        let parameters = sizes.h * sizes.x + sizes.k * sizes.a;
        // Parts of a gradient, which are added up.
        let with_gradient = !matches!(self.quantity, Quantity::Loss | Quantity::Bounds);
        if with_gradient && self.shards > 1 {
            values += self.shards as f64 * parameters;
        }
        if with_gradient && self.in_chunks() {
            values += parameters;
        }
        if self.in_chunks() {
            values += sizes.blocks(&self.plan, self.quantity);
        }
        values
    }
}

/// d̃ and d, h, h̃, K and K'.
struct Sizes {
    x: f64,
    d: f64,
    h: f64,
    a: f64,
    k: f64,
    rank: f64,
    hk: f64,
    softmax: bool,
    reduced: bool,
    /// Whether S is kept packed; whether the kernels take the rank, and x̃ too.
    packed: bool,
    fit_rank: bool,
    fit: bool,
}

impl Sizes {
    fn new(case: &Case) -> Self {
        let dims = &case.dimensions;
        let softmax = case.loss.couples_outputs();
        let rank = output_basis::reduced(dims.outputs, softmax && case.in_basis);
        let hidden = dims.hidden as f64;
        Self {
            x: dims.inputs as f64 + f64::from(u8::from(dims.hidden_bias)),
            d: dims.inputs as f64,
            h: hidden,
            a: hidden + f64::from(u8::from(dims.output_bias)),
            k: dims.outputs as f64,
            rank: rank as f64,
            hk: hidden * rank as f64,
            softmax,
            reduced: rank < dims.outputs,
            packed: output_basis::packed(rank),
            fit_rank: kernels::fit_rank(rank),
            fit: kernels::fit(dims.inputs_extended(), rank)
                && case.quantity != Quantity::BoundsInputGradient,
        }
    }

    /// Buffers of one shard whose rows have `n` samples, of `total` in all.
    fn of_shard<T: Number>(&self, case: &Case, n: usize, total: usize) -> f64 {
        let Self { d, h, k, .. } = *self;
        let of_quantity = n as f64
            * match case.quantity {
                Quantity::Loss => 0.0,
                Quantity::LossGradient => h,
                Quantity::HessianProduct => 4.0 * h + 2.0 * k + 2.0,
                Quantity::CurvatureAlongGradient => 7.0 * h + 4.0 * k + d + 2.0,
                Quantity::TraceGradient | Quantity::Bounds => 0.0,
                Quantity::BoundsGradient | Quantity::BoundsInputGradient => h,
            };
        let pass = self.pass(n as f64) + of_quantity;
        match case.quantity {
            Quantity::Loss
            | Quantity::LossGradient
            | Quantity::HessianProduct
            | Quantity::CurvatureAlongGradient => pass + h * n as f64,
            Quantity::TraceGradient => {
                pass + self.curvature::<T>(n as f64)
                    + self.contraction(n as f64, want_of(case.quantity))
                    + self.pullback::<T>(n as f64, want_of(case.quantity))
            }
            Quantity::Bounds | Quantity::BoundsGradient | Quantity::BoundsInputGradient => {
                let want = want_of(case.quantity);
                pass + self.curvature::<T>(n as f64)
                    + self.contraction(n as f64, want)
                    + self.pullback::<T>(n as f64, want)
                    + self.blocks(&case.plan, case.quantity)
                    + self.assembled::<T>(&case.plan, case.dimensions, n, want)
                    + self.gram::<T>(&case.plan, case.dimensions, [n, total], want)
            }
        }
    }

    /// Up to the residuals, but for z.
    fn pass(&self, n: f64) -> f64 {
        let Self { x, h, a, k, .. } = *self;
        let of_softmax = if self.softmax { k + 3.0 } else { 0.0 };
        n * (x + a + 3.0 * h + 5.0 * k + of_softmax + 2.0)
    }

    /// S, U, Q, r, g, c, the traces, and the scratch that z is in.
    fn curvature<T: Number>(&self, n: f64) -> f64 {
        let Self { h, k, rank, hk, .. } = *self;
        let mut values = n * (rank + 2.0 * hk + 2.0 * h + 4.0) + rank * h;
        if self.packed {
            values += n * packed_length(rank);
        }
        let lanes = if self.reduced {
            values += n * packed_length(k);
            n * k * (k - 1.0)
        } else {
            k * (RUN * whole::<T>()) as f64
        };
        values + lanes.max(n * h)
    }

    fn contraction(&self, n: f64, want: Want) -> f64 {
        let Self { x, h, rank, hk, .. } = *self;
        let of_s = output_basis::rows_of_s_bar(rank as usize) as f64;
        n * match want {
            Want::Moments => 0.0,
            Want::Gradient => of_s + 2.0 * hk + 3.0 * h + rank,
            Want::InputGradient => of_s + 2.0 * hk + 3.0 * h + rank + x,
        }
    }

    fn pullback<T: Number>(&self, n: f64, want: Want) -> f64 {
        if want == Want::Moments {
            return 0.0;
        }
        let Self {
            d, h, k, rank, hk, ..
        } = *self;
        let register = whole::<T>() as f64;
        let of_s = if self.reduced {
            packed_length(rank)
        } else {
            2.0 * k
        };
        let lanes = if self.reduced {
            hk * register
        } else {
            ((2 * RUN + 1) as f64 * k * register).max(2.0 * n)
        };
        let inputs = if want == Want::InputGradient { d } else { 0.0 };
        n * (rank + 3.0 * h + of_s + inputs) + rank * (h + 1.0) + lanes
    }

    /// The blocks of H that are formed.
    fn blocks(&self, plan: &Plan, quantity: Quantity) -> f64 {
        let moments = [
            Quantity::Bounds,
            Quantity::BoundsGradient,
            Quantity::BoundsInputGradient,
        ];
        if !moments.contains(&quantity) {
            return 0.0;
        }
        let of = |block, values| match block {
            BlockEvaluation::Assembled => values,
            BlockEvaluation::Gram => 0.0,
        };
        of(
            plan.output,
            packed_length(self.rank) * packed_length(self.a),
        ) + of(plan.hidden, packed_length(self.h) * packed_length(self.x))
            + of(plan.cross, self.hk * self.a * self.x)
    }

    fn assembled<T: Number>(&self, plan: &Plan, dims: Dimensions, n: usize, want: Want) -> f64 {
        let Self {
            x,
            h,
            a,
            rank,
            hk,
            fit,
            fit_rank,
            ..
        } = *self;
        let formed = |block| block == BlockEvaluation::Assembled;
        let gradient = want != Want::Moments;
        let register = whole::<T>() as f64;
        let width = |rows: f64| assembled::tile_width::<T>(n, rows as usize) as f64;
        let (mut pairs_, mut tile, mut r, mut s) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        let (mut lanes, mut kernel, mut lane, mut diagonal) = (0.0, 0.0, 0.0, 0.0);
        if formed(plan.output) && fit_rank {
            lane = if gradient { 2.0 * a * register } else { 0.0 };
        } else if formed(plan.output) {
            let aa = packed_length(a);
            let w = width(if self.packed {
                aa
            } else {
                aa.max(packed_length(rank))
            });
            pairs_ = aa * w;
            tile = if gradient { aa * w } else { 0.0 };
            if !self.packed {
                s = packed_length(rank) * w * if gradient { 2.0 } else { 1.0 };
            }
        }
        if formed(plan.hidden) && fit {
            pairs_ = pairs_.max(packed_length(x) * n as f64);
            kernel = if gradient { 2.0 * hk * register } else { 0.0 };
        } else if formed(plan.hidden) {
            let w = width(packed_length(h).max(packed_length(x)));
            pairs_ = pairs_.max(packed_length(x) * w);
            tile = tile.max(packed_length(h) * w);
            lanes = of_strip::<T>(dims.hidden, rank, w);
            if gradient {
                lanes = lanes.max(hk * w) + hk * w;
            }
        }
        if formed(plan.cross) && fit {
            lane = if gradient { 2.0 * a * register } else { 0.0 };
        } else if formed(plan.cross) {
            let columns = a * x;
            let w = width(columns.max(hk));
            pairs_ = pairs_.max(columns * w);
            r = hk * w;
            diagonal = hk * x;
            if gradient {
                tile = tile.max(columns * w);
            }
        }
        pairs_ + tile + r + s + lanes + kernel + lane + diagonal
    }

    fn gram<T: Number>(
        &self,
        plan: &Plan,
        dims: Dimensions,
        [n, total]: [usize; 2],
        want: Want,
    ) -> f64 {
        let Self {
            x, h, k, rank, hk, ..
        } = *self;
        let pairs_ = |block| block == BlockEvaluation::Gram;
        let (output, hidden, cross) =
            (pairs_(plan.output), pairs_(plan.hidden), pairs_(plan.cross));
        if !(output || hidden || cross) {
            return 0.0;
        }
        let (gradient, inputs) = (want != Want::Moments, want == Want::InputGradient);
        let width = crate::two_layer::gram::scratch::tile_width::<T>(n, total);
        let (w, n_) = (width as f64, n as f64);
        let size = total as f64 * w;
        let of = |condition: bool, values: f64| if condition { values } else { 0.0 };
        let mut values = size
            * [
                hidden || cross,
                output || cross,
                true,
                gradient && (output || cross),
                inputs && (hidden || cross),
            ]
            .map(|needed| of(needed, 1.0))
            .iter()
            .sum::<f64>();
        let of_hidden = OfHidden::new(dims.hidden, rank as usize, total);
        let by_rank = hidden && of_hidden == OfHidden::Rank;
        let softmaxes = output && !self.packed && self.softmax;
        values += of(by_rank || softmaxes, 2.0 * size) + of(by_rank && inputs, size);
        values += of(softmaxes, n_ * (2.0 * k + 4.0)) + of(by_rank, 2.0 * h * n_);
        // A buffer for many things.
        let mut room = 0.0_f64;
        if by_rank && gradient {
            room = h * w;
        } else if hidden && of_hidden == OfHidden::Kept {
            values += packed_length(h) * n_ + largest_strip(dims.hidden, M_ROWS / width) * w;
            values += of_strip::<T>(dims.hidden, rank, n_) + of(gradient, 2.0 * hk * w);
        } else if hidden && of_hidden == OfHidden::Strips {
            let rows = largest_strip(dims.hidden, STRIP / width);
            // Strips of fewer rows take more samples at a time.
            let chunk = n_.min((M_VALUES as f64).max(rows * whole::<T>() as f64) / rows);
            let longest = n_.min(M_VALUES as f64 / (dims.hidden.min(4) as f64));
            values += 2.0 * rows * w + (rows * chunk).max((M_VALUES as f64).min(rows * longest));
            values += of_strip::<T>(dims.hidden, rank, n_) + of(gradient, 2.0 * hk * w);
            if inputs {
                room = longest.min(n_) * w;
            }
        }
        if cross {
            let project = x < total as f64;
            values += 2.0 * hk * w + 2.0 * hk * if project { x } else { n_ };
            if project {
                let some = whole_registers::<T>((PAIRS as f64 / hk) as usize).min(n) as f64;
                room = room.max(2.0 * hk * some).max(of(inputs, hk * w));
            }
        }
        values + room
    }
}

/// Q of some rows of M, for `width` samples.
fn of_strip<T: Number>(hidden: usize, rank: f64, width: f64) -> f64 {
    let samples = width.min(pairs::strip_width::<T>(rank as usize) as f64);
    samples * rank * pairs::ROWS.min(hidden) as f64
}

/// The most rows of packed_length M that a strip has where `most` are wanted.
fn largest_strip(hidden: usize, most: usize) -> f64 {
    /// Beyond, all strips are as small as they can be, and the first is the largest.
    const WIDE: usize = 1 << 24;
    if hidden > WIDE {
        return pairs::ROWS as f64 * hidden as f64;
    }
    let (mut first, mut largest) = (0, 0);
    while first < hidden {
        let units = crate::two_layer::gram::scratch::units_from(first, hidden, most);
        largest = largest.max(crate::two_layer::gram::scratch::rows_of(&units, hidden));
        first = units.end;
    }
    largest as f64
}

/// What moments of this kind are called.
pub(crate) fn quantity_of(want: Want) -> Quantity {
    match want {
        Want::Moments => Quantity::Bounds,
        Want::Gradient => Quantity::BoundsGradient,
        Want::InputGradient => Quantity::BoundsInputGradient,
    }
}

/// What is evaluated of ‖H‖².
fn want_of(quantity: Quantity) -> Want {
    match quantity {
        Quantity::BoundsInputGradient | Quantity::TraceGradient => Want::InputGradient,
        Quantity::BoundsGradient => Want::Gradient,
        _ => Want::Moments,
    }
}
