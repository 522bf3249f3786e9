//! An axis for plotters, linear or logarithmic, with ticks that have room.

use std::ops::Range;

use plotters::coord::ranged1d::{
    BoldPoints, KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter,
};
use plotters::coord::types::RangedCoordf64;

use super::number;

/// The largest magnitude that is drawn; what is larger counts as not finite, so that no range overflows.
pub const LARGEST: f64 = 1e150;
/// The lowest end of a logarithmic axis before it has room; what is smaller is drawn there.
const SMALLEST: f64 = 1e-250;

/// Whether a value can be drawn.
pub fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= LARGEST
}

/// The smallest and the largest of some values, none where there is no value.
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// An axis that never is empty, whatever range it is asked for.
#[derive(Clone, Debug)]
pub struct Axis {
    pub log: bool,
    /// The ends; those of a logarithmic axis as exponents of ten.
    start: f64,
    end: f64,
    /// Names of rows at 0, −1, −2 and so on, in place of numbers.
    rows: Vec<String>,
}

impl Axis {
    /// An axis between two drawable values with a share of its length as room at both ends.
    pub fn new(log: bool, ends: (f64, f64), room: f64) -> Self {
        let [mut start, mut end] = <[f64; 2]>::from(ends).map(|v| match log {
            true => v.max(SMALLEST).log10(),
            false => v,
        });
        let magnitude = start.abs().max(end.abs());
        if end - start <= 1e-9 * magnitude || end - start <= 1e-290 {
            let half = match magnitude {
                _ if log => 0.02,
                magnitude if magnitude > 1e-280 => 0.1 * magnitude,
                _ => 1.0,
            };
            (start, end) = (start - half, end + half);
        }
        let room = room * (end - start);
        Self {
            log,
            start: start - room,
            end: end + room,
            rows: Vec::new(),
        }
    }

    /// An axis of rows.
    pub fn rows(names: &[String]) -> Self {
        Self {
            rows: names.to_vec(),
            ..Self::new(false, (0.5 - names.len() as f64, 0.5), 0.0)
        }
    }

    /// The position of a value: 0 at the start, 1 at the end, never outside.
    pub fn of(&self, v: f64) -> f64 {
        ((scaled(v, self.log) - self.start) / (self.end - self.start)).clamp(0.0, 1.0)
    }

    /// At most `count` values worth writing: powers of ten on a logarithmic axis, some multiples of them on a short one, and
    /// where even these are rare what plotters writes on a linear axis.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        let [low, high] = self.ends();
        if !self.rows.is_empty() {
            return (0..self.rows.len()).map(|row| -(row as f64)).collect();
        }
        let (stride, digits) = match self.end - self.start {
            _ if !self.log => return linear(low, high, count),
            range if range < 1.6 && count > 4 => (1, &[1.0, 2.0, 5.0][..]),
            range if range < 2.6 && count > 3 => (1, &[1.0, 3.0][..]),
            range => ((range / count as f64).ceil() as i32, &[1.0][..]),
        };
        let decades = self.start.floor() as i32..=self.end.floor() as i32;
        let values = decades
            .filter(|decade| decade % stride == 0)
            .flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)))
            .filter(|v| (self.start..=self.end).contains(&v.log10()));
        match values.collect::<Vec<f64>>() {
            few if few.len() < 2 => linear(low, high, count),
            values => values,
        }
    }

    /// The most characters that are written at a tick.
    pub fn widest(&self) -> usize {
        let ends = match [self.start, self.end] {
            [start, end] if self.log && end - start > 1.6 => {
                [start.floor(), end.ceil()].map(|at| 10_f64.powf(at))
            }
            _ => self.ends(),
        };
        let ends = ends.map(|v| self.format_ext(&v));
        let labels = ends.iter().chain(&self.rows);
        labels.map(|label| label.chars().count()).max().unwrap_or(0)
    }

    fn ends(&self) -> [f64; 2] {
        [self.start, self.end].map(|at| if self.log { 10_f64.powf(at) } else { at })
    }
}

fn scaled(v: f64, log: bool) -> f64 {
    if log {
        v.max(f64::MIN_POSITIVE).log10()
    } else {
        v
    }
}

/// Plotters' key points between two ends, which it finds for numbers that are neither large nor small.
fn linear(low: f64, high: f64, count: usize) -> Vec<f64> {
    let unit = 10_f64.powf((high - low).log10().floor());
    let points = RangedCoordf64::from(low / unit..high / unit).key_points(BoldPoints(count));
    points.into_iter().map(|v| v * unit).collect()
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, v: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.of(*v) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        self.ticks(hint.max_num_points().max(1))
    }

    fn range(&self) -> Range<f64> {
        self.start..self.end
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, v: &f64) -> String {
        let [low, high] = self.ends();
        match self.rows.get(-*v as usize) {
            Some(name) => name.clone(),
            None if self.log && high > 1.5 * low => number::value(*v),
            None => number::tick(*v, high - low),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let cases = [
            (false, (0.0, 1.0), 6, "0 0.2 0.4 0.6 0.8 1"),
            (false, (-3e-200, 2e-200), 3, "−2×10⁻²⁰⁰ 0 2×10⁻²⁰⁰"),
            (true, (0.02, 300.0), 5, "0.1 1 10 100"),
            (true, (2.0, 30.0), 5, "2 5 10 20"),
            (true, (1.005, 1.045), 5, "1.01 1.02 1.03 1.04"),
            (true, (1e-100, 1e100), 5, "10⁻⁸⁰ 10⁻⁴⁰ 1 10⁴⁰ 10⁸⁰"),
        ];
        for (log, range, count, expected) in cases {
            let axis = Axis::new(log, range, 0.0);
            let labels = axis.ticks(count).into_iter().map(|v| axis.format_ext(&v));
            assert_eq!(labels.collect::<Vec<_>>().join(" "), expected);
        }
    }

    #[test]
    fn every_range_has_an_axis() {
        let small = [0.0_f64, 1e-320, 1e-300, 1e-12, 1.0, 1.0 + 1e-15];
        let large = [1e8, 1e8 + 1e-6, 1e20, 1e150];
        let values = || [-1e150, -1.0].into_iter().chain(small).chain(large);
        for (low, high) in values().flat_map(|low| values().map(move |high| (low, high))) {
            for log in [false, true] {
                let axis = Axis::new(log, (low.min(high), low.max(high)), 0.04);
                for v in [low, high] {
                    assert!((0.0..=1.0).contains(&axis.of(v)), "{axis:?} {v}");
                }
                assert!(axis.ticks(9).len() <= 9, "{axis:?}");
            }
        }
    }
}
