//! Which columns of a table are what: label, weight, features, and those that are left out.

use std::collections::HashMap;
use std::path::Path;
use std::str;

use serde::{Deserialize, Serialize};

use super::error::{DataError, DataFault, Place};
use super::nearest::nearest;
use super::number::finite;
use super::options::TableOptions;
use super::records::Row;

/// A column from which features are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FeatureColumn {
    /// One feature: the number.
    Number(String),
    /// One feature a category: 1 where the row has it, 0 elsewhere.
    OneHot {
        /// The column's name.
        name: String,
        /// The categories in the order of their features.
        categories: Vec<String>,
    },
}

impl FeatureColumn {
    /// The column's name in the table.
    pub fn name(&self) -> &str {
        match self {
            FeatureColumn::Number(name) | FeatureColumn::OneHot { name, .. } => name,
        }
    }

    /// The features made of it, by name: that of the column, or `column=category`.
    pub fn features(&self) -> Vec<String> {
        match self {
            FeatureColumn::Number(name) => vec![name.clone()],
            FeatureColumn::OneHot { name, categories } => categories
                .iter()
                .map(|category| format!("{name}={category}"))
                .collect(),
        }
    }
}

/// What the columns are for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roles<'a> {
    /// The column of labels, where there are any.
    pub label: Option<&'a str>,
    /// The column of the samples' weights, numbers ≥ 0.
    pub weight: Option<&'a str>,
    /// The columns from which the features are made, by name and in this order, whatever else the table has; `None` for
    /// every column but label, weight and those that are dropped, in the order of the file.
    pub features: Option<&'a [FeatureColumn]>,
}

impl<'a> Roles<'a> {
    /// A label column, every other column a feature.
    pub fn label(label: &'a str) -> Self {
        Self {
            label: Some(label),
            ..Self::default()
        }
    }
}

/// How a feature column is read.
pub(super) enum Kind {
    Number,
    /// The place of each category; with `fixed` there are no others.
    OneHot {
        categories: HashMap<String, usize>,
        fixed: bool,
    },
}

/// The columns of a table by their place in a row.
pub(super) struct Columns {
    /// The line of the first row.
    pub line: u64,
    pub names: Vec<String>,
    /// Whether each has a name of its own and not only its number.
    pub named: Vec<bool>,
    pub label: Option<usize>,
    pub weight: Option<usize>,
    pub features: Vec<(usize, Kind)>,
    /// Columns that nobody asked for and nobody dropped.
    pub ignored: Vec<usize>,
}

/// What a column may be asked to be.
const LABEL: &str = "label column";
const WEIGHT: &str = "weight column";
const FEATURE: &str = "feature column";
const DROP: &str = "column to drop";
const ONE_HOT: &str = "column to encode one-hot";

impl Columns {
    pub fn of(
        path: &Path,
        first: &Row,
        roles: &Roles,
        options: &TableOptions,
    ) -> Result<Columns, DataError> {
        let header = || Place::of(path).line(first.line);
        let (names, named) = if options.no_header {
            let width = first.fields.len();
            let numbers = (1..=width).map(|number| number.to_string());
            (numbers.collect(), vec![true; width])
        } else {
            names(first, header())?
        };
        let find = |role: &'static str, wanted: &str| {
            let name = wanted.trim();
            let found = names.iter().position(|it| it == name);
            found.ok_or_else(|| {
                let (name, columns) = (name.to_owned(), names.clone());
                header().fault(DataFault::MissingColumn {
                    role,
                    name,
                    columns,
                })
            })
        };
        let shared = |column: usize, roles: [&'static str; 2]| {
            let column = names[column].clone();
            Place::of(path).fault(DataFault::SharedColumn { column, roles })
        };
        let label = roles.label.map(|name| find(LABEL, name)).transpose()?;
        let weight = roles.weight.map(|name| find(WEIGHT, name)).transpose()?;
        if let (Some(label), Some(weight)) = (label, weight)
            && label == weight
        {
            return Err(shared(label, [LABEL, WEIGHT]));
        }
        // With known features the choices were made when the network was trained, perhaps on a table with more columns.
        let chosen = |role: &'static str, list: &[String]| {
            let found = list.iter().map(|name| find(role, name));
            let found: Vec<usize> = match roles.features {
                Some(_) => found.filter_map(Result::ok).collect(),
                None => found.collect::<Result<_, _>>()?,
            };
            for &column in &found {
                if label == Some(column) {
                    return Err(shared(column, [LABEL, role]));
                }
                if weight == Some(column) {
                    return Err(shared(column, [WEIGHT, role]));
                }
            }
            Ok(found)
        };
        let dropped = chosen(DROP, &options.drop)?;
        let one_hot = chosen(ONE_HOT, &options.one_hot)?;
        if let Some(&both) = one_hot.iter().find(|column| dropped.contains(column)) {
            return Err(shared(both, [DROP, ONE_HOT]));
        }
        let special = |column: usize| label == Some(column) || weight == Some(column);
        let others = (0..names.len()).filter(|&it| !special(it) && !dropped.contains(&it));
        let (features, ignored) = match roles.features {
            None => {
                let kind = |column| match one_hot.contains(&column) {
                    true => Kind::OneHot {
                        categories: HashMap::new(),
                        fixed: false,
                    },
                    false => Kind::Number,
                };
                let features = others.map(|column| (column, kind(column)));
                (features.collect(), Vec::new())
            }
            Some(known) => {
                let find = |name: &str| names.iter().position(|it| it == name);
                let features = known_features(known, find).map_err(|lacking| {
                    let nearest = nearest(lacking[0], names.iter().map(String::as_str));
                    let of_others = |name: &&str| known.iter().all(|it| it.name() != *name);
                    header().fault(DataFault::MissingFeatures {
                        nearest: nearest.filter(of_others).map(str::to_owned),
                        lacking: lacking.into_iter().map(str::to_owned).collect(),
                        columns: names.clone(),
                    })
                })?;
                let used = |column: usize| features.iter().any(|&(feature, _)| feature == column);
                if let Some(column) = label.filter(|&label| used(label)) {
                    return Err(shared(column, [LABEL, FEATURE]));
                }
                let ignored = others.filter(|&column| !used(column)).collect();
                (features, ignored)
            }
        };
        if features.is_empty() {
            return Err(header().fault(DataFault::NoFeatures(names)));
        }
        Ok(Columns {
            line: first.line,
            names,
            named,
            label,
            weight,
            features,
            ignored,
        })
    }

    /// Whether the row that was taken for the header looks like those below it: numbers where they have numbers, and the
    /// label one of theirs.
    pub fn header_is_a_row(&self, labels: &[String]) -> bool {
        let mut numbers = self
            .features
            .iter()
            .filter(|(_, kind)| matches!(kind, Kind::Number))
            .map(|&(column, _)| column)
            .peekable();
        numbers.peek().is_some()
            && numbers.all(|column| self.named[column] && finite(&self.names[column]).is_some())
            && self
                .label
                .is_some_and(|label| labels.contains(&self.names[label]))
    }
}

/// The places of the columns of known features, or the names of those that are not there.
fn known_features(
    known: &[FeatureColumn],
    find: impl Fn(&str) -> Option<usize>,
) -> Result<Vec<(usize, Kind)>, Vec<&str>> {
    let mut lacking = Vec::new();
    let mut features = Vec::with_capacity(known.len());
    for column in known {
        let Some(place) = find(column.name()) else {
            lacking.push(column.name());
            continue;
        };
        let kind = match column {
            FeatureColumn::Number(_) => Kind::Number,
            FeatureColumn::OneHot { categories, .. } => Kind::OneHot {
                categories: categories.iter().cloned().zip(0..).collect(),
                fixed: true,
            },
        };
        features.push((place, kind));
    }
    if lacking.is_empty() {
        Ok(features)
    } else {
        Err(lacking)
    }
}

/// The trimmed, distinct names of a header; a column without a name goes by its number.
fn names(header: &Row, place: Place) -> Result<(Vec<String>, Vec<bool>), DataError> {
    let mut names = Vec::with_capacity(header.fields.len());
    let mut named = Vec::with_capacity(header.fields.len());
    for (number, field) in (1..).zip(&header.fields) {
        let number: usize = number;
        let name = str::from_utf8(field).map_err(|_| {
            let found = String::from_utf8_lossy(field).into_owned();
            let place = place.clone().column(number.to_string());
            place.fault(DataFault::NotUtf8(found))
        })?;
        named.push(!name.trim().is_empty());
        names.push(match name.trim() {
            "" => number.to_string(),
            name => name.to_owned(),
        });
    }
    // Before anything else: a sample has equal values, and the label may be one of them.
    let given = names.iter().zip(&named).filter(|(_, named)| **named);
    let mut given = given.map(|(name, _)| name).peekable();
    if given.peek().is_some() && given.all(|name| finite(name).is_some()) {
        let (why, row) = ("has numbers alone", names);
        return Err(place.fault(DataFault::NoHeader { why, row }));
    }
    let mut columns = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = columns.insert(name.as_str(), index) {
            return Err(place.fault(DataFault::DuplicateColumn {
                name: name.clone(),
                first: first + 1,
                second: index + 1,
            }));
        }
    }
    Ok((names, named))
}
