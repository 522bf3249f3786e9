//! The course of training: loss, curvature bound and accuracy, epoch by epoch.

use super::chart::{Chart, Layout, Plot};
use super::error::FigureError;
use super::figure::Figure;
use super::range::{drawable, extent};
use super::series::{Mark, Series};

/// What was measured while one network was trained; every sequence has a value for each epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingCurve {
    /// The name of the network or method, such as "plain" or "HSR".
    pub label: String,
    /// The epochs at which the values were measured.
    pub epochs: Vec<f64>,
    /// The loss. A value that is not finite is left out, here and below: what was not measured can be NaN.
    pub loss: Vec<f64>,
    /// The upper bound on the largest eigenvalue of the loss Hessian.
    pub lambda_sup: Vec<f64>,
    /// The share of samples that are classified correctly.
    pub accuracy: Vec<f64>,
}

/// Up to so many points, each is marked.
const MARKED: usize = 25;

/// Draws loss, λ_sup and accuracy in three panels above each other that share the axis of epochs.
///
/// Loss and λ_sup are on a logarithmic axis where all their values are positive.
///
/// # Errors
/// [`FigureError::Empty`] without a series, [`FigureError::Length`] where sequences differ in length, and
/// [`FigureError::NoFiniteValue`] where a series has no value to draw.
pub fn training(series: &[TrainingCurve]) -> Result<Figure, FigureError> {
    if series.is_empty() {
        return Err(FigureError::Empty("training curve"));
    }
    series.iter().try_for_each(TrainingCurve::check)?;
    type Values = fn(&TrainingCurve) -> &Vec<f64>;
    let measures: [(&str, bool, Values); 3] = [
        ("loss", true, |curve| &curve.loss),
        ("bound λ_sup", true, |curve| &curve.lambda_sup),
        ("accuracy", false, |curve| &curve.accuracy),
    ];
    let mut plots = measures.map(|(name, may_be_log, values)| {
        let lines = series.iter().map(|curve| curve.line(values(curve)));
        let series: Vec<Series> = lines.collect();
        let range = extent(series.iter().flat_map(|it| &it.points).map(|p| p[1]));
        let y_log = may_be_log && range.is_some_and(|(low, _)| low > 0.0);
        let suffix = match range {
            None => ": not measured",
            Some(_) if y_log => " (log)",
            Some(_) => "",
        };
        Plot {
            x: "epoch".to_owned(),
            y: format!("{name}{suffix}"),
            y_log,
            series,
            ..Plot::default()
        }
    });
    // All three reach the same epochs.
    let points = plots
        .iter()
        .flat_map(|plot| &plot.series)
        .flat_map(|it| &it.points);
    let epochs = extent(points.map(|p| p[0]));
    for plot in &mut plots {
        let first = plot.series.iter().find_map(|it| it.points.first());
        if let (Some((low, high)), Some(&[_, y])) = (epochs, first) {
            plot.reach = vec![[low, y], [high, y]];
        }
    }
    let layout = Layout {
        height: 158.0,
        shared: true,
        alone: true,
    };
    layout.figure(&Chart {
        title: "Loss, curvature bound and accuracy during training".to_owned(),
        plots: plots.into(),
        ..Chart::default()
    })
}

impl TrainingCurve {
    /// What of some values can be drawn.
    fn line(&self, values: &[f64]) -> Series {
        let both = self.epochs.iter().zip(values).map(|(x, y)| [*x, *y]);
        let points: Vec<[f64; 2]> = both.filter(|p| p.iter().all(|v| drawable(*v))).collect();
        let mark = match points.len() {
            0..=MARKED => Mark::Marked,
            _ => Mark::Line,
        };
        Series::new(&self.label, mark, points)
    }

    fn check(&self) -> Result<(), FigureError> {
        let measures = [
            ("losses", &self.loss),
            ("values of lambda_sup", &self.lambda_sup),
            ("accuracies", &self.accuracy),
        ];
        for (what, values) in measures {
            let (found, expected) = (values.len(), self.epochs.len());
            if found != expected {
                return Err(FigureError::Length {
                    label: self.label.clone(),
                    what,
                    found,
                    expected,
                });
            }
        }
        if measures
            .iter()
            .all(|(_, values)| self.line(values).points.is_empty())
        {
            return Err(FigureError::NoFiniteValue {
                label: self.label.clone(),
                what: "measurements",
            });
        }
        Ok(())
    }
}
