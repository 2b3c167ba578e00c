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

use crate::fields::{Recognised, reading, recognised, tables};
use crate::records::{JsonHead, csv_headers, csv_records, first_json_object};
pub(crate) use headers::SignIn;
use stream::{HeadKind, Kind, Stream};

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
            Some(object) => is_sign_in_object(&object, head),
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

fn is_sign_in_object(object: &JsonHead, head: &[u8]) -> bool {
    let names = tables::names(object);
    let names = || names.iter().map(String::as_str);
    if is_foreign(names()) {
        return false;
    }
    match stream::kind_of_head(object, head) {
        HeadKind::Named(kind) => kind == Kind::SignIn,
        HeadKind::Foreign => false,
        HeadKind::Unnamed => is_sign_in(&recognised::<SignIn>(names())),
    }
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

#[cfg(test)]
mod real;

#[cfg(test)]
mod tests {
    use matagi_model::tables::{AuthView, IamView};
    use matagi_model::{Time, Uid};

    use super::*;
    use crate::fields::reading::testing::{Taken, read};

    const ID: &str = "66ea54eb-6301-4ee5-be62-ff5a759b0100";

    fn auth(text: &str) -> Taken {
        let taken = read(&EntraSignIn, text);
        assert!(taken.rejects.is_empty(), "{:?}", taken.rejects);
        taken
    }

    fn time(text: &str) -> Time {
        crate::values::time(text).unwrap()
    }

    /// The sign-in that the tests below read in every export.
    const GRAPH: &str = r#"{"@odata.context":"https://graph/$metadata#auditLogs/signIns","value":[{"id":"66ea54eb-6301-4ee5-be62-ff5a759b0100",
        "createdDateTime":"2024-05-02T03:04:05.1234567Z","userDisplayName":"Hanako","userPrincipalName":"Hanako@Example.co.jp",
        "userId":"0f6e8a3c-1111-4222-8333-444455556666","appId":"AB9B8C07-8F02-4F72-87FA-80105867A763","appDisplayName":"OneDrive","ipAddress":"2001:db8::7",
        "clientAppUsed":"Mobile Apps and Desktop clients","userAgent":"python-requests/2.31","correlationId":"c-1","conditionalAccessStatus":"notApplied","isInteractive":true,
        "signInEventTypes":["interactiveUser"],"sessionId":"s-1","uniqueTokenIdentifier":"t-1","authenticationProtocol":"deviceCode","originalTransferMethod":"deviceCodeFlow",
        "authenticationRequirement":"multiFactorAuthentication","resourceId":"00000003-0000-0000-c000-000000000000","resourceDisplayName":"Microsoft Graph",
        "riskLevelDuringSignIn":"medium","riskEventTypes_v2":["unfamiliarFeatures","anonymizedIPAddress"],"userType":"member","autonomousSystemNumber":64500,"resourceTenantId":"9999aaaa-1111-4222-8333-444455556666",
        "status":{"errorCode":0,"failureReason":"Other.","additionalDetails":"MFA requirement satisfied by claim in the token"},
        "deviceDetail":{"deviceId":"","displayName":"","operatingSystem":"Linux","browser":"Firefox 120.0","isCompliant":false,"isManaged":false,"trustType":""},
        "location":{"city":"Osaka","state":"Osaka","countryOrRegion":"JP","geoCoordinates":{"altitude":null,"latitude":34.69,"longitude":135.5}}},
        {"id":"x","createdDateTime":"2024-05-02T03:05:00Z","userPrincipalName":"a@b.c","appDisplayName":"Y","status":{"errorCode":50126,"failureReason":"Invalid username or password."},"authenticationRequirement":"singleFactorAuthentication","isInteractive":false}],
        "@odata.nextLink":"https://graph/next"}"#;

    /// What every export says of that sign-in.
    fn assert_told(view: &AuthView<'_>, export: &str) {
        let texts = [
            (view.user_name.get(0), "hanako@example.co.jp"),
            (view.user_uid.get(0), "0f6e8a3c-1111-4222-8333-444455556666"),
            (view.user_type.get(0), "regular"),
            (view.src_country.get(0), "JP"),
            (view.src_city.get(0), "Osaka"),
            (view.user_agent.get(0), "python-requests/2.31"),
            (view.session_uid.get(0), "s-1"),
            (view.token_uid.get(0), "t-1"),
            (view.app_uid.get(0), "ab9b8c07-8f02-4f72-87fa-80105867a763"),
            (view.app_name.get(0), "OneDrive"),
            (view.correlation_uid.get(0), "c-1"),
            (view.own.resource_uid.get(0), "00000003-0000-0000-c000-000000000000"),
            (view.own.resource_name.get(0), "Microsoft Graph"),
            (view.own.auth_protocol.get(0), "deviceCode"),
            (view.own.original_transfer_method.get(0), "deviceCodeFlow"),
            (view.own.client_app.get(0), "Mobile Apps and Desktop clients"),
            (view.own.auth_requirement.get(0), "multiFactorAuthentication"),
            (view.own.conditional_access.get(0), "notApplied"),
            (view.own.device_os.get(0), "Linux"),
        ];
        for (found, expected) in texts {
            assert_eq!(found, Some(expected), "{export}");
        }
        assert_eq!(view.event_uid.get(0), Uid::of(&[b"entra-sign-in", ID.as_bytes()]), "{export}");
        assert_eq!(view.src_ip.get(0).unwrap().to_string(), "2001:db8::7", "{export}");
        assert_eq!((view.src_asn.get(0), view.status_id.get(0)), (Some(64500), Some(1)), "{export}");
        let is_managed_or_mfa = (view.own.device_is_managed.get(0), view.own.is_mfa.get(0));
        assert_eq!(is_managed_or_mfa, (Some(false), Some(true)), "{export}");
    }

    #[test]
    fn a_graph_page_gives_every_column() {
        let taken = auth(GRAPH);
        let batch = taken.table(Table::Auth);
        let view = AuthView::new(&batch);
        assert_eq!(batch.rows(), 2);
        assert_told(&view, "Graph");
        assert_eq!(view.time.get(0), time("2024-05-02T03:04:05.123456Z"));
        assert_eq!((view.class_uid.get(0), view.activity_id.get(0)), (Some(3002), Some(1)));
        let texts = [
            (view.status_code.get(0), "0"),
            (view.status_detail.get(0), "MFA requirement satisfied by claim in the token"),
            (view.tenant_uid.get(0), "9999aaaa-1111-4222-8333-444455556666"),
            (view.own.logon_kind.get(0), "interactive"),
            (view.own.device_browser.get(0), "Firefox 120.0"),
            (view.own.risk_level.get(0), "medium"),
        ];
        for (found, expected) in texts {
            assert_eq!(found, Some(expected));
        }
        assert_eq!(view.src_latitude.get(0), Some(34.69));
        assert_eq!((view.own.device_uid.get(0), view.recovered.get(0)), (None, None));
        assert_eq!(view.own.risk_event_types.get(0), ["unfamiliarFeatures", "anonymizedIPAddress"]);
        assert!(view.raw.get(0).unwrap().starts_with(r#"{"id":"66ea54eb"#));
        assert_eq!((view.status_id.get(1), view.status_code.get(1)), (Some(2), Some("50126")));
        assert_eq!(view.status_detail.get(1), Some("Invalid username or password."));
        assert_eq!((view.own.logon_kind.get(1), view.own.is_mfa.get(1)), (Some("non_interactive"), Some(false)));
    }

    /// The portal's CSV of the same sign-in in five languages, with its trailing and double blanks.
    fn portal() -> Vec<(&'static str, String)> {
        let files = [
            (
                "en",
                "Date (UTC),Request ID,User agent,Correlation ID,User ID,User,Username,User type,Incoming token type,Authentication Protocol,Unique token identifier,Original transfer method,Application,Application ID ,Resource,Resource ID ,IP address,Location,Status,Sign-in error code,Failure reason,Client app,Operating System,Managed,Multifactor authentication result,Authentication requirement,Session ID,IP address (seen by resource),Autonomous system  number,Incoming token type,Conditional Access",
                "member,none,Device code,t-1,Device code flow",
                "Success",
                "Mobile Apps and Desktop clients",
                "No",
                "Multifactor authentication",
                "Not Applied",
            ),
            (
                "ja",
                "日付 (UTC),要求 ID,ユーザー エージェント,関連付け ID,ユーザー ID,ユーザー,ユーザー名,ユーザーの種類,受信トークンの種類,認証プロトコル,一意のトークン識別子,元の転送方法,アプリケーション,アプリケーション ID ,リソース,リソース ID ,IP アドレス,場所,状態,サインイン エラー コード,エラーの理由,クライアント アプリ,オペレーティング システム,マネージド,多要素認証の結果,認証要件,セッション ID,IP アドレス (リソースから見たもの),自律システム番号,受信トークンの種類,条件付きアクセス",
                "メンバー,なし,デバイス コード,t-1,デバイス コード フロー",
                "成功",
                "モバイル アプリとデスクトップ クライアント",
                "いいえ",
                "多要素認証",
                "適用されていません",
            ),
            (
                "fr",
                "Date (UTC),ID de demande,Agent utilisateur,ID de corrélation,ID d’utilisateur,Utilisateur,Nom d’utilisateur,Type d’utilisateur,Type de jeton entrant,Protocole d’authentification,Identificateur de jeton unique,Méthode de transfert d’origine,Application,ID d’application ,Ressource,ID de ressource ,Adresse IP,Emplacement,Statut,Code d’erreur de connexion,Raison de l’échec,Application cliente,Système d’exploitation,Géré,Résultat de l’authentification multifacteur,Exigence d’authentification,ID de session,Adresse IP (vue par la ressource),Numéro de système  autonome,Type de jeton entrant,Accès conditionnel",
                "Membre,aucun,Code d’appareil,t-1,Flux de code d’appareil",
                "Réussite",
                "Applications mobiles et clients de bureau",
                "Non",
                "Authentification multifacteur",
                "Non appliqué",
            ),
            (
                "de",
                "Datum (UTC),Anforderungs-ID,Benutzer-Agent,Korrelations-ID,Benutzer-ID,Benutzer,Benutzername,Benutzertyp,Typ des eingehenden Tokens,Authentifizierungsprotokoll,Eindeutiger Tokenbezeichner,Ursprüngliche Übertragungsmethode,Anwendung,Anwendungs-ID ,Ressource,Ressourcen-ID ,IP-Adresse,Standort,Status,Fehlercode der Anmeldung,Fehlerursache,Client-App,Betriebssystem,Verwaltet,Ergebnis der Multi-Faktor-Authentifizierung,Authentifizierungsanforderung,Sitzungs-ID,IP-Adresse (von Ressource gesehen),Nummer des autonomen  Systems,Typ des eingehenden Tokens,Bedingter Zugriff",
                "Mitglied,keine,Gerätecode,t-1,Gerätecodefluss",
                "Erfolg",
                "Mobile Apps und Desktopclients",
                "Nein",
                "Mehrstufige Authentifizierung",
                "Nicht angewendet",
            ),
            (
                "es",
                "Fecha (UTC),Id. de solicitud,Agente de usuario,Id. de correlación,Id. de usuario,Usuario,Nombre de usuario,Tipo de usuario,Tipo de token entrante,Protocolo de autenticación,Identificador de token único,Método de transferencia original,Aplicación,Id. de aplicación ,Recurso,Id. de recurso ,Dirección IP,Ubicación,Estado,Código de error de inicio de sesión,Motivo del error,Aplicación cliente,Sistema operativo,Administrado,Resultado de la autenticación multifactor,Requisito de autenticación,Id. de sesión,Dirección IP (vista por el recurso),Número de sistema  autónomo,Tipo de token entrante,Acceso condicional",
                "Miembro,ninguno,Código de dispositivo,t-1,Flujo de código de dispositivo",
                "Correcto",
                "Aplicaciones móviles y clientes de escritorio",
                "No",
                "Autenticación multifactor",
                "No aplicado",
            ),
        ];
        let row = |words: &(&'static str, &str, &str, &str, &str, &str, &str, &str)| {
            let (language, headers, kinds, status, client, managed, requirement, access) = words;
            (
                *language,
                format!(
                    "\u{feff}{headers}\r\n2024-05-02T03:04:05Z,{ID},python-requests/2.31,c-1,0f6e8a3c-1111-4222-8333-444455556666,Hanako,Hanako@Example.co.jp,\
                     {kinds},OneDrive,ab9b8c07-8f02-4f72-87fa-80105867a763,Microsoft Graph,00000003-0000-0000-c000-000000000000,2001:db8::7,\"Osaka, Osaka, JP\",\
                     {status},,Other.,{client},Linux,{managed},,{requirement},s-1,198.51.100.1,64500,refreshToken,{access}\r\n"
                ),
            )
        };
        files.iter().map(row).collect()
    }

    #[test]
    fn the_portal_says_the_same_in_five_languages() {
        for (language, text) in portal() {
            let taken = auth(&text);
            let batch = taken.table(Table::Auth);
            let view = AuthView::new(&batch);
            assert_told(&view, language);
            assert_eq!(view.time.get(0), time("2024-05-02T03:04:05Z"), "{language}");
            assert_eq!(view.own.logon_kind.get(0), None, "{language}: the portal does not tell");
        }
    }

    #[test]
    fn an_unknown_language_is_read_by_its_values() {
        let headers: Vec<String> = (0..20).map(|column| format!("sarake {column}")).collect();
        let row = "2024-05-02T03:04:05Z,11111111-1111-4111-8111-111111111111,Mozilla/5.0,22222222-2222-4222-8222-222222222222,33333333-3333-4333-8333-333333333333,\
                   Aino,aino@example.fi,jäsen,x,x,OneDrive,44444444-4444-4444-8444-444444444444,198.51.100.9,\"Turku, Varsinais-Suomi, FI\",x,0,x,x,x,x";
        let other = row.replace("11111111", "aaaaaaaa");
        let taken = auth(&format!("{}\n{row}\n{other}\n", headers.join(",")));
        let batch = taken.table(Table::Auth);
        let view = AuthView::new(&batch);
        assert_eq!(view.time.get(0), time("2024-05-02T03:04:05Z"));
        assert_eq!((view.user_name.get(0), view.src_country.get(0)), (Some("aino@example.fi"), Some("FI")));
        assert_eq!(view.src_ip.get(0).unwrap().to_string(), "198.51.100.9");
        // Which identifier is the sign-in's own cannot be seen; two rows must not become one.
        assert_ne!(view.event_uid.get(0), view.event_uid.get(1));
    }

    #[test]
    fn application_sign_ins_of_the_portal_are_of_service_principals() {
        let taken = auth(
            "Date (UTC),Request ID,Correlation ID,Service principal ID,Service principal name,Credential key ID,Credential thumbprint,Application,Application ID ,Resource,Resource ID ,IP address,Location,Status,Sign-in error code,Failure reason,Conditional Access\n\
             2024-05-02T03:04:05Z,r-1,c-1,5555aaaa-1111-4222-8333-444455556666,Backup-Job,k-1,,Backup-Job,a-1,Microsoft Graph,r-2,198.51.100.7,\"Kyoto, Kyoto, JP\",Failure,7000215,Invalid client secret provided.,Not Applied\n",
        );
        let batch = taken.table(Table::Auth);
        let view = AuthView::new(&batch);
        assert_eq!(view.own.logon_kind.get(0), Some("service_principal"));
        assert_eq!((view.user_name.get(0), view.user_type.get(0)), (Some("backup-job"), Some("service_principal")));
        assert_eq!(view.own.service_principal_name.get(0), Some("Backup-Job"));
        assert_eq!((view.status_id.get(0), view.status_code.get(0)), (Some(2), Some("7000215")));
    }

    #[test]
    fn azure_monitor_streams_give_sign_ins_and_changes() {
        let sign_in = |category: &str, properties: &str| {
            format!(
                r#"{{"time":"2019-10-18T09:45:48.0729893Z","resourceId":"/tenants/77770000-1111-4222-8333-444455556666/providers/Microsoft.aadiam","operationName":"Sign-in activity","category":"{category}",
                "tenantId":"77770000-1111-4222-8333-444455556666","resultType":"50140","resultDescription":"Keep me signed in interrupt","durationMs":"0","callerIpAddress":"198.51.100.4:4711","correlationId":"8a4de8b5","identity":"Tim","Level":"4","location":"FR","properties":{properties}}}"#
            )
        };
        let text = format!(
            r#"{{"records":[{},{},{},{}]}}"#,
            sign_in(
                "SignInLogs",
                r#"{"id":"s-1","createdDateTime":"2019-10-18T04:45:48.0729893-05:00","userPrincipalName":"8a4de8b5-095c-47d0-a96f-a75130c61d53","signInIdentifier":"tim@example.org","appId":"a","isInteractive":true,"location":{"city":"Lyon","countryOrRegion":"FR"}}"#
            ),
            sign_in(
                "ManagedIdentitySignInLogs",
                r#"{"id":"s-2","createdDateTime":1571391948072,"servicePrincipalId":"5555aaaa-1111-4222-8333-444455556666","servicePrincipalName":"vm-1","status":{"errorCode":"0"},"resourceId":"797f4846-ba00-4fd7-ba43-dac1f8f63013"}"#
            ),
            r#"{"time":"2019-10-18T09:46:00Z","category":"AuditLogs","operationName":"Add user","properties":{"id":"Directory_1","activityDisplayName":"Add user","result":"success","initiatedBy":{"user":{"userPrincipalName":"boss@example.org"}},"targetResources":[{"type":"User","userPrincipalName":"new@example.org"}]}}"#,
            r#"{"time":"2019-10-18T09:46:00Z","category":"RiskyUsers","properties":{"id":"1"}}"#,
        );
        let taken = read(&EntraSignIn, &text);
        let batch = taken.table(Table::Auth);
        let view = AuthView::new(&batch);
        assert_eq!(batch.rows(), 2);
        assert_eq!(view.time.get(0), time("2019-10-18T09:45:48.072989Z"));
        assert_eq!(view.time.get(1), time("2019-10-18T09:45:48.072Z"));
        assert_eq!(
            (view.user_name.get(0), view.user_uid.get(0)),
            (Some("tim@example.org"), Some("8a4de8b5-095c-47d0-a96f-a75130c61d53"))
        );
        assert_eq!((view.status_id.get(0), view.status_code.get(0)), (Some(2), Some("50140")));
        assert_eq!(view.src_ip.get(0).unwrap().to_string(), "198.51.100.4");
        assert_eq!((view.src_country.get(0), view.src_city.get(0)), (Some("FR"), Some("Lyon")));
        assert_eq!(view.tenant_uid.get(0), Some("77770000-1111-4222-8333-444455556666"));
        assert_eq!(
            (view.own.logon_kind.get(0), view.own.logon_kind.get(1)),
            (Some("interactive"), Some("managed_identity"))
        );
        assert_eq!(
            (view.status_id.get(1), view.own.resource_uid.get(1)),
            (Some(1), Some("797f4846-ba00-4fd7-ba43-dac1f8f63013"))
        );
        let changes = taken.table(Table::Iam);
        assert_eq!(IamView::new(&changes).user_name.get(0), Some("boss@example.org"));
        assert_eq!(taken.rejects.len(), 1);
        assert!(taken.rejects[0].reason.contains("RiskyUsers") && taken.rejects[0].record == 4);
    }

    #[test]
    fn a_stream_that_begins_with_its_neighbours_is_still_read() {
        let taken = read(
            &EntraSignIn,
            concat!(
                r#"{"time":"2024-05-02T03:04:05Z","category":"MicrosoftGraphActivityLogs","properties":{"requestId":"1"}}"#,
                "\n",
                r#"{"time":"2024-05-02T03:04:05Z","category":"NonInteractiveUserSignInLogs","properties":{"id":"1","userPrincipalName":"a@example.org","appDisplayName":"X","status":{"errorCode":0}}}"#,
            ),
        );
        let batch = taken.table(Table::Auth);
        assert_eq!(AuthView::new(&batch).own.logon_kind.get(0), Some("non_interactive"));
        assert_eq!(taken.rejects.len(), 1);
        assert!(
            !EntraSignIn.sniff(br#"{"time":"2024-05-02T03:04:05Z","category":"RiskyUsers","properties":{"id":"1"}}"#)
        );
    }

    #[test]
    fn log_analytics_pairs_of_columns_and_texts_of_json_are_read() {
        let taken = auth(
            "TenantId,Category,ResultType,AppDisplayName,AppId,ClientAppUsed,CreatedDateTime [UTC],DeviceDetail_dynamic,DeviceDetail_string,IsInteractive,Id,IPAddress,Location,LocationDetails_dynamic,LocationDetails_string,ResourceIdentity,ResourceId,Status_dynamic,Status_string,UserId,UserPrincipalName,AADTenantId,Type\n\
             workspace,NonInteractiveUserSignInLogs,0,OneDrive,a,Browser,\"4/28/2021, 2:08:45.221 PM\",,\"{\"\"operatingSystem\"\":\"\"Windows 10\"\"}\",FALSE,I-1,198.51.100.1,IL,\"{\"\"city\"\":\"\"Azor\"\",\"\"countryOrRegion\"\":\"\"IL\"\",\"\"geoCoordinates\"\":{\"\"longitude\"\":34.8,\"\"latitude\"\":125.0}}\",,res-1,/tenants/t-1/providers/Microsoft.aadiam,\"{\"\"errorCode\"\":50058,\"\"failureReason\"\":\"\"silent\"\"}\",,u-1,a@example.org,T-1,AADNonInteractiveUserSignInLogs\n",
        );
        let batch = taken.table(Table::Auth);
        let view = AuthView::new(&batch);
        assert_eq!(view.time.get(0), time("2021-04-28T14:08:45.221Z"));
        assert_eq!(
            (view.status_id.get(0), view.status_code.get(0), view.status_detail.get(0)),
            (Some(2), Some("50058"), Some("silent"))
        );
        assert_eq!((view.src_country.get(0), view.src_city.get(0)), (Some("IL"), Some("Azor")));
        assert_eq!(view.src_latitude.get(0), None, "125 degrees of latitude are no place");
        assert_eq!(
            (view.own.device_os.get(0), view.own.logon_kind.get(0)),
            (Some("Windows 10"), Some("non_interactive"))
        );
        assert_eq!((view.tenant_uid.get(0), view.own.resource_uid.get(0)), (Some("t-1"), Some("res-1")));
    }

    #[test]
    fn the_hunting_table_of_defender_is_read() {
        let taken = auth(
            r#"[{"Timestamp":"2024-05-02T03:04:05Z","Application":"OneDrive","ApplicationId":"A-1","LogonType":"[\"nonInteractiveUser\"]","ErrorCode":50126,"CorrelationId":"c","SessionId":"s","AccountDisplayName":"Anna","AccountObjectId":"U-1","AccountUpn":"Anna@Example.org","IsGuestUser":0,"ResourceDisplayName":"Microsoft Graph","ResourceId":"r-1","AadDeviceId":"d-1","DeviceName":"PC","OSPlatform":"Windows10","IsManaged":1,"AuthenticationRequirement":"singleFactorAuthentication","UserAgent":"x","ClientAppUsed":"Browser","Browser":"Edge","ConditionalAccessStatus":2,"IPAddress":"198.51.100.1","Country":"JP","State":"","City":"Kyoto","Latitude":"35.0","Longitude":"135.7","RequestId":"R-1","ReportId":"z"}]"#,
        );
        let batch = taken.table(Table::Auth);
        let view = AuthView::new(&batch);
        assert_eq!(view.event_uid.get(0), Uid::of(&[b"entra-sign-in", b"r-1"]));
        assert_eq!((view.user_name.get(0), view.user_uid.get(0)), (Some("anna@example.org"), Some("u-1")));
        assert_eq!((view.own.logon_kind.get(0), view.status_code.get(0)), (Some("non_interactive"), Some("50126")));
        assert_eq!((view.src_country.get(0), view.src_city.get(0)), (Some("JP"), Some("Kyoto")));
        assert_eq!((view.own.device_is_managed.get(0), view.src_latitude.get(0)), (Some(true), Some(35.0)));
        assert_eq!(view.own.conditional_access.get(0), Some("notApplied"));
    }

    #[test]
    fn without_a_time_column_the_authentication_step_gives_it() {
        let text = |steps: &str| {
            format!(
                "ResultType,AppDisplayName,ClientAppUsed,AuthenticationDetails,IsInteractive,Id,IPAddress,UserPrincipalName,AuthenticationRequirement\n\
                 50057,Azure Portal,Browser,\"{steps}\",TRUE,i-1,198.51.100.1,a@example.org,singleFactorAuthentication\n"
            )
        };
        let step =
            "[{\"\"authenticationStepDateTime\"\":\"\"2021-04-19T12:13:19.4834758+00:00\"\",\"\"succeeded\"\":false}]";
        let known = auth(&text(step)).table(Table::Auth);
        let unknown = auth(&text("[]")).table(Table::Auth);
        let (known, unknown) = (AuthView::new(&known), AuthView::new(&unknown));
        assert_eq!((known.time.get(0), known.recovered.get(0)), (time("2021-04-19T12:13:19.483475Z"), Some("time")));
        assert_eq!((unknown.time.get(0), unknown.recovered.get(0)), (Time::UNKNOWN, None));
    }

    #[test]
    fn nested_values_of_export_csv_are_read_or_called_lossy() {
        let taken = auth(
            "\"Id\",\"CreatedDateTime\",\"UserPrincipalName\",\"AppDisplayName\",\"IPAddress\",\"ClientAppUsed\",\"IsInteractive\",\"Status\",\"Location\",\"DeviceDetail\"\n\
             \"i\",\"01.06.2023 13:12:18\",\"a@example.org\",\"X\",\"198.51.100.1\",\"Browser\",\"True\",\"@{errorCode=50126; failureReason=Invalid; additionalDetails=}\",\"@{city=Kyoto; state=; countryOrRegion=JP}\",\"Microsoft.Graph.PowerShell.Models.MicrosoftGraphDeviceDetail\"\n",
        );
        let batch = taken.table(Table::Auth);
        let view = AuthView::new(&batch);
        assert_eq!(view.time.get(0), time("2023-06-01T13:12:18Z"));
        assert_eq!(
            (view.status_code.get(0), view.src_city.get(0), view.recovered.get(0)),
            (Some("50126"), Some("Kyoto"), Some("lossy"))
        );
        assert_eq!(taken.codes(), ["lossy-export"]);
    }

    #[test]
    fn broken_records_are_refused_with_their_place_and_the_rest_is_read() {
        let good = r#"{"id":"1","createdDateTime":"2024-05-02T03:04:05Z","userPrincipalName":"a@b.c","appDisplayName":"X","clientAppUsed":"Browser","isInteractive":true,"status":{"errorCode":0}}"#;
        let dateless = good.replace("2024-05-02T03:04:05Z", "yesterday");
        let taken = read(&EntraSignIn, &format!("{good}\n{{\"id\" 1}}\n{dateless}\n{{}}\n{good}\n"));
        assert_eq!(taken.table(Table::Auth).rows(), 2);
        let reasons: Vec<_> = taken.rejects.iter().map(|reject| reject.reason.as_str()).collect();
        assert_eq!(reasons.len(), 3, "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains("yesterday")), "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains("neither a user nor an application")), "{reasons:?}");
    }

    #[test]
    fn what_only_counts_or_resembles_sign_ins_is_left_alone() {
        for text in [
            "StartTime [UTC],EndTime [UTC],IPAddress,disabledAccountLoginAttempts,disabledAccountsTargeted,disabledAccountSet,applicationSet,successfulAccountSigninCount,Type\n1,2,198.51.100.1,4,1,[],[],1,SigninLogs\n",
            "RecordType,CreationDate,UserIds,Operations,AuditData\nAzureActiveDirectoryStsLogon,1,a,UserLoggedIn,{}\n",
            "name,date,amount\na,2024-01-01,1\n",
            r#"{"CreationTime":"2024-01-01T00:00:00","Id":"1","Operation":"UserLoggedIn","Workload":"AzureActiveDirectory","UserId":"a@b.c","ClientIP":"198.51.100.1"}"#,
            "",
            "{",
        ] {
            assert!(!EntraSignIn.sniff(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_input_that_ends_anywhere_never_panics() {
        let (_, portal) = portal().remove(1);
        let mut sniffed = 0;
        for end in (0..GRAPH.len()).step_by(13) {
            let cut = &GRAPH.as_bytes()[..end];
            sniffed += usize::from(EntraSignIn.sniff(cut));
            EntraSignIn.read(&mut &*cut, &mut Taken::default()).unwrap();
            let cut = &portal.as_bytes()[..end.min(portal.len())];
            EntraSignIn.sniff(cut);
            EntraSignIn.read(&mut &*cut, &mut Taken::default()).unwrap();
        }
        assert!(sniffed > 0);
    }
}
