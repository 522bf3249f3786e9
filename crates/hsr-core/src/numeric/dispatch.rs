//! Running a verb with the widest vector instructions of the machine.

use pulp::Simd;

/// Work whose whole call tree is `#[inline(always)]`, so that it is compiled once for every instruction set. (A plain
/// closure would do but for its call shim, which is not inlined and falls back to the baseline.)
pub(crate) trait Verb {
    type Output;
    /// `simd` is the instruction set that the machine was found to have.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs a verb with the instruction set found at run time.
pub(crate) fn vectorized<V: Verb>(verb: V) -> V::Output {
    struct Vectorized<V>(V);
    impl<V: Verb> pulp::WithSimd for Vectorized<V> {
        type Output = V::Output;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> V::Output {
            self.0.run(simd)
        }
    }
    pulp::Arch::new().dispatch(Vectorized(verb))
}
