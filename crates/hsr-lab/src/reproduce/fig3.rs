//! Figure 3: the closed form of ∂λ_sup/∂θ against central differences, component by component.

use hsr_core::Workspace;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::finding::{Claim, Finding, Table, chart, plot};
use super::numbers::{central_differences, relative_difference};
use super::plan::{Extent, Plan};
use super::scene::Scene;
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};

#[derive(Serialize)]
struct Settings {
    /// With their names in the picture.
    scenes: Vec<(String, Scene)>,
    /// Random networks a scene.
    networks: usize,
    /// Standard deviations of the weights, in turns.
    scales: Vec<f64>,
}

pub(super) fn plan(extent: Extent) -> Plan {
    let named = |name: &str, scene: Scene| (name.to_owned(), scene.with_samples(200, 3));
    let settings = Settings {
        scenes: vec![
            named("softmax of three logits", Scene::gaussians(0.5)),
            named("sigmoid of one logit", Scene::moons(0.2)),
        ],
        networks: extent.pick(40, 20, 2),
        scales: vec![0.5, 1.0, 2.0, 4.0],
    };
    Plan::new(settings, 2.0, run)
}

#[derive(Serialize, Deserialize)]
struct Gradients {
    numerical: Vec<f64>,
    analytical: Vec<f64>,
}

/// A point from an analytical component, the numerical one, and the largest of their gradient.
type PointOf = fn(f64, f64, f64) -> [f64; 2];

fn run(settings: &Settings, context: &Context) -> Result<Finding, LabError> {
    let count = settings.scenes.len() * settings.networks;
    let scene_of = |i: usize| &settings.scenes[i / settings.networks];
    let gradients = context.map("gradients", 1.0, count, |i| {
        let seed = context.seed + i as u64;
        let bed = scene_of(i).1.load(seed)?;
        let theta = bed.start(settings.scales[i % settings.scales.len()], seed);
        let mut workspace = Workspace::new();
        Ok(Gradients {
            numerical: central_differences(&mut workspace, &bed, &theta)?,
            analytical: bed.bound_gradient(&mut workspace, &theta)?.1,
        })
    })?;
    let mut table = Table::new("network,case,component,analytical,numerical");
    for (i, it) in gradients.iter().enumerate() {
        for (component, (a, n)) in it.analytical.iter().zip(&it.numerical).enumerate() {
            table.row(&[&i, &scene_of(i).0, &component, a, n]);
        }
    }
    let both = |case: usize, point: PointOf| -> Vec<[f64; 2]> {
        gradients[case * settings.networks..][..settings.networks]
            .iter()
            .flat_map(|it| {
                let largest = it
                    .analytical
                    .iter()
                    .fold(0.0, |max: f64, v| max.max(v.abs()));
                let pairs = it.analytical.iter().zip(&it.numerical);
                pairs.map(move |(a, n)| point(*a, *n, largest))
            })
            .collect()
    };
    let series = |point: PointOf| {
        let each = settings.scenes.iter().enumerate();
        each.map(|(case, (name, _))| Series::new(name, Mark::Dots, both(case, point)))
            .collect()
    };
    let picture = chart(
        "Numerical against analytical ∂λ_sup/∂θ",
        "Each point is a component of a gradient. Right: the difference, as a share of the largest component of its gradient.",
        2,
        vec![
            Plot {
                diagonal: true,
                ..plot(
                    "components",
                    "analytical",
                    "numerical",
                    series(|a, n, _| [a, n]),
                )
            },
            Plot {
                x_log: true,
                y_log: true,
                // What is exactly equal has its place at the bottom of the axis.
                ..plot(
                    "differences",
                    "|analytical|",
                    "relative difference",
                    series(|a, n, largest| [a.abs(), ((a - n).abs() / largest).max(1e-14)]),
                )
            },
        ],
    )?;
    let worst = gradients
        .iter()
        .map(|it| relative_difference(&it.numerical, &it.analytical))
        .fold(0.0, f64::max);
    let components: usize = gradients.iter().map(|it| it.analytical.len()).sum();
    let words: Vec<String> = settings
        .scenes
        .iter()
        .map(|(_, scene)| scene.words())
        .collect();
    Ok(Finding {
        caption: format!(
            "The components of ∂λ_sup/∂θ by central differences (step ε^⅓ max(1, |θ|), f64) and in closed form, at {} \
             random networks. Chosen here: {}; D = 21, N = 200, weights of standard deviation 0.5 to 4 over √inputs.",
            gradients.len(),
            words.join("; "),
        ),
        claims: vec![Claim::below(
            format!(
                "numerical and analytical components agree: worst relative difference {} of {components} \
                 components (below 1e-6, what central differences can tell)",
                figures::value(worst)
            ),
            worst,
            1e-6,
        )],
        pictures: vec![("", picture)],
        table,
    })
}
