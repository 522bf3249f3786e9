//! `report.html`: one file that opens without a network and can be read on a phone.

use std::fmt::Write;
use std::path::Path;

use super::run::Outcome;
use crate::LabError;

const STYLE: &str = "\
:root{color-scheme:light}\
*{box-sizing:border-box}\
body{font-family:Inter,system-ui,sans-serif;line-height:1.5;color:#222;background:#fff;margin:0 auto;\
padding:1rem;max-width:60rem}\
h1{font-size:1.5rem;line-height:1.25}\
h2{font-size:1.2rem;margin-top:2.5rem;border-top:1px solid #ddd;padding-top:1rem}\
figure{margin:1rem 0;overflow-x:auto}\
svg{display:block;width:100%;height:auto;max-width:56rem}\
ul{list-style:none;padding:0}\
li{margin:.35rem 0;padding-left:3.6rem;text-indent:-3.6rem}\
b.PASS,b.FAIL{display:inline-block;width:3.1rem;margin-right:.5rem;border-radius:.25rem;color:#fff;\
font-size:.8rem;text-align:center;text-indent:0}\
b.PASS{background:#007a5a}\
b.FAIL{background:#b34700}\
nav a{margin-right:.8rem;white-space:nowrap}\
pre{overflow-x:auto;background:#f5f5f5;padding:.6rem;font-size:.8rem}\
.small{color:#5f5f5f;font-size:.9rem}";

/// The report of experiments whose files are in `folder`.
///
/// # Errors
///
/// [`LabError::Io`] where a picture cannot be read.
pub(super) fn html(folder: &Path, outcomes: &[Outcome]) -> Result<String, LabError> {
    let claims = || outcomes.iter().flat_map(|outcome| &outcome.claims);
    let passed = claims().filter(|claim| claim.holds).count();
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>HSR regularisation: the paper, reproduced</title><style>{STYLE}</style></head><body>\n\
         <h1>HSR regularisation: the paper, reproduced</h1>\n\
         <p>{passed} of {} claims hold. A claim that fails is a result: thresholds are fixed before anything is \
         measured.</p>\n<nav>",
        claims().count()
    );
    for outcome in outcomes {
        let name = outcome.experiment.name();
        let _ = write!(html, "<a href=\"#{name}\">{name}</a> ");
    }
    html.push_str("</nav>\n");
    for outcome in outcomes {
        let name = outcome.experiment.name();
        let _ = write!(
            html,
            "<section id=\"{name}\"><h2>{name}: {}</h2>\n",
            escaped(&outcome.title)
        );
        for picture in &outcome.pictures {
            let path = folder.join(picture);
            let svg = std::fs::read_to_string(&path).map_err(LabError::io(&path, "be read"))?;
            // An SVG inside of HTML has no XML declaration.
            let svg = svg.find("<svg").map_or("", |start| &svg[start..]);
            let _ = write!(html, "<figure>{svg}</figure>\n");
        }
        let _ = write!(html, "<p>{}</p>\n<ul>", escaped(&outcome.caption));
        for claim in &outcome.claims {
            let verdict = claim.verdict();
            let _ = write!(
                html,
                "<li><b class=\"{verdict}\">{verdict}</b>{}</li>\n",
                escaped(&claim.text)
            );
        }
        let settings = serde_json::to_string_pretty(&outcome.settings)
            .expect("a JSON value always serialises");
        let _ = write!(
            html,
            "</ul>\n<details><summary>Settings</summary><pre>{}</pre></details>\n\
             <p class=\"small\">Numbers: {}; {:.0} s of work.</p></section>\n",
            escaped(&settings),
            escaped(&outcome.table),
            outcome.seconds
        );
    }
    html.push_str("</body></html>\n");
    Ok(html)
}

/// Text for HTML, with `λ_` and what follows as a subscript, as in the pictures.
fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let mut parts = text.split("λ_");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(part.len());
        let _ = write!(out, "λ<sub>{}</sub>{}", &part[..end], &part[end..]);
    }
    out
}
