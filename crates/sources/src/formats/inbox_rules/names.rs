//! What the properties of rules are called, and the cmdlet's spelling of each.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::fields::fold;

/// Properties of `Get-InboxRule`; each condition also exists with `ExceptIf` before it.
const INBOX_CONDITIONS: [&str; 24] = [
    "BodyContainsWords",
    "FlaggedForAction",
    "From",
    "FromAddressContainsWords",
    "FromSubscription",
    "HasAttachment",
    "HasClassification",
    "HeaderContainsWords",
    "MessageTypeMatches",
    "MyNameInCcBox",
    "MyNameInToBox",
    "MyNameInToOrCcBox",
    "MyNameNotInToBox",
    "ReceivedAfterDate",
    "ReceivedBeforeDate",
    "RecipientAddressContainsWords",
    "SentOnlyToMe",
    "SentTo",
    "SubjectContainsWords",
    "SubjectOrBodyContainsWords",
    "WithImportance",
    "WithinSizeRangeMaximum",
    "WithinSizeRangeMinimum",
    "WithSensitivity",
];
/// What an inbox rule does.
const INBOX_ACTIONS: [&str; 15] = [
    "ApplyCategory",
    "ApplySystemCategory",
    "CopyToFolder",
    "DeleteMessage",
    "DeleteSystemCategory",
    "ForwardAsAttachmentTo",
    "ForwardTo",
    "MarkAsRead",
    "MarkImportance",
    "MoveToFolder",
    "PinMessage",
    "RedirectTo",
    "SendTextMessageNotificationTo",
    "SoftDeleteMessage",
    "StopProcessingRules",
];
/// What every rule has.
const PLAIN: [&str; 6] = ["Name", "Enabled", "Priority", "Description", "InError", "ErrorType"];
/// Conditions of a transport rule; each also exists with `ExceptIf` before it.
const TRANSPORT_CONDITIONS: [&str; 33] = [
    "From",
    "FromMemberOf",
    "FromScope",
    "SentTo",
    "SentToMemberOf",
    "SentToScope",
    "BetweenMemberOf1",
    "BetweenMemberOf2",
    "SenderDomainIs",
    "RecipientDomainIs",
    "SenderIpRanges",
    "AnyOfToHeader",
    "AnyOfCcHeader",
    "AnyOfToCcHeader",
    "AnyOfRecipientAddressContainsWords",
    "AnyOfRecipientAddressMatchesPatterns",
    "SubjectContainsWords",
    "SubjectMatchesPatterns",
    "SubjectOrBodyContainsWords",
    "SubjectOrBodyMatchesPatterns",
    "HeaderContainsMessageHeader",
    "HeaderContainsWords",
    "HeaderMatchesMessageHeader",
    "HeaderMatchesPatterns",
    "FromAddressContainsWords",
    "FromAddressMatchesPatterns",
    "RecipientAddressContainsWords",
    "RecipientAddressMatchesPatterns",
    "AttachmentNameMatchesPatterns",
    "AttachmentExtensionMatchesWords",
    "AttachmentContainsWords",
    "SCLOver",
    "MessageTypeMatches",
];
/// What a transport rule does, and what else describes it.
const TRANSPORT_ACTIONS: [&str; 33] = [
    "State",
    "Mode",
    "Comments",
    "CreatedBy",
    "LastModifiedBy",
    "WhenChanged",
    "RuleErrorAction",
    "SenderAddressLocation",
    "RuleSubType",
    "ActivationDate",
    "ExpiryDate",
    "Conditions",
    "Exceptions",
    "Actions",
    "PrependSubject",
    "SetAuditSeverity",
    "ApplyHtmlDisclaimerText",
    "SetSCL",
    "SetHeaderName",
    "SetHeaderValue",
    "RemoveHeader",
    "AddToRecipients",
    "CopyTo",
    "BlindCopyTo",
    "AddManagerAsRecipientType",
    "ModerateMessageByUser",
    "RedirectMessageTo",
    "RejectMessageReasonText",
    "DeleteMessage",
    "Disconnect",
    "Quarantine",
    "RouteMessageOutboundConnector",
    "StopRuleProcessing",
];

/// Other spellings: of collectors and of Graph.
const OTHER: [(&str, &str); 27] = [
    ("RuleName", "Name"),
    ("displayName", "Name"),
    ("isEnabled", "Enabled"),
    ("RuleEnabled", "Enabled"),
    ("sequence", "Priority"),
    ("hasError", "InError"),
    ("RuleDescription", "Description"),
    ("delete", "DeleteMessage"),
    ("permanentDelete", "PermanentDelete"),
    ("assignCategories", "ApplyCategory"),
    ("subjectContains", "SubjectContainsWords"),
    ("bodyContains", "BodyContainsWords"),
    ("bodyOrSubjectContains", "SubjectOrBodyContainsWords"),
    ("senderContains", "FromAddressContainsWords"),
    ("recipientContains", "RecipientAddressContainsWords"),
    ("headerContains", "HeaderContainsWords"),
    ("fromAddresses", "From"),
    ("sentToAddresses", "SentTo"),
    ("hasAttachments", "HasAttachment"),
    ("importance", "WithImportance"),
    ("sensitivity", "WithSensitivity"),
    ("categories", "HasClassification"),
    ("sentToMe", "MyNameInToBox"),
    ("sentCcMe", "MyNameInCcBox"),
    ("sentToOrCcMe", "MyNameInToOrCcBox"),
    ("notSentToMe", "MyNameNotInToBox"),
    ("messageActionFlag", "FlaggedForAction"),
];

/// Kinds of message that Graph asks for one by one, and their words in `MessageTypeMatches`.
const MESSAGE_TYPES: [(&str, &str); 11] = [
    ("isapprovalrequest", "ApprovalRequest"),
    ("isautomaticforward", "AutomaticForward"),
    ("isautomaticreply", "AutomaticReply"),
    ("isencrypted", "Encrypted"),
    ("ismeetingrequest", "Calendaring"),
    ("ismeetingresponse", "CalendaringResponse"),
    ("isnondeliveryreport", "NonDeliveryReport"),
    ("ispermissioncontrolled", "PermissionControlled"),
    ("isreadreceipt", "ReadReceipt"),
    ("issigned", "Signed"),
    ("isvoicemail", "Voicemail"),
];

/// The word of `MessageTypeMatches` for a condition of Graph.
pub(super) fn message_type(name: &str) -> Option<&'static str> {
    let name = fold(name);
    MESSAGE_TYPES.iter().find(|(condition, _)| *condition == name).map(|(_, word)| *word)
}

/// Properties whose values are people or addresses.
const RECIPIENTS: [&str; 19] = [
    "From",
    "SentTo",
    "ExceptIfFrom",
    "ExceptIfSentTo",
    "ForwardTo",
    "RedirectTo",
    "ForwardAsAttachmentTo",
    "AddToRecipients",
    "CopyTo",
    "BlindCopyTo",
    "RedirectMessageTo",
    "ModerateMessageByUser",
    "FromMemberOf",
    "SentToMemberOf",
    "ExceptIfFromMemberOf",
    "ExceptIfSentToMemberOf",
    "AnyOfToHeader",
    "AnyOfCcHeader",
    "AnyOfToCcHeader",
];

static SPELLINGS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
    let mut table = HashMap::new();
    let conditions = INBOX_CONDITIONS.iter().chain(&TRANSPORT_CONDITIONS);
    for name in conditions.clone().chain(&INBOX_ACTIONS).chain(&TRANSPORT_ACTIONS).chain(&PLAIN) {
        table.insert(fold(name), (*name).to_owned());
    }
    for name in conditions {
        let exception = format!("ExceptIf{name}");
        table.insert(fold(&exception), exception);
    }
    for (name, spelling) in OTHER {
        table.entry(fold(name)).or_insert_with(|| spelling.to_owned());
    }
    table
});

/// The cmdlet's spelling of a property; `None` for what is none.
pub(super) fn spelling(name: &str) -> Option<&'static str> {
    SPELLINGS.get(&fold(name)).map(String::as_str)
}

/// Whether the values of this property are people or addresses.
pub(super) fn is_recipients(spelling: &str) -> bool {
    RECIPIENTS.contains(&spelling)
}

/// Whether this folded name is that of a list of rules beside the mailbox they belong to.
pub(super) fn is_list_of_rules(name: &str) -> bool {
    matches!(name, "rules" | "inboxrules" | "messagerules" | "mailboxrules" | "value")
}

/// Whether these folded names are those of a transport rule.
pub(super) fn is_transport_rule(names: &[String]) -> bool {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let others = [
        "description",
        "createdby",
        "lastmodifiedby",
        "whenchanged",
        "comments",
        "rulesubtype",
        "ruleerroraction",
        "senderaddresslocation",
        "fromscope",
        "senttoscope",
        "setscl",
        "redirectmessageto",
        "blindcopyto",
    ];
    has("name") && has("state") && has("mode") && has("priority") && others.iter().any(|name| has(name))
}

/// Whether these folded names are those of a rule.
pub(super) fn is_rule(names: &[String]) -> bool {
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    if ["auditdata", "recordtype", "operation", "operations", "creationtime", "creationdate"]
        .iter()
        .any(|name| has(name))
    {
        return false;
    }
    if is_transport_rule(names) {
        return true;
    }
    let is_graph = has("actions") && (has("conditions") || has("sequence") || has("isenabled"));
    let is_named =
        ["name", "rulename", "displayname", "ruleidentity", "identity", "ruleid"].iter().any(|name| has(name));
    let properties = INBOX_ACTIONS.iter().chain(&INBOX_CONDITIONS).filter(|name| has(&fold(name))).count();
    let actions = INBOX_ACTIONS.iter().filter(|name| has(&fold(name))).count();
    is_named && (is_graph || (actions >= 2 && properties >= 3))
}

/// Whether a text of JSON has keys of rules somewhere in it.
pub(super) fn speaks_of_rules(text: &str) -> bool {
    let text = text.to_lowercase();
    let keys = [
        "actions",
        "isenabled",
        "forwardto",
        "redirectto",
        "movetofolder",
        "deletemessage",
        "markasread",
        "stopprocessingrules",
    ];
    !text.contains("\"auditdata\"") && keys.iter().filter(|key| text.contains(&format!("\"{key}\":"))).count() >= 2
}
