//! A real browser for the pages that the project makes.
//!
//! It is `HSR_BROWSER`, or a Chromium on the path. Where there is none a test says SKIPPED; where
//! `HSR_REQUIRE_BROWSER` is set it fails.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The browser, where there is one.
pub fn browser_or_skip() -> Option<PathBuf> {
    let found = browser();
    if found.is_none() {
        assert!(
            std::env::var_os("HSR_REQUIRE_BROWSER").is_none(),
            "no browser: set HSR_BROWSER, or put chromium on the path"
        );
        println!("SKIPPED: no browser (HSR_BROWSER, or chromium on the path)");
    }
    found
}

fn browser() -> Option<PathBuf> {
    if let Some(browser) = std::env::var_os("HSR_BROWSER") {
        return Some(browser.into());
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH")?;
    names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// The JSON that a page leaves in its `<pre id="probe">`, once it stands; its profile lies beside it.
pub fn probe(browser: &Path, page: &Path) -> serde_json::Value {
    let folder = page.parent().expect("a page lies in a folder");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--dump-dom",
        ])
        .args(["--virtual-time-budget=10000", "--window-size=1400,1000"])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = dom
        .split_once("<pre id=\"probe\">")
        .and_then(|(_, rest)| rest.split_once("</pre>"));
    let Some((probe, _)) = found else {
        panic!(
            "the page was not probed: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let probe = probe
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&nbsp;", "\u{a0}")
        .replace("&amp;", "&");
    serde_json::from_str(&probe).expect("the probe is JSON")
}
