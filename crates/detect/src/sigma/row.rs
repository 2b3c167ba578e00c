//! One row of a batch, read by column or by a path into a column of JSON text.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::LazyLock;

use arrow_array::Array as _;
use arrow_schema::DataType;
use matagi_model::columns::Cell;
use matagi_model::{EventBatch, Ip, Table};
use serde_json::Value;

/// Columns that hold a JSON object as text.
pub(super) const JSON_COLUMNS: [&str; 4] = ["parameters", "modified", "details", "raw"];
/// Bytes of a JSON text that is parsed for a rule; audit records have kilobytes.
const JSON_BYTES_MAX: usize = 8 << 20;
/// Values of one field that are compared; lists in records have tens.
const VALUES_MAX: usize = 10_000;
/// JSON texts within JSON texts that are followed.
const NESTED_TEXTS_MAX: usize = 3;
/// At the head of a path: whatever the name.
const ANY_NAME: &str = "%.";
/// Where a record that was read keeps the event itself.
const ENVELOPES: [&str; 3] = ["AuditData", "properties", "_source"];

/// Where a field's values stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Column.
    pub(super) column: &'static str,
    /// Path within it, where it is JSON; empty for the column as a whole.
    pub(super) path: String,
    /// Other words for the same value: `1` also reads as `success`.
    pub(super) words: BTreeMap<String, String>,
}

/// The values of a field in one row.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Values<'a> {
    /// The field is there, if only empty or null.
    pub(super) is_present: bool,
    /// The field is there and null.
    pub(super) has_null: bool,
    /// A column without a value: an export cannot tell empty from absent.
    pub(super) is_blank: bool,
    /// Its values as text.
    pub(super) texts: Vec<Cow<'a, str>>,
}

impl<'a> Values<'a> {
    fn push(&mut self, text: Cow<'a, str>) {
        self.is_present = true;
        if self.texts.len() < VALUES_MAX {
            self.texts.push(text);
        }
    }

    fn push_json(&mut self, value: &Value) {
        match value {
            Value::Null => {
                self.is_present = true;
                self.has_null = true;
            }
            Value::String(text) => self.push(Cow::Owned(text.clone())),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => self.push(Cow::Owned(value.to_string())),
            Value::Array(items) => {
                self.is_present = true;
                for item in items {
                    self.push_json(item);
                }
            }
        }
    }
}

enum Reader<'a> {
    Text(<Option<String> as Cell>::View<'a>),
    Address(<Option<Ip> as Cell>::View<'a>),
    Byte(<u8 as Cell>::View<'a>),
    Number(<u32 as Cell>::View<'a>),
    Large(<u64 as Cell>::View<'a>),
    Real(<Option<f64> as Cell>::View<'a>),
    Flag(<Option<bool> as Cell>::View<'a>),
    Time(<matagi_model::Time as Cell>::View<'a>),
    List(<Vec<String> as Cell>::View<'a>),
}

/// The columns of a batch, ready to be read row by row.
pub(super) struct Rows<'a> {
    readers: BTreeMap<&'static str, Reader<'a>>,
}

impl<'a> Rows<'a> {
    /// Looks at these columns of a batch.
    pub(super) fn new<'c>(batch: &'a EventBatch, columns: impl Iterator<Item = &'c &'static str>) -> Self {
        let reader = |&name: &&'static str| {
            let array = batch.columns.column_by_name(name)?;
            let reader = match array.data_type() {
                DataType::FixedSizeBinary(16) => Reader::Address(<Option<Ip> as Cell>::view(Some(array))),
                DataType::UInt8 => Reader::Byte(<u8 as Cell>::view(Some(array))),
                DataType::UInt32 => Reader::Number(<u32 as Cell>::view(Some(array))),
                DataType::UInt64 => Reader::Large(<u64 as Cell>::view(Some(array))),
                DataType::Float64 => Reader::Real(<Option<f64> as Cell>::view(Some(array))),
                DataType::Boolean => Reader::Flag(<Option<bool> as Cell>::view(Some(array))),
                DataType::Timestamp(..) => Reader::Time(<matagi_model::Time as Cell>::view(Some(array))),
                DataType::List(_) => Reader::List(<Vec<String> as Cell>::view(Some(array))),
                _ => Reader::Text(<Option<String> as Cell>::view(Some(array))),
            };
            Some((name, reader))
        };
        Self { readers: columns.filter_map(reader).collect() }
    }

    /// One row.
    pub(super) fn row(&self, index: usize) -> Row<'_, 'a> {
        Row { rows: self, index, parsed: RefCell::default() }
    }

    /// The text of a column in a row.
    pub(super) fn text(&self, column: &str, index: usize) -> Option<&'a str> {
        match self.readers.get(column) {
            Some(Reader::Text(view)) => view.get(index),
            _ => None,
        }
    }
}

/// One row.
pub(super) struct Row<'b, 'a> {
    rows: &'b Rows<'a>,
    index: usize,
    parsed: RefCell<Vec<(&'static str, Rc<Value>)>>,
}

impl<'a> Row<'_, 'a> {
    /// The values of a field: of all places where it may stand.
    pub(super) fn values(&self, sources: &[Source]) -> Values<'a> {
        let mut values = Values::default();
        for source in sources {
            let before = values.texts.len();
            if source.path.is_empty() {
                self.read_column(source.column, &mut values);
            } else {
                let record = self.json(source.column);
                find_in_record(&record, &source.path, &mut values);
            }
            if !source.words.is_empty() {
                let words: Vec<_> = values
                    .texts
                    .iter()
                    .skip(before)
                    .filter_map(|text| source.words.get(text.as_ref()))
                    .cloned()
                    .collect();
                for word in words {
                    values.push(Cow::Owned(word));
                }
            }
        }
        values
    }

    /// Every text of the row, nested ones too, for rules that look for words anywhere.
    pub(super) fn every_text(&self) -> Values<'a> {
        let mut values = Values::default();
        for (&column, reader) in &self.rows.readers {
            if JSON_COLUMNS.contains(&column) {
                every_text_of(&self.json(column), &mut values);
            } else if matches!(reader, Reader::Text(_) | Reader::List(_)) {
                self.read_column(column, &mut values);
            }
        }
        values
    }

    fn read_column(&self, column: &str, values: &mut Values<'a>) {
        let Some(reader) = self.rows.readers.get(column) else { return };
        let index = self.index;
        let text = match reader {
            Reader::Text(view) => view.get(index).map(Cow::Borrowed),
            Reader::Address(view) => view.get(index).map(|ip| Cow::Owned(ip.to_string())),
            Reader::Byte(view) => view.get(index).map(|number| Cow::Owned(number.to_string())),
            Reader::Number(view) => view.get(index).map(|number| Cow::Owned(number.to_string())),
            Reader::Large(view) => view.get(index).map(|number| Cow::Owned(number.to_string())),
            Reader::Real(view) => view.get(index).map(|number| Cow::Owned(number.to_string())),
            Reader::Flag(view) => view.get(index).map(|flag| Cow::Borrowed(if flag { "true" } else { "false" })),
            Reader::Time(view) => view.get(index).rfc3339().map(Cow::Owned),
            Reader::List(view) => {
                view.get(index).into_iter().for_each(|text| values.push(Cow::Owned(text)));
                return;
            }
        };
        match text {
            Some(text) => values.push(text),
            None => values.is_blank = true,
        }
    }

    fn json(&self, column: &'static str) -> Rc<Value> {
        if let Some((_, value)) = self.parsed.borrow().iter().find(|(name, _)| *name == column) {
            return Rc::clone(value);
        }
        let text = self.rows.text(column, self.index).filter(|text| text.len() <= JSON_BYTES_MAX);
        let value = Rc::new(text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null));
        self.parsed.borrow_mut().push((column, Rc::clone(&value)));
        value
    }
}

/// Looks in the record itself, then in what it wraps.
fn find_in_record(record: &Value, path: &str, values: &mut Values<'_>) {
    if find(record, path, NESTED_TEXTS_MAX, values) {
        return;
    }
    let Some(object) = record.as_object() else { return };
    for envelope in ENVELOPES {
        let inner = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(envelope)).map(|(_, inner)| inner);
        if inner.is_some_and(|inner| find(inner, path, NESTED_TEXTS_MAX, values)) {
            return;
        }
    }
}

/// Follows a dotted path. Names may contain dots themselves, lists are looked into, `[{Name, Value}]` lists are read as
/// objects, and JSON within text is followed a little.
fn find(value: &Value, path: &str, texts_left: usize, values: &mut Values<'_>) -> bool {
    match value {
        Value::Object(object) => {
            if let Some((_, found)) = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(path)) {
                values.push_json(found);
                return true;
            }
            if let Some(tail) = path.strip_prefix(ANY_NAME) {
                let found = object.values().filter(|inner| find(inner, tail, texts_left, values)).count();
                return found > 0;
            }
            path.match_indices('.').rev().any(|(dot, _)| {
                let (Some(head), Some(tail)) = (path.get(..dot), path.get(dot + 1..)) else { return false };
                let inner = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(head));
                inner.is_some_and(|(_, inner)| find(inner, tail, texts_left, values))
            })
        }
        Value::Array(items) => {
            let mut is_found = false;
            for item in items {
                is_found |= find_named(item, path, values) || find(item, path, texts_left, values);
            }
            is_found
        }
        Value::String(text) if texts_left > 0 && text.trim_start().starts_with(['{', '[']) => {
            serde_json::from_str(text).is_ok_and(|inner: Value| find(&inner, path, texts_left - 1, values))
        }
        _ => false,
    }
}

/// An element `{"Name": path, "Value": ...}` of a list.
fn find_named(item: &Value, path: &str, values: &mut Values<'_>) -> bool {
    let Some(object) = item.as_object() else { return false };
    for (name, value) in [("Name", "Value"), ("key", "value")] {
        let is_it = object.get(name).and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(path));
        if let (true, Some(value)) = (is_it, object.get(value)) {
            values.push_json(value);
            return true;
        }
    }
    false
}

fn every_text_of(value: &Value, values: &mut Values<'_>) {
    match value {
        Value::Object(object) => object.values().for_each(|inner| every_text_of(inner, values)),
        Value::Array(items) => items.iter().for_each(|inner| every_text_of(inner, values)),
        _ => values.push_json(value),
    }
}

static COLUMNS: LazyLock<BTreeMap<Table, BTreeSet<&'static str>>> = LazyLock::new(|| {
    Table::ALL.into_iter().map(|table| (table, table.docs().into_iter().map(|doc| doc.name).collect())).collect()
});

/// The columns of a table.
pub(super) fn columns(table: Table) -> &'static BTreeSet<&'static str> {
    COLUMNS.get(&table).expect("all tables are in it")
}

/// The column of this name in a table, as its declaration spells it.
pub(super) fn column_named(table: Table, name: &str) -> Option<&'static str> {
    columns(table).get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str, path: &str) -> String {
        let mut values = Values::default();
        find_in_record(&serde_json::from_str(json).unwrap(), path, &mut values);
        format!("{}{}{:?}", u8::from(values.is_present), u8::from(values.has_null), values.texts)
    }

    #[test]
    fn paths_lead_where_records_keep_things() {
        for (json, path, expected) in [
            (r#"{"a":{"b":1}}"#, "a.b", r#"10["1"]"#),
            (r#"{"A":{"B":true}}"#, "a.b", r#"10["true"]"#),
            (r#"{"Role.DisplayName":{"new":"x"}}"#, "Role.DisplayName.new", r#"10["x"]"#),
            (r#"{"a":[{"b":"x"},{"b":"y"}]}"#, "a.b", r#"10["x", "y"]"#),
            (r#"{"a":["x","y"]}"#, "a", r#"10["x", "y"]"#),
            (r#"{"P":[{"Name":"ForwardTo","Value":"z@b"}]}"#, "P.ForwardTo", r#"10["z@b"]"#),
            (r#"{"a":null}"#, "a", "11[]"),
            (r#"{"a":""}"#, "a", r#"10[""]"#),
            (r#"{"a":1}"#, "b", "00[]"),
            (r#"{"AuditData":"{\"Operation\":\"x\"}"}"#, "Operation", r#"10["x"]"#),
            (r#"{"properties":{"status":{"errorCode":50126}}}"#, "status.errorCode", r#"10["50126"]"#),
            (r#"{"T":"[{\"type\":\"User\"}]"}"#, "T.type", r#"10["User"]"#),
        ] {
            assert_eq!(found(json, path), expected, "{json} {path}");
        }
    }
}
