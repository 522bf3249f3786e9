//! The rows of a table in a file: its encoding, its separator, its quotes, and the line on which each row starts.

use std::path::Path;

use super::error::{DataError, DataFault, Place};
use super::number::finite;
use super::options::{Separator, TableOptions, is_missing};

/// A row of the file and the line it starts on.
pub(super) struct Row {
    pub fields: csv::ByteRecord,
    pub line: u64,
}

/// The rows of a file, as bytes so that what is not UTF-8 can be placed.
pub(super) struct Records<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    separator: Separator,
    reader: csv::Reader<&'a [u8]>,
    row: Row,
    /// `row.line` is the line of this byte.
    counted: usize,
}

impl<'a> Records<'a> {
    /// Refuses what is no text, and quotes that are never closed or closed in the midst of a field.
    pub fn new(path: &'a Path, bytes: &'a [u8], options: &TableOptions) -> Result<Self, DataError> {
        if [b"\xFF\xFE", b"\xFE\xFF"]
            .iter()
            .any(|mark| bytes.starts_with(*mark))
        {
            return Err(Place::of(path).fault(DataFault::Utf16));
        }
        if let Some(zero) = bytes.iter().position(|&byte| byte == 0) {
            let place = Place::of(path).line(1 + line_ends(&bytes[..zero]));
            return Err(place.fault(DataFault::NotText));
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let separator = options.separator.unwrap_or_else(|| recognise(bytes));
        check_quotes(path, bytes, separator)?;
        Ok(Records {
            path,
            bytes,
            separator,
            reader: reader(bytes, separator),
            row: Row {
                fields: csv::ByteRecord::new(),
                line: 1,
            },
            counted: 0,
        })
    }

    /// The next row that is not empty.
    pub fn next(&mut self) -> Result<Option<&Row>, DataError> {
        loop {
            if !self.advance()? {
                return Ok(None);
            }
            if self.separator != Separator::SPACE {
                return Ok(Some(&self.row));
            }
            without_empty(&mut self.row.fields);
            // A line of spaces is an empty line.
            if !self.row.fields.is_empty() {
                return Ok(Some(&self.row));
            }
        }
    }

    fn advance(&mut self) -> Result<bool, DataError> {
        let fields = &mut self.row.fields;
        let more = self.reader.read_byte_record(fields);
        let more = more.map_err(|error| unreadable(self.path, error.into()))?;
        if !more {
            return Ok(false);
        }
        // The reader's own position is where it stopped before, which is ahead of the row by the empty lines between
        // and by half of a CRLF.
        let start = fields.position().map_or(self.counted, |position| {
            usize::try_from(position.byte())
                .map_or(self.bytes.len(), |byte| byte.min(self.bytes.len()))
        });
        let skipped = self.bytes[start..]
            .iter()
            .take_while(|&&byte| byte == b'\r' || byte == b'\n')
            .count();
        let start = start + skipped;
        self.row.line += line_ends(&self.bytes[self.counted.min(start)..start]);
        self.counted = start;
        Ok(true)
    }
}

pub(super) fn unreadable(path: &Path, source: std::io::Error) -> DataError {
    let action = "read";
    Place::of(path).fault(DataFault::Unreadable { action, source })
}

fn reader(bytes: &[u8], separator: Separator) -> csv::Reader<&[u8]> {
    // Rows of another length and the header are checked by the caller, with better messages.
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator.byte())
        .from_reader(bytes)
}

/// Between words there may be any number of spaces.
fn without_empty(fields: &mut csv::ByteRecord) {
    if fields.iter().any(<[u8]>::is_empty) {
        let words = fields.iter().filter(|field| !field.is_empty());
        *fields = words.collect();
    }
}

/// The line ends LF, CRLF and CR in a text that does not end between CR and LF.
fn line_ends(bytes: &[u8]) -> u64 {
    let line_feeds = bytes.iter().filter(|&&byte| byte == b'\n').count();
    let returns = bytes.iter().filter(|&&byte| byte == b'\r').count();
    let both = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
    (line_feeds + returns - both) as u64
}

/// Rows that are looked at to recognise the separator.
const LOOKED_AT: usize = 20;

/// The separator by which the first rows have equally many fields, two at least; of several the one that leaves the
/// largest share of numbers. A comma where none does: the fault is then told of a CSV.
fn recognise(bytes: &[u8]) -> Separator {
    let shares = Separator::RECOGNISED
        .into_iter()
        .filter_map(|it| Some((it, share_of_numbers(bytes, it)?)));
    // The first of equals: `max_by` takes the last.
    let shares: Vec<(Separator, f64)> = shares.collect();
    let best = shares.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1));
    match best {
        Some((separator, _)) => *separator,
        None => most_frequent(bytes).unwrap_or(Separator::COMMA),
    }
}

/// The share of fields that are numbers or missing among the first rows; `None` where these have not equally many
/// fields, or one only.
fn share_of_numbers(bytes: &[u8], separator: Separator) -> Option<f64> {
    let mut reader = reader(bytes, separator);
    let mut row = csv::ByteRecord::new();
    let (mut width, mut fields, mut numbers) = (None, 0, 0);
    for _ in 0..LOOKED_AT {
        if !reader.read_byte_record(&mut row).ok()? {
            break;
        }
        if separator == Separator::SPACE {
            without_empty(&mut row);
        }
        if row.len() < 2 || *width.get_or_insert(row.len()) != row.len() {
            return None;
        }
        fields += row.len();
        let number = |field: &&[u8]| {
            str::from_utf8(field).is_ok_and(|text| {
                let text = text.trim();
                let comma = separator != Separator::COMMA;
                is_missing(text)
                    || finite(text).is_some()
                    || (comma && finite(&text.replacen(',', ".", 1)).is_some())
            })
        };
        numbers += row.iter().filter(number).count();
    }
    (fields > 0).then(|| f64::from(numbers as u32) / f64::from(fields as u32))
}

/// The separator that is most frequent in the first line, for a table whose rows are of different lengths.
fn most_frequent(bytes: &[u8]) -> Option<Separator> {
    let first = bytes
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .find(|line| !line.is_empty())?;
    let count = |separator: Separator| {
        first
            .iter()
            .filter(|&&byte| byte == separator.byte())
            .count()
    };
    // Spaces are part of names. The first of equals is taken.
    let candidates = Separator::RECOGNISED
        .into_iter()
        .filter(|&it| it != Separator::SPACE);
    candidates
        .rev()
        .max_by_key(|&separator| count(separator))
        .filter(|&separator| count(separator) > 0)
}

/// Refuses a quote that is never closed, which would swallow every row after it, and one that is closed in the midst of
/// a field, which is the same where a later quote closes it.
fn check_quotes(path: &Path, bytes: &[u8], separator: Separator) -> Result<(), DataError> {
    let (mut at, mut line) = (0, 1);
    let mut field_begins = true;
    let ends_field = |byte: u8| byte == separator.byte() || byte == b'\n' || byte == b'\r';
    while at < bytes.len() {
        if bytes[at] != b'"' || !field_begins {
            field_begins = ends_field(bytes[at]);
            if bytes[at] == b'\n' || (bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                line += 1;
            }
            at += 1;
            continue;
        }
        let opened = (at, line);
        let place = || Place::of(path).line(opened.1);
        at = closing_quote(bytes, at + 1).ok_or_else(|| place().fault(DataFault::UnclosedQuote))?;
        line += line_ends(&bytes[opened.0..at]);
        let blank = |&&byte: &&u8| (byte == b' ' || byte == b'\t') && byte != separator.byte();
        at += 1 + bytes[at + 1..].iter().take_while(blank).count();
        field_begins = false;
        if bytes.get(at).is_some_and(|&byte| !ends_field(byte)) {
            let end = bytes.len().min(at + 24);
            let after = bytes[at..end].split(|&byte| ends_field(byte)).next();
            let found = String::from_utf8_lossy(after.unwrap_or_default()).into_owned();
            let closed = line;
            return Err(place().fault(DataFault::StrayQuote { closed, found }));
        }
    }
    Ok(())
}

/// The first quote that is not doubled.
fn closing_quote(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let quote = from + bytes[from..].iter().position(|&byte| byte == b'"')?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        from = quote + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_recognised() {
        for (text, expected) in [
            ("a,b\n1,2\n", Separator::COMMA),
            ("a;b\n1;2\n", Separator::SEMICOLON),
            ("a;b\n1,5;2,5\n", Separator::SEMICOLON),
            // Without a header a comma would do as well, but leave fields such as `5;2`.
            ("1,5;2,5;x\n2,5;3,5;y\n", Separator::SEMICOLON),
            ("a\tb\n1\t2\n", Separator::TAB),
            ("a|b\n1|2\n", Separator::PIPE),
            ("a b\n1 2\n", Separator::SPACE),
            ("a   b\n 1  2 \n", Separator::SPACE),
            ("sepal length,the class\n1,x y\n", Separator::COMMA),
            ("\"a;b\",\"c;d\"\n1,2\n", Separator::COMMA),
            // Rows of different lengths, and one column.
            ("a;b;c\n1;2\n", Separator::SEMICOLON),
            ("a,b,c\n1,2\n", Separator::COMMA),
            ("a\n1\n", Separator::COMMA),
            ("", Separator::COMMA),
        ] {
            assert_eq!(recognise(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn quotes_are_followed_over_lines() {
        let check = |text: &str| {
            check_quotes(Path::new("t.csv"), text.as_bytes(), Separator::COMMA)
                .err()
                .map(|error| error.to_string())
        };
        for fine in [
            "a,b\n\"1\",\"x\"\n",
            "\"a \"\"b\"\"\",c\n1,\"\"\n",
            "a,b\n1,\"x\ny\"\n",
            "a,5\" pipe\n1,2\n",
            "\"a\" ,b\r\n1,\"x\"",
        ] {
            assert_eq!(check(fine), None, "{fine:?}");
        }
        for (text, line) in [
            ("a,b\n1,\"x\n2,y\n", 2),
            ("a,\"b\n1,x\n", 1),
            ("a,b\r\n1,x\r\n2,\"\"\"\r\n", 3),
            ("a,b\r1,x\r2,\"y", 3),
            ("a,b\n1,\"x\ny\"\n2,\"z\n", 4),
        ] {
            let found = check(text).unwrap();
            assert!(
                found.contains(&format!("line {line}: a quote")) && found.contains("never closed"),
                "{text:?}: {found}"
            );
        }
        // A later quote closes the one that was left open.
        let found = check("a,b\n1,\"x\n2,y\n3,\"z\"\n").unwrap();
        assert!(
            found.contains("line 2") && found.contains("line 4"),
            "{found}"
        );
    }
}
