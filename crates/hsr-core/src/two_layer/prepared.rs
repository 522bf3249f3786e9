//! What sums over pairs of samples need of a shard beside its forward pass.

use crate::evaluation::block::BlockEvaluation;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::lanes::{add_product, row, row_mut};
use crate::numeric::number::Number;
use crate::two_layer::contraction::Want;
use crate::two_layer::output_basis;
use crate::two_layer::plan::{OfHidden, Plan};
use crate::two_layer::samples::Forward;

/// What is decided by the size of the whole batch.
#[derive(Clone, Copy)]
pub(crate) struct Pairing {
    pub output: bool,
    pub hidden: bool,
    pub cross: bool,
    pub of_hidden: OfHidden,
    /// Whether the pairs' terms with R, which have rank d + 1, go through projections on x̃.
    pub project: bool,
}

impl Pairing {
    /// For a batch whose rows are `total` samples long, padding included.
    pub fn new<T: Number>(f: &Forward<T>, plan: &Plan, total: usize) -> Self {
        let dims = f.dims();
        let of = |block| block == BlockEvaluation::Gram;
        // The curvature, with which `f.rank` comes, may be still to be computed: pairs are in the output basis.
        let softmax = f.loss_of().couples_outputs();
        let rank = output_basis::reduced(dims.outputs, softmax);
        Self {
            output: of(plan.output),
            hidden: of(plan.hidden),
            cross: of(plan.cross),
            of_hidden: OfHidden::new(dims.hidden, rank, total),
            project: dims.inputs_extended() < total,
        }
    }

    pub fn any(self) -> bool {
        self.output || self.hidden || self.cross
    }
}

/// How ‖H‖² is evaluated, and for what.
#[derive(Clone, Copy)]
pub struct Manner {
    pub plan: Plan,
    pub(crate) pairing: Pairing,
    pub want: Want,
}

/// What the pairs need of a shard beside its forward pass.
#[derive(Default)]
pub(crate) struct Prepared<T> {
    /// M, packed rows of its samples.
    pub m: Buffer<T>,
    /// F + R with F = Q ∘ aᵀ, then R: rows (j, k) of its samples, or their projections on x̃, columns e.
    pub coupled: Buffer<T>,
    pub of_rank: Diagonals<T>,
    pub of_outputs: Softmaxes<T>,
}

impl<T: Number> Prepared<T> {
    /// Adds the projections of another shard, which are sums over samples.
    pub fn add_projections(&mut self, other: &Self, pairing: Pairing) {
        if pairing.cross && pairing.project {
            crate::numeric::lanes::add_scaled(&mut self.coupled, T::one(), &other.coupled);
        }
    }
}

/// What the pairs need of a shard.
#[derive(Default)]
pub(crate) struct Diagonals<T> {
    /// v and v + c, \[h\] each.
    pub values: Buffer<T>,
}

impl<T: Number> Diagonals<T> {
    #[inline(always)]
    pub fn fill(&mut self, f: &Forward<T>) {
        let (n, h) = (f.stride, f.dims().hidden);
        let (v, sum) = zeros(&mut self.values, 2 * h * n).split_at_mut(h * n);
        for j in 0..h {
            let (v, sum) = (row_mut(v, n, j), row_mut(sum, n, j));
            for jk in j * f.rank..(j + 1) * f.rank {
                add_product(v, row(&f.u_basis, n, jk), row(&f.q_basis, n, jk));
            }
            for ((sum, &v), &c) in sum.iter_mut().zip(&*v).zip(row(&f.c, n, j)) {
                *sum = v + c;
            }
        }
    }

    /// v, and behind it v + c.
    pub fn split(&self, f: &Forward<T>) -> (&[T], &[T]) {
        self.values.split_at(f.dims().hidden * f.stride)
    }
}

/// What the pairs need of a shard's softmaxes.
#[derive(Default)]
pub(crate) struct Softmaxes<T> {
    /// v = ωp° and ωp°², \[K\] each.
    pub values: Buffer<T>,
    /// p\[t\], Σ v and 1/ω of each sample, or 0 where ω = 0.
    pub rows: Buffer<T>,
    /// t.
    pub top: Vec<u32>,
}

impl<T: Number> Softmaxes<T> {
    #[inline(always)]
    pub fn fill(&mut self, f: &Forward<T>) {
        let (n, outputs) = (f.stride, f.rank);
        let (v, squares) = fit(&mut self.values, 2 * outputs * n).split_at_mut(outputs * n);
        let rows = fit(&mut self.rows, 3 * n);
        let (of_top, rows) = rows.split_at_mut(n);
        let (rest, inverse) = rows.split_at_mut(n);
        if self.top.capacity() < n {
            self.top = Vec::with_capacity(n);
        }
        self.top.clear();
        let classes = f.top_classes().iter();
        self.top.extend(classes.map(|class| class.as_f64() as u32));
        of_top.fill(T::zero());
        rest.fill(T::zero());
        let omega = &f.omega[..n];
        for (inverse, &omega) in inverse.iter_mut().zip(omega) {
            let value = T::one() / omega;
            *inverse = if value.is_finite() { value } else { T::zero() };
        }
        for k in 0..outputs {
            let (p, top) = (row(&f.p, n, k), row(&f.top, n, k));
            let (v, squares) = (row_mut(v, n, k), row_mut(squares, n, k));
            for i in 0..n {
                let others = p[i] * (T::one() - top[i]);
                v[i] = omega[i] * others;
                squares[i] = v[i] * others;
                of_top[i] += p[i] * top[i];
                rest[i] += v[i];
            }
        }
    }
}
