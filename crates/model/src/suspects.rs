//! What the first pass made suspicious, for the analytics that ask what a suspect did next.
//!
//! Sending mail, searching it or registering a second factor is nothing by itself; in a session that began with a stolen
//! password it is the attack. Plain data, built once from the findings about getting in.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::{Ip, Severity, Time};

/// Why something is suspected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// Id of the finding that says so.
    pub finding: String,
    /// Its catalogue ids, such as `MBX-002`.
    pub catalogue: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// First known time.
    pub first_time: Time,
    /// Last known time.
    pub last_time: Time,
}

/// Sessions, places and users that findings about getting in name.
#[derive(Debug, Default, Clone)]
pub struct Suspects {
    sessions: BTreeMap<String, Suspicion>,
    /// By address, then user: most rows come from addresses that nobody suspects.
    places: BTreeMap<Ip, BTreeMap<String, Suspicion>>,
    /// By user, then time.
    entries: BTreeMap<String, BTreeMap<Time, Suspicion>>,
}

impl Suspects {
    /// Users, places and sessions remembered; a tenant with more is past asking who.
    pub const ENTRIES_MAX: usize = 100_000;

    /// Whether nothing is suspected: then a second pass has nothing to find.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.places.is_empty() && self.entries.is_empty()
    }

    /// Suspects a session.
    pub fn add_session(&mut self, session: &str, suspicion: &Suspicion) {
        if self.sessions.len() < Self::ENTRIES_MAX {
            self.sessions
                .entry(session.to_owned())
                .and_modify(|known| known.take(suspicion))
                .or_insert(suspicion.clone());
        }
    }

    /// Suspects what a user does from an address.
    pub fn add_place(&mut self, user: &str, ip: Ip, suspicion: &Suspicion) {
        if self.places.len() < Self::ENTRIES_MAX {
            let place = self.places.entry(ip).or_default().entry(user.to_owned());
            place.and_modify(|known| known.take(suspicion)).or_insert(suspicion.clone());
        }
    }

    /// Remembers when somebody seems to have got into a user's account.
    pub fn add_entry(&mut self, user: &str, suspicion: &Suspicion) {
        if self.entries.len() < Self::ENTRIES_MAX && suspicion.first_time.is_known() {
            let times = self.entries.entry(user.to_owned()).or_default();
            times.entry(suspicion.first_time).and_modify(|known| known.take(suspicion)).or_insert(suspicion.clone());
        }
    }

    /// Why a session is suspected.
    pub fn session(&self, session: &str) -> Option<&Suspicion> {
        self.sessions.get(session)
    }

    /// Why what a user does from an address is suspected.
    pub fn place(&self, user: &str, ip: Ip) -> Option<&Suspicion> {
        self.places.get(&ip)?.get(user)
    }

    /// The latest suspicious entry into a user's account that began at most `before_us` before a time, or at most `after_us`
    /// after it, microseconds.
    pub fn near(&self, user: &str, time: Time, before_us: i64, after_us: i64) -> Option<&Suspicion> {
        let (from, to) = (time.as_micros().saturating_sub(before_us), time.as_micros().saturating_add(after_us));
        let range = (Bound::Included(Time(from)), Bound::Included(Time(to)));
        self.entries.get(user)?.range(range).next_back().map(|(_, suspicion)| suspicion)
    }
}

impl Suspicion {
    /// Keeps the graver of two and the whole span of both.
    fn take(&mut self, other: &Self) {
        let (first, last) = (self.first_time.min(other.first_time), self.last_time.max(other.last_time));
        if other.severity > self.severity {
            *self = other.clone();
        }
        (self.first_time, self.last_time) = (first, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspicion(severity: Severity, hour: i64) -> Suspicion {
        let time = Time(1_000 * Time::DAY_US + hour * Time::HOUR_US);
        Suspicion { finding: format!("f{hour}"), catalogue: Vec::new(), severity, first_time: time, last_time: time }
    }

    #[test]
    fn the_latest_entry_within_the_window_counts() {
        let mut suspects = Suspects::default();
        for hour in [1, 5, 30] {
            suspects.add_entry("anna@c.example", &suspicion(Severity::High, hour));
        }
        let at = |hour: i64| {
            let time = Time(1_000 * Time::DAY_US + hour * Time::HOUR_US);
            suspects.near("anna@c.example", time, 24 * Time::HOUR_US, Time::HOUR_US).map(|one| one.finding.clone())
        };
        assert_eq!((at(6), at(0), at(29)), (Some("f5".into()), Some("f1".into()), Some("f30".into())));
        assert_eq!((at(-2), at(60)), (None, None));
    }

    #[test]
    fn the_graver_of_two_suspicions_stays_with_the_span_of_both() {
        let mut suspects = Suspects::default();
        suspects.add_session("s", &suspicion(Severity::Medium, 3));
        suspects.add_session("s", &suspicion(Severity::Critical, 9));
        let known = suspects.session("s").unwrap();
        assert_eq!((known.finding.as_str(), known.last_time.since_us(known.first_time)), ("f9", 6 * Time::HOUR_US));
    }
}
