use burn_hsr::HsrConfig;
use hsr_benches::{Extra, Loop};
fn main() {
    let a: Vec<String> = std::env::args().filter(|a| a != "--bench").collect();
    let g = |i: usize| a[i].parse::<usize>().unwrap();
    let sizes = [g(2), g(3), g(4), g(5)];
    let mut l = Loop::new(
        sizes,
        if a[1] == "hsr" {
            Extra::Penalty(HsrConfig::new())
        } else {
            Extra::Nothing
        },
    );
    let t = std::time::Instant::now();
    for _ in 0..g(6) {
        l.step();
    }
    println!(
        "{} {:.2} us",
        a[1],
        t.elapsed().as_secs_f64() * 1e6 / g(6) as f64
    );
}
