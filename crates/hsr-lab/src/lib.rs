//! The laboratory of HSR regularisation: tasks, training runs, curvature of trained weights, figures. It is what the
//! command `hsr` is made of, for programs that want the same without a command line.
//!
//! # Quick start
//!
//! The curvature of a network on the bundled irises:
//!
//! ```
//! use hsr_core::{Activation, Batch, OutputLoss, Targets};
//! use hsr_lab::data::Standardizer;
//! use hsr_lab::tasks::{self, TaskOptions};
//! use hsr_lab::{Curvature, Weights, layers, spectrum};
//!
//! let mut data = tasks::load("iris", &TaskOptions::default(), 0)?;
//! Standardizer::fit(&data).apply(&mut data)?;
//! let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &data.features, Targets::Classes(&data.labels));
//!
//! // Two hidden layers of 8 and 6 units.
//! let layers = layers(data.inputs, &vec![8, 6].into(), data.classes(), &Activation::Tanh.into(), false)?;
//! let weights = Weights::random(layers, 0);
//! let mut curvature = Curvature::new();
//! let bounds = curvature.bounds(&weights.view()?, &batch)?;
//! let ends = spectrum::ends(&mut curvature, &weights, &batch, 0)?;
//! assert!(bounds.lambda_max_lower <= ends.lambda_max && ends.lambda_max <= bounds.lambda_sup);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! * [`data`], [`tasks`]: what is learned from.
//! * [`train`]: runs with a directory, a checkpoint and a summary.
//! * [`compare`]: methods over seeds, with tests and a report.
//! * [`model`]: trained networks with what they know of their data, and the tables that go with them.
//! * [`inspect`](mod@inspect), [`predict`](mod@predict): exact curvature of such a network, from any framework, and its
//!   classes.
//! * [`Subject`]: such a network with the samples on which it is looked at.
//! * [`spectrum`]: eigenvalues, dense or by Lanczos.
//! * [`landscape`]: the loss around a network and between two.
//! * [`statistics`]: paired tests and quartiles.
//! * [`reproduce`](mod@reproduce): the paper's figures with their claims checked.
//! * [`figures`] are the pictures, [`report`] the pages that hold them.
//! * [`files`], [`shell`]: files that are written whole, commands that can be pasted.
//! * [`conv`]: a convolutional network, which is trained and measured through Burn's gradients.
//! * [`Weights`], [`network`]: parameters in memory, in safetensors and in Burn; [`layers`] says what they are of.
//! * [`Curvature`]: the closed form of a network of any depth.
//!
//! # Features
//!
//! None is a default.
//!
//! | feature | |
//! |---|---|
//! | `flex`, `ndarray`, `cpu`, `wgpu`, `vulkan`, `metal`, `webgpu`, `cuda`, `rocm`, `remote` | backends, as in burn-hsr |
//! | `fusion`, `autotune` | Burn's, which programs on a GPU have by default |
//! | `train` | burn-train in the libraries below; the command has it so that it and the tests are one build |
//! | `download` | fetches the files of MNIST where none are given; a heavy network client |

mod about;
mod architecture;
pub mod compare;
pub mod conv;
mod curvature;
pub mod data;
mod device;
mod eigen;
mod error;
pub mod figures;
pub mod files;
mod input;
pub mod inspect;
pub mod landscape;
mod lock;
pub mod memory;
pub mod model;
mod named;
pub mod network;
mod pictures;
pub mod predict;
pub mod report;
pub mod reproduce;
pub mod scores;
pub mod shell;
pub mod spectrum;
pub mod statistics;
mod subject;
pub mod tasks;
mod text;
pub mod train;
pub mod weights;
mod workers;

pub use about::About;
pub use architecture::{Activations, NetworkKind, PerLayer, Widths, layers};
pub use burn_hsr;
pub use curvature::{Curvature, Operator};
pub use error::LabError;
pub use hsr_core;
pub use named::Named;
pub use subject::{Subject, SubjectReport};
pub use text::visible;
pub use weights::{LayerKeys, View, Weights, WeightsFile};

/// The programs in the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
