//! The pullback from the contractions to parameters and inputs (theory §4).
//!
//! M̄ and S̄ are never formed: M̄ = 2w_q M̃ + w_t‖x̃‖² I is used through U M̃ and its diagonal, and of S̄ only the
//! diagonal and (S̄ + S̄ᵀ)p are needed, whose part Q̄Uᵀ is a product with two vectors \[h\].

use cubecl::prelude::*;

use super::buffer::UNITS;
use super::common::{Loss, is_finite, row_of_s, sum_over_cube};
use super::layout::Layout;

/// A number of a gradient: zero where the bound overflowed or the number itself did.
#[cube]
fn sound<F: Float>(x: F, broken: F) -> F {
    let mut value = x;
    if broken != F::new(0.0) || !is_finite::<F>(x) {
        value = F::new(0.0);
    }
    value
}

/// Q̄ and Ū, and what they and R̄, M̄ give the derivatives, one unit for each of \[N, h\].
///
/// `q_contracted` is Q̃, or with pairs Σ Gα Q, to which F̄∘a is added here; `r_first` is R̃, or with pairs Σ G R = F̄,
/// and then R̃ is the mean of it and of `r_second` = Σ G (R + 2F).
#[cube(launch)]
pub(super) fn adjoints<F: Float>(
    w2: &[F],
    q_contracted: &[F],
    r_first: &[F],
    r_second: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] loss: Loss,
    #[comptime] cross_by_pairs: bool,
) {
    let i = ABSOLUTE_POS;
    let samples = at.samples;
    let hidden = at.hidden;
    let outputs = at.outputs;
    let units = samples * hidden;
    if i >= units {
        terminate!();
    }
    let n = i / hidden;
    let j = i % hidden;
    let count = samples * outputs;
    let first = at.out + n * outputs;
    let w_t = state[at.weights];
    let w2q = state[at.weights + 1];
    let w4q = state[at.weights + 2];
    let inverse = state[at.scale];
    let omega = state[at.rows + n] * inverse;
    let top = u32::cast_from(state[at.rows + 2 * samples + n]) as usize;
    let of_trace = w_t * state[at.traces + n];
    let a = state[at.a + i];
    let d1 = state[at.derivatives + i];
    let d2 = state[at.derivatives + units + i];
    let d3 = state[at.derivatives + 2 * units + i];

    let mut contracted = F::new(0.0);
    let mut g = F::new(0.0);
    let mut d1_bar = F::new(0.0);
    let mut u_p = F::new(0.0);
    let mut q_bar_p = F::new(0.0);
    let mut rest = F::new(0.0);
    let mut of_top = F::new(0.0);
    for k in 0..outputs {
        let to = (n * outputs + k) * hidden + j;
        let p = state[first + k];
        let r = state[count + first + k] * inverse;
        let of_u = state[at.u + to];
        let mut contracted_q = q_contracted[to];
        let mut contracted_r = r_first[to];
        if comptime!(cross_by_pairs) {
            contracted_q += contracted_r * a;
            contracted += contracted_r * state[at.q + to];
            contracted_r = F::new(0.5) * (contracted_r + r_second[to]);
        }
        let r_bar = w4q * contracted_r;
        let by_m = w2q * state[at.um + to] + of_trace * of_u;
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
        state[at.q_bar + to] = by_q;
        state[at.of_w2 + to] = both;
        state[at.of_r + to] = r_bar;
    }
    let c_bar = w2q * state[at.m_diagonal + i] + of_trace;
    let g_bar = c_bar * d2;
    for k in 0..outputs {
        let to = (n * outputs + k) * hidden + j;
        let p = state[first + k];
        let s = state[2 * count + first + k] * inverse;
        let r = state[count + first + k] * inverse;
        let weight = w2[j * outputs + k];
        let both = state[at.of_w2 + to];
        let u_bar = row_of_s::<F>(s, p, omega, both, k == top, rest, of_top, loss);
        d1_bar += u_bar * weight;
        state[at.of_w2 + to] = u_bar * d1 + g_bar * r;
        let r_bar = state[at.of_r + to];
        state[at.of_r + to] = r_bar * d1 + g_bar * weight;
    }
    let of_s = F::new(2.0) * w_t * state[at.traces + 2 * samples + n];
    let a_bar = w4q * contracted + of_s * a;
    state[at.of_hidden + i] = u_p;
    state[at.of_hidden + units + i] = q_bar_p;
    state[at.of_hidden + 2 * units + i] = a_bar * d1 + d1_bar * d2 + c_bar * g * d3;
}

/// ō, or for the softmax the p̄ that it comes from, one unit for each of \[N, K\].
#[cube(launch)]
pub(super) fn of_logits<F: Float>(
    s_contracted: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] loss: Loss,
) {
    let row = ABSOLUTE_POS;
    let samples = at.samples;
    let hidden = at.hidden;
    let outputs = at.outputs;
    let count = samples * outputs;
    if row >= count {
        terminate!();
    }
    let n = row / outputs;
    let k = row % outputs;
    let w2q = state[at.weights + 1];
    let of_trace = state[at.weights] * state[at.traces + samples + n];
    let mut r_bar = F::new(0.0);
    let mut diagonal = F::new(0.0);
    let mut by_p = F::new(0.0);
    for j in 0..hidden {
        let from = row * hidden + j;
        let q_bar = state[at.q_bar + from];
        let u = state[at.u + from];
        r_bar += state[at.of_r + from];
        diagonal += q_bar * u;
        if comptime!(loss == Loss::Softmax) {
            let i = at.of_hidden + n * hidden + j;
            by_p += q_bar * state[i] + u * state[i + samples * hidden];
        }
    }
    diagonal += w2q * s_contracted[row * outputs + k] + of_trace;
    let inverse = state[at.scale];
    let p = state[at.out + row];
    let s = state[at.out + 2 * count + row] * inverse;
    match comptime!(loss) {
        Loss::Softmax => {
            let mut symmetric = F::new(0.0);
            for l in 0..outputs {
                let mirrored = (n * outputs + l) * outputs + k;
                let both = s_contracted[row * outputs + l] + s_contracted[mirrored];
                symmetric += both * state[at.out + n * outputs + l];
            }
            by_p += w2q * symmetric + F::new(2.0) * of_trace * p;
            let omega = state[at.rows + n] * inverse;
            state[at.o_bar + row] = (diagonal - by_p + r_bar) * omega;
        }
        Loss::Sigmoid => {
            let slope = F::new(1.0) - F::new(2.0) * p;
            state[at.o_bar + row] = s * (r_bar + diagonal * slope);
        }
        Loss::Squared => {
            state[at.o_bar + row] = s * r_bar;
        }
    }
}

/// ō of the softmax from p̄, in its place; one unit for each sample.
///
/// Measured against the top class: a constant in p̄ has no effect, and p is almost one-hot there.
#[cube(launch)]
pub(super) fn through_softmax<F: Float>(state: &mut [F], at: Layout) {
    let n = ABSOLUTE_POS;
    if n >= at.samples {
        terminate!();
    }
    let p = at.out + n * at.outputs;
    let o_bar = at.o_bar + n * at.outputs;
    let top = u32::cast_from(state[at.rows + 2 * at.samples + n]) as usize;
    let reference = state[o_bar + top];
    let mut mean = F::new(0.0);
    for k in 0..at.outputs {
        mean += (state[o_bar + k] - reference) * state[p + k];
    }
    for k in 0..at.outputs {
        let beyond = state[o_bar + k] - reference;
        state[o_bar + k] = state[p + k] * (beyond - mean);
    }
}

/// z̄, one unit for each of \[N, h\]; `of_pairs` is what pairs of samples give ā.
#[cube(launch)]
pub(super) fn of_preactivations<F: Float>(
    w2: &[F],
    of_pairs: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] any_pairs: bool,
    #[comptime] any_blocks: bool,
) {
    let i = ABSOLUTE_POS;
    let units = at.samples * at.hidden;
    if i >= units {
        terminate!();
    }
    let n = i / at.hidden;
    let j = i % at.hidden;
    let mut contracted = F::new(0.0);
    if comptime!(any_pairs) {
        contracted += of_pairs[i];
    }
    if comptime!(any_blocks) {
        contracted += state[at.hidden_of_blocks + i];
    }
    let mut a_bar = state[at.weights + 2] * contracted;
    for k in 0..at.outputs {
        a_bar += state[at.o_bar + n * at.outputs + k] * w2[j * at.outputs + k];
    }
    let rest = state[at.of_hidden + 2 * units + i];
    state[at.z_bar + i] = rest + a_bar * state[at.derivatives + i];
}

/// The sums over samples: W̄2 \[h, K\], b̄2 \[K\] and b̄1 \[h\], one cube for each of them.
#[cube(launch)]
pub(super) fn of_parameters<F: Float>(
    w2_bar: &mut [F],
    b2_bar: &mut [F],
    b1_bar: &mut [F],
    state: &mut [F],
    at: Layout,
) {
    let hidden = at.hidden;
    let outputs = at.outputs;
    let of_weights = hidden * outputs;
    let sums = of_weights + outputs + hidden;
    // Cubes beyond the last sum repeat it: all units of a cube must meet at its barriers.
    let to = select(CUBE_POS < sums, CUBE_POS, sums - 1);
    let mut sum = F::new(0.0);
    let mut n = UNIT_POS as usize;
    while n < at.samples {
        if to < of_weights {
            let j = to / outputs;
            let row = n * outputs + to % outputs;
            let by_o = state[at.a + n * hidden + j] * state[at.o_bar + row];
            sum += state[at.of_w2 + row * hidden + j] + by_o;
        } else if to < of_weights + outputs {
            sum += state[at.o_bar + n * outputs + (to - of_weights)];
        } else {
            sum += state[at.z_bar + n * hidden + (to - of_weights - outputs)];
        }
        n += UNITS;
    }
    let sum = sum_over_cube::<F>(sum);
    if UNIT_POS == 0 {
        let value = sound::<F>(sum, state[at.weights + 3]);
        if to < of_weights {
            w2_bar[to] = value;
        } else if to < of_weights + outputs {
            b2_bar[to - of_weights] = value;
        } else {
            b1_bar[to - of_weights - outputs] = value;
        }
    }
}

/// W̄1 checked in its place, and where it is asked for x̄: `x_bar` holds z̄ W1ᵀ, `of_pairs` is what pairs of samples give it.
/// Each unit does its number of each.
#[cube(launch)]
pub(super) fn of_first_layer<F: Float>(
    x: &[F],
    of_pairs: &[F],
    w1_bar: &mut [F],
    x_bar: &mut [F],
    state: &mut [F],
    at: Layout,
    #[comptime] with_inputs: bool,
    #[comptime] any_pairs: bool,
    #[comptime] any_blocks: bool,
) {
    let i = ABSOLUTE_POS;
    if i < at.inputs * at.hidden {
        w1_bar[i] = sound::<F>(w1_bar[i], state[at.weights + 3]);
    }
    if comptime!(!with_inputs) {
        terminate!();
    }
    if i >= at.samples * at.inputs {
        terminate!();
    }
    let n = i / at.inputs;
    let mut contracted = F::new(0.0);
    if comptime!(any_pairs) {
        contracted += of_pairs[i];
    }
    if comptime!(any_blocks) {
        contracted += state[at.inputs_of_blocks + i];
    }
    let of_trace = F::new(2.0) * state[at.weights] * state[at.traces + 3 * at.samples + n] * x[i];
    let value = x_bar[i] + state[at.weights + 2] * contracted + of_trace;
    x_bar[i] = sound::<F>(value, state[at.weights + 3]);
}
