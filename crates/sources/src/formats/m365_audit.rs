//! The Unified Audit Log of Microsoft 365, in every wrapper that it comes in.
//!
//! The cmdlet's and the portals' CSV, JSON and JSON lines, the Management Activity API, the Graph audit query, Log
//! Analytics' `OfficeActivity`, and what Splunk and the Elastic stack make of them all carry one and the same record. It
//! is read into one normal form, and its identity does not depend on the wrapper.

mod admin;
mod audit;
mod messages;
mod out;
mod rows;
mod rules;
mod wrapper;

use std::io::BufRead;

use matagi_model::{Emit, Source, SourceError, SourceMeta, Table, Text};

use self::audit::{Audit, Key};
use self::out::Rows;
use crate::records::{CsvRow, csv_headers, csv_records, first_json_object, json_records};

/// The Unified Audit Log.
pub struct M365Audit;

static META: SourceMeta = SourceMeta {
    name: "m365-audit",
    title: Text::new("Microsoft 365 Unified Audit Log", "Microsoft 365 統合監査ログ"),
    obtained_with: "Search-UnifiedAuditLog, Purview audit search, Management Activity API, Graph auditLogQuery, OfficeActivity",
    tables: &[Table::Auth, Table::Iam, Table::Saas],
};

impl Source for M365Audit {
    fn meta(&self) -> &'static SourceMeta {
        &META
    }

    fn sniff(&self, head: &[u8]) -> bool {
        if let Some(object) = first_json_object(head) {
            let keys: Vec<&str> = object.keys.iter().map(String::as_str).collect();
            return looks_like(&keys) || is_elastic(&keys, &object.text);
        }
        csv_headers(head).is_some_and(|headers| looks_like(&headers.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn read(&self, input: &mut dyn BufRead, out: &mut dyn Emit) -> Result<(), SourceError> {
        let mut rows = Rows::new(out);
        let is_json = is_json(input)?;
        let result = if is_json { read_json(input, &mut rows) } else { read_csv(input, &mut rows) };
        match result {
            // What was held back is worth keeping, whatever ended the input.
            Err(SourceError::Stopped(stop)) => Err(stop.into()),
            result => {
                rows.finish()?;
                result
            }
        }
    }
}

/// Whether the names of properties or columns are those of an audit record or a wrapper of one.
fn looks_like(names: &[&str]) -> bool {
    let has = |name: &str| names.iter().any(|known| known.trim_end_matches(" [utc]").eq_ignore_ascii_case(name));
    has("AuditData")
        || has("auditLogRecordType")
        || has("OfficeWorkload") && has("Operation")
        || has("CreationTime")
            && has("Operation")
            && ["RecordType", "Workload", "OrganizationId", "UserKey", "UserId"].iter().any(|name| has(name))
        || has("CreationDate") && has("Operations") && has("UserIds")
}

fn is_elastic(keys: &[&str], text: &str) -> bool {
    (keys.iter().any(|key| matches!(*key, "o365" | "o365audit" | "_source" | "result")))
        && ["\"CreationTime\"", "\"AuditData\"", "\\\"CreationTime\\\""].iter().any(|mark| text.contains(mark))
}

/// Whether JSON follows; consumes only what stands before the first character.
fn is_json(input: &mut dyn BufRead) -> Result<bool, SourceError> {
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok(false);
        }
        let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF);
        let skipped = chunk.iter().take_while(|byte| blank(byte)).count();
        if let Some(first) = chunk.get(skipped) {
            return Ok(matches!(first, b'{' | b'['));
        }
        input.consume(skipped);
    }
}

fn read_json(input: &mut dyn BufRead, rows: &mut Rows<'_>) -> Result<(), SourceError> {
    json_records(input, &mut |number, record| match record {
        Err(reason) => {
            rows.reject(number, reason);
            Ok(())
        }
        Ok(text) => match Audit::from_json(text) {
            Ok(audit) => wrapper::record(rows, number, audit, wrapper::Raw::Json(text)),
            Err(error) => {
                rows.reject(number, format!("not JSON: {error}"));
                Ok(())
            }
        },
    })
}

fn read_csv(input: &mut dyn BufRead, rows: &mut Rows<'_>) -> Result<(), SourceError> {
    let mut keys: Vec<Key> = Vec::new();
    csv_records(input, &mut |number, row: Result<&CsvRow<'_>, String>| match row {
        Err(reason) => {
            rows.reject(number, reason);
            Ok(())
        }
        Ok(row) => {
            if keys.is_empty() {
                keys = row.headers().iter().map(|header| Key::loose(header)).collect();
            }
            wrapper::record(rows, number, Audit::from_row(row, &keys), wrapper::Raw::Csv(row))
        }
    })
}
