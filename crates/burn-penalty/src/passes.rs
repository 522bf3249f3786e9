//! Passes of a loss that differ in the parameters alone.
//!
//! Differences of gradients need one loss at several parameters: on the same data, and with the same dropout masks, for
//! two masks differ by far more than two nearby points. Every pass of the workspace that is compared with another one is
//! made here: [`Randomness`] gives them the same random numbers, [`isolated`](crate::isolated) a module whose running
//! statistics are its own, and [`check_repeated`] finds out once whether the closure is a function at all.

use burn::module::{Flag, Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use rand::Rng;

use crate::algebra::{difference, largest};
use crate::copies::displaced;
use crate::error::PenaltyError;
use crate::number::Number;
use crate::precision::{rounding_noise, rounding_unit};
use crate::probe::generator;

/// The random numbers of a group of passes: what draws from the generator of the module's devices (`Dropout`,
/// `GaussianNoise`, `Tensor::random` in the closure) draws the same in every pass.
///
/// Burn has no way to read a generator's state, so it is seeded before every pass, the first included, from the seed and
/// the number of the group: another group draws others, a resumed run the same. After the group the generator goes on
/// from where its last pass left it. Burn's generators are one for all devices of a backend, and for all threads: a
/// thread that draws from the same one at the same time disturbs both.
#[derive(Clone, Debug)]
pub struct Randomness {
    devices: Vec<Device>,
    seed: u64,
}

impl Randomness {
    /// That of the group of this number.
    pub fn new<M: Module>(module: &M, seed: u64, group: u64) -> Self {
        Self {
            devices: module.devices().into_iter().collect(),
            // Another stream than the probes'.
            seed: generator(seed, !group).next_u64(),
        }
    }

    /// Before each pass.
    pub fn restart(&self) {
        self.devices
            .iter()
            .for_each(|device| device.seed(self.seed));
    }
}

/// The gradients of a loss that must be tracked.
///
/// # Shapes
///
/// - loss: `[1]`
///
/// # Errors
///
/// [`PenaltyError::Untracked`] where it is not: Burn panics on a loss without a graph.
pub fn backward<M: Module>(module: &M, loss: Tensor<1>) -> Result<GradientsParams, PenaltyError> {
    if !loss.is_tracked() {
        let what = "the loss";
        return Err(PenaltyError::Untracked { what });
    }
    Ok(GradientsParams::from_grads(loss.backward(), module))
}

/// What the closure of a step gives of a module: the loss, a tensor \[1\] that is differentiated here, or a pair of whatever
/// the loop wants back and the gradients, which may be accumulated over micro-batches or come from a `TrainStep`.
///
/// ```
/// use burn::nn::Linear;
/// use burn::optim::GradientsParams;
/// use burn::tensor::Tensor;
/// use burn_penalty::passes::Evaluated;
///
/// fn closure<E: Evaluated<Linear>>(_: impl FnMut(&Linear) -> E) {}
///
/// # let x = Tensor::<2>::zeros([1, 2], &burn::tensor::Device::flex());
/// closure(|layer| layer.forward(x.clone()).sum());
/// closure(|layer| {
///     let loss = layer.forward(x.clone()).sum();
///     let gradients = GradientsParams::from_grads(loss.backward(), layer);
///     (loss, gradients)
/// });
/// ```
pub trait Evaluated<M> {
    /// What the step gives back of the pass at θ.
    type Loss;

    /// The loss and its gradients for the parameters of the module.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::Untracked`] where a loss is to be differentiated and has no graph.
    fn evaluated(self, module: &M) -> Result<(Self::Loss, GradientsParams), PenaltyError>;
}

/// The loss alone, \[1\]; given back as a plain tensor.
impl<M: Module> Evaluated<M> for Tensor<1> {
    type Loss = Self;

    fn evaluated(self, module: &M) -> Result<(Self, GradientsParams), PenaltyError> {
        let loss = self.clone().without_autodiff();
        Ok((loss, backward(module, self)?))
    }
}

impl<M, L> Evaluated<M> for (L, GradientsParams) {
    type Loss = L;

    fn evaluated(self, _module: &M) -> Result<(L, GradientsParams), PenaltyError> {
        Ok(self)
    }
}

/// The gradients of a loss at θ + step, with the random numbers of the group. The closure gets a copy of the module.
///
/// # Errors
///
/// As [`backward`].
pub fn gradients_at<M: Module, E: Evaluated<M>>(
    module: &M,
    step: GradientsParams,
    randomness: &Randomness,
    loss: &mut impl FnMut(&M) -> E,
) -> Result<GradientsParams, PenaltyError> {
    let there = displaced(module, step);
    randomness.restart();
    Ok(loss(&there).evaluated(&there)?.1)
}

/// The training flags of all layers that have one: what can switch dropout on during a run.
pub fn training_flags<M: Module>(module: &M) -> Vec<bool> {
    struct Flags(Vec<bool>);
    impl ModuleVisitor for Flags {
        fn visit_flag(&mut self, flag: &Param<Flag>) {
            self.0.push(flag.is_enabled());
        }
    }
    let mut flags = Flags(Vec::new());
    module.visit(&mut flags);
    flags.0
}

/// How far two passes at the same parameters may be apart: √u of the largest component, u being the machine epsilon, and
/// 16u(1 + θ̄) for gradients near 0, whose terms round. Another dropout mask or other data change a gradient by its own
/// size.
pub fn repeats(difference: f64, largest: f64, unit: f64, noise: f64) -> bool {
    // NaN and infinity are for others to refuse.
    !(difference.is_finite() && largest.is_finite())
        || difference <= unit.sqrt() * largest + 16.0 * noise
}

/// Refuses gradients that a second pass at the same parameters did not repeat. Reads the device once. Says whether
/// anything could be compared: gradients that are not finite are for others to refuse.
///
/// # Errors
///
/// [`PenaltyError::NotRepeatable`]; [`PenaltyError::Read`] where the device cannot be read.
pub fn check_repeated<M: Module>(
    module: &M,
    first: &GradientsParams,
    second: &GradientsParams,
) -> Result<bool, PenaltyError> {
    let numbers = [
        largest(module, &difference(module, first, second)),
        largest(module, first),
        rounding_noise(module),
    ];
    // A loss that depends on no trained parameter has nothing to repeat.
    let Ok(numbers) = numbers.into_iter().collect::<Result<Vec<_>, _>>() else {
        return Ok(true);
    };
    let numbers = Number::read(numbers, "whether a pass repeats")?;
    let (difference, largest, noise) = (numbers[0], numbers[1], numbers[2]);
    if repeats(difference, largest, rounding_unit(module), noise) {
        return Ok(difference.is_finite() && largest.is_finite());
    }
    Err(PenaltyError::NotRepeatable {
        difference,
        largest,
    })
}
