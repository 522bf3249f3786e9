//! Elementwise work on feature-major arrays, compiled for every instruction set.
//!
//! An array has one row of `n` samples a component. A matrix of components by seeds has row i·seeds + j: that is the
//! Jacobian's entry for component i and seed j, so that the whole array is also a matrix of components × (seeds·n) whose
//! product with a weight is one plain product.

use crate::numeric::number::Number;

/// Functions whose body is compiled once for every instruction set. The body is a function of its own, so that the
/// compiler knows that its slices do not overlap.
macro_rules! kernels {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)] // A kernel has as many as it has rows.
        pub(in crate::depth) fn $name<'k, T: Number>($($arg: $type),*) {
            struct Kernel<'k, T> {
                $($arg: $type,)*
                lifetime: core::marker::PhantomData<&'k T>,
            }
            impl<'k, T: Number> crate::numeric::dispatch::Verb for Kernel<'k, T> {
                type Output = ();

                #[inline(always)]
                fn run<S: pulp::Simd>(self, _: S) {
                    #[inline(always)]
                    #[allow(clippy::needless_range_loop, clippy::too_many_arguments)] // Several rows at one index.
                    fn body<'k, T: Number>($($arg: $type),*) $body
                    body::<T>($(self.$arg),*);
                }
            }
            crate::numeric::dispatch::vectorized(Kernel::<T> { $($arg,)* lifetime: core::marker::PhantomData });
        }
    )*};
}
pub(in crate::depth) use kernels;

kernels! {
    /// out = a∘b.
    fn product(out: &'k mut [T], a: &'k [T], b: &'k [T]) {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = a * b;
        }
    }

    /// out += a∘b.
    fn add_product(out: &'k mut [T], a: &'k [T], b: &'k [T]) {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out += a * b;
        }
    }

    /// out += a∘b∘c.
    fn add_product_of_three(out: &'k mut [T], a: &'k [T], b: &'k [T], c: &'k [T]) {
        for (((out, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
            *out += a * b * c;
        }
    }

    /// out += a.
    fn add(out: &'k mut [T], a: &'k [T]) {
        for (out, &a) in out.iter_mut().zip(a) {
            *out += a;
        }
    }

    /// out += factor·a.
    fn add_scaled(out: &'k mut [T], factor: T, a: &'k [T]) {
        for (out, &a) in out.iter_mut().zip(a) {
            *out += factor * a;
        }
    }

    /// out *= factor.
    fn scale(out: &'k mut [T], factor: T) {
        for out in out {
            *out *= factor;
        }
    }

    /// out\[i,j\] = d\[i\]∘x\[i,j\].
    fn scale_components(out: &'k mut [T], d: &'k [T], x: &'k [T], n: usize) {
        let seeds = x.len() / d.len();
        for (i, d) in d.chunks_exact(n).enumerate() {
            for j in i * seeds..(i + 1) * seeds {
                let (out, x) = (&mut out[j * n..][..n], &x[j * n..][..n]);
                for s in 0..n {
                    out[s] = d[s] * x[s];
                }
            }
        }
    }

    /// out\[i,j\] = d\[i\]∘x\[i,j\] + c\[i\]∘y\[i,j\].
    fn combine_components(
        out: &'k mut [T],
        d: &'k [T],
        x: &'k [T],
        c: &'k [T],
        y: &'k [T],
        n: usize,
    ) {
        let seeds = x.len() / d.len();
        for (i, (d, c)) in d.chunks_exact(n).zip(c.chunks_exact(n)).enumerate() {
            for j in i * seeds..(i + 1) * seeds {
                let (x, y) = (&x[j * n..][..n], &y[j * n..][..n]);
                let out = &mut out[j * n..][..n];
                for s in 0..n {
                    out[s] = d[s] * x[s] + c[s] * y[s];
                }
            }
        }
    }

    /// out\[i,j\] = d\[i\]∘x\[i,j\] and, in the same pass over x, sums\[i\] += Σ_j x\[i,j\]∘y\[i,j\].
    fn scale_components_and_sum(
        out: &'k mut [T],
        sums: &'k mut [T],
        d: &'k [T],
        x: &'k [T],
        y: &'k [T],
        n: usize,
    ) {
        let seeds = x.len() / d.len();
        for (i, (d, sums)) in d.chunks_exact(n).zip(sums.chunks_exact_mut(n)).enumerate() {
            for j in i * seeds..(i + 1) * seeds {
                let (x, y) = (&x[j * n..][..n], &y[j * n..][..n]);
                let out = &mut out[j * n..][..n];
                for s in 0..n {
                    out[s] = d[s] * x[s];
                    sums[s] += x[s] * y[s];
                }
            }
        }
    }

    /// out\[i,j\] = d\[i\]∘x\[i,j\] + c\[i\]∘y\[i,j\], and sums\[i\] += Σ_j x\[i,j\]∘z\[i,j\], others\[i\] += Σ_j y\[i,j\]∘z\[i,j\].
    fn combine_components_and_sum(
        out: &'k mut [T],
        sums: &'k mut [T],
        others: &'k mut [T],
        d: &'k [T],
        x: &'k [T],
        c: &'k [T],
        y: &'k [T],
        z: &'k [T],
        n: usize,
    ) {
        let seeds = x.len() / d.len();
        let sums = sums.chunks_exact_mut(n).zip(others.chunks_exact_mut(n));
        let factors = d.chunks_exact(n).zip(c.chunks_exact(n));
        for (i, ((d, c), (sums, others))) in factors.zip(sums).enumerate() {
            for j in i * seeds..(i + 1) * seeds {
                let (x, y, z) = (&x[j * n..][..n], &y[j * n..][..n], &z[j * n..][..n]);
                let out = &mut out[j * n..][..n];
                for s in 0..n {
                    out[s] = d[s] * x[s] + c[s] * y[s];
                    sums[s] += x[s] * z[s];
                    others[s] += y[s] * z[s];
                }
            }
        }
    }

    /// out\[i\] += Σ_j x\[i,j\]∘y\[i,j\].
    fn add_inner_products(out: &'k mut [T], x: &'k [T], y: &'k [T], n: usize) {
        let seeds = x.len() / out.len();
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            for j in i * seeds..(i + 1) * seeds {
                let (x, y) = (&x[j * n..][..n], &y[j * n..][..n]);
                for s in 0..n {
                    out[s] += x[s] * y[s];
                }
            }
        }
    }

    /// out\[j\] += Σ_i x\[i,j\]∘y\[i,j\].
    fn add_inner_products_of_seeds(out: &'k mut [T], x: &'k [T], y: &'k [T], n: usize) {
        let seeds = out.len() / n;
        for (row, (x, y)) in x.chunks_exact(n).zip(y.chunks_exact(n)).enumerate() {
            let out = &mut out[row % seeds * n..][..n];
            for s in 0..n {
                out[s] += x[s] * y[s];
            }
        }
    }

    /// out\[i\] += Σ_j x\[i,j\]∘d\[j\] for as many i as `out` has.
    fn add_contracted_seeds(out: &'k mut [T], x: &'k [T], d: &'k [T], n: usize) {
        for (out, x) in out.chunks_exact_mut(n).zip(x.chunks_exact(d.len())) {
            for (x, d) in x.chunks_exact(n).zip(d.chunks_exact(n)) {
                for s in 0..n {
                    out[s] += x[s] * d[s];
                }
            }
        }
    }

    /// out\[j\] += Σ_i x\[i,j\]∘d\[i\].
    fn add_contracted_components(out: &'k mut [T], x: &'k [T], d: &'k [T], n: usize) {
        let seeds = out.len() / n;
        for (row, x) in x.chunks_exact(n).enumerate() {
            let out = &mut out[row % seeds * n..][..n];
            let d = &d[row / seeds * n..][..n];
            for s in 0..n {
                out[s] += x[s] * d[s];
            }
        }
    }

    /// out\[i,j\] = x\[i,j\]∘d\[j\].
    fn scale_seeds(out: &'k mut [T], x: &'k [T], d: &'k [T], n: usize) {
        let seeds = d.len() / n;
        for (row, (out, x)) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)).enumerate() {
            let d = &d[row % seeds * n..][..n];
            for s in 0..n {
                out[s] = x[s] * d[s];
            }
        }
    }

    /// out\[i,j\] += x\[i,j\]∘d\[j\].
    fn add_scaled_seeds(out: &'k mut [T], x: &'k [T], d: &'k [T], n: usize) {
        let seeds = d.len() / n;
        for (row, (out, x)) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)).enumerate() {
            let d = &d[row % seeds * n..][..n];
            for s in 0..n {
                out[s] += x[s] * d[s];
            }
        }
    }

    /// out\[i,j\] = a\[i\]∘b\[j\].
    fn outer(out: &'k mut [T], a: &'k [T], b: &'k [T], n: usize) {
        let seeds = b.len() / n;
        for (row, out) in out.chunks_exact_mut(n).enumerate() {
            let (a, b) = (&a[row / seeds * n..][..n], &b[row % seeds * n..][..n]);
            for s in 0..n {
                out[s] = a[s] * b[s];
            }
        }
    }

    /// out\[i,j\] = w\[i,j\]·d\[j\], w one number a row.
    fn weighted_seeds(out: &'k mut [T], w: &'k [T], d: &'k [T], n: usize) {
        let seeds = d.len() / n;
        for (row, (out, &w)) in out.chunks_exact_mut(n).zip(w).enumerate() {
            let d = &d[row % seeds * n..][..n];
            for s in 0..n {
                out[s] = w * d[s];
            }
        }
    }

    /// out\[j\] += Σ_i w\[i,j\]·x\[i,j\], w one number a row.
    fn add_weighted_rows(out: &'k mut [T], w: &'k [T], x: &'k [T], n: usize) {
        let seeds = out.len() / n;
        for (row, (x, &w)) in x.chunks_exact(n).zip(w).enumerate() {
            let out = &mut out[row % seeds * n..][..n];
            for s in 0..n {
                out[s] += w * x[s];
            }
        }
    }

    /// w\[i,j\] += Σ over samples of x\[i,j\]·d\[j\].
    fn add_sums_with_seeds(w: &'k mut [T], x: &'k [T], d: &'k [T], n: usize) {
        let seeds = d.len() / n;
        for (row, (x, w)) in x.chunks_exact(n).zip(w).enumerate() {
            *w += crate::numeric::lanes::dot(x, &d[row % seeds * n..][..n]);
        }
    }

    /// out\[i,i\] += d\[i\], of as many seeds as components.
    fn add_diagonal(out: &'k mut [T], d: &'k [T], n: usize) {
        let seeds = d.len() / n;
        for (i, d) in d.chunks_exact(n).enumerate() {
            let out = &mut out[i * (seeds + 1) * n..][..n];
            for s in 0..n {
                out[s] += d[s];
            }
        }
    }

    /// out\[i\] += x\[i,i\], of as many seeds as components.
    fn add_diagonal_of(out: &'k mut [T], x: &'k [T], n: usize) {
        let seeds = out.len() / n;
        for (i, out) in out.chunks_exact_mut(n).enumerate() {
            let x = &x[i * (seeds + 1) * n..][..n];
            for s in 0..n {
                out[s] += x[s];
            }
        }
    }

    /// out += Σ of the squares of the rows of x.
    fn add_squares(out: &'k mut [T], x: &'k [T], n: usize) {
        for x in x.chunks_exact(n) {
            for s in 0..n {
                out[s] += x[s] * x[s];
            }
        }
    }

    /// The sums of rows: `sums[i] += scale·Σ x[i]`.
    fn add_row_sums(sums: &'k mut [T], scale: T, x: &'k [T], n: usize) {
        for (sum, x) in sums.iter_mut().zip(x.chunks_exact(n)) {
            *sum += scale * crate::numeric::lanes::sum(x);
        }
    }
}

/// Σ a·b over whole arrays of whole rows.
pub(in crate::depth) fn dot<T: Number>(a: &[T], b: &[T]) -> T {
    let mut sum = T::zero();
    write_dot(&mut sum, a, b);
    sum
}

kernels! {
    /// `sum` = Σ a·b.
    fn write_dot(sum: &'k mut T, a: &'k [T], b: &'k [T]) {
        let mut lanes = [T::zero(); 32];
        let (a, a_rest) = a.as_chunks::<32>();
        let (b, b_rest) = b.as_chunks::<32>();
        for (a, b) in a.iter().zip(b) {
            for l in 0..32 {
                lanes[l] += a[l] * b[l];
            }
        }
        let rest: T = a_rest.iter().zip(b_rest).map(|(&a, &b)| a * b).sum();
        *sum = rest + lanes.into_iter().sum::<T>();
    }
}
