//! The two moments, and the weights that they give the gradient (theory §3 and §4).

use cubecl::prelude::*;

use super::buffer::UNITS;
use super::common::{is_finite, sum_over_cube};

/// What is descended.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Measure {
    LambdaSup,
    Trace,
    Frobenius,
}

/// Parts of q, one for each cube: ⟨u1,v1⟩ + ⟨u2,v2⟩ + 2⟨u3,v3⟩ + 2⟨u4,v4⟩ for the output, the hidden and the cross
/// block, the last in two terms. An assembled block is paired with itself.
#[cube(launch)]
pub(super) fn parts_of_q(
    u1: &[f32],
    v1: &[f32],
    u2: &[f32],
    v2: &[f32],
    u3: &[f32],
    v3: &[f32],
    u4: &[f32],
    v4: &[f32],
    parts: &mut [f32],
    output: usize,
    hidden: usize,
    cross: usize,
    coupled: usize,
    cubes: usize,
) {
    let stride = cubes * UNITS;
    // Cubes beyond the last start beyond the end of everything.
    let start = CUBE_POS * UNITS + UNIT_POS as usize;
    let mut sum = f32::cast_from(0u32);
    let mut i = start;
    while i < output {
        sum += u1[i] * v1[i];
        i += stride;
    }
    let mut i = start;
    while i < hidden {
        sum += u2[i] * v2[i];
        i += stride;
    }
    let mut of_cross = f32::cast_from(0u32);
    let mut i = start;
    while i < cross {
        of_cross += u3[i] * v3[i];
        i += stride;
    }
    let mut i = start;
    while i < coupled {
        of_cross += u4[i] * v4[i];
        i += stride;
    }
    let sum = sum_over_cube(sum + 2.0 * of_cross);
    if UNIT_POS == 0 && CUBE_POS < cubes {
        parts[CUBE_POS] = sum;
    }
}

/// The value \[1\], and the weights w_t, 2w_q and 4w_q, all times σ, with whether the value overflowed \[4\]; one cube.
#[cube(launch)]
pub(super) fn moments(
    parts: &[f32],
    traces: &[f32],
    scale: &[f32],
    value: &mut [f32],
    weights: &mut [f32],
    cubes: usize,
    samples: usize,
    parameters: f32,
    root: f32,
    infinity: u32,
    #[comptime] measure: Measure,
) {
    let mut q = f32::cast_from(0u32);
    let mut i = UNIT_POS as usize;
    while i < cubes {
        q += parts[i];
        i += UNITS;
    }
    let mut t = f32::cast_from(0u32);
    let mut n = UNIT_POS as usize;
    while n < samples {
        let of_s = traces[2 * samples + n] * traces[samples + n];
        let of_m = traces[3 * samples + n] * traces[n];
        t += of_s + of_m;
        n += UNITS;
    }
    let q = sum_over_cube(q);
    let t = sum_over_cube(t);
    if UNIT_POS == 0 {
        let mut of_h = t;
        let mut w_t = f32::cast_from(1u32);
        let mut w_q = f32::cast_from(0u32);
        match comptime!(measure) {
            Measure::Trace => {}
            Measure::Frobenius => {
                of_h = q.sqrt();
                w_t = 0.0;
                if q >= 1.175_494_4e-38 {
                    w_q = 0.5 / of_h;
                }
            }
            Measure::LambdaSup => {
                let mean = t / parameters;
                let square = q / parameters;
                let variance = square - mean * mean;
                of_h = mean;
                w_t = 1.0 / parameters;
                // What is left of a difference of rounded numbers is no variance: 8 epsilon.
                let degenerate = variance <= square * 9.536_743e-7;
                if !degenerate {
                    let std = variance.sqrt();
                    of_h += std * root;
                    w_t -= t / std * (root / (parameters * parameters));
                    w_q = root / (2.0 * parameters) / std;
                }
            }
        }
        let sigma = scale[1];
        of_h *= sigma;
        let sound = is_finite(of_h) && scale[2] == 0.0;
        // An overflow leaves a bound of +∞ and no step, never NaN.
        value[0] = select(sound, of_h, f32::reinterpret(infinity));
        weights[0] = w_t * sigma;
        weights[1] = 2.0 * w_q * sigma;
        weights[2] = 4.0 * w_q * sigma;
        weights[3] = select(sound, 0.0, 1.0);
    }
}
