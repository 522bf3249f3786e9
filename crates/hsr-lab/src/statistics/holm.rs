//! Several tests at once.

/// The p-values of a family of tests, adjusted so that the chance of even one false rejection is at most what an adjusted
/// value is compared with, however the tests depend on each other.
///
/// ```text
/// p̃₍ᵢ₎ = max over j ≤ i of min(1, (m − j + 1) p₍ⱼ₎)          p₍₁₎ ≤ … ≤ p₍ₘ₎
/// ```
///
/// ```
/// use hsr_lab::statistics::holm;
///
/// assert_eq!(holm(&[0.01, 0.75, 0.02]), [0.03, 0.75, 0.04]);
/// ```
///
/// # References
///
/// Holm, *A simple sequentially rejective multiple test procedure*, Scandinavian Journal of Statistics 6, 1979.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, &test) in order.iter().enumerate() {
        least = least.max(((p.len() - rank) as f64 * p[test]).min(1.0));
        adjusted[test] = least;
    }
    adjusted
}

/// How a p-value is marked: `*` below 0.05, `**` below 0.01, `***` below 0.001, otherwise nothing.
pub fn stars(p: f64) -> &'static str {
    match p {
        p if p < 0.001 => "***",
        p if p < 0.01 => "**",
        p if p < 0.05 => "*",
        _ => "",
    }
}
