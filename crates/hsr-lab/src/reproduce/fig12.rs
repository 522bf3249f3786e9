//! Figure 12: the eigenspectrum that every method leaves, with marks of Wilcoxon tests against plain training.

use std::collections::BTreeMap;

use super::context::Context;
use super::critical::FLAT;
use super::finding::{Claim, Finding, Table};
use super::numbers::median;
use super::plan::{Extent, Plan};
use super::race::{self, Beside, Race, Run, State};
use crate::error::LabError;
use crate::figures::{self, Distribution, DistributionPanel};
use crate::statistics::stars;
use crate::train::Method;

pub(super) fn plan(extent: Extent) -> Plan {
    Plan::new((), 1.0, move |(), context| run(extent, context)).sharing(race::shared(extent))
}

/// A statistic of the spectrum: its name in the picture, in the table, and the value.
type Statistic = (&'static str, &'static str, fn(&State) -> f64);

const STATISTICS: [Statistic; 6] = [
    ("λ_1", "lambda_1", |s| s.curvature.lambda_max()),
    ("λ_D", "lambda_min", |s| s.curvature.lambda_min()),
    ("λ_1 − λ_D", "spread", |s| s.curvature.spread()),
    ("mean m", "mean", |s| s.curvature.mean),
    ("standard deviation s", "std", |s| s.curvature.std),
    ("directions down", "directions_down", |s| {
        s.curvature.negative(FLAT) as f64
    }),
];

/// Where the spectrum is looked at.
pub(super) const PLACES: [Place; 2] = [
    Place {
        name: "end of training",
        suffix: "",
        state: |run| Some(&run.end),
    },
    Place {
        name: "critical point of J",
        suffix: "critical",
        state: |run| run.critical.as_ref(),
    },
];

/// A point of a run.
pub(super) struct Place {
    pub name: &'static str,
    pub suffix: &'static str,
    pub state: fn(&Run) -> Option<&State>,
}

fn run(extent: Extent, context: &Context) -> Result<Finding, LabError> {
    let race = Race::run(extent, context)?;
    let mut table = Table::new("place,task,method,statistic,pairs,median,plain,p_holm");
    let mut pictures = Vec::new();
    let mut claims = Vec::new();
    for place in &PLACES {
        let mut panels = Vec::new();
        let mut compared = BTreeMap::new();
        for (title, column, statistic) in STATISTICS {
            let mut of_statistic = Vec::new();
            for (s, scene) in race.settings.scenes.iter().enumerate() {
                let beside = race.beside_plain(s, &|run| (place.state)(run).map(statistic));
                for ((method, _), it) in race.settings.methods.iter().zip(&beside) {
                    let (pairs, other) = (it.other.len(), median(&it.other));
                    let plain = median(&it.plain);
                    let (place, task) = (place.name, &scene.task);
                    table.row(&[&place, task, method, &column, &pairs, &other, &plain, &it.p]);
                }
                panels.push(panel(&race, format!("{}: {title}", scene.task), &beside));
                of_statistic.push(beside);
            }
            compared.insert(column, of_statistic);
        }
        let picture = figures::distributions(&panels, race.settings.scenes.len())?;
        pictures.push((place.suffix, picture));
        claims.extend(judge(&race, place, &compared));
    }
    let found = (0..race.settings.scenes.len())
        .flat_map(|s| (0..race.settings.methods.len()).map(move |m| (s, m)))
        .flat_map(|(s, m)| race.of(s, m))
        .flatten();
    let (all, critical) = found.fold((0, 0), |(all, critical), run| {
        (all + 1, critical + usize::from(run.critical.is_some()))
    });
    Ok(Finding {
        caption: format!(
            "Statistics of the eigenspectrum of the cross-entropy's Hessian: where the training of each method ended, and \
             (second picture) at the critical point of J, cross-entropy and weight decay, that as many epochs of plain \
             training and a second-order polish reached from there, in {critical} of {all} runs. Directions down: eigenvalues of \
             J's Hessian below zero. A row a method, a dot a run, boxes are quartiles. Stars mark the p-value of the two-sided Wilcoxon signed-rank test against \
             plain training, paired by seed and corrected after Holm: * below 0.05, ** 0.01, *** 0.001. The paper does not \
             say publicly which of both points it means. {}",
            race.words()
        ),
        claims,
        pictures,
        table,
    })
}

/// A row a method, with stars.
pub(super) fn panel(race: &Race, title: String, beside: &[Beside]) -> DistributionPanel {
    let groups = race
        .settings
        .methods
        .iter()
        .zip(beside)
        .map(|((method, _), it)| Distribution {
            label: race::name(*method).to_owned(),
            values: it.other.clone(),
            mark: stars(it.p).to_owned(),
        });
    DistributionPanel {
        title,
        groups: groups.collect(),
    }
}

/// How HSR stands beside plain training in one quantity, a scene after the other: on how many the medians differ in the
/// direction wanted and the test says that this is no chance, and all of it in words.
pub(super) fn against_plain(race: &Race, by_scene: &[Vec<Beside>], lower: bool) -> (usize, String) {
    let hsr = race.place(Method::Hsr);
    let mut significant = 0;
    let mut words = Vec::new();
    for (scene, beside) in race.settings.scenes.iter().zip(by_scene) {
        let it = &beside[hsr];
        let (plain, other) = (median(&it.plain), median(&it.other));
        // Where medians are equal, as counts often are, the means tell the direction.
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
        let wanted = (mean(&it.other) < mean(&it.plain)) == lower;
        significant += usize::from(wanted && it.p < 0.05);
        if it.other.is_empty() {
            words.push(format!("{} no pairs", scene.task));
            continue;
        }
        words.push(format!(
            "{} {} to {}, p = {}",
            scene.task,
            figures::value(plain),
            figures::value(other),
            figures::value(it.p)
        ));
    }
    (significant, words.join("; "))
}

/// By the statistic's name in the table, a scene after the other.
type Compared = BTreeMap<&'static str, Vec<Vec<Beside>>>;

/// The abstract's claims at one place.
fn judge(race: &Race, place: &Place, compared: &Compared) -> Vec<Claim> {
    let scenes = race.settings.scenes.len();
    let claim = |what: &str, statistic: &str| {
        let (significant, words) = against_plain(race, &compared[statistic], true);
        Claim::of_all(
            format!(
                "{}: HSR {what} on {significant} of {scenes} tasks (p < 0.05; medians plain to HSR: {words})",
                place.name
            ),
            significant,
            scenes,
        )
    };
    vec![
        claim("narrows the spectrum, λ_1 − λ_D falls", "spread"),
        claim("avoids sharp minima, λ_1 falls", "lambda_1"),
        saddles(race, place, &compared["directions_down"]),
    ]
}

/// Whether HSR ends less often where a direction leads down.
fn saddles(race: &Race, place: &Place, down: &[Vec<Beside>]) -> Claim {
    let hsr = race.place(Method::Hsr);
    let share = |values: &dyn Fn(&Beside) -> &Vec<f64>| -> (usize, usize) {
        let all: Vec<f64> = down
            .iter()
            .flat_map(|it| values(&it[hsr]).clone())
            .collect();
        (all.iter().filter(|v| **v > 0.0).count(), all.len())
    };
    let (plain, pairs) = share(&|it| &it.plain);
    let (other, _) = share(&|it| &it.other);
    Claim::below(
        format!(
            "{}: HSR avoids saddles, eigenvalues of J's Hessian are negative at {other} of {pairs} points against {plain} of plain training",
            place.name
        ),
        other as f64,
        plain as f64,
    )
}
