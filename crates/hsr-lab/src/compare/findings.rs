//! What the runs say together: medians, tests, and the tables of both.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use burn_hsr::Strength;
use serde::{Deserialize, Serialize};

use super::config::CompareConfig;
use super::metric::Metric;
use super::record::RunRecord;
use super::tuning::TunedMethod;
use crate::statistics::{Quartiles, SignedRank, holm, stars};
use crate::train::Method;
use crate::train::problem::Problem;

/// A method over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodFindings {
    /// The method.
    pub method: Method,
    /// Its strength.
    pub strength: Strength,
    /// Runs that ended with a network.
    pub finished: usize,
    /// Runs that left the range of numbers; they are in no median and no test.
    pub diverged: usize,
    /// Median and quartiles of what is known of every finished run.
    pub metrics: BTreeMap<Metric, Quartiles>,
}

impl MethodFindings {
    /// Its strength for a table.
    fn strength(&self) -> String {
        match self.method.has_strength() {
            true => self.strength.to_string(),
            false => "–".to_owned(),
        }
    }
}

/// Two methods, one metric: a paired two-sided Wilcoxon signed-rank test over the seeds at which both finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairTest {
    /// The metric.
    pub metric: Metric,
    /// The method that is subtracted.
    pub method_a: Method,
    /// The method it is subtracted from.
    pub method_b: Method,
    /// Medians of both over the paired seeds.
    pub medians: [f64; 2],
    /// The test of b − a.
    #[serde(flatten)]
    pub test: SignedRank,
    /// p after Holm's correction over all pairs of methods in this metric.
    pub p_holm: f64,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// The task or file.
    pub task: String,
    /// The backend.
    pub backend: String,
    /// D.
    pub parameters: usize,
    /// Samples of the training split.
    pub train_samples: usize,
    /// Samples of the test split.
    pub test_samples: usize,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The directory.
    pub directory: String,
    /// The methods, the one that the others are tested against first.
    pub methods: Vec<MethodFindings>,
    /// Every metric and pair of methods that share a seed.
    pub tests: Vec<PairTest>,
    /// What the choice of strengths came to, where they were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tuning: Vec<TunedMethod>,
    /// What could not be drawn, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl Findings {
    pub(super) fn new(
        config: &CompareConfig,
        problem: &Problem,
        directory: &Path,
        records: &[RunRecord],
    ) -> Self {
        let methods: Vec<Method> = config.methods.iter().map(|it| it.method).collect();
        Self {
            task: config.training.source.name(),
            backend: config.training.backend.to_string(),
            parameters: problem.parameters(),
            train_samples: problem.train.data.samples(),
            test_samples: problem.test.data.samples(),
            seeds: config.seeds().collect(),
            directory: directory.display().to_string(),
            methods: config
                .methods
                .iter()
                .map(|contender| {
                    let runs: Vec<&RunRecord> = of(records, contender.method).collect();
                    let known = |metric: Metric| {
                        let values: Vec<f64> =
                            runs.iter().filter_map(|run| metric.of(run)).collect();
                        Some((metric, Quartiles::of(&values)?))
                    };
                    let diverged = runs.iter().filter(|run| run.network.is_none()).count();
                    MethodFindings {
                        method: contender.method,
                        strength: contender.strength,
                        finished: runs.len() - diverged,
                        diverged,
                        metrics: Metric::ALL.into_iter().filter_map(known).collect(),
                    }
                })
                .collect(),
            tests: Metric::ALL
                .into_iter()
                .filter(|metric| metric.is_tested())
                .flat_map(|metric| tests(metric, &methods, records))
                .collect(),
            tuning: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The strength of a method for a table: the median of those chosen, where they were.
    pub(super) fn strength(&self, method: &MethodFindings) -> String {
        let tuned = self.tuning.iter().find(|it| it.method == method.method);
        match tuned.and_then(TunedMethod::median) {
            Some(strength) => format!("{strength} (tuned)"),
            None => method.strength(),
        }
    }

    /// The method that the others are tested against.
    pub fn baseline(&self) -> Method {
        self.methods[0].method
    }

    /// The test of two methods in a metric, in either order.
    pub fn test(&self, metric: Metric, a: Method, b: Method) -> Option<&PairTest> {
        self.tests.iter().find(|test| {
            let pair = (test.method_a, test.method_b);
            test.metric == metric && (pair == (a, b) || pair == (b, a))
        })
    }

    /// How a method's median is marked: by the test against the baseline.
    pub fn mark(&self, metric: Metric, method: Method) -> &'static str {
        self.test(metric, self.baseline(), method)
            .map_or("", |test| stars(test.p_holm))
    }

    /// Why no test can be significant, where the seeds are too few for that.
    pub fn too_few_seeds(&self) -> Option<String> {
        let (methods, seeds) = (self.methods.len(), self.seeds.len());
        let tests = (methods * (methods - 1) / 2) as f64;
        // All differences of one sign: 2 of the 2ⁿ assignments are as extreme.
        let least = |seeds: usize| (tests * 2.0_f64.powi(1 - seeds.min(1000) as i32)).min(1.0);
        if least(seeds) < 0.05 {
            return None;
        }
        let enough = (1..).find(|&seeds| least(seeds) < 0.05)?;
        Some(format!(
            "With {seeds} seed{} no test can be significant, whatever the runs: the smallest corrected p is {:.2}. \
             {methods} methods need {enough} seeds.",
            if seeds == 1 { "" } else { "s" },
            least(seeds),
        ))
    }

    /// `statistics.csv`.
    pub fn statistics_csv(&self) -> String {
        let mut text = "metric,method_a,method_b,n,zeros,median_a,median_b,median_difference,hodges_lehmann,w,p,p_holm,effect,\
                        null_distribution\n"
            .to_owned();
        for pair in &self.tests {
            let PairTest {
                metric,
                method_a,
                method_b,
                medians: [a, b],
                test,
                p_holm,
            } = pair;
            let _ = writeln!(
                text,
                "{},{},{},{},{},{a:?},{b:?},{:?},{:?},{:?},{:?},{p_holm:?},{:?},{}",
                metric.name(),
                method_a.name(),
                method_b.name(),
                test.pairs,
                test.zeros,
                test.median,
                test.hodges_lehmann,
                test.statistic,
                test.p,
                test.effect,
                test.null,
            );
        }
        text
    }

    /// A table for people: a row a quantity, a column a method; below each median its quartiles.
    pub fn table(&self) -> String {
        /// Methods beside each other.
        const BESIDE: usize = 5;
        let mut text = format!(
            "{}: {} training and {} test samples, {} parameters, {} backend, {} seeds\n",
            self.task,
            self.train_samples,
            self.test_samples,
            self.parameters,
            self.backend,
            self.seeds.len(),
        );
        for methods in self.methods.chunks(BESIDE) {
            let mut block = vec![format!("{:24}", ""), format!("{:24}", "strength")];
            for method in methods {
                let _ = write!(block[0], "{:>17}   ", method.method.name());
                let strength = self.strength(method);
                let _ = write!(block[1], "{strength:>17}   ");
            }
            for metric in Metric::ALL {
                let (mut medians, mut quartiles) =
                    (format!("{:24}", metric.label()), format!("{:24}", ""));
                for method in methods {
                    let found = method.metrics.get(&metric);
                    let median = found.map_or("–".to_owned(), |q| metric.text(q.median));
                    let mark = self.mark(metric, method.method);
                    let _ = write!(medians, "{median:>17}{mark:<3}");
                    let range = found.map_or(String::new(), |q| between(metric, q));
                    let _ = write!(quartiles, "{range:>17}   ");
                }
                block.extend([medians, quartiles]);
            }
            text.push('\n');
            for line in block {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        let _ = writeln!(
            text,
            "\nMedians over seeds, quartiles below. Against {}: * p < 0.05, ** p < 0.01, *** p < 0.001 (paired two-sided\n\
             Wilcoxon signed-rank tests, Holm-corrected over all pairs of methods in a row).",
            self.baseline().name()
        );
        for note in self.notes() {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    /// What a reader must know of the numbers.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.too_few_seeds().into_iter().collect();
        for method in self.methods.iter().filter(|it| it.diverged > 0) {
            notes.push(format!(
                "{} of {} runs of {} left the range of numbers: they are in no median and no test.",
                method.diverged,
                method.diverged + method.finished,
                method.method.name()
            ));
        }
        notes
    }
}

/// The quartiles as a range.
pub(super) fn between(metric: Metric, quartiles: &Quartiles) -> String {
    let (lower, upper) = (metric.text(quartiles.lower), metric.text(quartiles.upper));
    // One unit for both.
    let lower = lower.strip_suffix(" %").unwrap_or(&lower);
    format!("{lower} … {upper}")
}

/// The runs of a method.
pub(super) fn of(records: &[RunRecord], method: Method) -> impl Iterator<Item = &RunRecord> {
    records.iter().filter(move |run| run.method == method)
}

/// One family: all pairs of methods in a metric.
fn tests(metric: Metric, methods: &[Method], records: &[RunRecord]) -> Vec<PairTest> {
    // Of each seed the value, and the largest number that it was computed from.
    let values = |method: Method| -> BTreeMap<u64, (f64, f64)> {
        of(records, method)
            .filter_map(|run| Some((run.seed, (metric.of(run)?, metric.magnitude(run)?))))
            .collect()
    };
    let of_methods: Vec<_> = methods.iter().map(|&method| values(method)).collect();
    let mut family = Vec::new();
    for (i, &method_a) in methods.iter().enumerate() {
        for (j, &method_b) in methods.iter().enumerate().skip(i + 1) {
            let pairs: Vec<_> = of_methods[i]
                .iter()
                .filter_map(|(seed, a)| Some((a, of_methods[j].get(seed)?)))
                .collect();
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(a, b)| (a.0, b.0)).unzip();
            let largest = pairs.iter().map(|(a, b)| a.1.max(b.1)).fold(0.0, f64::max);
            let (Some(test), Some(median_a), Some(median_b)) = (
                SignedRank::paired_within(&a, &b, largest),
                Quartiles::of(&a),
                Quartiles::of(&b),
            ) else {
                continue;
            };
            family.push(PairTest {
                metric,
                method_a,
                method_b,
                medians: [median_a.median, median_b.median],
                p_holm: test.p,
                test,
            });
        }
    }
    let p: Vec<f64> = family.iter().map(|pair| pair.test.p).collect();
    for (pair, corrected) in family.iter_mut().zip(holm(&p)) {
        pair.p_holm = corrected;
    }
    family
}

/// `runs.csv`: a row a run, nothing where a run diverged or a value is not known. Every metric that is tested is a column,
/// with all its digits: the tests can be repeated from the file.
pub(super) fn runs_csv(records: &[RunRecord]) -> String {
    // Programs read columns by their place as well: new ones come behind the seconds.
    const BEFORE: [Metric; 9] = [
        Metric::TrainLoss,
        Metric::Accuracy,
        Metric::MacroF1,
        Metric::LambdaMax,
        Metric::LambdaMin,
        Metric::LambdaSup,
        Metric::Tightness,
        Metric::NegativeEigenvalues,
        Metric::GradNorm,
    ];
    let after: Vec<Metric> = Metric::ALL
        .into_iter()
        .filter(|metric| metric.is_tested() && !BEFORE.contains(metric))
        .collect();
    let keys = |metrics: &[Metric]| {
        let keys: Vec<&str> = metrics.iter().map(|it| it.name()).collect();
        keys.join(",")
    };
    let mut text = format!(
        "method,seed,{},seconds,{},strength\n",
        keys(&BEFORE),
        keys(&after)
    );
    for run in records {
        let values = |metrics: &[Metric]| {
            let value = |metric: &Metric| match metric.of(run) {
                None => String::new(),
                Some(count) if *metric == Metric::NegativeEigenvalues => count.to_string(),
                Some(value) => format!("{value:?}"),
            };
            metrics.iter().map(value).collect::<Vec<_>>().join(",")
        };
        let _ = writeln!(
            text,
            "{},{},{},{:?},{},{}",
            run.method.name(),
            run.seed,
            values(&BEFORE),
            run.seconds,
            values(&after),
            run.strength
        );
    }
    text
}
