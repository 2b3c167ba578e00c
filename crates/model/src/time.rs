//! Instants and record identities.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An instant, in microseconds since 1970-01-01T00:00:00Z.
///
/// [`Time::UNKNOWN`] stands for "the evidence does not say": such rows are kept, shown without a time, and left out
/// of everything that needs order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// The evidence carries no time (a rule export, a CSV whose time column was removed).
    pub const UNKNOWN: Self = Self(0);
    /// One second.
    pub const SECOND_US: i64 = 1_000_000;
    /// One minute.
    pub const MINUTE_US: i64 = 60 * Self::SECOND_US;
    /// One hour.
    pub const HOUR_US: i64 = 60 * Self::MINUTE_US;
    /// One day.
    pub const DAY_US: i64 = 24 * Self::HOUR_US;

    /// Whether the evidence gave this time.
    pub const fn is_known(self) -> bool {
        self.0 != Self::UNKNOWN.0
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This instant moved by so many microseconds, saturating.
    #[must_use]
    pub const fn plus_us(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// Microseconds from `earlier` to this, saturating.
    pub const fn since_us(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Days since the epoch; the lake's partition.
    pub const fn day(self) -> i32 {
        // An i64 of microseconds spans 2^63 / 8.64e10 < 2^27 days.
        #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
        let day = self.0.div_euclid(Self::DAY_US) as i32;
        day
    }

    /// RFC 3339 in UTC with the digits that are there, or `None` for an unknown time.
    pub fn rfc3339(self) -> Option<String> {
        self.is_known().then(|| self.to_string())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_known() {
            return f.write_str("-");
        }
        match Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => f.write_str("out-of-range"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rfc3339().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(Self::UNKNOWN) };
        let timestamp: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(timestamp.as_microsecond()))
    }
}

/// The identity of a record: 16 bytes of BLAKE3 over what makes it this record and no other.
///
/// The same record read twice, from whichever wrapper, has the same identity; that is how duplicates are removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub [u8; 16]);

impl Uid {
    /// Hashes parts with their lengths, so that `("ab","c")` and `("a","bc")` differ.
    ///
    /// The first part names the space, such as `m365-audit`; the rest is the record's own id, or its content
    /// where it has none.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut uid = [0; 16];
        hasher.finalize_xof().fill(&mut uid);
        Self(uid)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Uid {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err("a record identity has 32 hexadecimal digits");
        }
        let mut uid = [0; 16];
        for (byte, pair) in uid.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| "not hexadecimal")?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| "not hexadecimal")?;
        }
        Ok(Self(uid))
    }
}

impl Serialize for Uid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_framed() {
        assert_ne!(Uid::of(&[b"ab", b"c"]), Uid::of(&[b"a", b"bc"]));
    }

    #[test]
    fn identities_and_times_survive_json() {
        let uid = Uid::of(&[b"x"]);
        assert_eq!(serde_json::from_str::<Uid>(&serde_json::to_string(&uid).unwrap()).unwrap(), uid);
        let time = Time(1_618_834_399_483_475);
        assert_eq!(time.to_string(), "2021-04-19T12:13:19.483475Z");
        assert_eq!(serde_json::from_str::<Time>(&serde_json::to_string(&time).unwrap()).unwrap(), time);
        assert_eq!(serde_json::to_string(&Time::UNKNOWN).unwrap(), "null");
    }

    #[test]
    fn days_before_the_epoch_round_down() {
        assert_eq!(Time(-1).day(), -1);
        assert_eq!(Time(Time::DAY_US).day(), 1);
    }
}
