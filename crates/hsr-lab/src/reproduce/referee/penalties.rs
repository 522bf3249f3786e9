//! Is it better to penalise λ_1 itself, or ‖H‖_F?

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::part::{Part, Settings};
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};
use crate::reproduce::context::Context;
use crate::reproduce::curvature::Curvature;
use crate::reproduce::descent::Descent;
use crate::reproduce::finding::{Claim, Table, chart, plot};
use crate::reproduce::numbers::median;
use crate::reproduce::race::{self, Race};
use crate::reproduce::scene::Scene;
use crate::train::Method;

/// Where training with a penalty of some strength ends.
#[derive(Serialize, Deserialize)]
struct End {
    loss: f64,
    lambda_max: f64,
}

/// Medians over the seeds, a strength each.
struct Front {
    method: Method,
    ends: Vec<End>,
}

pub(super) fn answer(
    settings: &Settings,
    race: &Race,
    context: &Context,
    table: &mut Table,
) -> Result<Part, LabError> {
    let scenes = &race.settings.scenes;
    let (methods, strengths) = (&settings.penalties, &settings.strengths);
    let of_scene = methods.len() * strengths.len() * settings.seeds;
    let ends = context.map("penalties", 0.75, scenes.len() * of_scene, |i| {
        let scene = &scenes[i / of_scene];
        let method = methods[i % of_scene / (strengths.len() * settings.seeds)];
        let strength = strengths[i / settings.seeds % strengths.len()];
        let seed = context.seed + (i % settings.seeds) as u64;
        let bed = scene.load(seed)?;
        let mut theta = bed.start(1.0, seed);
        let mut descent = Descent::new(&bed, method, strength, settings.pace);
        let end = descent.course(
            &mut theta,
            &[race.settings.epochs],
            |workspace, _, theta| {
                let curvature = Curvature::of(workspace, &bed, theta)?;
                Ok(End {
                    loss: curvature.loss,
                    lambda_max: curvature.lambda_max(),
                })
            },
        );
        // Too strong a penalty may leave the range of numbers.
        Ok(end.ok().and_then(|mut end| end.pop()))
    })?;
    let mut plots = Vec::new();
    let mut fronts = Vec::new();
    for (s, scene) in scenes.iter().enumerate() {
        let mut of_scene = ends[s * of_scene..][..of_scene].chunks(settings.seeds);
        // Of the same seeds.
        let plain = race.of(s, race.place(Method::Plain)).iter();
        let plain: Vec<&race::Run> = plain.take(settings.seeds).flatten().collect();
        let point = |value: fn(&Curvature) -> f64| {
            let values = plain.iter().map(|run| value(&run.end.curvature));
            median(&values.collect::<Vec<_>>())
        };
        let at_plain = vec![[point(|c| c.loss), point(Curvature::lambda_max)]];
        let mut series = vec![Series::new("plain", Mark::Marked, at_plain)];
        let mut of_methods = Vec::new();
        for &method in methods {
            let ends: Vec<End> = of_scene
                .by_ref()
                .take(strengths.len())
                .map(medians)
                .collect();
            for (strength, end) in strengths.iter().zip(&ends) {
                for (part, value) in [
                    ("penalties: loss", end.loss),
                    ("penalties: λ_1", end.lambda_max),
                ] {
                    table.row(&[&part, &scene.task, &method, strength, &value]);
                }
            }
            let points = ends.iter().map(|end| [end.loss, end.lambda_max]).collect();
            series.push(Series::new(race::name(method), Mark::Marked, points));
            of_methods.push(Front { method, ends });
        }
        plots.push(Plot {
            y_log: true,
            ..plot(&scene.task, "training loss L", "λ_1", series)
        });
        fronts.push(of_methods);
    }
    let picture = chart(
        "What flatness costs: HSR against direct penalties",
        "Medians over seeds at the end of training, a point a strength. Further to the lower left is better.",
        scenes.len(),
        plots,
    )?;
    let mut claims = against(settings, race, &fronts);
    claims.extend(speed(settings, context, table)?);
    Ok(Part {
        name: "penalties",
        caption: format!(
            "Third, training loss and λ_1 at the end of training with HSR, a penalty on λ_1 itself (its exact gradient, \
             eigenvector by Lanczos) and one on ‖H‖_F, at strengths {} over {} seeds; none: no strength ends at so low a loss.",
            settings.words(),
            settings.seeds
        ),
        claims,
        picture,
    })
}

/// The medians over seeds that did not diverge.
fn medians(ends: &[Option<End>]) -> End {
    let of = |value: fn(&End) -> f64| median(&ends.iter().flatten().map(value).collect::<Vec<_>>());
    End {
        loss: of(|end| end.loss),
        lambda_max: of(|end| end.lambda_max),
    }
}

/// HSR may be so much less flat and still count as equal.
const EQUAL: f64 = 1.1;

/// The lowest λ_1 of each penalty at no more than the loss of HSR at its default strength, or at the strength nearest to
/// it.
fn against(settings: &Settings, race: &Race, fronts: &[Vec<Front>]) -> Vec<Claim> {
    let nearest = |(_, a): &(usize, &f64), (_, b): &(usize, &f64)| {
        let apart = |strength: &f64| (strength - settings.strength).abs();
        apart(a).total_cmp(&apart(b))
    };
    let place = settings.strengths.iter().enumerate().min_by(nearest);
    let place = place.map_or(0, |(i, _)| i);
    let others = settings
        .penalties
        .iter()
        .filter(|method| **method != Method::Hsr);
    others
        .map(|&other| {
            let mut words = Vec::new();
            let mut ratios = Vec::new();
            for (scene, of_scene) in race.settings.scenes.iter().zip(fronts) {
                let front = |method| of_scene.iter().find(|front: &&Front| front.method == method);
                let Some(hsr) = front(Method::Hsr) else { continue };
                let loss = hsr.ends[place].loss;
                let lowest = |front: &Front| {
                    let within = front.ends.iter().filter(|end| end.loss <= 1.001 * loss);
                    within.map(|end| end.lambda_max).fold(f64::INFINITY, f64::min)
                };
                let [own, of_other] = [Some(hsr), front(other)].map(|it| it.map_or(f64::INFINITY, lowest));
                ratios.push(own / of_other);
                words.push(format!(
                    "{} {} against {}",
                    scene.task,
                    figures::value(own),
                    if of_other.is_finite() { figures::value(of_other) } else { "none".to_owned() }
                ));
            }
            let good = ratios.iter().filter(|ratio| **ratio <= EQUAL).count();
            Claim::of_all(
                format!(
                    "at no more loss HSR is as flat as the {} penalty, within 10 %, on {good} of {} tasks (lowest λ_1: {})",
                    other.name(),
                    ratios.len(),
                    words.join(", ")
                ),
                good,
                ratios.len(),
            )
        })
        .collect()
}

/// What a step costs with HSR and with the direct penalty.
fn speed(
    settings: &Settings,
    context: &Context,
    table: &mut Table,
) -> Result<Vec<Claim>, LabError> {
    const STEPS: usize = 60;
    let sizes = [3, 100];
    let alone = context.alone();
    let seconds = alone.map("seconds a step", 0.05, sizes.len(), |i| {
        let bed = Scene::gaussians(0.6)
            .with_hidden(sizes[i])
            .load(context.seed)?;
        let mut times = [0.0; 2];
        for (time, method) in times.iter_mut().zip([Method::Hsr, Method::LambdaMax]) {
            let mut descent = Descent::new(&bed, method, settings.strength, settings.pace);
            let mut theta = bed.start(1.0, context.seed);
            descent.step(&mut theta)?;
            let mut each = Vec::new();
            for _ in 0..STEPS {
                let started = Instant::now();
                descent.step(&mut theta)?;
                each.push(started.elapsed().as_secs_f64());
            }
            *time = median(&each);
        }
        Ok((bed.parameters(), times))
    })?;
    Ok(seconds
        .into_iter()
        .map(|(parameters, [hsr, direct])| {
            for (name, seconds) in [("hsr", hsr), ("lambda-max", direct)] {
                table.row(&[&"seconds a step", &"gaussians", &name, &parameters, &seconds]);
            }
            Claim::above(
                format!(
                    "at D = {parameters} a step with HSR is {:.1} times as fast as one with the direct λ_1 penalty ({:.3} ms \
                     against {:.3} ms, one thread)",
                    direct / hsr,
                    1e3 * hsr,
                    1e3 * direct
                ),
                direct / hsr,
                1.0,
            )
        })
        .collect())
}
