//! Sign-ins of Entra ID: Graph, Azure Monitor, Log Analytics, Defender's hunting table, and the portal's CSV in five
//! languages.
//!
//! The copies of one sign-in have one identity, because all of them carry its id (`Request ID` in the portal). A
//! diagnostic stream may mix sign-ins with audit records: both are read, whichever comes first ([`stream`]).

mod columns;
mod headers;
mod row;
pub(crate) mod stream;
pub(crate) mod words;

use std::io::BufRead;

use matagi_model::{Emit, Source, SourceError, SourceMeta, Table, Text};

use crate::fields::{Recognised, reading, recognised};
use crate::records::{JsonHead, csv_headers, csv_records, first_json_object};
pub(crate) use headers::SignIn;
use stream::{Kind, Stream};

/// Sign-in logs.
#[derive(Debug)]
pub struct EntraSignIn;

static META: SourceMeta = SourceMeta {
    name: "entra-sign-in",
    title: Text::new("Entra ID sign-in logs", "Entra ID サインイン ログ"),
    obtained_with: "Entra portal > Sign-in logs > Download, Get-MgAuditLogSignIn, Azure Monitor diagnostic settings, \
                    Log Analytics (SigninLogs and its three sisters)",
    tables: &[Table::Auth, Table::Iam],
};

impl Source for EntraSignIn {
    fn meta(&self) -> &'static SourceMeta {
        &META
    }

    fn sniff(&self, head: &[u8]) -> bool {
        match first_json_object(head) {
            Some(object) => is_sign_in_object(&object),
            None => is_sign_in_csv(head),
        }
    }

    fn read(&self, input: &mut dyn BufRead, out: &mut dyn Emit) -> Result<(), SourceError> {
        reading::read(&mut Stream::new(Kind::SignIn), input, out)
    }
}

/// Fields that only a sign-in has.
const TELLING: [SignIn; 22] = [
    SignIn::ClientApp,
    SignIn::ConditionalAccess,
    SignIn::IsInteractive,
    SignIn::DeviceDetail,
    SignIn::DeviceBrowser,
    SignIn::LocationDetails,
    SignIn::AuthDetails,
    SignIn::AuthRequirement,
    SignIn::AuthProtocol,
    SignIn::TransferMethod,
    SignIn::RiskDuring,
    SignIn::RiskState,
    SignIn::TokenId,
    SignIn::TokenType,
    SignIn::TokenIssuerType,
    SignIn::EventTypes,
    SignIn::MfaDetail,
    SignIn::MfaResult,
    SignIn::CrossTenant,
    SignIn::OriginalRequestId,
    SignIn::CredentialKeyId,
    SignIn::ErrorCode,
];

/// Three telling fields, a subject and an application or address. An aggregated hunting result has none of these
/// together: it counts sign-ins and is none.
fn is_sign_in(fields: &Recognised<SignIn>) -> bool {
    let has_subject = fields.any(&[
        SignIn::UserPrincipalName,
        SignIn::UserId,
        SignIn::UserDisplayName,
        SignIn::ServicePrincipalId,
        SignIn::ServicePrincipalName,
    ]);
    let has_object = fields.any(&[SignIn::AppName, SignIn::AppId, SignIn::Ip, SignIn::CallerIp]);
    let has_result = fields.any(&[SignIn::ErrorCode, SignIn::Status, SignIn::ResultType]);
    has_subject && has_object && has_result && fields.count(&TELLING) >= 2
}

/// Columns of other exports about accounts, which share many names with sign-ins.
fn is_foreign<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| {
        ["auditdata", "recordtype", "targetresources", "workload", "officeworkload", "actiontype"]
            .iter()
            .any(|foreign| name.eq_ignore_ascii_case(foreign))
    })
}

fn is_sign_in_object(object: &JsonHead) -> bool {
    let names = || object.keys.iter().map(String::as_str);
    if is_foreign(names()) {
        return false;
    }
    stream::category_of_head(object)
        .map_or_else(|| is_sign_in(&recognised::<SignIn>(names())), |category| stream::is_sign_in_category(&category))
}

fn is_sign_in_csv(head: &[u8]) -> bool {
    let Some(headers) = csv_headers(head) else { return false };
    let names = || headers.iter().map(String::as_str);
    if is_foreign(names()) {
        return false;
    }
    if is_sign_in(&recognised::<SignIn>(names())) {
        return true;
    }
    let mut found = false;
    let mut seen = 0;
    let mut reader = head;
    // The head may end within a row; an error then says nothing about the file.
    let _stopped_or_cut = csv_records(&mut reader, &mut |_, row| {
        found |= row.is_ok_and(|row| columns::is_sign_in_row(row.iter().map(|(_, cell)| cell)));
        seen += 1;
        if found || seen == 8 { Err(matagi_model::Stop("enough".into())) } else { Ok(()) }
    });
    found
}
