//! A comparison as the command that makes it.

use std::ffi::OsStr;
use std::path::Path;

use burn_hsr::{Mode, Subsample};

use super::budget::Budget;
use super::config::CompareConfig;
use crate::architecture::NetworkKind;
use crate::data::{Missing, TableOptions, written_list};
use crate::shell;
use crate::tasks::TaskOptions;
use crate::train::{Refinements, Source};

impl CompareConfig {
    /// The command line that makes this comparison in `directory`, for a POSIX shell.
    pub fn command(&self, directory: &Path) -> String {
        let Self {
            methods,
            seeds,
            tune,
            budget,
            training,
        } = self;
        let mut command = Line("hsr compare".to_owned());
        match &training.source {
            Source::Task { name, options } => {
                command.option("task", name);
                command.task(options);
            }
            Source::Csv { path, label, table } => {
                command.option("data", path);
                command.option("label", label);
                command.table(table);
            }
        }
        let names: Vec<&str> = methods.iter().map(|it| it.method.name()).collect();
        command.option("methods", names.join(","));
        for contender in methods.iter().filter(|it| it.method.has_strength()) {
            let (name, strength) = (contender.method.name(), contender.strength);
            command.option("strength", format!("{name}={strength}"));
        }
        if let Some(count) = tune {
            command.whole("tune", *count as u64);
        }
        if *budget == Budget::Passes {
            command.option("budget", "passes");
        }
        command.whole("seeds", *seeds as u64);
        command.whole("seed", training.seed);
        command.option("backend", training.backend.to_string());
        command.option("optimizer", training.optimizer.name());
        command.number("lr", training.learning_rate);
        if !training.network.is_mlp() {
            command.option("network", training.network.name());
        }
        command.option("hidden", training.hidden.to_string());
        command.option("activation", training.activation.to_string());
        if training.residual {
            command.flag("residual");
        }
        match training.mode {
            Mode::Coupled => {}
            Mode::Decoupled => command.option("mode", "decoupled"),
            Mode::Direction => command.option("mode", "direction"),
        }
        command.refinements(&training.refinements, training.network);
        if let Some(epochs) = training.epochs {
            command.whole("epochs", epochs as u64);
        }
        match training.batch {
            Some(batch) => command.whole("batch", batch as u64),
            None => command.option("batch", "full"),
        }
        if !training.source.has_fixed_split() {
            command.number("test-fraction", training.test_fraction);
        }
        if let Some(samples) = training.train_samples {
            command.whole("train-samples", samples as u64);
        }
        if training.label_noise > 0.0 {
            command.number("label-noise", training.label_noise);
        }
        command.option("out", directory);
        command.0
    }
}

struct Line(String);

impl Line {
    fn option(&mut self, name: &str, value: impl AsRef<OsStr>) {
        self.0.push(' ');
        self.0.push_str(&shell::option(name, value));
    }

    fn whole(&mut self, name: &str, value: u64) {
        self.option(name, value.to_string());
    }

    /// With an exponent where the digits would be endless, and read back bit for bit.
    fn number(&mut self, name: &str, value: f64) {
        self.option(name, format!("{value:?}"));
    }

    fn flag(&mut self, name: &str) {
        self.0.push_str(" --");
        self.0.push_str(name);
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
        if schedule.warmup_steps > 0 {
            self.whole("warmup", schedule.warmup_steps);
        }
        for (option, steps) in [
            ("cosine", schedule.cosine_steps),
            ("stop-after", schedule.stop_after),
            (
                "interval",
                Some(schedule.interval).filter(|&it| it != network.default_interval()),
            ),
        ] {
            if let Some(steps) = steps {
                self.whole(option, steps);
            }
        }
        match subsample {
            Subsample::All => {}
            Subsample::Auto => self.option("subsample", "auto"),
            Subsample::Rows(rows) => self.whole("subsample", *rows as u64),
        }
        if *probes > 0 {
            self.whole("probes", *probes as u64);
        }
        if let Some(decay) = weight_decay {
            self.number("weight-decay", *decay);
        }
        if *label_smoothing > 0.0 {
            self.number("label-smoothing", *label_smoothing);
        }
        if let Some(weights) = class_weights {
            self.option("class-weights", weights.to_string());
        }
        if *early_stopping {
            self.flag("early-stopping");
        }
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
        if let Some(separator) = separator {
            self.option("separator", separator.to_string());
        }
        for (flag, given) in [
            ("no-header", no_header),
            ("decimal-comma", decimal_comma),
            ("numeric-classes", numeric_classes),
        ] {
            if *given {
                self.flag(flag);
            }
        }
        for (option, names) in [("drop", drop), ("one-hot", one_hot)] {
            if !names.is_empty() {
                self.option(option, written_list(names));
            }
        }
        if *missing == Missing::DropRows {
            self.option("missing", "drop-rows");
        }
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
        if let Some(samples) = samples {
            self.whole("samples", *samples as u64);
        }
        if let Some(noise) = noise {
            self.number("noise", *noise);
        }
        if let Some(classes) = classes {
            self.whole("classes", *classes as u64);
        }
        if let Some(means) = means {
            let means: Vec<String> = means.iter().map(|[x, y]| format!("{x:?},{y:?}")).collect();
            self.option("means", means.join(";"));
        }
        if let Some([xx, xy, yy]) = covariance {
            self.option("covariance", format!("{xx:?},{xy:?},{yy:?}"));
        }
        if let Some(overlap) = overlap {
            self.number("overlap", *overlap);
        }
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
