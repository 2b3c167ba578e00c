//! A transport rule that copies, redirects or waves mail through (MBX-026): it acts on the whole organisation.

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, Evidence, Finding, Fold, Reason, ReasonText, Role, Scan,
    Severity, Stage, Table, Text,
};

use crate::base::{
    CHANGE_COLUMNS, Reach, Recipient, Rule, Surroundings, by_actor, dictionary, each_change, recipients, surroundings,
    transport_rule,
};

/// The analytic.
pub struct TransportRule;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/transport-rule",
    catalogue: &["MBX-026"],
    title: Text::new(
        "Transport rule {rule} steers the organisation's mail",
        "トランスポートルール {rule} が組織のメールを操作",
    ),
    question: Text::new(
        "Which transport rules copy mail out, hide it or switch filters off?",
        "メールを外部へ複写・隠蔽し、またはフィルターを無効にするトランスポートルールはどれか。",
    ),
    stage: Stage::Persistence,
    attack: &["T1114.003", "T1564.008"],
    scans: &[Scan { table: Table::Iam, columns: CHANGE_COLUMNS, partition_by: &["entity_name"] }],
    parameters: &[],
    reasons: &[
        ReasonText::new(
            "copies-out",
            "sends mail to {target}, outside of the organisation",
            "メールを組織外の {target} へ送ります",
        ),
        ReasonText::new("copies-inside", "sends mail to {target}", "メールを {target} へ送ります"),
        ReasonText::new(
            "skips-filter",
            "lets mail past the spam filter (SCL -1)",
            "迷惑メール判定を回避させます（SCL -1）",
        ),
        ReasonText::new("deletes", "deletes mail", "メールを削除します"),
        ReasonText::new("quiet", "is kept out of the audit log", "監査ログに残らない設定です"),
        ReasonText::new("header", "changes headers: {header}", "ヘッダーを書き換えます: {header}"),
        ReasonText::new("finance-words", "for mail about money: {words}", "金銭に関するメールが対象です: {words}"),
        ReasonText::new("security-words", "for warnings: {words}", "警告メールが対象です: {words}"),
        ReasonText::new(
            "meaningless-name",
            "is named {name}: chosen to be overlooked",
            "ルール名が {name} で、見落とされることを狙っています",
        ),
    ],
};

impl Analytic for TransportRule {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        each_change(context, judge)
    }
}

/// Parameters by which a transport rule sends mail somewhere.
const SENDS: [&str; 5] = ["BlindCopyTo", "CopyTo", "RedirectMessageTo", "AddToRecipients", "AddManagerAsRecipientType"];

fn judge(row: &IamView<'_>, index: usize, context: &Context) -> Option<Finding> {
    let rule = transport_rule(row, index)?;
    let (severity, mut reasons) = weigh(&rule, context)?;
    reasons.extend(surroundings(row, index, context).iter().flat_map(Surroundings::reasons));
    let told: Vec<String> =
        rule.fields.iter().map(|(name, _)| rule.fields.told(&[name])).filter(|one| !one.is_empty()).collect();
    let finding = Finding::new(&META, severity, Evidence::of(Table::Iam, row, index, &told.join(", ")))
        .titled("rule", if rule.name.is_empty() { "(-)" } else { &rule.name })
        .about(Entity::new(EntityKind::Rule, format!("transport\\{}", rule.name)), Role::Target);
    let outside = targets(&rule, context).into_iter().filter(|target| target.reach != Reach::Internal);
    let finding = outside.fold(finding, |finding, target| {
        finding.about(Entity::new(EntityKind::EmailAddress, target.address), Role::Target)
    });
    let finding = reasons.into_iter().fold(finding, Finding::because);
    Some(if rule.is_state { finding } else { by_actor(finding, row, index) })
}

fn targets(rule: &Rule, context: &Context) -> Vec<Recipient> {
    SENDS.iter().filter_map(|name| rule.fields.get(name)).flat_map(|value| recipients(value, &context.estate)).collect()
}

/// Severity and reasons; `None` for a rule that does nothing of interest.
fn weigh(rule: &Rule, context: &Context) -> Option<(Severity, Vec<Reason>)> {
    let mut severity = Severity::Informational;
    let mut reasons = Vec::new();
    for target in targets(rule, context) {
        let told = [("target", target.address)];
        if target.reach == Reach::Internal {
            severity = severity.max(Severity::Low);
            reasons.push(Reason::new("copies-inside", 0.0, told));
        } else {
            severity = Severity::Critical;
            reasons.push(Reason::new("copies-out", 8.0, told));
        }
    }
    if rule.fields.get("SetSCL").is_some_and(|value| value.trim() == "-1") {
        severity = severity.max(Severity::High);
        reasons.push(Reason::new("skips-filter", 4.0, []));
    }
    if rule.fields.is_on("DeleteMessage") {
        severity = severity.max(Severity::Medium);
        reasons.push(Reason::new("deletes", 3.0, []));
    }
    if rule.fields.get("SetAuditSeverity").is_some_and(|value| value.eq_ignore_ascii_case("donotaudit")) {
        severity = severity.max(Severity::Low);
        reasons.push(Reason::new("quiet", 1.0, []));
    }
    if let Some(header) = rule.fields.get("RemoveHeader").or_else(|| rule.fields.get("SetHeaderName")) {
        severity = severity.max(if header.to_lowercase().starts_with("x-ms-exchange") {
            Severity::High
        } else {
            Severity::Low
        });
        reasons.push(Reason::new("header", 1.0, [("header", header.to_owned())]));
    }
    if reasons.is_empty() {
        return None;
    }
    let words: Vec<&str> =
        rule.fields.iter().filter(|(name, _)| name.ends_with("Words")).map(|(_, value)| value).collect();
    let (finance, security) =
        (dictionary().finance_words(&words.join(" ")), dictionary().security_words(&words.join(" ")));
    for (code, found) in [("finance-words", finance), ("security-words", security)] {
        if !found.is_empty() {
            severity = severity.raised();
            reasons.push(Reason::new(code, 3.0, [("words", found.join(", "))]));
        }
    }
    if !rule.name.is_empty() && !rule.name.chars().any(char::is_alphabetic) {
        severity = severity.raised();
        reasons.push(Reason::new("meaningless-name", 3.0, [("name", rule.name.clone())]));
    }
    Some((severity, reasons))
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{change, run};

    fn found(parameters: &str) -> Vec<Severity> {
        let own = IamOwn {
            entity_type: Some("Transport Rule".into()),
            parameters: Some(parameters.into()),
            ..IamOwn::default()
        };
        let rows = vec![change(5, "admin@c.example", "192.0.2.1", "New-TransportRule", own)];
        run(&TransportRule, rows).iter().map(|one| one.severity).collect()
    }

    #[test]
    fn a_copy_that_leaves_is_critical() {
        assert_eq!(found(r#"{"Name":"Archive","BlindCopyTo":"x@proton.me"}"#), [Severity::Critical]);
        assert_eq!(found(r#"{"Name":"Allow","SetSCL":"-1","SenderDomainIs":"x.example"}"#), [Severity::High]);
    }

    #[test]
    fn a_disclaimer_is_nothing() {
        assert!(found(r#"{"Name":"Disclaimer","ApplyHtmlDisclaimerText":"Confidential"}"#).is_empty());
    }
}
