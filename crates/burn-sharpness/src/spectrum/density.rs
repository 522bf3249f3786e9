//! The density of all eigenvalues, by stochastic Lanczos quadrature.

use burn::config::Config;
use hsr_core::{Error, LanczosFactorization};

use super::lanczos::Ritz;
use super::{generator, rademacher};
use crate::error::SharpnessError;
use crate::operator::SymmetricOperator;

/// How a spectral density is estimated.
#[derive(Config, Debug, Copy, PartialEq)]
pub struct DensityConfig {
    /// Random probes that are averaged over.
    #[config(default = 10)]
    pub probes: usize,
    /// Products with the operator a probe. As many vectors are kept.
    #[config(default = 60)]
    pub steps: usize,
    /// The seed of the probes.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for DensityConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// An estimate of the density of eigenvalues φ(t) = (1/D) Σᵢ δ(t − λᵢ): weights at nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralDensity {
    /// Where the eigenvalues are, ascending.
    pub nodes: Vec<f64>,
    /// The share of the eigenvalues at each node; the sum is 1.
    pub weights: Vec<f64>,
    /// Products with the operator.
    pub products: usize,
}

/// A density as a curve.
#[derive(Clone, Debug, PartialEq)]
pub struct DensityCurve {
    /// Eigenvalues, ascending, at equal distances.
    pub values: Vec<f64>,
    /// The density there.
    pub density: Vec<f64>,
    /// The standard deviation of the Gaussian that every node became.
    pub width: f64,
}

/// The density of an operator's eigenvalues by stochastic Lanczos quadrature.
///
/// A vector v = z/√D with random signs z sees the measure Σᵢ (v·uᵢ)² δ(t − λᵢ), whose mean is φ. k Lanczos steps from v
/// give its k-point Gauss quadrature, exact for polynomials of degree 2k − 1: nodes are the eigenvalues of T, weights
/// the squared first components of its eigenvectors. The measures of the probes are averaged.
///
/// ```
/// use burn_sharpness::operator::DenseOperator;
/// use burn_sharpness::spectrum::{DensityConfig, spectral_density};
///
/// // A diagonal matrix is seen exactly.
/// let mut a = DenseOperator::new(&[1.0, 0.0, 0.0, 5.0], 2)?;
/// let density = spectral_density(&mut a, &DensityConfig::new().with_probes(1))?;
/// assert!((density.nodes[1] - 5.0).abs() < 1e-14 && (density.weights[1] - 0.5).abs() < 1e-14);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// References: S. Ubaru, J. Chen, Y. Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", SIAM
/// Journal on Matrix Analysis and Applications 38 (2017), 1075–1099; B. Ghorbani, S. Krishnan, Y. Xiao, "An
/// investigation into neural net optimization via Hessian eigenvalue density", ICML 2019. The latter starts from
/// normal vectors; signs have the smaller variance. Neither reorthogonalises; here every step does.
///
/// # Errors
///
/// [`SharpnessError::Option`] where there are no probes or no steps, [`Error::Empty`] where the operator has no rows,
/// [`Error::Eigenvalues`] where a product is not finite, and what the products can refuse.
pub fn spectral_density(
    operator: &mut impl SymmetricOperator,
    options: &DensityConfig,
) -> Result<SpectralDensity, SharpnessError> {
    for (option, value) in [("probes", options.probes), ("steps", options.steps)] {
        if value == 0 {
            return Err(SharpnessError::Option {
                option,
                value: 0.0,
                expected: "1 or more",
            });
        }
    }
    let size = operator.size();
    let mut products = 0;
    let mut measure: Vec<(f64, f64)> = Vec::new();
    for probe in 0..options.probes {
        let start = rademacher(size, &mut generator(options.seed, probe as u64));
        let mut lanczos = LanczosFactorization::new(size, Some(&start), options.seed)?;
        // An invariant subspace holds all that the probe sees.
        while lanczos.steps() < options.steps && !lanczos.is_complete() && !lanczos.is_exhausted() {
            lanczos.extend(|v, product| operator.apply(v, product))?;
        }
        products += lanczos.steps();
        let ritz = Ritz::of(&lanczos)?;
        let share = 1.0 / options.probes as f64;
        measure.extend((0..lanczos.steps()).map(|i| {
            let first = ritz.vector(i)[0];
            (ritz.values[i], first * first * share)
        }));
    }
    measure.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (nodes, weights) = measure.into_iter().unzip();
    Ok(SpectralDensity {
        nodes,
        weights,
        products,
    })
}

impl SpectralDensity {
    /// The density itself, where every eigenvalue is known: each node an eigenvalue, with the weight 1/D.
    ///
    /// ```
    /// use burn_sharpness::spectrum::SpectralDensity;
    ///
    /// let density = SpectralDensity::of_eigenvalues(&[4.0, -1.0, 0.0])?;
    /// assert_eq!((density.nodes[0], density.products), (-1.0, 0));
    /// assert!((density.moment(1) - 1.0).abs() < 1e-15);
    /// # Ok::<(), burn_sharpness::SharpnessError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] where there is none, [`SharpnessError::NotFinite`] where one is NaN or infinite.
    pub fn of_eigenvalues(eigenvalues: &[f64]) -> Result<Self, SharpnessError> {
        if eigenvalues.is_empty() {
            let what = "the number of eigenvalues";
            return Err(Error::Empty { what }.into());
        }
        if !eigenvalues.iter().all(|v| v.is_finite()) {
            let what = "an eigenvalue";
            return Err(SharpnessError::NotFinite { what });
        }
        let mut nodes = eigenvalues.to_vec();
        nodes.sort_by(f64::total_cmp);
        Ok(Self {
            weights: vec![1.0 / nodes.len() as f64; nodes.len()],
            nodes,
            products: 0,
        })
    }

    /// ∫ tᵏ φ(t) dt = tr(Aᵏ)/D.
    pub fn moment(&self, k: i32) -> f64 {
        let pairs = self.nodes.iter().zip(&self.weights);
        pairs.map(|(node, weight)| weight * node.powi(k)).sum()
    }

    /// The density with every node spread to a Gaussian, at `points` eigenvalues.
    ///
    /// The width is a standard deviation; none is 1/200 of the range of the nodes. The curve reaches five widths beyond
    /// the nodes on both sides; its integral is 1 where the points lie closer than a width.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] for less than two points or a width that is not a positive number.
    pub fn smoothed(
        &self,
        points: usize,
        width: Option<f64>,
    ) -> Result<DensityCurve, SharpnessError> {
        if points < 2 {
            return Err(SharpnessError::Option {
                option: "points",
                value: points as f64,
                expected: "2 or more",
            });
        }
        let (Some(&first), Some(&last)) = (self.nodes.first(), self.nodes.last()) else {
            let what = "the number of nodes";
            return Err(Error::Empty { what }.into());
        };
        let width = width.unwrap_or_else(|| default_width(first, last));
        if !(width > 0.0 && width.is_finite()) {
            return Err(SharpnessError::Option {
                option: "width",
                value: width,
                expected: "a finite number above 0",
            });
        }
        let (start, end) = (first - 5.0 * width, last + 5.0 * width);
        let height = 1.0 / (width * (2.0 * core::f64::consts::PI).sqrt());
        let values: Vec<f64> = (0..points)
            .map(|i| start + (end - start) * (i as f64 / (points - 1) as f64))
            .collect();
        let density = values
            .iter()
            .map(|&t| {
                let pairs = self.nodes.iter().zip(&self.weights);
                let gaussian = |node: f64| (-0.5 * ((t - node) / width).powi(2)).exp();
                height * pairs.map(|(&n, w)| w * gaussian(n)).sum::<f64>()
            })
            .collect();
        Ok(DensityCurve {
            values,
            density,
            width,
        })
    }
}

/// Of the range; where there is none, of the value; where that is 0, of 1.
fn default_width(first: f64, last: f64) -> f64 {
    let scale = [last - first, last.abs()]
        .into_iter()
        .find(|&scale| scale > f64::EPSILON * last.abs() && scale > 0.0)
        .unwrap_or(1.0);
    scale / 200.0
}
