//! Memory is planned: what an evaluation takes is what was counted before, limits are kept, and whatever evaluation a
//! limit leads to gives the same numbers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hsr_core::depth::{DeepEvaluation, DeepWorkspace, FeedForward, LayerShape, Objective};
use hsr_core::{
    Activation, Batch, BlockEvaluation, Dimensions, Error, Evaluation, Network, OutputLoss, Plan,
    Quantity, Real, Targets, Workspace,
};

/// The system's allocator, counting bytes that are aligned like scalars or like buffers, to 64. (`gemm` aligns what it packs
/// to 128, and frees it before a product returns.)
struct Counting;

static TAKEN: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

fn take(layout: Layout, bytes: isize) {
    if [4, 8, 64].contains(&layout.align()) {
        let taken = TAKEN.fetch_add(bytes, Ordering::Relaxed) + bytes;
        PEAK.fetch_max(taken, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout, layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout, layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(layout, size as isize - layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        take(layout, -(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The counters are those of the process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most bytes that `work` held at a time beyond those held before.
fn peak<R>(work: impl FnOnce() -> R) -> (usize, R) {
    let before = TAKEN.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    ((PEAK.load(Ordering::Relaxed) - before) as usize, result)
}

/// A network and a batch of any size.
struct Problem<T> {
    dimensions: Dimensions,
    loss: OutputLoss,
    theta: Vec<T>,
    x: Vec<T>,
    targets: Vec<T>,
}

impl<T: Real> Problem<T> {
    fn new([inputs, hidden, outputs, samples]: [usize; 4], loss: OutputLoss, scale: f64) -> Self {
        let wave = |count: usize, pace: f64, scale: f64| {
            (1..=count)
                .map(|i| T::of(scale * (pace * i as f64).sin()))
                .collect::<Vec<T>>()
        };
        let dimensions = Dimensions::new(inputs, hidden, outputs);
        let mut targets = vec![T::zero(); samples * outputs];
        for (n, targets) in targets.chunks_mut(outputs).enumerate() {
            targets[(7 * n) % outputs] = T::one();
        }
        Self {
            dimensions,
            loss,
            theta: wave(dimensions.parameters(), 1.7, scale),
            x: wave(samples * inputs, 0.9, 1.0),
            targets,
        }
    }

    fn samples(&self) -> usize {
        self.x.len() / self.dimensions.inputs
    }

    fn network(&self) -> Network<'_, T> {
        Network::from_flat(self.dimensions, Activation::Tanh, &self.theta).unwrap()
    }

    fn batch(&self) -> Batch<'_, T> {
        Batch::new(self.loss, &self.x, Targets::Values(&self.targets))
    }

    /// λ_sup and ‖H‖², ∂λ_sup/∂θ, ∂λ_sup/∂x, L, ∂L/∂θ and H v.
    fn solve(
        &self,
        workspace: &mut Workspace<T>,
        evaluation: Evaluation,
    ) -> Result<[Vec<f64>; 5], Error> {
        let (network, batch) = (self.network(), self.batch());
        let [mut gradient, mut of_loss, mut again, mut product] =
            [0; 4].map(|_| vec![T::zero(); self.theta.len()]);
        let mut inputs = vec![T::zero(); self.x.len()];
        let (loss, bounds) = workspace.loss_and_bounds_gradient(
            &network,
            &batch,
            evaluation,
            &mut of_loss,
            &mut gradient,
            Some(&mut inputs),
        )?;
        // The same value and gradient where less is wanted.
        let only = workspace.bounds(&network, &batch, evaluation)?;
        workspace.bounds_gradient(&network, &batch, evaluation, &mut again, None)?;
        let share = workspace.gauss_newton_share(&network, &batch, evaluation)?;
        let same_loss = workspace.loss_gradient(&network, &batch, &mut product)?;
        let tolerance = 1e4 * T::epsilon().as_f64();
        assert!(apart(&floats(&again), &floats(&gradient)) < tolerance);
        assert!(apart(&floats(&product), &floats(&of_loss)) < tolerance);
        for (a, b) in [(only.lambda_sup, bounds.lambda_sup), (same_loss, loss)] {
            assert!((a.as_f64() / b.as_f64() - 1.0).abs() < tolerance);
        }
        workspace.hessian_vector_product(&network, &batch, &gradient, &mut product)?;
        let values = [
            bounds.lambda_sup,
            bounds.moments.frobenius_squared,
            bounds.moments.trace,
            loss,
            share,
        ];
        Ok([&values[..], &gradient, &inputs, &of_loss, &product].map(floats))
    }
}

fn floats<T: Real>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.as_f64()).collect()
}

/// The largest difference beside the largest value.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(0.0_f64, |max, v| max.max(v.abs()));
    let difference = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    difference.fold(0.0, f64::max) / largest
}

fn assert_same(ours: &[Vec<f64>; 5], other: &[Vec<f64>; 5], tolerance: f64, name: &str) {
    for (index, (a, b)) in ours.iter().zip(other).enumerate() {
        if index == 0 {
            for (a, b) in a.iter().zip(b) {
                assert!((a / b - 1.0).abs() < tolerance, "{name}: {a} {b}");
            }
        } else {
            let difference = apart(a, b);
            assert!(difference < tolerance, "{name}, {index}: {difference:e}");
        }
    }
}

const SOFTMAX: OutputLoss = OutputLoss::SoftmaxCrossEntropy;

#[test]
fn the_peak_is_what_was_counted() {
    let _alone = alone();
    fn check<T: Real>(sizes: [usize; 4], loss: OutputLoss, threads: usize) {
        let mut evaluations: Vec<_> = Plan::every().map(Evaluation::Blocks).collect();
        evaluations.push(Evaluation::Auto);
        check_some::<T>(sizes, loss, threads, evaluations);
    }
    fn check_some<T: Real>(
        sizes: [usize; 4],
        loss: OutputLoss,
        threads: usize,
        evaluations: Vec<Evaluation>,
    ) {
        let problem = Problem::<T>::new(sizes, loss, 0.7);
        let (network, batch) = (problem.network(), problem.batch());
        let (dims, samples) = (problem.dimensions, problem.samples());
        let mut gradient = vec![T::zero(); problem.theta.len()];
        let mut of_loss = gradient.clone();
        let mut inputs = vec![T::zero(); problem.x.len()];
        let fresh = || Workspace::<T>::new().with_threads(threads.try_into().unwrap());
        let compare = |peak: usize, quantity, evaluation| {
            let counted = fresh().memory(quantity, &dims, loss, samples, evaluation);
            let (counted, peak) = (counted.unwrap() as f64, peak as f64);
            let name = format!(
                "{sizes:?} {loss:?} {threads} threads {} bytes a value, {quantity:?} {evaluation:?}",
                size_of::<T>()
            );
            // What is not a buffer: the lists of shards, the team, Rayon's queue.
            let beside = 16_384.0;
            assert!(peak <= counted + beside, "{name}: {peak} of {counted}");
            assert!(
                counted <= 1.1 * peak + beside,
                "{name}: {peak} of {counted}"
            );
        };
        for evaluation in evaluations {
            if fresh()
                .memory(Quantity::Bounds, &dims, loss, samples, evaluation)
                .is_err()
            {
                continue;
            }
            let (taken, _) = peak(|| {
                let mut workspace = fresh();
                workspace.bounds(&network, &batch, evaluation).unwrap();
                workspace
            });
            compare(taken, Quantity::Bounds, evaluation);
            for with_inputs in [false, true] {
                let (taken, _) = peak(|| {
                    let mut workspace = fresh();
                    workspace
                        .loss_and_bounds_gradient(
                            &network,
                            &batch,
                            evaluation,
                            &mut of_loss,
                            &mut gradient,
                            with_inputs.then_some(&mut inputs[..]),
                        )
                        .unwrap();
                    workspace
                });
                let quantity = if with_inputs {
                    Quantity::BoundsInputGradient
                } else {
                    Quantity::BoundsGradient
                };
                compare(taken, quantity, evaluation);
            }
        }
        let (taken, _) = peak(|| {
            let mut workspace = fresh();
            workspace.loss(&network, &batch).unwrap();
            workspace
        });
        compare(taken, Quantity::Loss, Evaluation::Auto);
        let (taken, _) = peak(|| {
            let mut workspace = fresh();
            workspace
                .loss_gradient(&network, &batch, &mut of_loss)
                .unwrap();
            workspace
        });
        compare(taken, Quantity::LossGradient, Evaluation::Auto);
        let v = of_loss.clone();
        let (taken, _) = peak(|| {
            let mut workspace = fresh();
            workspace
                .hessian_vector_product(&network, &batch, &v, &mut gradient)
                .unwrap();
            workspace
        });
        compare(taken, Quantity::HessianProduct, Evaluation::Auto);
        let (taken, _) = peak(|| {
            let mut workspace = fresh();
            workspace
                .trace_gradient(&network, &batch, &mut gradient, Some(&mut inputs))
                .unwrap();
            workspace
        });
        compare(taken, Quantity::TraceGradient, Evaluation::Auto);
        let (taken, _) = peak(|| {
            let mut workspace = fresh();
            workspace
                .curvature_along_gradient(&network, &batch, &v, &mut gradient, Some(&mut inputs))
                .unwrap();
            workspace
        });
        compare(taken, Quantity::CurvatureAlongGradient, Evaluation::Auto);
    }
    for sizes in [
        [2, 40, 3, 400],
        [30, 20, 10, 300],
        [5, 24, 40, 250],
        [120, 32, 2, 150],
        // M by its rank.
        [3, 700, 2, 40],
    ] {
        check::<f64>(sizes, SOFTMAX, 1);
        check::<f32>(sizes, SOFTMAX, 1);
    }
    check::<f64>([4, 20, 30, 300], OutputLoss::SigmoidCrossEntropy, 1);
    check::<f64>([4, 20, 2, 300], OutputLoss::MeanSquaredError, 1);
    check::<f64>([30, 40, 10, 600], SOFTMAX, 2);
    // M in strips of rows.
    let strips = vec![Evaluation::Gram];
    check_some::<f64>([1, 601, 13, 100], SOFTMAX, 1, strips);
}

#[test]
fn many_outputs_are_the_same_by_pairs_and_by_blocks() {
    let _alone = alone();
    let mut workspace = Workspace::<f64>::single_threaded();
    // At 1, and with softmaxes that are nearly one-hot, where diag p − p pᵀ cancels.
    for (scale, tolerance) in [(0.7, 1e-11), (20.0, 1e-9)] {
        for (sizes, loss) in [
            ([3, 5, 20, 70], SOFTMAX),
            ([2, 6, 33, 41], SOFTMAX),
            ([3, 5, 20, 70], OutputLoss::SigmoidCrossEntropy),
            ([3, 5, 20, 70], OutputLoss::MeanSquaredError),
        ] {
            let problem = Problem::<f64>::new(sizes, loss, scale);
            let mut of = |evaluation| problem.solve(&mut workspace, evaluation).unwrap();
            let (blocks, pairs) = (of(Evaluation::Assembled), of(Evaluation::Gram));
            let name = format!("{sizes:?} {loss:?} {scale}");
            assert_same(&pairs, &blocks, tolerance, &name);
            // The dense Hessian comes entry by entry from the blocks; products with it know no S.
            let size = problem.theta.len();
            let mut hessian = vec![0.0; size * size];
            let (network, batch) = (problem.network(), problem.batch());
            workspace.hessian(&network, &batch, &mut hessian).unwrap();
            let square: f64 = hessian.iter().map(|v| v * v).sum();
            assert!((square / pairs[0][1] - 1.0).abs() < tolerance, "{name}");
            let mut column = vec![0.0; size];
            let mut operator = workspace.linearize(&network, &batch).unwrap();
            for i in (0..size).step_by(17) {
                let unit: Vec<f64> = (0..size).map(|j| f64::from(u8::from(i == j))).collect();
                operator.apply(&unit, &mut column).unwrap();
                let row = &hessian[i * size..][..size];
                let largest = hessian.iter().fold(0.0_f64, |max, v| max.max(v.abs()));
                for (a, b) in row.iter().zip(&column) {
                    assert!((a - b).abs() < 1e-12 * largest, "{name}: {a} {b}");
                }
            }
            let flatness = workspace.output_flatness(&network, &batch).unwrap();
            let traces = workspace.output_block_traces(&network, &batch).unwrap();
            let (outputs, hidden) = (sizes[2], sizes[1]);
            let row = |k: usize| &network.output_weight()[k * hidden..][..hidden];
            let mut expected = 0.0;
            for k in 0..outputs {
                for l in 0..outputs {
                    let product: f64 = row(k).iter().zip(row(l)).map(|(a, b)| a * b).sum();
                    expected += product * traces[k * outputs + l];
                }
            }
            assert!(
                (flatness - expected).abs() < 1e-6 * expected.abs(),
                "{name}"
            );
        }
    }
}

#[test]
fn the_gradient_for_many_outputs_is_that_of_differences() {
    let _alone = alone();
    let mut problem = Problem::<f64>::new([2, 3, 18, 24], SOFTMAX, 1.1);
    let mut workspace = Workspace::<f64>::single_threaded();
    let [_, gradient, ..] = problem.solve(&mut workspace, Evaluation::Gram).unwrap();
    let scale = gradient.iter().fold(0.0_f64, |max, v| max.max(v.abs()));
    for i in (0..problem.theta.len()).step_by(5) {
        let middle = problem.theta[i];
        let step = 1e-5;
        let mut at = |value: f64| {
            problem.theta[i] = value;
            let bounds = workspace.bounds(&problem.network(), &problem.batch(), Evaluation::Gram);
            bounds.unwrap().lambda_sup
        };
        let difference = (at(middle + step) - at(middle - step)) / (2.0 * step);
        problem.theta[i] = middle;
        assert!((difference - gradient[i]).abs() < 1e-7 * scale, "{i}");
    }
}

#[test]
fn hidden_layers_too_wide_for_m_are_the_same_by_pairs_and_by_blocks() {
    let _alone = alone();
    // The other blocks by pairs: with so many hidden units those would be large.
    let hidden_formed = Plan {
        hidden: BlockEvaluation::Assembled,
        ..Plan::GRAM
    };
    for (sizes, loss) in [
        // By the rank of U: 1, 2 and 7.
        ([1, 600, 2, 24], SOFTMAX),
        ([2, 600, 3, 24], SOFTMAX),
        ([1, 600, 7, 24], SOFTMAX),
        ([1, 600, 2, 24], OutputLoss::SigmoidCrossEntropy),
        // In strips of rows.
        ([1, 601, 13, 100], SOFTMAX),
    ] {
        let problem = Problem::<f64>::new(sizes, loss, 0.5);
        let mut workspace = Workspace::<f64>::single_threaded();
        let blocks = problem.solve(&mut workspace, Evaluation::Blocks(hidden_formed));
        let pairs = problem.solve(&mut workspace, Evaluation::Gram);
        let name = format!("{sizes:?} {loss:?}");
        assert_same(&pairs.unwrap(), &blocks.unwrap(), 1e-10, &name);
    }
}

#[test]
fn a_limit_leads_to_other_evaluations_of_the_same_numbers() {
    let _alone = alone();
    for (sizes, loss) in [
        ([4, 16, 3, 3000], SOFTMAX),
        ([6, 12, 20, 2000], SOFTMAX),
        ([4, 16, 2, 3000], OutputLoss::SigmoidCrossEntropy),
        ([4, 16, 2, 3001], OutputLoss::MeanSquaredError),
    ] {
        let problem = Problem::<f64>::new(sizes, loss, 0.8);
        let dims = problem.dimensions;
        let whole = Workspace::<f64>::single_threaded();
        let expected = problem
            .solve(&mut Workspace::single_threaded(), Evaluation::Assembled)
            .unwrap();
        let needed = whole
            .memory(
                Quantity::BoundsInputGradient,
                &dims,
                loss,
                problem.samples(),
                Evaluation::Assembled,
            )
            .unwrap();
        for share in [2, 6] {
            let limit = needed / share;
            let mut workspace = Workspace::<f64>::single_threaded().with_memory_limit(limit);
            let (taken, found) = peak(|| {
                let found = problem.solve(&mut workspace, Evaluation::Assembled);
                (found, std::mem::take(&mut workspace))
            });
            // Beside the buffers: gradients and what is given back.
            let beside = 64 * (problem.theta.len() + problem.x.len()) + 16_384;
            let name = format!("{sizes:?} {loss:?}, a part in {share} of {needed}");
            assert!(taken <= limit as usize + beside, "{name}: {taken}");
            assert_same(&found.0.unwrap(), &expected, 1e-10, &name);
        }
    }
    // The same in parts that are divided among threads.
    let problem = Problem::<f64>::new([30, 40, 10, 3000], SOFTMAX, 0.5);
    let of = |workspace: &mut Workspace<f64>| problem.solve(workspace, Evaluation::Assembled);
    let mut one = Workspace::<f64>::single_threaded();
    let mut two = Workspace::new().with_threads(2.try_into().unwrap());
    two = two.with_memory_limit(40 << 20);
    assert_same(
        &of(&mut two).unwrap(),
        &of(&mut one).unwrap(),
        1e-10,
        "threads",
    );
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_taken() {
    let _alone = alone();
    let problem = Problem::<f64>::new([2, 400, 30, 200], SOFTMAX, 0.5);
    let (network, batch) = (problem.network(), problem.batch());
    let mut gradient = vec![0.0; problem.theta.len()];
    let limit = 100_000;
    let mut workspace = Workspace::<f64>::single_threaded().with_memory_limit(limit);
    let (taken, errors) = peak(|| {
        [
            workspace.loss(&network, &batch).err(),
            workspace
                .loss_gradient(&network, &batch, &mut gradient)
                .err(),
            workspace.bounds(&network, &batch, Evaluation::Auto).err(),
            workspace
                .bounds_gradient(&network, &batch, Evaluation::Gram, &mut gradient, None)
                .err(),
            workspace
                .trace_gradient(&network, &batch, &mut gradient, None)
                .err(),
            workspace
                .gauss_newton_share(&network, &batch, Evaluation::Auto)
                .err(),
            workspace.logits(&network, &batch).err(),
            workspace.linearize(&network, &batch).err(),
            workspace.output_block_traces(&network, &batch).err(),
        ]
    });
    assert!(taken < 16_384, "{taken}");
    for error in errors {
        match error {
            Some(Error::Memory {
                needed, limit: of, ..
            }) => assert!(of == limit && needed > limit),
            other => panic!("{other:?}"),
        }
    }
    // Sizes that no machine has, counted alone.
    for sizes in [[2, 1 << 40, 2], [2, usize::MAX - 1, 2], [2, 4, 1 << 40]] {
        let dims = Dimensions::new(sizes[0], sizes[1], sizes[2]);
        let unlimited = Workspace::<f64>::new();
        let refused = unlimited.memory(Quantity::Bounds, &dims, SOFTMAX, 1 << 30, Evaluation::Auto);
        assert!(matches!(refused, Err(Error::Memory { .. })), "{sizes:?}");
    }
    let message = Error::Memory {
        what: "‖H‖",
        samples: 3000,
        hidden: 4,
        outputs: 1000,
        needed: 3 << 30,
        limit: 1 << 29,
    };
    assert_eq!(
        message.to_string(),
        "‖H‖ for 3000 samples, 4 hidden units and 1000 outputs needs 3.0 GiB of memory, the limit is 512.0 MiB"
    );
}

#[test]
fn less_memory_is_taken_where_the_cheapest_evaluation_does_not_fit() {
    let dims = Dimensions::new(4, 16, 3);
    let of = |limit: u64, quantity| {
        Workspace::<f64>::single_threaded()
            .with_memory_limit(limit)
            .memory(quantity, &dims, SOFTMAX, 20_000, Evaluation::Auto)
    };
    for quantity in [
        Quantity::Loss,
        Quantity::LossGradient,
        Quantity::HessianProduct,
        Quantity::Bounds,
        Quantity::BoundsGradient,
        Quantity::BoundsInputGradient,
    ] {
        let mut limit = of(1 << 40, quantity).unwrap();
        for _ in 0..3 {
            let smaller = of(limit - 1, quantity).unwrap();
            assert!(smaller < limit, "{quantity:?}");
            limit = smaller;
        }
        let refused = of(1000, quantity);
        assert!(matches!(refused, Err(Error::Memory { needed, .. }) if needed > 1000));
    }
}

#[test]
fn a_thousand_classes_take_no_gigabyte() {
    let _alone = alone();
    // S of all samples, packed, would take 1 GB, and half of that for a single sample of 10,000 classes.
    for (sizes, most) in [
        ([2, 4, 1000, 256], 100 << 20),
        ([2, 4, 4000, 32], 100 << 20),
    ] {
        let problem = Problem::<f64>::new(sizes, SOFTMAX, 0.5);
        let mut workspace = Workspace::<f64>::single_threaded().with_memory_limit(most);
        let (taken, bounds) = peak(|| {
            let (network, batch) = (problem.network(), problem.batch());
            let mut gradient = vec![0.0; problem.theta.len()];
            workspace
                .bounds_gradient(&network, &batch, Evaluation::Auto, &mut gradient, None)
                .unwrap()
        });
        assert!(taken < most as usize, "{sizes:?}: {taken}");
        assert!(bounds.lambda_sup > 0.0);
    }
}

#[test]
fn ten_thousand_hidden_units_are_evaluated_by_pairs() {
    let _alone = alone();
    let problem = Problem::<f64>::new([2, 10_000, 2, 64], SOFTMAX, 0.01);
    let mut workspace = Workspace::<f64>::single_threaded().with_memory_limit(300 << 20);
    let mut gradient = vec![0.0; problem.theta.len()];
    let (network, batch) = (problem.network(), problem.batch());
    let (taken, bounds) =
        peak(|| workspace.bounds_gradient(&network, &batch, Evaluation::Auto, &mut gradient, None));
    assert!(taken < 300 << 20, "{taken}");
    assert!(bounds.unwrap().lambda_sup.is_finite());
    assert_eq!(
        workspace.last_plan().map(|plan| plan.hidden),
        Some(BlockEvaluation::Gram)
    );
}

#[test]
fn who_watches_sees_progress_and_may_stop() {
    let _alone = alone();
    let problem = Problem::<f64>::new([3, 10, 3, 1200], SOFTMAX, 0.5);
    let (network, batch) = (problem.network(), problem.batch());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let mut workspace = Workspace::single_threaded().with_watch(move |progress| {
        assert!(progress.total.is_none_or(|total| progress.done <= total));
        if count.fetch_add(1, Ordering::Relaxed) < 20 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    // Tiles of pairs: 1,200² / 2¹⁸ is more than five.
    workspace
        .bounds(&network, &batch, Evaluation::Gram)
        .unwrap();
    let tiles = seen.load(Ordering::Relaxed);
    assert!((5..20).contains(&tiles), "{tiles}");
    let mut out = vec![0.0; problem.theta.len()];
    let mut operator = workspace.linearize(&network, &batch).unwrap();
    let v = problem.theta.clone();
    let stopped = (0..40).find_map(|_| operator.apply(&v, &mut out).err());
    assert_eq!(stopped, Some(Error::Stopped));
    let after = workspace.bounds(&network, &batch, Evaluation::Gram);
    assert_eq!(after.err(), Some(Error::Stopped));
}

/// A tanh network of these widths, its parameters, and a batch of N samples.
struct DeepProblem {
    shapes: Vec<LayerShape>,
    theta: Vec<f64>,
    x: Vec<f64>,
    classes: Vec<usize>,
}

impl DeepProblem {
    fn new(widths: &[usize], samples: usize) -> Self {
        let last = widths.len() - 2;
        let shapes: Vec<LayerShape> = widths
            .windows(2)
            .enumerate()
            .map(|(l, pair)| {
                LayerShape::new(pair[0], pair[1]).with_activation(if l < last {
                    Activation::Tanh
                } else {
                    Activation::Identity
                })
            })
            .collect();
        let size = shapes.iter().map(LayerShape::parameters).sum();
        let wave =
            |count: usize, pace: f64| (1..=count).map(|i| (pace * i as f64).sin() / 2.0).collect();
        Self {
            theta: wave(size, 1.7),
            x: wave(samples * widths[0], 0.9),
            classes: (0..samples).map(|n| n % widths[last + 1]).collect(),
            shapes,
        }
    }

    fn network(&self) -> FeedForward<'_, f64> {
        FeedForward::from_flat(&self.shapes, &self.theta).unwrap()
    }

    fn batch(&self) -> Batch<'_, f64> {
        let targets = Targets::Classes(&self.classes);
        Batch::new(OutputLoss::SoftmaxCrossEntropy, &self.x, targets)
    }
}

#[test]
fn what_a_deep_evaluation_takes_is_what_was_counted() {
    let _alone = alone();
    let cases: [(&[usize], usize); 6] = [
        (&[2, 8, 8, 3], 64),
        // In shards.
        (&[2, 8, 8, 3], 200),
        (&[10, 32, 32, 10], 100),
        (&[64, 40, 40, 10], 40),
        (&[3, 6, 6, 6, 6, 2], 500),
        (&[5, 4], 300),
    ];
    for (widths, samples) in cases {
        let problem = DeepProblem::new(widths, samples);
        let (network, batch) = (problem.network(), problem.batch());
        let mut gradient = vec![0.0; problem.theta.len()];
        let mut inputs = vec![0.0; problem.x.len()];
        let v = problem.theta.clone();
        for evaluation in [
            DeepEvaluation::Auto,
            DeepEvaluation::Gram,
            DeepEvaluation::Assembled,
        ] {
            for quantity in [
                Quantity::Loss,
                Quantity::LossGradient,
                Quantity::HessianProduct,
                Quantity::Bounds,
                Quantity::BoundsGradient,
                Quantity::BoundsInputGradient,
            ] {
                let mut workspace = DeepWorkspace::new().with_threads(core::num::NonZeroUsize::MIN);
                let counted = workspace
                    .memory(
                        quantity,
                        &problem.shapes,
                        batch.loss(),
                        samples,
                        &evaluation,
                    )
                    .unwrap();
                let objective = Objective::LambdaSup;
                let (taken, ()) = peak(|| match quantity {
                    Quantity::Loss => drop(workspace.loss(&network, &batch).unwrap()),
                    Quantity::LossGradient => {
                        let x = Some(&mut inputs[..]);
                        workspace
                            .loss_gradient(&network, &batch, &mut gradient, x)
                            .unwrap();
                    }
                    Quantity::HessianProduct => workspace
                        .hessian_vector_product(&network, &batch, &v, &mut gradient)
                        .unwrap(),
                    Quantity::Bounds => {
                        workspace.bounds(&network, &batch, &evaluation).unwrap();
                    }
                    _ => {
                        let with_inputs = quantity == Quantity::BoundsInputGradient;
                        let x = with_inputs.then_some(&mut inputs[..]);
                        workspace
                            .objective_gradient(
                                &network,
                                &batch,
                                objective,
                                &evaluation,
                                &mut gradient,
                                x,
                            )
                            .unwrap();
                    }
                });
                // Beside the arrays of numbers there are some of layers and blocks.
                let (taken, counted) = (taken as f64, counted as f64);
                let told = format!("{widths:?}, {samples}, {evaluation:?}, {quantity:?}");
                assert!(
                    taken <= counted * 1.02 + 16e3,
                    "{told}: {taken} of {counted}"
                );
                assert!(
                    counted <= taken * 1.4 + 16e3,
                    "{told}: {taken} of {counted}"
                );
            }
        }
    }
}

#[test]
fn a_deep_evaluation_that_is_watched_tells_its_progress_and_can_be_stopped() {
    let _alone = alone();
    let problem = DeepProblem::new(&[4, 12, 12, 3], 90);
    let (network, batch) = (problem.network(), problem.batch());
    let told = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(usize::MAX));
    let (count, limit) = (told.clone(), most.clone());
    let mut workspace = DeepWorkspace::new().with_watch(move |_| {
        let calls = count.fetch_add(1, Ordering::Relaxed) + 1;
        match calls > limit.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    let mut gradient = vec![0.0; problem.theta.len()];
    let mut evaluate = |workspace: &mut DeepWorkspace<f64>| {
        let objective = Objective::LambdaSup;
        let evaluation = DeepEvaluation::Gram;
        workspace.objective_gradient(
            &network,
            &batch,
            objective,
            &evaluation,
            &mut gradient,
            None,
        )
    };
    evaluate(&mut workspace).unwrap();
    let calls = told.load(Ordering::Relaxed);
    // Once a block at least.
    assert!(calls >= 6, "{calls}");
    most.store(calls + 3, Ordering::Relaxed);
    assert_eq!(evaluate(&mut workspace), Err(Error::Stopped));
    assert_eq!(evaluate(&mut workspace), Err(Error::Stopped));
    let v = problem.theta.clone();
    let mut product = v.clone();
    let stopped = workspace.hessian_vector_product(&network, &batch, &v, &mut product);
    assert_eq!(stopped, Err(Error::Stopped));
}
