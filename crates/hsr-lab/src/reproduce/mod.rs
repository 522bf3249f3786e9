//! The paper, reproduced: each figure with its claims checked, the objections of its referee, and beyond three layers how
//! tight the bound is.
//!
//! ```text
//! reproduce ── Experiment ── Plan (settings) ── Context (threads, parts, progress) ── Finding (claims, pictures, table)
//! ```
//!
//! The paper's full text is not public. What is: its abstract, its captions and a referee's objections. Settings are
//! chosen near the captions, and each figure's caption says what was chosen. Everything is computed in f64 through
//! hsr-core; the networks have D = 21 parameters where nothing else is said.

mod context;
mod critical;
mod curvature;
mod depth;
mod descent;
mod experiment;
mod fig10;
mod fig11;
mod fig12;
mod fig14;
mod fig15;
mod fig2;
mod fig3;
mod fig5;
mod fig6;
mod fig7;
mod fig9;
mod finding;
mod numbers;
mod outcome;
mod plan;
mod points;
mod race;
mod referee;
mod report;
mod run;
mod scene;
mod search;
mod tensor_bound;

pub use context::{Observer, Progress};
pub use experiment::Experiment;
pub use finding::{Claim, Relation};
pub use outcome::Outcome;
pub use plan::Extent;
pub use run::{ReproduceOptions, Reproduction, reproduce};
