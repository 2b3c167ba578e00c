//! The spellings of values: addresses, times, names, booleans, text that holds JSON.
//!
//! Every function takes what an exporter wrote and gives the one form that the tables hold, or `None` for what says
//! nothing (`""`, `null`, `<null>`) or cannot be read. None of them guesses silently.

mod dates;
mod json;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use matagi_model::Ip;

pub use dates::{CultureDates, DateOrder, time};
pub use json::{Json, Pairs, Text, json_object, json_text, parameters};

/// Text without the blanks around it; `None` for what exporters write for nothing.
pub fn text(text: &str) -> Option<&str> {
    // The usual case has nothing to trim, and this is asked for every value of every record.
    let is_plain = text.as_bytes().first().is_some_and(u8::is_ascii_graphic)
        && text.as_bytes().last().is_some_and(u8::is_ascii_graphic);
    let trimmed = if is_plain { text } else { text.trim() };
    let is_nothing = trimmed.is_empty()
        || matches!(trimmed, "null" | "<null>" | "NULL" | "$null" | "N/A" | "n/a" | "None" | "-")
        // What ConvertTo-Csv and ConvertTo-Json write for a nested value that they do not follow.
        || is_lost(trimmed);
    (!is_nothing).then_some(trimmed)
}

/// Whether an exporter replaced a nested value by the name of its type: the value is lost.
pub fn is_lost(text: &str) -> bool {
    let text = text.trim_ascii();
    if !text.starts_with("System.") {
        return false;
    }
    matches!(text, "System.Object" | "System.Object[]" | "System.Collections.Hashtable")
        || text.starts_with("System.Collections.Generic.")
        || text.starts_with("System.Management.Automation.")
}

/// A name of a person, mailbox or service as it is compared: without blanks around it, lower case.
pub fn user(name: &str) -> Option<String> {
    text(name).map(str::to_lowercase)
}

/// What was done, as every wrapper spells it alike: trimmed, all dashes as `-`, blanks as one, no final period.
pub fn operation(name: &str) -> Option<Cow<'_, str>> {
    let name = text(name)?;
    let name = name.strip_suffix('.').unwrap_or(name).trim_end();
    let is_plain = name.is_ascii() && !name.contains("  ") && !name.contains(['\t', '\r', '\n']);
    if is_plain {
        return Some(Cow::Borrowed(name));
    }
    let dashes = |c: char| {
        if matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}') { '-' } else { c }
    };
    let words: Vec<String> = name.split_whitespace().map(|word| word.chars().map(dashes).collect()).collect();
    Some(Cow::Owned(words.join(" ")))
}

/// A boolean in one of its spellings.
pub fn flag(text: &str) -> Option<bool> {
    const YES: [&str; 5] = ["true", "1", "yes", "$true", "はい"];
    const NO: [&str; 5] = ["false", "0", "no", "$false", "いいえ"];
    let text = text.trim();
    let is_one_of = |words: [&str; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(YES) {
        Some(true)
    } else if is_one_of(NO) {
        Some(false)
    } else {
        None
    }
}

/// A whole number in one of its spellings (`15`, `"15"`, `15.0`).
pub fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let whole = text.split_once('.').map_or(
        text,
        |(whole, fraction)| {
            if fraction.bytes().all(|byte| byte == b'0') { whole } else { "" }
        },
    );
    whole.parse().ok()
}

/// An address and, where it is there, a port, in one of the forms that the products write:
///
/// `192.0.2.1`, `192.0.2.1:5678`, `[192.0.2.1]:5678`, `2001:db8::1`, `[2001:db8::1]:5678`, `::ffff:192.0.2.1`,
/// `HOST (10.90.0.1)`, `[HOST (10.90.0.1)]`, and an IPv6 address with its zone.
///
/// `None` for names (`localhost`, `[host.example]:25`), for nothing, and for what only looks like an address: the
/// version in `DB6PR04MB3206 (15.20.4129.032)` is none, because no part of an address has a leading zero.
pub fn ip(text: &str) -> Option<(Ip, Option<u16>)> {
    let text = text.trim();
    if let Some(address) = bare(text) {
        return Some((address, None));
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (host, after) = inner.rsplit_once(']')?;
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(digits)?),
            None if after.is_empty() => None,
            None => return None,
        };
        return Some((bare(host.trim()).or_else(|| in_parentheses(host))?, port));
    }
    if let Some(address) = in_parentheses(text) {
        return Some((address, None));
    }
    // With one colon it is IPv4 and a port; with more it would have been IPv6, which needs brackets for its port.
    let (host, digits) = text.split_once(':')?;
    let address: Ipv4Addr = host.trim().parse().ok()?;
    Some((Ip::from(IpAddr::V4(address)), Some(port(digits)?)))
}

fn port(digits: &str) -> Option<u16> {
    let digits = digits.trim();
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn bare(text: &str) -> Option<Ip> {
    // The standard library refuses leading zeros, which is right: 032 may be read as octal.
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Ip::from(address));
    }
    let (address, _zone) = text.split_once('%')?;
    Some(Ip::from(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)))
}

/// `HOST (10.90.0.1)`.
fn in_parentheses(text: &str) -> Option<Ip> {
    let (host, rest) = text.trim().rsplit_once('(')?;
    if host.trim().is_empty() {
        return None;
    }
    bare(rest.strip_suffix(')')?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        ip(text).map(|(address, port)| port.map_or_else(|| address.to_string(), |port| format!("{address} {port}")))
    }

    #[test]
    fn addresses_come_in_every_spelling() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1\r\n", "192.0.2.1"),
            ("192.0.2.1:5678", "192.0.2.1 5678"),
            ("[192.0.2.1]", "192.0.2.1"),
            ("[192.0.2.1]:5678", "192.0.2.1 5678"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::1:5678", "2001:db8::1:5678"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:5678", "2001:db8::1 5678"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:5678", "192.0.2.1 5678"),
            ("fe80::1%eth0", "fe80::1"),
            ("HOST (10.90.0.1)", "10.90.0.1"),
            ("[HOST (10.90.0.1)]", "10.90.0.1"),
            ("[HOST (10.90.0.1)]:25", "10.90.0.1 25"),
            ("host.example (2001:db8::1)", "2001:db8::1"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_an_address_is_none() {
        for text in [
            "",
            "<null>",
            "null",
            "localhost",
            "localhost:8080",
            "[host.name]:25",
            "10.900.0.1",
            "192.0.2.1:99999",
            "192.0.2.1:",
            "192.0.2.1:+5",
            "192.0.2",
            "DB6PR04MB3206 (15.20.4129.032)\r\n",
            "(10.90.0.1)",
            "[192.0.2.1]x",
            "[]",
            "]:1",
        ] {
            assert_eq!(ip(text), None, "{text}");
        }
    }

    #[test]
    fn operations_are_spelt_alike() {
        for (text, expected) in [
            ("Consent to application.", "Consent to application"),
            (
                "Update application \u{2013} Certificates and secrets management ",
                "Update application - Certificates and secrets management",
            ),
            (" New-InboxRule ", "New-InboxRule"),
            ("Add  member\tto role.", "Add member to role"),
        ] {
            assert_eq!(operation(text).as_deref(), Some(expected));
        }
        assert_eq!(operation(" "), None);
    }

    #[test]
    fn names_flags_and_numbers() {
        assert_eq!(user(" AdeleV@Contoso.OnMicrosoft.com ").as_deref(), Some("adelev@contoso.onmicrosoft.com"));
        assert_eq!(user("<null>"), None);
        assert_eq!(
            [flag("TRUE"), flag("$false"), flag("1"), flag("maybe")],
            [Some(true), Some(false), Some(true), None]
        );
        assert_eq!([number("15"), number(" 15.0 "), number("1.5"), number("-1")], [Some(15), Some(15), None, None]);
        assert!(is_lost("System.Object[]") && is_lost("System.Collections.Generic.List`1[System.String]"));
        assert_eq!(text("System.Object[]"), None);
    }
}
