//! What lies between the matrix products of the two evaluations (theory §3).
//!
//! GRAM works on pairs of samples \[N, N\], ASSEMBLED on the blocks of the Hessian. x̃ and ã are never laid out for the
//! pairs: x̃·x̃ is x·x and one.

use cubecl::prelude::*;

use super::buffer::UNITS;
use super::common::sum_over_cube;
use super::layout::{Blocks, Layout};

/// G of a pair: x·x, and one with a bias.
#[cube]
fn inner<F: Float>(xx: &[F], i: usize, at: &Layout) -> F {
    xx[i] + F::cast_from(at.inputs_extended - at.inputs)
}

/// α of a pair: a·a, and one with a bias.
#[cube]
fn alpha<F: Float>(aa: &[F], i: usize, at: &Layout) -> F {
    aa[i] + F::cast_from(at.hidden_extended - at.hidden)
}

/// G and αG, G² and α², each where a block needs it; one unit for each pair.
#[cube(launch)]
pub(super) fn pairs_of<F: Float>(
    xx: &[F],
    aa: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] gram: Blocks,
) {
    let i = ABSOLUTE_POS;
    if i >= at.samples * at.samples {
        terminate!();
    }
    if comptime!(gram.hidden) {
        let of_x = inner::<F>(xx, i, &at);
        state[at.inner_squared + i] = of_x * of_x;
    }
    if comptime!(gram.output) {
        let of_a = alpha::<F>(aa, i, &at);
        state[at.alpha_squared + i] = of_a * of_a;
    }
    if comptime!(gram.cross) {
        let of_x = inner::<F>(xx, i, &at);
        state[at.inner + i] = of_x;
        state[at.both + i] = of_x * alpha::<F>(aa, i, &at);
    }
}

/// What a strip of M leaves, `rows` of every sample: its part of q, its columns of U M̃ and of the diagonal of M̃, and its
/// share of what x̄ needs of M. The norm of pairs is the inner product with the contraction, the other that of `block`.
#[cube(launch)]
pub(super) fn of_strip<F: Float>(
    contracted: &[F],
    block: &[F],
    um: &[F],
    products: &[F],
    state: &mut [F],
    at: Layout,
    strip: usize,
    rows: usize,
    #[comptime] by_pairs: bool,
    #[comptime] with_inputs: bool,
) {
    let stride = at.cubes * UNITS;
    // Cubes beyond the last start beyond the end of everything.
    let start = CUBE_POS * UNITS + UNIT_POS as usize;
    let hidden = at.hidden;
    let first = strip * at.strip;
    let wide = at.inputs_extended * at.inputs_extended;
    let mut sum = F::new(0.0);
    let mut i = start;
    if comptime!(by_pairs) {
        while i < at.samples * rows * hidden {
            sum += state[at.m + i] * contracted[i];
            i += stride;
        }
    } else {
        while i < rows * hidden * wide {
            sum += block[i] * block[i];
            i += stride;
        }
    }
    let mut i = start;
    while i < at.samples * at.outputs * rows {
        state[at.um + i / rows * hidden + first + i % rows] = um[i];
        i += stride;
    }
    let mut i = start;
    while i < at.samples * rows {
        let j = first + i % rows;
        state[at.m_diagonal + i / rows * hidden + j] = contracted[i * hidden + j];
        i += stride;
    }
    if comptime!(with_inputs) {
        let mut numbers = at.samples * wide;
        if comptime!(by_pairs) {
            numbers = at.samples * at.samples;
        }
        let mut i = start;
        while i < numbers {
            let mut value = products[i];
            if strip > 0 {
                value += state[at.of_m + i];
            }
            state[at.of_m + i] = value;
            i += stride;
        }
    }
    let sum = sum_over_cube::<F>(sum);
    if UNIT_POS == 0 && CUBE_POS < at.cubes {
        state[at.parts + (1 + strip) * at.cubes + CUBE_POS] = sum;
    }
}

/// The weights of the pairs in ā: ⟨S_n,S_m⟩α + ⟨Q_n,Q_m⟩G; one unit for each pair.
#[cube(launch)]
pub(super) fn hidden_weights<F: Float>(
    ss: &[F],
    qq: &[F],
    xx: &[F],
    aa: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] gram: Blocks,
) {
    let i = ABSOLUTE_POS;
    if i >= at.samples * at.samples {
        terminate!();
    }
    let mut weight = F::new(0.0);
    if comptime!(gram.output) {
        weight += ss[i] * alpha::<F>(aa, i, &at);
    }
    if comptime!(gram.cross) {
        weight += qq[i] * inner::<F>(xx, i, &at);
    }
    state[at.hidden_weights + i] = weight;
}

/// The weights of the pairs in x̄: ⟨M_n,M_m⟩G + ⟨B_n,B_m⟩, the latter from ⟨Q_n,Q_m⟩ and ⟨R_n, 2F_m + R_m⟩, whose
/// symmetric part is ⟨R_n,F_m⟩ + ⟨F_n,R_m⟩ + ⟨R_n,R_m⟩; one unit for each pair.
#[cube(launch)]
pub(super) fn input_weights<F: Float>(
    qq: &[F],
    rf: &[F],
    xx: &[F],
    aa: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] gram: Blocks,
) {
    let i = ABSOLUTE_POS;
    let samples = at.samples;
    if i >= samples * samples {
        terminate!();
    }
    let mut weight = F::new(0.0);
    if comptime!(gram.hidden) {
        weight += state[at.of_m + i] * inner::<F>(xx, i, &at);
    }
    if comptime!(gram.cross) {
        let mirrored = (i % samples) * samples + i / samples;
        weight += qq[i] * alpha::<F>(aa, i, &at) + F::new(0.5) * (rf[i] + rf[mirrored]);
    }
    state[at.input_weights + i] = weight;
}

/// A number of a row with a one behind it; the rows begin at `from`.
#[cube]
fn extended<F: Float>(rows: &[F], from: usize, n: usize, i: usize, width: usize) -> F {
    let mut value = F::new(1.0);
    if i < width {
        value = rows[from + n * width + i];
    }
    value
}

/// The outer products ããᵀ, x̃x̃ᵀ and ãx̃ᵀ of every sample, each where its block is assembled, and x̃ where the cross
/// block is; each unit does its number of each.
#[cube(launch)]
pub(super) fn outer_products<F: Float>(
    x: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] assembled: Blocks,
) {
    let i = ABSOLUTE_POS;
    let wide = at.inputs_extended;
    let tall = at.hidden_extended;
    if comptime!(assembled.output) {
        if i < at.samples * tall * tall {
            let row = i / tall;
            let n = row / tall;
            let left = extended::<F>(&*state, at.a, n, row % tall, at.hidden);
            let right = extended::<F>(&*state, at.a, n, i % tall, at.hidden);
            state[at.aa + i] = left * right;
        }
    }
    if comptime!(assembled.hidden) {
        if i < at.samples * wide * wide {
            let row = i / wide;
            let n = row / wide;
            let left = extended::<F>(x, 0, n, row % wide, at.inputs);
            state[at.xx + i] = left * extended::<F>(x, 0, n, i % wide, at.inputs);
        }
    }
    if comptime!(assembled.cross) {
        if i < at.samples * tall * wide {
            let row = i / wide;
            let n = row / tall;
            let left = extended::<F>(&*state, at.a, n, row % tall, at.hidden);
            state[at.ax + i] = left * extended::<F>(x, 0, n, i % wide, at.inputs);
        }
        if i < at.samples * wide {
            state[at.x_extended + i] = extended::<F>(x, 0, i / wide, i % wide, at.inputs);
        }
    }
}

/// E gets the share of R, on its columns with i = j, and those columns are copied out; one unit for each of their
/// numbers.
#[cube(launch)]
pub(super) fn add_coupling<F: Float>(of_r: &[F], block: &mut [F], state: &mut [F], at: Layout) {
    let i = ABSOLUTE_POS;
    if i >= at.outputs * at.hidden * at.inputs_extended {
        terminate!();
    }
    let e = i % at.inputs_extended;
    let row = i / at.inputs_extended;
    let to = (row * at.hidden_extended + row % at.hidden) * at.inputs_extended + e;
    let value = block[to] + of_r[i];
    block[to] = value;
    state[at.on_diagonal + i] = value;
}

/// What assembled blocks give ā: the contraction of A with S times ã, and of E with Q times x̃; one unit for each of
/// \[N, h\].
#[cube(launch)]
pub(super) fn assembled_hidden<F: Float>(
    of_s: &[F],
    of_q: &[F],
    x: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] assembled: Blocks,
) {
    let to = ABSOLUTE_POS;
    let hidden = at.hidden;
    if to >= at.samples * hidden {
        terminate!();
    }
    let n = to / hidden;
    let j = to % hidden;
    let row = n * at.hidden_extended + j;
    let mut sum = F::new(0.0);
    if comptime!(assembled.output) {
        let from = row * at.hidden_extended;
        for i in 0..hidden {
            sum += of_s[from + i] * state[at.a + n * hidden + i];
        }
        if at.hidden_extended > hidden {
            sum += of_s[from + hidden];
        }
    }
    if comptime!(assembled.cross) {
        let from = row * at.inputs_extended;
        for e in 0..at.inputs {
            sum += of_q[from + e] * x[n * at.inputs + e];
        }
        if at.inputs_extended > at.inputs {
            sum += of_q[from + at.inputs];
        }
    }
    state[at.hidden_of_blocks + to] = sum;
}

/// What assembled blocks give x̄: the contraction of C with M times x̃, and of E with Q times ã and with R; one unit
/// for each of \[N, d\].
#[cube(launch)]
pub(super) fn assembled_inputs<F: Float>(
    of_q: &[F],
    of_r: &[F],
    x: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] assembled: Blocks,
) {
    let to = ABSOLUTE_POS;
    let inputs = at.inputs;
    if to >= at.samples * inputs {
        terminate!();
    }
    let n = to / inputs;
    let e = to % inputs;
    let wide = at.inputs_extended;
    let mut sum = F::new(0.0);
    if comptime!(assembled.hidden) {
        let from = at.of_m + (n * wide + e) * wide;
        for i in 0..inputs {
            sum += state[from + i] * x[n * inputs + i];
        }
        if wide > inputs {
            sum += state[from + inputs];
        }
    }
    if comptime!(assembled.cross) {
        let first = n * at.hidden_extended;
        for i in 0..at.hidden {
            sum += of_q[(first + i) * wide + e] * state[at.a + n * at.hidden + i];
        }
        if at.hidden_extended > at.hidden {
            sum += of_q[(first + at.hidden) * wide + e];
        }
        sum += of_r[n * wide + e];
    }
    state[at.inputs_of_blocks + to] = sum;
}
