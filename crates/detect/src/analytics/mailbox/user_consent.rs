//! Illicit consent by a user (MBX-029): an application may read the mailbox from now on, password change or not.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Parameter, Reason,
    ReasonText, Role, Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{CHANGE_COLUMNS, Consent, Surroundings, by_actor, consent, dictionary, surroundings};

/// The analytic.
pub struct UserConsent;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/user-consent",
    catalogue: &["MBX-029"],
    title: Text::new(
        "{user} let the application {app} into the mailbox",
        "{user} がアプリ {app} にメールボックスへのアクセスを許可",
    ),
    question: Text::new(
        "Which applications were let into mailboxes by their users?",
        "利用者の同意によってメールボックスにアクセスできるようになったアプリはどれか。",
    ),
    stage: Stage::Persistence,
    attack: &["T1528", "T1566.002"],
    scans: &[Scan { table: Table::Iam, columns: CHANGE_COLUMNS, partition_by: &[] }],
    parameters: &[Parameter {
        name: "adopters_min",
        default: 3.0,
        reason: "a product that several colleagues use is a roll-out, not a lure",
    }],
    reasons: &[
        ReasonText::new(
            "mail-scopes",
            "the application may use mail: {scopes}",
            "アプリにメールの権限が与えられました: {scopes}",
        ),
        ReasonText::new(
            "stays",
            "and keep that access without the user (offline_access)",
            "利用者がいなくてもアクセスを維持できます（offline_access）",
        ),
        ReasonText::new("other-scopes", "and more: {scopes}", "そのほかの権限: {scopes}"),
        ReasonText::new(
            "unknown-app",
            "no Microsoft application, and nobody else uses it",
            "Microsoft 製アプリではなく、他に利用者もいません",
        ),
        ReasonText::new(
            "rollout",
            "{count} users consented to it: looks like a roll-out",
            "{count} 名が同意しており、全社導入とみられます",
        ),
        ReasonText::new(
            "blocked",
            "the consent was blocked; watch whether an administrator approves it",
            "同意は阻止されました。管理者が後から承認していないか確認してください",
        ),
    ],
};

impl Analytic for UserConsent {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Consents { context: context.clone(), users: BTreeMap::new(), given: BTreeMap::new() })
    }
}

struct Given {
    consent: Consent,
    user: String,
    is_blocked: bool,
    around: Option<Surroundings>,
    finding: Finding,
}

struct Consents {
    context: Context,
    /// Users by application.
    users: BTreeMap<String, BTreeSet<String>>,
    /// One consent is several records (grant, role, consent): by user and application.
    given: BTreeMap<(String, String), Given>,
}

impl Fold for Consents {
    fn batch(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in 0..batch.rows() {
            let Some(consent) = consent(&row, index).filter(|consent| !consent.for_everybody && !consent.is_app_role)
            else {
                continue;
            };
            let Some(user) = row.user_name.get(index) else { continue };
            self.users.entry(consent.app.clone()).or_default().insert(user.to_owned());
            if consent.mail().is_empty() {
                continue;
            }
            let evidence = Evidence::of(Table::Iam, &row, index, &consent.told());
            let key = (user.to_owned(), consent.app.clone());
            if let Some(given) = self.given.get_mut(&key) {
                given.consent.scopes.extend(consent.scopes);
                given.finding = given.finding.clone().proved_by(evidence);
                continue;
            }
            let mut finding = Finding::new(&META, Severity::High, evidence)
                .titled("user", user)
                .titled("app", &consent.app)
                .about(Entity::user(user), Role::Victim)
                .about(Entity::new(EntityKind::Application, &consent.app), Role::Target);
            for uid in &consent.app_uids {
                finding = finding.about(Entity::new(EntityKind::Application, uid), Role::Target);
            }
            let given = Given {
                user: user.to_owned(),
                is_blocked: row.status_id.get(index) == Some(2),
                around: surroundings(&row, index, &self.context),
                finding: by_actor(finding, &row, index),
                consent,
            };
            self.given.insert(key, given);
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let adopters_min = META.parameter("adopters_min", &self.context.settings);
        let adopters = |app: &str| self.users.get(app).map_or(0, BTreeSet::len);
        merged(self.given).values().map(|given| given.judge(adopters(&given.consent.app), adopters_min)).collect()
    }
}

/// One consent is told twice: by the application's name, and by the grant with nothing but its id. The name remains.
fn merged(mut given: BTreeMap<(String, String), Given>) -> BTreeMap<(String, String), Given> {
    let is_id = |app: &str| app.len() == 36 && app.bytes().filter(|byte| *byte == b'-').count() == 4;
    let unnamed: Vec<(String, String)> = given.keys().filter(|(_, app)| is_id(app)).cloned().collect();
    for key in unnamed {
        let grant = &given[&key];
        let named = given.iter().find(|((user, app), other)| {
            let apart_us = other.finding.first_time().since_us(grant.finding.first_time()).abs();
            let is_same_time = *user == key.0 && apart_us <= 10 * Time::MINUTE_US;
            is_same_time && !is_id(app) && !other.consent.scopes.is_disjoint(&grant.consent.scopes)
        });
        let Some(named) = named.map(|(key, _)| key.clone()) else { continue };
        let grant = given.remove(&key).expect("its key was just listed");
        let whole = given.get_mut(&named).expect("it was just found");
        whole.consent.scopes.extend(grant.consent.scopes);
        let proof = grant.finding.evidence()[0].clone();
        let id = Entity::new(EntityKind::Application, key.1);
        whole.finding = whole.finding.clone().proved_by(proof).about(id, Role::Target);
    }
    given
}

impl Given {
    fn judge(&self, adopters: usize, adopters_min: f64) -> Finding {
        let consent = &self.consent;
        let joined = |scopes: Vec<&str>| [("scopes", scopes.join(", "))];
        let mut finding = self.finding.clone().because(Reason::new("mail-scopes", 4.0, joined(consent.mail())));
        let stays = consent.scopes.contains("offline_access");
        let mut severity = if stays { Severity::High } else { Severity::Medium };
        if stays {
            finding = finding.because(Reason::new("stays", 2.0, []));
        }
        let lists = dictionary().scopes();
        let others: Vec<&str> =
            [&lists.files, &lists.people, &lists.directory].into_iter().flat_map(|list| consent.of(list)).collect();
        if !others.is_empty() {
            finding = finding.because(Reason::new("other-scopes", 1.0, joined(others)));
        }
        let is_microsoft = consent.app_uids.iter().any(|uid| dictionary().first_party(uid).is_some());
        if is_microsoft || adopters as f64 >= adopters_min {
            severity = severity.lowered().lowered();
            finding = finding.because(Reason::new("rollout", -3.0, [("count", adopters.to_string())]));
        } else if adopters <= 1 {
            finding = finding.because(Reason::new("unknown-app", 1.0, []));
        }
        if self.around.as_ref().is_some_and(Surroundings::is_new_place) {
            severity = severity.raised();
        }
        if self.is_blocked {
            severity = severity.min(Severity::Medium);
            finding = finding.because(Reason::new("blocked", 0.0, []));
        }
        finding = self.around.iter().flat_map(Surroundings::reasons).fold(finding, Finding::because);
        finding.severity = severity;
        finding.title_args.insert("user".to_owned(), self.user.clone());
        finding
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{Row, change, run};

    fn consents(offset: i64, user: &str, scopes: &str, everybody: bool) -> Row {
        let modified = serde_json::json!({
            "ConsentContext.OnBehalfOfAll": {"old": "", "new": if everybody { "True" } else { "False" }},
            "ConsentAction.Permissions": {"old": "", "new": format!("[] => [[Id: a, ConsentType: Principal, Scope: {scopes}]]; ")},
        });
        let own = IamOwn {
            entity_name: Some("Mail Helper".into()),
            entity_uid: Some("5a95e683-08ad-424e-a441-1d1aec52c02c".into()),
            modified: Some(modified.to_string()),
            ..IamOwn::default()
        };
        change(offset, user, "192.0.2.1", "Consent to application", own)
    }

    #[test]
    fn mail_and_offline_access_is_high() {
        let found = run(&UserConsent, vec![consents(1, "anna@c.example", "Mail.Read offline_access User.Read", false)]);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
    }

    #[test]
    fn a_rollout_and_a_profile_reader_stay_below_medium() {
        let rows = ["a@c.example", "b@c.example", "c@c.example"].into_iter().zip(1..);
        let found =
            run(&UserConsent, rows.map(|(user, at)| consents(at, user, "Mail.Read offline_access", false)).collect());
        assert!(found.iter().all(|one| one.severity < Severity::Medium), "{found:?}");
        assert!(run(&UserConsent, vec![consents(1, "anna@c.example", "User.Read openid", false)]).is_empty());
        assert!(run(&UserConsent, vec![consents(1, "anna@c.example", "Mail.Read", true)]).is_empty());
    }
}
