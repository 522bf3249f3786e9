//! What an evaluation of ‖H‖² leaves for the gradient: the norms of the three blocks, and the contractions of each
//! block with its samples, before the weight w_q is known.

use crate::lanes::{LANE, gather, row, row_mut, sized, zeroed};
use crate::plan::Want;
use crate::{Real, svec};

/// Contractions of the blocks of H with the samples, feature-major. The adjoints of theory §4 are
/// S̄ = 2w_q S̃, M̄ = 2w_q M̃, Q̄ = 4w_q Q̃, R̄ = 4w_q R̃, and 4w_q times `hidden` and `inputs` for ā and x̄.
#[derive(Default)]
pub struct Contraction<T> {
    /// ‖H22‖², ‖H11‖², ‖H21‖².
    pub output_norm: T,
    pub hidden_norm: T,
    pub cross_norm: T,
    /// S̃ packed, \[K'(K' + 1)/2\]; here and below K' is the rank of the output basis.
    pub s: Vec<T>,
    /// U M̃, \[h·K\]: M̃ itself (h² a sample) is never kept.
    pub um: Vec<T>,
    /// diag M̃, \[h\].
    pub m_diagonal: Vec<T>,
    /// Q̃, \[h·K\].
    pub q: Vec<T>,
    /// R̃ d1, \[K\], and R̃ᵀ r, \[h\]: R = r d1ᵀ has rank one, so R̃ itself is not needed.
    pub r_d1: Vec<T>,
    pub r_r: Vec<T>,
    /// For ā, \[h\].
    pub hidden: Vec<T>,
    /// For x̄, \[d̃\].
    pub inputs: Vec<T>,
}

impl<T: Real> Contraction<T> {
    /// Makes room and sets everything to zero.
    #[inline(always)]
    pub fn clear(&mut self, f: &crate::forward::Forward<T>, want: Want) {
        let (dims, stride) = (f.dims(), f.stride);
        self.output_norm = T::zero();
        self.hidden_norm = T::zero();
        self.cross_norm = T::zero();
        if want == Want::Moments {
            return;
        }
        let (h, k) = (dims.hidden, f.rank);
        sized(&mut self.s, svec::len(k) * stride);
        sized(&mut self.um, h * k * stride);
        sized(&mut self.m_diagonal, h * stride);
        sized(&mut self.q, h * k * stride);
        zeroed(&mut self.r_d1, k * stride);
        zeroed(&mut self.r_r, h * stride);
        zeroed(&mut self.hidden, h * stride);
        if want == Want::InputGradient {
            zeroed(&mut self.inputs, dims.inputs_extended() * stride);
        }
    }

    /// As where every block is zero.
    #[inline(always)]
    pub fn zero(&mut self, f: &crate::forward::Forward<T>, want: Want) {
        self.clear(f, want);
        for left in [&mut self.s, &mut self.um, &mut self.m_diagonal, &mut self.q] {
            left.fill(T::zero());
        }
    }

    /// q = ‖H22‖² + ‖H11‖² + 2‖H21‖².
    pub fn frobenius_squared(&self) -> T {
        self.output_norm + self.hidden_norm + T::of(2.0) * self.cross_norm
    }
}

/// Forms M = Uᵀ Q + diag c, packed, for the samples `start..start + width`; rows of `out` are `out_stride` apart.
#[inline(always)]
pub(crate) fn form_m<T: Real>(
    f: &crate::forward::Forward<T>,
    start: usize,
    width: usize,
    out: &mut [T],
    out_stride: usize,
    lanes: &mut [Vec<T>; 2],
) {
    let dims = f.dims();
    let (h, outputs, n) = (dims.hidden, f.rank, f.stride);
    let root = svec::scale::<T>();
    let [u_lane, q_lane] = lanes;
    for lane in (0..width).step_by(LANE) {
        gather(&f.u_basis, n, h * outputs, start + lane, u_lane);
        gather(&f.q_basis, n, h * outputs, start + lane, q_lane);
        let mut at = lane;
        for i in 0..h {
            let q = &q_lane[i * outputs * LANE..(i + 1) * outputs * LANE];
            for j in i..h {
                let u = &u_lane[j * outputs * LANE..(j + 1) * outputs * LANE];
                let mut sum = [T::zero(); LANE];
                for (q, u) in q.as_chunks::<LANE>().0.iter().zip(u.as_chunks::<LANE>().0) {
                    for l in 0..LANE {
                        sum[l] += q[l] * u[l];
                    }
                }
                let out = &mut out[at..at + LANE];
                if i == j {
                    let c = &row(&f.c, n, i)[start + lane..][..LANE];
                    for l in 0..LANE {
                        out[l] = sum[l] + c[l];
                    }
                } else {
                    for l in 0..LANE {
                        out[l] = root * sum[l];
                    }
                }
                at += out_stride;
            }
        }
    }
}

/// Contracts packed M̃ of the samples `start..start + width` to U M̃ and diag M̃.
#[inline(always)]
pub(crate) fn contract_m<T: Real>(
    f: &crate::forward::Forward<T>,
    m: &[T],
    start: usize,
    width: usize,
    contraction: &mut Contraction<T>,
    lanes: &mut [Vec<T>; 2],
) {
    let dims = f.dims();
    let (h, outputs, n) = (dims.hidden, f.rank, f.stride);
    let [u_lane, _] = lanes;
    for lane in (0..width).step_by(LANE) {
        gather(&f.u_basis, n, h * outputs, start + lane, u_lane);
        let from = start + lane;
        for i in 0..h {
            let m_ii = &m[svec::diagonal(h, i) * width + lane..][..LANE];
            row_mut(&mut contraction.m_diagonal, n, i)[from..from + LANE].copy_from_slice(m_ii);
            // Outputs in groups of four, so that the sums stay in registers while M̃ is read once.
            let mut k = 0;
            while k < outputs {
                let group = (outputs - k).min(4);
                let row_of = RowOfM {
                    m,
                    u: u_lane,
                    hidden: h,
                    outputs,
                    width,
                    lane,
                    row: i,
                    first: k,
                };
                let sums = match group {
                    1 => pad(row_of.times_u::<1>()),
                    2 => pad(row_of.times_u::<2>()),
                    3 => pad(row_of.times_u::<3>()),
                    _ => row_of.times_u::<4>(),
                };
                for (g, sum) in sums.iter().take(group).enumerate() {
                    row_mut(&mut contraction.um, n, i * outputs + k + g)[from..from + LANE]
                        .copy_from_slice(sum);
                }
                k += group;
            }
        }
    }
}

#[inline(always)]
fn pad<T: Real, const G: usize>(sums: [[T; LANE]; G]) -> [[T; LANE]; 4] {
    let mut out = [[T::zero(); LANE]; 4];
    out[..G].copy_from_slice(&sums);
    out
}

/// Row i of packed M̃ and U for one lane of samples.
struct RowOfM<'a, T> {
    m: &'a [T],
    u: &'a [T],
    hidden: usize,
    outputs: usize,
    width: usize,
    lane: usize,
    row: usize,
    first: usize,
}

impl<T: Real> RowOfM<'_, T> {
    /// Σ_j M̃[i, j] U[k.., j] for G outputs from the first on.
    #[inline(always)]
    fn times_u<const G: usize>(&self) -> [[T; LANE]; G] {
        let Self {
            m,
            u,
            hidden: h,
            outputs,
            width,
            lane,
            row: i,
            first: k,
        } = *self;
        let half = T::one() / svec::scale::<T>();
        let mut sums = [[T::zero(); LANE]; G];
        let mut at = i;
        for j in 0..h {
            // Packed: row j of the upper triangle begins at (j, j) and is h − j long.
            let m = &m[at * width + lane..][..LANE];
            for (g, sum) in sums.iter_mut().enumerate() {
                let u = &u[(j * outputs + k + g) * LANE..][..LANE];
                for l in 0..LANE {
                    sum[l] += m[l] * u[l];
                }
            }
            at += if j < i { h - j - 1 } else { 1 };
        }
        // All terms but the diagonal carry the √2 of the packing.
        let diagonal = &m[svec::diagonal(h, i) * width + lane..][..LANE];
        for (g, sum) in sums.iter_mut().enumerate() {
            let u = &u[(i * outputs + k + g) * LANE..][..LANE];
            for l in 0..LANE {
                sum[l] = (sum[l] - diagonal[l] * u[l]) * half + diagonal[l] * u[l];
            }
        }
        sums
    }
}
