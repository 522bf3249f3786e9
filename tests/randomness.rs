//! Dropout and other random numbers in what compares passes: the same in all passes of a step, others in the next, and
//! those of an uninterrupted run in a resumed one. Burn's generator is one for the whole process, so each test waits for
//! its turn.

use std::cell::{Cell, RefCell};
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Distribution, Tensor};
use burn_sharpness::landscape::{Line, Plane};
use burn_sharpness::measures::WorstCaseConfig;
use burn_sharpness::penalty::{
    Difference, GradientNormConfig, HutchinsonTraceConfig, PenaltyRecord,
};
use burn_sharpness::sam::{SamGradientRecord, SamRecord};
use burn_sharpness::{FiniteDifferenceHessian, SamConfig, SharpnessError, SymmetricOperator};
use hsr_tests::mlp::noise;
use hsr_tests::{backends, relative_error, tensor, values};

const F64: DType = DType::F64;
const SIZE: usize = 24;

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Σ mᵢ sin θᵢ with a dropout mask m, of 0 and 2: gradient m cos θ, Hessian −diag(m sin θ), its trace's gradient
/// −m cos θ. So every result shows its mask.
#[derive(Module, Debug)]
struct Waves {
    theta: Param<Tensor<1>>,
    dropout: Dropout,
}

impl Waves {
    fn new(device: &Device, dtype: DType) -> Self {
        let theta: Vec<f64> = noise(SIZE, 3).iter().map(|v| 0.2 + 0.5 * v).collect();
        Self {
            theta: Param::from_tensor(tensor(&theta, [SIZE], device, dtype)),
            dropout: DropoutConfig::new(0.5).init(),
        }
    }

    fn flex() -> Self {
        Self::new(&Device::flex().autodiff(), F64)
    }

    fn loss(&self) -> Tensor<1> {
        self.dropout.forward(self.theta.val().sin()).sum()
    }

    fn gradients(&self) -> GradientsParams {
        GradientsParams::from_grads(self.loss().backward(), self)
    }

    fn theta(&self) -> Vec<f64> {
        values(self.theta.val())
    }

    fn of(&self, gradients: &GradientsParams) -> Vec<f64> {
        values(gradients.get::<1>(self.theta.id).expect("a gradient"))
    }

    /// The mask in factor·m cos θ, which must be 0 or 2.
    fn mask(&self, vector: &[f64], factor: f64, allowed: f64) -> Vec<f64> {
        let pairs = vector.iter().zip(self.theta());
        let mask: Vec<f64> = pairs.map(|(v, t)| v / (factor * t.cos())).collect();
        let rounded: Vec<f64> = mask.iter().map(|m| (m / 2.0).round() * 2.0).collect();
        let error = relative_error(&mask, &rounded, 1.0);
        assert!(error < allowed, "no mask: {mask:?}");
        assert!(rounded.iter().all(|&m| m == 0.0 || m == 2.0), "{mask:?}");
        assert!(rounded.contains(&0.0) && rounded.contains(&2.0), "{mask:?}");
        rounded
    }
}

#[test]
fn the_trace_and_its_gradient_are_those_of_one_mask_a_step() {
    let _turn = turn();
    for (backend, device, dtypes) in backends() {
        for dtype in dtypes {
            let model = Waves::new(&device.clone().autodiff(), dtype);
            let allowed = if dtype == F64 { 1e-5 } else { 3e-2 };
            let config = HutchinsonTraceConfig::new().with_probes(2).with_seed(4);
            let step = |penalty: &mut burn_sharpness::penalty::HutchinsonTrace| {
                let found = penalty.gradient(&model, Waves::loss, &model.gradients());
                let found = found.unwrap();
                let mask = model.mask(&model.of(&found.gradients), -1.0, allowed);
                let pairs = mask.iter().zip(model.theta());
                let trace: f64 = pairs.map(|(m, t)| -m * t.sin()).sum();
                let value = values(found.value)[0];
                assert!(
                    (value - trace).abs() < 10.0 * allowed,
                    "{backend}: {value} {trace}"
                );
                mask
            };
            let mut penalty = config.init().unwrap();
            let masks = [step(&mut penalty), step(&mut penalty), step(&mut penalty)];
            assert!(masks[0] != masks[1] && masks[1] != masks[2], "{backend}");
            let mut resumed = config
                .init()
                .unwrap()
                .load_record(PenaltyRecord { steps: 2 });
            assert_eq!(step(&mut resumed), masks[2], "{backend}");
            let mut other = config.clone().with_seed(5).init().unwrap();
            assert_ne!(step(&mut other), masks[0], "{backend}");
        }
    }
}

#[test]
fn the_gradient_of_the_gradient_norm_is_that_of_one_mask_a_step() {
    let _turn = turn();
    let model = Waves::flex();
    for difference in [Difference::Central, Difference::Forward] {
        let config = GradientNormConfig::new().with_difference(difference);
        let step = |penalty: &mut burn_sharpness::penalty::GradientNorm| {
            let gradients = model.gradients();
            let direction = model.of(&gradients);
            let norm = direction.iter().map(|g| g * g).sum::<f64>().sqrt();
            let found = penalty.gradient(&model, Waves::loss, &gradients).unwrap();
            // −m sin θ ∘ ĝ, where the direction's mask is that of the given gradients.
            let product = model.of(&found.gradients);
            let mask: Vec<f64> = (0..SIZE)
                .map(|i| -product[i] * norm / (model.theta()[i].sin() * direction[i]))
                .collect();
            let given: Vec<usize> = (0..SIZE).filter(|&i| direction[i] != 0.0).collect();
            for &i in &given {
                let distance = mask[i].abs().min((mask[i] - 2.0).abs());
                assert!(distance < 1e-4, "{difference:?}: no mask: {}", mask[i]);
            }
        };
        let mut penalty = config.init().unwrap();
        for _ in 0..4 {
            step(&mut penalty);
        }
        assert_eq!(penalty.steps(), 4);
    }
}

#[test]
fn a_dropout_that_is_switched_on_during_training_is_seen() {
    let _turn = turn();
    let model = Waves::flex();
    let frozen = Waves {
        dropout: model.dropout.clone().freeze(),
        ..model.clone()
    };
    let calls = Cell::new(0);
    let loss = |model: &Waves| {
        calls.set(calls.get() + 1);
        model.loss()
    };
    let mut penalty = HutchinsonTraceConfig::new().init().unwrap();
    // Nothing random: one pass of its own at the first step, then two a probe.
    for expected in [3, 2, 2] {
        calls.set(0);
        penalty
            .gradient(&frozen, loss, &frozen.gradients())
            .unwrap();
        assert_eq!(calls.get(), expected);
    }
    // Random: two more at the step that sees it, then one.
    for expected in [5, 3, 3] {
        calls.set(0);
        let found = penalty.gradient(&model, loss, &model.gradients()).unwrap();
        assert_eq!(calls.get(), expected);
        model.mask(&model.of(&found.gradients), -1.0, 1e-5);
    }
}

#[test]
fn both_passes_of_sam_draw_the_same_mask_and_the_next_step_another() {
    let _turn = turn();
    for config in [SamConfig::new(), SamConfig::asam()] {
        let run = |steps: usize, sam: &mut burn_sharpness::Sam| {
            let drawn = RefCell::new(Vec::new());
            let mut model = Waves::flex();
            for _ in 0..steps {
                let step = sam.step(0.0, model, |model: &Waves| {
                    let gradients = model.gradients();
                    drawn
                        .borrow_mut()
                        .push(model.mask(&model.of(&gradients), 1.0, 1e-12));
                    ((), gradients)
                });
                model = step.unwrap().module;
            }
            drawn.into_inner()
        };
        let mut sam = config.init(SgdConfig::new().init()).unwrap();
        // The first step sees whether the pass at θ repeats itself: with the same mask too.
        let mut masks = run(3, &mut sam);
        assert_eq!(masks.len(), 7);
        assert_eq!(masks[0], masks[1]);
        masks.remove(0);
        for step in 0..3 {
            assert_eq!(masks[2 * step], masks[2 * step + 1], "step {step}");
        }
        assert!(masks[0] != masks[2] && masks[2] != masks[4]);
        assert_eq!(sam.steps(), 3);
        let record = SamRecord {
            gradient: SamGradientRecord {
                steps: 2,
                ..SamGradientRecord::default()
            },
            optimizer: sam.optimizer().to_record(),
        };
        let mut resumed = config
            .init(SgdConfig::new().init())
            .unwrap()
            .load_record(record);
        assert_eq!(run(1, &mut resumed)[1..], masks[4..]);
    }
}

#[test]
fn sam_with_radius_zero_leaves_the_generator_alone() {
    let _turn = turn();
    let device = Device::flex();
    let drawn = |sam: &mut Option<burn_sharpness::Sam>| {
        device.seed(11);
        let model = Waves::flex();
        if let Some(sam) = sam {
            let step = sam.step(0.0, model, |model: &Waves| ((), model.gradients()));
            drop(step.unwrap());
        } else {
            model.gradients();
        }
        values(Tensor::<1>::random([4], Distribution::Default, &device))
    };
    let none = SamConfig::new().with_rho(0.0);
    let mut sam = Some(none.init(SgdConfig::new().init()).unwrap());
    assert_eq!(drawn(&mut sam), drawn(&mut None));
}

#[test]
fn a_hessian_has_one_mask_in_all_its_products() {
    let _turn = turn();
    let model = Waves::flex();
    let diagonal = |seed: u64| {
        let mut hessian = FiniteDifferenceHessian::new(&model, Waves::loss)
            .unwrap()
            .with_seed(seed);
        let mut diagonals = Vec::new();
        for _ in 0..2 {
            let mut product = vec![0.0; SIZE];
            // Other draws between products change nothing.
            model.loss();
            hessian.apply(&[1.0; SIZE], &mut product).unwrap();
            let pairs = product.iter().zip(model.theta());
            let cosines: Vec<f64> = pairs.map(|(p, t)| -p / t.sin() * t.cos()).collect();
            diagonals.push(model.mask(&cosines, 1.0, 1e-6));
        }
        assert_eq!(diagonals[0], diagonals[1]);
        diagonals.remove(0)
    };
    assert_eq!(diagonal(0), diagonal(0));
    assert_ne!(diagonal(0), diagonal(1));
}

#[test]
fn landscapes_and_worst_cases_draw_the_same_numbers_at_every_point() {
    let _turn = turn();
    let model = Waves::flex();
    let drawn = RefCell::new(Vec::new());
    let loss = |model: &Waves, (): ()| {
        let device = model.theta.val().device();
        let number = Tensor::<1>::random([1], Distribution::Default, &device);
        drawn.borrow_mut().push(values(number));
        (model.loss(), 1.0)
    };
    let same = |points: usize| {
        let drawn = drawn.take();
        assert!(drawn.len() >= points, "{} points", drawn.len());
        assert!(drawn.iter().all(|number| *number == drawn[0]));
    };
    let batches = || [Ok::<_, SharpnessError>(())];
    let proceed = |_| core::ops::ControlFlow::Continue(());
    let directions = [vec![1.0; SIZE], noise(SIZE, 4)];
    let plane = Plane::new(directions).unwrap().with_points(3).unwrap();
    plane.of_module(&model, batches, loss, proceed).unwrap();
    same(9);
    let line = Line::default().with_points(4).unwrap();
    line.of_modules([&model, &model], batches, loss, proceed)
        .unwrap();
    same(6);
    let worst = WorstCaseConfig {
        steps: 3,
        ..WorstCaseConfig::default()
    };
    let worst = worst.init().unwrap();
    worst.of_module(&model, batches, loss).unwrap();
    same(4);
}

#[test]
fn a_loss_that_is_another_function_at_every_call_is_refused() {
    let _turn = turn();
    let model = Waves::flex();
    let count = Cell::new(0.0);
    // What a closure that takes the next batch at every call does.
    let loss = |model: &Waves| {
        count.set(count.get() + 1.0);
        (model.theta.val() * count.get()).sin().sum()
    };
    let expected = "the closure must compute the same loss at every call of a step, on the same data and with no random \
                    numbers but the device's";
    let refused = |error: SharpnessError| {
        assert!(
            matches!(error, SharpnessError::NotRepeatable { .. }),
            "{error}"
        );
        let message = error.to_string();
        assert!(message.ends_with(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    };
    let mut hessian = FiniteDifferenceHessian::new(&model, loss).unwrap();
    refused(hessian.apply(&[1.0; SIZE], &mut [0.0; SIZE]).unwrap_err());
    let gradients = model.gradients();
    for difference in [Difference::Central, Difference::Forward] {
        let penalty = GradientNormConfig::new().with_difference(difference);
        let mut penalty = penalty.init().unwrap();
        refused(penalty.gradient(&model, loss, &gradients).unwrap_err());
    }
    let mut trace = HutchinsonTraceConfig::new().init().unwrap();
    refused(trace.gradient(&model, loss, &gradients).unwrap_err());
    for sam in [SamConfig::new(), SamConfig::asam()] {
        let pass = |model: &Waves| {
            let gradients = GradientsParams::from_grads(loss(model).backward(), model);
            ((), gradients)
        };
        let mut sam = sam.init(SgdConfig::new().init()).unwrap();
        refused(sam.step(0.1, model.clone(), pass).unwrap_err());
    }
}
