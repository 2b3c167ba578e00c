//! Findings that belong together become one incident (MBX-066 among them).
//!
//! Two findings are linked when they share, within a week, a victim, an acting account in unusual circumstances, an
//! attacker's address, a session, a foreign application or the far end of a forwarding. What many honest people share
//! (an office's egress, a helpdesk) links nothing: concurrent takeovers stay apart.

mod exposure;
mod score;
mod story;

use std::collections::{BTreeMap, BTreeSet};

use crate::base::is_strange;
use matagi_model::{Context, Entity, EntityKind, Finding, Incident, Role, Severity, Stage, StageStep, Time, Uid};

pub use exposure::measure;

/// Findings further apart than this are not linked: the catalogue's window for one takeover.
const LINK_GAP_US: i64 = 7 * Time::DAY_US;
/// A key that so many different victims share links nothing: it is a hub, not a trace.
const HUB_VICTIMS_MAX: usize = 20;
/// Days on which an address is used that make it a habit.
const HABIT_DAYS_MIN: usize = 4;

/// Joins findings into incidents, worst first. Findings must be sorted by time.
pub fn incidents(findings: &[Finding], context: &Context) -> Vec<Incident> {
    let mut groups = Groups::new(findings.len());
    for members in keyed(findings, context).into_values() {
        let victims: BTreeSet<&str> = members.iter().flat_map(|&member| victims(&findings[member])).collect();
        if victims.len() > HUB_VICTIMS_MAX {
            continue;
        }
        for pair in members.windows(2) {
            let (earlier, later) = (&findings[pair[0]], &findings[pair[1]]);
            if is_near(earlier, later) {
                groups.join(pair[0], pair[1]);
            }
        }
    }
    let mut incidents: Vec<Incident> =
        groups.members().into_values().filter_map(|members| incident(&members, findings, context)).collect();
    incidents.sort_by(|one, two| {
        two.severity.cmp(&one.severity).then(two.score.total_cmp(&one.score)).then_with(|| one.id.cmp(&two.id))
    });
    incidents
}

fn is_near(earlier: &Finding, later: &Finding) -> bool {
    let (end, start) = (earlier.last_time(), later.first_time());
    !end.is_known() || !start.is_known() || start.since_us(end) <= LINK_GAP_US
}

/// Findings by what may link them, each list in order of time.
fn keyed(findings: &[Finding], context: &Context) -> BTreeMap<Entity, Vec<usize>> {
    let mut keys: BTreeMap<Entity, Vec<usize>> = BTreeMap::new();
    for (index, finding) in findings.iter().enumerate() {
        // A mild finding belongs to an incident only when something about it is strange.
        let is_ordinary = finding.severity <= Severity::Low && !finding.reasons.iter().any(|one| is_strange(&one.code));
        if is_ordinary {
            continue;
        }
        for key in keys_of(finding, context) {
            keys.entry(key).or_default().push(index);
        }
    }
    keys
}

fn keys_of(finding: &Finding, context: &Context) -> BTreeSet<Entity> {
    let mut keys = BTreeSet::new();
    let is_strange =
        finding.severity >= Severity::High || finding.reasons.iter().any(|reason| is_strange(&reason.code));
    for (entity, role) in finding.entities() {
        let links = match (entity.kind, role) {
            (EntityKind::User | EntityKind::Mailbox, Role::Victim)
            | (EntityKind::Session, Role::Source)
            | (EntityKind::EmailAddress, Role::Target) => true,
            (EntityKind::User, Role::Actor) => is_strange,
            (EntityKind::Ip, Role::Source) => !is_shared(&entity.value, context),
            (EntityKind::Application, Role::Source | Role::Target) => {
                crate::base::dictionary().first_party(&entity.value).is_none()
            }
            _ => false,
        };
        if links {
            // A mailbox is its user's: one name for both.
            let kind = if entity.kind == EntityKind::Mailbox { EntityKind::User } else { entity.kind };
            keys.insert(Entity::new(kind, entity.value.clone()));
        }
    }
    keys
}

/// Whether an address is a habit of two or more people: an office, a gateway. An attacker's address is new for all.
fn is_shared(address: &str, context: &Context) -> bool {
    let Ok(address) = address.parse::<std::net::IpAddr>() else { return false };
    let ip = matagi_model::Ip::from(address);
    let facts = context.addresses.facts(ip);
    if facts.microsoft || facts.relay {
        return true;
    }
    let Some(users) = context.estate.ip_users.get(&ip) else { return false };
    let habitual = users.iter().filter_map(|user| context.estate.users.get(user)).filter(|profile| {
        profile.ips.get(&ip).is_some_and(|used| {
            let is_main = profile.days.len() >= 2 && used.days.len() * 2 >= profile.days.len();
            used.days.len() >= HABIT_DAYS_MIN || is_main
        })
    });
    habitual.count() >= 2
}

/// Whose account, mailbox or organisation suffers.
fn victims(finding: &Finding) -> impl Iterator<Item = &str> {
    let is_victim = |(entity, role): &(&Entity, Role)| {
        *role == Role::Victim && matches!(entity.kind, EntityKind::User | EntityKind::Mailbox)
    };
    finding.entities().filter(is_victim).map(|(entity, _)| entity.value.as_str())
}

/// An incident is more than one finding with something to look at, or a single one that cannot wait.
fn incident(members: &[usize], findings: &[Finding], context: &Context) -> Option<Incident> {
    let members: Vec<&Finding> = members.iter().map(|&member| &findings[member]).collect();
    let worst = members.iter().map(|finding| finding.severity).max()?;
    let telling = members.iter().filter(|finding| finding.severity >= Severity::Medium).count();
    if worst < Severity::Medium || (telling == 1 && worst < Severity::High) {
        return None;
    }
    let stages = stages(&members);
    let scored = score::score(&members, &stages, context);
    let title = story::title(&members, &scored);
    let known = |time: &Time| time.is_known();
    Some(Incident {
        id: id(&members),
        title: title.said,
        severity: scored.severity,
        score: score::rounded(scored.reasons.iter().map(|reason| reason.weight).sum()),
        first_time: members.iter().map(|finding| finding.first_time()).filter(known).min().unwrap_or_default(),
        last_time: members.iter().map(|finding| finding.last_time()).max().unwrap_or_default(),
        entities: members
            .iter()
            .flat_map(|finding| finding.entities().map(|(entity, role)| (entity.clone(), role)))
            .collect(),
        findings: members.iter().map(|finding| finding.id()).collect(),
        left_behind: story::left_behind(&members, context),
        narrative: story::narrative(&members, title.subject.as_deref(), context),
        next_steps: story::next_steps(&members),
        exposure: Vec::new(),
        reasons: scored.reasons,
        stages,
    })
}

fn stages(members: &[&Finding]) -> Vec<StageStep> {
    let mut by_stage: BTreeMap<Stage, StageStep> = BTreeMap::new();
    for finding in members {
        let time = finding.first_time();
        let step = by_stage.entry(finding.stage).or_insert_with(|| StageStep {
            stage: finding.stage,
            first_time: time,
            findings: Vec::new(),
        });
        if time.is_known() && (!step.first_time.is_known() || time < step.first_time) {
            step.first_time = time;
        }
        step.findings.push(finding.id());
    }
    let mut steps: Vec<StageStep> = by_stage.into_values().collect();
    steps.sort_by_key(|step| (step.first_time, step.stage));
    steps
}

/// The id is that of the oldest finding, so that an incident keeps it while it grows.
fn id(members: &[&Finding]) -> String {
    let oldest = members.iter().map(|finding| (finding.first_time(), finding.id())).min().unwrap_or_default();
    let uid = Uid::of(&[b"incident", oldest.1.as_bytes()]).to_string();
    format!("I-{}", uid.get(..10).unwrap_or_default())
}

/// Union-find with path halving.
struct Groups(Vec<usize>);

impl Groups {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn find(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, one: usize, two: usize) {
        let (one, two) = (self.find(one), self.find(two));
        self.0[one.max(two)] = one.min(two);
    }

    fn members(mut self) -> BTreeMap<usize, Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for member in 0..self.0.len() {
            groups.entry(self.find(member)).or_default().push(member);
        }
        groups
    }
}
