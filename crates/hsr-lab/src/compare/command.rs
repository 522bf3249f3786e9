//! A comparison as the command that makes it.

use std::ffi::OsStr;
use std::fmt::Display;
use std::path::Path;

use burn_hsr::{Mode, Subsample};

use super::budget::Budget;
use super::config::CompareConfig;
use super::contender::Contender;
use crate::architecture::NetworkKind;
use crate::data::{Missing, TableOptions, written_list};
use crate::named::Named;
use crate::shell;
use crate::tasks::TaskOptions;
use crate::train::{Refinements, Source};

impl CompareConfig {
    /// The command line that makes this comparison in `directory`, for a POSIX shell.
    pub fn command(&self, directory: &Path) -> String {
        let (training, mut line) = (&self.training, Line("hsr compare".to_owned()));
        match &training.source {
            Source::Task { name, options } => {
                line.option("task", name);
                line.task(options);
            }
            Source::Csv { path, label, table } => {
                line.option("data", path);
                line.option("label", label);
                line.table(table);
            }
        }
        let names: Vec<&str> = self.methods.iter().map(|it| it.method.name()).collect();
        line.option("methods", names.join(","));
        for Contender { method, strength } in &self.methods {
            if method.has_strength() {
                line.option("strength", format!("{method}={strength}"));
            }
        }
        line.given("tune", self.tune);
        line.given(
            "budget",
            (self.budget != Budget::Epochs).then_some(self.budget),
        );
        line.given("seeds", Some(self.seeds));
        line.given("seed", Some(training.seed));
        line.given("backend", Some(&training.backend));
        line.given("optimizer", Some(training.optimizer));
        line.number("lr", Some(training.learning_rate));
        line.given("network", Some(training.network).filter(|it| !it.is_mlp()));
        line.given("hidden", Some(&training.hidden));
        line.given("activation", Some(&training.activation));
        line.flag("residual", training.residual);
        let mode = Some(training.mode).filter(|it| *it != Mode::Coupled);
        line.given("mode", mode.map(Named::named));
        line.refinements(&training.refinements, training.network);
        line.given("epochs", training.epochs);
        line.given(
            "batch",
            Some(training.batch.map_or("full".to_owned(), |n| n.to_string())),
        );
        let drawn = !training.source.has_fixed_split();
        line.number("test-fraction", drawn.then_some(training.test_fraction));
        line.given("train-samples", training.train_samples);
        line.number(
            "label-noise",
            Some(training.label_noise).filter(|it| *it > 0.0),
        );
        line.option("out", directory);
        line.0
    }
}

struct Line(String);

impl Line {
    fn option(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.push(' ');
        self.0.push_str(&shell::option(name, value));
    }

    fn given(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.option(name, value.to_string());
        }
    }

    /// With an exponent where the digits would be endless, and read back bit for bit.
    fn number(&mut self, name: &str, value: Option<f64>) {
        self.given(name, value.map(|value| format!("{value:?}")));
    }

    fn flag(&mut self, name: &str, given: bool) {
        if given {
            self.0.push_str(" --");
            self.0.push_str(name);
        }
    }

    fn refinements(&mut self, refinements: &Refinements, network: NetworkKind) {
        // Taken apart so that a new option cannot be forgotten here.
        let Refinements {
            schedule,
            subsample,
            probes,
            weight_decay,
            label_smoothing,
            class_weights,
            early_stopping,
        } = refinements;
        let usual = network.default_interval();
        self.given("warmup", Some(schedule.warmup_steps).filter(|it| *it > 0));
        self.given("cosine", schedule.cosine_steps);
        self.given("stop-after", schedule.stop_after);
        self.given(
            "interval",
            Some(schedule.interval).filter(|it| *it != usual),
        );
        match subsample {
            Subsample::All => {}
            Subsample::Auto => self.option("subsample", "auto"),
            Subsample::Rows(rows) => self.given("subsample", Some(rows)),
        }
        self.given("probes", Some(probes).filter(|it| **it > 0));
        self.number("weight-decay", *weight_decay);
        self.number(
            "label-smoothing",
            Some(*label_smoothing).filter(|it| *it > 0.0),
        );
        self.given("class-weights", class_weights.as_ref());
        self.flag("early-stopping", *early_stopping);
    }

    fn table(&mut self, options: &TableOptions) {
        // Taken apart so that a new option cannot be forgotten here.
        let TableOptions {
            separator,
            no_header,
            decimal_comma,
            drop,
            one_hot,
            missing,
            numeric_classes,
        } = options;
        self.given("separator", *separator);
        self.flag("no-header", *no_header);
        self.flag("decimal-comma", *decimal_comma);
        self.flag("numeric-classes", *numeric_classes);
        for (option, names) in [("drop", drop), ("one-hot", one_hot)] {
            if !names.is_empty() {
                self.option(option, written_list(names));
            }
        }
        self.given(
            "missing",
            Some(missing).filter(|it| **it != Missing::default()),
        );
    }

    fn task(&mut self, options: &TaskOptions) {
        // Taken apart so that a new option cannot be forgotten here.
        let TaskOptions {
            samples,
            noise,
            classes,
            means,
            covariance,
            overlap,
            data_dir,
        } = options;
        self.given("samples", *samples);
        self.number("noise", *noise);
        self.given("classes", *classes);
        if let Some(means) = means {
            let means: Vec<String> = means.iter().map(|[x, y]| format!("{x:?},{y:?}")).collect();
            self.option("means", means.join(";"));
        }
        let covariance = covariance.map(|[xx, xy, yy]| format!("{xx:?},{xy:?},{yy:?}"));
        self.given("covariance", covariance);
        self.number("overlap", *overlap);
        if let Some(directory) = data_dir {
            self.option("data-dir", directory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_a_shell_would_take_apart_are_quoted() {
        let mut line = Line(String::new());
        line.option("a", "x=0.1,y");
        line.option("b", "it's here");
        line.option("c", "");
        line.option("d", "1,2;3,4");
        line.option("e", "-y");
        assert_eq!(
            line.0,
            r" --a x=0.1,y --b 'it'\''s here' --c '' --d '1,2;3,4' --e=-y"
        );
    }
}
