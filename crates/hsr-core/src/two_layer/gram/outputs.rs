//! H22 by pairs of samples where the outputs are many: S is not formed, K values a sample serve in place of K(K + 1)/2.
//!
//! For a softmax S = ω(diag p − p pᵀ), of which s = diag S is known to rounding even where p is nearly one-hot. With t
//! the class of the largest logit of a sample, p° = p but for a zero at t, and v = ωp°, for two samples n and m
//!
//! ```text
//! ⟨S_n, S_m⟩ = s_n·s_m + ω_n ω_m Σ_k≠l w_k w_l        w = p_n∘p_m
//! S_m p_n = ω_m p_m∘(p_n − z − y)                     z = p_n[t_m],  y = p_m·(p_n − z)
//! ```
//!
//! Written out, both have terms of order 1 that cancel where p is nearly one-hot. So what concerns t_n and t_m is kept
//! apart from v·v, in the sum over k ≠ l as well as in y = p°_m·(p_n − z) and the entry t_m of S_m p_n, −ω_m p_m[t_m] y.

use crate::numeric::buffer::fit;
use crate::numeric::lanes::{add_product, part, part_mut, row};
use crate::numeric::matrix::Write;
use crate::numeric::number::Number;
use crate::two_layer::contraction::{Contraction, Want};
use crate::two_layer::gram::scratch::Gram;
use crate::two_layer::gram::tile::Tile;

impl<T: Number> Gram<T> {
    /// The part of a tile of pairs in ‖H22‖², S̃ and the weights of ā.
    #[inline(always)]
    pub(super) fn tile_of_many_outputs(&mut self, tile: Tile<T>, out: &mut Contraction<T>) {
        if tile.forward().loss_of().couples_outputs() {
            self.tile_of_softmaxes(tile, out);
        } else {
            self.tile_of_diagonals(tile, out);
        }
    }

    /// ⟨S_n, S_m⟩ = s_n·s_m.
    #[inline(always)]
    fn tile_of_diagonals(&mut self, tile: Tile<T>, out: &mut Contraction<T>) {
        let size = tile.size();
        let outputs = tile.forward().rank;
        let products = fit(&mut self.products, size);
        tile.inner_products(products, outputs, |shard| &shard.forward.s_diagonal);
        for (&product, &alpha) in products.iter().zip(&self.alpha[..size]) {
            out.output_norm += product * (alpha * alpha);
        }
        if tile.want != Want::Moments {
            self.weigh_diagonals(tile, out);
        }
    }

    /// The weights of ā from ⟨S_n, S_m⟩, and diag S̃ = Σ_m α² s_m. Leaves α² in place of the inner products.
    #[inline(always)]
    fn weigh_diagonals(&mut self, tile: Tile<T>, out: &mut Contraction<T>) {
        let size = tile.size();
        let n = tile.forward().stride;
        let products = &mut self.products[..size];
        add_product(&mut self.weights[..size], products, &self.alpha[..size]);
        for (product, &alpha) in products.iter_mut().zip(&self.alpha[..size]) {
            *product = alpha * alpha;
        }
        tile.weigh(
            &mut out.s[tile.start..],
            n,
            Write::Replace,
            tile.forward().rank,
            |shard| &shard.forward.s_diagonal,
            products,
        );
    }

    #[inline(always)]
    fn tile_of_softmaxes(&mut self, tile: Tile<T>, out: &mut Contraction<T>) {
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let f = tile.forward();
        let (n, outputs) = (f.stride, f.rank);
        let gradient = tile.want != Want::Moments;
        // s·s and then ⟨S_n, S_m⟩; v·v and then −α²(z + y); the products of ωp°² and then α² ω_m y p_m[t_m].
        let products = fit(&mut self.products, size);
        let v_v = fit(&mut self.second, size);
        let squares = fit(&mut self.third, size);
        tile.inner_products(products, outputs, |shard| &shard.forward.s_diagonal);
        tile.inner_products(v_v, outputs, |shard| &shard.prepared.of_outputs.values);
        tile.inner_products(squares, outputs, |shard| {
            &shard.prepared.of_outputs.values[outputs * shard.forward.stride..]
        });
        let own = &tile.shards[tile.own].prepared.of_outputs;
        let [of_top_n, _, inverse_n] =
            [0, 1, 2].map(|index| part(&own.rows, n, index, start, width));
        let top_n = &own.top[start..][..width];
        let two = T::of(2.0);
        for (shard, at) in tile.sources() {
            let (of_m, stride) = (&shard.prepared.of_outputs, shard.forward.stride);
            for m in 0..stride {
                let pairs = at + m * width..at + (m + 1) * width;
                let products = &mut products[pairs.clone()];
                let v_v = &mut v_v[pairs.clone()];
                let squares = &mut squares[pairs.clone()];
                let alpha = &self.alpha[pairs];
                let top_m = of_m.top[m] as usize;
                let [of_top_m, rest_m, inverse_m] =
                    [0, 1, 2].map(|row| of_m.rows[row * stride + m]);
                // v_n and p_n at t_m.
                let v_n = part(&own.values, n, top_m, start, width);
                let z = part(&f.p, n, top_m, start, width);
                for i in 0..width {
                    let top = top_n[i] as usize;
                    // v_m at t_n, which is 0 where that is t_m.
                    let v_m = of_m.values[top * stride + m];
                    let (w_n, w_m) = (of_top_n[i] * v_m, of_top_m * v_n[i]);
                    let of_tops = if top == top_m {
                        of_top_n[i] * of_top_m
                    } else {
                        w_n * inverse_m + w_m * inverse_n[i]
                    };
                    let c = v_v[i] * inverse_n[i];
                    let others = v_v[i] * (c * inverse_m) - squares[i];
                    products[i] += two * (w_n * w_m + of_tops * v_v[i]) + others;
                    let square = alpha[i] * alpha[i];
                    out.output_norm += products[i] * square;
                    if gradient {
                        let y = c + v_m * of_top_n[i] - rest_m * z[i];
                        v_v[i] = -square * (z[i] + y * inverse_m);
                        squares[i] = square * y * of_top_m;
                    }
                }
            }
        }
        if !gradient {
            return;
        }
        self.weigh_diagonals(tile, out);
        // S̃ p = p∘(Σ_m α² v_m) − Σ_m α² (z + y) v_m, and of each m the entry t_m.
        let s_p = &mut out.s[outputs * n..];
        let squares = &self.third[..size];
        tile.weigh(
            &mut s_p[start..],
            n,
            Write::Replace,
            outputs,
            |shard| &shard.prepared.of_outputs.values,
            &self.products[..size],
        );
        for k in 0..outputs {
            let p = part(&f.p, n, k, start, width);
            for (sum, &p) in part_mut(s_p, n, k, start, width).iter_mut().zip(p) {
                *sum *= p;
            }
        }
        tile.weigh(
            &mut s_p[start..],
            n,
            Write::Add,
            outputs,
            |shard| &shard.prepared.of_outputs.values,
            &self.second[..size],
        );
        for (shard, at) in tile.sources() {
            for (m, &top) in shard.prepared.of_outputs.top.iter().enumerate() {
                let of_pairs = row(&squares[at..], width, m);
                let sum = part_mut(s_p, n, top as usize, start, width);
                for (sum, &value) in sum.iter_mut().zip(of_pairs) {
                    *sum -= value;
                }
            }
        }
    }
}
