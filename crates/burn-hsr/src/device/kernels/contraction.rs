//! What lies between the matrix products of the two evaluations (theory §3).
//!
//! GRAM works on pairs of samples \[N, N\], ASSEMBLED on the blocks of the Hessian. x̃ and ã are never laid out for the
//! pairs: x̃·x̃ is x·x and one.

use cubecl::prelude::*;

/// Which blocks of the Hessian an evaluation takes.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Blocks {
    pub output: bool,
    pub hidden: bool,
    pub cross: bool,
}

/// G and αG, G² and α², each where a block needs it; one unit for each pair.
#[cube(launch)]
pub(super) fn pairs_of(
    xx: &[f32],
    aa: &[f32],
    inner: &mut [f32],
    both: &mut [f32],
    inner_squared: &mut [f32],
    alpha_squared: &mut [f32],
    count: usize,
    one_x: f32,
    one_a: f32,
    #[comptime] gram: Blocks,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    if comptime!(gram.hidden) {
        let of_x = xx[i] + one_x;
        inner_squared[i] = of_x * of_x;
    }
    if comptime!(gram.output) {
        let of_a = aa[i] + one_a;
        alpha_squared[i] = of_a * of_a;
    }
    if comptime!(gram.cross) {
        let of_x = xx[i] + one_x;
        inner[i] = of_x;
        both[i] = of_x * (aa[i] + one_a);
    }
}

/// The weights of the pairs in ā: ⟨S_n,S_m⟩α + ⟨Q_n,Q_m⟩G; one unit for each pair.
#[cube(launch)]
pub(super) fn hidden_weights(
    ss: &[f32],
    qq: &[f32],
    xx: &[f32],
    aa: &[f32],
    weights: &mut [f32],
    count: usize,
    one_x: f32,
    one_a: f32,
    #[comptime] gram: Blocks,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let mut weight = f32::cast_from(0u32);
    if comptime!(gram.output) {
        weight += ss[i] * (aa[i] + one_a);
    }
    if comptime!(gram.cross) {
        weight += qq[i] * (xx[i] + one_x);
    }
    weights[i] = weight;
}

/// The weights of the pairs in x̄: ⟨M_n,M_m⟩G + ⟨B_n,B_m⟩, the latter from ⟨Q_n,Q_m⟩ and ⟨R_n, 2F_m + R_m⟩, whose
/// symmetric part is ⟨R_n,F_m⟩ + ⟨F_n,R_m⟩ + ⟨R_n,R_m⟩; one unit for each pair.
#[cube(launch)]
pub(super) fn input_weights(
    mm: &[f32],
    qq: &[f32],
    rf: &[f32],
    xx: &[f32],
    aa: &[f32],
    weights: &mut [f32],
    samples: usize,
    one_x: f32,
    one_a: f32,
    #[comptime] gram: Blocks,
) {
    let i = ABSOLUTE_POS;
    if i >= samples * samples {
        terminate!();
    }
    let mut weight = f32::cast_from(0u32);
    if comptime!(gram.hidden) {
        weight += mm[i] * (xx[i] + one_x);
    }
    if comptime!(gram.cross) {
        let mirrored = (i % samples) * samples + i / samples;
        weight += qq[i] * (aa[i] + one_a) + 0.5 * (rf[i] + rf[mirrored]);
    }
    weights[i] = weight;
}

/// A number of a row with a one behind it.
#[cube]
fn extended(rows: &[f32], n: usize, i: usize, width: usize) -> f32 {
    let mut value = f32::cast_from(1u32);
    if i < width {
        value = rows[n * width + i];
    }
    value
}

/// The outer products ããᵀ, x̃x̃ᵀ and ãx̃ᵀ of every sample, each where its block is assembled, and x̃ where the cross
/// block is; each unit does its number of each.
#[cube(launch)]
pub(super) fn outer_products(
    a: &[f32],
    x: &[f32],
    aa: &mut [f32],
    xx: &mut [f32],
    ax: &mut [f32],
    x_extended: &mut [f32],
    samples: usize,
    inputs: usize,
    hidden: usize,
    inputs_extended: usize,
    hidden_extended: usize,
    #[comptime] assembled: Blocks,
) {
    let i = ABSOLUTE_POS;
    if comptime!(assembled.output) {
        if i < samples * hidden_extended * hidden_extended {
            let row = i / hidden_extended;
            let n = row / hidden_extended;
            let left = extended(a, n, row % hidden_extended, hidden);
            aa[i] = left * extended(a, n, i % hidden_extended, hidden);
        }
    }
    if comptime!(assembled.hidden) {
        if i < samples * inputs_extended * inputs_extended {
            let row = i / inputs_extended;
            let n = row / inputs_extended;
            let left = extended(x, n, row % inputs_extended, inputs);
            xx[i] = left * extended(x, n, i % inputs_extended, inputs);
        }
    }
    if comptime!(assembled.cross) {
        if i < samples * hidden_extended * inputs_extended {
            let row = i / inputs_extended;
            let n = row / hidden_extended;
            let left = extended(a, n, row % hidden_extended, hidden);
            ax[i] = left * extended(x, n, i % inputs_extended, inputs);
        }
        if i < samples * inputs_extended {
            x_extended[i] = extended(x, i / inputs_extended, i % inputs_extended, inputs);
        }
    }
}

/// E gets the share of R, on its columns with i = j, and those columns are copied out as \[K·h, d̃\]; one unit for each
/// of them.
#[cube(launch)]
pub(super) fn add_coupling(
    of_r: &[f32],
    block: &mut [f32],
    on_diagonal: &mut [f32],
    count: usize,
    hidden: usize,
    hidden_extended: usize,
    inputs_extended: usize,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let e = i % inputs_extended;
    let row = i / inputs_extended;
    let at = (row * hidden_extended + row % hidden) * inputs_extended + e;
    let value = block[at] + of_r[i];
    block[at] = value;
    on_diagonal[i] = value;
}

/// What assembled blocks give ā: the contraction of A with S times ã, and of E with Q times x̃; one unit for each of
/// \[N, h\].
#[cube(launch)]
pub(super) fn assembled_hidden(
    of_s: &[f32],
    of_q: &[f32],
    a: &[f32],
    x: &[f32],
    to: &mut [f32],
    count: usize,
    inputs: usize,
    hidden: usize,
    inputs_extended: usize,
    hidden_extended: usize,
    #[comptime] assembled: Blocks,
) {
    let at = ABSOLUTE_POS;
    if at >= count {
        terminate!();
    }
    let n = at / hidden;
    let j = at % hidden;
    let row = n * hidden_extended + j;
    let mut sum = f32::cast_from(0u32);
    if comptime!(assembled.output) {
        let from = row * hidden_extended;
        for i in 0..hidden {
            sum += of_s[from + i] * a[n * hidden + i];
        }
        if hidden_extended > hidden {
            sum += of_s[from + hidden];
        }
    }
    if comptime!(assembled.cross) {
        let from = row * inputs_extended;
        for e in 0..inputs {
            sum += of_q[from + e] * x[n * inputs + e];
        }
        if inputs_extended > inputs {
            sum += of_q[from + inputs];
        }
    }
    to[at] = sum;
}

/// What assembled blocks give x̄: the contraction of C with M times x̃, and of E with Q times ã and with R; one unit
/// for each of \[N, d\].
#[cube(launch)]
pub(super) fn assembled_inputs(
    of_m: &[f32],
    of_q: &[f32],
    of_r: &[f32],
    a: &[f32],
    x: &[f32],
    to: &mut [f32],
    count: usize,
    inputs: usize,
    hidden: usize,
    inputs_extended: usize,
    hidden_extended: usize,
    #[comptime] assembled: Blocks,
) {
    let at = ABSOLUTE_POS;
    if at >= count {
        terminate!();
    }
    let n = at / inputs;
    let e = at % inputs;
    let mut sum = f32::cast_from(0u32);
    if comptime!(assembled.hidden) {
        let from = (n * inputs_extended + e) * inputs_extended;
        for i in 0..inputs {
            sum += of_m[from + i] * x[n * inputs + i];
        }
        if inputs_extended > inputs {
            sum += of_m[from + inputs];
        }
    }
    if comptime!(assembled.cross) {
        for i in 0..hidden {
            sum += of_q[(n * hidden_extended + i) * inputs_extended + e] * a[n * hidden + i];
        }
        if hidden_extended > hidden {
            sum += of_q[(n * hidden_extended + hidden) * inputs_extended + e];
        }
        sum += of_r[n * inputs_extended + e];
    }
    to[at] = sum;
}
