//! Tangents: what a unit push at each pre-activation z_l does to every layer above and, downward again, to the backward
//! vectors; and their adjoints (theory-depth §1 and §4.2). One array a pair of layers, components × (seeds·samples), so
//! that every step is one plain product with a weight.

use super::blocks::{Adjoints, BlockAdjoints, BlockId};
use super::network::FeedForward;
use super::pass::{Part, Pass};
use super::product::own_weight;
use super::pullback::Bars;
use super::rows;
use super::rows::{fit, zeros};
use crate::Real;
use crate::matmul::{Mat, Write, matmul};
use crate::team::Team;

/// The tangents of one seed layer l; index k is the layer that they are of.
#[derive(Default)]
pub(super) struct Seed<T> {
    /// J_{kl} = ∂z_k/∂z_l, for k > l.
    pub j: Vec<Vec<T>>,
    /// A_{kl} = ∂a_k/∂z_l, for hidden k > l. (A_{ll} is the diagonal matrix of φ'.)
    pub a: Vec<Vec<T>>,
    /// U_{kl} = ∂u_k/∂z_l, for hidden k ≥ l.
    u: Vec<Vec<T>>,
    /// Q_{kl} = ∂δ_k/∂z_l, for k ≥ l. (Q_{LL} = S is not formed.)
    pub q: Vec<Vec<T>>,
    bars: SeedBars<T>,
}

/// What the adjoints of a seed layer's tangents add to those of the quantities that all seeds share.
#[derive(Default)]
struct SeedBars<T> {
    /// Of φ' and c of every hidden layer k ≥ l, [n_k].
    d1: Vec<Vec<T>>,
    c: Vec<Vec<T>>,
    /// What S̄ means for the pull, [K].
    curvature: Vec<T>,
    /// Of the parameters above layer l.
    gradient: Vec<T>,
    /// The blocks of the column l while they are pulled back, the diagonal one first.
    blocks: Vec<BlockAdjoints<T>>,
    u: [Vec<T>; 2],
    j: Vec<T>,
    diagonal: Vec<T>,
}

/// The tangents of all seed layers below the last.
#[derive(Default)]
pub(super) struct Tangents<T> {
    pub seeds: Vec<Seed<T>>,
}

/// A tangent as a matrix of components by seeds and samples.
fn components<T: Real>(values: &[T], rows: usize) -> Mat<'_, T> {
    let columns = values.len() / rows;
    Mat::new(values, rows, columns, columns)
}

impl<T: Real> Tangents<T> {
    /// J, A, U and Q of every seed layer.
    pub fn run(&mut self, network: &FeedForward<T>, pass: &Pass<T>, part: Part, team: &mut Team) {
        let last = pass.depth() - 1;
        self.seeds.resize_with(last, Seed::default);
        team.each(self.seeds.iter_mut(), |l, seed| {
            // No block has this layer's columns.
            if !pass.shapes[l].is_trained() {
                return;
            }
            for values in [&mut seed.j, &mut seed.a, &mut seed.u, &mut seed.q] {
                values.resize_with(last + 1, Vec::new);
            }
            upward(seed, network, pass, l);
            let q = fit(&mut seed.q[last], seed.j[last].len());
            match part {
                Part::Residual => q.fill(T::zero()),
                Part::Whole | Part::GaussNewton => pass.output.apply(&seed.j[last], q),
            }
            downward(seed, network, pass, l);
        });
    }

    /// The adjoints of the tangents become those of d1, c, S and the weights. `adjoints` holds those of Q and A, with
    /// their weights; they are overwritten. Each seed layer adds up its own, and the sums are added in one order, so that
    /// the number of threads does not change how they round.
    pub fn pull_back(
        &mut self,
        network: &FeedForward<T>,
        pass: &Pass<T>,
        part: Part,
        adjoints: &mut Adjoints<T>,
        bars: &mut Bars<T>,
        gradient: &mut [T],
        team: &mut Team,
    ) {
        let depth = pass.depth();
        let trained = |l: usize| pass.shapes[l].is_trained();
        for (l, seed) in self.seeds.iter_mut().enumerate() {
            let column = (l..depth).map(|k| BlockId::new(k, l));
            let blocks = column.map(|id| core::mem::take(adjoints.block(id)));
            seed.bars.blocks.extend(blocks);
        }
        team.each(self.seeds.iter_mut(), |l, seed| {
            if trained(l) {
                seed.pull_back(network, pass, part, l);
            }
        });
        for (l, seed) in self.seeds.iter_mut().enumerate() {
            let of_seed = &mut seed.bars;
            for (k, block) in (l..).zip(of_seed.blocks.drain(..)) {
                *adjoints.block(BlockId::new(k, l)) = block;
            }
            if !trained(l) {
                continue;
            }
            rows::add(&mut bars.curvature, &of_seed.curvature);
            for k in l..depth - 1 {
                rows::add(&mut bars.d1[k], &of_seed.d1[k]);
                rows::add(&mut bars.c[k], &of_seed.c[k]);
            }
            let above = network.layout(l + 1).weight.start;
            rows::add(&mut gradient[above..], &of_seed.gradient[above..]);
        }
    }
}

impl<T: Real> Seed<T> {
    fn pull_back(&mut self, network: &FeedForward<T>, pass: &Pass<T>, part: Part, l: usize) {
        let n = pass.stride;
        let last = pass.depth() - 1;
        let one = T::one();
        let row = pass.width(l) * n;
        let Self { j, a, u, q, bars } = self;
        bars.clear(network, pass, l);
        let SeedBars {
            d1: d1_bar,
            c: c_bar,
            curvature,
            gradient,
            blocks,
            u: of_u,
            j: of_j,
            diagonal,
        } = bars;
        // Against the downward tangents.
        for k in l..last {
            let (below, above) = blocks.split_at_mut(k + 1 - l);
            let (q_bar, above) = (&below[k - l].q, &mut above[0].q);
            let [before, u_bar] = &mut *of_u;
            let u_bar = fit(u_bar, q_bar.len());
            let d1 = &pass.layers[k].d1;
            rows::scale_components_and_sum(u_bar, &mut d1_bar[k], d1, q_bar, &u[k], n);
            if k > l && pass.shapes[k].residual {
                rows::add(u_bar, before);
            }
            // Above the seed's own layer c̄ is summed where J̄ is.
            if k == l && part == Part::Whole {
                rows::add_diagonal_of(&mut c_bar[k], q_bar, n);
            }
            let u_bar = components(u_bar, pass.width(k));
            let weight = own_weight(network, k + 1);
            matmul(above, row, Write::Add, one, weight, u_bar);
            if let Some(weight_bar) = network.weight_of_mut(gradient, k + 1) {
                let q = components(&q[k + 1], pass.width(k + 1));
                matmul(weight_bar, pass.width(k), Write::Add, one, q, u_bar.t());
            }
            of_u.swap(0, 1);
        }
        // Against the upward tangents.
        for k in (l + 1..=last).rev() {
            let (below, above) = blocks.split_at_mut(k + 1 - l);
            let BlockAdjoints {
                q: q_bar, a: below, ..
            } = &mut below[k - l];
            let a_bar = above.first().map_or(&[][..], |above| &above.a);
            let j_bar = fit(of_j, q_bar.len());
            if k == last {
                pass.output
                    .add_adjoint_of_curvature(curvature, q_bar, &j[k]);
                pass.output.apply(q_bar, j_bar);
            } else {
                // (Without the residual c is 0, and its adjoint is not asked for.)
                let layer = &pass.layers[k];
                rows::combine_components_and_sum(
                    j_bar,
                    &mut d1_bar[k],
                    &mut c_bar[k],
                    &layer.d1,
                    a_bar,
                    &layer.c,
                    q_bar,
                    &j[k],
                    n,
                );
            }
            let weight_bar = network.weight_of_mut(gradient, k);
            let residual = pass.shapes[k].residual;
            if k == l + 1 {
                // A_{ll} is diagonal.
                let layer = &network.layers()[k];
                let diagonal = fit(diagonal, row);
                diagonal.copy_from_slice(below);
                rows::add_weighted_rows(diagonal, layer.weight(), j_bar, n);
                if let Some(weight_bar) = weight_bar {
                    rows::add_sums_with_seeds(weight_bar, j_bar, &pass.layers[l].d1, n);
                }
                if residual {
                    rows::add_diagonal_of(diagonal, a_bar, n);
                }
                rows::add(&mut d1_bar[l], diagonal);
            } else {
                let j_bar = components(j_bar, pass.width(k));
                let weight = own_weight(network, k).t();
                matmul(below, row, Write::Add, one, weight, j_bar);
                if residual {
                    rows::add(below, a_bar);
                }
                if let Some(weight_bar) = weight_bar {
                    let a = components(&a[k - 1], pass.width(k - 1));
                    matmul(weight_bar, pass.width(k - 1), Write::Add, one, j_bar, a.t());
                }
            }
        }
    }
}

impl<T: Real> SeedBars<T> {
    /// Zeros for the seed layer l.
    fn clear(&mut self, network: &FeedForward<T>, pass: &Pass<T>, l: usize) {
        let (n, last) = (pass.stride, pass.depth() - 1);
        for values in [&mut self.d1, &mut self.c] {
            values.resize_with(last, Vec::new);
            for (k, values) in values.iter_mut().enumerate().skip(l) {
                zeros(values, pass.width(k) * n);
            }
        }
        zeros(&mut self.curvature, pass.output.outputs * n);
        zeros(&mut self.gradient, network.parameters());
    }
}

/// J and A, from layer l up.
fn upward<T: Real>(seed: &mut Seed<T>, network: &FeedForward<T>, pass: &Pass<T>, l: usize) {
    let n = pass.stride;
    let row = pass.width(l) * n;
    let last = pass.depth() - 1;
    for k in l + 1..=last {
        let j = fit(&mut seed.j[k], pass.width(k) * row);
        if k == l + 1 {
            rows::weighted_seeds(j, network.layers()[k].weight(), &pass.layers[l].d1, n);
        } else {
            let below = components(&seed.a[k - 1], pass.width(k - 1));
            matmul(
                j,
                row,
                Write::Replace,
                T::one(),
                own_weight(network, k),
                below,
            );
        }
        if k == last {
            return;
        }
        let (below, from_here) = seed.a.split_at_mut(k);
        let a = fit(&mut from_here[0], j.len());
        rows::scale_components(a, &pass.layers[k].d1, j, n);
        if pass.shapes[k].residual {
            if k == l + 1 {
                rows::add_diagonal(a, &pass.layers[l].d1, n);
            } else {
                rows::add(a, &below[k - 1]);
            }
        }
    }
}

/// U and Q, from the last layer down to l; Q of the last layer is there.
fn downward<T: Real>(seed: &mut Seed<T>, network: &FeedForward<T>, pass: &Pass<T>, l: usize) {
    let n = pass.stride;
    let row = pass.width(l) * n;
    let last = pass.depth() - 1;
    for k in (l..last).rev() {
        let (of_here, above) = seed.u.split_at_mut(k + 1);
        let u = fit(&mut of_here[k], pass.width(k) * row);
        let q_above = components(&seed.q[k + 1], pass.width(k + 1));
        let weight = own_weight(network, k + 1).t();
        matmul(u, row, Write::Replace, T::one(), weight, q_above);
        if pass.shapes[k + 1].residual {
            rows::add(u, &above[0]);
        }
        let layer = &pass.layers[k];
        let q = fit(&mut seed.q[k], u.len());
        if k == l {
            rows::scale_components(q, &layer.d1, u, n);
            rows::add_diagonal(q, &layer.c, n);
        } else {
            rows::combine_components(q, &layer.d1, u, &layer.c, &seed.j[k], n);
        }
    }
}
