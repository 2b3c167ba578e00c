//! Bytes to records: JSON and CSV as exports really write them, one record in memory at a time.
//!
//! Both readers share one promise: a broken record is handed over as its reason and reading goes on at the next one;
//! nothing longer than [`RECORD_BYTES_MAX`] is ever buffered; however the input is cut into chunks, the records are
//! the same.

mod csv;
mod json;

pub use csv::{CsvRow, csv_headers, csv_records, header};
pub use json::{JsonHead, first_json_object, json_records};

/// Longest record that is read, in bytes. The largest real ones (a `MailItemsAccessed` with a thousand messages) stay
/// below 1 MiB.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of a JSON record. Real ones stay below 12; what parses them recurses.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most columns of a CSV file. The widest real export (`OfficeActivity`) has some 150.
pub const CSV_COLUMNS_MAX: usize = 4096;
