//! Whether the gradients of a step are finite.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::error::PenaltyError;
use crate::number::Number;
use crate::reach::Reach;
use crate::tensors::wide;
use crate::vector::Vector;

/// A number on the device for each gradient of each pass P, read together so that the device is waited for once.
///
/// The number is the sum of the gradient's components, each over their count: it is finite where all of them are, and
/// cannot overflow where they do not.
#[derive(Debug)]
pub struct Finite<P> {
    /// The passes, and how many numbers are of each.
    passes: Vec<(P, usize)>,
    numbers: Vec<Number>,
}

impl<P> Default for Finite<P> {
    fn default() -> Self {
        Self {
            passes: Vec::new(),
            numbers: Vec::new(),
        }
    }
}

impl<P> Finite<P> {
    /// Adds a pass. Gradients of frozen parameters count too: what is registered, the optimizer takes.
    pub fn check<M: Module>(&mut self, pass: P, module: &M, gradients: &GradientsParams) {
        struct Numbers<'a> {
            gradients: &'a GradientsParams,
            numbers: &'a mut Vec<Number>,
        }
        impl ModuleVisitor for Numbers<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let Some(gradient) = self.gradients.get::<D>(param.id) else {
                    return;
                };
                let count = gradient.shape().num_elements();
                let gradient = wide(gradient);
                // A plain sum is cheaper, where it can be looked at; the other one may yet be finite where it is not.
                if Reach::of(&gradient.device()) == Reach::Host
                    && gradient.clone().sum().into_scalar::<f64>().is_finite()
                {
                    return;
                }
                let number = (gradient * (1.0 / count as f64)).sum();
                self.numbers.push(Number::Device(Box::new(number)));
            }
        }
        let before = self.numbers.len();
        module.visit(&mut Numbers {
            gradients,
            numbers: &mut self.numbers,
        });
        self.passes.push((pass, self.numbers.len() - before));
    }

    /// Adds a pass that gave a vector.
    pub(crate) fn check_vector(&mut self, pass: P, vector: &Vector) -> Result<(), PenaltyError> {
        self.numbers.push(vector.mean()?);
        self.passes.push((pass, 1));
        Ok(())
    }

    /// The first pass whose gradients are not finite, where there is one.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Read`] where the device cannot be read.
    pub fn read(self) -> Result<Option<P>, PenaltyError> {
        let numbers = Number::read(self.numbers, "whether a gradient is finite")?;
        let mut numbers = numbers.into_iter();
        let mut broken = |count: &usize| {
            // All of a pass, so that the next one begins at its own.
            let broken = numbers.by_ref().take(*count).filter(|v| !v.is_finite());
            broken.count() > 0
        };
        let mut passes = self.passes.into_iter();
        Ok(passes
            .find(|(_, count)| broken(count))
            .map(|(pass, _)| pass))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    use super::Finite;

    #[derive(Module, Debug)]
    struct Two {
        a: Param<Tensor<1>>,
        b: Param<Tensor<1>>,
    }

    /// The first pass that is not finite, of these gradients of a and b.
    fn first(passes: &[[[f32; 2]; 2]]) -> Option<usize> {
        let device = Device::flex();
        let tensor = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
        let module = Two {
            a: Param::from_tensor(tensor([0.0; 2])),
            b: Param::from_tensor(tensor([0.0; 2])),
        };
        let mut finite = Finite::default();
        for (pass, [a, b]) in passes.iter().enumerate() {
            let mut gradients = GradientsParams::new();
            gradients.register(module.a.id, tensor(*a));
            gradients.register(module.b.id, tensor(*b));
            finite.check(pass, &module, &gradients);
        }
        finite.read().unwrap()
    }

    #[test]
    fn the_first_pass_with_anything_that_is_not_finite_is_named() {
        let fine = [[1.0, -1.0], [0.0, 2.0]];
        let inf = f32::INFINITY;
        for broken in [
            [[f32::NAN, 1.0], [0.0, 0.0]],
            [[0.0, 0.0], [1.0, -inf]],
            [[inf, -inf], [0.0, 0.0]],
        ] {
            assert_eq!(first(&[broken, fine]), Some(0));
            assert_eq!(first(&[fine, broken, broken]), Some(1));
        }
        assert_eq!(first(&[fine, fine]), None);
        assert_eq!(first(&[]), None);
    }

    #[test]
    fn large_components_are_finite_though_their_sum_is_not() {
        let large = 0.9 * f32::MAX;
        assert_eq!(first(&[[[large, large], [-large, -large]]]), None);
    }
}
