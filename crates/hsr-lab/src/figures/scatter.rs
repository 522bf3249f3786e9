//! One quantity against another, a dot a run.

use super::chart::{Chart, Layout, Plot};
use super::error::FigureError;
use super::figure::Figure;
use super::range::drawable;
use super::series::{Mark, Series};
use crate::statistics::Quartiles;

/// Two quantities of several methods.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterPanel {
    /// What is shown.
    pub title: String,
    /// The horizontal quantity.
    pub x: String,
    /// The vertical quantity.
    pub y: String,
    /// The methods; they are the same in every panel of a figure.
    pub clouds: Vec<Cloud>,
}

/// The runs of one method.
#[derive(Clone, Debug, PartialEq)]
pub struct Cloud {
    /// The method.
    pub label: String,
    /// A point a run. One that is not finite is left out.
    pub points: Vec<[f64; 2]>,
}

/// Draws panels beside each other: a dot a run, and a ring around the median of each method in both quantities. An axis is
/// logarithmic where all its values are positive and span more than a factor of 30; its title says so.
///
/// # Errors
/// [`FigureError::Empty`] without a panel or a method.
pub fn scatter(panels: &[ScatterPanel]) -> Result<Figure, FigureError> {
    if panels.first().is_none_or(|panel| panel.clouds.is_empty()) {
        return Err(FigureError::Empty("cloud of points"));
    }
    let layout = Layout {
        height: 260.0,
        shared: false,
        alone: true,
    };
    layout.figure(&Chart {
        columns: panels.len(),
        plots: panels.iter().map(ScatterPanel::plot).collect(),
        ..Chart::default()
    })
}

impl ScatterPanel {
    fn plot(&self) -> Plot {
        let of = |cloud: &Cloud, mark, points| Series::new(&cloud.label, mark, points);
        let dots = self.clouds.iter();
        let dots = dots.map(|cloud| of(cloud, Mark::Dots, cloud.points.clone()));
        let rings = self.clouds.iter();
        let rings = rings.map(|cloud| of(cloud, Mark::Ring, cloud.median().into_iter().collect()));
        let plot = Plot {
            title: self.title.clone(),
            x: self.x.clone(),
            y: self.y.clone(),
            series: dots.chain(rings).collect(),
            ..Plot::default()
        };
        plot.settled()
    }
}

impl Cloud {
    /// The medians of both quantities; nothing without a point.
    fn median(&self) -> Option<[f64; 2]> {
        let drawn = self
            .points
            .iter()
            .filter(|p| p.iter().all(|v| drawable(*v)));
        let (x, y): (Vec<f64>, Vec<f64>) = drawn.map(|[x, y]| (*x, *y)).unzip();
        Some([Quartiles::of(&x)?.median, Quartiles::of(&y)?.median])
    }
}
