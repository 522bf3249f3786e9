//! When a Lanczos iteration stops and where it starts.

use burn::config::Config;
use hsr_core::LanczosOptions;

/// When a Lanczos iteration stops and where it starts: hsr-core's [`LanczosOptions`] as a configuration of Burn's, into and
/// from which they convert.
///
/// ```
/// use burn_hsr::LanczosConfig;
///
/// let few = LanczosConfig::new().with_iterations(100).with_tolerance(1e-6);
/// ```
#[derive(Config, Debug, Copy, PartialEq)]
pub struct LanczosConfig {
    /// The most products with the operator. As many vectors are kept.
    #[config(default = 300)]
    pub iterations: usize,
    /// Residuals below this fraction of the largest |λ| are converged.
    #[config(default = 1e-10)]
    pub tolerance: f64,
    /// The seed of the first vector.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for LanczosConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl From<LanczosOptions> for LanczosConfig {
    fn from(options: LanczosOptions) -> Self {
        let LanczosOptions {
            iterations,
            tolerance,
            seed,
        } = options;
        Self {
            iterations,
            tolerance,
            seed,
        }
    }
}

impl From<LanczosConfig> for LanczosOptions {
    fn from(config: LanczosConfig) -> Self {
        let LanczosConfig {
            iterations,
            tolerance,
            seed,
        } = config;
        Self {
            iterations,
            tolerance,
            seed,
        }
    }
}

#[cfg(test)]
mod tests {
    use hsr_core::LanczosOptions;

    use super::LanczosConfig;

    #[test]
    fn the_defaults_are_those_of_hsr_core() {
        let options = LanczosOptions::default();
        assert_eq!(LanczosConfig::new(), options.into());
        assert_eq!(LanczosOptions::from(LanczosConfig::from(options)), options);
    }
}
