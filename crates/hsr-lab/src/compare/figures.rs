//! The pictures of a comparison.

use super::findings::{Findings, of};
use super::metric::Metric;
use super::record::RunRecord;
use crate::figures::{
    Cloud, Distribution, DistributionPanel, Figure, FigureError, ScatterPanel, distributions,
    scatter,
};
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
    let trades = TRADES.map(|trade| trade.panel(findings, records));
    [
        ("comparison", distributions(&panels, 2)),
        ("tradeoff", scatter(&trades)),
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
                  minima lies below it. A dot a run, rings at the medians.",
    },
    Trade {
        title: "Curvature and what it is for",
        x: Metric::LambdaMax,
        y: Metric::MacroF1,
        caption: "Whether runs with a smaller λ_max classify the test split better. A dot a run, rings at the medians.",
    },
];

impl Trade {
    pub(super) fn panel(&self, findings: &Findings, records: &[RunRecord]) -> ScatterPanel {
        let cloud = |method: Method| Cloud {
            label: method.name().to_owned(),
            points: of(records, method)
                .filter_map(|run| Some([self.x.of(run)?, self.y.of(run)?]))
                .collect(),
        };
        ScatterPanel {
            title: self.title.to_owned(),
            x: self.x.title().to_owned(),
            y: self.y.title().to_owned(),
            clouds: findings.methods.iter().map(|it| cloud(it.method)).collect(),
        }
    }
}
