//! Rows of a hunt → findings: rows of one key are one finding, each row is evidence.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use matagi_model::{
    AnalyticMeta, Entity, EntityKind, Evidence, Finding, Ip, Origin, Reason, Severity, Stage, Table, Text, Time, Uid,
};

use super::head::Weight;
use super::{Hunt, HuntError};

/// Columns that every hunt returns; `records` and `severity` may stand beside them.
pub(super) const EVIDENCE_COLUMNS: [&str; 6] = ["event_uid", "time", "table", "source_path", "source_record", "fact"];
/// Characters of a text from a row.
const TEXT_CHARS_MAX: usize = 500;

/// What [`Finding::new`] needs; everything in it is replaced by what the head says.
static BLANK: AnalyticMeta = AnalyticMeta {
    id: "hunt",
    catalogue: &[],
    title: Text::new("Hunt", "ハント"),
    question: Text::new("Does a hunt find rows?", "ハントに一致する行はありますか。"),
    stage: Stage::InitialAccess,
    attack: &[],
    scans: &[],
    parameters: &[],
    reasons: &[],
};

/// The findings of a hunt's rows, sorted by key; of one key the earliest rows are kept as evidence.
///
/// # Errors
/// If the rows lack a column that the head or the evidence needs, or a cell cannot be read as what it should be.
pub fn findings_of(hunt: &Hunt, rows: &[RecordBatch]) -> Result<Vec<Finding>, HuntError> {
    let wrong = |message: String| HuntError::Rows { path: hunt.path.clone(), id: hunt.id.clone(), message };
    let mut groups: BTreeMap<Vec<String>, Vec<(Evidence, Line)>> = BTreeMap::new();
    for batch in rows {
        let needed = EVIDENCE_COLUMNS.into_iter().chain(hunt.key.iter().map(String::as_str));
        let needed = needed.chain(hunt.entities.iter().map(|entity| entity.column.as_str()));
        if let Some(missing) = needed.into_iter().find(|name| batch.column_by_name(name).is_none()) {
            return Err(wrong(format!("its rows have no column `{missing}`")));
        }
        for index in 0..batch.num_rows() {
            let line = Line::read(batch, index);
            let evidence = evidence(batch, index).map_err(wrong)?;
            let key = hunt.key.iter().map(|name| line.text(name).unwrap_or_default().to_owned()).collect();
            groups.entry(key).or_default().push((evidence, line));
        }
    }
    groups.into_values().map(|group| finding(hunt, group).map_err(wrong)).collect()
}

/// The cells of one row as text, by column; null ones are absent.
struct Line(BTreeMap<String, String>);

impl Line {
    fn read(batch: &RecordBatch, index: usize) -> Self {
        let schema = batch.schema();
        let cells = schema.fields().iter().zip(batch.columns());
        Self(cells.filter_map(|(field, array)| Some((field.name().clone(), cell(array.as_ref(), index)?))).collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<f64> {
        match self.text(name)? {
            "true" => Some(1.0),
            "false" => Some(0.0),
            text => text.parse().ok(),
        }
    }
}

fn finding(hunt: &Hunt, mut group: Vec<(Evidence, Line)>) -> Result<Finding, String> {
    group.sort_by_key(|(evidence, _)| (evidence.time, evidence.event_uid));
    group.dedup_by(|(later, _), (earlier, _)| later.event_uid == earlier.event_uid && later.table == earlier.table);
    let mut severity: Option<Severity> = None;
    for (_, line) in &group {
        if let Some(word) = line.text("severity") {
            severity = severity.max(Some(word.parse::<Severity>()?));
        }
    }
    let (first, line) = group.first().ok_or("a group without rows")?;
    let mut finding = Finding::new(&BLANK, severity.unwrap_or(hunt.severity), first.clone());
    finding.analytic.clone_from(&hunt.id);
    finding.catalogue.clone_from(&hunt.catalogue);
    finding.title = hunt.title.clone();
    finding.title_args = named(&hunt.title, line);
    finding.stage = hunt.stage;
    finding.techniques.clone_from(&hunt.attack);
    finding.reasons = reasons(hunt, line);
    finding = finding.sure(hunt.confidence);
    for (evidence, _) in group.iter().skip(1) {
        finding = finding.proved_by(evidence.clone());
    }
    for (_, line) in &group {
        for entity in &hunt.entities {
            if let Some(value) = line.text(&entity.column).map(str::trim).filter(|value| !value.is_empty()) {
                let lower = matches!(
                    entity.kind,
                    EntityKind::User | EntityKind::Mailbox | EntityKind::EmailAddress | EntityKind::Domain
                );
                let value = if lower { value.to_lowercase() } else { value.to_owned() };
                finding = finding.about(Entity::new(entity.kind, value), entity.role);
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of rows, at least 0")]
    let records = group.iter().filter_map(|(_, line)| line.number("records")).fold(0.0, f64::max) as u64;
    let known = finding.evidence_count;
    Ok(finding.and_more(records.saturating_sub(known)))
}

fn reasons(hunt: &Hunt, line: &Line) -> Vec<Reason> {
    let of = |reason: &super::HuntReason| {
        let weight = match &reason.weight {
            Weight::Points(points) => *points,
            Weight::Column(column) => line.number(column)?,
        };
        let told = Reason { code: reason.code.clone(), args: named(&reason.text, line), weight };
        (weight != 0.0).then_some(told)
    };
    hunt.reasons.iter().filter_map(of).collect()
}

/// The columns that a sentence names.
fn named(text: &Text, line: &Line) -> BTreeMap<String, String> {
    let is_named = |name: &str| text.en.contains(&format!("{{{name}}}")) || text.ja.contains(&format!("{{{name}}}"));
    line.0.iter().filter(|(name, _)| is_named(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn evidence(batch: &RecordBatch, index: usize) -> Result<Evidence, String> {
    let text = |name: &str| batch.column_by_name(name).and_then(|array| cell(array.as_ref(), index));
    let table = text("table").unwrap_or_default();
    Ok(Evidence {
        event_uid: uid(batch, index)?,
        table: Table::named(&table).ok_or_else(|| format!("`{table}` in column `table` is no table"))?,
        time: batch.column_by_name("time").and_then(|array| time(array.as_ref(), index)).unwrap_or(Time::UNKNOWN),
        origin: Origin {
            path: text("source_path").unwrap_or_default(),
            record: text("source_record").and_then(|record| record.parse().ok()).unwrap_or_default(),
        },
        fact: text("fact").unwrap_or_default(),
    })
}

/// The record's identity, as 16 bytes or as 32 hexadecimal digits.
fn uid(batch: &RecordBatch, index: usize) -> Result<Uid, String> {
    let array = batch.column_by_name("event_uid").ok_or("no column `event_uid`")?;
    let bytes = match array.data_type() {
        _ if array.is_null(index) => None,
        DataType::FixedSizeBinary(16) => Some(array.as_fixed_size_binary().value(index)),
        DataType::Binary => Some(array.as_binary::<i32>().value(index)),
        DataType::BinaryView => Some(array.as_binary_view().value(index)),
        _ => None,
    };
    match bytes {
        Some(bytes) => bytes.try_into().map(Uid).map_err(|_| "`event_uid` has not 16 bytes".to_owned()),
        None => cell(array.as_ref(), index).ok_or("`event_uid` is null")?.parse().map_err(str::to_owned),
    }
}

fn time(array: &dyn Array, index: usize) -> Option<Time> {
    if array.is_null(index) {
        return None;
    }
    let micros = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            array.as_primitive::<TimestampSecondType>().value(index).saturating_mul(Time::SECOND_US)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<TimestampMillisecondType>().value(index).saturating_mul(1_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().value(index),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<TimestampNanosecondType>().value(index).div_euclid(1_000)
        }
        _ => return None,
    };
    Some(Time(micros))
}

/// A cell as text for people: numbers without needless digits, 16 bytes as an address, times as RFC 3339.
fn cell(array: &dyn Array, index: usize) -> Option<String> {
    if array.is_null(index) {
        return None;
    }
    let text = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(index).to_owned(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(index).to_owned(),
        DataType::Utf8View => array.as_string_view().value(index).to_owned(),
        DataType::Boolean => array.as_boolean().value(index).to_string(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(index).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(index).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(index).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(index).to_string(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(index).to_string(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(index).to_string(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(index).to_string(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(index).to_string(),
        DataType::Float32 => number(f64::from(array.as_primitive::<Float32Type>().value(index))),
        DataType::Float64 => number(array.as_primitive::<Float64Type>().value(index)),
        DataType::Timestamp(..) => time(array, index)?.rfc3339()?,
        DataType::FixedSizeBinary(16) => Ip(array.as_fixed_size_binary().value(index).try_into().ok()?).to_string(),
        _ => return None,
    };
    Some(text.chars().take(TEXT_CHARS_MAX).collect())
}

fn number(value: f64) -> String {
    ((value * 100.0).round() / 100.0).to_string()
}
