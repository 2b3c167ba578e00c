//! Ranges of addresses: read from CSV, MMDB and CIDR, and cut so that one range speaks for each address.

use std::cmp::Reverse;
use std::io::{self, BufRead};
use std::net::{IpAddr, Ipv6Addr};

use matagi_model::Ip;

/// Bytes of a line of CSV; a longer one is refused.
pub(super) const REFERENCE_LINE_BYTES_MAX: u64 = 64 << 10;

/// Addresses from `first` to `last`, both included, and what is said about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub first: u128,
    pub last: u128,
    pub value: u32,
}

/// An address as a number; its order is the order of the bytes in the file.
pub(super) fn number(ip: IpAddr) -> u128 {
    u128::from_be_bytes(Ip::from(ip).0)
}

/// Reads `192.0.2.7`, `2001:db8::1`, or either as a decimal number. Small numbers are IPv4.
pub(super) fn parse_address(text: &str) -> Option<u128> {
    let text = text.trim();
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(number(ip));
    }
    let value: u128 = text.parse().ok()?;
    let v4 = u32::try_from(value).ok().map(|small| number(IpAddr::from(small.to_be_bytes())));
    Some(v4.unwrap_or_else(|| number(IpAddr::V6(Ipv6Addr::from(value)))))
}

/// Reads `192.0.2.0/24`, `2001:db8::/32` or a single address.
pub(super) fn parse_network(text: &str) -> Option<(u128, u128)> {
    let (address, length) = text.trim().split_once('/').map_or((text, None), |(ip, length)| (ip, Some(length)));
    let ip: IpAddr = address.trim().parse().ok()?;
    let bits: u32 = if ip.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(bits), |length| length.trim().parse().ok().filter(|&length| length <= bits))?;
    // A mask of the host bits: shifting by 128 is not defined, so /0 of IPv6 is said apart.
    let host = if bits == length { 0 } else { u128::MAX >> (128 - (bits - length)) };
    let first = number(ip) & !host;
    Some((first, first | host))
}

/// The fields of one line of CSV, quotes removed. Fields do not span lines in this kind of data.
pub(super) fn csv_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.trim_end_matches(['\r', '\n']).chars().peekable();
    while let Some(char) = chars.next() {
        let field = fields.last_mut().expect("there is always a field");
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

/// Calls `each` with every line; `None` for one that is too long or not UTF-8.
pub(super) fn lines(input: &mut dyn BufRead, each: &mut dyn FnMut(Option<&str>)) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut *input, REFERENCE_LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') || (read as u64) < REFERENCE_LINE_BYTES_MAX {
            each(std::str::from_utf8(&line).ok());
        } else {
            each(None);
            skip_line(input)?;
        }
    }
}

fn skip_line(input: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let newline = buffer.iter().position(|&byte| byte == b'\n');
        let used = newline.map_or(buffer.len(), |at| at + 1);
        input.consume(used);
        if newline.is_some() {
            return Ok(());
        }
    }
}

/// Cuts overlapping ranges so that the narrowest speaks for each address, and joins neighbours that say the same.
pub(super) fn flatten(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable_by_key(|range| (range.first, Reverse(range.last), range.value));
    let mut flat = Flat { ranges: Vec::with_capacity(ranges.len()) };
    // Ranges that enclose the present address, the narrowest on top.
    let mut open: Vec<Range> = Vec::new();
    for range in ranges {
        flat.close(&mut open, range.first);
        if let Some(top) = open.last().filter(|top| top.first < range.first) {
            flat.push(Range { last: range.first - 1, ..*top });
        }
        open.push(range);
    }
    while let Some(top) = open.pop() {
        flat.push(top);
    }
    flat.ranges
}

struct Flat {
    ranges: Vec<Range>,
}

impl Flat {
    /// Writes out what ends before `next`.
    fn close(&mut self, open: &mut Vec<Range>, next: u128) {
        while let Some(top) = open.pop_if(|top| top.last < next) {
            self.push(top);
        }
    }

    /// Writes out what of a range nobody has spoken for yet.
    fn push(&mut self, mut range: Range) {
        if let Some(before) = self.ranges.last_mut() {
            if before.last >= range.last {
                return;
            }
            range.first = range.first.max(before.last + 1);
            if before.last + 1 == range.first && before.value == range.value {
                before.last = range.last;
                return;
            }
        }
        self.ranges.push(range);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u128, last: u128, value: u32) -> Range {
        Range { first, last, value }
    }

    #[test]
    fn addresses_have_many_spellings() {
        let wanted = number("192.0.2.7".parse().unwrap());
        assert_eq!(parse_address("192.0.2.7"), Some(wanted));
        assert_eq!(parse_address("3221225991"), Some(wanted));
        assert_eq!(parse_address("::ffff:192.0.2.7"), Some(wanted));
        assert_eq!(parse_address("42540528726795050063891204319802818560"), parse_address("2001:200::"));
        assert_eq!(parse_address("somewhere"), None);
    }

    #[test]
    fn networks_are_ranges() {
        assert_eq!(
            parse_network("192.0.2.9/24"),
            Some((parse_address("192.0.2.0").unwrap(), parse_address("192.0.2.255").unwrap()))
        );
        assert_eq!(
            parse_network("2001:db8::/32").map(|(_, last)| last),
            parse_address("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")
        );
        assert_eq!(parse_network("::/0"), Some((0, u128::MAX)));
        let one = parse_address("192.0.2.7").unwrap();
        assert_eq!(parse_network("192.0.2.7"), Some((one, one)));
        assert_eq!(parse_network("192.0.2.0/33"), None);
        assert_eq!(parse_network("192.0.2.0/-1"), None);
    }

    #[test]
    fn the_narrowest_range_speaks() {
        let flat = flatten(vec![range(0, 100, 1), range(10, 20, 2), range(12, 14, 3), range(90, 110, 4)]);
        assert_eq!(
            flat,
            [range(0, 9, 1), range(10, 11, 2), range(12, 14, 3), range(15, 20, 2), range(21, 89, 1), range(90, 110, 4)]
        );
    }

    #[test]
    fn neighbours_and_duplicates_are_joined() {
        assert_eq!(flatten(vec![range(5, 9, 1), range(0, 4, 1), range(5, 9, 1)]), [range(0, 9, 1)]);
        assert_eq!(
            flatten(vec![range(0, u128::MAX, 1), range(7, u128::MAX, 2)]),
            [range(0, 6, 1), range(7, u128::MAX, 2)]
        );
    }

    #[test]
    fn csv_keeps_commas_in_quotes() {
        assert_eq!(csv_fields("1,2,3,\"Enecom, \"\"Inc.\"\"\"\r\n"), ["1", "2", "3", "Enecom, \"Inc.\""]);
    }

    #[test]
    fn a_hostile_line_is_skipped_whole() {
        let mut text = b"x".repeat(3 * usize::try_from(REFERENCE_LINE_BYTES_MAX).unwrap());
        text.extend(b"\nnext\n\xff\nlast");
        let mut seen = Vec::new();
        lines(&mut text.as_slice(), &mut |line| seen.push(line.map(|line| line.trim().to_owned()))).unwrap();
        assert_eq!(seen, [None, Some("next".to_owned()), None, Some("last".to_owned())]);
    }
}
