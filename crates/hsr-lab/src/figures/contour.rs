//! Contours of a function on a grid: closed rings around everything that reaches a level. Marching squares by our own hand:
//! the crate `contour` has had no release since April 2024, and turns on a feature of an old hash on which wgpu is built.

use std::collections::HashMap;

/// A function on a grid of `columns` × `rows` points, row by row from the lowest.
pub struct Field<'a> {
    pub values: &'a [f64],
    pub columns: usize,
    pub rows: usize,
}

/// A closed contour in units of the grid, the first point not repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Ring {
    /// The place of its level among the levels.
    pub level: usize,
    /// Its corners. What reaches the level is to the left of the way from one to the next.
    pub points: Vec<(f64, f64)>,
    /// Its area, negative where what is inside does not reach the level.
    pub area: f64,
}

/// A crossing of a contour with the grid: the line from a point to its right (or upper) neighbour, on the grid with one
/// point more on every side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Edge {
    row: usize,
    column: usize,
    upwards: bool,
}

/// A finer grid over the same square with the values between the points by cubic interpolation, `factor` steps for each
/// one: contours of few points are then curves and no polygons. Values stay within the range of those given.
pub fn refined(field: &Field<'_>, factor: usize) -> (Vec<f64>, usize, usize) {
    let low = field.values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = field
        .values
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let fine = |count: usize| (count - 1) * factor + 1;
    let (columns, rows) = (fine(field.columns), fine(field.rows));
    let along: Vec<f64> = field
        .values
        .chunks_exact(field.columns)
        .flat_map(|row| (0..columns).map(|i| between(row.len(), i, factor, |at| row[at])))
        .collect();
    let values = (0..rows).flat_map(|row| {
        let along = &along;
        (0..columns)
            .map(move |column| between(field.rows, row, factor, |at| along[at * columns + column]))
    });
    (values.map(|v| v.clamp(low, high)).collect(), columns, rows)
}

/// The value `step` fine steps from the first of `count` points, by Catmull and Rom's cubic, which goes through them all;
/// beyond the ends it goes on straight.
fn between(count: usize, step: usize, factor: usize, at: impl Fn(usize) -> f64) -> f64 {
    let (i, part) = (step / factor, step % factor);
    if part == 0 {
        return at(i);
    }
    let (b, c) = (at(i), at(i + 1));
    let a = if i == 0 { 2.0 * b - c } else { at(i - 1) };
    let d = if i + 2 == count {
        2.0 * c - b
    } else {
        at(i + 2)
    };
    let t = part as f64 / factor as f64;
    let (slope, bend) = (c - a, 2.0 * a - 5.0 * b + 4.0 * c - d);
    b + 0.5 * t * (slope + t * (bend + t * (3.0 * (b - c) + d - a)))
}

/// The rings of all levels, the largest first: filled in this order, each with the colour of its inside, they paint every
/// point with the colour of the highest level that it reaches.
///
/// Marching squares: values are linear along the lines of the grid, and in a square that is crossed twice the mean of its
/// corners decides which ones belong together. What is outside the grid reaches no level, so that every ring is closed.
pub fn rings(field: &Field<'_>, levels: &[f64]) -> Vec<Ring> {
    let mut rings: Vec<Ring> = levels
        .iter()
        .enumerate()
        .flat_map(|(index, &level)| field.rings(level, index))
        .collect();
    rings.sort_by(|a, b| b.area.abs().total_cmp(&a.area.abs()));
    rings
}

impl Field<'_> {
    /// The value at a point of the grid with a border: nothing reaches a level there.
    fn at(&self, column: usize, row: usize) -> f64 {
        let inside = (1..=self.columns).contains(&column) && (1..=self.rows).contains(&row);
        if inside {
            self.values[(row - 1) * self.columns + column - 1]
        } else {
            f64::NEG_INFINITY
        }
    }

    fn rings(&self, level: f64, index: usize) -> Vec<Ring> {
        let mut next: HashMap<Edge, Edge> = HashMap::new();
        // In the order of the grid, so that the picture is the same each time.
        let mut starts = Vec::new();
        for row in 0..=self.rows {
            for column in 0..=self.columns {
                for (from, to) in self.segments(column, row, level) {
                    next.insert(from, to);
                    starts.push(from);
                }
            }
        }
        let mut rings = Vec::new();
        for start in starts {
            let mut points: Vec<(f64, f64)> = Vec::new();
            let mut edge = start;
            while let Some(to) = next.remove(&edge) {
                let point = self.crossing(edge, level);
                if points.last() != Some(&point) {
                    points.push(point);
                }
                edge = to;
            }
            if points.len() > 1 && points.first() == points.last() {
                points.pop();
            }
            let area = area(&points);
            if area != 0.0 {
                rings.push(Ring {
                    level: index,
                    points,
                    area,
                });
            }
        }
        rings
    }

    /// The segments of the contour in a square, each from edge to edge, what reaches the level on the left.
    fn segments(&self, column: usize, row: usize, level: f64) -> Vec<(Edge, Edge)> {
        let edge = |column, row, upwards| Edge {
            row,
            column,
            upwards,
        };
        let (bottom, left) = (edge(column, row, false), edge(column, row, true));
        let (top, right) = (edge(column, row + 1, false), edge(column + 1, row, true));
        let corners = [
            self.at(column, row),
            self.at(column + 1, row),
            self.at(column + 1, row + 1),
            self.at(column, row + 1),
        ];
        let reached = corners.map(|v| v >= level);
        let centre = corners.iter().sum::<f64>() / 4.0 >= level;
        match reached {
            [false, false, false, false] | [true, true, true, true] => vec![],
            [true, false, false, false] => vec![(bottom, left)],
            [false, true, false, false] => vec![(right, bottom)],
            [false, false, true, false] => vec![(top, right)],
            [false, false, false, true] => vec![(left, top)],
            [true, true, false, false] => vec![(right, left)],
            [false, true, true, false] => vec![(top, bottom)],
            [false, false, true, true] => vec![(left, right)],
            [true, false, false, true] => vec![(bottom, top)],
            [false, true, true, true] => vec![(left, bottom)],
            [true, false, true, true] => vec![(bottom, right)],
            [true, true, false, true] => vec![(right, top)],
            [true, true, true, false] => vec![(top, left)],
            [true, false, true, false] if centre => vec![(bottom, right), (top, left)],
            [true, false, true, false] => vec![(bottom, left), (top, right)],
            [false, true, false, true] if centre => vec![(left, bottom), (right, top)],
            [false, true, false, true] => vec![(right, bottom), (left, top)],
        }
    }

    /// Where an edge is crossed, in units of the grid without its border.
    fn crossing(&self, edge: Edge, level: f64) -> (f64, f64) {
        let (dx, dy) = if edge.upwards { (0, 1) } else { (1, 0) };
        let (a, b) = (
            self.at(edge.column, edge.row),
            self.at(edge.column + dx, edge.row + dy),
        );
        // Beyond the border there is nothing: the contour runs along it.
        let share = match (a.is_finite(), b.is_finite()) {
            (true, true) => ((level - a) / (b - a)).clamp(0.0, 1.0),
            (true, false) => 0.0,
            _ => 1.0,
        };
        (
            edge.column as f64 + share * dx as f64 - 1.0,
            edge.row as f64 + share * dy as f64 - 1.0,
        )
    }
}

/// The area within a ring, positive where it runs counter-clockwise.
fn area(points: &[(f64, f64)]) -> f64 {
    let next = points.iter().cycle().skip(1);
    let twice: f64 = points
        .iter()
        .zip(next)
        .map(|(a, b)| a.0 * b.1 - b.0 * a.1)
        .sum();
    twice / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(columns: usize, rows: usize, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        (0..rows)
            .flat_map(|row| (0..columns).map(move |column| (column as f64, row as f64)))
            .map(|(x, y)| f(x, y))
            .collect()
    }

    fn surrounds(ring: &Ring, (x, y): (f64, f64)) -> bool {
        let next = ring.points.iter().cycle().skip(1);
        let crossings = ring.points.iter().zip(next).filter(|(a, b)| {
            (a.1 > y) != (b.1 > y) && x < a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0)
        });
        crossings.count() % 2 == 1
    }

    /// The colour of a point after painting: one more than the highest level reached there.
    fn painted(rings: &[Ring], at: (f64, f64)) -> usize {
        rings.iter().fold(0, |color, ring| {
            if !surrounds(ring, at) {
                color
            } else if ring.area > 0.0 {
                ring.level + 1
            } else {
                ring.level
            }
        })
    }

    #[test]
    fn a_bowl_has_rings_of_the_area_of_circles() {
        let values = field(61, 61, |x, y| {
            ((x - 30.0).powi(2) + (y - 30.0).powi(2)).sqrt()
        });
        let field = Field {
            values: &values,
            columns: 61,
            rows: 61,
        };
        let levels = [5.0, 12.0, 25.0];
        let rings = rings(&field, &levels);
        // For each level the frame, within which everything reaches it, and the hole of what does not.
        assert_eq!(rings.len(), 6);
        for (i, level) in levels.iter().enumerate() {
            let hole = rings.iter().find(|r| r.level == i && r.area < 0.0).unwrap();
            let circle = std::f64::consts::PI * level * level;
            assert!((-hole.area / circle - 1.0).abs() < 0.01, "{}", hole.area);
            let frame = rings.iter().find(|r| r.level == i && r.area > 0.0).unwrap();
            assert_eq!(frame.area, 3600.0);
        }
    }

    #[test]
    fn painting_gives_every_point_the_band_of_its_value() {
        // Hills, holes and saddles, also at the border.
        let f = |x: f64, y: f64| (0.9 * x).sin() * (0.7 * y + 0.4).cos() + 0.1 * x;
        let values = field(24, 17, f);
        let field = Field {
            values: &values,
            columns: 24,
            rows: 17,
        };
        let levels = [-0.6, -0.1, 0.3, 0.8, 1.6];
        let rings = rings(&field, &levels);
        for row in 0..17 {
            for column in 0..24 {
                let value = values[row * 24 + column];
                let expected = levels.iter().filter(|level| value >= **level).count();
                // A little inside, for at the border itself inside and outside meet.
                let inside = |i: usize, n: usize| (i as f64).clamp(1e-6, (n - 1) as f64 - 1e-6);
                let at = (inside(column, 24), inside(row, 17));
                let near = levels.iter().any(|level| (value - level).abs() < 1e-5);
                assert!(near || painted(&rings, at) == expected, "{column} {row}");
            }
        }
    }

    #[test]
    fn a_finer_grid_goes_through_the_points_and_follows_a_parabola() {
        // The cubic is exact for a parabola away from the ends.
        let f = |x: f64, y: f64| 1.0 + 0.5 * (x - 3.0).powi(2) - 0.2 * x * y;
        let values = field(8, 6, f);
        let coarse = Field {
            values: &values,
            columns: 8,
            rows: 6,
        };
        let (fine, columns, rows) = refined(&coarse, 4);
        assert_eq!((columns, rows, fine.len()), (29, 21, 29 * 21));
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (column as f64 / 4.0, row as f64 / 4.0);
                let on_a_point = column % 4 == 0 && row % 4 == 0;
                if on_a_point || (1.0..=6.0).contains(&x) {
                    let error = (fine[row * columns + column] - f(x, y)).abs();
                    assert!(error < 1e-12, "{x} {y}: {error:e}");
                }
            }
        }
        // Two points a side: a plane.
        let two = Field {
            values: &[0.0, 1.0, 2.0, 3.0],
            columns: 2,
            rows: 2,
        };
        let (fine, ..) = refined(&two, 2);
        assert_eq!(fine, [0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.0, 2.5, 3.0]);
    }

    #[test]
    fn a_constant_and_a_peak_of_one_point_are_no_trouble() {
        let flat = Field {
            values: &[1.0; 12],
            columns: 4,
            rows: 3,
        };
        assert!(rings(&flat, &[2.0]).is_empty());
        let whole = rings(&flat, &[0.5]);
        assert_eq!((whole.len(), whole[0].area), (1, 6.0));
        let mut values = [0.0; 9];
        values[4] = 1.0;
        let peak = Field {
            values: &values,
            columns: 3,
            rows: 3,
        };
        let found = rings(&peak, &[0.5]);
        assert_eq!((found.len(), found[0].area), (1, 0.5));
    }
}
