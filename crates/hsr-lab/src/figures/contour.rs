//! Contours of a function on a grid by marching squares: closed rings around everything that reaches a level. By our own
//! hand: the crate `contour` has had no release since April 2024, and turns on a feature of an old hash on which wgpu is
//! built.

use std::collections::BTreeMap;

/// A crossing of a contour with the grid: row and column of a point, and whether it is on the way to the upper neighbour or
/// to the right one; on the grid with one point more on every side.
type Edge = (usize, usize, bool);

/// The rings around what reaches a level, each with its first point again at its end, from units of the grid brought to their
/// `place`. What is inside is on the left of the way along a ring, so that holes turn the other way.
///
/// Values are linear along the lines of the grid, and in a square that is crossed twice the mean of its corners decides which
/// ones belong together. What is outside the grid reaches no level, so that every ring is closed.
pub fn rings(
    value: impl Fn(usize, usize) -> f64,
    (columns, rows): (usize, usize),
    level: f64,
    place: impl Fn(f64, f64) -> (f64, f64),
) -> Vec<Vec<(f64, f64)>> {
    let at = |column: usize, row: usize| match (1..=columns).contains(&column)
        && (1..=rows).contains(&row)
    {
        true => value(column - 1, row - 1),
        false => f64::NEG_INFINITY,
    };
    let mut next: BTreeMap<Edge, Edge> = BTreeMap::new();
    for row in 0..=rows {
        for column in 0..=columns {
            // The corners of the square from the lower left, and the edge from each to the one after it.
            let corners = [(0, 0), (1, 0), (1, 1), (0, 1)].map(|(x, y)| at(column + x, row + y));
            let edges = [
                (row, column, false),
                (row, column + 1, true),
                (row + 1, column, false),
                (row, column, true),
            ];
            let reached = corners.map(|v| v >= level);
            let joined = corners.iter().sum::<f64>() >= 4.0 * level;
            for from in (0..4).filter(|&i| reached[i] && !reached[(i + 1) % 4]) {
                let turns = if joined { [1, 2, 3] } else { [3, 2, 1] };
                let mut others = turns.into_iter().map(|turn| (from + turn) % 4);
                let to = others.find(|&i| !reached[i] && reached[(i + 1) % 4]);
                next.extend(to.map(|to| (edges[from], edges[to])));
            }
        }
    }
    let crossing = |(row, column, upwards): Edge| {
        let (dx, dy) = if upwards { (0, 1) } else { (1, 0) };
        let (a, b) = (at(column, row), at(column + dx, row + dy));
        // Beyond the border there is nothing: the contour runs along it.
        let share = match (a.is_finite(), b.is_finite()) {
            (true, true) => ((level - a) / (b - a)).clamp(0.0, 1.0),
            (true, false) => 0.0,
            _ => 1.0,
        };
        let along = |i: usize, step: usize| i as f64 - 1.0 + share * step as f64;
        place(along(column, dx), along(row, dy))
    };
    let mut rings = Vec::new();
    while let Some((&start, _)) = next.first_key_value() {
        let (mut ring, mut edge) = (vec![crossing(start)], start);
        while let Some(to) = next.remove(&edge) {
            ring.push(crossing(to));
            edge = to;
        }
        ring.dedup();
        rings.push(ring);
    }
    rings
}

/// One outline of all rings, with ways between them that are gone both ways and enclose nothing: filled, holes stay empty.
pub fn outline(rings: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let first = rings.iter().filter_map(|ring| ring.first()).next();
    let way = |ring: &Vec<(f64, f64)>| ring.iter().chain(first).copied().collect::<Vec<_>>();
    rings.iter().flat_map(way).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often an outline goes around a point.
    fn turns(outline: &[(f64, f64)], (x, y): (f64, f64)) -> i32 {
        let turns = outline.windows(2).map(|pair| {
            let [a, b] = [pair[0], pair[1]];
            let right = (a.1 > y) != (b.1 > y) && x < a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0);
            i32::from(right) * if b.1 > a.1 { 1 } else { -1 }
        });
        turns.sum()
    }

    fn check(f: impl Fn(f64, f64) -> f64, columns: usize, levels: &[f64], step: f64, near: f64) {
        let rows = columns - 7;
        for &level in levels {
            let at = |x: usize, y: usize| f(x as f64, y as f64);
            let outline = outline(&rings(at, (columns, rows), level, |x, y| (x, y)));
            // A little inside, for at the border itself inside and outside meet.
            let inside = |i: usize, n: usize| (step * i as f64).clamp(1e-6, n as f64 - 1.000_001);
            for (i, j) in (0..200).flat_map(|i| (0..200).map(move |j| (i, j))) {
                let (x, y) = (inside(i, columns), inside(j, rows));
                let expected = i32::from(f(x, y) >= level);
                let is_near = (f(x, y) - level).abs() < near;
                assert!(
                    is_near || turns(&outline, (x, y)) == expected,
                    "{level}: {x} {y}"
                );
            }
        }
    }

    #[test]
    fn an_outline_goes_around_what_reaches_the_level() {
        // Hills, holes and saddles, also at the border, at the points of the grid; between them, a bowl with its hole.
        let hills = |x: f64, y: f64| (0.9 * x).sin() * (0.7 * y + 0.4).cos() + 0.1 * x;
        check(hills, 24, &[-0.6, -0.1, 0.3, 0.8, 1.6, 9.0], 1.0, 1e-5);
        check(
            |x, y| (x - 30.0).hypot(y - 26.0),
            61,
            &[5.0, 12.0, 25.0],
            0.3,
            0.05,
        );
    }
}
