//! A rule out of the columns of an export.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::names;
use crate::fields::{fold, member, text, truth};

/// Rules of one mailbox; Exchange Online allows some hundreds.
const RULES_MAX: usize = 10_000;
/// Elements of one property, such as words or addresses.
const ELEMENTS_MAX: usize = 10_000;

/// Which kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of one mailbox.
    Inbox,
    /// Of the organisation.
    Transport,
}

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub kind: Kind,
    pub mailbox: Option<String>,
    pub name: Option<String>,
    pub uid: Option<String>,
    /// Arguments as text by the cmdlet's spelling.
    pub parameters: BTreeMap<String, String>,
    /// The rule alone, where the record holds several.
    pub raw: Option<String>,
}

type Column<'a> = (Cow<'a, str>, Value);

/// The rules of a record: itself, or those of the mailbox that it is about.
pub(super) fn of(columns: Vec<Column<'_>>, page: Option<&str>) -> Vec<Rule> {
    let list = columns.iter().position(|(name, value)| {
        names::is_list_of_rules(&fold(name)) && (value.as_array().is_some_and(|list| list.iter().all(Value::is_object)))
    });
    let Some(list) = list else { return one(columns, page).into_iter().collect() };
    let owner = owner(&columns).or_else(|| page.map(str::to_owned));
    let (_, rules) = columns.into_iter().nth(list).unwrap_or_default();
    let Value::Array(rules) = rules else { return Vec::new() };
    rules
        .into_iter()
        .take(RULES_MAX)
        .filter_map(|rule| {
            let raw = rule.to_string();
            let Value::Object(rule) = rule else { return None };
            let columns = rule.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect();
            Some(Rule { raw: Some(raw), ..one(columns, owner.as_deref())? })
        })
        .collect()
}

/// The mailbox that columns name: best an address, else whatever there is.
fn owner(columns: &[Column<'_>]) -> Option<String> {
    const OWNERS: [&str; 13] = [
        "username",
        "userprincipalname",
        "upn",
        "mailbox",
        "mailboxaddress",
        "primarysmtpaddress",
        "mailboxowner",
        "mailboxownerid",
        "owner",
        "user",
        "useremail",
        "emailaddress",
        "mail",
    ];
    let named = OWNERS.iter().filter_map(|owner| {
        let (_, value) = columns.iter().find(|(name, _)| fold(name) == *owner)?;
        address_of(value).or_else(|| text(value))
    });
    let candidates: Vec<String> = named.collect();
    candidates.iter().find(|name| name.contains('@')).or(candidates.first()).map(|name| name.to_lowercase())
}

fn one(columns: Vec<Column<'_>>, page: Option<&str>) -> Option<Rule> {
    let folded: Vec<String> = columns.iter().map(|(name, _)| fold(name)).collect();
    let is_transport = names::is_transport_rule(&folded);
    let kind = if is_transport { Kind::Transport } else { Kind::Inbox };
    let owner = owner(&columns);
    let mut uid = None;
    let mut identity = None;
    let mut parameters = BTreeMap::new();
    for ((_, value), name) in columns.into_iter().zip(&folded) {
        match name.as_str() {
            "ruleidentity" | "ruleid" | "guid" => uid = uid.or_else(|| text(&value)),
            "id" => uid = text(&value).or(uid),
            "identity" => identity = text(&value),
            "actions" | "conditions" if value.is_object() => take_nested(value, "", &mut parameters),
            "exceptions" if value.is_object() => take_nested(value, "ExceptIf", &mut parameters),
            _ => take(name, &value, "", &mut parameters),
        }
    }
    let (identity_owner, identity_rule) = match identity.as_deref().map(|identity| identity.rsplit_once('\\')) {
        Some(Some((owner, rule))) => (Some(owner.to_lowercase()), Some(rule.to_owned())),
        Some(None) => (None, identity.clone()),
        None => (None, None),
    };
    let name = parameters.get("Name").cloned();
    let does_anything = parameters.keys().any(|key| !matches!(key.as_str(), "Enabled" | "Priority" | "InError"));
    if !does_anything {
        return None;
    }
    let mailbox = match kind {
        Kind::Inbox => owner.or_else(|| page.map(str::to_lowercase)).or(identity_owner),
        Kind::Transport => None,
    };
    Some(Rule { kind, mailbox, name, uid: uid.or(identity_rule), parameters, raw: None })
}

fn take_nested(value: Value, prefix: &str, parameters: &mut BTreeMap<String, String>) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        if fold(&name) == "withinsizerange" {
            for (side, property) in
                [("minimumSize", "WithinSizeRangeMinimum"), ("maximumSize", "WithinSizeRangeMaximum")]
            {
                if let Some(size) = text(member(&value, side)) {
                    parameters.insert(format!("{prefix}{property}"), size);
                }
            }
        } else {
            take(&name, &value, prefix, parameters);
        }
    }
}

/// Takes a property if it is one and says something. An action that is off says nothing; a rule that is off does.
fn take(name: &str, value: &Value, prefix: &str, parameters: &mut BTreeMap<String, String>) {
    if let Some(kind) = names::message_type(name).filter(|_| truth(value) == Some(true)) {
        let kinds = parameters.entry(format!("{prefix}MessageTypeMatches")).or_default();
        if !kinds.is_empty() {
            kinds.push(';');
        }
        kinds.push_str(kind);
        return;
    }
    let Some(spelling) = names::spelling(name) else { return };
    let said = if names::is_recipients(spelling) { recipients(value) } else { words(value) };
    let Some(said) = said else { return };
    let said = match said.to_lowercase().as_str() {
        "true" | "$true" => "True".to_owned(),
        "false" | "$false" => "False".to_owned(),
        _ => said,
    };
    if said == "False" && spelling != "Enabled" {
        return;
    }
    if spelling == "PermanentDelete" {
        // The cmdlet has one word for both; who looks for deletion must find this too.
        parameters.insert("DeleteMessage".to_owned(), said.clone());
    }
    parameters.entry(format!("{prefix}{spelling}")).or_insert(said);
}

/// A property as text: `;` between the elements of a list, as the audit log writes it.
fn words(value: &Value) -> Option<String> {
    let list: Vec<String> = match value {
        Value::Array(list) => list.iter().take(ELEMENTS_MAX).filter_map(element).collect(),
        Value::Object(object) => return object_words(object),
        _ => {
            let said = text(value)?;
            match said.strip_prefix('{').and_then(|inside| inside.strip_suffix('}')) {
                // How PowerShell prints a collection.
                Some(inside) => inside.split(", ").map(|word| word.trim().to_owned()).collect(),
                None => return Some(said),
            }
        }
    };
    let list: Vec<String> = list.into_iter().filter(|word| !word.is_empty()).collect();
    (!list.is_empty()).then(|| list.join(";"))
}

fn element(value: &Value) -> Option<String> {
    match value {
        Value::Object(object) => object_words(object),
        _ => text(value),
    }
}

/// A nested object (a folder, an enumeration with `value` and `Value`) as its most telling text.
fn object_words(object: &Map<String, Value>) -> Option<String> {
    let nested = Value::Object(object.clone());
    address_of(&nested).or_else(|| {
        let names = ["DisplayName", "Name", "MailboxFolderPath", "FolderPath", "Value", "value", "Id"];
        names.iter().find_map(|name| text(member(&nested, name)))
    })
}

/// The address in an object: Graph's `{"emailAddress":{"address":..}}`, Exchange's `{"Address":..}`.
fn address_of(value: &Value) -> Option<String> {
    value.as_object()?;
    let nested = member(value, "emailAddress");
    ["address", "SmtpAddress", "PrimarySmtpAddress", "userPrincipalName", "mail"]
        .iter()
        .find_map(|name| text(member(nested, name)).or_else(|| text(member(value, name))))
}

/// People as addresses, lower case, with `;` between. Who has none (an address of the organisation's own directory)
/// stays as written.
fn recipients(value: &Value) -> Option<String> {
    let mut found = Vec::new();
    match value {
        Value::Array(list) => list.iter().take(ELEMENTS_MAX).for_each(|element| match element {
            Value::Object(object) => found.extend(object_words(object).map(|address| plain(&address))),
            _ => found.extend(text(element).map_or_else(Vec::new, |written| addresses(&written))),
        }),
        Value::Object(object) => found.extend(object_words(object).map(|address| plain(&address))),
        _ => found.extend(addresses(&text(value)?)),
    }
    found.retain(|address| !address.is_empty());
    (!found.is_empty()).then(|| found.join(";"))
}

/// The addresses in `"Name" [SMTP:a@b]`, `Name <a@b>`, `smtp:a@b`, `a@b;c@d` and lists of these.
fn addresses(written: &str) -> Vec<String> {
    let written = written.trim().trim_start_matches('{').trim_end_matches('}');
    let marked: Vec<String> = bracketed(written, '[', ']')
        .filter_map(|inside| {
            let (kind, address) = inside.split_once(':')?;
            kind.eq_ignore_ascii_case("smtp").then(|| plain(address))
        })
        .take(ELEMENTS_MAX)
        .collect();
    if !marked.is_empty() {
        return marked;
    }
    let angled: Vec<String> =
        bracketed(written, '<', '>').filter(|inside| inside.contains('@')).map(plain).take(ELEMENTS_MAX).collect();
    if !angled.is_empty() {
        return angled;
    }
    let parts = written.split([';', ',']).map(str::trim).filter(|part| !part.is_empty());
    if written.contains('@') {
        return parts.map(plain).take(ELEMENTS_MAX).collect();
    }
    vec![written.to_owned()]
}

/// What stands between each pair of brackets.
fn bracketed(written: &str, open: char, close: char) -> impl Iterator<Item = &str> {
    written.split(open).skip(1).filter_map(move |rest| rest.split_once(close)).map(|(inside, _)| inside)
}

fn plain(address: &str) -> String {
    let address = address.trim().trim_matches(['"', '\'', '<', '>', '(', ')']).trim();
    let start = address.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("smtp:")).map_or(0, str::len);
    address.get(start..).unwrap_or(address).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_reduced_to_addresses() {
        for (written, expected) in [
            (r#""Eve" [SMTP:Eve@evil.example]"#, "eve@evil.example"),
            (r#""A" [SMTP:a@x.example], "B, C" [SMTP:b@x.example]"#, "a@x.example;b@x.example"),
            ("Eve <eve@evil.example>", "eve@evil.example"),
            ("smtp:eve@evil.example", "eve@evil.example"),
            ("a@x.example;b@x.example", "a@x.example;b@x.example"),
            (r#""Anna" [EX:/o=Org/cn=anna]"#, r#""Anna" [EX:/o=Org/cn=anna]"#),
        ] {
            assert_eq!(recipients(&Value::from(written)).as_deref(), Some(expected), "{written}");
        }
        let graph = serde_json::json!([{"emailAddress": {"name": "Eve", "address": "Eve@evil.example"}}]);
        assert_eq!(recipients(&graph).as_deref(), Some("eve@evil.example"));
        assert_eq!(recipients(&serde_json::json!([])), None);
    }
}
