//! What a wave of failures is made of: the window that slides, and what it hands over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use matagi_model::{Entity, Evidence, Finding, Ip, Reason, Role, Severity, Time};

use super::{Limits, META};
use crate::base::SignIn;

/// Failures held in the window: a flood of so many has long been told.
const WINDOW_MAX: usize = 20_000;
/// Successes that wait for a wave to claim them.
const SUCCESSES_MAX: usize = 2_000;
/// Users and addresses counted of one wave: beyond, "more than" says enough.
const COUNTED_MAX: usize = 20_000;
/// Users and addresses named by a finding; the counts are exact.
const NAMED_MAX: usize = 50;
/// Users named in a sentence.
const SENTENCE_USERS_MAX: usize = 5;
/// Failures shown: each user's first, until so many. The rest of the finding's evidence is for successes.
const FAILURES_SHOWN_MAX: usize = 30;
const SUCCESSES_SHOWN_MAX: usize = 15;
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) time: Time,
    pub(super) user: Arc<str>,
    pub(super) ip: Option<Ip>,
    pub(super) class: SignIn,
    pub(super) evidence: Evidence,
    pub(super) is_taken: bool,
}

/// What happened within the last minutes.
#[derive(Debug, Default)]
pub(super) struct Window {
    pub(super) failures: VecDeque<Attempt>,
    pub(super) successes: VecDeque<Attempt>,
    pub(super) outages: VecDeque<Time>,
    pub(super) users: BTreeMap<Arc<str>, usize>,
    pub(super) ips: BTreeMap<Ip, usize>,
    pub(super) locked: BTreeMap<Arc<str>, usize>,
}

#[derive(Debug, Default)]
pub(super) struct Wave {
    pub(super) first: Time,
    pub(super) last: Time,
    pub(super) failures: u64,
    pub(super) users: BTreeMap<Arc<str>, u64>,
    pub(super) ips: BTreeSet<Ip>,
    pub(super) locked: BTreeSet<Arc<str>>,
    /// The fullest window: users, addresses; and accounts locked.
    pub(super) peak: (usize, usize),
    pub(super) peak_locked: usize,
    /// Users and deviations of its busiest hour, when the hour told it.
    pub(super) hour: Option<(usize, f64)>,
    /// Reached the thresholds of a tenant of any size.
    pub(super) is_full: bool,
    /// When a window last was full.
    pub(super) burst_last: Option<Time>,
    pub(super) outages: u64,
    pub(super) evidence: Vec<Evidence>,
    pub(super) successes: Vec<Attempt>,
}

impl Window {
    pub(super) fn push(&mut self, attempt: Attempt) {
        if self.failures.len() >= WINDOW_MAX {
            self.pop();
        }
        *self.users.entry(Arc::clone(&attempt.user)).or_default() += 1;
        if let Some(network) = attempt.ip.map(counted) {
            *self.ips.entry(network).or_default() += 1;
        }
        if attempt.class == SignIn::Locked {
            *self.locked.entry(Arc::clone(&attempt.user)).or_default() += 1;
        }
        self.failures.push_back(attempt);
    }

    /// Remembers a success, should a wave claim it.
    pub(super) fn succeeded(&mut self, attempt: Attempt) {
        if self.successes.len() < SUCCESSES_MAX {
            self.successes.push_back(attempt);
        }
    }

    fn pop(&mut self) {
        let Some(attempt) = self.failures.pop_front() else { return };
        forget(&mut self.users, &attempt.user);
        if let Some(network) = attempt.ip.map(counted) {
            forget(&mut self.ips, &network);
        }
        if attempt.class == SignIn::Locked {
            forget(&mut self.locked, &attempt.user);
        }
    }

    pub(super) fn slide(&mut self, now: Time, window_us: i64) {
        let is_old = |time: Time| now.since_us(time) > window_us;
        while self.failures.front().is_some_and(|attempt| is_old(attempt.time)) {
            self.pop();
        }
        while self.successes.front().is_some_and(|attempt| is_old(attempt.time)) {
            self.successes.pop_front();
        }
        while self.outages.front().is_some_and(|time| is_old(*time)) || self.outages.len() > WINDOW_MAX {
            self.outages.pop_front();
        }
    }

    /// Gives the wave all that it does not have yet.
    pub(super) fn hand_over(&mut self, wave: &mut Wave, limits: Limits) {
        let fresh = self.failures.iter().rev().take_while(|attempt| !attempt.is_taken).count();
        for attempt in self.failures.range_mut(self.failures.len() - fresh..) {
            attempt.is_taken = true;
            wave.take(attempt);
        }
        for attempt in self.successes.drain(..) {
            wave.succeeded(&attempt, limits);
        }
        wave.outages += self.outages.drain(..).count() as u64;
    }
}

fn forget<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// What counts as one address: of IPv6 the network, because one machine has them by the billion.
fn counted(ip: Ip) -> Ip {
    if ip.addr().is_ipv4() { ip } else { ip.place() }
}

impl Wave {
    pub(super) fn take(&mut self, attempt: &Attempt) {
        if self.failures == 0 {
            self.first = attempt.time;
        }
        self.failures += 1;
        self.last = self.last.max(attempt.time);
        if self.ips.len() < COUNTED_MAX {
            self.ips.extend(attempt.ip);
        }
        if self.users.len() < COUNTED_MAX || self.users.contains_key(&attempt.user) {
            let count = self.users.entry(Arc::clone(&attempt.user)).or_default();
            *count += 1;
            if *count == 1 && self.evidence.len() < FAILURES_SHOWN_MAX {
                self.evidence.push(attempt.evidence.clone());
            }
            if attempt.class == SignIn::Locked {
                self.locked.insert(Arc::clone(&attempt.user));
            }
        }
    }

    /// Keeps a success that may belong to it: from its addresses, or while they are not all known yet.
    pub(super) fn succeeded(&mut self, attempt: &Attempt, limits: Limits) {
        let age_us = attempt.time.since_us(self.last);
        let is_from_it = |attempt: &Attempt| attempt.ip.is_some_and(|ip| self.ips.contains(&ip));
        if age_us > limits.success_us || !(is_from_it(attempt) || age_us <= limits.window_us || self.failures == 0) {
            return;
        }
        if self.successes.len() >= SUCCESSES_MAX {
            let ips = &self.ips;
            self.successes.retain(|kept| kept.ip.is_some_and(|ip| ips.contains(&ip)));
        }
        if self.successes.len() < SUCCESSES_MAX {
            self.successes.push(attempt.clone());
        }
    }

    /// The hour after, or around, it.
    pub(super) fn absorb(&mut self, other: Self) {
        self.last = self.last.max(other.last);
        self.failures += other.failures;
        self.outages += other.outages;
        self.locked.extend(other.locked);
        self.hour = match (self.hour, other.hour) {
            (Some(one), Some(two)) => Some(if two.0 > one.0 { two } else { one }),
            (one, two) => one.or(two),
        };
        for (user, count) in other.users {
            if self.users.len() < COUNTED_MAX || self.users.contains_key(&user) {
                *self.users.entry(user).or_default() += count;
            }
        }
        let room = COUNTED_MAX.saturating_sub(self.ips.len());
        self.ips.extend(other.ips.into_iter().take(room));
        let room = FAILURES_SHOWN_MAX.saturating_sub(self.evidence.len());
        self.evidence.extend(other.evidence.into_iter().take(room));
        let room = SUCCESSES_MAX.saturating_sub(self.successes.len());
        self.successes.extend(other.successes.into_iter().take(room));
    }

    pub(super) fn finding(&self, limits: Limits, cold_users: Option<usize>) -> Option<Finding> {
        let mut evidence = self.evidence.iter().cloned();
        let mut finding = Finding::new(&META, Severity::High, evidence.next()?)
            .titled("count", self.users.len().to_string())
            .titled("addresses", self.ips.len().to_string())
            .sure(if self.peak.0 > 0 { 0.9 } else { 0.6 });
        finding = self.reasons(limits).into_iter().fold(finding, Finding::because);
        let mut severity = Severity::High;
        if self.outages >= self.failures {
            severity = severity.lowered();
            finding = finding.because(Reason::new("outage", -4.0, [("count", self.outages.to_string())]));
        }
        if let Some(known) = cold_users {
            severity = severity.lowered();
            finding = finding.because(Reason::new("cold", -1.0, [("known", known.to_string())]));
        }
        let (entered, proven) = (self.found(SignIn::Ok), self.found(SignIn::PasswordProven));
        if !entered.is_empty() {
            severity = severity.raised();
        }
        for (code, weight, found) in [("then-success", 12.0, &entered), ("password-proven", 8.0, &proven)] {
            if !found.is_empty() {
                let users: Vec<&str> = found.keys().copied().take(SENTENCE_USERS_MAX).collect();
                let args = [("count", found.len().to_string()), ("users", users.join(", "))];
                finding = finding.because(Reason::new(code, weight, args));
            }
        }
        finding.severity = severity;
        let victims: BTreeSet<&str> = entered.keys().chain(proven.keys()).copied().collect();
        for user in victims.iter().take(NAMED_MAX) {
            finding = finding.about(Entity::user(user), Role::Victim);
        }
        for user in self.users.keys().filter(|user| !victims.contains(user.as_ref())).take(NAMED_MAX) {
            finding = finding.about(Entity::user(user), Role::Target);
        }
        // Addresses that found a password are named before the others.
        let finders = entered.values().chain(proven.values()).filter_map(|success| success.ip);
        for ip in finders.chain(self.ips.iter().copied()).take(NAMED_MAX) {
            finding = finding.about(Entity::ip(ip), Role::Source);
        }
        let more = self.failures.saturating_sub(self.evidence.len() as u64);
        finding = evidence.fold(finding, Finding::proved_by).and_more(more);
        let successes = entered.values().chain(proven.values()).take(SUCCESSES_SHOWN_MAX);
        Some(successes.fold(finding, |finding, success| finding.proved_by(success.evidence.clone())))
    }

    fn reasons(&self, limits: Limits) -> Vec<Reason> {
        let minutes = || ("minutes", (limits.window_us / Time::MINUTE_US).to_string());
        let mut reasons = Vec::new();
        if self.peak.0 >= limits.users_min && self.peak.1 >= limits.addresses_min {
            let (users, addresses) = (self.peak.0.to_string(), self.peak.1.to_string());
            let weight = (self.peak.0 as f64).min(20.0);
            reasons.push(Reason::new("burst", weight, [("users", users), ("addresses", addresses), minutes()]));
        }
        if self.peak_locked >= limits.lockouts_min {
            let (count, peak) = (self.locked.len().to_string(), self.peak_locked.to_string());
            reasons.push(Reason::new("lockouts", 6.0, [("count", count), ("peak", peak), minutes()]));
        }
        if let Some((users, z)) = self.hour {
            reasons.push(Reason::new("busy-hour", 6.0, [("users", users.to_string()), ("z", format!("{z:.1}"))]));
        }
        let most = self.users.values().max().copied().unwrap_or(0);
        if most <= 10 {
            reasons.push(Reason::new("few-each", 2.0, [("max", most.to_string())]));
        }
        reasons
    }

    /// The first success of this class of each user from one of its addresses.
    fn found(&self, class: SignIn) -> BTreeMap<&str, &Attempt> {
        let mut found: BTreeMap<&str, &Attempt> = BTreeMap::new();
        for success in self.successes.iter().filter(|success| success.class == class) {
            if success.ip.is_some_and(|ip| self.ips.contains(&ip)) {
                found.entry(&success.user).or_insert(success);
            }
        }
        found
    }
}
