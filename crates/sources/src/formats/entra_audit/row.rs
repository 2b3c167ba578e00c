//! One audit record as a row.

use std::collections::BTreeMap;

use matagi_model::tables::{Common, Iam, IamOwn};
use matagi_model::{Ip, Time, Uid};
use serde_json::Value;

use super::targets::{self, Target};
use super::{Audit, change};
use crate::fields::reading::Origin;
use crate::fields::{Record, json_object, key_values, member, tenant_of_path, text};
use crate::formats::entra_sign_in::words;
use crate::values::{self, CultureDates};

/// The row of an audit record.
///
/// # Errors
/// When it does not say what was done, or its only time cannot be read.
pub(crate) fn of(mut record: Record<Audit>, origin: Origin, dates: &mut CultureDates) -> Result<Iam, String> {
    let operation = record
        .first(&[Audit::Activity, Audit::Operation])
        .and_then(|name| values::operation(&name).map(std::borrow::Cow::into_owned))
        .ok_or("no activity: not an audit record")?;
    let (time, is_time_recovered) = time(&record, dates)?;
    let targets = targets_of(&mut record);
    let details = details(&mut record);
    let initiator = record.nested(Audit::InitiatedBy);
    let actor = Actor::of(&record, &initiator);
    let target = targets::telling(&targets);
    let (class_uid, activity_id) = change::of(&operation, target.and_then(|target| target.kind.as_deref()));
    let result = record.text(Audit::Result);
    let common = Common {
        time,
        event_uid: identity(&record, &origin),
        class_uid,
        activity_id,
        status_id: result.as_deref().and_then(words::outcome).unwrap_or(0),
        status_code: result,
        status_detail: record.first(&[Audit::ResultReason, Audit::ResultDescription]),
        api_operation: Some(operation),
        metadata_product_name: Some("AzureActiveDirectory".to_owned()),
        tenant_uid: tenant(&record),
        user_agent: detail(&details, &["User-Agent", "UserAgent"]).or_else(|| record.text(Audit::UserAgent)),
        session_uid: detail(&details, &["SessionId", "AADSessionId"]),
        token_uid: detail(&details, &["UniqueTokenId", "UniqueTokenIdentifier"]),
        src_ip: address(&record, &initiator),
        app_uid: actor.app_uid,
        app_name: actor.app_name.clone(),
        user_name: actor.name,
        user_uid: actor.uid,
        user_type: actor.kind.map(str::to_owned),
        correlation_uid: record.text(Audit::CorrelationId),
        recovered: match (origin.is_lossy, is_time_recovered) {
            (true, _) => Some("lossy".to_owned()),
            (false, true) => Some("time".to_owned()),
            (false, false) => None,
        },
        source_record: origin.number,
        ..Common::default()
    };
    let own = IamOwn {
        entity_type: target.and_then(|target| target.kind.clone()),
        entity_name: target.and_then(Target::label),
        entity_uid: target.and_then(|target| target.uid.clone()),
        mailbox: None,
        parameters: json_object(details),
        modified: targets::modified(&targets),
        actor_app_name: actor.app_name,
        category: record.text(Audit::Category),
    };
    Ok(Iam { common, own, raw: Some(origin.json) })
}

fn identity(record: &Record<Audit>, origin: &Origin) -> Uid {
    match record.text(Audit::Id) {
        Some(id) => Uid::of(&[b"entra-audit", id.to_lowercase().as_bytes()]),
        None => Uid::of(&[b"entra-audit", b"content", origin.json.as_bytes()]),
    }
}

fn time(record: &Record<Audit>, dates: &mut CultureDates) -> Result<(Time, bool), String> {
    let own = record.first(&[Audit::Time, Audit::Generated]);
    if let Some(time) = own.as_deref().and_then(|date| dates.time(date)) {
        return Ok((time, false));
    }
    if let Some(time) = record.text(Audit::LocalTime).and_then(|date| dates.time(&date)) {
        return Ok((time, true));
    }
    match own {
        Some(date) => Err(format!("the time {date:?} cannot be read")),
        None => Ok((Time::UNKNOWN, false)),
    }
}

fn targets_of(record: &mut Record<Audit>) -> Vec<Target> {
    let targets = targets::of_json(&record.nested(Audit::Targets));
    if !targets.is_empty() {
        return targets;
    }
    let targets = targets::of_columns(record.others());
    if !targets.is_empty() {
        return targets;
    }
    let flat = Target {
        kind: record.text(Audit::TargetType),
        name: record.text(Audit::TargetName),
        uid: record.text(Audit::TargetId),
        ..Target::default()
    };
    vec![flat]
}

fn details(record: &mut Record<Audit>) -> BTreeMap<String, String> {
    let details: BTreeMap<_, _> = key_values(&record.nested(Audit::Details)).collect();
    if details.is_empty() { targets::details_of_columns(record.others()) } else { details }
}

fn detail(details: &BTreeMap<String, String>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let found = details.iter().find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty());
        found.map(|(_, value)| value.clone())
    })
}

/// Who acted.
#[derive(Default)]
struct Actor {
    name: Option<String>,
    uid: Option<String>,
    kind: Option<&'static str>,
    app_uid: Option<String>,
    app_name: Option<String>,
}

impl Actor {
    fn of(record: &Record<Audit>, initiator: &Value) -> Self {
        let lower = |value: Option<String>| value.map(|text| text.to_lowercase());
        let user = member(initiator, "user");
        let app = member(initiator, "app");
        let principal = text(member(user, "userPrincipalName"))
            .or_else(|| record.text(Audit::ActorPrincipal))
            .or_else(|| record.text(Audit::Initiator).filter(|name| name.contains('@')));
        let user_uid = text(member(user, "id"));
        if principal.is_some() || user_uid.is_some() {
            let name = principal.or_else(|| text(member(user, "displayName")));
            return Self {
                name: lower(name),
                uid: lower(user_uid.or_else(|| record.text(Audit::ActorId))),
                kind: Some("regular"),
                ..Self::default()
            };
        }
        let app_name = text(member(app, "displayName"))
            .or_else(|| text(member(app, "servicePrincipalName")))
            .or_else(|| record.first(&[Audit::ActorServiceName, Audit::ActorName, Audit::Initiator, Audit::Identity]));
        let service_uid =
            text(member(app, "servicePrincipalId")).or_else(|| record.first(&[Audit::ActorServiceId, Audit::ActorId]));
        let app_uid = text(member(app, "appId"));
        let is_anybody = app_name.is_some() || service_uid.is_some() || app_uid.is_some();
        Self {
            name: lower(app_name.clone()),
            uid: lower(service_uid),
            kind: is_anybody.then_some(if is_person(record) { "regular" } else { "application" }),
            app_uid: lower(app_uid),
            app_name,
        }
    }
}

/// Whether the portal calls the actor a user although it has no principal name (a deleted one, or one of a partner).
fn is_person(record: &Record<Audit>) -> bool {
    let kind = record.text(Audit::ActorType).unwrap_or_default().to_lowercase();
    ["user", "ユーザー", "utilisateur", "benutzer", "usuario"].contains(&kind.as_str())
}

fn address(record: &Record<Audit>, initiator: &Value) -> Option<Ip> {
    let sides = ["user", "app"].map(|side| text(member(member(initiator, side), "ipAddress")));
    let columns = [Audit::Ip, Audit::InitiatorIp, Audit::CallerIp].map(|field| record.text(field));
    sides.into_iter().chain(columns).flatten().find_map(|text| values::ip(&text)).map(|(ip, _)| ip)
}

fn tenant(record: &Record<Audit>) -> Option<String> {
    let named = record.text(Audit::TenantOfDirectory).map(|tenant| tenant.to_lowercase());
    named.or_else(|| record.text(Audit::ResourceId).and_then(|path| tenant_of_path(&path)))
}
