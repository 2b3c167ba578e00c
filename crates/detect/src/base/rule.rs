//! Inbox and transport rules, whichever export told of them.

use matagi_model::tables::IamView;

use super::{Fields, fields};

/// One rule as a row tells it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Mailbox that it belongs to, or the acting user where the row does not say.
    pub mailbox: String,
    /// Name; empty where the row has none.
    pub name: String,
    /// Cmdlet parameters.
    pub fields: Fields,
    /// From an export of what exists, not from the act of making it.
    pub is_state: bool,
}

/// The inbox rule that a row makes, changes, switches on or lists; `None` for anything else.
pub fn inbox_rule(row: &IamView<'_>, index: usize) -> Option<Rule> {
    let operation = row.api_operation.get(index)?;
    let makes = ["New-InboxRule", "Set-InboxRule", "Enable-InboxRule", "UpdateInboxRules", "Get-InboxRule"];
    makes.contains(&operation).then(|| rule(row, index, operation == "Get-InboxRule"))
}

/// The transport rule that a row makes, changes, switches on or lists.
pub fn transport_rule(row: &IamView<'_>, index: usize) -> Option<Rule> {
    let operation = row.api_operation.get(index)?;
    let makes = ["New-TransportRule", "Set-TransportRule", "Enable-TransportRule", "Get-TransportRule"];
    makes.contains(&operation).then(|| rule(row, index, operation == "Get-TransportRule"))
}

fn rule(row: &IamView<'_>, index: usize, is_state: bool) -> Rule {
    let fields = fields(row.own.parameters.get(index));
    let name = fields.raw("Name").or_else(|| row.own.entity_name.get(index)).or_else(|| fields.get("RuleName"));
    Rule {
        mailbox: row.own.mailbox.get(index).or_else(|| row.user_name.get(index)).unwrap_or_default().to_owned(),
        name: name.unwrap_or_default().to_owned(),
        fields,
        is_state,
    }
}

/// Parameters by which a rule deletes for good or nearly so.
pub const DELETES: [&str; 3] = ["DeleteMessage", "SoftDeleteMessage", "PermanentDelete"];
/// Parameters by which a rule sends mail on.
pub const SENDS_ON: [&str; 3] = ["ForwardTo", "ForwardAsAttachmentTo", "RedirectTo"];
/// Parameters that hold the words a rule looks for.
pub const WORDS: [&str; 8] = [
    "SubjectContainsWords",
    "SubjectOrBodyContainsWords",
    "BodyContainsWords",
    "From",
    "FromAddressContainsWords",
    "HeaderContainsWords",
    "RecipientAddressContainsWords",
    "SentTo",
];
/// Further conditions that narrow a rule to some messages.
const NARROWS: [&str; 14] = [
    "HasAttachment",
    "FlaggedForAction",
    "MyNameInCcBox",
    "MyNameNotInToBox",
    "SentOnlyToMe",
    "WithImportance",
    "WithSensitivity",
    "WithinSizeRangeMinimum",
    "WithinSizeRangeMaximum",
    "ReceivedAfterDate",
    "ReceivedBeforeDate",
    "MessageTypeMatches",
    "HasClassification",
    "FromSubscription",
];

impl Rule {
    /// The words the rule looks for, joined.
    pub fn words(&self) -> String {
        let words: Vec<&str> = WORDS.iter().filter_map(|name| self.fields.get(name)).collect();
        words.join("; ")
    }

    /// Whether it deletes what it catches.
    pub fn deletes(&self) -> bool {
        DELETES.iter().any(|name| self.fields.is_on(name))
    }

    /// The folder to which it moves or copies.
    pub fn folder(&self) -> Option<&str> {
        ["MoveToFolder", "CopyToFolder"].iter().find_map(|name| self.fields.get(name))
    }

    /// Whether it catches every message: no condition at all, or one that every message meets.
    pub fn catches_everything(&self) -> bool {
        let narrows = WORDS.iter().any(|name| self.fields.get(name).is_some_and(|words| words != "@"))
            || NARROWS
                .iter()
                .any(|name| self.fields.get(name).is_some_and(|value| !value.eq_ignore_ascii_case("false")));
        // The details of Outlook's own rules are a blob in the audit log: without any it cannot be told.
        !narrows && self.fields.get("RuleCondition").is_none()
    }

    /// The telling parameters as a fact.
    pub fn told(&self) -> String {
        let mut names = vec!["Name"];
        names.extend(DELETES);
        names.extend(["MoveToFolder", "CopyToFolder", "MarkAsRead", "StopProcessingRules"]);
        names.extend(SENDS_ON);
        names.extend(WORDS);
        names.extend(["MyNameInToBox", "HasAttachment", "Enabled"]);
        self.fields.told(&names)
    }
}
