//! How a table is written, and what is done about columns and values that cannot be learned from as they stand.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::named::named;

/// How a table is to be read. The default is a CSV with a header row and nothing missing, its separator recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableOptions {
    /// What stands between two fields; `None` to recognise it in the first rows.
    pub separator: Option<Separator>,
    /// Whether the first row is a sample. The columns are then named by their numbers, from 1.
    pub no_header: bool,
    /// Whether a comma stands before the decimals of a number: 1,5 for 1.5.
    pub decimal_comma: bool,
    /// Columns that are left out.
    pub drop: Vec<String>,
    /// Columns of text that become one feature a category, 1 where the row has it and 0 elsewhere.
    pub one_hot: Vec<String>,
    /// What is done about missing values.
    pub missing: Missing,
    /// Whether numbers that look like a quantity are taken for the names of classes nevertheless.
    pub numeric_classes: bool,
}

named! {
/// What is done about missing values.
#[derive(Default)]
pub enum Missing {
    /// A table with missing values is refused.
    #[default]
    Refuse = "refuse",
    /// Rows with a missing value are left out.
    DropRows = "drop-rows",
}
}

/// Whether a text stands for a missing value: nothing, or what pandas, R, Excel or Weka write in its place.
pub(super) fn is_missing(text: &str) -> bool {
    const MARKS: [&str; 10] = [
        "", "na", "n/a", "nan", "-nan", "null", "<na>", "#na", "#n/a", "?",
    ];
    MARKS.iter().any(|mark| text.eq_ignore_ascii_case(mark))
}

/// What stands between two fields: one ASCII character, or any number of spaces.
///
/// ```
/// use hsr_lab::data::Separator;
///
/// assert_eq!("tab".parse(), Ok(Separator::TAB));
/// assert_eq!(";".parse(), Ok(Separator::SEMICOLON));
/// assert!("--".parse::<Separator>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Separator(u8);

impl Separator {
    /// `,`
    pub const COMMA: Self = Self(b',');
    /// `;`
    pub const SEMICOLON: Self = Self(b';');
    /// The tab.
    pub const TAB: Self = Self(b'\t');
    /// `|`
    pub const PIPE: Self = Self(b'|');
    /// One space or more.
    pub const SPACE: Self = Self(b' ');

    /// Those that are recognised, the likeliest first.
    pub(super) const RECOGNISED: [Self; 5] = [
        Self::COMMA,
        Self::SEMICOLON,
        Self::TAB,
        Self::PIPE,
        Self::SPACE,
    ];

    const NAMES: [(&'static str, Self); 5] = [
        ("comma", Self::COMMA),
        ("semicolon", Self::SEMICOLON),
        ("tab", Self::TAB),
        ("pipe", Self::PIPE),
        ("space", Self::SPACE),
    ];

    pub(super) fn byte(self) -> u8 {
        self.0
    }
}

impl FromStr for Separator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, separator)) = Self::NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*separator);
        }
        match text.as_bytes() {
            br"\t" => Ok(Self::TAB),
            // What is part of numbers, names or the table itself separates nothing.
            &[byte]
                if byte == b'\t'
                    || byte == b' '
                    || (byte.is_ascii_punctuation() && !b"\"'.+-_".contains(&byte)) =>
            {
                Ok(Self(byte))
            }
            _ => Err(
                "expected comma, semicolon, tab, pipe, space or one character such as ;".to_owned(),
            ),
        }
    }
}

impl fmt::Display for Separator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, separator)| separator == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", char::from(self.0)),
        }
    }
}

impl TryFrom<String> for Separator {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Separator> for String {
    fn from(separator: Separator) -> String {
        separator.to_string()
    }
}

/// The names in a list such as `a,b`. A name with a comma in it is quoted as in a CSV: `"a,b",c`.
///
/// ```
/// use hsr_lab::data::name_list;
///
/// assert_eq!(name_list(r#"age, "a,b""#), ["age", "a,b"]);
/// ```
pub fn name_list(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (name, after) = match rest.strip_prefix('"').and_then(quoted) {
            Some((name, after)) => (name, after),
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim_end().to_owned(), &rest[end..])
            }
        };
        names.push(name);
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => return names,
        }
    }
}

/// Names as [`name_list`] reads them.
pub fn written_list(names: &[String]) -> String {
    let quoted = |name: &String| {
        if name.contains(',') || name.starts_with('"') || name.trim() != name {
            format!("\"{name}\"")
        } else {
            name.clone()
        }
    };
    names.iter().map(quoted).collect::<Vec<_>>().join(",")
}

/// The name up to its closing quote and what follows, a comma or nothing; `None` where it is not closed so.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (name, after) = text.split_once('"')?;
    let after = after.trim_start();
    (after.is_empty() || after.starts_with(',')).then(|| (name.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_survive_their_text() {
        for separator in [Separator::TAB, Separator::SPACE, ":".parse().unwrap()] {
            let text = serde_json::to_string(&separator).unwrap();
            assert_eq!(serde_json::from_str::<Separator>(&text).unwrap(), separator);
        }
        for text in ["", "ab", "é", "\"", "\n", "5", "."] {
            assert!(text.parse::<Separator>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn lists_of_names_are_taken_apart_at_commas_outside_quotes() {
        assert_eq!(name_list("a"), ["a"]);
        assert_eq!(name_list("a,b c , d"), ["a", "b c", "d"]);
        assert_eq!(name_list("\"a,b\" , c"), ["a,b", "c"]);
        // A quote that is part of a name.
        assert_eq!(name_list("5\",\"x"), ["5\"", "\"x"]);
        assert_eq!(name_list("a,,b"), ["a", "", "b"]);
        for names in [&["a"][..], &["a,b", "c d"], &["", "1"]] {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(name_list(&written_list(&names)), names);
        }
    }
}
