//! An incident: the findings that belong together, told as one story.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Entity, Reason, Role, Severity, Time};

/// Part of a mailbox takeover, in the order in which it usually happens (the groups A to F of the catalogue).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A: getting the password, the token or the consent.
    CredentialAcquisition,
    /// B: using the account as somebody else.
    InitialAccess,
    /// C: rules, delegation, consent, accounts: staying in and steering mail.
    Persistence,
    /// D: reading and taking.
    Collection,
    /// E: fraud in the victim's name, spreading.
    Fraud,
    /// F: switching off audit and protection.
    DefenseEvasion,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 6] = [
        Self::CredentialAcquisition,
        Self::InitialAccess,
        Self::Persistence,
        Self::Collection,
        Self::Fraud,
        Self::DefenseEvasion,
    ];

    /// The word that stands in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CredentialAcquisition => "credential_acquisition",
            Self::InitialAccess => "initial_access",
            Self::Persistence => "persistence",
            Self::Collection => "collection",
            Self::Fraud => "fraud",
            Self::DefenseEvasion => "defense_evasion",
        }
    }
}

/// When a stage was seen, and by which findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStep {
    /// Which.
    pub stage: Stage,
    /// First known time.
    pub first_time: Time,
    /// Findings of this stage.
    pub findings: Vec<String>,
}

/// Something to do, in order. The sentence is in the report's texts, scope `next-step`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NextStep {
    /// Code: `revoke-sessions`, `remove-inbox-rule`.
    pub code: String,
    /// Arguments of the sentence.
    pub args: BTreeMap<String, String>,
    /// Command that does it, ready to paste, where there is one.
    pub command: Option<String>,
}

/// One line of the narrative or timeline. The sentence is in the report's texts or the analytic's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// Scope in the phrasebook: `incident` or an analytic's id.
    pub scope: String,
    /// Code.
    pub code: String,
    /// Arguments.
    pub args: BTreeMap<String, String>,
}

impl Sentence {
    /// A sentence of the scope `incident`.
    pub fn new<const N: usize>(code: &str, args: [(&str, String); N]) -> Self {
        let args = args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { scope: "incident".to_owned(), code: code.to_owned(), args }
    }
}

/// What of a mailbox was read by the actor, as far as the evidence shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// Whose mailbox.
    pub mailbox: String,
    /// Distinct messages read one by one.
    pub messages: u64,
    /// Message ids, at most [`Exposure::MESSAGES_MAX`].
    pub message_uids: Vec<String>,
    /// Folders that were synchronised: to be taken as read whole.
    pub folders: Vec<String>,
    /// Addresses, sessions and applications of the actor that read, at most [`Exposure::READERS_MAX`].
    pub readers: Vec<String>,
    /// `exact`, `lower_bound` (throttled, truncated) or `unknown` (no such events in the evidence).
    pub quality: ExposureQuality,
}

impl Exposure {
    /// Message ids printed with an incident; the count is always exact.
    pub const MESSAGES_MAX: usize = 1_000;
    /// Readers told of one mailbox; more say nothing new.
    pub const READERS_MAX: usize = 20;
}

/// How far an exposure figure can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExposureQuality {
    /// Every read was recorded.
    Exact,
    /// At least this much.
    LowerBound,
    /// The evidence has no such events: unknown, not zero.
    Unknown,
}

/// Findings that belong together. Made only by the correlation; its score is the sum of its printed reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Stable id, `I-` and ten hexadecimal digits, of the oldest finding.
    pub id: String,
    /// What happened.
    pub title: Sentence,
    /// How bad.
    pub severity: Severity,
    /// Sum of `reasons`, 0 to 100.
    pub score: f64,
    /// Why.
    pub reasons: Vec<Reason>,
    /// First known time.
    pub first_time: Time,
    /// Last known time.
    pub last_time: Time,
    /// Entities of all findings with their roles.
    pub entities: BTreeSet<(Entity, Role)>,
    /// Ids of the findings, in order of time.
    pub findings: Vec<String>,
    /// Stages seen, in order of time.
    pub stages: Vec<StageStep>,
    /// What was left behind that still works for the attacker: rules, consents, delegates.
    pub left_behind: Vec<Sentence>,
    /// What was read.
    pub exposure: Vec<Exposure>,
    /// The story, in order.
    pub narrative: Vec<Sentence>,
    /// What to do, in order.
    pub next_steps: Vec<NextStep>,
}
