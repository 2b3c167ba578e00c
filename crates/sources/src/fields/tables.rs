//! The answer of the query service of Log Analytics: names of columns once, then rows without names.
//!
//! `{"tables":[{"name":"PrimaryResult","columns":[{"name":"TimeGenerated","type":"datetime"},...],"rows":[[...],...]}]}`

use serde_json::{Map, Value};

use super::{elements, member, text};
use crate::records::JsonHead;

/// Whether an object is such an answer.
pub(crate) fn is_answer(object: &Map<String, Value>) -> bool {
    object
        .get("tables")
        .and_then(Value::as_array)
        .is_some_and(|tables| !tables.is_empty() && tables.iter().all(|table| member(table, "rows").is_array()))
}

/// The rows of an answer as objects.
pub(crate) fn rows(mut answer: Map<String, Value>) -> impl Iterator<Item = Map<String, Value>> {
    let tables = match answer.remove("tables") {
        Some(Value::Array(tables)) => tables,
        _ => Vec::new(),
    };
    tables.into_iter().flat_map(|mut table| {
        let columns = elements(member(&table, "columns"));
        let names: Vec<String> =
            columns.iter().map(|column| text(member(column, "name")).unwrap_or_default()).collect();
        let rows = match table.get_mut("rows").map(Value::take) {
            Some(Value::Array(rows)) => rows,
            _ => Vec::new(),
        };
        rows.into_iter().map(move |row| {
            let cells = match row {
                Value::Array(cells) => cells,
                _ => Vec::new(),
            };
            names.iter().cloned().zip(cells).collect()
        })
    })
}

/// The names by which the head of an input shows its format: the columns of an answer, else the keys of the object.
pub(crate) fn names(object: &JsonHead) -> Vec<String> {
    if !object.has("tables") {
        return object.keys.clone();
    }
    // The head may end within the answer, but not before its first columns do.
    let Some((_, columns)) = object.text.split_once("\"columns\":[") else { return object.keys.clone() };
    let columns = columns.split_once(']').map_or(columns, |(columns, _)| columns);
    let names = columns.split("\"name\":\"").skip(1).filter_map(|rest| rest.split_once('"'));
    names.map(|(name, _)| name.to_owned()).collect()
}
