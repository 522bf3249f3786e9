//! Tables of a report.

use maud::{Markup, html};

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

    pub(super) fn html(&self) -> Markup {
        let columns: Vec<Column> = (0..self.head.len()).map(|i| self.column(i)).collect();
        html! {
            div.scroll {
                table {
                    thead {
                        tr {
                            @for (title, column) in self.head.iter().zip(&columns) {
                                th.number[column.is_number] scope="col" { (inline(title)) (column.mark("")) }
                            }
                        }
                    }
                    tbody {
                        @for (name, cells) in &self.rows {
                            tr {
                                th scope="row" { (inline(name)) }
                                @for (cell, column) in cells.iter().zip(&columns[1..]) {
                                    td.number[column.is_number] {
                                        (inline(&cell.text)) (column.mark(&cell.mark))
                                        @if !cell.note.is_empty() {
                                            small { (inline(&cell.note)) (column.mark("")) }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
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
    /// A mark or the room for one, so that numbers with and without are below each other.
    fn mark(&self, mark: &str) -> Markup {
        html! { @if self.is_marked { span.mark { (inline(mark)) } } }
    }
}
