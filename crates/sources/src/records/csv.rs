//! CSV as Export-Csv, portals and spreadsheets write it.

use std::collections::HashMap;
use std::io::BufRead;

use matagi_model::{SourceError, Stop};
use memchr::{memchr, memchr2, memrchr};
use unicode_normalization::UnicodeNormalization;

use super::{CSV_COLUMNS_MAX, RECORD_BYTES_MAX, chunks};

/// Takes one row: its position from 1 (the header is not counted), and its cells or the reason why it was refused.
type Each<'e> = &'e mut dyn FnMut(u64, Result<&CsvRow<'_>, String>) -> Result<(), Stop>;

/// How often a quote that is never closed is forgiven: each time, what was read since is read again.
const REREADS_MAX: u32 = 16;
/// Lines without cells that may stand before the header (`#TYPE`, `sep=;`, blank lines).
const PREAMBLE_LINES_MAX: u32 = 64;

/// The names of the columns.
#[derive(Debug, Default)]
struct Headers {
    names: Vec<String>,
    by_name: HashMap<String, usize>,
}

impl Headers {
    fn new(cells: impl Iterator<Item = String>) -> Self {
        let mut headers = Self::default();
        for cell in cells {
            let plain = header(&cell);
            let mut name = plain.clone();
            let mut copy = 2;
            while headers.by_name.contains_key(&name) {
                name = format!("{plain} ({copy})");
                copy += 1;
            }
            headers.by_name.insert(name.clone(), headers.names.len());
            headers.names.push(name);
        }
        headers
    }
}

/// The form in which column names are compared: NFKC, trimmed, blanks within as one, lower case.
pub fn header(text: &str) -> String {
    let folded: String = text.nfkc().collect::<String>().to_lowercase();
    let words: Vec<&str> = folded.trim_matches(['\u{feff}', '\0']).split_whitespace().collect();
    words.join(" ")
}

/// One row. A row may be shorter or longer than the header.
#[derive(Debug)]
pub struct CsvRow<'a> {
    headers: &'a Headers,
    text: &'a str,
    ends: &'a [usize],
}

impl CsvRow<'_> {
    /// The cell under this header (in the form of [`header`]; the second of two equal ones is `name (2)`); `None` where
    /// the file has no such column or the row is too short. An empty cell is `Some("")`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.cell(self.index(name)?)
    }

    /// Position of a column, the same in every row of the input.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.headers.by_name.get(name).copied()
    }

    /// The cell at a position, from 0.
    pub fn cell(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text.get(start..end)
    }

    /// The names of the columns.
    pub fn headers(&self) -> &[String] {
        &self.headers.names
    }

    /// Cells in this row.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Header and cell of every cell that has a header.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.names.iter().enumerate().filter_map(|(index, name)| Some((name.as_str(), self.cell(index)?)))
    }
}

/// Hands over every row after the header. The delimiter (`,` `;` tab) is taken from the header or from `sep=`.
///
/// # Errors
/// When the input cannot be read, its header is over a limit, or `each` says stop.
pub fn csv_records(input: &mut dyn BufRead, each: Each<'_>) -> Result<(), SourceError> {
    let mut reader = Reader::new(each);
    let broken = chunks(input, |chunk| reader.take(chunk))?;
    reader.end()?;
    broken.map_or(Ok(()), |error| Err(error.into()))
}

/// Column names of a file by its head, in the form of [`header`]; `None` where the head has no whole first row.
pub fn csv_headers(head: &[u8]) -> Option<Vec<String>> {
    let mut each = |_: u64, _: Result<&CsvRow<'_>, String>| Err(Stop("enough".into()));
    let mut reader = Reader::new(&mut each);
    // A file that is nothing but a header has no line break after it.
    let mut line = head.to_vec();
    line.push(b'\n');
    let _stopped_or_not = reader.take(&line);
    let names = reader.headers?.names;
    (names.len() > 1).then_some(names)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a row, outside quotes.
    Plain,
    /// Inside quotes.
    Quoted,
    /// After a quote inside quotes: the end of the cell, or the first half of a doubled quote.
    Quote,
    /// In a row that is too long to keep, until its line ends.
    Skip,
}

struct Reader<'e> {
    each: Each<'e>,
    headers: Option<Headers>,
    delimiter: u8,
    preamble_lines: u32,
    number: u64,
    state: State,
    /// The row as it stands in the input.
    raw: Vec<u8>,
    text: String,
    ends: Vec<usize>,
    rereads: u32,
}

impl<'e> Reader<'e> {
    fn new(each: Each<'e>) -> Self {
        Self {
            each,
            headers: None,
            delimiter: 0,
            preamble_lines: 0,
            number: 0,
            state: State::Plain,
            raw: Vec::with_capacity(4096),
            text: String::new(),
            ends: Vec::new(),
            rereads: 0,
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), SourceError> {
        let mut at = 0;
        while at < chunk.len() {
            at = match self.state {
                State::Plain => self.plain(chunk, at)?,
                State::Quoted => self.quoted(chunk, at)?,
                State::Quote => self.quote(chunk, at)?,
                State::Skip => match memchr(b'\n', &chunk[at..]) {
                    Some(length) => {
                        self.state = State::Plain;
                        at + length + 1
                    }
                    None => chunk.len(),
                },
            };
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), SourceError> {
        while self.state == State::Quoted {
            let raw = std::mem::take(&mut self.raw);
            self.refuse("the input ends inside quotes")?;
            self.state = State::Plain;
            let Some(line) = memchr(b'\n', &raw) else { return Ok(()) };
            if self.rereads == REREADS_MAX {
                return (self.each)(self.number + 1, Err(lost(&raw[line..]))).map_err(SourceError::from);
            }
            self.rereads += 1;
            self.take(&raw[line + 1..])?;
        }
        if self.state == State::Skip { Ok(()) } else { self.row() }
    }

    /// Outside quotes: up to the end of the row or the quote that opens a cell.
    fn plain(&mut self, chunk: &[u8], mut at: usize) -> Result<usize, SourceError> {
        while let Some(length) = memchr2(b'"', b'\n', &chunk[at..]) {
            let end = at + length;
            if !self.keep(&chunk[at..=end])? {
                return Ok(end);
            }
            at = end + 1;
            if chunk[end] == b'\n' {
                self.row()?;
            } else if self.opens_cell() {
                self.state = State::Quoted;
                return Ok(at);
            }
        }
        self.keep(&chunk[at..])?;
        Ok(chunk.len())
    }

    /// Whether the quote that was just kept is the first byte of a cell. Before the header is known, any delimiter counts.
    fn opens_cell(&self) -> bool {
        let before = self.raw[..self.raw.len() - 1].trim_ascii_end_of_blanks();
        match before.last() {
            None => true,
            Some(&byte) if self.delimiter == 0 => matches!(byte, b',' | b';' | b'\t') || before == b"\xEF\xBB\xBF",
            Some(&byte) => byte == self.delimiter,
        }
    }

    fn quoted(&mut self, chunk: &[u8], at: usize) -> Result<usize, SourceError> {
        let end = memchr(b'"', &chunk[at..]).map_or(chunk.len(), |length| at + length + 1);
        if !self.keep(&chunk[at..end])? {
            return Ok(end);
        }
        if chunk[end - 1] == b'"' {
            self.state = State::Quote;
        }
        Ok(end)
    }

    /// The byte after a quote decides what the quote was.
    fn quote(&mut self, chunk: &[u8], at: usize) -> Result<usize, SourceError> {
        match chunk[at] {
            b'"' => {
                self.state = State::Quoted;
                self.keep(b"\"")?;
                Ok(at + 1)
            }
            b'\r' | b'\n' | b' ' | b'\t' => {
                self.state = State::Plain;
                Ok(at)
            }
            byte if byte == self.delimiter || (self.delimiter == 0 && matches!(byte, b',' | b';')) => {
                self.state = State::Plain;
                Ok(at)
            }
            _ => {
                self.stray_quote()?;
                Ok(at)
            }
        }
    }

    /// A quote inside quotes that neither ends the cell nor is doubled. Where the cell runs over several lines, a quote
    /// was left open earlier and this one opens a cell of a later row; else it is part of the text.
    fn stray_quote(&mut self) -> Result<(), SourceError> {
        let Some(line) = memrchr(b'\n', &self.raw) else {
            self.state = State::Quoted;
            return Ok(());
        };
        let rest = self.raw.split_off(line + 1);
        self.raw.clear();
        self.refuse("a quote is never closed")?;
        self.state = State::Plain;
        self.take(&rest)
    }

    /// Keeps bytes of the row; `false` when the row became too long and is skipped from here.
    fn keep(&mut self, bytes: &[u8]) -> Result<bool, SourceError> {
        if self.raw.len() + bytes.len() <= RECORD_BYTES_MAX {
            self.raw.extend_from_slice(bytes);
            return Ok(true);
        }
        self.raw = Vec::new();
        self.refuse(&format!("longer than {} MiB", RECORD_BYTES_MAX >> 20))?;
        let is_line_over = bytes.last() == Some(&b'\n');
        self.state = if is_line_over { State::Plain } else { State::Skip };
        Ok(false)
    }

    fn refuse(&mut self, reason: &str) -> Result<(), SourceError> {
        if self.headers.is_none() {
            return Err(SourceError::Limit {
                what: "the header of the CSV",
                limit: format!("{RECORD_BYTES_MAX} bytes"),
            });
        }
        self.number += 1;
        Ok((self.each)(self.number, Err(reason.to_owned()))?)
    }

    /// A whole row is in `raw`.
    fn row(&mut self) -> Result<(), SourceError> {
        let raw = std::mem::take(&mut self.raw);
        let line = raw.strip_suffix(b"\n").unwrap_or(&raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let result = if line.trim_ascii().is_empty() && self.headers.as_ref().is_none_or(|known| known.names.len() > 1)
        {
            Ok(())
        } else if self.headers.is_none() {
            self.header_row(line)
        } else {
            self.data_row(line)
        };
        self.raw = raw;
        self.raw.clear();
        result
    }

    fn header_row(&mut self, line: &[u8]) -> Result<(), SourceError> {
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        self.preamble_lines += 1;
        if let Some([delimiter]) = line.strip_prefix(b"sep=") {
            self.delimiter = *delimiter;
            return Ok(());
        }
        if line.starts_with(b"#TYPE") && self.preamble_lines < PREAMBLE_LINES_MAX {
            return Ok(());
        }
        if self.delimiter == 0 {
            self.delimiter = sniff_delimiter(line);
        }
        split(line, self.delimiter, &mut self.text, &mut self.ends);
        if self.ends.len() > CSV_COLUMNS_MAX {
            let limit = format!("{CSV_COLUMNS_MAX} columns");
            return Err(SourceError::Limit { what: "the header of the CSV", limit });
        }
        let mut start = 0;
        let cells = self.ends.iter().map(|&end| {
            let cell = self.text.get(start..end).unwrap_or_default().to_owned();
            start = end;
            cell
        });
        self.headers = Some(Headers::new(cells));
        Ok(())
    }

    fn data_row(&mut self, line: &[u8]) -> Result<(), SourceError> {
        self.number += 1;
        let Some(headers) = &self.headers else { return Ok(()) };
        if !split(line, self.delimiter, &mut self.text, &mut self.ends) {
            return Ok((self.each)(self.number, Err("not UTF-8".to_owned()))?);
        }
        if self.ends.len() > CSV_COLUMNS_MAX {
            return Ok((self.each)(self.number, Err(format!("more than {CSV_COLUMNS_MAX} cells")))?);
        }
        let row = CsvRow { headers, text: &self.text, ends: &self.ends };
        Ok((self.each)(self.number, Ok(&row))?)
    }
}

trait TrimBlanks {
    fn trim_ascii_end_of_blanks(&self) -> &[u8];
}

impl TrimBlanks for [u8] {
    /// Without the blanks at its end. A tab may be the delimiter and stays.
    fn trim_ascii_end_of_blanks(&self) -> &[u8] {
        let kept = self.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        &self[..kept]
    }
}

fn lost(rest: &[u8]) -> String {
    format!(
        "quotes are left open again and again: {} more lines were not read",
        memchr::memchr_iter(b'\n', rest).count()
    )
}

/// The delimiter that stands most often outside the quotes of the header.
fn sniff_delimiter(line: &[u8]) -> u8 {
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0)];
    let mut is_quoted = false;
    for &byte in line {
        if byte == b'"' {
            is_quoted = !is_quoted;
        } else if !is_quoted && let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte) {
            *count += 1;
        }
    }
    // The first of equals: max_by_key would give the last.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| delimiter)
}

/// Cuts a row into cells: their text without quotes, one after the other, and where each ends.
/// `false` when the row is not UTF-8.
fn split(line: &[u8], delimiter: u8, text: &mut String, ends: &mut Vec<usize>) -> bool {
    text.clear();
    ends.clear();
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let mut rest = line;
    loop {
        let is_quoted = rest.trim_start_matches(' ').starts_with('"');
        rest = if is_quoted {
            quoted_cell(rest.trim_start_matches(' '), delimiter, text)
        } else {
            plain_cell(rest, delimiter, text)
        };
        ends.push(text.len());
        let Some(after) = rest.strip_prefix(char::from(delimiter)) else { return true };
        if ends.len() > CSV_COLUMNS_MAX {
            return true;
        }
        rest = after;
    }
}

fn plain_cell<'a>(rest: &'a str, delimiter: u8, text: &mut String) -> &'a str {
    let (cell, after) = rest.split_at(memchr(delimiter, rest.as_bytes()).unwrap_or(rest.len()));
    text.push_str(cell);
    after
}

/// `rest` begins with a quote.
fn quoted_cell<'a>(rest: &'a str, delimiter: u8, text: &mut String) -> &'a str {
    let (_, mut rest) = rest.split_at(1);
    loop {
        let Some(quote) = memchr(b'"', rest.as_bytes()) else {
            text.push_str(rest);
            return "";
        };
        let (cell, after) = rest.split_at(quote);
        text.push_str(cell);
        let (_, after) = after.split_at(1);
        match after.as_bytes().first() {
            Some(b'"') => {
                text.push('"');
                rest = after.split_at(1).1;
            }
            None => return "",
            Some(&byte) if byte == delimiter => return after,
            _ => {
                let blanks = after.trim_start_matches([' ', '\t', '\r', '\n']);
                if blanks.is_empty() || blanks.as_bytes().first() == Some(&delimiter) {
                    return blanks;
                }
                text.push('"');
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use proptest::prelude::*;

    use super::*;

    fn rows_in(input: &[u8], size: usize) -> Vec<String> {
        let mut rows = Vec::new();
        let mut reader = io::BufReader::with_capacity(size, input);
        csv_records(&mut reader, &mut |number, row| {
            rows.push(match row {
                Ok(row) => {
                    let cells: Vec<_> = row.iter().map(|(name, cell)| format!("{name}={cell}")).collect();
                    format!("{number} {}", cells.join("|"))
                }
                Err(reason) => format!("{number} refused: {reason}"),
            });
            Ok(())
        })
        .unwrap();
        rows
    }

    fn rows(input: &str) -> Vec<String> {
        let whole = rows_in(input.as_bytes(), 1 << 16);
        assert_eq!(rows_in(input.as_bytes(), 1), whole, "cut into single bytes");
        whole
    }

    #[test]
    fn every_writer_gives_the_same_rows() {
        for input in [
            "A,B\n1,2\n3,\n",
            "A,B\r\n1,2\r\n\r\n3,\r\n",
            "\u{feff}\"A\",\"B\"\r\n\"1\",\"2\"\r\n\"3\",\"\"",
            "#TYPE Selected.System.Object\r\n\"A\",\"B\"\r\n\"1\",\"2\"\r\n\"3\",\"\"\r\n",
            "A;B\n1;2\n3;\n",
            "A\tB\n1\t2\n3\t\n",
            "sep=;\nA;B\n1;2\n3;\n",
            "\n\n a , b \n1,2\n3,\n",
            "A,B\n\"1\" , \"2\"\n3,\"\"\n",
        ] {
            assert_eq!(
                rows(input).iter().map(|row| row.replace(" |", "|")).collect::<Vec<_>>(),
                ["1 a=1|b=2", "2 a=3|b="],
                "{input}"
            );
        }
    }

    #[test]
    fn headers_are_folded_and_numbered() {
        let names = csv_headers("Incoming token type,Autonomous system  number,Ａpp,Incoming token type\n".as_bytes());
        assert_eq!(
            names.unwrap(),
            ["incoming token type", "autonomous system number", "app", "incoming token type (2)"]
        );
        assert_eq!(csv_headers(b"just text\n"), None);
        assert_eq!(csv_headers(b"\"A\",\"B\"").unwrap(), ["a", "b"]);
    }

    #[test]
    fn quotes_hold_what_they_hold() {
        assert_eq!(rows("A,B\n\"x\"\"y\",\"1,\n2\"\n"), ["1 a=x\"y|b=1,\n2"]);
        assert_eq!(rows("A,B\n\"{\"\"k\"\":\"\"v\"\"}\",2\n"), ["1 a={\"k\":\"v\"}|b=2"]);
        assert_eq!(rows("A,B\nx\"y,2\n"), ["1 a=x\"y|b=2"]);
        assert_eq!(rows("A,B\n\"say \"hi\" now\",2\n"), ["1 a=say \"hi\" now|b=2"]);
    }

    #[test]
    fn ragged_rows_are_kept() {
        assert_eq!(rows("A,B\n1\n1,2,3\n"), ["1 a=1", "2 a=1|b=2"]);
    }

    #[test]
    fn a_quote_left_open_costs_one_row() {
        assert_eq!(
            rows("\"A\",\"B\"\n\"1\",\"open\n\"3\",\"4\"\n\"5\",\"6\"\n"),
            ["1 refused: a quote is never closed", "2 a=3|b=4", "3 a=5|b=6"]
        );
        assert_eq!(
            rows("A,B\n1,\"open\n3,4\n5,6\n"),
            ["1 refused: the input ends inside quotes", "2 a=3|b=4", "3 a=5|b=6"]
        );
        assert_eq!(rows("A,B\n1,2\n3,\"cut"), ["1 a=1|b=2", "2 refused: the input ends inside quotes"]);
    }

    #[test]
    fn quotes_left_open_again_and_again_cost_a_row_each() {
        let input = format!("A,B\n{}", "1,\"open\n".repeat(1_000));
        let rows = rows_in(input.as_bytes(), 1 << 16);
        assert_eq!(rows.len(), 1_000);
        assert!(rows.iter().all(|row| row.contains("refused")));
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        // Several times what is kept; a gigabyte would only take longer.
        const LINE_BYTES: u64 = 4 * RECORD_BYTES_MAX as u64;
        for opening in ["x,", "x,\""] {
            let line = io::repeat(b'x').take(LINE_BYTES);
            let input = format!("A,B\n{opening}");
            let input = input.as_bytes().chain(line).chain(&b"\"\n1,2\n"[..]);
            let mut rows = Vec::new();
            csv_records(&mut io::BufReader::with_capacity(1 << 20, input), &mut |number, row| {
                rows.push((number, row.map(|row| row.get("b").unwrap().to_owned())));
                Ok(())
            })
            .unwrap();
            assert_eq!(rows, [(1, Err("longer than 16 MiB".to_owned())), (2, Ok("2".to_owned()))]);
        }
    }

    #[test]
    fn a_header_of_endless_columns_is_an_error() {
        let input = "a,".repeat(CSV_COLUMNS_MAX + 10);
        let result = csv_records(&mut input.as_bytes(), &mut |_, _| Ok(()));
        assert!(matches!(result, Err(SourceError::Limit { .. })), "{result:?}");
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(rows_in(b"A,B\n\xff,1\n2,3\n", 64), ["1 refused: not UTF-8", "2 a=2|b=3"]);
    }

    proptest! {
        #[test]
        fn cutting_anywhere_gives_the_same_rows(input in "[ab,;\"\n\r\té]{0,120}", size in 1_usize..20) {
            let whole = std::panic::catch_unwind(|| rows_or_error(input.as_bytes(), 1 << 16));
            prop_assert!(whole.is_ok());
            prop_assert_eq!(rows_or_error(input.as_bytes(), size), rows_or_error(input.as_bytes(), 1 << 16));
        }

        #[test]
        fn what_a_writer_writes_is_read(cells in prop::collection::vec("\\PC{0,12}", 2..6)) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            writer.write_record((0..cells.len()).map(|index| format!("h{index}"))).unwrap();
            writer.write_record(&cells).unwrap();
            let bytes = writer.into_inner().unwrap();
            let mut read = Vec::new();
            csv_records(&mut bytes.as_slice(), &mut |_, row| {
                read.extend(row.unwrap().iter().map(|(_, cell)| cell.to_owned()));
                Ok(())
            })
            .unwrap();
            prop_assert_eq!(read, cells);
        }
    }

    fn rows_or_error(input: &[u8], size: usize) -> (Vec<String>, bool) {
        let mut rows = Vec::new();
        let result = csv_records(&mut io::BufReader::with_capacity(size, input), &mut |number, row| {
            rows.push(format!(
                "{number} {:?}",
                row.map(|row| row.iter().map(|(n, c)| format!("{n}={c}")).collect::<Vec<_>>())
            ));
            Ok(())
        });
        (rows, result.is_err())
    }
}
