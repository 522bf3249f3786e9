//! One quantity against another, a dot a run.

use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::figure::Figure;
use super::legend::{Legend, Swatch};
use super::palette::{self, INK};
use super::panel::{Panel, title_distance};
use super::{drawable, extent};
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

/// The width of a panel.
const WIDTH: f64 = 440.0;
const BETWEEN: f64 = 20.0;
const EDGE: f64 = 10.0;
const HEIGHT: f64 = 260.0;
/// The room above a plot and below it.
const ABOVE: f64 = 32.0;
const BELOW: f64 = 54.0;
const RIGHT: f64 = 14.0;

const TITLE: Type = Type::bold(14.5, INK);

/// Draws panels beside each other: a dot a run, and a ring around the median of each method in both quantities. An axis is
/// logarithmic where all its values are positive and span more than a factor of 30; its title says so.
///
/// # Errors
/// [`FigureError::Empty`] without a panel or a method.
pub fn scatter(panels: &[ScatterPanel]) -> Result<Figure, FigureError> {
    let Some(first) = panels.first().filter(|panel| !panel.clouds.is_empty()) else {
        return Err(FigureError::Empty("cloud of points"));
    };
    let width = (WIDTH + BETWEEN) * panels.len() as f64 - BETWEEN + 2.0 * EDGE;
    let labels = || first.clouds.iter().map(|cloud| cloud.label.as_str());
    let legend = Legend::new(labels(), Swatch::Disc, width - 2.0 * EDGE - 20.0);
    let colors = palette::series(labels());
    let top = EDGE + legend.height();
    Canvas::figure(width, top + ABOVE + HEIGHT + BELOW, |canvas| {
        legend.draw(canvas, (EDGE + 10.0, EDGE), &colors)?;
        for (i, panel) in panels.iter().enumerate() {
            let left = EDGE + (WIDTH + BETWEEN) * i as f64;
            panel.draw(canvas, (left, top))?;
        }
        Ok(())
    })
}

impl ScatterPanel {
    fn draw(&self, canvas: &Canvas<'_>, (left, top): (f64, f64)) -> Result<(), FigureError> {
        let clouds: Vec<Vec<[f64; 2]>> = self.clouds.iter().map(Cloud::drawable).collect();
        let along = |e: usize| clouds.iter().flatten().map(move |point| point[e]);
        let (x, x_title) = axis(&self.x, extent(along(0)));
        let (y, y_title) = axis(&self.y, extent(along(1)));
        let distance = title_distance(&y);
        let plot = Panel {
            left: left + distance + 14.0,
            top: top + ABOVE,
            width: WIDTH - distance - 14.0 - RIGHT,
            height: HEIGHT,
            x,
            y,
        };
        let title = TITLE.fitted(&self.title, plot.width);
        canvas.text(
            &title,
            (plot.left, top + 4.0),
            (HPos::Left, VPos::Top),
            TITLE,
        )?;
        plot.x_grid(canvas)?;
        plot.y_grid(canvas)?;
        plot.x_axis(canvas, Some(&x_title))?;
        plot.y_axis(canvas, &y_title, distance)?;
        let colors = palette::series(self.clouds.iter().map(|cloud| cloud.label.as_str()));
        let at = |[x, y]: [f64; 2]| (plot.x_of(x), plot.y_of(y));
        for (cloud, color) in clouds.iter().zip(&colors) {
            for point in cloud {
                canvas.disc(at(*point), 2.6, *color)?;
            }
        }
        for (cloud, color) in clouds.iter().zip(&colors) {
            let middle = [0, 1].map(|e| {
                let values: Vec<f64> = cloud.iter().map(|point| point[e]).collect();
                Quartiles::of(&values).map(|quartiles| quartiles.median)
            });
            if let [Some(x), Some(y)] = middle {
                let (x, y) = at([x, y]);
                let ring = |radius: f64| {
                    (0..=48).map(move |i| {
                        let angle = std::f64::consts::TAU * f64::from(i) / 48.0;
                        (x + radius * angle.cos(), y + radius * angle.sin())
                    })
                };
                canvas.line(ring(7.0), plotters::style::WHITE, 4.5)?;
                canvas.line(ring(7.0), *color, 2.6)?;
            }
        }
        Ok(())
    }
}

impl Cloud {
    fn drawable(&self) -> Vec<[f64; 2]> {
        let points = self.points.iter().copied();
        points.filter(|p| p.iter().all(|v| drawable(*v))).collect()
    }
}

/// The axis of a quantity and its title.
fn axis(name: &str, range: Option<(f64, f64)>) -> (Axis, String) {
    match range {
        None => (
            Axis::linear_exact((0.0, 1.0), 4),
            format!("{name}: no value"),
        ),
        Some((low, high)) if low > 0.0 && high > 30.0 * low => {
            (Axis::log((low, high), 5), format!("{name} (log)"))
        }
        Some(range) => (Axis::linear(range, 5), name.to_owned()),
    }
}
