//! An inbox rule that sends mail on (MBX-023), out of the organisation above all.

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, Evidence, Finding, Fold, Reason, ReasonText, Role, Scan,
    Severity, Stage, Table, Text,
};

use crate::base::{
    CHANGE_COLUMNS, Reach, Recipient, Rule, SENDS_ON, Surroundings, by_actor, dictionary, each_change, inbox_rule,
    recipients, surroundings,
};

/// The analytic.
pub struct ForwardingRule;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/forwarding-rule",
    catalogue: &["MBX-023"],
    title: Text::new(
        "Inbox rule of {mailbox} forwards mail to {target}",
        "{mailbox} の受信トレイルールが {target} へメールを転送",
    ),
    question: Text::new(
        "Which inbox rules send mail on, and where to?",
        "メールを転送する受信トレイルールはどれか。転送先はどこか。",
    ),
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
        ReasonText::new("deletes", "and deletes the original", "さらに元のメールを削除します"),
        ReasonText::new(
            "finance-words",
            "only mail about money: {words}",
            "金銭に関するメールだけを対象にしています: {words}",
        ),
        ReasonText::new("everything", "every message", "すべてのメールが対象です"),
        ReasonText::new(
            "listed",
            "found in an export of existing rules: who made it and when is unknown",
            "既存ルールの一覧から見つかったもので、作成者と作成日時は不明です",
        ),
    ],
};

impl Analytic for ForwardingRule {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        each_change(context, judge)
    }
}

fn judge(row: &IamView<'_>, index: usize, context: &Context) -> Option<Finding> {
    let rule = inbox_rule(row, index)?;
    let targets: Vec<Recipient> = SENDS_ON
        .iter()
        .filter_map(|name| rule.fields.get(name))
        .flat_map(|value| recipients(value, &context.estate))
        .collect();
    let farthest = targets.iter().max_by_key(|target| target.reach)?;
    let around = surroundings(row, index, context);
    let evidence = Evidence::of(Table::Iam, row, index, &rule.told());
    let finding = weigh(&rule, farthest, around.as_ref(), evidence);
    let finding = targets.iter().fold(finding, |finding, target| {
        let kind = if target.reach == Reach::Internal { EntityKind::Mailbox } else { EntityKind::EmailAddress };
        finding.about(Entity::new(kind, &target.address), Role::Target)
    });
    Some(if rule.is_state { finding } else { by_actor(finding, row, index) })
}

fn weigh(rule: &Rule, target: &Recipient, around: Option<&Surroundings>, evidence: Evidence) -> Finding {
    let told = || [("target", target.address.clone())];
    let (mut severity, mut reasons) = match target.reach {
        Reach::Internal => (Severity::Low, vec![Reason::new("internal", 0.0, told())]),
        Reach::External => (Severity::High, vec![Reason::new("external", 5.0, told())]),
        Reach::FreeMail => {
            (Severity::High, vec![Reason::new("external", 5.0, told()), Reason::new("free-mail", 1.0, told())])
        }
    };
    let finance = dictionary().finance_words(&rule.words()).join(", ");
    let is_outward = target.reach != Reach::Internal;
    if rule.deletes() {
        reasons.push(Reason::new("deletes", 3.0, []));
    }
    if !finance.is_empty() {
        reasons.push(Reason::new("finance-words", 3.0, [("words", finance.clone())]));
    }
    if rule.catches_everything() {
        reasons.push(Reason::new("everything", 1.0, []));
    }
    let strange = around.map(Surroundings::reasons).unwrap_or_default();
    if is_outward && (rule.deletes() || !finance.is_empty()) {
        severity = Severity::Critical;
    } else if around.is_some_and(Surroundings::is_new_place) {
        severity = severity.raised();
    }
    reasons.extend(strange);
    if rule.is_state {
        reasons.push(Reason::new("listed", 0.0, []));
    }
    let finding = Finding::new(&META, severity, evidence)
        .titled("mailbox", &rule.mailbox)
        .titled("target", &target.address)
        .about(Entity::mailbox(&rule.mailbox), Role::Victim)
        .about(Entity::new(EntityKind::Rule, format!("{}\\{}", rule.mailbox, rule.name)), Role::Target);
    reasons.into_iter().fold(finding, Finding::because)
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{change, run};

    fn found(parameters: &str) -> Vec<Severity> {
        let own = IamOwn {
            entity_type: Some("Inbox Rule".into()),
            mailbox: Some("anna@c.example".into()),
            parameters: Some(parameters.to_owned()),
            ..IamOwn::default()
        };
        let rows = vec![change(5, "anna@c.example", "192.0.2.1", "New-InboxRule", own)];
        run(&ForwardingRule, rows).iter().map(|one| one.severity).collect()
    }

    #[test]
    fn out_is_high_and_with_money_critical() {
        assert_eq!(
            found(r#"{"Name":"copy","ForwardTo":"me@partner.example","From":"boss@c.example"}"#),
            [Severity::High]
        );
        assert_eq!(
            found(r#"{"Name":"copy","RedirectTo":"x@gmail.com","SubjectContainsWords":"payment"}"#),
            [Severity::Critical]
        );
    }

    #[test]
    fn inside_is_low_and_sorting_is_nothing() {
        assert_eq!(found(r#"{"Name":"team","ForwardTo":"ben@c.example"}"#), [Severity::Low]);
        assert!(found(r#"{"Name":"team","MoveToFolder":"Team"}"#).is_empty());
    }
}
