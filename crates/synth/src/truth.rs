//! What was planted: the hostile steps that must be found and the benign twins that must not alarm.

use std::collections::BTreeSet;

use matagi_model::{Severity, Time};
use serde::{Deserialize, Serialize};

use crate::plan::{Plan, TakeoverKind};

/// The truth file, `truth.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// [`Truth::SCHEMA`].
    pub schema: String,
    /// The plan that made it.
    pub plan: Plan,
    /// Domains of the company.
    pub domains: BTreeSet<String>,
    /// Each planted takeover.
    pub takeovers: Vec<Takeover>,
    /// Every hostile step, in order of time.
    pub steps: Vec<Step>,
    /// Every benign twin.
    pub twins: Vec<Twin>,
}

impl Truth {
    /// Name and version of this document.
    pub const SCHEMA: &str = "matagi.truth/1";
}

/// One takeover.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// `T1`, `T2`, ...
    pub id: String,
    /// How.
    pub kind: TakeoverKind,
    /// Whose account was used.
    pub victim: String,
    /// Addresses that the actor came from.
    pub actor_ips: BTreeSet<String>,
    /// Sessions that the actor used.
    pub sessions: BTreeSet<String>,
    /// Applications (ids) that the actor brought.
    pub apps: BTreeSet<String>,
    /// First hostile act.
    pub first_time: Time,
    /// From when on the actor held the account.
    pub access_time: Time,
    /// Last hostile act.
    pub last_time: Time,
}

/// One hostile step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `T1-01`.
    pub id: String,
    /// Its takeover.
    pub takeover: String,
    /// What it is, a stable code: `spray`, `hiding-rule`.
    pub what: String,
    /// Catalogue ids; a finding of any one of them finds the step.
    pub catalogue: BTreeSet<String>,
    /// Whose account or mailbox.
    pub user: String,
    /// First record.
    pub time: Time,
    /// Last record.
    pub last_time: Time,
    /// Where the actor came from.
    pub actor_ip: Option<String>,
    /// Session that the actor used.
    pub session: Option<String>,
    /// Ids of its records as they stand in the evidence.
    pub records: Vec<String>,
}

/// Something honest that looks like a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twin {
    /// `B1`, `B2`, ...
    pub id: String,
    /// What it is, a stable code: `business-trip`, `newsletter-rule`.
    pub what: String,
    /// Catalogue ids that must stay below `below` for these users in this time.
    pub forbid: BTreeSet<String>,
    /// A finding of `forbid` at this severity or above is a false alarm.
    pub below: Severity,
    /// Who.
    pub users: BTreeSet<String>,
    /// First record.
    pub time: Time,
    /// Last record.
    pub last_time: Time,
    /// Ids of its records as they stand in the evidence.
    pub records: Vec<String>,
}
