//! An inbox rule that hides mail from its owner (MBX-022), scored by what it does, how it is named, what it looks for and
//! who made it from where.

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, Evidence, Finding, Fold, Parameter, Reason, ReasonText, Role,
    Scan, Settings, Severity, Stage, Table, Text,
};

use crate::base::{
    CHANGE_COLUMNS, Rule, Surroundings, by_actor, dictionary, each_change, inbox_rule, surroundings, truthy,
};

/// The analytic.
pub struct HidingRule;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/hiding-rule",
    catalogue: &["MBX-022"],
    title: Text::new("Inbox rule hides mail from {mailbox}", "{mailbox} の受信トレイルールがメールを隠している"),
    question: Text::new(
        "Which inbox rules keep their owner from seeing mail?",
        "持ち主の目からメールを隠す受信トレイルールはどれか。",
    ),
    stage: Stage::Persistence,
    attack: &["T1564.008", "T1137.005"],
    scans: &[Scan { table: Table::Iam, columns: CHANGE_COLUMNS, partition_by: &["mailbox"] }],
    parameters: &[
        Parameter {
            name: "score_medium_min",
            default: 4.0,
            reason: "sorting newsletters into a named folder scores 2 at most",
        },
        Parameter { name: "score_high_min", default: 6.0, reason: "hiding and one more sign of intent" },
        Parameter { name: "score_critical_min", default: 9.0, reason: "hiding, disguise and intent together" },
    ],
    reasons: &[
        ReasonText::new("deletes", "deletes what it catches", "該当するメールを削除します"),
        ReasonText::new(
            "hides",
            "moves mail to {folder}, where nobody looks",
            "誰も見ない {folder} フォルダーへ移動します",
        ),
        ReasonText::new("moves", "moves mail to {folder}", "メールを {folder} フォルダーへ移動します"),
        ReasonText::new("marks-read", "marks it as read", "既読にします"),
        ReasonText::new("stops", "stops further rules", "以降のルールの処理を停止します"),
        ReasonText::new(
            "meaningless-name",
            "is named {name}: chosen to be overlooked",
            "ルール名が {name} で、見落とされることを狙っています",
        ),
        ReasonText::new("short-name", "has the short name {name}", "ルール名が {name} と極端に短くなっています"),
        ReasonText::new("everything", "catches every message", "すべてのメールが対象です"),
        ReasonText::new("security-words", "looks for warnings: {words}", "警告メールに現れる語を狙っています: {words}"),
        ReasonText::new("finance-words", "looks for money matters: {words}", "金銭に関する語を狙っています: {words}"),
        ReasonText::new("one-sender", "looks for one sender: {sender}", "特定の差出人 {sender} を狙っています"),
        ReasonText::new("disabled", "the rule is switched off", "ルールは無効になっています"),
        ReasonText::new(
            "listed",
            "found in an export of existing rules: who made it and when is unknown",
            "既存ルールの一覧から見つかったもので、作成者と作成日時は不明です",
        ),
    ],
};

impl Analytic for HidingRule {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        each_change(context, judge)
    }
}

fn judge(row: &IamView<'_>, index: usize, context: &Context) -> Option<Finding> {
    let rule = inbox_rule(row, index)?;
    let mut reasons = effects(&rule);
    // Without hiding anything a rule may look for what it likes.
    if !reasons.iter().any(|reason| matches!(reason.code.as_str(), "deletes" | "hides" | "moves" | "marks-read")) {
        return None;
    }
    reasons.extend(disguise(&rule));
    reasons.extend(intent(&rule, context));
    reasons.extend(surroundings(row, index, context).iter().flat_map(Surroundings::reasons));
    if rule.fields.raw("Enabled").is_some_and(|value| !truthy(value)) {
        reasons.push(Reason::new("disabled", -3.0, []));
    }
    let severity = severity(reasons.iter().map(|reason| reason.weight).sum(), &context.settings)?;
    let evidence = Evidence::of(Table::Iam, row, index, &rule.told());
    let finding = Finding::new(&META, severity, evidence)
        .titled("mailbox", &rule.mailbox)
        .about(Entity::mailbox(&rule.mailbox), Role::Victim)
        .about(Entity::new(EntityKind::Rule, format!("{}\\{}", rule.mailbox, rule.name)), Role::Target);
    let finding = reasons.into_iter().fold(finding, Finding::because);
    Some(if rule.is_state { finding.because(Reason::new("listed", 0.0, [])) } else { by_actor(finding, row, index) })
}

fn severity(score: f64, settings: &Settings) -> Option<Severity> {
    let steps = [
        ("score_critical_min", Severity::Critical),
        ("score_high_min", Severity::High),
        ("score_medium_min", Severity::Medium),
    ];
    steps.into_iter().find(|(name, _)| score >= META.parameter(name, settings)).map(|(_, severity)| severity)
}

/// What the rule does to mail.
fn effects(rule: &Rule) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if rule.deletes() {
        reasons.push(Reason::new("deletes", 3.0, []));
    }
    if let Some(folder) = rule.folder() {
        let hidden = dictionary().is_hidden_folder(folder);
        let (code, weight) = if hidden { ("hides", 2.0) } else { ("moves", 0.0) };
        reasons.push(Reason::new(code, weight, [("folder", folder.to_owned())]));
    }
    if rule.fields.is_on("MarkAsRead") {
        reasons.push(Reason::new("marks-read", 1.0, []));
    }
    if rule.fields.is_on("StopProcessingRules") {
        reasons.push(Reason::new("stops", 1.0, []));
    }
    reasons
}

/// How it avoids being noticed.
fn disguise(rule: &Rule) -> Option<Reason> {
    let name = rule.name.trim();
    let shown = || [("name", if name.is_empty() { "(-)".to_owned() } else { format!("\"{name}\"") })];
    let has_letters = name.chars().any(char::is_alphabetic);
    // One kanji is a word; one Latin letter is not.
    let is_ideographic = name.chars().any(|c| ('\u{3040}'..='\u{9fff}').contains(&c));
    let count = name.chars().count();
    // An update that does not repeat the name has not chosen one.
    if rule.fields.raw("Name").is_none() && name.is_empty() {
        return None;
    }
    if !has_letters || (count <= 2 && !is_ideographic) {
        return Some(Reason::new("meaningless-name", 3.0, shown()));
    }
    (count <= 5 && !is_ideographic).then(|| Reason::new("short-name", 1.0, shown()))
}

/// What it is after.
fn intent(rule: &Rule, context: &Context) -> Vec<Reason> {
    const WORDS_TOLD_MAX: usize = 6;
    let words = rule.words();
    let told = |found: Vec<&str>| [("words", found.into_iter().take(WORDS_TOLD_MAX).collect::<Vec<_>>().join(", "))];
    let mut reasons = Vec::new();
    let security = dictionary().security_words(&words);
    if !security.is_empty() {
        reasons.push(Reason::new("security-words", 3.0, told(security)));
    }
    let finance = dictionary().finance_words(&words);
    if !finance.is_empty() {
        reasons.push(Reason::new("finance-words", 3.0, told(finance)));
    }
    if rule.catches_everything() {
        reasons.push(Reason::new("everything", 2.0, []));
    }
    let senders =
        rule.fields.get("From").map(|from| crate::base::recipients(from, &context.estate)).unwrap_or_default();
    if let [sender] = senders.as_slice() {
        reasons.push(Reason::new("one-sender", 1.0, [("sender", sender.address.clone())]));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{change, run};

    fn severity(parameters: &str) -> Option<Severity> {
        let own = IamOwn {
            entity_type: Some("Inbox Rule".into()),
            mailbox: Some("anna@c.example".into()),
            parameters: Some(parameters.to_owned()),
            ..IamOwn::default()
        };
        run(&HidingRule, vec![change(5, "anna@c.example", "192.0.2.1", "New-InboxRule", own)])
            .first()
            .map(|one| one.severity)
    }

    #[test]
    fn a_dot_that_deletes_everything_is_critical() {
        let rule = r#"{"Name":".","DeleteMessage":"True","MarkAsRead":"True","StopProcessingRules":"True"}"#;
        assert_eq!(severity(rule), Some(Severity::Critical));
    }

    #[test]
    fn invoices_into_rss_feeds_is_high() {
        let rule =
            r#"{"Name":"Clean up","MoveToFolder":"RSS Feeds","MarkAsRead":"True","SubjectContainsWords":"invoice"}"#;
        assert_eq!(severity(rule), Some(Severity::High));
    }

    #[test]
    fn japanese_words_and_folders_count_alike() {
        let rule = r#"{"Name":"整理","MoveToFolder":"anna@c.example:\\RSS フィード","MarkAsRead":"True","SubjectOrBodyContainsWords":"振込;請求書"}"#;
        assert_eq!(severity(rule), Some(Severity::High));
    }

    #[test]
    fn sorting_newsletters_is_nothing() {
        let rule = r#"{"Name":"Newsletters","MoveToFolder":"Newsletters","From":"news@shop.example","StopProcessingRules":"True"}"#;
        assert_eq!(severity(rule), None);
    }
}
