//! Running a verb with the widest vector instructions of the machine.

/// Work whose whole call tree is `#[inline(always)]`, so that it is compiled once for every instruction set. (A plain
/// closure would do but for its call shim, which is not inlined and falls back to the baseline.)
pub(crate) trait Verb {
    type Output;
    fn run(self) -> Self::Output;
}

/// Runs a verb with the instruction set found at run time.
pub(crate) fn vectorized<V: Verb>(verb: V) -> V::Output {
    struct Vectorized<V>(V);
    impl<V: Verb> pulp::WithSimd for Vectorized<V> {
        type Output = V::Output;

        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> V::Output {
            self.0.run()
        }
    }
    pulp::Arch::new().dispatch(Vectorized(verb))
}
