//! How the cost grows: with the inputs where pairs of samples are summed, with the samples where blocks are assembled,
//! and how much memory an evaluation holds: `cargo bench --workspace --bench scaling`.
//!
//! The exponent is b in time ≈ a·size^b, by least squares in the logarithms: 1 is linear.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use hsr_benches::{Candidate, Case, Extra, Loop, exponent, medians, minima};
use hsr_core::{Evaluation, Real};

/// The system's allocator, counting what is held and the most that was.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged; the counters neither allocate nor fail.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Where the block moves, both are held for a moment.
        taken(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes on the heap while a case is made and evaluated twice, beyond what was there before.
fn peak<T: Real>(sizes: [usize; 4], evaluation: Evaluation) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let mut case = Case::<T>::new(sizes);
    case.run(evaluation);
    case.run(evaluation);
    MOST.load(Ordering::Relaxed) - before
}

/// Times one evaluation over sizes that grow, and prints the exponent over what `grows` is.
fn series<T: Real>(
    title: &str,
    grows: &str,
    all_sizes: &[[usize; 4]],
    at: usize,
    evaluation: Evaluation,
) {
    println!("{title}");
    println!("  {grows:>8}{:>12}{:>16}", "ms", "peak, MiB");
    let mut cases: Vec<Case<T>> = all_sizes.iter().map(|&sizes| Case::new(sizes)).collect();
    let mut candidates: Vec<Candidate> = cases
        .iter_mut()
        .map(|case| -> Candidate { ("", Box::new(|| case.run(evaluation))) })
        .collect();
    let seconds = minima(&mut candidates, 9, 1e-2);
    let points: Vec<(f64, f64)> = all_sizes
        .iter()
        .zip(&seconds)
        .map(|(sizes, &time)| (sizes[at] as f64, time))
        .collect();
    for (sizes, time) in all_sizes.iter().zip(&seconds) {
        let mib = peak::<T>(*sizes, evaluation) as f64 / f64::from(1 << 20);
        println!("  {:>8}{:>12.3}{mib:>16.1}", sizes[at], 1e3 * time);
    }
    println!("  exponent {:.2}", exponent(&points));
}

fn main() {
    let inputs: Vec<[usize; 4]> = (0..7).map(|i| [98 << i, 128, 10, 128]).collect();
    series::<f32>(
        "Gram over the inputs: h = 128, K = 10, N = 128, f32",
        "d",
        &inputs,
        0,
        Evaluation::Gram,
    );
    series::<f32>(
        "the evaluation that is chosen, over the inputs: h = 128, K = 10, N = 128, f32",
        "d",
        &inputs,
        0,
        Evaluation::Auto,
    );
    for [d, h, k] in [[2, 30, 3], [64, 16, 10]] {
        let samples: Vec<[usize; 4]> = (0..8).map(|i| [d, h, k, 64 << i]).collect();
        series::<f64>(
            &format!("assembled over the samples: d = {d}, h = {h}, K = {k}, f64"),
            "N",
            &samples,
            3,
            Evaluation::Assembled,
        );
    }

    let sizes = [784, 128, 10, 128];
    let mut plain = Loop::new(sizes, Extra::Nothing);
    let (mut gram, mut auto) = (Case::<f32>::new(sizes), Case::<f32>::new(sizes));
    let mut candidates: Vec<Candidate> = vec![
        ("plain Burn step", Box::new(|| plain.step())),
        (
            "λ_sup and gradient, Gram",
            Box::new(|| gram.run(Evaluation::Gram)),
        ),
        (
            "λ_sup and gradient, chosen",
            Box::new(|| auto.run(Evaluation::Auto)),
        ),
    ];
    let seconds = medians(&mut candidates, 31, 1e-2);
    println!("784 inputs: h = 128, K = 10, N = 128, f32");
    println!("  {:30}{:>12}{:>14}", "", "ms", "plain steps");
    for ((name, _), time) in candidates.iter().zip(&seconds) {
        println!("  {name:30}{:>12.3}{:>14.2}", 1e3 * time, time / seconds[0]);
    }
}
