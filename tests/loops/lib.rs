//! Training loops that people have, with HSR and with SAM put into them: Burn's own examples, shortened, and others of
//! the same shapes as are found in projects that use Burn. A change of an API that would break such a loop breaks this
//! package.
//!
//! One file a loop. A line that HSR adds or changes ends in `// HSR`; everything else is as it was without. Each loop
//! trains in one of three ways ([`Method`]) from the same start and says where that led ([`Outcome`]); `trained.rs` checks
//! it. Data are the 8 × 8 digits and the irises of this repository, or made on the spot, and sizes are such that a loop
//! takes a fraction of a second.
//!
//! The package depends on `burn`, `burn-hsr` and `burn-sharpness` as a user's does, with the features for the CPU.

use burn::tensor::Device;

pub mod accumulation;
pub mod custom_learning_strategy;
pub mod custom_training_loop;
pub mod data;
pub mod dqn;
pub mod guide;
pub mod iris;
pub mod mnist;
pub mod modern_lstm;
pub mod policy_value;
pub mod simple_regression;
pub mod text_classification;
pub mod wasm_mnist;
pub mod wgan;

/// What goes wrong in a loop.
pub type Error = Box<dyn std::error::Error>;

/// How a loop trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As it did before.
    Plain,
    /// With HSR.
    Hsr,
    /// With SAM, whose steps take a closure that may be called twice.
    Sam,
}

impl Method {
    /// All three.
    pub const ALL: [Method; 3] = [Method::Plain, Method::Hsr, Method::Sam];

    /// A strength for HSR; 0, which adds nothing, for the others.
    pub fn strength(self, strength: f64) -> f64 {
        if self == Method::Hsr { strength } else { 0.0 }
    }
}

/// Where a training led.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The loss of all data at the start.
    pub before: f32,
    /// The loss of all data at the end.
    pub after: f32,
    /// λ_sup of all data at the end, of the three layers that HSR regularises.
    pub lambda_sup: f64,
}

/// Burn's default on the CPU, with autodiff and a seed.
pub fn device() -> Device {
    let device = Device::flex().autodiff();
    device.seed(42);
    device
}
