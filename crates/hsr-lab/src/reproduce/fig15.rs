//! Figure 15: decision boundaries of minima from the flattest to the sharpest, with their λ_1.

use hsr_core::Workspace;

use super::context::Context;
use super::finding::{Claim, Finding, Table};
use super::numbers::{correlation, ranks};
use super::plan::{Extent, Plan};
use super::points::{self, Points};
use crate::error::LabError;
use crate::figures::{self, DecisionPanel};

pub(super) fn plan(extent: Extent) -> Plan {
    Plan::new((), 1.0, move |(), context| run(extent, context)).sharing(points::shared(extent))
}

/// Panels in the picture.
const PANELS: usize = 6;

fn run(extent: Extent, context: &Context) -> Result<Finding, LabError> {
    let points = Points::find(extent, context)?;
    let mut workspace = Workspace::new();
    let mut table =
        Table::new("data_set,minimum,lambda_1,lambda_sup,loss,macro_f1,boundary_length");
    let mut panels = Vec::new();
    let mut ranked = Ranked::default();
    for (s, set) in points.sets.iter().enumerate() {
        let mut measured = Vec::new();
        for (i, point) in set.minima.iter().enumerate() {
            let c = &point.curvature;
            let macro_f1 = set.bed.macro_f1(&mut workspace, &point.theta)?;
            let title = format!("λ_1 = {}, F1 {macro_f1:.3}", figures::value(c.lambda_max()));
            let panel = set.bed.decisions(&mut workspace, &point.theta, title)?;
            let boundary = boundary_length(&panel);
            let (top, bound) = (c.lambda_max(), c.lambda_sup);
            table.row(&[&s, &i, &top, &bound, &c.loss, &macro_f1, &boundary]);
            measured.push([top, boundary, macro_f1]);
            if s == points.richest() {
                panels.push(panel);
            }
        }
        ranked.extend(&measured);
    }
    let [length, score] = [1, 2].map(|i| correlation(&ranked.0[0], &ranked.0[i]));
    let total = ranked.0[0].len();
    let claims = vec![
        Claim::above(
            format!(
                "sharper minima have longer decision boundaries: rank correlation of λ_1 and length within data sets \
                 {length:.3} over {total} minima (above 0)"
            ),
            length,
            0.0,
        ),
        Claim::below(
            format!(
                "sharper minima classify worse: rank correlation of λ_1 and macro-F1 within data sets {score:.3} over {total} \
                 minima (below 0)"
            ),
            score,
            0.0,
        ),
    ];
    let count = panels.len();
    // Evenly from the flattest to the sharpest.
    let shown = PANELS.min(count);
    let mut places: Vec<usize> = (0..shown)
        .map(|i| i * (count - 1) / (shown - 1).max(1))
        .collect();
    places.dedup();
    let shown: Vec<DecisionPanel> = places.into_iter().map(|i| panels[i].clone()).collect();
    let picture = match shown[..] {
        [] => figures::nothing("No minimum was found")?,
        _ => figures::decision_boundary(&shown)?,
    };
    Ok(Finding {
        caption: format!(
            "What networks at minima of one loss, that with most minima, decide, from the flattest (first) to the sharpest (last), with λ_1 of the \
             cross-entropy's Hessian and macro-F1 on test samples. The length of a boundary is that between cells of a \
             grid over the plane, in widths of the plane. {}",
            points.words()
        ),
        claims,
        pictures: vec![("", picture)],
        table,
    })
}

/// λ_1, boundary length and macro-F1 as ranks within their data set, from −1 to 1: data sets do not compare.
#[derive(Default)]
struct Ranked([Vec<f64>; 3]);

impl Ranked {
    fn extend(&mut self, measured: &[[f64; 3]]) {
        // A single minimum ranks with none.
        if measured.len() < 2 {
            return;
        }
        let last = (measured.len() - 1) as f64;
        for (i, all) in self.0.iter_mut().enumerate() {
            let values: Vec<f64> = measured.iter().map(|it| it[i]).collect();
            all.extend(ranks(&values).iter().map(|rank| 2.0 * rank / last - 1.0));
        }
    }
}

/// How long the borders between regions are, in widths of the plane: sides between neighbouring cells that are decided
/// differently.
fn boundary_length(panel: &DecisionPanel) -> f64 {
    let grid = panel.grid;
    let at = |row: usize, column: usize| panel.classes[row * grid + column];
    let mut sides = 0;
    for row in 0..grid {
        for column in 0..grid {
            sides += usize::from(column + 1 < grid && at(row, column) != at(row, column + 1));
            sides += usize::from(row + 1 < grid && at(row, column) != at(row + 1, column));
        }
    }
    sides as f64 / grid as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(grid: usize, class: impl Fn(usize, usize) -> usize) -> DecisionPanel {
        DecisionPanel {
            title: String::new(),
            grid,
            x_range: (0.0, 1.0),
            y_range: (0.0, 1.0),
            classes: (0..grid * grid)
                .map(|i| class(i / grid, i % grid))
                .collect(),
            points: Vec::new(),
            labels: Vec::new(),
        }
    }

    #[test]
    fn a_boundary_is_as_long_as_its_sides() {
        assert_eq!(boundary_length(&panel(8, |_, _| 1)), 0.0);
        // A straight line through the plane, either way.
        assert_eq!(boundary_length(&panel(8, |row, _| row / 4)), 1.0);
        assert_eq!(boundary_length(&panel(8, |_, column| column / 4)), 1.0);
        // A square of 2 × 2 cells within: 8 sides of 1/8.
        let square = panel(8, |row, column| {
            usize::from((3..5).contains(&row) && (3..5).contains(&column))
        });
        assert_eq!(boundary_length(&square), 1.0);
    }

    #[test]
    fn ranks_are_those_within_a_data_set() {
        let mut ranked = Ranked::default();
        ranked.extend(&[[1.0, 9.0, 0.0]]);
        ranked.extend(&[[1.0, 9.0, 0.0], [3.0, 7.0, 0.0], [2.0, 8.0, 0.0]]);
        ranked.extend(&[[100.0, 90.0, 5.0], [300.0, 70.0, 4.0]]);
        assert_eq!(ranked.0[0], [-1.0, 1.0, 0.0, -1.0, 1.0]);
        assert_eq!(ranked.0[1], [1.0, -1.0, 0.0, 1.0, -1.0]);
        // Ties share the middle.
        assert_eq!(ranked.0[2], [0.0, 0.0, 0.0, 1.0, -1.0]);
        assert!((correlation(&ranked.0[0], &ranked.0[1]) + 1.0).abs() < 1e-15);
    }
}
