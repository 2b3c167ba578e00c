//! A second factor added or changed around a break-in (MBX-033): how an intruder outlives the new password.

use std::collections::BTreeMap;

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Parameter, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text,
};

use crate::base::{
    CHANGE_COLUMNS, Surroundings, around_entry, by_actor, is_service_side, modified, surroundings, suspected, suspicion,
};

/// The analytic.
pub struct SecondFactor;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/second-factor",
    catalogue: &["MBX-033"],
    title: Text::new("Sign-in methods of {user} were changed", "{user} の認証方法が変更された"),
    question: Text::new(
        "Whose second factor was added or changed around a suspicious sign-in?",
        "不審なサインインの前後に、誰の多要素認証が追加・変更されたか。",
    ),
    stage: Stage::Persistence,
    attack: &["T1556.006", "T1098.005"],
    scans: &[Scan { table: Table::Iam, columns: CHANGE_COLUMNS, partition_by: &["entity_name"] }],
    parameters: &[
        Parameter {
            name: "after_hours",
            default: 24.0,
            reason: "the catalogue: an intruder secures the account within the day",
        },
        Parameter {
            name: "before_minutes",
            default: 30.0,
            reason: "logs of the directory and of sign-ins do not arrive in step",
        },
    ],
    reasons: &[
        ReasonText::new("method", "changed: {change} ({operation})", "変更内容: {change}（{operation}）"),
        ReasonText::new("by-another", "done by {actor}, not by {user}", "{user} 本人ではなく {actor} による操作です"),
    ],
};

/// Users with changes; beyond it further ones are left out.
const USERS_MAX: usize = 100_000;

impl Analytic for SecondFactor {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, reason = "small documented parameters")]
        let (after_us, before_us) =
            ((parameter("after_hours") * 3.6e9) as i64, (parameter("before_minutes") * 60e6) as i64);
        Box::new(Changes { context: context.clone(), after_us, before_us, findings: BTreeMap::new() })
    }
}

struct Changes {
    context: Context,
    after_us: i64,
    before_us: i64,
    /// One change of methods is several records: by user and day.
    findings: BTreeMap<(String, i32), Finding>,
}

impl Fold for Changes {
    fn batch(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in 0..batch.rows() {
            if row.status_id.get(index) == Some(2) {
                continue;
            }
            let Some(change) = method_change(&row, index) else { continue };
            let Some(user) = whose(&row, index) else { continue };
            let key = (user.clone(), row.time.get(index).day());
            let evidence = Evidence::of(Table::Iam, &row, index, &change);
            if let Some(finding) = self.findings.get_mut(&key) {
                *finding = finding.clone().proved_by(evidence);
            } else if self.findings.len() < USERS_MAX
                && let Some(finding) = self.judge(&row, index, &user, &change, evidence)
            {
                self.findings.insert(key, finding);
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.findings.into_values().collect()
    }
}

/// What was changed, if it is a way to sign in.
fn method_change(row: &IamView<'_>, index: usize) -> Option<String> {
    let operation = row.api_operation.get(index)?;
    let lower = operation.to_lowercase();
    let is_registration =
        ["registered", "changed default", "updated", "deleted", "reviewed"].iter().any(|verb| lower.contains(verb))
            && (lower.contains("security info") || lower.contains("authentication method"));
    if is_registration && !lower.contains("reviewed") {
        return Some(operation.to_owned());
    }
    if !lower.starts_with("update user") {
        return None;
    }
    let changed: Vec<String> = modified(row.own.modified.get(index))
        .into_keys()
        .filter(|name| {
            name.starts_with("StrongAuthentication") && !name.contains("Requirement") || name == "SearchableDeviceKey"
        })
        .collect();
    (!changed.is_empty()).then(|| changed.join(", "))
}

/// Whose method: the user that was changed, else the one who did it.
fn whose(row: &IamView<'_>, index: usize) -> Option<String> {
    let target = row.own.entity_name.get(index).filter(|name| name.contains('@')).map(str::to_lowercase);
    let actor =
        || row.user_name.get(index).filter(|_| !is_service_side(row.user_name.get(index), row.user_type.get(index)));
    target.or_else(|| actor().map(str::to_owned))
}

impl Changes {
    /// What is done in peace at the own desk is nothing.
    fn judge(&self, row: &IamView<'_>, index: usize, user: &str, change: &str, evidence: Evidence) -> Option<Finding> {
        let time = row.time.get(index);
        let around = surroundings(row, index, &self.context);
        let by_suspect = suspicion(row, index, &self.context);
        let entry = self.context.suspects.near(user, time, self.after_us, self.before_us);
        let is_new_place = around.as_ref().is_some_and(Surroundings::is_new_place);
        // A user may renew the second factor at the own desk a day after a false alarm: one step milder.
        let severity = match (by_suspect, entry, is_new_place) {
            (Some(_), ..) | (None, Some(_), true) => Severity::Critical,
            (None, Some(_), false) => Severity::High,
            (None, None, true) => Severity::Low,
            (None, None, false) => return None,
        };
        let operation = row.api_operation.get(index).unwrap_or_default().to_owned();
        let args = [("operation", operation), ("change", change.to_owned())];
        let finding = Finding::new(&META, severity, evidence)
            .titled("user", user)
            .about(Entity::user(user), Role::Victim)
            .because(Reason::new("method", 2.0, args));
        let mut finding = by_actor(finding, row, index);
        if let Some(suspicion) = by_suspect {
            finding = finding.because(suspected(suspicion));
        } else if let Some(entry) = entry {
            finding = finding.because(around_entry(entry, time));
        }
        if let Some(actor) = row.user_name.get(index).filter(|actor| *actor != user) {
            let args = [("actor", actor.to_owned()), ("user", user.to_owned())];
            finding = finding.because(Reason::new("by-another", 0.0, args));
        }
        Some(around.iter().flat_map(Surroundings::reasons).fold(finding, Finding::because))
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::Time;
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{Row, THIEF, break_in, change, follow, office_days};

    fn registered(offset: i64, ip: &str) -> Row {
        let own = IamOwn { entity_name: Some("anna@c.example".into()), ..IamOwn::default() };
        change(offset, "anna@c.example", ip, "User registered security info", own)
    }

    fn evidence(change: Row) -> Vec<Row> {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..14);
        rows.push(break_in(11 * Time::DAY_US, "anna@c.example"));
        rows.push(change);
        rows
    }

    #[test]
    fn a_method_added_by_the_thief_is_critical() {
        let found = follow(&SecondFactor, evidence(registered(11 * Time::DAY_US + 9 * Time::MINUTE_US, THIEF)));
        assert_eq!((found.len(), found[0].severity), (1, Severity::Critical));
    }

    #[test]
    fn at_the_desk_on_the_same_day_it_is_high_and_a_week_before_nothing() {
        let at = |offset: i64| follow(&SecondFactor, evidence(registered(offset, "192.0.2.1")));
        assert_eq!(at(11 * Time::DAY_US + 20 * Time::HOUR_US)[0].severity, Severity::High);
        assert!(at(4 * Time::DAY_US + 9 * Time::HOUR_US).is_empty());
        assert!(at(12 * Time::DAY_US + 9 * Time::HOUR_US).is_empty());
    }

    #[test]
    fn an_updated_phone_number_counts_and_another_attribute_does_not() {
        let update = |property: &str| {
            let modified = Some(serde_json::json!({property: {"old": "", "new": "x"}}).to_string());
            let own = IamOwn { entity_name: Some("anna@c.example".into()), modified, ..IamOwn::default() };
            let time = 11 * Time::DAY_US + 9 * Time::MINUTE_US;
            follow(&SecondFactor, evidence(change(time, "anna@c.example", THIEF, "Update user", own))).len()
        };
        assert_eq!((update("StrongAuthenticationUserDetails"), update("Department")), (1, 0));
    }
}
