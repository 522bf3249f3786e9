//! Golden cases: files in JSON, one a case. Standard library and serde alone, so that the tests of hsr-core read theirs with
//! it too.

use std::path::Path;

use hsr_core::OutputLoss;
use serde::de::DeserializeOwned;

/// Every case in a folder of `tests`, in the order of the files' names. As many must be there.
pub fn read<T: DeserializeOwned>(folder: &str, count: usize) -> Vec<T> {
    // From tests or from a crate.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here
        .ancestors()
        .map(|parent| parent.join("tests").join(folder))
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| panic!("tests/{folder} is not there"));
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of golden cases")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    files.sort();
    assert_eq!(files.len(), count, "every golden case is there");
    files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("a readable case");
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
        })
        .collect()
}

/// A loss by its name in the files.
pub fn loss_named(name: &str) -> OutputLoss {
    match name {
        "softmax" => OutputLoss::SoftmaxCrossEntropy,
        "sigmoid" => OutputLoss::SigmoidCrossEntropy,
        "mse" => OutputLoss::MeanSquaredError,
        other => panic!("unknown loss {other}"),
    }
}
