//! The softmax cross-entropy −Σ_k y_k log p_k, p = softmax(o), of soft labels with Σ y = 1.

use crate::error::Error;
use crate::numeric::lanes::{LANE, lane, row, row_mut};
use crate::numeric::scalar::Scalar;
use crate::problem::loss::definition::Loss;
use crate::problem::loss::rows::Residuals;

pub(super) struct Softmax;

impl Loss for Softmax {
    const NAME: &'static str = "softmax cross-entropy";
    const COUPLES_OUTPUTS: bool = true;
    const WEIGHS_CLASSES: bool = true;

    fn check<T: Scalar>(values: &[T], outputs: usize) -> Result<(), Error> {
        let tolerance = T::of(1e-3);
        for (sample, label) in values.chunks_exact(outputs).enumerate() {
            let sum: T = label.iter().copied().sum();
            let negative = label.iter().any(|&y| y < T::zero());
            if negative || (sum - T::one()).abs() > tolerance {
                return Err(Error::SoftLabel {
                    sample,
                    sum: sum.as_f64(),
                });
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn residuals<T: Scalar>(rows: Residuals<T>, with_loss: bool) {
        let (n, outputs) = (rows.stride, rows.outputs);
        let (zero, one) = (T::zero(), T::one());
        // The largest logit and its class, the first where there are several.
        let [largest, best, rest] = rows.rows;
        best.fill(zero);
        largest.copy_from_slice(row(rows.o, n, 0));
        for k in 1..outputs {
            let (o, class) = (row(rows.o, n, k), T::of(k as f64));
            for i in 0..n {
                best[i] = if o[i] > largest[i] { class } else { best[i] };
                largest[i] = if o[i] > largest[i] { o[i] } else { largest[i] };
            }
        }
        // Whole rows: the exponentials of one lane would be unrolled and stay scalar. The largest gives 1.
        for k in 0..outputs {
            let (p, o) = (row_mut(rows.p, n, k), row(rows.o, n, k));
            for ((p, &o), &largest) in p.iter_mut().zip(o).zip(&*largest) {
                *p = (o - largest).exp_decay();
            }
        }
        // Lane by lane through local arrays, which cannot overlap: only then does the compiler vectorise.
        for start in (0..n).step_by(LANE) {
            let best = lane(best, start);
            let omega = lane(rows.omega, start);
            let mut sum = [zero; LANE];
            for k in 0..outputs {
                let class = T::of(k as f64);
                let p = lane(row(rows.p, n, k), start);
                let mut top = [zero; LANE];
                for l in 0..LANE {
                    top[l] = if best[l] == class { one } else { zero };
                    sum[l] += p[l] * (one - top[l]);
                }
                row_mut(rows.top, n, k)[start..][..LANE].copy_from_slice(&top);
            }
            rest[start..][..LANE].copy_from_slice(&sum);
            let mut scale = [zero; LANE];
            for l in 0..LANE {
                scale[l] = one / (one + sum[l]);
            }
            for k in 0..outputs {
                let class = T::of(k as f64);
                let y = lane(row(rows.y, n, k), start);
                let mut p = lane(row(rows.p, n, k), start);
                let (mut r, mut s) = ([zero; LANE], [zero; LANE]);
                for l in 0..LANE {
                    p[l] *= scale[l];
                    let is_best = best[l] == class;
                    // 1 − p = rest/(1 + rest) for the top class; formed as a difference it would cancel.
                    let others = if is_best {
                        sum[l] * scale[l]
                    } else {
                        one - p[l]
                    };
                    let of_best = (one - y[l]) - others;
                    r[l] = omega[l] * if is_best { of_best } else { p[l] - y[l] };
                    s[l] = omega[l] * p[l] * others;
                }
                row_mut(rows.p, n, k)[start..][..LANE].copy_from_slice(&p);
                row_mut(rows.r, n, k)[start..][..LANE].copy_from_slice(&r);
                row_mut(rows.s_diagonal, n, k)[start..][..LANE].copy_from_slice(&s);
            }
        }
        if with_loss {
            for (loss, rest) in rows.losses.iter_mut().zip(rest.iter()) {
                *loss = rest.ln_1p();
            }
            for k in 0..outputs {
                let (y, o) = (row(rows.y, n, k), row(rows.o, n, k));
                for i in 0..n {
                    rows.losses[i] += y[i] * (largest[i] - o[i]);
                }
            }
        }
    }
}
