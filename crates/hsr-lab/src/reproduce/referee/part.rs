//! What the parts of the answer share: what was chosen, and the form in which they give it.

use serde::Serialize;

use crate::figures::Figure;
use crate::reproduce::descent::Pace;
use crate::reproduce::finding::Claim;
use crate::train::Method;

#[derive(Serialize)]
pub(super) struct Settings {
    pub pace: Pace,
    /// Of HSR, where strengths are not compared.
    pub strength: f64,
    /// Strengths of the penalties that are compared.
    pub strengths: Vec<f64>,
    pub penalties: Vec<Method>,
    /// Seeds of that comparison.
    pub seeds: usize,
    /// Saddles that are left, at most, and how far from them is begun.
    pub saddles: usize,
    pub distance: f64,
    /// What counts as left: J so far below the saddle's.
    pub drop: f64,
    /// The most epochs that leaving may take.
    pub patience: usize,
}

impl Settings {
    /// The strengths in words.
    pub fn words(&self) -> String {
        let each: Vec<String> = self.strengths.iter().map(f64::to_string).collect();
        each.join(", ")
    }
}

/// What one part of the answer gives.
pub(super) struct Part {
    pub name: &'static str,
    pub caption: String,
    pub claims: Vec<Claim>,
    pub picture: Figure,
}
