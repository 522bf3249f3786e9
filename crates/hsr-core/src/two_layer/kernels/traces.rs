//! What t = Σ tr S · ‖ã‖² + tr M · ‖x̃‖² needs of every sample.

use pulp::Simd;

use crate::numeric::buffer::fit;
use crate::numeric::number::Number;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::kernels::{RUN, runs};
use crate::two_layer::samples::Forward;

/// ‖x̃‖², ‖ã‖², tr S and tr M.
#[inline(always)]
pub(crate) fn norms_and_traces<T: Number, S: Simd>(unit: Unit<T, S>, f: &mut Forward<T>) {
    let n = f.stride;
    for sums in [
        &mut f.x_squared,
        &mut f.a_squared,
        &mut f.trace_s,
        &mut f.trace_m,
    ] {
        fit(sums, n);
    }
    let (long, short) = runs::<T, S>(0..n);
    for from in long {
        of_run::<T, S, RUN>(unit, f, from);
    }
    for from in short {
        of_run::<T, S, 1>(unit, f, from);
    }
}

#[inline(always)]
fn of_run<T: Number, S: Simd, const V: usize>(unit: Unit<T, S>, f: &mut Forward<T>, from: usize) {
    let dims = f.dims();
    let n = f.stride;
    let x_squared = products::<T, S, V>(unit, &f.x, &f.x, n, dims.inputs_extended(), from);
    let a_squared = products::<T, S, V>(unit, &f.a, &f.a, n, dims.hidden_extended(), from);
    let units = dims.hidden * f.rank;
    let mut trace_m = products::<T, S, V>(unit, &f.u_basis, &f.q_basis, n, units, from);
    let mut trace_s = unit.zeros::<V>();
    for (sum, data, rows) in [
        (&mut trace_s, &f.s_diagonal, dims.outputs),
        (&mut trace_m, &f.c, dims.hidden),
    ] {
        for i in 0..rows {
            let values = unit.load_run::<V>(data, i * n + from);
            for v in 0..V {
                sum[v] = unit.plus(sum[v], values[v]);
            }
        }
    }
    unit.store_run(&x_squared, &mut f.x_squared, from);
    unit.store_run(&a_squared, &mut f.a_squared, from);
    unit.store_run(&trace_s, &mut f.trace_s, from);
    unit.store_run(&trace_m, &mut f.trace_m, from);
}

/// Σ left·right over `rows` rows.
#[inline(always)]
fn products<T: Number, S: Simd, const V: usize>(
    unit: Unit<T, S>,
    left: &[T],
    right: &[T],
    n: usize,
    rows: usize,
    from: usize,
) -> [Vector<T, S>; V] {
    let mut sums = unit.zeros::<V>();
    for i in 0..rows {
        let left = unit.load_run::<V>(left, i * n + from);
        let right = unit.load_run::<V>(right, i * n + from);
        for v in 0..V {
            unit.add_to(&mut sums[v], left[v], right[v]);
        }
    }
    sums
}
