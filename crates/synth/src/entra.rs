//! Records of the Entra sign-in log and the Entra audit log, as Microsoft Graph gives them.

use crate::audit::{correlation, device_name};
use crate::company::Company;
use crate::dice::mix;
use crate::event::{Directory, Event, Protocol, SignIn};
use crate::pieces::{Escaped, Hex, Id, Iso, Number, put};

/// Writes a Graph `signIn` object.
pub(crate) fn sign_in(company: &Company, event: &Event, sign_in: &SignIn, out: &mut Vec<u8>) {
    let (person, seat) = (company.person(event.user), event.seat);
    let (network, client) = (seat.place.network, seat.device.client);
    put!(
        out,
        "{\"id\":\"",
        Id(event.id),
        "\",\"createdDateTime\":\"",
        Iso(event.time),
        "Z\",\"userDisplayName\":\"",
        Escaped(&person.name)
    );
    put!(
        out,
        "\",\"userPrincipalName\":\"",
        person.upn.as_str(),
        "\",\"userId\":\"",
        Id(person.id),
        "\",\"appId\":\"",
        Id(sign_in.app.id)
    );
    put!(
        out,
        "\",\"appDisplayName\":\"",
        sign_in.app.name,
        "\",\"ipAddress\":\"",
        seat.place.ip,
        "\",\"clientAppUsed\":\"",
        client_app(sign_in, client.kind)
    );
    put!(out, "\",\"userAgent\":\"", Escaped(client.user_agent), "\",\"correlationId\":\"", Id(event.id ^ 0x1111));
    put!(out, "\",\"conditionalAccessStatus\":\"", if sign_in.error == 0 { "success" } else { "notApplied" });
    put!(
        out,
        "\",\"isInteractive\":",
        if sign_in.is_interactive { "true" } else { "false" },
        ",\"signInEventTypes\":[\""
    );
    put!(out, if sign_in.is_interactive { "interactiveUser" } else { "nonInteractiveUser" }, "\"],\"sessionId\":");
    if sign_in.error == 0 {
        put!(out, "\"", Id(seat.session), "\"");
    } else {
        put!(out, "null");
    }
    put!(out, ",\"uniqueTokenIdentifier\":\"", Hex(mix([event.user.into(), event.time.0.unsigned_abs(), 13])));
    put!(
        out,
        "\",\"originalRequestId\":\"",
        Id(event.id),
        "\",\"incomingTokenType\":\"none\",\"authenticationProtocol\":\"",
        protocol(sign_in)
    );
    put!(out, "\",\"originalTransferMethod\":\"none\",\"authenticationRequirement\":\"", requirement(sign_in));
    put!(out, "\",\"resourceDisplayName\":\"", sign_in.resource.name, "\",\"resourceId\":\"", Id(sign_in.resource.id));
    put!(
        out,
        "\",\"status\":{\"errorCode\":",
        Number(sign_in.error.into()),
        ",\"failureReason\":\"",
        failure(sign_in.error)
    );
    put!(
        out,
        "\",\"additionalDetails\":",
        if sign_in.is_mfa { "\"MFA requirement satisfied by claim in the token\"" } else { "null" }
    );
    put!(out, "},\"deviceDetail\":{\"deviceId\":\"");
    if let Some(device) = seat.device.id {
        put!(out, Id(device), "\",\"displayName\":\"", device_name(device).as_str());
    } else {
        put!(out, "\",\"displayName\":\"");
    }
    let is_managed = seat.device.id.is_some();
    let managed = if is_managed { "true" } else { "false" };
    put!(
        out,
        "\",\"operatingSystem\":\"",
        client.os,
        "\",\"browser\":\"",
        client.browser,
        "\",\"isCompliant\":",
        managed,
        ",\"isManaged\":",
        managed
    );
    put!(
        out,
        ",\"trustType\":\"",
        if is_managed { "Azure AD joined" } else { "" },
        "\"},\"location\":{\"city\":\"",
        network.city,
        "\",\"state\":\"",
        network.state
    );
    put!(
        out,
        "\",\"countryOrRegion\":\"",
        network.country,
        "\",\"geoCoordinates\":{\"altitude\":null,\"latitude\":",
        network.latitude,
        ",\"longitude\":",
        network.longitude
    );
    put!(
        out,
        "}},\"autonomousSystemNumber\":",
        Number(network.asn.into()),
        ",\"riskDetail\":\"none\",\"riskLevelAggregated\":\"none\",\"riskLevelDuringSignIn\":\"none\",\"riskState\":\"none\",\"riskEventTypes_v2\":[],\"servicePrincipalId\":\"\",\"crossTenantAccessType\":\"none\",\"homeTenantId\":\""
    );
    put!(
        out,
        Id(company.tenant),
        "\",\"resourceTenantId\":\"",
        Id(company.tenant),
        "\",\"tokenIssuerType\":\"AzureAD\",\"flaggedForReview\":false,\"appliedConditionalAccessPolicies\":[]}"
    );
}

fn client_app(sign_in: &SignIn, usual: &'static str) -> &'static str {
    if sign_in.protocol == Protocol::Smtp { "Authenticated SMTP" } else { usual }
}

fn protocol(sign_in: &SignIn) -> &'static str {
    match sign_in.protocol {
        Protocol::Password => "ropc",
        Protocol::Page | Protocol::Token | Protocol::Smtp => "none",
    }
}

fn requirement(sign_in: &SignIn) -> &'static str {
    let is_mfa = sign_in.is_mfa || matches!(sign_in.error, 50074 | 50076);
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
        65001 => "The user or administrator has not consented to use the application.",
        _ => "Sign-in was interrupted.",
    }
}

/// Writes a Graph `directoryAudit` object.
pub(crate) fn directory_audit(company: &Company, event: &Event, change: &Directory, out: &mut Vec<u8>) {
    let person = company.person(event.user);
    put!(
        out,
        "{\"id\":\"Directory_",
        Id(correlation(event)),
        "_",
        Hex(mix([event.time.0.unsigned_abs(), 1, event.user.into()]))
    );
    put!(out, "\",\"category\":\"", change.category, "\",\"correlationId\":\"", Id(correlation(event)));
    put!(
        out,
        "\",\"result\":\"success\",\"resultReason\":\"\",\"activityDisplayName\":\"",
        change.operation,
        "\",\"activityDateTime\":\"",
        Iso(event.time)
    );
    put!(out, "Z\",\"loggedByService\":\"", change.service, "\",\"operationType\":\"", kind(change.operation));
    put!(
        out,
        "\",\"initiatedBy\":{\"app\":null,\"user\":{\"id\":\"",
        Id(person.id),
        "\",\"displayName\":null,\"userPrincipalName\":\"",
        person.upn.as_str()
    );
    put!(
        out,
        "\",\"ipAddress\":\"",
        event.seat.place.ip,
        "\",\"userType\":null,\"homeTenantId\":null,\"roles\":[]}},\"targetResources\":[{\"id\":\""
    );
    put!(
        out,
        Id(change.target_id),
        "\",\"displayName\":\"",
        Escaped(&change.target_name),
        "\",\"type\":\"",
        change.target_type,
        "\",\"userPrincipalName\":"
    );
    if change.target_type == "User" {
        put!(out, "\"", change.target_key.as_str(), "\"");
    } else {
        put!(out, "null");
    }
    put!(out, ",\"groupType\":null,\"modifiedProperties\":[");
    for (position, (name, old, new)) in change.modified.iter().enumerate() {
        put!(out, if position == 0 { "" } else { "," }, "{\"displayName\":\"", *name, "\",\"oldValue\":");
        nested(old, out);
        put!(out, ",\"newValue\":");
        nested(new, out);
        put!(out, "}");
    }
    put!(
        out,
        "]}],\"additionalDetails\":[{\"key\":\"User-Agent\",\"value\":\"",
        Escaped(event.seat.device.client.user_agent),
        "\"}"
    );
    if change.target_type == "ServicePrincipal" {
        put!(out, ",{\"key\":\"AppId\",\"value\":\"", change.target_key.as_str(), "\"}");
    }
    put!(out, "]}");
}

/// Values of modified properties are JSON within a string.
fn nested(value: &str, out: &mut Vec<u8>) {
    if value.is_empty() {
        put!(out, "null");
    } else {
        let inner = serde_json::Value::from(value).to_string();
        put!(out, "\"", Escaped(&inner), "\"");
    }
}

fn kind(operation: &str) -> &'static str {
    match operation.split_once(' ') {
        Some(("Add", _)) => "Add",
        Some(("Consent", _)) => "Assign",
        _ => "Update",
    }
}
