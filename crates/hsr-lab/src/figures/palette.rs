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

/// The colours of series, each with the method and the class that always have it.
const SERIES: [(&str, &str, RGBColor); 8] = [
    ("plain", "class 5", RGBColor(0xD5, 0x5E, 0x00)),
    ("hsr", "class 0", RGBColor(0x00, 0x72, 0xB2)),
    ("sam", "class 2", RGBColor(0x00, 0x9E, 0x73)),
    ("asam", "class 3", RGBColor(0xCC, 0x79, 0xA7)),
    ("trace", "class 1", RGBColor(0xE6, 0x9F, 0x00)),
    ("lambda-max", "class 4", RGBColor(0x56, 0xB4, 0xE9)),
    ("frobenius", "class 6", RGBColor(0x4D, 0x4D, 0x4D)),
    // Okabe and Ito's yellow is too light for a line on white.
    ("gradient-norm", "class 7", RGBColor(0x8F, 0x84, 0x00)),
];

/// A colour for each label. A label that names a method ("HSR", "hsr, strength 0.1") has the method's colour, another one
/// of its own; where two labels of a figure want the same colour, the later takes the next free one.
pub fn series<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<RGBColor> {
    let mut taken = Vec::new();
    for label in labels {
        let wish = wish(label);
        let mut places = (0..SERIES.len()).map(|shift| (wish + shift) % SERIES.len());
        // With more labels than colours, colours come again.
        let free = places.find(|place| !taken.contains(place));
        taken.push(free.unwrap_or(wish));
    }
    taken.into_iter().map(|place| SERIES[place].2).collect()
}

/// The colour mixed with white, of which it keeps `share`.
pub fn tint(color: RGBColor, share: f64) -> RGBColor {
    let mix = |c: u8| (255.0 - (255.0 - f64::from(c)) * share).round() as u8;
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}

fn wish(label: &str) -> usize {
    let name = label.trim().to_lowercase();
    let mut words = name.split(|c: char| !c.is_alphanumeric() && c != '-');
    let word = words.next();
    let mut colors = SERIES.iter();
    let known = colors.position(|(method, class, _)| Some(*method) == word || *class == name);
    // The same in every run and on every machine.
    known.unwrap_or_else(|| name.bytes().map(usize::from).sum::<usize>() % SERIES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_keeps_its_colour_and_the_labels_of_one_figure_differ() {
        let [plain, hsr, sam] = [0, 1, 2].map(|place| SERIES[place].2);
        assert_eq!(series(["SAM", "HSR", "plain"]), [sam, hsr, plain]);
        assert_eq!(series(["hsr, strength 0.1"]), [hsr]);
        assert_eq!(series(["class 2", "class 0"]), [sam, hsr]);
        let colours = series(["hsr 0.1", "hsr 0.2", "a", "b", "c", "d", "e", "f"]);
        for (i, colour) in colours.iter().enumerate() {
            assert!(!colours[..i].contains(colour));
        }
        assert_eq!(series(["x"; 20]).len(), 20);
    }
}
