//! The typeface of the figures: bundled, measured, and given a notation for subscripts.

use std::sync::{Arc, LazyLock};

use maud::html;
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Node, Options, Tree};

/// The families that the SVG names, the bundled one first.
pub const FAMILY: &str = "Inter, sans-serif";

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

/// How heavy a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// For running text.
    Regular,
    /// For titles and names.
    Bold,
}

/// The width in pixels of a text at a font size in pixels.
pub fn width(text: &str, size: f64, weight: Weight) -> f64 {
    let weight = match weight {
        Weight::Regular => "normal",
        Weight::Bold => "bold",
    };
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"><text font-family=\"{FAMILY}\" \
         font-size=\"{size}\" font-weight=\"{weight}\">{}</text></svg>",
        subscripts(&html! { (clean(text)) }.into_string())
    );
    let Ok(tree) = Tree::from_str(&svg, &options()) else {
        return 0.0;
    };
    let texts = tree.root().children().iter();
    texts
        .map(|node| {
            if let Node::Text(text) = node {
                f64::from(text.bounding_box().width())
            } else {
                0.0
            }
        })
        .sum()
}

/// The text, cut short with an ellipsis where it is wider than `limit` pixels.
pub fn fitted(text: &str, size: f64, weight: Weight, limit: f64) -> String {
    let text = clean(text);
    // A text far too long is cut before it is measured.
    let mut kept: Vec<char> = text.chars().take(400).collect();
    if kept.len() == text.chars().count() && width(&text, size, weight) <= limit {
        return text;
    }
    loop {
        let short: String = kept.iter().collect::<String>().trim_end().to_owned() + "…";
        let excess = width(&short, size, weight) - limit;
        if excess <= 0.0 || kept.is_empty() {
            return short;
        }
        // No character is wider than 1.2 of the font size, so that this never cuts too much.
        let surplus = ((excess / (1.2 * size)) as usize).clamp(1, kept.len());
        kept.truncate(kept.len() - surplus);
    }
}

/// The text on one line, without characters that XML forbids.
pub fn clean(text: &str) -> String {
    let visible = |c: char| match c {
        c if c.is_whitespace() => ' ',
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => '\u{fffd}',
        c => c,
    };
    text.chars()
        .map(visible)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Sets the letters and digits after each `λ_` in SVG text as a subscript.
///
/// Unicode's own subscript letters are no alternative: few typefaces have those of "sup".
pub fn subscripts(svg: &str) -> String {
    let mut parts = svg.split("λ_");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(part.len());
        let (index, rest) = part.split_at(end);
        if index.is_empty() {
            out.push_str("λ_");
        } else {
            out.push_str(&format!(
                "λ<tspan font-size=\"0.75em\" dy=\"0.28em\">{index}</tspan>"
            ));
            // The next character climbs back (0.75 × 0.28), and those after it follow. A character may be an entity.
            let length = match rest.chars().next() {
                Some('&') => rest.find(';').map_or(1, |end| end + 1),
                Some('<' | '\n') | None => 0,
                Some(c) => c.len_utf8(),
            };
            let (next, rest) = rest.split_at(length);
            if !next.is_empty() {
                out.push_str(&format!("<tspan dy=\"-0.21em\">{next}</tspan>"));
            }
            out.push_str(rest);
            continue;
        }
        out.push_str(rest);
    }
    out
}
