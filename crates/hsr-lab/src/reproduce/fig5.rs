//! Figure 5: how the covariance of the inputs decides λ_sup and the length of its gradient.

use hsr_core::Workspace;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::curvature::norm;
use super::finding::{Claim, Finding, Table, chart, plot, quartiles};
use super::numbers::median;
use super::plan::{Extent, Plan};
use super::scene::Scene;
use crate::error::LabError;
use crate::figures::{self, Mark, Plot};
use crate::statistics::{Quartiles, SignedRank, holm};

#[derive(Serialize)]
struct Settings {
    scene: Scene,
    /// Covariances of inputs of variance 1.
    covariances: Vec<f64>,
    /// Variances of inputs without covariance.
    variances: Vec<f64>,
    /// Random networks, the same at every covariance.
    networks: usize,
    /// Standard deviation of their weights over √inputs.
    scale: f64,
}

pub(super) fn plan(extent: Extent) -> Plan {
    let mut scene = Scene::gaussians(0.5).with_samples(200, 3);
    // Standardising would undo the variances.
    scene.standardized = false;
    let settings = Settings {
        scene,
        covariances: (-9..=9).map(|i| f64::from(i) / 10.0).collect(),
        variances: (-8..=8).map(|i| 2_f64.powf(f64::from(i) / 4.0)).collect(),
        networks: extent.pick(200, 50, 3),
        scale: 1.0,
    };
    Plan::new(settings, extent.pick(4.0, 2.0, 0.1), run)
}

/// λ_sup and ‖∂λ_sup/∂θ‖ of each network.
#[derive(Serialize, Deserialize)]
struct Measured {
    lambda_sup: Vec<f64>,
    gradient: Vec<f64>,
}

fn run(settings: &Settings, context: &Context) -> Result<Finding, LabError> {
    let along = settings.covariances.iter().map(|&c| [1.0, c, 1.0]);
    let over = settings.variances.iter().map(|&v| [v, 0.0, v]);
    let covariances: Vec<[f64; 3]> = along.chain(over).collect();
    let measured = context.map("covariances", 1.0, covariances.len(), |i| {
        let mut scene = settings.scene.clone();
        scene.options.covariance = Some(covariances[i]);
        let bed = scene.load(context.seed)?;
        let mut workspace = Workspace::new();
        let mut measured = Measured {
            lambda_sup: Vec::new(),
            gradient: Vec::new(),
        };
        for network in 0..settings.networks {
            let theta = bed.start(settings.scale, context.seed + network as u64);
            let (lambda_sup, gradient) = bed.bound_gradient(&mut workspace, &theta)?;
            measured.lambda_sup.push(lambda_sup);
            measured.gradient.push(norm(&gradient));
        }
        Ok(measured)
    })?;
    let mut table = Table::new("xx,xy,yy,network,lambda_sup,gradient_norm");
    for (covariance, it) in covariances.iter().zip(&measured) {
        for (network, (l, g)) in it.lambda_sup.iter().zip(&it.gradient).enumerate() {
            let [xx, xy, yy] = covariance;
            table.row(&[xx, xy, yy, &network, l, g]);
        }
    }
    let of_all = |values: fn(&Measured) -> &Vec<f64>| -> Vec<Quartiles> {
        measured
            .iter()
            .filter_map(|it| Quartiles::of(values(it)))
            .collect()
    };
    let lambda = of_all(|it| &it.lambda_sup);
    let gradient = of_all(|it| &it.gradient);
    let split = settings.covariances.len();
    let (along, over) = (&settings.covariances, &settings.variances);
    let panel = |is_variance: bool, y: &str, values: &[Quartiles]| {
        let (x, at, values) = match is_variance {
            false => (
                "covariance of x₁ and x₂ (variances 1)",
                along,
                &values[..split],
            ),
            true => (
                "variance of x₁ and x₂ (covariance 0)",
                over,
                &values[split..],
            ),
        };
        let values = at.iter().copied().zip(values.iter().copied());
        let series = quartiles(y, Mark::Marked, values);
        Plot {
            x_log: is_variance,
            ..plot("", x, y, vec![series])
        }
    };
    let norm = "‖∂λ_sup/∂θ‖";
    let picture = chart(
        "Covariance of the inputs, λ_sup and its gradient",
        "Medians over random networks, the same at every covariance; bands are quartiles.",
        2,
        vec![
            panel(false, "λ_sup", &lambda),
            panel(true, "λ_sup", &lambda),
            panel(false, norm, &gradient),
            panel(true, norm, &gradient),
        ],
    )?;
    let claims = claims(settings, &measured);
    Ok(Finding {
        caption: format!(
            "λ_sup and the length of its gradient against the covariance of bivariate normal classes, at {} random networks \
             that are the same at every covariance. Chosen here: {}, N = 200, not standardised; means on a circle, one \
             covariance for all classes. What the paper reads from its figure is not public; what is checked is \
             whether the covariance changes either at all, by two-sided Wilcoxon signed-rank tests on the same networks, \
             corrected after Holm.",
            settings.networks,
            settings.scene.words(),
        ),
        claims,
        pictures: vec![("", picture)],
        table,
    })
}

/// Whether the inputs' covariance matters: the same networks at the extremes.
fn claims(settings: &Settings, measured: &[Measured]) -> Vec<Claim> {
    let split = settings.covariances.len();
    let (at_covariance, at_variance) = measured.split_at(split);
    let both = |values: Values| -> [Vec<f64>; 4] {
        let mean = |a: &Measured, b: &Measured| {
            let pairs = values(a).iter().zip(values(b));
            pairs.map(|(a, b)| 0.5 * (a + b)).collect()
        };
        [
            values(&at_covariance[split / 2]).clone(),
            mean(&at_covariance[0], &at_covariance[split - 1]),
            values(&at_variance[0]).clone(),
            values(&at_variance[at_variance.len() - 1]).clone(),
        ]
    };
    let lambda = both(|it| &it.lambda_sup);
    let gradient = both(|it| &it.gradient);
    let cases = [
        ("λ_sup at |covariance| 0.9 against 0", &lambda[..2]),
        ("‖∂λ_sup/∂θ‖ at |covariance| 0.9 against 0", &gradient[..2]),
        ("λ_sup at variance 4 against 1/4", &lambda[2..]),
        ("‖∂λ_sup/∂θ‖ at variance 4 against 1/4", &gradient[2..]),
    ];
    let tests = cases.map(|(_, both)| SignedRank::paired(&both[0], &both[1]));
    let p = holm(&tests.map(|test| test.map_or(1.0, |test| test.p)));
    let each = cases.iter().zip(p);
    each.map(|((what, both), p)| {
        Claim::below(
            format!(
                "{what}: median {} against {}, p = {} (below 0.05)",
                figures::value(median(&both[1])),
                figures::value(median(&both[0])),
                figures::value(p),
            ),
            p,
            0.05,
        )
    })
    .collect()
}

/// One of the quantities that are measured.
type Values = fn(&Measured) -> &Vec<f64>;
