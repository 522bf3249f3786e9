//! Colours, and what stands below a help text. They are in the strings as ANSI codes; the streams that print them take
//! them out where there is no terminal, or where NO_COLOR is set.

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::builder::styling::{AnsiColor, Style, Styles};

/// The styles of help texts and of everything else.
pub const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// What looks wrong.
pub const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// What holds.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();

/// What does not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// Notes and examples, each what it does and how it is typed, for below a help text.
pub fn examples(notes: &str, examples: &[(&str, &str)]) -> StyledStr {
    let (header, literal) = (STYLES.get_header(), STYLES.get_literal());
    let mut text = String::new();
    if !notes.is_empty() {
        let _ = write!(text, "{notes}\n\n");
    }
    let _ = write!(text, "{header}Examples:{header:#}");
    for (what, command) in examples {
        let _ = write!(text, "\n  # {what}\n  {literal}{command}{literal:#}");
    }
    text.into()
}

/// What `hsr` alone says.
pub fn introduction() -> String {
    let (header, literal) = (STYLES.get_header(), STYLES.get_literal());
    let mut text = format!(
        "hsr trains small networks into flat minima by Hessian Spectral Range (HSR)\n\
         regularisation, compares it with other methods, and tells the exact curvature\n\
         of trained networks.\n\n{header}Begin with{header:#}\n"
    );
    for (command, what) in [
        (
            "hsr train",
            "digits, plain and with HSR from the same start",
        ),
        ("hsr tasks", "what else can be learned"),
        (
            "hsr compare --task iris",
            "methods over seeds, with tests and a report",
        ),
        ("hsr help", "every command; hsr help train has its examples"),
    ] {
        let _ = writeln!(text, "  {literal}{command:24}{literal:#} {what}");
    }
    text
}
