//! Which columns of a table are what: label, weight, features, and those that are left out.

use std::collections::HashMap;
use std::path::Path;
use std::str;

use serde::{Deserialize, Serialize};

use super::error::DataError;
use super::fault::ColumnRole;
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

impl Columns {
    pub fn of(
        path: &Path,
        first: &Row,
        roles: &Roles,
        options: &TableOptions,
    ) -> Result<Columns, DataError> {
        let (names, named) = if options.no_header {
            let width = first.fields.len();
            (
                (1..=width).map(|number| number.to_string()).collect(),
                vec![true; width],
            )
        } else {
            names(path, first)?
        };
        let missing = |role: ColumnRole, wanted: &str| DataError::MissingColumn {
            path: path.to_path_buf(),
            line: first.line,
            role,
            name: wanted.to_owned(),
            columns: names.clone(),
            nearest: nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned),
        };
        let find = |role: ColumnRole, wanted: &str| {
            let wanted = wanted.trim();
            let found = names.iter().position(|name| name == wanted);
            found.ok_or_else(|| missing(role, wanted))
        };
        let shared = |column: usize, roles: [ColumnRole; 2]| DataError::SharedColumn {
            path: path.to_path_buf(),
            column: names[column].clone(),
            roles,
        };
        let label = roles
            .label
            .map(|name| find(ColumnRole::Label, name))
            .transpose()?;
        let weight = roles
            .weight
            .map(|name| find(ColumnRole::Weight, name))
            .transpose()?;
        if let (Some(label), Some(weight)) = (label, weight)
            && label == weight
        {
            return Err(shared(label, [ColumnRole::Label, ColumnRole::Weight]));
        }
        // With known features the choices were made when the network was trained, perhaps on a table with more columns.
        let chosen = |role: ColumnRole, list: &[String]| -> Result<Vec<usize>, DataError> {
            let found = list.iter().map(|name| find(role, name));
            let found: Vec<usize> = match roles.features {
                Some(_) => found.filter_map(Result::ok).collect(),
                None => found.collect::<Result<_, _>>()?,
            };
            for &column in &found {
                if label == Some(column) {
                    return Err(shared(column, [ColumnRole::Label, role]));
                }
                if weight == Some(column) {
                    return Err(shared(column, [ColumnRole::Weight, role]));
                }
            }
            Ok(found)
        };
        let dropped = chosen(ColumnRole::Drop, &options.drop)?;
        let one_hot = chosen(ColumnRole::OneHot, &options.one_hot)?;
        if let Some(&both) = one_hot.iter().find(|column| dropped.contains(column)) {
            return Err(shared(both, [ColumnRole::Drop, ColumnRole::OneHot]));
        }
        let special = |column: usize| label == Some(column) || weight == Some(column);
        let others = (0..names.len()).filter(|&it| !special(it) && !dropped.contains(&it));
        let (features, ignored) = match roles.features {
            None => {
                let kind = |column: usize| {
                    if one_hot.contains(&column) {
                        Kind::OneHot {
                            categories: HashMap::new(),
                            fixed: false,
                        }
                    } else {
                        Kind::Number
                    }
                };
                (
                    others.map(|column| (column, kind(column))).collect(),
                    Vec::new(),
                )
            }
            Some(known) => {
                let features = known_features(known, |name| names.iter().position(|it| it == name))
                    .map_err(|lacking| DataError::MissingFeatures {
                        path: path.to_path_buf(),
                        line: first.line,
                        nearest: nearest(lacking[0], names.iter().map(String::as_str))
                            .filter(|name| !known.iter().any(|it| it.name() == *name))
                            .map(str::to_owned),
                        lacking: lacking.into_iter().map(str::to_owned).collect(),
                        columns: names.clone(),
                    })?;
                let used = |column: usize| features.iter().any(|&(feature, _)| feature == column);
                if let Some(column) = label.filter(|&label| used(label)) {
                    return Err(shared(column, [ColumnRole::Label, ColumnRole::Feature]));
                }
                let ignored = others.filter(|&column| !used(column)).collect();
                (features, ignored)
            }
        };
        if features.is_empty() {
            return Err(DataError::NoFeatures {
                path: path.to_path_buf(),
                line: first.line,
                columns: names,
            });
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
fn names(path: &Path, header: &Row) -> Result<(Vec<String>, Vec<bool>), DataError> {
    let line = header.line;
    let mut names = Vec::with_capacity(header.fields.len());
    let mut named = Vec::with_capacity(header.fields.len());
    for (index, field) in header.fields.iter().enumerate() {
        let name = str::from_utf8(field)
            .map_err(|_| DataError::NotUtf8 {
                path: path.to_path_buf(),
                line,
                column: (index + 1).to_string(),
                found: String::from_utf8_lossy(field).into_owned(),
            })?
            .trim();
        named.push(!name.is_empty());
        names.push(match name {
            "" => (index + 1).to_string(),
            name => name.to_owned(),
        });
    }
    // Before anything else: a sample has equal values, and the label may be one of them.
    let mut given = names
        .iter()
        .zip(&named)
        .filter(|(_, named)| **named)
        .map(|(name, _)| name)
        .peekable();
    if given.peek().is_some() && given.all(|name| finite(name).is_some()) {
        return Err(DataError::HeaderOfNumbers {
            path: path.to_path_buf(),
            line,
            found: names,
        });
    }
    let mut columns = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = columns.insert(name.as_str(), index) {
            return Err(DataError::DuplicateColumn {
                path: path.to_path_buf(),
                line,
                name: name.clone(),
                first: first + 1,
                second: index + 1,
            });
        }
    }
    Ok((names, named))
}
