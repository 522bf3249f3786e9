//! Block H11 where x̃ and the output basis are short: M and M̃ live in registers only.
//!
//! With d̃ ≤ 3 a product with x̃x̃ᵀ has at most 6 columns, too few for a matrix product to be worth storing M
//! (h² a sample) for. Here C is summed pair (i, j) by pair, and M̃ is formed and contracted lane by lane.

use crate::Real;
use crate::contraction::Contraction;
use crate::forward::Forward;
use crate::kernels::{multiply_add, rows, with_sizes};
use crate::lanes::{LANE, gather, zeroed};
use crate::svec;

/// Buffers of the kernels.
#[derive(Default)]
pub(crate) struct HiddenKernel<T> {
    u: Vec<T>,
    um: Vec<T>,
}

/// C = Σ svec(M) svec(x̃x̃ᵀ)ᵀ into `c`; `xx` holds svec(x̃x̃ᵀ) for all samples.
#[inline(always)]
pub(crate) fn assemble<T: Real>(f: &Forward<T>, xx: &[T], c: &mut [T], fma: bool) {
    let pairs = svec::len(f.dims().inputs_extended());
    with_sizes!(pairs, f.rank, fma, [1, 3, 6], assemble_kernel(f, xx, c));
}

/// U M̃ and diag M̃ from C, into `out`.
#[inline(always)]
pub(crate) fn contract<T: Real>(
    buffers: &mut HiddenKernel<T>,
    f: &Forward<T>,
    xx: &[T],
    c: &[T],
    out: &mut Contraction<T>,
    fma: bool,
) {
    let pairs = svec::len(f.dims().inputs_extended());
    with_sizes!(
        pairs,
        f.rank,
        fma,
        [1, 3, 6],
        contract_kernel(buffers, f, xx, c, out)
    );
}

#[inline(always)]
fn assemble_kernel<T: Real, const PAIRS: usize, const RANK: usize, const FMA: bool>(
    f: &Forward<T>,
    xx: &[T],
    c: &mut [T],
) {
    // Two columns j at once share their loads; with half a lane, one vector register, their sums stay in registers. For
    // f32 the compiler makes less of two columns than of one (bench `ratios`).
    if size_of::<T>() == 8 {
        assemble_columns::<T, PAIRS, RANK, FMA, { LANE / 2 }, true>(f, xx, c);
    } else {
        assemble_columns::<T, PAIRS, RANK, FMA, LANE, false>(f, xx, c);
    }
}

#[inline(always)]
fn assemble_columns<
    T: Real,
    const PAIRS: usize,
    const RANK: usize,
    const FMA: bool,
    const WIDTH: usize,
    const TWO: bool,
>(
    f: &Forward<T>,
    xx: &[T],
    c: &mut [T],
) {
    let (h, n) = (f.dims().hidden, f.stride);
    let xx = rows::<T, WIDTH, PAIRS>(xx, n, 0);
    let root = svec::scale::<T>();
    let mut at = 0;
    for i in 0..h {
        let q = rows::<T, WIDTH, RANK>(&f.q_basis, n, i * RANK);
        let [of_c] = rows::<T, WIDTH, 1>(&f.c, n, i);
        let mut j = i;
        while j < h {
            // The diagonal goes alone, and the last column where their number is odd.
            let two = TWO && j > i && j + 1 < h;
            let u = rows::<T, WIDTH, RANK>(&f.u_basis, n, j * RANK);
            let next = if two { j + 1 } else { j };
            let v = rows::<T, WIDTH, RANK>(&f.u_basis, n, next * RANK);
            let (mut of_u, mut of_v) = ([[T::zero(); WIDTH]; PAIRS], [[T::zero(); WIDTH]; PAIRS]);
            if two {
                for lane in 0..n / WIDTH {
                    let (mut m, mut w) = ([T::zero(); WIDTH], [T::zero(); WIDTH]);
                    for k in 0..RANK {
                        for l in 0..WIDTH {
                            m[l] = multiply_add::<T, FMA>(q[k][lane][l], u[k][lane][l], m[l]);
                        }
                        for l in 0..WIDTH {
                            w[l] = multiply_add::<T, FMA>(q[k][lane][l], v[k][lane][l], w[l]);
                        }
                    }
                    for p in 0..PAIRS {
                        for l in 0..WIDTH {
                            of_u[p][l] = multiply_add::<T, FMA>(m[l], xx[p][lane][l], of_u[p][l]);
                        }
                        for l in 0..WIDTH {
                            of_v[p][l] = multiply_add::<T, FMA>(w[l], xx[p][lane][l], of_v[p][l]);
                        }
                    }
                }
            } else {
                for lane in 0..n / WIDTH {
                    let mut m = [T::zero(); WIDTH];
                    if i == j {
                        m = of_c[lane];
                    }
                    for k in 0..RANK {
                        for l in 0..WIDTH {
                            m[l] = multiply_add::<T, FMA>(q[k][lane][l], u[k][lane][l], m[l]);
                        }
                    }
                    for p in 0..PAIRS {
                        for l in 0..WIDTH {
                            of_u[p][l] = multiply_add::<T, FMA>(m[l], xx[p][lane][l], of_u[p][l]);
                        }
                    }
                }
            }
            // The values of C are neighbours: without a barrier the compiler would vectorise across them, back through
            // the whole loop, and shuffle every lane.
            let (of_u, of_v) = core::hint::black_box((of_u, of_v));
            let factor = if i == j { T::one() } else { root };
            for sums in of_u
                .into_iter()
                .chain(of_v)
                .take(if two { 2 * PAIRS } else { PAIRS })
            {
                c[at] = factor * sums.into_iter().sum::<T>();
                at += 1;
            }
            j = next + 1;
        }
    }
}

#[inline(always)]
fn contract_kernel<T: Real, const PAIRS: usize, const RANK: usize, const FMA: bool>(
    buffers: &mut HiddenKernel<T>,
    f: &Forward<T>,
    xx: &[T],
    c: &[T],
    out: &mut Contraction<T>,
) {
    let (h, n) = (f.dims().hidden, f.stride);
    let half = T::one() / svec::scale::<T>();
    let xx = rows::<T, LANE, PAIRS>(xx, n, 0);
    let c = c.as_chunks::<PAIRS>().0;
    for lane in 0..n / LANE {
        let from = lane * LANE;
        let u = gather(&f.u_basis, n, h * RANK, from, &mut buffers.u);
        let u = u.as_chunks::<RANK>().0;
        let xx = {
            let mut of_lane = [[T::zero(); LANE]; PAIRS];
            for p in 0..PAIRS {
                of_lane[p] = xx[p][lane];
            }
            of_lane
        };
        // Each M̃[i, j] serves row i, in registers, and row j, in `of_rows`.
        let of_rows = zeroed(&mut buffers.um, h * RANK * LANE);
        let of_rows = of_rows.as_chunks_mut::<LANE>().0.as_chunks_mut::<RANK>().0;
        let mut row_of_c = c;
        for i in 0..h {
            let (of_i, of_later) = of_rows[i..].split_first_mut().expect("i < h");
            let (c, after) = row_of_c.split_at(h - i);
            row_of_c = after;
            let diagonal = m_of::<T, PAIRS, FMA>(&c[0], &xx);
            let mut sums = *of_i;
            for ((c, u_j), of_j) in c[1..].iter().zip(&u[i + 1..]).zip(of_later) {
                let m = m_of::<T, PAIRS, FMA>(c, &xx);
                add_outer::<T, RANK, FMA>(&mut sums, m, u_j);
                add_outer::<T, RANK, FMA>(of_j, m, &u[i]);
            }
            out.m_diagonal[i * n + from..][..LANE].copy_from_slice(&diagonal);
            for k in 0..RANK {
                let of_um = &mut out.um[(i * RANK + k) * n + from..][..LANE];
                for l in 0..LANE {
                    // All terms but the diagonal carry the √2 of the packing.
                    let on_diagonal = diagonal[l] * u[i][k][l];
                    of_um[l] = multiply_add::<T, FMA>(half, sums[k][l], on_diagonal);
                }
            }
        }
    }
}

/// M̃[i, j] of one lane of samples, from the row (i, j) of C.
#[inline(always)]
fn m_of<T: Real, const PAIRS: usize, const FMA: bool>(
    c: &[T; PAIRS],
    xx: &[[T; LANE]; PAIRS],
) -> [T; LANE] {
    let mut m = [T::zero(); LANE];
    for p in 0..PAIRS {
        for l in 0..LANE {
            m[l] = multiply_add::<T, FMA>(c[p], xx[p][l], m[l]);
        }
    }
    m
}

/// `sums[k] += m·u[k]`.
#[inline(always)]
fn add_outer<T: Real, const RANK: usize, const FMA: bool>(
    sums: &mut [[T; LANE]; RANK],
    m: [T; LANE],
    u: &[[T; LANE]; RANK],
) {
    for k in 0..RANK {
        for l in 0..LANE {
            sums[k][l] = multiply_add::<T, FMA>(m[l], u[k][l], sums[k][l]);
        }
    }
}
