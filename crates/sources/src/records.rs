//! Bytes to records: JSON and CSV as exports really write them, one record in memory at a time.
//!
//! Both readers share one promise: a broken record is handed over as its reason and reading goes on at the next one;
//! nothing longer than [`RECORD_BYTES_MAX`] is ever buffered; however the input is cut into chunks, the records are
//! the same.

mod csv;
mod json;

use std::io::{self, BufRead};

use matagi_model::SourceError;

pub use csv::{CsvRow, csv_headers, csv_records, header};
pub use json::{JsonHead, first_json_object, json_records};

/// Longest record that is read, in bytes. The largest real ones (a `MailItemsAccessed` with a thousand messages) stay
/// below 1 MiB.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of a JSON record. Real ones stay below 12; what parses them recurses.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most columns of a CSV file. The widest real export (`OfficeActivity`) has some 150.
pub const CSV_COLUMNS_MAX: usize = 4096;

/// Hands over an input piece by piece. `Some` when it broke off: what was read before is still worth its records.
fn chunks(
    input: &mut dyn BufRead,
    mut take: impl FnMut(&[u8]) -> Result<(), SourceError>,
) -> Result<Option<io::Error>, SourceError> {
    loop {
        let chunk = match input.fill_buf() {
            Ok([]) => return Ok(None),
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Some(error)),
        };
        take(chunk)?;
        let taken = chunk.len();
        input.consume(taken);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    struct Breaks;

    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }

    #[test]
    fn what_stands_before_a_break_is_read() {
        let broken = |text: &'static str| io::BufReader::new(text.as_bytes().chain(Breaks));
        let mut rows = 0;
        let result = csv_records(&mut broken("A,B\n1,2\n3,4"), &mut |_, row| {
            rows += u64::from(row.is_ok());
            Ok(())
        });
        assert!(matches!(result, Err(SourceError::Read(_))) && rows == 2, "{result:?}, {rows} rows");

        let mut records = Vec::new();
        let result = json_records(&mut broken("{\"a\":1}\n{\"b\":"), &mut |_, record| {
            records.push(record.map(str::to_owned));
            Ok(())
        });
        assert!(matches!(result, Err(SourceError::Read(_))), "{result:?}");
        assert_eq!(records, [Ok("{\"a\":1}".to_owned()), Err("the input ends inside this record".to_owned())]);
    }
}
