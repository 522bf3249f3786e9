//! The GRAM evaluation: sums over pairs of samples, tile by tile (theory §3 and §4).
//!
//! q is a quadratic form in the samples' quantities, so that q11 = Σ_n ⟨M_n, M̃_n⟩ with M̃_n = Σ_m G²_nm M_m, and so
//! on: what the gradient needs gives the value with it. n runs over the samples of one shard of the batch, m over those
//! of all.

mod outputs;
mod rank;

use core::ops::Range;

use pulp::Simd;

use crate::assembled::form_r;
use crate::contraction::Contraction;
use crate::forward::Forward;
use crate::kernels::coupling::Coupling;
use crate::kernels::pairs::{PairLanes, ROWS, contract_m, form_m};
use crate::lanes::{add_product, dot, part, row, row_mut, sized, whole_registers, zeroed};
use crate::matmul::{Mat, Write, matmul};
use crate::plan::{BlockEvaluation, Plan, Want};
use crate::shard::Shared;
use crate::vectors::Unit;
use crate::watch::{Ticks, Watch};
use crate::{OutputLoss, Real, output_basis, svec};

/// Values a tile of pairs may hold.
pub(crate) const PAIRS: usize = 1 << 18;
/// Values of M that may be held at once; beyond, some rows of M are formed at a time, again for every tile.
pub(crate) const M_VALUES: usize = 1 << 24;
/// Values of M̃ that a strip of such rows holds for a tile of samples.
pub(crate) const STRIP: usize = 1 << 22;
/// Values of M̃ that are contracted at once: about the second-level cache.
pub(crate) const M_ROWS: usize = 1 << 16;
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
        let values = crate::memory::packed(hidden as f64) * total as f64;
        if values > FORMED as f64 && rank.saturating_mul(rank).saturating_mul(4) <= hidden {
            Self::Rank
        } else if values <= M_VALUES as f64 {
            Self::Kept
        } else {
            Self::Strips
        }
    }
}

/// What is decided by the size of the whole batch.
#[derive(Clone, Copy)]
pub(crate) struct Pairing {
    output: bool,
    hidden: bool,
    cross: bool,
    of_hidden: OfHidden,
    /// Whether the pairs' terms with R, which have rank d + 1, go through projections on x̃.
    project: bool,
}

impl Pairing {
    /// For a batch whose rows are `total` samples long, padding included.
    pub fn new<T: Real>(f: &Forward<T>, plan: &Plan, total: usize) -> Self {
        let dims = f.dims();
        let of = |block| block == BlockEvaluation::Gram;
        // The curvature, with which `f.rank` comes, may be still to be computed: pairs are in the output basis.
        let softmax = f.loss_of() == OutputLoss::SoftmaxCrossEntropy;
        let rank = output_basis::reduced(dims.outputs, softmax);
        Self {
            output: of(plan.output),
            hidden: of(plan.hidden),
            cross: of(plan.cross),
            of_hidden: OfHidden::new(dims.hidden, rank, total),
            project: dims.inputs_extended() < total,
        }
    }

    fn any(self) -> bool {
        self.output || self.hidden || self.cross
    }
}

/// What the pairs need of a shard beside its forward pass.
#[derive(Default)]
pub(crate) struct Prepared<T> {
    /// M, packed rows of its samples.
    m: Vec<T>,
    /// F + R with F = Q ∘ aᵀ, then R: rows (j, k) of its samples, or their projections on x̃, columns e.
    coupled: Vec<T>,
    of_rank: rank::Diagonals<T>,
    of_outputs: outputs::Softmaxes<T>,
}

impl<T: Real> Prepared<T> {
    /// Adds the projections of another shard, which are sums over samples.
    pub fn add_projections(&mut self, other: &Self, pairing: Pairing) {
        if pairing.cross && pairing.project {
            crate::lanes::add_scaled(&mut self.coupled, T::one(), &other.coupled);
        }
    }
}

/// Buffers of the evaluation.
#[derive(Default)]
pub(crate) struct Gram<T> {
    /// G = x̃·x̃ and α = ã·ã, rows all samples, columns the tile.
    inner: Vec<T>,
    alpha: Vec<T>,
    products: Vec<T>,
    /// More values of each pair, where S or M is not formed.
    second: Vec<T>,
    third: Vec<T>,
    fourth: Vec<T>,
    weights: Vec<T>,
    input_weights: Vec<T>,
    m: Vec<T>,
    m_tile: Vec<T>,
    values: Vec<T>,
    bars: Vec<T>,
    /// To form M, and to contract M̃.
    lanes: PairLanes<T>,
    of_contraction: PairLanes<T>,
}

/// The rows `0..rows` of a feature-major array, all samples.
fn all<T>(data: &[T], rows: usize, n: usize) -> Mat<'_, T> {
    Mat::new(data, rows, n, n)
}

/// The rows `0..rows` of a feature-major array, the samples of a tile.
fn tile<T>(data: &[T], rows: usize, n: usize, start: usize, width: usize) -> Mat<'_, T> {
    Mat::new(&data[start..], rows, width, n)
}

/// Rows of a block of a symmetric product: a multiple of what `gemm` takes at once.
const BLOCK: usize = 24;
/// Terms in a sum from which it pays to halve a symmetric product.
const TERMS: usize = 64;

/// Inner products of all samples with those of a tile: `out` = dataᵀ data\[tile\]. Where the tile is everything the
/// product is symmetric, and only the blocks on and above its diagonal are computed.
fn inner_products<T: Real>(
    out: &mut [T],
    data: &[T],
    rows: usize,
    n: usize,
    [start, width]: [usize; 2],
) {
    if width < n || rows < TERMS {
        let columns = tile(data, rows, n, start, width);
        let left = all(data, rows, n).t();
        matmul(out, width, Write::Replace, T::one(), left, columns);
        return;
    }
    for from in (0..n).step_by(BLOCK) {
        let height = BLOCK.min(n - from);
        let left = tile(data, rows, n, from, height).t();
        let columns = tile(data, rows, n, from, n - from);
        let block = &mut out[from * n + from..];
        matmul(block, n, Write::Replace, T::one(), left, columns);
        for j in from + height..n {
            for i in from..from + height {
                out[j * n + i] = out[i * n + j];
            }
        }
    }
}

/// Hidden units from `first` on whose rows of packed M are together `most` or fewer, but as many as [`contract_m`] takes
/// at once.
pub(crate) fn units_from(first: usize, h: usize, most: usize) -> Range<usize> {
    let mut end = h.min(first + ROWS);
    while end < h {
        let next = h.min(end + ROWS);
        if (first..next).map(|i| h - i).sum::<usize>() > most {
            break;
        }
        end = next;
    }
    first..end
}

/// Rows of packed M that these hidden units have.
pub(crate) fn rows_of(units: &Range<usize>, h: usize) -> usize {
    units.clone().map(|i| h - i).sum()
}

/// Samples in a tile of pairs: of a shard whose rows have `n` samples, of `total` in all shards.
pub(crate) fn tile_width<T>(n: usize, total: usize) -> usize {
    whole_registers::<T>(PAIRS / total).min(n)
}

/// A tile of one shard's samples against the samples of all shards.
#[derive(Clone, Copy)]
struct Tile<'a, T> {
    shards: &'a [Shared<T>],
    /// The shard whose samples these are.
    own: usize,
    start: usize,
    width: usize,
    pairing: Pairing,
    want: Want,
}

impl<'a, T: Real> Tile<'a, T> {
    fn forward(&self) -> &'a Forward<T> {
        &self.shards[self.own].forward
    }

    /// The number of pairs.
    fn size(&self) -> usize {
        total(self.shards) * self.width
    }

    /// Each shard with the place of its rows among all pairs.
    fn sources(&self) -> impl Iterator<Item = (&'a Shared<T>, usize)> {
        let width = self.width;
        self.shards.iter().scan(0, move |from, shard| {
            let at = *from;
            *from += shard.forward.stride * width;
            Some((shard, at))
        })
    }

    /// Inner products of `rows` rows of all samples with those of the tile.
    fn inner_products(&self, out: &mut [T], rows: usize, of: impl Fn(&Shared<T>) -> &[T]) {
        let (start, width) = (self.start, self.width);
        let n = self.forward().stride;
        let columns = tile(of(&self.shards[self.own]), rows, n, start, width);
        for (index, (shard, at)) in self.sources().enumerate() {
            let data = of(shard);
            if index == self.own {
                inner_products(&mut out[at..], data, rows, n, [start, width]);
            } else {
                let left = all(data, rows, shard.forward.stride).t();
                matmul(
                    &mut out[at..],
                    width,
                    Write::Replace,
                    T::one(),
                    left,
                    columns,
                );
            }
        }
    }

    /// Σ_m v_m w_m for `rows` rows v of all samples and the pairs' weights w: `out` (+)= v w, rows `stride` apart.
    fn weigh(
        &self,
        out: &mut [T],
        stride: usize,
        write: Write,
        rows: usize,
        of: impl Fn(&Shared<T>) -> &[T],
        weights: &[T],
    ) {
        let mut write = write;
        for (shard, at) in self.sources() {
            let n = shard.forward.stride;
            let weights = Mat::new(&weights[at..], n, self.width, self.width);
            matmul(
                out,
                stride,
                write,
                T::one(),
                all(of(shard), rows, n),
                weights,
            );
            write = Write::Add;
        }
    }
}

/// The length of a row over all shards, padding included.
pub(crate) fn total<T>(shards: &[Shared<T>]) -> usize {
    shards.iter().map(|shard| shard.forward.stride).sum()
}

impl<T: Real> Gram<T> {
    /// What the pairs need of a shard.
    #[inline(always)]
    pub fn prepare<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        pairing: Pairing,
        out: &mut Prepared<T>,
    ) {
        let n = f.stride;
        let h = f.dims().hidden;
        if pairing.hidden {
            match pairing.of_hidden {
                OfHidden::Kept => {
                    let m = sized(&mut out.m, svec::len(h) * n);
                    form_m(unit, f, 0..h, 0, n, m, n, &mut self.lanes);
                }
                OfHidden::Strips => {}
                OfHidden::Rank => out.of_rank.fill(f),
            }
        }
        if pairing.output
            && !output_basis::packed(f.rank)
            && f.loss_of() == OutputLoss::SoftmaxCrossEntropy
        {
            out.of_outputs.fill(f);
        }
        if pairing.cross {
            self.couple(unit, f, pairing.project, out);
        }
    }

    /// Prepares the terms of ⟨B_n, B_m⟩ with R: F + R and R whole, or Σ (F + R) x̃ᵀ and Σ R x̃ᵀ.
    #[inline(always)]
    fn couple<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        project: bool,
        out: &mut Prepared<T>,
    ) {
        let dims = f.dims();
        let n = f.stride;
        let (hk, d) = (dims.hidden * f.rank, dims.inputs_extended());
        if !project {
            let (sum, r) = sized(&mut out.coupled, 2 * hk * n).split_at_mut(hk * n);
            Coupling {
                unit,
                f,
                start: 0,
                width: n,
            }
            .form(sum, r);
            return;
        }
        let projected = zeroed(&mut out.coupled, 2 * hk * d);
        let width = whole_registers::<T>(PAIRS / hk).min(n);
        for start in (0..n).step_by(width) {
            let width = width.min(n - start);
            let x = tile(&f.x, d, n, start, width).t();
            let values = sized(&mut self.values, 2 * hk * width);
            let (sum, r) = values.split_at_mut(hk * width);
            Coupling {
                unit,
                f,
                start,
                width,
            }
            .form(sum, r);
            let values = Mat::new(values, 2 * hk, width, width);
            matmul(projected, d, Write::Add, T::one(), values, x);
        }
    }

    /// The blocks that `plan` gives to this evaluation, for the samples of the shard `own`.
    #[inline(always)]
    pub fn blocks<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        shards: &[Shared<T>],
        own: usize,
        pairing: Pairing,
        out: &mut Contraction<T>,
        want: Want,
        watch: Option<&Watch>,
    ) {
        if !pairing.any() {
            return;
        }
        let Pairing {
            output,
            hidden,
            cross,
            ..
        } = pairing;
        let f = &shards[own].forward;
        let dims = f.dims();
        let n = f.stride;
        let (d, ha) = (dims.inputs_extended(), dims.hidden_extended());
        let width = tile_width::<T>(n, total(shards));
        let mut ticks = Ticks::new(watch, "tiles of pairs of samples", n.div_ceil(width));
        for start in (0..n).step_by(width) {
            if ticks.stopped() {
                return;
            }
            let tile = Tile {
                shards,
                own,
                start,
                width: width.min(n - start),
                pairing,
                want,
            };
            let size = tile.size();
            if hidden || cross {
                tile.inner_products(sized(&mut self.inner, size), d, |shard| &shard.forward.x);
            }
            if output || cross {
                tile.inner_products(sized(&mut self.alpha, size), ha, |shard| &shard.forward.a);
            }
            // What the pairs weigh a_m and x_m with, in ā and x̄.
            if want != Want::Moments && (output || cross) {
                zeroed(&mut self.weights, size);
            }
            if want == Want::InputGradient && (hidden || cross) {
                zeroed(&mut self.input_weights, size);
            }
            if output {
                self.output_tile(tile, out);
            }
            if hidden {
                self.hidden_tile(unit, tile, out);
            }
            if cross {
                self.cross_tile(unit, tile, out);
            }
            if want != Want::Moments && (output || cross) {
                let to = &mut out.hidden[start..];
                tile.weigh(
                    to,
                    n,
                    Write::Add,
                    dims.hidden,
                    |shard| &shard.forward.a,
                    &self.weights,
                );
            }
            if want == Want::InputGradient && (hidden || cross) {
                let to = &mut out.inputs[start..];
                tile.weigh(
                    to,
                    n,
                    Write::Add,
                    d,
                    |shard| &shard.forward.x,
                    &self.input_weights,
                );
            }
        }
    }

    #[inline(always)]
    fn output_tile(&mut self, tile: Tile<T>, out: &mut Contraction<T>) {
        let f = tile.forward();
        if !output_basis::packed(f.rank) {
            return self.tile_of_many_outputs(tile, out);
        }
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let n = f.stride;
        let sp = svec::len(f.rank);
        let products = sized(&mut self.products, size);
        if tile.want == Want::Moments {
            tile.inner_products(products, sp, |shard| &shard.forward.s_basis);
            out.output_norm += weighted_sum(products, &self.alpha[..size], &self.alpha[..size]);
            return;
        }
        for (product, &alpha) in products.iter_mut().zip(&self.alpha[..size]) {
            *product = alpha * alpha;
        }
        let to = &mut out.s[start..];
        tile.weigh(
            to,
            n,
            Write::Replace,
            sp,
            |shard| &shard.forward.s_basis,
            products,
        );
        for p in 0..sp {
            out.output_norm += dot(
                part(&f.s_basis, n, p, start, width),
                part(&out.s, n, p, start, width),
            );
        }
        tile.inner_products(products, sp, |shard| &shard.forward.s_basis);
        add_product(&mut self.weights[..size], products, &self.alpha[..size]);
    }

    #[inline(always)]
    fn hidden_tile<S: Simd>(&mut self, unit: Unit<T, S>, tile: Tile<T>, out: &mut Contraction<T>) {
        let f = tile.forward();
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let n = f.stride;
        let h = f.dims().hidden;
        let mp = svec::len(h);
        let squares = sized(&mut self.products, size);
        for (square, &inner) in squares.iter_mut().zip(&self.inner[..size]) {
            *square = inner * inner;
        }
        if tile.pairing.of_hidden == OfHidden::Rank {
            return self.hidden_tile_by_rank(tile, out);
        }
        if tile.pairing.of_hidden == OfHidden::Kept {
            let own = &tile.shards[tile.own].prepared.m;
            // A few rows of M̃ at a time, which are contracted while they are in the cache.
            let mut first = 0;
            while first < h {
                let units = units_from(first, h, M_ROWS / width);
                let from = svec::diagonal(h, first);
                let rows = rows_of(&units, h);
                let m_bar = sized(&mut self.m_tile, rows * width);
                tile.weigh(
                    m_bar,
                    width,
                    Write::Replace,
                    rows,
                    |shard| &shard.prepared.m[from * shard.forward.stride..],
                    squares,
                );
                for p in 0..rows {
                    let own = part(own, n, from + p, start, width);
                    out.hidden_norm += dot(own, row(m_bar, width, p));
                }
                first = units.end;
                if tile.want != Want::Moments {
                    let lanes = &mut self.of_contraction;
                    contract_m(unit, f, m_bar, units, start, width, out, lanes);
                }
            }
            if tile.want == Want::InputGradient {
                tile.inner_products(squares, mp, |shard| &shard.prepared.m);
                add_product(
                    &mut self.input_weights[..size],
                    squares,
                    &self.inner[..size],
                );
            }
            return;
        }
        self.hidden_strips(unit, tile, out);
    }

    /// The same where M of all samples is not kept: a few of its rows at a time are formed for the tile's own samples,
    /// and for all of them chunk by chunk.
    #[inline(always)]
    fn hidden_strips<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        tile: Tile<T>,
        out: &mut Contraction<T>,
    ) {
        let f = tile.forward();
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let h = f.dims().hidden;
        let inputs = tile.want == Want::InputGradient;
        let squares = &self.products[..size];
        let mut first = 0;
        while first < h {
            let units = units_from(first, h, STRIP / width);
            let rows = rows_of(&units, h);
            let strip = sized(&mut self.m_tile, 2 * rows * width);
            let (m_bar, own) = strip.split_at_mut(rows * width);
            let lanes = &mut self.lanes;
            form_m(unit, f, units.clone(), start, width, own, width, lanes);
            m_bar.fill(T::zero());
            for (shard, at) in tile.sources() {
                let n = shard.forward.stride;
                let chunk = whole_registers::<T>(M_VALUES / rows).min(n);
                for from in (0..n).step_by(chunk) {
                    let count = chunk.min(n - from);
                    let pairs = at + from * width..at + (from + count) * width;
                    let m = sized(&mut self.m, rows * count);
                    let lanes = &mut self.lanes;
                    form_m(
                        unit,
                        &shard.forward,
                        units.clone(),
                        from,
                        count,
                        m,
                        count,
                        lanes,
                    );
                    let m = Mat::new(m, rows, count, count);
                    let squares = Mat::new(&squares[pairs.clone()], count, width, width);
                    matmul(m_bar, width, Write::Add, T::one(), m, squares);
                    if inputs {
                        let products = sized(&mut self.values, count * width);
                        let own = Mat::new(own, rows, width, width);
                        matmul(products, width, Write::Replace, T::one(), m.t(), own);
                        let weights = &mut self.input_weights[pairs.clone()];
                        add_product(weights, products, &self.inner[pairs]);
                    }
                }
            }
            for p in 0..rows {
                out.hidden_norm += dot(row(own, width, p), row(m_bar, width, p));
            }
            first = units.end;
            if tile.want != Want::Moments {
                let lanes = &mut self.of_contraction;
                contract_m(unit, f, m_bar, units, start, width, out, lanes);
            }
        }
    }

    #[inline(always)]
    fn cross_tile<S: Simd>(&mut self, unit: Unit<T, S>, tile: Tile<T>, out: &mut Contraction<T>) {
        let f = tile.forward();
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let dims = f.dims();
        let (n, h, outputs) = (f.stride, dims.hidden, f.rank);
        let (hk, d) = (h * outputs, dims.inputs_extended());

        // R̃ = Σ_m G (F_m + R_m) and F̃ = Σ_m G R_m.
        let bars = sized(&mut self.bars, 2 * hk * width);
        if tile.pairing.project {
            let x = self::tile(&f.x, d, n, start, width);
            let projected = &tile.shards[0].prepared;
            let coupled = Mat::new(&projected.coupled, 2 * hk, d, d);
            matmul(bars, width, Write::Replace, T::one(), coupled, x);
        } else {
            tile.weigh(
                bars,
                width,
                Write::Replace,
                2 * hk,
                |shard| &shard.prepared.coupled,
                &self.inner[..size],
            );
        }
        let (r_bar, f_bar) = bars.split_at(hk * width);
        let coupling = Coupling {
            unit,
            f,
            start,
            width,
        };
        out.cross_norm += coupling.norm(f_bar);

        let products = sized(&mut self.products, size);
        if tile.want == Want::Moments {
            tile.inner_products(products, hk, |shard| &shard.forward.q_basis);
            out.cross_norm += weighted_sum(products, &self.inner[..size], &self.alpha[..size]);
            return;
        }
        for ((product, &inner), &alpha) in products
            .iter_mut()
            .zip(&self.inner[..size])
            .zip(&self.alpha[..size])
        {
            *product = inner * alpha;
        }
        let to = &mut out.q[start..];
        tile.weigh(
            to,
            n,
            Write::Replace,
            hk,
            |shard| &shard.forward.q_basis,
            products,
        );
        coupling.contract([f_bar, r_bar], out);
        tile.inner_products(products, hk, |shard| &shard.forward.q_basis);
        add_product(&mut self.weights[..size], products, &self.inner[..size]);
        if tile.want == Want::InputGradient {
            let weights = &mut self.input_weights[..size];
            add_product(weights, products, &self.alpha[..size]);
            self.coupled_inputs(tile, out);
        }
    }

    /// The terms of x̄ in which R takes part: Σ_m (⟨F_n, R_m⟩ + ⟨R_n, F_m⟩ + ⟨R_n, R_m⟩) x̃_m.
    #[inline(always)]
    fn coupled_inputs(&mut self, tile: Tile<T>, out: &mut Contraction<T>) {
        let f = tile.forward();
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let dims = f.dims();
        let n = f.stride;
        let (hk, d) = (dims.hidden * f.rank, dims.inputs_extended());
        let own = &tile.shards[tile.own].prepared;
        if tile.pairing.project {
            let (sum, r) = tile.shards[0].prepared.coupled.split_at(hk * d);
            let inputs = &mut out.inputs[start..];
            let values = sized(&mut self.values, hk * width);
            form_f(f, start, width, values);
            let r = Mat::new(r, hk, d, d).t();
            let values = Mat::new(values, hk, width, width);
            matmul(inputs, n, Write::Add, T::one(), r, values);
            let values = sized(&mut self.values, hk * width);
            form_r(f, start, width, values);
            let sum = Mat::new(sum, hk, d, d).t();
            let values = Mat::new(values, hk, width, width);
            matmul(inputs, n, Write::Add, T::one(), sum, values);
            return;
        }
        // ⟨R_m, F_n⟩ + ⟨F_m + R_m, R_n⟩ = ⟨R_m, (F + R)_n⟩ + ⟨F_m, R_n⟩, and F = (F + R) − R.
        let products = sized(&mut self.products, size);
        let (sum, r) = own.coupled.split_at(hk * n);
        let r_tile = self::tile(r, hk, n, start, width);
        let sum_tile = self::tile(sum, hk, n, start, width);
        for (shard, at) in tile.sources() {
            let n = shard.forward.stride;
            let to = &mut products[at..];
            let (sum, r) = shard.prepared.coupled.split_at(hk * n);
            let (sum, r) = (all(sum, hk, n).t(), all(r, hk, n).t());
            matmul(to, width, Write::Replace, T::one(), r, sum_tile);
            matmul(to, width, Write::Add, T::one(), sum, r_tile);
            matmul(to, width, Write::Add, -T::one(), r, r_tile);
        }
        for (weight, &product) in self.input_weights[..size].iter_mut().zip(products.iter()) {
            *weight += product;
        }
    }
}

/// F = Q ∘ aᵀ of a tile, rows (j, k).
#[inline(always)]
fn form_f<T: Real>(f: &Forward<T>, start: usize, width: usize, out: &mut [T]) {
    let dims = f.dims();
    let (n, outputs) = (f.stride, f.rank);
    for j in 0..dims.hidden {
        let a = part(&f.a, n, j, start, width);
        for jk in j * outputs..(j + 1) * outputs {
            let q = part(&f.q_basis, n, jk, start, width);
            let out = row_mut(out, width, jk);
            for ((out, &q), &a) in out.iter_mut().zip(q).zip(a) {
                *out = q * a;
            }
        }
    }
}

/// Σ p·v·w.
#[inline(always)]
fn weighted_sum<T: Real>(products: &mut [T], v: &[T], w: &[T]) -> T {
    for (product, &w) in products.iter_mut().zip(w) {
        *product *= w;
    }
    dot(products, v)
}
