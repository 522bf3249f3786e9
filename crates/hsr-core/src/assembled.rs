//! The ASSEMBLED evaluation: each block of H as a product over samples (theory §3 and §4).

use crate::contraction::{Contraction, contract_m, form_m};
use crate::forward::Forward;
use crate::kernels::hidden::HiddenKernel;
use crate::kernels::{HiddenLane, fused};
use crate::lanes::{LANE, dot, part, part_mut, row, row_mut, sized, zeroed};
use crate::matmul::{Mat, Write, matmul};
use crate::plan::Want;
use crate::{Real, kernels, svec};

/// Values a tile of samples may hold: about the second-level cache.
const TILE: usize = 1 << 17;

/// Buffers of the evaluation.
#[derive(Default)]
pub(crate) struct Assembled<T> {
    /// H22 = Σ S ⊗ ããᵀ, packed × packed: the theory's A.
    pub a: Vec<T>,
    /// H11 = Σ M ⊗ x̃x̃ᵀ, packed × packed: the theory's C.
    pub c: Vec<T>,
    /// H21 = Σ B ⊗ x̃, rows (j, k), columns (i, e): the theory's E.
    pub e: Vec<T>,
    /// Its part with i = j, rows (j, k), columns e: what R meets.
    e_diagonal: Vec<T>,
    tile: Vec<T>,
    pairs: Vec<T>,
    r: Vec<T>,
    pub lanes: [Vec<T>; 2],
    hidden_lane: HiddenLane<T>,
    hidden_kernel: HiddenKernel<T>,
}

/// The samples in tiles: each tile's start and width.
fn tiles(stride: usize, rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let width = (TILE / rows.max(1))
        .max(1)
        .next_multiple_of(LANE)
        .min(stride);
    (0..stride)
        .step_by(width)
        .map(move |start| (start, width.min(stride - start)))
}

/// Σ v² in the summation order of [`dot`].
#[inline(always)]
fn norm_squared<T: Real>(values: &[T]) -> T {
    let whole = values.len() / LANE * LANE;
    let rest: T = values[whole..].iter().map(|&v| v * v).sum();
    dot(&values[..whole], &values[..whole]) + rest
}

impl<T: Real> Assembled<T> {
    /// Block H22.
    #[inline(always)]
    pub fn output_block(&mut self, f: &Forward<T>, out: &mut Contraction<T>, want: Want) {
        let dims = f.dims();
        let n = f.stride;
        let (ha, sp) = (dims.hidden_extended(), svec::len(f.rank));
        let ap = svec::len(ha);
        let a = zeroed(&mut self.a, sp * ap);
        if kernels::fit_rank(f.rank) {
            kernels::output::assemble(f, a, fused());
            out.output_norm = norm_squared(a);
            if want != Want::Moments {
                kernels::output::contract(&mut self.hidden_lane, f, a, out, fused());
            }
            return;
        }
        for (start, width) in tiles(n, ap) {
            let pairs = sized(&mut self.pairs, ap * width);
            svec::outer(&f.a, ha, n, start, width, pairs);
            let s = Mat::new(&f.s_basis[start..], sp, width, n);
            matmul(
                a,
                ap,
                Write::Add,
                T::one(),
                s,
                Mat::new(pairs, ap, width, width).t(),
            );
        }
        out.output_norm = norm_squared(a);
        if want == Want::Moments {
            return;
        }
        let a = Mat::new(a, sp, ap, ap);
        for (start, width) in tiles(n, ap) {
            let pairs = sized(&mut self.pairs, ap * width);
            svec::outer(&f.a, ha, n, start, width, pairs);
            let pairs = Mat::new(pairs, ap, width, width);
            matmul(&mut out.s[start..], n, Write::Replace, T::one(), a, pairs);
            let tile = sized(&mut self.tile, ap * width);
            let s = Mat::new(&f.s_basis[start..], sp, width, n);
            matmul(tile, width, Write::Replace, T::one(), a.t(), s);
            svec::add_times_vector(
                tile,
                ha,
                &f.a,
                n,
                start,
                width,
                &mut out.hidden,
                dims.hidden,
            );
        }
    }

    /// Block H11.
    #[inline(always)]
    pub fn hidden_block(&mut self, f: &Forward<T>, out: &mut Contraction<T>, want: Want) {
        let dims = f.dims();
        let n = f.stride;
        let (d, mp) = (dims.inputs_extended(), svec::len(dims.hidden));
        let xp = svec::len(d);
        let c = zeroed(&mut self.c, mp * xp);
        if want != Want::InputGradient && kernels::fit(d, f.rank) {
            let xx = sized(&mut self.pairs, xp * n);
            svec::outer(&f.x, d, n, 0, n, xx);
            kernels::hidden::assemble(f, xx, c, fused());
            out.hidden_norm = norm_squared(c);
            if want == Want::Gradient {
                kernels::hidden::contract(&mut self.hidden_kernel, f, xx, c, out, fused());
            }
            return;
        }
        for (start, width) in tiles(n, mp.max(xp)) {
            let m = sized(&mut self.tile, mp * width);
            form_m(f, start, width, m, width, &mut self.lanes);
            let pairs = sized(&mut self.pairs, xp * width);
            svec::outer(&f.x, d, n, start, width, pairs);
            let pairs = Mat::new(pairs, xp, width, width).t();
            matmul(
                c,
                xp,
                Write::Add,
                T::one(),
                Mat::new(m, mp, width, width),
                pairs,
            );
        }
        out.hidden_norm = norm_squared(c);
        if want == Want::Moments {
            return;
        }
        let c = Mat::new(c, mp, xp, xp);
        for (start, width) in tiles(n, mp.max(xp)) {
            if want == Want::InputGradient {
                let m = sized(&mut self.tile, mp * width);
                form_m(f, start, width, m, width, &mut self.lanes);
                let pairs = sized(&mut self.pairs, xp * width);
                let m = Mat::new(m, mp, width, width);
                matmul(pairs, width, Write::Replace, T::one(), c.t(), m);
                svec::add_times_vector(pairs, d, &f.x, n, start, width, &mut out.inputs, d);
            }
            let pairs = sized(&mut self.pairs, xp * width);
            svec::outer(&f.x, d, n, start, width, pairs);
            let m = sized(&mut self.tile, mp * width);
            let pairs = Mat::new(pairs, xp, width, width);
            matmul(m, width, Write::Replace, T::one(), c, pairs);
            contract_m(f, m, start, width, out, &mut self.lanes);
        }
    }

    /// Block H21. B = Q ⊗ ã + δ R never appears: E = Q (ã ⊗ x̃)ᵀ, and R only meets the columns with i = j.
    #[inline(always)]
    pub fn cross_block(&mut self, f: &Forward<T>, out: &mut Contraction<T>, want: Want) {
        let dims = f.dims();
        let (n, h, outputs) = (f.stride, dims.hidden, f.rank);
        let (ha, d, hk) = (dims.hidden_extended(), dims.inputs_extended(), h * outputs);
        let columns = ha * d;
        let e = zeroed(&mut self.e, hk * columns);
        if want != Want::InputGradient && kernels::fit(d, outputs) {
            kernels::cross::assemble(f, e, fused());
            out.cross_norm = norm_squared(e);
            if want == Want::Gradient {
                kernels::cross::contract(&mut self.hidden_lane, f, e, out, fused());
            }
            return;
        }
        let diagonal = zeroed(&mut self.e_diagonal, hk * d);
        for (start, width) in tiles(n, columns.max(hk)) {
            let ax = sized(&mut self.pairs, columns * width);
            outer_ax(f, start, width, ax);
            let q = Mat::new(&f.q_basis[start..], hk, width, n);
            matmul(
                e,
                columns,
                Write::Add,
                T::one(),
                q,
                Mat::new(ax, columns, width, width).t(),
            );
            let r = sized(&mut self.r, hk * width);
            form_r(f, start, width, r);
            let x = Mat::new(&f.x[start..], d, width, n).t();
            matmul(
                diagonal,
                d,
                Write::Add,
                T::one(),
                Mat::new(r, hk, width, width),
                x,
            );
        }
        for j in 0..h {
            for jk in j * outputs..(j + 1) * outputs {
                let of_r = row_mut(diagonal, d, jk);
                let e = &mut row_mut(e, columns, jk)[j * d..(j + 1) * d];
                for (e, of_r) in e.iter_mut().zip(of_r) {
                    *e += *of_r;
                    *of_r = *e;
                }
            }
        }
        out.cross_norm = norm_squared(e);
        if want == Want::Moments {
            return;
        }
        let e = Mat::new(e, hk, columns, columns);
        let diagonal = Mat::new(diagonal, hk, d, d);
        for (start, width) in tiles(n, columns.max(hk)) {
            let ax = sized(&mut self.pairs, columns * width);
            outer_ax(f, start, width, ax);
            let ax = Mat::new(ax, columns, width, width);
            matmul(&mut out.q[start..], n, Write::Replace, T::one(), e, ax);

            let r_bar = sized(&mut self.r, hk * width);
            let x = Mat::new(&f.x[start..], d, width, n);
            matmul(r_bar, width, Write::Replace, T::one(), diagonal, x);
            contract_r(f, r_bar, start, width, out);

            let ax_bar = sized(&mut self.tile, columns * width);
            let q = Mat::new(&f.q_basis[start..], hk, width, n);
            matmul(ax_bar, width, Write::Replace, T::one(), e.t(), q);
            for i in 0..h {
                let hidden = part_mut(&mut out.hidden, n, i, start, width);
                for e in 0..d {
                    let x = part(&f.x, n, e, start, width);
                    crate::lanes::add_product(hidden, row(ax_bar, width, i * d + e), x);
                }
            }
            if want == Want::InputGradient {
                for e in 0..d {
                    let inputs = part_mut(&mut out.inputs, n, e, start, width);
                    for i in 0..ha {
                        let a = part(&f.a, n, i, start, width);
                        crate::lanes::add_product(inputs, row(ax_bar, width, i * d + e), a);
                    }
                }
                let r = sized(&mut self.r, hk * width);
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

/// ã ⊗ x̃ of a tile, rows (i, e).
#[inline(always)]
fn outer_ax<T: Real>(f: &Forward<T>, start: usize, width: usize, out: &mut [T]) {
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
pub(crate) fn form_r<T: Real>(f: &Forward<T>, start: usize, width: usize, out: &mut [T]) {
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
pub(crate) fn contract_r<T: Real>(
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
            crate::lanes::add_product(r_d1, r_bar, d1);
            let r = part(&f.r_basis, n, k, start, width);
            crate::lanes::add_product(r_r, r_bar, r);
        }
    }
}
