//! Products through the Jacobian of what a module puts out.

use core::fmt::Display;

use burn::module::Module;
use burn::tensor::Tensor;
use burn_penalty::passes::{backward, repeats};
use burn_penalty::precision::rounding_unit;
use burn_penalty::{Randomness, isolated};

use super::check_lengths;
use super::finite_difference::{add_scaled, finite, norm, rounding_noise, step_length};
use crate::error::SharpnessError;
use crate::parameters::ParameterSpace;

/// What a module puts out for one batch, \[samples, outputs\].
type Outputs<'b, M> = dyn FnMut(&M) -> Tensor<2> + 'b;

/// Calls what it is given with each batch in turn.
type Batches<'a, M> = Box<
    dyn FnMut(
            &mut dyn FnMut(&mut Outputs<'_, M>) -> Result<(), SharpnessError>,
        ) -> Result<(), SharpnessError>
        + 'a,
>;

/// (1/N) Σ_n J_nᵀ C_n J_n, or the sum without 1/N, J_n being the Jacobian of the outputs of sample n at θ and C_n a matrix on them.
///
/// J v is a central difference of outputs, of two forward passes; Jᵀ of a vector is exact, one forward and backward pass.
pub(super) struct Jacobian<'a, M> {
    module: M,
    space: ParameterSpace,
    batches: Batches<'a, M>,
    randomness: Randomness,
    step: f64,
    noise: f64,
    /// Whether a pass was seen to give the same outputs twice.
    repeats: bool,
    /// Whether the samples are added and not averaged.
    sum: bool,
}

impl<'a, M: Module> Jacobian<'a, M> {
    /// Of all data in one piece.
    pub fn new(
        module: &M,
        mut outputs: impl FnMut(&M) -> Tensor<2> + 'a,
    ) -> Result<Self, SharpnessError> {
        Self::with_batches(module, Box::new(move |visit| visit(&mut outputs)))
    }

    /// Of batches, which come anew at every call.
    pub fn of_batches<B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        module: &M,
        mut batches: impl FnMut() -> I + 'a,
        mut outputs: impl FnMut(&M, &B) -> Tensor<2> + 'a,
    ) -> Result<Self, SharpnessError> {
        Self::with_batches(
            module,
            Box::new(move |visit| {
                for batch in batches() {
                    let batch = batch.map_err(SharpnessError::batch)?;
                    visit(&mut |module: &M| outputs(module, &batch))?;
                }
                Ok(())
            }),
        )
    }

    fn with_batches(module: &M, batches: Batches<'a, M>) -> Result<Self, SharpnessError> {
        let space = ParameterSpace::of(module)?;
        let noise = rounding_noise(module, &space)?;
        Ok(Self {
            module: isolated(module),
            space,
            batches,
            randomness: Randomness::new(module, 0, 0),
            step: step_length(noise),
            noise,
            repeats: false,
            sum: false,
        })
    }

    /// The sum over the samples in place of their mean.
    pub fn with_sum(self) -> Self {
        Self { sum: true, ..self }
    }

    pub fn space(&self) -> &ParameterSpace {
        &self.space
    }

    /// The error of a product relative to ‖B‖‖v‖, as that of a difference of gradients.
    pub fn accuracy(&self) -> f64 {
        10.0 * self.step * self.step + self.noise / self.step
    }

    /// The product with v; `apply` gives C w of a batch from its outputs and w = J v, \[samples, outputs\] both, and counts
    /// the batches from 0.
    pub fn product(
        &mut self,
        v: &[f64],
        product: &mut [f64],
        apply: &mut dyn FnMut(usize, Tensor<2>, Tensor<2>) -> Result<Tensor<2>, SharpnessError>,
    ) -> Result<(), SharpnessError> {
        check_lengths(self.space.size(), v, product)?;
        let Self {
            module,
            space,
            batches,
            randomness,
            step,
            noise,
            repeats,
            sum,
        } = self;
        product.fill(0.0);
        let norm = norm(v);
        if !norm.is_finite() {
            let what = "the vector";
            return Err(SharpnessError::NotFinite { what });
        }
        if norm == 0.0 {
            return Ok(());
        }
        let direction: Vec<f64> = v.iter().map(|v| v / norm).collect();
        let [after, before] =
            [1.0, -1.0].map(|sign| space.displaced(module, &direction, sign * *step));
        let (after, before) = (after?, before?);
        let (mut samples, mut number) = (0, 0);
        batches(&mut |outputs: &mut Outputs<'_, M>| {
            let mut at = |module: &M| {
                randomness.restart();
                outputs(module)
            };
            let here = at(module);
            if !*repeats {
                check_repeated(&here, &at(module), rounding_unit(module), *noise)?;
                *repeats = true;
            }
            samples += here.dims()[0];
            let rise = at(&after).inner() - at(&before).inner();
            let along = rise * (norm / (2.0 * *step));
            let weights = apply(number, here.clone().inner(), along)?;
            number += 1;
            let gradients = backward(module, (here * weights).sum())?;
            add_scaled(product, 1.0, &space.read_gradients(module, &gradients)?);
            Ok(())
        })?;
        if samples == 0 {
            return Err(SharpnessError::Option {
                option: "samples",
                value: 0.0,
                expected: "1 or more",
            });
        }
        if !*sum {
            product.iter_mut().for_each(|v| *v /= samples as f64);
        }
        finite(product)
    }
}

/// Refuses outputs that are others at every call.
fn check_repeated(
    first: &Tensor<2>,
    second: &Tensor<2>,
    unit: f64,
    noise: f64,
) -> Result<(), SharpnessError> {
    let read = |tensor: Tensor<2>| -> Result<f64, SharpnessError> {
        let values = tensor
            .inner()
            .max_abs()
            .try_into_vec_as::<f64>()
            .map_err(|error| SharpnessError::Read {
                what: "whether a pass repeats",
                message: error.to_string(),
            })?;
        Ok(values[0])
    };
    let largest = read(first.clone())?;
    let difference = read(first.clone() - second.clone())?;
    if repeats(difference, largest, unit, noise) {
        return Ok(());
    }
    Err(SharpnessError::NotRepeatable {
        difference,
        largest,
    })
}
