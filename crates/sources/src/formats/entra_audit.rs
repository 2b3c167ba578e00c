//! The directory's audit log: Graph, Azure Monitor, Log Analytics with its hunting exports, and the portal's CSV.

mod change;
mod row;
mod targets;

use std::io::BufRead;

use matagi_model::{Emit, Source, SourceError, SourceMeta, Table, Text};

use super::entra_sign_in::stream::{self, Kind, Stream};
use crate::fields::{reading, recognised, vocabulary};
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
            return match stream::kind_of_head(&object) {
                Some(kind) => kind == Kind::Audit,
                None => is_audit(object.keys.iter().map(String::as_str)),
            };
        }
        csv_headers(head).is_some_and(|headers| is_audit(headers.iter().map(String::as_str)))
    }

    fn read(&self, input: &mut dyn BufRead, out: &mut dyn Emit) -> Result<(), SourceError> {
        reading::read(&mut Stream::new(Kind::Audit), input, out)
    }
}

/// What was done, and enough of what only an audit record says. A sign-in export may have empty columns of the same
/// names, because a workspace puts several tables into one.
fn is_audit<'a>(names: impl Iterator<Item = &'a str> + Clone) -> bool {
    let fields = recognised::<Audit>(names.clone());
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
        || names.clone().any(|name| targets::is_target_column(&crate::fields::fold(name)));
    let is_foreign = names.clone().any(|name| {
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
