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

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use table::{Cell, Table};

use crate::figures::{self, Figure};
use text::{inline, printable};

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
    body: Markup,
}

impl Report {
    /// A report with its title.
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            body: html! { h1 { (inline(title)) } },
        }
    }

    fn push(&mut self, part: Markup) {
        self.body.0 += &part.0;
        self.body.0.push('\n');
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.push(html! { h2 { (inline(text)) } });
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.push(html! { p { (inline(text)) } });
    }

    /// A paragraph that must not be overlooked.
    pub fn notice(&mut self, text: &str) {
        self.push(html! { p.notice { (inline(text)) } });
    }

    /// A claim, whether it holds, and the number that decides.
    pub fn verdict(&mut self, holds: bool, claim: &str, number: &str) {
        let word = if holds { "PASS" } else { "FAIL" };
        let class = word.to_lowercase();
        self.push(html! {
            p.verdict.(class) { strong { (word) } " " (inline(claim)) " " span { (inline(number)) } }
        });
    }

    /// Names and what they stand for.
    pub fn list<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, String)>) {
        self.push(html! {
            dl {
                @for (name, value) in entries {
                    div { dt { (inline(name)) } dd { (inline(&value)) } }
                }
            }
        });
    }

    /// What is typed into a shell.
    pub fn command(&mut self, command: &str) {
        self.push(html! { pre { code { (printable(command)) } } });
    }

    /// A table.
    pub fn table(&mut self, table: &Table) {
        self.push(table.html());
    }

    /// A table that is unfolded by its title.
    pub fn folded(&mut self, title: &str, table: &Table) {
        self.push(html! { details { summary { (inline(title)) } (table.html()) } });
    }

    /// A figure with its caption.
    pub fn figure(&mut self, figure: &Figure, caption: &str) {
        self.push(with_caption(figure, caption));
    }

    /// Narrow figures, as many beside each other as there is room for.
    pub fn gallery<'a>(&mut self, figures: impl IntoIterator<Item = (&'a Figure, &'a str)>) {
        self.push(html! {
            div.gallery { @for (figure, caption) in figures { (with_caption(figure, caption)) } }
        });
    }

    /// The file.
    pub fn html(&self) -> String {
        // The browser's own guard that nothing is fetched, whatever a name in the data looks like.
        let policy = "default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src data:";
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    link rel="icon" href="data:,";
                    title { (printable(&self.title)) }
                    style { (PreEscaped(FONTS.as_str())) (PreEscaped(STYLE)) }
                }
                body { main { (self.body) } }
            }
        };
        page.into_string() + "\n"
    }
}

fn with_caption(figure: &Figure, caption: &str) -> Markup {
    let svg = figure.svg();
    // What a screen reader says of the picture; its texts one by one would be noise.
    let opened = html! { svg role="img" aria-label=(printable(caption)) {} }.into_string();
    let opened = opened.trim_end_matches("></svg>");
    let svg = svg.replacen("<svg", opened, 1);
    html! {
        figure.wide[figure.width() > NARROW] {
            div { (PreEscaped(svg)) }
            @if !caption.is_empty() { figcaption { (inline(caption)) } }
        }
    }
}
