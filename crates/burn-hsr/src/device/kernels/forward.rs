//! The per-sample quantities of theory §1: a kernel for each group of them.

use cubecl::prelude::*;

use super::activation::{Function, derivatives as derivatives_of, exp};
use super::buffer::UNITS;
use super::common::{Loss, constant, is_finite, max_over_cube, row_of_s, smallest, sum_over_cube};
use super::layout::Layout;

/// What the targets are.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Labels {
    /// Numbers \[N, K\].
    Values,
    /// Class indices \[N\] among several.
    Classes,
    /// Class indices \[N\] that are themselves the values of the one output.
    Numbers,
    /// The one class there is.
    Single,
}

/// The targets, as a kernel is compiled for them.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) struct Kind {
    pub loss: Loss,
    pub labels: Labels,
    pub sample_weights: bool,
    pub class_weights: bool,
    /// Its bits.
    pub smoothing: u64,
}

/// a and the derivatives from z, one unit for each of \[N, h\].
#[cube(launch)]
pub(super) fn activate<F: Float>(
    z: &[F],
    bias: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] with_bias: bool,
    #[comptime] function: Function,
) {
    let i = ABSOLUTE_POS;
    let units = at.samples * at.hidden;
    if i >= units {
        terminate!();
    }
    let mut point = z[i];
    if comptime!(with_bias) {
        point += bias[i % at.hidden];
    }
    let d = derivatives_of::<F>(point, function);
    state[at.a + i] = d.value;
    state[at.derivatives + i] = d.first;
    state[at.derivatives + units + i] = d.second;
    state[at.derivatives + 2 * units + i] = d.third;
}

/// The label of a sample and an output, before smoothing.
#[cube]
fn label<F: Float>(
    values: &[F],
    classes: &[i32],
    n: usize,
    k: usize,
    outputs: usize,
    #[comptime] labels: Labels,
) -> F {
    match comptime!(labels) {
        Labels::Values => values[n * outputs + k],
        Labels::Classes => select(classes[n] == i32::cast_from(k), F::new(1.0), F::new(0.0)),
        Labels::Numbers => F::cast_from(classes[n]),
        Labels::Single => F::new(1.0),
    }
}

/// Residual and curvature of every output, one unit for each sample.
#[cube(launch)]
pub(super) fn residuals<F: Float>(
    o: &[F],
    bias: &[F],
    values: &[F],
    classes: &[i32],
    sample_weights: &[F],
    class_weights: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] with_bias: bool,
    #[comptime] kind: Kind,
) {
    let n = ABSOLUTE_POS;
    if n >= at.samples {
        terminate!();
    }
    let outputs = at.outputs;
    let count = at.samples * outputs;
    let first = at.out + n * outputs;
    let zero = F::new(0.0);
    let one = F::new(1.0);
    let mut omega = F::new(1.0);
    if comptime!(kind.sample_weights) {
        omega = sample_weights[n];
    }
    let mut share = omega;
    // Class weights turn the labels into a distribution again and scale ω with what they summed to.
    let mut divisor = F::new(1.0);
    let smoothing = constant::<F>(comptime!(f64::from_bits(kind.smoothing)));
    let keep = one - smoothing;
    let spread = smoothing / F::cast_from(outputs);
    if comptime!(kind.class_weights) {
        let mut of_hard = F::new(0.0);
        let mut total = F::new(0.0);
        for k in 0..outputs {
            let y = label::<F>(values, classes, n, k, outputs, comptime!(kind.labels));
            of_hard += y * class_weights[k];
            total += (y * keep + spread) * class_weights[k];
        }
        if comptime!(kind.labels != Labels::Values) {
            share = omega * of_hard;
        }
        if total != zero {
            divisor = total;
        }
        omega *= total;
    }

    // The logits with their bias, kept where p will be.
    let mut top = 0usize;
    let mut largest = F::new(0.0);
    for k in 0..outputs {
        let mut logit = o[n * outputs + k];
        if comptime!(with_bias) {
            logit += bias[k];
        }
        state[first + k] = logit;
        if k == 0 || logit > largest {
            top = k;
            largest = logit;
        }
    }
    let mut rest = F::new(0.0);
    if comptime!(kind.loss == Loss::Softmax) {
        for k in 0..outputs {
            if k != top {
                rest += exp::<F>(state[first + k] - largest);
            }
        }
    }
    let scale = one / (one + rest);

    for k in 0..outputs {
        let i = first + k;
        let logit = state[i];
        let mut y =
            label::<F>(values, classes, n, k, outputs, comptime!(kind.labels)) * keep + spread;
        if comptime!(kind.class_weights) {
            y = y * class_weights[k] / divisor;
        }
        match comptime!(kind.loss) {
            Loss::Softmax => {
                let p = exp::<F>(logit - largest) * scale;
                // 1 − p of the top class is rest/(1 + rest); formed as a difference it would cancel.
                let complement = select(k == top, rest * scale, one - p);
                let difference = select(k == top, (one - y) - complement, p - y);
                state[i] = p;
                state[count + i] = difference * omega;
                state[2 * count + i] = p * complement * omega;
            }
            Loss::Sigmoid => {
                let e = exp::<F>(-logit.abs());
                let large = one / (one + e);
                let small = e * large;
                let weight = omega / F::cast_from(outputs);
                let negative = logit < zero;
                let difference = select(negative, small - y, (one - y) - small);
                state[i] = select(negative, small, large);
                state[count + i] = difference * weight;
                state[2 * count + i] = large * small * weight;
            }
            Loss::Squared => {
                let weight = F::new(2.0) * omega / F::cast_from(outputs);
                state[i] = zero;
                state[count + i] = (logit - y) * weight;
                state[2 * count + i] = weight;
            }
        }
    }
    state[at.rows + n] = omega;
    state[at.rows + at.samples + n] = share;
    state[at.rows + 2 * at.samples + n] = F::cast_from(top);
}

/// σ, the largest |r| or |S|, and Σω; one cube.
#[cube(launch)]
pub(super) fn scale_of<F: Float>(state: &mut [F], at: Layout) {
    let count = at.samples * at.outputs;
    let mut largest = F::new(0.0);
    let mut broken = F::new(0.0);
    let mut i = UNIT_POS as usize;
    while i < 2 * count {
        let size = state[at.out + count + i].abs();
        if is_finite::<F>(size) {
            if size > largest {
                largest = size;
            }
        } else {
            broken = F::new(1.0);
        }
        i += UNITS;
    }
    let mut share = F::new(0.0);
    let mut n = UNIT_POS as usize;
    while n < at.samples {
        share += state[at.rows + at.samples + n];
        n += UNITS;
    }
    let largest = max_over_cube::<F>(largest);
    let share = sum_over_cube::<F>(share);
    let broken = max_over_cube::<F>(broken);
    if UNIT_POS == 0 {
        if largest < smallest::<F>() {
            state[at.scale] = F::new(0.0);
            state[at.scale + 1] = F::new(1.0);
        } else {
            state[at.scale] = F::new(1.0) / largest;
            state[at.scale + 1] = largest / share;
        }
        // Weights that sum to nothing leave no mean.
        state[at.scale + 2] = select(share == F::new(0.0), F::new(1.0), broken);
    }
}

/// A number of S \[N, K, K\].
#[cube]
fn curvature<F: Float>(i: usize, state: &mut [F], at: &Layout, #[comptime] loss: Loss) {
    let outputs = at.outputs;
    let l = i % outputs;
    let row = i / outputs;
    let n = row / outputs;
    let k = row % outputs;
    let inverse = state[at.scale];
    let mut value = F::new(0.0);
    if k == l {
        value = state[at.out + 2 * at.samples * outputs + row] * inverse;
    } else if comptime!(loss == Loss::Softmax) {
        let omega = state[at.rows + n] * inverse;
        value = -(state[at.out + row] * (state[at.out + n * outputs + l] * omega));
    }
    state[at.s + i] = value;
}

/// S \[N, K, K\], c \[N, h\], and U, Q = S U and R = r φ'ᵀ \[N, K, h\], with R + 2F for F = Q∘a where pairs of samples need
/// it; each unit does its number of S and its one of \[N, h\].
#[cube(launch)]
pub(super) fn jacobians<F: Float>(
    w2: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] loss: Loss,
    #[comptime] pairs: bool,
) {
    let i = ABSOLUTE_POS;
    let hidden = at.hidden;
    let outputs = at.outputs;
    if i < at.samples * outputs * outputs {
        curvature::<F>(i, state, &at, loss);
    }
    if i >= at.samples * hidden {
        terminate!();
    }
    let n = i / hidden;
    let j = i % hidden;
    let count = at.samples * outputs;
    let first = at.out + n * outputs;
    let inverse = state[at.scale];
    let omega = state[at.rows + n] * inverse;
    let top = u32::cast_from(state[at.rows + 2 * at.samples + n]) as usize;
    let a = state[at.a + i];
    let d1 = state[at.derivatives + i];
    let of_top = state[first + top] * w2[j * outputs + top] * d1;
    let mut rest = F::new(0.0);
    if comptime!(loss == Loss::Softmax) {
        for k in 0..outputs {
            if k != top {
                rest += state[first + k] * w2[j * outputs + k] * d1;
            }
        }
    }
    let mut g = F::new(0.0);
    for k in 0..outputs {
        let to = (n * outputs + k) * hidden + j;
        let weight = w2[j * outputs + k];
        let of_u = weight * d1;
        let p = state[first + k];
        let s = state[2 * count + first + k] * inverse;
        let of_q = row_of_s::<F>(s, p, omega, of_u, k == top, rest, of_top, loss);
        let r = state[count + first + k] * inverse;
        let of_r = r * d1;
        g += r * weight;
        state[at.u + to] = of_u;
        state[at.q + to] = of_q;
        state[at.r + to] = of_r;
        if comptime!(pairs) {
            state[at.coupled + to] = of_r + F::new(2.0) * of_q * a;
        }
    }
    state[at.c + i] = g * state[at.derivatives + at.samples * hidden + i];
}

/// So many rows of M = UᵀQ + diag(c) from a `first` one on, one unit for each of \[N, rows, h\].
#[cube(launch)]
pub(super) fn hidden_hessian<F: Float>(state: &mut [F], at: Layout, first: usize, rows: usize) {
    let to = ABSOLUTE_POS;
    let hidden = at.hidden;
    let outputs = at.outputs;
    if to >= at.samples * rows * hidden {
        terminate!();
    }
    let j = to % hidden;
    let row = to / hidden;
    let n = row / rows;
    let i = first + row % rows;
    let mut sum = F::new(0.0);
    for k in 0..outputs {
        let from = (n * outputs + k) * hidden;
        sum += state[at.u + from + i] * state[at.q + from + j];
    }
    if i == j {
        sum += state[at.c + n * hidden + i];
    }
    state[at.m + to] = sum;
}

/// The norms and traces of the moment t, one cube for each sample.
#[cube(launch)]
pub(super) fn traces_of<F: Float>(x: &[F], state: &mut [F], at: Layout) {
    // Cubes beyond the last sample repeat it: all units of a cube must meet at its barriers.
    let n = select(CUBE_POS < at.samples, CUBE_POS, at.samples - 1);
    let unit = UNIT_POS as usize;
    let mut of_x = F::new(0.0);
    let mut i = unit;
    while i < at.inputs {
        let value = x[n * at.inputs + i];
        of_x += value * value;
        i += UNITS;
    }
    let mut of_a = F::new(0.0);
    let mut of_m = F::new(0.0);
    let mut j = unit;
    while j < at.hidden {
        let value = state[at.a + n * at.hidden + j];
        of_a += value * value;
        of_m += state[at.c + n * at.hidden + j];
        for k in 0..at.outputs {
            let from = (n * at.outputs + k) * at.hidden + j;
            of_m += state[at.u + from] * state[at.q + from];
        }
        j += UNITS;
    }
    let inverse = state[at.scale];
    let mut of_s = F::new(0.0);
    let mut k = unit;
    while k < at.outputs {
        of_s += state[at.out + (2 * at.samples + n) * at.outputs + k] * inverse;
        k += UNITS;
    }
    let of_x = sum_over_cube::<F>(of_x);
    let of_a = sum_over_cube::<F>(of_a);
    let of_s = sum_over_cube::<F>(of_s);
    let of_m = sum_over_cube::<F>(of_m);
    if unit == 0 {
        state[at.traces + n] = of_x + F::cast_from(at.inputs_extended - at.inputs);
        state[at.traces + at.samples + n] = of_a + F::cast_from(at.hidden_extended - at.hidden);
        state[at.traces + 2 * at.samples + n] = of_s;
        state[at.traces + 3 * at.samples + n] = of_m;
    }
}
