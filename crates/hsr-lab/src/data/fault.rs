//! What can be wrong with the values of columns.

use std::fmt;

use super::wording::shown;

/// What is wrong with the values of a feature column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFault {
    /// The column's name.
    pub column: String,
    /// How many values are missing.
    pub missing: usize,
    /// How many are there and no finite numbers.
    pub text: usize,
    /// The first of these and its line.
    pub first: Option<(String, u64)>,
    /// Whether all of these are numbers with a comma before their decimals.
    pub decimal_commas: bool,
    /// Rows in all.
    pub rows: usize,
}

impl fmt::Display for ColumnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(&self.column))?;
        if let Some((text, line)) = &self.first {
            let (text, line) = (shown(text), line);
            if self.text + self.missing == self.rows {
                write!(f, " is text ({text} in line {line})")?;
            } else {
                let (count, rows) = (self.text, self.rows);
                write!(
                    f,
                    " has text in {count} of {rows} rows ({text} in line {line})"
                )?;
            }
        }
        if self.missing > 0 {
            let and = if self.first.is_some() { " and" } else { "" };
            write!(f, "{and} lacks {} of {} values", self.missing, self.rows)?;
        }
        Ok(())
    }
}

/// The options that make such a table usable.
pub(super) fn remedies(faults: &[ColumnFault]) -> String {
    let mut remedies = Vec::new();
    let text: Vec<&str> = faults
        .iter()
        .filter(|fault| fault.text > 0)
        .map(|fault| fault.column.as_str())
        .collect();
    if !text.is_empty() {
        let names = option_list(&text);
        remedies.push(format!("`drop` {names} or `one_hot` {names}"));
    }
    if faults
        .iter()
        .any(|fault| fault.text > 0 && fault.decimal_commas)
    {
        remedies.push("`decimal_comma`".to_owned());
    }
    if faults.iter().any(|fault| fault.missing > 0) {
        remedies.push("`missing` drop-rows".to_owned());
    }
    format!("; see {}", remedies.join(", "))
}

/// Names as an option takes them, where they are short and few enough to be copied.
fn option_list(names: &[&str]) -> String {
    let plain = |name: &&&str| {
        name.chars()
            .all(|c| c.is_alphanumeric() || "_-.".contains(c))
    };
    let list = names.join(",");
    if names.iter().filter(plain).count() == names.len() && list.len() <= 80 {
        list
    } else {
        "COLUMNS".to_owned()
    }
}
