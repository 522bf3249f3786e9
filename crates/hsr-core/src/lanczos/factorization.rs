//! The factorisation that everything else is read from.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, check_finite, check_length};
use crate::lanczos::random::unit;
use crate::lanczos::vectors::{dot, normalized, orthogonalize};

/// The Lanczos factorisation A V = V T + β q eₖᵀ of a symmetric operator A on vectors of `size` values: V has k
/// orthonormal columns, T is tridiagonal, q is the unit vector that comes next. It grows by one column a product.
///
/// An eigenpair (θ, y) of T gives the Ritz pair (θ, V y) of A, with the residual ‖A V y − θ V y‖ = β |yₖ|.
///
/// Where the columns span an invariant subspace, β is 0 and the next column is a fresh random one, orthogonal to all
/// before it; T then falls into blocks. So does every operator whose distinct eigenvalues are fewer than its rows.
///
/// Where there is no memory for more columns, [`restart`](Self::restart) keeps the best of what they span.
///
/// ```
/// use hsr_core::{Error, LanczosFactorization};
///
/// // diag(1, 2), from (1, 1)/√2: T = [[3/2, 1/2], [1/2, 3/2]].
/// let mut lanczos = LanczosFactorization::new(2, Some(&[1.0, 1.0]), 0)?;
/// for _ in 0..2 {
///     lanczos.extend(|v, out| {
///         out.copy_from_slice(&[v[0], 2.0 * v[1]]);
///         Ok::<(), Error>(())
///     })?;
/// }
/// assert!((lanczos.diagonal()[1] - 1.5).abs() < 1e-15 && (lanczos.off_diagonal()[0] - 0.5).abs() < 1e-15);
/// assert!(lanczos.is_exhausted());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LanczosFactorization {
    size: usize,
    deflated: Vec<Vec<f64>>,
    basis: Vec<Vec<f64>>,
    diagonal: Vec<f64>,
    off_diagonal: Vec<f64>,
    /// After a restart, what couples the columns that were kept with the one after them.
    arrow: Vec<f64>,
    products: usize,
    /// The next column times β, or the first one.
    remainder: Vec<f64>,
    beta: f64,
    exhausted: bool,
    random: ChaCha8Rng,
}

impl LanczosFactorization {
    /// A factorisation without columns. The first one will be `start`, of any length but zero, or a random one of the
    /// `seed`; a start of zeros is none.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] where `size` is 0; [`Error::Length`] and [`Error::NotFinite`] for a start that does not fit.
    pub fn new(size: usize, start: Option<&[f64]>, seed: u64) -> Result<Self, Error> {
        if size == 0 {
            let what = "the size of the operator";
            return Err(Error::Empty { what });
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let start = match start {
            Some(start) => {
                check_length("the start vector", "a value a row", start.len(), size)?;
                check_finite("the start vector", start)?;
                normalized(start)
            }
            None => None,
        };
        let remainder = start.unwrap_or_else(|| unit(&mut random, size, [&[], &[]]));
        Ok(Self {
            size,
            deflated: Vec::new(),
            basis: Vec::new(),
            diagonal: Vec::new(),
            off_diagonal: Vec::new(),
            arrow: Vec::new(),
            products: 0,
            remainder,
            beta: 1.0,
            exhausted: false,
            random,
        })
    }

    /// Restricted to the complement of `vectors`, which must be orthonormal: with eigenvectors of A, what is left is
    /// the rest of its spectrum. To be called before the first product.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a vector does not fit; [`Error::TooLarge`] where no complement is left.
    pub fn orthogonal_to(mut self, vectors: Vec<Vec<f64>>) -> Result<Self, Error> {
        for vector in &vectors {
            let what = "a vector of the complement";
            check_length(what, "a value a row", vector.len(), self.size)?;
        }
        if vectors.len() >= self.size {
            return Err(Error::TooLarge {
                what: "a set of vectors to be orthogonal to",
                elements: vectors.len(),
                limit: self.size - 1,
            });
        }
        self.deflated = vectors;
        for _ in 0..2 {
            orthogonalize(&mut self.remainder, &self.deflated);
        }
        // A start that lies in their span but for rounding says nothing.
        let norm = dot(&self.remainder, &self.remainder).sqrt();
        self.remainder = match normalized(&self.remainder) {
            Some(start) if norm > f64::EPSILON.sqrt() => start,
            _ => unit(&mut self.random, self.size, [&self.deflated, &[]]),
        };
        Ok(self)
    }

    /// One product more: `apply(v, out)` writes A v. Where V already spans the space, nothing is left to do and
    /// nothing is done.
    ///
    /// # Errors
    ///
    /// What `apply` gives; [`Error::Eigenvalues`] where the product is not finite.
    pub fn extend<E: From<Error>>(
        &mut self,
        apply: impl FnOnce(&[f64], &mut [f64]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.is_complete() {
            return Ok(());
        }
        let vector = if self.basis.is_empty() {
            std::mem::take(&mut self.remainder)
        } else if self.exhausted {
            self.off_diagonal.push(0.0);
            unit(&mut self.random, self.size, [&self.deflated, &self.basis])
        } else {
            self.off_diagonal.push(self.beta);
            self.remainder.iter().map(|v| v / self.beta).collect()
        };
        let mut product = std::mem::take(&mut self.remainder);
        product.resize(self.size, 0.0);
        apply(&vector, &mut product)?;
        self.products += 1;
        let alpha = dot(&vector, &product);
        self.basis.push(vector);
        self.diagonal.push(alpha);
        for _ in 0..2 {
            orthogonalize(&mut product, &self.deflated);
            orthogonalize(&mut product, &self.basis);
        }
        let beta = dot(&product, &product).sqrt();
        if !alpha.is_finite() || !beta.is_finite() {
            return Err(Error::Eigenvalues.into());
        }
        let scale = self
            .diagonal
            .iter()
            .chain(&self.off_diagonal)
            .fold(beta, |max: f64, v: &f64| max.max(v.abs()));
        // An invariant subspace is exhausted: its eigenvalues are exact, others may lie outside it.
        self.exhausted = beta <= f64::EPSILON * self.size as f64 * scale;
        self.beta = beta;
        self.remainder = product;
        Ok(())
    }

    /// Takes eigenvectors of T, of length 1, and puts their Ritz vectors in the place of all columns: a thick restart. The
    /// next product goes on from where the factorisation was, with what the columns that are dropped had contributed to
    /// those that are kept. T is then diagonal with an arrow: see [`projected`](Self::projected).
    ///
    /// Reference: K. Wu, H. Simon, "Thick-Restart Lanczos Method for Large Symmetric Eigenvalue Problems", SIAM Journal on
    /// Matrix Analysis and Applications 22 (2000), 602–616.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where a vector has not k values, [`Error::Empty`] where there is none and [`Error::TooLarge`] where
    /// there are as many as columns.
    pub fn restart(&mut self, kept: &[(f64, &[f64])]) -> Result<(), Error> {
        let columns = self.steps();
        if kept.is_empty() {
            let what = "the vectors that a restart keeps";
            return Err(Error::Empty { what });
        }
        if kept.len() >= columns {
            return Err(Error::TooLarge {
                what: "what a restart keeps",
                elements: kept.len(),
                limit: columns.saturating_sub(1),
            });
        }
        let vectors = kept.iter().map(|(_, y)| self.ritz_vector(y));
        let basis = vectors.collect::<Result<Vec<_>, _>>()?;
        let last = |y: &[f64]| y.last().copied().unwrap_or(0.0);
        self.arrow = kept.iter().map(|(_, y)| self.beta() * last(y)).collect();
        self.basis = basis;
        self.diagonal = kept.iter().map(|(value, _)| *value).collect();
        self.off_diagonal = vec![0.0; kept.len().saturating_sub(1)];
        Ok(())
    }

    /// T, k × k: tridiagonal, but for the columns that a [`restart`](Self::restart) kept, which only the one after them is
    /// coupled with.
    pub fn projected(&self) -> Vec<f64> {
        let steps = self.steps();
        let mut matrix = vec![0.0; steps * steps];
        for (i, &alpha) in self.diagonal.iter().enumerate() {
            matrix[i * steps + i] = alpha;
        }
        let mut couple = |i: usize, j: usize, beta: f64| {
            matrix[i * steps + j] = beta;
            matrix[j * steps + i] = beta;
        };
        let kept = self.arrow.len();
        if kept < steps {
            let arrow = self.arrow.iter().enumerate();
            arrow.for_each(|(i, &beta)| couple(i, kept, beta));
        }
        let beside = self.off_diagonal.iter().enumerate().skip(kept);
        beside.for_each(|(i, &beta)| couple(i, i + 1, beta));
        matrix
    }

    /// Products made.
    pub fn products(&self) -> usize {
        self.products
    }

    /// The number of columns k: one a product, as long as there was no restart.
    pub fn steps(&self) -> usize {
        self.basis.len()
    }

    /// The columns of V, orthonormal.
    pub fn basis(&self) -> &[Vec<f64>] {
        &self.basis
    }

    /// The diagonal of T, k values.
    pub fn diagonal(&self) -> &[f64] {
        &self.diagonal
    }

    /// What stands beside the diagonal of T, k − 1 values, none negative.
    pub fn off_diagonal(&self) -> &[f64] {
        &self.off_diagonal
    }

    /// β: 0 where the columns span an invariant subspace.
    pub fn beta(&self) -> f64 {
        if self.exhausted { 0.0 } else { self.beta }
    }

    /// Whether the columns span an invariant subspace, to rounding.
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether the columns span the whole space, or the whole complement.
    pub fn is_complete(&self) -> bool {
        self.steps() == self.size - self.deflated.len()
    }

    /// V y of length 1: the Ritz vector of an eigenvector y of T.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] where y has not k values.
    pub fn ritz_vector(&self, y: &[f64]) -> Result<Vec<f64>, Error> {
        let what = "an eigenvector of T";
        check_length(what, "a value a column", y.len(), self.steps())?;
        let mut vector = vec![0.0; self.size];
        for (base, &share) in self.basis.iter().zip(y) {
            for (v, b) in vector.iter_mut().zip(base) {
                *v += share * b;
            }
        }
        Ok(normalized(&vector).unwrap_or(vector))
    }
}
