//! What is compared.

use burn_hsr::Mode;
use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::train::{Method, TrainConfig};

/// A method and how strong it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contender {
    /// The method.
    pub method: Method,
    /// The factor of what it adds to the loss; ρ for SAM and ASAM; 0 for plain.
    pub strength: f64,
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

/// A comparison, as stored in its directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareConfig {
    /// The methods, the one that the others are tested against first.
    pub methods: Vec<Contender>,
    /// How many seeds, from that of `training` on.
    pub seeds: usize,
    /// Everything that the runs have in common. Its method and strength are those of each run; its mode applies to the
    /// methods that add a penalty.
    pub training: TrainConfig,
}

/// More runs than anyone waits for: a slip of the finger should not fill a disk.
const MOST_SEEDS: usize = 10_000;

impl CompareConfig {
    /// Brings `plain` to the front and refuses values that cannot work, naming the option.
    pub(crate) fn settle(&mut self) -> Result<(), LabError> {
        let refuse = |message: String| Err(LabError::Option(message));
        for (index, contender) in self.methods.iter().enumerate() {
            let name = contender.method.name();
            if self.methods[..index]
                .iter()
                .any(|other| other.method == contender.method)
            {
                return refuse(format!("--methods names {name} twice"));
            }
        }
        if self.methods.len() < 2 {
            return refuse(format!(
                "--methods has {} method, expected at least 2 to compare",
                self.methods.len()
            ));
        }
        if !(1..=MOST_SEEDS).contains(&self.seeds) {
            return refuse(format!(
                "--seeds is {}, expected 1 to {MOST_SEEDS}",
                self.seeds
            ));
        }
        if self.training.seed.checked_add(self.seeds as u64).is_none() {
            return refuse(format!(
                "--seed is {}, after which there are no {} seeds",
                self.training.seed, self.seeds
            ));
        }
        let penalised = |contender: &Contender| contender.method.sharpness().is_some();
        if self.training.mode != Mode::Coupled && !self.methods.iter().any(penalised) {
            return refuse(
                "--mode belongs to the methods that add a penalty, and none of --methods does"
                    .to_owned(),
            );
        }
        // Stable: the others stay in the order in which they were named.
        self.methods
            .sort_by_key(|contender| contender.method != Method::Plain);
        for contender in &self.methods {
            let run = self.run(*contender, self.training.seed);
            run.check()?;
            run.extra(run.method)?;
        }
        Ok(())
    }

    /// The seeds.
    pub fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.training.seed;
        first..first.saturating_add(self.seeds as u64)
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
            ..self.training.clone()
        }
    }
}
