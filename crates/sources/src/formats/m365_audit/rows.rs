//! A record as a row: where it belongs, and what every row has.

use std::net::IpAddr;

use matagi_model::tables::{Auth, AuthOwn, Common, Saas, SaasOwn};
use matagi_model::{Ip, Time, Uid};

use super::admin;
use super::audit::{Audit, Field, Group};
use super::out::Row;
use crate::values;

/// Kinds of records by number, as far as they decide where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ExchangeAdmin,
    Directory,
    SignIn,
    Compliance,
    Files,
    Other,
}

/// A kind by its number or its name in any case.
pub(super) fn kind(record_type: &str) -> Kind {
    match record_type.to_lowercase().as_str() {
        "1" | "exchangeadmin" => Kind::ExchangeAdmin,
        "8" | "azureactivedirectory" => Kind::Directory,
        "9" | "15" | "azureactivedirectoryaccountlogon" | "azureactivedirectorystslogon" => Kind::SignIn,
        "18" | "securitycompliancecentereopcmdlet" => Kind::Compliance,
        "4"
        | "6"
        | "14"
        | "36"
        | "54"
        | "55"
        | "56"
        | "sharepoint"
        | "sharepointfileoperation"
        | "sharepointsharingoperation"
        | "sharepointlistoperation"
        | "sharepointlistitemoperation"
        | "sharepointcontenttypeoperation"
        | "sharepointfieldoperation"
        | "onedrive" => Kind::Files,
        _ => Kind::Other,
    }
}

/// Builds the row. `time` is unknown where only the wrapper's date is left.
pub(super) fn row(audit: &Audit<'_>, record: u64) -> Row {
    let operation = operation(audit);
    let kind = audit.get(Field::RecordType).map_or(Kind::Other, kind);
    let is_sign_in = kind == Kind::SignIn || matches!(operation.as_str(), "UserLoggedIn" | "UserLoginFailed");
    let common = common(audit, is_sign_in, &operation, record);
    if is_sign_in {
        Row::Auth(Box::new(sign_in(audit, common)))
    } else if admin::is_change(kind, &operation) {
        Row::Iam(Box::new(admin::change(audit, kind, common)))
    } else {
        Row::Saas(Box::new(activity(audit, kind, common)))
    }
}

/// What was done; records without it are no records.
pub(super) fn operation(audit: &Audit<'_>) -> String {
    audit.get(Field::Operation).and_then(values::operation).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

/// The record's own time, and whether it had to be taken from a related field.
pub(super) fn own_time(audit: &Audit<'_>) -> Option<(Time, bool)> {
    let time = |field| audit.get(field).and_then(values::time);
    time(Field::CreationTime)
        .or_else(|| time(Field::CreatedDateTime))
        .map(|time| (time, false))
        .or_else(|| time(Field::StartTime).map(|time| (time, true)))
}

fn common(audit: &Audit<'_>, is_sign_in: bool, operation: &str, record: u64) -> Common {
    let error = audit.get(Field::ErrorNumber).or_else(|| audit.get(Field::LoginStatus));
    let (status_id, status_code) = if is_sign_in {
        (sign_in_status(operation, error), error.or_else(|| audit.get(Field::ResultStatus)))
    } else {
        (result_status(audit.get(Field::ResultStatus)), audit.get(Field::ResultStatus))
    };
    let extended = audit.group(Group::Extended);
    let access = audit.group(Group::Access);
    let own = |text: Option<&str>| text.map(str::to_owned);
    let id = |text: Option<&str>| text.map(str::to_lowercase);
    Common {
        time: own_time(audit).map_or(Time::UNKNOWN, |(time, _)| time),
        event_uid: uid(audit),
        status_id,
        status_code: own(status_code),
        status_detail: own(audit.get(Field::LogonError).or_else(|| extended.get("ResultStatusDetail"))),
        api_operation: Some(operation.to_owned()),
        metadata_product_name: audit.owned(Field::Workload),
        tenant_uid: id(audit.get(Field::OrganizationId)),
        user_name: user_name(audit),
        user_uid: user_uid(audit),
        user_type: audit.get(Field::UserType).map(user_type),
        src_ip: src_ip(audit),
        user_agent: user_agent(audit),
        session_uid: id(access
            .get("AADSessionId")
            .or_else(|| audit.group(Group::Device).get("SessionId"))
            .or_else(|| extended.get("SessionId"))
            .or_else(|| audit.get(Field::SessionId))),
        token_uid: own(access.get("UniqueTokenId")),
        app_uid: id(audit.get(Field::ApplicationId).or_else(|| audit.get(Field::AppId))),
        app_name: audit.owned(Field::ApplicationName),
        correlation_uid: id(audit
            .get(Field::InterSystemsId)
            .or_else(|| audit.get(Field::CorrelationId))
            .or_else(|| access.get("CorrelationId"))
            .or_else(|| audit.get(Field::RequestId))),
        source_record: record,
        ..Common::default()
    }
}

/// Properties that depend on who exported, not on what happened.
const EXPORTER: [Field; 8] = [
    Field::ResultIndex,
    Field::ResultCount,
    Field::CreationDate,
    Field::CreatedDateTime,
    Field::CreationTime,
    Field::StartTime,
    Field::Raw,
    Field::SplunkTime,
];

/// The record's identity: its own id, else a hash over what every exporter keeps.
fn uid(audit: &Audit<'_>) -> Uid {
    const SPACE: &[u8] = b"m365-audit";
    if let Some(id) = audit.get(Field::Id).or_else(|| audit.get(Field::Identity)) {
        return Uid::of(&[SPACE, id.to_lowercase().as_bytes()]);
    }
    let time = own_time(audit).map_or(0, |(time, _)| time.as_micros()).to_le_bytes();
    let mut parts: Vec<&[u8]> = vec![SPACE, b"content", &time];
    if own_time(audit).is_none() {
        parts.push(audit.get(Field::CreationDate).unwrap_or_default().as_bytes());
    }
    for field in Field::ALL.iter().filter(|field| !EXPORTER.contains(field)) {
        if let Some(value) = audit.get(*field) {
            parts.extend([field.name().as_bytes(), value.as_bytes()]);
        }
    }
    for group in [Group::Parameters, Group::Properties, Group::Extended] {
        for (name, value) in audit.group(group).iter() {
            parts.extend([name.as_bytes(), value.as_bytes()]);
        }
    }
    parts.extend(audit.messages.ids.iter().map(String::as_bytes));
    for change in &audit.modified {
        parts.extend([change.name.as_bytes(), change.old.as_bytes(), change.new.as_bytes()]);
    }
    Uid::of(&parts)
}

/// Success is what let somebody in; ResultStatus says `Success` even for a sign-in that was only half done.
fn sign_in_status(operation: &str, error: Option<&str>) -> u8 {
    match (operation, error) {
        ("UserLoggedIn", _) | (_, Some("0")) => 1,
        ("UserLoginFailed", _) | (_, Some(_)) => 2,
        _ => 0,
    }
}

fn result_status(status: Option<&str>) -> u8 {
    let Some(status) = status else { return 0 };
    let is = |words: &[&str]| words.iter().any(|word| status.eq_ignore_ascii_case(word));
    if is(&["success", "succeeded", "true", "partiallysucceeded", "succeed"]) {
        1
    } else if is(&["failed", "failure", "false", "fail", "denied", "blocked", "error"]) {
        2
    } else {
        0
    }
}

fn user_type(text: &str) -> String {
    const NAMES: [&str; 11] = [
        "regular",
        "reserved",
        "admin",
        "dc_admin",
        "system",
        "application",
        "service_principal",
        "custom_policy",
        "system_policy",
        "partner_technician",
        "guest",
    ];
    if let Some(name) = text.parse::<usize>().ok().and_then(|number| NAMES.get(number)) {
        return (*name).to_owned();
    }
    let plain = text.to_lowercase().replace(['_', ' ', '-'], "");
    let named = NAMES.iter().find(|name| name.replace('_', "") == plain);
    named.map_or_else(|| text.to_lowercase(), |name| (*name).to_owned())
}

/// A directory object id.
pub(super) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn user_name(audit: &Audit<'_>) -> Option<String> {
    let is_known = |name: &&str| {
        !matches!(name.to_lowercase().as_str(), "not available" | "unknown" | "00000000-0000-0000-0000-000000000000")
    };
    let given = audit.get(Field::UserId).or_else(|| audit.get(Field::UserIds)).filter(is_known);
    // An id is no name: where the actor's name stands beside it, that is the user.
    let actor = audit.group(Group::Actor);
    let named = || actor.get("5").or_else(|| actor.get("1")).or_else(|| audit.get(Field::UserIds)).filter(is_known);
    match given {
        Some(name) if is_guid(name) || name.starts_with("ServicePrincipal_") => values::user(named().unwrap_or(name)),
        Some(name) => values::user(name),
        None => named().and_then(values::user),
    }
}

fn user_uid(audit: &Audit<'_>) -> Option<String> {
    let actor = audit.group(Group::Actor);
    let of_kind = |kind: &str| actor.iter().find(|(known, id)| *known == kind && is_guid(id)).map(|(_, id)| id);
    // An actor that is a user comes as `User_<id>`; other ids beside it may be those of applications.
    let prefixed = actor.iter().filter(|(known, _)| *known == "2").find_map(|(_, id)| {
        let (kind, id) = id.split_once('_')?;
        (matches!(kind, "User" | "ServicePrincipal") && is_guid(id)).then_some(id)
    });
    of_kind("0")
        .or(prefixed)
        .or_else(|| audit.get(Field::UserKey).filter(|key| is_guid(key)))
        .or_else(|| audit.get(Field::UserId).filter(|id| is_guid(id)))
        .map(str::to_lowercase)
}

fn src_ip(audit: &Audit<'_>) -> Option<Ip> {
    let fields = [Field::ClientIp, Field::ClientIpAddress, Field::ActorIpAddress];
    fields
        .iter()
        .find_map(|field| values::ip(audit.get(*field)?))
        .or_else(|| values::ip(audit.group(Group::Properties).get("ClientIP")?))
        .map(|(ip, _port)| ip)
        .filter(|ip| *ip != Ip::from(IpAddr::from([0, 0, 0, 0])))
}

fn user_agent(audit: &Audit<'_>) -> Option<String> {
    let extended = audit.group(Group::Extended);
    if let Some(agent) = extended.get("UserAgent").or_else(|| audit.get(Field::UserAgent)) {
        return Some(agent.to_owned());
    }
    if let Some(agent) = extended.get("additionalDetails").and_then(values::json_text)
        && let Some(agent) = agent.get("User-Agent").and_then(|agent| values::text(agent.as_str()?))
    {
        return Some(agent.to_owned());
    }
    let info = audit.get(Field::ClientInfo).or_else(|| audit.get(Field::ActorInfo))?;
    let agent = info.split_once(';').map(|(_, agent)| agent.trim_matches(';').trim());
    let is_agent = |agent: &&str| !agent.is_empty() && !agent.starts_with("Action=") && !agent.starts_with("Client=");
    Some(agent.filter(is_agent).unwrap_or(info).to_owned())
}

fn sign_in(audit: &Audit<'_>, mut common: Common) -> Auth {
    let (extended, device) = (audit.group(Group::Extended), audit.group(Group::Device));
    let operation = common.api_operation.as_deref().unwrap_or_default();
    common.class_uid = 3002;
    common.activity_id = if operation.contains("LoggedOff") || operation.contains("Logout") { 2 } else { 1 };
    let request_type = extended.get("RequestType").or_else(|| extended.get("requestType"));
    let is_service = matches!(common.user_type.as_deref(), Some("application" | "service_principal"));
    let second_factor = request_type.is_some_and(|kind| kind.starts_with("SAS:")) && common.status_id == 1;
    let text = |value: Option<&str>| value.map(str::to_owned);
    let resource = audit.group(Group::Target).get("0").or_else(|| audit.get(Field::ObjectId));
    let resource = resource.filter(|id| !matches!(*id, "Unknown" | "Not Available"));
    let own = AuthOwn {
        logon_kind: text(if is_service { Some("service_principal") } else { request_type.and_then(logon_kind) }),
        resource_uid: resource.map(str::to_lowercase),
        request_type: text(request_type),
        auth_protocol: text(request_type.and_then(protocol)),
        is_mfa: second_factor.then_some(true),
        device_uid: text(device.get("Id")),
        device_name: text(device.get("DisplayName")),
        device_os: text(device.get("OS")),
        device_browser: text(device.get("BrowserType")),
        device_is_managed: device
            .get("IsCompliantAndManaged")
            .or_else(|| device.get("IsManaged"))
            .and_then(values::flag),
        service_principal_name: if is_service { common.user_name.clone() } else { None },
        ..AuthOwn::default()
    };
    Auth { common, own, raw: None }
}

/// Pages that only a person sees make a sign-in interactive; a request for a token says nothing.
fn logon_kind(request_type: &str) -> Option<&'static str> {
    const PAGES: [&str; 7] = ["Login:", "Cmsi:", "Kmsi:", "SAS:", "MessagePrompt:", "Consent:", "OAuth2:Authorize"];
    PAGES.iter().any(|page| request_type.starts_with(page)).then_some("interactive")
}

fn protocol(request_type: &str) -> Option<&'static str> {
    match request_type.split(':').next()? {
        "OAuth2" => Some("oAuth2"),
        "Saml2" | "SAML2" => Some("saml20"),
        "WsFed" | "WSFed" => Some("wsFederation"),
        _ => None,
    }
}

fn activity(audit: &Audit<'_>, kind: Kind, mut common: Common) -> Saas {
    let operation = common.api_operation.clone().unwrap_or_default();
    (common.class_uid, common.activity_id) = classes(&operation, kind);
    let properties = audit.group(Group::Properties);
    let messages = &audit.messages;
    let named = u64::try_from(messages.ids.len()).unwrap_or(u64::MAX).max(messages.items);
    let own = SaasOwn {
        mailbox: mailbox(audit, &operation),
        client_info: audit.owned(Field::ClientInfo),
        client_app_uid: audit
            .get(Field::ClientAppId)
            .or_else(|| audit.group(Group::Access).get("ClientAppId"))
            .map(str::to_lowercase),
        logon_type: audit.get(Field::LogonType).map(logon_type),
        access_type: properties.get("MailAccessType").map(str::to_owned),
        is_throttled: properties.get("IsThrottled").and_then(values::flag),
        folders: messages.folders.clone(),
        message_uids: messages.ids.clone(),
        item_count: audit.get(Field::OperationCount).and_then(values::number).or((named > 0).then_some(named)),
        subject: messages.subject.clone(),
        object_name: object_name(audit),
        send_as: audit.get(Field::SendAs).or_else(|| audit.get(Field::SendOnBehalfOf)).and_then(values::user),
        details: details(audit),
    };
    Saas { common, own, raw: None }
}

/// The mailbox touched: its owner where the record says so, else, for a mailbox operation, the user's own.
fn mailbox(audit: &Audit<'_>, operation: &str) -> Option<String> {
    if let Some(owner) = audit.get(Field::MailboxOwner) {
        return values::user(owner);
    }
    let is_exchange = audit.get(Field::Workload).is_some_and(|workload| workload.eq_ignore_ascii_case("exchange"));
    let is_own = matches!(audit.get(Field::LogonType), Some("0" | "Owner"));
    let is_mail = matches!(operation, "MailItemsAccessed" | "Send" | "MailboxLogin" | "AttachmentAccess");
    if is_exchange && (is_own || is_mail) {
        audit.get(Field::UserId).filter(|user| user.contains('@')).and_then(values::user)
    } else {
        None
    }
}

fn logon_type(text: &str) -> String {
    match text {
        "0" => "Owner".to_owned(),
        "1" => "Admin".to_owned(),
        "2" | "Delegate" => "Delegated".to_owned(),
        other => other.to_owned(),
    }
}

fn object_name(audit: &Audit<'_>) -> Option<String> {
    let fields = [Field::ObjectId, Field::SourceRelativeUrl, Field::SiteUrl, Field::ItemName, Field::TeamName];
    fields.iter().find_map(|field| audit.owned(*field))
}

/// OCSF class and activity.
fn classes(operation: &str, kind: Kind) -> (u32, u8) {
    let has = |words: &[&str]| words.iter().any(|word| operation.contains(word));
    if matches!(operation, "MailItemsAccessed" | "AttachmentAccess") {
        return (6005, 1);
    }
    if has(&["SearchQuery", "SearchStarted", "SearchPerformed", "SearchViewed"]) {
        return (6005, 4);
    }
    let activity = if has(&["Shar", "Link", "Invitation"]) && kind == Kind::Files {
        8
    } else if has(&["Delet", "Remove", "Recycle"]) {
        4
    } else if has(&["Creat", "Added", "New", "Upload", "Send", "Sent"]) {
        1
    } else if has(&["Download", "Access", "View", "Preview", "Read", "Sync", "Login", "Started"]) {
        2
    } else if has(&["Modif", "Update", "Set", "Rename", "Move", "Copy", "Copied", "Chang", "Restore"]) {
        3
    } else {
        99
    };
    match (kind, activity) {
        (Kind::Files, activity) => (6001, activity),
        (_, 8) => (6003, 99),
        (_, activity) => (6003, activity),
    }
}

/// Everything else that says what was done.
fn details(audit: &Audit<'_>) -> Option<String> {
    const FIELDS: [Field; 40] = [
        Field::SourceFileName,
        Field::SourceFileExtension,
        Field::SourceRelativeUrl,
        Field::SiteUrl,
        Field::DestinationFileName,
        Field::DestinationRelativeUrl,
        Field::ItemType,
        Field::EventSource,
        Field::EventData,
        Field::SharingType,
        Field::TargetName,
        Field::TargetType,
        Field::UserSharedWith,
        Field::IsManagedDevice,
        Field::DeviceName,
        Field::Platform,
        Field::FileSizeBytes,
        Field::QueryText,
        Field::Query,
        Field::SearchName,
        Field::CaseName,
        Field::ExchangeLocations,
        Field::TeamName,
        Field::ChannelName,
        Field::ChatThreadId,
        Field::CommunicationType,
        Field::AddOnName,
        Field::ItemName,
        Field::MessageId,
        Field::Members,
        Field::AlertId,
        Field::Category,
        Field::Severity,
        Field::Status,
        Field::Data,
        Field::FormName,
        Field::ClientProcessName,
        Field::ClientVersion,
        Field::CrossMailbox,
        Field::DestMailboxOwner,
    ];
    let changes: Vec<&str> = audit.modified.iter().map(|change| change.name.as_str()).collect();
    let modified = changes.join(";");
    let fields = FIELDS.iter().filter_map(|field| Some((field.name(), audit.get(*field)?)));
    let groups = [Group::Properties, Group::Extra, Group::Parameters, Group::Extended];
    let pairs = groups.iter().flat_map(|group| audit.group(*group).iter());
    let pairs = pairs.filter(|(name, value)| {
        !matches!(*name, "" | "MailAccessType" | "IsThrottled" | "UserAgent") && !value.is_empty()
    });
    let modified = (!modified.is_empty()).then_some(("ModifiedProperties", modified.as_str()));
    values::json_object(fields.chain(pairs).chain(modified))
}
