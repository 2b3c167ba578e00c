//! Is this new for this user?
//!
//! The catalogue's baseline: values seen in the 30 days before the event, once there are 7 days and 10 successful
//! sign-ins of history. Evidence for forensics often begins after the break-in, so two fallbacks look at the whole file:
//! rarity over the user's days, and, for the smallest exports, a comparison with everything else the user did
//! (leave one session out), which is marked as cold.

use std::collections::BTreeSet;

use matagi_model::{FeatureUse, Ip, Time, UserProfile};

/// Whether a feature is new for a user at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// Used before.
    Known,
    /// New against a baseline.
    New,
    /// Unlike the rest of a short history.
    NewCold,
    /// Nothing to compare with.
    Unknown,
}

impl Novelty {
    /// Whether it is new, by baseline or by comparison.
    pub const fn is_new(self) -> bool {
        matches!(self, Self::New | Self::NewCold)
    }
}

/// History that makes a baseline, microseconds: one week shows the weekly rhythm.
const BASELINE_MIN_US: i64 = 7 * Time::DAY_US;
/// Successful interactive sign-ins that make a baseline.
const BASELINE_SIGN_INS_MIN: u64 = 10;
/// A feature stays new for so long after its first use: the break-in's own session must not make it a habit.
const NEW_FOR_US: i64 = 72 * Time::HOUR_US;
/// A feature not used for so long is new again.
const FORGOTTEN_AFTER_US: i64 = 30 * Time::DAY_US;
/// Days of activity from which rarity over days can be judged.
const RARITY_DAYS_MIN: usize = 8;
/// A feature on at most so many days, and at most a quarter of the user's days, is rare.
const RARE_DAYS_MAX: usize = 3;

/// Judges one feature of a user at a time. `others` are the uses of all the user's features of that kind.
pub fn novelty<'a>(
    profile: &UserProfile,
    feature: Option<&FeatureUse>,
    others: impl Iterator<Item = &'a FeatureUse>,
    time: Time,
) -> Novelty {
    let Some(feature) = feature else { return Novelty::Unknown };
    if has_baseline(profile, time) {
        let is_new = time.since_us(feature.first_time) < NEW_FOR_US || is_back_after_long(feature, time);
        return if is_new { Novelty::New } else { Novelty::Known };
    }
    let days = profile.days.len();
    if days >= RARITY_DAYS_MIN {
        let is_rare = feature.days.len() <= RARE_DAYS_MAX && feature.days.len() * 4 <= days;
        return if is_rare { Novelty::New } else { Novelty::Known };
    }
    let (mut kinds, mut total, mut sessions) = (0_u64, 0_u64, 0_usize);
    for other in others {
        kinds += 1;
        total += other.events;
        sessions += other.sessions.len();
    }
    if kinds < 2 {
        return Novelty::Unknown;
    }
    let is_minority = feature.events * 3 <= total || (sessions >= 3 && feature.sessions.len() == 1);
    let came_later = feature.first_time > profile.first_time;
    if is_minority && came_later { Novelty::NewCold } else { Novelty::Known }
}

/// Judges one feature of an attempt, which may never have succeeded: what no success of the user ever showed is new, once
/// there is any success to compare with.
pub fn novelty_of_attempt<'a>(
    profile: &UserProfile,
    feature: Option<&FeatureUse>,
    mut others: impl Iterator<Item = &'a FeatureUse>,
    time: Time,
) -> Novelty {
    match (feature, others.next()) {
        (Some(_), first) => novelty(profile, feature, first.into_iter().chain(others), time),
        (None, None) => Novelty::Unknown,
        (None, Some(_)) if is_cold(profile, time) => Novelty::NewCold,
        (None, Some(_)) => Novelty::New,
    }
}

fn has_baseline(profile: &UserProfile, time: Time) -> bool {
    let history_us = if time.is_known() { time.since_us(profile.first_time) } else { 0 };
    history_us >= BASELINE_MIN_US && profile.sign_ins >= BASELINE_SIGN_INS_MIN
}

/// Whether there is too little history of a user to know what is usual at a time.
pub fn is_cold(profile: &UserProfile, time: Time) -> bool {
    !has_baseline(profile, time) && profile.days.len() < RARITY_DAYS_MIN
}

/// Days on which an address is used before something happens that make it one of the user's places.
const USUAL_DAYS_MIN: usize = 3;

/// Whether an address, or another of its network, was a place of the user's own before `time`: used on days before, or,
/// where the history is too short for that, the place from which most was done. What came in only with the event itself
/// is nobody's habit, however busy it is.
pub fn is_usual_address(profile: &UserProfile, ip: Ip, time: Time) -> bool {
    let near = || profile.ips.iter().filter(|(other, _)| other.place() == ip.place()).map(|(_, used)| used);
    if near().flat_map(|used| used.days.range(..time.day())).collect::<BTreeSet<_>>().len() >= USUAL_DAYS_MIN {
        return true;
    }
    let days: BTreeSet<i32> = near().flat_map(|used| used.days.iter().copied()).collect();
    let events: u64 = near().map(|used| used.events).sum();
    let all_events: u64 = profile.ips.values().map(|used| used.events).sum();
    let is_main = events > 0 && events * 2 >= all_events && days.len() * 2 >= profile.days.len();
    let was_used = near().any(|used| used.first_time.is_known() && used.first_time < time);
    is_main && (was_used || days.len() >= USUAL_DAYS_MIN)
}

/// Seen on the days before, but none of them within 30 days.
fn is_back_after_long(feature: &FeatureUse, time: Time) -> bool {
    let today = time.day();
    let recent = i32::try_from(FORGOTTEN_AFTER_US / Time::DAY_US).unwrap_or(i32::MAX);
    let new_days = i32::try_from(NEW_FOR_US / Time::DAY_US).unwrap_or(0);
    let before = feature.days.range(..today - new_days).next_back();
    before.is_some_and(|day| today - day > recent)
}

/// Whether the user worked from this address, or from the network around it, before that time.
pub fn was_there(profile: &UserProfile, ip: Ip, time: Time) -> bool {
    let network = ip.place();
    let around = profile.ips.range(network..).take_while(|(other, _)| other.place() == network);
    around.map(|(_, used)| used.first_time).any(|first| first.is_known() && first < time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(days: std::ops::Range<i32>, events: u64) -> FeatureUse {
        FeatureUse {
            events,
            first_time: Time(i64::from(days.start) * Time::DAY_US + 1),
            last_time: Time(i64::from(days.end) * Time::DAY_US),
            days: days.collect(),
            sessions: [events].into(),
        }
    }

    fn profile(days: std::ops::Range<i32>) -> UserProfile {
        UserProfile {
            first_time: Time(i64::from(days.start) * Time::DAY_US),
            sign_ins: 40,
            days: days.collect(),
            ..UserProfile::default()
        }
    }

    #[test]
    fn against_a_baseline() {
        let profile = profile(100..130);
        let (office, actor) = (used(100..130, 300), used(120..128, 200));
        let at =
            |feature: &FeatureUse, day: i64| novelty(&profile, Some(feature), [].iter(), Time(day * Time::DAY_US + 5));
        assert_eq!(at(&office, 120), Novelty::Known);
        assert_eq!(at(&actor, 120), Novelty::New);
        assert_eq!(at(&actor, 122), Novelty::New);
        assert_eq!(at(&actor, 125), Novelty::Known);
    }

    #[test]
    fn the_break_in_may_stand_at_the_beginning_of_the_file() {
        let profile = profile(100..130);
        let actor = used(101..103, 50);
        assert_eq!(novelty(&profile, Some(&actor), [].iter(), Time(101 * Time::DAY_US + 5)), Novelty::New);
    }

    #[test]
    fn one_value_alone_is_neither_new_nor_known() {
        let profile = profile(100..101);
        let only = used(100..101, 1);
        assert_eq!(novelty(&profile, Some(&only), [only.clone()].iter(), only.first_time), Novelty::Unknown);
    }

    #[test]
    fn a_short_history_is_cold() {
        let profile = profile(100..102);
        let (office, actor) = (used(100..102, 30), used(101..102, 3));
        let uses = [office, actor.clone()];
        assert_eq!(novelty(&profile, Some(&actor), uses.iter(), actor.first_time), Novelty::NewCold);
    }

    #[test]
    fn what_no_success_showed_is_new_for_an_attempt() {
        let (profile, short) = (profile(100..130), profile(100..102));
        let office = used(100..130, 300);
        let day = |day: i64| Time(day * Time::DAY_US + 5);
        assert_eq!(novelty_of_attempt(&profile, None, [office.clone()].iter(), day(120)), Novelty::New);
        assert_eq!(novelty_of_attempt(&profile, Some(&office), [office.clone()].iter(), day(120)), Novelty::Known);
        assert_eq!(novelty_of_attempt(&profile, None, [].iter(), day(120)), Novelty::Unknown);
        assert_eq!(novelty_of_attempt(&short, None, [office].iter(), day(101)), Novelty::NewCold);
    }

    #[test]
    fn the_place_that_came_in_with_the_event_is_not_usual() {
        let address = |last: u8| Ip::from(std::net::IpAddr::from([192, 0, last, 1]));
        let mut profile = profile(100..130);
        profile.ips.insert(address(1), used(100..130, 60));
        profile.ips.insert(address(2), used(120..130, 900));
        let at = |last: u8, day: i64| is_usual_address(&profile, address(last), Time(day * Time::DAY_US + 5));
        assert!(at(1, 120) && at(1, 103));
        assert!(!at(2, 120) && !at(2, 122) && at(2, 124));
        assert!(!at(3, 120));
    }

    #[test]
    fn the_neighbour_in_the_same_network_was_there_too() {
        let ip = |text: &str| Ip::from(text.parse::<std::net::IpAddr>().unwrap());
        let mut profile = profile(100..101);
        let used = used(100..101, 1);
        let first = used.first_time;
        profile.ips.insert(ip("192.0.2.200"), used);
        assert!(was_there(&profile, ip("192.0.2.7"), first.plus_us(1)));
        assert!(!was_there(&profile, ip("192.0.2.7"), first));
        assert!(!was_there(&profile, ip("192.0.3.7"), first.plus_us(1)));
    }
}
