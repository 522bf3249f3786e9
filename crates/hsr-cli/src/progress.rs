//! What a person sees of a long computation, and how it is stopped.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use hsr_lab::hsr_core::Progress;
use hsr_lab::train::Control;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::report;

/// What Ctrl-C does. While data are read, which may be a pipe that nobody writes into, the first one ends the program: there
/// is nothing to save. While something computes, which looks here between two steps, the first one stops that and the second
/// one ends the program.
#[derive(Clone, Default)]
pub struct Stop {
    set: Arc<AtomicBool>,
    heard: Arc<AtomicBool>,
}

impl Stop {
    /// From now on somebody looks.
    pub fn listen(&self) {
        self.heard.store(true, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// Whether a computation is to go on.
    pub fn flow(&self) -> ControlFlow<()> {
        match self.is_set() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Whether a run is to go on.
    pub fn control(&self) -> Control {
        match self.is_set() {
            true => Control::Stop,
            false => Control::Continue,
        }
    }
}

/// Takes over Ctrl-C.
pub fn stop_flag() -> Stop {
    let stop = Stop::default();
    let told = stop.clone();
    // A handler that cannot be set only means that the first Ctrl-C ends the program; files are written whole or not at all.
    let _ = ctrlc::set_handler(move || {
        if !told.heard.load(Ordering::SeqCst) {
            report("interrupted before anything was computed");
            std::process::exit(1);
        }
        if told.set.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
    });
    stop
}

/// A bar of `total` steps on standard error, and only where that is a terminal and nobody asked for quiet.
pub fn bar(total: usize, what: &'static str, quiet: bool) -> ProgressBar {
    let template = "{msg} {wide_bar:.cyan/blue} {pos}/{len} {eta} left";
    styled(total, what, template, quiet)
}

/// The same with a template of its own.
pub fn styled(total: usize, what: &'static str, template: &str, quiet: bool) -> ProgressBar {
    let stderr = std::io::stderr();
    // One rule for colours everywhere, that of the streams; indicatif has its own, which lets CLICOLOR_FORCE win over
    // NO_COLOR.
    let template = match AutoStream::choice(&stderr) {
        ColorChoice::Never => template.replace(":.cyan/blue", ""),
        _ => template.to_owned(),
    };
    let target = if stderr.is_terminal() && !quiet {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(total as u64), target);
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// What a person sees of a computation whose steps are of several kinds: nothing before it takes long, then what is being
/// done and how much of it.
pub struct Waiting {
    stop: Stop,
    bar: Arc<OnceLock<ProgressBar>>,
    quiet: bool,
}

/// What is done in less needs no progress.
const LONG: Duration = Duration::from_secs(2);

impl Waiting {
    /// From now on; once something is observed, the first Ctrl-C stops it.
    pub fn new(quiet: bool) -> Self {
        Self {
            stop: stop_flag(),
            bar: Arc::default(),
            quiet,
        }
    }

    /// For a workspace, which calls it from any of its threads.
    pub fn observer(&self) -> impl Fn(Progress) -> ControlFlow<()> + Send + Sync + use<> + 'static {
        let (stop, bar, quiet) = (self.stop.clone(), Arc::clone(&self.bar), self.quiet);
        let begun = Instant::now();
        move |progress| {
            if begun.elapsed() > LONG {
                let template = "{elapsed} {msg} {wide_bar:.cyan/blue} {human_pos}";
                let bar = bar.get_or_init(|| styled(0, "", template, quiet));
                bar.set_message(progress.what);
                bar.set_length(progress.total.unwrap_or(0) as u64);
                bar.set_position(progress.done as u64);
            }
            stop.listen();
            stop.flow()
        }
    }

    /// Takes away what was shown.
    pub fn done(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
