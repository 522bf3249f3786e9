//! What the pairs of samples leave for H21, from F̃ = Σ_m G R_m and R̃ = Σ_m G (F_m + R_m): a pass over networks of any
//! size.

use pulp::Simd;

use crate::numeric::number::Number;
use crate::numeric::vectors::{Unit, Vector};
use crate::two_layer::contraction::Contraction;
use crate::two_layer::kernels::{RUN, runs};
use crate::two_layer::samples::Forward;

/// A tile of samples, for which arrays have rows (j, k) of its width.
#[derive(Clone, Copy)]
pub(crate) struct Coupling<'a, T, S> {
    pub unit: Unit<T, S>,
    pub f: &'a Forward<T>,
    pub start: usize,
    pub width: usize,
}

impl<T: Number, S: Simd> Coupling<'_, T, S> {
    /// F + R with F = Q ∘ aᵀ, and R = r d1ᵀ.
    #[inline(always)]
    pub fn form(self, sum: &mut [T], r: &mut [T]) {
        let (long, short) = runs::<T, S>(0..self.width);
        for j in 0..self.f.dims().hidden {
            for at in long.clone() {
                self.form_run::<RUN>(j, at, sum, r);
            }
            for at in short.clone() {
                self.form_run::<1>(j, at, sum, r);
            }
        }
    }

    /// Σ 2⟨F_n, F̃_n⟩ + ⟨R_n, F̃_n⟩.
    #[inline(always)]
    pub fn norm(self, f_bar: &[T]) -> T {
        let mut norm = self.unit.splat(T::zero());
        let (long, short) = runs::<T, S>(0..self.width);
        for j in 0..self.f.dims().hidden {
            for at in long.clone() {
                self.norm_run::<RUN>(j, at, f_bar, &mut norm);
            }
            for at in short.clone() {
                self.norm_run::<1>(j, at, f_bar, &mut norm);
            }
        }
        self.unit.total(norm)
    }

    /// Adds to `out` what F̃ and R̃ leave for ā, Q̃ and R, whose rank is one. Q̃ holds Σ_m Gα Q_m; its share
    /// Σ ⟨Q_n, Q̃_n⟩ in the norm is added before F̃ ∘ aᵀ is.
    #[inline(always)]
    pub fn contract(self, bars: [&[T]; 2], out: &mut Contraction<T>) {
        let mut norm = self.unit.splat(T::zero());
        let (long, short) = runs::<T, S>(0..self.width);
        for j in 0..self.f.dims().hidden {
            for at in long.clone() {
                self.contract_run::<RUN>(j, at, bars, out, &mut norm);
            }
            for at in short.clone() {
                self.contract_run::<1>(j, at, bars, out, &mut norm);
            }
        }
        out.cross_norm += self.unit.total(norm);
    }

    #[inline(always)]
    fn form_run<const V: usize>(self, j: usize, at: usize, sum: &mut [T], r: &mut [T]) {
        let Self { unit, f, .. } = self;
        let (n, outputs, from) = (f.stride, f.rank, self.start + at);
        let a = unit.load_run::<V>(&f.a, j * n + from);
        let d1 = unit.load_run::<V>(&f.d1, j * n + from);
        for k in 0..outputs {
            let jk = j * outputs + k;
            let mut of_r = unit.load_run::<V>(&f.r_basis, k * n + from);
            let mut of_sum = unit.load_run::<V>(&f.q_basis, jk * n + from);
            for v in 0..V {
                of_r[v] = unit.times(of_r[v], d1[v]);
                of_sum[v] = unit.times_plus(of_sum[v], a[v], of_r[v]);
            }
            unit.store_run(&of_r, r, jk * self.width + at);
            unit.store_run(&of_sum, sum, jk * self.width + at);
        }
    }

    #[inline(always)]
    fn norm_run<const V: usize>(self, j: usize, at: usize, f_bar: &[T], norm: &mut Vector<T, S>) {
        let Self { unit, f, .. } = self;
        let (n, outputs, from) = (f.stride, f.rank, self.start + at);
        let mut twice_a = unit.load_run::<V>(&f.a, j * n + from);
        for a in &mut twice_a {
            *a = unit.plus(*a, *a);
        }
        let d1 = unit.load_run::<V>(&f.d1, j * n + from);
        for k in 0..outputs {
            let jk = j * outputs + k;
            let q = unit.load_run::<V>(&f.q_basis, jk * n + from);
            let r = unit.load_run::<V>(&f.r_basis, k * n + from);
            let f_bar = unit.load_run::<V>(f_bar, jk * self.width + at);
            for v in 0..V {
                let of_r = unit.times(r[v], d1[v]);
                let b = unit.times_plus(q[v], twice_a[v], of_r);
                unit.add_to(norm, b, f_bar[v]);
            }
        }
    }

    #[inline(always)]
    fn contract_run<const V: usize>(
        self,
        j: usize,
        at: usize,
        [f_bar, r_bar]: [&[T]; 2],
        out: &mut Contraction<T>,
        norm: &mut Vector<T, S>,
    ) {
        let Self { unit, f, .. } = self;
        let (n, outputs, from) = (f.stride, f.rank, self.start + at);
        let a = unit.load_run::<V>(&f.a, j * n + from);
        let d1 = unit.load_run::<V>(&f.d1, j * n + from);
        let mut hidden = unit.load_run::<V>(&out.hidden, j * n + from);
        let mut r_r = unit.load_run::<V>(&out.r_r, j * n + from);
        for k in 0..outputs {
            let jk = j * outputs + k;
            let f_bar = unit.load_run::<V>(f_bar, jk * self.width + at);
            let r_bar = unit.load_run::<V>(r_bar, jk * self.width + at);
            let q = unit.load_run::<V>(&f.q_basis, jk * n + from);
            let r = unit.load_run::<V>(&f.r_basis, k * n + from);
            let mut q_bar = unit.load_run::<V>(&out.q, jk * n + from);
            let mut r_d1 = unit.load_run::<V>(&out.r_d1, k * n + from);
            for v in 0..V {
                unit.add_to(norm, q[v], q_bar[v]);
                unit.add_to(&mut q_bar[v], f_bar[v], a[v]);
                unit.add_to(&mut hidden[v], f_bar[v], q[v]);
                unit.add_to(&mut r_r[v], r_bar[v], r[v]);
                unit.add_to(&mut r_d1[v], r_bar[v], d1[v]);
            }
            unit.store_run(&q_bar, &mut out.q, jk * n + from);
            unit.store_run(&r_d1, &mut out.r_d1, k * n + from);
        }
        unit.store_run(&hidden, &mut out.hidden, j * n + from);
        unit.store_run(&r_r, &mut out.r_r, j * n + from);
    }
}
