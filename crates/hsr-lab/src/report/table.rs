//! Tables of a report.

use std::fmt::Write;

use super::text::inline;

/// A table whose rows have names. On a narrow screen it is scrolled under them.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

/// What is in a field.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    mark: String,
    note: String,
    is_number: bool,
}

impl Cell {
    /// A number, set to the right.
    pub fn number(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_number: true,
            ..Self::default()
        }
    }

    /// Words.
    pub fn words(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// The same with a mark after it, such as stars.
    pub fn with_mark(mut self, mark: &str) -> Self {
        self.mark = mark.to_owned();
        self
    }

    /// The same with smaller text below.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl Table {
    /// A table with these columns, the first that of the rows' names.
    ///
    /// # Panics
    ///
    /// If there is no column.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        let head: Vec<String> = head.into_iter().map(Into::into).collect();
        assert!(!head.is_empty(), "a table has a column");
        Self {
            head,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, name: impl Into<String>, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push((name.into(), cells.into_iter().collect()));
    }

    pub(super) fn html(&self) -> String {
        let columns: Vec<Column> = (0..self.head.len()).map(|i| self.column(i)).collect();
        let mut out = "<div class=\"scroll\"><table>\n<thead><tr>".to_owned();
        for (title, column) in self.head.iter().zip(&columns) {
            let (class, room) = (column.class(), column.mark(""));
            let _ = write!(out, "<th scope=\"col\"{class}>{}{room}</th>", inline(title));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for (name, cells) in &self.rows {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", inline(name));
            for (cell, column) in cells.iter().zip(&columns[1..]) {
                let (class, mark) = (column.class(), column.mark(&cell.mark));
                let _ = write!(out, "<td{class}>{}{mark}", inline(&cell.text));
                if !cell.note.is_empty() {
                    let _ = write!(
                        out,
                        "<small>{}{}</small>",
                        inline(&cell.note),
                        column.mark("")
                    );
                }
                out.push_str("</td>");
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody>\n</table></div>\n");
        out
    }

    /// How the fields of a column are set; the first is that of the rows' names.
    fn column(&self, index: usize) -> Column {
        let cells = || {
            self.rows
                .iter()
                .filter_map(|(_, cells)| cells.get(index.checked_sub(1)?))
        };
        Column {
            is_number: cells().any(|cell| cell.is_number),
            is_marked: cells().any(|cell| !cell.mark.is_empty()),
        }
    }
}

struct Column {
    is_number: bool,
    is_marked: bool,
}

impl Column {
    fn class(&self) -> &'static str {
        if self.is_number {
            " class=\"number\""
        } else {
            ""
        }
    }

    /// A mark or the room for one, so that numbers with and without are below each other.
    fn mark(&self, mark: &str) -> String {
        if self.is_marked {
            format!("<span class=\"mark\">{}</span>", inline(mark))
        } else {
            String::new()
        }
    }
}
