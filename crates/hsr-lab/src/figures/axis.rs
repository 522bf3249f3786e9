//! An axis: how values become positions, and which of them are written on it.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::number;

/// The lowest end of a logarithmic axis; what is smaller is drawn there.
const SMALLEST: f64 = 1e-250;

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Linear,
    Log,
    /// Linear within the threshold, logarithmic beyond it on both sides: asinh(v ∕ threshold).
    SymmetricLog {
        threshold: f64,
    },
}

/// An axis from 0 (its start) to 1 (its end), with ticks. Never empty, whatever range it is asked for.
#[derive(Clone, Debug)]
pub struct Axis {
    scale: Scale,
    /// The ends, as the scale maps them.
    start: f64,
    end: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A linear axis that holds a range of drawable values, with room at both ends and about `count` ticks.
    pub fn linear((low, high): (f64, f64), count: usize) -> Self {
        let (low, high) = widened(low, high);
        let room = 0.04 * (high - low);
        Self::linear_exact((low - room, high + room), count)
    }

    /// A linear axis that ends where the range ends.
    pub fn linear_exact((low, high): (f64, f64), count: usize) -> Self {
        let (start, end) = widened(low, high);
        let step = nice_step((end - start) / count.max(1) as f64);
        let largest = start.abs().max(end.abs());
        let first = (start / step).ceil();
        let ticks = (0..=2 * count)
            .map(|i| (first + i as f64) * step)
            .take_while(|v| *v <= end)
            .map(|v| (v, number::tick(v, step, largest)))
            .collect();
        Self {
            scale: Scale::Linear,
            start,
            end,
            ticks,
        }
    }

    /// A logarithmic axis that holds a range of positive values, with room at both ends and about `count` ticks.
    pub fn log((low, high): (f64, f64), count: usize) -> Self {
        let (low, high) = (low.max(SMALLEST), high.max(SMALLEST));
        let room = (0.04 * (high.log10() - low.log10())).max(0.01);
        Self::log_exact((low.log10() - room, high.log10() + room), count)
    }

    /// A logarithmic axis between two powers of ten, given as exponents.
    pub fn log_exact((start, end): (f64, f64), count: usize) -> Self {
        let decades: Vec<i32> = (start.ceil() as i32..=end.floor() as i32).collect();
        let stride = decades.len().div_ceil(count.max(1)).max(1);
        let digits: &[f64] = match end - start {
            range if range < 1.6 => &[1.0, 2.0, 5.0],
            range if range < 2.6 => &[1.0, 3.0],
            _ => &[1.0],
        };
        // The decade below the range may have digits within it.
        let first = start.floor() as i32;
        let mut ticks: Vec<_> = (first..=end.floor() as i32)
            .filter(|decade| decade.rem_euclid(stride as i32) == 0)
            .flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)))
            .filter(|v| (start..=end).contains(&v.log10()))
            .map(|v| (v, number::decade(v)))
            .collect();
        if ticks.len() < 2 {
            // Less than a digit's worth of range: the ticks of a linear axis.
            let (low, high) = (10_f64.powf(start), 10_f64.powf(end));
            ticks = Self::linear_exact((low, high), count).ticks;
        }
        Self {
            scale: Scale::Log,
            start,
            end,
            ticks,
        }
    }

    /// An axis that is linear within ±threshold and logarithmic beyond, drawn over `pixels` pixels.
    pub fn symmetric_log((low, high): (f64, f64), threshold: f64, pixels: f64) -> Self {
        let (low, high) = widened(low, high);
        // Neither a division by zero nor more decades than have room.
        let threshold = threshold.max(1e-12 * low.abs().max(high.abs())).max(1e-300);
        let scale = Scale::SymmetricLog { threshold };
        let (start, end) = (scale.of(low), scale.of(high));
        let room = 0.03 * (end - start);
        let mut axis = Self {
            scale,
            start: start - room,
            end: end + room,
            ticks: Vec::new(),
        };
        axis.ticks = axis.symmetric_ticks(threshold, pixels);
        axis
    }

    /// Zero and the decades beyond the threshold that have room for their labels.
    fn symmetric_ticks(&self, threshold: f64, pixels: f64) -> Vec<(f64, String)> {
        /// The least distance of two labels, in pixels.
        const APART: f64 = 48.0;
        let mut ticks = if self.holds(0.0) {
            vec![(0.0, number::decade(0.0))]
        } else {
            Vec::new()
        };
        let largest = threshold * self.start.abs().max(self.end.abs()).sinh();
        for sign in [1.0, -1.0] {
            let mut last = self.of(0.0);
            for decade in number::exponent(threshold)..=number::exponent(largest) {
                let v = sign * 10_f64.powi(decade);
                let far = (self.of(v) - last).abs() * pixels >= APART;
                if self.holds(v) && (far || ticks.is_empty()) {
                    ticks.push((v, number::decade(v)));
                    last = self.of(v);
                }
            }
        }
        ticks
    }

    /// The position of a value: 0 at the start, 1 at the end, never outside.
    pub fn of(&self, v: f64) -> f64 {
        ((self.scale.of(v) - self.start) / (self.end - self.start)).clamp(0.0, 1.0)
    }

    /// Whether the axis reaches as far as the value.
    pub fn holds(&self, v: f64) -> bool {
        (self.start..=self.end).contains(&self.scale.of(v))
    }

    /// The values written on the axis, and what is written.
    pub fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, v: &f64, (from, to): (i32, i32)) -> i32 {
        from + (self.of(*v) * f64::from(to - from)).round() as i32
    }

    /// The ticks, whatever number plotters asks for: there are as many as were asked of the axis.
    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(v, _)| *v).collect()
    }

    fn range(&self) -> Range<f64> {
        self.start..self.end
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, v: &f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| tick == v);
        tick.map_or_else(String::new, |(_, label)| label.clone())
    }
}

impl Scale {
    fn of(self, v: f64) -> f64 {
        match self {
            Self::Linear => v,
            Self::Log => v.max(f64::MIN_POSITIVE).log10(),
            Self::SymmetricLog { threshold } => (v / threshold).asinh(),
        }
    }
}

/// The range, made wide enough to draw where its ends are equal or nearly so.
fn widened(low: f64, high: f64) -> (f64, f64) {
    let magnitude = low.abs().max(high.abs());
    if high - low > 1e-9 * magnitude && high - low > 1e-290 {
        (low, high)
    } else if magnitude > 1e-280 {
        (low - 0.1 * magnitude, high + 0.1 * magnitude)
    } else {
        (low - 1.0, high + 1.0)
    }
}

/// The one of 1, 2, 5 times a power of ten that is nearest to `step`.
fn nice_step(step: f64) -> f64 {
    let decade = 10_f64.powi(number::exponent(step));
    let digit = match step / decade {
        d if d < 1.5 => 1.0,
        d if d < 3.5 => 2.0,
        d if d < 7.5 => 5.0,
        _ => 10.0,
    };
    digit * decade
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks()
            .iter()
            .map(|(_, label)| label.as_str())
            .collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(
            labels(&Axis::linear_exact((0.0, 1.0), 5)),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            labels(&Axis::log((0.02, 300.0), 5)),
            ["0.1", "1", "10", "100"]
        );
        assert_eq!(labels(&Axis::log((2.0, 30.0), 5)), ["2", "5", "10", "20"]);
        assert_eq!(
            labels(&Axis::symmetric_log((-0.1, 100.0), 0.5, 800.0)),
            ["0", "1", "10", "100"]
        );
    }

    #[test]
    fn every_range_has_an_axis() {
        let values = [
            0.0,
            1.0,
            -1.0,
            1e-320,
            1e-300,
            1e-12,
            1.0 + 1e-15,
            1e8 + 1e-6,
            1e150,
            -1e150,
            1e20,
        ];
        for low in values {
            for high in values {
                if low > high {
                    continue;
                }
                let mut axes = vec![
                    Axis::linear((low, high), 5),
                    Axis::symmetric_log((low, high), high / 100.0, 800.0),
                    Axis::symmetric_log((low, high), 1e-300, 800.0),
                ];
                if low > 0.0 {
                    axes.push(Axis::log((low, high), 5));
                }
                for axis in axes {
                    for v in [low, high] {
                        assert!((0.0..=1.0).contains(&axis.of(v)), "{axis:?} {v}");
                    }
                    assert!(axis.ticks().len() <= 16, "{axis:?}");
                }
            }
        }
    }
}
