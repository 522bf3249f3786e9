//! Does the gap between λ_sup and λ_1 widen while λ_sup is descended?

use super::part::Part;
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};
use crate::reproduce::finding::{Claim, Table, chart, plot};
use crate::reproduce::numbers::median;
use crate::reproduce::race::{self, Race, Snapshot};
use crate::statistics::Quartiles;
use crate::train::Method;

const METHODS: [Method; 2] = [Method::Plain, Method::Hsr];

fn ratio(snapshot: &Snapshot) -> f64 {
    snapshot.lambda_sup / snapshot.lambda_max
}

pub(super) fn answer(race: &Race, table: &mut Table) -> Result<Part, LabError> {
    let mut plots = Vec::new();
    // Median ratios at the start, at the end of plain training and at the end of HSR.
    let mut ratios: Vec<[f64; 3]> = Vec::new();
    for (s, scene) in race.settings.scenes.iter().enumerate() {
        let mut series = Vec::new();
        let mut ends = Vec::new();
        for method in METHODS {
            let runs = race.of(s, race.place(method));
            let at = |i: usize| {
                let values: Vec<f64> = runs
                    .iter()
                    .flatten()
                    .map(|run| ratio(&run.course[i]))
                    .collect();
                Quartiles::of(&values)
            };
            let mut line = Series::new(race::name(method), Mark::Line, Vec::new());
            for (i, epoch) in race.epochs.iter().enumerate() {
                let Some(q) = at(i) else { continue };
                line.points.push([*epoch as f64, q.median]);
                line.band.push([*epoch as f64, q.lower, q.upper]);
                table.row(&[&"tightness", &scene.task, &method, epoch, &q.median]);
            }
            let end = |i: Option<&[f64; 2]>| i.map_or(f64::NAN, |p| p[1]);
            ends.push([end(line.points.first()), end(line.points.last())]);
            series.push(line);
        }
        ratios.push([ends[0][0], ends[0][1], ends[1][1]]);
        plots.push(Plot {
            x_log: true,
            reach: vec![[1.0, 1.0]],
            ..plot(&scene.task, "epoch", "λ_sup/λ_1", series)
        });
    }
    let picture = chart(
        "How tight the bound is during training",
        "λ_sup/λ_1: medians over seeds, bands are quartiles; 1 is a bound that is reached.",
        race.settings.scenes.len(),
        plots,
    )?;
    Ok(Part {
        name: "tightness",
        caption: "First, λ_sup/λ_1 before, during and at the end of training with HSR and plainly."
            .to_owned(),
        claims: claims(race, &ratios),
        picture,
    })
}

fn claims(race: &Race, ratios: &[[f64; 3]]) -> Vec<Claim> {
    let scenes = ratios.len();
    let words = |from: usize| {
        let each = race.settings.scenes.iter().zip(ratios).map(|(scene, r)| {
            format!(
                "{} {} to {}",
                scene.task,
                figures::value(r[from]),
                figures::value(r[2])
            )
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let kept = |from: usize| ratios.iter().filter(|r| r[2] <= r[from]).count();
    let mut fell = [0; 2];
    for s in 0..scenes {
        for run in race.of(s, race.place(Method::Hsr)).iter().flatten() {
            for pair in run
                .course
                .windows(2)
                .filter(|w| w[1].lambda_sup < w[0].lambda_sup)
            {
                fell[0] += usize::from(pair[1].lambda_max < pair[0].lambda_max);
                fell[1] += 1;
            }
        }
    }
    let share = fell[0] as f64 / fell[1].max(1) as f64;
    let changes = |method| -> Vec<f64> {
        let runs = (0..scenes).flat_map(|s| race.of(s, race.place(method)).iter().flatten());
        runs.filter_map(|run| {
            let (first, last) = (run.course.first()?, run.course.last()?);
            Some(last.lambda_max / first.lambda_max)
        })
        .collect()
    };
    let hsr = median(&changes(Method::Hsr));
    vec![
        Claim::of_all(
            format!(
                "the gap does not widen under HSR: median λ_sup/λ_1 at the end is at most that at the start on {} of {scenes} \
                 tasks ({})",
                kept(0),
                words(0)
            ),
            kept(0),
            scenes,
        ),
        Claim::of_all(
            format!(
                "nor is it wider than after plain training: on {} of {scenes} tasks (plain to HSR: {})",
                kept(1),
                words(1)
            ),
            kept(1),
            scenes,
        ),
        Claim::above(
            format!(
                "descending λ_sup lowers λ_1: in {:.0} % of the {} steps between two records in which λ_sup fell under HSR, \
                 λ_1 fell as well (above 50 %); from start to end λ_1 changes by a median factor of {}",
                100.0 * share,
                fell[1],
                figures::value(hsr),
            ),
            share,
            0.5,
        ),
    ]
}
