//! Traces removed by a suspect (MBX-048, MBX-049): sent mail deleted again, warnings deleted, mail purged in bulk.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::SaasView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, EventBatch, Finding, Fold, Parameter, Reason, ReasonText, Scan, Severity, Stage,
    Table, Text, Time,
};

use crate::base::{Deeds, DeedsBySuspect, dictionary};

/// The analytic.
pub struct TracesRemoved;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/traces-removed",
    catalogue: &["MBX-048", "MBX-049"],
    title: Text::new(
        "Mail of {user} deleted from a suspicious session ({count})",
        "不審なセッションから {user} のメールが削除（{count} 通）",
    ),
    question: Text::new(
        "Which messages did an intruder delete, and what were they about?",
        "侵入者はどのメールを削除し、それは何に関するものだったか。",
    ),
    stage: Stage::DefenseEvasion,
    attack: &["T1070.008"],
    scans: &[Scan {
        table: Table::Saas,
        columns: &["mailbox", "subject", "session_uid", "user_type", "status_id"],
        partition_by: &["mailbox"],
    }],
    parameters: &[
        Parameter {
            name: "sent_minutes",
            default: 60.0,
            reason: "the catalogue: traces of a fraud go within the hour",
        },
        Parameter {
            name: "deletes_per_hour_min",
            default: 50.0,
            reason: "the catalogue: a person clears a few at a time",
        },
    ],
    reasons: &[
        ReasonText::new(
            "own-mail",
            "mail sent less than an hour before: {subjects}",
            "1 時間以内に送信されたばかりのメール: {subjects}",
        ),
        ReasonText::new(
            "replies",
            "answers to mail that was sent before: {subjects}",
            "送信したメールへの返信: {subjects}",
        ),
        ReasonText::new("warnings", "warnings about the account: {subjects}", "アカウントに関する警告: {subjects}"),
        ReasonText::new("bulk", "{count} deletions within an hour", "1 時間以内に {count} 件の削除"),
    ],
};

/// Subjects of sent mail remembered; the oldest hour goes first.
const SENT_MAX: usize = 200_000;
/// Subjects remembered of one suspect.
const SUBJECTS_MAX: usize = 1_000;
/// Subjects told.
const TOLD_MAX: usize = 5;

impl Analytic for TracesRemoved {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small documented parameters")]
        let (sent_us, bulk_min) =
            ((parameter("sent_minutes") * 60e6) as i64, parameter("deletes_per_hour_min") as usize);
        Box::new(Removals {
            context: context.clone(),
            sent_us,
            bulk_min,
            sent: BTreeMap::new(),
            removed: DeedsBySuspect::default(),
        })
    }
}

#[derive(Debug, Default)]
struct Removed {
    own: BTreeSet<String>,
    replies: BTreeSet<String>,
    warnings: BTreeSet<String>,
    hour: Vec<Time>,
    peak: usize,
}

struct Removals {
    context: Context,
    sent_us: i64,
    bulk_min: usize,
    /// When a mailbox last sent a subject.
    sent: BTreeMap<(String, String), Time>,
    removed: DeedsBySuspect<Removed>,
}

impl Fold for Removals {
    fn batch(&mut self, batch: &EventBatch) {
        let row = SaasView::new(batch);
        for index in 0..batch.rows() {
            let operation = row.api_operation.get(index).unwrap_or_default();
            let subject = row.own.subject.get(index).unwrap_or_default();
            let mailbox = row.own.mailbox.get(index).or_else(|| row.user_name.get(index)).unwrap_or_default();
            match operation {
                "Send" | "SendAs" | "SendOnBehalf" if !subject.is_empty() => {
                    self.remember(mailbox, subject, row.time.get(index));
                }
                "HardDelete" | "SoftDelete" | "MoveToDeletedItems" => self.deleted(&row, index, mailbox, subject),
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.removed.iter().filter_map(|deeds| judge(deeds, self.bulk_min)).collect()
    }
}

impl Removals {
    fn remember(&mut self, mailbox: &str, subject: &str, time: Time) {
        if self.sent.len() >= SENT_MAX {
            let sent_us = self.sent_us;
            self.sent.retain(|_, sent| time.since_us(*sent) <= sent_us);
        }
        if self.sent.len() < SENT_MAX {
            self.sent.insert((mailbox.to_owned(), thread(subject)), time);
        }
    }

    fn deleted(&mut self, row: &SaasView<'_>, index: usize, mailbox: &str, subject: &str) {
        let time = row.time.get(index);
        let sent = self.sent.get(&(mailbox.to_owned(), thread(subject)));
        let is_traced = !subject.is_empty() && sent.is_some_and(|sent| time.since_us(*sent) <= self.sent_us);
        let Some(deeds) = self.removed.of(Table::Saas, row, index, subject, &self.context) else { return };
        let removed = &mut deeds.notes;
        removed.hour.retain(|earlier| time.since_us(*earlier) < Time::HOUR_US);
        if removed.hour.len() < SUBJECTS_MAX {
            removed.hour.push(time);
        }
        removed.peak = removed.peak.max(removed.hour.len());
        let list = if is_traced && is_reply(subject) {
            &mut removed.replies
        } else if is_traced {
            &mut removed.own
        } else if !dictionary().security_words(subject).is_empty() || is_notice(subject) {
            &mut removed.warnings
        } else {
            return;
        };
        if list.len() < SUBJECTS_MAX {
            list.insert(subject.to_owned());
        }
    }
}

/// What stands before a subject in an answer or a copy, lower case.
const PREFIXES: [&str; 10] = ["re:", "fw:", "fwd:", "aw:", "wg:", "sv:", "tr:", "rv:", "返信:", "転送:"];

/// The subject without what answers put before it.
fn thread(subject: &str) -> String {
    let mut rest = subject.trim().to_lowercase();
    while let Some(bare) = PREFIXES.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        rest = bare.trim_start().to_owned();
    }
    rest
}

fn is_reply(subject: &str) -> bool {
    let lower = subject.trim().to_lowercase();
    PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}

/// Words of Microsoft's own notices that the list of warnings lacks.
fn is_notice(subject: &str) -> bool {
    const WORDS: [&str; 8] = [
        "security info",
        "new sign-in",
        "new device",
        "multi-factor",
        "undeliverable",
        "セキュリティ情報",
        "新しいサインイン",
        "配信不能",
    ];
    let lower = subject.to_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

/// A suspect who deletes this and that is nothing more than a suspect.
fn judge(deeds: &Deeds<Removed>, bulk_min: usize) -> Option<Finding> {
    let removed = &deeds.notes;
    let lists = [("own-mail", &removed.own), ("replies", &removed.replies), ("warnings", &removed.warnings)];
    let is_bulk = removed.peak >= bulk_min;
    let is_telling = lists.iter().any(|(_, list)| !list.is_empty());
    if !is_bulk && !is_telling {
        return None;
    }
    let mut finding = deeds.finding(&META, if is_telling { Severity::High } else { Severity::Medium });
    for (code, list) in lists {
        if !list.is_empty() {
            let told: Vec<&str> = list.iter().map(String::as_str).take(TOLD_MAX).collect();
            finding = finding.because(Reason::new(code, 3.0, [("subjects", told.join(" / "))]));
        }
    }
    if is_bulk {
        finding = finding.because(Reason::new("bulk", 2.0, [("count", removed.peak.to_string())]));
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, THIEF, break_in, follow, office_days, usage};

    fn act(minute: i64, ip: &str, operation: &str, subject: &str) -> Row {
        let own =
            SaasOwn { mailbox: Some("anna@c.example".into()), subject: Some(subject.into()), ..SaasOwn::default() };
        usage(11 * Time::DAY_US + minute * Time::MINUTE_US, "anna@c.example", ip, operation, own)
    }

    fn codes(acts: Vec<Row>) -> Vec<String> {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..12);
        rows.push(break_in(11 * Time::DAY_US, "anna@c.example"));
        rows.extend(acts);
        let found = follow(&TracesRemoved, rows);
        found.iter().flat_map(|finding| finding.reasons.iter().skip(1).map(|reason| reason.code.clone())).collect()
    }

    #[test]
    fn fraud_mail_its_answers_and_the_warning_are_told_apart() {
        let acts = vec![
            act(1, THIEF, "Send", "Invoice 77"),
            act(2, THIEF, "HardDelete", "Invoice 77"),
            act(30, THIEF, "MoveToDeletedItems", "RE: Invoice 77"),
            act(31, THIEF, "SoftDelete", "New sign-in to your account"),
        ];
        assert_eq!(codes(acts), ["own-mail", "replies", "warnings"]);
    }

    #[test]
    fn two_hours_later_it_is_no_trace_and_the_owner_may_tidy_up() {
        assert!(codes(vec![act(1, THIEF, "Send", "Hello"), act(130, THIEF, "HardDelete", "Hello")]).is_empty());
        let owner = vec![act(1, "192.0.2.1", "Send", "Hello"), act(2, "192.0.2.1", "HardDelete", "Hello")];
        assert!(codes(owner).is_empty());
    }

    #[test]
    fn fifty_in_an_hour_are_bulk() {
        assert_eq!(codes((0..50).map(|n| act(n, THIEF, "HardDelete", &format!("note {n}"))).collect()), ["bulk"]);
    }
}
