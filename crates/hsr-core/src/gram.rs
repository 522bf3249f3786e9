//! The GRAM evaluation: sums over pairs of samples, tile by tile (theory §3 and §4).
//!
//! q is a quadratic form in the samples' quantities, so that q11 = Σ_n ⟨M_n, M̃_n⟩ with M̃_n = Σ_m G²_nm M_m, and so
//! on: what the gradient needs gives the value with it.

use crate::assembled::{contract_r, form_r};
use crate::contraction::{Contraction, contract_m, form_m};
use crate::forward::Forward;
use crate::lanes::{LANE, add_product, dot, part, part_mut, row, row_mut, sized, zeroed};
use crate::matmul::{Mat, Write, matmul};
use crate::plan::{BlockEvaluation, Plan, Want};
use crate::{Real, svec};

/// Values a tile of pairs may hold.
const PAIRS: usize = 1 << 18;
/// Values of M that may be held at once; beyond, M is formed again tile by tile.
const M_VALUES: usize = 1 << 24;

/// Buffers of the evaluation.
#[derive(Default)]
pub(crate) struct Gram<T> {
    /// G = x̃·x̃ and α = ã·ã, rows all samples, columns the tile.
    inner: Vec<T>,
    alpha: Vec<T>,
    products: Vec<T>,
    weights: Vec<T>,
    input_weights: Vec<T>,
    m: Vec<T>,
    m_tile: Vec<T>,
    /// F = Q ∘ aᵀ and R for the terms that couple them, or their projections on x̃.
    f: Vec<T>,
    r: Vec<T>,
    f_projected: Vec<T>,
    r_projected: Vec<T>,
    f_bar: Vec<T>,
    r_bar: Vec<T>,
    lanes: [Vec<T>; 2],
}

/// The rows `0..rows` of a feature-major array, all samples.
fn all<T>(data: &[T], rows: usize, n: usize) -> Mat<'_, T> {
    Mat::new(data, rows, n, n)
}

/// The rows `0..rows` of a feature-major array, the samples of a tile.
fn tile<T>(data: &[T], rows: usize, n: usize, start: usize, width: usize) -> Mat<'_, T> {
    Mat::new(&data[start..], rows, width, n)
}

/// Columns of a block of a symmetric product, and the rows from which halving it pays.
const BLOCK: usize = 64;

/// Inner products of all samples with those of a tile: `out` = dataᵀ data\[tile\]. Where the tile is everything the
/// product is symmetric, and only the blocks on and below its diagonal are computed.
fn inner_products<T: Real>(
    out: &mut [T],
    data: &[T],
    rows: usize,
    n: usize,
    [start, width]: [usize; 2],
) {
    if width < n || rows < BLOCK {
        let columns = tile(data, rows, n, start, width);
        let left = all(data, rows, n).t();
        matmul(out, width, Write::Replace, T::one(), left, columns);
        return;
    }
    for from in (0..n).step_by(BLOCK) {
        let width = BLOCK.min(n - from);
        let left = tile(data, rows, n, from, n - from).t();
        let columns = tile(data, rows, n, from, width);
        let block = &mut out[from * n + from..];
        matmul(block, n, Write::Replace, T::one(), left, columns);
        for i in from + width..n {
            for j in from..from + width {
                out[j * n + i] = out[i * n + j];
            }
        }
    }
}

impl<T: Real> Gram<T> {
    /// The blocks that `plan` gives to this evaluation.
    #[inline(always)]
    pub fn blocks(&mut self, f: &Forward<T>, plan: &Plan, out: &mut Contraction<T>, want: Want) {
        let of = |block| block == BlockEvaluation::Gram;
        let (output, hidden, cross) = (of(plan.output), of(plan.hidden), of(plan.cross));
        if !(output || hidden || cross) {
            return;
        }
        let dims = f.dims();
        let n = f.stride;
        let (d, ha) = (dims.inputs_extended(), dims.hidden_extended());
        let mp = svec::len(dims.hidden);
        let keep_m = mp * n <= M_VALUES;
        if hidden && keep_m {
            let m = sized(&mut self.m, mp * n);
            form_m(f, 0, n, m, n, &mut self.lanes);
        }
        // The pairs' terms with R have rank d + 1: where that is smaller than N they go through projections on x̃.
        let project = d < n;
        if cross {
            self.couple(f, project);
        }
        let most = (M_VALUES / mp / LANE * LANE).max(LANE);
        let width = (PAIRS / n / LANE * LANE).clamp(LANE, n.min(most));
        for start in (0..n).step_by(width) {
            let width = width.min(n - start);
            if hidden || cross {
                let inner = sized(&mut self.inner, n * width);
                inner_products(inner, &f.x, d, n, [start, width]);
            }
            if output || cross {
                let alpha = sized(&mut self.alpha, n * width);
                inner_products(alpha, &f.a, ha, n, [start, width]);
            }
            // What the pairs weigh a_m and x_m with, in ā and x̄.
            if want != Want::Moments && (output || cross) {
                zeroed(&mut self.weights, n * width);
            }
            if want == Want::InputGradient && (hidden || cross) {
                zeroed(&mut self.input_weights, n * width);
            }
            if output {
                self.output_tile(f, out, want, start, width);
            }
            if hidden {
                self.hidden_tile(f, out, want, start, width, keep_m);
            }
            if cross {
                self.cross_tile(f, out, want, start, width, project);
            }
            if want != Want::Moments && (output || cross) {
                let hidden = &mut out.hidden[start..];
                let weights = Mat::new(&self.weights, n, width, width);
                let a = all(&f.a, dims.hidden, n);
                matmul(hidden, n, Write::Add, T::one(), a, weights);
            }
            if want == Want::InputGradient && (hidden || cross) {
                let inputs = &mut out.inputs[start..];
                let weights = Mat::new(&self.input_weights, n, width, width);
                matmul(inputs, n, Write::Add, T::one(), all(&f.x, d, n), weights);
            }
        }
    }

    #[inline(always)]
    fn output_tile(
        &mut self,
        f: &Forward<T>,
        out: &mut Contraction<T>,
        want: Want,
        start: usize,
        width: usize,
    ) {
        let n = f.stride;
        let sp = svec::len(f.rank);
        let size = n * width;
        let products = sized(&mut self.products, size);
        let s_tile = tile(&f.s_basis, sp, n, start, width);
        if want == Want::Moments {
            matmul(
                products,
                width,
                Write::Replace,
                T::one(),
                all(&f.s_basis, sp, n).t(),
                s_tile,
            );
            out.output_norm += weighted_sum(products, &self.alpha[..size], &self.alpha[..size]);
            return;
        }
        for (product, &alpha) in products.iter_mut().zip(&self.alpha[..size]) {
            *product = alpha * alpha;
        }
        let squares = Mat::new(products, n, width, width);
        matmul(
            &mut out.s[start..],
            n,
            Write::Replace,
            T::one(),
            all(&f.s_basis, sp, n),
            squares,
        );
        for p in 0..sp {
            out.output_norm += dot(
                part(&f.s_basis, n, p, start, width),
                part(&out.s, n, p, start, width),
            );
        }
        matmul(
            products,
            width,
            Write::Replace,
            T::one(),
            all(&f.s_basis, sp, n).t(),
            s_tile,
        );
        add_product(&mut self.weights[..size], products, &self.alpha[..size]);
    }

    #[inline(always)]
    fn hidden_tile(
        &mut self,
        f: &Forward<T>,
        out: &mut Contraction<T>,
        want: Want,
        start: usize,
        width: usize,
        keep_m: bool,
    ) {
        let n = f.stride;
        let mp = svec::len(f.dims().hidden);
        let size = n * width;
        let squares = sized(&mut self.products, size);
        for (square, &inner) in squares.iter_mut().zip(&self.inner[..size]) {
            *square = inner * inner;
        }
        // M of the tile's own samples: part of what is kept, or formed again.
        let (m_tile, own): (&mut [T], Option<&[T]>) = {
            let buffer = sized(&mut self.m_tile, 2 * mp * width);
            let (m_bar, own) = buffer.split_at_mut(mp * width);
            if keep_m {
                (m_bar, None)
            } else {
                form_m(f, start, width, own, width, &mut self.lanes);
                (m_bar, Some(own))
            }
        };
        if keep_m {
            let squares = Mat::new(squares, n, width, width);
            matmul(
                m_tile,
                width,
                Write::Replace,
                T::one(),
                all(&self.m, mp, n),
                squares,
            );
        } else {
            m_tile.fill(T::zero());
            let chunk = (M_VALUES / mp / LANE * LANE).clamp(LANE, n);
            for from in (0..n).step_by(chunk) {
                let count = chunk.min(n - from);
                let m = sized(&mut self.m, mp * count);
                form_m(f, from, count, m, count, &mut self.lanes);
                let squares = Mat::new(&squares[from * width..], count, width, width);
                let m = Mat::new(m, mp, count, count);
                matmul(m_tile, width, Write::Add, T::one(), m, squares);
                if want == Want::InputGradient
                    && let Some(own) = own
                {
                    let products = sized(&mut self.f_bar, count * width);
                    let own = Mat::new(own, mp, width, width);
                    matmul(products, width, Write::Replace, T::one(), m.t(), own);
                    add_product(
                        &mut self.input_weights[from * width..(from + count) * width],
                        products,
                        &self.inner[from * width..(from + count) * width],
                    );
                }
            }
        }
        for p in 0..mp {
            let own = match own {
                Some(own) => row(own, width, p),
                None => part(&self.m, n, p, start, width),
            };
            out.hidden_norm += dot(own, row(m_tile, width, p));
        }
        if want == Want::Moments {
            return;
        }
        contract_m(f, m_tile, start, width, out, &mut self.lanes);
        if want == Want::InputGradient && keep_m {
            let products = sized(&mut self.products, size);
            inner_products(products, &self.m, mp, n, [start, width]);
            add_product(
                &mut self.input_weights[..size],
                products,
                &self.inner[..size],
            );
        }
    }

    /// Prepares the terms of ⟨B_n, B_m⟩ with R: F and F + R whole, or Σ F x̃ᵀ and Σ R x̃ᵀ.
    #[inline(always)]
    fn couple(&mut self, f: &Forward<T>, project: bool) {
        let dims = f.dims();
        let n = f.stride;
        let (hk, d) = (dims.hidden * f.rank, dims.inputs_extended());
        if !project {
            let r = sized(&mut self.r, hk * n);
            form_r(f, 0, n, r);
            let sum = sized(&mut self.f, hk * n);
            form_f(f, 0, n, sum);
            for (sum, &r) in sum.iter_mut().zip(r.iter()) {
                *sum += r;
            }
            return;
        }
        let f_projected = zeroed(&mut self.f_projected, hk * d);
        let r_projected = zeroed(&mut self.r_projected, hk * d);
        let width = (PAIRS / hk / LANE * LANE).clamp(LANE, n);
        for start in (0..n).step_by(width) {
            let width = width.min(n - start);
            let x = tile(&f.x, d, n, start, width).t();
            let values = sized(&mut self.f, hk * width);
            form_f(f, start, width, values);
            let values = Mat::new(values, hk, width, width);
            matmul(f_projected, d, Write::Add, T::one(), values, x);
            let values = sized(&mut self.r, hk * width);
            form_r(f, start, width, values);
            let values = Mat::new(values, hk, width, width);
            matmul(r_projected, d, Write::Add, T::one(), values, x);
        }
        for (f, &r) in f_projected.iter_mut().zip(r_projected.iter()) {
            *f += r;
        }
    }

    #[inline(always)]
    fn cross_tile(
        &mut self,
        f: &Forward<T>,
        out: &mut Contraction<T>,
        want: Want,
        start: usize,
        width: usize,
        project: bool,
    ) {
        let dims = f.dims();
        let (n, h, outputs) = (f.stride, dims.hidden, f.rank);
        let (hk, d) = (h * outputs, dims.inputs_extended());
        let size = n * width;

        // F̃ = Σ_m G R_m and R̃ = Σ_m G (F_m + R_m).
        let f_bar = sized(&mut self.f_bar, hk * width);
        let r_bar = sized(&mut self.r_bar, hk * width);
        if project {
            let x = tile(&f.x, d, n, start, width);
            let projected = Mat::new(&self.r_projected, hk, d, d);
            matmul(f_bar, width, Write::Replace, T::one(), projected, x);
            let projected = Mat::new(&self.f_projected, hk, d, d);
            matmul(r_bar, width, Write::Replace, T::one(), projected, x);
        } else {
            let inner = Mat::new(&self.inner, n, width, width);
            matmul(
                f_bar,
                width,
                Write::Replace,
                T::one(),
                all(&self.r, hk, n),
                inner,
            );
            matmul(
                r_bar,
                width,
                Write::Replace,
                T::one(),
                all(&self.f, hk, n),
                inner,
            );
        }
        // Σ_n 2⟨F_n, F̃_n⟩ + ⟨R_n, F̃_n⟩, with F and R one row at a time.
        let two = T::of(2.0);
        let mut coupled = T::zero();
        let values = sized(&mut self.products, width);
        for j in 0..h {
            let a = part(&f.a, n, j, start, width);
            let d1 = part(&f.d1, n, j, start, width);
            for k in 0..outputs {
                let q = part(&f.q_basis, n, j * outputs + k, start, width);
                let r = part(&f.r_basis, n, k, start, width);
                for i in 0..width {
                    values[i] = two * q[i] * a[i] + r[i] * d1[i];
                }
                coupled += dot(values, row(f_bar, width, j * outputs + k));
            }
        }
        out.cross_norm += coupled;

        let products = sized(&mut self.products, size);
        if want == Want::Moments {
            inner_products(products, &f.q_basis, hk, n, [start, width]);
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
        let weights = Mat::new(products, n, width, width);
        matmul(
            &mut out.q[start..],
            n,
            Write::Replace,
            T::one(),
            all(&f.q_basis, hk, n),
            weights,
        );
        for jk in 0..hk {
            out.cross_norm += dot(
                part(&f.q_basis, n, jk, start, width),
                part(&out.q, n, jk, start, width),
            );
        }
        inner_products(products, &f.q_basis, hk, n, [start, width]);
        add_product(&mut self.weights[..size], products, &self.inner[..size]);
        if want == Want::InputGradient {
            add_product(
                &mut self.input_weights[..size],
                products,
                &self.alpha[..size],
            );
            self.coupled_inputs(f, out, start, width, project);
        }
        for j in 0..h {
            let a = part(&f.a, n, j, start, width);
            for jk in j * outputs..(j + 1) * outputs {
                let f_bar = row(&self.f_bar, width, jk);
                add_product(part_mut(&mut out.q, n, jk, start, width), f_bar, a);
                add_product(
                    part_mut(&mut out.hidden, n, j, start, width),
                    f_bar,
                    part(&f.q_basis, n, jk, start, width),
                );
            }
        }
        contract_r(f, &self.r_bar, start, width, out);
    }

    /// The terms of x̄ in which R takes part: Σ_m (⟨F_n, R_m⟩ + ⟨R_n, F_m⟩ + ⟨R_n, R_m⟩) x̃_m.
    #[inline(always)]
    fn coupled_inputs(
        &mut self,
        f: &Forward<T>,
        out: &mut Contraction<T>,
        start: usize,
        width: usize,
        project: bool,
    ) {
        let dims = f.dims();
        let n = f.stride;
        let (hk, d) = (dims.hidden * f.rank, dims.inputs_extended());
        if project {
            let inputs = &mut out.inputs[start..];
            let values = sized(&mut self.f, hk * width);
            form_f(f, start, width, values);
            let projected = Mat::new(&self.r_projected, hk, d, d).t();
            let values = Mat::new(values, hk, width, width);
            matmul(inputs, n, Write::Add, T::one(), projected, values);
            let values = sized(&mut self.r, hk * width);
            form_r(f, start, width, values);
            let projected = Mat::new(&self.f_projected, hk, d, d).t();
            let values = Mat::new(values, hk, width, width);
            matmul(inputs, n, Write::Add, T::one(), projected, values);
            return;
        }
        // `f` holds F + R: ⟨R_m, F_n⟩ + ⟨F_m + R_m, R_n⟩ = ⟨R_m, (F + R)_n⟩ + ⟨F_m, R_n⟩, and F = (F + R) − R.
        let size = n * width;
        let products = sized(&mut self.products, size);
        let (r, sum) = (all(&self.r, hk, n), all(&self.f, hk, n));
        let r_tile = tile(&self.r, hk, n, start, width);
        let sum_tile = tile(&self.f, hk, n, start, width);
        matmul(products, width, Write::Replace, T::one(), r.t(), sum_tile);
        matmul(products, width, Write::Add, T::one(), sum.t(), r_tile);
        matmul(products, width, Write::Add, -T::one(), r.t(), r_tile);
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
