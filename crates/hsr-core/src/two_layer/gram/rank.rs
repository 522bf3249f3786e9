//! H11 by pairs of samples where U and Q have few rows beside many hidden units: M = Uᵀ Q + diag c, h(h + 1)/2 values a
//! sample, is not formed. With X = U_n U_mᵀ and Y = Q_n Q_mᵀ, K' × K' for each pair, and v = diag Uᵀ Q,
//!
//! ```text
//! ⟨M_n, M_m⟩ = ⟨X, Y⟩ + v_n·c_m + c_n·(v_m + c_m)
//! U_n M̃_n = Σ_m G² (X Q_m + U_n diag c_m)        diag M̃_n = Σ_m G² (v_m + c_m)
//! ```

use crate::numeric::buffer::fit;
use crate::numeric::lanes::{add_product, dot, part, part_mut, row};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::two_layer::contraction::{Contraction, Want};
use crate::two_layer::gram::scratch::Gram;
use crate::two_layer::gram::tile::Tile;
use crate::two_layer::samples::Forward;
use crate::two_layer::shard::Shared;

impl<T: Number> Tile<'_, T> {
    /// For every pair the inner product over hidden units of row `l` of its first sample, of all, with row `k` of the
    /// second, of the tile; rows (j, k).
    #[inline(always)]
    fn products_of_rows(
        &self,
        out: &mut [T],
        [k, l]: [usize; 2],
        of: impl Fn(&Forward<T>) -> &[T],
    ) {
        let f = self.forward();
        let (h, rank) = (f.dims().hidden, f.rank);
        let right = &of(f)[k * f.stride + self.start..];
        let right = Mat::new(right, h, self.width, rank * f.stride);
        for (shard, at) in self.sources() {
            let n = shard.forward.stride;
            let left = Mat::new(&of(&shard.forward)[l * n..], h, n, rank * n).t();
            let out = &mut out[at..];
            matmul(out, self.width, Write::Replace, T::one(), left, right);
        }
    }

    /// v_n·c_m + c_n·(v_m + c_m) for every pair.
    #[inline(always)]
    fn products_of_diagonals(&self, out: &mut [T]) {
        let f = self.forward();
        let (h, start, width) = (f.dims().hidden, self.start, self.width);
        let (v, _) = self.shards[self.own].prepared.of_rank.split(f);
        let v = Mat::new(&v[start..], h, width, f.stride);
        let c = Mat::new(&f.c[start..], h, width, f.stride);
        for (shard, at) in self.sources() {
            let (f, out) = (&shard.forward, &mut out[at..]);
            let n = f.stride;
            let (_, sum) = shard.prepared.of_rank.split(f);
            let (c_m, sum) = (Mat::new(&f.c, h, n, n).t(), Mat::new(sum, h, n, n).t());
            matmul(out, width, Write::Replace, T::one(), c_m, v);
            matmul(out, width, Write::Add, T::one(), sum, c);
        }
    }
}

impl<T: Number> Gram<T> {
    /// The part of a tile of pairs in ‖H11‖², M̃ and the weights of x̄. Begins with G² in `products`.
    #[inline(always)]
    pub(super) fn hidden_tile_by_rank(&mut self, tile: Tile<T>, out: &mut Contraction<T>) {
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let f = tile.forward();
        let (n, h, rank) = (f.stride, f.dims().hidden, f.rank);
        let squares = &self.products[..size];
        let x = fit(&mut self.second, size);
        let y = fit(&mut self.third, size);
        let gradient = tile.want != Want::Moments;
        let with_inputs = tile.want == Want::InputGradient;
        if with_inputs {
            tile.products_of_diagonals(fit(&mut self.fourth, size));
        }
        for k in 0..rank {
            let mut write = Write::Replace;
            for l in 0..rank {
                tile.products_of_rows(x, [k, l], |f| &f.u_basis);
                if !gradient || with_inputs {
                    tile.products_of_rows(y, [k, l], |f| &f.q_basis);
                }
                if with_inputs {
                    add_product(&mut self.fourth[..size], x, y);
                }
                for (x, &square) in x.iter_mut().zip(squares) {
                    *x *= square;
                }
                if !gradient {
                    out.hidden_norm += dot(x, y);
                    continue;
                }
                let to = &mut out.um[k * n + start..];
                for (shard, at) in tile.sources() {
                    let count = shard.forward.stride;
                    let q = &shard.forward.q_basis[l * count..];
                    let q = Mat::new(q, h, count, rank * count);
                    let weights = Mat::new(&x[at..], count, width, width);
                    matmul(to, rank * n, write, T::one(), q, weights);
                    write = Write::Add;
                }
            }
        }
        if !gradient {
            tile.products_of_diagonals(y);
            out.hidden_norm += dot(y, squares);
            return;
        }
        let with_c =
            |shard: &Shared<T>| -> usize { shard.forward.dims().hidden * shard.forward.stride };
        tile.weigh(
            &mut out.m_diagonal[start..],
            n,
            Write::Replace,
            h,
            |shard| &shard.prepared.of_rank.values[with_c(shard)..],
            squares,
        );
        let c_bar = fit(&mut self.values, h * width);
        tile.weigh(
            c_bar,
            width,
            Write::Replace,
            h,
            |shard| &shard.forward.c,
            squares,
        );
        for j in 0..h {
            let c_bar = row(c_bar, width, j);
            for jk in j * rank..(j + 1) * rank {
                let u = part(&f.u_basis, n, jk, start, width);
                let um = part_mut(&mut out.um, n, jk, start, width);
                add_product(um, u, c_bar);
                out.hidden_norm += dot(um, part(&f.q_basis, n, jk, start, width));
            }
            let diagonal = part(&out.m_diagonal, n, j, start, width);
            out.hidden_norm += dot(diagonal, part(&f.c, n, j, start, width));
        }
        if with_inputs {
            let weights = &mut self.input_weights[..size];
            add_product(weights, &self.fourth[..size], &self.inner[..size]);
        }
    }
}
