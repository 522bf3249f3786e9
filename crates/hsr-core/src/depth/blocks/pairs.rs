//! A block between two layers as a sum over pairs of samples: q_{kl} = Σ_nm ⟨B_n, B_m⟩ G_l, whatever the number of
//! parameters. One tile of samples n meets all samples m.

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::BlockAdjoints;
use crate::depth::blocks::scratch::{COUPLED, PAIRS, Scratch, tiles};
use crate::depth::blocks::source::Source;
use crate::depth::plan::through_inputs;
use crate::depth::rows;
use crate::depth::rows::{dot, kernels};
use crate::numeric::buffer::fit;
use crate::numeric::matmul::{inner_products, matmul};
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;

/// q_{kl}, and the adjoints for weight 1.
pub(in crate::depth) fn gram<T: Number>(
    source: &Source<T>,
    id: BlockId,
    adjoints: &mut BlockAdjoints<T>,
    scratch: &mut Scratch<T>,
) -> T {
    let BlockId { row: k, column: l } = id;
    let (pass, want) = (source.pass, source.want);
    let n = pass.stride;
    let two = T::of(2.0);
    let q_values = &source.tangents.seeds[l].q[k];
    let rows_of_q = pass.width(k) * pass.width(l);
    let all_q = Mat::new(q_values, rows_of_q, n, n);
    // B has its second term only in the rows of the weight.
    let with_weight = !pass.shapes[k].weight_frozen;
    let neighbours = with_weight && id.is_between_neighbours();
    let coupled = with_weight && !neighbours;
    let lower = want.lower(l, &pass.shapes[l]);
    let thin = neighbours && through_inputs(pass.shapes[l].inputs_extended(), n, lower);
    let mut q = T::zero();
    if neighbours {
        let Scratch { f, r, .. } = scratch;
        let inputs = pass.input_values(k);
        rows::scale_seeds(fit(f, rows_of_q * n), q_values, inputs, n);
        let layers = &pass.layers;
        rows::outer(fit(r, rows_of_q * n), &layers[k].delta, &layers[l].d1, n);
        if want.gradient || thin {
            fit(&mut scratch.f_bar, rows_of_q * n);
            fit(&mut scratch.r_bar, rows_of_q * n);
        }
    }
    let (values, limit) = if coupled {
        (2 * n * pass.width(l), COUPLED)
    } else {
        (n, PAIRS)
    };
    for (start, width) in tiles::<T>(n, &want, values, limit) {
        if source.parts.stopped() {
            break;
        }
        for (layer, gram) in [(l, &mut scratch.gram_lower), (k, &mut scratch.gram_upper)] {
            let x = pass.input_extended(layer);
            let extended = pass.shapes[layer].inputs_extended();
            let own = Mat::new(&pass.extended_values(layer)[start..], extended, width, n);
            inner_products(fit(gram, width * n), own, x);
        }
        let inner = fit(&mut scratch.inner, width * n);
        let of_tile = Mat::new(&q_values[start..], rows_of_q, width, n);
        inner_products(inner, of_tile, all_q);
        let weights = fit(&mut scratch.weights, width * n);
        rows::product(weights, &scratch.gram_lower, &scratch.gram_upper);
        q += dot(inner, weights);
        if want.gradient {
            let weights = Mat::new(weights, width, n, n);
            let q_bar = &mut adjoints.q[start..];
            matmul(q_bar, n, Write::Replace, two, all_q, weights.t());
            if with_weight {
                // Ḡ_k = ⟨Q_n, Q_m⟩ G_l.
                let g_bar = fit(&mut scratch.mixed, width * n);
                rows::product(g_bar, inner, &scratch.gram_lower);
                let g_bar = Mat::new(g_bar, width, n, n);
                let upper = &mut adjoints.upper[start..];
                matmul(upper, n, Write::Add, two, pass.input(k), g_bar.t());
            }
        }
        if lower {
            // ⟨B_n, B_m⟩, which `inner` becomes.
            let product = fit(&mut scratch.mixed, width * n);
            rows::product(product, inner, &scratch.gram_upper);
            inner.copy_from_slice(product);
        }
        if coupled {
            q += coupled_pairs(source, id, start, width, adjoints, scratch);
        } else if neighbours && !thin {
            q += neighbour_pairs(source, id, start, width, scratch);
        }
        if lower {
            let g_bar = Mat::new(&scratch.inner, width, n, n).t();
            let lower_bar = &mut adjoints.lower[start..];
            matmul(lower_bar, n, Write::Add, two, pass.input(l), g_bar);
        }
    }
    if thin {
        q += neighbours_through_inputs(source, id, adjoints, scratch);
    }
    if neighbours && want.gradient {
        // F̄ and R̄ to Q̄, ā_l, δ̄ and the diagonal of Ā_ll.
        let Scratch { f_bar, r_bar, .. } = scratch;
        let layers = &pass.layers;
        rows::add_scaled_seeds(&mut adjoints.q, f_bar, pass.input_values(k), n);
        rows::add_inner_products_of_seeds(&mut adjoints.upper, f_bar, q_values, n);
        rows::add_contracted_seeds(&mut adjoints.delta, r_bar, &layers[l].d1, n);
        rows::add_contracted_components(&mut adjoints.a, r_bar, &layers[k].delta, n);
    }
    q
}

/// Neighbours, A_{ll} = diag d1: 2⟨F_n, R_m⟩ + ⟨R_n, R_m⟩ over the pairs of a tile with F = Q∘a_lᵀ and R = δ d1ᵀ.
fn neighbour_pairs<T: Number>(
    source: &Source<T>,
    id: BlockId,
    start: usize,
    width: usize,
    scratch: &mut Scratch<T>,
) -> T {
    let (pass, want) = (source.pass, source.want);
    let n = pass.stride;
    let (one, two) = (T::one(), T::of(2.0));
    let rows = pass.width(id.row) * pass.width(id.column);
    let Scratch {
        f,
        r,
        f_bar,
        r_bar,
        gram_lower,
        inner,
        mixed,
        ..
    } = scratch;
    let (all_f, all_r) = (Mat::new(f, rows, n, n), Mat::new(r, rows, n, n));
    let of_tile = |data| Mat::new(data, rows, width, n);
    let sum = if want.gradient {
        let gram = Mat::new(gram_lower, width, n, n).t();
        matmul(&mut f_bar[start..], n, Write::Replace, two, all_r, gram);
        matmul(&mut r_bar[start..], n, Write::Replace, two, all_f, gram);
        let mut sum = T::zero();
        for row in 0..rows {
            let at = row * n + start;
            let (r_bar, f_bar) = (&mut r_bar[at..][..width], &f_bar[at..][..width]);
            rows::add(r_bar, f_bar);
            sum += dot(&f[at..][..width], f_bar) + dot(&r[at..][..width], f_bar) * T::of(0.5);
        }
        sum
    } else {
        let product = fit(mixed, width * n);
        matmul(
            product,
            n,
            Write::Replace,
            two,
            of_tile(&f[start..]).t(),
            all_r,
        );
        matmul(product, n, Write::Add, one, of_tile(&r[start..]).t(), all_r);
        dot(product, gram_lower)
    };
    if want.lower(id.column, &pass.shapes[id.column]) {
        matmul(inner, n, Write::Add, one, of_tile(&f[start..]).t(), all_r);
        matmul(inner, n, Write::Add, one, of_tile(&r[start..]).t(), all_f);
        matmul(inner, n, Write::Add, one, of_tile(&r[start..]).t(), all_r);
    }
    sum
}

/// The same for all pairs through Σ_m G_l R_m = (Σ_m R_m x̃_mᵀ) x̃_n.
fn neighbours_through_inputs<T: Number>(
    source: &Source<T>,
    id: BlockId,
    adjoints: &mut BlockAdjoints<T>,
    scratch: &mut Scratch<T>,
) -> T {
    let (pass, want) = (source.pass, source.want);
    let (n, l) = (pass.stride, id.column);
    let (one, two) = (T::one(), T::of(2.0));
    let rows = pass.width(id.row) * pass.width(l);
    let columns = pass.shapes[l].inputs_extended();
    let x = pass.input_extended(l);
    let Scratch {
        f,
        r,
        f_bar,
        r_bar,
        formed,
        packed,
        ..
    } = scratch;
    let (all_f, all_r) = (Mat::new(f, rows, n, n), Mat::new(r, rows, n, n));
    let of_f = fit(formed, rows * columns);
    matmul(of_f, columns, Write::Replace, one, all_f, x.t());
    let of_r = fit(packed, rows * columns);
    matmul(of_r, columns, Write::Replace, one, all_r, x.t());
    let sum = two * dot(of_f, of_r) + dot(of_r, of_r);
    if !want.gradient {
        return sum;
    }
    // E_F becomes E_F + E_R.
    rows::add(of_f, of_r);
    let (of_f, of_r): (&[T], &[T]) = (of_f, of_r);
    let matrix = |data| Mat::new(data, rows, columns, columns);
    matmul(f_bar, n, Write::Replace, two, matrix(of_r), x);
    matmul(r_bar, n, Write::Replace, two, matrix(of_f), x);
    if want.lower(l, &pass.shapes[l]) {
        let inputs = pass.shapes[l].inputs;
        let matrix = |data| Mat::new(data, rows, inputs, columns).t();
        let lower = &mut adjoints.lower;
        matmul(lower, n, Write::Add, two, matrix(of_f), all_r);
        matmul(lower, n, Write::Add, two, matrix(of_r), all_f);
    }
    sum
}

/// Layers with others between them: P_nm + P_mn + Δ_nm⟨A_n, A_m⟩ over the pairs of a tile.
fn coupled_pairs<T: Number>(
    source: &Source<T>,
    id: BlockId,
    start: usize,
    width: usize,
    adjoints: &mut BlockAdjoints<T>,
    scratch: &mut Scratch<T>,
) -> T {
    let BlockId { row: k, column: l } = id;
    let (pass, want) = (source.pass, source.want);
    let n = pass.stride;
    let (one, two) = (T::one(), T::of(2.0));
    let seed = &source.tangents.seeds[l];
    let (seeds, outputs) = (pass.width(l), pass.width(k));
    let inputs = pass.shapes[k].inputs;
    let (q, a, delta) = (&seed.q[k], &seed.a[k - 1], &pass.layers[k].delta);
    let Scratch {
        gram_lower,
        weights,
        inner,
        of_delta,
        of_tangents,
        mixed,
        t,
        v,
        tile,
        tile_bar,
        ..
    } = scratch;

    // Δ and ⟨A_n, A_m⟩.
    let all_delta = Mat::new(delta, outputs, n, n);
    let all_a = Mat::new(a, inputs * seeds, n, n);
    let of_delta = fit(of_delta, width * n);
    let own = Mat::new(&delta[start..], outputs, width, n);
    inner_products(of_delta, own, all_delta);
    let of_tangents = fit(of_tangents, width * n);
    let own = Mat::new(&a[start..], inputs * seeds, width, n);
    inner_products(of_tangents, own, all_a);
    if want.lower(l, &pass.shapes[l]) {
        rows::add_product(inner, of_delta, of_tangents);
    }
    rows::product(weights, gram_lower, of_delta);
    let mut sum = dot(weights, of_tangents);
    if want.gradient {
        let by_delta = Mat::new(weights, width, n, n).t();
        matmul(
            &mut adjoints.a[start..],
            n,
            Write::Add,
            two,
            all_a,
            by_delta,
        );
        rows::product(weights, gram_lower, of_tangents);
        let by_tangents = Mat::new(weights, width, n, n).t();
        let delta_bar = &mut adjoints.delta[start..];
        matmul(delta_bar, n, Write::Add, two, all_delta, by_tangents);
    }

    // T = Q_nᵀδ_m, row (j, n), and V = A_mᵀa_n, row n, of seeds and samples.
    let tile = fit(tile, outputs * seeds * width);
    for (tile, q) in tile.chunks_exact_mut(width).zip(q.chunks_exact(n)) {
        tile.copy_from_slice(&q[start..][..width]);
    }
    let t = fit(t, seeds * width * n);
    let of_tile = Mat::new(tile, outputs, seeds * width, seeds * width);
    matmul(t, n, Write::Replace, one, of_tile.t(), all_delta);
    let v = fit(v, width * seeds * n);
    let own_input = Mat::new(&pass.layers[k].input[start..], inputs, width, n);
    let a_by_rows = Mat::new(a, inputs, seeds * n, seeds * n);
    matmul(v, seeds * n, Write::Replace, one, own_input.t(), a_by_rows);
    let p = fit(mixed, width * n);
    couple(p, t, v, gram_lower, seeds, want.gradient, n);
    sum += two * dot(p, gram_lower);
    if !want.gradient {
        return sum;
    }

    // t and v are T̄ and V̄ now.
    let t_bar = Mat::new(t, seeds * width, n, n);
    let tile_bar = fit(tile_bar, outputs * seeds * width);
    matmul(
        tile_bar,
        seeds * width,
        Write::Replace,
        one,
        all_delta,
        t_bar.t(),
    );
    for (bar, q_bar) in tile_bar
        .chunks_exact(width)
        .zip(adjoints.q.chunks_exact_mut(n))
    {
        rows::add(&mut q_bar[start..][..width], bar);
    }
    matmul(&mut adjoints.delta, n, Write::Add, one, of_tile, t_bar);
    let v_bar = Mat::new(v, width, seeds * n, seeds * n);
    matmul(
        &mut adjoints.a,
        seeds * n,
        Write::Add,
        one,
        own_input,
        v_bar,
    );
    let upper = &mut adjoints.upper[start..];
    matmul(upper, n, Write::Add, one, a_by_rows, v_bar.t());
    if want.lower(l, &pass.shapes[l]) {
        // P_nm for the samples of the tile, P_mn for all.
        rows::add(inner, p);
        let inputs = pass.shapes[l].inputs;
        let own = Mat::new(&pass.layers[l].input[start..], inputs, width, n);
        let p = Mat::new(p, width, n, n);
        matmul(&mut adjoints.lower, n, Write::Add, two, own, p);
    }
    sum
}

kernels! {
    /// P_nm = Σ_j T_nmj V_nmj; and where `turn` is set T̄ = 2G∘V in T's place, V̄ = 2G∘T in V's.
    fn couple(
        p: &'k mut [T],
        t: &'k mut [T],
        v: &'k mut [T],
        gram: &'k [T],
        seeds: usize,
        turn: bool,
        n: usize,
    ) {
        let two = T::of(2.0);
        let width = p.len() / n;
        for (sample, (p, gram)) in p.chunks_exact_mut(n).zip(gram.chunks_exact(n)).enumerate() {
            p.fill(T::zero());
            for j in 0..seeds {
                let t = &mut t[(j * width + sample) * n..][..n];
                let v = &mut v[(sample * seeds + j) * n..][..n];
                if turn {
                    for s in 0..n {
                        let (of_t, of_v) = (t[s], v[s]);
                        p[s] += of_t * of_v;
                        t[s] = two * gram[s] * of_v;
                        v[s] = two * gram[s] * of_t;
                    }
                } else {
                    for s in 0..n {
                        p[s] += t[s] * v[s];
                    }
                }
            }
        }
    }
}
