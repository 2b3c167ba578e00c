//! Times in every spelling that exports use.

use matagi_model::Time;
use unicode_normalization::UnicodeNormalization;

/// Offsets between a wrapper's date and the record's own that can be a time zone, microseconds.
const ZONE_MAX_US: i64 = 15 * Time::HOUR_US;
/// Seconds that two clocks of one record may differ without being in different zones, microseconds.
const ZONE_SLACK_US: i64 = 90 * Time::SECOND_US;

/// A time that says itself how to read it: ISO 8601 with any number of digits and with or without offset (without it is
/// UTC), `/Date(1728344797000)/`, seconds to nanoseconds since 1970, and the Log Analytics form
/// `4/28/2021, 2:19:28.000 PM`. Dates whose order depends on a culture are for [`CultureDates`].
///
/// `None` too for what stands for "not set": the years 1 and 1601.
pub fn time(text: &str) -> Option<Time> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.len() >= 10 && bytes[4] == b'-' && bytes[0].is_ascii_digit() {
        return iso(text);
    }
    if let Some(inner) = text.strip_prefix("\\/Date(").or_else(|| text.strip_prefix("/Date(")) {
        let inner = inner.split_once(')')?.0;
        let end = inner.bytes().skip(1).position(|byte| !byte.is_ascii_digit()).map_or(inner.len(), |at| at + 1);
        return inner.get(..end)?.parse::<i64>().ok()?.checked_mul(1_000).map(Time);
    }
    if bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return epoch(text);
    }
    let (date, clock) = text.split_once(", ")?;
    let (month, day, year) = three(date, '/')?;
    (year > 31).then(|| instant(year, month, day, clock))?
}

fn epoch(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    let us = match whole.len() {
        9..=10 => number.checked_mul(1_000_000)?.checked_add(fraction_us(fraction)?)?,
        12..=13 => number.checked_mul(1_000)?,
        15..=16 => number,
        18..=19 => number / 1_000,
        _ => return None,
    };
    Some(Time(us))
}

fn iso(text: &str) -> Option<Time> {
    let (date, rest) = text.split_at_checked(10)?;
    let (year, month, day) = three(date, '-')?;
    if rest.is_empty() {
        return at(year, month, day, 0);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?.trim_start();
    let zone_at = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ','))).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(zone_at);
    let clock_us = clock_us(clock, ':')?;
    let zone_us = zone_us(zone.trim())?;
    at(year, month, day, clock_us.checked_sub(zone_us)?)
}

/// `Z`, `UTC`, `+09:00`, `-0500`, `+9`; nothing is UTC.
fn zone_us(zone: &str) -> Option<i64> {
    if zone.is_empty() || ["z", "utc", "gmt", "(utc)"].iter().any(|name| zone.eq_ignore_ascii_case(name)) {
        return Some(0);
    }
    let sign = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = zone.chars().skip(1).filter(|c| *c != ':').collect();
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    let (hours, minutes) = if digits.len() <= 2 { (number, 0) } else { (number / 100, number % 100) };
    Some(sign * (hours * Time::HOUR_US + minutes * Time::MINUTE_US))
}

/// Three numbers between separators.
fn three(text: &str, separator: char) -> Option<(i64, i64, i64)> {
    let mut parts = text.split(separator).map(|part| part.trim().parse::<i64>().ok().filter(|number| *number >= 0));
    let three = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(three)
}

fn fraction_us(digits: &str) -> Option<i64> {
    let mut us = 0;
    for place in 0..6 {
        let digit = digits.as_bytes().get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        us = us * 10 + i64::from(digit - b'0');
    }
    Some(us)
}

/// `13:12`, `13:12:18`, `13:12:18.1234567`, in microseconds since midnight.
fn clock_us(clock: &str, separator: char) -> Option<i64> {
    let (hour, rest) = clock.split_once(separator)?;
    let (minute, rest) = rest.split_once(separator).unwrap_or((rest, "0"));
    let (second, fraction) = rest.split_once(['.', ',']).unwrap_or((rest, ""));
    let (hour, minute, second): (i64, i64, i64) = (hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?);
    // 60: a leap second. It counts as the first second of the next minute.
    if !(0..=24).contains(&hour) || !(0..=59).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let fraction = fraction_us(fraction)?;
    Some(hour * Time::HOUR_US + minute * Time::MINUTE_US + second * Time::SECOND_US + fraction)
}

/// An instant from a date and microseconds since its midnight.
fn at(year: i64, month: i64, day: i64, clock_us: i64) -> Option<Time> {
    let (year, month, day) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    if year <= 1601 {
        return None;
    }
    let date = jiff::civil::Date::new(year, month, day).ok()?;
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    let days = i64::from(date.since(epoch).ok()?.get_days());
    days.checked_mul(Time::DAY_US)?.checked_add(clock_us).map(Time)
}

/// Marks of the first and second half of the day; compared in lower case, without periods and blanks.
const HALVES: [(&[&str], i64); 2] = [
    (&["am", "午前", "上午", "오전", "πμ", "ص", "sa", "ก่อนเที่ยง", "dop", "vm", "fm", "de", "पूर्वाह्न"], 0),
    (&["pm", "午後", "下午", "오후", "μμ", "م", "ch", "หลังเที่ยง", "odp", "nm", "em", "du", "अपराह्न"], 12),
];

/// The clock with or without a mark for the half of the day, before or after it.
fn instant(year: i64, month: i64, day: i64, clock: &str) -> Option<Time> {
    let year = if year < 100 { year + 2000 } else { year };
    let digits_from = clock.find(|c: char| c.is_ascii_digit());
    let Some(from) = digits_from else {
        return if clock.trim().is_empty() { at(year, month, day, 0) } else { None };
    };
    let until = clock.rfind(|c: char| c.is_ascii_digit()).map_or(clock.len(), |last| last + 1);
    let numbers = clock.get(from..until)?;
    let mark: String = [clock.get(..from)?, clock.get(until..)?]
        .concat()
        .to_lowercase()
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '.' | ','))
        .collect();
    let separator = if numbers.contains(':') { ':' } else { '.' };
    let mut us = clock_us(numbers, separator)?;
    if !mark.is_empty() && mark != "utc" && mark != "z" {
        let (_, half) = HALVES.iter().find(|(marks, _)| marks.contains(&mark.as_str()))?;
        let hour = us / Time::HOUR_US;
        if hour > 12 && *half == 0 {
            return None;
        }
        let base = if hour == 12 { 0 } else { hour };
        let shown = if hour > 12 { hour } else { base + half };
        us += (shown - hour) * Time::HOUR_US;
    }
    at(year, month, day, us)
}

/// Which of the first two numbers of `6/1/2023` is the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// As in the United States.
    MonthFirst,
    /// As in most of Europe.
    DayFirst,
}

/// A date whose order may be in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Readings {
    month_first: Option<Time>,
    day_first: Option<Time>,
}

/// Learns how the computer that wrote a file spells dates, and then reads them.
///
/// Export-Csv writes `6/1/2023 1:12:18 PM`, `01.06.2023 13:12:18` or `2023/06/01 13:12:18`, as its culture wants. Records
/// that carry their own time beside such a date show the order (and, where the date is local, the zone); so do numbers
/// above 12. Without either the order of the United States is taken, and [`Self::is_guess`] says so.
#[derive(Debug, Default, Clone)]
pub struct CultureDates {
    month_first: u64,
    day_first: u64,
    /// Difference between wrapper and record, when all whole records agree on it.
    zone_us: Option<i64>,
    zone_differs: bool,
    guessed: u64,
}

impl CultureDates {
    /// Takes a date beside the same record's own time, UTC.
    pub fn learn(&mut self, date: &str, truth: Time) {
        if !truth.is_known() || time(date).is_some() {
            return;
        }
        let Some(readings) = readings(date) else { return };
        let distance = |reading: Option<Time>| reading.map_or(i64::MAX, |read| read.since_us(truth).abs());
        let (month_first, day_first) = (distance(readings.month_first), distance(readings.day_first));
        let nearest = month_first.min(day_first);
        if nearest > ZONE_MAX_US {
            return;
        }
        if month_first < day_first {
            self.month_first += 1;
        } else if day_first < month_first {
            self.day_first += 1;
        }
        let read = if month_first <= day_first { readings.month_first } else { readings.day_first };
        let zone_us = read.map_or(0, |read| quarter_hours_us(read.since_us(truth)));
        self.zone_differs |= self.zone_us.is_some_and(|known| known != zone_us);
        self.zone_us = Some(zone_us);
    }

    /// Takes a date without anything beside it: a number above 12 shows the order.
    pub fn observe(&mut self, date: &str) {
        if time(date).is_some() {
            return;
        }
        match readings(date) {
            Some(Readings { month_first: Some(_), day_first: None }) => self.month_first += 1,
            Some(Readings { month_first: None, day_first: Some(_) }) => self.day_first += 1,
            _ => {}
        }
    }

    /// The order that the file shows; `None` as long as it shows none, or both equally.
    pub fn order(&self) -> Option<DateOrder> {
        match self.month_first.cmp(&self.day_first) {
            std::cmp::Ordering::Greater => Some(DateOrder::MonthFirst),
            std::cmp::Ordering::Less => Some(DateOrder::DayFirst),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// The instant of a date, by all that was learnt so far. Spellings that [`time`] knows need no learning.
    pub fn time(&mut self, date: &str) -> Option<Time> {
        if let Some(known) = time(date) {
            return Some(known);
        }
        let readings = readings(date)?;
        let read = match (readings.month_first, readings.day_first) {
            (Some(month_first), Some(day_first)) if month_first != day_first => match self.order() {
                Some(DateOrder::MonthFirst) => month_first,
                Some(DateOrder::DayFirst) => day_first,
                None => {
                    self.guessed += 1;
                    month_first
                }
            },
            (month_first, day_first) => month_first.or(day_first)?,
        };
        let zone_us = if self.zone_differs { 0 } else { self.zone_us.unwrap_or(0) };
        Some(read.plus_us(-zone_us))
    }

    /// Dates that were read without knowing the order.
    pub fn guessed(&self) -> u64 {
        self.guessed
    }

    /// Whether any date was read without knowing the order.
    pub fn is_guess(&self) -> bool {
        self.guessed > 0
    }
}

/// A difference of clocks as a zone: zero for the same zone, else whole quarters of an hour.
fn quarter_hours_us(difference_us: i64) -> i64 {
    const QUARTER_US: i64 = 15 * Time::MINUTE_US;
    if difference_us.abs() <= ZONE_SLACK_US {
        return 0;
    }
    (difference_us + QUARTER_US.div_euclid(2)).div_euclid(QUARTER_US) * QUARTER_US
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

fn readings(date: &str) -> Option<Readings> {
    let plain: String = date
        .nfkc()
        .filter(
            |c| !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'),
        )
        .map(|c| if c.is_whitespace() || c == ',' { ' ' } else { c })
        .collect();
    let plain = plain.trim();
    let plain = plain.strip_prefix(|c: char| c == '年').unwrap_or(plain);
    let (numbers, separator, rest) = date_part(plain)?;
    let [first, second, third] = numbers;
    if first > 31 {
        let read = instant(first, second, third, rest);
        return read.is_some().then_some(Readings { month_first: read, day_first: None }).map(Readings::certain);
    }
    let month_first = instant(third, first, second, rest);
    let day_first = instant(third, second, first, rest);
    match separator {
        // Periods and hyphens with the year last are used only where the day comes first.
        '.' | '-' if day_first.is_some() => Some(Readings { month_first: None, day_first }.certain()),
        _ if month_first.is_none() && day_first.is_none() => None,
        _ => Some(Readings { month_first, day_first }),
    }
}

impl Readings {
    /// Nothing to learn from it: both orders give the same.
    fn certain(self) -> Self {
        let read = self.month_first.or(self.day_first);
        Self { month_first: read, day_first: read }
    }
}

/// The three numbers of the date, what stands between them, and the rest.
fn date_part(text: &str) -> Option<([i64; 3], char, &str)> {
    let mut numbers = [0; 3];
    let mut separator = '/';
    let mut rest = text;
    for (index, number) in numbers.iter_mut().enumerate() {
        let end = rest.find(|c: char| !c.is_alphanumeric() || is_date_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        *number = match word.parse::<i64>() {
            Ok(number) => number,
            Err(_) => month_named(word)?,
        };
        rest = after;
        if index < 2 {
            let between = rest.chars().next().filter(|c| matches!(c, '/' | '.' | '-' | ' ') || is_date_word(*c))?;
            separator = between;
            rest = rest.trim_start_matches([between, ' ']);
        }
    }
    let rest = rest.strip_prefix(|c: char| c == '.' || is_date_word(c)).unwrap_or(rest);
    Some((numbers, separator, rest))
}

fn is_date_word(c: char) -> bool {
    matches!(c, '年' | '月' | '日' | '년' | '월' | '일')
}

fn month_named(word: &str) -> Option<i64> {
    let word = word.to_lowercase();
    let index = MONTHS.iter().position(|month| word.starts_with(month))?;
    i64::try_from(index + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(time: Option<Time>) -> String {
        time.map_or_else(|| "none".to_owned(), |time| time.to_string())
    }

    #[test]
    fn times_that_say_how_to_read_them() {
        for (text, expected) in [
            ("2023-06-01T13:12:18", "2023-06-01T13:12:18Z"),
            ("2023-06-01 13:12:18", "2023-06-01T13:12:18Z"),
            ("2023-06-01T13:12:18Z", "2023-06-01T13:12:18Z"),
            ("2026-08-30T12:00:00.1234567Z", "2026-08-30T12:00:00.123456Z"),
            ("2019-10-18T04:45:48.0729893-05:00", "2019-10-18T09:45:48.072989Z"),
            ("2019-10-18T04:45:48+0900", "2019-10-17T19:45:48Z"),
            ("2019-10-18T04:45", "2019-10-18T04:45:00Z"),
            ("2019-10-18", "2019-10-18T00:00:00Z"),
            ("2019-10-18 04:45:48 UTC", "2019-10-18T04:45:48Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
            (r"\/Date(1728344797000)\/", "2024-10-07T23:46:37Z"),
            ("/Date(1728344797000+0900)/", "2024-10-07T23:46:37Z"),
            ("/Date(-1000)/", "1969-12-31T23:59:59Z"),
            ("1728344797", "2024-10-07T23:46:37Z"),
            ("1728344797.25", "2024-10-07T23:46:37.25Z"),
            ("1728344797000", "2024-10-07T23:46:37Z"),
            ("1728344797000000", "2024-10-07T23:46:37Z"),
            ("4/28/2021, 2:19:28.000 PM", "2021-04-28T14:19:28Z"),
            ("4/28/2021, 12:00:00.000 AM", "2021-04-28T00:00:00Z"),
        ] {
            assert_eq!(shown(time(text)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "x",
            "2023-13-01T00:00:00",
            "2023-02-30",
            "2023-06-01T25:00:00",
            "0001-01-01T00:00:00",
            "1601-01-01T00:00:00Z",
            "/Date(x)/",
            "/Date()/",
            "12",
            "6/1/2023 1:12:18 PM",
            "2023-06-01T13:12:18 Mars",
            "99999999999999999999",
            "2023-06-01Tkl:mn",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn dates_of_cultures_that_leave_no_doubt() {
        let mut dates = CultureDates::default();
        for text in [
            "01.06.2023 13:12:18",
            "2023/06/01 13:12:18",
            "2023/6/1 \u{4e0b}\u{5348} 01:12:18",
            "2023/06/01 午後 1:12:18",
            "2023年6月1日 13:12:18",
            "2023-06-01 오후 1:12:18",
            "２０２３/０６/０１ １３:１２:１８",
            "1-6-2023 13:12:18",
            "1.6.2023 13.12.18",
        ] {
            assert_eq!(shown(dates.time(text)), "2023-06-01T13:12:18Z", "{text}");
        }
        assert!(!dates.is_guess());
        assert_eq!(shown(dates.time("2023/06/01 午前 12:05:00")), "2023-06-01T00:05:00Z");
    }

    #[test]
    fn the_order_is_learnt_from_whole_records() {
        let truth = time("2023-06-01T13:12:18").unwrap();
        let mut american = CultureDates::default();
        american.learn("6/1/2023 1:12:18 PM", truth);
        assert_eq!(american.order(), Some(DateOrder::MonthFirst));
        assert_eq!(shown(american.time("7/2/2023 1:00:00 AM")), "2023-07-02T01:00:00Z");
        let mut british = CultureDates::default();
        british.learn("01/06/2023 13:12:18", truth);
        assert_eq!(british.order(), Some(DateOrder::DayFirst));
        assert_eq!(shown(british.time("07/02/2023 01:00:00")), "2023-02-07T01:00:00Z");
        assert!(!british.is_guess());
    }

    #[test]
    fn the_order_is_learnt_from_numbers_over_twelve() {
        let mut dates = CultureDates::default();
        dates.observe("28/04/2023 01:00:00");
        assert_eq!(shown(dates.time("07/02/2023 01:00:00")), "2023-02-07T01:00:00Z");
        assert!(!dates.is_guess());
    }

    #[test]
    fn a_guess_is_said() {
        let mut dates = CultureDates::default();
        assert_eq!(shown(dates.time("7/2/2023 1:00:00 AM")), "2023-07-02T01:00:00Z");
        assert!(dates.is_guess());
        // The same day in both orders is no guess.
        let mut dates = CultureDates::default();
        assert_eq!(shown(dates.time("7/7/2023 1:00:00 AM")), "2023-07-07T01:00:00Z");
        assert!(!dates.is_guess());
    }

    #[test]
    fn local_dates_are_moved_to_utc() {
        let mut dates = CultureDates::default();
        dates.learn("2023/06/01 22:12:18", time("2023-06-01T13:12:18").unwrap());
        assert_eq!(shown(dates.time("2023/06/02 01:00:00")), "2023-06-01T16:00:00Z");
        // Where records disagree, nothing is moved.
        dates.learn("2023/06/01 13:12:18", time("2023-06-01T13:12:18").unwrap());
        assert_eq!(shown(dates.time("2023/06/02 01:00:00")), "2023-06-02T01:00:00Z");
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            let _time = time(&text);
            let mut dates = CultureDates::default();
            dates.observe(&text);
            dates.learn(&text, Time(1));
            let _time = dates.time(&text);
        }

        #[test]
        fn dates_of_digits_do_not_panic(text in "[0-9/.:, -]{0,30}( ?[AaPp][Mm])?") {
            let _time = time(&text);
            let _time = CultureDates::default().time(&text);
        }
    }
}
