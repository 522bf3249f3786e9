//! The course of training: loss, curvature bound and accuracy, epoch by epoch.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::figure::Figure;
use super::legend::{Legend, Swatch};
use super::palette::{self, INK};
use super::panel::{Panel, title_distance};
use super::{drawable, extent};

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

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 158.0;
const GAP: f64 = 20.0;
const TITLE: Type = Type::bold(17.0, INK);

/// A line in one panel.
type Points = Vec<(f64, f64)>;

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
    for curve in series {
        curve.check()?;
    }
    let measures: [(&str, bool, Vec<Points>); 3] = [
        (
            "loss",
            true,
            series.iter().map(|c| points(&c.epochs, &c.loss)).collect(),
        ),
        (
            "bound λ_sup",
            true,
            series
                .iter()
                .map(|c| points(&c.epochs, &c.lambda_sup))
                .collect(),
        ),
        (
            "accuracy",
            false,
            series
                .iter()
                .map(|c| points(&c.epochs, &c.accuracy))
                .collect(),
        ),
    ];
    let epochs = measures
        .iter()
        .flat_map(|(_, _, lines)| lines.iter().flatten().map(|p| p.0));
    let epochs = Axis::linear_exact(extent(epochs).unwrap_or((0.0, 1.0)), 8);
    let labels = || series.iter().map(|c| c.label.as_str());
    let colors = palette::series(labels());
    let (axes, titles): (Vec<Axis>, Vec<String>) = measures
        .iter()
        .map(|(name, may_be_log, lines)| {
            let (axis, suffix) = value_axis(lines, *may_be_log);
            (axis, format!("{name}{suffix}"))
        })
        .unzip();
    // The titles of the axes are in one line, as far out as the widest label demands.
    let distance = axes.iter().map(title_distance).fold(0.0, f64::max);
    let left = distance + 16.0;
    let width = WIDTH - left - 24.0;
    let legend = Legend::new(labels(), Swatch::Line, width);
    let first = 46.0 + legend.height();
    let panels: Vec<Panel> = axes
        .into_iter()
        .enumerate()
        .map(|(i, y)| {
            let top = first + (HEIGHT + GAP) * i as f64;
            Panel {
                left,
                top,
                width,
                height: HEIGHT,
                x: epochs.clone(),
                y,
            }
        })
        .collect();
    let height = first + 3.0 * HEIGHT + 2.0 * GAP + 48.0;
    Canvas::figure(WIDTH, height, |canvas| {
        canvas.text(
            "Loss, curvature bound and accuracy during training",
            (left, 12.0),
            (HPos::Left, VPos::Top),
            TITLE,
        )?;
        legend.draw(canvas, (left, 46.0), &colors)?;
        for (panel, (_, _, lines)) in panels.iter().zip(&measures) {
            panel.x_grid(canvas)?;
            panel.y_grid(canvas)?;
            for (line, color) in lines.iter().zip(&colors) {
                draw_line(canvas, panel, line, *color)?;
            }
        }
        for (i, (panel, title)) in panels.iter().zip(&titles).enumerate() {
            panel.x_axis(canvas, (i == 2).then_some("epoch"))?;
            panel.y_axis(canvas, title, distance)?;
        }
        Ok(())
    })
}

impl TrainingCurve {
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
            .all(|(_, values)| points(&self.epochs, values).is_empty())
        {
            return Err(FigureError::NoFiniteValue {
                label: self.label.clone(),
                what: "measurements",
            });
        }
        Ok(())
    }
}

fn points(epochs: &[f64], values: &[f64]) -> Points {
    let both = epochs.iter().copied().zip(values.iter().copied());
    both.filter(|(epoch, value)| drawable(*epoch) && drawable(*value))
        .collect()
}

/// The axis of a panel and what its title says of it.
fn value_axis(lines: &[Points], may_be_log: bool) -> (Axis, &'static str) {
    let Some((low, high)) = extent(lines.iter().flatten().map(|p| p.1)) else {
        return (Axis::linear_exact((0.0, 1.0), 4), ": not measured");
    };
    if may_be_log && low > 0.0 {
        (Axis::log((low, high), 5), " (log)")
    } else {
        (Axis::linear((low, high), 5), "")
    }
}

fn draw_line(
    canvas: &Canvas<'_>,
    panel: &Panel,
    line: &[(f64, f64)],
    color: RGBColor,
) -> Result<(), FigureError> {
    /// Up to so many points, each is marked.
    const MARKED: usize = 25;
    let at: Points = line
        .iter()
        .map(|(x, y)| (panel.x_of(*x), panel.y_of(*y)))
        .collect();
    if at.len() <= MARKED {
        for point in &at {
            canvas.disc(*point, 2.8, color)?;
        }
    }
    if at.len() > 1 {
        canvas.line(thinned(&at), color, 1.9)
    } else {
        Ok(())
    }
}

/// The line without the points that do not show: of those within the same pixel column, the first, the lowest, the highest
/// and the last draw the same picture.
fn thinned(line: &[(f64, f64)]) -> Points {
    let columns = line.chunk_by(|a, b| a.0.floor() == b.0.floor());
    columns
        .flat_map(|column| {
            let order = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
            let (low, high) = (
                (0..column.len()).min_by(order),
                (0..column.len()).max_by(order),
            );
            let mut kept = vec![0, low.unwrap_or(0), high.unwrap_or(0), column.len() - 1];
            kept.sort_unstable();
            kept.dedup();
            kept.into_iter().map(|i| column[i])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_extremes() {
        let line: Points = (0..10_000)
            .map(|i| (f64::from(i) / 100.0, f64::from(i * 7919 % 1000)))
            .collect();
        let thin = thinned(&line);
        assert!(thin.len() <= 400);
        assert_eq!(
            extent(thin.iter().map(|p| p.1)),
            extent(line.iter().map(|p| p.1))
        );
        assert!(thin.is_sorted_by_key(|p| p.0));
    }
}
