//! Charts of plotters in panels beside and below each other, with one legend.

use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::element::{Circle, EmptyElement, Text};
use plotters::series::DashedLineSeries;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, RGBColor, TRANSPARENT};

use super::axis::{Axis, LARGEST, drawable, extent};
use super::error::FigureError;
use super::figure::{Area, Figure, px, stroke};
use super::font::Type;
use super::palette::{self, AXIS, GRID, INK, MUTED};
use super::series::{Context, MOST_POINTS, Mark, Series};

/// Panels with a title and a legend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// The title.
    pub title: String,
    /// What explains the picture, below the title.
    pub note: String,
    /// Panels in a row.
    pub columns: usize,
    /// The panels, row by row.
    pub plots: Vec<Plot>,
}

/// One panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// The panel's title.
    pub title: String,
    /// The title of the horizontal axis.
    pub x: String,
    /// The title of the vertical axis.
    pub y: String,
    /// Whether the horizontal axis is logarithmic; values that are not positive are then left out.
    pub x_log: bool,
    /// The same for the vertical axis.
    pub y_log: bool,
    /// Whether the axes end where what is drawn ends.
    pub exact: bool,
    /// Whether the line y = x is drawn.
    pub diagonal: bool,
    /// Values that the axes reach in any case.
    pub reach: Vec<[f64; 2]>,
    /// Names of rows at 0, −1, −2 and so on in place of the vertical axis.
    pub rows: Vec<String>,
    /// What is drawn, the last on top.
    pub series: Vec<Series>,
}

/// The width of a row of panels.
pub const WIDTH: f64 = 900.0;
/// The edge of a sheet.
const EDGE: f64 = 10.0;
/// The most names in a legend.
const MOST_NAMES: usize = 60;
const TITLE: Type = Type(17.0, FontStyle::Bold, INK);
const NOTE: Type = Type(12.0, FontStyle::Normal, MUTED);
pub const PLOT_TITLE: Type = Type(13.5, FontStyle::Bold, INK);
const NAME: Type = Type(13.0, FontStyle::Normal, INK);
const AXIS_TITLE: Type = Type(12.5, FontStyle::Normal, INK);
pub const TICK: Type = Type(11.5, FontStyle::Normal, MUTED);
/// No digit of a tick is wider.
const CHARACTER: f64 = 7.2;

/// Draws a chart.
///
/// # Errors
/// [`FigureError::Empty`] without a panel. One that has nothing to draw says so.
pub fn chart(chart: &Chart) -> Result<Figure, FigureError> {
    let height = match chart.columns {
        0 | 1 => 330.0,
        2 => 350.0,
        _ => 300.0,
    };
    draw(chart, (WIDTH, height), Vec::new(), |_, _, _| Ok(()))
}

/// A name in a legend, and what stands before it.
pub type Entry = (String, Mark, RGBColor);

/// Draws a chart in rows of a width with panels of a height, titles and axes included. In the legend is `more` than the
/// series, and `under` draws below the series of a panel, by its number and the colours of names.
pub fn draw(
    chart: &Chart,
    (width, height): (f64, f64),
    more: Vec<Entry>,
    under: impl Fn(usize, &mut Context<'_>, &dyn Fn(&str) -> RGBColor) -> Result<(), FigureError>,
) -> Result<Figure, FigureError> {
    if chart.plots.is_empty() {
        return Err(FigureError::Empty("panel"));
    }
    let columns = chart.columns.clamp(1, chart.plots.len());
    let rows = chart.plots.len().div_ceil(columns);

    let mut names: Vec<(&str, Mark)> = Vec::new();
    for series in chart.plots.iter().flat_map(|plot| &plot.series) {
        let label = series.label.as_str();
        if !label.is_empty() && names.iter().all(|(known, _)| *known != label) {
            names.push((label, series.mark));
        }
    }
    let colors = palette::series(names.iter().map(|(label, _)| *label));
    let color = |label: &str| {
        let place = names.iter().position(|(known, _)| *known == label);
        place.map_or(INK, |i| colors[i])
    };
    let legend = names.iter().zip(&colors).take(MOST_NAMES);
    let legend = legend.map(|((label, mark), color)| (NAME.fitted(label, 180.0), *mark, *color));
    let legend: Vec<Entry> = legend.chain(more).collect();
    let widths = legend.iter().map(|(name, ..)| NAME.width(name) + 60.0);
    let beside = widths.fold(0.0, f64::max);

    let room = width + beside - 2.0 * EDGE;
    let mut note = chart.note.clone();
    let mut series = chart.plots.iter().flat_map(|plot| &plot.series);
    if series.any(Series::is_thinned) {
        note += &format!(" Of more than {MOST_POINTS} points of a name about so many are drawn.");
    }
    let notes = NOTE.wrapped(&note, room);
    let head = EDGE + if chart.title.is_empty() { 0.0 } else { 24.0 } + 16.0 * notes.len() as f64;
    let high = (height * rows as f64).max(20.5 * legend.len() as f64 + 30.0);
    Figure::draw(width + beside, head + high + EDGE, |sheet| {
        let mut rest = sheet.margin(px(EDGE), px(EDGE), 0, 0);
        if !chart.title.is_empty() {
            rest = rest.titled(&TITLE.fitted(&chart.title, room), TITLE.style())?;
        }
        for line in notes {
            rest = rest.margin(px(3.0), 0, 0, 0).titled(&line, NOTE.style())?;
        }
        let (panels, key) = rest.split_horizontally(px(width));
        draw_legend(&key, legend)?;
        let size = (width / columns as f64, high / rows as f64);
        let axes: Vec<[Axis; 2]> = chart.plots.iter().map(Plot::axes).collect();
        let widest = axes.iter().map(|[_, y]| y.widest()).max().unwrap_or(0);
        let left = CHARACTER * widest as f64 + 30.0;
        let panels = panels.split_evenly((rows, columns));
        for (i, ((plot, axes), area)) in chart.plots.iter().zip(axes).zip(panels).enumerate() {
            let mut context = plot.frame(&area, axes, left, size)?;
            under(i, &mut context, &color)?;
            plot.draw(&mut context, color)?;
        }
        Ok(())
    })
}

/// Plotters' legend on a part of the sheet of its own, where it covers no data.
fn draw_legend(area: &Area<'_>, entries: Vec<Entry>) -> Result<(), FigureError> {
    let mut context = ChartBuilder::on(area).build_cartesian_2d(0..1, 0..1)?;
    for (name, mark, color) in entries {
        let series = context.draw_series(None::<Circle<(i32, i32), i32>>)?;
        series.label(name).legend(move |(x, y)| {
            let [below, above] = mark.shape(color, 1);
            EmptyElement::at((x + px(14.0), y)) + below + above
        });
    }
    Ok(context
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .margin(px(6.0))
        .label_font(NAME.style())
        .legend_area_size(px(34.0))
        .draw()?)
}

impl Plot {
    /// Whether a point is within what the axes can show.
    fn shows(&self, [x, y]: [f64; 2]) -> bool {
        let on = |v: f64, log: bool| drawable(v) && (!log || v > 0.0);
        on(x, self.x_log) && on(y, self.y_log)
    }

    /// The horizontal and the vertical axis.
    fn axes(&self) -> [Axis; 2] {
        let reach = self.series.iter().flat_map(Series::reach);
        let reach = reach.chain(self.reach.iter().copied());
        let ends: Vec<[f64; 2]> = reach.filter(|p| self.shows(*p)).collect();
        let mut along = [0, 1].map(|i| extent(ends.iter().map(|p| p[i])));
        if self.diagonal {
            // The same range both ways, so that the line is the diagonal.
            let both = extent(along.iter().flatten().flat_map(|(low, high)| [*low, *high]));
            along = [both, both];
        }
        let room = if self.exact { 0.0 } else { 0.04 };
        let [x, y] = along.map(|range| range.unwrap_or((0.1, 1.0)));
        let vertical = match self.rows.is_empty() {
            true => Axis::new(self.y_log, y, room),
            false => Axis::rows(&self.rows),
        };
        [Axis::new(self.x_log, x, room), vertical]
    }

    /// A chart of plotters on a part of a sheet, `left` pixels from its edge, with axes, their titles and a grid.
    fn frame<'a>(
        &self,
        area: &Area<'a>,
        [x, y]: [Axis; 2],
        left: f64,
        (width, height): (f64, f64),
    ) -> Result<Context<'a>, FigureError> {
        let mut area = area.margin(px(8.0), px(4.0), px(6.0), px(20.0));
        if !self.title.is_empty() {
            let title = PLOT_TITLE.fitted(&self.title, width - 2.0 * EDGE);
            let above_plot = area.margin(0, 0, px(left), 0);
            above_plot.titled(&title, PLOT_TITLE.style())?;
            area = area.margin(px(20.0), 0, 0, 0);
        }
        let apart = CHARACTER * x.widest() as f64 + 12.0;
        let counts =
            [(width - left) / apart, height / 28.0].map(|count| (count as usize).clamp(2, 9));
        let mut context = ChartBuilder::on(&area)
            .x_label_area_size(px(if self.x.is_empty() { 24.0 } else { 40.0 }))
            .y_label_area_size(px(left))
            .build_cartesian_2d(x, y)?;
        let mut mesh = context.configure_mesh();
        mesh.light_line_style(TRANSPARENT)
            .bold_line_style(stroke(GRID, 0.8))
            .axis_style(stroke(AXIS, 1.0))
            .x_labels(counts[0])
            .y_labels(counts[1])
            .set_all_tick_mark_size(px(3.5))
            .label_style(TICK.style())
            .axis_desc_style(AXIS_TITLE.style());
        if !self.x.is_empty() {
            mesh.x_desc(AXIS_TITLE.fitted(&self.x, width - left - 2.0 * EDGE));
        }
        if !self.y.is_empty() {
            mesh.y_desc(AXIS_TITLE.fitted(&self.y, height - 80.0));
        }
        mesh.draw()?;
        Ok(context)
    }

    fn draw(
        &self,
        context: &mut Context<'_>,
        color: impl Fn(&str) -> RGBColor,
    ) -> Result<(), FigureError> {
        let mut points = self.series.iter().flat_map(|series| &series.points);
        let is_bare = self.reach.is_empty() && self.rows.is_empty();
        if is_bare && !points.any(|point| self.shows(*point)) {
            let area = context.plotting_area().strip_coord_spec();
            let (width, height) = area.dim_in_pixel();
            let middle = (width as i32 / 2, height as i32 / 2);
            let style = NOTE.style().pos(Pos::new(HPos::Center, VPos::Center));
            return Ok(area.draw(&Text::new("nothing to draw", middle, style))?);
        }
        if self.diagonal {
            let ends = [(-LARGEST, -LARGEST), (LARGEST, LARGEST)];
            let line = DashedLineSeries::new(ends, px(5.5), px(3.5), stroke(AXIS, 1.2));
            context.draw_series(line)?;
        }
        for series in &self.series {
            series.draw(context, color(&series.label), |p| self.shows(p))?;
        }
        Ok(())
    }
}

/// Whether values are best on a logarithmic axis, all positive and with more than a factor of 30 between them, and what the
/// title of the axis says then.
pub fn spans_decades(range: Option<(f64, f64)>) -> (bool, &'static str) {
    match range {
        None => (false, ": no value"),
        Some((low, high)) if low > 0.0 && high > 30.0 * low => (true, " (log)"),
        Some(_) => (false, ""),
    }
}
