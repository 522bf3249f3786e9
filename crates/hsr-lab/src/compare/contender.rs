//! A method in a comparison, and the strengths that are tried of it.

use burn_hsr::Strength;
use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::train::Method;

/// A method and how strong it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contender {
    /// The method.
    pub method: Method,
    /// The factor of what it adds to the loss; ρ for SAM and ASAM; 0 for plain.
    pub strength: Strength,
}

impl Contender {
    /// The method with the strength that `hsr train` gives it.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            strength: method.default_strength(),
        }
    }
}

/// The most strengths a method that are tried: a slip of the finger should not take days.
const MOST: usize = 100;

/// The ends of a method's grid: for rules that are shares of ‖∇L‖, and for numbers.
fn ends(contender: Contender) -> [f64; 2] {
    match (contender.strength, contender.method) {
        (Strength::Relative(_) | Strength::Projected(_), _) => [0.05, 5.0],
        (_, Method::Trace) => [1e-4, 0.1],
        (_, method) if method.sam().is_some() => {
            // A decade to both sides of the papers' ρ.
            [0.1, 10.0].map(|share| share * method.fixed_strength())
        }
        (_, Method::WeightDecay) => [1e-5, 0.1],
        (_, Method::LabelSmoothing) => [0.01, 0.5],
        _ => [1e-3, 1.0],
    }
}

/// A logarithmic grid of `count` strengths of the kind that the contender has, from weak to strong.
pub(super) fn grid(contender: Contender, count: usize) -> Vec<Strength> {
    let [low, high] = ends(contender);
    let last = count.saturating_sub(1).max(1) as f64;
    let value = |number: usize| {
        let value = low * (high / low).powf(number as f64 / last);
        // To three digits, so that what is chosen can be written down.
        format!("{value:.2e}").parse().unwrap_or(value)
    };
    let of = |value: f64| match contender.strength {
        Strength::Relative(_) => Strength::Relative(value),
        Strength::Projected(_) => Strength::Projected(value),
        Strength::Safe { share, .. } => Strength::Safe {
            strength: value,
            share,
        },
        _ => Strength::Fixed(value),
    };
    (0..count).map(|number| of(value(number))).collect()
}

/// Refuses counts that cannot work.
pub(super) fn check(count: usize) -> Result<(), LabError> {
    if (2..=MOST).contains(&count) {
        return Ok(());
    }
    Err(LabError::Option(format!(
        "`tune` is {count}, expected 2 to {MOST} strengths for each method"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_logarithmic_from_end_to_end() {
        let hsr = Contender::new(Method::Hsr);
        let numbers: Vec<f64> = grid(hsr, 4).iter().filter_map(|it| it.most()).collect();
        assert_eq!(numbers, [0.001, 0.01, 0.1, 1.0]);
        for share in [Strength::Relative, Strength::Projected] {
            let strength = share(0.5);
            let grid = grid(Contender { strength, ..hsr }, 3);
            assert_eq!(grid, [0.05, 0.5, 5.0].map(share));
        }
        for method in Method::ALL.into_iter().filter(|it| it.has_strength()) {
            let grid = grid(Contender::new(method), 5);
            let numbers: Vec<f64> = grid.iter().filter_map(|it| it.most()).collect();
            assert!(numbers.len() == 5 && numbers.is_sorted_by(|a, b| a < b));
        }
    }
}
