//! Mail read in a burst from a new place (MBX-040), counted in distinct messages, not in records.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use matagi_model::tables::SaasView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Parameter, Reason,
    ReasonText, Role, Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{Surroundings, surroundings};

/// The analytic.
pub struct MailReadBurst;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/mail-read-burst",
    catalogue: &["MBX-040"],
    title: Text::new(
        "{count} messages of {mailbox} read from {from}",
        "{from} から {mailbox} のメール {count} 通が閲覧された",
    ),
    question: Text::new(
        "Whose mail was read in bulk, from where, and which messages?",
        "誰のメールが、どこから、どれだけまとめて読まれたか。",
    ),
    stage: Stage::Collection,
    attack: &["T1114.002"],
    scans: &[Scan {
        table: Table::Saas,
        columns: &[
            "mailbox",
            "access_type",
            "is_throttled",
            "folders",
            "message_uids",
            "item_count",
            "client_app_uid",
            "app_uid",
            "status_id",
            "user_type",
            "src_country",
            "src_asn",
            "src_latitude",
            "src_longitude",
            "user_agent",
            "session_uid",
        ],
        partition_by: &["mailbox"],
    }],
    parameters: &[
        Parameter {
            name: "messages_new_place_min",
            default: 10.0,
            reason: "distinct messages in an hour: a person on a journey opens a handful",
        },
        Parameter { name: "messages_hour_min", default: 50.0, reason: "more than a person reads in an hour" },
        Parameter {
            name: "deviations",
            default: 3.0,
            reason: "median absolute deviations above the mailbox's busiest ordinary hours",
        },
    ],
    reasons: &[
        ReasonText::new(
            "messages",
            "{count} distinct messages within {hours} separate hours, {peak} in the busiest",
            "延べ {hours} つの時間帯で {count} 通（最大 1 時間あたり {peak} 通）",
        ),
        ReasonText::new(
            "usual",
            "the busiest ordinary hour of this mailbox has {usual}",
            "このメールボックスの平常時の最大は 1 時間あたり {usual} 通です",
        ),
        ReasonText::new(
            "folders",
            "folders synchronised as a whole: {folders}",
            "フォルダー全体が同期されています: {folders}",
        ),
        ReasonText::new(
            "throttled",
            "the service stopped recording single messages: the true count is higher",
            "サービス側の記録制限により、実際の件数はこれより多くなります",
        ),
    ],
};

impl Analytic for MailReadBurst {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Readings { context: context.clone(), mailboxes: BTreeMap::new() })
    }
}

/// Messages remembered by one reader of one mailbox, to count distinct ones. Beyond it the count is a lower bound.
const MESSAGES_MAX: usize = 200_000;
/// Readers of one mailbox.
const READERS_MAX: usize = 500;
/// Evidence kept of one reader.
const KEPT_MAX: usize = 12;

#[derive(Default)]
struct Mailbox {
    readers: BTreeMap<String, Reader>,
}

/// One place (or session at a new place) from which a mailbox was read.
struct Reader {
    around: Option<Surroundings>,
    is_new: bool,
    session: Option<String>,
    messages: BTreeSet<u64>,
    hours: BTreeMap<i64, u32>,
    hour_seen: (i64, BTreeSet<u64>),
    folders: BTreeSet<String>,
    is_throttled: bool,
    evidence: Vec<Evidence>,
    records: u64,
}

struct Readings {
    context: Context,
    mailboxes: BTreeMap<String, Mailbox>,
}

impl Fold for Readings {
    fn batch(&mut self, batch: &EventBatch) {
        let row = SaasView::new(batch);
        for index in 0..batch.rows() {
            if row.api_operation.get(index) != Some("MailItemsAccessed") || row.status_id.get(index) == Some(2) {
                continue;
            }
            let Some(mailbox) = row.own.mailbox.get(index).or_else(|| row.user_name.get(index)) else { continue };
            let around = surroundings(&row, index, &self.context);
            let is_new = around.as_ref().is_some_and(Surroundings::is_new_place);
            let session = row.session_uid.get(index).filter(|_| is_new).map(str::to_owned);
            let key = match (&session, &around) {
                (Some(session), _) => format!("session {session}"),
                (None, Some(around)) if is_new => format!("address {}", around.place.ip),
                _ => "usual".to_owned(),
            };
            let readers = &mut self.mailboxes.entry(mailbox.to_owned()).or_default().readers;
            if readers.len() >= READERS_MAX && !readers.contains_key(&key) {
                continue;
            }
            let reader = readers.entry(key).or_insert_with(|| Reader::new(around, is_new, session));
            let is_sync = row.own.access_type.get(index) == Some("Sync");
            let folders = row.own.folders.get(index);
            let messages = row.own.message_uids.get(index);
            let told = format!("{} messages in {}", messages.len(), folders.join(", "));
            if is_sync {
                reader.folders.extend(folders);
            }
            reader.is_throttled |= row.own.is_throttled.get(index) == Some(true);
            reader.read(row.time.get(index), &messages);
            if reader.evidence.len() < KEPT_MAX {
                reader.evidence.push(Evidence::of(Table::Saas, &row, index, &told));
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let parameter = |name| META.parameter(name, &self.context.settings);
        let (new_min, hour_min, deviations) =
            (parameter("messages_new_place_min"), parameter("messages_hour_min"), parameter("deviations"));
        let mut findings = Vec::new();
        for (name, mailbox) in &self.mailboxes {
            let usual = mailbox.readers.get("usual").map_or(0.0, |reader| busiest_ordinary(&reader.hours, deviations));
            for reader in mailbox.readers.values() {
                let peak = reader.hours.values().max().copied().unwrap_or(0);
                let is_burst = if reader.is_new {
                    f64::from(peak) >= new_min
                } else {
                    // One burst a mailbox never made before, against at least a week of its own hours.
                    reader.hours.len() >= 24 && f64::from(peak) > hour_min.max(usual)
                };
                if is_burst {
                    findings.push(reader.finding(name, peak, usual));
                }
            }
        }
        findings
    }
}

/// What the busiest of ordinary hours look like: the 99th percentile plus so many median absolute deviations.
fn busiest_ordinary(hours: &BTreeMap<i64, u32>, deviations: f64) -> f64 {
    let mut counts: Vec<u32> = hours.values().copied().collect();
    counts.sort_unstable();
    let Some(&top) = counts.get((counts.len() * 99 / 100).min(counts.len().saturating_sub(2))) else { return 0.0 };
    let median = counts[counts.len() / 2];
    let mut spread: Vec<u32> = counts.iter().map(|count| count.abs_diff(median)).collect();
    spread.sort_unstable();
    f64::from(top) + deviations * f64::from(spread[spread.len() / 2])
}

impl Reader {
    fn new(around: Option<Surroundings>, is_new: bool, session: Option<String>) -> Self {
        Self {
            around,
            is_new,
            session,
            messages: BTreeSet::new(),
            hours: BTreeMap::new(),
            hour_seen: (i64::MIN, BTreeSet::new()),
            folders: BTreeSet::new(),
            is_throttled: false,
            evidence: Vec::new(),
            records: 0,
        }
    }

    fn read(&mut self, time: Time, messages: &[String]) {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let hour = time.as_micros().div_euclid(Time::HOUR_US);
        if self.hour_seen.0 != hour {
            self.hour_seen = (hour, BTreeSet::new());
        }
        self.records += 1;
        for message in messages {
            let hash = hasher.hash_one(message);
            // Habits need only the counts; which messages matters where a stranger reads.
            if self.is_new && self.messages.len() < MESSAGES_MAX {
                self.messages.insert(hash);
            }
            if self.hour_seen.1.len() < MESSAGES_MAX && self.hour_seen.1.insert(hash) {
                *self.hours.entry(hour).or_default() += 1;
            }
        }
    }

    fn finding(&self, mailbox: &str, peak: u32, usual: f64) -> Finding {
        let count = if self.is_new { self.messages.len() as u64 } else { u64::from(peak) };
        let severity = if self.is_new { Severity::High } else { Severity::Medium };
        let mut evidence = self.evidence.iter().cloned();
        let from = self.around.as_ref().map_or_else(|| "-".to_owned(), |around| around.place.ip.to_string());
        let mut finding = Finding::new(&META, severity, evidence.next().expect("a reader has records"))
            .titled("count", count.to_string())
            .titled("mailbox", mailbox)
            .titled("from", from)
            .about(Entity::mailbox(mailbox), Role::Victim)
            .because(Reason::new(
                "messages",
                4.0,
                [("count", count.to_string()), ("hours", self.hours.len().to_string()), ("peak", peak.to_string())],
            ));
        if usual > 0.0 {
            finding = finding.because(Reason::new("usual", 1.0, [("usual", format!("{usual:.0}"))]));
        }
        if let Some(around) = self.around.as_ref().filter(|_| self.is_new) {
            finding =
                finding.about(Entity::user(&around.user), Role::Actor).about(Entity::ip(around.place.ip), Role::Source);
            finding = around.reasons().into_iter().fold(finding, Finding::because);
            if let Some(reason) = around.owner_reason() {
                finding.severity = finding.severity.lowered().lowered();
                finding = finding.because(reason);
            }
            if around.is_cold() {
                finding.severity = finding.severity.lowered();
                finding = finding.because(Reason::new("cold", -1.0, [("user", around.user.clone())]));
            }
        }
        if let Some(session) = &self.session {
            finding = finding.about(Entity::new(EntityKind::Session, session), Role::Source);
        }
        if !self.folders.is_empty() && self.is_new {
            let folders: Vec<&str> = self.folders.iter().map(String::as_str).take(8).collect();
            finding = finding.because(Reason::new("folders", 2.0, [("folders", folders.join(", "))]));
        }
        if self.is_throttled {
            finding = finding.because(Reason::new("throttled", 0.0, []));
        }
        let kept = self.evidence.len() as u64;
        evidence.fold(finding, Finding::proved_by).and_more(self.records.saturating_sub(kept))
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, office_days, run, usage};

    fn bind(offset: i64, ip: &str, first: u64, count: u64) -> Row {
        let own = SaasOwn {
            mailbox: Some("anna@c.example".into()),
            access_type: Some("Bind".into()),
            message_uids: (first..first + count).map(|n| format!("<{n}@x>")).collect(),
            ..SaasOwn::default()
        };
        usage(offset, "anna@c.example", ip, "MailItemsAccessed", own)
    }

    #[test]
    fn thirty_messages_from_a_new_address_but_the_same_ten_records_once() {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..12);
        let late = 11 * Time::DAY_US;
        rows.extend(
            (0..3).map(|n| bind(late + n * Time::MINUTE_US, "198.51.100.7", u64::try_from(n).unwrap() * 10, 10)),
        );
        rows.push(bind(late + 5 * Time::MINUTE_US, "198.51.100.7", 0, 10));
        let found = run(&MailReadBurst, rows);
        assert_eq!((found.len(), found[0].severity, found[0].title_args["count"].as_str()), (1, Severity::High, "30"));
    }

    #[test]
    fn reading_at_the_office_is_nothing() {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..12);
        rows.extend((0..12).map(|day| bind(day * Time::DAY_US + 10 * Time::HOUR_US, "192.0.2.1", 0, 40)));
        assert!(run(&MailReadBurst, rows).is_empty());
    }
}
