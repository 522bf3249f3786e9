//! Hessian-vector products of any module.

use core::fmt::Display;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn_penalty::passes::{Evaluated, backward, repeats};
use burn_penalty::precision::rounding_unit;
use burn_penalty::{PenaltyError, Randomness, isolated};

use super::{SymmetricOperator, check_lengths};
use crate::error::SharpnessError;
use crate::parameters::ParameterSpace;

/// ∇L at a module, as a vector.
type Gradient<'a, M> = Box<dyn FnMut(&M, &ParameterSpace) -> Result<Vec<f64>, SharpnessError> + 'a>;

/// The Hessian H of any loss of any module, by central differences of Burn's gradients:
///
/// ```text
/// H v ≈ ‖v‖ [∇L(θ + ε v̂) − ∇L(θ − ε v̂)] / 2ε,   v̂ = v/‖v‖
/// ```
///
/// A product costs two forward and backward passes over the data. Coordinates are those of the module's
/// [`ParameterSpace`]; frozen parameters are none. A vector of zeros costs nothing.
///
/// # The step
///
/// Truncation leaves an error of about ε²‖H‖/ℓ², where ℓ is the distance along v̂ over which H changes by its own size.
/// Rounding leaves about u(1 + θ̄)‖H‖/ε, u being the machine epsilon of the parameters' precision and θ̄ the root mean
/// square of θ: the coordinates of θ ± εv̂ are rounded independently, so their number does not count. Both are equal,
/// but for a factor near 1, at
///
/// ```text
/// ε = ½ (u(1 + θ̄))^⅓
/// ```
///
/// for the ℓ of about ½ that networks with pre-activations of unit size have along their sharpest directions,
/// whatever the number of parameters: 3·10⁻⁶ in f64, 2.5·10⁻³ in f32. Measured along the eigenvectors of both ends of
/// networks with one and two hidden layers, this step is within a factor of 2 of the best one, and the error relative
/// to ‖H‖ is 2·10⁻¹¹ to 2·10⁻¹⁰ in f64, 10⁻⁵ to 2·10⁻⁴ in f32. Where the weights are far from unit size, say which
/// step is right with [`with_step`](Self::with_step). Half precision is too coarse for differences.
///
/// # What the loss must be
///
/// The same function at every call. Random numbers of the module's device are the same at every pass, because it is
/// seeded before each: the Hessian is that of the loss under one dropout mask, which [`with_seed`](Self::with_seed)
/// chooses (`freeze_group` switches dropout off). With batch-dependent layers, such as `BatchNorm` in training mode, the
/// batches must be the same at every pass: no shuffling. The first product repeats a pass to see whether the loss does
/// what it must. The loss is differentiated as the closure computes it; for running statistics in place of the batch's,
/// freeze such layers.
///
/// # The module
///
/// It is copied and stays as it was, its running statistics included. State that a module of your own shares between
/// its clones is beyond that.
///
/// ```
/// use burn::nn::loss::{MseLoss, Reduction};
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use burn_sharpness::{SymmetricOperator, operator::FiniteDifferenceHessian};
///
/// let device = Device::flex().autodiff();
/// let layer = LinearConfig::new(2, 1).with_bias(false).init(&device);
/// let x = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 0.0]], &device);
/// let y = Tensor::<2>::from_floats([[1.0], [0.0]], &device);
/// let mut hessian = FiniteDifferenceHessian::new(&layer, |layer: &burn::nn::Linear| {
///     MseLoss::new().forward(layer.forward(x.clone()), y.clone(), Reduction::Mean)
/// })?;
/// // H = (2/N) xᵀx.
/// let mut product = [0.0; 2];
/// hessian.apply(&[1.0, 0.0], &mut product)?;
/// assert!((product[0] - 10.0).abs() < 1e-3 && (product[1] - 2.0).abs() < 1e-3);
/// # Ok::<(), burn_sharpness::SharpnessError>(())
/// ```
///
/// References: B. A. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994), 147–160,
/// on the difference it replaces; J. Nocedal, S. J. Wright, "Numerical Optimization", Springer 2006, section 8.1, on
/// steps.
pub struct FiniteDifferenceHessian<'a, M> {
    module: M,
    randomness: Randomness,
    /// Whether a pass was seen to give the same gradient twice.
    repeats: bool,
    space: ParameterSpace,
    gradient: Gradient<'a, M>,
    step: f64,
    /// u(1 + θ̄).
    noise: f64,
}

impl<M> core::fmt::Debug for FiniteDifferenceHessian<'_, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("FiniteDifferenceHessian")
            .field("size", &self.space.size())
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl<'a, M: Module> FiniteDifferenceHessian<'a, M> {
    /// The Hessian of a loss that is computed in one piece: `loss` gives it, \[1\], or a pair of which the gradients are the
    /// second ([`Evaluated`]).
    ///
    /// # Shapes
    ///
    /// - loss: `[1]`
    ///
    /// # Errors
    ///
    /// [`SharpnessError::NoParameters`] where nothing is trained, [`SharpnessError::PlainDevice`] where the module is not
    /// on an autodiff device, [`SharpnessError::NotFinite`] where a parameter is NaN or infinite. Products give
    /// [`SharpnessError::Untracked`] where the loss depends on no parameter that is trained, and
    /// [`SharpnessError::NotRepeatable`] where it is another one at every call.
    pub fn new<E: Evaluated<M>>(
        module: &M,
        mut loss: impl FnMut(&M) -> E + 'a,
    ) -> Result<Self, SharpnessError> {
        Self::with_gradient(
            module,
            Box::new(move |module, space| {
                let (_, gradients) = loss(module).evaluated(module)?;
                space.read_gradients(module, &gradients)
            }),
        )
    }

    /// The Hessian of the mean loss Σ_b w_b L_b / Σ_b w_b over batches, where `loss` gives a batch's mean loss L_b and
    /// its weight w_b: its number of samples, so that a shorter last batch counts for less, or the sum of its samples'
    /// weights where L_b is a weighted mean.
    ///
    /// `batches` gives all batches, anew at every call. They come as Burn's data loaders give them, as results:
    /// `|| loader.iter()`, or `|| batches.iter().map(Ok::<_, SharpnessError>)`.
    ///
    /// ```
    /// use burn::nn::loss::{MseLoss, Reduction};
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::tensor::{Device, Tensor};
    /// use burn_sharpness::operator::FiniteDifferenceHessian;
    /// use burn_sharpness::{SharpnessError, SymmetricOperator};
    ///
    /// let device = Device::flex().autodiff();
    /// let layer = LinearConfig::new(1, 1).with_bias(false).init(&device);
    /// let batches = [
    ///     Tensor::<2>::from_floats([[1.0], [3.0]], &device),
    ///     Tensor::<2>::from_floats([[5.0]], &device),
    /// ];
    /// let loss = |layer: &Linear, x: &Tensor<2>| {
    ///     let [samples, _] = x.dims();
    ///     let loss = MseLoss::new().forward(layer.forward(x.clone()), x.clone(), Reduction::Mean);
    ///     (loss, samples as f64)
    /// };
    /// let all = || batches.iter().map(Ok::<_, SharpnessError>);
    /// let mut hessian = FiniteDifferenceHessian::of_mean(&layer, all, loss)?;
    /// // 2 (1 + 9 + 25)/3, not 2 ((1 + 9)/2 + 25)/2.
    /// let mut product = [0.0];
    /// hessian.apply(&[1.0], &mut product)?;
    /// assert!((product[0] - 70.0 / 3.0).abs() < 1e-2);
    /// # Ok::<(), SharpnessError>(())
    /// ```
    ///
    /// # Shapes
    ///
    /// - loss of a batch: `[1]`
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). Its products also give [`SharpnessError::Batch`] for a batch that cannot be had and
    /// [`SharpnessError::Option`] where the weights do not have a positive sum.
    pub fn of_mean<B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        module: &M,
        mut batches: impl FnMut() -> I + 'a,
        mut loss: impl FnMut(&M, B) -> (Tensor<1>, f64) + 'a,
    ) -> Result<Self, SharpnessError> {
        Self::with_gradient(
            module,
            Box::new(move |module, space| {
                let mut total = 0.0;
                let mut sum = vec![0.0; space.size()];
                for batch in batches() {
                    let (loss, weight) = loss(module, batch.map_err(SharpnessError::batch)?);
                    let gradient = space.read_gradients(module, &backward(module, loss)?)?;
                    total += weight;
                    add_scaled(&mut sum, weight, &gradient);
                }
                if !(total > 0.0 && total.is_finite()) {
                    return Err(SharpnessError::Option {
                        option: "the sum of the batches' weights",
                        value: total,
                        expected: "a finite number above 0",
                    });
                }
                sum.iter_mut().for_each(|v| *v /= total);
                Ok(sum)
            }),
        )
    }

    /// The Hessian of the sum Σ_b w_b L_b; `batches` and `loss` as in [`of_mean`](Self::of_mean).
    ///
    /// # Shapes
    ///
    /// - loss of a batch: `[1]`
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). Its products also give [`SharpnessError::Batch`] for a batch that cannot be had.
    pub fn of_sum<B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        module: &M,
        mut batches: impl FnMut() -> I + 'a,
        mut loss: impl FnMut(&M, B) -> (Tensor<1>, f64) + 'a,
    ) -> Result<Self, SharpnessError> {
        Self::with_gradient(
            module,
            Box::new(move |module, space| {
                let mut sum = vec![0.0; space.size()];
                for batch in batches() {
                    let (loss, weight) = loss(module, batch.map_err(SharpnessError::batch)?);
                    let gradient = space.read_gradients(module, &backward(module, loss)?)?;
                    add_scaled(&mut sum, weight, &gradient);
                }
                Ok(sum)
            }),
        )
    }

    /// The Hessian of a loss whose gradients are given, and which is known to be the same at every call.
    pub(crate) fn of_gradients(
        module: &M,
        mut gradients: impl FnMut(&M) -> Result<GradientsParams, PenaltyError> + 'a,
    ) -> Result<Self, SharpnessError> {
        let hessian = Self::with_gradient(
            module,
            Box::new(move |module, space| space.read_gradients(module, &gradients(module)?)),
        )?;
        Ok(Self {
            repeats: true,
            ..hessian
        })
    }

    /// With the random numbers of other passes.
    pub(crate) fn with_randomness(self, randomness: Randomness) -> Self {
        Self { randomness, ..self }
    }

    fn with_gradient(module: &M, gradient: Gradient<'a, M>) -> Result<Self, SharpnessError> {
        let space = ParameterSpace::of(module)?;
        let noise = rounding_noise(module, &space)?;
        Ok(Self {
            module: isolated(module),
            randomness: Randomness::new(module, 0, 0),
            repeats: false,
            space,
            gradient,
            step: step_length(noise),
            noise,
        })
    }

    /// With another step ε, the distance in θ.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where it is not a positive number.
    pub fn with_step(mut self, step: f64) -> Result<Self, SharpnessError> {
        if !(step > 0.0 && step.is_finite()) {
            return Err(SharpnessError::Option {
                option: "the step",
                value: step,
                expected: "a finite number above 0",
            });
        }
        self.step = step;
        Ok(self)
    }

    /// With another seed for the random numbers of every pass: another dropout mask.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.randomness = Randomness::new(&self.module, seed, 0);
        self
    }

    /// The step ε.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// The coordinates.
    pub fn space(&self) -> &ParameterSpace {
        &self.space
    }

    /// ∇L, one pass over the data.
    ///
    /// # Errors
    ///
    /// As [`apply`](SymmetricOperator::apply).
    pub fn gradient(&mut self) -> Result<Vec<f64>, SharpnessError> {
        self.randomness.restart();
        let gradient = (self.gradient)(&self.module, &self.space)?;
        finite(&gradient)?;
        Ok(gradient)
    }

    fn gradient_at(&mut self, direction: &[f64], step: f64) -> Result<Vec<f64>, SharpnessError> {
        let displaced = self.space.displaced(&self.module, direction, step)?;
        self.randomness.restart();
        let gradient = (self.gradient)(&displaced, &self.space)?;
        finite(&gradient)?;
        Ok(gradient)
    }
}

impl<M: Module> FiniteDifferenceHessian<'_, M> {
    /// Refuses a loss that is another function at every call.
    fn check_repeated(&self, first: &[f64], second: &[f64]) -> Result<(), SharpnessError> {
        let largest = first.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
        let pairs = first.iter().zip(second);
        let difference = pairs.fold(0.0, |max: f64, (a, b)| max.max((a - b).abs()));
        if repeats(difference, largest, rounding_unit(&self.module), self.noise) {
            return Ok(());
        }
        Err(SharpnessError::NotRepeatable {
            difference,
            largest,
        })
    }
}

impl<M: Module> SymmetricOperator for FiniteDifferenceHessian<'_, M> {
    fn size(&self) -> usize {
        self.space.size()
    }

    fn apply(&mut self, v: &[f64], product: &mut [f64]) -> Result<(), SharpnessError> {
        check_lengths(self.space.size(), v, product)?;
        let norm = norm(v);
        if !norm.is_finite() {
            let what = "the vector";
            return Err(SharpnessError::NotFinite { what });
        }
        if norm == 0.0 {
            product.fill(0.0);
            return Ok(());
        }
        let direction: Vec<f64> = v.iter().map(|v| v / norm).collect();
        let after = self.gradient_at(&direction, self.step)?;
        if !self.repeats {
            let again = self.gradient_at(&direction, self.step)?;
            self.check_repeated(&after, &again)?;
            self.repeats = true;
        }
        let before = self.gradient_at(&direction, -self.step)?;
        let scale = norm / (2.0 * self.step);
        for ((out, after), before) in product.iter_mut().zip(after).zip(before) {
            *out = scale * (after - before);
        }
        Ok(())
    }

    /// 10ε² + u(1 + θ̄)/ε by the analysis of the step: 2·10⁻¹⁰ in f64 and 10⁻⁴ in f32 with the step as it is.
    fn accuracy(&self) -> f64 {
        10.0 * self.step * self.step + self.noise / self.step
    }
}

/// u(1 + θ̄).
pub(super) fn rounding_noise<M: Module>(
    module: &M,
    space: &ParameterSpace,
) -> Result<f64, SharpnessError> {
    let norm = norm(&space.read(module)?);
    if !norm.is_finite() {
        let what = "a parameter";
        return Err(SharpnessError::NotFinite { what });
    }
    let rms = norm / (space.size() as f64).sqrt();
    Ok(rounding_unit(module) * (1.0 + rms))
}

/// ε of the noise.
pub(super) fn step_length(noise: f64) -> f64 {
    0.5 * noise.cbrt()
}

pub(super) fn add_scaled(sum: &mut [f64], scale: f64, vector: &[f64]) {
    for (sum, v) in sum.iter_mut().zip(vector) {
        *sum += scale * v;
    }
}

pub(super) fn finite(gradient: &[f64]) -> Result<(), SharpnessError> {
    if gradient.iter().all(|v| v.is_finite()) {
        return Ok(());
    }
    let what = "the gradient";
    Err(SharpnessError::NotFinite { what })
}

/// ‖v‖ without overflow or underflow on the way.
pub(super) fn norm(v: &[f64]) -> f64 {
    let largest = v.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    if largest == 0.0 || v.iter().any(|v| !v.is_finite()) {
        return v.iter().map(|v| v.abs()).sum();
    }
    let squares: f64 = v.iter().map(|v| (v / largest).powi(2)).sum();
    largest * squares.sqrt()
}
