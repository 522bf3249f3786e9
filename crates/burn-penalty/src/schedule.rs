//! How the strength changes from step to step.

use burn::config::Config;

/// The factor of the strength at each step. Everything is on from the start and constant unless it is set; what is set
/// acts together.
///
/// With warm-up over w steps, a cosine over c steps, a stop after s steps and an interval of k steps, the factor of
/// step t = 0, 1, … is
///
/// ```text
/// min(1, (t + 1)/w) · ½(1 + cos(π·min(t/c, 1))) · k   where t is a multiple of k and t < s, else 0.
/// ```
///
/// A step is one call of what adds the penalty; where gradients are accumulated around it, that is a micro-batch.
///
/// ```
/// use burn_penalty::ScheduleConfig;
///
/// // Off for the last phase, so that training ends at a critical point of the loss itself. Curvature can then come back, in
/// // a few dozen steps of Adam: to keep what HSR gained, let it act to the end.
/// let schedule = ScheduleConfig::new().with_warmup_steps(100).with_stop_after(Some(2000));
/// assert_eq!(schedule.factor(0), 0.01);
/// assert_eq!(schedule.factor(2000), 0.0);
/// ```
#[derive(Config, Debug, PartialEq, Eq)]
pub struct ScheduleConfig {
    /// Steps of a linear warm-up from 0; 0 for none.
    #[config(default = 0)]
    pub warmup_steps: u64,
    /// Steps of a cosine from 1 down to 0, where the strength stays; none for a constant one.
    pub cosine_steps: Option<u64>,
    /// Steps after which nothing is added any more.
    pub stop_after: Option<u64>,
    /// The penalty acts every k-th step, k times as strong, and costs nothing between. k = 1 acts always.
    #[config(default = 1)]
    pub interval: u64,
}

impl ScheduleConfig {
    /// The share of the steps in which the penalty acts while nothing has stopped it: 1/k.
    pub fn share(&self) -> f64 {
        1.0 / self.interval.max(1) as f64
    }

    /// The factor of the strength at step t, counted from 0.
    pub fn factor(&self, t: u64) -> f64 {
        let interval = self.interval.max(1);
        let stopped = self.stop_after.is_some_and(|steps| t >= steps);
        if stopped || !t.is_multiple_of(interval) {
            return 0.0;
        }
        let share = |t: u64, of: u64| {
            if t >= of { 1.0 } else { t as f64 / of as f64 }
        };
        let warmup = share(t + 1, self.warmup_steps);
        let cosine = match self.cosine_steps {
            // Exactly 0 at the end, so that the step is the plain optimizer's.
            Some(steps) if t >= steps => 0.0,
            Some(steps) => 0.5 * (1.0 + (core::f64::consts::PI * share(t, steps)).cos()),
            None => 1.0,
        };
        warmup * cosine * interval as f64
    }
}

#[cfg(test)]
mod tests {
    use super::ScheduleConfig;

    #[test]
    fn the_default_is_constant() {
        assert!((0..1000).all(|t| ScheduleConfig::new().factor(t) == 1.0));
    }

    #[test]
    fn warm_up_reaches_one_at_its_last_step() {
        let schedule = ScheduleConfig::new().with_warmup_steps(4);
        let factors: Vec<f64> = (0..6).map(|t| schedule.factor(t)).collect();
        assert_eq!(factors, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn the_cosine_falls_from_one_through_a_half_to_exactly_zero() {
        let schedule = ScheduleConfig::new().with_cosine_steps(Some(10));
        assert_eq!(schedule.factor(0), 1.0);
        assert!((schedule.factor(5) - 0.5).abs() < 1e-15);
        assert!((1..10).all(|t| schedule.factor(t) < schedule.factor(t - 1)));
        assert_eq!(schedule.factor(10), 0.0);
        assert_eq!(schedule.factor(1000), 0.0);
    }

    #[test]
    fn an_interval_keeps_the_mean_strength() {
        let schedule = ScheduleConfig::new().with_interval(4);
        let sum: f64 = (0..400).map(|t| schedule.factor(t)).sum();
        assert_eq!(sum, 400.0);
        assert_eq!((0..400).filter(|&t| schedule.factor(t) != 0.0).count(), 100);
    }

    #[test]
    fn nothing_is_added_after_the_stop() {
        let schedule = ScheduleConfig::new()
            .with_stop_after(Some(3))
            .with_interval(2);
        let factors: Vec<f64> = (0..5).map(|t| schedule.factor(t)).collect();
        assert_eq!(factors, [2.0, 0.0, 2.0, 0.0, 0.0]);
    }
}
