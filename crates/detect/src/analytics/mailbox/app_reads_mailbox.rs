//! An application that reads or sends mail through Graph or EWS (MBX-042): new for the mailbox, or in many at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use matagi_model::tables::SaasView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Parameter, Reason,
    ReasonText, Role, Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{consent, dictionary};

/// The analytic.
pub struct AppReadsMailbox;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/app-reads-mailbox",
    catalogue: &["MBX-042"],
    title: Text::new(
        "Application {app} touches mail in {mailboxes} mailbox(es)",
        "アプリ {app} が {mailboxes} 個のメールボックスのメールにアクセス",
    ),
    question: Text::new(
        "Which applications touch mailboxes, and which of them are new?",
        "メールボックスに触れているアプリはどれか。新しいものはあるか。",
    ),
    stage: Stage::Collection,
    attack: &["T1114.002", "T1550.001"],
    scans: &[
        Scan {
            table: Table::Iam,
            columns: &["entity_type", "entity_name", "entity_uid", "modified", "status_id", "user_type"],
            partition_by: &[],
        },
        Scan {
            table: Table::Saas,
            columns: &[
                "mailbox",
                "client_info",
                "client_app_uid",
                "app_uid",
                "app_name",
                "message_uids",
                "status_id",
                "user_type",
                "access_type",
                "subject",
            ],
            partition_by: &["client_app_uid"],
        },
    ],
    parameters: &[
        Parameter {
            name: "mailboxes_10_minutes_high",
            default: 5.0,
            reason: "nobody's own application opens five mailboxes in ten minutes",
        },
        Parameter { name: "history_days", default: 14.0, reason: "an application seen for two weeks before is known" },
        Parameter { name: "consent_days", default: 7.0, reason: "what was let in this week is what is asked about" },
    ],
    reasons: &[
        ReasonText::new(
            "first-use",
            "first seen at {time}, after {days} days of evidence without it",
            "{days} 日分の記録にはなく、{time} に初めて現れました",
        ),
        ReasonText::new(
            "no-history",
            "no Microsoft application; the evidence is too short to tell whether it is new",
            "Microsoft 製アプリではありません。記録が短く、新規かどうかは判断できません",
        ),
        ReasonText::new("messages", "{count} distinct messages touched", "{count} 通のメールに触れています"),
        ReasonText::new(
            "many-mailboxes",
            "{count} mailboxes within ten minutes",
            "10 分間に {count} 個のメールボックスへアクセスしています",
        ),
        ReasonText::new(
            "fresh-consent",
            "it was let in {hours} hours before, by {actor}",
            "{hours} 時間前に {actor} が許可したアプリです",
        ),
        ReasonText::new("sends", "it sends mail", "メールを送信しています"),
    ],
};

impl Analytic for AppReadsMailbox {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Apps { context: context.clone(), consents: BTreeMap::new(), apps: BTreeMap::new() })
    }
}

/// Messages and mailboxes remembered for one application; beyond it the counts are lower bounds.
const COUNTED_MAX: usize = 100_000;
/// Applications watched.
const APPS_MAX: usize = 20_000;
/// Evidence kept of one application.
const KEPT_MAX: usize = 15;

#[derive(Default)]
struct App {
    name: Option<String>,
    mailboxes: BTreeSet<String>,
    users: BTreeSet<String>,
    messages: BTreeSet<String>,
    recent: VecDeque<(Time, String)>,
    peak: usize,
    sends: bool,
    ips: BTreeSet<matagi_model::Ip>,
    first: Option<Time>,
    evidence: Vec<Evidence>,
    records: u64,
}

/// When, by whom and under which name an application was let in, with the proof.
struct LetIn {
    time: Time,
    actor: String,
    name: String,
    proof: Evidence,
}

struct Apps {
    context: Context,
    /// By application id, the last time.
    consents: BTreeMap<String, LetIn>,
    apps: BTreeMap<String, App>,
}

impl Fold for Apps {
    fn batch(&mut self, batch: &EventBatch) {
        match batch.table {
            Table::Iam => self.consents(batch),
            _ => self.uses(batch),
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.apps.iter().filter_map(|(uid, app)| self.judge(uid, app)).collect()
    }
}

impl Apps {
    fn consents(&mut self, batch: &EventBatch) {
        let row = matagi_model::tables::IamView::new(batch);
        for index in 0..batch.rows() {
            let Some(consent) = consent(&row, index).filter(|_| row.status_id.get(index) != Some(2)) else { continue };
            let actor = row.user_name.get(index).unwrap_or("-").to_owned();
            let evidence = Evidence::of(Table::Iam, &row, index, &consent.told());
            for uid in consent.app_uids {
                let let_in = LetIn {
                    time: row.time.get(index),
                    actor: actor.clone(),
                    name: consent.app.clone(),
                    proof: evidence.clone(),
                };
                self.consents.insert(uid, let_in);
            }
        }
    }

    fn uses(&mut self, batch: &EventBatch) {
        let row = SaasView::new(batch);
        for index in 0..batch.rows() {
            let Some(operation) = row.api_operation.get(index).filter(|_| row.status_id.get(index) != Some(2)) else {
                continue;
            };
            if !matches!(
                operation,
                "MailItemsAccessed" | "Send" | "SendAs" | "SendOnBehalf" | "AttachmentAccess" | "MessageBind"
            ) {
                continue;
            }
            let Some(uid) = acting_app(row.own.client_app_uid.get(index), row.app_uid.get(index)) else { continue };
            let Some(mailbox) = row.own.mailbox.get(index).or_else(|| row.user_name.get(index)) else { continue };
            if self.apps.len() >= APPS_MAX && !self.apps.contains_key(&uid) {
                continue;
            }
            let app = self.apps.entry(uid).or_default();
            let messages = row.own.message_uids.get(index);
            let told =
                format!("{mailbox}, {} messages, {}", messages.len(), row.own.client_info.get(index).unwrap_or("-"));
            app.used(row.time.get(index), mailbox, messages);
            app.sends |= operation.starts_with("Send");
            app.name = app.name.take().or_else(|| row.app_name.get(index).map(str::to_owned));
            if app.users.len() < COUNTED_MAX {
                app.users.extend(row.user_name.get(index).map(str::to_owned));
            }
            if app.ips.len() < 50 {
                app.ips.extend(row.src_ip.get(index).filter(|ip| !ip.is_internal()));
            }
            if app.evidence.len() < KEPT_MAX {
                app.evidence.push(Evidence::of(Table::Saas, &row, index, &told));
            }
        }
    }

    fn judge(&self, uid: &str, app: &App) -> Option<Finding> {
        let parameter = |name| META.parameter(name, &self.context.settings);
        let first = app.first.filter(|first| first.is_known());
        let history_us = first.map_or(0, |first| first.since_us(self.context.estate.first_time));
        let is_watched = history_us as f64 >= parameter("history_days") * Time::DAY_US as f64;
        let consent = self.consents.get(uid).filter(|let_in| {
            let since_us = first.map_or(0, |first| first.since_us(let_in.time));
            since_us >= 0 && since_us as f64 <= parameter("consent_days") * Time::DAY_US as f64
        });
        let is_wide = app.peak as f64 >= parameter("mailboxes_10_minutes_high");
        // An application that was always there is part of the organisation, however many mailboxes it serves.
        let began_with_evidence = history_us < 2 * Time::DAY_US
            && self.context.estate.last_time.since_us(self.context.estate.first_time) >= 7 * Time::DAY_US;
        if began_with_evidence && consent.is_none() {
            return None;
        }
        let mut severity = Severity::Medium;
        let mut evidence = app.evidence.iter().cloned();
        let let_in_as = consent.map(|let_in| let_in.name.clone());
        let name = app.name.clone().or(let_in_as).unwrap_or_else(|| uid.to_owned());
        let mut finding = Finding::new(&META, severity, evidence.next()?)
            .titled("app", &name)
            .titled("mailboxes", app.mailboxes.len().to_string())
            .about(Entity::new(EntityKind::Application, uid), Role::Source);
        let told = |name: &'static str, value: String| (name, value);
        finding = finding.because(if is_watched {
            let days = history_us / Time::DAY_US;
            let time = first.unwrap_or_default().to_string();
            Reason::new("first-use", 4.0, [told("time", time), told("days", days.to_string())])
        } else {
            Reason::new("no-history", 2.0, [])
        });
        if !app.messages.is_empty() {
            finding = finding.because(Reason::new("messages", 1.0, [told("count", app.messages.len().to_string())]));
        }
        if is_wide {
            severity = severity.raised();
            finding = finding.because(Reason::new("many-mailboxes", 3.0, [told("count", app.peak.to_string())]));
        }
        if let Some(let_in) = consent {
            severity = severity.max(Severity::High);
            let hours = first.map_or(0, |first| first.since_us(let_in.time)) / Time::HOUR_US;
            let reason = Reason::new(
                "fresh-consent",
                4.0,
                [told("hours", hours.to_string()), told("actor", let_in.actor.clone())],
            );
            finding = finding.because(reason).proved_by(let_in.proof.clone());
        }
        if app.sends {
            severity = severity.raised();
            finding = finding.because(Reason::new("sends", 2.0, []));
        }
        finding.severity = severity;
        for mailbox in app.mailboxes.iter().take(50) {
            finding = finding.about(Entity::mailbox(mailbox), Role::Victim);
        }
        for ip in app.ips.iter().filter(|ip| !self.context.addresses.facts(**ip).microsoft) {
            finding = finding.about(Entity::ip(*ip), Role::Context);
        }
        let kept = app.evidence.len() as u64;
        Some(evidence.fold(finding, Finding::proved_by).and_more(app.records.saturating_sub(kept)))
    }
}

/// The third-party application that acts: the client behind Graph or Exchange, else a client that is itself third-party.
fn acting_app(client_app: Option<&str>, app: Option<&str>) -> Option<String> {
    let third_party = |uid: &&str| {
        uid.len() == 36 && dictionary().first_party(uid).is_none() && !uid.starts_with("00000000-0000-0000-0000")
    };
    client_app.or(app).filter(third_party).map(str::to_lowercase)
}

impl App {
    fn used(&mut self, time: Time, mailbox: &str, messages: Vec<String>) {
        self.records += 1;
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        if self.mailboxes.len() < COUNTED_MAX {
            self.mailboxes.insert(mailbox.to_owned());
        }
        let room = COUNTED_MAX.saturating_sub(self.messages.len());
        self.messages.extend(messages.into_iter().take(room));
        self.recent.push_back((time, mailbox.to_owned()));
        while self.recent.front().is_some_and(|(old, _)| time.since_us(*old) > 10 * Time::MINUTE_US)
            || self.recent.len() > 10_000
        {
            self.recent.pop_front();
        }
        if self.peak < self.mailboxes.len() {
            self.peak = self.peak.max(self.recent.iter().map(|(_, mailbox)| mailbox).collect::<BTreeSet<_>>().len());
        }
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, run, usage};

    const APP: &str = "5a95e683-08ad-424e-a441-1d1aec52c02c";

    fn read(offset: i64, mailbox: &str, app: &str) -> Row {
        let own = SaasOwn {
            mailbox: Some(mailbox.into()),
            client_app_uid: Some(app.into()),
            message_uids: vec![format!("<{offset}@x>")],
            ..SaasOwn::default()
        };
        usage(offset, mailbox, "203.0.113.5", "MailItemsAccessed", own)
    }

    #[test]
    fn a_foreign_application_in_five_mailboxes() {
        let rows = (0..5).map(|n| read(n * Time::MINUTE_US, &format!("u{n}@c.example"), APP)).collect();
        let found = run(&AppReadsMailbox, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
    }

    #[test]
    fn outlook_is_nothing_and_the_backup_of_always_neither() {
        assert!(
            run(&AppReadsMailbox, vec![read(1, "anna@c.example", "27922004-5251-4030-b22d-91ecd9a37ea4")]).is_empty()
        );
        let rows = (0..20).map(|day| read(day * Time::DAY_US, "anna@c.example", APP)).collect();
        assert!(run(&AppReadsMailbox, rows).is_empty());
    }
}
