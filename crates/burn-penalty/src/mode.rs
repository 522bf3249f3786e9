//! How a penalty enters a step.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use serde::{Deserialize, Serialize};

use crate::algebra::{add, norm};
use crate::error::PenaltyError;
use crate::mean::MeanGradient;
use crate::number::Number;
use crate::strength::Strength;
use crate::vector::{Scaled, Vector};

/// How the gradient ∇P of a penalty P enters the step.
///
/// Burn's optimizers clip inside their step, each tensor for itself, then add weight decay, then apply momentum and
/// preconditioner, with the settings of each parameter group. A mode says whether ∇P is there by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// strength·∇P is added to the loss's gradient: the optimizer clips the sum of the two and treats it as one,
    /// as it would with an L2 penalty. Weight decay is added to it; in which order does not matter.
    #[default]
    Coupled,
    /// θ ← θ − lr·strength·∇P after the optimizer's step, as AdamW does with weight decay: neither clipped nor
    /// preconditioned. The gradient is that of the point before the step, as is AdamW's decay, so that neither scales
    /// the other.
    ///
    /// lr is the one that the step is given, for each parameter group its own. What an optimizer makes of it
    /// inside is not known here: Muon's factor for a matrix's shape, AdaGrad's `lr_decay`, Adafactor's relative step,
    /// LAMB's trust ratio.
    Decoupled,
    /// As coupled, with ∇P/‖∇P‖, the norm over all parameters that are trained together: what is added has
    /// the length strength whatever the curvature. A zero gradient stays zero. Clipping comes afterwards and per
    /// tensor, so it can bend the direction.
    Direction,
}

/// A penalty's gradient as a strength wants it.
struct Measured {
    /// ∇P, projected where the strength asks for it, as it is or of length 1.
    vector: Vector,
    /// What the vector is to be multiplied by.
    scale: Number,
    /// The factor s of ∇P, or in the mode Direction of ∇P/‖∇P‖.
    factor: Number,
}

/// What a step takes where a penalty has entered it.
#[derive(Debug)]
#[must_use]
pub struct Entered {
    /// The gradients for the optimizer's step: the loss's, and in the coupled modes the penalty's in them.
    pub gradients: GradientsParams,
    /// In the mode [`Decoupled`](Mode::Decoupled), strength·∇P, of which the learning rate is to be subtracted after the
    /// optimizer's step.
    pub decrement: Option<GradientsParams>,
}

impl Mode {
    /// Puts s·∇P where the mode wants it: `of_loss` is ∇L, `penalty` is ∇P, and s is `factor` times what `strength` makes
    /// of the two. `mean` is the running mean of ∇L, which a [projected](Strength::Projected) strength keeps.
    ///
    /// # Errors
    ///
    /// [`PenaltyError::NoParameters`] where a gradient whose norm is needed has no parameter that is trained.
    pub fn enter<M: Module>(
        self,
        module: &M,
        strength: Strength,
        factor: f64,
        of_loss: GradientsParams,
        penalty: &GradientsParams,
        mean: &mut MeanGradient,
    ) -> Result<Entered, PenaltyError> {
        if self != Self::Direction && strength.share().is_none() {
            let factor = strength.most().unwrap_or(0.0) * factor;
            return Ok(self.put(module, factor.into(), of_loss, penalty));
        }
        let penalty = Vector::gradients(module, None, penalty);
        self.enter_vector(module, strength, factor, of_loss, penalty, mean)
    }

    /// The same for a vector, whose memory becomes that of the gradients.
    pub(crate) fn enter_vector<M: Module>(
        self,
        module: &M,
        strength: Strength,
        factor: f64,
        of_loss: GradientsParams,
        penalty: Vector,
        mean: &mut MeanGradient,
    ) -> Result<Entered, PenaltyError> {
        let measured = self.measured(module, strength, &of_loss, penalty, mean)?;
        let penalty = measured.vector.into_gradients(module);
        Ok(self.put(module, measured.scale * factor, of_loss, &penalty))
    }

    /// s·∇P, for terms of a loss: what [`enter`](Self::enter) puts beside ∇L, and s; in the mode
    /// [`Direction`](Self::Direction) s is the factor of ∇P/‖∇P‖.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter).
    pub fn apply<M: Module>(
        self,
        module: &M,
        strength: Strength,
        factor: f64,
        of_loss: &GradientsParams,
        penalty: &GradientsParams,
        mean: &mut MeanGradient,
    ) -> Result<(Number, GradientsParams), PenaltyError> {
        let penalty = Vector::gradients(module, None, penalty);
        let measured = self.measured(module, strength, of_loss, penalty, mean)?;
        let scale = measured.scale * factor;
        let gradients = Vector::map(Scaled, [&scale], [&measured.vector]).into_gradients(module);
        Ok((measured.factor * factor, gradients))
    }

    /// ∇P or its direction, projected where the strength asks for it, and how much of it is to be added.
    fn measured<M: Module>(
        self,
        module: &M,
        strength: Strength,
        of_loss: &GradientsParams,
        penalty: Vector,
        mean: &mut MeanGradient,
    ) -> Result<Measured, PenaltyError> {
        let most = strength.most();
        let Some(share) = strength.share() else {
            let most = Number::from(most.unwrap_or(0.0));
            return Ok(Measured {
                vector: match self {
                    Self::Direction => penalty.polar()?.1,
                    Self::Coupled | Self::Decoupled => penalty,
                },
                scale: most.clone(),
                factor: most,
            });
        };
        // A loss without a gradient is nowhere steep.
        let longest = match norm(module, of_loss) {
            Err(PenaltyError::NoParameters) => 0.0.into(),
            found => found? * share,
        };
        if self != Self::Direction && !strength.projects() {
            let own = penalty.norm()?;
            // Whatever the precision, it can hold the factor.
            let most = most.unwrap_or(f64::INFINITY).min(f64::from(f32::MAX));
            let factor = longest * own.clone().reciprocal();
            // Of a penalty that is flat here nothing is added, whatever else depends on it.
            let factor = factor.at_most(most).unless_zero(&own, 0.0);
            return Ok(Measured {
                vector: penalty,
                scale: factor.clone(),
                factor,
            });
        }
        let (norm, mut vector) = penalty.polar()?;
        if strength.projects() {
            mean.update(module, &vector, of_loss);
            vector = mean.project(vector)?;
        }
        let own = match self {
            Self::Direction => Number::from(1.0),
            Self::Coupled | Self::Decoupled => norm,
        };
        let length = match most {
            None => longest,
            Some(most) => longest.min(own.clone() * most),
        };
        Ok(Measured {
            vector,
            factor: (length.clone() * own.clone().reciprocal()).unless_zero(&own, 0.0),
            scale: length,
        })
    }

    fn put<M: Module>(
        self,
        module: &M,
        factor: Number,
        of_loss: GradientsParams,
        penalty: &GradientsParams,
    ) -> Entered {
        match self {
            Self::Coupled | Self::Direction => Entered {
                gradients: add(module, of_loss, factor, penalty),
                decrement: None,
            },
            Self::Decoupled => Entered {
                gradients: of_loss,
                decrement: Some(add(module, GradientsParams::new(), factor, penalty)),
            },
        }
    }
}

impl Entered {
    /// The module after the optimizer's step and, where there is one, the decrement's.
    pub fn step<M: Module>(
        self,
        optimizer: &mut ModuleOptimizer,
        lr: impl Into<ModuleLearningRate>,
        module: M,
    ) -> M {
        let lr = lr.into();
        let module = optimizer.step(lr.clone(), module, self.gradients);
        match self.decrement {
            // Burn's plain SGD is θ − lr·g with the rate of each parameter's group, and leaves a parameter's autodiff
            // settings as they were.
            Some(decrement) => SgdConfig::new().init().step(lr, module, decrement),
            None => module,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{DType, Device, Tensor};

    use super::Mode;
    use crate::mean::MeanGradient;
    use crate::strength::Strength;

    #[derive(Module, Debug)]
    struct One {
        theta: Param<Tensor<1>>,
    }

    #[test]
    fn the_factor_is_that_of_the_strengths_table_and_finite_at_zero() {
        let device = Device::flex().autodiff();
        for dtype in [DType::F32, DType::F64] {
            let at =
                |device: &Device, values: [f64; 2]| Tensor::<1>::from_data(values, (device, dtype));
            let module = One {
                theta: Param::from_tensor(at(&device, [1.0, 2.0])),
            };
            // Of these lengths, at right angles.
            let gradients = |values| {
                let mut gradients = GradientsParams::new();
                gradients.register(module.theta.id, at(&device.clone().inner(), values));
                gradients
            };
            let safe = Strength::Safe {
                strength: 0.1,
                share: 0.5,
            };
            for (strength, of_loss, of_penalty, factor) in [
                (Strength::Fixed(0.1), 1.0, 1e9, 0.1),
                (Strength::Relative(0.5), 3.0, 6.0, 0.25),
                (safe, 3.0, 6.0, 0.1),
                (safe, 3.0, 30.0, 0.05),
                (safe, 0.0, 30.0, 0.0),
                (safe, 3.0, 0.0, 0.0),
                (Strength::Projected(0.5), 3.0, 6.0, 0.25),
                (Strength::Relative(0.5), 3.0, 0.0, 0.0),
                (Strength::Relative(0.5), 0.0, 0.0, 0.0),
            ] {
                let (loss, penalty) = (gradients([of_loss, 0.0]), gradients([0.0, of_penalty]));
                let mut mean = MeanGradient::default();
                let (found, added) = Mode::Coupled
                    .apply(&module, strength, 1.0, &loss, &penalty, &mut mean)
                    .unwrap();
                let found = found.double();
                assert!(
                    (found - factor).abs() <= 1e-6 * factor,
                    "{strength}: {found}"
                );
                let added = added.get::<1>(module.theta.id).unwrap();
                let added: Vec<f64> = added.try_into_vec_as().unwrap();
                assert_eq!(added[0], 0.0, "{strength}");
                let expected = factor * of_penalty;
                assert!(
                    (added[1] - expected).abs() <= 1e-6 * expected,
                    "{strength}: {added:?}"
                );
            }
        }
    }
}
