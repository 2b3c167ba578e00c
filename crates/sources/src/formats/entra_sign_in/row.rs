//! One sign-in as a row.

use matagi_model::tables::{Auth, AuthOwn, Common};
use matagi_model::{Ip, Time, Uid};
use serde_json::Value;

use super::headers::SignIn;
use super::words;
use crate::fields::reading::Origin;
use crate::fields::{Record, elements, float, integer, is_guid, member, tenant_of_path, text, truth};
use crate::values::{self, CultureDates};

/// OCSF Authentication.
const CLASS: u32 = 3002;
/// OCSF activity Logon.
const LOGON: u8 = 1;

/// What a record holds as objects.
struct Nested {
    status: Value,
    device: Value,
    location: Value,
    steps: Value,
}

/// The row of a sign-in.
///
/// # Errors
/// When the record names nobody and nothing, or its only time cannot be read.
pub(super) fn of(mut record: Record<SignIn>, origin: Origin, dates: &mut CultureDates) -> Result<Auth, String> {
    let nested = Nested {
        location: location(&mut record),
        status: nested_or_word(&mut record, SignIn::Status),
        device: record.nested(SignIn::DeviceDetail),
        steps: record.nested(SignIn::AuthDetails),
    };
    let subject = Subject::of(&record);
    if subject.is_empty() && record.first(&[SignIn::AppId, SignIn::AppName]).is_none() {
        return Err("neither a user nor an application: not a sign-in".to_owned());
    }
    let (time, is_time_recovered) = time(&record, &nested.steps, dates)?;
    let (status_id, status_code) = status(&record, &nested.status);
    let recovered = match (origin.is_lossy, is_time_recovered) {
        (true, _) => Some("lossy".to_owned()),
        (false, true) => Some("time".to_owned()),
        (false, false) => None,
    };
    let mut common = common(&record, &nested, subject);
    common.time = time;
    common.event_uid = identity(&record, &origin);
    common.status_id = status_id;
    common.status_code = status_code;
    common.recovered = recovered;
    common.source_record = origin.number;
    let own = own(&mut record, &nested, status_id);
    Ok(Auth { common, own, raw: Some(origin.json) })
}

/// The id that all copies of a sign-in share; the content where an export left it out.
fn identity(record: &Record<SignIn>, origin: &Origin) -> Uid {
    match record.text(SignIn::Id) {
        Some(id) => Uid::of(&[b"entra-sign-in", id.to_lowercase().as_bytes()]),
        None => Uid::of(&[b"entra-sign-in", b"content", origin.json.as_bytes()]),
    }
}

/// A field that Graph fills with an object and the portal with a word.
fn nested_or_word(record: &mut Record<SignIn>, field: SignIn) -> Value {
    let word = record.value(field).clone();
    let object = record.nested(field);
    if object.is_null() { word } else { object }
}

fn location(record: &mut Record<SignIn>) -> Value {
    let details = record.nested(SignIn::LocationDetails);
    if details.is_object() { details } else { nested_or_word(record, SignIn::Location) }
}

/// Who signed in.
struct Subject {
    name: Option<String>,
    uid: Option<String>,
    kind: Option<String>,
    is_service: bool,
}

impl Subject {
    fn of(record: &Record<SignIn>) -> Self {
        let lower = |field| record.text(field).map(|name| name.to_lowercase());
        let user_uid = lower(SignIn::UserId).filter(|uid| !is_nil(uid));
        let principal = lower(SignIn::UserPrincipalName);
        let is_user = user_uid.is_some() || principal.is_some();
        let service_uid = lower(SignIn::ServicePrincipalId).filter(|uid| !is_nil(uid));
        if !is_user && (service_uid.is_some() || record.text(SignIn::ServicePrincipalName).is_some()) {
            return Self {
                name: record.first(&[SignIn::ServicePrincipalName, SignIn::AppName]).map(|name| name.to_lowercase()),
                uid: service_uid,
                kind: Some("service_principal".to_owned()),
                is_service: true,
            };
        }
        // An object id in place of the name: the directory could not resolve it. What the user typed is nearer.
        let typed = || {
            let names = [SignIn::TypedName, SignIn::AlternateName];
            names.into_iter().filter_map(lower).find(|name| name.contains('@'))
        };
        let (name, uid) = match principal {
            Some(guid) if is_guid(&guid) => (typed().or_else(|| Some(guid.clone())), user_uid.or(Some(guid))),
            Some(name) => (Some(name), user_uid),
            None => (typed().or_else(|| lower(SignIn::UserDisplayName)), user_uid),
        };
        let kind = record.text(SignIn::UserType).map(|kind| words::user_type(&kind));
        Self { name, uid, kind, is_service: false }
    }

    fn is_empty(&self) -> bool {
        self.name.is_none() && self.uid.is_none()
    }
}

/// The identifier that stands for "none".
fn is_nil(guid: &str) -> bool {
    guid.bytes().all(|byte| matches!(byte, b'0' | b'-'))
}

/// The time, and whether it had to be taken from a related field.
fn time(record: &Record<SignIn>, steps: &Value, dates: &mut CultureDates) -> Result<(Time, bool), String> {
    let own = record.first(&[SignIn::Created, SignIn::Generated]);
    if let Some(time) = own.as_deref().and_then(|date| dates.time(date)) {
        return Ok((time, false));
    }
    let mut times = elements(steps).iter().filter_map(|step| {
        let date = text(member(step, "authenticationStepDateTime"))?;
        values::time(&date)
    });
    if let Some(first) = times.next() {
        return Ok((times.fold(first, Time::min), true));
    }
    if let Some(time) = record.text(SignIn::LocalTime).and_then(|date| dates.time(&date)) {
        return Ok((time, true));
    }
    match own {
        Some(date) => Err(format!("the time {date:?} cannot be read")),
        None => Ok((Time::UNKNOWN, false)),
    }
}

/// `status_id` and the code as text. The error code decides; a word only where there is no code.
fn status(record: &Record<SignIn>, status: &Value) -> (u8, Option<String>) {
    let code = integer(member(status, "errorCode"))
        .or_else(|| record.integer(SignIn::ErrorCode))
        .or_else(|| record.integer(SignIn::ResultType));
    if let Some(code) = code {
        return (if code == 0 { 1 } else { 2 }, Some(code.to_string()));
    }
    match text(status).or_else(|| record.text(SignIn::ResultType)) {
        Some(word) => (words::outcome(&word).unwrap_or(0), Some(word)),
        None => (0, None),
    }
}

/// The product's words about the result. "Other." says nothing.
fn status_detail(record: &Record<SignIn>, nested: &Nested) -> Option<String> {
    let status = &nested.status;
    let reasons = [
        text(member(status, "failureReason")),
        record.text(SignIn::FailureReason),
        record.text(SignIn::ResultDescription),
    ];
    let details = [
        text(member(status, "additionalDetails")),
        record.text(SignIn::StatusDetail),
        record.text(SignIn::MfaResult),
        elements(&nested.steps).iter().rev().find_map(|step| text(member(step, "authenticationStepResultDetail"))),
    ];
    // One code stands for every failed second factor: only the details tell a refused prompt from a wrong code.
    let is_second_factor = self::status(record, status).1.as_deref() == Some(SECOND_FACTOR_FAILED);
    let told: Vec<Option<String>> = if is_second_factor {
        details.into_iter().chain(reasons).collect()
    } else {
        reasons.into_iter().chain(details).collect()
    };
    let says_nothing =
        |words: &String| ["other", "other.", "none"].iter().any(|nothing| words.eq_ignore_ascii_case(nothing));
    told.into_iter().flatten().find(|words| !says_nothing(words))
}

/// Error code of a second factor that was not given.
const SECOND_FACTOR_FAILED: &str = "500121";

fn common(record: &Record<SignIn>, nested: &Nested, subject: Subject) -> Common {
    let place = Place::of(record, &nested.location);
    Common {
        class_uid: CLASS,
        activity_id: LOGON,
        status_detail: status_detail(record, nested),
        api_operation: Some("Sign-in activity".to_owned()),
        metadata_product_name: Some("AzureActiveDirectory".to_owned()),
        tenant_uid: tenant(record),
        user_name: subject.name,
        user_uid: subject.uid,
        user_type: if subject.is_service { Some("service_principal".to_owned()) } else { subject.kind },
        src_ip: address(record),
        src_country: place.country,
        src_city: place.city,
        src_latitude: place.point.map(|point| point.0),
        src_longitude: place.point.map(|point| point.1),
        src_asn: record.integer(SignIn::Asn).and_then(|asn| u32::try_from(asn).ok()).filter(|asn| *asn != 0),
        user_agent: record.text(SignIn::UserAgent),
        session_uid: record.text(SignIn::SessionId).filter(|id| !is_nil(id)),
        token_uid: record.text(SignIn::TokenId),
        app_uid: record.text(SignIn::AppId).map(|id| id.to_lowercase()),
        app_name: record.text(SignIn::AppName),
        correlation_uid: record.text(SignIn::CorrelationId),
        ..Common::default()
    }
}

fn address(record: &Record<SignIn>) -> Option<Ip> {
    let fields = [SignIn::Ip, SignIn::CallerIp];
    fields.iter().find_map(|field| record.text(*field).and_then(|text| values::ip(&text)).map(|(ip, _)| ip))
}

/// The tenant whose log this is. `TenantId` is not asked: in Log Analytics it names the workspace.
fn tenant(record: &Record<SignIn>) -> Option<String> {
    let lower = |field| record.text(field).map(|tenant| tenant.to_lowercase());
    lower(SignIn::TenantOfDirectory)
        .or_else(|| record.text(SignIn::ResourceId).and_then(|path| tenant_of_path(&path)))
        .or_else(|| lower(SignIn::ResourceTenant))
        .or_else(|| lower(SignIn::HomeTenant))
        .filter(|tenant| !is_nil(tenant))
}

struct Place {
    country: Option<String>,
    city: Option<String>,
    point: Option<(f64, f64)>,
}

impl Place {
    fn of(record: &Record<SignIn>, location: &Value) -> Self {
        let written = Self::written(location);
        let point = member(location, "geoCoordinates");
        let latitude = float(member(point, "latitude")).or_else(|| record.float(SignIn::Latitude));
        let longitude = float(member(point, "longitude")).or_else(|| record.float(SignIn::Longitude));
        let country = text(member(location, "countryOrRegion"))
            .or_else(|| record.text(SignIn::Country))
            .and_then(|country| country_code(&country))
            .or(written.country)
            // Beside the details, Log Analytics has the country alone in `Location`.
            .or_else(|| record.text(SignIn::Location).and_then(|country| country_code(&country)));
        Self {
            country,
            city: text(member(location, "city")).or_else(|| record.text(SignIn::City)).or(written.city),
            point: latitude.zip(longitude).filter(|(latitude, longitude)| {
                // Some tenants' logs have the two exchanged; a place that is none is worse than no place.
                latitude.abs() <= 90.0 && longitude.abs() <= 180.0 && (*latitude != 0.0 || *longitude != 0.0)
            }),
        }
    }

    /// `Kyoto, Kyoto, JP` of the portal, or `JP`.
    fn written(location: &Value) -> Self {
        let nothing = Self { country: None, city: None, point: None };
        let Some(written) = text(location) else { return nothing };
        let (before, last) = written.rsplit_once(',').unwrap_or(("", &written));
        let Some(country) = country_code(last) else { return nothing };
        let city = before.split(',').next().map(str::trim).filter(|city| !city.is_empty()).map(str::to_owned);
        Self { country: Some(country), city, point: None }
    }
}

fn country_code(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() == 2 && text.bytes().all(|letter| letter.is_ascii_alphabetic())).then(|| text.to_ascii_uppercase())
}

fn own(record: &mut Record<SignIn>, nested: &Nested, status_id: u8) -> AuthOwn {
    let device = |name: &str, field: SignIn| text(member(&nested.device, name)).or_else(|| record.text(field));
    let requirement = record.text(SignIn::AuthRequirement).map(words::requirement);
    let managed = truth(member(&nested.device, "isManaged")).or_else(|| record.flag(SignIn::DeviceManaged));
    let service_name = record.text(SignIn::ServicePrincipalName);
    AuthOwn {
        logon_kind: logon_kind(record),
        resource_uid: [SignIn::ResourceIdentity, SignIn::ResourceId]
            .iter()
            .filter_map(|field| record.text(*field))
            .find(|id| !id.starts_with('/'))
            .map(|id| id.to_lowercase()),
        resource_name: record.text(SignIn::ResourceName).or_else(|| {
            record.text(SignIn::ResourcePlain).filter(|name| !name.eq_ignore_ascii_case("Microsoft.aadiam"))
        }),
        request_type: None,
        auth_protocol: record.text(SignIn::AuthProtocol).and_then(words::protocol),
        original_transfer_method: record.text(SignIn::TransferMethod).and_then(words::transfer),
        client_app: record.text(SignIn::ClientApp).map(words::client_app),
        is_mfa: is_mfa(record, nested, requirement.as_deref(), status_id),
        auth_requirement: requirement,
        conditional_access: record.text(SignIn::ConditionalAccess).map(words::conditional_access),
        device_uid: device("deviceId", SignIn::DeviceId).filter(|id| !is_nil(id)).map(|id| id.to_lowercase()),
        device_name: device("displayName", SignIn::DeviceName),
        device_os: device("operatingSystem", SignIn::DeviceOs),
        device_browser: device("browser", SignIn::DeviceBrowser),
        device_is_managed: managed,
        risk_level: record.text(SignIn::RiskDuring).map(|level| level.to_lowercase()),
        risk_event_types: risk_events(record),
        service_principal_name: service_name,
    }
}

/// Whether a second factor was satisfied: the log says so in its details, or the sign-in succeeded although one was
/// demanded. `None` where the log says nothing about it.
fn is_mfa(record: &Record<SignIn>, nested: &Nested, requirement: Option<&str>, status_id: u8) -> Option<bool> {
    let is_satisfied = |words: &str| {
        let words = words.to_lowercase();
        words.contains("mfa requirement satisfied")
            || words.contains("mfa completed")
            || words.contains("mfa successfully completed")
    };
    let details = [
        text(member(&nested.status, "additionalDetails")),
        record.text(SignIn::StatusDetail),
        record.text(SignIn::MfaResult),
    ];
    let steps = elements(&nested.steps);
    let step_satisfies = |step: &Value| {
        let part = |name: &str| text(member(step, name)).unwrap_or_default();
        let succeeded = truth(member(step, "succeeded")) == Some(true);
        is_satisfied(&part("authenticationStepResultDetail"))
            || (succeeded && part("authenticationStepRequirement").to_lowercase().contains("multi"))
    };
    if details.iter().flatten().any(|words| is_satisfied(words)) || steps.iter().any(step_satisfies) {
        return Some(true);
    }
    match requirement {
        Some("multiFactorAuthentication") => Some(status_id == 1),
        Some("singleFactorAuthentication") => Some(false),
        _ => None,
    }
}

/// How the sign-in came about. The portal's CSV of users does not tell interactive from non-interactive: `None`.
fn logon_kind(record: &Record<SignIn>) -> Option<String> {
    let kinds = match record.value(SignIn::EventTypes) {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        value => text(value).unwrap_or_default(),
    };
    let said =
        [kinds, record.text(SignIn::Category).unwrap_or_default(), record.text(SignIn::Table).unwrap_or_default()]
            .join(" ")
            .to_lowercase();
    let interactive = record.flag(SignIn::IsInteractive);
    let kind = if said.contains("managedidentity")
        || record.text(SignIn::ManagedIdentity).is_some_and(|kind| !is_none(&kind))
    {
        "managed_identity"
    } else if said.contains("serviceprincipal") {
        "service_principal"
    } else if said.contains("noninteractive") || interactive == Some(false) {
        "non_interactive"
    } else if interactive == Some(true) || said.contains("interactiveuser") || said.contains("signinlogs") {
        "interactive"
    } else if record.first(&[SignIn::UserPrincipalName, SignIn::UserId]).is_none()
        && record.first(&[SignIn::ServicePrincipalId, SignIn::CredentialKeyId]).is_some()
    {
        "service_principal"
    } else {
        return None;
    };
    Some(kind.to_owned())
}

fn is_none(text: &str) -> bool {
    text.eq_ignore_ascii_case("none") || text.starts_with('{') && text.len() <= 2
}

fn risk_events(record: &mut Record<SignIn>) -> Vec<String> {
    [SignIn::RiskEvents, SignIn::RiskEventsOld]
        .into_iter()
        .map(|field| match nested_or_word(record, field) {
            Value::Array(list) => list.iter().filter_map(text).collect(),
            value => text(&value).map_or_else(Vec::new, |words| {
                let words = words.split([',', ';']).map(|word| word.trim().to_owned());
                words.filter(|word| !word.is_empty() && !is_none(word)).collect()
            }),
        })
        .find(|events: &Vec<String>| !events.is_empty())
        .unwrap_or_default()
}
