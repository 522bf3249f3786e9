//! After the first call with a size, an evaluation allocates nothing of its own and keeps nothing new (the promise of
//! `Workspace`).
//!
//! The `gemm` crate below it does allocate in a call: the panels it packs matrices into (`gemm-common`, `gemm.rs`, a
//! `MemBuffer` aligned to cache lines) and one byte a panel to remember which are packed (`vec![false; mc / MR]`).
//! Both are freed before the product returns. They are told apart by their alignment, which no buffer of scalars has.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use hsr_core::depth::{
    DeepEvaluation, DeepWorkspace, FeedForward, LayerShape, Objective, ProbeOut,
};
use hsr_core::{
    Activation, Batch, Dimensions, Evaluation, Network, OutputLoss, Real, Targets, Workspace,
};

/// The system's allocator, counting what the current thread asks for: the test harness allocates on threads of its
/// own, which must not disturb the count.
struct Counting;

/// Where a buffer begins; panels of products begin on twice that.
const REGISTER: usize = 64;

/// What one thread asked the allocator for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    /// Allocations aligned like a scalar, what a `Vec` of `f32`, `f64` or `usize` needs, or like a buffer.
    of_buffers: usize,
    /// All other allocations: byte flags and the panels of products.
    of_products: usize,
    /// Growths of an allocation.
    growths: usize,
    /// Bytes allocated like scalars or buffers and not freed.
    kept: isize,
    /// Bytes of all other allocations that were not freed.
    kept_of_products: isize,
}

thread_local! {
    static COUNT: Cell<Count> = const {
        Cell::new(Count { of_buffers: 0, of_products: 0, growths: 0, kept: 0, kept_of_products: 0 })
    };
}

fn count(change: impl FnOnce(&mut Count)) {
    let mut count = COUNT.get();
    change(&mut count);
    COUNT.set(count);
}

fn like_a_buffer(layout: Layout) -> bool {
    [
        align_of::<f32>(),
        align_of::<f64>(),
        align_of::<usize>(),
        REGISTER,
    ]
    .contains(&layout.align())
}

fn count_allocation(layout: Layout) {
    count(|count| {
        if like_a_buffer(layout) {
            count.of_buffers += 1;
        } else {
            count.of_products += 1;
        }
        count.keep(layout, layout.size() as isize);
    });
}

impl Count {
    fn keep(&mut self, layout: Layout, bytes: isize) {
        if like_a_buffer(layout) {
            self.kept += bytes;
        } else {
            self.kept_of_products += bytes;
        }
    }
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are constants without a destructor, so
// that touching them neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_allocation(layout);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_allocation(layout);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(|count| {
            count.growths += 1;
            count.keep(layout, size as isize - layout.size() as isize);
        });
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|count| count.keep(layout, -(layout.size() as isize)));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` asks for on this thread.
fn counted(work: impl FnOnce()) -> Count {
    COUNT.set(Count::default());
    work();
    COUNT.get()
}

const SAMPLES: usize = 200;

fn wave<T: Real>(count: usize, pace: f64) -> Vec<T> {
    (0..count)
        .map(|i| T::of((pace * (i as f64 + 1.0)).sin()))
        .collect()
}

/// Two inputs, three classes, and as many hidden units as are asked for: D = 6h + 3.
fn check<T: Real>(hidden: usize, parameters: usize) {
    let dimensions = Dimensions::new(2, hidden, 3);
    assert_eq!(dimensions.parameters(), parameters);
    let theta = wave::<T>(parameters, 1.7);
    let x = wave::<T>(2 * SAMPLES, 0.9);
    let classes: Vec<usize> = (0..SAMPLES).map(|n| n % 3).collect();
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let targets = Targets::Classes(&classes);
    let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, targets);
    let mut of_loss = vec![T::zero(); parameters];
    let mut gradient = vec![T::zero(); parameters];
    let mut inputs = vec![T::zero(); x.len()];
    for evaluation in [Evaluation::Assembled, Evaluation::Gram, Evaluation::Auto] {
        for with_inputs in [false, true] {
            // The gradient for the inputs needs more buffers, so that its first call counts as a first call.
            let mut workspace = Workspace::single_threaded();
            for call in 0..4 {
                let input_gradient = with_inputs.then_some(&mut inputs[..]);
                let count = counted(|| {
                    workspace
                        .loss_and_bounds_gradient(
                            &network,
                            &batch,
                            evaluation,
                            &mut of_loss,
                            &mut gradient,
                            input_gradient,
                        )
                        .unwrap();
                });
                let name = format!("D = {parameters}, {evaluation:?}, call {call}: {count:?}");
                if call == 0 {
                    assert!(count.of_buffers > 0, "the count does not count: {name}");
                } else {
                    assert_eq!((count.of_buffers, count.growths), (0, 0), "{name}");
                    assert_eq!((count.kept, count.kept_of_products), (0, 0), "{name}");
                }
            }
        }
    }
}

/// The peers of the bound, one after the other in one workspace, as often as a training loop would.
fn check_peers<T: Real>(hidden: usize, parameters: usize) {
    let dimensions = Dimensions::new(2, hidden, 3);
    let theta = wave::<T>(parameters, 1.7);
    let v = wave::<T>(parameters, 0.3);
    let x = wave::<T>(2 * SAMPLES, 0.9);
    let classes: Vec<usize> = (0..SAMPLES).map(|n| n % 3).collect();
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let targets = Targets::Classes(&classes);
    let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, targets);
    let mut gradient = vec![T::zero(); parameters];
    let mut inputs = vec![T::zero(); x.len()];
    let mut workspace = Workspace::single_threaded();
    for call in 0..3 {
        let count = counted(|| {
            let (to, x) = (&mut gradient[..], &mut inputs[..]);
            workspace
                .trace_gradient(&network, &batch, to, Some(x))
                .unwrap();
            workspace
                .frobenius_gradient(&network, &batch, Evaluation::Auto, to, Some(x))
                .unwrap();
            workspace
                .gradient_norm_gradient(&network, &batch, to, Some(x))
                .unwrap();
            workspace
                .curvature_along_gradient(&network, &batch, &v, to, Some(x))
                .unwrap();
        });
        let name = format!("D = {parameters}, call {call}: {count:?}");
        if call == 0 {
            assert!(count.of_buffers > 0, "the count does not count: {name}");
        } else {
            assert_eq!(
                (
                    count.of_buffers,
                    count.growths,
                    count.kept,
                    count.kept_of_products
                ),
                (0, 0, 0, 0),
                "{name}"
            );
        }
    }
}

#[test]
fn the_peers_of_the_bound_allocate_no_buffer_after_the_first_call() {
    check_peers::<f64>(3, 21);
    check_peers::<f32>(100, 603);
}

/// The gradient verbs at any depth, one after the other in one workspace. λ_blk is
/// left out: Lanczos finds its eigenvector.
fn check_depth<T: Real>(shapes: &[LayerShape]) {
    let inputs = shapes[0].inputs;
    let outputs = shapes[shapes.len() - 1].outputs;
    let theta = wave::<T>(shapes.iter().map(LayerShape::values).sum(), 1.7);
    let network = FeedForward::from_flat(shapes, &theta).unwrap();
    let parameters = network.parameters();
    let v = wave::<T>(parameters, 0.3);
    let mut of_loss = vec![T::zero(); parameters];
    let mut gradient = vec![T::zero(); parameters];
    let mut product = vec![T::zero(); parameters];
    for evaluation in [
        DeepEvaluation::Assembled,
        DeepEvaluation::Gram,
        DeepEvaluation::Auto,
    ] {
        // Alone: a helper takes a box of Rayon, as the test of several threads counts.
        let mut workspace = DeepWorkspace::new().with_threads(1.try_into().unwrap());
        for (call, samples) in [SAMPLES, SAMPLES, SAMPLES].into_iter().enumerate() {
            let x = wave::<T>(inputs * samples, 0.9);
            let classes: Vec<usize> = (0..samples).map(|n| n % outputs).collect();
            let targets = Targets::Classes(&classes);
            let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, targets);
            let mut of_x = vec![T::zero(); x.len()];
            let count = counted(|| {
                for objective in [
                    Objective::LambdaSup,
                    Objective::LambdaDiagonal,
                    Objective::Layer(0),
                    Objective::GaussNewton,
                    Objective::Trace,
                    Objective::Frobenius,
                ] {
                    workspace
                        .loss_and_objective_gradient(
                            &network,
                            &batch,
                            objective,
                            &evaluation,
                            &mut of_loss,
                            &mut gradient,
                            Some(&mut of_x),
                        )
                        .unwrap();
                }
                let to = &mut gradient[..];
                workspace
                    .loss_gradient(&network, &batch, to, Some(&mut of_x))
                    .unwrap();
                workspace
                    .gradient_norm_gradient(&network, &batch, to, Some(&mut of_x))
                    .unwrap();
                workspace
                    .hessian_vector_product(&network, &batch, &v, &mut product)
                    .unwrap();
                workspace
                    .bilinear_gradient(&network, &batch, &v, &v, None, to, Some(&mut of_x))
                    .unwrap();
                let weights = |_: &_| [T::of(0.1), T::of(0.01)];
                workspace
                    .probe_gradient(
                        &network,
                        &batch,
                        &v,
                        weights,
                        ProbeOut {
                            loss_gradient: &mut of_loss,
                            hv: &mut product,
                            gradient: to,
                            input_gradient: None,
                        },
                    )
                    .unwrap();
            });
            let name = format!("D = {parameters}, {evaluation:?}, call {call}: {count:?}");
            if call == 0 {
                assert!(count.of_buffers > 10, "the count does not count: {name}");
            } else {
                assert_eq!((count.of_buffers, count.growths), (0, 0), "{name}");
                assert_eq!((count.kept, count.kept_of_products), (0, 0), "{name}");
            }
        }
    }
}

#[test]
fn a_deep_network_allocates_no_buffer_after_the_first_call() {
    let tanh = |inputs, outputs| LayerShape::new(inputs, outputs).with_activation(Activation::Tanh);
    let last = LayerShape::new(8, 3);
    check_depth::<f64>(&[tanh(2, 8), tanh(8, 8).with_residual(), last]);
    check_depth::<f32>(&[tanh(2, 16), tanh(16, 8).frozen(), tanh(8, 8), last]);
    check_depth::<f64>(&[last]);
}

#[test]
fn a_small_network_allocates_no_buffer_after_the_first_call() {
    check::<f64>(3, 21);
    check::<f32>(3, 21);
}

#[test]
fn a_wide_network_allocates_no_buffer_after_the_first_call() {
    check::<f64>(100, 603);
    check::<f32>(100, 603);
}

/// The counts of the calling thread and of the pool's together.
fn counted_with_pool(work: impl FnOnce()) -> Count {
    rayon::broadcast(|_| COUNT.set(Count::default()));
    let caller = counted(work);
    let pool = rayon::broadcast(|_| COUNT.get());
    pool.into_iter().fold(caller, |sum, count| Count {
        of_buffers: sum.of_buffers + count.of_buffers,
        of_products: sum.of_products + count.of_products,
        growths: sum.growths + count.growths,
        kept: sum.kept + count.kept,
        kept_of_products: sum.kept_of_products + count.kept_of_products,
    })
}

/// Asking Rayon for a helper takes a box for each of the five stages, and a block of its queue once in a while. (What
/// `gemm` keeps for a thread from its first product on is not counted: the first evaluation need not have had a helper.)
#[test]
fn a_batch_divided_among_threads_allocates_no_buffer_after_the_first_call() {
    const OF_RAYON: usize = 6;
    const BYTES_OF_RAYON: usize = 2048;
    let dimensions = Dimensions::new(2, 100, 3);
    let theta = wave::<f64>(603, 1.7);
    let x = wave::<f64>(2 * SAMPLES, 0.9);
    let classes: Vec<usize> = (0..SAMPLES).map(|n| n % 3).collect();
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let targets = Targets::Classes(&classes);
    let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, targets);
    let mut of_loss = vec![0.0; theta.len()];
    let mut gradient = vec![0.0; theta.len()];
    let mut inputs = vec![0.0; x.len()];
    for evaluation in [Evaluation::Assembled, Evaluation::Gram, Evaluation::Auto] {
        let mut workspace = Workspace::new().with_threads(2.try_into().unwrap());
        for call in 0..4 {
            let count = counted_with_pool(|| {
                let (to, x) = (&mut gradient[..], Some(&mut inputs[..]));
                workspace
                    .loss_and_bounds_gradient(&network, &batch, evaluation, &mut of_loss, to, x)
                    .unwrap();
            });
            if call == 0 {
                assert!(count.of_buffers > 10, "the count does not count: {count:?}");
            } else {
                assert!(count.of_buffers <= OF_RAYON, "{count:?}");
                assert_eq!(count.growths, 0, "{count:?}");
                assert!(count.kept.unsigned_abs() <= BYTES_OF_RAYON, "{count:?}");
            }
        }
    }
}

#[test]
fn a_smaller_batch_after_a_larger_one_allocates_no_buffer() {
    let dimensions = Dimensions::new(2, 8, 3);
    let theta = wave::<f64>(dimensions.parameters(), 1.7);
    let network = Network::from_flat(dimensions, Activation::Tanh, &theta).unwrap();
    let mut workspace = Workspace::single_threaded();
    let mut gradient = vec![0.0; theta.len()];
    for samples in [SAMPLES, SAMPLES / 3, 1] {
        let x = wave::<f64>(2 * samples, 0.9);
        let classes: Vec<usize> = (0..samples).map(|n| n % 3).collect();
        let targets = Targets::Classes(&classes);
        let batch = Batch::new(OutputLoss::SoftmaxCrossEntropy, &x, targets);
        for evaluation in [Evaluation::Assembled, Evaluation::Gram] {
            let count = counted(|| {
                workspace
                    .bounds_gradient(&network, &batch, evaluation, &mut gradient, None)
                    .unwrap();
            });
            if samples < SAMPLES {
                assert_eq!((count.of_buffers, count.growths, count.kept), (0, 0, 0));
            }
        }
    }
}
