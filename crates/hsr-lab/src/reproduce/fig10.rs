//! Figure 10: loss, λ_1 and λ_sup while every method trains.

use super::context::Context;
use super::finding::{Claim, Finding, Table, chart, plot};
use super::numbers::median;
use super::plan::{Extent, Plan};
use super::race::{self, Race, Run, Snapshot};
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};
use crate::train::Method;

pub(super) fn plan(extent: Extent) -> Plan {
    Plan::new((), 0.5, move |(), context| run(extent, context)).sharing(race::shared(extent))
}

/// What is drawn: its name in the picture, in the table, and the value.
type Quantity = (&'static str, &'static str, fn(&Snapshot) -> f64);

const QUANTITIES: [Quantity; 3] = [
    ("training loss L", "loss", |s| s.loss),
    ("λ_1", "lambda_1", |s| s.lambda_max),
    ("λ_sup", "lambda_sup", |s| s.lambda_sup),
];

/// Every method with its line, the uppermost first. HSR and the Frobenius penalty almost coincide: one of them is dashed.
const ON_TOP: [(Method, Mark); 8] = [
    (Method::Frobenius, Mark::Dashed),
    (Method::Hsr, Mark::Line),
    (Method::LambdaMax, Mark::Line),
    (Method::Trace, Mark::Line),
    (Method::Asam, Mark::Line),
    (Method::Sam, Mark::Line),
    (Method::GradientNorm, Mark::Line),
    (Method::Plain, Mark::Line),
];

fn run(extent: Extent, context: &Context) -> Result<Finding, LabError> {
    let race = Race::run(extent, context)?;
    let mut table = Table::new("task,method,epoch,quantity,median");
    let mut plots = Vec::new();
    for (title, column, quantity) in QUANTITIES {
        for (s, scene) in race.settings.scenes.iter().enumerate() {
            let mut series = Vec::new();
            for (method, mark) in ON_TOP.iter().rev() {
                let runs: Vec<&Run> = race.of(s, race.place(*method)).iter().flatten().collect();
                let at = |i: usize| {
                    let values: Vec<f64> =
                        runs.iter().map(|run| quantity(&run.course[i])).collect();
                    median(&values)
                };
                let points: Vec<[f64; 2]> = race
                    .epochs
                    .iter()
                    .enumerate()
                    .map(|(i, e)| [*e as f64, at(i)])
                    .collect();
                for [epoch, value] in &points {
                    table.row(&[&scene.task, method, epoch, &column, value]);
                }
                series.push(Series::new(race::name(*method), *mark, points));
            }
            plots.push(Plot {
                x_log: true,
                ..plot(&scene.task, "epoch", title, series)
            });
        }
    }
    let picture = chart(
        "Training dynamics of every method",
        "Medians over seeds of data and start.",
        race.settings.scenes.len(),
        plots,
    )?;
    let diverged = race.diverged();
    Ok(Finding {
        caption: format!(
            "Training loss, λ_1 and λ_sup of its Hessian over the epochs, for every method from the same starts; {diverged} \
             runs left the range of numbers. {}",
            race.words()
        ),
        claims: claims(&race),
        pictures: vec![("", picture)],
        table,
    })
}

fn claims(race: &Race) -> Vec<Claim> {
    let hsr = race.place(Method::Hsr);
    let scenes = race.settings.scenes.len();
    // Medians at the end of plain training and of HSR, a scene each.
    let ends = |quantity: fn(&Snapshot) -> f64| -> Vec<[f64; 2]> {
        (0..scenes)
            .map(|s| {
                [race.place(Method::Plain), hsr].map(|method| {
                    let runs = race.of(s, method).iter().flatten();
                    let last = runs.filter_map(|run| run.course.last());
                    median(&last.map(quantity).collect::<Vec<_>>())
                })
            })
            .collect()
    };
    let words = |ends: &[[f64; 2]]| -> String {
        let each = race
            .settings
            .scenes
            .iter()
            .zip(ends)
            .map(|(scene, [plain, hsr])| {
                let [plain, hsr] = [*plain, *hsr].map(figures::value);
                format!("{} {plain} to {hsr}", scene.task)
            });
        each.collect::<Vec<_>>().join(", ")
    };
    let mut claims: Vec<Claim> = QUANTITIES[1..]
        .iter()
        .map(|(name, _, quantity)| {
            let ends = ends(*quantity);
            let lower = ends.iter().filter(|[plain, hsr]| hsr < plain).count();
            Claim::of_all(
                format!(
                    "HSR ends with a lower median {name} than plain training on {lower} of {scenes} tasks ({})",
                    words(&ends)
                ),
                lower,
                scenes,
            )
        })
        .collect();
    let losses = ends(QUANTITIES[0].2);
    let worst = losses
        .iter()
        .map(|[plain, hsr]| hsr / plain)
        .fold(0.0, f64::max);
    claims.push(Claim::at_most(
        format!(
            "HSR does not buy this with the loss: its median is at most {:.1} % above that of plain training (at most 10 %; \
             {})",
            100.0 * (worst - 1.0),
            words(&losses)
        ),
        worst,
        1.1,
    ));
    claims
}
