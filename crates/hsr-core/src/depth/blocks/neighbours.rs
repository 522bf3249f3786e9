//! A block between neighbours, k = l + 1, formed. There A_{ll} is diagonal: of B\[(i,c),j\] = Q\[i,j\] x̃_k\[c\] +
//! δ_k\[i\] d1_l\[j\] δ_cj the first term is a product and the second has few entries. So E = Σ_n vec(Q) vec(x̃_k x̃_lᵀ)ᵀ, with
//! Σ_n R x̃_lᵀ, R = δ_k d1_lᵀ, added where c = j, and B itself is never formed.

use core::ops::Range;

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::BlockAdjoints;
use crate::depth::blocks::scratch::{NEIGHBOURS, Scratch};
use crate::depth::blocks::source::Source;
use crate::depth::blocks::way::Half;
use crate::depth::rows;
use crate::depth::rows::{dot, kernels};
use crate::numeric::buffer::fit;
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;

/// q_{kl} = ‖E‖².
pub(in crate::depth) fn assembled<T: Number>(
    source: &Source<T>,
    id: BlockId,
    half: Half<T>,
    adjoints: &mut BlockAdjoints<T>,
    scratch: &mut Scratch<T>,
) -> T {
    let BlockId { row: k, column: l } = id;
    let (pass, want) = (source.pass, source.want);
    let n = pass.stride;
    let (one, two) = (T::one(), T::of(2.0));
    let (outputs, seeds) = (pass.width(k), pass.width(l));
    let (extended, columns) = (
        pass.shapes[k].inputs_extended(),
        pass.shapes[l].inputs_extended(),
    );
    let both = extended * columns;
    let with_weight = !pass.shapes[k].weight_frozen;
    let lower = want.lower(l, &pass.shapes[l]);
    let q_values = &source.tangents.seeds[l].q[k];
    let delta = &pass.layers[k].delta;
    let d1 = &pass.layers[l].d1;
    let x = pass.input_extended(l);
    let Scratch {
        squares,
        squares_bar,
        block,
        packed,
        r,
        r_bar,
        ..
    } = scratch;
    let products = fit(squares, both * n);
    rows::outer(
        products,
        pass.extended_values(k),
        pass.extended_values(l),
        n,
    );
    if with_weight && (half.forms() || lower) {
        rows::outer(fit(r, outputs * seeds * n), delta, d1, n);
    }
    let products = Mat::new(products, both, n, n);
    if half.turns() {
        fit(squares_bar, both * n);
        if with_weight {
            fit(r_bar, outputs * seeds * n);
        }
    }
    let mut q = T::zero();
    let some = (NEIGHBOURS / (seeds * both)).max(1);
    for first in (0..outputs).step_by(some) {
        if half.forms() && source.parts.stopped() {
            break;
        }
        let rows = some.min(outputs - first) * seeds;
        let from = first * seeds;
        let at = from * n;
        let of_q = Mat::new(&q_values[at..], rows, n, n);
        let block: &[T] = if let Half::Turn(block) = half {
            &block[from * both..][..rows * both]
        } else {
            let block = half.tile(block, outputs * seeds, (from, rows), both);
            matmul(block, both, Write::Replace, one, of_q, products.t());
            if with_weight {
                let of_r = fit(packed, rows * columns);
                let tile = Mat::new(&r[at..], rows, n, n);
                matmul(of_r, columns, Write::Replace, one, tile, x.t());
                for (row, of_r) in of_r.chunks_exact(columns).enumerate() {
                    let block = &mut block[on_diagonal(row, seeds, both, columns)];
                    for (block, of_r) in block.iter_mut().zip(of_r) {
                        *block += *of_r;
                    }
                }
            }
            block
        };
        if let Half::Both = half {
            q += dot(block, block);
        }
        if !(want.gradient && half.turns()) {
            continue;
        }
        if with_weight {
            // R̄, and x̄_l through R.
            let of_r = fit(packed, rows * columns);
            for (row, of_r) in of_r.chunks_exact_mut(columns).enumerate() {
                of_r.copy_from_slice(&block[on_diagonal(row, seeds, both, columns)]);
            }
            let of_r = Mat::new(packed, rows, columns, columns);
            matmul(&mut r_bar[at..], n, Write::Replace, two, of_r, x);
            if lower {
                let of_r = Mat::new(packed, rows, pass.shapes[l].inputs, columns);
                let tile = Mat::new(&r[at..], rows, n, n);
                matmul(&mut adjoints.lower, n, Write::Add, two, of_r.t(), tile);
            }
        }
        let block = Mat::new(block, rows, both, both);
        let q_bar = &mut adjoints.q[at..];
        matmul(q_bar, n, Write::Replace, two, block, products);
        if with_weight || lower {
            let write = Write::term(first == 0);
            matmul(squares_bar, n, write, two, block.t(), of_q);
        }
    }
    if !(want.gradient && half.turns()) {
        return q;
    }
    if with_weight {
        rows::add_contracted_seeds(&mut adjoints.delta, r_bar, d1, n);
        rows::add_contracted_components(&mut adjoints.a, r_bar, delta, n);
        let input = pass.extended_values(l);
        rows::add_contracted_seeds(&mut adjoints.upper, squares_bar, input, n);
    }
    if lower {
        contract_components(
            &mut adjoints.lower,
            squares_bar,
            pass.extended_values(k),
            columns,
            n,
        );
    }
    q
}

/// The entries of E with c = j in one of its rows (i, j): a run of columns.
fn on_diagonal(row: usize, seeds: usize, both: usize, columns: usize) -> Range<usize> {
    let start = row * both + row % seeds * columns;
    start..start + columns
}

kernels! {
    /// out\[e\] += Σ_c x\[c,e\]∘d\[c\] for as many e as `out` has.
    fn contract_components(out: &'k mut [T], x: &'k [T], d: &'k [T], columns: usize, n: usize) {
        for (d, x) in d.chunks_exact(n).zip(x.chunks_exact(columns * n)) {
            for (out, x) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
                for s in 0..n {
                    out[s] += d[s] * x[s];
                }
            }
        }
    }
}
