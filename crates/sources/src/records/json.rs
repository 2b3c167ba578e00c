//! JSON records out of whatever surrounds them.

mod head;

use std::borrow::Cow;
use std::io::BufRead;
use std::sync::LazyLock;

use matagi_model::{SourceError, Stop};
use memchr::{memchr2, memchr3, memmem};
use serde::Deserialize;

use super::{JSON_DEPTH_MAX, RECORD_BYTES_MAX, chunks};
pub use head::{JsonHead, first_json_object};

/// Takes one record: its position from 1, and its text or the reason why it was refused.
type Each<'e> = &'e mut dyn FnMut(u64, Result<&str, String>) -> Result<(), Stop>;

/// Hands over every JSON object of the input, without the white space between its tokens.
///
/// Accepted are one object, JSON lines with blank lines between, an array, several of these one after the other without
/// separator, pages that wrap records (`{"value":[...]}`, `{"records":[...]}`, `{"hits":{"hits":[...]}}`), and events
/// that carry the record as text (`event.original`): that text is handed over in place of the event.
///
/// # Errors
/// When the input cannot be read, or `each` says stop.
pub fn json_records(input: &mut dyn BufRead, each: Each<'_>) -> Result<(), SourceError> {
    let mut scanner = Scanner::new(each);
    let broken = chunks(input, |chunk| Ok(scanner.take(chunk)?))?;
    scanner.end()?;
    broken.map_or(Ok(()), |error| Err(error.into()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between records.
    Between,
    /// Text that is no record, until its line ends.
    Garbage,
    /// In a record, outside its strings.
    Record,
    /// In a string of a record.
    Text,
    /// After a backslash in a string of a record.
    Escape,
    /// After the records of a wrapper, outside its strings.
    Tail,
    /// In a string there.
    TailText,
    /// After a backslash there.
    TailEscape,
    /// After a record that broke off: looking for the line on which the next one begins.
    Resync,
    /// The same, in the middle of a line.
    ResyncLine,
}

struct Scanner<'e> {
    each: Each<'e>,
    /// Position of the current record.
    number: u64,
    state: State,
    /// The current record, without white space.
    text: Vec<u8>,
    /// Why the current record is read past instead of kept.
    refused: Option<String>,
    /// Open brackets of the current record (or of a wrapper's tail).
    depth: usize,
    /// One bit a level of nesting: set for an array.
    arrays: u64,
    /// Last byte outside strings and white space; `"` stands for a string, `0` for a number or word.
    previous: u8,
    /// White space was left out since.
    gap: bool,
    /// Where the last string of `text` lies, quotes included.
    string: (usize, usize),
    /// The array that just opened holds the records of a wrapper, if objects follow.
    wrapper_begins: bool,
    /// Brackets of the wrapper that records are being read from.
    wrapper: Option<usize>,
    /// Arrays open around the records.
    arrays_open: u64,
    /// Bytes since the start of the line.
    column: u64,
    /// Column at which the current record began.
    begin_column: u64,
    /// Whether anything was refused because its brackets do not fit.
    is_torn: bool,
}

impl<'e> Scanner<'e> {
    fn new(each: Each<'e>) -> Self {
        Self {
            each,
            number: 0,
            state: State::Between,
            text: Vec::with_capacity(4096),
            refused: None,
            depth: 0,
            arrays: 0,
            previous: 0,
            gap: false,
            string: (0, 0),
            wrapper_begins: false,
            wrapper: None,
            arrays_open: 0,
            column: 0,
            begin_column: 0,
            is_torn: false,
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), Stop> {
        let mut at = 0;
        while at < chunk.len() {
            at = match self.state {
                State::Between => self.between(chunk, at)?,
                State::Garbage => self.garbage(chunk, at),
                State::Record => self.record(chunk, at)?,
                State::Text => self.string(chunk, at)?,
                State::Tail => self.tail(chunk, at),
                State::TailText => self.tail_string(chunk, at),
                State::Resync | State::ResyncLine => self.resync(chunk, at),
                State::Escape => {
                    if chunk[at] == b'\n' {
                        self.tear("a line break inside a string")?;
                    } else {
                        self.keep(&chunk[at..=at]);
                        self.state = State::Text;
                    }
                    at + 1
                }
                State::TailEscape => {
                    self.state = State::TailText;
                    at + 1
                }
            };
        }
        Ok(())
    }

    fn end(mut self) -> Result<(), Stop> {
        match self.state {
            State::Record | State::Text | State::Escape => {
                self.is_torn = true;
                self.refuse("the input ends inside this record")
            }
            _ if !self.is_torn && (self.arrays_open > 0 || self.wrapper.is_some() || self.depth > 0) => {
                self.number += 1;
                self.refuse("the input ends inside an array: records may be missing")
            }
            _ => Ok(()),
        }
    }

    /// Outside everything: finds the next record.
    fn between(&mut self, chunk: &[u8], mut at: usize) -> Result<usize, Stop> {
        while let Some(&byte) = chunk.get(at) {
            match byte {
                b'{' => {
                    self.begin();
                    return Ok(at);
                }
                b'[' => self.arrays_open = self.arrays_open.saturating_add(1),
                b']' => {
                    if let (0, Some(depth)) = (self.arrays_open, self.wrapper) {
                        self.state = State::Tail;
                        self.depth = depth;
                        self.previous = byte;
                        return Ok(at + 1);
                    }
                    self.arrays_open = self.arrays_open.saturating_sub(1);
                }
                b'\n' => self.column = 0,
                // `}`: what is left of a torn record. The rest: byte order marks where files were appended, the record
                // separator of JSON text sequences, and padding.
                b' ' | b'\t' | b'\r' | b',' | b'}' | 0xEF | 0xBB | 0xBF | 0x1E | 0 => {}
                _ => {
                    self.number += 1;
                    self.state = State::Garbage;
                    self.refuse("text that is no JSON object")?;
                    self.state = State::Garbage;
                    return Ok(at);
                }
            }
            if byte != b'\n' {
                self.column += 1;
            }
            at += 1;
        }
        Ok(at)
    }

    fn begin(&mut self) {
        self.number += 1;
        self.state = State::Record;
        self.text.clear();
        self.refused = None;
        self.depth = 0;
        self.arrays = 0;
        self.previous = b':';
        self.gap = false;
        self.wrapper_begins = false;
        self.begin_column = self.column;
    }

    fn garbage(&mut self, chunk: &[u8], at: usize) -> usize {
        let Some(end) = memchr2(b'\n', b'{', &chunk[at..]) else { return chunk.len() };
        self.state = State::Between;
        at + end
    }

    /// In a record, outside its strings.
    fn record(&mut self, chunk: &[u8], mut at: usize) -> Result<usize, Stop> {
        while let Some(&byte) = chunk.get(at) {
            match byte {
                b'"' => {
                    self.string.0 = self.text.len();
                    self.keep(b"\"");
                    self.state = State::Text;
                    return Ok(at + 1);
                }
                b'{' | b'[' => {
                    if !self.may_open() {
                        self.is_torn = true;
                        self.column = 0;
                        self.refuse("it breaks off: another record begins inside it")?;
                        return Ok(at);
                    }
                    if byte == b'{' && self.wrapper_begins {
                        self.enter_wrapper();
                        return Ok(at);
                    }
                    self.open(byte);
                }
                b'}' | b']' => {
                    if let Some(next) = self.close(byte)? {
                        self.state = next;
                        return Ok(at + 1);
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' => self.gap = true,
                b':' | b',' => {
                    self.keep(&chunk[at..=at]);
                    self.previous = byte;
                }
                _ => {
                    at = self.word(chunk, at);
                    continue;
                }
            }
            at += 1;
        }
        Ok(at)
    }

    /// A number, `true`, `false` or `null`, or what a broken record has in its place.
    fn word(&mut self, chunk: &[u8], at: usize) -> usize {
        if self.gap && self.previous == b'0' {
            self.keep(b" ");
        }
        let length = chunk[at..]
            .iter()
            .position(|byte| {
                matches!(byte, b'"' | b'{' | b'[' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' | b':' | b',')
            })
            .unwrap_or(chunk.len() - at);
        self.keep(&chunk[at..at + length]);
        self.previous = b'0';
        self.gap = false;
        self.wrapper_begins = false;
        at + length
    }

    /// Whether a value may begin here. Where it may not, the record broke off and the next one has begun.
    fn may_open(&self) -> bool {
        let in_array = self.depth > 0 && self.depth <= JSON_DEPTH_MAX && self.arrays >> (self.depth - 1) & 1 == 1;
        match self.previous {
            b':' => !in_array,
            b'[' => true,
            // In what is too deep to follow, a comma may stand in either.
            b',' => in_array || self.depth > JSON_DEPTH_MAX,
            _ => false,
        }
    }

    fn open(&mut self, byte: u8) {
        let is_array = byte == b'[';
        self.wrapper_begins = is_array && self.previous == b':' && self.is_wrapper_key();
        if self.depth < JSON_DEPTH_MAX {
            let bit = 1 << self.depth;
            self.arrays = if is_array { self.arrays | bit } else { self.arrays & !bit };
        } else if self.refused.is_none() {
            self.give_up(format!("nested deeper than {JSON_DEPTH_MAX}"));
        }
        self.keep(&[byte]);
        self.depth += 1;
        self.previous = byte;
        self.gap = false;
    }

    fn is_wrapper_key(&self) -> bool {
        if self.refused.is_some() || self.wrapper.is_some() {
            return false;
        }
        let key = self.text.get(self.string.0..self.string.1).unwrap_or_default();
        match self.depth {
            1 => matches!(key, b"\"value\"" | b"\"records\"" | b"\"Records\""),
            2 => key == b"\"hits\"",
            _ => false,
        }
    }

    /// What was read is the head of a wrapper; the records are inside.
    fn enter_wrapper(&mut self) {
        self.wrapper = Some(self.depth - 1);
        self.leave_wrapper_head();
    }

    fn leave_wrapper_head(&mut self) {
        self.number -= 1;
        self.text.clear();
        self.wrapper_begins = false;
        self.arrays_open = 0;
        self.state = State::Between;
    }

    /// A closing bracket; gives the state to go on in when the record ends with it.
    fn close(&mut self, byte: u8) -> Result<Option<State>, Stop> {
        if self.wrapper_begins && self.previous == b'[' && byte == b']' {
            let depth = self.depth - 1;
            self.leave_wrapper_head();
            self.wrapper = Some(depth);
            self.depth = depth;
            self.previous = byte;
            return Ok(Some(State::Tail));
        }
        let level = self.depth - 1;
        let is_array = level < JSON_DEPTH_MAX && self.arrays >> level & 1 == 1;
        if level < JSON_DEPTH_MAX && is_array != (byte == b']') {
            self.tear("its brackets do not fit")?;
            return Ok(Some(self.state));
        }
        self.keep(&[byte]);
        self.depth = level;
        self.previous = byte;
        self.gap = false;
        if level > 0 {
            return Ok(None);
        }
        self.column += 1;
        self.finish()?;
        Ok(Some(State::Between))
    }

    /// Hands the record over.
    fn finish(&mut self) -> Result<(), Stop> {
        if let Some(reason) = self.refused.take() {
            return (self.each)(self.number, Err(reason));
        }
        let Ok(text) = std::str::from_utf8(&self.text) else {
            return (self.each)(self.number, Err("not UTF-8".to_owned()));
        };
        match original(text) {
            Some(inner) => (self.each)(self.number, Ok(inner.trim())),
            None => (self.each)(self.number, Ok(text)),
        }
    }

    fn string(&mut self, chunk: &[u8], at: usize) -> Result<usize, Stop> {
        let Some(length) = memchr3(b'"', b'\\', b'\n', &chunk[at..]) else {
            self.keep(&chunk[at..]);
            return Ok(chunk.len());
        };
        let end = at + length;
        match chunk[end] {
            b'"' => {
                self.keep(&chunk[at..=end]);
                self.string.1 = self.text.len();
                self.state = State::Record;
                self.previous = b'"';
                self.gap = false;
                self.wrapper_begins = false;
            }
            b'\\' => {
                self.keep(&chunk[at..=end]);
                self.state = State::Escape;
            }
            _ => self.tear("a line break inside a string")?,
        }
        Ok(end + 1)
    }

    /// What follows the records of a wrapper, such as the link to the next page.
    fn tail(&mut self, chunk: &[u8], mut at: usize) -> usize {
        while let Some(&byte) = chunk.get(at) {
            match byte {
                b'"' => {
                    self.state = State::TailText;
                    return at + 1;
                }
                b'{' if !matches!(self.previous, b':' | b'[' | b',') => {
                    self.leave_tail();
                    return at;
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        self.leave_tail();
                        return at + 1;
                    }
                }
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                self.previous = byte;
            }
            at += 1;
        }
        at
    }

    fn leave_tail(&mut self) {
        self.depth = 0;
        self.wrapper = None;
        self.state = State::Between;
    }

    fn tail_string(&mut self, chunk: &[u8], at: usize) -> usize {
        let Some(length) = memchr3(b'"', b'\\', b'\n', &chunk[at..]) else { return chunk.len() };
        match chunk[at + length] {
            b'"' => {
                self.previous = b'"';
                self.state = State::Tail;
            }
            b'\\' => self.state = State::TailEscape,
            _ => self.leave_tail(),
        }
        at + length + 1
    }

    /// Skips lines until one begins with a bracket that stands no deeper than the torn record did.
    fn resync(&mut self, chunk: &[u8], mut at: usize) -> usize {
        while let Some(&byte) = chunk.get(at) {
            if self.state == State::ResyncLine {
                let Some(length) = memchr::memchr(b'\n', &chunk[at..]) else { return chunk.len() };
                at += length + 1;
                self.column = 0;
                self.state = State::Resync;
                continue;
            }
            match byte {
                b'{' | b'[' | b'}' if self.column <= self.begin_column => {
                    self.state = State::Between;
                    return at;
                }
                b' ' | b'\t' | b'\r' | b',' => self.column += 1,
                b'\n' => self.column = 0,
                _ => self.state = State::ResyncLine,
            }
            at += 1;
        }
        at
    }

    /// The record cannot be followed any further.
    fn tear(&mut self, reason: &str) -> Result<(), Stop> {
        self.is_torn = true;
        self.refuse(reason)?;
        let at_line_end = reason.starts_with("a line break");
        self.column = 0;
        self.state = if at_line_end { State::Resync } else { State::ResyncLine };
        Ok(())
    }

    fn refuse(&mut self, reason: &str) -> Result<(), Stop> {
        let reason = self.refused.take().unwrap_or_else(|| reason.to_owned());
        self.text.clear();
        self.depth = 0;
        self.state = State::Between;
        (self.each)(self.number, Err(reason))
    }

    /// Reads the rest of the record without keeping it.
    fn give_up(&mut self, reason: String) {
        self.refused = Some(reason);
        self.text = Vec::new();
        self.string = (0, 0);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.refused.is_some() {
            return;
        }
        if self.text.len() + bytes.len() > RECORD_BYTES_MAX {
            self.give_up(format!("longer than {} MiB", RECORD_BYTES_MAX >> 20));
        } else {
            self.text.extend_from_slice(bytes);
        }
    }
}

/// An event of the Elastic stack around the record as it was received.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    event: Option<EnvelopeEvent<'a>>,
    #[serde(borrow, default, rename = "event.original")]
    flat: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "_source")]
    source: Option<Box<Envelope<'a>>>,
}

#[derive(Deserialize)]
struct EnvelopeEvent<'a> {
    #[serde(borrow, default)]
    original: Option<Cow<'a, str>>,
}

impl<'a> Envelope<'a> {
    fn original(self) -> Option<Cow<'a, str>> {
        self.event
            .and_then(|event| event.original)
            .or(self.flat)
            .or_else(|| self.source.and_then(|source| source.original()))
            .filter(|text| text.trim_start().starts_with('{'))
    }
}

fn original(text: &str) -> Option<String> {
    static MARK: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"original\":\""));
    MARK.find(text.as_bytes())?;
    serde_json::from_str::<Envelope<'_>>(text).ok()?.original().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use proptest::prelude::*;

    use super::*;

    fn records_in(input: &[u8], size: usize) -> Vec<String> {
        let mut records = Vec::new();
        let mut reader = io::BufReader::with_capacity(size, input);
        json_records(&mut reader, &mut |number, record| {
            records.push(match record {
                Ok(text) => format!("{number} {text}"),
                Err(reason) => format!("{number} refused: {reason}"),
            });
            Ok(())
        })
        .unwrap();
        records
    }

    fn records(input: &str) -> Vec<String> {
        let whole = records_in(input.as_bytes(), 1 << 16);
        assert_eq!(records_in(input.as_bytes(), 1), whole, "cut into single bytes");
        whole
    }

    #[test]
    fn every_framing_gives_the_same_records() {
        let expected = ["1 {\"a\":1}", "2 {\"b\":[{\"c\":\"}\\\"\"}]}"];
        for input in [
            "{\"a\":1}\n\n{\"b\":[{\"c\":\"}\\\"\"}]}\n",
            "[{\"a\":1},{\"b\":[{\"c\":\"}\\\"\"}]}]",
            "[{\"a\":1}][{\"b\":[{\"c\":\"}\\\"\"}]}]",
            "{\"a\":1}{\"b\":[{\"c\":\"}\\\"\"}]}",
            "[{\"a\":1}]\r\n\u{feff}[{\"b\":[{\"c\":\"}\\\"\"}]}]\r\n",
            "[\n  {\n    \"a\": 1\n  },\n  {\n    \"b\": [ { \"c\": \"}\\\"\" } ]\n  }\n]\n",
            "{\"@odata.context\":\"x\",\"value\":[{\"a\":1},{\"b\":[{\"c\":\"}\\\"\"}]}],\"@odata.nextLink\":\"y}{\"}",
            "{\"value\":[{\"a\":1}]}{\"value\":[]}{\"value\":[{\"b\":[{\"c\":\"}\\\"\"}]}]}",
            "[{\"value\":[{\"a\":1}]},{\"value\":[{\"b\":[{\"c\":\"}\\\"\"}]}]}]",
            "{ \"records\" : [ {\"a\":1} , {\"b\":[{\"c\":\"}\\\"\"}]} ] }",
            "{\"took\":3,\"hits\":{\"total\":2,\"hits\":[{\"a\":1},{\"b\":[{\"c\":\"}\\\"\"}]}]}}",
            "\u{1e}{\"a\":1}\n\u{1e}{\"b\":[{\"c\":\"}\\\"\"}]}\n",
        ] {
            assert_eq!(records(input), expected, "{input}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        for input in ["", " \n", "[]", "{\"value\":[]}", "[][]"] {
            assert_eq!(records(input), Vec::<String>::new(), "{input}");
        }
        assert_eq!(records("{}"), ["1 {}"]);
    }

    #[test]
    fn a_record_inside_an_event_is_taken_out() {
        let inner = "{\"Id\":\"1\"}";
        for input in [
            "{\"event\":{\"original\":\"{\\\"Id\\\":\\\"1\\\"}\"}}",
            "{\"event.original\":\"{\\\"Id\\\":\\\"1\\\"}\"}",
            "{\"_source\":{\"event\":{\"original\":\"{\\\"Id\\\":\\\"1\\\"}\"}}}",
        ] {
            assert_eq!(records(input), [format!("1 {inner}")], "{input}");
        }
        assert_eq!(records("{\"original\":\"text\"}"), ["1 {\"original\":\"text\"}"]);
    }

    #[test]
    fn a_broken_record_costs_only_itself() {
        for (input, expected) in [
            ("{\"a\":1\n{\"b\":2}\n", vec!["1 refused: it breaks off: another record begins inside it", "2 {\"b\":2}"]),
            (
                "{\"a\":{\"x\":1,\n{\"b\":2}\n",
                vec!["1 refused: it breaks off: another record begins inside it", "2 {\"b\":2}"],
            ),
            ("{\"a\":\"x\n{\"b\":2}\n", vec!["1 refused: a line break inside a string", "2 {\"b\":2}"]),
            ("{\"a\":[1}\n{\"b\":2}\n", vec!["1 refused: its brackets do not fit", "2 {\"b\":2}"]),
            ("hello\n{\"b\":2}\n", vec!["1 refused: text that is no JSON object", "2 {\"b\":2}"]),
            ("{\"b\":2}\n{\"a\":", vec!["1 {\"b\":2}", "2 refused: the input ends inside this record"]),
            ("[{\"b\":2},", vec!["1 {\"b\":2}", "2 refused: the input ends inside an array: records may be missing"]),
            (
                "[\n  {\n    \"a\": \"x\n    \"n\": {\n      \"y\": 1\n    }\n  },\n  {\n    \"b\": 2\n  }\n]",
                vec!["1 refused: a line break inside a string", "2 {\"b\":2}"],
            ),
        ] {
            assert_eq!(records(input), expected, "{input}");
        }
    }

    #[test]
    fn words_do_not_grow_together() {
        assert_eq!(records("{\"a\": 1 2 , \"b\" : true }"), ["1 {\"a\":1 2,\"b\":true}"]);
    }

    #[test]
    fn nesting_bomb_is_refused_and_read_past() {
        let deep = format!("{{\"a\":{}{}}}\n{{\"b\":2}}\n", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(records_in(deep.as_bytes(), 4096), ["1 refused: nested deeper than 64", "2 {\"b\":2}"]);
        let open = "[{\"a\":".repeat(100_000);
        assert_eq!(records_in(open.as_bytes(), 4096), ["1 refused: nested deeper than 64"]);
    }

    #[test]
    fn a_line_without_end_costs_no_memory() {
        // Several times what is kept; a gigabyte would only take longer.
        const LINE_BYTES: u64 = 4 * RECORD_BYTES_MAX as u64;
        let line = io::repeat(b'x').take(LINE_BYTES);
        let input = (&b"{\"a\":\""[..]).chain(line).chain(&b"\"}\n{\"b\":2}\n"[..]);
        let mut most = 0;
        let mut records = Vec::new();
        json_records(&mut io::BufReader::with_capacity(1 << 20, input), &mut |number, record| {
            most = most.max(record.as_ref().map_or(0, |text| text.len()));
            records.push((number, record.map(str::to_owned)));
            Ok(())
        })
        .unwrap();
        assert_eq!(records, [(1, Err("longer than 16 MiB".to_owned())), (2, Ok("{\"b\":2}".to_owned()))]);
        assert!(most < RECORD_BYTES_MAX);
    }

    #[test]
    fn a_stop_is_passed_on() {
        let result = json_records(&mut &b"{}{}"[..], &mut |_, _| Err(Stop("full".into())));
        assert!(matches!(result, Err(SourceError::Stopped(_))));
    }

    proptest! {
        #[test]
        fn cutting_anywhere_gives_the_same_records(input in "[\\[\\]{}:,\"\\\\a1 \n\u{e9}]{0,200}", size in 1_usize..20) {
            prop_assert_eq!(records_in(input.as_bytes(), size), records_in(input.as_bytes(), 1 << 16));
        }

        #[test]
        fn bytes_do_not_panic(input in prop::collection::vec(any::<u8>(), 0..300)) {
            let _records = records_in(&input, 7);
            let _head = first_json_object(&input);
        }
    }
}
