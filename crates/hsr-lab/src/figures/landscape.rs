//! The loss around a network, as a map with contours.

use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{RGBColor, WHITE};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::contour::{Field, Ring, refined, rings};
use super::error::FigureError;
use super::figure::Figure;
use super::number;
use super::palette::{self, AXIS, INK, MUTED};
use super::panel::{Frame, Panel, title_distance};
use super::range::{drawable, extent};

/// The loss on a grid around a network.
#[derive(Clone, Debug, PartialEq)]
pub struct LossPlane {
    /// The figure's title.
    pub title: String,
    /// What it shows, in a line below the title.
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

const TITLE: Type = Type::bold(17.0, INK);
const NOTE: Type = Type::regular(12.0, MUTED);
const LABEL: Type = Type::regular(12.0, INK);
const TICK: Type = Type::regular(11.5, MUTED);
/// The top of a plot, below title and note.
const FIRST: f64 = 72.0;

/// A side of the plane.
const SIDE: f64 = 500.0;
/// Contours are drawn on a grid of about so many points a side, where fewer were measured.
const SMOOTH: usize = 130;
const BAR: f64 = 20.0;
const BAR_DISTANCE: f64 = 22.0;

/// The colours of the bands from the lowest loss to the highest, on white paper from light to dark.
const LIGHT: f64 = 0.07;

/// Draws the loss around a network: bands of loss with contours between them, a bar that says which is which, and the
/// network. Where the loss spans more than a factor of ten, the levels are about equal factors apart.
///
/// # Errors
/// [`FigureError::Empty`] for less than two columns or rows, [`FigureError::Length`] where the losses do not fit,
/// [`FigureError::Range`] where coordinates do not ascend, [`FigureError::NoFiniteValue`] where no loss is finite.
pub fn loss_plane(plane: &LossPlane) -> Result<Figure, FigureError> {
    plane.check()?;
    let finite = plane.loss.iter().copied().filter(|v| drawable(*v));
    let Some((low, high)) = extent(finite) else {
        return Err(FigureError::NoFiniteValue {
            label: plane.title.clone(),
            what: "losses",
        });
    };
    let scale = Bands::new(low, high);
    let values: Vec<f64> = plane
        .loss
        .iter()
        .map(|&v| scale.map(if drawable(v) { v } else { high }))
        .collect();
    let measured = Field {
        values: &values,
        columns: plane.x.len(),
        rows: plane.y.len(),
    };
    let factor = (SMOOTH / plane.x.len().max(plane.y.len())).max(1);
    let (values, columns, rows) = refined(&measured, factor);
    let field = Field {
        values: &values,
        columns,
        rows,
    };
    let levels: Vec<f64> = scale.levels.iter().map(|(v, _)| scale.map(*v)).collect();
    let rings = rings(&field, &levels);

    let range = |v: &[f64]| (v[0], v[v.len() - 1]);
    let y = Axis::linear_exact(range(&plane.y), 8);
    let distance = title_distance(&y);
    let panel = Panel {
        left: distance + 18.0,
        top: FIRST,
        width: SIDE,
        height: SIDE,
        x: Axis::linear_exact(range(&plane.x), 8),
        y,
    };
    let label_width = |(_, label): &(f64, String)| TICK.width(label);
    let labels = scale.levels.iter().map(label_width).fold(0.0, f64::max);
    let width = panel.right() + BAR_DISTANCE + BAR + 10.0 + labels + 30.0;
    let room = width - panel.left - 12.0;
    Canvas::figure(width.ceil(), FIRST + SIDE + 54.0, |canvas| {
        let (title, note) = (
            TITLE.fitted(&plane.title, room),
            NOTE.fitted(&plane.note, room),
        );
        canvas.text(&title, (panel.left, 12.0), (HPos::Left, VPos::Top), TITLE)?;
        canvas.text(&note, (panel.left, 40.0), (HPos::Left, VPos::Top), NOTE)?;
        scale.fill(canvas, &panel, &field, &rings)?;
        let [x, y] = plane.axes.each_ref().map(String::as_str);
        let (grid, x, y) = (false, Some(Some(x)), Some((y, distance)));
        panel.frame(canvas, Frame { grid, x, y })?;
        let (right, top) = (panel.right(), panel.top);
        let sides = [(panel.left, top), (right, top), (right, panel.bottom())];
        canvas.line(sides, AXIS, 0.8)?;
        draw_network(canvas, &panel, plane)?;
        scale.bar(canvas, &panel, labels)
    })
}

impl LossPlane {
    fn check(&self) -> Result<(), FigureError> {
        if self.x.len() < 2 || self.y.len() < 2 {
            return Err(FigureError::Empty("grid cell"));
        }
        let (found, expected) = (self.loss.len(), self.x.len() * self.y.len());
        if found != expected {
            return Err(FigureError::Length {
                label: self.title.clone(),
                what: "losses",
                found,
                expected,
            });
        }
        for (axis, values) in [('x', &self.x), ('y', &self.y)] {
            let (low, high) = (values[0], values[values.len() - 1]);
            let ascends = values.windows(2).all(|pair| pair[0] < pair[1]);
            if !(drawable(low) && drawable(high) && ascends) {
                return Err(FigureError::Range {
                    title: self.title.clone(),
                    axis,
                    low,
                    high,
                });
            }
        }
        Ok(())
    }
}

/// The levels between bands of loss, ascending, each with its label.
struct Bands {
    levels: Vec<(f64, String)>,
    log: bool,
    highest: f64,
}

impl Bands {
    /// About a dozen levels between two losses.
    fn new(low: f64, high: f64) -> Self {
        /// Beyond this factor the levels are no longer equidistant.
        const FACTOR: f64 = 10.0;
        const COUNT: usize = 12;
        let log = low > 0.0 && high > FACTOR * low;
        let levels = if log {
            Self::decades(low, high)
        } else {
            let within = |(v, _): &&(f64, String)| *v > low && *v < high;
            let axis = Axis::linear_exact((low, high), COUNT);
            axis.ticks().iter().filter(within).cloned().collect()
        };
        Self {
            levels,
            log,
            highest: high,
        }
    }

    fn decades(low: f64, high: f64) -> Vec<(f64, String)> {
        let digits: &[f64] = match (high / low).log10() {
            range if range < 1.6 => &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0],
            range if range < 2.6 => &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
            range if range < 4.5 => &[1.0, 2.0, 5.0],
            range if range < 7.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let (first, last) = (number::exponent(low), number::exponent(high));
        let stride = ((last - first) / 12 + 1).max(1) as usize;
        (first..=last)
            .step_by(stride)
            .flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)))
            .filter(|v| *v > low && *v < high)
            .map(|v| (v, number::value(v)))
            .collect()
    }

    /// The scale on which contours are interpolated.
    fn map(&self, v: f64) -> f64 {
        if self.log { v.ln() } else { v }
    }

    /// The colour above the level before it, 0 for the lowest band.
    fn color(&self, band: usize) -> RGBColor {
        let share = band as f64 / self.levels.len().max(1) as f64;
        palette::ramp(LIGHT + (1.0 - LIGHT) * share)
    }

    fn fill(
        &self,
        canvas: &Canvas<'_>,
        panel: &Panel,
        field: &Field<'_>,
        rings: &[Ring],
    ) -> Result<(), FigureError> {
        let at = |(x, y): &(f64, f64)| {
            (
                panel.left + panel.width * x / (field.columns - 1) as f64,
                panel.bottom() - panel.height * y / (field.rows - 1) as f64,
            )
        };
        let corners = ((panel.left, panel.top), (panel.right(), panel.bottom()));
        canvas.fill(corners.0, corners.1, self.color(0), 1.0)?;
        for ring in rings {
            let band = ring.level + usize::from(ring.area > 0.0);
            canvas.polygon(ring.points.iter().map(at), self.color(band), 1.0)?;
        }
        for ring in rings {
            // What runs along the border is under the frame.
            let closed = ring.points.iter().chain(ring.points.first());
            canvas.line(closed.map(at), palette::tint(INK, 0.62), 0.6)?;
        }
        Ok(())
    }

    /// The bar of colours beside the plot, the levels written between its bands.
    fn bar(&self, canvas: &Canvas<'_>, panel: &Panel, labels: f64) -> Result<(), FigureError> {
        let bands = self.levels.len() + 1;
        let left = panel.right() + BAR_DISTANCE;
        let edge = |band: usize| panel.bottom() - panel.height * band as f64 / bands as f64;
        for band in 0..bands {
            let (top, bottom) = (edge(band + 1), edge(band));
            canvas.fill((left, top), (left + BAR, bottom), self.color(band), 1.0)?;
        }
        let (right, top, bottom) = (left + BAR, panel.top, panel.bottom());
        let outline = [
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
            (left, top),
        ];
        canvas.line(outline, AXIS, 0.8)?;
        for (band, (_, label)) in self.levels.iter().enumerate() {
            let y = edge(band + 1);
            canvas.line([(right, y), (right + 4.0, y)], AXIS, 1.0)?;
            canvas.text(label, (right + 7.0, y), (HPos::Left, VPos::Center), TICK)?;
        }
        let title = if self.levels.is_empty() {
            format!("loss {} everywhere", number::value(self.highest))
        } else {
            "loss".to_owned()
        };
        canvas.upright(
            &title,
            (right + 10.0 + labels + 12.0, panel.top + panel.height / 2.0),
            LABEL,
        )
    }
}

/// A dot where the network is, its name and loss beside it.
fn draw_network(canvas: &Canvas<'_>, panel: &Panel, plane: &LossPlane) -> Result<(), FigureError> {
    if !(panel.x.holds(0.0) && panel.y.holds(0.0)) {
        return Ok(());
    }
    let at = (panel.x_of(0.0), panel.y_of(0.0));
    let text = LABEL.fitted(
        &format!("{}: {}", plane.network, number::value(plane.network_loss)),
        0.4 * panel.width,
    );
    // On any band: dark text on a light plate.
    let (left, half) = (at.0 + 11.0, 10.0);
    let right = left + LABEL.width(&text) + 10.0;
    canvas.fill((left, at.1 - half), (right, at.1 + half), WHITE, 0.8)?;
    canvas.text(&text, (left + 5.0, at.1), (HPos::Left, VPos::Center), LABEL)?;
    let color = palette::series([plane.network.as_str()])[0];
    let dark = palette::marker(color);
    canvas.disc(at, 6.5, WHITE)?;
    canvas.disc(at, 4.8, dark)
}
