//! How messages show what is from outside.

use super::number::finite;

/// Characters of foreign text that a message may show.
const SHOWN: usize = 48;
/// Names that a message may list.
const LISTED: usize = 12;

/// Text from outside, quoted, on one line and of bounded length.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// Names in a row; of many, the first and how many there are.
pub(crate) fn listed<S: AsRef<str>>(names: &[S]) -> String {
    listed_with(names, |name| shown(name.as_ref()))
}

/// The same for what is not a name.
pub(crate) fn listed_with<T>(names: &[T], shown: impl FnMut(&T) -> String) -> String {
    let first: Vec<String> = names.iter().take(LISTED).map(shown).collect();
    let rest = if names.len() > LISTED {
        format!(", … ({} in all)", names.len())
    } else {
        String::new()
    };
    first.join(", ") + &rest
}

/// The suggestion, where there is one.
pub(crate) fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| {
        format!(" (did you mean {}?)", shown(name))
    })
}

/// Dimensions such as 28 × 28.
pub(super) fn times(dimensions: &[usize]) -> String {
    let dimensions: Vec<String> = dimensions.iter().map(usize::to_string).collect();
    dimensions.join(" × ")
}

pub(super) fn missing_from(column: &Option<String>) -> String {
    column.as_ref().map_or_else(String::new, |name| {
        format!(" (nothing from column {} on)", shown(name))
    })
}

/// A header that has numbers for names is perhaps none; one of a single column perhaps has another separator.
pub(super) fn header_hint(columns: &[String]) -> String {
    match columns {
        [only] if only.contains(|c: char| c.is_ascii_punctuation() || c.is_whitespace()) => {
            " (name what separates them with `separator`)".to_owned()
        }
        _ => no_header_hint(columns),
    }
}

pub(super) fn no_header_hint(columns: &[String]) -> String {
    // Columns without a header are numbered, and need no hint.
    let numbered = (1_usize..)
        .zip(columns)
        .all(|(number, name)| *name == number.to_string());
    if !numbered && columns.iter().any(|name| finite(name).is_some()) {
        " (where the first row is a sample, say `no_header`)".to_owned()
    } else {
        String::new()
    }
}
