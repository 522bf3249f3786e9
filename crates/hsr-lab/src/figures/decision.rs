//! What classifiers of two features decide, over the plane, beside each other.

use std::collections::BTreeSet;

use plotters::element::Polygon;
use plotters::style::{Color, RGBColor};

use super::chart::{Chart, Plot, WIDTH, draw};
use super::contour::{outline, rings};
use super::error::FigureError;
use super::figure::Figure;
use super::palette;
use super::series::{Context, Mark, Series};

/// The decisions of one classifier, and samples.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionPanel {
    /// The panel's title.
    pub title: String,
    /// The number of cells in each direction.
    pub grid: usize,
    /// The horizontal range.
    pub x_range: (f64, f64),
    /// The vertical range.
    pub y_range: (f64, f64),
    /// The class predicted at the centre of each cell ([`DecisionPanel::centres`]), row by row from the lowest row, each row
    /// from the left.
    pub classes: Vec<usize>,
    /// Samples. One outside the ranges or not finite is left out.
    pub points: Vec<[f64; 2]>,
    /// The class of each sample.
    pub labels: Vec<usize>,
}

impl DecisionPanel {
    /// The centres of the cells of a grid, in the order of [`DecisionPanel::classes`]: the points to classify.
    pub fn centres(
        grid: usize,
        x_range: (f64, f64),
        y_range: (f64, f64),
    ) -> impl Iterator<Item = [f64; 2]> {
        let along = move |range, i: usize| place(range, i as f64, grid);
        (0..grid).flat_map(move |row| {
            (0..grid).map(move |column| [along(x_range, column), along(y_range, row)])
        })
    }

    fn check(&self) -> Result<(), FigureError> {
        if self.grid == 0 {
            return Err(FigureError::Empty("grid cell"));
        }
        let (title, cells) = (&self.title, self.grid.saturating_mul(self.grid));
        FigureError::unless_equal(title, "predicted classes", self.classes.len(), cells)?;
        FigureError::unless_equal(title, "labels", self.labels.len(), self.points.len())?;
        FigureError::unless_drawable(title, 'x', self.x_range)?;
        FigureError::unless_drawable(title, 'y', self.y_range)
    }

    /// Height over width of the plot: that of the plane, within reason.
    fn aspect(&self) -> f64 {
        ((self.y_range.1 - self.y_range.0) / (self.x_range.1 - self.x_range.0)).clamp(0.6, 1.1)
    }

    /// The classes, their samples as series.
    fn plot(&self) -> Plot {
        let classes: BTreeSet<usize> = self.classes.iter().chain(&self.labels).copied().collect();
        let ((left, right), (low, high)) = (self.x_range, self.y_range);
        let series = classes.into_iter().map(|class| {
            let samples = self.points.iter().zip(&self.labels);
            let of_class = samples.filter(|([x, y], label)| {
                **label == class && (left..=right).contains(x) && (low..=high).contains(y)
            });
            let points = of_class.map(|(point, _)| *point).collect();
            Series::new(class_name(class), Mark::Class(class), points)
        });
        Plot {
            title: self.title.clone(),
            x: "x₁".to_owned(),
            y: "x₂".to_owned(),
            reach: vec![[left, low], [right, high]],
            exact: true,
            series: series.collect(),
            ..Plot::default()
        }
    }

    /// Tints the region of each class.
    fn tint(
        &self,
        context: &mut Context<'_>,
        color: &dyn Fn(&str) -> RGBColor,
    ) -> Result<(), FigureError> {
        let classes: BTreeSet<usize> = self.classes.iter().copied().collect();
        for (i, class) in classes.into_iter().enumerate() {
            // One cell more on every side, so that the outermost cells are filled. The first is below the others.
            let cell = |i: usize| i.saturating_sub(1).min(self.grid - 1);
            let is = |x, y| match self.classes[cell(y) * self.grid + cell(x)] {
                it if it == class || i == 0 => 1.0,
                _ => 0.0,
            };
            let size = (self.grid + 2, self.grid + 2);
            let along = |range, cell: f64| place(range, cell - 1.0, self.grid);
            let at = |x: f64, y: f64| (along(self.x_range, x), along(self.y_range, y));
            let region = rings(is, size, 0.5, at);
            let tint = palette::tint(color(&class_name(class)), 0.28);
            context.draw_series([Polygon::new(outline(&region), tint.filled())])?;
        }
        Ok(())
    }
}

/// The middle of the `cell`th of `count` cells.
fn place((low, high): (f64, f64), cell: f64, count: usize) -> f64 {
    low + (high - low) * (cell + 0.5) / count as f64
}

fn class_name(class: usize) -> String {
    format!("class {class}")
}

/// Draws classifiers beside each other: tinted regions where each class is predicted, and samples on top, of a colour and a
/// shape for each class.
///
/// # Errors
/// [`FigureError::Empty`] without a panel or cell, [`FigureError::Length`] where a panel's sequences do not fit together,
/// [`FigureError::Range`] where a range is empty or not finite.
pub fn decision_boundary(panels: &[DecisionPanel]) -> Result<Figure, FigureError> {
    if panels.is_empty() {
        return Err(FigureError::Empty("decision panel"));
    }
    panels.iter().try_for_each(DecisionPanel::check)?;
    let count = panels.len();
    let columns = if count == 4 { 2 } else { count.min(3) };
    let width = if columns == 1 { 520.0 } else { WIDTH };
    // Plots are equally high, so that rows and columns line up.
    let tallest = panels.iter().map(DecisionPanel::aspect).fold(0.0, f64::max);
    let chart = Chart {
        columns,
        plots: panels.iter().map(DecisionPanel::plot).collect(),
        ..Chart::default()
    };
    let height = tallest * (width / columns as f64 - 80.0) + 70.0;
    draw(&chart, (width, height), Vec::new(), |i, context, color| {
        panels[i].tint(context, color)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_are_in_the_order_of_the_classes() {
        let centres: Vec<_> = DecisionPanel::centres(2, (0.0, 4.0), (0.0, 2.0)).collect();
        assert_eq!(centres, [[1.0, 0.5], [3.0, 0.5], [1.0, 1.5], [3.0, 1.5]]);
    }
}
