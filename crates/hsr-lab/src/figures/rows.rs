//! Methods below each other in rows: the values of their runs, or their mean ranks over tasks.

use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::{Color, RGBColor};

use super::axis::{drawable, extent};
use super::chart::{Chart, Plot, TICK, WIDTH, draw, spans_decades};
use super::error::FigureError;
use super::figure::{Figure, px, stroke};
use super::palette::{self, INK};
use super::series::{Context, MOST_POINTS};
use crate::statistics::{Friedman, Quartiles};

/// One quantity of several methods.
#[derive(Clone, Debug, PartialEq)]
pub struct DistributionPanel {
    /// The quantity.
    pub title: String,
    /// The methods, from the top.
    pub groups: Vec<Distribution>,
}

/// The values of one method.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// The method.
    pub label: String,
    /// A value a run. One that is not finite is left out.
    pub values: Vec<f64>,
    /// What is written at the end of the row, such as stars.
    pub mark: String,
}

/// The size of a panel without its rows, and the height of a row.
const PANEL: (f64, f64) = (450.0, 70.0);
const ROW: f64 = 27.0;
/// Names and marks are written in so many pixels.
const NAME: f64 = 150.0;

/// Draws a panel for each quantity, `columns` beside each other: in each a row a method, with a dot a run, a box from the
/// lower to the upper quartile, a thick line at the median and a thin one from the least to the greatest value; of more than
/// 2000 runs not every one has a dot. The axis is logarithmic where all values are positive and span more than a factor of
/// 30, and the title says so.
///
/// # Errors
/// [`FigureError::Empty`] without a panel, a column or a method. A method without a value has an empty row.
pub fn distributions(panels: &[DistributionPanel], columns: usize) -> Result<Figure, FigureError> {
    let rows = panels.iter().map(|panel| panel.groups.len());
    let (Some(rows), true) = (rows.clone().max(), rows.min() > Some(0) && columns > 0) else {
        return Err(FigureError::Empty("distribution"));
    };
    let columns = columns.min(panels.len());
    let size = (PANEL.0 * columns as f64, PANEL.1 + ROW * rows as f64);
    let chart = Chart {
        columns,
        plots: panels.iter().map(DistributionPanel::plot).collect(),
        ..Chart::default()
    };
    draw(&chart, size, Vec::new(), |i, context, _| {
        let groups = &panels[i].groups;
        let colors = palette::series(groups.iter().map(|group| group.label.as_str()));
        for (row, (group, color)) in groups.iter().zip(colors).enumerate() {
            group.draw(context, -(row as f64), color)?;
        }
        Ok(())
    })
}

impl DistributionPanel {
    fn plot(&self) -> Plot {
        let range = extent(self.groups.iter().flat_map(Distribution::drawable));
        let (x_log, suffix) = spans_decades(range);
        let names = self.groups.iter().map(|group| {
            let mark = match group.drawable().is_empty() {
                true => ": no value".to_owned(),
                false => format!(" {}", group.mark),
            };
            TICK.fitted(&format!("{}{mark}", group.label), NAME)
        });
        Plot {
            title: format!("{}{suffix}", TICK.fitted(&self.title, 240.0)),
            x_log,
            reach: range.map_or(Vec::new(), |(low, high)| vec![[low, 0.0], [high, 0.0]]),
            rows: names.collect(),
            ..Plot::default()
        }
    }
}

impl Distribution {
    fn drawable(&self) -> Vec<f64> {
        let values = self.values.iter().copied();
        values.filter(|v| drawable(*v)).collect()
    }

    fn draw(&self, context: &mut Context<'_>, y: f64, color: RGBColor) -> Result<(), FigureError> {
        let values = self.drawable();
        let range = extent(values.iter().copied());
        let (Some(quartiles), Some((low, high))) = (Quartiles::of(&values), range) else {
            return Ok(());
        };
        let (from, to, up, down) = (quartiles.lower, quartiles.upper, y + 0.28, y - 0.28);
        let outline = [(from, up), (to, up), (to, down), (from, down), (from, up)];
        let inside = palette::tint(color, 0.25).filled();
        let ends = [(low, y), (high, y)];
        context.draw_series([PathElement::new(ends, stroke(color, 1.0))])?;
        context.draw_series([Rectangle::new([(from, up), (to, down)], inside)])?;
        context.draw_series([PathElement::new(outline, stroke(color, 0.9))])?;
        let step = values.len().div_ceil(MOST_POINTS);
        let dots = values.iter().enumerate().step_by(step).map(|(i, v)| {
            // Spread over the box by the golden ratio: near values do not hide each other, and every picture is the same.
            let spread = (0.5 + i as f64 * 0.618_033_988_749_895) % 1.0 - 0.5;
            Circle::new((*v, y - 0.42 * spread), px(2.1), color.filled())
        });
        context.draw_series(dots)?;
        let median = [(quartiles.median, y + 0.35), (quartiles.median, y - 0.35)];
        context.draw_series([PathElement::new(median, stroke(INK, 2.4))])?;
        Ok(())
    }
}

/// Draws the mean ranks of methods over tasks, the best on top, each with a bar as long as the critical difference: two
/// methods whose bars do not overlap differ (Koning et al., 2005). `names` are those of the test's methods.
///
/// # Errors
/// [`FigureError::Empty`] where there are not as many names as methods.
pub fn mean_ranks(title: &str, names: &[&str], test: &Friedman) -> Result<Figure, FigureError> {
    if names.len() != test.mean_ranks.len() || names.len() < 2 {
        return Err(FigureError::Empty("method"));
    }
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| test.mean_ranks[a].total_cmp(&test.mean_ranks[b]));
    let mut note = format!(
        "Mean rank over {} tasks, 1 is best. Friedman χ² = {:.2}, p = {:.2e}.",
        test.tasks, test.statistic, test.p
    );
    if let Some(distance) = test.critical_difference {
        note += &format!(
            " Methods whose bars overlap do not differ (Nemenyi, 0.05, CD = {distance:.2})."
        );
    }
    let half = test.critical_difference.unwrap_or(0.0) / 2.0;
    let ranks = order.iter().map(|&i| test.mean_ranks[i]);
    let reach = ranks.clone().flat_map(|rank| [rank - half, rank + half]);
    let rows = order.iter().map(|&i| {
        let rank = format!(" {:.2}", test.mean_ranks[i]);
        TICK.fitted(names[i], NAME) + &rank
    });
    let chart = Chart {
        title: title.to_owned(),
        note,
        columns: 1,
        plots: vec![Plot {
            x: "mean rank".to_owned(),
            reach: reach.map(|end| [end, 0.0]).collect(),
            rows: rows.collect(),
            ..Plot::default()
        }],
    };
    let size = (WIDTH, PANEL.1 + ROW * names.len() as f64);
    draw(&chart, size, Vec::new(), |_, context, _| {
        let colors = palette::series(names.iter().copied());
        for (row, (rank, &method)) in ranks.clone().zip(&order).enumerate() {
            let y = -(row as f64);
            let bar = [(rank - half, y), (rank + half, y)];
            context.draw_series([PathElement::new(bar, stroke(colors[method], 3.0))])?;
            context.draw_series([Circle::new((rank, y), px(5.0), colors[method].filled())])?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_ranks_name_every_method_and_its_rank() {
        let names = ["plain", "hsr", "sam", "weight-decay"];
        let scores = [[1, 4, 3, 2], [2, 4, 3, 1], [1, 3, 4, 2]];
        let scores = scores.map(|task| task.map(f64::from));
        let test = Friedman::of(&scores).unwrap();
        let figure = mean_ranks("macro-F1", &names, &test).unwrap();
        for (name, rank) in names.iter().zip(["3.67", "1.33", "1.67", "3.33"]) {
            assert!(figure.svg().contains(&format!("{name} {rank}")), "{name}");
        }
        assert!(figure.svg().contains("CD = 2.71"));
        assert!(mean_ranks("macro-F1", &names[..3], &test).is_err());
    }
}
