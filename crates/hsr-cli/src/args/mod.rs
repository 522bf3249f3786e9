//! The arguments as a person types them, a file a command.

mod compare;
mod data;
mod inspect;
mod landscape;
mod model;
mod named;
mod predict;
mod reproduce;
mod spectrum;
mod subject;
mod tools;
mod train;
mod training;

use clap::{Parser, Subcommand};

pub use compare::{CompareOptions, MethodStrength};
pub use data::SourceArguments;
pub use inspect::InspectOptions;
pub use landscape::LandscapeOptions;
pub use predict::PredictOptions;
pub use reproduce::ReproduceOptions;
pub use spectrum::SpectrumOptions;
pub use subject::SubjectArguments;
pub use tools::{BackendsOptions, CompletionsOptions, ManOptions, TasksOptions, description};
pub use train::TrainOptions;
pub use training::TrainingOptions;

use crate::style::{STYLES, examples};

/// Hessian Spectral Range (HSR) regularisation for Burn: train small networks with a narrow Hessian spectrum, and see
/// the exact curvature of trained ones.
#[derive(Debug, Parser)]
#[command(name = "hsr", version, propagate_version = true)]
#[command(styles = STYLES, max_term_width = 100)]
#[command(after_help = examples(
    "Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 2 bad arguments or \
     input, 1 anything else. Colours and progress show on a terminal only; NO_COLOR=1 turns colours off. \
     With --quiet standard output has the paths of what was written, of hsr tasks the names, of hsr inspect the \
     numbers; with --json one object.",
    &[
        ("digits, a plain network and one with HSR from the same start", "hsr train"),
        ("what else can be learned", "hsr tasks"),
        ("the options of a command, with examples", "hsr help compare"),
    ],
))]
pub struct Arguments {
    /// No progress, no messages: print only the paths of what was written.
    #[arg(long, short, global = true, display_order = 900)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the built-in tasks.
    Tasks(TasksOptions),
    /// List the backends: which are in this build, which device each opens, and with which precision.
    Backends(BackendsOptions),
    /// Train a network with HSR and a plain one from the same start, and compare them.
    Train(Box<TrainOptions>),
    /// Compare methods over seeds: a table with significance tests, figures and a report.
    Compare(Box<CompareOptions>),
    /// Exact curvature of a trained network (of a run, or safetensors as PyTorch saves them).
    Inspect(Box<InspectOptions>),
    /// The classes that a trained network gives to the rows of a CSV, with their probabilities.
    Predict(Box<PredictOptions>),
    /// The loss around a trained network, or between two: a table and a picture.
    Landscape(Box<LandscapeOptions>),
    /// The paper's figures, each with its claims checked, and the answers to its referee.
    Reproduce(ReproduceOptions),
    /// The Hessian's spectrum at a trained network: eigenvalues, density, trace.
    Spectrum(Box<SpectrumOptions>),
    /// A script with which a shell completes commands, options and names.
    Completions(CompletionsOptions),
    /// The manual as man pages.
    Man(ManOptions),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_consistent() {
        Arguments::command().debug_assert();
    }
}
