//! The rows of a query, for people and for programs.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, SchemaRef};
use matagi_model::{Ip, Uid};
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value};

use crate::LakeError;
use crate::parquet_file::io_error;

/// Nested lists and structs that are shown as such; deeper ones are shown as Arrow prints them.
const NESTING_MAX: u32 = 8;

/// What a query gave.
#[derive(Debug, Clone)]
pub struct QueryResult {
    /// Columns.
    pub schema: SchemaRef,
    /// Rows.
    pub batches: Vec<RecordBatch>,
    /// Whether there would have been more rows than the limit.
    pub truncated: bool,
}

impl QueryResult {
    /// Rows in all.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Names of the columns.
    pub fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// One object a row, the columns in their order. Times are RFC 3339, addresses and identities text.
    pub fn to_json(&self) -> Vec<Value> {
        self.each_row(|names, cells| Value::Object(names.iter().cloned().zip(cells).collect::<Map<_, _>>()))
    }

    /// Text a cell; nothing (null) is empty text.
    pub fn to_rows(&self) -> Vec<Vec<String>> {
        self.each_row(|_, cells| {
            cells
                .into_iter()
                .map(|cell| match cell {
                    Value::Null => String::new(),
                    Value::String(text) => text,
                    cell => cell.to_string(),
                })
                .collect()
        })
    }

    /// RFC 4180 with a line of names.
    pub fn to_csv(&self) -> String {
        let mut csv = String::new();
        let lines = std::iter::once(self.columns()).chain(self.to_rows());
        for line in lines {
            let cells: Vec<String> = line.into_iter().map(quoted).collect();
            csv.push_str(&cells.join(","));
            csv.push_str("\r\n");
        }
        csv
    }

    /// Writes the rows as one Parquet file, in their own types.
    pub fn write_parquet(&self, path: &Path) -> Result<(), LakeError> {
        let failed = |source| LakeError::Write { path: path.to_owned(), source };
        let file = File::create(path).map_err(failed)?;
        let mut writer =
            ArrowWriter::try_new(file, self.schema.clone(), None).map_err(|error| failed(io_error(error)))?;
        for batch in &self.batches {
            writer.write(batch).map_err(|error| failed(io_error(error)))?;
        }
        writer.close().map(drop).map_err(|error| failed(io_error(error)))
    }

    fn each_row<T>(&self, mut make: impl FnMut(&[String], Vec<Value>) -> T) -> Vec<T> {
        let names = self.columns();
        let mut rows = Vec::with_capacity(self.rows());
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                let cells = batch.columns().iter().zip(&names).map(|(array, name)| cell(array, name, row, 0));
                rows.push(make(&names, cells.collect()));
            }
        }
        rows
    }
}

fn quoted(cell: String) -> String {
    if cell.contains([',', '"', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// One value as JSON.
fn cell(array: &dyn Array, name: &str, row: usize, depth: u32) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(row).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Utf8View => array.as_string_view().value(row).into(),
        DataType::FixedSizeBinary(16) => bytes16(array.as_fixed_size_binary().value(row), name).into(),
        DataType::List(_) if depth < NESTING_MAX => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|item| cell(&items, name, item, depth + 1)).collect()
        }
        DataType::Struct(fields) if depth < NESTING_MAX => {
            let columns = array.as_struct().columns();
            let cells = fields.iter().zip(columns);
            Value::Object(
                cells
                    .map(|(field, column)| (field.name().clone(), cell(column, field.name(), row, depth + 1)))
                    .collect(),
            )
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            cell(dictionary.values(), name, key, depth + 1)
        }
        _ => formatted(array, row),
    }
}

/// As Arrow prints it: times, dates, intervals, decimals, bytes in hexadecimal.
fn formatted(array: &dyn Array, row: usize) -> Value {
    let options = FormatOptions::default().with_display_error(true);
    match ArrayFormatter::try_new(array, &options) {
        Ok(formatter) => formatter.value(row).to_string().into(),
        Err(error) => error.to_string().into(),
    }
}

/// 16 bytes are an address or an identity. The name says which; where it does not, the mapped IPv4 prefix does.
fn bytes16(bytes: &[u8], name: &str) -> String {
    let Ok(bytes) = <[u8; 16]>::try_from(bytes) else { return String::new() };
    let is_ipv4 = bytes.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
    let is_named_ip = name.contains("ip") && !name.contains("uid");
    if is_ipv4 || is_named_ip { Ip(bytes).to_string() } else { Uid(bytes).to_string() }
}
