//! From the bytes of an export to batches, for formats that come both as CSV and as JSON: finds out which, waits
//! until the order of ambiguous dates is known, collects rows, and notes what the export lost.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, BufRead};

use matagi_model::tables::{Auth, AuthBuilder, Email, EmailBuilder, Iam, IamBuilder};
use matagi_model::{Emit, EventBatch, Note, Reject, SourceError, Stop};
use serde_json::{Map, Value};

use super::{is_lossy, tables};
use crate::records::{CsvRow, csv_records, json_records};
use crate::values::{CultureDates, is_lost};

/// Rows of a batch: large enough for columns, small enough for memory.
const BATCH_ROWS_MAX: usize = 8192;
/// Bytes of the records of a batch: a hostile one may have 16 MiB in every row.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// Records that wait for the first date that shows the order of its numbers.
const WAITING_RECORDS_MAX: usize = 8192;
/// Bytes of these records.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// Columns that are named as lossy; a hostile input could name thousands.
const LOSSY_COLUMNS_MAX: usize = 64;
/// Where portals, cmdlets and query editors end an export: a file of exactly so many records is probably cut off.
const ROW_CAPS: [u64; 9] = [1_000, 5_000, 10_000, 30_000, 50_000, 64_000, 100_000, 250_000, 500_000];

/// One record as it stands in the input.
pub(crate) struct Raw<'a> {
    /// Its columns in order: header and cell, or key and value.
    pub columns: Vec<(Cow<'a, str>, Value)>,
}

/// Where a row comes from.
pub(crate) struct Origin {
    /// Position of the record, from 1.
    pub number: u64,
    /// The record as compact JSON.
    pub json: String,
    /// Whether the exporter lost nested values of it.
    pub is_lossy: bool,
}

/// What a format does with its records.
pub(crate) trait Mapping {
    /// A record whose columns are understood.
    type Parsed;

    /// Understands the columns.
    ///
    /// # Errors
    /// The reason why the record is refused.
    fn parse(&mut self, raw: Raw<'_>) -> Result<Self::Parsed, String>;

    /// The date that a program wrote in the culture of its computer, if this record's time hangs on one.
    fn culture_date<'p>(&self, parsed: &'p Self::Parsed) -> Option<&'p str>;

    /// Makes the rows.
    ///
    /// # Errors
    /// The reason why the record (or what is left of it) is refused.
    fn rows(
        &mut self,
        parsed: Self::Parsed,
        origin: Origin,
        dates: &mut CultureDates,
        rows: &mut Rows,
    ) -> Result<(), String>;
}

/// Collects rows of all tables into batches.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    auth: AuthBuilder,
    iam: IamBuilder,
    email: EmailBuilder,
    bytes: usize,
    full: Vec<EventBatch>,
}

impl Rows {
    /// A sign-in.
    pub fn auth(&mut self, row: Auth) {
        self.bytes += row.raw.as_ref().map_or(0, String::len);
        self.auth.push(row);
        self.cut(self.auth.len());
    }

    /// A change, or a state, of the directory or a mailbox.
    pub fn iam(&mut self, row: Iam) {
        self.bytes += row.raw.as_ref().map_or(0, String::len);
        self.iam.push(row);
        self.cut(self.iam.len());
    }

    /// A message.
    pub fn email(&mut self, row: Email) {
        self.bytes += row.raw.as_ref().map_or(0, String::len);
        self.email.push(row);
        self.cut(self.email.len());
    }

    fn cut(&mut self, rows: usize) {
        if rows >= BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let batches = [
            (!self.auth.is_empty()).then(|| self.auth.finish()),
            (!self.iam.is_empty()).then(|| self.iam.finish()),
            (!self.email.is_empty()).then(|| self.email.finish()),
        ];
        self.full.extend(batches.into_iter().flatten());
        self.bytes = 0;
    }

    fn emit(&mut self, out: &mut dyn Emit) -> Result<(), Stop> {
        self.full.drain(..).try_for_each(|batch| out.batch(batch))
    }

    fn finish(mut self, out: &mut dyn Emit) -> Result<(), Stop> {
        self.flush();
        self.emit(out)
    }
}

struct Waiting<P> {
    parsed: P,
    origin: Origin,
}

struct Reading<'m, M: Mapping> {
    mapping: &'m mut M,
    rows: Rows,
    dates: CultureDates,
    waiting: Vec<Waiting<M::Parsed>>,
    waiting_bytes: usize,
    is_order_known: bool,
    records: u64,
    /// Rows of query answers beyond the one record that an answer counts as.
    extra: u64,
    lossy: BTreeSet<String>,
}

/// Reads an input that is CSV or JSON.
///
/// # Errors
/// When the input cannot be read, or `out` says stop.
pub(crate) fn read<M: Mapping>(
    mapping: &mut M,
    input: &mut dyn BufRead,
    out: &mut dyn Emit,
) -> Result<(), SourceError> {
    let mut reading = Reading {
        mapping,
        rows: Rows::default(),
        dates: CultureDates::default(),
        waiting: Vec::new(),
        waiting_bytes: 0,
        is_order_known: false,
        records: 0,
        extra: 0,
        lossy: BTreeSet::new(),
    };
    if is_json(input)? {
        json_records(input, &mut |number, record| reading.json(number, record, out))?;
    } else {
        csv_records(input, &mut |number, row| reading.csv(number, row, out))?;
    }
    reading.release(out)?;
    reading.notes(out);
    Ok(reading.rows.finish(out)?)
}

/// Whether the first byte that says something opens an object or an array.
pub(crate) fn is_json(input: &mut dyn BufRead) -> io::Result<bool> {
    loop {
        let chunk = match input.fill_buf() {
            Ok([]) => return Ok(false),
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let first = chunk.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xEF | 0xBB | 0xBF));
        if let Some(first) = first {
            return Ok(matches!(first, b'{' | b'['));
        }
        let blank = chunk.len();
        input.consume(blank);
    }
}

impl<M: Mapping> Reading<'_, M> {
    fn json(&mut self, number: u64, record: Result<&str, String>, out: &mut dyn Emit) -> Result<(), Stop> {
        self.records += 1;
        let parsed = record.and_then(|text| {
            let object: Map<String, Value> =
                serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))?;
            Ok((text, object))
        });
        let (text, object) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => {
                out.reject(Reject { record: number, reason });
                return Ok(());
            }
        };
        if tables::is_answer(&object) {
            return self.answer(number, object, out);
        }
        self.object(number + self.extra, object, text.to_owned(), out)
    }

    fn object(
        &mut self,
        number: u64,
        object: Map<String, Value>,
        json: String,
        out: &mut dyn Emit,
    ) -> Result<(), Stop> {
        let mut columns: Vec<_> = object.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect();
        let is_lossy = self.drop_lossy(&mut columns);
        self.take(Raw { columns }, Origin { number, json, is_lossy }, out)
    }

    /// The rows of a query's answer, each as the object that an export would have.
    fn answer(&mut self, number: u64, answer: Map<String, Value>, out: &mut dyn Emit) -> Result<(), Stop> {
        self.records -= 1;
        for (place, row) in tables::rows(answer).enumerate() {
            self.records += 1;
            self.extra += u64::from(place > 0);
            let json = Value::Object(row.clone()).to_string();
            self.object(number + self.extra, row, json, out)?;
        }
        Ok(())
    }

    fn csv(&mut self, number: u64, row: Result<&CsvRow<'_>, String>, out: &mut dyn Emit) -> Result<(), Stop> {
        self.records += 1;
        let row = match row {
            Ok(row) => row,
            Err(reason) => {
                out.reject(Reject { record: number, reason });
                return Ok(());
            }
        };
        let mut columns: Vec<_> = row.iter().map(|(name, cell)| (Cow::Borrowed(name), Value::from(cell))).collect();
        let json = row_json(&columns);
        let is_lossy = self.drop_lossy(&mut columns);
        self.take(Raw { columns }, Origin { number, json, is_lossy }, out)
    }

    /// Takes out the values that are only the name of a class, and remembers their columns.
    fn drop_lossy(&mut self, columns: &mut [(Cow<'_, str>, Value)]) -> bool {
        let mut any = false;
        for (name, value) in columns {
            if value.as_str().is_some_and(|cell| is_lossy(cell) || is_lost(cell)) {
                any = true;
                *value = Value::Null;
                if self.lossy.len() < LOSSY_COLUMNS_MAX {
                    self.lossy.insert(name.to_string());
                }
            }
        }
        any
    }

    fn take(&mut self, raw: Raw<'_>, origin: Origin, out: &mut dyn Emit) -> Result<(), Stop> {
        let parsed = match self.mapping.parse(raw) {
            Ok(parsed) => parsed,
            Err(reason) => {
                out.reject(Reject { record: origin.number, reason });
                return Ok(());
            }
        };
        if self.is_order_known {
            self.map(Waiting { parsed, origin }, out);
            return self.rows.emit(out);
        }
        // A date that says itself how to read it shows that this export is not written in a culture.
        let mut is_plain = true;
        if let Some(date) = self.mapping.culture_date(&parsed) {
            self.dates.observe(date);
            is_plain = is_certain(&self.dates, date);
        }
        self.waiting_bytes += origin.json.len();
        self.waiting.push(Waiting { parsed, origin });
        let is_enough = self.waiting.len() >= WAITING_RECORDS_MAX || self.waiting_bytes >= WAITING_BYTES_MAX;
        if is_plain || is_enough || self.dates.order().is_some() {
            self.release(out)?;
        }
        Ok(())
    }

    fn release(&mut self, out: &mut dyn Emit) -> Result<(), Stop> {
        for waiting in std::mem::take(&mut self.waiting) {
            self.map(waiting, out);
        }
        self.waiting_bytes = 0;
        // A plain first date does not mean that all are: only a shown order or a full queue ends the waiting.
        self.is_order_known |= self.dates.order().is_some() || self.dates.is_guess();
        self.rows.emit(out)
    }

    fn map(&mut self, waiting: Waiting<M::Parsed>, out: &mut dyn Emit) {
        let record = waiting.origin.number;
        if let Err(reason) = self.mapping.rows(waiting.parsed, waiting.origin, &mut self.dates, &mut self.rows) {
            out.reject(Reject { record, reason });
        }
    }

    fn notes(&self, out: &mut dyn Emit) {
        if ROW_CAPS.contains(&self.records) {
            out.note(Note::new("row-cap", [("rows", self.records.to_string())]));
        }
        for column in &self.lossy {
            out.note(Note::new("lossy-export", [("column", column.clone())]));
        }
        if self.dates.is_guess() {
            out.note(Note::new("guessed-dates", [("dates", self.dates.guessed().to_string())]));
        }
    }
}

/// A row as a JSON object by header, in the order of the columns; cells without text are left out.
fn row_json(columns: &[(Cow<'_, str>, Value)]) -> String {
    let mut json = String::from("{");
    for (name, value) in columns.iter().filter(|(_, value)| value.as_str() != Some("")) {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&Value::from(name.as_ref()).to_string());
        json.push(':');
        json.push_str(&value.to_string());
    }
    json.push('}');
    json
}

/// Whether a date can be read in one way only, as far as is known.
fn is_certain(dates: &CultureDates, date: &str) -> bool {
    let mut dates = dates.clone();
    let before = dates.guessed();
    let _read = dates.time(date);
    dates.guessed() == before
}

#[cfg(test)]
pub(crate) mod testing {
    //! What a test needs to read a text and look at the rows.

    use matagi_model::{Emit, EventBatch, Note, Reject, Source, Stop, Table};

    /// Everything that a source gave.
    #[derive(Debug, Default)]
    pub(crate) struct Taken {
        pub batches: Vec<EventBatch>,
        pub rejects: Vec<Reject>,
        pub notes: Vec<Note>,
    }

    impl Emit for Taken {
        fn batch(&mut self, batch: EventBatch) -> Result<(), Stop> {
            self.batches.push(batch);
            Ok(())
        }

        fn reject(&mut self, reject: Reject) {
            self.rejects.push(reject);
        }

        fn note(&mut self, note: Note) {
            self.notes.push(note);
        }
    }

    impl Taken {
        /// All rows of a table.
        pub fn table(&self, table: Table) -> EventBatch {
            let batches: Vec<_> = self.batches.iter().filter(|batch| batch.table == table).cloned().collect();
            EventBatch::concat(table, &batches)
        }

        pub fn codes(&self) -> Vec<&str> {
            self.notes.iter().map(|note| note.code.as_str()).collect()
        }
    }

    /// Reads a text that the source must also recognise.
    pub(crate) fn read(source: &dyn Source, text: &str) -> Taken {
        let head = text.as_bytes().get(..text.len().min(64 << 10)).unwrap();
        let sniffed = crate::sniff(head).map(|source| source.meta().name);
        assert_eq!(sniffed, Some(source.meta().name), "{}", text.chars().take(200).collect::<String>());
        let mut taken = Taken::default();
        source.read(&mut text.as_bytes(), &mut taken).unwrap();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(Vec<bool>);

    impl Mapping for Count {
        type Parsed = String;

        fn parse(&mut self, mut raw: Raw<'_>) -> Result<String, String> {
            raw.columns.swap_remove(0).1.as_str().map(str::to_owned).ok_or_else(|| "no date".to_owned())
        }

        fn culture_date<'p>(&self, parsed: &'p String) -> Option<&'p str> {
            Some(parsed)
        }

        fn rows(&mut self, date: String, _: Origin, dates: &mut CultureDates, _: &mut Rows) -> Result<(), String> {
            let read = dates.time(&date).ok_or("no date")?;
            self.0.push(read.to_string().starts_with("2024-01"));
            Ok(())
        }
    }

    fn months(text: &str) -> (Vec<bool>, testing::Taken) {
        let mut count = Count(Vec::new());
        let mut taken = testing::Taken::default();
        read(&mut count, &mut text.as_bytes(), &mut taken).unwrap();
        (count.0, taken)
    }

    #[test]
    fn a_later_row_decides_the_order_of_an_earlier_date() {
        let (january, taken) = months("date,x\n05/01/2024 10:11:12,1\n06/01/2024 10:11:12,1\n15/01/2024 10:11:12,1\n");
        assert_eq!(january, [true, true, true]);
        assert!(taken.notes.is_empty());
    }

    #[test]
    fn a_file_that_never_shows_the_order_is_guessed_and_says_so() {
        let (january, taken) = months("date,x\n05/01/2024 10:11:12,1\n06/01/2024 10:11:12,1\n");
        assert_eq!(january, [false, false]);
        assert_eq!(taken.notes, [Note::new("guessed-dates", [("dates", "2".to_owned())])]);
    }

    #[test]
    fn columns_that_the_exporter_lost_are_named_once() {
        let (_, taken) = months("date,x\n2024-01-01,System.Object[]\n2024-01-02,System.Object[]\n");
        assert_eq!(taken.notes, [Note::new("lossy-export", [("column", "x".to_owned())])]);
    }

    #[test]
    fn exactly_a_cap_of_rows_is_noted() {
        let file = |rows: usize| format!("date,x\n{}", "2024-01-01,1\n".repeat(rows));
        assert_eq!(months(&file(5_000)).1.notes, [Note::new("row-cap", [("rows", "5000".to_owned())])]);
        assert!(months(&file(4_999)).1.notes.is_empty());
    }
}
