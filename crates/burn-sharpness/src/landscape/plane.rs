//! The loss on a plane through a model.

use core::fmt::Display;
use core::ops::ControlFlow;
use std::io::Write;

use burn::module::Module;
use burn::tensor::Tensor;
use burn_penalty::Randomness;

use super::evaluate::{Progress, evaluate, mean_loss};
use crate::{ParameterSpace, SharpnessError};

/// The points θ + x·d₁ + y·d₂ with x and y in a square grid around 0, as the loss is evaluated there.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    directions: [Vec<f64>; 2],
    range: f64,
    points: usize,
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
