//! Stochastic HSR: curvature of any differentiable module, regularised from gradients alone.
//!
//! Burn differentiates once, so that the gradient of a curvature must be made of differences of gradients. With
//! g(s) = ∇L(θ + s) on one batch, a probe v of random signs and D the number of parameters,
//!
//! ```text
//! u = Hv,   t̂ = vᵀu,   q̂ = ‖u‖²                estimates of t = tr H and q = ‖H‖²
//! y = w_t v + 2w_q u                            w_t = ∂λ/∂t, w_q = ∂λ/∂q
//! ∇λ ≈ ∇(yᵀHv), y and v held fixed              because ∇t = E ∇(vᵀHv) and ∇q = 2E ∇((Hv)ᵀHv)
//! ```
//!
//! for every λ(t, q): the bound λ_sup = m + s√(D − 1) with m = t/D and s² = q/D − m², or one of the other
//! [objectives](Objective). One mixed second difference gives both parts. Three gradients beyond the loss's own do:
//!
//! ```text
//! u      = (g(εv) − g(0))/ε,   ŷ = y/‖y‖
//! ∇λ ≈ ‖y‖ (g(ηŷ + εv) − g(ηŷ) − g(εv) + g(0))/(εη)
//! ```
//!
//! All errors of first order in ε and η are odd in v and vanish in the mean: the bias is of second order
//! ([`Scheme::S4`]).
//!
//! # Weights
//!
//! w_t and w_q come from moving averages of t̂ and q̂ over the steps before, corrected for their start, and not from this
//! step's probe: the estimate is then unbiased, given the averages. The very first step has no other than its own.
//!
//! # Steps
//!
//! ε, for each coordinate, is 10⁻⁴ θ̄ in f64 and 2·10⁻³ θ̄ in f32, where θ̄ is the root mean square of the parameters, and
//! η = 0.1 ε√D. Half precision takes 0.2 θ̄ and is computed with in f32; its gradients round so coarsely that a single
//! estimate is mostly noise: keep the parameters in f32 where you can. ε is one for all parameters, because E vvᵀ = 1 in one unit is what makes
//! the mean of vᵀHv the trace. Where single precision rounds θ + εv, the step really taken is the probe.
//!
//! # Costs
//!
//! | objective | scheme | gradients beyond the loss's own, a probe |
//! |---|---|---|
//! | λ_sup, ‖H‖ | S4 | 3 |
//! | | S5 | 4 |
//! | | S7 | 6 |
//! | tr H, λ_max | | 2 |
//!
//! With [`interval`](crate::ScheduleConfig::interval) k, HSR acts every k-th step with k times the strength: 1 + 3/k gradients a
//! step. A step reads a number for each gradient from the device, all at once, to see whether they are finite; with
//! [`check_finite`](StochasticHsrConfig::check_finite) off it reads nothing. The first step repeats one pass, to see that
//! the closure gives the same loss twice, and reads the device once for that.
//!
//! # What stands beside it
//!
//! * **Dropout** and other random numbers of the module's device are the same in all passes of a step and others in the
//!   next ([`Randomness`](crate::Randomness)). Two masks differ by far more than two nearby points.
//! * **Running statistics** (`BatchNorm`) are updated by the pass at θ alone, as by one forward pass without HSR. In
//!   training mode the loss is a function of θ through the batch's statistics too, and its curvature is that function's.
//! * **Frozen parameters** and those outside the [group](StochasticHsrConfig::group) neither move by HSR nor count.
//! * **Accumulation** over micro-batches belongs into the closure, which then gives their accumulated gradients.
//! * **Small batches**: q̂ is that of the batch's Hessian, whose mean is larger than the whole data's.
//! * A closure that gives another loss at every call (the next batch, say) is refused
//!   ([`NotRepeatable`](crate::PenaltyError::NotRepeatable)).
//!
//! # Example
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::nn::loss::CrossEntropyLossConfig;
//! use burn::optim::AdamConfig;
//! use burn::tensor::{Device, Int, Tensor};
//! use burn_penalty::{ScheduleConfig, StochasticHsrConfig};
//!
//! let device = Device::flex().autodiff();
//! device.seed(0);
//! // Six of Fisher's irises, two of each species: length and width of sepal and petal in cm.
//! let x = Tensor::<2>::from_floats([
//!     [5.1, 3.5, 1.4, 0.2], [4.9, 3.0, 1.4, 0.2], // setosa
//!     [7.0, 3.2, 4.7, 1.4], [6.4, 3.2, 4.5, 1.5], // versicolor
//!     [6.3, 3.3, 6.0, 2.5], [5.8, 2.7, 5.1, 1.9], // virginica
//! ], &device);
//! let y = Tensor::<1, Int>::from_ints([0, 0, 1, 1, 2, 2], &device);
//! let mut model = LinearConfig::new(4, 3).init(&device);
//! let loss_fn = CrossEntropyLossConfig::new().init(&device);
//! let config = StochasticHsrConfig::new().with_schedule(ScheduleConfig::new().with_interval(4));
//! let mut hsr = config.init(AdamConfig::new().init())?;
//! for _ in 0..20 {
//!     let step = hsr.step(0.1, model, |model| loss_fn.forward(model.forward(x.clone()), y.clone()))?;
//!     model = step.module;
//! }
//! let curvature = hsr.gradient().curvature()?.expect("steps with HSR");
//! assert!(curvature.frobenius > 0.0 && curvature.lambda_sup.is_some());
//! # Ok::<(), burn_penalty::PenaltyError>(())
//! ```

mod config;
mod estimate;
mod gradient;
mod optimizer;
mod probes;
mod record;
mod state;
mod step;

pub use config::{Objective, Scheme, StochasticHsrConfig};
pub use estimate::Curvature;
pub use gradient::{Part, StochasticHsrGradient, StochasticHsrPasses};
pub use optimizer::{Outcome, StochasticHsr, StochasticHsrStep};
pub use record::{StochasticHsrGradientRecord, StochasticHsrRecord};
