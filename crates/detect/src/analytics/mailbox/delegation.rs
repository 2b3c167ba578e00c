//! Rights on somebody else's mailbox (MBX-027): FullAccess, SendAs, SendOnBehalf.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Parameter, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{CHANGE_COLUMNS, Fields, Surroundings, by_actor, fields, is_service_side, surroundings};

/// The analytic.
pub struct Delegation;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/delegation",
    catalogue: &["MBX-027"],
    title: Text::new(
        "{trustee} was given {rights} on the mailbox {mailbox}",
        "{trustee} にメールボックス {mailbox} の {rights} 権限を付与",
    ),
    question: Text::new(
        "Who was given access to whose mailbox, by whom?",
        "誰が、誰のメールボックスへのアクセス権を、誰から与えられたか。",
    ),
    stage: Stage::Persistence,
    attack: &["T1098.002"],
    scans: &[Scan { table: Table::Iam, columns: CHANGE_COLUMNS, partition_by: &[] }],
    parameters: &[
        Parameter { name: "grants_per_hour_high", default: 3.0, reason: "a helpdesk grants one at a time" },
        Parameter { name: "new_account_days", default: 30.0, reason: "a trustee made for the purpose is young" },
    ],
    reasons: &[
        ReasonText::new(
            "rights",
            "{rights} on {mailbox} for {trustee}, given by {actor}",
            "{actor} が {trustee} に {mailbox} の {rights} を付与しました",
        ),
        ReasonText::new("self-grant", "{actor} gave the right to itself", "{actor} が自分自身に付与しています"),
        ReasonText::new(
            "new-trustee",
            "{trustee} was created {days} days before",
            "{trustee} は {days} 日前に作成されたばかりです",
        ),
        ReasonText::new(
            "many",
            "one of {count} grants by {actor} within an hour",
            "{actor} は 1 時間以内に {count} 件の権限を付与しています",
        ),
        ReasonText::new(
            "after-reset",
            "{actor} reset the password of {mailbox} shortly before",
            "直前に {actor} が {mailbox} のパスワードをリセットしています",
        ),
    ],
};

impl Analytic for Delegation {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Grants {
            context: context.clone(),
            created: BTreeMap::new(),
            resets: BTreeMap::new(),
            grants: Vec::new(),
        })
    }
}

/// Grants judged; a migration may make thousands, a hostile file more.
const GRANTS_MAX: usize = 50_000;

struct Grant {
    actor: String,
    time: Time,
    trustee: String,
    mailbox: String,
    is_self: bool,
    around: Option<Surroundings>,
    finding: Finding,
}

struct Grants {
    context: Context,
    created: BTreeMap<String, Time>,
    /// Last password reset by (actor, user).
    resets: BTreeMap<String, (Time, String)>,
    grants: Vec<Grant>,
}

impl Fold for Grants {
    fn batch(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in 0..batch.rows() {
            let Some(operation) = row.api_operation.get(index).filter(|_| row.status_id.get(index) != Some(2)) else {
                continue;
            };
            match operation {
                "Add user" => {
                    if let Some(name) = row.own.entity_name.get(index) {
                        self.created.insert(name.to_lowercase(), row.time.get(index));
                    }
                }
                "Reset user password" => {
                    if let (Some(actor), Some(name)) = (row.user_name.get(index), row.own.entity_name.get(index)) {
                        self.resets.insert(actor.to_owned(), (row.time.get(index), name.to_lowercase()));
                    }
                }
                _ => self.grant(operation, &row, index),
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let parameter = |name| META.parameter(name, &self.context.settings);
        let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
        for grant in &self.grants {
            let near = self
                .grants
                .iter()
                .filter(|other| other.actor == grant.actor && other.time.since_us(grant.time).abs() <= Time::HOUR_US);
            let count = near.map(|other| (&other.mailbox, &other.trustee)).collect::<BTreeSet<_>>().len();
            let finding = self.judge(grant, count, parameter("grants_per_hour_high"), parameter("new_account_days"));
            findings.entry(finding.id()).or_insert(finding);
        }
        findings.into_values().collect()
    }
}

impl Grants {
    fn grant(&mut self, operation: &str, row: &IamView<'_>, index: usize) {
        let fields = fields(row.own.parameters.get(index));
        let Some((rights, trustee)) = right(operation, &fields) else { return };
        let (user, user_type) = (row.user_name.get(index), row.user_type.get(index));
        let trustee = trustee.to_lowercase();
        let is_service = is_service_side(user, user_type)
            || trustee.contains("nt authority")
            || trustee.contains("discovery management");
        if is_service || self.grants.len() >= GRANTS_MAX {
            return;
        }
        let mailbox = row.own.mailbox.get(index).or_else(|| fields.get("Identity")).unwrap_or_default().to_lowercase();
        let actor = user.unwrap_or_default().to_owned();
        let told = fields.told(&["Identity", "User", "Trustee", "AccessRights", "GrantSendOnBehalfTo"]);
        let finding = Finding::new(&META, Severity::Medium, Evidence::of(Table::Iam, row, index, &told))
            .titled("trustee", &trustee)
            .titled("rights", rights)
            .titled("mailbox", &mailbox)
            .about(Entity::mailbox(&mailbox), Role::Victim)
            .about(Entity::user(&trustee), Role::Target)
            .because(Reason::new(
                "rights",
                4.0,
                [
                    ("rights", rights.to_owned()),
                    ("mailbox", mailbox.clone()),
                    ("trustee", trustee.clone()),
                    ("actor", actor.clone()),
                ],
            ));
        self.grants.push(Grant {
            is_self: trustee == actor || row.user_uid.get(index).is_some_and(|uid| uid.eq_ignore_ascii_case(&trustee)),
            finding: by_actor(finding, row, index),
            around: surroundings(row, index, &self.context),
            time: row.time.get(index),
            trustee,
            mailbox,
            actor,
        });
    }

    fn judge(&self, grant: &Grant, count: usize, many: f64, new_days: f64) -> Finding {
        let mut finding = grant.finding.clone();
        let actor = || ("actor", grant.actor.clone());
        let mut is_high = false;
        if grant.is_self {
            is_high = true;
            finding = finding.because(Reason::new("self-grant", 3.0, [actor()]));
        }
        let age_us = self.created.get(&grant.trustee).map(|created| grant.time.since_us(*created));
        if let Some(age_us) = age_us.filter(|age_us| *age_us >= 0 && (*age_us as f64) < new_days * Time::DAY_US as f64)
        {
            is_high = true;
            let days = (age_us / Time::DAY_US).to_string();
            finding =
                finding.because(Reason::new("new-trustee", 3.0, [("trustee", grant.trustee.clone()), ("days", days)]));
        }
        if count as f64 >= many {
            is_high = true;
            finding = finding.because(Reason::new("many", 2.0, [actor(), ("count", count.to_string())]));
        }
        if let Some((time, user)) = self.resets.get(&grant.actor)
            && (0..=Time::HOUR_US).contains(&grant.time.since_us(*time))
        {
            is_high = true;
            finding = finding.because(Reason::new("after-reset", 3.0, [actor(), ("mailbox", user.clone())]));
        }
        let strange = grant.around.as_ref().filter(|around| around.is_new_place());
        is_high |= strange.is_some();
        finding = grant.around.iter().flat_map(Surroundings::reasons).fold(finding, Finding::because);
        if is_high {
            finding.severity = Severity::High;
        }
        finding
    }
}

/// The right and who receives it; `None` for anything that is no grant.
fn right<'a>(operation: &str, fields: &'a Fields) -> Option<(&'static str, &'a str)> {
    let rights = fields.get("AccessRights").unwrap_or_default().to_lowercase();
    match operation {
        "Add-MailboxPermission" => {
            let right = [
                ("fullaccess", "FullAccess"),
                ("changepermission", "ChangePermission"),
                ("changeowner", "ChangeOwner"),
            ]
            .into_iter()
            .find(|(mark, _)| rights.contains(mark))?;
            Some((right.1, fields.get("User").or_else(|| fields.get("Owner"))?))
        }
        "Add-RecipientPermission" => Some(("SendAs", fields.get("Trustee").or_else(|| fields.get("User"))?)),
        "Add-ADPermission" if rights.contains("send") || fields.get("ExtendedRights").is_some() => {
            Some(("SendAs", fields.get("User")?))
        }
        "Set-Mailbox" => Some(("SendOnBehalf", fields.get("GrantSendOnBehalfTo")?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{Row, change, run};

    fn grant(offset: i64, actor: &str, mailbox: &str, trustee: &str) -> Row {
        let parameters = format!(r#"{{"Identity":"{mailbox}","User":"{trustee}","AccessRights":"FullAccess"}}"#);
        let own = IamOwn { mailbox: Some(mailbox.into()), parameters: Some(parameters), ..IamOwn::default() };
        change(offset, actor, "192.0.2.1", "Add-MailboxPermission", own)
    }

    #[test]
    fn a_grant_is_medium_and_to_oneself_high() {
        let one = run(&Delegation, vec![grant(1, "help@c.example", "anna@c.example", "ben@c.example")]);
        assert_eq!((one.len(), one[0].severity), (1, Severity::Medium));
        let own = run(&Delegation, vec![grant(1, "eve@c.example", "anna@c.example", "eve@c.example")]);
        assert_eq!(own[0].severity, Severity::High);
    }

    #[test]
    fn the_service_grants_to_itself_all_day() {
        assert!(run(&Delegation, vec![grant(1, "nt authority\\system", "anna@c.example", "x@c.example")]).is_empty());
    }
}
