//! What a person sees of a long computation, and how it is stopped.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Set by the first Ctrl-C; the second one ends the program at once.
pub fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    // A handler that cannot be set only means that the first Ctrl-C ends the program; files are written whole or not at all.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
    });
    stop
}

/// A bar of `total` steps on standard error, and only where that is a terminal and nobody asked for quiet.
pub fn bar(total: usize, what: &'static str, quiet: bool) -> ProgressBar {
    styled(
        total,
        what,
        "{msg} {wide_bar:.cyan/blue} {pos}/{len} {eta} left",
        quiet,
    )
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
