//! Tangents: what a unit push at each pre-activation z_l does to every layer above and, downward again, to the backward
//! vectors (theory-depth §1). One array a pair of layers, components × (seeds·samples), so that every step is one plain product
//! with a weight.

use crate::depth::network::{FeedForward, own_weight};
use crate::depth::passes::pass::{Part, Pass};
use crate::depth::rows;
use crate::evaluation::team::Team;
use crate::numeric::buffer::{Buffer, fit, zeros};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;

/// The tangents of one seed layer l; index k is the layer that they are of.
#[derive(Default)]
pub struct Seed<T> {
    /// J_{kl} = ∂z_k/∂z_l, for k > l.
    pub j: Vec<Buffer<T>>,
    /// A_{kl} = ∂a_k/∂z_l, for hidden k > l. (A_{ll} is the diagonal matrix of φ'.)
    pub a: Vec<Buffer<T>>,
    /// U_{kl} = ∂u_k/∂z_l, for hidden k ≥ l.
    pub u: Vec<Buffer<T>>,
    /// Q_{kl} = ∂δ_k/∂z_l, for k ≥ l. (Q_{LL} = S is not formed.)
    pub q: Vec<Buffer<T>>,
}

/// The tangents of all seed layers below the last.
#[derive(Default)]
pub struct Tangents<T> {
    pub seeds: Vec<Seed<T>>,
}

/// A tangent as a matrix of components by seeds and samples.
pub(in crate::depth) fn components<T: Number>(values: &[T], rows: usize) -> Mat<'_, T> {
    let columns = values.len() / rows;
    Mat::new(values, rows, columns, columns)
}

impl<T: Number> Tangents<T> {
    /// J, A, U and Q of every seed layer.
    pub fn run(&mut self, network: &FeedForward<T>, pass: &Pass<T>, part: Part, team: Team) {
        let last = pass.depth() - 1;
        self.seeds.resize_with(last, Seed::default);
        team.each(self.seeds.iter_mut(), |l, seed| {
            // No block has this layer's columns.
            if !pass.shapes[l].is_trained() {
                return;
            }
            for values in [&mut seed.j, &mut seed.a, &mut seed.u, &mut seed.q] {
                values.resize_with(last + 1, Buffer::default);
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
}

/// J and A, from layer l up.
fn upward<T: Number>(seed: &mut Seed<T>, network: &FeedForward<T>, pass: &Pass<T>, l: usize) {
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
fn downward<T: Number>(seed: &mut Seed<T>, network: &FeedForward<T>, pass: &Pass<T>, l: usize) {
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

/// t_l = Σ_n tr Γ_l ‖x̃_l‖². Both factors of every sample are in `sums`.
pub(in crate::depth) fn trace<T: Number>(
    pass: &Pass<T>,
    tangents: &Tangents<T>,
    l: usize,
    sums: &mut [Buffer<T>; 2],
) -> T {
    let [of_block, squared] = sums;
    traces(pass, tangents, l, of_block);
    pass.input_squared(l, squared);
    rows::dot(of_block, squared)
}

/// tr Γ_l of every sample.
pub(in crate::depth) fn traces<T: Number>(
    pass: &Pass<T>,
    tangents: &Tangents<T>,
    l: usize,
    out: &mut Buffer<T>,
) {
    let n = pass.stride;
    let width = pass.width(l);
    let out = zeros(out, n);
    for i in 0..width {
        let diagonal = match tangents.seeds.get(l) {
            Some(seed) => &seed.q[l][i * (width + 1) * n..][..n],
            None => &pass.output.s[i * n..][..n],
        };
        rows::add(out, diagonal);
    }
}
