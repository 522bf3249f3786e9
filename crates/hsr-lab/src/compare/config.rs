//! What is compared.

use burn_hsr::Mode;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::contender::{self, Contender};
use crate::error::{LabError, refuse};
use crate::train::{Method, Refinements, TrainConfig, check_rule};

/// A comparison, as stored in its directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareConfig {
    /// The methods, the one that the others are tested against first.
    pub methods: Vec<Contender>,
    /// How many seeds, from that of `training` on.
    pub seeds: usize,
    /// How many strengths of each method are tried at each seed; none for the strengths that the methods have. A fifth
    /// of the training split, its labels as they are, is held back to choose by; what is chosen is then trained on all of
    /// the training split. The test split is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<usize>,
    /// What the methods have the same number of.
    #[serde(default, skip_serializing_if = "Budget::is_epochs")]
    pub budget: Budget,
    /// Everything that the runs have in common. Its method and strength are those of each run; its mode applies to the
    /// methods that add a penalty.
    pub training: TrainConfig,
}

/// More runs than anyone waits for: a slip of the finger should not fill a disk.
const MOST_SEEDS: usize = 10_000;

impl CompareConfig {
    /// Brings `plain` to the front and refuses values that cannot work, naming the option.
    pub(crate) fn settle(&mut self) -> Result<(), LabError> {
        let methods: Vec<Method> = self.methods.iter().map(|it| it.method).collect();
        let (seeds, first) = (self.seeds, self.training.seed);
        if let Some(index) = (1..methods.len()).find(|&it| methods[..it].contains(&methods[it])) {
            refuse!("`methods` names {} twice", methods[index]);
        }
        if methods.len() < 2 {
            refuse!(
                "`methods` has {} method, expected at least 2 to compare",
                methods.len()
            );
        }
        if !(1..=MOST_SEEDS).contains(&seeds) {
            refuse!("`seeds` is {seeds}, expected 1 to {MOST_SEEDS}");
        }
        if first.checked_add(seeds as u64).is_none() {
            refuse!("`seed` is {first}, after which there are no {seeds} seeds");
        }
        if let Some(count) = self.tune {
            contender::check(count)?;
        }
        if !methods.iter().any(|it| it.sharpness().is_some()) {
            if self.training.mode != Mode::Coupled {
                refuse!(
                    "`mode` belongs to the methods that add a penalty, and none of `methods` does"
                );
            }
            self.training.refinements.check(false)?;
        }
        // Stable: the others stay in the order in which they were named.
        self.methods.sort_by_key(|it| it.method != Method::Plain);
        for contender in &self.methods {
            let run = self.run(*contender, first);
            run.check()?;
            check_rule(&run, run.method)?;
        }
        Ok(())
    }

    /// The strengths of a method that are tried.
    pub(super) fn tried(&self, contender: Contender) -> Vec<Contender> {
        let count = self.tune.filter(|_| contender.method.has_strength());
        let grid = contender::grid(contender, count.unwrap_or(0)).into_iter();
        let method = contender.method;
        grid.map(|strength| Contender { method, strength })
            .collect()
    }

    /// The seeds.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.training.seed;
        first..first.saturating_add(self.seeds as u64)
    }

    /// What of the refinements means something to a method.
    fn refinements(&self, method: Method) -> Refinements {
        let mut refinements = self.training.refinements.clone();
        if method.sharpness().is_none() {
            let plain = Refinements::default();
            (refinements.schedule, refinements.subsample) = (plain.schedule, plain.subsample);
        }
        match method {
            Method::WeightDecay => refinements.weight_decay = None,
            Method::LabelSmoothing => refinements.label_smoothing = 0.0,
            _ => {}
        }
        refinements
    }

    /// The configuration of one run.
    pub fn run(&self, contender: Contender, seed: u64) -> TrainConfig {
        TrainConfig {
            method: contender.method,
            strength: contender.strength,
            seed,
            mode: match contender.method.sharpness() {
                Some(_) => self.training.mode,
                None => Mode::Coupled,
            },
            refinements: self.refinements(contender.method),
            ..self.training.clone()
        }
    }
}
