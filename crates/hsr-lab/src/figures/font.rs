//! The typeface of the figures: bundled, measured, and given a notation for subscripts.

use std::sync::{Arc, LazyLock};

use maud::html;
use plotters::style::{FontStyle, IntoFont, RGBColor, TextStyle};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

/// Plotters places everything on whole units: with ten of them to a pixel, curves stay smooth.
pub const UNIT: f64 = 10.0;

/// The families that the SVG names, the bundled one first.
const FAMILY: &str = "Inter, sans-serif";
/// Plotters' SVG backend divides font sizes by this.
const FACTOR: f64 = 1.24;

/// Licensed under the SIL Open Font License 1.1; see `assets/fonts/README.md`.
pub const FACES: [&[u8]; 2] = [
    include_bytes!("../../assets/fonts/Inter-Regular.ttf"),
    include_bytes!("../../assets/fonts/Inter-SemiBold.ttf"),
];

/// The bundled faces and no other: what is installed on the machine must not change a picture.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    for face in FACES {
        fonts.load_font_data(face.to_vec());
    }
    fonts.set_sans_serif_family("Inter");
    Arc::new(fonts)
});

/// Options under which an SVG is read with the bundled typeface.
pub fn options() -> Options<'static> {
    Options {
        font_family: "Inter".to_owned(),
        fontdb: Arc::clone(&FONTS),
        ..Options::default()
    }
}

/// How a text looks: its size in pixels, whether it is bold, and its colour.
#[derive(Clone, Copy)]
pub struct Type(pub f64, pub FontStyle, pub RGBColor);

impl Type {
    /// The same as plotters has it.
    pub fn style(self) -> TextStyle<'static> {
        let font = (FAMILY, self.0 * UNIT * FACTOR, self.1).into_font();
        font.color(&self.2)
    }

    /// The width of a text in pixels.
    pub fn width(self, text: &str) -> f64 {
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"><text font-family=\"{FAMILY}\" \
             font-size=\"{}\" font-weight=\"{}\">{}</text></svg>",
            self.0,
            self.1.as_str(),
            subscripts(&html! { (clean(text)) }.into_string())
        );
        let tree = Tree::from_str(&svg, &options());
        tree.map_or(0.0, |tree| f64::from(tree.root().bounding_box().width()))
    }

    /// The text on one line, cut short with an ellipsis where it is wider than `limit` pixels.
    pub fn fitted(self, text: &str, limit: f64) -> String {
        let text = clean(text);
        // A text far too long is cut before it is measured.
        let mut kept: String = text.chars().take(400).collect();
        if kept == text && self.width(&text) <= limit {
            return text;
        }
        while self.width(&format!("{kept}…")) > limit && kept.pop().is_some() {}
        kept.trim_end().to_owned() + "…"
    }

    /// The text in lines of at most `limit` pixels, broken between words; none for an empty text.
    pub fn wrapped(self, text: &str, limit: f64) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in clean(text).split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= limit => {
                    *line = format!("{line} {word}");
                }
                _ => lines.push(self.fitted(word, limit)),
            }
        }
        lines
    }
}

/// The text on one line, without characters that XML forbids.
fn clean(text: &str) -> String {
    let visible = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => '\u{fffd}',
        c => c,
    };
    let text: String = text.chars().map(visible).collect();
    text.trim().to_owned()
}

/// Sets the letters and digits after each `λ_` in SVG text as a subscript.
///
/// Unicode's own subscript letters are no alternative: few typefaces have those of "sup".
pub fn subscripts(svg: &str) -> String {
    let mut parts = svg.split("λ_");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        let index = &part[..part.len() - rest.len()];
        // What follows in the same text climbs back (0.75 × 0.28).
        let (text, rest) = rest.split_at(rest.find(['<', '\n']).unwrap_or(rest.len()));
        out += &match (index, text) {
            ("", text) => format!("λ_{text}"),
            (index, "") => format!("λ<tspan font-size=\"0.75em\" dy=\"0.28em\">{index}</tspan>"),
            (index, text) => format!(
                "λ<tspan font-size=\"0.75em\" dy=\"0.28em\">{index}</tspan><tspan dy=\"-0.21em\">{text}</tspan>"
            ),
        };
        out += rest;
    }
    out
}
