//! The real data sets, embedded in the program; `data/README.md` says where they are from.

use super::info::TaskInfo;
use crate::data::{DataError, Dataset, Roles, Table, TableOptions};

/// The real data sets, from small to large, each with its CSV, whose label column is `class`.
pub(super) static ALL: [(TaskInfo, &str); 4] = [
    (
        uci(
            "iris",
            [4, 3, 150],
            "species of iris from the size of sepals and petals",
            "UCI: R. A. Fisher, Iris (1936), doi:10.24432/C56C76",
        ),
        include_str!("../../data/iris.csv"),
    ),
    (
        uci(
            "wine",
            [13, 3, 178],
            "cultivar of a wine from its chemical analysis",
            "UCI: S. Aeberhard, M. Forina, Wine (1992), doi:10.24432/C5PC7J",
        ),
        include_str!("../../data/wine.csv"),
    ),
    (
        uci(
            "breast-cancer",
            [30, 2, 569],
            "malignant or benign tumour from the shapes of cell nuclei",
            "UCI: W. Wolberg, O. Mangasarian, N. Street, W. Street, Breast Cancer Wisconsin (Diagnostic) (1993), \
             doi:10.24432/C5DW2B",
        ),
        include_str!("../../data/breast-cancer.csv"),
    ),
    (
        TaskInfo {
            image: Some(8),
            ..uci(
                "digits",
                [64, 10, 1797],
                "handwritten digit from an image of 8 × 8 pixels, each 0 to 16",
                "UCI: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (1998), test set, \
                 doi:10.24432/C50P49",
            )
        },
        include_str!("../../data/digits.csv"),
    ),
];

/// A data set of the UCI repository: d, K and N are its sizes.
const fn uci(
    name: &'static str,
    [inputs, classes, samples]: [usize; 3],
    description: &'static str,
    source: &'static str,
) -> TaskInfo {
    TaskInfo {
        name,
        inputs,
        classes,
        samples,
        description,
        source,
        licence: "CC BY 4.0",
        fixed_split: false,
        image: None,
        takes: &[],
    }
}

/// The data set of a name that is one of theirs.
pub(super) fn load(name: &str) -> Result<Dataset, DataError> {
    let found = ALL.iter().find(|(info, _)| info.name == name);
    let csv = found.map_or("", |(_, csv)| csv);
    let path = format!("built-in {name}.csv");
    let roles = Roles::label("class");
    let table = Table::from_bytes(path, csv.as_bytes(), &roles, &TableOptions::default())?;
    table.into_dataset(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str) -> Dataset {
        crate::tasks::load(name, &Default::default(), 0).unwrap()
    }

    /// The mean of a feature to four decimals.
    fn mean(data: &Dataset, name: &str) -> String {
        let feature = data.feature_names.iter().position(|n| n == name).unwrap();
        let sum: f64 = (0..data.samples()).map(|i| data.row(i)[feature]).sum();
        format!("{:.4}", sum / data.samples() as f64)
    }

    #[test]
    fn classes_have_their_names_and_their_published_counts() {
        let iris = load("iris");
        assert_eq!(iris.class_names, ["setosa", "versicolor", "virginica"]);
        assert_eq!(iris.class_counts(), [50, 50, 50]);
        let wine = load("wine");
        assert_eq!(wine.class_names, ["class_0", "class_1", "class_2"]);
        assert_eq!(wine.class_counts(), [59, 71, 48]);
        let cancer = load("breast-cancer");
        assert_eq!(cancer.class_names, ["benign", "malignant"]);
        assert_eq!(cancer.class_counts(), [357, 212]);
        let digits = load("digits");
        assert_eq!(
            digits.class_names,
            ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
        );
        assert_eq!(
            digits.class_counts(),
            [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
        );
    }

    #[test]
    fn features_are_the_published_ones() {
        // Column means of scikit-learn's own files, computed apart from this program.
        assert_eq!(mean(&load("iris"), "sepal length (cm)"), "5.8433");
        assert_eq!(mean(&load("iris"), "petal width (cm)"), "1.1993");
        assert_eq!(mean(&load("wine"), "alcohol"), "13.0006");
        assert_eq!(mean(&load("wine"), "proline"), "746.8933");
        assert_eq!(mean(&load("breast-cancer"), "mean radius"), "14.1273");
        assert_eq!(
            mean(&load("breast-cancer"), "worst fractal dimension"),
            "0.0839"
        );
        let digits = load("digits");
        assert_eq!(mean(&digits, "pixel_0_2"), "5.2048");
        assert!(
            digits
                .features
                .iter()
                .all(|&v| v.fract() == 0.0 && (0.0..=16.0).contains(&v))
        );
    }
}
