//! The two moments, and the weights that they give the gradient (theory §3 and §4).

use cubecl::prelude::*;

use super::buffer::UNITS;
use super::common::{by_precision, constant, double_precision, is_finite, smallest, sum_over_cube};
use super::layout::{Blocks, Layout};

/// What is descended.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(super) enum Measure {
    LambdaSup,
    Trace,
    Frobenius,
}

/// Parts of q that the output and the cross block give, one for each cube: the inner products of a block's samples with
/// their contraction, or of an assembled block with itself. The cross block counts twice, and with pairs has a second
/// product, of R + 2F with `coupled` = Σ G R.
#[cube(launch)]
pub(super) fn parts_of_q<F: Float>(
    output: &[F],
    cross: &[F],
    coupled: &[F],
    state: &mut [F],
    at: Layout,
    #[comptime] gram: Blocks,
) {
    let stride = at.cubes * UNITS;
    // Cubes beyond the last start beyond the end of everything.
    let start = CUBE_POS * UNITS + UNIT_POS as usize;
    let mut sum = F::new(0.0);
    let mut i = start;
    if comptime!(gram.output) {
        while i < at.samples * at.outputs * at.outputs {
            sum += state[at.s + i] * output[i];
            i += stride;
        }
    } else {
        let row = at.hidden_extended * at.outputs;
        while i < row * row {
            sum += output[i] * output[i];
            i += stride;
        }
    }
    let mut of_cross = F::new(0.0);
    let mut i = start;
    if comptime!(gram.cross) {
        while i < at.samples * at.hidden * at.outputs {
            of_cross += state[at.q + i] * cross[i] + state[at.coupled + i] * coupled[i];
            i += stride;
        }
    } else {
        while i < at.outputs * at.hidden * at.hidden_extended * at.inputs_extended {
            of_cross += cross[i] * cross[i];
            i += stride;
        }
    }
    let sum = sum_over_cube::<F>(sum + F::new(2.0) * of_cross);
    if UNIT_POS == 0 && CUBE_POS < at.cubes {
        state[at.parts + CUBE_POS] = sum;
    }
}

/// The value \[1\], and the weights of the gradient; one cube.
#[cube(launch)]
pub(super) fn moments<F: Float>(
    value: &mut [F],
    state: &mut [F],
    at: Layout,
    parameters: usize,
    infinity: u32,
    #[comptime] measure: Measure,
) {
    let samples = at.samples;
    let mut q = F::new(0.0);
    let mut i = UNIT_POS as usize;
    while i < at.all_parts {
        q += state[at.parts + i];
        i += UNITS;
    }
    let mut t = F::new(0.0);
    let mut n = UNIT_POS as usize;
    while n < samples {
        let of_s = state[at.traces + 2 * samples + n] * state[at.traces + samples + n];
        let of_m = state[at.traces + 3 * samples + n] * state[at.traces + n];
        t += of_s + of_m;
        n += UNITS;
    }
    let q = sum_over_cube::<F>(q);
    let t = sum_over_cube::<F>(t);
    if UNIT_POS == 0 {
        let count = F::cast_from(parameters);
        let mut of_h = t;
        let mut w_t = F::new(1.0);
        let mut w_q = F::new(0.0);
        match comptime!(measure) {
            Measure::Trace => {}
            Measure::Frobenius => {
                of_h = q.sqrt();
                w_t = F::new(0.0);
                if q >= smallest::<F>() {
                    w_q = F::new(0.5) / of_h;
                }
            }
            Measure::LambdaSup => {
                let root = (count - F::new(1.0)).sqrt();
                let mean = t / count;
                let square = q / count;
                let variance = square - mean * mean;
                of_h = mean;
                w_t = F::new(1.0) / count;
                // What is left of a difference of rounded numbers is no variance.
                let double = double_precision::<F>();
                let rounding = constant::<F>(comptime!(
                    8.0 * by_precision(double, f64::from(f32::EPSILON), f64::EPSILON)
                ));
                let degenerate = variance <= square * rounding;
                if !degenerate {
                    let std = variance.sqrt();
                    of_h += std * root;
                    w_t -= t / std * (root / (count * count));
                    w_q = root / (F::new(2.0) * count) / std;
                }
            }
        }
        let sigma = state[at.scale + 1];
        of_h *= sigma;
        let sound = is_finite::<F>(of_h) && state[at.scale + 2] == F::new(0.0);
        // An overflow leaves a bound of +∞ and no step, never NaN.
        value[0] = select(sound, of_h, F::cast_from(f32::reinterpret(infinity)));
        state[at.weights] = w_t * sigma;
        state[at.weights + 1] = F::new(2.0) * w_q * sigma;
        state[at.weights + 2] = F::new(4.0) * w_q * sigma;
        state[at.weights + 3] = select(sound, F::new(0.0), F::new(1.0));
    }
}
