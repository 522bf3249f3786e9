//! Wolkowicz-Styan bounds on the spectrum, from two moments of the Hessian (theory §3).

use core::fmt;

use crate::numeric::number::Number;

/// Trace and squared Frobenius norm of the Hessian: all that the bounds need to know of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments<T> {
    /// t = tr H.
    pub trace: T,
    /// q = ‖H‖²_F.
    pub frobenius_squared: T,
    /// D, the number of parameters.
    pub parameters: usize,
}

/// Bounds on the eigenvalues λ_max ≥ … ≥ λ_min of a symmetric D × D matrix, from its [`Moments`].
///
/// With m = t/D and s² = q/D − m² ([theory](crate::theory) §3):
///
/// | bound | |
/// |---|---|
/// | λ_sup = m + s√(D − 1) | ≥ λ_max |
/// | m + s/√(D − 1) | ≤ λ_max |
/// | λ_inf = m − s√(D − 1) | ≤ λ_min |
/// | m − s/√(D − 1) | ≥ λ_min |
/// | s√(2D) | ≥ λ_max − λ_min |
/// | m | the mean eigenvalue |
///
/// Reference: H. Wolkowicz, G. P. H. Styan, "Bounds for eigenvalues using traces", Linear Algebra and its
/// Applications 29 (1980), 471–506.
///
/// ```
/// use hsr_core::{Moments, SpectralBounds};
///
/// // diag(3, 1, −1): trace 3, squared norm 11.
/// let bounds = SpectralBounds::new(Moments { trace: 3.0_f64, frobenius_squared: 11.0, parameters: 3 });
/// assert!(bounds.lambda_sup >= 3.0 && bounds.lambda_max_lower <= 3.0);
/// assert!(bounds.lambda_inf <= -1.0 && bounds.lambda_min_upper >= -1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectralBounds<T> {
    /// The moments the bounds come from.
    pub moments: Moments<T>,
    /// m = t/D, the mean of the eigenvalues.
    pub mean: T,
    /// s, the standard deviation of the eigenvalues.
    pub std: T,
    /// Upper bound on the largest eigenvalue: the quantity HSR descends.
    pub lambda_sup: T,
    /// Lower bound on the smallest eigenvalue.
    pub lambda_inf: T,
    /// Lower bound on the largest eigenvalue.
    pub lambda_max_lower: T,
    /// Upper bound on the smallest eigenvalue.
    pub lambda_min_upper: T,
    /// Upper bound on λ_max − λ_min.
    pub spread_upper: T,
}

impl<T: Number> SpectralBounds<T> {
    /// The bounds of a matrix with these moments. For D = 1 all of them are the one eigenvalue; for D = 0, as a layer has
    /// whose parameters are frozen, they are 0.
    pub fn new(moments: Moments<T>) -> Self {
        Self::scaled(&SpectralWeights::new(&moments), moments, T::one())
    }

    /// The bounds of σ·H' from the weights of H'; the moments given are those of σ·H'.
    pub(crate) fn scaled(weights: &SpectralWeights, moments: Moments<T>, sigma: T) -> Self {
        let parameters = moments.parameters as f64;
        let SpectralWeights { mean, std, .. } = *weights;
        let far = std * (parameters - 1.0).max(0.0).sqrt();
        let near = if moments.parameters > 1 {
            std / (parameters - 1.0).sqrt()
        } else {
            0.0
        };
        let of = |value: f64| T::of(value * sigma.as_f64());
        Self {
            moments,
            mean: of(mean),
            std: of(std),
            lambda_sup: of(mean + far),
            lambda_inf: of(mean - far),
            lambda_max_lower: of(mean + near),
            lambda_min_upper: of(mean - near),
            spread_upper: of(std * (2.0 * parameters).sqrt()),
        }
    }
}

impl<T: Number> SpectralBounds<T> {
    /// Where λ_max lies, to be shown: between its two bounds, or only below λ_sup where the lower one says nothing.
    ///
    /// ```
    /// use hsr_core::{Moments, SpectralBounds};
    ///
    /// let of = |parameters| SpectralBounds::new(Moments { trace: 3.0, frobenius_squared: 9.0, parameters });
    /// assert_eq!(format!("λ_max is {:.1}", of(4).lambda_max()), "λ_max is between 1.5 and 3.0");
    /// assert_eq!(format!("λ_max is {:.1}", of(400).lambda_max()), "λ_max is at most 3.0");
    /// ```
    pub fn lambda_max(&self) -> LambdaMaxRange<T> {
        let (lower, upper) = (self.lambda_max_lower, self.lambda_sup);
        let locates = T::of(LambdaMaxRange::<T>::WIDEST) * lower >= upper && upper > T::zero();
        LambdaMaxRange {
            lower: locates.then_some(lower),
            upper,
        }
    }
}

/// What the bounds say of λ_max, from [`SpectralBounds::lambda_max`].
///
/// A spectrum with one large eigenvalue has a lower bound of some 2/D times it: at D = 77,000 that was 0.008 for a λ_max
/// near 100. Such a bound is true and says nothing, so it is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LambdaMaxRange<T> {
    /// The lower bound, where it is at least a tenth of the upper one.
    pub lower: Option<T>,
    /// λ_sup.
    pub upper: T,
}

impl<T> LambdaMaxRange<T> {
    /// An interval from a to b with b/a beyond this locates nothing.
    const WIDEST: f64 = 10.0;
}

/// “between 1.5 and 3.0” or “at most 3.0”, each number with the format's options.
impl<T: fmt::Display> fmt::Display for LambdaMaxRange<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(lower) = &self.lower {
            f.write_str("between ")?;
            lower.fmt(f)?;
            f.write_str(" and ")?;
        } else {
            f.write_str("at most ")?;
        }
        self.upper.fmt(f)
    }
}

/// m, s and the derivatives of λ_sup, or of what is descended in its place, with respect to the moments
/// ([theory](crate::theory) §4), in f64 whatever the scalar type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpectralWeights {
    /// m = t/D.
    pub mean: f64,
    /// s² = q/D − m².
    pub std: f64,
    /// w_t = ∂λ_sup/∂t.
    pub trace: f64,
    /// w_q = ∂λ_sup/∂q.
    pub frobenius_squared: f64,
}

impl SpectralWeights {
    /// Of a function of the moments with these derivatives, which is not a bound.
    pub fn of(trace: f64, frobenius_squared: f64) -> Self {
        Self {
            mean: 0.0,
            std: 0.0,
            trace,
            frobenius_squared,
        }
    }

    /// Those of ‖H‖_F = √q; 0 where H = 0.
    pub fn of_norm<T: Number>(moments: &Moments<T>) -> Self {
        let norm = moments.frobenius_squared.as_f64().sqrt();
        Self::of(0.0, if norm > 0.0 { 0.5 / norm } else { 0.0 })
    }

    /// λ_sup = m + s√(D − 1).
    pub fn lambda_sup(&self, parameters: usize) -> f64 {
        self.mean + self.std * (parameters as f64 - 1.0).max(0.0).sqrt()
    }

    /// Those of λ_sup.
    pub fn new<T: Number>(moments: &Moments<T>) -> Self {
        if moments.parameters == 0 {
            return Self::of(0.0, 0.0);
        }
        let parameters = moments.parameters as f64;
        let t = moments.trace.as_f64();
        let mean = t / parameters;
        let square = moments.frobenius_squared.as_f64() / parameters;
        let variance = square - mean * mean;
        // Where H is a multiple of I, s² is a rounding error of q/D: take the subgradient at s = 0 (theory §5).
        let noise = 8.0 * T::epsilon().as_f64() * square;
        if moments.parameters == 1 || variance.is_nan() || variance <= noise {
            return Self {
                mean,
                std: 0.0,
                trace: 1.0 / parameters,
                frobenius_squared: 0.0,
            };
        }
        let std = variance.sqrt();
        let root = (parameters - 1.0).sqrt();
        Self {
            mean,
            std,
            trace: 1.0 / parameters - root * t / (parameters * parameters * std),
            frobenius_squared: root / (2.0 * parameters * std),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moments, SpectralBounds};

    fn shown(trace: f64, frobenius_squared: f64, parameters: usize) -> String {
        let moments = Moments {
            trace,
            frobenius_squared,
            parameters,
        };
        format!("{:.3}", SpectralBounds::new(moments).lambda_max())
    }

    #[test]
    fn an_interval_is_shown_where_it_locates_the_eigenvalue() {
        // One eigenvalue alone, and equal ones: both bounds are it.
        assert_eq!(shown(2.0, 4.0, 1), "between 2.000 and 2.000");
        assert_eq!(shown(6.0, 12.0, 3), "between 2.000 and 2.000");
        // One of 100 among 77,000, with a lower bound of 0.003.
        assert_eq!(shown(100.0, 1e4, 77_000), "at most 100.000");
        // Below zero, at zero and without a number nothing is located.
        assert_eq!(shown(-6.0, 12.0, 3), "at most -2.000");
        assert_eq!(shown(0.0, 0.0, 5), "at most 0.000");
        assert_eq!(shown(f64::NAN, 1.0, 5), "at most NaN");
    }
}
