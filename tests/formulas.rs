//! `docs/formulas.html`, which typesets the plain-text formulas of book and rustdoc in the reader's browser: tried in a
//! real one, on every formula that there is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hsr_tests::browser::{browser_or_skip, probe};
use serde_json::Value;

/// Lists what became of every block: its text, the formula's text, and the formula as markup.
const PROBE: &str = r#"<script>
addEventListener("load", () => {
  const found = [...document.querySelectorAll("section")].map(section => {
    const math = section.querySelector("math");
    return math ? { source: math.getAttribute("alttext"), text: math.textContent, markup: math.innerHTML } : null;
  });
  const answer = document.createElement("pre");
  answer.id = "probe";
  answer.textContent = JSON.stringify(found);
  document.body.append(answer);
});
</script>"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

/// Every block of the language `text` in the book and in the documentation of the crates.
fn blocks() -> Vec<String> {
    let mut sources = Vec::new();
    files(&root().join("docs/src"), "md", &mut sources);
    files(&root().join("crates"), "rs", &mut sources);
    let mut blocks = Vec::new();
    for source in sources {
        let text = fs::read_to_string(&source).expect("a text");
        let mut open: Option<String> = None;
        for line in text.lines() {
            let line = line.trim_start();
            let line = ["/// ", "//! ", "///", "//!"]
                .iter()
                .find_map(|mark| line.strip_prefix(mark))
                .unwrap_or(line);
            match &mut open {
                None if line == "```text" => open = Some(String::new()),
                None => {}
                Some(_) if line.starts_with("```") => blocks.extend(open.take()),
                Some(block) => {
                    block.push_str(line);
                    block.push('\n');
                }
            }
        }
    }
    blocks
}

/// A page as rustdoc makes it, with the header that rustdoc gets and a section for every block.
fn typeset(blocks: &[String]) -> Option<Vec<Value>> {
    let browser = browser_or_skip()?;
    let header = fs::read_to_string(root().join("docs/formulas.html")).expect("the header");
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let sections: String = blocks
        .iter()
        .map(|block| {
            let block = escaped(block);
            format!(
                "<section><div class=\"example-wrap\"><pre class=\"language-text\"><code>{block}</code></pre></div></section>"
            )
        })
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    let html = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\">{header}{PROBE}</head><body>{sections}</body></html>"
    );
    fs::write(&page, html).expect("a page");
    let found = probe(&browser, &page);
    Some(found.as_array().expect("a list").clone())
}

/// Letters, digits, signs: how often each occurs. Spaces do not count, nor what only serves the line of text: `_`, `^`,
/// braces, the root sign and the bar of a fraction, and the brackets that both may need.
fn characters(text: &str) -> BTreeMap<char, usize> {
    let mut counts = BTreeMap::new();
    for c in text.chars() {
        let c = match c {
            'ᵀ' => 'T',
            '⁰' | '₀' => '0',
            '¹' | '₁' => '1',
            '²' | '₂' => '2',
            '³' | '₃' => '3',
            'ᵏ' | 'ₖ' => 'k',
            'ᵢ' => 'i',
            'ⱼ' => 'j',
            'ₘ' => 'm',
            'ₙ' => 'n',
            '⁻' | '₋' | '-' => '−',
            '₊' => '+',
            '\'' => '′',
            '_' | '^' | '{' | '}' | '√' | '/' | '(' | ')' | '₍' | '₎' => continue,
            c if c.is_whitespace() => continue,
            c => c,
        };
        *counts.entry(c).or_insert(0) += 1;
    }
    counts
}

#[test]
fn every_formula_is_typeset_without_losing_a_symbol() {
    let blocks = blocks();
    let Some(found) = typeset(&blocks) else {
        return;
    };
    assert_eq!(found.len(), blocks.len());
    let mut formulas = 0;
    for (block, found) in blocks.iter().zip(&found) {
        if found.is_null() {
            // Drawings, and expressions without a relation.
            let drawn = block.contains(['─', '└']);
            let plain = !block.contains(['=', '≤', '≥', '≈']) && !block.contains('Σ');
            assert!(drawn || plain, "left as text:\n{block}");
            continue;
        }
        formulas += 1;
        assert_eq!(found["source"], block.trim());
        let text = found["text"].as_str().expect("a text");
        assert_eq!(characters(text), characters(block), "{block}\n{text}");
    }
    assert!(formulas > 60, "only {formulas} formulas were typeset");
}

#[test]
fn indices_exponents_roots_and_fractions_are_what_they_say() {
    let cases = [
        (
            "m = t/D",
            "<mi>m</mi><mo>=</mo><mfrac><mi>t</mi><mi>D</mi></mfrac>",
        ),
        (
            "λ_max ≤ s √(D − 1)",
            "<msub><mi>λ</mi><mtext>max</mtext></msub><mo>≤</mo><mi>s</mi>\
             <msqrt><mi>D</mi><mo>−</mo><mn>1</mn></msqrt>",
        ),
        (
            "w = t/(D² s)",
            "<mi>w</mi><mo>=</mo><mfrac><mi>t</mi><mrow><msup><mi>D</mi><mn>2</mn></msup><mi>s</mi></mrow></mfrac>",
        ),
        (
            "S = ω ∂²ℓ/∂o²",
            "<mi>S</mi><mo>=</mo><mi>ω</mi><mfrac>\
             <mrow><msup><mi mathvariant=\"normal\">∂</mi><mn>2</mn></msup><mi>ℓ</mi></mrow>\
             <mrow><mi mathvariant=\"normal\">∂</mi><msup><mi>o</mi><mn>2</mn></msup></mrow></mfrac>",
        ),
        (
            "g = W2ᵀ r",
            "<mi>g</mi><mo>=</mo><msubsup><mi>W</mi><mn>2</mn><mn>T</mn></msubsup><mi>r</mi>",
        ),
        (
            "q = Σ_nm α_nm²",
            "<mi>q</mi><mo>=</mo><msub><mo>Σ</mo><mrow><mi>n</mi><mi>m</mi></mrow></msub>\
             <msubsup><mi>α</mi><mrow><mi>n</mi><mi>m</mi></mrow><mn>2</mn></msubsup>",
        ),
        (
            "x̄ += z̄",
            "<mi class=\"accented\">x̄</mi><mo>+=</mo><mi class=\"accented\">z̄</mi>",
        ),
    ];
    let blocks: Vec<String> = cases.iter().map(|(text, _)| format!("{text}\n")).collect();
    let Some(found) = typeset(&blocks) else {
        return;
    };
    for ((text, expected), found) in cases.iter().zip(&found) {
        let expected = format!("<mtable><mtr><mtd><mrow>{expected}</mrow></mtd></mtr></mtable>");
        assert_eq!(found["markup"], expected, "{text}");
    }
}

#[test]
fn what_is_no_formula_stays_as_it_is() {
    let blocks = [
        "hsr-cli            the command hsr\n└─ hsr-lab         tasks\n",
        "TrainConfig ── Problem ── Run (a = b)\n",
        "hsr train              two networks, without a relation\n",
    ]
    .map(str::to_owned);
    let Some(found) = typeset(&blocks) else {
        return;
    };
    assert!(found.iter().all(Value::is_null), "{found:?}");
}
