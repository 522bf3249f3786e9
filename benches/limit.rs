//! How near an evaluation comes to what the machine can do: `cargo bench --workspace --bench limit`.
//!
//! The machine: multiply-adds a second of a 512³ matrix product on one thread, and bytes a second that one thread reads
//! and writes, beyond the caches and within the second one. The work: multiply-adds counted, and the bytes that have
//! to move whatever is done (parameters, data, gradient). An evaluation cannot take less time than either needs;
//! the last column is that limit over the measured time.

use std::hint::black_box;
use std::time::Instant;

use hsr_benches::{Candidate, Case, asked_for, minima};
use hsr_core::{Evaluation, Real, Work};

/// The largest of several rates, each a count over the seconds of one run.
fn best_rate(count: f64, runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    (0..runs)
        .map(|_| {
            let started = Instant::now();
            run();
            count / started.elapsed().as_secs_f64()
        })
        .fold(0.0, f64::max)
}

/// Multiply-adds a second of a product of 512 × 512 matrices.
fn product_rate<T: Real>() -> f64 {
    const SIZE: usize = 512;
    let a: Vec<T> = (0..SIZE * SIZE).map(|i| T::of((i % 7) as f64)).collect();
    let b = a.clone();
    let mut c = vec![T::zero(); SIZE * SIZE];
    let stride = SIZE as isize;
    best_rate((SIZE * SIZE * SIZE) as f64, 40, || {
        // SAFETY: three matrices of SIZE × SIZE values, row-major, of which `c` alone is written; `T` is f32 or f64.
        unsafe {
            gemm::gemm(
                SIZE,
                SIZE,
                SIZE,
                c.as_mut_ptr(),
                1,
                stride,
                false,
                a.as_ptr(),
                1,
                stride,
                b.as_ptr(),
                1,
                stride,
                T::zero(),
                T::one(),
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
        black_box(&c);
    })
}

/// Bytes a second of `c = a + s·b` over arrays of this many values, two read and one written.
fn byte_rate(values: usize) -> f64 {
    let (a, b, mut c) = (vec![1.0; values], vec![2.0; values], vec![0.0_f64; values]);
    let sweeps = ((1 << 24) / values).max(1);
    let bytes = (3 * size_of::<f64>() * values * sweeps) as f64;
    best_rate(bytes, 20, || {
        for _ in 0..sweeps {
            let s = black_box(3.0);
            for ((c, a), b) in c.iter_mut().zip(&a).zip(&b) {
                *c = a + s * b;
            }
            black_box(&mut c);
        }
    })
}

/// What the machine can do.
struct Peak {
    single: f64,
    double: f64,
    bytes: f64,
}

/// Multiply-adds of the forward pass, the residuals and curvature, and the pullback, N samples. A value of an activation
/// with its three derivatives counts as 20.
fn around_the_blocks([d, h, k, n]: [usize; 4], rank: usize) -> f64 {
    let [d, h, k, n, rank] = [d, h, k, n, rank].map(|size| size as f64);
    let forward = h * d + k * h + 20.0 * h + 20.0 * k;
    let curvature = h * rank * rank + 2.0 * h * rank;
    // z̄ xᵀ; ō aᵀ, W2ᵀ ō, W2 ḡ and r ḡᵀ; what goes through U; z̄.
    let pullback = h * d + 4.0 * h * rank + h * rank * (2.0 * rank + 6.0) + 8.0 * h;
    n * (forward + curvature + pullback)
}

fn arithmetic(work: &Work) -> f64 {
    work.products + work.kernels + work.lanes
}

fn row<T: Real>(scalar: &str, sizes: [usize; 4], peak: &Peak) {
    let [d, h, k, n] = sizes;
    let mut case = Case::<T>::new(sizes);
    case.run(Evaluation::Auto);
    let plan = case.last_plan();
    let work = case.work(plan);
    let parameters = case.dimensions.parameters();
    // The softmax of few classes is reduced to K − 1 values.
    let rank = if k <= 4 { k - 1 } else { k };
    let around = around_the_blocks(sizes, rank);
    let total = arithmetic(&work.total()) + around;
    let bytes = (size_of::<T>() * (2 * parameters + n * d)) as f64;
    let rate = if size_of::<T>() == 8 {
        peak.double
    } else {
        peak.single
    };
    let limit = (total / rate).max(bytes / peak.bytes);
    let mut candidates: Vec<Candidate> = vec![("", Box::new(|| case.run(Evaluation::Auto)))];
    let seconds = minima(&mut candidates, 41, 5e-3)[0];
    let [output, hidden, cross, shared, around] = [
        arithmetic(&work.output),
        arithmetic(&work.hidden),
        arithmetic(&work.cross),
        arithmetic(&work.shared),
        around,
    ]
    .map(|count| count / 1e6);
    println!(
        "{parameters:>7}{d:>6}{h:>5}{k:>4}{n:>5}  {scalar} {:9}{output:>9.3}{hidden:>9.3}{cross:>9.3}{shared:>9.3}\
         {around:>9.3}{:>9.1}{:>11.1}{:>11.1}{:>7.0} %",
        plan.to_string(),
        bytes / 1024.0,
        1e6 * limit,
        1e6 * seconds,
        100.0 * limit / seconds
    );
}

fn main() {
    let peak = Peak {
        single: product_rate::<f32>(),
        double: product_rate::<f64>(),
        bytes: byte_rate(1 << 23),
    };
    println!(
        "one thread: {:.1} (f64) and {:.1} (f32) billion multiply-adds a second in a 512³ product; \
         {:.1} GB/s beyond the caches, {:.1} GB/s within the second",
        peak.double / 1e9,
        peak.single / 1e9,
        peak.bytes / 1e9,
        byte_rate(1 << 14) / 1e9
    );
    println!(
        "millions of multiply-adds in the blocks, in what they share, and around them; KiB; µs"
    );
    println!(
        "{:>7}{:>6}{:>5}{:>4}{:>5}  {:13}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}{:>11}{:>9}",
        "D",
        "d",
        "h",
        "K",
        "N",
        "",
        "output",
        "hidden",
        "cross",
        "shared",
        "around",
        "KiB",
        "limit",
        "taken",
        "reached"
    );
    let mut sizes = vec![
        [2, 3, 3, 200],
        [2, 10, 3, 200],
        [2, 30, 3, 200],
        [2, 100, 3, 200],
        [4, 16, 3, 64],
        [13, 16, 3, 64],
        [30, 16, 2, 64],
        [64, 16, 10, 64],
    ];
    if !asked_for("quick") {
        sizes.push([784, 128, 10, 128]);
    }
    for sizes in sizes {
        row::<f64>("f64", sizes, &peak);
        row::<f32>("f32", sizes, &peak);
    }
}
