//! Forwarding of a whole mailbox (MBX-024): set outside of any inbox rule, so its owner sees nothing of it.

use std::collections::BTreeMap;

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{CHANGE_COLUMNS, Reach, by_actor, fields, is_service_side, recipients, surroundings, truthy};

/// The analytic.
pub struct MailboxForwarding;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/mailbox-forwarding",
    catalogue: &["MBX-024"],
    title: Text::new("All mail of {mailbox} forwarded to {target}", "{mailbox} の全メールを {target} へ転送"),
    question: Text::new("Which mailboxes send everything on?", "すべてのメールを転送しているメールボックスはどれか。"),
    stage: Stage::Persistence,
    attack: &["T1114.003"],
    scans: &[Scan { table: Table::Iam, columns: CHANGE_COLUMNS, partition_by: &["mailbox"] }],
    parameters: &[],
    reasons: &[
        ReasonText::new("external", "{target} is outside of the organisation", "{target} は組織外のアドレスです"),
        ReasonText::new(
            "free-mail",
            "{target} is at a provider where anybody opens a mailbox",
            "{target} は誰でも開設できるフリーメールです",
        ),
        ReasonText::new("internal", "{target} belongs to the organisation", "{target} は組織内の宛先です"),
        ReasonText::new("no-copy", "no copy stays in the mailbox", "メールボックスにコピーが残りません"),
        ReasonText::new(
            "tested",
            "removed again after {minutes} minutes: a test, or a quick theft",
            "{minutes} 分後に解除されています。試験または短時間の窃取とみられます",
        ),
        ReasonText::new("removed", "removed later, at {time}", "その後 {time} に解除されています"),
    ],
};

impl Analytic for MailboxForwarding {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Forwards { context: context.clone(), findings: BTreeMap::new() })
    }
}

struct Forwards {
    context: Context,
    /// By mailbox and target, so that setting it twice is one finding.
    findings: BTreeMap<(String, String), Finding>,
}

const TARGETS: [&str; 2] = ["ForwardingSmtpAddress", "ForwardingAddress"];

impl Fold for Forwards {
    fn batch(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in 0..batch.rows() {
            if row.api_operation.get(index) != Some("Set-Mailbox") || row.status_id.get(index) == Some(2) {
                continue;
            }
            let fields = fields(row.own.parameters.get(index));
            if TARGETS.iter().all(|name| fields.raw(name).is_none()) {
                continue;
            }
            let mailbox = row.own.mailbox.get(index).or_else(|| row.own.entity_name.get(index));
            let mailbox = mailbox.or_else(|| row.user_name.get(index)).unwrap_or_default().to_lowercase();
            let target = TARGETS.iter().find_map(|name| fields.get(name));
            let told = fields.told(&["Identity", TARGETS[0], TARGETS[1], "DeliverToMailboxAndForward"]);
            let evidence = Evidence::of(Table::Iam, &row, index, &told);
            let Some(target) = target.and_then(|target| recipients(target, &self.context.estate).pop()) else {
                self.removed(&mailbox, &evidence);
                continue;
            };
            let known = self.findings.remove(&(mailbox.clone(), target.address.clone()));
            let finding = if let Some(known) = known {
                known.proved_by(evidence)
            } else {
                let keeps_copy = fields.raw("DeliverToMailboxAndForward").is_none_or(truthy);
                let is_service = is_service_side(row.user_name.get(index), row.user_type.get(index));
                let finding = judge(&mailbox, &target, keeps_copy, is_service, evidence);
                let around = surroundings(&row, index, &self.context);
                let mut finding = by_actor(finding, &row, index);
                if target.reach != Reach::Internal
                    && around.as_ref().is_some_and(crate::base::Surroundings::is_new_place)
                {
                    finding.severity = finding.severity.raised();
                }
                around.iter().flat_map(crate::base::Surroundings::reasons).fold(finding, Finding::because)
            };
            self.findings.insert((mailbox, target.address), finding);
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.findings.into_values().collect()
    }
}

impl Forwards {
    /// An empty target ends the forwarding: said with the finding, and no reason to forget it.
    fn removed(&mut self, mailbox: &str, evidence: &Evidence) {
        let known = self.findings.iter_mut().filter(|((owner, _), _)| owner == mailbox);
        for (_, finding) in known {
            let after_us = evidence.time.since_us(finding.last_time());
            let reason = if after_us <= Time::HOUR_US {
                Reason::new("tested", 1.0, [("minutes", (after_us / Time::MINUTE_US).to_string())])
            } else {
                Reason::new("removed", 0.0, [("time", evidence.time.to_string())])
            };
            *finding = finding.clone().because(reason).proved_by(evidence.clone());
        }
    }
}

fn judge(
    mailbox: &str,
    target: &crate::base::Recipient,
    keeps_copy: bool,
    is_service: bool,
    evidence: Evidence,
) -> Finding {
    let told = || [("target", target.address.clone())];
    let mut severity = match target.reach {
        Reach::Internal => Severity::Low,
        Reach::External | Reach::FreeMail => Severity::High,
    };
    if !keeps_copy && !is_service {
        severity = severity.raised();
    }
    let mut finding = Finding::new(&META, severity, evidence)
        .titled("mailbox", mailbox)
        .titled("target", &target.address)
        .about(Entity::mailbox(mailbox), Role::Victim);
    let kind = if target.reach == Reach::Internal { EntityKind::Mailbox } else { EntityKind::EmailAddress };
    finding = finding.about(Entity::new(kind, &target.address), Role::Target);
    finding = match target.reach {
        Reach::Internal => finding.because(Reason::new("internal", 0.0, told())),
        Reach::External => finding.because(Reason::new("external", 5.0, told())),
        Reach::FreeMail => {
            finding.because(Reason::new("external", 5.0, told())).because(Reason::new("free-mail", 1.0, told()))
        }
    };
    if keeps_copy { finding } else { finding.because(Reason::new("no-copy", 2.0, [])) }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{Row, change, run};

    fn set(offset: i64, parameters: &str) -> Row {
        let own =
            IamOwn { mailbox: Some("anna@c.example".into()), parameters: Some(parameters.into()), ..IamOwn::default() };
        change(offset, "anna@c.example", "192.0.2.1", "Set-Mailbox", own)
    }

    #[test]
    fn set_and_unset_stays_high() {
        let rows = vec![
            set(1, r#"{"ForwardingSmtpAddress":"smtp:x@gmail.com","DeliverToMailboxAndForward":"True"}"#),
            set(9 * Time::MINUTE_US, r#"{"ForwardingSmtpAddress":""}"#),
        ];
        let found = run(&MailboxForwarding, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        assert!(found[0].reasons.iter().any(|reason| reason.code == "tested"));
    }

    #[test]
    fn forwarding_to_a_colleague_is_low_and_other_settings_are_nothing() {
        let rows = vec![set(1, r#"{"ForwardingAddress":"ben@c.example"}"#), set(2, r#"{"AuditEnabled":"True"}"#)];
        let found = run(&MailboxForwarding, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Low));
    }
}
