//! Which tables a log source means and where a field of a rule stands: `content/mappings/sigma.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use matagi_model::Table;
use serde::Deserialize;

use super::embedded;
use super::row::{self, JSON_COLUMNS, Source};
use super::rule::LogSource;

const FILE: &str = "mappings/sigma.toml";

static MAPPING: LazyLock<Mapping> = LazyLock::new(|| {
    let text = embedded::MAPPINGS.iter().find(|(path, _)| *path == FILE).map_or("", |(_, text)| text);
    toml::from_str(text).expect("a test reads the embedded mapping")
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    logsource: Vec<Entry>,
    fields: BTreeMap<String, BTreeMap<String, Places>>,
}

/// A log source and what it means here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    product: String,
    /// Services; an empty one stands for a rule that names none.
    services: Vec<String>,
    tables: Vec<String>,
    /// Tables of fields, the first that knows a field wins.
    fields: Vec<String>,
    /// Column → values that it must have; a row without a value passes.
    #[serde(default)]
    only: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Places {
    One(Place),
    Several(Vec<Place>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Place {
    Path(String),
    Worded { path: String, words: BTreeMap<String, String> },
}

/// Where a field stands.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// The mapping or the schema knows it; in this table it may still have no place.
    Mapped(Vec<Source>),
    /// Nobody knows it: looked up in the record as it was read.
    InRecord(Source),
}

/// What a log source means.
///
/// # Errors
/// That no table holds such events.
pub(super) fn entry(logsource: &LogSource) -> Result<&'static Entry, String> {
    let service = logsource.service.as_deref().unwrap_or_default();
    let product = logsource.product.as_deref().unwrap_or_default();
    let entry = MAPPING.logsource.iter().find(|entry| {
        entry.product == product && logsource.category.is_none() && entry.services.iter().any(|known| known == service)
    });
    entry.ok_or_else(|| {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
        format!(
            "no table holds events of product {}, category {}, service {}",
            part(&logsource.product),
            part(&logsource.category),
            part(&logsource.service)
        )
    })
}

impl Entry {
    /// Tables, in order.
    pub(super) fn tables(&self) -> impl Iterator<Item = Table> {
        Table::ALL.into_iter().filter(|table| self.tables.iter().any(|name| name == table.name()))
    }

    /// Column and values that rows must have.
    pub(super) fn gates(&self, table: Table) -> Vec<(&'static str, Vec<String>)> {
        let gate =
            |(column, values): (&String, &Vec<String>)| Some((row::column_named(table, column)?, values.clone()));
        self.only.iter().filter_map(gate).collect()
    }

    /// Where a field stands in a table.
    pub(super) fn field(&self, table: Table, name: &str) -> Found {
        for fields in self.fields.iter().filter_map(|name| MAPPING.fields.get(name)) {
            if let Some(sources) = look_up(fields, table, name) {
                return Found::Mapped(sources);
            }
        }
        if let Some(source) = source(table, name, "", BTreeMap::new()) {
            return Found::Mapped(vec![source]);
        }
        if self.tables().any(|other| source(other, name, "", BTreeMap::new()).is_some()) {
            return Found::Mapped(Vec::new());
        }
        Found::InRecord(Source { column: "raw", path: name.to_owned(), words: BTreeMap::new() })
    }
}

fn look_up(fields: &BTreeMap<String, Places>, table: Table, name: &str) -> Option<Vec<Source>> {
    let capture = |pattern: &str| captured(pattern, name);
    // An exact name before a pattern, a longer pattern before a shorter one.
    let mut known: Vec<_> =
        fields.iter().filter_map(|(pattern, places)| Some((pattern, capture(pattern)?, places))).collect();
    known.sort_by_key(|(pattern, ..)| (pattern.contains('*'), usize::MAX - pattern.len()));
    let (_, rest, places) = known.into_iter().next()?;
    let of = |place: &Place| match place {
        Place::Path(path) => source(table, path, &rest, BTreeMap::new()),
        Place::Worded { path, words } => source(table, path, &rest, words.clone()),
    };
    Some(match places {
        Places::One(place) => of(place).into_iter().collect(),
        Places::Several(places) => places.iter().filter_map(of).collect(),
    })
}

/// What the `*` of a pattern stands for, or nothing where the names are equal; `None` if they do not fit.
fn captured(pattern: &str, name: &str) -> Option<String> {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern.eq_ignore_ascii_case(name).then(String::new);
    };
    let begin = name.get(..head.len())?;
    let end_at = name.len().checked_sub(tail.len())?;
    let (middle, end) = (name.get(head.len()..end_at)?, name.get(end_at..)?);
    let fits = begin.eq_ignore_ascii_case(head) && end.eq_ignore_ascii_case(tail) && !middle.is_empty();
    fits.then(|| middle.to_owned())
}

/// `column` or `column.path` in a table, with `*` replaced.
fn source(table: Table, path: &str, rest: &str, words: BTreeMap<String, String>) -> Option<Source> {
    let path = path.replace('*', rest);
    let (name, path) = path.split_once('.').unwrap_or((&path, ""));
    let column = row::column_named(table, name)?;
    (path.is_empty() || JSON_COLUMNS.contains(&column)).then(|| Source { column, path: path.to_owned(), words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_mapping_exists_in_some_table() {
        for entry in &MAPPING.logsource {
            assert!(entry.tables.iter().all(|name| Table::named(name).is_some()), "{entry:?}");
            assert!(entry.fields.iter().all(|name| MAPPING.fields.contains_key(name)), "{entry:?}");
        }
        for (set, fields) in &MAPPING.fields {
            for (field, places) in fields {
                let places = match places {
                    Places::One(place) => std::slice::from_ref(place),
                    Places::Several(places) => places.as_slice(),
                };
                for place in places {
                    let (Place::Path(path) | Place::Worded { path, .. }) = place;
                    let is_known =
                        Table::ALL.into_iter().any(|table| source(table, path, "x", BTreeMap::new()).is_some());
                    assert!(is_known, "fields.{set}.{field} = {path}");
                }
            }
        }
    }

    #[test]
    fn patterns_capture_names_with_dots() {
        assert_eq!(
            captured("ModifiedProperties.*.NewValue", "modifiedproperties.Role.DisplayName.newvalue").unwrap(),
            "Role.DisplayName"
        );
        assert_eq!(captured("Parameters.*", "Parameters"), None);
        assert_eq!(captured("Parameters", "PARAMETERS"), Some(String::new()));
    }

    #[test]
    fn a_log_source_that_we_do_not_hold_is_refused() {
        let source =
            LogSource { product: Some("windows".into()), category: Some("process_creation".into()), service: None };
        assert!(entry(&source).unwrap_err().contains("process_creation"));
    }
}
