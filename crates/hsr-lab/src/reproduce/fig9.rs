//! Figure 9: λ_1 ≤ λ_sup at more than a thousand critical points.

use serde::Serialize;

use super::context::Context;
use super::critical::{Critical, Kind, TOLERANCE};
use super::finding::{Claim, Finding, Table, chart, plot};
use super::numbers::median;
use super::plan::{Extent, Plan};
use super::scene::Scene;
use super::search::{BATCH, Epochs, epochs, search_each};
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};

#[derive(Serialize)]
struct Settings {
    scenes: Vec<Scene>,
    /// Data sets drawn of each scene.
    datasets: usize,
    /// Batches of starts on each data set.
    batches: usize,
    /// Epochs of training before the polish, in turns.
    epochs: Epochs,
    tolerance: f64,
    /// The number of unique critical points in the paper, which is to be reached.
    wanted: usize,
}

pub(super) fn plan(extent: Extent) -> Plan {
    let settings = Settings {
        scenes: vec![
            Scene::gaussians(0.6),
            Scene::moons(0.3),
            Scene::spirals(0.1),
        ],
        datasets: extent.pick(20, 14, 1),
        batches: extent.pick(12, 6, 1),
        epochs: epochs(extent),
        tolerance: TOLERANCE,
        wanted: 1124,
    };
    let units = (settings.scenes.len() * settings.datasets * settings.batches) as f64;
    Plan::new(settings, 0.45 * units, run)
}

fn run(settings: &Settings, context: &Context) -> Result<Finding, LabError> {
    let sets = settings.scenes.len() * settings.datasets;
    let seed_of = |set: usize| context.seed + (set % settings.datasets) as u64;
    let load = |set: usize| settings.scenes[set / settings.datasets].load(seed_of(set));
    let found = search_each(
        context,
        (sets, settings.batches),
        settings.epochs,
        seed_of,
        load,
    )?;
    let (mut degenerate, mut lost) = (0, 0);
    let mut points: Vec<(usize, Critical)> = Vec::new();
    for (set, (_, found)) in found.into_iter().enumerate() {
        degenerate += found.degenerate;
        lost += found.lost;
        points.extend(found.points.into_iter().map(|point| (set, point)));
    }
    report(settings, context, &points, [degenerate, lost])
}

fn report(
    settings: &Settings,
    context: &Context,
    points: &[(usize, Critical)],
    [degenerate, lost]: [usize; 2],
) -> Result<Finding, LabError> {
    let mut table = Table::new(
        "task,data_seed,kind,loss,gradient_norm,lambda_1,lambda_sup,lambda_min,negative_eigenvalues",
    );
    for (set, point) in points {
        let c = &point.curvature;
        table.row(&[
            &settings.scenes[set / settings.datasets].task,
            &(context.seed + (set % settings.datasets) as u64),
            &point.kind(),
            &c.loss,
            &c.gradient_norm,
            &c.lambda_max(),
            &c.lambda_sup,
            &c.lambda_min(),
            &point.negative(),
        ]);
    }
    let of_kind = |kind: Kind| -> Vec<[f64; 2]> {
        let points = points.iter().filter(|(_, point)| point.kind() == kind);
        points
            .map(|(_, point)| [point.curvature.lambda_max(), point.curvature.lambda_sup])
            .collect()
    };
    let [minima, saddles, _] = Kind::ALL.map(of_kind);
    let (bars, width) = histogram(points.iter().map(|(_, point)| point.curvature.lambda_sup));
    let picture = chart(
        format!("λ_1 and λ_sup at {} critical points", points.len()),
        "Left: no point may lie below the dashed line, where λ_1 = λ_sup. Right: how often which λ_sup occurs, the last bar with \
         all above.",
        2,
        vec![
            Plot {
                x_log: true,
                y_log: true,
                diagonal: true,
                ..plot(
                    "λ_sup against λ_1",
                    "λ_1",
                    "λ_sup",
                    vec![
                        Series::new("saddles", Mark::Dots, saddles.clone()),
                        Series::new("minima", Mark::Dots, minima.clone()),
                    ],
                )
            },
            plot(
                "histogram of λ_sup",
                "λ_sup",
                "critical points",
                vec![Series::new("all critical points", Mark::Bars(width), bars)],
            ),
        ],
    )?;
    let curvatures = || points.iter().map(|(_, point)| &point.curvature);
    let bounded = curvatures().filter(|it| it.is_bounded()).count();
    let worst = curvatures().map(|it| it.gradient_norm).fold(0.0, f64::max);
    let tightness: Vec<f64> = curvatures()
        .map(|it| it.lambda_sup / it.lambda_max())
        .collect();
    let words: Vec<String> = settings.scenes.iter().map(Scene::words).collect();
    Ok(Finding {
        caption: format!(
            "λ_1 and λ_sup of the cross-entropy's Hessian at {} different critical points: {} minima and {} saddles. Found \
             from {} random starts on {} data sets, trained for 0 to {} epochs by every method in turn and then led to \
             ‖∇J‖ ≤ {} by Levenberg-Marquardt steps on ½‖∇J‖² with the closed-form Hessian, which stop at saddles too. \
             Points that differ by the order or the signs of hidden units count once; {degenerate} were degenerate and {lost} \
             did not converge. Chosen here: {}; D = 21. J is the cross-entropy with a weight decay of {}: without it, tanh \
             networks have almost no critical points on 50 samples, for a unit that becomes a step always fits a little \
             better, and the minima are at infinity.",
            points.len(),
            minima.len(),
            saddles.len(),
            settings.scenes.len() * settings.datasets * settings.batches * BATCH,
            settings.scenes.len() * settings.datasets,
            settings.epochs[3],
            figures::value(settings.tolerance),
            words.join("; "),
            settings.scenes[0].decay,
        ),
        claims: vec![
            Claim::of_all(
                format!(
                    "{} unique critical points with ‖∇J‖ ≤ {} (the paper has {})",
                    points.len(),
                    figures::value(worst),
                    settings.wanted
                ),
                points.len(),
                settings.wanted,
            ),
            Claim::of_all(
                format!(
                    "λ_1 ≤ λ_sup at {bounded} of {} critical points; median λ_sup/λ_1 = {:.3}",
                    points.len(),
                    median(&tightness)
                ),
                bounded,
                points.len(),
            ),
        ],
        pictures: vec![("", picture)],
        table,
    })
}

/// Bars (centre and count) of 40 equal bins from 0 to the 99th percentile, the last with all above, and their width.
fn histogram(values: impl Iterator<Item = f64>) -> (Vec<[f64; 2]>, f64) {
    const BINS: usize = 40;
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let Some(&last) = values.get(values.len() * 99 / 100) else {
        return (Vec::new(), 1.0);
    };
    let width = last / BINS as f64;
    let mut bars: Vec<[f64; 2]> = (0..BINS).map(|i| [(i as f64 + 0.5) * width, 0.0]).collect();
    for value in values {
        let bin = ((value / width) as usize).min(BINS - 1);
        bars[bin][1] += 1.0;
    }
    (bars, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bar_of_the_histogram() {
        let values = (0..1000).map(|i| f64::from(i) / 100.0);
        let (bars, width) = histogram(values.chain([1e6]));
        assert_eq!(bars.iter().map(|bar| bar[1]).sum::<f64>(), 1001.0);
        // The 99th percentile of 1001 values is the 991st, 9.9.
        assert!((width - 9.9 / 40.0).abs() < 1e-12);
        assert_eq!(bars[0], [width / 2.0, 25.0]);
        assert!(histogram(std::iter::empty()).0.is_empty());
    }
}
