//! Consent for the whole organisation, or an application role (MBX-030): from now on every mailbox is open to the application.

use std::collections::BTreeMap;

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text,
};

use crate::base::{CHANGE_COLUMNS, Consent, Surroundings, by_actor, consent, dictionary, surroundings};

/// The analytic.
pub struct AdminConsent;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/admin-consent",
    catalogue: &["MBX-030"],
    title: Text::new(
        "The application {app} was given organisation-wide permissions",
        "アプリ {app} に組織全体の権限を付与",
    ),
    question: Text::new(
        "Which applications may act for the whole organisation, and since when?",
        "組織全体に対して動作できるアプリはどれか。いつからか。",
    ),
    stage: Stage::Persistence,
    attack: &["T1098.003", "T1528"],
    scans: &[Scan { table: Table::Iam, columns: CHANGE_COLUMNS, partition_by: &[] }],
    parameters: &[],
    reasons: &[
        ReasonText::new(
            "mail-scopes",
            "it may use every mailbox: {scopes}",
            "すべてのメールボックスに対する権限です: {scopes}",
        ),
        ReasonText::new("file-scopes", "it may use every file: {scopes}", "すべてのファイルに対する権限です: {scopes}"),
        ReasonText::new(
            "directory-scopes",
            "it can give itself further rights: {scopes}",
            "自らに権限を追加できます: {scopes}",
        ),
        ReasonText::new("log-scopes", "it only reads logs: {scopes}", "ログの読み取りのみです: {scopes}"),
        ReasonText::new("other-scopes", "permissions: {scopes}", "権限: {scopes}"),
        ReasonText::new(
            "app-role",
            "as an application role: it acts without any user",
            "アプリケーション権限のため、利用者なしで動作します",
        ),
        ReasonText::new(
            "everybody",
            "an administrator consented for everybody",
            "管理者が全ユーザーを代表して同意しています",
        ),
    ],
};

impl Analytic for AdminConsent {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Consents { context: context.clone(), given: BTreeMap::new() })
    }
}

struct Given {
    consent: Consent,
    around: Option<Surroundings>,
    finding: Finding,
}

struct Consents {
    context: Context,
    /// Several roles for one application by one actor are one finding.
    given: BTreeMap<(String, String), Given>,
}

impl Fold for Consents {
    fn batch(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in 0..batch.rows() {
            if row.status_id.get(index) == Some(2) {
                continue;
            }
            let Some(consent) = consent(&row, index).filter(|consent| consent.for_everybody || consent.is_app_role)
            else {
                continue;
            };
            if consent.scopes.is_empty() {
                continue;
            }
            let actor = row.user_name.get(index).unwrap_or_default().to_owned();
            let evidence = Evidence::of(Table::Iam, &row, index, &consent.told());
            let key = (consent.app.clone(), actor);
            if let Some(given) = self.given.get_mut(&key) {
                given.consent.scopes.extend(consent.scopes);
                given.consent.is_app_role |= consent.is_app_role;
                given.finding = given.finding.clone().proved_by(evidence);
                continue;
            }
            let mut finding = Finding::new(&META, Severity::Medium, evidence)
                .titled("app", &consent.app)
                .about(Entity::new(EntityKind::Application, &consent.app), Role::Target);
            for uid in &consent.app_uids {
                finding = finding.about(Entity::new(EntityKind::Application, uid), Role::Target);
            }
            let around = surroundings(&row, index, &self.context);
            self.given.insert(key, Given { finding: by_actor(finding, &row, index), around, consent });
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.given.values().map(Given::judge).collect()
    }
}

impl Given {
    fn judge(&self) -> Finding {
        let lists = dictionary().scopes();
        let mut severity = Severity::Low;
        let mut finding = self.finding.clone();
        let mut is_told = false;
        for (code, list, weight, level) in [
            ("mail-scopes", &lists.mail, 6.0, Severity::Critical),
            ("directory-scopes", &lists.directory, 6.0, Severity::Critical),
            ("file-scopes", &lists.files, 4.0, Severity::Critical),
        ] {
            let scopes = self.consent.of(list);
            if !scopes.is_empty() {
                is_told = true;
                severity = severity.max(level);
                finding = finding.because(Reason::new(code, weight, [("scopes", scopes.join(", "))]));
            }
        }
        if !is_told {
            let only_logs = self.consent.scopes.iter().all(|scope| lists.logs.contains(scope));
            severity = if only_logs { Severity::Low } else { Severity::Medium };
            let scopes: Vec<&str> = self.consent.scopes.iter().map(String::as_str).collect();
            let code = if only_logs { "log-scopes" } else { "other-scopes" };
            finding = finding.because(Reason::new(code, 1.0, [("scopes", scopes.join(", "))]));
        }
        let code = if self.consent.is_app_role { "app-role" } else { "everybody" };
        finding = finding.because(Reason::new(code, 1.0, []));
        let is_microsoft = self.consent.app_uids.iter().any(|uid| dictionary().first_party(uid).is_some());
        // Microsoft's own tools are given rights by people who use them; still worth a look.
        finding.severity = if is_microsoft { severity.min(Severity::Medium) } else { severity };
        self.around.iter().flat_map(Surroundings::reasons).fold(finding, Finding::because)
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{change, run};

    fn role(value: &str) -> Vec<Severity> {
        let modified = serde_json::json!({
            "AppRole.Value": {"old": "", "new": value},
            "ServicePrincipal.DisplayName": {"old": "", "new": "Backup Connector"},
        });
        let own = IamOwn {
            entity_name: Some("Microsoft Graph".into()),
            modified: Some(modified.to_string()),
            ..IamOwn::default()
        };
        let rows = vec![change(1, "admin@c.example", "192.0.2.1", "Add app role assignment to service principal", own)];
        run(&AdminConsent, rows).iter().map(|one| one.severity).collect()
    }

    #[test]
    fn reading_every_mailbox_is_critical_and_reading_logs_is_low() {
        assert_eq!(role("Mail.ReadWrite"), [Severity::Critical]);
        assert_eq!(role("full_access_as_app"), [Severity::Critical]);
        assert_eq!(role("AuditLog.Read.All"), [Severity::Low]);
    }
}
