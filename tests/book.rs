//! The book in `docs/`: its links, the files and tests that it names, and the snippets that it takes from the examples;
//! and the links of every other page. Standard library alone, so that it needs no mdBook; `.ci/run` builds the HTML.

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

/// The pages outside the book that somebody reads on the repository's site or on crates.io.
fn other_pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|name| root().join(name))
        .into();
    pages.push(root().join("docs/reproduction/README.md"));
    for entry in fs::read_dir(root().join("crates")).expect("the crates") {
        pages.push(entry.expect("a directory entry").path().join("README.md"));
    }
    pages
}

#[test]
fn every_link_of_the_other_pages_leads_somewhere() {
    let mut seen = 0;
    for page in other_pages() {
        let text = read(&page);
        let folder = page.parent().expect("a folder");
        let published = folder.parent() == Some(&root().join("crates"));
        for target in split(&text).0.into_iter().flat_map(links) {
            if target.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let there = if file.is_empty() {
                page.clone()
            } else {
                folder.join(file)
            };
            assert!(there.exists(), "{}: {target} leads nowhere", page.display());
            // crates.io has the package alone.
            assert!(
                !published || !file.contains(".."),
                "{}: {target} is outside the package",
                page.display()
            );
            if !fragment.is_empty() {
                let there = read(&there);
                let found = split(&there)
                    .0
                    .into_iter()
                    .any(|line| line.starts_with('#') && anchor(line) == fragment);
                assert!(found, "{}: {target} names no heading", page.display());
            }
        }
    }
    assert!(seen > 20, "only {seen} links were read");
}

#[test]
fn every_crate_that_is_published_has_what_crates_io_shows() {
    for entry in fs::read_dir(root().join("crates")).expect("the crates") {
        let folder = entry.expect("a directory entry").path();
        let manifest = read(&folder.join("Cargo.toml"));
        let name = folder.file_name().expect("a name").to_string_lossy();
        for key in [
            "description",
            "license",
            "repository",
            "documentation",
            "readme",
            "keywords",
            "categories",
        ] {
            let given = manifest.lines().any(|line| {
                line.strip_prefix(key)
                    .is_some_and(|rest| rest.starts_with([' ', '.']))
            });
            assert!(given, "{name} has no {key}");
        }
        for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let there = read(&folder.join(licence));
            assert!(there == read(&root().join(licence)), "{name}/{licence}");
        }
        let readme = read(&folder.join("README.md"));
        assert!(readme.starts_with(&format!("# {name}\n")), "{name}");
        // The table of features lists what the manifest has, and nothing else.
        let features: BTreeSet<&str> = manifest
            .split_once("[features]\n")
            .map(|(_, rest)| rest.split("\n[").next().unwrap_or_default())
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once(" = ").map(|(feature, _)| feature))
            .filter(|feature| *feature != "default" && !feature.starts_with('#'))
            .collect();
        let pages = [
            Some(readme),
            folder
                .join("src/lib.rs")
                .is_file()
                .then(|| read(&folder.join("src/lib.rs")).replace("//! ", ""))
                .filter(|page| page.contains("| feature |")),
        ];
        for page in pages.iter().flatten() {
            let listed: BTreeSet<&str> = page
                .split_once("| feature |")
                .map(|(_, rest)| rest)
                .unwrap_or_default()
                .lines()
                .skip(2)
                .take_while(|line| line.starts_with('|'))
                .filter_map(|line| line.split('|').nth(1))
                .flat_map(|names| names.split('`').skip(1).step_by(2))
                .collect();
            assert_eq!(listed, features, "{name}");
        }
    }
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
            // The output of a program, which `docs/gallery.py` puts there.
            if source.starts_with("printed by ") {
                continue;
            }
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
fn the_program_in_readme_is_the_one_that_is_compiled() {
    // That of burn-hsr's README is one of its doctests.
    let compiled = read(&root().join("crates/burn-hsr/README.md"));
    let (_, program) = compiled.split_once("\n```rust\n").unwrap();
    let (program, _) = program.split_once("\n```\n").unwrap();
    assert!(program.contains("hsr.penalty("));
    assert!(read(&root().join("README.md")).contains(program));
}

#[test]
fn the_gallery_shows_every_example() {
    let page = read(&root().join("docs/src/gallery.md"));
    let manifest = read(&root().join("examples/Cargo.toml"));
    let names: Vec<&str> = manifest
        .split("[[example]]\nname = \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(names.len() > 8, "only {} examples were read", names.len());
    let readme = read(&root().join("README.md"));
    let checks = read(&root().join(".ci/run"));
    for name in names {
        let (_, section) = page
            .split_once(&format!("\n### {name}\n"))
            .unwrap_or_else(|| panic!("the gallery has no {name}"));
        let section = section.split("\n### ").next().unwrap_or_default();
        let picture = section.contains(&format!("](img/gallery/{name}.svg)"));
        let printed = section
            .split_once(&format!("<!-- printed by {name} -->\n```txt\n"))
            .is_some_and(|(_, text)| !text.starts_with("```"));
        assert!(picture || printed, "{name} has nothing to show");
        let source = format!("[{name}](examples/{name}.rs)");
        assert!(readme.contains(&source), "README.md has no {source}");
        assert!(checks.contains(name), ".ci/run does not run {name}");
    }
}

#[test]
fn the_books_copies_of_pictures_are_the_same() {
    let mut copies = vec![(
        "docs/spectrum.svg".to_owned(),
        "docs/src/img/spectrum.svg".to_owned(),
    )];
    for name in ["fig2", "referee-equal-loss", "referee-saddles"] {
        copies.push((
            format!("docs/reproduction/{name}.svg"),
            format!("docs/src/img/gallery/{name}.svg"),
        ));
    }
    for (original, copy) in copies {
        assert!(
            read(&root().join(&original)) == read(&root().join(&copy)),
            "{copy} is not {original}"
        );
    }
}
