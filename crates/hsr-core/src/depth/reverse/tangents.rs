//! The adjoints of the tangents (theory-depth §4.2).

use crate::depth::block::BlockId;
use crate::depth::blocks::adjoints::{Adjoints, BlockAdjoints};
use crate::depth::network::own_weight;
use crate::depth::passes::pass::Part;
use crate::depth::passes::tangents::{Seed, components};
use crate::depth::reverse::bars::{Bars, Point, SeedBars};
use crate::depth::rows;
use crate::evaluation::team::Team;
use crate::numeric::buffer::fit;
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::Write;
use crate::numeric::number::Number;

/// The adjoints of the tangents become those of d1, c, S and the weights. `adjoints` holds those of Q and A, with
/// their weights; they are overwritten. Each seed layer adds up its own, and the sums are added in one order, so that
/// the number of threads does not change how they round.
pub(super) fn pull_back<T: Number>(
    point: Point<T>,
    adjoints: &mut Adjoints<T>,
    bars: &mut Bars<T>,
    gradient: &mut [T],
    team: Team,
) {
    let Point {
        network,
        pass,
        tangents,
        ..
    } = point;
    let depth = pass.depth();
    let trained = |l: usize| pass.shapes[l].is_trained();
    let mut seeds = core::mem::take(&mut bars.seeds);
    seeds.resize_with(tangents.seeds.len(), SeedBars::default);
    for (l, of_seed) in seeds.iter_mut().enumerate() {
        let column = (l..depth).map(|k| BlockId::new(k, l));
        let blocks = column.map(|id| core::mem::take(adjoints.block(id)));
        of_seed.blocks.extend(blocks);
    }
    team.each(seeds.iter_mut(), |l, of_seed| {
        if trained(l) {
            pull_back_seed(point, l, of_seed);
        }
    });
    for (l, of_seed) in seeds.iter_mut().enumerate() {
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
    bars.seeds = seeds;
}

/// The same of one seed layer.
fn pull_back_seed<T: Number>(point: Point<T>, l: usize, bars: &mut SeedBars<T>) {
    let Point {
        network,
        pass,
        part,
        tangents,
    } = point;
    let n = pass.stride;
    let last = pass.depth() - 1;
    let one = T::one();
    let row = pass.width(l) * n;
    let Seed { j, a, u, q } = &tangents.seeds[l];
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
