//! Changes to accounts, permissions, rules and configuration.

use matagi_model::tables::{Common, Iam, IamOwn};
use serde_json::{Map, Value};

use super::audit::{Audit, Change, Field, Group};
use super::rows::{Kind, is_guid};
use super::rules;
use crate::values::{self, Pairs};

/// Operations that change configuration or permissions, although their record type is that of everyday use.
const CHANGES: [&str; 24] = [
    "UpdateInboxRules",
    "AddFolderPermissions",
    "ModifyFolderPermissions",
    "RemoveFolderPermissions",
    "UpdateFolderPermissions",
    "UpdateCalendarDelegation",
    "ApplyRecord",
    "AddMailboxPermissions",
    "AddedToGroup",
    "RemovedFromGroup",
    "GroupAdded",
    "GroupRemoved",
    "GroupUpdated",
    "PermissionLevelAdded",
    "PermissionLevelModified",
    "PermissionLevelRemoved",
    "SharingPolicyChanged",
    "DeviceAccessPolicyChanged",
    "NetworkAccessPolicyChanged",
    "SiteCollectionAdminAdded",
    "SiteCollectionAdminRemoved",
    "SitePermissionsModified",
    "TenantSettingsChanged",
    "ExternalUserAdded",
];

/// Verbs of cmdlets that only look.
const READING: [&str; 5] = ["Get", "Search", "Test", "Export", "Find"];

/// Whether a record is a change. Cmdlets that look are changes of nothing, but Exchange logs them among the others and
/// hunters look for them there.
pub(super) fn is_change(kind: Kind, operation: &str) -> bool {
    matches!(kind, Kind::ExchangeAdmin | Kind::Directory | Kind::Compliance)
        || CHANGES.contains(&operation)
        || cmdlet(operation).is_some_and(|(verb, noun)| is_verb(verb) && !noun.is_empty())
}

fn cmdlet(operation: &str) -> Option<(&str, &str)> {
    operation.split_once('-').filter(|(_, noun)| !noun.contains([' ', '-']))
}

fn is_verb(verb: &str) -> bool {
    const CHANGING: [&str; 14] = [
        "New",
        "Set",
        "Add",
        "Remove",
        "Enable",
        "Disable",
        "Update",
        "Start",
        "Stop",
        "Install",
        "Uninstall",
        "Invoke",
        "Clear",
        "Undo",
    ];
    CHANGING.contains(&verb) || READING.contains(&verb)
}

/// Builds the row.
pub(super) fn change(audit: &Audit<'_>, kind: Kind, mut common: Common) -> Iam {
    let operation = common.api_operation.clone().unwrap_or_default();
    let mut own = if operation == "UpdateInboxRules" {
        rules::outlook_rule(audit)
    } else if kind == Kind::Directory {
        directory(audit, &mut common)
    } else if let Some((_, noun)) = cmdlet(&operation) {
        exchange(audit, noun)
    } else {
        other(audit, &operation)
    };
    own.modified = modified(&audit.modified);
    (common.class_uid, common.activity_id) = classes(&operation, kind, own.entity_type.as_deref());
    if operation == "UpdateInboxRules" {
        common.activity_id = rules::activity(audit);
    }
    Iam { common, own, raw: None }
}

// ---- Exchange and Compliance cmdlets

fn exchange(audit: &Audit<'_>, noun: &str) -> IamOwn {
    let parameters = parameters(audit);
    let entity_type = entity_of(noun);
    let identity = parameters.get("Identity").or_else(|| audit.get(Field::ObjectId));
    let mut own = IamOwn {
        entity_type: Some(entity_type.to_owned()),
        entity_uid: audit.owned(Field::ObjectId),
        parameters: values::json_object(parameters.iter().filter(|(name, _)| !name.is_empty())),
        actor_app_name: actor_app(audit),
        ..IamOwn::default()
    };
    match entity_type {
        "Inbox Rule" => {
            own.mailbox = rule_mailbox(audit, &parameters);
            own.entity_name = rule_name(audit, &parameters);
        }
        "Mailbox" => {
            let name = parameters
                .get("Identity")
                .filter(|identity| identity.contains('@') || !is_opaque(identity))
                .or_else(|| parameters.get("Mailbox"))
                .or_else(|| parameters.get("PrimarySmtpAddress"))
                .or_else(|| parameters.get("WindowsLiveID"))
                .or_else(|| parameters.get("MicrosoftOnlineServicesID"))
                .or(identity)
                .map(|identity| address(identity, audit));
            own.mailbox.clone_from(&name);
            own.entity_name = name;
        }
        _ => {
            let name = parameters.get("Name").or(identity);
            own.entity_name = name.map(last_part).filter(|name| !name.is_empty()).map(str::to_owned);
            own.mailbox = parameters.get("Mailbox").map(|mailbox| address(mailbox, audit));
        }
    }
    own
}

fn parameters<'a>(audit: &'a Audit<'_>) -> std::borrow::Cow<'a, Pairs<'a>> {
    let given = audit.group(Group::Parameters);
    if given.is_empty()
        && let Some(text) = audit.get(Field::PublicParameters)
    {
        return std::borrow::Cow::Owned(Pairs::from_text(text));
    }
    std::borrow::Cow::Borrowed(given)
}

/// What a cmdlet's noun is about.
fn entity_of(noun: &str) -> &str {
    const BY_PART: [(&str, &str); 25] = [
        ("InboxRule", "Inbox Rule"),
        ("SweepRule", "Inbox Rule"),
        ("TransportRule", "Transport Rule"),
        ("JournalRule", "Journal Rule"),
        ("MailboxSearch", "Search"),
        ("ComplianceSearch", "Search"),
        ("ComplianceCase", "Search"),
        ("RoleGroup", "Role"),
        ("ManagementRole", "Role"),
        ("RoleAssignment", "Role"),
        ("DistributionGroup", "Group"),
        ("UnifiedGroup", "Group"),
        ("MailboxPlan", "Policy"),
        ("Policy", "Policy"),
        ("Rule", "Policy"),
        ("Mailbox", "Mailbox"),
        ("RecipientPermission", "Mailbox"),
        ("Connector", "Connector"),
        ("Domain", "Domain"),
        ("Config", "Configuration"),
        ("ServicePrincipal", "ServicePrincipal"),
        ("AddIn", "Application"),
        ("App", "Application"),
        ("MailUser", "User"),
        ("User", "User"),
    ];
    BY_PART.iter().find(|(part, _)| noun.contains(part)).map_or(noun, |(_, entity)| entity)
}

/// Ids and distinguished names: nothing a person would call a mailbox.
fn is_opaque(identity: &str) -> bool {
    is_guid(identity) || identity.contains('/') || identity.starts_with("CN=")
}

/// The last part of a path (`.../contoso.example/Name`, `mailbox\rule`).
fn last_part(text: &str) -> &str {
    text.rsplit(['/', '\\']).next().unwrap_or(text).trim()
}

/// A mailbox in lower case: its address where there is one, else an alias made an address by the organisation in the
/// path, else what the record says.
pub(super) fn address(identity: &str, audit: &Audit<'_>) -> String {
    // `anna@example.org:\Calendar` is a folder in a mailbox.
    let identity = identity.split(":\\").next().unwrap_or(identity);
    let identity = identity.strip_prefix("smtp:").or_else(|| identity.strip_prefix("SMTP:")).unwrap_or(identity);
    let Some((organisation, alias)) = in_organisation(identity) else {
        return identity.trim().to_lowercase();
    };
    if let Some(user) = audit.get(Field::UserId).filter(|user| same_alias(user, alias)) {
        return user.to_lowercase();
    }
    if is_guid(alias) || alias.contains(['@', ' ']) {
        return alias.to_lowercase();
    }
    format!("{}@{organisation}", plain_alias(alias)).to_lowercase()
}

/// Exchange Online makes directory names unique with ten hexadecimal digits: `AnnaB_73cfb10e5c`.
fn plain_alias(alias: &str) -> &str {
    match alias.rsplit_once('_') {
        Some((plain, digits)) if digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => plain,
        _ => alias,
    }
}

/// `SERVER/Microsoft Exchange Hosted Organizations/contoso.example/AnnaB` gives `contoso.example` and `AnnaB`.
fn in_organisation(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.split('/').rev();
    let alias = parts.next()?;
    let organisation = parts.next()?;
    parts.next()?;
    let alias = alias.split('\\').next()?;
    (organisation.contains('.') && !alias.is_empty()).then_some((organisation, alias))
}

fn same_alias(user: &str, alias: &str) -> bool {
    user.split_once('@')
        .is_some_and(|(local, _)| local.eq_ignore_ascii_case(alias) || local.eq_ignore_ascii_case(plain_alias(alias)))
}

/// The mailbox of a rule: the one that was named, else the one in the object's path, else the user's own.
fn rule_mailbox(audit: &Audit<'_>, parameters: &Pairs<'_>) -> Option<String> {
    let user = || audit.get(Field::UserId).and_then(values::user);
    if let Some(mailbox) = parameters.get("Mailbox") {
        return Some(address(mailbox, audit));
    }
    let owner_in = |path: &str| {
        let (owner, _rule) = path.rsplit_once('\\')?;
        // Ids and display names cannot be compared with addresses; without another name it is the user's own mailbox.
        let alias = last_part(owner);
        (!is_guid(alias) && !alias.is_empty() && !alias.contains(' ')).then(|| address(owner, audit))
    };
    if let Some(owner) = parameters.get("Identity").and_then(owner_in) {
        return Some(owner);
    }
    if let Some(owner) = audit.get(Field::MailboxOwner) {
        return values::user(owner);
    }
    let by_path = audit.get(Field::ObjectId).and_then(owner_in);
    match by_path {
        Some(owner) if owner.contains('@') => Some(owner),
        // An alias alone is worth less than the name of the user who has it.
        Some(owner) => user().filter(|user| same_alias(user, &owner)).or_else(|| Some(plain_alias(&owner).to_owned())),
        None => user(),
    }
}

fn rule_name(audit: &Audit<'_>, parameters: &Pairs<'_>) -> Option<String> {
    let named = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("Name")).map(|(_, value)| value);
    if let Some(name) = named {
        // A rule may be called `.` or nothing at all; both are what hunters look for.
        return Some(name.to_owned());
    }
    parameters
        .get("Identity")
        .map(last_part)
        .or_else(|| audit.get(Field::ObjectId).and_then(|path| path.rsplit_once('\\')).map(|(_, rule)| rule))
        .map(str::to_owned)
}

fn actor_app(audit: &Audit<'_>) -> Option<String> {
    let user = audit.get(Field::UserId)?;
    let open = user.find('(')?;
    Some(user.get(open + 1..)?.trim_end_matches(')').to_owned())
}

// ---- directory

fn directory(audit: &Audit<'_>, common: &mut Common) -> IamOwn {
    let extended = audit.group(Group::Extended);
    let target = audit.group(Group::Target);
    let category = extended.get("extendedAuditEventCategory");
    let of_kind = |kind: &'static str| target.iter().filter(move |(known, _)| *known == kind).map(|(_, id)| id);
    // Type 2 holds the id with and without its kind, and the kind alone.
    let entity_type = of_kind("2").find(|id| ENTITY_TYPES.contains(id)).filter(|kind| *kind != "Other").or(category);
    let uid = of_kind("2")
        .find(|id| is_guid(id))
        .or_else(|| of_kind("0").next())
        .or_else(|| audit.get(Field::ObjectId).and_then(|id| id.rsplit('_').next()).filter(|id| is_guid(id)));
    let upn = of_kind("5").next().or_else(|| audit.get(Field::ObjectId).filter(|id| id.contains('@')));
    let name = match upn {
        Some(upn) => values::user(upn),
        None => of_kind("1").next().map(str::to_owned),
    };
    let user_agent = extended.get("additionalDetails").and_then(values::json_text);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(details) = &user_agent {
        let details = Pairs::from_value(details);
        pairs.extend(details.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    let others = extended.iter().chain(audit.group(Group::Parameters).iter());
    let others = others.filter(|(name, _)| !matches!(*name, "" | "additionalDetails" | "extendedAuditEventCategory"));
    pairs.extend(others.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let app_actor = directory_app(audit);
    if common.app_name.is_none() {
        common.app_name.clone_from(&app_actor);
    }
    IamOwn {
        entity_type: entity_type.map(str::to_owned),
        entity_name: name,
        entity_uid: uid.map(str::to_lowercase),
        mailbox: None,
        parameters: values::json_object(pairs.iter().map(|(name, value)| (name, value))),
        modified: None,
        actor_app_name: app_actor,
        category: category.map(|category| category_name(category).to_owned()),
    }
}

const ENTITY_TYPES: [&str; 12] = [
    "User",
    "Application",
    "ServicePrincipal",
    "Role",
    "Group",
    "Policy",
    "Device",
    "Directory",
    "Company",
    "Domain",
    "AdministrativeUnit",
    "Other",
];

/// The category as the directory's own audit log calls it.
fn category_name(category: &str) -> &str {
    match category {
        "User" => "UserManagement",
        "Group" => "GroupManagement",
        "Application" | "ServicePrincipal" => "ApplicationManagement",
        "Role" => "RoleManagement",
        "Policy" | "AuthorizationPolicy" => "Policy",
        "Directory" | "Company" | "Domain" => "DirectoryManagement",
        "Device" => "Device",
        other => other,
    }
}

/// The name of the application that acted, when the actor is one.
fn directory_app(audit: &Audit<'_>) -> Option<String> {
    let actor = audit.group(Group::Actor);
    let is_app = actor.iter().any(|(kind, id)| kind == "2" && (id == "ServicePrincipal" || id == "Application"));
    if is_app { actor.get("1").map(str::to_owned) } else { None }
}

// ---- the rest

fn other(audit: &Audit<'_>, operation: &str) -> IamOwn {
    let is_folder = operation.contains("Folder") || operation.contains("Calendar");
    let entity_type = if is_folder || operation.contains("Mailbox") {
        "Mailbox"
    } else if operation.contains("Policy") || operation.contains("Settings") {
        "Policy"
    } else if operation.contains("Group") {
        "Group"
    } else if operation.contains("User") {
        "User"
    } else {
        "Site"
    };
    let mailbox = if entity_type == "Mailbox" {
        audit.get(Field::MailboxOwner).or_else(|| audit.get(Field::UserId)).and_then(values::user)
    } else {
        None
    };
    let named = audit.modified.iter().find(|change| change.name == "Name").map(|change| change.new.as_str());
    let name = audit.get(Field::TargetName).or(named).or_else(|| audit.get(Field::SiteUrl));
    let folders = audit.messages.folders.join(";");
    let fields = [
        Field::TargetName,
        Field::TargetType,
        Field::EventData,
        Field::SiteUrl,
        Field::SharingType,
        Field::OldValue,
        Field::NewValue,
    ];
    let fields = fields.iter().filter_map(|field| Some((field.name(), audit.get(*field)?)));
    let groups = [Group::Parameters, Group::Properties, Group::Extra];
    let pairs = groups.iter().flat_map(|group| audit.group(*group).iter()).filter(|(name, _)| !name.is_empty());
    let folders = (!folders.is_empty()).then_some(("Folder", folders.as_str()));
    IamOwn {
        entity_type: Some(entity_type.to_owned()),
        entity_name: mailbox.clone().or_else(|| name.map(str::to_owned)).or_else(|| audit.owned(Field::ObjectId)),
        entity_uid: audit.owned(Field::ObjectId),
        mailbox,
        parameters: values::json_object(pairs.chain(fields).chain(folders)),
        ..IamOwn::default()
    }
}

/// `{"property":{"old":"...","new":"..."}}`.
fn modified(changes: &[Change]) -> Option<String> {
    if changes.is_empty() {
        return None;
    }
    let mut object = Map::new();
    for change in changes {
        let mut values = Map::new();
        values.insert("old".to_owned(), Value::String(change.old.clone()));
        values.insert("new".to_owned(), Value::String(change.new.clone()));
        object.insert(change.name.clone(), Value::Object(values));
    }
    Some(Value::Object(object).to_string())
}

/// OCSF class and activity.
fn classes(operation: &str, kind: Kind, entity: Option<&str>) -> (u32, u8) {
    let lower = operation.to_lowercase();
    let begins = |verbs: &[&str]| verbs.iter().any(|verb| lower.starts_with(verb));
    let adds = begins(&["add", "new-", "grant", "install", "create"]);
    let removes = begins(&["remove", "delete", "revoke", "uninstall", "clear", "hard delete"]);
    let is_account = kind == Kind::Directory && entity == Some("User");
    if is_account
        && !lower.contains("role")
        && !lower.contains("group")
        && let Some(activity) = account_activity(&lower)
    {
        return (3001, activity);
    }
    let is_membership = lower.contains("member") || lower == "addedtogroup" || lower == "removedfromgroup";
    if is_membership && (lower.contains("group")) && !lower.contains("role") {
        return (3006, if removes { 4 } else { 3 });
    }
    let is_access = ["permission", "role", "delegation", "collectionadmin"].iter().any(|part| lower.contains(part))
        && !lower.contains("policy");
    if is_access && (adds || removes || lower.contains("added") || lower.contains("removed")) {
        return (3005, if removes || lower.ends_with("removed") { 2 } else { 1 });
    }
    let activity = if adds || lower.ends_with("added") || lower.starts_with("consent") {
        1
    } else if removes || lower.ends_with("removed") {
        4
    } else if begins(&["get-", "search-", "test-", "export-", "find-"]) {
        2
    } else if begins(&["enable"]) {
        8
    } else if begins(&["disable"]) {
        9
    } else {
        3
    };
    (3004, activity)
}

/// What happened to an account.
fn account_activity(operation: &str) -> Option<u8> {
    let is = |text: &str| operation.contains(text);
    Some(match operation {
        "add user" => 1,
        "enable account" => 2,
        "disable account" => 5,
        "delete user" | "hard delete user" => 6,
        _ if is("reset") && is("password") => 4,
        _ if is("change") && is("password") => 3,
        _ if is("enable strong authentication") => 10,
        _ if is("disable strong authentication") => 11,
        _ => return None,
    })
}
