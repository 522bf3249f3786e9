//! A report for a browser: one HTML file with its figures, typeface and style in it, which opens without a network.
//!
//! ```
//! use hsr_lab::report::{Cell, Report, Table};
//!
//! let mut report = Report::new("Two networks");
//! report.paragraph("The largest eigenvalue λ_max after training.");
//! let mut table = Table::new(["method", "λ_max"]);
//! table.row("plain", [Cell::number("12.4")]);
//! table.row("hsr", [Cell::number("2.1").with_mark("**").with_note("1.9 … 2.4")]);
//! report.table(&table);
//! assert!(report.html().contains("λ<sub>max</sub>"));
//! ```
//!
//! Text is text: what HTML would take for markup is escaped. Only `λ_` with letters after it becomes a subscript, as in
//! figures, and what is between backticks is set as code.

mod table;
mod text;

use std::fmt::Write;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use table::{Cell, Table};

use crate::figures::{self, Figure};
use text::{escaped, inline};

const STYLE: &str = include_str!("style.css");

/// The faces of the figures, so that text in them is as wide as it was measured.
static FONTS: LazyLock<String> = LazyLock::new(|| {
    let face = |(weight, bytes): (u16, &[u8])| {
        format!(
            "@font-face{{font-family:Inter;font-weight:{weight};src:url(data:font/ttf;base64,{})}}\n",
            STANDARD.encode(bytes)
        )
    };
    let [regular, bold] = figures::FACES;
    [(400, regular), (700, bold)].map(face).concat()
});

/// Figures wider than this are not shrunk to the width of a phone, where nobody could read them: they are scrolled.
const NARROW: f64 = 480.0;

/// A report, written from top to bottom.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    body: String,
}

impl Report {
    /// A report with its title.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            body: format!("<h1>{}</h1>\n", inline(title)),
        }
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", inline(text));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", inline(text));
    }

    /// A paragraph that must not be overlooked.
    pub fn notice(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p class=\"notice\">{}</p>", inline(text));
    }

    /// A claim, whether it holds, and the number that decides.
    pub fn verdict(&mut self, holds: bool, claim: &str, number: &str) {
        let (class, word) = if holds {
            ("pass", "PASS")
        } else {
            ("fail", "FAIL")
        };
        let _ = writeln!(
            self.body,
            "<p class=\"verdict {class}\"><strong>{word}</strong> {} <span>{}</span></p>",
            inline(claim),
            inline(number)
        );
    }

    /// Names and what they stand for.
    pub fn list<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, String)>) {
        self.body.push_str("<dl>\n");
        for (name, value) in entries {
            let _ = writeln!(
                self.body,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                inline(name),
                inline(&value)
            );
        }
        self.body.push_str("</dl>\n");
    }

    /// What is typed into a shell.
    pub fn command(&mut self, command: &str) {
        let _ = writeln!(self.body, "<pre><code>{}</code></pre>", escaped(command));
    }

    /// A table.
    pub fn table(&mut self, table: &Table) {
        self.body.push_str(&table.html());
    }

    /// A table that is unfolded by its title.
    pub fn folded(&mut self, title: &str, table: &Table) {
        let _ = writeln!(
            self.body,
            "<details><summary>{}</summary>\n{}</details>",
            inline(title),
            table.html()
        );
    }

    /// A figure with its caption.
    pub fn figure(&mut self, figure: &Figure, caption: &str) {
        self.body.push_str(&with_caption(figure, caption));
    }

    /// Narrow figures, as many beside each other as there is room for.
    pub fn gallery<'a>(&mut self, figures: impl IntoIterator<Item = (&'a Figure, String)>) {
        self.body.push_str("<div class=\"gallery\">\n");
        for (figure, caption) in figures {
            self.body.push_str(&with_caption(figure, &caption));
        }
        self.body.push_str("</div>\n");
    }

    /// The file.
    pub fn html(&self) -> String {
        // The policy is the browser's own guard that nothing is fetched, whatever a name in the data looks like.
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
             font-src data:; img-src data:\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n{}{STYLE}</style>\n</head>\n<body>\n<main>\n\
             {}</main>\n</body>\n</html>\n",
            escaped(&self.title),
            *FONTS,
            self.body
        )
    }
}

fn with_caption(figure: &Figure, caption: &str) -> String {
    let class = if figure.width() > NARROW {
        " class=\"wide\""
    } else {
        ""
    };
    // What a screen reader says of the picture; its texts one by one would be noise.
    let opened = format!("<svg role=\"img\" aria-label=\"{}\" ", escaped(caption));
    let svg = figure.svg().replacen("<svg ", &opened, 1);
    let caption = if caption.is_empty() {
        String::new()
    } else {
        format!("<figcaption>{}</figcaption>", inline(caption))
    };
    format!("<figure{class}><div>{svg}</div>{caption}</figure>\n")
}
