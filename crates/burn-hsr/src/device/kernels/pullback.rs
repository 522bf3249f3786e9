//! The pullback from the contractions to parameters and inputs (theory §4).
//!
//! M̄ and S̄ are never formed: M̄ = 2w_q M̃ + w_t‖x̃‖² I is used through U M̃ and its diagonal, and of S̄ only the
//! diagonal and (S̄ + S̄ᵀ)p are needed, whose part Q̄Uᵀ is a product with two vectors \[h\].

use cubecl::prelude::*;

use super::buffer::UNITS;
use super::common::{Loss, is_finite, row_of_s, sum_over_cube};

/// A number of a gradient: zero where the bound overflowed or the number itself did.
#[cube]
fn sound(x: f32, broken: f32) -> f32 {
    let mut value = x;
    if broken != 0.0 || !is_finite(x) {
        value = f32::cast_from(0u32);
    }
    value
}

/// Q̄ and Ū, and what they and R̄, M̄ give the derivatives, one unit for each of \[N, h\].
///
/// `q_contracted` is Q̃, or with pairs Σ Gα Q, to which F̄∘a is added here; `r_first` is R̃, or with pairs Σ G R = F̄,
/// and then R̃ is the mean of it and of `r_second` = Σ G (R + 2F). Written are Q̄ \[N, K, h\], the share of a sample in
/// W̄2 but for a ōᵀ \[N, K, h\], that of a hidden unit in r̄ \[N, K, h\], and Uᵀp, Q̄ᵀp and the share in z̄ but for that
/// of ō \[3, N, h\].
#[cube(launch)]
pub(super) fn adjoints(
    w2: &[f32],
    derivatives: &[f32],
    a: &[f32],
    out: &[f32],
    rows: &[f32],
    scale: &[f32],
    u: &[f32],
    q: &[f32],
    um: &[f32],
    m_contracted: &[f32],
    q_contracted: &[f32],
    r_first: &[f32],
    r_second: &[f32],
    of_pairs: &[f32],
    of_blocks: &[f32],
    traces: &[f32],
    weights: &[f32],
    q_bar: &mut [f32],
    of_w2: &mut [f32],
    of_r: &mut [f32],
    of_hidden: &mut [f32],
    samples: usize,
    hidden: usize,
    outputs: usize,
    #[comptime] loss: Loss,
    #[comptime] cross_by_pairs: bool,
    #[comptime] any_pairs: bool,
    #[comptime] any_blocks: bool,
) {
    let i = ABSOLUTE_POS;
    let units = samples * hidden;
    if i >= units {
        terminate!();
    }
    let n = i / hidden;
    let j = i % hidden;
    let count = samples * outputs;
    let w_t = weights[0];
    let w2q = weights[1];
    let w4q = weights[2];
    let inverse = scale[0];
    let omega = rows[n] * inverse;
    let top = u32::cast_from(rows[2 * samples + n]) as usize;
    let of_trace = w_t * traces[n];
    let d1 = derivatives[i];
    let d2 = derivatives[units + i];
    let d3 = derivatives[2 * units + i];

    let mut contracted = f32::cast_from(0u32);
    if comptime!(any_pairs) {
        contracted += of_pairs[i];
    }
    if comptime!(any_blocks) {
        contracted += of_blocks[i];
    }
    let mut g = f32::cast_from(0u32);
    let mut d1_bar = f32::cast_from(0u32);
    let mut u_p = f32::cast_from(0u32);
    let mut q_bar_p = f32::cast_from(0u32);
    let mut rest = f32::cast_from(0u32);
    let mut of_top = f32::cast_from(0u32);
    for k in 0..outputs {
        let row = n * outputs + k;
        let at = row * hidden + j;
        let p = out[row];
        let r = out[count + row] * inverse;
        let of_u = u[at];
        let mut contracted_q = q_contracted[at];
        let mut contracted_r = r_first[at];
        if comptime!(cross_by_pairs) {
            contracted_q += contracted_r * a[i];
            contracted += contracted_r * q[at];
            contracted_r = 0.5 * (contracted_r + r_second[at]);
        }
        let r_bar = w4q * contracted_r;
        let by_m = w2q * um[at] + of_trace * of_u;
        let by_q = w4q * contracted_q + by_m;
        // Ū = Q M̄ + S Q̄ = S (U M̄ + Q̄).
        let both = by_m + by_q;
        g += r * w2[j * outputs + k];
        d1_bar += r_bar * r;
        if comptime!(loss == Loss::Softmax) {
            u_p += p * of_u;
            q_bar_p += p * by_q;
            if k == top {
                of_top = p * both;
            } else {
                rest += p * both;
            }
        }
        q_bar[at] = by_q;
        of_w2[at] = both;
        of_r[at] = r_bar;
    }
    let c_bar = w2q * m_contracted[i * hidden + j] + of_trace;
    let g_bar = c_bar * d2;
    for k in 0..outputs {
        let row = n * outputs + k;
        let at = row * hidden + j;
        let s = out[2 * count + row] * inverse;
        let r = out[count + row] * inverse;
        let weight = w2[j * outputs + k];
        let u_bar = row_of_s(s, out[row], omega, of_w2[at], k == top, rest, of_top, loss);
        d1_bar += u_bar * weight;
        of_w2[at] = u_bar * d1 + g_bar * r;
        of_r[at] = of_r[at] * d1 + g_bar * weight;
    }
    let a_bar = w4q * contracted + 2.0 * w_t * traces[2 * samples + n] * a[i];
    of_hidden[i] = u_p;
    of_hidden[units + i] = q_bar_p;
    of_hidden[2 * units + i] = a_bar * d1 + d1_bar * d2 + c_bar * g * d3;
}

/// ō, or for the softmax the p̄ that it comes from, one unit for each of \[N, K\].
#[cube(launch)]
pub(super) fn of_logits(
    out: &[f32],
    rows: &[f32],
    scale: &[f32],
    u: &[f32],
    q_bar: &[f32],
    of_r: &[f32],
    of_hidden: &[f32],
    s_contracted: &[f32],
    traces: &[f32],
    weights: &[f32],
    o_bar: &mut [f32],
    samples: usize,
    hidden: usize,
    outputs: usize,
    #[comptime] loss: Loss,
) {
    let row = ABSOLUTE_POS;
    let count = samples * outputs;
    if row >= count {
        terminate!();
    }
    let n = row / outputs;
    let k = row % outputs;
    let w2q = weights[1];
    let of_trace = weights[0] * traces[samples + n];
    let mut r_bar = f32::cast_from(0u32);
    let mut diagonal = f32::cast_from(0u32);
    let mut by_p = f32::cast_from(0u32);
    for j in 0..hidden {
        let at = row * hidden + j;
        r_bar += of_r[at];
        diagonal += q_bar[at] * u[at];
        if comptime!(loss == Loss::Softmax) {
            let i = n * hidden + j;
            by_p += q_bar[at] * of_hidden[i] + u[at] * of_hidden[samples * hidden + i];
        }
    }
    diagonal += w2q * s_contracted[row * outputs + k] + of_trace;
    let inverse = scale[0];
    let s = out[2 * count + row] * inverse;
    match comptime!(loss) {
        Loss::Softmax => {
            let mut symmetric = f32::cast_from(0u32);
            for l in 0..outputs {
                let mirrored = (n * outputs + l) * outputs + k;
                let both = s_contracted[row * outputs + l] + s_contracted[mirrored];
                symmetric += both * out[n * outputs + l];
            }
            by_p += w2q * symmetric + 2.0 * of_trace * out[row];
            o_bar[row] = (diagonal - by_p + r_bar) * (rows[n] * inverse);
        }
        Loss::Sigmoid => {
            o_bar[row] = s * (r_bar + diagonal * (1.0 - 2.0 * out[row]));
        }
        Loss::Squared => {
            o_bar[row] = s * r_bar;
        }
    }
}

/// ō of the softmax from p̄, in its place; one unit for each sample.
///
/// Measured against the top class: a constant in p̄ has no effect, and p is almost one-hot there.
#[cube(launch)]
pub(super) fn through_softmax(
    out: &[f32],
    rows: &[f32],
    o_bar: &mut [f32],
    samples: usize,
    outputs: usize,
) {
    let n = ABSOLUTE_POS;
    if n >= samples {
        terminate!();
    }
    let first = n * outputs;
    let top = u32::cast_from(rows[2 * samples + n]) as usize;
    let reference = o_bar[first + top];
    let mut mean = f32::cast_from(0u32);
    for k in 0..outputs {
        mean += (o_bar[first + k] - reference) * out[first + k];
    }
    for k in 0..outputs {
        o_bar[first + k] = out[first + k] * ((o_bar[first + k] - reference) - mean);
    }
}

/// z̄, one unit for each of \[N, h\].
#[cube(launch)]
pub(super) fn of_preactivations(
    w2: &[f32],
    derivatives: &[f32],
    of_hidden: &[f32],
    o_bar: &[f32],
    z_bar: &mut [f32],
    samples: usize,
    hidden: usize,
    outputs: usize,
) {
    let i = ABSOLUTE_POS;
    let units = samples * hidden;
    if i >= units {
        terminate!();
    }
    let n = i / hidden;
    let j = i % hidden;
    let mut a_bar = f32::cast_from(0u32);
    for k in 0..outputs {
        a_bar += o_bar[n * outputs + k] * w2[j * outputs + k];
    }
    z_bar[i] = of_hidden[2 * units + i] + a_bar * derivatives[i];
}

/// The sums over samples: W̄2 \[h, K\], b̄2 \[K\] and b̄1 \[h\], one cube for each of them.
#[cube(launch)]
pub(super) fn of_parameters(
    of_w2: &[f32],
    a: &[f32],
    o_bar: &[f32],
    z_bar: &[f32],
    weights: &[f32],
    w2_bar: &mut [f32],
    b2_bar: &mut [f32],
    b1_bar: &mut [f32],
    samples: usize,
    hidden: usize,
    outputs: usize,
    sums: usize,
) {
    // Cubes beyond the last sum repeat it: all units of a cube must meet at its barriers.
    let at = select(CUBE_POS < sums, CUBE_POS, sums - 1);
    let of_weights = hidden * outputs;
    let mut sum = f32::cast_from(0u32);
    let mut n = UNIT_POS as usize;
    while n < samples {
        if at < of_weights {
            let j = at / outputs;
            let row = n * outputs + at % outputs;
            sum += of_w2[row * hidden + j] + a[n * hidden + j] * o_bar[row];
        } else if at < of_weights + outputs {
            sum += o_bar[n * outputs + (at - of_weights)];
        } else {
            sum += z_bar[n * hidden + (at - of_weights - outputs)];
        }
        n += UNITS;
    }
    let sum = sum_over_cube(sum);
    if UNIT_POS == 0 {
        let value = sound(sum, weights[3]);
        if at < of_weights {
            w2_bar[at] = value;
        } else if at < of_weights + outputs {
            b2_bar[at - of_weights] = value;
        } else {
            b1_bar[at - of_weights - outputs] = value;
        }
    }
}

/// W̄1 checked in its place, one unit for each number.
#[cube(launch)]
pub(super) fn checked(w1_bar: &mut [f32], weights: &[f32], count: usize) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    w1_bar[i] = sound(w1_bar[i], weights[3]);
}

/// x̄, one unit for each of \[N, d\]; `x_bar` holds z̄ W1ᵀ.
#[cube(launch)]
pub(super) fn of_inputs(
    x: &[f32],
    of_pairs: &[f32],
    of_blocks: &[f32],
    traces: &[f32],
    weights: &[f32],
    x_bar: &mut [f32],
    samples: usize,
    inputs: usize,
    #[comptime] any_pairs: bool,
    #[comptime] any_blocks: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= samples * inputs {
        terminate!();
    }
    let n = i / inputs;
    let mut contracted = f32::cast_from(0u32);
    if comptime!(any_pairs) {
        contracted += of_pairs[i];
    }
    if comptime!(any_blocks) {
        contracted += of_blocks[i];
    }
    let of_trace = 2.0 * weights[0] * traces[3 * samples + n] * x[i];
    let value = x_bar[i] + weights[2] * contracted + of_trace;
    x_bar[i] = sound(value, weights[3]);
}
