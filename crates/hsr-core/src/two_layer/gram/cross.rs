//! H21 by pairs of samples.

use pulp::Simd;

use crate::numeric::buffer::{fit, zeros};
use crate::numeric::lanes::{add_product, part, row_mut, whole_registers};
use crate::numeric::matmul::matmul;
use crate::numeric::matrix::{Mat, Write};
use crate::numeric::number::Number;
use crate::numeric::vectors::Unit;
use crate::two_layer::assembled::form_r;
use crate::two_layer::contraction::{Contraction, Want};
use crate::two_layer::gram::scratch::{Gram, PAIRS};
use crate::two_layer::gram::tile::{Tile, all, tile, weighted_sum};
use crate::two_layer::kernels::coupling::Coupling;
use crate::two_layer::prepared::Prepared;
use crate::two_layer::samples::Forward;

impl<T: Number> Gram<T> {
    /// Prepares the terms of ⟨B_n, B_m⟩ with R: F + R and R whole, or Σ (F + R) x̃ᵀ and Σ R x̃ᵀ.
    #[inline(always)]
    pub(super) fn couple<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        f: &Forward<T>,
        project: bool,
        out: &mut Prepared<T>,
    ) {
        let dims = f.dims();
        let n = f.stride;
        let (hk, d) = (dims.hidden * f.rank, dims.inputs_extended());
        if !project {
            let (sum, r) = fit(&mut out.coupled, 2 * hk * n).split_at_mut(hk * n);
            Coupling {
                unit,
                f,
                start: 0,
                width: n,
            }
            .form(sum, r);
            return;
        }
        let projected = zeros(&mut out.coupled, 2 * hk * d);
        let width = whole_registers::<T>(PAIRS / hk).min(n);
        for start in (0..n).step_by(width) {
            let width = width.min(n - start);
            let x = tile(&f.x, d, n, start, width).t();
            let values = fit(&mut self.values, 2 * hk * width);
            let (sum, r) = values.split_at_mut(hk * width);
            Coupling {
                unit,
                f,
                start,
                width,
            }
            .form(sum, r);
            let values = Mat::new(values, 2 * hk, width, width);
            matmul(projected, d, Write::Add, T::one(), values, x);
        }
    }

    #[inline(always)]
    pub(super) fn cross_tile<S: Simd>(
        &mut self,
        unit: Unit<T, S>,
        tile: Tile<T>,
        out: &mut Contraction<T>,
    ) {
        let f = tile.forward();
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let dims = f.dims();
        let (n, h, outputs) = (f.stride, dims.hidden, f.rank);
        let (hk, d) = (h * outputs, dims.inputs_extended());

        // R̃ = Σ_m G (F_m + R_m) and F̃ = Σ_m G R_m.
        let bars = fit(&mut self.bars, 2 * hk * width);
        if tile.pairing.project {
            let x = self::tile(&f.x, d, n, start, width);
            let projected = &tile.shards[0].prepared;
            let coupled = Mat::new(&projected.coupled, 2 * hk, d, d);
            matmul(bars, width, Write::Replace, T::one(), coupled, x);
        } else {
            tile.weigh(
                bars,
                width,
                Write::Replace,
                2 * hk,
                |shard| &shard.prepared.coupled,
                &self.inner[..size],
            );
        }
        let (r_bar, f_bar) = bars.split_at(hk * width);
        let coupling = Coupling {
            unit,
            f,
            start,
            width,
        };
        out.cross_norm += coupling.norm(f_bar);

        let products = fit(&mut self.products, size);
        if tile.want == Want::Moments {
            tile.inner_products(products, hk, |shard| &shard.forward.q_basis);
            out.cross_norm += weighted_sum(products, &self.inner[..size], &self.alpha[..size]);
            return;
        }
        for ((product, &inner), &alpha) in products
            .iter_mut()
            .zip(&self.inner[..size])
            .zip(&self.alpha[..size])
        {
            *product = inner * alpha;
        }
        let to = &mut out.q[start..];
        tile.weigh(
            to,
            n,
            Write::Replace,
            hk,
            |shard| &shard.forward.q_basis,
            products,
        );
        coupling.contract([f_bar, r_bar], out);
        tile.inner_products(products, hk, |shard| &shard.forward.q_basis);
        add_product(&mut self.weights[..size], products, &self.inner[..size]);
        if tile.want == Want::InputGradient {
            let weights = &mut self.input_weights[..size];
            add_product(weights, products, &self.alpha[..size]);
            self.coupled_inputs(tile, out);
        }
    }

    /// The terms of x̄ in which R takes part: Σ_m (⟨F_n, R_m⟩ + ⟨R_n, F_m⟩ + ⟨R_n, R_m⟩) x̃_m.
    #[inline(always)]
    pub(super) fn coupled_inputs(&mut self, tile: Tile<T>, out: &mut Contraction<T>) {
        let f = tile.forward();
        let (start, width, size) = (tile.start, tile.width, tile.size());
        let dims = f.dims();
        let n = f.stride;
        let (hk, d) = (dims.hidden * f.rank, dims.inputs_extended());
        let own = &tile.shards[tile.own].prepared;
        if tile.pairing.project {
            let (sum, r) = tile.shards[0].prepared.coupled.split_at(hk * d);
            let inputs = &mut out.inputs[start..];
            let values = fit(&mut self.values, hk * width);
            form_f(f, start, width, values);
            let r = Mat::new(r, hk, d, d).t();
            let values = Mat::new(values, hk, width, width);
            matmul(inputs, n, Write::Add, T::one(), r, values);
            let values = fit(&mut self.values, hk * width);
            form_r(f, start, width, values);
            let sum = Mat::new(sum, hk, d, d).t();
            let values = Mat::new(values, hk, width, width);
            matmul(inputs, n, Write::Add, T::one(), sum, values);
            return;
        }
        // ⟨R_m, F_n⟩ + ⟨F_m + R_m, R_n⟩ = ⟨R_m, (F + R)_n⟩ + ⟨F_m, R_n⟩, and F = (F + R) − R.
        let products = fit(&mut self.products, size);
        let (sum, r) = own.coupled.split_at(hk * n);
        let r_tile = self::tile(r, hk, n, start, width);
        let sum_tile = self::tile(sum, hk, n, start, width);
        for (shard, at) in tile.sources() {
            let n = shard.forward.stride;
            let to = &mut products[at..];
            let (sum, r) = shard.prepared.coupled.split_at(hk * n);
            let (sum, r) = (all(sum, hk, n).t(), all(r, hk, n).t());
            matmul(to, width, Write::Replace, T::one(), r, sum_tile);
            matmul(to, width, Write::Add, T::one(), sum, r_tile);
            matmul(to, width, Write::Add, -T::one(), r, r_tile);
        }
        for (weight, &product) in self.input_weights[..size].iter_mut().zip(products.iter()) {
            *weight += product;
        }
    }
}

/// F = Q ∘ aᵀ of a tile, rows (j, k).
#[inline(always)]
fn form_f<T: Number>(f: &Forward<T>, start: usize, width: usize, out: &mut [T]) {
    let dims = f.dims();
    let (n, outputs) = (f.stride, f.rank);
    for j in 0..dims.hidden {
        let a = part(&f.a, n, j, start, width);
        for jk in j * outputs..(j + 1) * outputs {
            let q = part(&f.q_basis, n, jk, start, width);
            let out = row_mut(out, width, jk);
            for ((out, &q), &a) in out.iter_mut().zip(q).zip(a) {
                *out = q * a;
            }
        }
    }
}
