//! Moments block by block, the bounds they give, and what can be descended: functions of the t_l and q_{kl} with their
//! derivatives (theory-depth §6).

use crate::bounds::{Moments, SpectralBounds, SpectralWeights};
use crate::depth::block::BlockId;
use crate::depth::network::LayerShape;
use crate::error::Error;
use crate::lanczos::options::LanczosOptions;
use crate::lanczos::top::top_eigenpair;
use crate::numeric::number::Number;

/// Trace and squared Frobenius norm of every block of the Hessian.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockMoments<T> {
    /// t_l = tr H_ll, \[L\].
    pub traces: Vec<T>,
    /// q_{kl} = ‖H_kl‖²_F, L × L row-major, symmetric.
    pub frobenius_squared: Vec<T>,
    /// P_l, the parameters of each layer, \[L\].
    pub parameters: Vec<usize>,
}

impl<T: Number> BlockMoments<T> {
    /// L.
    pub fn depth(&self) -> usize {
        self.traces.len()
    }

    /// q_{kl}.
    pub fn block(&self, id: BlockId) -> T {
        self.frobenius_squared[id.row * self.depth() + id.column]
    }

    /// The moments of the whole Hessian.
    pub fn total(&self) -> Moments<T> {
        Moments {
            trace: self.traces.iter().copied().sum(),
            frobenius_squared: self.frobenius_squared.iter().copied().sum(),
            parameters: self.parameters.iter().sum(),
        }
    }

    /// The moments of the block H_ll of one layer, counted from 0.
    ///
    /// # Panics
    ///
    /// Where there is no such layer.
    pub fn layer(&self, layer: usize) -> Moments<T> {
        Moments {
            trace: self.traces[layer],
            frobenius_squared: self.block(BlockId::new(layer, layer)),
            parameters: self.parameters[layer],
        }
    }

    /// Zeros for a network of these layers, without an allocation once it had as many.
    pub(in crate::depth) fn clear(&mut self, shapes: &[LayerShape]) {
        let depth = shapes.len();
        zeros(&mut self.traces, depth);
        zeros(&mut self.frobenius_squared, depth * depth);
        self.parameters.clear();
        self.parameters
            .extend(shapes.iter().map(LayerShape::parameters));
    }

    /// Those of σ·H.
    pub(in crate::depth) fn scaled(mut self, sigma: T) -> Self {
        self.traces.iter_mut().for_each(|t| *t *= sigma);
        let squares = self.frobenius_squared.iter_mut();
        squares.for_each(|q| *q = *q * sigma * sigma);
        self
    }
}

/// What the moments of the blocks say of the spectrum.
///
/// λ_max(H) ≤ [`lambda_block`](Self::lambda_block) ≤ `whole.lambda_sup`. λ_diag bounds every λ_max(H_ll), and λ_max(H)
/// only where H is positive semidefinite.
#[derive(Clone, Debug, PartialEq)]
pub struct DeepBounds<T> {
    /// t_l and q_{kl}.
    pub moments: BlockMoments<T>,
    /// The bounds of the whole Hessian.
    pub whole: SpectralBounds<T>,
    /// The bounds of each layer's own block H_ll.
    pub layers: Vec<SpectralBounds<T>>,
    /// λ_blk, the largest eigenvalue of the L × L matrix of λ_sup,l and √q_{kl}: the best upper bound on λ_max that the
    /// t_l and q_{kl} allow.
    pub lambda_block: T,
    /// λ_diag = Σ_l λ_sup,l.
    pub lambda_diagonal: T,
}

impl<T: Number> DeepBounds<T> {
    /// From the moments of H/σ.
    pub(in crate::depth) fn new(unit: &BlockMoments<T>, sigma: T) -> Result<Self, Error> {
        let moments = unit.clone().scaled(sigma);
        let of = |unit: Moments<T>, moments| {
            SpectralBounds::scaled(&SpectralWeights::new(&unit), moments, sigma)
        };
        let mut weights = Weights::default();
        let mut value = |objective: Objective| -> Result<T, Error> {
            objective.weights(unit, &mut weights)?;
            Ok(T::of(weights.value * sigma.as_f64()))
        };
        let bounds = Self {
            whole: of(unit.total(), moments.total()),
            layers: (0..unit.depth())
                .map(|l| of(unit.layer(l), moments.layer(l)))
                .collect(),
            lambda_block: value(Objective::LambdaBlock)?,
            lambda_diagonal: value(Objective::LambdaDiagonal)?,
            moments,
        };
        let total = bounds.whole.moments;
        if total.frobenius_squared.is_finite() && total.trace.is_finite() {
            Ok(bounds)
        } else {
            Err(Error::Overflow { what: "‖H‖²" })
        }
    }
}

/// What is descended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Objective {
    /// λ_sup of the whole Hessian.
    #[default]
    LambdaSup,
    /// λ_blk, between λ_max and λ_sup.
    LambdaBlock,
    /// λ_diag = Σ_l λ_sup,l of the layers' own blocks: no bound of λ_max where H is indefinite, but its effect on λ_max
    /// is the same and cross blocks are not needed.
    LambdaDiagonal,
    /// λ_sup of one layer's own block, counted from 0.
    Layer(usize),
    /// λ_sup of the Gauss-Newton part of the Hessian.
    GaussNewton,
    /// tr H.
    Trace,
    /// ‖H‖_F.
    Frobenius,
}

/// A value with its derivatives for the moments of the blocks.
#[derive(Default)]
pub struct Weights {
    pub value: f64,
    /// ∂/∂t_l.
    pub traces: Vec<f64>,
    /// ∂/∂q_{kl} for k ≥ l, both triangles counted, L × L.
    pub squares: Vec<f64>,
}

impl Weights {
    pub fn block(&self, id: BlockId) -> f64 {
        self.squares[id.row * self.traces.len() + id.column]
    }
}

impl Objective {
    /// Whether only diagonal blocks are needed.
    pub(in crate::depth) fn is_diagonal(self) -> bool {
        matches!(self, Self::LambdaDiagonal | Self::Layer(_) | Self::Trace)
    }

    /// Value and derivatives at these moments. Allocates nothing once `weights` was as large, except for λ_blk.
    pub(in crate::depth) fn weights<T: Number>(
        self,
        moments: &BlockMoments<T>,
        weights: &mut Weights,
    ) -> Result<(), Error> {
        let depth = moments.depth();
        let own = |l: usize| SpectralWeights::new(&moments.layer(l));
        let of_layer = |l: usize| own(l).lambda_sup(moments.parameters[l]);
        weights.value = 0.0;
        zeros(&mut weights.traces, depth);
        zeros(&mut weights.squares, depth * depth);
        let add_layer = |weights: &mut Weights, l: usize, share: f64| {
            weights.traces[l] += share * own(l).trace;
            weights.squares[l * depth + l] += share * own(l).frobenius_squared;
        };
        match self {
            Self::LambdaSup | Self::GaussNewton | Self::Trace | Self::Frobenius => {
                let total = moments.total();
                let (value, whole) = match self {
                    Self::Trace => (total.trace.as_f64(), SpectralWeights::of(1.0, 0.0)),
                    Self::Frobenius => {
                        let norm = total.frobenius_squared.as_f64().sqrt();
                        (norm, SpectralWeights::of_norm(&total))
                    }
                    _ => {
                        let whole = SpectralWeights::new(&total);
                        (whole.lambda_sup(total.parameters), whole)
                    }
                };
                weights.value = value;
                weights.traces.fill(whole.trace);
                for id in BlockId::every(depth) {
                    let both = if id.is_diagonal() { 1.0 } else { 2.0 };
                    weights.squares[id.row * depth + id.column] = both * whole.frobenius_squared;
                }
            }
            Self::LambdaDiagonal => {
                for l in 0..depth {
                    weights.value += of_layer(l);
                    add_layer(weights, l, 1.0);
                }
            }
            Self::Layer(layer) => {
                weights.value = of_layer(layer);
                add_layer(weights, layer, 1.0);
            }
            Self::LambdaBlock => {
                let root = |k: usize, l: usize| {
                    let id = BlockId::new(k.max(l), k.min(l));
                    moments.block(id).as_f64().sqrt()
                };
                // A frozen layer has no row.
                let rows: Vec<usize> = (0..depth).filter(|&l| moments.parameters[l] > 0).collect();
                let entry = |i: usize, j: usize| {
                    let (k, l) = (rows[i], rows[j]);
                    if k == l { of_layer(k) } else { root(k, l) }
                };
                let (value, y) = top(rows.len(), entry)?;
                weights.value = value;
                for (j, &l) in rows.iter().enumerate() {
                    add_layer(weights, l, y[j] * y[j]);
                    for (i, &k) in rows.iter().enumerate().skip(j + 1) {
                        let root = root(k, l);
                        if root > 0.0 {
                            weights.squares[k * depth + l] = y[i] * y[j] / root;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The largest eigenvalue of a small symmetric matrix with non-negative entries off the diagonal, and its eigenvector,
/// which is then non-negative.
fn top(size: usize, entry: impl Fn(usize, usize) -> f64) -> Result<(f64, Vec<f64>), Error> {
    let apply = |v: &[f64], out: &mut [f64]| {
        for (k, out) in out.iter_mut().enumerate() {
            *out = v.iter().enumerate().map(|(l, v)| entry(k, l) * v).sum();
        }
        Ok::<(), Error>(())
    };
    let options = LanczosOptions {
        iterations: size,
        ..LanczosOptions::default()
    };
    let pair = top_eigenpair(size, apply, None, &options)?;
    Ok((pair.value, pair.vector.iter().map(|v| v.abs()).collect()))
}

/// Zeros in a vector that is part of the API.
fn zeros<T: Number>(values: &mut Vec<T>, size: usize) {
    values.clear();
    values.resize(size, T::zero());
}
