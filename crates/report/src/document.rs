//! The contract `matagi.hunt/1`: what a hunt found, in one language, as plain data.
//!
//! Everything that shows a hunt (JSON, page, terminal, API) reads this and nothing else, so they cannot disagree.
//! Additions are free; a change of meaning bumps [`SCHEMA`]. Texts are as hostile as the evidence that they quote:
//! whoever prints them cleans them first (`crate::visible`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use matagi_model::{
    AddressFacts, Coverage, CoverageState, EntityKind, ExposureQuality, Finding, Incident, Note, Origin, Role,
    Severity, Stage, Time, Uid,
};
use serde::{Deserialize, Serialize};

/// Name and version of the contract.
pub const SCHEMA: &str = "matagi.hunt/1";

/// What one input gave.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HuntInput {
    /// File; inside an archive `outer.zip!inner.csv`; `-` is standard input.
    pub path: String,
    /// Format that it was read as, such as `m365-audit`; none where it was not recognised.
    pub format: Option<String>,
    /// `read`, `already-read`, `partial`, `interrupted`, `not-recognised`, `empty` or `failed`.
    pub status: String,
    /// Why it was not read, or not to its end, as a sentence without a final stop.
    #[serde(default)]
    pub detail: Option<String>,
    /// Rows that it added.
    pub rows: u64,
    /// Records that were in the lake already.
    pub duplicates: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// First known time in it.
    pub first_time: Time,
    /// Last known time in it.
    pub last_time: Time,
}

/// What [`crate::document`] is made of.
#[derive(Debug, Clone, Default)]
pub struct Hunt<'a> {
    /// Every input, read or not.
    pub inputs: Vec<HuntInput>,
    /// What the analytics concluded.
    pub findings: &'a [Finding],
    /// What the correlation joined.
    pub incidents: &'a [Incident],
    /// What can and cannot be seen.
    pub coverage: &'a [Coverage],
    /// Facts about single inputs, with the input's path.
    pub notes: Vec<(String, Note)>,
    /// Reference data that was used, of what date and under which licence, one line each.
    pub reference: Vec<String>,
    /// What is known about addresses that findings name, by the address as text.
    pub address_facts: BTreeMap<String, AddressFacts>,
}

/// One hunt, told in one language.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HuntDocument {
    /// [`SCHEMA`].
    pub schema: String,
    /// Language of every text: `en` or `ja`.
    pub lang: String,
    /// Every input, by path.
    pub inputs: Vec<HuntInput>,
    /// Findings, worst first, then in order of time.
    pub findings: Vec<FindingDocument>,
    /// Incidents, highest score first.
    pub incidents: Vec<IncidentDocument>,
    /// What can and cannot be seen, worst first.
    pub coverage: Vec<CoverageDocument>,
    /// Facts about single inputs, by path.
    #[serde(default)]
    pub notes: Vec<NoteDocument>,
    /// Reference data that was used.
    #[serde(default)]
    pub reference: Vec<String>,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingDocument {
    /// `F-` and ten hexadecimal digits.
    pub id: String,
    /// Analytic or rule that made it.
    pub analytic: String,
    /// Catalogue ids, such as `MBX-022`.
    pub catalogue: Vec<String>,
    /// What it says.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// Part of a takeover.
    pub stage: Stage,
    /// Sum of the reasons' weights.
    pub score: f64,
    /// First known time of its evidence.
    pub first_time: Time,
    /// Last known time of its evidence.
    pub last_time: Time,
    /// Entities with their roles.
    pub entities: Vec<EntityDocument>,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// Reasons, in the order in which they are told.
    pub reasons: Vec<ReasonDocument>,
    /// Records that prove it, in order of time.
    pub evidence: Vec<EvidenceDocument>,
    /// Records that it stands on; more than `evidence` holds when that is a sample.
    pub evidence_count: u64,
}

/// An entity and the part it plays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntityDocument {
    /// Kind.
    pub kind: EntityKind,
    /// Canonical value.
    pub value: String,
    /// Part it plays.
    pub role: Role,
    /// What reference data says about it, for addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<AddressFacts>,
}

/// A reason with its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReasonDocument {
    /// Stable code.
    pub code: String,
    /// The sentence.
    pub text: String,
    /// Points it adds; negative for what speaks against.
    pub weight: f64,
}

/// A record that proves something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceDocument {
    /// Identity of the record.
    pub event_uid: Uid,
    /// Table of the lake that holds it.
    pub table: String,
    /// When it happened.
    pub time: Time,
    /// File and record that it was read from.
    pub source: Origin,
    /// What it says.
    pub fact: String,
}

/// Findings that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentDocument {
    /// `I-` and ten hexadecimal digits.
    pub id: String,
    /// What happened.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// Sum of `reasons`, 0 to 100.
    pub score: f64,
    /// First known time.
    pub first_time: Time,
    /// Last known time.
    pub last_time: Time,
    /// Entities of all its findings with their roles.
    pub entities: Vec<EntityDocument>,
    /// Ids of its findings, in order of time.
    pub findings: Vec<String>,
    /// Stages seen, in order of time.
    pub stages: Vec<StageDocument>,
    /// Why this score.
    pub reasons: Vec<ReasonDocument>,
    /// The story, one sentence an item.
    pub narrative: Vec<String>,
    /// What was left behind that still works for the attacker.
    #[serde(default)]
    pub left_behind: Vec<SentenceDocument>,
    /// What was read.
    #[serde(default)]
    pub exposure: Vec<ExposureDocument>,
    /// What to do, in order.
    #[serde(default)]
    pub next_steps: Vec<NextStepDocument>,
    /// The records behind its findings, in order of time; runs of one kind are one line.
    #[serde(default)]
    pub timeline: Vec<TimelineLine>,
    /// Timeline lines that were left out; the findings still hold their records.
    #[serde(default)]
    pub timeline_omitted: u64,
}

/// When a stage was seen, and by which findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageDocument {
    /// Which.
    pub stage: Stage,
    /// Its name.
    pub title: String,
    /// First known time.
    pub first_time: Time,
    /// Findings of this stage.
    pub findings: Vec<String>,
}

/// A sentence with the code behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentenceDocument {
    /// Stable code.
    pub code: String,
    /// The sentence.
    pub text: String,
}

/// What of a mailbox was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureDocument {
    /// Whose mailbox.
    pub mailbox: String,
    /// Distinct messages read one by one.
    pub messages: u64,
    /// Message ids, at most [`matagi_model::Exposure::MESSAGES_MAX`].
    pub message_uids: Vec<String>,
    /// Folders that were synchronised: to be taken as read whole.
    pub folders: Vec<String>,
    /// Addresses, sessions and applications of the actor that read.
    #[serde(default)]
    pub readers: Vec<String>,
    /// How far the figure can be trusted.
    pub quality: ExposureQuality,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStepDocument {
    /// Stable code.
    pub code: String,
    /// The sentence.
    pub text: String,
    /// Command that does it, ready to paste, where there is one.
    pub command: Option<String>,
}

/// One line of an incident's timeline: one record, or a run of records that the same findings stand on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineLine {
    /// Time of the first record.
    pub time: Time,
    /// Time of the last record.
    pub last_time: Time,
    /// Records.
    pub count: u64,
    /// Stage of the worst finding behind it.
    pub stage: Stage,
    /// Severity of the worst finding behind it.
    pub severity: Severity,
    /// What the first record says.
    pub fact: String,
    /// Titles of the findings behind it, worst first, each once.
    pub titles: Vec<String>,
    /// Ids of the findings behind it, worst first.
    pub findings: Vec<String>,
    /// Identity of the first record.
    pub event_uid: Uid,
    /// Where the first record was read.
    pub source: Origin,
}

/// One line of "what we can and cannot see".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageDocument {
    /// Stable code.
    pub code: String,
    /// How well.
    pub state: CoverageState,
    /// The sentence.
    pub text: String,
}

/// A fact about one input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteDocument {
    /// The input.
    pub path: String,
    /// Stable code.
    pub code: String,
    /// The sentence.
    pub text: String,
}

impl HuntDocument {
    /// The document as indented JSON, with every character escaped that could act on a terminal or reorder its text.
    ///
    /// JSON leaves C1 controls, DEL and bidirectional controls as they are; here they are `\u` escapes, which mean
    /// the same to every parser.
    pub fn to_json(&self) -> String {
        // Maps have text keys and numbers that are not finite become null, so nothing here can fail.
        let plain = serde_json::to_string_pretty(self).expect("plain data serialises");
        let mut json = String::with_capacity(plain.len());
        for character in plain.chars() {
            if character != '\n' && crate::visible::is_hidden(character) {
                let mut units = [0_u16; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(json, "\\u{unit:04x}");
                }
            } else {
                json.push(character);
            }
        }
        json
    }

    /// The finding of this id.
    pub fn finding(&self, id: &str) -> Option<&FindingDocument> {
        self.findings.iter().find(|finding| finding.id.eq_ignore_ascii_case(id))
    }

    /// The incident of this id.
    pub fn incident(&self, id: &str) -> Option<&IncidentDocument> {
        self.incidents.iter().find(|incident| incident.id.eq_ignore_ascii_case(id))
    }

    /// First and last known time of all inputs, or of the findings where no input has a time.
    pub fn period(&self) -> (Time, Time) {
        let of_inputs = self.inputs.iter().flat_map(|input| [input.first_time, input.last_time]);
        let of_findings = self.findings.iter().flat_map(|finding| [finding.first_time, finding.last_time]);
        let known = |times: Vec<Time>| {
            let times: Vec<Time> = times.into_iter().filter(|time| time.is_known()).collect();
            Some((*times.iter().min()?, *times.iter().max()?))
        };
        known(of_inputs.collect()).or_else(|| known(of_findings.collect())).unwrap_or_default()
    }
}
