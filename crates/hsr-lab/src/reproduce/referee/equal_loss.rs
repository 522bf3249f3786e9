//! Is HSR flatter only because its loss is higher? Plain training is stopped at HSR's final loss.

use hsr_core::Workspace;
use serde::{Deserialize, Serialize};

use super::part::{Part, Settings};
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};
use crate::reproduce::context::Context;
use crate::reproduce::curvature::Curvature;
use crate::reproduce::descent::Descent;
use crate::reproduce::finding::{Claim, Table, chart, plot};
use crate::reproduce::numbers::median;
use crate::reproduce::race::Race;
use crate::statistics::{SignedRank, holm};
use crate::train::Method;

/// λ_1 of both at one loss.
#[derive(Serialize, Deserialize)]
struct Matched {
    plain: f64,
    hsr: f64,
    epoch: usize,
}

pub(super) fn answer(
    settings: &Settings,
    race: &Race,
    context: &Context,
    table: &mut Table,
) -> Result<Part, LabError> {
    let (scenes, seeds) = (race.settings.scenes.len(), race.settings.seeds);
    let matched = context.map("equal loss", 0.1, scenes * seeds, |i| {
        let (s, seed) = (i / seeds, context.seed + (i % seeds) as u64);
        let Some(run) = &race.of(s, race.place(Method::Hsr))[i % seeds] else {
            return Ok(None);
        };
        let bed = race.settings.scenes[s].load(seed)?;
        let mut theta = bed.start(1.0, seed);
        let mut descent = Descent::new(&bed, Method::Plain, 0.0, settings.pace);
        let target = run.end.curvature.loss;
        let mut workspace = Workspace::new();
        for epoch in 0..=race.settings.epochs {
            // The loss without weight decay, for both.
            let loss = workspace.loss(&bed.network(&theta)?, &bed.batch())?;
            if loss <= target {
                let plain = Curvature::of(&mut workspace, &bed, &theta)?.lambda_max();
                let hsr = run.end.curvature.lambda_max();
                return Ok(Some(Matched { plain, hsr, epoch }));
            }
            descent.step(&mut theta)?;
        }
        Ok(None)
    })?;
    let mut plots = Vec::new();
    let mut tests = Vec::new();
    let mut words = Vec::new();
    let mut flatter = Vec::new();
    for (s, scene) in race.settings.scenes.iter().enumerate() {
        let of_scene = &matched[s * seeds..][..seeds];
        let pairs: Vec<&Matched> = of_scene.iter().flatten().collect();
        let [plain, hsr]: [Vec<f64>; 2] = [
            pairs.iter().map(|it| it.plain).collect(),
            pairs.iter().map(|it| it.hsr).collect(),
        ];
        for Matched { plain, hsr, epoch } in &pairs {
            let (part, task) = ("equal loss", &scene.task);
            table.row(&[&part, task, &"plain λ_1 at the epoch", epoch, plain]);
            table.row(&[&part, task, &"hsr λ_1", epoch, hsr]);
        }
        tests.push(SignedRank::paired(&plain, &hsr).map_or(1.0, |test| test.p));
        flatter.push(median(&hsr) < median(&plain));
        words.push(format!(
            "{} {} to {} in {} of {seeds} pairs",
            scene.task,
            figures::value(median(&plain)),
            figures::value(median(&hsr)),
            pairs.len(),
        ));
        let points = pairs.iter().map(|it| [it.plain, it.hsr]).collect();
        let (x, y) = ("λ_1 of plain training, stopped", "λ_1 of HSR");
        let series = Series::new("HSR against plain", Mark::Dots, points);
        plots.push(Plot {
            x_log: true,
            y_log: true,
            diagonal: true,
            ..plot(&scene.task, x, y, vec![series])
        });
    }
    let p = holm(&tests);
    let holds = p
        .iter()
        .zip(&flatter)
        .filter(|(p, flatter)| **p < 0.05 && **flatter)
        .count();
    let worst = p.iter().copied().fold(0.0, f64::max);
    let picture = chart(
        "λ_1 at equal training loss",
        "A point a seed: plain training stopped where it first reaches the loss at which HSR ended. Below the dashed line HSR is \
         flatter.",
        scenes,
        plots,
    )?;
    Ok(Part {
        name: "equal-loss",
        caption: "Second, an ablation: plain training stopped at the first epoch at which its loss is that at which HSR ended; \
                  pairs in which it never gets so low are left out."
            .to_owned(),
        claims: vec![Claim::of_all(
            format!(
                "at equal loss HSR is flatter than plain training on {holds} of {scenes} tasks (median λ_1 plain to HSR: {}; \
                 Wilcoxon after Holm, largest p = {})",
                words.join(", "),
                figures::value(worst)
            ),
            holds,
            scenes,
        )],
        picture,
    })
}
