//! Lists as JSON, CSV, aligned columns or Parquet.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, StringBuilder, TimestampMicrosecondBuilder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use comfy_table::{ContentArrangement, Table as Grid, presets};
use matagi_lake::QueryResult;
use matagi_model::Time;
use matagi_report::visible;
use parquet::arrow::ArrowWriter;

use crate::cli::Format;
use crate::error::CommandError;

/// What a column of a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Count,
    Number,
    Time,
}

/// One value of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Text(String),
    Count(u64),
    Number(f64),
    Time(Time),
    Empty,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Empty, Self::Text)
    }
}

/// A list with typed columns.
#[derive(Debug)]
pub(crate) struct Listing {
    columns: &'static [(&'static str, Kind)],
    rows: Vec<Vec<Cell>>,
}

impl Listing {
    /// An empty list with these columns.
    pub(crate) const fn new(columns: &'static [(&'static str, Kind)]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; its cells stand in the order of the columns.
    pub(crate) fn push<const N: usize>(&mut self, row: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len(), "a row has one cell a column");
        self.rows.push(row.into());
    }

    /// Whether it has no rows.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the list.
    pub(crate) fn write(&self, format: Format, out: &mut (dyn Write + Send)) -> Result<(), CommandError> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (index, &(name, kind)) in self.columns.iter().enumerate() {
            let (data_type, array) = column(kind, self.rows.iter().map(|row| &row[index]));
            fields.push(Field::new(name, data_type, true));
            arrays.push(array);
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("one array a column, one cell a row");
        write(&QueryResult { schema, batches: vec![batch], truncated: false }, format, out)
    }
}

fn column<'a>(kind: Kind, cells: impl Iterator<Item = &'a Cell>) -> (DataType, ArrayRef) {
    match kind {
        Kind::Text => {
            let mut builder = StringBuilder::new();
            cells.for_each(|cell| {
                if let Cell::Text(text) = cell { builder.append_value(text) } else { builder.append_null() }
            });
            (DataType::Utf8, Arc::new(builder.finish()))
        }
        Kind::Count => {
            let mut builder = UInt64Builder::new();
            cells.for_each(|cell| {
                if let Cell::Count(count) = cell { builder.append_value(*count) } else { builder.append_null() }
            });
            (DataType::UInt64, Arc::new(builder.finish()))
        }
        Kind::Number => {
            let mut builder = Float64Builder::new();
            cells.for_each(|cell| {
                if let Cell::Number(number) = cell { builder.append_value(*number) } else { builder.append_null() }
            });
            (DataType::Float64, Arc::new(builder.finish()))
        }
        Kind::Time => {
            let mut builder = TimestampMicrosecondBuilder::new().with_timezone("UTC");
            cells.for_each(|cell| match cell {
                Cell::Time(time) if time.is_known() => builder.append_value(time.0),
                _ => builder.append_null(),
            });
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), Arc::new(builder.finish()))
        }
    }
}

/// Writes rows, whichever query they came from. Addresses and identities become text everywhere but in Parquet.
pub(crate) fn write(rows: &QueryResult, format: Format, out: &mut (dyn Write + Send)) -> Result<(), CommandError> {
    match format {
        Format::Json => write_json(rows, out)?,
        Format::Csv => write_csv(rows, out)?,
        Format::Text | Format::Table => writeln!(out, "{}", grid(rows))?,
        Format::Parquet => write_parquet(rows, out)?,
    }
    out.flush()?;
    Ok(())
}

/// One array, one row a line.
fn write_json(rows: &QueryResult, out: &mut dyn Write) -> io::Result<()> {
    let mut separator = "[";
    for row in rows.to_json() {
        write!(out, "{separator}\n{}", json_line(&row))?;
        separator = ",";
    }
    writeln!(out, "{}", if separator == "[" { "[]" } else { "\n]" })
}

/// JSON with every character escaped that could act on a terminal; to a parser the escapes mean the same.
pub(crate) fn json_line(value: &serde_json::Value) -> String {
    let mut line = String::new();
    for character in value.to_string().chars() {
        if visible::is_hidden(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _infallible = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

fn write_csv(rows: &QueryResult, out: &mut dyn Write) -> Result<(), CommandError> {
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(source) => source.into(),
        other => CommandError::new(format!("cannot write the result: {other:?}")),
    };
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(rows.columns()).map_err(failed)?;
    rows.to_rows().into_iter().try_for_each(|row| writer.write_record(row)).map_err(failed)?;
    Ok(writer.flush()?)
}

fn write_parquet(rows: &QueryResult, out: &mut (dyn Write + Send)) -> Result<(), CommandError> {
    if io::stdout().is_terminal() {
        return Err(CommandError::new("Parquet is not for a terminal")
            .hint("redirect it: matagi ... --format parquet > rows.parquet"));
    }
    let mut writer = ArrowWriter::try_new(out, Arc::clone(&rows.schema), None)?;
    rows.batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.close()?;
    Ok(())
}

/// Width of a table that goes to a pipe or file, characters: no line is folded there.
const WIDTH_ELSEWHERE: u16 = u16::MAX;

fn grid(rows: &QueryResult) -> Grid {
    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !io::stdout().is_terminal() {
        grid.set_width(WIDTH_ELSEWHERE).force_no_tty();
    }
    grid.set_header(rows.columns().iter().map(|name| visible::line(name).to_uppercase()));
    for row in rows.to_rows() {
        grid.add_row(row.iter().map(|cell| if cell.is_empty() { "-".to_owned() } else { visible::line(cell) }));
    }
    grid
}

impl From<parquet::errors::ParquetError> for CommandError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        match error {
            parquet::errors::ParquetError::External(source) if source.is::<io::Error>() => source
                .downcast::<io::Error>()
                .map_or_else(|other| Self::new(other.to_string()), |source| (*source).into()),
            other => Self::new("cannot write the result").because(&other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[(&str, Kind)] =
        &[("name", Kind::Text), ("rows", Kind::Count), ("share", Kind::Number), ("first_time", Kind::Time)];

    fn written(format: Format) -> String {
        let mut listing = Listing::new(COLUMNS);
        listing.push(["a \u{1b}[2J".into(), Cell::Count(3), Cell::Number(0.5), Cell::Time(Time(1_000_000))]);
        listing.push([Cell::Empty, Cell::Count(0), Cell::Empty, Cell::Time(Time::UNKNOWN)]);
        let mut out = Vec::new();
        listing.write(format, &mut out).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_list_is_json_csv_or_a_table() {
        let json: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
        assert_eq!(json[0]["rows"], 3);
        assert_eq!(json[0]["first_time"], "1970-01-01T00:00:01Z");
        assert_eq!(json[1]["name"], serde_json::Value::Null);
        assert_eq!(written(Format::Csv).lines().next(), Some("name,rows,share,first_time"));
        let table = written(Format::Table);
        assert!(table.contains("NAME") && !table.contains('\u{1b}'), "{table}");
    }

    #[test]
    fn an_empty_list_is_still_valid() {
        let mut out = Vec::new();
        Listing::new(COLUMNS).write(Format::Json, &mut out).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), serde_json::json!([]));
        out.clear();
        Listing::new(COLUMNS).write(Format::Csv, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "name,rows,share,first_time\n");
    }
}
