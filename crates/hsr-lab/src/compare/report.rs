//! `report.html`.

use std::path::Path;

use super::budget::Budget;
use super::config::CompareConfig;
use super::figures::{TRADES, drawn, panel, scatter};
use super::findings::{Findings, PairTest, between};
use super::metric::Metric;
use super::record::RunRecord;
use super::tuning;
use crate::architecture::NetworkKind;
use crate::figures::{FigureError, MOST_POINTS, distributions, value};
use crate::report::{Cell, Report, Table};
use crate::statistics::{NullDistribution, stars};
use crate::train::versions;

pub(super) fn report(
    config: &CompareConfig,
    findings: &Findings,
    records: &[RunRecord],
    directory: &Path,
) -> Result<String, FigureError> {
    let baseline = findings.baseline().name();
    let names: Vec<&str> = findings.methods.iter().map(|it| it.method.name()).collect();
    let mut report = Report::new(&format!("{}: {}", findings.task, names.join(", ")));
    report.paragraph(&format!(
        "{} methods, {} seed{} each, from identical starts: for a seed every method has the same data, split, start \
         weights and order of samples. {} training and {} test samples, D = {} parameters.",
        names.len(),
        findings.seeds.len(),
        if findings.seeds.len() == 1 { "" } else { "s" },
        findings.train_samples,
        findings.test_samples,
        findings.parameters
    ));
    for note in findings.notes() {
        report.notice(&note);
    }

    report.heading("What came of it");
    report.paragraph(&format!(
        "Medians over seeds, quartiles below. Stars are tests against {baseline}: *\u{a0}p\u{a0}<\u{a0}0.05, **\u{a0}p\u{a0}<\u{a0}0.01, \
         ***\u{a0}p\u{a0}<\u{a0}0.001, \
         paired two-sided Wilcoxon signed-rank tests with Holm's correction over all pairs of methods in a row."
    ));
    report.table(&medians(findings));
    report.paragraph(
        "Loss, accuracy, macro-F1 and calibration error (15 bins of equal width) as named on the training or test split; \
         λ_max, λ_min, λ_sup, the number of negative eigenvalues and the norm of the gradient are those of the training loss \
         at the end of training. Tightness is λ_sup/λ_max, how far the bound is from what it bounds. Adaptive sharpness and relative flatness \
         are the same for networks of one function whose layers are scaled differently; logit-normalised λ_max does not fall \
         when a network only becomes more confident. Time is not tested: runs that share \
         a machine disturb each other.",
    );

    if !findings.tuning.is_empty() {
        report.heading("How strong");
        report.paragraph(
            "For each seed and method every strength of the grid was tried on four fifths of the training split, and the one \
             with the highest macro-F1 on the last fifth was taken; of equal ones that with the least loss there. All methods \
             have the same number of trials, and the test split was not looked at. The table shows how often each strength \
             was taken.",
        );
        report.figure(
            &tuning::figure(&findings.tuning)?,
            "The validation score over the strength: where the curve is flat, the strength need not be chosen with care.",
        );
        report.table(&choices(findings));
    }

    report.heading("Loss, curvature and scores");
    let mut trades = Vec::new();
    for trade in &TRADES {
        let figure = scatter(std::slice::from_ref(trade), findings, records)?;
        trades.push((figure, trade.caption));
    }
    report.gallery(trades.iter().map(|(figure, caption)| (figure, *caption)));

    report.heading("Every run");
    let dots = if findings.seeds.len() > MOST_POINTS {
        "A dot each for some of the runs"
    } else {
        "A dot a run"
    };
    report.paragraph(&format!(
        "{dots}, a box from the lower to the upper quartile with a line at the median, a thin line from the least to the \
         greatest value of all; stars as above."
    ));
    let mut panels = Vec::new();
    for metric in drawn() {
        let figure = distributions(&[panel(metric, findings, records)], 1)?;
        panels.push((figure, explanation(metric)));
    }
    report.gallery(panels.iter().map(|(figure, caption)| (figure, *caption)));

    report.heading(&format!("Tests against {baseline}"));
    report.paragraph(TIES);
    report.paragraph(
        "n pairs, those with equal values left out by the test; the medians of baseline and method; the median of the \
         differences method − baseline, seed by seed; the effect size r (matched-pairs rank-biserial correlation, from −1, \
         lower on every seed, to 1, higher on every seed); p, and p after Holm's correction; the smaller sum of ranks W, \
         and the Hodges-Lehmann estimate of the difference.",
    );
    let (against, others): (Vec<&PairTest>, Vec<&PairTest>) = findings
        .tests
        .iter()
        .partition(|test| test.method_a == findings.baseline());
    report.table(&tests(&against, false));
    if !others.is_empty() {
        report.folded("Tests between the other methods", &tests(&others, true));
    }
    if findings
        .tests
        .iter()
        .any(|pair| pair.test.null == NullDistribution::Normal)
    {
        report.paragraph(
            "p is exact, except where marked with ≈: there, with more than 50 differences or more than 13 with ties or \
             zeros, it comes from the normal distribution, as in SciPy.",
        );
    } else {
        report.paragraph("Every p is exact: all assignments of signs to the ranks are counted.");
    }

    report.heading("How to repeat it");
    report.command(&config.command(directory));
    report.paragraph(
        "The results depend on the options above alone, not on the number of jobs; the same command in the same directory \
         does only what is missing. Every run is in `runs.csv`, every test in `statistics.csv`.",
    );
    report.list(settings(config));
    Ok(report.html())
}

/// The rule by which a reader can repeat a test from `runs.csv`.
const TIES: &str = "Two differences are tied, and one is zero, where they are within 64 ε (ε = 2⁻⁵², so 1.4·10⁻¹⁴) of the \
     largest number that they were computed from: for the gaps of loss and accuracy that is the loss or accuracy itself, \
     for everything else the value in the table. What rounding alone makes differ does not decide a test.";

fn medians(findings: &Findings) -> Table {
    let names = findings.methods.iter().map(|it| it.method.name());
    let mut table = Table::new(std::iter::once("").chain(names));
    table.row(
        "strength",
        findings
            .methods
            .iter()
            .map(|it| Cell::number(findings.strength(it))),
    );
    for metric in Metric::ALL {
        let cells = findings
            .methods
            .iter()
            .map(|it| match it.metrics.get(&metric) {
                None => Cell::number("–"),
                Some(quartiles) => Cell::number(metric.text(quartiles.median))
                    .with_mark(findings.mark(metric, it.method))
                    .with_note(between(metric, quartiles)),
            });
        table.row(metric.title(), cells);
    }
    table
}

/// How often each strength was taken, a row a method.
fn choices(findings: &Findings) -> Table {
    let most = findings.tuning.iter().map(|it| it.strengths.len()).max();
    let columns = (1..=most.unwrap_or(0)).map(|number| number.to_string());
    let mut table = Table::new(std::iter::once(String::new()).chain(columns));
    for tuned in &findings.tuning {
        let cells = tuned
            .strengths
            .iter()
            .zip(&tuned.scores)
            .map(|(strength, scores)| {
                let times = tuned.chosen.iter().filter(|it| *it == strength).count();
                let score = scores.map_or("–".to_owned(), |it| Metric::MacroF1.text(it.median));
                Cell::number(format!("{times} ×")).with_note(format!("{strength}: {score}"))
            });
        table.row(tuned.method.name(), cells);
    }
    table
}

fn tests(tests: &[&PairTest], both: bool) -> Table {
    let before = if both { "before" } else { "baseline" };
    let head = [
        "",
        "method",
        "n",
        before,
        "median",
        "difference",
        "r",
        "p",
        "corrected",
        "W",
        "Hodges-Lehmann",
    ];
    let mut table = Table::new(head);
    for pair in tests {
        let (metric, test) = (pair.metric, &pair.test);
        let p = |p: f64| match test.null {
            NullDistribution::Exact => value(p),
            NullDistribution::Normal => format!("≈ {}", value(p)),
        };
        let method = if both {
            format!("{} − {}", pair.method_b.name(), pair.method_a.name())
        } else {
            pair.method_b.name().to_owned()
        };
        let n = match test.zeros {
            0 => test.pairs.to_string(),
            equal => format!("{} ({equal} equal)", test.pairs),
        };
        let [a, b] = pair.medians.map(|median| Cell::number(metric.text(median)));
        table.row(
            metric.title(),
            [
                Cell::words(method),
                Cell::number(n),
                a,
                b,
                Cell::number(metric.text(test.median)),
                Cell::number(format!("{:.2}", test.effect).replace('-', "−")),
                Cell::number(p(test.p)),
                Cell::number(p(pair.p_holm)).with_mark(stars(pair.p_holm)),
                Cell::number(value(test.statistic)),
                Cell::number(metric.text(test.hodges_lehmann)),
            ],
        );
    }
    table
}

/// What a panel shows, where its title does not say it all.
fn explanation(metric: Metric) -> &'static str {
    match metric {
        Metric::LossGap => "Mean cross-entropy on the test split minus that on the training split.",
        Metric::CalibrationError => {
            "Expected calibration error on the test split: the distance between confidence and accuracy, over 15 bins."
        }
        Metric::LambdaMax => "Largest eigenvalue of the training loss's Hessian.",
        Metric::LambdaMin => "Smallest eigenvalue; negative at a saddle or where training goes on.",
        Metric::LambdaSup => "The Wolkowicz-Styan bound on λ_max, which HSR descends.",
        Metric::Tightness => "How many times the bound is λ_max.",
        Metric::GradNorm => "Norm of the training loss's gradient: 0 at a critical point.",
        Metric::NegativeEigenvalues => {
            "Negative beyond rounding; counted where all eigenvalues are computed."
        }
        Metric::AdaptiveSharpness => {
            "λ_max in units of each weight: the same for a network whose layers are rescaled without another function."
        }
        Metric::RelativeFlatness => {
            "Curvature of the output layer times its weights: the same for rescaled layers, too."
        }
        Metric::LogitNormalizedLambdaMax => {
            "λ_max of the network with logits of scale 1: confidence alone does not lower it."
        }
        _ => "",
    }
}

fn settings(config: &CompareConfig) -> Vec<(&'static str, String)> {
    let training = &config.training;
    let seeds: Vec<u64> = config.seeds().collect();
    let (hidden, activation) = (&training.hidden, &training.activation);
    let network = match training.network {
        NetworkKind::Mlp if training.residual => {
            format!("{hidden} hidden units, {activation}, residual")
        }
        NetworkKind::Mlp => format!("{hidden} hidden units, {activation}"),
        NetworkKind::Conv => format!("convolutional, {hidden} channels, {activation}"),
    };
    let seeds = match seeds[..] {
        [only] => only.to_string(),
        _ => format!("{} to {}", seeds[0], seeds[seeds.len() - 1]),
    };
    let (optimizer, rate) = (training.optimizer, training.learning_rate);
    let epochs = training
        .epochs
        .map_or_else(String::new, |it| it.to_string());
    let epochs = match config.budget {
        Budget::Epochs => epochs,
        Budget::Passes => format!("{epochs} of plain training, others as many passes"),
    };
    let number = |it: Option<usize>, all: &str| it.map_or(all.to_owned(), |n| n.to_string());
    let test = match training.source.has_fixed_split() {
        true => "as distributed".to_owned(),
        false => format!("{} of the samples, stratified", training.test_fraction),
    };
    let mut list = vec![
        ("data", training.source.name()),
        ("seeds", seeds),
        ("network", network),
        ("optimizer", format!("{optimizer}, learning rate {rate}")),
        ("epochs", epochs),
        ("samples a step", number(training.batch, "all")),
        ("backend", training.backend.to_string()),
        ("test split", test),
        (
            "training samples",
            number(training.train_samples, "all of the split"),
        ),
        (
            "wrong training labels",
            format!("{} %", value(100.0 * training.label_noise)),
        ),
    ];
    list.extend(versions().into_iter().map(|(name, version)| {
        let name = match name.as_str() {
            "hsr" => "hsr",
            "burn" => "Burn",
            "os" => "system",
            _ => "processor",
        };
        (name, version)
    }));
    list
}
