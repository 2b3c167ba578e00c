//! Files shared with everybody or with outsiders by a suspect, or many at once by anybody (MBX-045).

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::SaasView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Parameter, Reason,
    ReasonText, Role, Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{DeedsBySuspect, by_actor, dictionary, fields, recipients};

/// The analytic.
pub struct SharedOutside;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/shared-outside",
    catalogue: &["MBX-045"],
    title: Text::new("{user} opened {count} files to the outside", "{user} が {count} 件のファイルを外部に公開"),
    question: Text::new(
        "Which files were opened to anonymous links or outsiders, by whom?",
        "誰が、どのファイルを匿名リンクや社外に公開したか。",
    ),
    stage: Stage::Collection,
    attack: &["T1567", "T1213.002"],
    scans: &[Scan {
        table: Table::Saas,
        columns: &["object_name", "details", "session_uid", "user_type", "status_id"],
        partition_by: &["user_name"],
    }],
    parameters: &[Parameter {
        name: "shares_per_hour_min",
        default: 10.0,
        reason: "the catalogue: people share one file at a time, a project a folder",
    }],
    reasons: &[
        ReasonText::new("links", "shared: {objects}", "共有された対象: {objects}"),
        ReasonText::new(
            "sensitive",
            "names that speak of money or secrets: {words}",
            "金銭・機密を思わせる名前: {words}",
        ),
        ReasonText::new("many", "{count} shares within an hour", "1 時間以内に {count} 件の共有"),
        ReasonText::new("with", "shared with {targets}", "共有先: {targets}"),
    ],
};

/// Users watched for bursts; more are still watched as suspects.
const USERS_MAX: usize = 200_000;
/// Objects remembered of one sharer.
const OBJECTS_MAX: usize = 1_000;
/// Objects told.
const TOLD_MAX: usize = 5;

impl Analytic for SharedOutside {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let shares_min = META.parameter("shares_per_hour_min", &context.settings);
        Box::new(Shares {
            context: context.clone(),
            shares_min,
            suspects: DeedsBySuspect::default(),
            bursts: BTreeMap::new(),
        })
    }
}

#[derive(Debug, Default)]
struct Shared {
    objects: BTreeSet<String>,
    targets: BTreeSet<String>,
    /// Shares of the last hour, and the most there ever were.
    hour: Vec<Time>,
    peak: usize,
}

struct Shares {
    context: Context,
    shares_min: f64,
    suspects: DeedsBySuspect<Shared>,
    bursts: BTreeMap<String, (Shared, Finding)>,
}

impl Fold for Shares {
    fn batch(&mut self, batch: &EventBatch) {
        let row = SaasView::new(batch);
        for index in 0..batch.rows() {
            let Some(target) = self.outsider(&row, index) else { continue };
            let object = row.own.object_name.get(index).unwrap_or_default();
            let time = row.time.get(index);
            if let Some(deeds) = self.suspects.of(Table::Saas, &row, index, object, &self.context) {
                deeds.notes.add(object, &target, time);
                continue;
            }
            let Some(user) = row.user_name.get(index).filter(|_| row.status_id.get(index) != Some(2)) else { continue };
            if self.bursts.len() >= USERS_MAX && !self.bursts.contains_key(user) {
                continue;
            }
            let evidence = Evidence::of(Table::Saas, &row, index, object);
            let (shared, finding) = self.bursts.entry(user.to_owned()).or_insert_with(|| {
                let finding = Finding::new(&META, Severity::Low, evidence.clone()).titled("user", user);
                (Shared::default(), by_actor(finding, &row, index))
            });
            shared.add(object, &target, time);
            if finding.evidence()[0] != evidence {
                *finding = finding.clone().proved_by(evidence);
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for deeds in self.suspects.iter() {
            let finding = deeds.finding(&META, Severity::Medium);
            findings.push(self.judge(finding, &deeds.notes, true));
        }
        for (shared, finding) in self.bursts.values() {
            if shared.peak as f64 >= self.shares_min {
                findings.push(self.judge(finding.clone(), shared, false));
            }
        }
        findings
    }
}

impl Shares {
    /// Whom a row opens something to: `*` for everybody; `None` where nothing leaves the organisation.
    fn outsider(&self, row: &SaasView<'_>, index: usize) -> Option<String> {
        let operation = row.api_operation.get(index)?;
        if operation.starts_with("AnonymousLink") {
            return matches!(operation, "AnonymousLinkCreated" | "AnonymousLinkUpdated").then(|| "*".to_owned());
        }
        if !matches!(
            operation,
            "SharingSet"
                | "SharingInvitationCreated"
                | "AddedToSecureLink"
                | "SecureLinkCreated"
                | "AddedToSharingLink"
        ) {
            return None;
        }
        let details = fields(row.own.details.get(index));
        let target = ["TargetUserOrGroupName", "UserSharedWith"].iter().find_map(|name| details.get(name))?;
        // A guest is `name_domain#ext#@tenant`.
        let is_guest = target.to_lowercase().contains("#ext#");
        let outside =
            recipients(target, &self.context.estate).into_iter().any(|one| one.reach != crate::base::Reach::Internal);
        (is_guest || outside).then(|| target.to_lowercase())
    }

    fn judge(&self, finding: Finding, shared: &Shared, is_suspect: bool) -> Finding {
        let joined: Vec<&str> = shared.objects.iter().map(String::as_str).collect();
        let mut words = dictionary().finance_words(&joined.join("\n"));
        words.extend(dictionary().secret_words(&joined.join("\n")));
        let is_burst = shared.peak as f64 >= self.shares_min;
        let told: Vec<&str> = joined.iter().take(TOLD_MAX).copied().collect();
        let targets: Vec<&str> = shared.targets.iter().map(String::as_str).take(TOLD_MAX).collect();
        let mut finding = finding
            .titled("count", shared.objects.len().max(1).to_string())
            .because(Reason::new("links", 1.0, [("objects", told.join(", "))]))
            .because(Reason::new("with", 1.0, [("targets", targets.join(", "))]));
        for target in targets.iter().filter(|target| target.contains('@')) {
            finding = finding.about(Entity::new(EntityKind::EmailAddress, *target), Role::Context);
        }
        if !words.is_empty() {
            finding = finding.because(Reason::new("sensitive", 2.0, [("words", words.join(", "))]));
        }
        if is_burst {
            finding = finding.because(Reason::new("many", 3.0, [("count", shared.peak.to_string())]));
        }
        finding.severity = match (is_suspect, is_burst || !words.is_empty()) {
            (true, true) => Severity::High,
            (true, false) => Severity::Medium,
            (false, _) => Severity::Low,
        };
        finding
    }
}

impl Shared {
    fn add(&mut self, object: &str, target: &str, time: Time) {
        if self.objects.len() < OBJECTS_MAX {
            self.objects.insert(object.to_owned());
            self.targets.insert(target.to_owned());
        }
        self.hour.retain(|earlier| time.since_us(*earlier) < Time::HOUR_US);
        if self.hour.len() < OBJECTS_MAX {
            self.hour.push(time);
        }
        self.peak = self.peak.max(self.hour.len());
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, THIEF, break_in, follow, office_days, usage};

    fn share(minute: i64, ip: &str, operation: &str, object: &str, target: &str) -> Row {
        let details = Some(serde_json::json!({"TargetUserOrGroupName": target}).to_string());
        let own = SaasOwn { object_name: Some(object.into()), details, ..SaasOwn::default() };
        usage(11 * Time::DAY_US + minute * Time::MINUTE_US, "anna@c.example", ip, operation, own)
    }

    fn evidence(shares: impl IntoIterator<Item = Row>) -> Vec<Row> {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..12);
        rows.push(break_in(11 * Time::DAY_US, "anna@c.example"));
        rows.extend(shares);
        rows
    }

    #[test]
    fn a_thief_who_opens_the_accounts_is_high() {
        let found = follow(
            &SharedOutside,
            evidence([share(1, THIEF, "AnonymousLinkCreated", "/finance/bank accounts.xlsx", "")]),
        );
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
    }

    #[test]
    fn a_project_folder_for_a_partner_is_nothing_and_a_burst_is_low() {
        let partner = share(1, "192.0.2.1", "SharingSet", "/project", "ben@partner.example");
        assert!(follow(&SharedOutside, evidence([partner])).is_empty());
        let many = (0..12).map(|n| share(n, "192.0.2.1", "AnonymousLinkCreated", &format!("/photos/{n}.jpg"), ""));
        let found = follow(&SharedOutside, evidence(many));
        assert_eq!((found.len(), found[0].severity, found[0].evidence_count), (1, Severity::Low, 12));
    }

    #[test]
    fn sharing_with_a_colleague_is_nothing_whoever_does_it() {
        let inside = share(1, THIEF, "SharingSet", "/finance/bank.xlsx", "ben@c.example");
        assert!(follow(&SharedOutside, evidence([inside])).is_empty());
    }
}
