//! Records of the Entra sign-in log and the Entra audit log, as Microsoft Graph gives them.

use crate::audit::{correlation, device_name, token};
use crate::company::Company;
use crate::dice::mix;
use crate::event::{Directory, Event, Protocol, Second, SignIn};
use crate::pieces::{Escaped, Hex, Id, Iso, Number, Token, fill, put};
use crate::world::Seat;

/// Writes a Graph `signIn` object.
pub(crate) fn sign_in(company: &Company, event: &Event, sign_in: &SignIn, out: &mut Vec<u8>) {
    let (person, seat) = (company.person(event.user), event.seat);
    let client = seat.device.client;
    fill(
        out,
        r#"
        {"id":"%","createdDateTime":"%Z","userDisplayName":"%","userPrincipalName":"%","userId":"%","appId":"%"
        ,"appDisplayName":"%","ipAddress":"%","clientAppUsed":"%","userAgent":"%","correlationId":"%"
        ,"conditionalAccessStatus":"%","isInteractive":%,"signInEventTypes":["%"],"sessionId":"#,
        &[
            &Id(event.id),
            &Iso(event.time),
            &Escaped(&person.name),
            &person.upn.as_str(),
            &Id(person.id),
            &Id(sign_in.app.id),
            &sign_in.app.name,
            &seat.place.ip,
            &client_app(sign_in, client.kind),
            &Escaped(client.user_agent),
            &Id(event.id ^ 0x1111),
            &conditional_access(sign_in.error),
            &(if sign_in.is_interactive { "true" } else { "false" }),
            &(if sign_in.is_interactive { "interactiveUser" } else { "nonInteractiveUser" }),
        ],
    );
    if sign_in.error == 0 {
        fill(out, r#""%""#, &[&Id(seat.session)]);
    } else {
        put!(out, "null");
    }
    fill(
        out,
        r#"
        ,"uniqueTokenIdentifier":"%","originalRequestId":"%","incomingTokenType":"none"
        ,"authenticationProtocol":"%","originalTransferMethod":"%","authenticationRequirement":"%"
        ,"resourceDisplayName":"%","resourceId":"%","status":{"errorCode":%,"failureReason":"%"
        ,"additionalDetails":"#,
        &[
            &Token(if sign_in.error == 0 { token(event, sign_in.app.id) } else { event.id ^ 0x2222 }),
            &Id(event.id),
            &protocol(sign_in),
            &transfer(sign_in),
            &requirement(sign_in),
            &sign_in.resource.name,
            &Id(sign_in.resource.id),
            &Number(sign_in.error.into()),
            &failure(sign_in.error),
        ],
    );
    match sign_in.second.words() {
        Some(words) => fill(out, r#""%"}"#, &[&words]),
        None => put!(out, "null}"),
    }
    steps(event, sign_in, out);
    machine_and_place(company, event.seat, out);
}

/// Writes the rest of a `signIn`: device, location, network.
fn machine_and_place(company: &Company, seat: Seat, out: &mut Vec<u8>) {
    let (network, client) = (seat.place.network, seat.device.client);
    put!(out, ",\"deviceDetail\":{\"deviceId\":\"");
    if let Some(device) = seat.device.id {
        fill(out, r#"%","displayName":"%"#, &[&Id(device), &device_name(device).as_str()]);
    } else {
        fill(out, r#"","displayName":""#, &[]);
    }
    let is_managed = seat.device.id.is_some();
    let managed = if is_managed { "true" } else { "false" };
    fill(
        out,
        r#"
        ","operatingSystem":"%","browser":"%","isCompliant":%,"isManaged":%,"trustType":"%"}
        ,"location":{"city":"%","state":"%","countryOrRegion":"%","geoCoordinates":{"altitude":null,"latitude":%
        ,"longitude":%}},"autonomousSystemNumber":%,"riskDetail":"none","riskLevelAggregated":"none"
        ,"riskLevelDuringSignIn":"none","riskState":"none","riskEventTypes_v2":[],"servicePrincipalId":""
        ,"crossTenantAccessType":"none","homeTenantId":"%","resourceTenantId":"%","tokenIssuerType":"AzureAD"
        ,"flaggedForReview":false,"appliedConditionalAccessPolicies":[]}"#,
        &[
            &client.os,
            &client.browser,
            &managed,
            &managed,
            &(if is_managed { "Azure AD joined" } else { "" }),
            &network.city,
            &network.state,
            &network.country,
            &network.latitude,
            &network.longitude,
            &Number(network.asn.into()),
            &Id(company.tenant),
            &Id(company.tenant),
        ],
    );
}

fn client_app(sign_in: &SignIn, usual: &'static str) -> &'static str {
    match sign_in.protocol {
        Protocol::Smtp => "Authenticated SMTP",
        Protocol::Imap => "IMAP4",
        _ => usual,
    }
}

fn protocol(sign_in: &SignIn) -> &'static str {
    match sign_in.protocol {
        Protocol::Password => "ropc",
        Protocol::DeviceCode => "deviceCode",
        _ => "none",
    }
}

/// How the first token of the session came to its machine.
fn transfer(sign_in: &SignIn) -> &'static str {
    match sign_in.protocol {
        Protocol::DeviceCode | Protocol::DeviceCodeToken => "deviceCodeFlow",
        _ => "none",
    }
}

fn conditional_access(error: u32) -> &'static str {
    match error {
        0 => "success",
        53003 => "failure",
        _ => "notApplied",
    }
}

/// Writes what was asked of the user, step by step; a renewed token asks for nothing.
fn steps(event: &Event, sign_in: &SignIn, out: &mut Vec<u8>) {
    put!(out, ",\"authenticationDetails\":[");
    if sign_in.is_interactive && sign_in.error != 50034 {
        let is_right = !matches!(sign_in.error, 50126 | 50053);
        fill(
            out,
            r#"
            {"authenticationStepDateTime":"%Z","authenticationMethod":"Password"
            ,"authenticationMethodDetail":"Password in the cloud","succeeded":%,"authenticationStepResultDetail":"%"
            ,"authenticationStepRequirement":"Primary authentication"}"#,
            &[
                &Iso(event.time),
                &(if is_right { "true" } else { "false" }),
                &(if is_right { "Correct password" } else { "Invalid username or password" }),
            ],
        );
    }
    if let Some(words) = sign_in.second.words() {
        let is_satisfied = matches!(sign_in.second, Second::Claim | Second::Approved);
        fill(
            out,
            r#"
            %{"authenticationStepDateTime":"%Z","authenticationMethod":"%","authenticationMethodDetail":null
            ,"succeeded":%,"authenticationStepResultDetail":"%"
            ,"authenticationStepRequirement":"Multi-factor authentication"}"#,
            &[
                &(if sign_in.is_interactive { "," } else { "" }),
                &Iso(event.time),
                &(if sign_in.second.is_pushed() { PUSH } else { "Previously satisfied" }),
                &(if is_satisfied { "true" } else { "false" }),
                &words,
            ],
        );
    }
    if sign_in.second.is_pushed() {
        fill(out, r#"],"mfaDetail":{"authMethod":"%","authDetail":null}"#, &[&PUSH]);
    } else {
        put!(out, "],\"mfaDetail\":null");
    }
}

/// The method of the company.
const PUSH: &str = "Mobile app notification";

fn requirement(sign_in: &SignIn) -> &'static str {
    let is_mfa = sign_in.second != Second::Unasked || matches!(sign_in.error, 50074 | 50076);
    if is_mfa { "multiFactorAuthentication" } else { "singleFactorAuthentication" }
}

fn failure(error: u32) -> &'static str {
    match error {
        0 => "Other.",
        50034 => "The user account does not exist in the directory.",
        50053 => "The account is locked because of too many failed sign-in attempts.",
        50074 | 50076 => "Strong authentication is required.",
        50125 => "Sign-in was interrupted because of a password reset or registration entry.",
        50126 => "Error validating credentials due to invalid username or password.",
        50140 => "This error occurred due to 'Keep me signed in' interrupt when the user was signing-in.",
        53003 => "Access has been blocked by Conditional Access policies.",
        500_121 => "Authentication failed during strong authentication request.",
        65001 => "The user or administrator has not consented to use the application.",
        _ => "Sign-in was interrupted.",
    }
}

/// Writes a Graph `directoryAudit` object.
pub(crate) fn directory_audit(company: &Company, event: &Event, change: &Directory, out: &mut Vec<u8>) {
    let person = company.person(event.user);
    fill(
        out,
        r#"
        {"id":"Directory_%_%","category":"%","correlationId":"%","result":"success","resultReason":"%"
        ,"activityDisplayName":"%","activityDateTime":"%Z","loggedByService":"%","operationType":"%"
        ,"initiatedBy":{"app":null,"user":{"id":"%","displayName":null,"userPrincipalName":"%","ipAddress":"%"
        ,"userType":null,"homeTenantId":null,"roles":[]}},"targetResources":[{"id":"%","displayName":"%"
        ,"type":"%","userPrincipalName":"#,
        &[
            &Id(correlation(event)),
            &Hex(mix([event.time.0.unsigned_abs(), 1, event.user.into()])),
            &change.category,
            &Id(correlation(event)),
            &change.reason,
            &change.operation,
            &Iso(event.time),
            &change.service,
            &kind(change.operation),
            &Id(person.id),
            &person.upn.as_str(),
            &event.seat.place.ip,
            &Id(change.target_id),
            &Escaped(&change.target_name),
            &change.target_type,
        ],
    );
    if change.target_type == "User" {
        fill(out, r#""%""#, &[&change.target_key.as_str()]);
    } else {
        put!(out, "null");
    }
    fill(out, r#","groupType":null,"modifiedProperties":["#, &[]);
    for (position, (name, old, new)) in change.modified.iter().enumerate() {
        fill(out, r#"%{"displayName":"%","oldValue":"#, &[&(if position == 0 { "" } else { "," }), name]);
        nested(old, out);
        fill(out, r#","newValue":"#, &[]);
        nested(new, out);
        put!(out, "}");
    }
    fill(
        out,
        r#"]}],"additionalDetails":[{"key":"User-Agent","value":"%"}"#,
        &[&Escaped(event.seat.device.client.user_agent)],
    );
    if change.target_type == "ServicePrincipal" {
        fill(out, r#",{"key":"AppId","value":"%"}"#, &[&change.target_key.as_str()]);
    }
    put!(out, "]}");
}

/// Values of modified properties are JSON within a string.
fn nested(value: &str, out: &mut Vec<u8>) {
    if value.is_empty() {
        put!(out, "null");
    } else {
        let inner = serde_json::Value::from(value).to_string();
        fill(out, r#""%""#, &[&Escaped(&inner)]);
    }
}

fn kind(operation: &str) -> &'static str {
    match operation.split_once(' ') {
        Some(("Add", _)) => "Add",
        Some(("Consent", _)) => "Assign",
        _ => "Update",
    }
}
