//! The sigmoid cross-entropy of each output, its mean over the outputs; targets in 0…1.

use crate::error::Error;
use crate::numeric::scalar::Scalar;
use crate::problem::loss::definition::Loss;
use crate::problem::loss::rows::Residuals;

pub(super) struct Sigmoid;

impl Loss for Sigmoid {
    const NAME: &'static str = "sigmoid cross-entropy";

    /// One logistic output tells two classes apart.
    fn classes(outputs: usize) -> usize {
        outputs.max(2)
    }

    fn check<T: Scalar>(values: &[T], _: usize) -> Result<(), Error> {
        match values.iter().find(|&&y| y < T::zero() || y > T::one()) {
            Some(value) => Err(Error::Range {
                what: "a target of the sigmoid cross-entropy",
                value: value.as_f64(),
                expected: "a number in 0…1",
            }),
            None => Ok(()),
        }
    }

    #[inline(always)]
    fn residuals<T: Scalar>(rows: Residuals<T>, with_loss: bool) {
        let (n, outputs) = (rows.stride, rows.outputs);
        let share = T::one() / T::of(outputs as f64);
        rows.losses.fill(T::zero());
        for k in 0..outputs {
            for i in 0..n {
                let at = k * n + i;
                let (o, y) = (rows.o[at], rows.y[at]);
                let e = (-o.abs()).exp_decay();
                let scale = T::one() / (T::one() + e);
                let (large, small) = (scale, e * scale);
                let weight = share * rows.omega[i];
                // The difference p − y is taken on the side on which it does not cancel.
                let (p, difference) = if o >= T::zero() {
                    (large, (T::one() - y) - small)
                } else {
                    (small, small - y)
                };
                rows.p[at] = p;
                rows.r[at] = weight * difference;
                rows.s_diagonal[at] = weight * large * small;
                if with_loss {
                    let linear = if o > T::zero() {
                        o * (T::one() - y)
                    } else {
                        -o * y
                    };
                    rows.losses[i] += share * (linear + e.ln_1p());
                }
            }
        }
    }

    /// S = ω p(1 − p)/K.
    #[inline(always)]
    fn slopes<T: Scalar>(p: &[T], slopes: &mut [T]) {
        let two = T::of(2.0);
        for (slope, &p) in slopes.iter_mut().zip(p) {
            *slope = T::one() - two * p;
        }
    }
}
