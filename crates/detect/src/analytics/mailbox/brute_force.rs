//! Brute force on one account (MBX-003): many wrong passwords for one user in a short time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use matagi_model::tables::AuthView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Ip, Parameter, Reason, ReasonText,
    Role, Scan, Severity, Stage, Table, Text, Time, UserProfile,
};

use crate::base::{SignIn, class, client};

/// The analytic.
pub struct BruteForce;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/brute-force",
    catalogue: &["MBX-003"],
    title: Text::new("Brute force on {user}", "{user} に対する総当たり攻撃"),
    question: Text::new("Is one account being guessed at?", "特定のアカウントが総当たりで狙われていないか。"),
    stage: Stage::CredentialAcquisition,
    attack: &["T1110.001"],
    scans: &[Scan {
        table: Table::Auth,
        columns: &["status_id", "status_code", "status_detail", "user_agent"],
        partition_by: &["user_name"],
    }],
    parameters: &[
        Parameter {
            name: "failures_5_minutes_min",
            default: 10.0,
            reason: "nobody types ten passwords in five minutes",
        },
        Parameter {
            name: "failures_hour_min",
            default: 30.0,
            reason: "a device with an old password tries a few times an hour",
        },
    ],
    reasons: &[
        ReasonText::new(
            "failures",
            "{count} wrong passwords for {user}, up to {peak} within an hour",
            "{user} のパスワード誤りが {count} 回（1 時間あたり最大 {peak} 回）",
        ),
        ReasonText::new("several-addresses", "from {count} addresses", "{count} 個のアドレスから試行されています"),
        ReasonText::new("locked", "the account was locked {count} times", "アカウントが {count} 回ロックされました"),
        ReasonText::new(
            "one-device",
            "one program at one address and no lockout: likely a device with an old password",
            "単一の端末からのみでロックもないため、古いパスワードが残った端末の可能性が高いです",
        ),
        ReasonText::new(
            "at-home",
            "only from places where {user} was before: likely a forgotten password",
            "{user} が以前から使っている場所からのみの試行で、パスワード忘れの可能性が高いです",
        ),
        ReasonText::new(
            "then-success",
            "a sign-in succeeded afterwards from the guessing address",
            "その後、同じアドレスからサインインが成功しています",
        ),
    ],
};

/// Failures remembered for one user within the hour.
const WINDOW_MAX: usize = 1_000;
/// Evidence kept of one attack.
const KEPT_MAX: usize = 20;
/// Lockouts that raise the severity.
const LOCKOUTS_MIN: u64 = 3;

impl Analytic for BruteForce {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small documented parameters")]
        let guesses = Guesses {
            burst_min: parameter("failures_5_minutes_min") as usize,
            hour_min: parameter("failures_hour_min") as usize,
            context: context.clone(),
            users: BTreeMap::new(),
        };
        Box::new(guesses)
    }
}

struct Guesses {
    burst_min: usize,
    hour_min: usize,
    context: Context,
    users: BTreeMap<String, Account>,
}

struct Failure {
    time: Time,
    ip: Option<Ip>,
    client: Option<String>,
    is_lockout: bool,
    evidence: Evidence,
}

#[derive(Default)]
struct Account {
    /// Failures of the last hour that no attack has taken yet.
    waiting: VecDeque<Failure>,
    /// Times of all failures of the last hour.
    window: VecDeque<Time>,
    attack: Option<Attack>,
}

/// The failures of hours that were too busy for a person.
#[derive(Default)]
struct Attack {
    peak: usize,
    failures: u64,
    lockouts: u64,
    ips: BTreeSet<Ip>,
    clients: BTreeSet<String>,
    evidence: Vec<Evidence>,
    success: Option<Evidence>,
}

impl Fold for Guesses {
    fn batch(&mut self, batch: &EventBatch) {
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let class =
                class(row.status_code.get(index), row.status_detail.get(index), row.status_id.get(index).unwrap_or(0));
            let (Some(user), time) = (row.user_name.get(index), row.time.get(index)) else { continue };
            if !time.is_known() {
                continue;
            }
            match class {
                SignIn::BadPassword | SignIn::Locked => {
                    let failure = Failure {
                        time,
                        ip: row.src_ip.get(index).filter(|ip| !ip.is_internal()),
                        client: row.user_agent.get(index).map(|user_agent| client(user_agent).name()),
                        is_lockout: class == SignIn::Locked,
                        evidence: Evidence::of(Table::Auth, &row, index, ""),
                    };
                    let account = self.users.entry(user.to_owned()).or_default();
                    account.failed(failure, self.burst_min, self.hour_min);
                }
                SignIn::Ok => {
                    let attack = self.users.get_mut(user).and_then(|account| account.attack.as_mut());
                    let Some(attack) = attack.filter(|attack| attack.success.is_none()) else { continue };
                    if row.src_ip.get(index).is_some_and(|ip| attack.ips.contains(&ip)) {
                        attack.success = Some(Evidence::of(Table::Auth, &row, index, ""));
                    }
                }
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let habits = &self.context.estate.users;
        let attacked = self.users.iter().filter_map(|(user, account)| Some((user, account.attack.as_ref()?)));
        attacked.map(|(user, attack)| attack.finding(user, attack.is_at_home(habits.get(user)))).collect()
    }
}

impl Account {
    fn failed(&mut self, failure: Failure, burst_min: usize, hour_min: usize) {
        let now = failure.time;
        self.window.push_back(now);
        self.waiting.push_back(failure);
        let is_old = |time: Time| now.since_us(time) > Time::HOUR_US;
        while self.window.front().is_some_and(|time| is_old(*time)) || self.window.len() > WINDOW_MAX {
            self.window.pop_front();
        }
        while self.waiting.front().is_some_and(|failure| is_old(failure.time)) || self.waiting.len() > WINDOW_MAX {
            self.waiting.pop_front();
        }
        let burst = self.window.iter().rev().take_while(|time| now.since_us(**time) <= 5 * Time::MINUTE_US).count();
        if burst >= burst_min || self.window.len() >= hour_min {
            let attack = self.attack.get_or_insert_default();
            attack.peak = attack.peak.max(self.window.len());
            self.waiting.drain(..).for_each(|failure| attack.take(failure));
        }
    }
}

impl Attack {
    fn take(&mut self, failure: Failure) {
        const ADDRESSES_MAX: usize = 200;
        self.failures += 1;
        self.lockouts += u64::from(failure.is_lockout);
        if self.ips.len() < ADDRESSES_MAX {
            self.ips.extend(failure.ip);
        }
        if self.clients.len() < ADDRESSES_MAX {
            self.clients.extend(failure.client);
        }
        if self.evidence.len() < KEPT_MAX {
            self.evidence.push(failure.evidence);
        }
    }

    /// Whether all tries came from where the user was before the first of them.
    fn is_at_home(&self, habits: Option<&UserProfile>) -> bool {
        let first = self.evidence.first().map(|evidence| evidence.time).unwrap_or_default();
        let was_there = |ip: &Ip| {
            let used = habits.and_then(|profile| profile.ips.get(ip));
            used.is_some_and(|used| used.first_time < first || used.days.len() > 2)
        };
        !self.ips.is_empty() && self.ips.iter().all(was_there)
    }

    fn finding(&self, user: &str, is_at_home: bool) -> Finding {
        let one_device = (self.ips.len() <= 1 && self.clients.len() <= 1 && self.lockouts == 0) || is_at_home;
        let mut severity = if one_device { Severity::Low } else { Severity::Medium };
        let mut evidence = self.evidence.iter().cloned();
        let first = evidence.next().expect("an attacked account has failures");
        let mut finding =
            Finding::new(&META, severity, first).titled("user", user).about(Entity::user(user), Role::Target);
        finding = finding.because(Reason::new(
            "failures",
            4.0,
            [("count", self.failures.to_string()), ("user", user.to_owned()), ("peak", self.peak.to_string())],
        ));
        if self.ips.len() > 1 && !is_at_home {
            severity = severity.raised();
            finding = finding.because(Reason::new("several-addresses", 2.0, [("count", self.ips.len().to_string())]));
        }
        if self.lockouts >= LOCKOUTS_MIN && !is_at_home {
            severity = severity.raised();
            finding = finding.because(Reason::new("locked", 2.0, [("count", self.lockouts.to_string())]));
        }
        if is_at_home {
            finding = finding.because(Reason::new("at-home", -2.0, [("user", user.to_owned())]));
        } else if one_device {
            finding = finding.because(Reason::new("one-device", -2.0, []));
        }
        if let Some(success) = self.success.as_ref().filter(|_| !one_device) {
            severity = severity.raised();
            finding = finding.because(Reason::new("then-success", 4.0, [])).proved_by(success.clone());
        }
        finding.severity = severity.min(Severity::High);
        let kept = self.evidence.len() as u64;
        finding = evidence.fold(finding, Finding::proved_by).and_more(self.failures.saturating_sub(kept));
        self.ips.iter().take(50).fold(finding, |finding, ip| finding.about(Entity::ip(*ip), Role::Source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run, sign_in};

    #[test]
    fn ten_in_five_minutes_from_two_addresses() {
        let addresses = ["203.0.113.9", "198.51.100.4"].into_iter().cycle();
        let rows = (0..12).zip(addresses).map(|(n, ip)| sign_in(n * 20_000_000, "anna@c.example", ip, "50126"));
        let found = run(&BruteForce, rows.collect());
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
    }

    #[test]
    fn a_phone_with_an_old_password_stays_low() {
        let rows = (0..12).map(|n| sign_in(n * 20_000_000, "anna@c.example", "203.0.113.9", "50126"));
        assert_eq!(run(&BruteForce, rows.collect())[0].severity, Severity::Low);
    }

    #[test]
    fn a_few_mistypes_are_nothing() {
        let rows = (0..9).map(|n| sign_in(n * 20_000_000, "anna@c.example", "203.0.113.9", "50126"));
        assert!(run(&BruteForce, rows.collect()).is_empty());
    }
}
