//! Password spray, and the success that follows it (MBX-001, MBX-002).
//!
//! Method: sign-ins are watched by address, and by the way they are made (program and application, within a network;
//! for scripting tools, anywhere). When within an hour at least four users fail with a wrong password or an unknown
//! name, few times each, and more users fail than succeed, a spray has begun. From then, and for a day after its last
//! attempt, a sign-in by the same way that proves a password belongs to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use matagi_model::tables::AuthView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Ip, Parameter, Reason, ReasonText,
    Role, Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{SignIn, class, client};

/// The analytic.
pub struct PasswordSpray;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/password-spray",
    catalogue: &["MBX-001", "MBX-002"],
    title: Text::new("Password spray against {count} users", "{count} 名に対するパスワードスプレー攻撃"),
    question: Text::new(
        "Does somebody try a few passwords on many accounts, and did one fit?",
        "少数のパスワードを多数のアカウントに試した者がいるか。成功したものはあるか。",
    ),
    stage: Stage::CredentialAcquisition,
    attack: &["T1110.003"],
    scans: &[Scan {
        table: Table::Auth,
        columns: &["status_id", "status_code", "status_detail", "user_agent", "app_uid", "request_type"],
        partition_by: &["src_ip"],
    }],
    parameters: &[
        Parameter {
            name: "window_minutes",
            default: 60.0,
            reason: "sprays pause to stay below lockout, rarely for over an hour",
        },
        Parameter {
            name: "users_min",
            default: 4.0,
            reason: "three colleagues may mistype in an hour; tenants of twenty users must be covered",
        },
        Parameter {
            name: "failures_per_user_max",
            default: 10.0,
            reason: "more on one user is brute force, not spray",
        },
        Parameter { name: "users_high", default: 10.0, reason: "ten users in an hour is no coincidence" },
        Parameter { name: "success_hours", default: 24.0, reason: "the finder of a password returns within a day" },
    ],
    reasons: &[
        ReasonText::new(
            "users",
            "{count} users failed within {minutes} minutes, by {way}",
            "{way} から {minutes} 分間に {count} 名のサインインが失敗しています",
        ),
        ReasonText::new(
            "few-each",
            "at most {max} failures a user: kept below lockout",
            "1 名あたりの失敗は最大 {max} 回で、ロックアウトを避ける手口です",
        ),
        ReasonText::new(
            "rounds",
            "{count} rounds, about {minutes} minutes apart",
            "約 {minutes} 分間隔で {count} 回繰り返されています",
        ),
        ReasonText::new(
            "password-found",
            "{user} signed in by the same way during the spray: the password is known",
            "スプレーと同じ経路で {user} のサインインが成功しました。パスワードは知られています",
        ),
        ReasonText::new(
            "password-proven",
            "the password of {user} was right, a later check held ({code})",
            "{user} のパスワードは正しく、その後の確認（{code}）で止まりました",
        ),
        ReasonText::new(
            "same-program",
            "the success came from the spray's own program {client}",
            "成功したサインインはスプレーと同じプログラム {client} によるものです",
        ),
        ReasonText::new("after-failures", "{user} was among the users tried", "{user} は試行対象に含まれています"),
    ],
};

/// A spray that found a password says so in its own words.
static SUCCESS_TITLE: Text =
    Text::new("Password spray found the password of {user}", "パスワードスプレーにより {user} のパスワードが判明");

/// Attempts remembered in one window: enough for any threshold, bounded against floods.
const WINDOW_ATTEMPTS_MAX: usize = 2_000;
/// Users named by a finding; the count is exact.
const USERS_NAMED_MAX: usize = 50;
/// Evidence kept of one spray.
const SPRAY_EVIDENCE_MAX: usize = 30;
/// A pause that separates two rounds.
const ROUND_GAP_US: i64 = 5 * Time::MINUTE_US;
/// Ways watched at once; the longest silent ones are dropped first.
const WAYS_MAX: usize = 200_000;

impl Analytic for PasswordSpray {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small documented parameters")]
        let limits = Limits {
            window_us: (parameter("window_minutes") * 60e6) as i64,
            users_min: parameter("users_min") as usize,
            failures_per_user_max: parameter("failures_per_user_max") as usize,
            users_high: parameter("users_high") as usize,
            success_us: (parameter("success_hours") * 3.6e9) as i64,
        };
        Box::new(Watchers { limits, ways: BTreeMap::new(), sprays: Vec::new() })
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    window_us: i64,
    users_min: usize,
    failures_per_user_max: usize,
    users_high: usize,
    success_us: i64,
}

/// How sign-ins are made: what a spray keeps the same while it changes users.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Address(Ip),
    Program(String),
}

#[derive(Debug, Clone)]
struct Attempt {
    time: Time,
    user: String,
    ip: Option<Ip>,
    class: SignIn,
    code: String,
    client: String,
    is_tool: bool,
    evidence: Evidence,
}

#[derive(Debug, Default)]
struct Watch {
    window: VecDeque<Attempt>,
    spray: Option<Spray>,
    last: Time,
}

#[derive(Debug)]
struct Spray {
    way: Way,
    users: BTreeMap<String, u64>,
    ips: BTreeSet<Ip>,
    clients: BTreeSet<String>,
    attempts: u64,
    first: Time,
    last: Time,
    rounds: Vec<Time>,
    evidence: Vec<Evidence>,
    successes: Vec<Attempt>,
}

struct Watchers {
    limits: Limits,
    ways: BTreeMap<Way, Watch>,
    sprays: Vec<Spray>,
}

impl Fold for Watchers {
    fn batch(&mut self, batch: &EventBatch) {
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let code = row.status_code.get(index);
            let class = class(code, row.status_detail.get(index), row.status_id.get(index).unwrap_or(0));
            let (Some(user), time) = (row.user_name.get(index), row.time.get(index)) else { continue };
            if !(class.is_guess() || class.proves_password()) || !time.is_known() {
                continue;
            }
            let user_agent = row.user_agent.get(index).unwrap_or_default();
            let client = client(user_agent);
            let ip = row.src_ip.get(index).filter(|ip| !ip.is_internal());
            let app = row.app_uid.get(index).unwrap_or("-");
            let network =
                ip.map(Ip::place).filter(|_| !client.is_tool).map_or_else(String::new, |place| place.to_string());
            let mut ways = Vec::with_capacity(2);
            ways.extend(ip.map(Way::Address));
            if !user_agent.is_empty() {
                ways.push(Way::Program(format!("{} {app} {network}", client.name())));
            }
            let details = row.status_code.get(index).map(|code| format!("code {code}")).unwrap_or_default();
            let attempt = Attempt {
                time,
                user: user.to_owned(),
                ip,
                class,
                code: code.unwrap_or("-").to_owned(),
                client: client.name(),
                is_tool: client.is_tool || row.own.request_type.get(index) == Some("OAuth2:Token"),
                evidence: Evidence::of(Table::Auth, &row, index, &details),
            };
            for way in ways {
                self.attempt(way, attempt.clone());
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Vec<Finding> {
        let open = std::mem::take(&mut self.ways).into_values().filter_map(|watch| watch.spray);
        self.sprays.extend(open);
        let limits = self.limits;
        let mut told: BTreeSet<matagi_model::Uid> = BTreeSet::new();
        let mut findings: Vec<Finding> = Vec::new();
        for spray in distinct(std::mem::take(&mut self.sprays)) {
            findings.push(spray.finding(limits));
            for success in &spray.successes {
                if told.insert(success.evidence.event_uid) {
                    findings.extend(spray.success(success));
                }
            }
        }
        merge_successes(findings)
    }
}

impl Watchers {
    fn attempt(&mut self, way: Way, attempt: Attempt) {
        if self.ways.len() >= WAYS_MAX {
            self.sweep(attempt.time);
        }
        let limits = self.limits;
        let watch = self.ways.entry(way.clone()).or_default();
        if watch.spray.as_ref().is_some_and(|spray| attempt.time.since_us(spray.last) > limits.success_us) {
            self.sprays.extend(watch.spray.take());
        }
        watch.last = attempt.time;
        if let Some(spray) = &mut watch.spray {
            spray.take(attempt);
            return;
        }
        watch.window.push_back(attempt.clone());
        while watch.window.front().is_some_and(|oldest| attempt.time.since_us(oldest.time) > limits.window_us)
            || watch.window.len() > WINDOW_ATTEMPTS_MAX
        {
            watch.window.pop_front();
        }
        if is_spray(&watch.window, limits) {
            let mut spray = Spray::new(way, attempt.time);
            watch.window.drain(..).for_each(|attempt| spray.take(attempt));
            watch.spray = Some(spray);
        }
    }

    /// Forgets ways that were silent for longer than a success may take.
    fn sweep(&mut self, now: Time) {
        let limits = self.limits;
        let sprays = &mut self.sprays;
        self.ways.retain(|_, watch| {
            let keep = now.since_us(watch.last) <= limits.success_us;
            if !keep {
                sprays.extend(watch.spray.take());
            }
            keep
        });
    }
}

fn is_spray(window: &VecDeque<Attempt>, limits: Limits) -> bool {
    let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
    let mut succeeded: BTreeSet<&str> = BTreeSet::new();
    for attempt in window {
        if attempt.class.is_guess() {
            *failures.entry(&attempt.user).or_default() += 1;
        } else if attempt.class == SignIn::Ok {
            succeeded.insert(&attempt.user);
        }
    }
    failures.retain(|_, count| *count <= limits.failures_per_user_max);
    failures.len() >= limits.users_min && failures.len() > succeeded.len()
}

impl Spray {
    fn new(way: Way, time: Time) -> Self {
        Self {
            way,
            users: BTreeMap::new(),
            ips: BTreeSet::new(),
            clients: BTreeSet::new(),
            attempts: 0,
            first: time,
            last: time,
            rounds: Vec::new(),
            evidence: Vec::new(),
            successes: Vec::new(),
        }
    }

    fn take(&mut self, attempt: Attempt) {
        if !attempt.class.is_guess() {
            const SUCCESSES_MAX: usize = 500;
            if self.successes.len() < SUCCESSES_MAX {
                self.successes.push(attempt);
            }
            return;
        }
        if self.attempts == 0 || attempt.time.since_us(self.last) > ROUND_GAP_US {
            self.rounds.push(attempt.time);
        }
        self.attempts += 1;
        self.first = self.first.min(attempt.time);
        self.last = self.last.max(attempt.time);
        self.ips.extend(attempt.ip);
        self.clients.insert(attempt.client);
        let failures = self.users.entry(attempt.user).or_default();
        *failures += 1;
        // Every user's first failure is worth showing before anybody's second.
        if *failures == 1 && self.evidence.len() < SPRAY_EVIDENCE_MAX {
            self.evidence.push(attempt.evidence);
        }
    }

    fn way(&self) -> String {
        match (&self.way, self.ips.len()) {
            (Way::Address(ip), _) => ip.to_string(),
            (Way::Program(_), 1) => self.ips.iter().map(ToString::to_string).collect(),
            (Way::Program(_), count) => {
                let clients: Vec<&str> = self.clients.iter().map(String::as_str).take(3).collect();
                format!("{} ({count} IP)", clients.join(", "))
            }
        }
    }

    fn finding(&self, limits: Limits) -> Finding {
        let severity = if self.users.len() >= limits.users_high { Severity::High } else { Severity::Medium };
        let minutes = self.last.since_us(self.first) / Time::MINUTE_US + 1;
        let most = self.users.values().max().copied().unwrap_or(0);
        let mut evidence = self.evidence.iter().cloned();
        let first = evidence.next().expect("a spray has failures, and each user's first is kept");
        let users = self.users.len() as f64;
        let mut finding = Finding::new(&META, severity, first)
            .titled("count", self.users.len().to_string())
            .because(Reason::new(
                "users",
                users.min(20.0),
                [("count", self.users.len().to_string()), ("minutes", minutes.to_string()), ("way", self.way())],
            ))
            .because(Reason::new("few-each", 2.0, [("max", most.to_string())]))
            .sure(0.9);
        if self.rounds.len() > 1 {
            let gap = self.rounds.windows(2).map(|pair| pair[1].since_us(pair[0])).sum::<i64>()
                / i64::try_from(self.rounds.len() - 1).unwrap_or(1);
            let minutes = (gap / Time::MINUTE_US).to_string();
            finding = finding.because(Reason::new(
                "rounds",
                1.0,
                [("count", self.rounds.len().to_string()), ("minutes", minutes)],
            ));
        }
        finding.catalogue = vec!["MBX-001".to_owned()];
        let kept = self.evidence.len() as u64;
        finding = evidence.fold(finding, Finding::proved_by).and_more(self.attempts.saturating_sub(kept));
        finding = self
            .ips
            .iter()
            .take(USERS_NAMED_MAX)
            .fold(finding, |finding, ip| finding.about(Entity::ip(*ip), Role::Source));
        self.users
            .keys()
            .take(USERS_NAMED_MAX)
            .fold(finding, |finding, user| finding.about(Entity::user(user), Role::Target))
    }

    /// What one success proves: critical when made with the spray's own program, high when the password was only proven,
    /// nothing when a bystander behind the same address signed in as usual.
    fn success(&self, success: &Attempt) -> Option<Finding> {
        let user = &success.user;
        let same_program = self.clients.contains(&success.client) && success.is_tool;
        let was_tried = self.users.contains_key(user);
        if !same_program && !was_tried {
            return None;
        }
        let severity = match success.class {
            SignIn::Ok if same_program => Severity::Critical,
            SignIn::Ok | SignIn::PasswordProven if same_program || self.clients.contains(&success.client) => {
                Severity::High
            }
            _ => Severity::Medium,
        };
        let mut finding = Finding::new(&META, severity, success.evidence.clone()).sure(0.9);
        SUCCESS_TITLE.clone_into(&mut finding.title);
        finding.catalogue = vec!["MBX-002".to_owned()];
        finding.techniques.push("T1078.004".to_owned());
        finding = finding.titled("user", user).about(Entity::user(user), Role::Victim);
        finding = success.ip.iter().fold(finding, |finding, ip| finding.about(Entity::ip(*ip), Role::Source));
        let told = |name: &'static str, value: &String| (name, value.clone());
        finding = if success.class == SignIn::Ok {
            finding.because(Reason::new("password-found", 20.0, [told("user", user)]))
        } else {
            finding.because(Reason::new("password-proven", 12.0, [told("user", user), told("code", &success.code)]))
        };
        if same_program {
            finding = finding.because(Reason::new("same-program", 6.0, [told("client", &success.client)]));
        }
        if was_tried {
            finding = finding.because(Reason::new("after-failures", 4.0, [told("user", user)]));
        }
        Some(self.evidence.iter().take(3).cloned().fold(finding, Finding::proved_by))
    }
}

/// One spray is often seen twice: by its address and by its program. The address tells more, unless there are many.
fn distinct(mut sprays: Vec<Spray>) -> Vec<Spray> {
    sprays.sort_by(|one, two| (one.first, &one.way).cmp(&(two.first, &two.way)));
    let (mut wide, addresses): (Vec<Spray>, Vec<Spray>) =
        sprays.into_iter().partition(|spray| matches!(spray.way, Way::Program(_)) && spray.ips.len() > 1);
    let covered = |spray: &Spray, by: &[Spray]| {
        by.iter().any(|other| {
            spray.first <= other.last
                && other.first <= spray.last
                && spray.users.keys().all(|user| other.users.contains_key(user))
                && (spray.ips.is_subset(&other.ips))
        })
    };
    let (by_program, by_address): (Vec<Spray>, Vec<Spray>) =
        addresses.into_iter().partition(|spray| matches!(spray.way, Way::Program(_)));
    let mut kept: Vec<Spray> = by_address;
    kept.retain(|spray| !covered(spray, &wide));
    let single: Vec<Spray> =
        by_program.into_iter().filter(|spray| !covered(spray, &kept) && !covered(spray, &wide)).collect();
    kept.extend(single);
    kept.append(&mut wide);
    kept
}

/// Several successes of one user from one address are one finding with more evidence.
fn merge_successes(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: BTreeMap<(Vec<(Entity, Role)>, bool), Finding> = BTreeMap::new();
    let mut sprays = Vec::new();
    for finding in findings {
        if finding.catalogue != ["MBX-002"] {
            sprays.push(finding);
            continue;
        }
        let key: Vec<(Entity, Role)> = finding.entities().map(|(entity, role)| (entity.clone(), role)).collect();
        match merged.entry((key, true)) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(finding);
            }
            std::collections::btree_map::Entry::Occupied(mut occupied) => {
                let worse = finding.severity > occupied.get().severity;
                let (better, other) =
                    if worse { (finding, occupied.get().clone()) } else { (occupied.get().clone(), finding) };
                occupied.insert(better.proved_by(other.evidence()[0].clone()));
            }
        }
    }
    sprays.extend(merged.into_values());
    sprays
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run, sign_in};

    const MINUTE: i64 = Time::MINUTE_US;

    #[test]
    fn four_users_in_an_hour_and_one_success() {
        let mut rows: Vec<_> =
            (0..5).map(|n| sign_in(n * MINUTE, &format!("u{n}@c.example"), "203.0.113.9", "50126")).collect();
        rows.push(sign_in(6 * MINUTE, "u2@c.example", "203.0.113.9", "0"));
        let found = run(&PasswordSpray, rows);
        let told: Vec<_> = found.iter().map(|one| (one.catalogue[0].as_str(), one.severity)).collect();
        assert_eq!(told, [("MBX-001", Severity::Medium), ("MBX-002", Severity::High)]);
    }

    #[test]
    fn an_office_behind_one_address_is_no_spray() {
        let mut rows = Vec::new();
        for n in 0..30 {
            rows.push(sign_in(n * MINUTE, &format!("u{n}@c.example"), "203.0.113.9", "0"));
            if n % 6 == 0 {
                rows.push(sign_in(n * MINUTE + 1, &format!("u{n}@c.example"), "203.0.113.9", "50126"));
            }
        }
        assert!(run(&PasswordSpray, rows).is_empty());
    }

    #[test]
    fn a_bystander_behind_the_same_address_is_no_success() {
        let mut rows: Vec<_> =
            (0..5).map(|n| sign_in(n * MINUTE, &format!("u{n}@c.example"), "203.0.113.9", "50126")).collect();
        rows.push(sign_in(6 * MINUTE, "somebody@c.example", "203.0.113.9", "0"));
        assert_eq!(run(&PasswordSpray, rows).len(), 1);
    }
}
