//! The records of one attack on the sign-in of one user, gathered into one finding: counted exactly, kept within bounds.

use std::collections::BTreeSet;

use matagi_model::{AnalyticMeta, Entity, Evidence, Finding, Ip, Reason, Role, Severity, Time, UserProfile};

use super::{is_cold, is_usual_address};

/// Evidence kept of one attack: what came of it must find room beside it.
const KEPT_MAX: usize = 20;
/// Addresses and sessions named by a finding.
const NAMED_MAX: usize = 50;

/// What one attack is made of.
#[derive(Debug, Default)]
pub struct Attack {
    /// Time of the first record.
    pub first: Time,
    /// Time of the last record.
    pub last: Time,
    /// Records.
    pub count: u64,
    ips: BTreeSet<Ip>,
    sessions: BTreeSet<String>,
    evidence: Vec<Evidence>,
}

impl Attack {
    /// Adds the next record.
    pub fn take(&mut self, time: Time, ip: Option<Ip>, session: Option<String>, evidence: Evidence) {
        if self.count == 0 {
            self.first = time;
        }
        self.last = time;
        self.count += 1;
        if self.ips.len() < NAMED_MAX {
            self.ips.extend(ip);
        }
        if self.sessions.len() < NAMED_MAX {
            self.sessions.extend(session);
        }
        if self.evidence.len() < KEPT_MAX {
            self.evidence.push(evidence);
        }
    }

    /// Whether it came, in part, from the network of an address.
    pub fn is_from_network_of(&self, ip: Ip) -> bool {
        self.ips.iter().any(|known| known.place() == ip.place())
    }

    /// Whether all of it came from places of the user's own.
    pub fn is_at_usual_places(&self, habits: Option<&UserProfile>) -> bool {
        let is_usual = |ip: &Ip| habits.is_some_and(|profile| is_usual_address(profile, *ip, self.first));
        !self.ips.is_empty() && self.ips.iter().all(is_usual)
    }

    /// The finding about it, with its first record. Severity and the rest follow with [`Self::conclude`].
    pub fn begin(&self, meta: &AnalyticMeta, user: &str) -> Finding {
        let first = self.evidence.first().expect("an attack has records").clone();
        Finding::new(meta, Severity::High, first).titled("user", user).about(Entity::user(user), Role::Victim)
    }

    /// The finding with its other records, addresses and sessions. What happens at the user's own place (reason
    /// `own-place` of the analytic) is low; what happens to a user without history is one step milder.
    pub fn conclude(
        &self,
        mut finding: Finding,
        severity: Severity,
        user: &str,
        is_own_place: bool,
        habits: Option<&UserProfile>,
    ) -> Finding {
        finding.severity = severity;
        if is_own_place {
            finding.severity = Severity::Low;
            finding = finding.because(Reason::new("own-place", -4.0, [("user", user.to_owned())]));
        } else if habits.is_none_or(|profile| is_cold(profile, self.first)) {
            finding.severity = severity.lowered();
            finding = finding.because(Reason::new("cold", -1.0, [("user", user.to_owned())]));
        }
        let kept = self.evidence.len() as u64;
        let rest = self.evidence.iter().skip(1).cloned();
        finding = rest.fold(finding, Finding::proved_by).and_more(self.count.saturating_sub(kept));
        let role = if is_own_place { Role::Context } else { Role::Source };
        finding = self.ips.iter().fold(finding, |finding, ip| finding.about(Entity::ip(*ip), role));
        self.sessions.iter().fold(finding, |finding, session| finding.about(Entity::session(session), role))
    }
}
