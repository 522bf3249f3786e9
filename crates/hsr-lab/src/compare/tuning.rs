//! The choice of each method's strength, seed by seed, on a validation split of the training split.

use std::collections::BTreeMap;

use burn_hsr::Strength;
use serde::{Deserialize, Serialize};

use super::config::CompareConfig;
use super::contender::grid;
use crate::figures::{Chart, Figure, FigureError, Mark, Plot, Series, chart};
use crate::statistics::Quartiles;
use crate::train::Method;

/// What came of a strength that was tried, as stored in `tuning/METHOD-SEED-NUMBER.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The method.
    pub method: Method,
    /// The seed.
    pub seed: u64,
    /// Its place in the grid, from 0, the weakest.
    pub number: usize,
    /// The strength.
    pub strength: Strength,
    /// Macro-F1 and mean cross-entropy on the validation split; none where training left the range of numbers.
    pub validation: Option<[f64; 2]>,
}

/// A method's strengths and what they came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunedMethod {
    /// The method.
    pub method: Method,
    /// The grid, from weak to strong.
    pub strengths: Vec<Strength>,
    /// Quartiles over the seeds of macro-F1 on the validation split, a strength each; none where no seed was finished.
    pub scores: Vec<Option<Quartiles>>,
    /// What was chosen, a seed each.
    pub chosen: Vec<Strength>,
}

impl TunedMethod {
    /// The median of what was chosen, the weaker of two; none where nothing was.
    pub fn median(&self) -> Option<Strength> {
        let place = |chosen: &Strength| self.strengths.iter().position(|it| it == chosen);
        let mut places: Vec<usize> = self.chosen.iter().filter_map(place).collect();
        places.sort_unstable();
        let middle = places.len().checked_sub(1)? / 2;
        self.strengths.get(*places.get(middle)?).copied()
    }

    /// The number of a strength that its curve is drawn over.
    fn number(strength: Strength) -> Option<f64> {
        strength.most().or(strength.share())
    }

    /// The curve of the median validation score over the strength, with its quartiles.
    pub(super) fn curve(&self) -> Series {
        let mut series = Series::new(self.method.name(), Mark::Marked, Vec::new());
        for (&strength, scores) in self.strengths.iter().zip(&self.scores) {
            if let (Some(x), Some(scores)) = (Self::number(strength), scores) {
                series.points.push([x, scores.median]);
                series.band.push([x, scores.lower, scores.upper]);
            }
        }
        series
    }
}

/// The validation score over the strength, a panel a method.
pub(super) fn figure(tuning: &[TunedMethod]) -> Result<Figure, FigureError> {
    let plot = |tuned: &TunedMethod| Plot {
        title: tuned.method.name().to_owned(),
        x: match tuned.strengths.first() {
            Some(Strength::Relative(_) | Strength::Projected(_)) => {
                "share of the loss's gradient".to_owned()
            }
            _ => "strength".to_owned(),
        },
        y: "macro-F1 on the validation split".to_owned(),
        x_log: true,
        series: vec![tuned.curve()],
        ..Plot::default()
    };
    chart(&Chart {
        title: "Score over strength".to_owned(),
        note: "Median over seeds and quartiles, on a fifth of the training split that is not trained on. A strength is easy to \
               choose where the curve has a plateau."
            .to_owned(),
        columns: 2,
        plots: tuning.iter().map(plot).collect(),
    })
}

/// The best of a method's trials at one seed: the highest macro-F1; of equal ones that with the least loss, and of those
/// the weakest. Where none has a network, the weakest.
pub(super) fn best<'a>(trials: impl IntoIterator<Item = &'a Trial>) -> Option<&'a Trial> {
    let key = |trial: &Trial| match trial.validation {
        Some([score, loss]) => (-score, loss),
        None => (f64::INFINITY, f64::INFINITY),
    };
    trials.into_iter().min_by(|a, b| {
        let (a_key, b_key) = (key(a), key(b));
        let order = a_key.0.total_cmp(&b_key.0);
        let order = order.then(a_key.1.total_cmp(&b_key.1));
        order.then(a.number.cmp(&b.number))
    })
}

/// What the trials say together; nothing of methods without a strength.
pub(super) fn tuned(config: &CompareConfig, trials: &[Trial]) -> Vec<TunedMethod> {
    let Some(count) = config.tune else {
        return Vec::new();
    };
    let contenders = config.methods.iter().filter(|it| it.method.has_strength());
    contenders
        .map(|&contender| {
            let of_method = trials.iter().filter(|it| it.method == contender.method);
            let mut seeds: BTreeMap<u64, Vec<&Trial>> = BTreeMap::new();
            let mut scores = vec![Vec::new(); count];
            for trial in of_method {
                seeds.entry(trial.seed).or_default().push(trial);
                if let (Some([score, _]), Some(of)) =
                    (trial.validation, scores.get_mut(trial.number))
                {
                    of.push(score);
                }
            }
            let chosen = seeds.into_values().filter_map(best);
            TunedMethod {
                method: contender.method,
                strengths: grid(contender, count),
                scores: scores.iter().map(|scores| Quartiles::of(scores)).collect(),
                chosen: chosen.map(|trial| trial.strength).collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_chosen_by_score_then_loss_then_weakness() {
        let trial = |number, validation| Trial {
            method: Method::Sam,
            seed: 0,
            number,
            strength: Strength::Fixed(number as f64),
            validation,
        };
        let chosen = |trials: &[Trial]| best(trials).map(|it| it.number);
        let (low, high) = (Some([0.5, 0.1]), Some([0.9, 2.0]));
        assert_eq!(
            chosen(&[trial(0, low), trial(1, high), trial(2, None)]),
            Some(1)
        );
        assert_eq!(
            chosen(&[trial(0, high), trial(1, Some([0.9, 1.0])), trial(2, low)]),
            Some(1)
        );
        assert_eq!(chosen(&[trial(2, high), trial(1, high)]), Some(1));
        assert_eq!(chosen(&[trial(1, None), trial(0, None)]), Some(0));
        assert_eq!(chosen(&[]), None);
    }
}
