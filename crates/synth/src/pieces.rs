//! Bytes of records without the formatting machinery: an export of gigabytes is made of them.

use std::net::Ipv4Addr;

use matagi_model::Time;

use crate::dice::Guid;

/// Something that can be appended to a record.
pub(crate) trait Piece {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);
}

/// Appends pieces one after the other.
macro_rules! put {
    ($out:expr, $($piece:expr),+ $(,)?) => {{ $($crate::pieces::Piece::put(&$piece, $out);)+ }};
}
pub(crate) use put;

/// As it is.
impl Piece for &str {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

/// As it is.
impl Piece for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().put(out);
    }
}

/// Appends a template: each `%` is replaced by the next piece, line breaks and the blanks after them are layout only.
pub(crate) fn fill(out: &mut Vec<u8>, template: &str, pieces: &[&dyn Piece]) {
    let mut pieces = pieces.iter();
    let mut rest = template.as_bytes();
    while let Some(position) = rest.iter().position(|byte| matches!(byte, b'%' | b'\n')) {
        let (before, special) = rest.split_at(position);
        out.extend_from_slice(before);
        if special[0] == b'%' {
            pieces.next().expect("a piece for each %").put(out);
            rest = &special[1..];
        } else {
            rest = special[1..].trim_ascii_start();
        }
    }
    out.extend_from_slice(rest);
    debug_assert!(pieces.next().is_none(), "a % for each piece: {template}");
}

/// Decimal digits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number(pub(crate) u64);

impl Piece for Number {
    fn put(&self, out: &mut Vec<u8>) {
        let mut digits = [0; 20];
        let mut rest = self.0;
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + low_digit(rest);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[start..]);
    }
}

fn low_digit(number: u64) -> u8 {
    u8::try_from(number % 10).expect("a digit")
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// `0190d1f2-...`, lower case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub(crate) Guid);

impl Piece for Id {
    fn put(&self, out: &mut Vec<u8>) {
        let bytes = self.0.to_be_bytes();
        for (part, range) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
            if part > 0 {
                out.push(b'-');
            }
            hex(&bytes[range], out);
        }
    }
}

impl Id {
    /// The id as text.
    pub(crate) fn text(self) -> String {
        text_of(&self)
    }
}

/// The id of a token: 22 characters, Base64 for addresses without padding.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token(pub(crate) Guid);

impl Piece for Token {
    fn put(&self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let digit = |six_bits: u128| DIGITS[usize::try_from(six_bits & 63).expect("six bits fit")];
        out.extend((0..21).map(|place| digit(self.0 >> (122 - 6 * place))));
        // 128 bits leave two for the last character.
        out.push(digit(self.0 << 4));
    }
}

/// Sixteen hexadecimal digits, upper case as Exchange writes them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hex(pub(crate) u64);

impl Piece for Hex {
    fn put(&self, out: &mut Vec<u8>) {
        let from = out.len();
        hex(&self.0.to_be_bytes(), out);
        out[from..].make_ascii_uppercase();
    }
}

impl Piece for Ipv4Addr {
    fn put(&self, out: &mut Vec<u8>) {
        for (part, octet) in self.octets().into_iter().enumerate() {
            if part > 0 {
                out.push(b'.');
            }
            Number(octet.into()).put(out);
        }
    }
}

/// The inside of a JSON string; `/` is escaped as the service does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl Piece for Escaped<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let bytes = self.0.as_bytes();
        let mut done = 0;
        for (position, byte) in bytes.iter().enumerate() {
            let escape: &[u8] = match byte {
                b'"' => b"\\\"",
                b'\\' => b"\\\\",
                b'/' => b"\\/",
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                b'\t' => b"\\t",
                0..=31 => b"\\ufffd",
                _ => continue,
            };
            out.extend_from_slice(&bytes[done..position]);
            out.extend_from_slice(escape);
            done = position + 1;
        }
        out.extend_from_slice(&bytes[done..]);
    }
}

/// A CSV field in quotes, inner quotes doubled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a>(pub(crate) &'a [u8]);

impl Piece for Field<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        let mut parts = self.0.split(|byte| *byte == b'"');
        if let Some(first) = parts.next() {
            out.extend_from_slice(first);
        }
        for part in parts {
            out.extend_from_slice(b"\"\"");
            out.extend_from_slice(part);
        }
        out.push(b'"');
    }
}

/// `2026-09-01T04:05:06`, UTC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Iso(pub(crate) Time);

impl Piece for Iso {
    fn put(&self, out: &mut Vec<u8>) {
        stamp(self.0, *b"-T", out);
    }
}

/// `2026/09/01 04:05:06`: what a Japanese PC makes of the same UTC instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JapaneseDate(pub(crate) Time);

impl Piece for JapaneseDate {
    fn put(&self, out: &mut Vec<u8>) {
        stamp(self.0, *b"/ ", out);
    }
}

fn stamp(time: Time, [dash, between]: [u8; 2], out: &mut Vec<u8>) {
    let (year, month, day) = civil(i64::from(time.day()));
    let seconds = time.0.rem_euclid(Time::DAY_US) / Time::SECOND_US;
    Number(year).put(out);
    out.push(dash);
    two(month, out);
    out.push(dash);
    two(day, out);
    out.push(between);
    let seconds = seconds.unsigned_abs();
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
}

fn two(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + low_digit(number / 10), b'0' + low_digit(number)]);
}

/// Year, month, day of a day since 1970 (the proleptic Gregorian calendar, counted in eras of 400 years from March).
fn civil(day: i64) -> (u64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year.unsigned_abs(), month.unsigned_abs(), day_of_month.unsigned_abs())
}

/// Pieces as text.
pub(crate) fn text_of(piece: &impl Piece) -> String {
    let mut out = Vec::new();
    piece.put(&mut out);
    String::from_utf8(out).expect("pieces are UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_as_they_should() {
        let time: Time = serde_json::from_str("\"2024-02-29T23:59:08Z\"").unwrap();
        assert_eq!(text_of(&Iso(time)), "2024-02-29T23:59:08");
        assert_eq!(text_of(&JapaneseDate(time)), "2024/02/29 23:59:08");
        assert_eq!(Id(0x00000003_0000_0ff1_ce00_000000000000).text(), "00000003-0000-0ff1-ce00-000000000000");
        assert_eq!(text_of(&Token(1 | 1 << 127)), "gAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(text_of(&Escaped("a\"b\\c/d\u{1}")), "a\\\"b\\\\c\\/d\\ufffd");
        assert_eq!(text_of(&Field(b"a\"b")), "\"a\"\"b\"");
        assert_eq!(text_of(&Number(0)), "0");
        assert_eq!(text_of(&Hex(0x1f)), "000000000000001F");
        assert_eq!(text_of(&Ipv4Addr::new(192, 0, 2, 1)), "192.0.2.1");
    }

    #[test]
    fn templates_are_filled_in_order() {
        let mut out = Vec::new();
        fill(&mut out, "{\"a\":\"%\",\n      \"b\":%}", &[&"x%", &Number(7)]);
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a\":\"x%\",\"b\":7}");
    }

    #[test]
    fn dates_agree_with_the_library() {
        for day in (-400..40_000).step_by(17) {
            let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap();
            let (year, month, day) = civil(day);
            assert_eq!(format!("{year:04}-{month:02}-{day:02}"), date.to_string());
        }
    }
}
