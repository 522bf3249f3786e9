//! The loss on a plane through a model.

use core::fmt::Display;
use core::ops::ControlFlow;
use std::io::Write;

use burn::module::Module;
use burn::tensor::Tensor;
use burn_penalty::Randomness;

use super::evaluate::{Progress, evaluate, mean_loss};
use crate::error::SharpnessError;
use crate::parameters::ParameterSpace;

/// The points θ + x·d₁ + y·d₂ with x and y in a square grid around 0, as the loss is evaluated there.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    directions: [Vec<f64>; 2],
    range: f64,
    points: usize,
}

/// A plane through three points.
#[derive(Clone, Debug, PartialEq)]
pub struct Through {
    /// The plane.
    pub plane: Plane,
    /// The point in its middle.
    pub middle: Vec<f64>,
    /// Where the three lie in it, (x, y).
    pub coordinates: [[f64; 2]; 3],
}

/// Losses on a plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Landscape {
    /// The coordinates along the first direction, ascending.
    pub x: Vec<f64>,
    /// Those along the second.
    pub y: Vec<f64>,
    /// The losses, row by row from the lowest y, each row from the lowest x. Far from the model they may be infinite or
    /// no number.
    pub loss: Vec<f64>,
}

impl Plane {
    /// The plane along two directions, −1 to 1 with 41 points a side.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the directions are not of one length, [`SharpnessError::NotFinite`].
    pub fn new(directions: [Vec<f64>; 2]) -> Result<Self, SharpnessError> {
        if directions[1].len() != directions[0].len() {
            return Err(SharpnessError::Length {
                what: "the second direction",
                got: directions[1].len(),
                expected: directions[0].len(),
            });
        }
        if directions.iter().flatten().any(|v| !v.is_finite()) {
            return Err(SharpnessError::NotFinite {
                what: "a direction",
            });
        }
        Ok(Self {
            directions,
            range: 1.0,
            points: 41,
        })
    }

    /// The plane through three points of the parameters, such as three models: its middle is their mean, its axes are
    /// orthogonal, the first one from the first point to the second, and a step of 1 along an axis reaches the farthest of
    /// the three. From −1.25 to 1.25 with 41 points a side.
    ///
    /// ```
    /// use core::ops::ControlFlow;
    ///
    /// use burn_sharpness::landscape::Plane;
    ///
    /// let through = Plane::through([&[0.0, 0.0, 1.0], &[4.0, 0.0, 1.0], &[0.0, 3.0, 1.0]])?;
    /// let [_, _, third] = through.coordinates;
    /// let there = through.plane.displacement(third);
    /// assert!((through.middle[1] + there[1] - 3.0).abs() < 1e-12);
    /// let height = |p: &[f64]| Ok(p[2]);
    /// let landscape = through.plane.of_function(&through.middle, height, |_| ControlFlow::Continue(()))?;
    /// assert!(landscape.loss.iter().all(|v| *v == 1.0));
    /// # Ok::<(), burn_sharpness::SharpnessError>(())
    /// ```
    ///
    /// Reference: T. Garipov et al., NeurIPS 2018, arXiv 1802.10026, appendix A.2, on the axes.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the points are not of one length, [`SharpnessError::NotFinite`],
    /// [`SharpnessError::Option`] where they lie on one line.
    pub fn through(points: [&[f64]; 3]) -> Result<Through, SharpnessError> {
        let size = points[0].len();
        for point in points {
            if point.len() != size {
                return Err(SharpnessError::Length {
                    what: "a point of the plane",
                    got: point.len(),
                    expected: size,
                });
            }
        }
        let middle: Vec<f64> = (0..size)
            .map(|i| points.iter().map(|point| point[i] / 3.0).sum())
            .collect();
        let from = |start: &[f64], end: &[f64]| -> Vec<f64> {
            end.iter().zip(start).map(|(b, a)| b - a).collect()
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let unit = |v: Vec<f64>, scale: f64| {
            let norm = dot(&v, &v).sqrt();
            // What is left of a direction that lies in the other is rounding.
            if norm <= 1e-12 * scale || !norm.is_finite() {
                return Err(SharpnessError::Option {
                    option: "the distance of a point from the line through the others",
                    value: norm,
                    expected: "more than 0",
                });
            }
            Ok(v.iter().map(|v| v / norm).collect::<Vec<f64>>())
        };
        let first = unit(from(points[0], points[1]), 0.0)?;
        let mut rest = from(points[0], points[2]);
        let length = dot(&rest, &rest).sqrt();
        let share = dot(&rest, &first);
        rest.iter_mut()
            .zip(&first)
            .for_each(|(v, u)| *v -= share * u);
        let second = unit(rest, length)?;
        let mut coordinates = points.map(|point| {
            let from_middle = from(&middle, point);
            [dot(&from_middle, &first), dot(&from_middle, &second)]
        });
        let farthest = coordinates.iter().flatten();
        let farthest = farthest.fold(0.0, |max: f64, v| max.max(v.abs()));
        coordinates
            .iter_mut()
            .flatten()
            .for_each(|v| *v /= farthest);
        let scaled = |v: Vec<f64>| v.iter().map(|v| v * farthest).collect();
        Ok(Through {
            plane: Self::new([scaled(first), scaled(second)])?.with_range(1.25)?,
            middle,
            coordinates,
        })
    }

    /// From −range to range along both directions.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where it is not positive and finite.
    pub fn with_range(mut self, range: f64) -> Result<Self, SharpnessError> {
        if !(range > 0.0 && range.is_finite()) {
            return Err(SharpnessError::Option {
                option: "range",
                value: range,
                expected: "a positive number",
            });
        }
        self.range = range;
        Ok(self)
    }

    /// So many points a side; the model is one of them where they are odd.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where there are less than 2.
    pub fn with_points(mut self, points: usize) -> Result<Self, SharpnessError> {
        if points < 2 {
            return Err(SharpnessError::Option {
                option: "points",
                value: points as f64,
                expected: "at least 2",
            });
        }
        self.points = points;
        Ok(self)
    }

    /// The coordinates along either direction.
    pub fn coordinates(&self) -> Vec<f64> {
        let last = (self.points - 1) as f64;
        // Symmetric to the last bit, and 0 in the middle.
        (0..self.points)
            .map(|i| self.range * ((2 * i) as f64 - last) / last)
            .collect()
    }

    /// The displacement x·d₁ + y·d₂.
    pub fn displacement(&self, [x, y]: [f64; 2]) -> Vec<f64> {
        let [first, second] = &self.directions;
        first
            .iter()
            .zip(second)
            .map(|(a, b)| x * a + y * b)
            .collect()
    }

    /// The landscape of a function of the parameters.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where θ does not fit the directions, [`SharpnessError::Stopped`] where the observer
    /// stopped it, and what `loss` gives.
    pub fn of_function(
        &self,
        theta: &[f64],
        mut loss: impl FnMut(&[f64]) -> Result<f64, SharpnessError>,
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Landscape, SharpnessError> {
        self.check(theta.len())?;
        let at = |point: &[f64; 2]| {
            let mut displaced = self.displacement(*point);
            displaced.iter_mut().zip(theta).for_each(|(v, t)| *v += t);
            loss(&displaced)
        };
        self.landscape(at, observe)
    }

    /// The landscape of a module: at each point the mean loss Σ_b w_b L_b / Σ_b w_b over batches, where `loss` gives a
    /// batch's mean loss L_b, \[1\], and its weight w_b, its number of samples, so that a shorter last batch counts for
    /// less. `batches` gives all batches, anew at every point, as Burn's data loaders do: `|| loader.iter()`, or
    /// `|| batches.iter().map(Ok::<_, SharpnessError>)`.
    ///
    /// The model must be on an autodiff device, where parameters say whether they are trained; `loss` gets it in
    /// validation, off that device.
    ///
    /// # Shapes
    ///
    /// - loss of a batch: `[1]`
    ///
    /// # Errors
    ///
    /// As [`of_function`](Self::of_function); [`SharpnessError::Batch`] for a batch that cannot be had and
    /// [`SharpnessError::Option`] where the weights are none or sum to 0.
    pub fn of_module<M: Module, B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        &self,
        model: &M,
        mut batches: impl FnMut() -> I,
        mut loss: impl FnMut(&M, B) -> (Tensor<1>, f64),
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Landscape, SharpnessError> {
        let space = ParameterSpace::of(model)?;
        self.check(space.size())?;
        let randomness = Randomness::new(model, 0, 0);
        let at = |point: &[f64; 2]| {
            let displaced = space.displaced(model, &self.displacement(*point), 1.0)?;
            randomness.restart();
            mean_loss(&displaced.valid(), &mut batches, &mut loss)
        };
        self.landscape(at, observe)
    }

    fn landscape(
        &self,
        at: impl FnMut(&[f64; 2]) -> Result<f64, SharpnessError>,
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Landscape, SharpnessError> {
        let coordinates = self.coordinates();
        let points: Vec<[f64; 2]> = coordinates
            .iter()
            .flat_map(|&y| coordinates.iter().map(move |&x| [x, y]))
            .collect();
        let loss = evaluate(&points, at, observe)?;
        Ok(Landscape {
            x: coordinates.clone(),
            y: coordinates,
            loss,
        })
    }

    fn check(&self, size: usize) -> Result<(), SharpnessError> {
        if self.directions[0].len() == size {
            return Ok(());
        }
        Err(SharpnessError::Length {
            what: "a direction",
            got: self.directions[0].len(),
            expected: size,
        })
    }
}

impl Landscape {
    /// The loss at a column (along x) and a row (along y).
    pub fn at(&self, column: usize, row: usize) -> f64 {
        self.loss[row * self.x.len() + column]
    }

    /// The smallest finite loss and its place (x, y).
    pub fn lowest(&self) -> Option<(f64, [f64; 2])> {
        let finite = self.loss.iter().enumerate().filter(|(_, v)| v.is_finite());
        let (index, &loss) = finite.min_by(|a, b| a.1.total_cmp(b.1))?;
        let columns = self.x.len();
        Some((loss, [self.x[index % columns], self.y[index / columns]]))
    }

    /// Writes `x,y,loss`, a line a point. Numbers are written so that they are read back exactly.
    ///
    /// # Errors
    ///
    /// What the writer gives.
    pub fn write_csv(&self, mut out: impl Write) -> std::io::Result<()> {
        writeln!(out, "x,y,loss")?;
        for (row, y) in self.y.iter().enumerate() {
            for (column, x) in self.x.iter().enumerate() {
                writeln!(out, "{x},{y},{}", self.at(column, row))?;
            }
        }
        Ok(())
    }
}
