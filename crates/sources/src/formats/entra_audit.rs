//! The directory's audit log: Graph, Azure Monitor, Log Analytics with its hunting exports, and the portal's CSV.

mod change;
mod row;
mod targets;

use std::io::BufRead;

use matagi_model::{Emit, Source, SourceError, SourceMeta, Table, Text};

use super::entra_sign_in::stream::{self, HeadKind, Kind, Stream};
use crate::fields::{reading, recognised, tables, vocabulary};
use crate::records::{csv_headers, first_json_object};
pub(crate) use row::of as row;

/// Directory audit logs.
#[derive(Debug)]
pub struct EntraAudit;

static META: SourceMeta = SourceMeta {
    name: "entra-audit",
    title: Text::new("Entra ID audit logs", "Entra ID 監査ログ"),
    obtained_with: "Entra portal > Audit logs > Download, Get-MgAuditLogDirectoryAudit, Azure Monitor diagnostic \
                    settings, Log Analytics (AuditLogs)",
    tables: &[Table::Iam, Table::Auth],
};

vocabulary! {
    /// Fields of an audit record.
    Audit {
        Id: ["id"],
        Time: [
            "activityDateTime", "Date (UTC)", "Date", "日付 (UTC)", "日時 (UTC)", "日付", "日時", "Datum (UTC)", "Datum",
            "Fecha (UTC)", "Fecha", "Date et heure (UTC)",
        ],
        Generated: ["TimeGenerated", "time", "Timestamp"],
        LocalTime: ["activityDateTime (Local Time)", "TimeGenerated (Local Time)"],
        Activity: ["activityDisplayName", "Activity", "アクティビティ", "活動", "Activité", "Aktivität", "Actividad"],
        Operation: ["operationName"],
        OperationType: ["operationType", "AADOperationType"],
        Category: ["category", "カテゴリ", "カテゴリー", "Catégorie", "Kategorie", "Categoría"],
        Result: ["result", "結果", "Résultat", "Ergebnis", "Resultado"],
        ResultReason: [
            "resultReason", "結果の理由", "Raison du résultat", "Motif du résultat", "Ergebnisgrund", "Grund für Ergebnis",
            "Motivo del resultado", "Razón del resultado",
        ],
        ResultDescription: ["resultDescription"],
        Service: ["loggedByService", "Service", "サービス", "Dienst", "Servicio"],
        InitiatedBy: ["initiatedBy"],
        Targets: ["targetResources"],
        Details: ["additionalDetails"],
        UserAgent: ["userAgent", "ユーザー エージェント", "Agent utilisateur", "Benutzer-Agent", "Agente de usuario"],
        CorrelationId: [
            "correlationId", "関連付け ID", "相関 ID", "ID de corrélation", "Korrelations-ID", "Id. de correlación",
        ],
        ActorType: [
            "actorType", "アクターの種類", "Type d'acteur", "Akteurtyp", "Tipo de actor", "InitiatedByType",
        ],
        ActorName: [
            "actorDisplayName", "アクターの表示名", "Nom d'affichage de l'acteur", "Anzeigename des Akteurs",
            "Nombre para mostrar del actor", "ActorNombreParaMostrar",
        ],
        ActorId: [
            "actorObjectId", "アクターのオブジェクト ID", "ID d'objet de l'acteur", "Objekt-ID des Akteurs",
            "Id. de objeto del actor", "ActorIdDeObjeto",
        ],
        ActorPrincipal: [
            "actorUserPrincipalName", "アクターのユーザー プリンシパル名", "Nom d'utilisateur principal de l'acteur",
            "Benutzerprinzipalname des Akteurs", "Nombre principal de usuario del actor",
            "ActorNombrePrincipalDeUsuario", "initiatedBy.user.userPrincipalName",
        ],
        ActorServiceId: ["actorServicePrincipalId"],
        ActorServiceName: ["actorServicePrincipalName", "initiatedBy.app.displayName"],
        Initiator: ["initiatingUserOrApp"],
        InitiatorIp: ["initiatingIpAddress"],
        Ip: ["ipAddress", "IP アドレス", "Adresse IP", "IP-Adresse", "Dirección IP", "initiatedBy.user.ipAddress"],
        CallerIp: ["callerIpAddress"],
        Identity: ["identity"],
        TargetName: ["targetDisplayName"],
        TargetId: ["targetId"],
        TargetType: ["targetType"],
        ResourceId: ["resourceId"],
        TenantOfDirectory: ["AADTenantId"],
    }
}

impl Source for EntraAudit {
    fn meta(&self) -> &'static SourceMeta {
        &META
    }

    fn sniff(&self, head: &[u8]) -> bool {
        if let Some(object) = first_json_object(head) {
            return match stream::kind_of_head(&object, head) {
                HeadKind::Named(kind) => kind == Kind::Audit,
                HeadKind::Foreign => false,
                HeadKind::Unnamed => is_audit(&tables::names(&object)),
            };
        }
        csv_headers(head).is_some_and(|headers| is_audit(&headers))
    }

    fn read(&self, input: &mut dyn BufRead, out: &mut dyn Emit) -> Result<(), SourceError> {
        reading::read(&mut Stream::new(Kind::Audit), input, out)
    }
}

/// What was done, and enough of what only an audit record says. A sign-in export may have empty columns of the same
/// names, because a workspace puts several tables into one.
fn is_audit(names: &[String]) -> bool {
    let fields = recognised::<Audit>(names.iter().map(String::as_str));
    let is_named = fields.any(&[Audit::Activity, Audit::Operation]);
    let telling = fields.count(&[
        Audit::Activity,
        Audit::InitiatedBy,
        Audit::Targets,
        Audit::Service,
        Audit::Details,
        Audit::OperationType,
        Audit::ResultReason,
        Audit::ActorType,
        Audit::ActorPrincipal,
        Audit::ActorId,
    ]);
    let has_sides = fields.any(&[Audit::Targets, Audit::TargetName])
        || fields.any(&[Audit::InitiatedBy, Audit::ActorPrincipal, Audit::ActorType, Audit::Initiator])
        || names.iter().any(|name| targets::is_target_column(&crate::fields::fold(name)));
    let is_foreign = names.iter().any(|name| {
        [
            "auditdata",
            "recordtype",
            "workload",
            "officeworkload",
            "clientappused",
            "authenticationrequirement",
            "actiontype",
        ]
        .iter()
        .any(|foreign| name.eq_ignore_ascii_case(foreign))
    });
    is_named && has_sides && telling >= 3 && !is_foreign
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamView;
    use matagi_model::{Time, Uid};

    use super::*;
    use crate::fields::reading::testing::{Taken, read};

    fn iam(text: &str) -> Taken {
        let taken = read(&EntraAudit, text);
        assert!(taken.rejects.is_empty(), "{:?}", taken.rejects);
        taken
    }

    #[test]
    fn a_graph_record_gives_every_column() {
        let taken = iam(
            r#"{"value":[{"id":"Directory_ABC_1","category":"ApplicationManagement","correlationId":"c","result":"success","resultReason":"","activityDisplayName":"Update application – Certificates and secrets management ",
            "activityDateTime":"2024-05-02T03:04:05.1234567Z","loggedByService":"Core Directory","operationType":"Update","initiatedBy":{"app":null,"user":{"id":"0F6E","displayName":null,"userPrincipalName":"Eve@Example.org","ipAddress":"198.51.100.5:3321","roles":[]}},
            "targetResources":[{"id":null,"displayName":null,"type":"Other","modifiedProperties":[]},{"id":"app-1","displayName":"Payroll","type":"Application","userPrincipalName":null,"modifiedProperties":[
              {"displayName":"KeyDescription","oldValue":"[]","newValue":"[\"[KeyIdentifier=1]\"]"},{"displayName":"Included Updated Properties","oldValue":null,"newValue":"\"KeyDescription\""}]}],
            "additionalDetails":[{"key":"User-Agent","value":"curl/8"},{"key":"AppId","value":"a-1"},{"key":"SessionId","value":"s-9"}]}]}"#,
        );
        let batch = taken.table(Table::Iam);
        let view = IamView::new(&batch);
        assert_eq!(view.event_uid.get(0), Uid::of(&[b"entra-audit", b"directory_abc_1"]));
        assert_eq!(
            (view.class_uid.get(0), view.activity_id.get(0), view.status_id.get(0)),
            (Some(3004), Some(3), Some(1))
        );
        assert_eq!(view.time.get(0).to_string(), "2024-05-02T03:04:05.123456Z");
        assert_eq!(view.src_ip.get(0).unwrap().to_string(), "198.51.100.5");
        let texts = [
            (view.api_operation.get(0), "Update application - Certificates and secrets management"),
            (view.user_name.get(0), "eve@example.org"),
            (view.user_uid.get(0), "0f6e"),
            (view.user_type.get(0), "regular"),
            (view.user_agent.get(0), "curl/8"),
            (view.session_uid.get(0), "s-9"),
            (view.own.entity_type.get(0), "Application"),
            (view.own.entity_name.get(0), "Payroll"),
            (view.own.entity_uid.get(0), "app-1"),
            (view.own.category.get(0), "ApplicationManagement"),
            (view.own.parameters.get(0), r#"{"AppId":"a-1","SessionId":"s-9","User-Agent":"curl/8"}"#),
        ];
        for (found, expected) in texts {
            assert_eq!(found, Some(expected));
        }
        let modified: serde_json::Value = serde_json::from_str(view.own.modified.get(0).unwrap()).unwrap();
        assert_eq!(modified["Included Updated Properties"]["new"], "KeyDescription");
        assert_eq!(modified["KeyDescription"]["old"], "[]");
    }

    #[test]
    fn an_application_may_act_and_a_period_ends_no_name() {
        let taken = iam(
            r#"{"id":"1","activityDisplayName":"Add member to role.","activityDateTime":"2024-05-02T03:04:05Z","result":"failure","resultReason":"denied","initiatedBy":{"user":null,"app":{"appId":"AA","displayName":"MS-PIM","servicePrincipalId":"SP"}},
            "targetResources":[{"type":"User","userPrincipalName":"New@Example.org","id":"u","modifiedProperties":[{"displayName":"Role.DisplayName","oldValue":null,"newValue":"\"Global Administrator\""}]},{"type":"Role","id":"r"}],"additionalDetails":[]}"#,
        );
        let batch = taken.table(Table::Iam);
        let view = IamView::new(&batch);
        assert_eq!(
            (view.class_uid.get(0), view.activity_id.get(0), view.status_id.get(0)),
            (Some(3005), Some(1), Some(2))
        );
        assert_eq!(
            (view.api_operation.get(0), view.status_detail.get(0)),
            (Some("Add member to role"), Some("denied"))
        );
        assert_eq!((view.user_name.get(0), view.user_type.get(0)), (Some("ms-pim"), Some("application")));
        assert_eq!((view.app_uid.get(0), view.own.actor_app_name.get(0)), (Some("aa"), Some("MS-PIM")));
        assert_eq!(view.own.entity_name.get(0), Some("new@example.org"));
        assert_eq!(view.own.modified.get(0), Some(r#"{"Role.DisplayName":{"new":"Global Administrator","old":""}}"#));
        assert_eq!(view.own.parameters.get(0), None);
    }

    #[test]
    fn the_portal_says_the_same_in_english_and_spanish() {
        let row = "2024-05-02T03:04:05.123Z,c-1,Core Directory,RoleManagement,Add member to role,{ok},,User,,0f6e,Eve@Example.org,198.51.100.5,User,,u-1,New@Example.org,Role.DisplayName,,\"\"\"Global Administrator\"\"\",User-Agent,curl/8\n";
        let english = "Date (UTC),CorrelationId,Service,Category,Activity,Result,ResultReason,ActorType,ActorDisplayName,ActorObjectId,ActorUserPrincipalName,IPAddress,Target1Type,Target1DisplayName,Target1ObjectId,Target1UserPrincipalName,Target1ModifiedProperty1Name,Target1ModifiedProperty1OldValue,Target1ModifiedProperty1NewValue,AdditionalDetail1Key,AdditionalDetail1Value\n";
        let spanish = "Fecha (UTC),Id. de correlación,Servicio,Categoría,Actividad,Resultado,Motivo del resultado,Tipo de actor,Nombre para mostrar del actor,Id. de objeto del actor,ActorNombrePrincipalDeUsuario,Dirección IP,Objetivo1Tipo,Objetivo1NombreParaMostrar,Objetivo1IdDeObjeto,Objetivo1NombrePrincipalDeUsuario,Objetivo1PropiedadModificada1Nombre,Objetivo1PropiedadModificada1ValorAntiguo,Objetivo1PropiedadModificada1ValorNuevo,DetalleAdicional1Clave,DetalleAdicional1Valor\n";
        for (headers, ok) in [(english, "success"), (spanish, "Correcto")] {
            let taken = iam(&format!("{headers}{}", row.replace("{ok}", ok)));
            let batch = taken.table(Table::Iam);
            let view = IamView::new(&batch);
            assert_eq!((view.class_uid.get(0), view.status_id.get(0)), (Some(3005), Some(1)), "{ok}");
            assert_eq!((view.user_name.get(0), view.user_uid.get(0)), (Some("eve@example.org"), Some("0f6e")), "{ok}");
            assert_eq!(
                (view.own.entity_type.get(0), view.own.entity_name.get(0)),
                (Some("User"), Some("new@example.org")),
                "{ok}"
            );
            assert_eq!(
                view.own.modified.get(0),
                Some(r#"{"Role.DisplayName":{"new":"Global Administrator","old":""}}"#),
                "{ok}"
            );
            assert_eq!(view.user_agent.get(0), Some("curl/8"), "{ok}");
            assert_eq!(view.src_ip.get(0).unwrap().to_string(), "198.51.100.5", "{ok}");
        }
    }

    #[test]
    fn hunting_exports_without_time_or_with_columns_of_their_own_are_read() {
        let taken = iam(
            "OperationName,InitiatingUserOrApp,InitiatingIpAddress,UserAgent,targetDisplayName,targetId,targetType,CorrelationId,Category,Id,InitiatedBy,LoggedByService,Result,ActivityDisplayName,AADOperationType,Type\n\
             Update application – Certificates and secrets management ,Eve@Example.org,198.51.100.5,curl/8,Payroll,app-1,Application,c-1,ApplicationManagement,d-1,,Core Directory,success,Update application – Certificates and secrets management ,Update,AuditLogs\n",
        );
        let batch = taken.table(Table::Iam);
        let view = IamView::new(&batch);
        assert_eq!((view.time.get(0), view.recovered.get(0)), (Time::UNKNOWN, None));
        assert_eq!((view.user_name.get(0), view.own.entity_name.get(0)), (Some("eve@example.org"), Some("Payroll")));
        assert_eq!(view.src_ip.get(0).unwrap().to_string(), "198.51.100.5");
        assert_eq!(view.user_agent.get(0), Some("curl/8"));
    }

    #[test]
    fn the_answer_of_a_query_is_read_row_by_row() {
        let taken = iam(
            r#"{"tables":[{"name":"PrimaryResult","columns":[{"name":"TimeGenerated","type":"datetime"},{"name":"OperationName","type":"string"},{"name":"Id","type":"string"},{"name":"InitiatedBy","type":"dynamic"},{"name":"TargetResources","type":"dynamic"},{"name":"Result","type":"string"},{"name":"LoggedByService","type":"string"}],
            "rows":[["2024-05-02T03:04:05Z","Add user","d-1","{\"user\":{\"userPrincipalName\":\"boss@example.org\"}}","[{\"type\":\"User\",\"userPrincipalName\":\"a@example.org\"}]","success","Core Directory"],
                    ["2024-05-02T03:04:06Z","Delete user","d-2","{\"user\":{\"userPrincipalName\":\"boss@example.org\"}}","[{\"type\":\"User\",\"userPrincipalName\":\"b@example.org\"}]","success","Core Directory"]]}]}"#,
        );
        let batch = taken.table(Table::Iam);
        let view = IamView::new(&batch);
        assert_eq!((view.api_operation.get(0), view.api_operation.get(1)), (Some("Add user"), Some("Delete user")));
        assert_eq!((view.class_uid.get(0), view.activity_id.get(1)), (Some(3001), Some(6)));
        assert_eq!(
            (view.own.entity_name.get(1), view.user_name.get(1)),
            (Some("b@example.org"), Some("boss@example.org"))
        );
        assert_eq!((view.source_record.get(0), view.source_record.get(1)), (Some(1), Some(2)));
        assert!(view.raw.get(0).unwrap().contains(r#""Id":"d-1""#));
    }

    #[test]
    fn other_logs_of_the_same_products_are_left_alone() {
        for text in [
            // A workspace export of sign-ins has empty columns of audit records.
            "OperationName,Category,ResultType,ClientAppUsed,AdditionalDetails,InitiatedBy,UserPrincipalName\nSign-in activity,SignInLogs,0,Browser,,,a\n",
            r#"{"CreationTime":"2024-01-01T00:00:00","Operation":"Add member to role.","Workload":"AzureActiveDirectory","ModifiedProperties":[],"Target":[],"Actor":[]}"#,
            "Activity,Date,Result\nrunning,2024-01-01,ok\n",
        ] {
            assert!(!EntraAudit.sniff(text.as_bytes()), "{text}");
        }
    }
}
