//! The book in `docs/`: its links, the files and tests that it names, and the snippets that it takes from the examples.
//! Standard library alone, so that it needs no mdBook.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .replace("\r\n", "\n")
}

/// The pages by file name, the table of contents among them.
fn pages() -> Vec<(String, String)> {
    let folder = root().join("docs/src");
    let mut pages: Vec<(String, String)> = fs::read_dir(&folder)
        .expect("the pages")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy();
            (name.into_owned(), read(&path))
        })
        .collect();
    pages.sort();
    assert!(pages.len() > 10, "the pages are somewhere else");
    pages
}

/// What stands outside code blocks and what within, the latter with the line before the block.
fn split(page: &str) -> (Vec<&str>, Vec<(&str, Vec<&str>)>) {
    let (mut prose, mut blocks) = (Vec::new(), Vec::new());
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in page.lines() {
        match (&mut open, line.starts_with("```")) {
            (None, true) => open = Some((prose.last().copied().unwrap_or_default(), Vec::new())),
            (None, false) => prose.push(line),
            (Some(_), true) => blocks.extend(open.take()),
            (Some((_, block)), false) => block.push(line),
        }
    }
    assert!(open.is_none(), "a code block is not closed");
    (prose, blocks)
}

/// The targets of `[text](target)`.
fn links(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .collect()
}

/// What stands between single backticks.
fn code(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The anchor that mdBook gives a heading.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            _ if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
            _ if c.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

#[test]
fn the_table_of_contents_lists_every_page_once() {
    let pages = pages();
    let (_, summary) = pages
        .iter()
        .find(|(name, _)| name == "SUMMARY.md")
        .expect("a table of contents");
    let listed: Vec<&str> = summary.lines().flat_map(links).collect();
    let distinct: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(listed.len(), distinct.len(), "a page is listed twice");
    let written: BTreeSet<&str> = pages
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|&name| name != "SUMMARY.md")
        .collect();
    assert_eq!(distinct, written);
}

#[test]
fn every_link_within_the_book_leads_somewhere() {
    let pages = pages();
    let folder = root().join("docs/src");
    let mut seen = 0;
    for (name, text) in &pages {
        for target in split(text).0.into_iter().flat_map(links) {
            if target.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { name } else { file };
            // A page of the book, or what mdBook copies beside it: nothing outside would be there in the HTML.
            assert!(
                folder.join(file).is_file() && !file.contains(".."),
                "{name}: {target} leads nowhere"
            );
            if fragment.is_empty() {
                continue;
            }
            let there = read(&folder.join(file));
            let found = split(&there)
                .0
                .into_iter()
                .any(|line| line.starts_with('#') && anchor(line) == fragment);
            assert!(found, "{name}: {target} names no heading");
        }
    }
    assert!(seen > 30, "only {seen} links were read");
}

#[test]
fn every_file_that_the_book_names_is_there() {
    let folders = [
        "crates/",
        "docs/",
        "examples/",
        "tests/",
        "benches/",
        ".ci/",
    ];
    let mut seen = 0;
    for (name, text) in pages() {
        for file in split(&text).0.into_iter().flat_map(code) {
            let is_file = folders.iter().any(|folder| file.starts_with(folder))
                || ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].contains(&file);
            if is_file {
                seen += 1;
                assert!(root().join(file).exists(), "{name} names {file}");
            }
        }
    }
    assert!(seen > 40, "only {seen} names were read");
}

#[test]
fn every_test_that_the_book_names_is_there() {
    let tests: String = fs::read_dir(root().join("tests"))
        .expect("the tests")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| read(&path))
        .collect();
    let mut seen = 0;
    for (name, text) in pages() {
        for test in split(&text).0.into_iter().flat_map(code) {
            // Sentences are longer than the names of anything else.
            let sentence = test.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if sentence && test.matches('_').count() >= 4 {
                seen += 1;
                assert!(
                    tests.contains(&format!("fn {test}()")),
                    "{name} names {test}"
                );
            }
        }
    }
    assert!(seen >= 4, "only {seen} names were read");
}

/// The lines without the indentation that all of them share.
fn dedented(lines: &[&str]) -> Vec<String> {
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let shared = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(indentation)
        .min()
        .unwrap_or(0);
    lines
        .iter()
        .map(|line| line.get(shared..).unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn every_snippet_stands_in_the_example_that_it_is_taken_from() {
    let mut seen = 0;
    for (name, text) in pages() {
        for (before, block) in split(&text).1 {
            let source = before
                .strip_prefix("<!-- ")
                .and_then(|rest| rest.strip_suffix(" -->"));
            let Some(source) = source else {
                continue;
            };
            seen += 1;
            let example = read(&root().join(source));
            let lines: Vec<&str> = example.lines().collect();
            let snippet = dedented(&block);
            assert!(!snippet.is_empty(), "{name}: an empty snippet");
            let found = lines
                .windows(block.len())
                .any(|window| dedented(window) == snippet);
            assert!(
                found,
                "{name}: {source} does not hold\n{}",
                block.join("\n")
            );
        }
    }
    assert!(seen >= 8, "only {seen} snippets were read");
}

#[test]
fn the_books_copy_of_the_readmes_picture_is_the_same() {
    let (readme, book) = ("docs/spectrum.svg", "docs/src/img/spectrum.svg");
    assert!(
        read(&root().join(readme)) == read(&root().join(book)),
        "{book} is not {readme}"
    );
}
