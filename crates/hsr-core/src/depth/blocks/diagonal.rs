//! The block H_ll = Σ_n Γ_l ⊗ x̃x̃ᵀ of one layer. Γ and x̃x̃ᵀ are packed as upper triangles with √2 on what is off the
//! diagonal, which keeps inner products.

use crate::depth::block::triangle;
use crate::depth::blocks::adjoints::BlockAdjoints;
use crate::depth::blocks::scratch::{DIAGONAL, PAIRS, Scratch, tiles};
use crate::depth::blocks::source::Source;
use crate::depth::blocks::way::Half;
use crate::depth::rows;
use crate::depth::rows::{dot, kernels};
use crate::numeric::buffer::{Buffer, fit};
use crate::numeric::matmul::{inner_products, matmul};
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;

/// The entries of the packed Γ_l, row by row.
fn entries<T: Number>(source: &Source<T>, l: usize, out: &mut Vec<(usize, usize)>) {
    let pass = source.pass;
    let (last, width) = (l + 1 == pass.depth(), pass.width(l));
    out.clear();
    if last && !pass.output.is_softmax() {
        // S is diagonal.
        out.extend((0..width).map(|i| (i, i)));
    } else {
        out.extend((0..width).flat_map(|i| (i..width).map(move |j| (i, j))));
    }
}

/// Writes the packed rows of these entries of Γ_l.
fn pack<T: Number>(source: &Source<T>, l: usize, entries: &[(usize, usize)], out: &mut Buffer<T>) {
    let pass = source.pass;
    let n = pass.stride;
    let out = fit(out, entries.len() * n);
    match source.tangents.seeds.get(l) {
        Some(seed) => pack_rows(out, &seed.q[l], entries, pass.width(l), n),
        None => pass.output.pack(entries, out),
    }
}

/// Adds the adjoints of packed rows for the samples from `start` on to that of Γ_l.
fn unpack<T: Number>(
    source: &Source<T>,
    l: usize,
    entries: &[(usize, usize)],
    packed_bar: &[T],
    width: usize,
    start: usize,
    adjoints: &mut BlockAdjoints<T>,
) {
    let pass = source.pass;
    let q_bar = &mut adjoints.q;
    if l + 1 == pass.depth() {
        pass.output
            .add_adjoint_of_packed(q_bar, packed_bar, entries, start, width);
    } else {
        let at = (start, width);
        unpack_rows(q_bar, packed_bar, entries, pass.width(l), at, pass.stride);
    }
}

/// q_ll = Σ_nm ⟨Γ_n, Γ_m⟩ G_l² over pairs of samples.
pub(in crate::depth) fn gram<T: Number>(
    source: &Source<T>,
    l: usize,
    adjoints: &mut BlockAdjoints<T>,
    scratch: &mut Scratch<T>,
) -> T {
    let (pass, want) = (source.pass, source.want);
    let n = pass.stride;
    let (one, two) = (T::one(), T::of(2.0));
    let Scratch {
        gram_lower,
        weights,
        inner,
        packed,
        packed_bar,
        entries: all,
        ..
    } = scratch;
    entries(source, l, all);
    let rows_a_tile = (DIAGONAL / n).max(1);
    let one_tile = all.len() <= rows_a_tile;
    let lower = want.lower(l, &pass.shapes[l]);
    let with_inner = lower || !want.gradient;
    let x = pass.input_extended(l);
    let mut q = T::zero();
    for (start, width) in tiles::<T>(n, &want, n, PAIRS) {
        if source.parts.stopped() {
            break;
        }
        let extended = pass.shapes[l].inputs_extended();
        let own = Mat::new(&pass.extended_values(l)[start..], extended, width, n);
        let gram = fit(gram_lower, width * n);
        inner_products(gram, own, x);
        let weights = fit(weights, width * n);
        rows::product(weights, gram, gram);
        let inner = fit(inner, width * n);
        let mut write = Write::Replace;
        for some in all.chunks(rows_a_tile) {
            if start == 0 || !one_tile {
                pack(source, l, some, packed);
            }
            let values = Mat::new(packed, some.len(), n, n);
            let of_tile = Mat::new(&packed[start..], some.len(), width, n);
            if with_inner {
                if write == Write::Replace {
                    inner_products(inner, of_tile, values);
                } else {
                    matmul(inner, n, write, one, of_tile.t(), values);
                }
                write = Write::Add;
            }
            if want.gradient {
                let bar = fit(packed_bar, some.len() * width);
                let weights = Mat::new(weights, width, n, n);
                matmul(bar, width, Write::Replace, two, values, weights.t());
                if !with_inner {
                    for (bar, packed) in bar.chunks_exact(width).zip(packed.chunks_exact(n)) {
                        q += T::of(0.5) * dot(bar, &packed[start..][..width]);
                    }
                }
                unpack(source, l, some, bar, width, start, adjoints);
            }
        }
        if with_inner {
            q += dot(inner, weights);
        }
        if lower {
            // Ḡ = 2⟨Γ_n, Γ_m⟩G.
            rows::product(weights, inner, gram);
            let g_bar = Mat::new(weights, width, n, n).t();
            let lower_bar = &mut adjoints.lower[start..];
            matmul(lower_bar, n, Write::Add, two * two, pass.input(l), g_bar);
        }
    }
    q
}

/// q_ll = ‖C‖² with C = Σ_n vec(Γ) vec(x̃x̃ᵀ)ᵀ formed.
pub(in crate::depth) fn assembled<T: Number>(
    source: &Source<T>,
    l: usize,
    half: Half<T>,
    adjoints: &mut BlockAdjoints<T>,
    scratch: &mut Scratch<T>,
) -> T {
    let (pass, want) = (source.pass, source.want);
    let n = pass.stride;
    let (one, two) = (T::one(), T::of(2.0));
    let Scratch {
        packed,
        packed_bar,
        squares,
        squares_bar,
        entries: all,
        block,
        ..
    } = scratch;
    entries(source, l, all);
    let lower = want.lower(l, &pass.shapes[l]);
    let extended = pass.shapes[l].inputs_extended();
    let columns = triangle(extended);
    pack_squares(fit(squares, columns * n), pass.extended_values(l), n);
    let xx = Mat::new(squares, columns, n, n);
    if lower && half.turns() {
        fit(squares_bar, columns * n);
    }
    let rows_a_tile = (DIAGONAL / n).max(1);
    let mut q = T::zero();
    for (some, first) in all.chunks(rows_a_tile).zip((0..).step_by(rows_a_tile)) {
        let rows = some.len();
        if half.forms() && source.parts.stopped() {
            break;
        }
        if half.forms() || lower {
            pack(source, l, some, packed);
        }
        let block: &[T] = if let Half::Turn(block) = half {
            &block[first * columns..][..rows * columns]
        } else {
            let values = Mat::new(packed, rows, n, n);
            let block = half.tile(block, all.len(), (first, rows), columns);
            matmul(block, columns, Write::Replace, one, values, xx.t());
            block
        };
        if let Half::Both = half {
            q += dot(block, block);
        }
        if !(want.gradient && half.turns()) {
            continue;
        }
        let block = Mat::new(block, rows, columns, columns);
        let bar = fit(packed_bar, rows * n);
        matmul(bar, n, Write::Replace, two, block, xx);
        if lower {
            let values = Mat::new(packed, rows, n, n);
            let write = Write::term(first == 0);
            matmul(squares_bar, n, write, two, block.t(), values);
        }
        unpack(source, l, some, bar, n, 0, adjoints);
    }
    if lower && half.turns() {
        contract_squares(&mut adjoints.lower, squares_bar, pass.extended_values(l), n);
    }
    q
}

kernels! {
    /// The entries of a symmetric matrix, √2 times what is off the diagonal.
    fn pack_rows(
        out: &'k mut [T],
        q: &'k [T],
        entries: &'k [(usize, usize)],
        outputs: usize,
        n: usize,
    ) {
        let root = T::of(core::f64::consts::SQRT_2);
        for (&(i, j), out) in entries.iter().zip(out.chunks_exact_mut(n)) {
            let factor = if i == j { T::one() } else { root };
            let q = &q[(i * outputs + j) * n..][..n];
            for s in 0..n {
                out[s] = factor * q[s];
            }
        }
    }

    /// The adjoint of a symmetric matrix from that of its packed entries, for (start, width) of the samples.
    fn unpack_rows(
        q_bar: &'k mut [T],
        packed_bar: &'k [T],
        entries: &'k [(usize, usize)],
        outputs: usize,
        at: (usize, usize),
        n: usize,
    ) {
        let (start, width) = at;
        let half_root = T::of(core::f64::consts::FRAC_1_SQRT_2);
        for (&(i, j), bar) in entries.iter().zip(packed_bar.chunks_exact(width)) {
            let upper = &mut q_bar[(i * outputs + j) * n + start..][..width];
            if i == j {
                upper.copy_from_slice(bar);
                continue;
            }
            for s in 0..width {
                upper[s] = half_root * bar[s];
            }
            let lower = &mut q_bar[(j * outputs + i) * n + start..][..width];
            for s in 0..width {
                lower[s] = half_root * bar[s];
            }
        }
    }

    /// The upper triangle of x̃x̃ᵀ, √2 times what is off the diagonal.
    fn pack_squares(out: &'k mut [T], x: &'k [T], n: usize) {
        let root = T::of(core::f64::consts::SQRT_2);
        let width = x.len() / n;
        let mut out = out.chunks_exact_mut(n);
        for i in 0..width {
            for j in i..width {
                let Some(out) = out.next() else { return };
                let factor = if i == j { T::one() } else { root };
                let (a, b) = (&x[i * n..][..n], &x[j * n..][..n]);
                for s in 0..n {
                    out[s] = factor * a[s] * b[s];
                }
            }
        }
    }

    /// The adjoint of x from that of its packed squares; the row of ones has none.
    fn contract_squares(x_bar: &'k mut [T], squares_bar: &'k [T], x: &'k [T], n: usize) {
        let root = T::of(core::f64::consts::SQRT_2);
        let (width, inputs) = (x.len() / n, x_bar.len() / n);
        let mut bars = squares_bar.chunks_exact(n);
        for i in 0..width {
            for j in i..width {
                let Some(bar) = bars.next() else { return };
                for (at, other) in [(i, j), (j, i)] {
                    if at < inputs {
                        // Both terms of the square x_i² come here.
                        let factor = if i == j { T::one() } else { root };
                        let out = &mut x_bar[at * n..][..n];
                        let x = &x[other * n..][..n];
                        for s in 0..n {
                            out[s] += factor * bar[s] * x[s];
                        }
                    }
                }
            }
        }
    }
}
