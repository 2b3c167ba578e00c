//! An account made and used at once (MBX-037): privileged, given a mailbox or made the end of a forwarding within a day.

use std::collections::BTreeMap;

use matagi_model::tables::IamView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Parameter, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{by_actor, fields, modified};

/// The analytic.
pub struct NewAccount;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/new-account",
    catalogue: &["MBX-037"],
    title: Text::new(
        "New account {account} was given power within {hours} hours",
        "新規アカウント {account} に作成後 {hours} 時間以内に権限を付与",
    ),
    question: Text::new(
        "Which accounts were created and given power at once?",
        "作成後すぐに権限を与えられたアカウントはどれか。",
    ),
    stage: Stage::Persistence,
    attack: &["T1136.003", "T1098.003"],
    scans: &[Scan {
        table: Table::Iam,
        columns: &[
            "entity_type",
            "entity_name",
            "entity_uid",
            "mailbox",
            "parameters",
            "modified",
            "status_id",
            "user_type",
            "session_uid",
        ],
        partition_by: &[],
    }],
    parameters: &[Parameter {
        name: "window_hours",
        default: 24.0,
        reason: "onboarding gives rights over days, an intruder within the hour",
    }],
    reasons: &[
        ReasonText::new(
            "role",
            "made a member of {role} after {minutes} minutes",
            "作成から {minutes} 分後にロール {role} へ追加されました",
        ),
        ReasonText::new(
            "mailbox",
            "given rights on the mailbox {mailbox} after {minutes} minutes",
            "作成から {minutes} 分後にメールボックス {mailbox} の権限を付与されました",
        ),
        ReasonText::new(
            "forwarding",
            "made the end of a forwarding from {mailbox} after {minutes} minutes",
            "作成から {minutes} 分後に {mailbox} の転送先に設定されました",
        ),
        ReasonText::new("look-alike", "its name resembles {other}", "既存アカウント {other} に似た名前です"),
        ReasonText::new(
            "deleted",
            "deleted again {hours} hours after its creation",
            "作成から {hours} 時間後に削除されています",
        ),
    ],
};

impl Analytic for NewAccount {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Accounts { context: context.clone(), accounts: BTreeMap::new(), uids: BTreeMap::new() })
    }
}

/// Accounts watched; a provisioning run makes thousands.
const ACCOUNTS_MAX: usize = 100_000;

struct Account {
    created: Time,
    birth: Evidence,
    finding: Option<Finding>,
}

struct Accounts {
    context: Context,
    accounts: BTreeMap<String, Account>,
    /// Object id → name: permissions often name the trustee by its id.
    uids: BTreeMap<String, String>,
}

impl Fold for Accounts {
    fn batch(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in 0..batch.rows() {
            let Some(operation) = row.api_operation.get(index).filter(|_| row.status_id.get(index) != Some(2)) else {
                continue;
            };
            match operation {
                "Add user" | "New-Mailbox" | "New-MailUser" => self.born(&row, index),
                "Add member to role" | "Add eligible member to role" => {
                    let role = role_name(&row, index);
                    let target = row.own.entity_name.get(index).unwrap_or_default().to_lowercase();
                    self.used(&target, &row, index, "role", role, Severity::High);
                }
                "Add-MailboxPermission" | "Add-RecipientPermission" => {
                    let fields = fields(row.own.parameters.get(index));
                    let trustee =
                        fields.get("User").or_else(|| fields.get("Trustee")).unwrap_or_default().to_lowercase();
                    let mailbox =
                        row.own.mailbox.get(index).or_else(|| fields.get("Identity")).unwrap_or_default().to_owned();
                    self.used(&trustee, &row, index, "mailbox", mailbox, Severity::Critical);
                }
                "Set-Mailbox" | "New-InboxRule" | "Set-InboxRule" => self.forwarded_to(&row, index),
                "Delete user" => self.deleted(&row, index),
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.accounts.into_values().filter_map(|account| account.finding).collect()
    }
}

fn role_name(row: &IamView<'_>, index: usize) -> String {
    let modified = modified(row.own.modified.get(index));
    let name = ["Role.DisplayName", "Role.WellKnownObjectName"].iter().find_map(|name| modified.get(*name));
    name.map(|(_, new)| new.trim_matches(['"', ' ']).to_owned()).unwrap_or_default()
}

impl Accounts {
    fn born(&mut self, row: &IamView<'_>, index: usize) {
        let fields = fields(row.own.parameters.get(index));
        let named = row.own.entity_name.get(index).or_else(|| fields.get("UserPrincipalName"));
        let named = named.or_else(|| fields.get("MicrosoftOnlineServicesID")).map(str::to_lowercase);
        let Some(name) = named.filter(|_| self.accounts.len() < ACCOUNTS_MAX && row.time.get(index).is_known()) else {
            return;
        };
        if let Some(uid) = row.own.entity_uid.get(index) {
            self.uids.insert(uid.to_lowercase(), name.clone());
        }
        let birth = Evidence::of(Table::Iam, row, index, &name);
        self.accounts.entry(name).or_insert(Account { created: row.time.get(index), birth, finding: None });
    }

    fn forwarded_to(&mut self, row: &IamView<'_>, index: usize) {
        let fields = fields(row.own.parameters.get(index));
        let mailbox = row.own.mailbox.get(index).or_else(|| fields.get("Identity")).unwrap_or_default().to_owned();
        for name in ["ForwardingSmtpAddress", "ForwardingAddress", "ForwardTo", "RedirectTo", "ForwardAsAttachmentTo"] {
            let targets =
                fields.get(name).map(|value| crate::base::recipients(value, &self.context.estate)).unwrap_or_default();
            for target in targets {
                self.used(
                    &target.address.to_lowercase(),
                    row,
                    index,
                    "forwarding",
                    mailbox.clone(),
                    Severity::Critical,
                );
            }
        }
    }

    fn used(
        &mut self,
        account: &str,
        row: &IamView<'_>,
        index: usize,
        code: &'static str,
        what: String,
        severity: Severity,
    ) {
        let name = self.uids.get(account).cloned().unwrap_or_else(|| account.to_owned());
        let window_us = META.parameter("window_hours", &self.context.settings) * Time::HOUR_US as f64;
        let look_alike = look_alike(&name, &self.context);
        let Some(known) = self.accounts.get_mut(&name) else { return };
        let age_us = row.time.get(index).since_us(known.created);
        if age_us < 0 || age_us as f64 > window_us {
            return;
        }
        let argument = if code == "role" { "role" } else { "mailbox" };
        let evidence = Evidence::of(Table::Iam, row, index, &what);
        let minutes = (age_us / Time::MINUTE_US).to_string();
        let reason = Reason::new(code, 5.0, [(argument, what), ("minutes", minutes)]);
        known.finding = Some(if let Some(mut finding) = known.finding.take() {
            finding.severity = finding.severity.max(severity);
            finding.because(reason).proved_by(evidence)
        } else {
            let hours = (age_us / Time::HOUR_US + 1).to_string();
            let mut finding = Finding::new(&META, severity, known.birth.clone())
                .proved_by(evidence)
                .titled("account", &name)
                .titled("hours", hours)
                .about(Entity::user(&name), Role::Target)
                .because(reason);
            if let Some(other) = look_alike {
                finding.severity = finding.severity.raised();
                finding = finding.because(Reason::new("look-alike", 2.0, [("other", other)]));
            }
            by_actor(finding, row, index)
        });
    }

    fn deleted(&mut self, row: &IamView<'_>, index: usize) {
        let name = row.own.entity_name.get(index).unwrap_or_default().to_lowercase();
        let Some(account) = self.accounts.get_mut(&name) else { return };
        let hours = row.time.get(index).since_us(account.created) / Time::HOUR_US;
        if let Some(finding) = account.finding.take() {
            let reason = Reason::new("deleted", 1.0, [("hours", hours.to_string())]);
            account.finding = Some(finding.because(reason).proved_by(Evidence::of(Table::Iam, row, index, &name)));
        }
    }
}

/// Another user whose name differs by one or two signs, or only by signs that look alike.
fn look_alike(name: &str, context: &Context) -> Option<String> {
    let local = name.split('@').next().unwrap_or(name);
    if local.chars().count() < 5 {
        return None;
    }
    let others = context.estate.users.keys().filter(|other| *other != name);
    others
        .filter(|other| {
            let other = other.split('@').next().unwrap_or(other);
            other != local && (skeleton(other) == skeleton(local) || distance_at_most(other, local, 1))
        })
        .min()
        .cloned()
}

fn skeleton(name: &str) -> String {
    name.replace("rn", "m").replace("vv", "w").replace(['1', '|'], "l").replace('0', "o").replace(['.', '-', '_'], "")
}

/// Whether one name becomes the other by so many insertions, deletions or replacements.
fn distance_at_most(one: &str, two: &str, limit: usize) -> bool {
    let (one, two): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    if one.len().abs_diff(two.len()) > limit {
        return false;
    }
    let mut previous: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut current = vec![i + 1];
        for (j, b) in two.iter().enumerate() {
            let replaced = previous[j] + usize::from(a != b);
            current.push(replaced.min(previous[j + 1] + 1).min(current[j] + 1));
        }
        previous = current;
    }
    previous[two.len()] <= limit
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{Row, change, run};

    fn about(offset: i64, operation: &str, name: &str) -> Row {
        let own = IamOwn { entity_name: Some(name.into()), ..IamOwn::default() };
        change(offset, "admin@c.example", "192.0.2.1", operation, own)
    }

    #[test]
    fn made_and_privileged_within_the_hour() {
        let rows = vec![
            about(1, "Add user", "svc-sync@c.example"),
            about(Time::HOUR_US / 2, "Add member to role", "svc-sync@c.example"),
        ];
        let found = run(&NewAccount, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
    }

    #[test]
    fn a_promotion_after_a_week_is_nothing() {
        let rows =
            vec![about(1, "Add user", "ben@c.example"), about(7 * Time::DAY_US, "Add member to role", "ben@c.example")];
        assert!(run(&NewAccount, rows).is_empty());
    }

    #[test]
    fn one_sign_is_a_short_distance() {
        assert!(distance_at_most("tanaka", "tanakaa", 1) && !distance_at_most("tanaka", "suzuki", 1));
        assert_eq!(skeleton("rnari0"), skeleton("mario"));
    }
}
