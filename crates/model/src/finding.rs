//! A finding: something an analytic concluded, with the records that prove it and the reasons that weigh it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::tables::CommonView;
use crate::{AnalyticMeta, Entity, Ip, Role, Severity, Stage, Table, Text, Time, Uid};

/// The record that proves something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// Identity of the record.
    pub event_uid: Uid,
    /// Table that holds it.
    pub table: Table,
    /// When it happened.
    pub time: Time,
    /// Where it was read.
    pub origin: Origin,
    /// What it says, in the record's own words and no language: operation, who, from where, the telling fields.
    pub fact: String,
}

/// File and record that a row was read from.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// File; inside an archive `outer.zip!inner.csv`.
    pub path: String,
    /// Position of the record in it, from 1.
    pub record: u64,
}

impl Evidence {
    /// The columns that a scan must name for [`Evidence::of`] to work.
    pub const COLUMNS: [&'static str; 7] =
        ["time", "event_uid", "api_operation", "user_name", "src_ip", "source_path", "source_record"];

    /// Evidence of one row: operation, user and address, then `details` behind them.
    pub fn of(table: Table, row: &CommonView<'_>, index: usize, details: &str) -> Self {
        let operation = row.api_operation.get(index).unwrap_or("event");
        let fact = Self::fact(operation, row.user_name.get(index), row.src_ip.get(index), details);
        Self {
            event_uid: row.event_uid.get(index),
            table,
            time: row.time.get(index),
            origin: Origin {
                path: row.source_path.get(index).unwrap_or_default().to_owned(),
                record: row.source_record.get(index).unwrap_or_default(),
            },
            fact,
        }
    }

    /// What a record says: operation, user, address, then `details`, as far as they are there.
    pub fn fact(operation: &str, user: Option<&str>, ip: Option<Ip>, details: &str) -> String {
        let ip = ip.map(|ip| ip.to_string());
        let parts = [Some(operation), user, ip.as_deref(), Some(details).filter(|details| !details.is_empty())];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
    }
}

/// Why a finding weighs what it weighs. The sentence is in the analytic's [`AnalyticMeta::reasons`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Code within the analytic.
    pub code: String,
    /// Arguments of the sentence.
    pub args: BTreeMap<String, String>,
    /// Points it adds; negative for what speaks against.
    pub weight: f64,
}

impl Reason {
    /// A reason with its arguments.
    pub fn new<const N: usize>(code: &str, weight: f64, args: [(&str, String); N]) -> Self {
        let args = args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { code: code.to_owned(), args, weight }
    }
}

/// Something an analytic concluded. Cannot exist without evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Id of the analytic, such as `mailbox/hiding-rule` or `sigma/<rule id>`.
    pub analytic: String,
    /// Catalogue ids, such as `MBX-022`.
    pub catalogue: Vec<String>,
    /// What it says, with `{name}` for arguments.
    pub title: Text,
    /// Arguments of the title.
    pub title_args: BTreeMap<String, String>,
    /// How bad.
    pub severity: Severity,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// Part of a takeover that it belongs to.
    pub stage: Stage,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// Reasons, in the order in which they are told.
    pub reasons: Vec<Reason>,
    entities: BTreeSet<(Entity, Role)>,
    evidence: Vec<Evidence>,
    /// Records that it stands on; at least `evidence().len()`, more when the evidence kept is a sample.
    pub evidence_count: u64,
}

impl Finding {
    /// Evidence records kept with a finding; the rest is counted.
    pub const EVIDENCE_MAX: usize = 50;

    /// A finding of a Rust analytic, with its first proof.
    pub fn new(meta: &AnalyticMeta, severity: Severity, evidence: Evidence) -> Self {
        Self {
            analytic: meta.id.to_owned(),
            catalogue: meta.catalogue.iter().map(|&id| id.to_owned()).collect(),
            title: meta.title.clone(),
            title_args: BTreeMap::new(),
            severity,
            confidence: 0.8,
            stage: meta.stage,
            techniques: meta.attack.iter().map(|&id| id.to_owned()).collect(),
            reasons: Vec::new(),
            entities: BTreeSet::new(),
            evidence: vec![evidence],
            evidence_count: 1,
        }
    }

    /// Adds an entity.
    #[must_use]
    pub fn about(mut self, entity: Entity, role: Role) -> Self {
        self.entities.insert((entity, role));
        self
    }

    /// Adds a reason.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reasons.push(reason);
        self
    }

    /// Adds proof.
    #[must_use]
    pub fn proved_by(mut self, evidence: Evidence) -> Self {
        self.evidence_count += 1;
        if self.evidence.len() < Self::EVIDENCE_MAX {
            self.evidence.push(evidence);
        }
        self
    }

    /// Says that so many further records, not kept, say the same.
    #[must_use]
    pub fn and_more(mut self, records: u64) -> Self {
        self.evidence_count += records;
        self
    }

    /// Fills an argument of the title.
    #[must_use]
    pub fn titled(mut self, name: &str, value: impl Into<String>) -> Self {
        self.title_args.insert(name.to_owned(), value.into());
        self
    }

    /// Says how sure it is, 0 to 1.
    #[must_use]
    pub fn sure(mut self, confidence: f64) -> Self {
        self.confidence = confidence.clamp(0.0, 1.0);
        self
    }

    /// Proof; never empty.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }

    /// Entities with their roles, sorted.
    pub fn entities(&self) -> impl Iterator<Item = (&Entity, Role)> {
        self.entities.iter().map(|(entity, role)| (entity, *role))
    }

    /// Values of the entities of one kind, sorted, whatever their role.
    pub fn values(&self, kind: crate::EntityKind) -> impl Iterator<Item = &str> {
        self.entities.iter().filter(move |(entity, _)| entity.kind == kind).map(|(entity, _)| entity.value.as_str())
    }

    /// First known time of its evidence.
    pub fn first_time(&self) -> Time {
        self.evidence.iter().map(|evidence| evidence.time).filter(|time| time.is_known()).min().unwrap_or(Time::UNKNOWN)
    }

    /// Last known time of its evidence.
    pub fn last_time(&self) -> Time {
        self.evidence.iter().map(|evidence| evidence.time).max().unwrap_or(Time::UNKNOWN)
    }

    /// Sum of the reasons' weights.
    pub fn score(&self) -> f64 {
        self.reasons.iter().map(|reason| reason.weight).sum()
    }

    /// Stable id: the same conclusion about the same entities from the same first record has the same id.
    pub fn id(&self) -> String {
        let mut parts: Vec<Vec<u8>> = vec![b"finding".to_vec(), self.analytic.clone().into_bytes()];
        parts.extend(self.entities.iter().map(|(entity, role)| format!("{entity}/{}", role.word()).into_bytes()));
        let first = self.evidence.iter().min().map_or_else(Uid::default, |evidence| evidence.event_uid);
        parts.push(first.0.to_vec());
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let uid = Uid::of(&parts).to_string();
        format!("F-{}", uid.get(..10).unwrap_or_default())
    }
}
