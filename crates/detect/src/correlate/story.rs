//! An incident in words: title, narrative, what was left behind, what to do.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::{Context, Entity, EntityKind, Finding, NextStep, Role, Sentence, Severity, Stage};

use super::score::Scored;
use crate::base::{right_entity, rule_entity};

pub(super) struct Title {
    pub(super) said: Sentence,
    pub(super) subject: Option<String>,
}

/// Who it is about, and what to call it.
pub(super) fn title(members: &[&Finding], scored: &Scored) -> Title {
    let victim = heaviest(members, Role::Victim);
    let actor = heaviest(members, Role::Actor);
    let subject = victim.clone().or_else(|| actor.clone());
    if let [only] = members {
        return Title { said: sentence(only), subject };
    }
    let only_guessing = members.iter().all(|finding| finding.stage == Stage::CredentialAcquisition);
    let code = match (&subject, scored.is_takeover) {
        (Some(_), true) => "takeover",
        (None, _) if only_guessing => "spray",
        (Some(_), false) if victim.is_none() => "suspicious-changes",
        (Some(_), false) => "suspicious-activity",
        (None, _) => "related-findings",
    };
    let said = match &subject {
        Some(user) => Sentence::new(code, [("user", user.clone())]),
        None => Sentence::new(code, []),
    };
    Title { said, subject }
}

/// The account of this role that the gravest findings name most.
fn heaviest(members: &[&Finding], role: Role) -> Option<String> {
    let mut weights: BTreeMap<&str, u32> = BTreeMap::new();
    for finding in members {
        let weight = 1 + 4_u32.pow(u32::from(finding.severity.ocsf_id()) - 1);
        for (entity, its_role) in finding.entities() {
            if its_role == role && matches!(entity.kind, EntityKind::User | EntityKind::Mailbox) {
                *weights.entry(&entity.value).or_default() += weight;
            }
        }
    }
    let heaviest = weights.into_iter().max_by(|one, two| one.1.cmp(&two.1).then_with(|| two.0.cmp(one.0)));
    heaviest.map(|(user, _)| user.to_owned())
}

/// Sentences of one narrative: a reader's patience, not the evidence, is the limit.
const SENTENCES_MAX: usize = 25;

/// The story in order of time, told by the findings that matter.
pub(super) fn narrative(members: &[&Finding], subject: Option<&str>, context: &Context) -> Vec<Sentence> {
    let mut told: Vec<Sentence> = Vec::new();
    let mut order: Vec<&&Finding> = members.iter().filter(|finding| finding.severity >= Severity::Low).collect();
    // What has no time (a rule found in an export of rules) is told last.
    order.sort_by_cached_key(|finding| {
        let time = finding.first_time();
        (!time.is_known(), time, finding.stage, finding.catalogue.first().cloned(), finding.id())
    });
    for finding in order {
        let sentence = sentence(finding);
        if !told.contains(&sentence) && told.len() < SENTENCES_MAX {
            told.push(sentence);
        }
    }
    let reads = ["MailItemsAccessed", "MessageBind"];
    if !reads.iter().any(|operation| context.estate.operations.contains_key(*operation)) {
        let user = subject.unwrap_or("-").to_owned();
        told.push(Sentence::new("narr-cannot-see", [("user", user)]));
    }
    told
}

/// A finding's title as a sentence; one with a title of its own (a spray that succeeded) is told by its first reason.
fn sentence(finding: &Finding) -> Sentence {
    let own = crate::analytics().find(|analytic| analytic.meta().id == finding.analytic);
    let is_renamed = own.is_some_and(|analytic| analytic.meta().title != finding.title);
    match finding.reasons.first().filter(|_| is_renamed) {
        Some(reason) => {
            Sentence { scope: finding.analytic.clone(), code: reason.code.clone(), args: reason.args.clone() }
        }
        None => {
            Sentence { scope: finding.analytic.clone(), code: "title".to_owned(), args: finding.title_args.clone() }
        }
    }
}

/// What still works for the attacker, as far as the findings say and nothing tells of its removal.
pub(super) fn left_behind(members: &[&Finding], context: &Context) -> Vec<Sentence> {
    let mut left = Vec::new();
    let telling = members.iter().filter(|finding| finding.severity >= Severity::Medium);
    for finding in telling.filter(|finding| !is_removed(finding, context)) {
        let args = &finding.title_args;
        let arg = |name: &'static str| (name, args.get(name).cloned().unwrap_or_default());
        let sentence = match finding.analytic.as_str() {
            "mailbox/hiding-rule" => Sentence::new("left-inbox-rule", [arg("mailbox"), ("rule", rule_of(finding))]),
            "mailbox/forwarding-rule" => {
                Sentence::new("left-forwarding-rule", [arg("mailbox"), arg("target"), ("rule", rule_of(finding))])
            }
            "mailbox/mailbox-forwarding" => Sentence::new("left-forwarding", [arg("mailbox"), arg("target")]),
            "mailbox/transport-rule" => Sentence::new("left-transport-rule", [arg("rule")]),
            "mailbox/delegation" => Sentence::new("left-delegate", [arg("trustee"), arg("rights"), arg("mailbox")]),
            "mailbox/user-consent" | "mailbox/admin-consent" => Sentence::new("left-consent", [arg("app")]),
            "mailbox/new-account" => Sentence::new("left-account", [arg("account")]),
            "mailbox/second-factor" => Sentence::new("left-second-factor", [arg("user")]),
            "mailbox/device-registered" => Sentence::new("left-device", [arg("device"), arg("user")]),
            _ => continue,
        };
        if !left.contains(&sentence) {
            left.push(sentence);
        }
    }
    left
}

/// Whether the evidence tells that what a finding left was taken away after its last record.
fn is_removed(finding: &Finding, context: &Context) -> bool {
    let arg = |name: &str| finding.title_args.get(name).map(String::as_str).unwrap_or_default();
    let gone = |entity: &Entity| context.estate.removed.get(entity).is_some_and(|time| *time > finding.last_time());
    let of_kind = |kind: EntityKind| finding.entities().any(|(entity, _)| entity.kind == kind && gone(entity));
    match finding.analytic.as_str() {
        "mailbox/hiding-rule" | "mailbox/forwarding-rule" => gone(&rule_entity(arg("mailbox"), &rule_of(finding))),
        "mailbox/mailbox-forwarding" => {
            finding.reasons.iter().any(|one| matches!(one.code.as_str(), "removed" | "tested"))
        }
        "mailbox/transport-rule" => gone(&rule_entity("transport", arg("rule"))),
        "mailbox/delegation" => gone(&right_entity(arg("mailbox"), arg("trustee"))),
        "mailbox/user-consent" | "mailbox/admin-consent" => of_kind(EntityKind::Application),
        "mailbox/new-account" => gone(&Entity::user(arg("account"))),
        "mailbox/device-registered" => of_kind(EntityKind::Device),
        _ => false,
    }
}

fn rule_of(finding: &Finding) -> String {
    let rule = finding.values(EntityKind::Rule).next().unwrap_or_default();
    rule.split_once('\\').map_or(rule, |(_, name)| name).to_owned()
}

/// The accounts that somebody else holds: those that were entered, else those that act or suffer. A superior in whose name
/// mail was sent needs no new password.
fn taken_over<'a>(members: &[&'a Finding]) -> BTreeSet<&'a str> {
    let named = |stages: std::ops::RangeInclusive<Stage>| -> BTreeSet<&'a str> {
        members
            .iter()
            .filter(|finding| finding.severity >= Severity::Medium && stages.contains(&finding.stage))
            .flat_map(|finding| finding.entities().filter(|(_, role)| *role == Role::Victim || *role == Role::Actor))
            .filter(|(entity, _)| {
                matches!(entity.kind, EntityKind::User | EntityKind::Mailbox) && entity.value.contains('@')
            })
            .map(|(entity, _)| entity.value.as_str())
            .collect()
    };
    let entered = named(Stage::CredentialAcquisition..=Stage::InitialAccess);
    if entered.is_empty() { named(Stage::CredentialAcquisition..=Stage::DefenseEvasion) } else { entered }
}

/// What to do, in order: keep the proof, throw the attacker out, remove what was left, look further.
pub(super) fn next_steps(members: &[&Finding]) -> Vec<NextStep> {
    let mut steps = Steps::default();
    steps.add("preserve-evidence", &[], None);
    for user in taken_over(members) {
        let id = quoted(user);
        steps.add("revoke-sessions", &[("user", user)], Some(format!("Revoke-MgUserSignInSession -UserId {id}")));
        steps.add("reset-password", &[("user", user)], None);
        let list = format!("Get-MgUserAuthenticationMethod -UserId {id}");
        steps.add("check-mfa-methods", &[("user", user)], Some(list));
    }
    for finding in members.iter().filter(|finding| finding.severity >= Severity::Medium) {
        steps.for_finding(finding);
    }
    let addresses: BTreeSet<&str> = members
        .iter()
        .flat_map(|finding| finding.entities())
        .filter(|(entity, role)| entity.kind == EntityKind::Ip && *role == Role::Source)
        .map(|(entity, _)| entity.value.as_str())
        .filter(|value| value.parse::<std::net::IpAddr>().is_ok())
        .collect();
    if !addresses.is_empty() {
        let list: Vec<&str> = addresses.into_iter().take(10).collect();
        let values: Vec<String> = list.iter().map(|ip| format!("ip('{ip}')")).collect();
        let sql = format!(
            "matagi query \"SELECT user_name, min(time), max(time), count(*) FROM auth WHERE src_ip IN ({}) GROUP BY user_name\"",
            values.join(", ")
        );
        steps.add("check-other-users", &[("ips", &list.join(", "))], Some(sql));
    }
    if members.iter().any(|finding| finding.stage == Stage::Fraud || finding.stage == Stage::Collection) {
        steps.add("notify-recipients", &[], None);
    }
    steps.sorted()
}

/// The order of work.
const ORDER: [&str; 16] = [
    "preserve-evidence",
    "enable-audit",
    "revoke-sessions",
    "reset-password",
    "check-mfa-methods",
    "remove-second-factor",
    "remove-device",
    "remove-inbox-rule",
    "remove-forwarding",
    "remove-transport-rule",
    "remove-delegate",
    "revoke-consent",
    "remove-app-credential",
    "disable-account",
    "check-other-users",
    "notify-recipients",
];

#[derive(Default)]
struct Steps(Vec<NextStep>);

impl Steps {
    fn add(&mut self, code: &str, args: &[(&str, &str)], command: Option<String>) {
        let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let step = NextStep { code: code.to_owned(), args, command };
        if !self.0.contains(&step) {
            self.0.push(step);
        }
    }

    fn for_finding(&mut self, finding: &Finding) {
        let arg = |name: &str| finding.title_args.get(name).map(String::as_str).unwrap_or_default();
        let mailbox = quoted(arg("mailbox"));
        match finding.analytic.as_str() {
            "mailbox/hiding-rule" | "mailbox/forwarding-rule" => {
                let rule = rule_of(finding);
                let command = format!("Remove-InboxRule -Mailbox {mailbox} -Identity {}", quoted(&rule));
                self.add("remove-inbox-rule", &[("mailbox", arg("mailbox")), ("rule", &rule)], Some(command));
            }
            "mailbox/mailbox-forwarding" => {
                let command = format!(
                    "Set-Mailbox -Identity {mailbox} -ForwardingSmtpAddress $null -ForwardingAddress $null -DeliverToMailboxAndForward $false"
                );
                self.add("remove-forwarding", &[("mailbox", arg("mailbox")), ("target", arg("target"))], Some(command));
            }
            "mailbox/transport-rule" => {
                let command = format!("Remove-TransportRule -Identity {}", quoted(arg("rule")));
                self.add("remove-transport-rule", &[("rule", arg("rule"))], Some(command));
            }
            "mailbox/delegation" => {
                let (trustee, rights) = (quoted(arg("trustee")), arg("rights"));
                let command = match rights {
                    "SendAs" => format!(
                        "Remove-RecipientPermission -Identity {mailbox} -Trustee {trustee} -AccessRights SendAs"
                    ),
                    "SendOnBehalf" => {
                        format!("Set-Mailbox -Identity {mailbox} -GrantSendOnBehalfTo @{{Remove={trustee}}}")
                    }
                    _ => format!("Remove-MailboxPermission -Identity {mailbox} -User {trustee} -AccessRights {rights}"),
                };
                self.add("remove-delegate", &[("mailbox", arg("mailbox")), ("trustee", arg("trustee"))], Some(command));
            }
            "mailbox/user-consent" | "mailbox/admin-consent" => {
                // The name is a literal of OData inside a literal of PowerShell: double quotes would run what is in it.
                let filter = quoted(&format!("displayName eq '{}'", arg("app").replace('\'', "''")));
                let command = format!(
                    "Get-MgServicePrincipal -Filter {filter} | ForEach-Object {{ Update-MgServicePrincipal -ServicePrincipalId $_.Id -AccountEnabled:$false }}"
                );
                self.add("revoke-consent", &[("app", arg("app"))], Some(command));
            }
            "mailbox/device-registered" => {
                let filter = quoted(&format!("displayName eq '{}'", arg("device").replace('\'', "''")));
                let command =
                    format!("Get-MgDevice -Filter {filter} | ForEach-Object {{ Remove-MgDevice -DeviceId $_.Id }}");
                self.add("remove-device", &[("device", arg("device")), ("user", arg("user"))], Some(command));
            }
            "mailbox/second-factor" => {
                let id = quoted(arg("user"));
                let command = format!(
                    "Get-MgUserAuthenticationMethod -UserId {id} | Format-List Id, AdditionalProperties, CreatedDateTime"
                );
                self.add("remove-second-factor", &[("user", arg("user"))], Some(command));
            }
            "mailbox/new-account" => {
                let command = format!("Update-MgUser -UserId {} -AccountEnabled:$false", quoted(arg("account")));
                self.add("disable-account", &[("account", arg("account"))], Some(command));
            }
            _ => {}
        }
        if finding.catalogue.iter().any(|id| id == "MBX-032") {
            self.add("remove-app-credential", &[], None);
        }
        if finding.catalogue.iter().any(|id| matches!(id.as_str(), "MBX-043" | "MBX-061" | "MBX-062")) {
            self.add("enable-audit", &[], None);
        }
    }

    fn sorted(mut self) -> Vec<NextStep> {
        self.0.sort_by_key(|step| ORDER.iter().position(|code| *code == step.code));
        self.0
    }
}

/// A value as a PowerShell literal: evidence is written by attackers, and this line is made to be pasted.
fn quoted(value: &str) -> String {
    let plain: String = value.chars().filter(|c| !c.is_control()).collect();
    // PowerShell takes the typographic quotes for quotes too.
    let plain = plain.replace(['\u{2018}', '\u{2019}', '\u{201a}', '\u{201b}'], "'");
    format!("'{}'", plain.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_rule_name_stays_a_literal() {
        assert_eq!(quoted("a'; Remove-Mailbox 'b"), "'a''; Remove-Mailbox ''b'");
        assert_eq!(quoted("x\u{2019}; y\n"), "'x''; y'");
    }

    #[test]
    fn every_step_has_its_place() {
        assert_eq!(ORDER.iter().collect::<BTreeSet<_>>().len(), ORDER.len());
    }
}
