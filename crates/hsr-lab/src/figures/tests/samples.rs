//! Something to draw for every figure.

use super::super::*;

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
    let values: Vec<f64> = (0..800)
        .map(|i| largest * (-0.2 + 1.3 * f64::from(i) / 799.0))
        .collect();
    let at = |t: f64| {
        let gaussian = |v: &f64| (-0.5 * ((t - v) / width).powi(2)).exp();
        height * spectrum.eigenvalues.iter().map(gaussian).sum::<f64>()
    };
    Density {
        density: values.iter().map(|t| at(*t)).collect(),
        values,
        floor: 0.1 * height,
        count: n,
        note: "Stochastic Lanczos quadrature, 10 probes of 60 steps, spread to Gaussians of width 0.005.".into(),
        spectrum,
    }
}

pub fn curve(label: &str, n: usize, sharpness: f64) -> TrainingCurve {
    let at =
        |f: &dyn Fn(f64, f64) -> f64| (0..n).map(|i| f(i as f64 / n as f64, noise(i))).collect();
    TrainingCurve {
        label: label.to_owned(),
        epochs: (0..n).map(|i| i as f64).collect(),
        loss: at(&|t, e| (0.6 / sharpness + (-7.0 * t).exp()) * (1.0 + 0.1 * e)),
        lambda_sup: at(&|t, e| sharpness * (0.3 + 8.0 * t * (-3.0 * t).exp()) * (1.0 + 0.2 * e)),
        accuracy: at(&|t, e| {
            0.97 - 0.02 * (sharpness / 10.0).tanh() - 0.47 * (-8.0 * t).exp() - 0.01 * e
        }),
    }
}

pub fn moons(title: &str, grid: usize, wave: f64) -> DecisionPanel {
    let (x_range, y_range) = ((-1.6, 2.6), (-1.2, 1.7));
    let classify = |[x, y]: [f64; 2]| usize::from(y < 0.25 + wave * (2.2 * x - 1.1).sin() * -0.6);
    let points: Vec<_> = (0..120)
        .map(|i| {
            let angle = std::f64::consts::PI * noise(i);
            let (dx, dy) = (0.3 * (noise(i + 500) - 0.5), 0.3 * (noise(i + 900) - 0.5));
            if i % 2 == 0 {
                [angle.cos() + dx, angle.sin() + dy]
            } else {
                [1.0 - angle.cos() + dx, 0.5 - angle.sin() + dy]
            }
        })
        .collect();
    DecisionPanel {
        title: title.to_owned(),
        grid,
        x_range,
        y_range,
        classes: DecisionPanel::centres(grid, x_range, y_range)
            .map(classify)
            .collect(),
        labels: (0..points.len()).map(|i| i % 2).collect(),
        points,
    }
}

/// A loss on a grid of `points` a side.
pub fn plane(points: usize, f: impl Fn(f64, f64) -> f64) -> LossPlane {
    let along: Vec<f64> = (0..points)
        .map(|i| 2.0 * i as f64 / (points - 1) as f64 - 1.0)
        .collect();
    let loss = along
        .iter()
        .flat_map(|y| along.iter().map(move |x| (*x, *y)))
        .map(|(x, y)| f(x, y));
    LossPlane {
        title: "Loss around the hsr network of digits-hsr".into(),
        note: "Training split, two random directions, a step of 1 moves each unit's weights by their norm; seed 0."
            .into(),
        axes: ["step along random direction 1".into(), "step along the eigenvector of λ_2 = 3.1".into()],
        loss: loss.collect(),
        x: along.clone(),
        y: along,
        network: "hsr".into(),
        network_loss: f(0.0, 0.0),
    }
}

pub fn profile(f: impl Fn(f64) -> f64, barrier: Option<(f64, f64)>) -> LossProfile {
    let t: Vec<f64> = (0..61).map(|i| -0.25 + 1.5 * f64::from(i) / 60.0).collect();
    LossProfile {
        title: "Loss between the networks of digits-hsr".into(),
        note: "Training split; the loss rises by 0.3 over the straight line between the networks (dashed).".into(),
        loss: t.iter().map(|t| f(*t)).collect(),
        t,
        networks: ["plain".into(), "hsr".into()],
        ends: [f(0.0), f(1.0)],
        barrier,
    }
}

/// A valley that is not symmetric, in a loss that spans decades.
pub fn valley(x: f64, y: f64) -> f64 {
    0.05 + 3.0 * (x + 0.4 * y * y).powi(2) + 0.4 * y * y + 2.0 * (x.max(0.0)).powi(4)
}

/// Three quantities of some methods over `n` runs: narrow, over many decades, and partly without a value.
pub fn comparison(methods: &[&str], n: usize) -> Vec<DistributionPanel> {
    let panel = |title: &str, f: &dyn Fn(usize, usize) -> f64| DistributionPanel {
        title: title.to_owned(),
        groups: methods
            .iter()
            .enumerate()
            .map(|(k, method)| Distribution {
                label: (*method).to_owned(),
                values: (0..n).map(|i| f(k, i)).collect(),
                mark: "*".repeat(k % 4),
            })
            .collect(),
    };
    vec![
        panel("test macro-F1", &|k, i| {
            0.9 + 0.01 * k as f64 - 0.05 * noise(i + 31 * k)
        }),
        panel("λ_max", &|k, i| {
            40.0 / 4_f64.powi(k as i32) * (0.5 + noise(i + 7 * k))
        }),
        panel("tightness λ_sup/λ_max", &|k, i| {
            if k == 1 { f64::NAN } else { 1.1 + noise(i + k) }
        }),
    ]
}

pub fn clouds(methods: &[&str], n: usize) -> Vec<ScatterPanel> {
    let panel = |title: &str, y: &str| ScatterPanel {
        title: title.to_owned(),
        x: "training loss".to_owned(),
        y: y.to_owned(),
        clouds: methods
            .iter()
            .enumerate()
            .map(|(k, method)| Cloud {
                label: (*method).to_owned(),
                points: (0..n)
                    .map(|i| {
                        let scale = 3_f64.powi(k as i32);
                        [
                            0.01 * scale + 0.02 * noise(i),
                            (9.0 + 4.0 * noise(i + 90)) / scale,
                        ]
                    })
                    .collect(),
            })
            .collect(),
    };
    vec![
        panel("Curvature at what loss", "λ_max"),
        panel("Again", "test macro-F1"),
    ]
}

/// A chart with a panel of every kind.
pub fn charts() -> Chart {
    let line = |label: &str, mark, phase: f64| {
        let points = (1..40).map(|i| [f64::from(i * i), 2.0 + (f64::from(i) / 6.0 + phase).sin()]);
        let mut series = Series::new(label, mark, points.collect());
        series.band = series
            .points
            .iter()
            .map(|[x, y]| [*x, 0.8 * y, 1.2 * y])
            .collect();
        series
    };
    let plot = |title: &str, series| Plot {
        title: title.to_owned(),
        x: "epoch".to_owned(),
        y: "λ_sup".to_owned(),
        series,
        ..Plot::default()
    };
    let cloud = (0..900)
        .map(|i| [noise(i), noise(i) + noise(i + 7)])
        .collect();
    let bars = (0..20)
        .map(|i| [0.5 + f64::from(i), f64::from(i * (20 - i))])
        .collect();
    Chart {
        title: "A chart of λ_1 and λ_sup".to_owned(),
        note: "A note that is long enough to be broken into lines, for it says a good deal about what there is to be seen in \
               the panels below it, and about λ_max too."
            .to_owned(),
        columns: 2,
        plots: vec![
            Plot {
                x_log: true,
                y_log: true,
                ..plot(
                    "lines",
                    vec![
                        line("plain", Mark::Line, 0.0),
                        line("HSR", Mark::Dashed, 1.0),
                        line("SAM", Mark::Marked, 2.0),
                    ],
                )
            },
            Plot {
                diagonal: true,
                ..plot("points", vec![Series::new("points", Mark::Dots, cloud)])
            },
            plot("bars", vec![Series::new("bars", Mark::Bars(1.0), bars)]),
            plot("empty", vec![Series::new("empty", Mark::Line, Vec::new())]),
        ],
    }
}

pub fn samples() -> Vec<(&'static str, Figure)> {
    let one = |v: f64| Spectrum {
        label: "one".into(),
        eigenvalues: vec![v],
        lambda_sup: v,
    };
    let blobs = {
        let mut panel = moons("three classes", 150, 0.4);
        panel.classes = DecisionPanel::centres(150, panel.x_range, panel.y_range)
            .map(|[x, y]| {
                if x * x + y * y < 0.9 {
                    0
                } else {
                    1 + usize::from(x > 0.6 * y)
                }
            })
            .collect();
        panel.labels = (0..panel.points.len()).map(|i| i % 3).collect();
        panel
    };
    let named = |methods: &[&str]| {
        methods
            .iter()
            .enumerate()
            .map(|(i, m)| hessian(m, 400, 9.0 / (i + 1) as f64))
            .collect()
    };
    let all = [
        "plain",
        "hsr",
        "sam",
        "asam",
        "trace",
        "lambda-max",
        "frobenius",
        "gradient-norm",
    ];
    let methods: Vec<Spectrum> = named(&all);
    let curves: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(i, m)| curve(m, 300, 30.0 / (i + 1) as f64))
        .collect();
    let figures = [
        (
            "spectrum",
            spectrum(&[hessian("plain", 1200, 12.4), hessian("HSR", 1200, 2.1)]),
        ),
        (
            "spectrum-wide",
            spectrum(&[hessian("plain", 5000, 50.0), hessian("HSR", 5000, 0.5)]),
        ),
        (
            "spectrum-extreme",
            spectrum(&[hessian("plain", 500, 5e4), hessian("HSR", 500, 2e-9)]),
        ),
        ("spectrum-one", spectrum(&[one(0.37)])),
        (
            "spectrum-zero",
            spectrum(&[
                Spectrum {
                    eigenvalues: vec![0.0; 40],
                    ..one(0.0)
                },
                one(3.0),
            ]),
        ),
        ("spectrum-many", spectrum(&methods)),
        (
            "training",
            training(&[curve("plain", 400, 40.0), curve("HSR", 400, 3.0)]),
        ),
        (
            "training-short",
            training(&[curve("plain", 8, 40.0), curve("HSR", 8, 30.0)]),
        ),
        ("training-one", training(&[curve("plain", 1, 40.0)])),
        ("training-many", training(&curves)),
        ("distributions", distributions(&comparison(&all, 12), 2)),
        (
            "distributions-one",
            distributions(&comparison(&["plain", "hsr"], 1)[..1], 1),
        ),
        ("scatter", scatter(&clouds(&all, 12))),
        ("scatter-one", scatter(&clouds(&["plain", "hsr"], 1)[..1])),
        (
            "decision",
            decision_boundary(&[
                moons("plain, λ_sup = 41.2", 160, 1.4),
                moons("HSR, λ_sup = 2.3", 160, 0.7),
            ]),
        ),
        ("decision-one", decision_boundary(&[moons("HSR", 60, 0.7)])),
        (
            "decision-three",
            decision_boundary(&[moons("plain", 160, 1.4), moons("HSR", 160, 0.7), blobs]),
        ),
        ("density", density(&[bulk("hsr", 1210, 1.0)])),
        (
            "density-two",
            density(&[bulk("plain", 1210, 4.0), bulk("hsr", 1210, 0.5)]),
        ),
        ("density-far", {
            let mut far = bulk("plain", 1210, 4.0);
            far.spectrum.lambda_sup = 40.0;
            far.spectrum.eigenvalues.truncate(20);
            density(&[far])
        }),
        ("plane", loss_plane(&plane(41, valley))),
        (
            "plane-saddle",
            loss_plane(&plane(33, |x, y| x * x - 0.7 * y * y + 0.3 * x * y)),
        ),
        ("plane-many", loss_plane(&plane(151, valley))),
        (
            "plane-waves",
            loss_plane(&plane(81, |x, y| (21.0 * x).sin() * (17.0 * y).cos())),
        ),
        (
            "plane-wild",
            loss_plane(&plane(21, |x, y| (9.0 * (x + y)).exp() * valley(x, y))),
        ),
        (
            "plane-broken",
            loss_plane(&plane(21, |x, y| {
                if x > 0.5 { f64::INFINITY } else { valley(x, y) }
            })),
        ),
        ("plane-flat", loss_plane(&plane(5, |_, _| 0.7))),
        ("plane-least", loss_plane(&plane(2, valley))),
        (
            "profile",
            loss_profile(&profile(
                |t| 0.1 + 0.1 * t + 0.9 * t * (1.0 - t) + t.powi(4),
                Some((0.42, 0.21)),
            )),
        ),
        (
            "profile-valley",
            loss_profile(&profile(|t| 0.1 + (t - 0.4).powi(2), None)),
        ),
    ];
    let mut all: Vec<_> = figures
        .into_iter()
        .map(|(name, figure)| (name, figure.expect(name)))
        .collect();
    let decisions = decision_boundary(&[moons("plain", 40, 1.4), moons("HSR", 40, 0.7)]).unwrap();
    let charts = chart(&charts()).unwrap();
    all.push(("chart", charts.clone()));
    all.push((
        "stacked",
        Figure::stacked(&[charts.clone(), decisions.clone()]),
    ));
    all.push(("beside", Figure::beside(&[charts, decisions], 1900.0)));
    all
}
