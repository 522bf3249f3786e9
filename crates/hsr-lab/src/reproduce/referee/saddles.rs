//! Are saddles avoided? They are counted by the signs of eigenvalues, and left, step by step.

use hsr_core::Workspace;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::part::{Part, Settings};
use crate::data::random::{Stream, generator};
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};
use crate::reproduce::context::Context;
use crate::reproduce::critical::Critical;
use crate::reproduce::curvature::norm;
use crate::reproduce::descent::Descent;
use crate::reproduce::finding::{Claim, Table, chart, plot};
use crate::reproduce::numbers::median;
use crate::reproduce::plan::Extent;
use crate::reproduce::points::Points;
use crate::reproduce::race::Race;
use crate::reproduce::scene::Bed;
use crate::statistics::SignedRank;
use crate::train::Method;

/// Epochs until the saddle is left, plainly and with HSR; the patience where it was not.
#[derive(Serialize, Deserialize)]
struct Left {
    plain: usize,
    hsr: usize,
}

pub(super) fn answer(
    extent: Extent,
    settings: &Settings,
    race: &Race,
    context: &Context,
    table: &mut Table,
) -> Result<Part, LabError> {
    let points = Points::find(extent, context)?;
    // In turns, so that every data set has its share.
    let most = points.sets.iter().map(|set| set.saddles.len()).max();
    let most = most.unwrap_or(0);
    let saddles: Vec<(&Bed, &Critical)> = (0..most)
        .flat_map(|i| {
            let sets = points.sets.iter();
            sets.filter_map(move |set| Some((&set.bed, set.saddles.get(i)?)))
        })
        .take(settings.saddles)
        .collect();
    let left = context.map("saddles", 0.1, saddles.len(), |i| {
        let (bed, saddle) = saddles[i];
        let steps = |method| leave(settings, bed, saddle, method, context.seed + i as u64);
        Ok(Left {
            plain: steps(Method::Plain)?,
            hsr: steps(Method::Hsr)?,
        })
    })?;
    let task = &points.scene.task;
    for ((_, saddle), it) in saddles.iter().zip(&left) {
        let key = format!("{} negative", saddle.negative());
        table.row(&[&"saddles", task, &"plain epochs", &key, &it.plain]);
        table.row(&[&"saddles", task, &"hsr epochs", &key, &it.hsr]);
    }
    let steps =
        |value: fn(&Left) -> usize| left.iter().map(|it| value(it) as f64).collect::<Vec<_>>();
    let (plain, hsr) = (steps(|it| it.plain), steps(|it| it.hsr));
    let patience = settings.patience as f64;
    let stayed = |steps: &[f64]| steps.iter().filter(|s| **s >= patience).count();
    let p = SignedRank::paired(&plain, &hsr).map_or(1.0, |test| test.p);
    let (before, after) = (median(&plain), median(&hsr));
    let counts = counts(saddles.iter().map(|(_, saddle)| saddle.negative()));
    let epochs = left
        .iter()
        .map(|it| [it.plain.max(1) as f64, it.hsr.max(1) as f64]);
    let epochs = Series::new("HSR against plain", Mark::Dots, epochs.collect());
    let picture = chart(
        "Leaving saddles",
        format!(
            "Left: how many eigenvalues are negative at the saddles. Right: epochs until J is {} below the saddle's, from a \
             distance of {}; below the dashed line HSR leaves sooner.",
            settings.drop, settings.distance
        ),
        2,
        vec![
            plot(
                "negative eigenvalues",
                "number of negative eigenvalues",
                "saddles",
                vec![Series::new("saddles", Mark::Bars(1.0), counts)],
            ),
            Plot {
                x_log: true,
                y_log: true,
                diagonal: true,
                ..plot("epochs to leave", "plain", "HSR", vec![epochs])
            },
        ],
    )?;
    let mut claims = vec![Claim::below(
        format!(
            "HSR leaves saddles sooner: median {after:.0} epochs against {before:.0} of plain training at {} saddles; {} and {} \
             were not left in {} epochs",
            left.len(),
            stayed(&hsr),
            stayed(&plain),
            settings.patience,
        ),
        after / before,
        1.0,
    )];
    claims.push(Claim::below(
        format!(
            "and not by chance: two-sided Wilcoxon signed-rank test of the epochs, p = {} (below 0.05)",
            figures::value(p)
        ),
        p,
        0.05,
    ));
    claims.push(ends(race, table));
    Ok(Part {
        name: "saddles",
        caption: format!(
            "Fourth, saddles: the epochs it takes to leave them, begun at a distance of {} in a random direction. {} The last \
             claim counts the runs of figure 12 that end at a saddle of J once training without the method has come to \
             rest.",
            settings.distance,
            points.words()
        ),
        claims,
        picture,
    })
}

/// Epochs until J is below the saddle's by what counts as left.
fn leave(
    settings: &Settings,
    bed: &Bed,
    saddle: &Critical,
    method: Method,
    seed: u64,
) -> Result<usize, LabError> {
    let mut random = generator(seed, Stream::Parameters);
    let direction: Vec<f64> = saddle
        .theta
        .iter()
        .map(|_| random.sample(StandardNormal))
        .collect();
    let length = settings.distance / norm(&direction);
    let mut theta: Vec<f64> = saddle
        .theta
        .iter()
        .zip(&direction)
        .map(|(t, d)| t + length * d)
        .collect();
    let mut gradient = vec![0.0; theta.len()];
    let start = bed.objective(&mut Workspace::new(), &saddle.theta, &mut gradient)?;
    let mut descent = Descent::new(bed, method, settings.strength, settings.pace);
    for epoch in 0..settings.patience {
        if descent.step(&mut theta)? < start - settings.drop {
            return Ok(epoch);
        }
    }
    Ok(settings.patience)
}

/// Bars of how often which number occurs.
fn counts(numbers: impl Iterator<Item = usize>) -> Vec<[f64; 2]> {
    let mut bars = std::collections::BTreeMap::new();
    for number in numbers {
        *bars.entry(number).or_insert(0_usize) += 1;
    }
    bars.into_iter()
        .map(|(number, count)| [number as f64, count as f64])
        .collect()
}

/// Runs that come to rest at a saddle.
fn ends(race: &Race, table: &mut Table) -> Claim {
    let [plain, hsr] = [Method::Plain, Method::Hsr].map(|method| {
        let (mut saddles, mut all) = (0, 0);
        for (s, scene) in race.settings.scenes.iter().enumerate() {
            let runs = race.of(s, race.place(method)).iter().flatten();
            for state in runs.filter_map(|run| run.critical.as_ref()) {
                let down = state.curvature.negative(crate::reproduce::critical::FLAT);
                table.row(&[&"ends", &scene.task, &method, &"directions down", &down]);
                saddles += usize::from(down > 0);
                all += 1;
            }
        }
        (saddles, all)
    });
    Claim::at_most(
        format!(
            "after HSR no more runs come to rest at a saddle: {} of {} against {} of {} of plain training",
            hsr.0, hsr.1, plain.0, plain.1
        ),
        hsr.0 as f64 / hsr.1.max(1) as f64,
        plain.0 as f64 / plain.1.max(1) as f64,
    )
}
