//! Rules that Outlook wrote itself, in the words of the Exchange cmdlets.

use std::borrow::Cow;

use matagi_model::tables::IamOwn;
use serde_json::Value;

use super::audit::{Audit, Field, Group};
use crate::values;

/// Builds what is particular to an inbox rule from `OperationProperties`: RuleName, RuleActions, RuleCondition.
pub(super) fn outlook_rule(audit: &Audit<'_>) -> IamOwn {
    let properties = audit.group(Group::Properties);
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    let name = properties.iter().find(|(name, _)| name.eq_ignore_ascii_case("RuleName")).map(|(_, value)| value);
    if let Some(name) = name {
        pairs.push(("Name".into(), name.into()));
    }
    if let Some(text) = properties.get("RuleActions") {
        actions(text, &mut pairs);
    }
    if let Some(text) = properties.get("RuleCondition") {
        condition(text, &mut pairs);
    }
    if properties.get("RuleState").is_some_and(|state| contains(state, "ExitAfterExecution")) {
        pairs.push(("StopProcessingRules".into(), "True".into()));
    }
    let originals = properties.iter().filter(|(name, _)| !name.is_empty());
    pairs.extend(originals.map(|(name, value)| (name.into(), value.into())));
    let mailbox = audit.get(Field::MailboxOwner).or_else(|| audit.get(Field::UserId)).and_then(values::user);
    IamOwn {
        entity_type: Some("Inbox Rule".to_owned()),
        entity_name: name.map(str::to_owned),
        entity_uid: properties.get("RuleId").map(str::to_owned),
        mailbox,
        parameters: values::json_object(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))),
        ..IamOwn::default()
    }
}

/// OCSF activity: the record calls them all an update.
pub(super) fn activity(audit: &Audit<'_>) -> u8 {
    match audit.group(Group::Properties).get("RuleOperation") {
        Some(operation) if contains(operation, "Add") || contains(operation, "Create") => 1,
        Some(operation) if contains(operation, "Remove") || contains(operation, "Delete") => 4,
        _ => 3,
    }
}

fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Actions as a list of objects with `ActionType`, as one object, or as text.
fn actions<'a>(text: &'a str, pairs: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>) {
    match values::json_text(text) {
        Some(Value::Array(items)) => {
            for item in &items {
                match item {
                    Value::String(name) => action(name, &Value::Null, pairs),
                    item => action(&action_type(item), item, pairs),
                }
            }
        }
        Some(item) => action(&action_type(&item), &item, pairs),
        None => text.split([',', ';', '|']).for_each(|name| action(name, &Value::Null, pairs)),
    }
}

fn action_type(item: &Value) -> String {
    let named = ["ActionType", "Type", "Name", "$type"].iter().find_map(|key| item.get(*key)?.as_str());
    named.unwrap_or_default().to_owned()
}

fn action<'a>(kind: &str, item: &Value, pairs: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>) {
    let flags = item.get("ForwardFlags").and_then(Value::as_str).unwrap_or_default();
    let is = |part| contains(kind, part);
    let (name, value) = if is("forward") || is("redirect") {
        let as_attachment = is("attachment") || contains(flags, "attachment");
        let as_redirect = is("redirect") || contains(flags, "DoNotMunge") || contains(flags, "PreserveSender");
        let name = if as_attachment {
            "ForwardAsAttachmentTo"
        } else if as_redirect {
            "RedirectTo"
        } else {
            "ForwardTo"
        };
        (name, texts(item, &["Recipients", "Recipient", "To", "Addresses"]))
    } else if is("permanentdelete") || is("softdelete") {
        ("SoftDeleteMessage", "True".to_owned())
    } else if is("delete") {
        ("DeleteMessage", "True".to_owned())
    } else if is("move") {
        ("MoveToFolder", texts(item, FOLDER_KEYS))
    } else if is("copy") {
        ("CopyToFolder", texts(item, FOLDER_KEYS))
    } else if is("markasread") || is("mark as read") {
        ("MarkAsRead", "True".to_owned())
    } else if is("importance") {
        ("MarkImportance", texts(item, &["Importance", "Value"]))
    } else if is("categor") {
        ("ApplyCategory", texts(item, &["Categories", "Category"]))
    } else if is("stopprocessing") {
        ("StopProcessingRules", "True".to_owned())
    } else {
        return;
    };
    pairs.push((name.into(), value.into()));
}

const FOLDER_KEYS: &[&str] =
    &["Folder", "FolderName", "FolderPath", "DestinationFolder", "DestinationFolderName", "FolderId", "TargetFolder"];

/// The texts under the first of these keys, in whatever nesting, joined as the cmdlets join lists.
fn texts(item: &Value, keys: &[&str]) -> String {
    let Some(found) = keys.iter().find_map(|key| item.get(*key)) else { return String::new() };
    let mut all = Vec::new();
    collect(found, &mut all);
    all.join(";")
}

fn collect(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => all.push(text.clone()),
        Value::Number(number) => all.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, all)),
        Value::Object(entries) => {
            const NAMES: [&str; 6] = ["EmailAddress", "SmtpAddress", "Address", "Path", "DisplayName", "Name"];
            if let Some(named) = NAMES.iter().find_map(|name| entries.get(*name)) {
                collect(named, all);
            }
        }
        _ => {}
    }
}

/// The condition is an expression; its words and addresses are what stands in quotation marks or after its comparisons.
fn condition<'a>(text: &'a str, pairs: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>) {
    let (subject, body) = (contains(text, "subject"), contains(text, "body"));
    let sender = contains(text, "sender") || contains(text, "from");
    let name = match (subject, body, sender) {
        (true, true, _) => "SubjectOrBodyContainsWords",
        (true, false, _) => "SubjectContainsWords",
        (false, true, _) => "BodyContainsWords",
        (false, false, true) => "From",
        _ => return,
    };
    pairs.push((name.into(), words(text).into()));
}

fn words(text: &str) -> String {
    let mut found: Vec<&str> = Vec::new();
    // Every second piece between quotation marks is quoted.
    for quote in ['"', '\''] {
        found.extend(text.split(quote).skip(1).step_by(2).filter(|word| !word.trim().is_empty()));
    }
    if found.is_empty() {
        return text.to_owned();
    }
    found.dedup();
    found.join(";")
}
