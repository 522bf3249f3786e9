//! How much memory a command may take: what it was told, or a share of what is free.

use std::str::FromStr;
use std::sync::OnceLock;

use hsr_core::depth::LayerShape;
use hsr_core::{Error, Evaluation, OutputLoss, Quantity, Workspace};

use crate::curvature::{Curvature, check_memory, sizes};
use crate::error::LabError;
use crate::weights::three_layers;

/// The most memory that the closed form may take. It belongs to the machine and not to what is computed: a
/// configuration is the same under any limit, and no file holds it.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct MemoryLimit(Option<u64>);

impl PartialEq for MemoryLimit {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl MemoryLimit {
    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Some(bytes))
    }

    /// The bytes; by default half of what was free when this was first asked.
    pub fn bytes(self) -> u64 {
        self.0.unwrap_or_else(|| free() / 2)
    }

    /// The share of each of several jobs that run at the same time.
    pub fn divided(self, jobs: usize) -> Self {
        Self(Some(self.bytes() / jobs.max(1) as u64))
    }

    /// Curvature under this limit.
    pub fn curvature(self) -> Curvature {
        let limit = self.bytes();
        Curvature::of(Workspace::new().with_memory_limit(limit), limit)
    }

    /// The same with results that do not depend on the number of cores.
    pub(crate) fn single_threaded(self) -> Curvature {
        let limit = self.bytes();
        Curvature::of(Workspace::single_threaded().with_memory_limit(limit), limit)
    }
}

impl FromStr for MemoryLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a size such as 2GiB, 500MB or a number of bytes".to_owned();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
        let value: f64 = digits.parse().map_err(|_| expected())?;
        let unit = text[digits.len()..].trim().to_ascii_lowercase();
        let (prefix, base) = match unit.strip_suffix("ib") {
            Some(prefix) if !prefix.is_empty() => (prefix, 1024_f64),
            _ => match unit.strip_suffix('b') {
                Some(prefix) => (prefix, 1000.0),
                None => (unit.as_str(), 1024.0),
            },
        };
        let power = ["", "k", "m", "g", "t"].iter().position(|it| *it == prefix);
        let unit = base.powi(power.ok_or_else(expected)? as i32);
        let bytes = value * unit;
        if bytes >= 1.0 && bytes < u64::MAX as f64 {
            Ok(Self(Some(bytes as u64)))
        } else {
            Err(expected())
        }
    }
}

/// What is assumed where the system does not say what is free.
const FALLBACK: u64 = 4 << 30;

/// The bytes that this process may still take, as the system said when it was first asked: the least of what the machine
/// has available, what is left of its control group's share, and its own limit on addresses.
fn free() -> u64 {
    static FREE: OnceLock<u64> = OnceLock::new();
    *FREE.get_or_init(|| {
        let limits = [available(), left_in_group(), left_of_addresses()];
        limits.into_iter().flatten().min().unwrap_or(FALLBACK)
    })
}

/// The number that follows `name` in a file of lines such as `MemAvailable:   123 kB`.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    Some(number_after(&text, "MemAvailable:")? * 1024)
}

fn left_in_group() -> Option<u64> {
    let read =
        |path: &str| -> Option<u64> { std::fs::read_to_string(path).ok()?.trim().parse().ok() };
    let of = |limit, used| Some(read(limit)?.saturating_sub(read(used)?));
    // Version 2 and version 1; without a limit the file of the first says "max", that of the second a huge number.
    of("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current").or_else(|| {
        of(
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        )
    })
}

fn left_of_addresses() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limit = number_after(&limits, "Max address space")?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(limit.saturating_sub(number_after(&status, "VmSize:")? * 1024))
}

/// How much there is to do in training.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Samples trained on, tested on, and of one step.
    pub train: usize,
    pub test: usize,
    pub step: usize,
    /// Whether the steps descend a measure of the Hessian.
    pub penalty: bool,
}

impl Sizes {
    /// Refuses what does not fit, before any of it is allocated: networks of these layers, and their closed form on the
    /// splits.
    pub fn check(self, layers: &[LayerShape], limit: MemoryLimit) -> Result<(), LabError> {
        let limit = limit.bytes();
        let Self {
            train,
            test,
            step,
            penalty,
        } = self;
        let (hidden, outputs) = sizes(layers);
        let wide = |layer: &LayerShape| layer.outputs as f64;
        let parameters: f64 = layers
            .iter()
            .map(|layer| wide(layer) * (layer.inputs as f64 + 1.0))
            .sum();
        let units: f64 = layers.iter().map(wide).sum();
        let k = outputs as f64;
        // In f32 the weights of a network, its gradient, the optimizer's two moments and what a step makes of them; in f64
        // the start, the result and a gradient. For each sample of a step what autodiff keeps, and the logits of a split.
        let needed = parameters * (5.0 * 4.0 + 4.0 * 8.0)
            + step as f64 * units * 6.0 * 4.0
            + test as f64 * k * 8.0;
        let refuse = |needed: u64| {
            LabError::Core(Error::Memory {
                what: "training",
                samples: train,
                hidden,
                outputs,
                needed,
                limit,
            })
        };
        if needed > limit as f64 {
            return Err(refuse(needed as u64));
        }
        let of_penalty = penalty.then_some((Quantity::BoundsGradient, step));
        let asked = [
            (Quantity::Bounds, train),
            (Quantity::HessianProduct, train),
            (Quantity::Loss, test),
        ];
        let loss = OutputLoss::SoftmaxCrossEntropy;
        let dimensions = three_layers(layers);
        let workspace = Workspace::<f64>::single_threaded().with_memory_limit(limit);
        for (quantity, samples) in asked.into_iter().chain(of_penalty) {
            match &dimensions {
                Some(it) => {
                    workspace.memory(quantity, it, loss, samples, Evaluation::Auto)?;
                }
                None => check_memory(quantity, layers, loss, samples, limit)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        for (text, bytes) in [
            ("1", 1),
            ("2GiB", 2 << 30),
            ("2g", 2 << 30),
            ("1.5 MiB", 3 << 19),
            ("500MB", 500_000_000),
            ("1e3", 1000),
        ] {
            let limit: MemoryLimit = text.parse().unwrap();
            assert_eq!(limit.bytes(), bytes, "{text}");
        }
        for text in [
            "",
            "GiB",
            "-1",
            "0",
            "2 parsecs",
            "nan",
            "inf",
            "1e30",
            "1GiBs",
        ] {
            assert!(text.parse::<MemoryLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn jobs_share_the_limit() {
        assert_eq!(MemoryLimit::new(1000).divided(4).bytes(), 250);
    }

    #[test]
    fn something_is_free() {
        assert!(free() > 1 << 20);
        let text = "MemTotal:  7 kB\nMemAvailable:   12 kB\n";
        assert_eq!(number_after(text, "MemAvailable:"), Some(12));
        assert_eq!(
            number_after("Max address space  unlimited", "Max address space"),
            None
        );
    }

    #[test]
    fn a_network_that_no_machine_holds_is_refused() {
        for hidden in [1 << 32, usize::MAX] {
            let layers = [LayerShape::new(2, hidden), LayerShape::new(hidden, 2)];
            let sizes = Sizes {
                train: 100,
                test: 50,
                step: 64,
                penalty: true,
            };
            let refused = sizes.check(&layers, MemoryLimit::new(1 << 30));
            let refused = matches!(refused, Err(LabError::Core(Error::Memory { .. })));
            assert!(refused, "{hidden}");
        }
    }
}
