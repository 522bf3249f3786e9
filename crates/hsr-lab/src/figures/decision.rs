//! What classifiers of two features decide, over the plane, beside each other.

use std::collections::{BTreeMap, BTreeSet};

use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{RGBColor, WHITE};

use super::axis::Axis;
use super::canvas::{Canvas, Type};
use super::error::FigureError;
use super::figure::Figure;
use super::palette::{self, INK, MUTED};
use super::panel::{Frame, Panel};
use super::range::drawable;

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

/// The width of a figure of several panels, and of a plot that is alone.
const WIDTH: f64 = 900.0;
const ALONE: f64 = 440.0;
const LEFT: f64 = 60.0;
const BETWEEN: f64 = 64.0;
const RIGHT: f64 = 20.0;
/// The room above a plot and below it.
const ABOVE: f64 = 34.0;
const BELOW: f64 = 50.0;
const LEGEND_HEIGHT: f64 = 36.0;
/// The height of the line that says how many samples are drawn, where not all are.
const NOTE_HEIGHT: f64 = 20.0;
/// The most samples of a panel that are drawn: more hide each other, and a renderer takes only so many.
const MOST_POINTS: usize = 10_000;
const TITLE: Type = Type::bold(15.0, INK);
const LEGEND: Type = Type::regular(13.0, INK);
const NOTE: Type = Type::regular(12.0, MUTED);
const TINT: f64 = 0.28;

impl DecisionPanel {
    /// The centres of the cells of a grid, in the order of [`DecisionPanel::classes`]: the points to classify.
    pub fn centres(
        grid: usize,
        x_range: (f64, f64),
        y_range: (f64, f64),
    ) -> impl Iterator<Item = [f64; 2]> {
        let along = move |(low, high): (f64, f64), i: usize| {
            low + (high - low) * (i as f64 + 0.5) / grid as f64
        };
        (0..grid).flat_map(move |row| {
            (0..grid).map(move |column| [along(x_range, column), along(y_range, row)])
        })
    }

    fn check(&self) -> Result<(), FigureError> {
        if self.grid == 0 {
            return Err(FigureError::Empty("grid cell"));
        }
        let length = |what, found, expected| {
            if found == expected {
                Ok(())
            } else {
                Err(FigureError::Length {
                    label: self.title.clone(),
                    what,
                    found,
                    expected,
                })
            }
        };
        length(
            "predicted classes",
            self.classes.len(),
            self.grid.saturating_mul(self.grid),
        )?;
        length("labels", self.labels.len(), self.points.len())?;
        for (axis, (low, high)) in [('x', self.x_range), ('y', self.y_range)] {
            if !(drawable(low) && drawable(high) && low < high) {
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

    /// Height over width of the plot: that of the plane, within reason.
    fn aspect(&self) -> f64 {
        ((self.y_range.1 - self.y_range.0) / (self.x_range.1 - self.x_range.0)).clamp(0.6, 1.1)
    }
}

/// Draws classifiers beside each other: tinted regions where each class is predicted, and samples on top, of a colour and a
/// shape for each class. Of more than 10,000 samples in a panel that many are drawn, every class with its share, and a line
/// below says so.
///
/// # Errors
/// [`FigureError::Empty`] without a panel or cell, [`FigureError::Length`] where a panel's sequences do not fit together,
/// [`FigureError::Range`] where a range is empty or not finite.
pub fn decision_boundary(panels: &[DecisionPanel]) -> Result<Figure, FigureError> {
    if panels.is_empty() {
        return Err(FigureError::Empty("decision panel"));
    }
    for panel in panels {
        panel.check()?;
    }
    let columns = match panels.len() {
        n @ 1..=3 => n,
        4 => 2,
        _ => 3,
    };
    let (width, plot) = match columns {
        1 => (LEFT + ALONE + RIGHT, ALONE),
        n => (
            WIDTH,
            ((WIDTH - LEFT - RIGHT - BETWEEN * (n - 1) as f64) / n as f64).floor(),
        ),
    };
    // Plots are equally high, so that rows and columns line up.
    let tall = (plot * panels.iter().map(DecisionPanel::aspect).fold(0.0, f64::max)).round();
    let rows = panels.len().div_ceil(columns);
    let row_height = ABOVE + tall + BELOW;
    let note = note(panels);
    let note_height = note.as_ref().map_or(0.0, |_| NOTE_HEIGHT);
    let height = row_height * rows as f64 + LEGEND_HEIGHT + note_height;
    Canvas::figure(width, height, |canvas| {
        if let Some(note) = &note {
            let at = (width / 2.0, height - NOTE_HEIGHT + 2.0);
            let note = NOTE.fitted(note, width - RIGHT);
            canvas.text(&note, at, (HPos::Center, VPos::Center), NOTE)?;
        }
        for (i, decision) in panels.iter().enumerate() {
            let (row, column) = (i / columns, i % columns);
            let left = LEFT + (plot + BETWEEN) * column as f64;
            let panel = Panel {
                left,
                top: ABOVE + row_height * row as f64,
                width: plot,
                height: tall,
                x: Axis::linear_exact(decision.x_range, if columns > 2 { 4 } else { 6 }),
                y: Axis::linear_exact(decision.y_range, 5),
            };
            let title = TITLE.fitted(&decision.title, plot);
            canvas.text(
                &title,
                (left + plot / 2.0, panel.top - 16.0),
                (HPos::Center, VPos::Center),
                TITLE,
            )?;
            draw_regions(canvas, &panel, decision)?;
            let (grid, x, y) = (false, Some(Some("x₁")), Some(("x₂", 42.0)));
            panel.frame(canvas, Frame { grid, x, y })?;
            draw_points(canvas, &panel, decision)?;
        }
        let classes = panels
            .iter()
            .flat_map(|p| p.classes.iter().chain(&p.labels))
            .copied()
            .collect();
        draw_legend(canvas, &classes, width, row_height * rows as f64 + 14.0)
    })
}

fn draw_regions(
    canvas: &Canvas<'_>,
    panel: &Panel,
    decision: &DecisionPanel,
) -> Result<(), FigureError> {
    let grid = decision.grid as f64;
    // Edges on whole pixels: neighbours then meet without a seam.
    let x = |cell: usize| panel.left + (panel.width * cell as f64 / grid).round();
    let y = |cell: usize| panel.bottom() - (panel.height * cell as f64 / grid).round();
    let most = most_frequent(&decision.classes);
    let color = |class| palette::tint(palette::class(class), TINT);
    canvas.fill(
        (panel.left, panel.top),
        (panel.right(), panel.bottom()),
        color(most),
        1.0,
    )?;
    for region in regions(decision.grid, &decision.classes, most) {
        let (left, right) = (x(region.columns.0), x(region.columns.1));
        let (top, bottom) = (y(region.rows.1), y(region.rows.0));
        if left < right && top < bottom {
            canvas.fill((left, top), (right, bottom), color(region.class), 1.0)?;
        }
    }
    Ok(())
}

/// A rectangle of cells of one class.
#[derive(Debug, PartialEq, Eq)]
struct Region {
    class: usize,
    /// The first column and the one after the last.
    columns: (usize, usize),
    /// The first row and the one after the last.
    rows: (usize, usize),
}

/// The grid as rectangles, without the class of the background: runs along a row, joined with equal runs in the next rows.
fn regions(grid: usize, classes: &[usize], background: usize) -> Vec<Region> {
    let mut out = Vec::new();
    // The runs of the row before, and the row in which each began.
    let mut open: BTreeMap<(usize, usize, usize), usize> = BTreeMap::new();
    for (row, cells) in classes.chunks(grid).enumerate() {
        let mut runs = BTreeMap::new();
        let mut start = 0;
        for run in cells.chunk_by(|a, b| a == b) {
            let end = start + run.len();
            if run[0] != background {
                let key = (start, end, run[0]);
                runs.insert(key, open.remove(&key).unwrap_or(row));
            }
            start = end;
        }
        out.extend(open.into_iter().map(|run| closed(run, row)));
        open = runs;
    }
    out.extend(open.into_iter().map(|run| closed(run, grid)));
    out
}

fn closed(((start, end, class), since): ((usize, usize, usize), usize), row: usize) -> Region {
    Region {
        class,
        columns: (start, end),
        rows: (since, row),
    }
}

fn most_frequent(classes: &[usize]) -> usize {
    let mut counts = BTreeMap::new();
    for class in classes {
        *counts.entry(*class).or_insert(0_usize) += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(class, n)| (*n, std::cmp::Reverse(*class)))
        .map_or(0, |(class, _)| class)
}

fn draw_points(
    canvas: &Canvas<'_>,
    panel: &Panel,
    decision: &DecisionPanel,
) -> Result<(), FigureError> {
    let radius = if decision.points.len() <= 400 {
        3.6
    } else {
        2.6
    };
    for i in drawn(&decision.labels) {
        let ([x, y], label) = (&decision.points[i], &decision.labels[i]);
        if panel.x.holds(*x) && panel.y.holds(*y) {
            let at = (panel.x_of(*x), panel.y_of(*y));
            draw_marker(canvas, at, radius + 1.0, *label, WHITE)?;
            draw_marker(canvas, at, radius, *label, palette::class(*label))?;
        }
    }
    Ok(())
}

/// The samples that are drawn, ascending: all, or of many some of every class, evenly spaced.
fn drawn(labels: &[usize]) -> Vec<usize> {
    if labels.len() <= MOST_POINTS {
        return (0..labels.len()).collect();
    }
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(i);
    }
    let share = MOST_POINTS as f64 / labels.len() as f64;
    let mut chosen: Vec<usize> = classes
        .values()
        .flat_map(|of_class| {
            // Rounded down, so that they are no more than they may be, but a class does not vanish.
            let count = ((of_class.len() as f64 * share) as usize).max(1);
            (0..count).map(move |k| of_class[k * of_class.len() / count])
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

/// What is to be said where not all samples are drawn.
fn note(panels: &[DecisionPanel]) -> Option<String> {
    let most = panels
        .iter()
        .map(|panel| &panel.labels)
        .max_by_key(|it| it.len())?;
    let (count, all) = (drawn(most).len(), most.len());
    (count < all).then(|| format!("{count} of {all} samples are drawn, every class with its share"))
}

/// A marker whose shape tells the class even without colours.
fn draw_marker(
    canvas: &Canvas<'_>,
    (x, y): (f64, f64),
    radius: f64,
    class: usize,
    color: RGBColor,
) -> Result<(), FigureError> {
    let shape = |corners: usize, turn: f64, radius: f64| {
        (0..corners).map(move |i| {
            let angle = std::f64::consts::TAU * (i as f64 + turn) / corners as f64;
            (x + radius * angle.sin(), y - radius * angle.cos())
        })
    };
    // Radii that give the shapes about equal areas.
    match class % 4 {
        0 => canvas.disc((x, y), radius, color),
        1 => canvas.polygon(shape(4, 0.5, 1.22 * radius), color, 1.0),
        2 => canvas.polygon(shape(3, 0.0, 1.45 * radius), color, 1.0),
        _ => canvas.polygon(shape(4, 0.0, 1.28 * radius), color, 1.0),
    }
}

/// The classes in one line, as many as have room.
fn draw_legend(
    canvas: &Canvas<'_>,
    classes: &BTreeSet<usize>,
    width: f64,
    y: f64,
) -> Result<(), FigureError> {
    const MARKER: f64 = 14.0;
    const APART: f64 = 22.0;
    let mut entries = Vec::new();
    let mut used = 0.0;
    for class in classes {
        let name = format!("class {class}");
        let entry = MARKER + LEGEND.width(&name) + APART;
        if used + entry > width - LEFT - RIGHT {
            break;
        }
        entries.push((used, *class, name));
        used += entry;
    }
    let left = (width - used + APART) / 2.0;
    for (x, class, name) in entries {
        draw_marker(
            canvas,
            (left + x + 4.0, y),
            4.2,
            class,
            palette::class(class),
        )?;
        canvas.text(
            &name,
            (left + x + MARKER, y),
            (HPos::Left, VPos::Center),
            LEGEND,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_cover_what_is_not_background() {
        let grid = 9;
        let classes: Vec<_> = (0..grid * grid).map(|i| (i * i / 7 + i / 20) % 3).collect();
        let mut drawn = vec![1; grid * grid];
        for region in regions(grid, &classes, 1) {
            for row in region.rows.0..region.rows.1 {
                for column in region.columns.0..region.columns.1 {
                    assert_eq!(drawn[row * grid + column], 1, "covered twice");
                    drawn[row * grid + column] = region.class;
                }
            }
        }
        assert_eq!(drawn, classes);
        // A half plane is one rectangle.
        let half: Vec<_> = (0..100).map(|i| usize::from(i % 10 < 5)).collect();
        assert_eq!(
            regions(10, &half, 0),
            [Region {
                class: 1,
                columns: (0, 5),
                rows: (0, 10)
            }]
        );
    }

    #[test]
    fn of_many_samples_some_of_every_class_are_drawn() {
        let labels: Vec<usize> = (0..400_000)
            .map(|i| if i == 77 { 5 } else { i % 2 })
            .collect();
        let chosen = drawn(&labels);
        assert!(chosen.is_sorted_by(|a, b| a < b));
        let of = |class| chosen.iter().filter(|&&i| labels[i] == class).count();
        assert_eq!((of(0), of(1), of(5)), (5000, 4999, 1));
        assert_eq!(drawn(&labels[..10_000]), (0..10_000).collect::<Vec<_>>());
        let panel = |count: usize| DecisionPanel {
            title: String::new(),
            grid: 1,
            x_range: (-1.0, 1.0),
            y_range: (-1.0, 1.0),
            classes: vec![0],
            points: vec![[0.0, 0.0]; count],
            labels: labels[..count].to_vec(),
        };
        let text = |count| decision_boundary(&[panel(count)]).unwrap();
        assert!(text(300_001).svg().contains(" of 300001 samples are drawn"));
        assert!(text(300_001).png(1.0).is_ok());
        assert!(!text(9).svg().contains("samples are drawn"));
    }

    #[test]
    fn centres_are_in_the_order_of_the_classes() {
        let centres: Vec<_> = DecisionPanel::centres(2, (0.0, 4.0), (0.0, 2.0)).collect();
        assert_eq!(centres, [[1.0, 0.5], [3.0, 0.5], [1.0, 1.5], [3.0, 1.5]]);
    }
}
