//! The per-sample quantities of theory §1: a kernel for each group of them.
//!
//! Buffers that hold several numbers for each sample have the kind of number outermost:
//!
//! * `derivatives`: φ', φ'', φ''' \[3, N, h\];
//! * `outputs`: p, r, the diagonal of S, before normalisation \[3, N, K\];
//! * `rows`: ω before normalisation, the sample's share of Σω, the class of the largest logit \[3, N\];
//! * `scale`: 1/σ, σ, whether a number is not finite \[3\];
//! * `traces`: ‖x̃‖², ‖ã‖², tr S, tr M \[4, N\].
//!
//! H is linear in (r, S, ω): kernels read them times 1/σ (theory §5). σ is found before Σω = 1 is imposed, for that
//! factor cancels in r/σ and S/σ.

use cubecl::prelude::*;

use super::activation::{Function, derivatives as derivatives_of};
use super::buffer::UNITS;
use super::common::{Loss, is_finite, max_over_cube, row_of_s, sum_over_cube};

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

/// a and the derivatives from z, one unit for each of \[N, h\].
#[cube(launch)]
pub(super) fn activate(
    z: &[f32],
    bias: &[f32],
    a: &mut [f32],
    derivatives: &mut [f32],
    slope: f32,
    count: usize,
    hidden: usize,
    #[comptime] with_bias: bool,
    #[comptime] function: Function,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let mut at = z[i];
    if comptime!(with_bias) {
        at += bias[i % hidden];
    }
    let d = derivatives_of(at, slope, function);
    a[i] = d.value;
    derivatives[i] = d.first;
    derivatives[count + i] = d.second;
    derivatives[2 * count + i] = d.third;
}

/// The label of a sample and an output, before smoothing.
#[cube]
fn label(
    values: &[f32],
    classes: &[i32],
    n: usize,
    k: usize,
    outputs: usize,
    #[comptime] labels: Labels,
) -> f32 {
    match comptime!(labels) {
        Labels::Values => values[n * outputs + k],
        Labels::Classes => select(classes[n] == i32::cast_from(k), 1.0, 0.0),
        Labels::Numbers => f32::cast_from(classes[n]),
        Labels::Single => f32::cast_from(1u32),
    }
}

/// Residual and curvature of every output, one unit for each sample.
#[cube(launch)]
pub(super) fn residuals(
    o: &[f32],
    bias: &[f32],
    values: &[f32],
    classes: &[i32],
    sample_weights: &[f32],
    class_weights: &[f32],
    out: &mut [f32],
    rows: &mut [f32],
    smoothing: f32,
    samples: usize,
    outputs: usize,
    #[comptime] with_bias: bool,
    #[comptime] loss: Loss,
    #[comptime] labels: Labels,
    #[comptime] with_sample_weights: bool,
    #[comptime] with_class_weights: bool,
) {
    let n = ABSOLUTE_POS;
    if n >= samples {
        terminate!();
    }
    let count = samples * outputs;
    let mut omega = f32::cast_from(1u32);
    if comptime!(with_sample_weights) {
        omega = sample_weights[n];
    }
    let mut share = omega;
    // Class weights turn the labels into a distribution again and scale ω with what they summed to.
    let mut divisor = f32::cast_from(1u32);
    let keep = 1.0 - smoothing;
    let spread = smoothing / f32::cast_from(outputs);
    if comptime!(with_class_weights) {
        let mut of_hard = f32::cast_from(0u32);
        let mut total = f32::cast_from(0u32);
        for k in 0..outputs {
            let y = label(values, classes, n, k, outputs, labels);
            of_hard += y * class_weights[k];
            total += (y * keep + spread) * class_weights[k];
        }
        if comptime!(labels != Labels::Values) {
            share = omega * of_hard;
        }
        if total != 0.0 {
            divisor = total;
        }
        omega *= total;
    }

    // The logits with their bias, kept where p will be.
    let mut top = 0usize;
    let mut largest = f32::cast_from(0u32);
    for k in 0..outputs {
        let mut logit = o[n * outputs + k];
        if comptime!(with_bias) {
            logit += bias[k];
        }
        out[n * outputs + k] = logit;
        if k == 0 || logit > largest {
            top = k;
            largest = logit;
        }
    }
    let mut rest = f32::cast_from(0u32);
    if comptime!(loss == Loss::Softmax) {
        for k in 0..outputs {
            if k != top {
                rest += (out[n * outputs + k] - largest).exp();
            }
        }
    }
    let scale = 1.0 / (1.0 + rest);

    for k in 0..outputs {
        let i = n * outputs + k;
        let logit = out[i];
        let mut y = label(values, classes, n, k, outputs, labels) * keep + spread;
        if comptime!(with_class_weights) {
            y = y * class_weights[k] / divisor;
        }
        match comptime!(loss) {
            Loss::Softmax => {
                let p = (logit - largest).exp() * scale;
                // 1 − p of the top class is rest/(1 + rest); formed as a difference it would cancel.
                let complement = select(k == top, rest * scale, 1.0 - p);
                let difference = select(k == top, (1.0 - y) - complement, p - y);
                out[i] = p;
                out[count + i] = difference * omega;
                out[2 * count + i] = p * complement * omega;
            }
            Loss::Sigmoid => {
                let e = (-logit.abs()).exp();
                let large = 1.0 / (1.0 + e);
                let small = e * large;
                let weight = omega / f32::cast_from(outputs);
                let difference = select(logit < 0.0, small - y, (1.0 - y) - small);
                out[i] = select(logit < 0.0, small, large);
                out[count + i] = difference * weight;
                out[2 * count + i] = large * small * weight;
            }
            Loss::Squared => {
                let weight = 2.0 * omega / f32::cast_from(outputs);
                out[i] = f32::cast_from(0u32);
                out[count + i] = (logit - y) * weight;
                out[2 * count + i] = weight;
            }
        }
    }
    rows[n] = omega;
    rows[samples + n] = share;
    rows[2 * samples + n] = f32::cast_from(top);
}

/// σ, the largest |r| or |S|, and Σω; one cube.
#[cube(launch)]
pub(super) fn scale_of(
    out: &[f32],
    rows: &[f32],
    scale: &mut [f32],
    samples: usize,
    outputs: usize,
) {
    let count = samples * outputs;
    let mut largest = f32::cast_from(0u32);
    let mut broken = f32::cast_from(0u32);
    let mut i = UNIT_POS as usize;
    while i < 2 * count {
        let size = out[count + i].abs();
        if is_finite(size) {
            if size > largest {
                largest = size;
            }
        } else {
            broken = f32::cast_from(1u32);
        }
        i += UNITS;
    }
    let mut share = f32::cast_from(0u32);
    let mut n = UNIT_POS as usize;
    while n < samples {
        share += rows[samples + n];
        n += UNITS;
    }
    let largest = max_over_cube(largest);
    let share = sum_over_cube(share);
    let broken = max_over_cube(broken);
    if UNIT_POS == 0 {
        // The smallest number that has a reciprocal.
        if largest < 1.175_494_4e-38 {
            scale[0] = 0.0;
            scale[1] = 1.0;
        } else {
            scale[0] = 1.0 / largest;
            scale[1] = largest / share;
        }
        // Weights that sum to nothing leave no mean.
        scale[2] = select(share == 0.0, 1.0, broken);
    }
}

/// S, one unit for each of \[N, K, K\].
#[cube(launch)]
pub(super) fn curvature(
    out: &[f32],
    rows: &[f32],
    scale: &[f32],
    s: &mut [f32],
    samples: usize,
    outputs: usize,
    #[comptime] loss: Loss,
) {
    let i = ABSOLUTE_POS;
    if i >= samples * outputs * outputs {
        terminate!();
    }
    let l = i % outputs;
    let row = i / outputs;
    let n = row / outputs;
    let k = row % outputs;
    let mut value = f32::cast_from(0u32);
    if k == l {
        value = out[2 * samples * outputs + row] * scale[0];
    } else if comptime!(loss == Loss::Softmax) {
        value = -(out[row] * (out[n * outputs + l] * (rows[n] * scale[0])));
    }
    s[i] = value;
}

/// U, Q = S U and R = r φ'ᵀ \[N, K, h\], and R + 2F with F = Q∘a where pairs of samples need it; one unit for each of
/// \[N, h\].
#[cube(launch)]
pub(super) fn jacobians(
    w2: &[f32],
    derivatives: &[f32],
    a: &[f32],
    out: &[f32],
    rows: &[f32],
    scale: &[f32],
    u: &mut [f32],
    q: &mut [f32],
    r: &mut [f32],
    coupled: &mut [f32],
    samples: usize,
    hidden: usize,
    outputs: usize,
    #[comptime] loss: Loss,
    #[comptime] pairs: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= samples * hidden {
        terminate!();
    }
    let n = i / hidden;
    let j = i % hidden;
    let count = samples * outputs;
    let inverse = scale[0];
    let omega = rows[n] * inverse;
    let top = u32::cast_from(rows[2 * samples + n]) as usize;
    let d1 = derivatives[i];
    let of_top = out[n * outputs + top] * w2[j * outputs + top] * d1;
    let mut rest = f32::cast_from(0u32);
    if comptime!(loss == Loss::Softmax) {
        for k in 0..outputs {
            if k != top {
                rest += out[n * outputs + k] * w2[j * outputs + k] * d1;
            }
        }
    }
    for k in 0..outputs {
        let row = n * outputs + k;
        let to = row * hidden + j;
        let of_u = w2[j * outputs + k] * d1;
        let s = out[2 * count + row] * inverse;
        let of_q = row_of_s(s, out[row], omega, of_u, k == top, rest, of_top, loss);
        let of_r = out[count + row] * inverse * d1;
        u[to] = of_u;
        q[to] = of_q;
        r[to] = of_r;
        if comptime!(pairs) {
            coupled[to] = of_r + 2.0 * of_q * a[i];
        }
    }
}

/// M = UᵀQ + diag(c), one unit for each of \[N, h, h\].
#[cube(launch)]
pub(super) fn hidden_hessian(
    u: &[f32],
    q: &[f32],
    w2: &[f32],
    derivatives: &[f32],
    out: &[f32],
    scale: &[f32],
    m: &mut [f32],
    samples: usize,
    hidden: usize,
    outputs: usize,
) {
    let to = ABSOLUTE_POS;
    if to >= samples * hidden * hidden {
        terminate!();
    }
    let j = to % hidden;
    let row = to / hidden;
    let n = row / hidden;
    let i = row % hidden;
    let mut sum = f32::cast_from(0u32);
    for k in 0..outputs {
        let from = (n * outputs + k) * hidden;
        sum += u[from + i] * q[from + j];
    }
    if i == j {
        let mut g = f32::cast_from(0u32);
        for k in 0..outputs {
            g += out[samples * outputs + n * outputs + k] * scale[0] * w2[i * outputs + k];
        }
        sum += g * derivatives[samples * hidden + n * hidden + i];
    }
    m[to] = sum;
}

/// The norms and traces of the moment t, one cube for each sample.
#[cube(launch)]
pub(super) fn traces_of(
    x: &[f32],
    a: &[f32],
    out: &[f32],
    m: &[f32],
    scale: &[f32],
    traces: &mut [f32],
    samples: usize,
    inputs: usize,
    hidden: usize,
    outputs: usize,
    #[comptime] hidden_bias: bool,
    #[comptime] output_bias: bool,
) {
    // Cubes beyond the last sample repeat it: all units of a cube must meet at its barriers.
    let n = select(CUBE_POS < samples, CUBE_POS, samples - 1);
    let unit = UNIT_POS as usize;
    let mut of_x = f32::cast_from(0u32);
    let mut i = unit;
    while i < inputs {
        let value = x[n * inputs + i];
        of_x += value * value;
        i += UNITS;
    }
    let mut of_a = f32::cast_from(0u32);
    let mut of_m = f32::cast_from(0u32);
    let mut j = unit;
    while j < hidden {
        let value = a[n * hidden + j];
        of_a += value * value;
        of_m += m[(n * hidden + j) * hidden + j];
        j += UNITS;
    }
    let mut of_s = f32::cast_from(0u32);
    let mut k = unit;
    while k < outputs {
        of_s += out[2 * samples * outputs + n * outputs + k] * scale[0];
        k += UNITS;
    }
    let mut of_x = sum_over_cube(of_x);
    let mut of_a = sum_over_cube(of_a);
    let of_s = sum_over_cube(of_s);
    let of_m = sum_over_cube(of_m);
    if unit == 0 {
        if comptime!(hidden_bias) {
            of_x += 1.0;
        }
        if comptime!(output_bias) {
            of_a += 1.0;
        }
        traces[n] = of_x;
        traces[samples + n] = of_a;
        traces[2 * samples + n] = of_s;
        traces[3 * samples + n] = of_m;
    }
}
