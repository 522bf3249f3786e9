//! Colours that colour-blind readers can tell apart (after Okabe and Ito), the same for a label in every figure.

use plotters::style::RGBColor;

/// For titles, names and values.
pub const INK: RGBColor = RGBColor(34, 34, 34);
/// For what explains.
pub const MUTED: RGBColor = RGBColor(95, 95, 95);
/// For axes.
pub const AXIS: RGBColor = RGBColor(130, 130, 130);
/// For lines that guide the eye.
pub const GRID: RGBColor = RGBColor(228, 228, 228);

const VERMILLION: RGBColor = RGBColor(0xD5, 0x5E, 0x00);
const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xB2);
const GREEN: RGBColor = RGBColor(0x00, 0x9E, 0x73);
const PURPLE: RGBColor = RGBColor(0xCC, 0x79, 0xA7);
const ORANGE: RGBColor = RGBColor(0xE6, 0x9F, 0x00);
const SKY: RGBColor = RGBColor(0x56, 0xB4, 0xE9);
const GREY: RGBColor = RGBColor(0x4D, 0x4D, 0x4D);
// Okabe and Ito's yellow is too light for a line on white.
const OLIVE: RGBColor = RGBColor(0x8F, 0x84, 0x00);

/// The colours of series, each with the method that always has it.
const SERIES: [(&str, RGBColor); 8] = [
    ("plain", VERMILLION),
    ("hsr", BLUE),
    ("sam", GREEN),
    ("asam", PURPLE),
    ("trace", ORANGE),
    ("lambda-max", SKY),
    ("frobenius", GREY),
    ("gradient-norm", OLIVE),
];

/// Names that are no methods and have a colour of their own all the same, by its place in [`SERIES`].
const NAMED: [(&str, usize); 11] = [
    ("softmax", 1),
    ("sigmoid", 0),
    ("numerical", 0),
    ("analytical", 1),
    ("autodiff", 4),
    ("λ_sup", 1),
    ("λ_1", 0),
    ("λ_2", 4),
    ("λ_3", 2),
    ("minima", 1),
    ("saddles", 4),
];

const CLASSES: [RGBColor; 8] = [BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, GREY, OLIVE];

/// A colour for each label. A label that names a method ("HSR", "hsr, strength 0.1") has the method's colour, another one
/// of its own; where two labels of a figure want the same colour, the later takes the next free one.
pub fn series<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<RGBColor> {
    let mut taken = Vec::new();
    for label in labels {
        let wish = wish(label);
        let places = (0..SERIES.len()).map(|shift| (wish + shift) % SERIES.len());
        // With more labels than colours, colours come again.
        let free = places
            .clone()
            .find(|place| !taken.contains(place))
            .unwrap_or(wish);
        taken.push(free);
    }
    taken.into_iter().map(|place| SERIES[place].1).collect()
}

/// The colour of a class.
pub fn class(index: usize) -> RGBColor {
    CLASSES[index % CLASSES.len()]
}

/// The colour mixed with white, of which it keeps `share`.
pub fn tint(color: RGBColor, share: f64) -> RGBColor {
    let mix = |c: u8| (255.0 - (255.0 - f64::from(c)) * share).round() as u8;
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}

/// A sequence of colours from white at 0 over the palette's blue to a dark blue at 1, each darker than those before it.
pub fn ramp(share: f64) -> RGBColor {
    /// Where the blue itself stands.
    const MIDDLE: f64 = 0.72;
    /// What of the blue is left at the end.
    const DARKEST: f64 = 0.42;
    if share <= MIDDLE {
        return tint(BLUE, share / MIDDLE);
    }
    let kept = 1.0 - (1.0 - DARKEST) * (share - MIDDLE) / (1.0 - MIDDLE);
    let darker = |c: u8| (f64::from(c) * kept).round() as u8;
    RGBColor(darker(BLUE.0), darker(BLUE.1), darker(BLUE.2))
}

/// The colour of a marker that lies on the [`ramp`]: blue ones would vanish.
pub fn marker(color: RGBColor) -> RGBColor {
    if color == BLUE || color == SKY {
        INK
    } else {
        color
    }
}

fn wish(label: &str) -> usize {
    let name = label.trim().to_lowercase();
    let word = name
        .split(|c: char| !c.is_alphanumeric() && c != '-')
        .next()
        .unwrap_or_default();
    let named = NAMED
        .iter()
        .find(|(label, _)| *label == name || *label == word);
    let method = |name: &str| SERIES.iter().position(|(method, _)| *method == name);
    // FNV-1a: the same in every run and on every machine, which the standard hasher does not promise.
    let hash = || {
        name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        })
    };
    method(&name)
        .or_else(|| method(word))
        .or(named.map(|(_, place)| *place))
        .unwrap_or_else(|| (hash() % SERIES.len() as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_keeps_its_colour() {
        let both = series(["plain", "HSR"]);
        assert_eq!(both, [VERMILLION, BLUE]);
        assert_eq!(series(["hsr, strength 0.1"]), [BLUE]);
        assert_eq!(series(["SAM", "HSR", "plain"]), [GREEN, BLUE, VERMILLION]);
    }

    #[test]
    fn labels_of_one_figure_differ() {
        let colours = series(["hsr 0.1", "hsr 0.2", "a", "b", "c", "d", "e", "f"]);
        for (i, colour) in colours.iter().enumerate() {
            assert!(!colours[..i].contains(colour));
        }
        assert_eq!(series(["x"; 20]).len(), 20);
    }
}
