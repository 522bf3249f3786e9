//! Figure 7: λ_sup and the top eigenvalues while one network is trained plainly and with HSR, and what they decide.

use hsr_core::Workspace;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::curvature::Curvature;
use super::descent::{Descent, Pace};
use super::finding::{Claim, Finding, Table, chart, plot};
use super::numbers::{correlation, schedule};
use super::plan::{Extent, Plan};
use super::race::name;
use super::scene::Scene;
use crate::error::LabError;
use crate::figures::{self, Mark, Plot, Series};
use crate::train::Method;

#[derive(Serialize)]
struct Settings {
    scene: Scene,
    methods: [Method; 2],
    strength: f64,
    pace: Pace,
    epochs: usize,
}

/// The eigenvalues that are followed.
const TOP: usize = 3;

pub(super) fn plan(extent: Extent) -> Plan {
    let settings = Settings {
        scene: Scene::gaussians(0.6),
        methods: [Method::Plain, Method::Hsr],
        strength: Method::Hsr.fixed_strength(),
        pace: Pace::USUAL,
        epochs: extent.pick(5000, 5000, 30),
    };
    Plan::new(settings, extent.pick(4.0, 4.0, 0.1), run)
}

#[derive(Serialize, Deserialize)]
struct Course {
    curvature: Vec<Curvature>,
    theta: Vec<Vec<f64>>,
}

fn run(settings: &Settings, context: &Context) -> Result<Finding, LabError> {
    let epochs = schedule(settings.epochs, 120);
    let bed = settings.scene.load(context.seed)?;
    let courses = context.map("training", 1.0, settings.methods.len(), |i| {
        let mut theta = bed.start(1.0, context.seed);
        let mut descent = Descent::new(&bed, settings.methods[i], settings.strength, settings.pace);
        let look = |workspace: &mut Workspace<f64>, _, theta: &[f64]| {
            Ok((Curvature::of(workspace, &bed, theta)?, theta.to_vec()))
        };
        let seen = descent.course(&mut theta, &epochs, look)?;
        let (curvature, theta) = seen.into_iter().unzip();
        Ok(Course { curvature, theta })
    })?;
    let mut table =
        Table::new("method,epoch,loss,lambda_sup,lambda_1,lambda_2,lambda_3,lambda_min");
    for (method, course) in settings.methods.iter().zip(&courses) {
        for (epoch, c) in epochs.iter().zip(&course.curvature) {
            let [a, b, d] = [0, 1, 2].map(|i| nth(c, i));
            let least = c.lambda_min();
            table.row(&[
                &name(*method),
                epoch,
                &c.loss,
                &c.lambda_sup,
                &a,
                &b,
                &d,
                &least,
            ]);
        }
    }
    let reach: Vec<[f64; 2]> = courses
        .iter()
        .flat_map(|course| course.curvature.iter().map(|c| [1.0, c.lambda_sup]))
        .collect();
    let plots = settings.methods.iter().zip(&courses);
    let plots = plots.map(|(method, course)| {
        let of = |label: &str, mark, value: &dyn Fn(&Curvature) -> f64| {
            let both = epochs.iter().zip(&course.curvature);
            let points = both.map(|(e, c)| [*e as f64, value(c)]);
            Series::new(label, mark, points.collect())
        };
        let top = (0..TOP).map(|i| of(&format!("λ_{}", i + 1), Mark::Line, &|c| nth(c, i)));
        let sup = of("λ_sup", Mark::Dashed, &|c| c.lambda_sup);
        let series = top.chain([sup]).collect();
        Plot {
            x_log: true,
            // The same axis on both sides.
            reach: reach.clone(),
            ..plot(name(*method), "epoch", "eigenvalue, bound", series)
        }
    });
    let dynamics = chart(
        "λ_sup and the top eigenvalues during training",
        "One network, the same start on both sides. Below: what it decides at three epochs.",
        2,
        plots.collect(),
    )?;
    let mut workspace = Workspace::new();
    let mut panels = Vec::new();
    for (method, course) in settings.methods.iter().zip(&courses) {
        for share in [0.4, 0.7, 1.0] {
            let at = ((epochs.len() - 1) as f64 * share).round() as usize;
            let lambda = figures::value(course.curvature[at].lambda_max());
            let title = format!("{}, epoch {}: λ_1 = {lambda}", name(*method), epochs[at]);
            panels.push(bed.decisions(&mut workspace, &course.theta[at], title)?);
        }
    }
    let decisions = figures::decision_boundary(&panels)?;

    let all: Vec<&Curvature> = courses
        .iter()
        .flat_map(|course| &course.curvature)
        .collect();
    let bounded = all.iter().filter(|c| c.is_bounded()).count();
    let [plain, hsr] = [0, 1].map(|i| courses[i].curvature.last());
    let ends = [plain, hsr].map(|c| c.map_or(f64::NAN, Curvature::lambda_max));
    let [first, last] = [courses[1].curvature.first(), hsr]
        .map(|c| c.map_or([f64::NAN; 2], |c| [c.lambda_sup, c.lambda_max()]));
    let logs = |value: fn(&Curvature) -> f64| all.iter().map(|c| value(c).ln()).collect::<Vec<_>>();
    let follows = correlation(&logs(|c| c.lambda_sup), &logs(Curvature::lambda_max));
    Ok(Finding {
        caption: format!(
            "λ_sup and the three largest eigenvalues of the cross-entropy's Hessian while one network is trained by gradient \
             descent, plainly and with HSR of strength {}, and decision boundaries on the way. Chosen here: {}, D = 21, \
             weight decay {}; {}, {} epochs; seed {} of data and start, the first.",
            settings.strength,
            settings.scene.words(),
            settings.scene.decay,
            settings.pace.words(),
            settings.epochs,
            context.seed,
        ),
        claims: vec![
            Claim::of_all(
                format!("λ_1 ≤ λ_sup at {bounded} of {} recorded epochs", all.len()),
                bounded,
                all.len(),
            ),
            Claim::at_least(
                format!(
                    "λ_sup follows λ_1: their logarithms have correlation {follows:.3} over both courses (at least 0.9)"
                ),
                follows,
                0.9,
            ),
            Claim::below(
                format!(
                    "HSR lowers λ_1 with λ_sup: λ_sup from {} to {}, λ_1 from {} to {}",
                    figures::value(first[0]),
                    figures::value(last[0]),
                    figures::value(first[1]),
                    figures::value(last[1]),
                ),
                last[1] / first[1],
                1.0,
            ),
            Claim::below(
                format!(
                    "from this start HSR ends flatter: λ_1 = {} against {} of plain training",
                    figures::value(ends[1]),
                    figures::value(ends[0]),
                ),
                ends[1] / ends[0],
                1.0,
            ),
        ],
        pictures: vec![("", dynamics), ("decisions", decisions)],
        table,
    })
}

/// The eigenvalue in place `i` from the top.
fn nth(curvature: &Curvature, i: usize) -> f64 {
    let mut descending = curvature.eigenvalues.iter().rev();
    descending.nth(i).copied().unwrap_or(f64::NAN)
}
