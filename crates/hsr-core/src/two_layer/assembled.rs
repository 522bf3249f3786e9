//! The ASSEMBLED evaluation: each block of H as a product over samples (theory §3 and §4).

use pulp::Simd;

use crate::evaluation::block::BlockEvaluation;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::lanes::{part, part_mut, row, row_mut, whole};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::numeric::svec;
use crate::numeric::svec::Strip;
use crate::numeric::vectors::Unit;
use crate::two_layer::contraction::{Contraction, Want};
use crate::two_layer::formed::Blocks;
use crate::two_layer::kernels::HiddenLane;
use crate::two_layer::kernels::hidden::HiddenKernel;
use crate::two_layer::kernels::pairs::{PairLanes, contract_m, form_m};
use crate::two_layer::plan::Plan;
use crate::two_layer::samples::Forward;
use crate::two_layer::{kernels, output_basis};

/// Values a tile of samples may hold: about the second-level cache.
const TILE: usize = 1 << 17;

/// Buffers of the evaluation.
#[derive(Default)]
pub(crate) struct Assembled<T> {
    /// The part of E with i = j, rows (j, k), columns e: what R meets.
    e_diagonal: Buffer<T>,
    tile: Buffer<T>,
    pairs: Buffer<T>,
    r: Buffer<T>,
    /// S and S̃ of a tile, packed, where S is not kept.
    s: Buffer<T>,
    s_bar: Buffer<T>,
    lanes: PairLanes<T>,
    hidden_lane: HiddenLane<T>,
    hidden_kernel: HiddenKernel<T>,
}

/// Samples in a tile whose arrays have so many rows.
pub(crate) fn tile_width<T>(stride: usize, rows: usize) -> usize {
    (TILE / rows.max(1))
        .max(1)
        .next_multiple_of(whole::<T>())
        .min(stride)
}

/// The samples in tiles: each tile's start and width.
fn tiles<T>(stride: usize, rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let width = tile_width::<T>(stride, rows);
    (0..stride)
        .step_by(width)
        .map(move |start| (start, width.min(stride - start)))
}

impl<T: Number> Assembled<T> {
    /// Forms the blocks that `plan` gives to this evaluation from a shard's samples.
    #[inline(always)]
    pub fn form<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        plan: &Plan,
        blocks: &mut Blocks<T>,
        want: Want,
    ) {
        blocks.clear(f, plan);
        if plan.output == BlockEvaluation::Assembled {
            self.form_output(unit, f, &mut blocks.a);
        }
        if plan.hidden == BlockEvaluation::Assembled {
            self.form_hidden(unit, f, &mut blocks.c, want);
        }
        if plan.cross == BlockEvaluation::Assembled {
            self.form_cross(unit, f, &mut blocks.e, want);
        }
    }

    /// Contracts the blocks of the whole batch with a shard's samples.
    #[inline(always)]
    pub fn contract<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        plan: &Plan,
        blocks: &Blocks<T>,
        out: &mut Contraction<T>,
        want: Want,
    ) {
        if want == Want::Moments {
            return;
        }
        if plan.output == BlockEvaluation::Assembled {
            self.contract_output(unit, f, &blocks.a, out);
        }
        if plan.hidden == BlockEvaluation::Assembled {
            self.contract_hidden(unit, f, &blocks.c, out, want);
        }
        if plan.cross == BlockEvaluation::Assembled {
            self.contract_cross(unit, f, &blocks.e, out, want);
        }
    }

    #[inline(always)]
    fn form_output<S: Simd>(&mut self, unit: Unit<T, S>, f: &Forward<T>, a: &mut [T]) {
        if kernels::fit_rank(f.rank) {
            kernels::output::assemble(unit, f, a);
            return;
        }
        let n = f.stride;
        let ha = f.dims().hidden_extended();
        let ap = svec::len(ha);
        for (start, width) in tiles::<T>(n, rows_of_output(f.rank, ap)) {
            let pairs = fit(&mut self.pairs, ap * width);
            svec::outer(&f.a, ha, n, start, width, pairs);
            let s = s_of_tile(&mut self.s, f, start, width);
            let pairs = Mat::new(pairs, ap, width, width).t();
            matmul(a, ap, Write::Add, T::one(), s, pairs);
        }
    }

    #[inline(always)]
    fn contract_output<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        a: &[T],
        out: &mut Contraction<T>,
    ) {
        if kernels::fit_rank(f.rank) {
            kernels::output::contract(unit, &mut self.hidden_lane, f, a, out);
            return;
        }
        let dims = f.dims();
        let n = f.stride;
        let (ha, sp) = (dims.hidden_extended(), svec::len(f.rank));
        let ap = svec::len(ha);
        let a = Mat::new(a, sp, ap, ap);
        for (start, width) in tiles::<T>(n, rows_of_output(f.rank, ap)) {
            let pairs = fit(&mut self.pairs, ap * width);
            svec::outer(&f.a, ha, n, start, width, pairs);
            let pairs = Mat::new(pairs, ap, width, width);
            if output_basis::packed(f.rank) {
                matmul(&mut out.s[start..], n, Write::Replace, T::one(), a, pairs);
            } else {
                let s_bar = fit(&mut self.s_bar, sp * width);
                matmul(s_bar, width, Write::Replace, T::one(), a, pairs);
                reduce_s_bar(f, s_bar, start, width, &mut out.s);
            }
            let tile = fit(&mut self.tile, ap * width);
            let s = s_of_tile(&mut self.s, f, start, width);
            matmul(tile, width, Write::Replace, T::one(), a.t(), s);
            let strip = Strip {
                stride: n,
                start,
                width,
            };
            svec::add_times_vector(tile, ha, &f.a, strip, &mut out.hidden, dims.hidden);
        }
    }

    /// Whether the kernels take the blocks with x̃: they have no gradient for the inputs.
    #[inline(always)]
    fn in_kernels(f: &Forward<T>, want: Want) -> bool {
        want != Want::InputGradient && kernels::fit(f.dims().inputs_extended(), f.rank)
    }

    #[inline(always)]
    fn form_hidden<S: Simd>(&mut self, unit: Unit<T, S>, f: &Forward<T>, c: &mut [T], want: Want) {
        let dims = f.dims();
        let n = f.stride;
        let (d, mp) = (dims.inputs_extended(), svec::len(dims.hidden));
        let xp = svec::len(d);
        if Self::in_kernels(f, want) {
            let xx = fit(&mut self.pairs, xp * n);
            svec::outer(&f.x, d, n, 0, n, xx);
            kernels::hidden::assemble(unit, f, xx, c);
            return;
        }
        for (start, width) in tiles::<T>(n, mp.max(xp)) {
            let m = fit(&mut self.tile, mp * width);
            form_m(
                unit,
                f,
                0..dims.hidden,
                start,
                width,
                m,
                width,
                &mut self.lanes,
            );
            let pairs = fit(&mut self.pairs, xp * width);
            svec::outer(&f.x, d, n, start, width, pairs);
            let pairs = Mat::new(pairs, xp, width, width).t();
            let m = Mat::new(m, mp, width, width);
            matmul(c, xp, Write::Add, T::one(), m, pairs);
        }
    }

    #[inline(always)]
    fn contract_hidden<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        c: &[T],
        out: &mut Contraction<T>,
        want: Want,
    ) {
        let dims = f.dims();
        let n = f.stride;
        let (d, mp) = (dims.inputs_extended(), svec::len(dims.hidden));
        let xp = svec::len(d);
        if Self::in_kernels(f, want) {
            let xx = fit(&mut self.pairs, xp * n);
            svec::outer(&f.x, d, n, 0, n, xx);
            kernels::hidden::contract(unit, &mut self.hidden_kernel, f, xx, c, out);
            return;
        }
        let c = Mat::new(c, mp, xp, xp);
        for (start, width) in tiles::<T>(n, mp.max(xp)) {
            if want == Want::InputGradient {
                let m = fit(&mut self.tile, mp * width);
                form_m(
                    unit,
                    f,
                    0..dims.hidden,
                    start,
                    width,
                    m,
                    width,
                    &mut self.lanes,
                );
                let pairs = fit(&mut self.pairs, xp * width);
                let m = Mat::new(m, mp, width, width);
                matmul(pairs, width, Write::Replace, T::one(), c.t(), m);
                let strip = Strip {
                    stride: n,
                    start,
                    width,
                };
                svec::add_times_vector(pairs, d, &f.x, strip, &mut out.inputs, d);
            }
            let pairs = fit(&mut self.pairs, xp * width);
            svec::outer(&f.x, d, n, start, width, pairs);
            let m = fit(&mut self.tile, mp * width);
            let pairs = Mat::new(pairs, xp, width, width);
            matmul(m, width, Write::Replace, T::one(), c, pairs);
            contract_m(
                unit,
                f,
                m,
                0..dims.hidden,
                start,
                width,
                out,
                &mut self.lanes,
            );
        }
    }

    /// B = Q ⊗ ã + δ R never appears: E = Q (ã ⊗ x̃)ᵀ, and R only meets the columns with i = j.
    #[inline(always)]
    fn form_cross<S: Simd>(&mut self, unit: Unit<T, S>, f: &Forward<T>, e: &mut [T], want: Want) {
        if Self::in_kernels(f, want) {
            kernels::cross::assemble(unit, f, e);
            return;
        }
        let dims = f.dims();
        let (n, h, outputs) = (f.stride, dims.hidden, f.rank);
        let (ha, d, hk) = (dims.hidden_extended(), dims.inputs_extended(), h * outputs);
        let columns = ha * d;
        let diagonal = zeros(&mut self.e_diagonal, hk * d);
        for (start, width) in tiles::<T>(n, columns.max(hk)) {
            let ax = fit(&mut self.pairs, columns * width);
            outer_ax(f, start, width, ax);
            let q = Mat::new(&f.q_basis[start..], hk, width, n);
            let ax = Mat::new(ax, columns, width, width).t();
            matmul(e, columns, Write::Add, T::one(), q, ax);
            let r = fit(&mut self.r, hk * width);
            form_r(f, start, width, r);
            let r = Mat::new(r, hk, width, width);
            let x = Mat::new(&f.x[start..], d, width, n).t();
            matmul(diagonal, d, Write::Add, T::one(), r, x);
        }
        for j in 0..h {
            for jk in j * outputs..(j + 1) * outputs {
                let e = &mut row_mut(e, columns, jk)[j * d..(j + 1) * d];
                crate::numeric::lanes::add_scaled(e, T::one(), row(diagonal, d, jk));
            }
        }
    }

    #[inline(always)]
    fn contract_cross<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        e: &[T],
        out: &mut Contraction<T>,
        want: Want,
    ) {
        if Self::in_kernels(f, want) {
            kernels::cross::contract(unit, &mut self.hidden_lane, f, e, out);
            return;
        }
        let dims = f.dims();
        let (n, h, outputs) = (f.stride, dims.hidden, f.rank);
        let (ha, d, hk) = (dims.hidden_extended(), dims.inputs_extended(), h * outputs);
        let columns = ha * d;
        let diagonal = fit(&mut self.e_diagonal, hk * d);
        for j in 0..h {
            for jk in j * outputs..(j + 1) * outputs {
                let e = &row(e, columns, jk)[j * d..(j + 1) * d];
                row_mut(diagonal, d, jk).copy_from_slice(e);
            }
        }
        let e = Mat::new(e, hk, columns, columns);
        let diagonal = Mat::new(diagonal, hk, d, d);
        for (start, width) in tiles::<T>(n, columns.max(hk)) {
            let ax = fit(&mut self.pairs, columns * width);
            outer_ax(f, start, width, ax);
            let ax = Mat::new(ax, columns, width, width);
            matmul(&mut out.q[start..], n, Write::Replace, T::one(), e, ax);

            let r_bar = fit(&mut self.r, hk * width);
            let x = Mat::new(&f.x[start..], d, width, n);
            matmul(r_bar, width, Write::Replace, T::one(), diagonal, x);
            contract_r(f, r_bar, start, width, out);

            let ax_bar = fit(&mut self.tile, columns * width);
            let q = Mat::new(&f.q_basis[start..], hk, width, n);
            matmul(ax_bar, width, Write::Replace, T::one(), e.t(), q);
            for i in 0..h {
                let hidden = part_mut(&mut out.hidden, n, i, start, width);
                for e in 0..d {
                    let x = part(&f.x, n, e, start, width);
                    crate::numeric::lanes::add_product(hidden, row(ax_bar, width, i * d + e), x);
                }
            }
            if want == Want::InputGradient {
                for e in 0..d {
                    let inputs = part_mut(&mut out.inputs, n, e, start, width);
                    for i in 0..ha {
                        let a = part(&f.a, n, i, start, width);
                        crate::numeric::lanes::add_product(
                            inputs,
                            row(ax_bar, width, i * d + e),
                            a,
                        );
                    }
                }
                let r = fit(&mut self.r, hk * width);
                form_r(f, start, width, r);
                let r = Mat::new(r, hk, width, width);
                matmul(
                    &mut out.inputs[start..],
                    n,
                    Write::Add,
                    T::one(),
                    diagonal.t(),
                    r,
                );
            }
        }
    }
}

/// Rows that decide how many samples a tile of H22 has: those of ããᵀ and, where S is formed for each tile, of S.
pub(crate) fn rows_of_output(rank: usize, of_a: usize) -> usize {
    if output_basis::packed(rank) {
        of_a
    } else {
        of_a.max(svec::len(rank))
    }
}

/// S of a tile, packed: as it is kept, or formed in `buffer`.
#[inline(always)]
fn s_of_tile<'a, T: Number>(
    buffer: &'a mut Buffer<T>,
    f: &'a Forward<T>,
    start: usize,
    width: usize,
) -> Mat<'a, T> {
    let sp = svec::len(f.rank);
    if output_basis::packed(f.rank) {
        return Mat::new(&f.s_basis[start..], sp, width, f.stride);
    }
    let s = fit(buffer, sp * width);
    f.form_s(start, width, s);
    Mat::new(s, sp, width, width)
}

/// diag S̃ and, for a softmax, S̃ p of a tile, from S̃ packed.
#[inline(always)]
fn reduce_s_bar<T: Number>(
    f: &Forward<T>,
    packed: &[T],
    start: usize,
    width: usize,
    out: &mut [T],
) {
    let (n, outputs) = (f.stride, f.rank);
    let (diagonal, s_p) = out.split_at_mut(outputs * n);
    for k in 0..outputs {
        let from = row(packed, width, svec::diagonal(outputs, k));
        part_mut(diagonal, n, k, start, width).copy_from_slice(from);
        part_mut(s_p, n, k, start, width).fill(T::zero());
    }
    if f.loss_of().couples_outputs() {
        let strip = Strip {
            stride: n,
            start,
            width,
        };
        svec::add_times_vector(packed, outputs, &f.p, strip, s_p, outputs);
    }
}

/// ã ⊗ x̃ of a tile, rows (i, e).
#[inline(always)]
fn outer_ax<T: Number>(f: &Forward<T>, start: usize, width: usize, out: &mut [T]) {
    let dims = f.dims();
    let (n, d) = (f.stride, dims.inputs_extended());
    for i in 0..dims.hidden_extended() {
        let a = part(&f.a, n, i, start, width);
        for e in 0..d {
            let x = part(&f.x, n, e, start, width);
            let out = row_mut(out, width, i * d + e);
            for ((out, &a), &x) in out.iter_mut().zip(a).zip(x) {
                *out = a * x;
            }
        }
    }
}

/// R = r d1ᵀ of a tile, rows (j, k).
#[inline(always)]
pub(crate) fn form_r<T: Number>(f: &Forward<T>, start: usize, width: usize, out: &mut [T]) {
    let dims = f.dims();
    let (n, outputs) = (f.stride, f.rank);
    for j in 0..dims.hidden {
        let d1 = part(&f.d1, n, j, start, width);
        for k in 0..outputs {
            let r = part(&f.r_basis, n, k, start, width);
            let out = row_mut(out, width, j * outputs + k);
            for ((out, &d1), &r) in out.iter_mut().zip(d1).zip(r) {
                *out = r * d1;
            }
        }
    }
}

/// Adds R̃ d1 and R̃ᵀ r of a tile, R̃ with rows (j, k).
#[inline(always)]
pub(crate) fn contract_r<T: Number>(
    f: &Forward<T>,
    r_bar: &[T],
    start: usize,
    width: usize,
    out: &mut Contraction<T>,
) {
    let dims = f.dims();
    let (n, outputs) = (f.stride, f.rank);
    for j in 0..dims.hidden {
        let d1 = part(&f.d1, n, j, start, width);
        let r_r = part_mut(&mut out.r_r, n, j, start, width);
        for k in 0..outputs {
            let r_bar = row(r_bar, width, j * outputs + k);
            let r_d1 = part_mut(&mut out.r_d1, n, k, start, width);
            crate::numeric::lanes::add_product(r_d1, r_bar, d1);
            let r = part(&f.r_basis, n, k, start, width);
            crate::numeric::lanes::add_product(r_r, r_bar, r);
        }
    }
}
