//! What a loss is to the curvature: residual r and the diagonal of S from the logits, and the losses themselves (theory §1);
//! and the scale σ that both are divided by (theory §5).

use crate::lanes::{LANE, flushed, lane, row, row_mut};
use crate::{OutputLoss, Real};

/// The rows of a batch at the outputs: K of `stride` samples each where nothing else is said.
pub(crate) struct Residuals<'a, T> {
    pub stride: usize,
    pub outputs: usize,
    /// Logits o, labels y.
    pub o: &'a [T],
    pub y: &'a [T],
    /// ω, one row.
    pub omega: &'a [T],
    /// Weights of the outputs in the squared error; empty where all are 1.
    pub output_weights: &'a [T],
    /// To be written: the probabilities, not by the squared error.
    pub p: &'a mut [T],
    /// Softmax alone: 1 at the class of the largest logit, else 0. S·1 = 0 allows measuring against that class, which keeps
    /// S exact to rounding where p is almost one-hot.
    pub top: &'a mut [T],
    /// r and the diagonal of S, with ω.
    pub r: &'a mut [T],
    pub s_diagonal: &'a mut [T],
    /// Losses without ω, one row.
    pub losses: &'a mut [T],
    /// Softmax: the largest logit, its class, and the sum of the other exponentials, one row each.
    pub rows: [&'a mut [T]; 3],
}

impl<T: Real> Residuals<'_, T> {
    /// Writes everything; the losses where they are wanted. (The squared error's cost nothing.)
    #[inline(always)]
    pub fn run(self, kind: OutputLoss, with_loss: bool) {
        match kind {
            OutputLoss::SoftmaxCrossEntropy => self.softmax(with_loss),
            OutputLoss::SigmoidCrossEntropy => self.sigmoid(with_loss),
            OutputLoss::MeanSquaredError => self.squared(),
        }
    }

    #[inline(always)]
    fn softmax(self, with_loss: bool) {
        let (n, outputs) = (self.stride, self.outputs);
        let (zero, one) = (T::zero(), T::one());
        // The largest logit and its class, the first where there are several.
        let [largest, best, rest] = self.rows;
        best.fill(zero);
        largest.copy_from_slice(row(self.o, n, 0));
        for k in 1..outputs {
            let (o, class) = (row(self.o, n, k), T::of(k as f64));
            for i in 0..n {
                best[i] = if o[i] > largest[i] { class } else { best[i] };
                largest[i] = if o[i] > largest[i] { o[i] } else { largest[i] };
            }
        }
        // Whole rows: the exponentials of one lane would be unrolled and stay scalar. The largest gives 1.
        for k in 0..outputs {
            let (p, o) = (row_mut(self.p, n, k), row(self.o, n, k));
            for ((p, &o), &largest) in p.iter_mut().zip(o).zip(&*largest) {
                *p = (o - largest).exp_decay();
            }
        }
        // Lane by lane through local arrays, which cannot overlap: only then does the compiler vectorise.
        for start in (0..n).step_by(LANE) {
            let best = lane(best, start);
            let omega = lane(self.omega, start);
            let mut sum = [zero; LANE];
            for k in 0..outputs {
                let class = T::of(k as f64);
                let p = lane(row(self.p, n, k), start);
                let mut top = [zero; LANE];
                for l in 0..LANE {
                    top[l] = if best[l] == class { one } else { zero };
                    sum[l] += p[l] * (one - top[l]);
                }
                row_mut(self.top, n, k)[start..][..LANE].copy_from_slice(&top);
            }
            rest[start..][..LANE].copy_from_slice(&sum);
            let mut scale = [zero; LANE];
            for l in 0..LANE {
                scale[l] = one / (one + sum[l]);
            }
            for k in 0..outputs {
                let class = T::of(k as f64);
                let y = lane(row(self.y, n, k), start);
                let mut p = lane(row(self.p, n, k), start);
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
                row_mut(self.p, n, k)[start..][..LANE].copy_from_slice(&p);
                row_mut(self.r, n, k)[start..][..LANE].copy_from_slice(&r);
                row_mut(self.s_diagonal, n, k)[start..][..LANE].copy_from_slice(&s);
            }
        }
        if with_loss {
            for (loss, rest) in self.losses.iter_mut().zip(rest.iter()) {
                *loss = rest.ln_1p();
            }
            for k in 0..outputs {
                let (y, o) = (row(self.y, n, k), row(self.o, n, k));
                for i in 0..n {
                    self.losses[i] += y[i] * (largest[i] - o[i]);
                }
            }
        }
    }

    #[inline(always)]
    fn sigmoid(self, with_loss: bool) {
        let (n, outputs) = (self.stride, self.outputs);
        let share = T::one() / T::of(outputs as f64);
        self.losses.fill(T::zero());
        for k in 0..outputs {
            for i in 0..n {
                let at = k * n + i;
                let (o, y) = (self.o[at], self.y[at]);
                let e = (-o.abs()).exp_decay();
                let scale = T::one() / (T::one() + e);
                let (large, small) = (scale, e * scale);
                let weight = share * self.omega[i];
                // The difference p − y is taken on the side on which it does not cancel.
                let (p, difference) = if o >= T::zero() {
                    (large, (T::one() - y) - small)
                } else {
                    (small, small - y)
                };
                self.p[at] = p;
                self.r[at] = weight * difference;
                self.s_diagonal[at] = weight * large * small;
                if with_loss {
                    let linear = if o > T::zero() {
                        o * (T::one() - y)
                    } else {
                        -o * y
                    };
                    self.losses[i] += share * (linear + e.ln_1p());
                }
            }
        }
    }

    #[inline(always)]
    fn squared(self) {
        let (n, outputs) = (self.stride, self.outputs);
        let share = T::one() / T::of(outputs as f64);
        let two = T::of(2.0);
        self.losses.fill(T::zero());
        for k in 0..outputs {
            for i in 0..n {
                let at = k * n + i;
                let difference = self.o[at] - self.y[at];
                let share = match self.output_weights.get(at) {
                    Some(&weight) => share * weight,
                    None => share,
                };
                let weight = two * share * self.omega[i];
                self.r[at] = weight * difference;
                self.s_diagonal[at] = weight;
                self.losses[i] += share * difference * difference;
            }
        }
    }
}

/// max(|S|, |r|).
#[inline(always)]
pub(crate) fn largest<T: Real>(r: &[T], s_diagonal: &[T]) -> T {
    let largest = |values: &[T]| values.iter().fold(T::zero(), |max, v| max.max(v.abs()));
    largest(r).max(largest(s_diagonal))
}

/// Divides r, S and ω by σ = max(|S|, |r|), so that squares of a vanishing loss do not underflow. Gives what they were
/// divided by: σ, or 1 where that is 0 or its reciprocal infinite; such a Hessian is 0 for every purpose, and then r, S
/// and ω are.
#[inline(always)]
pub(crate) fn divide<T: Real>(sigma: T, r: &mut [T], s_diagonal: &mut [T], omega: &mut [T]) -> T {
    let inverse = T::one() / sigma;
    if sigma == T::zero() || !inverse.is_finite() {
        r.fill(T::zero());
        s_diagonal.fill(T::zero());
        omega.fill(T::zero());
        return T::one();
    }
    for values in [r, s_diagonal] {
        for value in values {
            *value = flushed(*value * inverse);
        }
    }
    for omega in omega {
        *omega *= inverse;
    }
    sigma
}
