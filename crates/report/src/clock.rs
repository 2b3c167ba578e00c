//! Instants and spans for people. Precise times are in the document; here seconds are enough.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use matagi_model::Time;

use crate::texts::ui;

/// Japan has no summer time: nine hours ahead of UTC, always.
const JST_OFFSET_US: i64 = 9 * Time::HOUR_US;

/// Which clock a time is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    Utc,
    Jst,
}

fn civil(time: Time, zone: Zone) -> Option<DateTime> {
    let offset_us = if zone == Zone::Jst { JST_OFFSET_US } else { 0 };
    let timestamp = Timestamp::from_microsecond(time.plus_us(offset_us).as_micros()).ok()?;
    time.is_known().then(|| Offset::UTC.to_datetime(timestamp))
}

/// A time in a `strftime` format; `–` when unknown or out of range.
pub(crate) fn show(time: Time, zone: Zone, format: &str) -> String {
    civil(time, zone).map_or_else(|| "–".to_owned(), |civil| civil.strftime(format).to_string())
}

/// `2021-04-19 12:13:19`, UTC.
pub(crate) fn utc(time: Time) -> String {
    show(time, Zone::Utc, "%Y-%m-%d %H:%M:%S")
}

/// The same instant in Japan: with the date only where it differs from the date in UTC.
pub(crate) fn jst_beside_utc(time: Time) -> String {
    let same_day = show(time, Zone::Utc, "%Y-%m-%d") == show(time, Zone::Jst, "%Y-%m-%d");
    show(time, Zone::Jst, if same_day { "%H:%M:%S JST" } else { "%m-%d %H:%M:%S JST" })
}

/// `2021-04-19 12:13 – 2021-04-20 09:00`.
pub(crate) fn period(first: Time, last: Time, zone: Zone) -> String {
    if show(first, zone, "%Y%m%d%H%M") == show(last, zone, "%Y%m%d%H%M") {
        return show(first, zone, "%Y-%m-%d %H:%M");
    }
    format!("{} – {}", show(first, zone, "%Y-%m-%d %H:%M"), show(last, zone, "%Y-%m-%d %H:%M"))
}

/// A span in its two largest units.
pub(crate) fn span(lang: &str, first: Time, last: Time) -> String {
    let seconds = last.since_us(first).max(0) / Time::SECOND_US;
    let units = [
        ("unit-days", seconds / 86_400),
        ("unit-hours", seconds / 3_600 % 24),
        ("unit-minutes", seconds / 60 % 60),
        ("unit-seconds", seconds % 60),
    ];
    let largest = units.iter().position(|(_, count)| *count > 0).unwrap_or(units.len() - 1);
    let two = units.iter().skip(largest).take(2).enumerate();
    let told = two.filter(|(index, (_, count))| *index == 0 || *count > 0);
    let words: Vec<String> = told.map(|(_, (key, count))| ui(lang, key, &[("count", &count.to_string())])).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Time = Time(1_618_834_399_483_475); // 2021-04-19T12:13:19Z

    #[test]
    fn japan_is_nine_hours_ahead() {
        assert_eq!(utc(NOON), "2021-04-19 12:13:19");
        assert_eq!(jst_beside_utc(NOON), "21:13:19 JST");
        assert_eq!(jst_beside_utc(NOON.plus_us(3 * Time::HOUR_US)), "04-20 00:13:19 JST");
        assert_eq!(period(NOON, NOON.plus_us(Time::DAY_US), Zone::Utc), "2021-04-19 12:13 – 2021-04-20 12:13");
        assert_eq!(period(NOON, NOON, Zone::Jst), "2021-04-19 21:13");
    }

    #[test]
    fn unknown_and_absurd_times_do_not_panic() {
        assert_eq!(utc(Time::UNKNOWN), "–");
        for absurd in [Time(i64::MAX), Time(i64::MIN)] {
            assert_eq!(utc(absurd), "–");
            assert!(!span("en", absurd, NOON).is_empty() && !span("ja", NOON, absurd).is_empty());
        }
    }

    #[test]
    fn spans_have_two_units() {
        let later = |us| span("en", NOON, NOON.plus_us(us));
        assert_eq!(later(0), "0 s");
        assert_eq!(later(5 * Time::SECOND_US), "5 s");
        assert_eq!(later(2 * Time::HOUR_US), "2 h");
        assert_eq!(later(2 * Time::DAY_US + 3 * Time::HOUR_US), "2 d 3 h");
        assert_eq!(span("ja", NOON, NOON.plus_us(90 * Time::MINUTE_US)), "1 時間 30 分");
    }
}
