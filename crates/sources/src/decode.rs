//! Any encoding that exports come in, as a stream of UTF-8.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, Encoding, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// Share of control characters above which a head is no text, in percent.
const CONTROL_PERCENT_MAX: usize = 5;

/// What the first bytes show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Text in this encoding, after a byte order mark of so many bytes.
    Known(&'static Encoding, usize),
    /// Text in an encoding that had to be guessed.
    Guessed(&'static Encoding),
    /// No text.
    Binary,
}

/// The encoding of an input by its head.
pub fn charset(head: &[u8]) -> Charset {
    // The mark of UTF-32LE begins like that of UTF-16LE. Nothing exports UTF-32.
    if head.starts_with(b"\xFF\xFE\0\0") || head.starts_with(b"\0\0\xFE\xFF") {
        return Charset::Binary;
    }
    if let Some((encoding, length)) = Encoding::for_bom(head) {
        return Charset::Known(encoding, length);
    }
    if let Some(encoding) = wide(head) {
        return Charset::Known(encoding, 0);
    }
    let controls = head.iter().filter(|byte| is_control(**byte)).count();
    if head.contains(&0) || controls * 100 > head.len() * CONTROL_PERCENT_MAX {
        return Charset::Binary;
    }
    if is_utf8(head) { Charset::Known(UTF_8, 0) } else { Charset::Guessed(legacy(head)) }
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C | 0x1B | 0x1E) || byte == 0x7F
}

/// UTF-16 without a mark: the syntax of CSV and JSON is ASCII, so every second byte of a good part is zero.
fn wide(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.len() / 2;
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if pairs >= 2 && odd * 5 > pairs && even * 50 < pairs {
        Some(UTF_16LE)
    } else if pairs >= 2 && even * 5 > pairs && odd * 50 < pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Whether it is UTF-8, apart from a character that the end cuts.
fn is_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

/// The encoding of 8-bit text: Shift_JIS where its two-byte characters fit everywhere, else Windows-1252, in which
/// everything fits.
fn legacy(bytes: &[u8]) -> &'static Encoding {
    let (mut lows, mut highs, mut at) = (0_usize, 0_usize, 0);
    while at < bytes.len() {
        let lead = bytes[at];
        match lead {
            0..=0x7F => at += 1,
            // Half-width katakana.
            0xA1..=0xDF => {
                highs += 1;
                at += 1;
            }
            0x81..=0x9F | 0xE0..=0xFC => {
                match bytes.get(at + 1) {
                    Some(0x40..=0x7E | 0x80..=0xFC) => {}
                    None => break,
                    _ => return WINDOWS_1252,
                }
                // Kana and most common kanji have these leads; in Windows-1252 they are rare punctuation.
                if lead < 0xA0 {
                    lows += 1;
                } else {
                    highs += 1;
                }
                at += 2;
            }
            _ => return WINDOWS_1252,
        }
    }
    if lows > highs { SHIFT_JIS } else { WINDOWS_1252 }
}

enum Mode {
    /// UTF-8 passes as it is. As long as all of it was ASCII, a first byte that is no UTF-8 shows a legacy encoding.
    Plain { is_ascii_so_far: bool },
    /// Everything goes through a decoder.
    Decode(Box<Decoder>),
}

/// The text of an input. A read error ends the text; [`Text::failure`] tells afterwards. So whatever a format does at the
/// end of its input, it does for what could be read of a broken one too.
pub struct Text<'r> {
    inner: &'r mut dyn Read,
    charset: Charset,
    mode: Mode,
    raw: Vec<u8>,
    utf8: Vec<u8>,
    /// How much of `utf8` was consumed.
    at: usize,
    failure: Option<io::Error>,
    is_over: bool,
}

impl<'r> Text<'r> {
    /// Reads the first bytes to see what the rest is.
    pub fn new(inner: &'r mut dyn Read) -> Self {
        let mut raw = vec![0; CHUNK_BYTES];
        let (filled, result) = crate::bounded::fill(inner, &mut raw);
        let charset = charset(&raw[..filled]);
        let mode = match charset {
            Charset::Known(encoding, _) | Charset::Guessed(encoding) if encoding != UTF_8 => {
                Mode::Decode(Box::new(encoding.new_decoder_without_bom_handling()))
            }
            _ => Mode::Plain { is_ascii_so_far: true },
        };
        let is_over = filled < raw.len();
        let mut text = Self { inner, charset, mode, raw, utf8: Vec::new(), at: 0, failure: result.err(), is_over };
        let mark = if let Charset::Known(_, length) = charset { length } else { 0 };
        text.raw.copy_within(mark..filled, 0);
        text.convert(filled - mark);
        text
    }

    /// What the first bytes showed, or what later ones did.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// What was read and not yet consumed, up to `bytes_max`.
    pub fn head(&self, bytes_max: usize) -> &[u8] {
        let rest = &self.utf8[self.at..];
        &rest[..rest.len().min(bytes_max)]
    }

    /// Why the input ended early, if it did.
    pub fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    fn refill(&mut self) {
        while self.at == self.utf8.len() && !self.is_over {
            match self.inner.read(&mut self.raw) {
                Ok(0) => {
                    self.is_over = true;
                    self.convert(0);
                }
                Ok(read) => self.convert(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.is_over = true;
                    self.convert(0);
                }
            }
        }
    }

    /// Makes text of the first `length` raw bytes.
    fn convert(&mut self, length: usize) {
        self.at = 0;
        if let Mode::Plain { is_ascii_so_far } = &mut self.mode {
            let raw = &self.raw[..length];
            if *is_ascii_so_far && !raw.is_ascii() {
                *is_ascii_so_far = false;
                if !is_utf8(raw) {
                    let encoding = legacy(raw);
                    self.charset = Charset::Guessed(encoding);
                    self.mode = Mode::Decode(Box::new(encoding.new_decoder_without_bom_handling()));
                }
            }
        }
        match &mut self.mode {
            Mode::Plain { .. } => {
                self.utf8.clear();
                self.utf8.extend_from_slice(&self.raw[..length]);
            }
            Mode::Decode(decoder) => {
                let most = decoder.max_utf8_buffer_length(length).unwrap_or(length * 3 + 16);
                self.utf8.resize(most, 0);
                let (_, _, written, _) = decoder.decode_to_utf8(&self.raw[..length], &mut self.utf8, self.is_over);
                self.utf8.truncate(written);
                if self.is_over {
                    // A finished decoder must not be used again.
                    self.mode = Mode::Plain { is_ascii_so_far: false };
                }
            }
        }
    }
}

impl Read for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Text<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.utf8.len() {
            self.refill();
        }
        Ok(&self.utf8[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.utf8.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, so that characters are cut.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    fn decoded(bytes: &[u8]) -> (String, Charset) {
        let mut drip = Drip(bytes, 3);
        let mut text = Text::new(&mut drip);
        let all = crate::bounded::read_all(&mut text, 10 << 20).unwrap();
        assert!(text.failure().is_none());
        (String::from_utf8(all).unwrap(), text.charset())
    }

    fn wide_bytes(text: &str, mark: bool, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let marked = if mark { format!("\u{feff}{text}") } else { text.to_owned() };
        marked.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        const TEXT: &str = "件名,送信者\r\n請求書のお知らせ,café@example.org\r\n";
        let inputs = [
            TEXT.as_bytes().to_vec(),
            [b"\xEF\xBB\xBF", TEXT.as_bytes()].concat(),
            wide_bytes(TEXT, true, u16::to_le_bytes),
            wide_bytes(TEXT, true, u16::to_be_bytes),
        ];
        for input in inputs {
            assert_eq!(decoded(&input).0, TEXT);
        }
    }

    #[test]
    fn wide_text_needs_no_mark() {
        const TEXT: &str = "{\"Operation\":\"件名\",\"UserId\":\"anna@example.org\"}";
        assert_eq!(decoded(&wide_bytes(TEXT, false, u16::to_le_bytes)).0, TEXT);
        assert_eq!(decoded(&wide_bytes(TEXT, false, u16::to_be_bytes)).0, TEXT);
    }

    #[test]
    fn legacy_encodings_are_guessed_and_said() {
        let (japanese, _, _) = SHIFT_JIS.encode("件名,受信トレイのルール,請求書");
        assert_eq!(decoded(&japanese), ("件名,受信トレイのルール,請求書".to_owned(), Charset::Guessed(SHIFT_JIS)));
        let (french, _, _) = WINDOWS_1252.encode("Réunion à 8 h – été,déjà vu");
        assert_eq!(decoded(&french), ("Réunion à 8 h – été,déjà vu".to_owned(), Charset::Guessed(WINDOWS_1252)));
    }

    #[test]
    fn a_legacy_character_after_much_ascii_is_still_read() {
        let mut bytes = vec![b'a'; CHUNK_BYTES + 10];
        bytes.extend_from_slice(b"caf\xE9 ");
        let (text, charset) = decoded(&bytes);
        assert!(text.ends_with("café "));
        assert_eq!(charset, Charset::Guessed(WINDOWS_1252));
    }

    #[test]
    fn what_is_no_text_is_binary() {
        assert_eq!(charset(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0>\0\x01\0\0\0"), Charset::Binary);
        assert_eq!(charset(&[0; 64]), Charset::Binary);
        assert_eq!(charset(b"plain"), Charset::Known(UTF_8, 0));
        assert_eq!(charset(b""), Charset::Known(UTF_8, 0));
    }

    #[test]
    fn a_read_error_ends_the_text_and_is_kept() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                buffer[..2].copy_from_slice(b"ab");
                Ok(2)
            }
        }
        let mut broken = Broken(false);
        let mut text = Text::new(&mut broken);
        assert_eq!(crate::bounded::read_all(&mut text, 10).unwrap(), b"ab");
        assert_eq!(text.failure().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }
}
