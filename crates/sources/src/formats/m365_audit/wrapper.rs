//! Taking a record out of its wrapper, and saving what can be saved of a broken one.

use std::borrow::Cow;

use matagi_model::Stop;

use super::audit::{Audit, Field, Nested};
use super::out::Rows;
use super::rows::{operation, own_time, row};
use crate::records::CsvRow;
use crate::values;

/// Wrappers inside wrappers (`_source` → `o365` → `audit`).
const NESTING_MAX: u32 = 4;
/// Whole records whose wrapper date is compared with their own time; after so many the culture is known.
const LEARNT_MAX: u64 = 1_000;

/// The record as it stood in the input.
#[derive(Clone, Copy)]
pub(super) enum Raw<'r> {
    Json(&'r str),
    Csv(&'r CsvRow<'r>),
}

impl Raw<'_> {
    /// As one line of JSON.
    fn text(self) -> String {
        match self {
            Self::Json(text) => text.to_owned(),
            Self::Csv(row) => values::json_object(row.iter().filter(|(_, cell)| !cell.is_empty())).unwrap_or_default(),
        }
    }
}

/// Takes one record of the input.
pub(super) fn record(rows: &mut Rows<'_>, number: u64, mut outer: Audit<'_>, raw: Raw<'_>) -> Result<(), Stop> {
    rows.count(&outer);
    rows.lost(&outer.lost);
    match outer.nested.take() {
        Some(Nested::Object(inner)) => {
            if inner.get(Field::Operation).is_none() && inner.get(Field::Raw).is_some() {
                return recovered(rows, number, &inner, inner.get(Field::Raw), raw);
            }
            let text = match raw {
                Raw::Json(text) => member(text, &["AuditData", "auditData"]).unwrap_or(text).to_owned(),
                Raw::Csv(_) => raw.text(),
            };
            nested(rows, number, &outer, *inner, text, 0)
        }
        Some(Nested::Text(text)) if !text.trim().is_empty() => match Audit::from_json(&text) {
            Ok(inner) => nested(rows, number, &outer, inner, compact(&text), 0),
            Err(_) => recovered(rows, number, &outer, Some(&text), raw),
        },
        _ if is_flat(&outer) => {
            let lossy = (!outer.lost.is_empty()).then_some("lossy");
            push(rows, number, &outer, raw.text(), lossy)
        }
        _ => recovered(rows, number, &outer, outer.get(Field::Raw), raw),
    }
}

/// A record whose properties stand at its top, without a wrapper.
fn is_flat(audit: &Audit<'_>) -> bool {
    [Field::CreationTime, Field::Workload, Field::UserId, Field::CreatedDateTime, Field::StartTime]
        .iter()
        .any(|field| audit.get(*field).is_some())
        && audit.get(Field::Raw).is_none()
}

fn nested(
    rows: &mut Rows<'_>,
    number: u64,
    wrapper: &Audit<'_>,
    mut inner: Audit<'_>,
    raw: String,
    depth: u32,
) -> Result<(), Stop> {
    rows.lost(&inner.lost);
    if inner.get(Field::Operation).is_none() && depth < NESTING_MAX {
        match inner.nested.take() {
            Some(Nested::Object(deeper)) => return nested(rows, number, wrapper, *deeper, raw, depth + 1),
            Some(Nested::Text(text)) => {
                if let Ok(deeper) = Audit::from_json(&text) {
                    return nested(rows, number, wrapper, deeper, compact(&text), depth + 1);
                }
            }
            None => {}
        }
    }
    let lacks = |field| inner.get(field).is_none();
    if lacks(Field::Operation) || lacks(Field::Id) || own_time(&inner).is_none() {
        inner.complete_from(wrapper);
    } else if let Some(date) = wrapper.get(Field::CreationDate)
        && rows.learnt < LEARNT_MAX
        && let Some((truth, false)) = own_time(&inner)
    {
        rows.learnt += 1;
        rows.dates.learn(date, truth);
    }
    let lossy = (!inner.lost.is_empty()).then_some("lossy");
    push(rows, number, &inner, raw, lossy)
}

/// A record that is not whole: what its cut text still shows, else what the wrapper's columns say.
fn recovered(
    rows: &mut Rows<'_>,
    number: u64,
    outer: &Audit<'_>,
    text: Option<&str>,
    raw: Raw<'_>,
) -> Result<(), Stop> {
    if let Some((json, is_whole)) = text.and_then(record_in)
        && let Ok(mut inner) = Audit::from_json(&json)
    {
        // The kept text may be that of the wrapper.
        if let Some(Nested::Object(deeper)) = inner.nested.take() {
            inner = *deeper;
        }
        if inner.get(Field::CreationTime).is_some() {
            inner.complete_from(outer);
            return push(rows, number, &inner, json.clone(), (!is_whole).then_some("truncated"));
        }
    }
    if outer.get(Field::Operation).is_none() {
        rows.reject(number, "no audit record: it names no operation".to_owned());
        return Ok(());
    }
    push(rows, number, outer, raw.text(), Some("wrapper"))
}

fn push(
    rows: &mut Rows<'_>,
    number: u64,
    audit: &Audit<'_>,
    raw: String,
    recovered: Option<&'static str>,
) -> Result<(), Stop> {
    if operation(audit).is_empty() {
        rows.reject(number, "no audit record: it names no operation".to_owned());
        return Ok(());
    }
    let mut made = row(audit, number);
    made.set_raw(raw);
    let time = own_time(audit);
    let recovered = recovered.or(match time {
        Some((_, true)) => Some("time"),
        Some((_, false)) => None,
        // Only the wrapper's date is left.
        None => audit.get(Field::CreationDate).map(|_| "time"),
    });
    let date = if time.is_none() { audit.get(Field::CreationDate) } else { None };
    rows.push(made, recovered, date)
}

/// The value of a member of a compact JSON object, as it stands there.
fn member<'t>(text: &'t str, keys: &[&str]) -> Option<&'t str> {
    let start = keys.iter().find_map(|key| {
        let marker = format!("\"{key}\":");
        text.find(&marker).map(|at| at + marker.len())
    })?;
    let value = text.get(start..)?;
    let mut items = serde_json::Deserializer::from_str(value).into_iter::<serde::de::IgnoredAny>();
    items.next()?.ok()?;
    value.get(..items.byte_offset())
}

/// JSON without line breaks between its tokens.
fn compact(text: &str) -> String {
    if !text.contains('\n') {
        return text.trim().to_owned();
    }
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_string = c == '"';
        }
        compact.push(c);
    }
    compact
}

/// Undoes one way of writing text inside text.
type Plain = fn(&str) -> Cow<'_, str>;

/// The JSON record in a text that may hold it plainly, with doubled quotes (a line of CSV) or escaped (a member of
/// another JSON), and may be cut off. `true` when it is whole.
fn record_in(text: &str) -> Option<(String, bool)> {
    let forms: [(&str, Plain); 3] = [
        ("{\\\"", |text| Cow::Owned(text.replace("\\\\", "\u{1}").replace("\\\"", "\"").replace('\u{1}', "\\"))),
        ("{\"\"", |text| Cow::Owned(text.replace("\"\"", "\""))),
        ("{\"", |text| Cow::Borrowed(text)),
    ];
    let mut found: Vec<_> =
        forms.iter().filter_map(|(mark, plain)| text.find(mark).map(|start| (start, *plain))).collect();
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().find_map(|(start, plain)| {
        let plain = plain(text.get(start..)?);
        // The text of a wrapper holds the record in another form.
        if !plain.contains("\"CreationTime\"") {
            return None;
        }
        let mut items = serde_json::Deserializer::from_str(&plain).into_iter::<serde::de::IgnoredAny>();
        if let Some(Ok(_)) = items.next() {
            return Some((plain.get(..items.byte_offset())?.to_owned(), true));
        }
        mend(&plain).map(|json| (json, false))
    })
}

/// Closes a JSON object that was cut off, after its last whole value.
fn mend(text: &str) -> Option<String> {
    let mut open: Vec<char> = Vec::new();
    let mut safe: Option<(usize, usize)> = None;
    let (mut in_string, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => in_string = true,
            '{' => open.push('}'),
            '[' => open.push(']'),
            '}' | ']' => {
                if open.pop() != Some(c) {
                    break;
                }
                safe = Some((at + 1, open.len()));
            }
            // What stands before a comma is whole.
            ',' => safe = Some((at, open.len())),
            _ => {}
        }
        if open.len() > crate::records::JSON_DEPTH_MAX {
            break;
        }
    }
    let (end, depth) = safe?;
    let mut json = text.get(..end)?.to_owned();
    json.extend(open.iter().take(depth).rev());
    Some(json)
}
