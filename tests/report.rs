//! Reports in a real browser, part of the suite of the command line.

use hsr_lab::figures::{Spectrum, spectrum};
use hsr_lab::report::{Cell, Report, Table};
use hsr_tests::browser::{browser_or_skip, probe};

use super::*;

/// What the page looks like from inside, told to the frame around it once it stands.
///
/// Placed before the page's own security policy, under which no script would run.
const PROBE: &str = r#"<script>
const violations = [];
document.addEventListener("securitypolicyviolation", event => violations.push(event.blockedURI));
addEventListener("load", async () => {
  await document.fonts.ready;
  const box = element => element.getBoundingClientRect();
  const page = document.documentElement;
  const escaping = [...document.querySelectorAll("main *")].filter(element => {
    const scrolled = element.closest(".scroll, figure > div");
    return !element.closest("svg svg, svg *") && !(scrolled && scrolled !== element) && box(element).right > innerWidth + 0.5;
  });
  const svgs = [...document.querySelectorAll("svg")].map(svg => ({
    width: box(svg).width,
    height: box(svg).height,
    smallest: Math.min(...[...svg.querySelectorAll("text")].map(text => {
      const size = parseFloat(text.getAttribute("font-size"));
      return size * box(svg).width / svg.viewBox.baseVal.width;
    })),
  }));
  const probe = {
    inner: innerWidth,
    scroll: page.scrollWidth,
    escaping: escaping.map(element => element.outerHTML.slice(0, 80)),
    svgs,
    fonts: [...document.fonts].map(face => face.status),
    inter: document.fonts.check("16px Inter") && document.fonts.check("bold 16px Inter"),
    fetched: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith("data:")),
    violations,
    rows: document.querySelectorAll("tbody tr").length,
    title: document.title,
    text: document.body.innerText.length,
  };
  parent.postMessage(JSON.stringify(probe), "*");
});
</script>"#;

/// The frame, as wide as a phone or a screen: a browser's own window has a least width.
fn frame(page: &str, width: u32) -> String {
    format!(
        "<!doctype html><meta charset=\"utf-8\"><pre id=\"probe\"></pre><script>
         addEventListener('message', event => document.getElementById('probe').textContent = event.data);
         </script><iframe src=\"{page}\" style=\"border: 0; width: {width}px; height: 900px\"></iframe>"
    )
}

/// The probe's answer for a page at a width of the window.
fn probed(browser: &Path, folder: &Path, html: &str, width: u32) -> Value {
    let write = |name: &str, html: &str| std::fs::write(folder.join(name), html).unwrap();
    write(
        "probed.html",
        &html.replacen("<head>", &format!("<head>{PROBE}"), 1),
    );
    write("frame.html", &frame("probed.html", width));
    probe(browser, &folder.join("frame.html"))
}

fn check(browser: &Path, folder: &Path, html: &str, figures: usize) {
    for width in [390, 1200] {
        let probe = probed(browser, folder, html, width);
        assert_eq!(number(&probe, "inner"), f64::from(width), "{probe}");
        assert!(
            number(&probe, "scroll") <= f64::from(width),
            "wider than the window: {probe}"
        );
        for none in ["escaping", "fetched", "violations"] {
            assert_eq!(
                probe[none].as_array().map(Vec::len),
                Some(0),
                "{none}: {probe}"
            );
        }
        assert_eq!(probe["inter"], true, "{probe}");
        assert_eq!(probe["fonts"], serde_json::json!(["loaded", "loaded"]));
        let svgs = probe["svgs"].as_array().unwrap();
        assert_eq!(svgs.len(), figures);
        for svg in svgs {
            assert!(
                number(svg, "width") >= 300.0 && number(svg, "height") >= 60.0,
                "{svg}"
            );
            assert!(
                number(svg, "smallest") >= 7.5,
                "too small to read at {width}: {svg}"
            );
        }
    }
}

#[test]
fn the_report_of_a_comparison_fits_a_phone_and_fetches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let arguments = [
        "compare",
        "--task",
        "iris",
        "--hidden",
        "3",
        "--methods",
        "plain,hsr,sam,asam,trace,lambda-max,frobenius,gradient-norm",
        "--seeds",
        "3",
        "--epochs",
        "4",
        "--out",
        "out",
    ];
    let output = hsr(folder, &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let html = std::fs::read_to_string(folder.join("out/report.html")).unwrap();
    for address in [
        "src=\"http",
        "href=\"http",
        "url(http",
        "<script",
        "@import",
    ] {
        assert!(!html.contains(address), "{address}");
    }
    let Some(browser) = browser_or_skip() else {
        return;
    };
    // 17 panels and two clouds.
    check(&browser, folder, &html, 19);
    let probe = probed(&browser, folder, &html, 390);
    assert!(
        probe["title"]
            .as_str()
            .unwrap()
            .starts_with("iris: plain, hsr")
    );
    // 18 metrics and the strengths; 17 tested metrics in 28 pairs.
    assert_eq!(number(&probe, "rows"), 19.0 + 17.0 * 28.0);
    assert!(number(&probe, "text") > 3000.0);
}

#[test]
fn wide_figures_long_words_and_foreign_markup_fit_a_phone() {
    let Some(browser) = browser_or_skip() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let long = "a-word-without-an-end-".repeat(20);
    let markup = "<img src=\"http://127.0.0.1/x.png\"><script>document.title = 'taken'</script>";
    let mut report = Report::new(&format!("{markup} {long}"));
    report.heading(&long);
    report.paragraph(&format!("{long} `{long}` {markup}"));
    report.notice(&long);
    report.verdict(true, &long, "0.1");
    report.verdict(false, "λ_1 ≤ λ_sup at every one", &long);
    report.list([("directory", long.clone()), ("code", format!("`{long}`"))]);
    report.command(&long);
    let mut table = Table::new(["name".to_owned(), long.clone(), markup.to_owned()]);
    table.row(
        &long,
        [
            Cell::number("1").with_mark("***").with_note(&long),
            Cell::words(markup),
        ],
    );
    report.table(&table);
    report.folded(&long, &table);
    let eigenvalues = Spectrum {
        label: "hsr".to_owned(),
        eigenvalues: (0..200).map(|i| f64::from(i % 17) - 2.0).collect(),
        lambda_sup: 20.0,
    };
    report.figure(
        &spectrum(&[eigenvalues]).unwrap(),
        &format!("{long} {markup}"),
    );
    check(&browser, folder.path(), &report.html(), 1);
    let probe = probed(&browser, folder.path(), &report.html(), 390);
    assert!(
        probe["title"].as_str().unwrap().starts_with("<img src"),
        "{probe}"
    );
    assert_eq!(number(&probe, "rows"), 2.0);
}
