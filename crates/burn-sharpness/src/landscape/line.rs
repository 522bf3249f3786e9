//! The loss on the line between two models.

use core::fmt::Display;
use core::ops::ControlFlow;
use std::io::Write;

use burn::module::Module;
use burn::tensor::Tensor;
use burn_penalty::Randomness;

use super::evaluate::{Progress, evaluate, mean_loss};
use crate::error::SharpnessError;
use crate::parameters::{Parameter, ParameterSpace};

/// The points (1 − t)θ₀ + tθ₁ for equidistant t, as the loss is evaluated there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    from: f64,
    to: f64,
    points: usize,
}

/// Losses on a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The coordinate: 0 at the first model, 1 at the second.
    pub t: Vec<f64>,
    /// The loss there.
    pub loss: Vec<f64>,
    /// The losses of the two models.
    pub ends: [f64; 2],
}

/// The highest rise of the loss over the straight line between its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Barrier {
    /// max L(t) − ((1 − t)L(0) + tL(1)) over 0 ≤ t ≤ 1, 0 or more.
    pub height: f64,
    /// Where.
    pub t: f64,
}

impl Default for Line {
    /// t from −0.25 to 1.25 in 61 points.
    fn default() -> Self {
        Self {
            from: -0.25,
            to: 1.25,
            points: 61,
        }
    }
}

impl Line {
    /// From t = `from` to t = `to`; 0 and 1 are the models.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Option`] where `from` is above 0 or `to` below 1, or one is not finite.
    pub fn with_ends(mut self, from: f64, to: f64) -> Result<Self, SharpnessError> {
        for (option, value, fits, expected) in [
            ("from", from, from <= 0.0, "a number, 0 or less"),
            ("to", to, to >= 1.0, "a number, 1 or more"),
        ] {
            if !(value.is_finite() && fits) {
                return Err(SharpnessError::Option {
                    option,
                    value,
                    expected,
                });
            }
        }
        (self.from, self.to) = (from, to);
        Ok(self)
    }

    /// So many points.
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

    /// The coordinates t. The models' own 0 and 1 are evaluated beside them.
    pub fn coordinates(&self) -> Vec<f64> {
        let last = (self.points - 1) as f64;
        (0..self.points)
            .map(|i| {
                let share = i as f64 / last;
                (1.0 - share) * self.from + share * self.to
            })
            .collect()
    }

    /// The profile of a function of the parameters between two points.
    ///
    /// # Errors
    ///
    /// [`SharpnessError::Length`] where the two are not of one length, [`SharpnessError::Stopped`] where the observer
    /// stopped it, and what `loss` gives.
    pub fn of_function(
        &self,
        ends: [&[f64]; 2],
        mut loss: impl FnMut(&[f64]) -> Result<f64, SharpnessError>,
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Profile, SharpnessError> {
        let [first, second] = ends;
        if second.len() != first.len() {
            return Err(SharpnessError::Length {
                what: "the second end",
                got: second.len(),
                expected: first.len(),
            });
        }
        let at = |t: &f64| {
            let point: Vec<f64> = first
                .iter()
                .zip(second)
                .map(|(a, b)| (1.0 - t) * a + t * b)
                .collect();
            loss(&point)
        };
        self.profile(at, observe)
    }

    /// The profile between two modules of the same parameters; `batches` and `loss` as in
    /// [`Plane::of_module`](super::Plane::of_module). What is no trainable parameter is that of the first model.
    ///
    /// # Shapes
    ///
    /// - loss of a batch: `[1]`
    ///
    /// # Errors
    ///
    /// As [`of_function`](Self::of_function); [`SharpnessError::Parameters`] where the modules have other parameters.
    pub fn of_modules<M: Module, B, E: Display, I: IntoIterator<Item = Result<B, E>>>(
        &self,
        ends: [&M; 2],
        mut batches: impl FnMut() -> I,
        mut loss: impl FnMut(&M, B) -> (Tensor<1>, f64),
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Profile, SharpnessError> {
        let spaces = [ParameterSpace::of(ends[0])?, ParameterSpace::of(ends[1])?];
        same_parameters(&spaces)?;
        let [first, second] = [spaces[0].read(ends[0])?, spaces[1].read(ends[1])?];
        let direction: Vec<f64> = second.iter().zip(&first).map(|(b, a)| b - a).collect();
        let randomness = Randomness::new(ends[0], 0, 0);
        let at = |t: &f64| {
            let displaced = spaces[0].displaced(ends[0], &direction, *t)?;
            randomness.restart();
            mean_loss(&displaced.valid(), &mut batches, &mut loss)
        };
        self.profile(at, observe)
    }

    fn profile(
        &self,
        at: impl FnMut(&f64) -> Result<f64, SharpnessError>,
        observe: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Profile, SharpnessError> {
        let mut t = self.coordinates();
        t.extend([0.0, 1.0]);
        let mut loss = evaluate(&t, at, observe)?;
        let ends = [loss[self.points], loss[self.points + 1]];
        t.truncate(self.points);
        loss.truncate(self.points);
        Ok(Profile { t, loss, ends })
    }
}

/// Two modules may know their parameters by other identities; places and shapes must be the same.
pub(super) fn same_parameters([first, second]: &[ParameterSpace; 2]) -> Result<(), SharpnessError> {
    let (first, second) = (first.parameters(), second.parameters());
    let names = |parameters: &[Parameter]| {
        let names: Vec<String> = parameters
            .iter()
            .map(|parameter| format!("{} {:?}", parameter.path, parameter.shape))
            .collect();
        names.join(", ")
    };
    let differs = |(a, b): (&Parameter, &Parameter)| a.path != b.path || a.shape != b.shape;
    if first.len() != second.len() || first.iter().zip(second).any(differs) {
        return Err(SharpnessError::Parameters {
            got: names(second),
            expected: names(first),
        });
    }
    Ok(())
}

impl Profile {
    /// The barrier between the models (reference 3 of [`landscape`](crate::landscape)), at the points that were
    /// evaluated. A loss between the models that is not finite is an infinite barrier.
    pub fn barrier(&self) -> Barrier {
        let [first, second] = self.ends;
        let between = self
            .t
            .iter()
            .zip(&self.loss)
            .filter(|(t, _)| (0.0..=1.0).contains(*t));
        let rises = between.map(|(&t, loss)| {
            let rise = loss - ((1.0 - t) * first + t * second);
            Barrier {
                height: if rise.is_nan() { f64::INFINITY } else { rise },
                t,
            }
        });
        let none = Barrier {
            height: 0.0,
            t: 0.0,
        };
        rises.fold(none, |highest, rise| {
            if rise.height > highest.height {
                rise
            } else {
                highest
            }
        })
    }

    /// Writes `t,loss`, a line a point. Numbers are written so that they are read back exactly.
    ///
    /// # Errors
    ///
    /// What the writer gives.
    pub fn write_csv(&self, mut out: impl Write) -> std::io::Result<()> {
        writeln!(out, "t,loss")?;
        for (t, loss) in self.t.iter().zip(&self.loss) {
            writeln!(out, "{t},{loss}")?;
        }
        Ok(())
    }
}
