//! Seeded random vectors.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::algebra::wide;

/// ChaCha8, whose output is the same on every platform; a stream for each step, so that a resumed run goes on with the
/// same numbers.
pub fn generator(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

/// Random signs, +1 or −1 with probability ½ each, times `length`, for every trained parameter that is kept. At least in
/// single precision. Drawn on the host, so that every device gets the same ones.
pub fn signs<M: Module>(
    module: &M,
    length: f64,
    generator: &mut impl Rng,
    keep: impl Fn(ParamId) -> bool,
) -> GradientsParams {
    struct Draw<'a, R, K> {
        generator: &'a mut R,
        length: f64,
        keep: K,
        out: GradientsParams,
    }
    impl<R: Rng, K: Fn(ParamId) -> bool> ModuleVisitor for Draw<'_, R, K> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !param.is_require_grad() || !(self.keep)(param.id) {
                return;
            }
            let value = param.val().inner();
            let dtype = match value.dtype() {
                DType::F64 => DType::F64,
                _ => DType::F32,
            };
            let at: (&Device, DType) = (&value.device(), dtype);
            let signs = random_signs(value.shape().num_elements(), self.generator);
            let signs = Tensor::<D>::from_data(TensorData::new(signs, value.shape()), at);
            self.out.register(param.id, wide(signs) * self.length);
        }
    }
    let mut draw = Draw {
        generator,
        length,
        keep,
        out: GradientsParams::new(),
    };
    module.visit(&mut draw);
    draw.out
}

/// 64 signs a word.
fn random_signs(count: usize, generator: &mut impl Rng) -> Vec<f32> {
    let mut signs = Vec::with_capacity(count);
    while signs.len() < count {
        let word = generator.next_u64();
        let left = count - signs.len();
        let of_word = (0..64).map(|bit| if word >> bit & 1 == 0 { -1.0 } else { 1.0 });
        signs.extend(of_word.take(left));
    }
    signs
}
