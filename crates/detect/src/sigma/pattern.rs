//! What a value is compared with: text with wildcards, regular expressions, networks, numbers.
//!
//! Upper and lower case are equal by simple case folding, one character to one: `Σ`, `σ` and `ς` are one letter, `ß` and
//! `ss` are not.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::{Regex, RegexBuilder};

/// Bytes that a compiled regular expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Folds upper and lower case together, one character to one character, so that `?` still counts right.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(fold_char).collect())
}

fn fold_char(letter: char) -> char {
    if letter.is_ascii() {
        return letter.to_ascii_lowercase();
    }
    match letter {
        'ς' => 'σ',
        'ſ' => 's',
        _ => {
            let mut lower = letter.to_lowercase();
            match (lower.next(), lower.next()) {
                (Some(one), None) => one,
                _ => letter,
            }
        }
    }
}

/// Where a plain text must stand in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The whole value.
    Whole,
    /// Anywhere.
    Inside,
    /// At its start.
    Start,
    /// At its end.
    End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    One,
    Many,
}

/// Text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
    is_cased: bool,
    /// The cheap forms, where there are no wildcards but at the ends.
    plain: Option<(Place, String)>,
}

impl Pattern {
    /// Reads a value of a rule. `\*`, `\?` and `\\` before a wildcard or backslash are escapes; any other backslash is itself.
    pub(super) fn new(text: &str, place: Place, is_cased: bool) -> Self {
        let text = if is_cased { Cow::Borrowed(text) } else { fold(text) };
        let mut pieces = pieces(&text);
        if matches!(place, Place::Inside | Place::End) {
            pieces.insert(0, Piece::Many);
        }
        if matches!(place, Place::Inside | Place::Start) {
            pieces.push(Piece::Many);
        }
        pieces.dedup_by(|second, first| *first == Piece::Many && *second == Piece::Many);
        let plain = plain(&pieces);
        Self { pieces, is_cased, plain }
    }

    /// The folded text that a value must equal, where the pattern demands one.
    pub(super) fn exact(&self) -> Option<&str> {
        match &self.plain {
            Some((Place::Whole, text)) if !self.is_cased => Some(text),
            _ => None,
        }
    }

    /// Whether a value matches; `folded` is the value after [`fold`].
    pub(super) fn matches(&self, value: &str, folded: &str) -> bool {
        let value = if self.is_cased { value } else { folded };
        match &self.plain {
            Some((Place::Whole, text)) => value == text,
            Some((Place::Inside, text)) => value.contains(text.as_str()),
            Some((Place::Start, text)) => value.starts_with(text.as_str()),
            Some((Place::End, text)) => value.ends_with(text.as_str()),
            None => glob(&self.pieces, value),
        }
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let wildcard = match letter {
            '\\' => {
                match letters.peek() {
                    Some('*' | '?' | '\\') => plain.extend(letters.next()),
                    _ => plain.push('\\'),
                }
                continue;
            }
            '*' => Piece::Many,
            '?' => Piece::One,
            _ => {
                plain.push(letter);
                continue;
            }
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(wildcard);
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

fn plain(pieces: &[Piece]) -> Option<(Place, String)> {
    match pieces {
        [] => Some((Place::Whole, String::new())),
        [Piece::Many] => Some((Place::Inside, String::new())),
        [Piece::Text(text)] => Some((Place::Whole, text.clone())),
        [Piece::Text(text), Piece::Many] => Some((Place::Start, text.clone())),
        [Piece::Many, Piece::Text(text)] => Some((Place::End, text.clone())),
        [Piece::Many, Piece::Text(text), Piece::Many] => Some((Place::Inside, text.clone())),
        _ => None,
    }
}

/// Matches with one point of return (the last `*`): at worst pieces × length, never exponential.
fn glob(pieces: &[Piece], value: &str) -> bool {
    let (mut piece, mut rest) = (0, value);
    let mut retry: Option<(usize, &str)> = None;
    loop {
        let step = match pieces.get(piece) {
            None => rest.is_empty().then_some(rest),
            Some(Piece::Many) => {
                piece += 1;
                retry = Some((piece, rest));
                continue;
            }
            Some(Piece::One) => skip_one(rest),
            Some(Piece::Text(text)) => rest.strip_prefix(text.as_str()),
        };
        match step {
            Some(_) if piece == pieces.len() => return true,
            Some(after) => {
                piece += 1;
                rest = after;
            }
            None => {
                let Some((after_star, tail)) = retry else { return false };
                let Some(next) = skip_one(tail) else { return false };
                retry = Some((after_star, next));
                piece = after_star;
                rest = next;
            }
        }
    }
}

fn skip_one(text: &str) -> Option<&str> {
    let mut letters = text.chars();
    letters.next().map(|_| letters.as_str())
}

/// Compiles a regular expression with the flags `i`, `m` and `s`.
///
/// # Errors
/// Why it cannot be used; look-around and back-references are not supported.
pub(super) fn regex(text: &str, flags: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .case_insensitive(flags.contains('i'))
        .multi_line(flags.contains('m'))
        .dot_matches_new_line(flags.contains('s'))
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| {
            let last = error.to_string().lines().last().unwrap_or_default().trim().to_owned();
            format!("regular expression not supported: {last}")
        })
}

/// Reads a network, or an address as a network of one.
///
/// # Errors
/// If it is neither.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.map(|network| network.trunc()).ok_or_else(|| format!("`{text}` is not a network"))
}

/// Whether a value is an address of this network. IPv4 may come as `::ffff:`, a zone id is ignored, and what is no
/// address is in no network.
pub(super) fn is_within(network: &IpNet, value: &str) -> bool {
    let address = value.trim().split('%').next().unwrap_or_default();
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    network.contains(&address.to_canonical()) || network.contains(&address) || in_mapped(network, address)
}

fn in_mapped(network: &IpNet, address: IpAddr) -> bool {
    let IpAddr::V4(v4) = address else { return false };
    network.contains(&IpAddr::V6(v4.to_ipv6_mapped()))
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `lt`
    Less,
    /// `lte`
    AtMost,
    /// `gt`
    Greater,
    /// `gte`
    AtLeast,
}

impl Order {
    /// Compares; what is no number matches nothing.
    pub(super) fn holds(self, value: &str, limit: f64) -> bool {
        let Ok(value) = value.trim().parse::<f64>() else { return false };
        match self {
            Self::Less => value < limit,
            Self::AtMost => value <= limit,
            Self::Greater => value > limit,
            Self::AtLeast => value >= limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(pattern: &str, place: Place, value: &str) -> bool {
        Pattern::new(pattern, place, false).matches(value, &fold(value))
    }

    /// S1, S2, S3, S7 and M1 of the conformance list.
    #[test]
    fn text_matches_as_specified() {
        use Place::{End, Inside, Start, Whole};
        for (pattern, place, value, expected) in [
            (r"a\*b", Whole, "a*b", true),
            (r"a\*b", Whole, "axb", false),
            (r"a\?b", Whole, "a?b", true),
            (r"a\\*b", Whole, r"a\anything b", true),
            (r"a\\*b", Whole, "a*b", false),
            (r"a\\\*b", Whole, r"a\*b", true),
            (r"a\\\*b", Whole, r"a\xb", false),
            (r"C:\Windows", Whole, r"c:\windows", true),
            (r"a\\\\b", Whole, r"a\\b", true),
            (r"a\\b", Whole, r"a\b", true),
            (r"NT AUTHORITY\", Start, r"NT AUTHORITY\SYSTEM (MSExchange)", true),
            (r"\cmd.exe", End, r"C:\CMD.EXE", true),
            (r"temp\", Inside, r"c:\temp\x", true),
            (r"temp\", End, r"c:\temp\", true),
            ("ab?d", Whole, "abcd", true),
            ("ab?d", Whole, "abd", false),
            ("a?c", Whole, "a日c", true),
            ("a*c", Whole, "a\nb\nc", true),
            ("a*c", Whole, "xa c", false),
            ("*b*d*", Whole, "abcde", true),
            ("*b*d*", Whole, "adcbe", false),
            ("a*c", Inside, "xx a--c yy", true),
            ("a*c", Start, "abc tail", true),
            ("a*c", End, "head abc", true),
            ("a*c", End, "abcd", false),
            ("", Whole, "", true),
            ("", Whole, "x", false),
            ("*", Whole, "", true),
            ("ΜΆΤΙΑΣ", Whole, "μάτιας", true),
            ("straße", Whole, "STRASSE", false),
            ("ÄÖ", Inside, "xäöx", true),
            ("İ", Whole, "İ", true),
            ("**a", Whole, "bca", true),
            ("a*a*a*a*b", Whole, &"a".repeat(2_000), false),
        ] {
            assert_eq!(hit(pattern, place, value), expected, "{pattern} {place:?} {value}");
        }
    }

    #[test]
    fn cased_is_exact() {
        let pattern = Pattern::new("AbC", Place::Whole, true);
        assert!(pattern.matches("AbC", "abc"));
        assert!(!pattern.matches("abc", "abc"));
        assert_eq!(pattern.exact(), None);
        assert_eq!(Pattern::new("AbC", Place::Whole, false).exact(), Some("abc"));
    }

    /// M6.
    #[test]
    fn networks_hold_addresses_only() {
        for (network_text, value, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "-", false),
            ("10.0.0.0/8", "LOCAL", false),
            ("10.0.0.0/8", "", false),
            ("fe80::/10", "fe80::1%eth0", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("::ffff:10.0.0.0/104", "10.9.9.9", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.9/24", "192.0.2.1", true),
        ] {
            assert_eq!(is_within(&network(network_text).unwrap(), value), expected, "{network_text} {value}");
        }
        assert!(network("not a network").is_err());
    }

    /// M5 and M7.
    #[test]
    fn numbers_and_regular_expressions() {
        assert!(Order::Less.holds("5", 10.0) && Order::AtMost.holds("10.0", 10.0));
        assert!(!Order::Greater.holds("ten", 1.0) && !Order::Greater.holds("", 1.0));
        assert!(Order::AtLeast.holds("-1.5", -1.5));
        assert!(regex("^ab.c$", "is").unwrap().is_match("AB\nC"));
        assert!(!regex("^ab", "").unwrap().is_match("AB"));
        assert!(regex("^b$", "m").unwrap().is_match("a\nb\nc"));
        for bad in ["(?=x)a", r"(a)\1", "a(", "(a{1000}){1000}"] {
            assert!(regex(bad, "").is_err(), "{bad}");
        }
    }
}
