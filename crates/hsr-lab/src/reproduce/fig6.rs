//! Figure 6: which part of ∂λ_sup/∂θ moves the weights: that of the mean eigenvalue, or that of their standard deviation.

use hsr_core::Workspace;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::curvature::norm;
use super::descent::{Descent, Pace};
use super::finding::{Claim, Finding, Table, chart, plot, quartiles};
use super::numbers::schedule;
use super::plan::{Extent, Plan};
use super::race;
use super::scene::{Bed, Scene};
use crate::error::LabError;
use crate::figures::{self, Mark, Plot};
use crate::statistics::Quartiles;
use crate::train::Method;

#[derive(Serialize)]
struct Settings {
    scene: Scene,
    methods: [Method; 2],
    strength: f64,
    pace: Pace,
    epochs: usize,
    seeds: usize,
}

pub(super) fn plan(extent: Extent) -> Plan {
    let settings = Settings {
        scene: Scene::gaussians(0.6),
        methods: [Method::Plain, Method::Hsr],
        strength: Method::Hsr.fixed_strength(),
        pace: Pace::USUAL,
        epochs: extent.pick(5000, 2000, 20),
        seeds: extent.pick(50, 20, 2),
    };
    let steps = (settings.epochs * settings.seeds) as f64;
    Plan::new(settings, 1e-4 * steps, run)
}

/// ‖∂m/∂θ‖ and ‖√(D − 1) ∂s/∂θ‖ at the epochs of one run.
#[derive(Serialize, Deserialize)]
struct Course(Vec<[f64; 2]>);

fn run(settings: &Settings, context: &Context) -> Result<Finding, LabError> {
    let epochs = schedule(settings.epochs, 60);
    let count = settings.methods.len() * settings.seeds;
    let courses = context.map("training", 1.0, count, |i| {
        let seed = context.seed + (i % settings.seeds) as u64;
        let bed = settings.scene.load(seed)?;
        let mut theta = bed.start(1.0, seed);
        let method = settings.methods[i / settings.seeds];
        let mut descent = Descent::new(&bed, method, settings.strength, settings.pace);
        let look = |workspace: &mut Workspace<f64>, _, theta: &[f64]| parts(workspace, &bed, theta);
        Ok(Course(descent.course(&mut theta, &epochs, look)?))
    })?;
    let mut table = Table::new("method,seed,epoch,mean_part,std_part");
    for (i, course) in courses.iter().enumerate() {
        for (epoch, parts) in epochs.iter().zip(&course.0) {
            let method = settings.methods[i / settings.seeds];
            let seed = context.seed + (i % settings.seeds) as u64;
            table.row(&[&method, &seed, epoch, &parts[0], &parts[1]]);
        }
    }
    // The same axis on both sides.
    let all = courses.iter().flat_map(|course| &course.0).flatten();
    let (low, high) = figures::extent(all.copied()).unwrap_or((1.0, 1.0));
    let plots = settings.methods.iter().enumerate().map(|(m, method)| {
        let of_method = &courses[m * settings.seeds..][..settings.seeds];
        let names = [
            "mean part ‖∂m/∂θ‖",
            "standard-deviation part √(D−1) ‖∂s/∂θ‖",
        ];
        let series = names.iter().enumerate().map(|(part, name)| {
            let at = |i: usize| {
                let values: Vec<f64> = of_method.iter().map(|course| course.0[i][part]).collect();
                Quartiles::of(&values).map(|q| (epochs[i] as f64, q))
            };
            quartiles(name, Mark::Line, (0..epochs.len()).filter_map(at))
        });
        Plot {
            x_log: true,
            y_log: true,
            reach: vec![[1.0, low], [1.0, high]],
            ..plot(race::name(*method), "epoch", "norm", series.collect())
        }
    });
    let picture = chart(
        "Mean part and standard-deviation part of ∂λ_sup/∂θ",
        "Medians over seeds, bands are quartiles; both axes logarithmic.",
        2,
        plots.collect(),
    )?;
    let pairs: Vec<[f64; 2]> = courses
        .iter()
        .flat_map(|course| &course.0)
        .copied()
        .collect();
    let larger = pairs.iter().filter(|[mean, std]| std > mean).count();
    let mut ratios: Vec<f64> = pairs.iter().map(|[mean, std]| std / mean).collect();
    ratios.sort_by(f64::total_cmp);
    Ok(Finding {
        caption: format!(
            "∂λ_sup/∂θ = ∂m/∂θ + √(D−1) ∂s/∂θ: the norms of its two parts along gradient descent, plain and with HSR of \
             strength {}, over {} seeds (data and start). Chosen here: {}, D = 21, weight decay {}; {}, {} \
             epochs.",
            settings.strength,
            settings.seeds,
            settings.scene.words(),
            settings.scene.decay,
            settings.pace.words(),
            settings.epochs,
        ),
        claims: vec![Claim::at_least(
            format!(
                "the standard-deviation part is the larger one at {larger} of {} recorded points (at least 95 %); median \
                 ratio {}",
                pairs.len(),
                figures::value(ratios[ratios.len() / 2]),
            ),
            larger as f64 / pairs.len() as f64,
            0.95,
        )],
        pictures: vec![("", picture)],
        table,
    })
}

/// ‖∂m/∂θ‖, m = tr H/D, and the norm of the rest of ∂λ_sup/∂θ.
fn parts(workspace: &mut Workspace<f64>, bed: &Bed, theta: &[f64]) -> Result<[f64; 2], LabError> {
    let mut mean = vec![0.0; theta.len()];
    workspace.trace_gradient(&bed.network(theta)?, &bed.batch(), &mut mean, None)?;
    let (_, mut rest) = bed.bound_gradient(workspace, theta)?;
    let count = theta.len() as f64;
    for (mean, rest) in mean.iter_mut().zip(&mut rest) {
        *mean /= count;
        *rest -= *mean;
    }
    Ok([norm(&mean), norm(&rest)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reproduce::numbers::central_differences;
    use hsr_core::Evaluation;

    #[test]
    fn the_parts_are_those_of_mean_and_standard_deviation() {
        let bed = Scene::gaussians(0.6).with_samples(20, 3).load(2).unwrap();
        let theta = bed.start(1.0, 2);
        let mut workspace = Workspace::new();
        let [mean_part, std_part] = parts(&mut workspace, &bed, &theta).unwrap();
        // The same by differences of m and of √(D − 1) s.
        let count = theta.len() as f64;
        let mut both = |i: usize, h: f64| {
            let mut moved = theta.clone();
            moved[i] += h;
            let network = bed.network(&moved).unwrap();
            let bounds = workspace
                .bounds(&network, &bed.batch(), Evaluation::Auto)
                .unwrap();
            [bounds.mean, (count - 1.0).sqrt() * bounds.std]
        };
        let mut squares = [0.0; 2];
        for i in 0..theta.len() {
            let (above, below) = (both(i, 1e-5), both(i, -1e-5));
            for part in 0..2 {
                squares[part] += ((above[part] - below[part]) / 2e-5).powi(2);
            }
        }
        assert!((mean_part / squares[0].sqrt() - 1.0).abs() < 1e-7);
        assert!((std_part / squares[1].sqrt() - 1.0).abs() < 1e-7);
        // And central differences of λ_sup are the sum of both.
        let numerical = central_differences(&mut workspace, &bed, &theta).unwrap();
        let (_, analytical) = bed.bound_gradient(&mut workspace, &theta).unwrap();
        for (n, a) in numerical.iter().zip(&analytical) {
            assert!((n - a).abs() < 1e-8);
        }
    }
}
