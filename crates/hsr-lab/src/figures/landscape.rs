//! The loss around a network, as a map with contours.

use std::iter;

use plotters::coord::ranged1d::ValueFormatter;
use plotters::element::{PathElement, Polygon};
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use plotters::style::{Color, RGBColor};

use super::axis::{Axis, drawable, extent};
use super::chart::{Chart, Plot, draw, spans_decades};
use super::contour::{outline, rings};
use super::error::FigureError;
use super::figure::{Figure, stroke};
use super::number;
use super::palette::INK;
use super::series::{Context, Mark, Series};

/// The loss on a grid around a network.
#[derive(Clone, Debug, PartialEq)]
pub struct LossPlane {
    /// The figure's title.
    pub title: String,
    /// What it shows, below the title.
    pub note: String,
    /// The titles of the axes.
    pub axes: [String; 2],
    /// The coordinates of the columns, ascending and equidistant; the network is at 0.
    pub x: Vec<f64>,
    /// Those of the rows.
    pub y: Vec<f64>,
    /// The losses, row by row from the lowest y. One that is not finite counts as the largest of the others.
    pub loss: Vec<f64>,
    /// The network's name.
    pub network: String,
    /// Its loss.
    pub network_loss: f64,
}

/// Draws the loss around a network: bands of loss with contours between them, a legend that says which is which, and the
/// network. Where the loss spans more than a factor of 30, the levels are about equal factors apart.
///
/// # Errors
/// [`FigureError::Empty`] for less than two columns or rows, [`FigureError::Length`] where the losses do not fit,
/// [`FigureError::Range`] where coordinates do not ascend, [`FigureError::NoFiniteValue`] where no loss is finite.
pub fn loss_plane(plane: &LossPlane) -> Result<Figure, FigureError> {
    plane.check()?;
    let finite = plane.loss.iter().copied().filter(|v| drawable(*v));
    let Some((low, high)) = extent(finite) else {
        return Err(FigureError::NoFiniteValue(plane.title.clone(), "losses"));
    };
    let bands = Bands::new(low, high);
    let label = match drawable(plane.network_loss) {
        true => format!("{}: {}", plane.network, number::value(plane.network_loss)),
        false => plane.network.clone(),
    };
    let ends = |v: &[f64]| [v[0], v[v.len() - 1]];
    let [x, y] = [ends(&plane.x), ends(&plane.y)];
    let is_inside = [x, y].iter().all(|[low, high]| *low <= 0.0 && 0.0 <= *high);
    let network = is_inside.then(|| Series::new(label, Mark::Point, vec![[0.0, 0.0]]));
    let chart = Chart {
        title: plane.title.clone(),
        note: plane.note.clone(),
        columns: 1,
        plots: vec![Plot {
            x: plane.axes[0].clone(),
            y: plane.axes[1].clone(),
            reach: vec![[x[0], y[0]], [x[1], y[1]]],
            exact: true,
            series: network.into_iter().collect(),
            ..Plot::default()
        }],
    };
    draw(&chart, (590.0, 550.0), bands.legend(), |_, context, _| {
        bands.draw(context, plane)
    })
}

impl LossPlane {
    fn check(&self) -> Result<(), FigureError> {
        let (title, size) = (&self.title, self.x.len() * self.y.len());
        if self.x.len() < 2 || self.y.len() < 2 {
            return Err(FigureError::Empty("grid cell"));
        }
        FigureError::unless_equal(title, "losses", self.loss.len(), size)?;
        for (axis, values) in [('x', &self.x), ('y', &self.y)] {
            for step in values.windows(2) {
                FigureError::unless_drawable(title, axis, (step[0], step[1]))?;
            }
        }
        Ok(())
    }
}

/// The levels between bands of loss, ascending.
struct Bands {
    levels: Vec<f64>,
    axis: Axis,
    highest: f64,
}

impl Bands {
    /// About a dozen bands between two losses.
    fn new(low: f64, highest: f64) -> Self {
        let (log, _) = spans_decades(Some((low, highest)));
        let axis = Axis::new(log, (low, highest), 0.0);
        let factor = |i: i32| (highest / low).powf(f64::from(i) / 12.0);
        let mut levels: Vec<f64> = match log {
            true => (1..12).map(|i| low * factor(i)).collect(),
            false => axis.ticks(12),
        };
        levels.retain(|v| *v > low && *v < highest);
        Self {
            levels,
            axis,
            highest,
        }
    }

    /// The colour above the level before it, 0 for the lowest band.
    fn color(&self, band: usize) -> RGBColor {
        ViridisRGB.get_color(band as f64 / self.levels.len().max(1) as f64)
    }

    fn legend(&self) -> Vec<(String, Mark, RGBColor)> {
        let name = |band: usize| match (band.checked_sub(1), self.levels.first()) {
            (Some(below), _) => format!("loss from {}", self.axis.format_ext(&self.levels[below])),
            (None, Some(first)) => format!("loss below {}", self.axis.format_ext(first)),
            (None, None) => format!("loss {} everywhere", number::value(self.highest)),
        };
        let entry = |band: usize| (name(band), Mark::Bars(1.0), self.color(band));
        (0..=self.levels.len()).rev().map(entry).collect()
    }

    fn draw(&self, context: &mut Context<'_>, plane: &LossPlane) -> Result<(), FigureError> {
        let map = |v: f64| if self.axis.log { v.ln() } else { v };
        let loss = |column: usize, row: usize| {
            let v = plane.loss[row * plane.x.len() + column];
            map(if drawable(v) { v } else { self.highest })
        };
        let along = |values: &[f64], at: f64| {
            let (first, last) = (values[0], values[values.len() - 1]);
            first + (last - first) * at / (values.len() - 1) as f64
        };
        let size = (plane.x.len(), plane.y.len());
        // Everything reaches the lowest band.
        let levels = self.levels.iter().map(|v| map(*v));
        for (band, level) in iter::once(f64::MIN).chain(levels).enumerate() {
            let place = |x: f64, y: f64| (along(&plane.x, x), along(&plane.y, y));
            let rings = rings(loss, size, level, place);
            let fill = self.color(band).filled();
            context.draw_series([Polygon::new(outline(&rings), fill)])?;
            let line = stroke(INK, 0.4);
            context.draw_series(rings.into_iter().map(|ring| PathElement::new(ring, line)))?;
        }
        Ok(())
    }
}
