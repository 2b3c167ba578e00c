//! Rows on their way out: whole ones at once, recovered ones after them.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::{Auth, AuthBuilder, Common, Iam, IamBuilder, Saas, SaasBuilder};
use matagi_model::{Emit, Note, Reject, Stop};

use super::audit::{Audit, Field};
use crate::values::{CultureDates, number};

/// Rows of a batch.
const BATCH_ROWS_MAX: usize = 8192;
/// Text of a batch, bytes: rows may carry records of several MiB.
const BATCH_BYTES_MAX: usize = 64 << 20;
/// Recovered rows that wait for the end of the input.
const HELD_ROWS_MAX: usize = 50_000;
/// Text of the rows that wait, bytes.
const HELD_BYTES_MAX: usize = 64 << 20;
/// Record counts at which exporters stop: a page, a session, and the portal's limit.
const CAPS: [u64; 3] = [5_000, 50_000, 100_000];
/// Sessions that are told apart in one input.
const SESSIONS_MAX: usize = 10_000;
/// Columns named in notes.
const COLUMNS_NOTED_MAX: usize = 50;

/// A row of one of the tables.
#[derive(Debug)]
pub(super) enum Row {
    Auth(Box<Auth>),
    Iam(Box<Iam>),
    Saas(Box<Saas>),
}

impl Row {
    pub(super) fn common(&mut self) -> &mut Common {
        match self {
            Self::Auth(row) => &mut row.common,
            Self::Iam(row) => &mut row.common,
            Self::Saas(row) => &mut row.common,
        }
    }

    pub(super) fn set_raw(&mut self, raw: String) {
        let place = match self {
            Self::Auth(row) => &mut row.raw,
            Self::Iam(row) => &mut row.raw,
            Self::Saas(row) => &mut row.raw,
        };
        *place = Some(raw);
    }

    fn bytes(&self) -> usize {
        let raw = match self {
            Self::Auth(row) => &row.raw,
            Self::Iam(row) => &row.raw,
            Self::Saas(row) => &row.raw,
        };
        // What else a row holds was taken from its record.
        1024 + raw.as_ref().map_or(0, String::len) * 2
    }
}

struct Held {
    row: Row,
    /// The wrapper's date, where the record has no time of its own.
    date: Option<String>,
}

/// Collects rows and what is to be said about the input.
pub(super) struct Rows<'o> {
    out: &'o mut dyn Emit,
    auth: AuthBuilder,
    iam: IamBuilder,
    saas: SaasBuilder,
    bytes: usize,
    held: Vec<Held>,
    held_bytes: usize,
    /// The culture of the wrapper's dates.
    pub dates: CultureDates,
    /// Dates compared so far.
    pub learnt: u64,
    sessions: BTreeMap<u64, Session>,
    records: u64,
    recovered: BTreeMap<&'static str, u64>,
    lost: BTreeSet<String>,
}

/// Rows of one search session, told apart by its ResultCount.
#[derive(Debug, Default)]
struct Session {
    rows: u64,
    highest: u64,
}

impl<'o> Rows<'o> {
    pub(super) fn new(out: &'o mut dyn Emit) -> Self {
        Self {
            out,
            auth: AuthBuilder::default(),
            iam: IamBuilder::default(),
            saas: SaasBuilder::default(),
            bytes: 0,
            held: Vec::new(),
            held_bytes: 0,
            dates: CultureDates::default(),
            learnt: 0,
            sessions: BTreeMap::new(),
            records: 0,
            recovered: BTreeMap::new(),
            lost: BTreeSet::new(),
        }
    }

    /// A record was met, whatever becomes of it.
    pub(super) fn count(&mut self, wrapper: &Audit<'_>) {
        self.records += 1;
        let value = |field| wrapper.get(field).and_then(number);
        let (Some(index), Some(total)) = (value(Field::ResultIndex), value(Field::ResultCount)) else { return };
        if total > 0 && (self.sessions.len() < SESSIONS_MAX || self.sessions.contains_key(&total)) {
            let session = self.sessions.entry(total).or_default();
            session.rows += 1;
            session.highest = session.highest.max(index);
        }
    }

    pub(super) fn reject(&mut self, record: u64, reason: String) {
        self.out.reject(Reject { record, reason });
    }

    pub(super) fn lost(&mut self, columns: &[String]) {
        for column in columns {
            if self.lost.len() < COLUMNS_NOTED_MAX {
                self.lost.insert(column.clone());
            }
        }
    }

    /// A whole row goes out; one that was recovered waits, because a whole one of the same identity may follow.
    pub(super) fn push(
        &mut self,
        mut row: Row,
        recovered: Option<&'static str>,
        date: Option<&str>,
    ) -> Result<(), Stop> {
        let Some(what) = recovered else { return self.emit(row) };
        row.common().recovered = Some(what.to_owned());
        *self.recovered.entry(what).or_default() += 1;
        if let Some(date) = date {
            self.dates.observe(date);
        }
        self.held_bytes += row.bytes();
        self.held.push(Held { row, date: date.map(str::to_owned) });
        if self.held.len() >= HELD_ROWS_MAX || self.held_bytes >= HELD_BYTES_MAX {
            return self.release();
        }
        Ok(())
    }

    fn release(&mut self) -> Result<(), Stop> {
        self.held_bytes = 0;
        for Held { mut row, date } in std::mem::take(&mut self.held) {
            if let Some(time) = date.and_then(|date| self.dates.time(&date)) {
                row.common().time = time;
            }
            self.emit(row)?;
        }
        Ok(())
    }

    fn emit(&mut self, row: Row) -> Result<(), Stop> {
        self.bytes += row.bytes();
        let rows = match row {
            Row::Auth(row) => {
                self.auth.push(*row);
                self.auth.len()
            }
            Row::Iam(row) => {
                self.iam.push(*row);
                self.iam.len()
            }
            Row::Saas(row) => {
                self.saas.push(*row);
                self.saas.len()
            }
        };
        if rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        self.bytes = 0;
        if !self.auth.is_empty() {
            self.out.batch(self.auth.finish())?;
        }
        if !self.iam.is_empty() {
            self.out.batch(self.iam.finish())?;
        }
        if !self.saas.is_empty() {
            self.out.batch(self.saas.finish())?;
        }
        Ok(())
    }

    /// The input is over.
    pub(super) fn finish(mut self) -> Result<(), Stop> {
        self.release()?;
        self.flush()?;
        for column in std::mem::take(&mut self.lost) {
            self.out.note(Note::new("lossy-export", [("column", column)]));
        }
        for (what, code) in [("truncated", "truncated-records"), ("wrapper", "recovered-records")] {
            if let Some(rows) = self.recovered.get(what) {
                self.out.note(Note::new(code, [("rows", rows.to_string())]));
            }
        }
        if self.dates.is_guess() {
            self.out.note(Note::new("guessed-dates", [("dates", self.dates.guessed().to_string())]));
        }
        let is_capped = CAPS.contains(&self.records) || self.sessions.keys().any(|total| CAPS.contains(total));
        if is_capped {
            self.out.note(Note::new("row-cap", [("rows", self.records.to_string())]));
        }
        for (total, session) in &self.sessions {
            if session.highest < *total {
                self.out.note(Note::new(
                    "result-count",
                    [
                        ("expected", total.to_string()),
                        ("highest", session.highest.to_string()),
                        ("rows", session.rows.to_string()),
                    ],
                ));
            }
        }
        Ok(())
    }
}
