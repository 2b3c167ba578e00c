//! Mail sent by a suspect (MBX-051), with its recipients where a message trace names them.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::{EmailView, SaasView};
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Finding, Fold, Reason, ReasonText, Role, Scan,
    Severity, Stage, Table, Text,
};

use crate::base::{Deeds, DeedsBySuspect, dictionary};

/// The analytic.
pub struct SuspectSent;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/suspect-sent",
    catalogue: &["MBX-051"],
    title: Text::new(
        "Mail sent as {mailbox} from a suspicious session ({count})",
        "不審なセッションから {mailbox} 名義でメールが送信（{count} 通）",
    ),
    question: Text::new(
        "What did an intruder send in the victim's name, and to whom?",
        "侵入者は被害者の名前で、誰に何を送ったか。",
    ),
    stage: Stage::Fraud,
    attack: &["T1534", "T1656"],
    scans: &[
        Scan {
            table: Table::Saas,
            columns: &["mailbox", "subject", "message_uids", "send_as", "session_uid", "user_type", "status_id"],
            partition_by: &["mailbox"],
        },
        Scan { table: Table::Email, columns: &["message_uid", "email_to"], partition_by: &[] },
    ],
    parameters: &[],
    reasons: &[
        ReasonText::new("subjects", "subjects: {subjects}", "件名: {subjects}"),
        ReasonText::new(
            "finance-words",
            "the subjects speak of money: {words}",
            "件名に金銭関連の語があります: {words}",
        ),
        ReasonText::new(
            "recipients",
            "{count} recipients, {outside} of them outside: {sample}",
            "宛先は {count} 名、うち社外 {outside} 名: {sample}",
        ),
        ReasonText::new("untraced", "no message trace names the recipients", "メッセージ追跡に宛先の記録がありません"),
    ],
};

/// Message ids remembered, to ask the message trace for their recipients.
const MESSAGES_MAX: usize = 100_000;
/// Recipients remembered of one suspect.
const RECIPIENTS_MAX: usize = 10_000;
/// Subjects and recipients told.
const TOLD_MAX: usize = 5;

impl Analytic for SuspectSent {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Sent { context: context.clone(), sent: DeedsBySuspect::default(), recipients: BTreeMap::new() })
    }
}

#[derive(Debug, Default)]
struct Mail {
    mailboxes: BTreeSet<String>,
    subjects: BTreeSet<String>,
    messages: BTreeSet<String>,
}

struct Sent {
    context: Context,
    sent: DeedsBySuspect<Mail>,
    /// By message id; the trace comes after the audit log, table by table.
    recipients: BTreeMap<String, BTreeSet<String>>,
}

impl Fold for Sent {
    fn batch(&mut self, batch: &EventBatch) {
        match batch.table {
            Table::Saas => self.sent(batch),
            Table::Email => self.traced(batch),
            _ => {}
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.sent.iter().map(|deeds| self.judge(deeds)).collect()
    }
}

impl Sent {
    fn sent(&mut self, batch: &EventBatch) {
        let row = SaasView::new(batch);
        for index in 0..batch.rows() {
            if !matches!(row.api_operation.get(index), Some("Send" | "SendAs" | "SendOnBehalf")) {
                continue;
            }
            let subject = row.own.subject.get(index).unwrap_or_default();
            let Some(deeds) = self.sent.of(Table::Saas, &row, index, subject, &self.context) else { continue };
            let user = deeds.user.clone();
            let mail = &mut deeds.notes;
            let mailbox = row.own.send_as.get(index).or_else(|| row.own.mailbox.get(index));
            mail.mailboxes.insert(mailbox.map_or(user, str::to_lowercase));
            if !subject.is_empty() && mail.subjects.len() < RECIPIENTS_MAX {
                mail.subjects.insert(subject.to_owned());
            }
            let room = MESSAGES_MAX.saturating_sub(self.recipients.len());
            for message in row.own.message_uids.get(index).into_iter().take(room) {
                self.recipients.entry(message.clone()).or_default();
                mail.messages.insert(message);
            }
        }
    }

    fn traced(&mut self, batch: &EventBatch) {
        let row = EmailView::new(batch);
        for index in 0..batch.rows() {
            let Some(recipients) = row.own.message_uid.get(index).and_then(|uid| self.recipients.get_mut(uid)) else {
                continue;
            };
            if let Some(to) = row.own.email_to.get(index).filter(|_| recipients.len() < RECIPIENTS_MAX) {
                recipients.insert(to.to_lowercase());
            }
        }
    }

    fn judge(&self, deeds: &Deeds<Mail>) -> Finding {
        let mail = &deeds.notes;
        let to: BTreeSet<&String> =
            mail.messages.iter().filter_map(|message| self.recipients.get(message)).flatten().collect();
        let outside: Vec<&&String> = to.iter().filter(|address| !self.context.estate.is_internal(address)).collect();
        let subjects: Vec<&str> = mail.subjects.iter().map(String::as_str).collect();
        let finance = dictionary().finance_words(&subjects.join("\n"));
        let is_fraud = !finance.is_empty() && (!outside.is_empty() || to.is_empty());
        let severity = if is_fraud { Severity::Critical } else { Severity::High };
        let mailbox = mail.mailboxes.first().unwrap_or(&deeds.user);
        let mut finding = deeds.finding(&META, severity).titled("mailbox", mailbox);
        for mailbox in mail.mailboxes.iter().take(TOLD_MAX) {
            finding = finding.about(Entity::mailbox(mailbox), Role::Victim);
        }
        if !subjects.is_empty() {
            let told = subjects.iter().take(TOLD_MAX).copied().collect::<Vec<_>>().join(" / ");
            finding = finding.because(Reason::new("subjects", 1.0, [("subjects", told)]));
        }
        if !finance.is_empty() {
            finding = finding.because(Reason::new("finance-words", 3.0, [("words", finance.join(", "))]));
        }
        if to.is_empty() {
            return finding.because(Reason::new("untraced", 0.0, []));
        }
        let sample: Vec<&str> =
            outside.iter().map(|one| one.as_str()).chain(to.iter().map(|one| one.as_str())).collect();
        let mut told: Vec<&str> = Vec::new();
        for one in sample {
            if told.len() < TOLD_MAX && !told.contains(&one) {
                told.push(one);
            }
        }
        for address in outside.iter().take(TOLD_MAX) {
            finding = finding.about(Entity::new(EntityKind::EmailAddress, address.as_str()), Role::Context);
        }
        let args =
            [("count", to.len().to_string()), ("outside", outside.len().to_string()), ("sample", told.join(", "))];
        finding.because(Reason::new("recipients", 1.0, args))
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::Time;
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, THIEF, break_in, follow, office_days, usage};

    fn sent(offset: i64, ip: &str, subject: &str) -> Row {
        let own = SaasOwn {
            mailbox: Some("anna@c.example".into()),
            subject: Some(subject.into()),
            message_uids: vec![format!("<{offset}@c.example>")],
            ..SaasOwn::default()
        };
        usage(offset, "anna@c.example", ip, "Send", own)
    }

    fn evidence(ip: &str, subject: &str) -> Vec<Row> {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..12);
        rows.push(break_in(11 * Time::DAY_US, "anna@c.example"));
        rows.push(sent(11 * Time::DAY_US + Time::HOUR_US, ip, subject));
        rows
    }

    #[test]
    fn a_thief_who_writes_about_money_is_critical() {
        let found = follow(&SuspectSent, evidence(THIEF, "RE: Invoice 2231 - new bank account"));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Critical));
        assert!(found[0].reasons.iter().any(|reason| reason.code == "suspected" && reason.args["why"] == "MBX-016"));
    }

    #[test]
    fn what_else_a_thief_sends_is_high() {
        let found = follow(&SuspectSent, evidence(THIEF, "Hello"));
        assert_eq!(found[0].severity, Severity::High);
    }

    #[test]
    fn what_the_owner_sends_from_the_desk_is_nothing() {
        assert!(follow(&SuspectSent, evidence("192.0.2.1", "Invoice 2231")).is_empty());
    }
}
