//! A block between two layers with others between them, formed: E = Σ_n vec(B) x̃_lᵀ with B\[(i,c),j\] = Q_{kl}\[i,j\] x̃_k\[c\] + δ_k\[i\]
//! A_{k−1,l}\[c,j\]. A tile holds the rows of some components i of layer k.

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::BlockAdjoints;
use crate::depth::blocks::scratch::{ASSEMBLED, Scratch};
use crate::depth::blocks::source::Source;
use crate::depth::blocks::way::Half;
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
    let seed = &source.tangents.seeds[l];
    let seeds = pass.width(l);
    let extended = pass.shapes[k].inputs_extended();
    let columns = pass.shapes[l].inputs_extended();
    let input = pass.extended_values(k);
    let inputs = pass.shapes[k].trained_inputs();
    let a = &seed.a[k - 1];
    let per_component = extended * seeds;
    let some = (ASSEMBLED / (per_component * n)).max(1);
    let x = pass.input_extended(l);
    let lower = want.lower(l, &pass.shapes[l]);
    let components = pass.width(k);
    let Scratch { formed, block, .. } = scratch;
    let mut q = T::zero();
    let per_q = seeds * n;
    for first in (0..components).step_by(some) {
        if half.forms() && source.parts.stopped() {
            break;
        }
        let count = some.min(components - first);
        let rows = count * per_component;
        let formed = fit(formed, rows * n);
        let of_q = &seed.q[k][first * per_q..][..count * per_q];
        let delta = &pass.layers[k].delta[first * n..][..count * n];
        if half.forms() || lower {
            form(formed, of_q, input, delta, a, seeds, inputs, n);
        }
        let values = Mat::new(formed, rows, n, n);
        let from = first * per_component;
        let block: &[T] = if let Half::Turn(block) = half {
            &block[from * columns..][..rows * columns]
        } else {
            let all = components * per_component;
            let block = half.tile(block, all, (from, rows), columns);
            matmul(block, columns, Write::Replace, one, values, x.t());
            block
        };
        if let Half::Both = half {
            q += dot(block, block);
        }
        if !(want.gradient && half.turns()) {
            continue;
        }
        if lower {
            let without_ones = Mat::new(block, rows, pass.shapes[l].inputs, columns);
            let lower = &mut adjoints.lower;
            matmul(lower, n, Write::Add, two, without_ones.t(), values);
        }
        let block = Mat::new(block, rows, columns, columns);
        matmul(formed, n, Write::Replace, two, block, x);
        contract(
            formed,
            of_q,
            input,
            delta,
            a,
            &mut adjoints.q[first * per_q..][..count * per_q],
            &mut adjoints.upper,
            &mut adjoints.delta[first * n..][..count * n],
            &mut adjoints.a,
            seeds,
            inputs,
            n,
        );
    }
    q
}

kernels! {
    /// B of the components in `q` and `delta`, row ((i, c), j).
    fn form(
        out: &'k mut [T],
        q: &'k [T],
        input: &'k [T],
        delta: &'k [T],
        a: &'k [T],
        seeds: usize,
        inputs: usize,
        n: usize,
    ) {
        let extended = input.len() / n;
        for (i, (q, delta)) in q.chunks_exact(seeds * n).zip(delta.chunks_exact(n)).enumerate() {
            for c in 0..extended {
                let x = &input[c * n..][..n];
                for j in 0..seeds {
                    let out = &mut out[((i * extended + c) * seeds + j) * n..][..n];
                    let q = &q[j * n..][..n];
                    if c < inputs {
                        let a = &a[(c * seeds + j) * n..][..n];
                        for s in 0..n {
                            out[s] = q[s] * x[s] + delta[s] * a[s];
                        }
                    } else {
                        for s in 0..n {
                            out[s] = q[s] * x[s];
                        }
                    }
                }
            }
        }
    }

    /// B̄ contracted to the adjoints of Q, x̃, δ and A.
    fn contract(
        bar: &'k [T],
        q: &'k [T],
        input: &'k [T],
        delta: &'k [T],
        a: &'k [T],
        q_bar: &'k mut [T],
        input_bar: &'k mut [T],
        delta_bar: &'k mut [T],
        a_bar: &'k mut [T],
        seeds: usize,
        inputs: usize,
        n: usize,
    ) {
        let extended = input.len() / n;
        for (i, (delta, delta_bar)) in delta
            .chunks_exact(n)
            .zip(delta_bar.chunks_exact_mut(n))
            .enumerate()
        {
            for c in 0..extended {
                let x = &input[c * n..][..n];
                for j in 0..seeds {
                    let bar = &bar[((i * extended + c) * seeds + j) * n..][..n];
                    let q_bar = &mut q_bar[(i * seeds + j) * n..][..n];
                    if c == inputs {
                        for s in 0..n {
                            q_bar[s] += bar[s] * x[s];
                        }
                        continue;
                    }
                    let q = &q[(i * seeds + j) * n..][..n];
                    let input_bar = &mut input_bar[c * n..][..n];
                    let at = (c * seeds + j) * n;
                    let (a, a_bar) = (&a[at..][..n], &mut a_bar[at..][..n]);
                    for s in 0..n {
                        q_bar[s] += bar[s] * x[s];
                        input_bar[s] += bar[s] * q[s];
                        delta_bar[s] += bar[s] * a[s];
                        a_bar[s] += bar[s] * delta[s];
                    }
                }
            }
        }
    }
}
