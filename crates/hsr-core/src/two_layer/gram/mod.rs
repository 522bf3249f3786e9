//! The GRAM evaluation: sums over pairs of samples, tile by tile (theory §3 and §4).
//!
//! q is a quadratic form in the samples' quantities, so that q11 = Σ_n ⟨M_n, M̃_n⟩ with M̃_n = Σ_m G²_nm M_m, and so
//! on: what the gradient needs gives the value with it. n runs over the samples of one shard of the batch, m over those
//! of all.

mod cross;
mod outputs;
mod rank;
pub(super) mod scratch;
pub(super) mod tile;

use pulp::Simd;

use crate::evaluation::watch::{Ticks, Watch};
use crate::numeric::buffer::{fit, zeros};
use crate::numeric::lanes::{add_product, dot, part, row, whole_registers};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::numeric::vectors::Unit;
use crate::two_layer::contraction::{Contraction, Want};
use crate::two_layer::gram::scratch::{Gram, M_ROWS, STRIP, rows_of, tile_width, units_from};
use crate::two_layer::gram::tile::{Tile, total, weighted_sum};
use crate::two_layer::kernels::pairs::{contract_m, form_m};
use crate::two_layer::output_basis;
use crate::two_layer::plan::{M_VALUES, OfHidden};
use crate::two_layer::prepared::{Manner, Pairing, Prepared};
use crate::two_layer::samples::Forward;
use crate::two_layer::shard::Shared;

impl<T: Number> Gram<T> {
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
                    let m = fit(&mut out.m, svec::len(h) * n);
                    form_m(unit, f, 0..h, 0, n, m, n, &mut self.lanes);
                }
                OfHidden::Strips => {}
                OfHidden::Rank => out.of_rank.fill(f),
            }
        }
        if pairing.output && !output_basis::packed(f.rank) && f.loss_of().couples_outputs() {
            out.of_outputs.fill(f);
        }
        if pairing.cross {
            self.couple(unit, f, pairing.project, out);
        }
    }

    /// The blocks that `plan` gives to this evaluation, for the samples of the shard `own`.
    #[inline(always)]
    pub fn blocks<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        shards: &[Shared<T>],
        own: usize,
        manner: Manner,
        out: &mut Contraction<T>,
        watch: Option<&Watch>,
    ) {
        let Manner { pairing, want, .. } = manner;
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
                tile.inner_products(fit(&mut self.inner, size), d, |shard| &shard.forward.x);
            }
            if output || cross {
                tile.inner_products(fit(&mut self.alpha, size), ha, |shard| &shard.forward.a);
            }
            // What the pairs weigh a_m and x_m with, in ā and x̄.
            if want != Want::Moments && (output || cross) {
                zeros(&mut self.weights, size);
            }
            if want == Want::InputGradient && (hidden || cross) {
                zeros(&mut self.input_weights, size);
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
        let products = fit(&mut self.products, size);
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
        let squares = fit(&mut self.products, size);
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
                let m_bar = fit(&mut self.m_tile, rows * width);
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
            let strip = fit(&mut self.m_tile, 2 * rows * width);
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
                    let m = fit(&mut self.m, rows * count);
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
                        let products = fit(&mut self.values, count * width);
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
}
