//! Something to draw for every figure.

use super::super::*;
use crate::statistics::Friedman;

/// A spread of numbers without a random generator.
pub fn noise(i: usize) -> f64 {
    let x = (i as f64 * 12.9898).sin() * 43_758.547;
    x - x.floor()
}

/// Mostly near zero, a few large, some negative, as loss Hessians have.
pub fn hessian(label: &str, n: usize, largest: f64) -> Spectrum {
    let eigenvalue = |i: usize| match i {
        0..=2 => largest / (1.0 + 0.8 * i as f64),
        _ => largest * 0.3 * (noise(i) - 0.12) * 10_f64.powf(-5.0 * noise(7 * i)),
    };
    Spectrum {
        label: label.to_owned(),
        eigenvalues: (0..n).map(eigenvalue).collect(),
        lambda_sup: 1.13 * largest,
    }
}

/// The density of [`hessian`] with every eigenvalue spread to a Gaussian.
pub fn bulk(label: &str, n: usize, largest: f64) -> Density {
    let spectrum = hessian(label, n, largest);
    let width = largest / 200.0;
    let height = 1.0 / (width * (2.0 * std::f64::consts::PI).sqrt() * n as f64);
    let values = (0..800).map(|i| largest * (-0.2 + 1.3 * f64::from(i) / 799.0));
    let at = |t: f64| {
        let gaussian = |v: &f64| (-0.5 * ((t - v) / width).powi(2)).exp();
        height * spectrum.eigenvalues.iter().map(gaussian).sum::<f64>()
    };
    Density {
        density: values.clone().map(at).collect(),
        values: values.collect(),
        floor: 0.1 * height,
        count: n,
        note: "Stochastic Lanczos quadrature, 10 probes of 60 steps, spread to Gaussians of width 0.005.".into(),
        spectrum,
    }
}

/// Two half circles, and decisions of as many classes as asked for.
pub fn moons(title: &str, grid: usize, classes: usize) -> DecisionPanel {
    let (x_range, y_range) = ((-1.6, 2.6), (-1.2, 1.7));
    let point = |i: usize| {
        let (sin, cos) = (std::f64::consts::PI * noise(i)).sin_cos();
        let (dx, dy) = (0.3 * (noise(i + 500) - 0.5), 0.3 * (noise(i + 900) - 0.5));
        match i % 2 {
            0 => [cos + dx, sin + dy],
            _ => [1.0 - cos + dx, 0.5 - sin + dy],
        }
    };
    let decided = |[x, y]: [f64; 2]| match x * x + y * y < 0.9 {
        true => classes - 1,
        false => usize::from(y < 0.25 - 0.6 * (2.2 * x - 1.1).sin()),
    };
    DecisionPanel {
        title: title.to_owned(),
        grid,
        x_range,
        y_range,
        classes: DecisionPanel::centres(grid, x_range, y_range)
            .map(decided)
            .collect(),
        labels: (0..120).map(|i| i % classes).collect(),
        points: (0..120).map(point).collect(),
    }
}

/// A loss on a grid of `points` a side.
pub fn plane(points: usize, f: impl Fn(f64, f64) -> f64) -> LossPlane {
    let along = (0..points).map(|i| 2.0 * i as f64 / (points - 1) as f64 - 1.0);
    let along: Vec<f64> = along.collect();
    let both = along
        .iter()
        .flat_map(|y| along.iter().map(move |x| (*x, *y)));
    LossPlane {
        title: "Loss around the hsr network of digits-hsr".into(),
        note: "Training split, two random directions, a step of 1 moves each unit's weights by their norm; seed 0."
            .into(),
        axes: ["step along random direction 1".into(), "step along the eigenvector of λ_2 = 3.1".into()],
        loss: both.map(|(x, y)| f(x, y)).collect(),
        x: along.clone(),
        y: along,
        network: "hsr".into(),
        network_loss: f(0.0, 0.0),
    }
}

/// A valley that is not symmetric, in a loss that spans decades.
pub fn valley(x: f64, y: f64) -> f64 {
    0.05 + 3.0 * (x + 0.4 * y * y).powi(2) + 0.4 * y * y + 2.0 * (x.max(0.0)).powi(4)
}

/// Three quantities of some methods over `n` runs: narrow, over many decades, and partly without a value.
pub fn comparison(methods: &[&str], n: usize) -> Vec<DistributionPanel> {
    let value = |measure: usize, k: usize, i: usize| match measure {
        0 => 0.9 + 0.01 * k as f64 - 0.05 * noise(i + 31 * k),
        1 => 40.0 / 4_f64.powi(k as i32) * (0.5 + noise(i + 7 * k)),
        _ if k == 1 => f64::NAN,
        _ => 1.1 + noise(i + k),
    };
    let titles = ["test macro-F1", "λ_max", "tightness λ_sup/λ_max"].into_iter();
    let panels = titles.enumerate().map(|(measure, title)| {
        let groups = methods.iter().enumerate().map(|(k, method)| Distribution {
            label: (*method).to_owned(),
            values: (0..n).map(|i| value(measure, k, i)).collect(),
            mark: "*".repeat(k % 4),
        });
        let (title, groups) = (title.to_owned(), groups.collect());
        DistributionPanel { title, groups }
    });
    panels.collect()
}

/// A chart with a panel of every kind.
pub fn charts(label: &str) -> Chart {
    let line = |(i, (mark, label)): (usize, (Mark, &str))| {
        let y = |x: f64| 2.0 + (x / 6.0 + i as f64).sin();
        let along = || (1..40).map(f64::from);
        let mut series = Series::new(label, mark, along().map(|x| [x * x, y(x)]).collect());
        series.band = along().map(|x| [x * x, 0.8 * y(x), 1.2 * y(x)]).collect();
        series
    };
    let plot = |title: &str, series| Plot {
        title: title.to_owned(),
        x: label.to_owned(),
        y: "λ_sup".to_owned(),
        series,
        ..Plot::default()
    };
    let cloud = (0..900).map(|i| [noise(i), noise(i) + noise(i + 7)]);
    let bars = (0..20).map(|i| [0.5 + f64::from(i), f64::from(i * (20 - i))]);
    let marks = [Mark::Line, Mark::Dashed, Mark::Marked]
        .into_iter()
        .zip(["plain", label, "SAM"]);
    let start = Series::new("start", Mark::Point, vec![[9.0, 1.1]]);
    let mut plots = vec![
        plot(label, marks.enumerate().map(line).chain([start]).collect()),
        plot(
            "points",
            vec![Series::new("points", Mark::Dots, cloud.collect())],
        ),
        plot(
            "bars",
            vec![Series::new("bars", Mark::Bars(1.0), bars.collect())],
        ),
        plot("empty", vec![Series::new("empty", Mark::Line, Vec::new())]),
    ];
    (plots[0].x_log, plots[0].y_log, plots[1].diagonal) = (true, true, true);
    Chart {
        title: format!("A chart of λ_1 and λ_sup: {label}"),
        note: "A note on λ_max that is long enough to be broken into lines. ".repeat(4),
        columns: 2,
        plots,
    }
}

pub fn samples() -> Vec<(&'static str, Figure)> {
    let all = "plain hsr sam asam trace lambda-max frobenius gradient-norm";
    let all: Vec<&str> = all.split(' ').collect();
    let ranks = |n: usize| {
        let scores = (0..9).map(|i| (0..n).map(|k| noise(i + k * k)).collect());
        let scores: Vec<Vec<f64>> = scores.collect();
        mean_ranks("macro-F1", &all[..n], &Friedman::of(&scores).unwrap())
    };
    let named = |m: &&str| hessian(m, 400, 9.0 / m.len() as f64);
    let two = |large, small| spectrum(&[hessian("plain", 5000, large), hessian("HSR", 9, small)]);
    let constant = ["0", "3"].map(|label| Spectrum {
        label: label.into(),
        eigenvalues: vec![label.parse().unwrap(); 40],
        lambda_sup: 3.0,
    });
    let mut far = bulk("plain", 1210, 4.0);
    far.spectrum.lambda_sup = 40.0;
    far.spectrum.eigenvalues.truncate(20);
    let decisions = [
        moons("plain, λ_sup = 41.2", 160, 2),
        moons("HSR", 160, 3),
        moons("", 9, 4),
    ];
    let broken = |x: f64, y: f64| if x > 0.5 { f64::INFINITY } else { valley(x, y) };
    let figures = [
        ("spectrum", two(12.4, 2.1)),
        ("spectrum-extreme", two(5e4, 2e-9)),
        ("spectrum-zero", spectrum(&constant)),
        (
            "spectrum-many",
            spectrum(&all.iter().map(named).collect::<Vec<_>>()),
        ),
        ("distributions", distributions(&comparison(&all, 12), 2)),
        (
            "distributions-one",
            distributions(&comparison(&["plain", "hsr"], 1)[..1], 1),
        ),
        ("ranks", ranks(8)),
        ("ranks-two", ranks(2)),
        ("decision-one", decision_boundary(&decisions[..1])),
        ("decision-three", decision_boundary(&decisions)),
        (
            "density-two",
            density(&[bulk("plain", 1210, 4.0), bulk("hsr", 1210, 0.5)]),
        ),
        ("density-far", density(&[far])),
        ("chart", chart(&charts("HSR"))),
        ("plane", loss_plane(&plane(41, valley))),
        (
            "plane-saddle",
            loss_plane(&plane(33, |x, y| x * x - 0.7 * y * y + 0.3 * x * y)),
        ),
        (
            "plane-waves",
            loss_plane(&plane(81, |x, y| (21.0 * x).sin() * (17.0 * y).cos())),
        ),
        (
            "plane-wild",
            loss_plane(&plane(21, |x, y| (9.0 * (x + y)).exp() * valley(x, y))),
        ),
        ("plane-broken", loss_plane(&plane(21, broken))),
        ("plane-flat", loss_plane(&plane(5, |_, _| 0.7))),
        ("plane-least", loss_plane(&plane(2, valley))),
    ];
    let figures = figures
        .into_iter()
        .map(|(name, figure)| (name, figure.expect(name)));
    figures.collect()
}
