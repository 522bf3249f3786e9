//! The mean squared error over the outputs, which may have weights.

use crate::error::Error;
use crate::numeric::scalar::Scalar;
use crate::problem::loss::definition::Loss;
use crate::problem::loss::rows::Residuals;

pub(super) struct Squared;

impl Loss for Squared {
    const NAME: &'static str = "mean squared error";
    const WEIGHS_OUTPUTS: bool = true;

    fn check<T: Scalar>(_: &[T], _: usize) -> Result<(), Error> {
        Ok(())
    }

    #[inline(always)]
    fn residuals<T: Scalar>(rows: Residuals<T>, _: bool) {
        let (n, outputs) = (rows.stride, rows.outputs);
        let share = T::one() / T::of(outputs as f64);
        let two = T::of(2.0);
        rows.losses.fill(T::zero());
        for k in 0..outputs {
            for i in 0..n {
                let at = k * n + i;
                let difference = rows.o[at] - rows.y[at];
                let share = match rows.output_weights.get(at) {
                    Some(&weight) => share * weight,
                    None => share,
                };
                let weight = two * share * rows.omega[i];
                rows.r[at] = weight * difference;
                rows.s_diagonal[at] = weight;
                rows.losses[i] += share * difference * difference;
            }
        }
    }
}
