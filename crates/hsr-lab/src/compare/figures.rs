//! The pictures of a comparison.

use super::findings::{Findings, of};
use super::metric::Metric;
use super::record::RunRecord;
use crate::figures::{
    Chart, Distribution, DistributionPanel, Figure, FigureError, Mark, Plot, Series, chart,
    distributions, drawable, extent, spans_decades,
};
use crate::statistics::Quartiles;
use crate::train::Method;

/// The quantities that are drawn: of the accuracies the test split's, and the gap.
pub(super) fn drawn() -> impl Iterator<Item = Metric> {
    Metric::ALL
        .into_iter()
        .filter(|it| *it != Metric::TrainAccuracy)
}

/// The files: every quantity on one sheet, and what flatness costs on another.
pub(super) fn sheets(
    findings: &Findings,
    records: &[RunRecord],
) -> [(&'static str, Result<Figure, FigureError>); 2] {
    let panels: Vec<_> = drawn()
        .map(|metric| panel(metric, findings, records))
        .collect();
    [
        ("comparison", distributions(&panels, 2)),
        ("tradeoff", scatter(&TRADES, findings, records)),
    ]
}

/// One quantity of every method.
pub(super) fn panel(
    metric: Metric,
    findings: &Findings,
    records: &[RunRecord],
) -> DistributionPanel {
    let group = |method: Method| Distribution {
        label: method.name().to_owned(),
        values: of(records, method)
            .filter_map(|run| metric.of(run))
            .collect(),
        mark: findings.mark(metric, method).to_owned(),
    };
    DistributionPanel {
        title: metric.title().to_owned(),
        groups: findings.methods.iter().map(|it| group(it.method)).collect(),
    }
}

/// Two quantities against each other.
pub(super) struct Trade {
    title: &'static str,
    x: Metric,
    y: Metric,
    pub caption: &'static str,
}

pub(super) const TRADES: [Trade; 2] = [
    Trade {
        title: "Curvature at what loss",
        x: Metric::TrainLoss,
        y: Metric::LambdaMax,
        caption: "A method that only stops at a higher loss moves along the cloud of the others; one that finds flatter \
                  minima lies below it. A dot a run, larger ones at the medians.",
    },
    Trade {
        title: "Curvature and what it is for",
        x: Metric::LambdaMax,
        y: Metric::MacroF1,
        caption: "Whether runs with a smaller λ_max classify the test split better. A dot a run, larger ones at the medians.",
    },
];

impl Trade {
    /// A dot a run, and a larger one at the median of each method in both quantities. An axis is logarithmic where all its
    /// values are positive and span more than a factor of 30; its title says so.
    fn plot(&self, findings: &Findings, records: &[RunRecord]) -> Plot {
        let dots = findings.methods.iter().map(|it| {
            let runs = of(records, it.method);
            let points = runs.filter_map(|run| Some([self.x.of(run)?, self.y.of(run)?]));
            let points = points.filter(|p| p.iter().all(|v| drawable(*v)));
            Series::new(it.method.name(), Mark::Dots, points.collect())
        });
        let mut series: Vec<Series> = dots.collect();
        let medians = series.iter().filter_map(|dots| {
            let [x, y] = [0, 1].map(|i| dots.points.iter().map(|p| p[i]).collect::<Vec<f64>>());
            let median = [Quartiles::of(&x)?.median, Quartiles::of(&y)?.median];
            Some(Series::new(&dots.label, Mark::Point, vec![median]))
        });
        let medians: Vec<Series> = medians.collect();
        let points = series.iter().flat_map(|dots| &dots.points);
        let [(x_log, x), (y_log, y)] =
            [0, 1].map(|i| spans_decades(extent(points.clone().map(|p| p[i]))));
        let (x, y) = (
            format!("{}{x}", self.x.title()),
            format!("{}{y}", self.y.title()),
        );
        series.extend(medians);
        Plot {
            title: self.title.to_owned(),
            x,
            y,
            x_log,
            y_log,
            series,
            ..Plot::default()
        }
    }
}

/// Quantities against each other, beside each other.
pub(super) fn scatter(
    trades: &[Trade],
    findings: &Findings,
    records: &[RunRecord],
) -> Result<Figure, FigureError> {
    let plots = trades.iter().map(|trade| trade.plot(findings, records));
    chart(&Chart {
        columns: trades.len(),
        plots: plots.collect(),
        ..Chart::default()
    })
}
