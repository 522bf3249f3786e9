//! `hsr reproduce`, part of the suite of the command line.

use super::{hsr, json, refused, text};

#[test]
fn reproduce_prints_a_line_a_claim_and_leaves_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let output = hsr(
        folder.path(),
        &["reproduce", "fig5", "fig3", "--quick", "--out", "paper"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    // No terminal, no bar.
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let out = text(&output.stdout);
    let lines: Vec<&str> = out.lines().filter(|line| !line.is_empty()).collect();
    let (report, claims) = lines.split_last().unwrap();
    assert_eq!(*report, "paper/report.html");
    assert_eq!(claims.len(), 5);
    for claim in claims {
        assert!(
            claim.starts_with("PASS fig") || claim.starts_with("FAIL fig"),
            "{claim}"
        );
    }
    // In the paper's order, whatever order they were named in.
    assert!(claims[0].starts_with("PASS fig3: numerical and analytical components agree"));
    assert!(claims[4].contains(" fig5: "));
    for file in [
        "fig3.svg",
        "fig3.png",
        "fig3.csv",
        "fig3.json",
        "fig5.svg",
        "report.html",
    ] {
        assert!(folder.path().join("paper").join(file).is_file(), "{file}");
    }

    // Again, as JSON: the same claims, nothing done anew.
    let arguments = ["reproduce", "fig3", "--quick", "--out", "paper", "--json"];
    let object = json(&hsr(folder.path(), &arguments));
    let outcomes = object["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0]["experiment"], "fig3");
    let claim = &outcomes[0]["claims"][0];
    assert_eq!(
        format!("PASS fig3: {}", claim["text"].as_str().unwrap()),
        claims[0]
    );
    assert!(claim["holds"] == true && claim["relation"] == "<");
    assert!(claim["value"].as_f64().unwrap() < claim["threshold"].as_f64().unwrap());
}

#[test]
fn reproduce_refuses_what_it_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    refused(
        &hsr(folder.path(), &["reproduce", "fig4", "--out", "never"]),
        &["fig4", "fig2", "referee", "all"],
    );
    refused(
        &hsr(folder.path(), &["reproduce", "--out", "never"]),
        &["EXPERIMENT"],
    );
    refused(
        &hsr(
            folder.path(),
            &["reproduce", "fig3", "--jobs", "0", "--out", "never"],
        ),
        &["--jobs"],
    );
    assert!(!folder.path().join("never").exists());
}
