//! Distributed password spray (MBX-004): many users fail from many addresses at once, so that no single address stands out.
//!
//! Method: wrong passwords are counted over the whole tenant, in a sliding window of five minutes: many users and many
//! addresses, or many accounts locked. What is spread thinner shows in the hour: far more users than in the tenant's own
//! hours, and more than in any of them. A wrong password typed where the user worked before is a mistype and counts
//! nowhere. Windows that touch are one wave. A tenant of five has no twenty users: its thresholds shrink with it.

use std::collections::VecDeque;

use matagi_model::tables::AuthView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, EventBatch, Evidence, Finding, Fold, Ip, Parameter, ReasonText, Scan, Stage,
    Table, Text, Time,
};

use self::wave::{Attempt, Wave, Window};
use crate::base::{SignIn, class, is_service_side, was_there};

mod wave;

/// The analytic.
pub struct DistributedSpray;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/distributed-spray",
    catalogue: &["MBX-004"],
    title: Text::new(
        "Distributed password spray: {count} users from {addresses} addresses",
        "分散型パスワードスプレー攻撃: {addresses} 個のアドレスから {count} 名を試行",
    ),
    question: Text::new(
        "Are many accounts tried at once from many addresses?",
        "多数のアドレスから多数のアカウントが一斉に試されていないか。",
    ),
    stage: Stage::CredentialAcquisition,
    attack: &["T1110.003"],
    scans: &[Scan {
        table: Table::Auth,
        columns: &["status_id", "status_code", "status_detail", "user_type", "logon_kind"],
        partition_by: &[],
    }],
    parameters: PARAMETERS,
    reasons: REASONS,
};

static PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "window_minutes",
        default: 5.0,
        reason: "botnets fire in bursts; longer windows collect mistypes",
    },
    Parameter {
        name: "users_min",
        default: 20.0,
        reason: "twenty people do not mistype away from home in five minutes",
    },
    Parameter { name: "addresses_min", default: 20.0, reason: "fewer are seen by the spray from one source" },
    Parameter { name: "lockouts_min", default: 10.0, reason: "ten accounts locked at once are no coincidence" },
    Parameter {
        name: "known_users_share",
        default: 0.5,
        reason: "in a small tenant half of all people are as telling",
    },
    Parameter { name: "users_floor", default: 3.0, reason: "two people of a tiny tenant may mistype together" },
    Parameter { name: "addresses_floor", default: 4.0, reason: "home, office and a phone are three" },
    Parameter { name: "hour_users_min", default: 10.0, reason: "a quiet tenant's record must not be five users" },
    Parameter { name: "hour_z_min", default: 4.0, reason: "a chance below one in ten thousand hours" },
    Parameter {
        name: "baseline_hours_min",
        default: 72.0,
        reason: "three days, or nine working days, show the rhythm",
    },
    Parameter { name: "success_hours", default: 24.0, reason: "the finder of a password returns within a day" },
];

static REASONS: &[ReasonText] = &[
    ReasonText::new(
        "burst",
        "up to {users} users failed from {addresses} addresses within {minutes} minutes",
        "{minutes} 分間に最大 {users} 名が {addresses} 個のアドレスからサインインに失敗しています",
    ),
    ReasonText::new(
        "lockouts",
        "{count} accounts were locked, up to {peak} within {minutes} minutes",
        "{count} 個のアカウントがロックされました（{minutes} 分間に最大 {peak} 個）",
    ),
    ReasonText::new(
        "busy-hour",
        "{users} users failed within an hour, the most on record: {z} standard deviations above this tenant's hours",
        "1 時間に {users} 名が失敗しており、この組織の平常時を標準偏差の {z} 倍上回る過去最多の水準です",
    ),
    ReasonText::new(
        "few-each",
        "at most {max} failures a user: kept below lockout",
        "1 名あたりの失敗は最大 {max} 回で、ロックアウトを避ける手口です",
    ),
    ReasonText::new(
        "then-success",
        "{count} users then signed in from one of these addresses: {users}",
        "その後、これらのアドレスから {count} 名がサインインに成功しています: {users}",
    ),
    ReasonText::new(
        "password-proven",
        "the password was right and a later check held for {count} users: {users}",
        "{count} 名のパスワードは正しく、その後の確認で止まりました: {users}",
    ),
    ReasonText::new(
        "outage",
        "{count} sign-ins failed meanwhile because the on-premises password check was down: one step milder",
        "同じ時間帯にオンプレミスのパスワード検証の障害で {count} 件が失敗しているため、深刻度を一段階下げています",
    ),
    ReasonText::new(
        "cold",
        "a small tenant with little history ({known} known users): one step milder",
        "既知のユーザーが {known} 名の小規模な組織で履歴も少ないため、深刻度を一段階下げています",
    ),
];

/// Hours that make the baseline: thirty days.
const BASELINE_HOURS_MAX: usize = 720;
/// Waves told: an attack that goes on for years is told by the first thousands.
const WAVES_MAX: usize = 5_000;
/// History from which a tenant's size is believed.
const HISTORY_MIN_US: i64 = 7 * Time::DAY_US;
/// The on-premises password check timed out or failed: an outage of the federation, no guess.
const OUTAGE_CODES: [&str; 2] = ["80002", "80005"];

impl Analytic for DistributedSpray {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Tenant {
            limits: Limits::new(context),
            context: context.clone(),
            window: Window::default(),
            hour: Hour::default(),
            waves: VecDeque::new(),
            findings: Vec::new(),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    window_us: i64,
    users_min: usize,
    users_full: usize,
    addresses_min: usize,
    addresses_full: usize,
    lockouts_min: usize,
    lockouts_full: usize,
    hour_users_min: usize,
    hour_addresses_min: usize,
    z_min: f64,
    hours_min: usize,
    success_us: i64,
}

impl Limits {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small documented parameters")]
    fn new(context: &Context) -> Self {
        let parameter = |name| META.parameter(name, &context.settings);
        let count = |name| parameter(name) as usize;
        let known = context.estate.users.len();
        let share = (known as f64 * parameter("known_users_share")).ceil() as usize;
        // Without a single known user the size of the tenant is unknown, not small.
        let scaled = |full: usize| if known == 0 { full } else { full.min(share.max(count("users_floor"))) };
        let (users_min, addresses_full) = (scaled(count("users_min")), count("addresses_min"));
        Self {
            window_us: (parameter("window_minutes") * 60e6) as i64,
            users_min,
            users_full: count("users_min"),
            addresses_min: addresses_full.min(users_min.max(count("addresses_floor"))),
            addresses_full,
            lockouts_min: scaled(count("lockouts_min")),
            lockouts_full: count("lockouts_min"),
            hour_users_min: scaled(count("hour_users_min")),
            hour_addresses_min: count("addresses_floor"),
            z_min: parameter("hour_z_min"),
            hours_min: count("baseline_hours_min"),
            success_us: (parameter("success_hours") * 3.6e9) as i64,
        }
    }
}

/// The hour that runs, and how many users failed in those before it.
#[derive(Debug, Default)]
struct Hour {
    start: Option<Time>,
    wave: Wave,
    before: VecDeque<usize>,
}

struct Tenant {
    limits: Limits,
    context: Context,
    window: Window,
    hour: Hour,
    /// Waves whose successes may still come, oldest first.
    waves: VecDeque<Wave>,
    findings: Vec<Finding>,
}

impl Fold for Tenant {
    fn batch(&mut self, batch: &EventBatch) {
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let (Some(user), time) = (row.user_name.get(index), row.time.get(index)) else { continue };
            let is_program = matches!(row.own.logon_kind.get(index), Some("service_principal" | "managed_identity"));
            if !time.is_known() || is_program || is_service_side(Some(user), row.user_type.get(index)) {
                continue;
            }
            self.tick(time);
            let code = row.status_code.get(index);
            if code.is_some_and(|code| OUTAGE_CODES.contains(&code.trim())) {
                self.window.outages.push_back(time);
                continue;
            }
            let class = class(code, row.status_detail.get(index), row.status_id.get(index).unwrap_or(0));
            let ip = row.src_ip.get(index).filter(|ip| !ip.is_internal() && self.is_strange(user, *ip, time));
            let is_of_interest = match class {
                SignIn::Locked => true,
                SignIn::BadPassword | SignIn::Ok | SignIn::PasswordProven => ip.is_some(),
                _ => false,
            };
            if !is_of_interest {
                continue;
            }
            let told = code.map(|code| format!("code {code}")).unwrap_or_default();
            let evidence = Evidence::of(Table::Auth, &row, index, &told);
            let attempt = Attempt { time, user: user.into(), ip, class, evidence, is_taken: false };
            if class.proves_password() { self.succeeded(attempt) } else { self.failed(attempt) }
        }
    }

    fn finish(mut self: Box<Self>) -> Vec<Finding> {
        self.close_hour();
        while let Some(wave) = self.waves.pop_front() {
            self.tell(&wave);
        }
        self.findings.sort_by_cached_key(|finding| (finding.first_time(), finding.id()));
        self.findings
    }
}

impl Tenant {
    /// Whether the user never worked from there before: who mistypes at home is no guesser.
    fn is_strange(&self, user: &str, ip: Ip, time: Time) -> bool {
        !self.context.estate.users.get(user).is_some_and(|profile| was_there(profile, ip, time))
    }

    /// Lets go of what is too old, and judges the hour when it is over.
    fn tick(&mut self, now: Time) {
        self.window.slide(now, self.limits.window_us);
        let start = Time(now.0 - now.0.rem_euclid(Time::HOUR_US));
        if self.hour.start != Some(start) {
            self.close_hour();
            self.hour.start = Some(start);
        }
        let success_us = self.limits.success_us;
        let is_over = |wave: &mut Wave| now.since_us(wave.last) > success_us;
        while let Some(wave) = self.waves.pop_front_if(is_over) {
            self.tell(&wave);
        }
    }

    fn succeeded(&mut self, attempt: Attempt) {
        for wave in &mut self.waves {
            wave.succeeded(&attempt, self.limits);
        }
        self.hour.wave.succeeded(&attempt, self.limits);
        self.window.succeeded(attempt);
    }

    fn failed(&mut self, attempt: Attempt) {
        let now = attempt.time;
        self.hour.wave.take(&attempt);
        self.window.push(attempt);
        let (limits, window) = (self.limits, &mut self.window);
        let (users, ips, locked) = (window.users.len(), window.ips.len(), window.locked.len());
        if !(users >= limits.users_min && ips >= limits.addresses_min || locked >= limits.lockouts_min) {
            return;
        }
        let oldest = window.failures.front().map_or(now, |failure| failure.time);
        let touches = |wave: &Wave| oldest.since_us(wave.last) <= limits.window_us;
        if !self.waves.back().is_some_and(touches) {
            self.waves.push_back(Wave::default());
        }
        let Some(wave) = self.waves.back_mut() else { return };
        window.hand_over(wave, limits);
        wave.burst_last = Some(now);
        wave.peak = wave.peak.max((users, ips));
        wave.peak_locked = wave.peak_locked.max(locked);
        wave.is_full |= users >= limits.users_full && ips >= limits.addresses_full || locked >= limits.lockouts_full;
    }

    fn close_hour(&mut self) {
        let Some(start) = self.hour.start else { return };
        let mut wave = std::mem::take(&mut self.hour.wave);
        let users = wave.users.len();
        let limits = self.limits;
        // A burst within the hour has told it already; neither it nor a slow wave may become what is usual.
        if self.waves.iter().any(|told| told.burst_last.is_some_and(|last| last >= start)) {
            return;
        }
        let is_spread = wave.ips.len() >= limits.hour_addresses_min && wave.ips.len() * 2 >= users;
        let z = deviations(&self.hour.before, users).filter(|_| self.hour.before.len() >= limits.hours_min);
        let is_record = self.hour.before.iter().all(|before| *before < users);
        if let Some(z) = z.filter(|z| *z >= limits.z_min && is_record && is_spread && users >= limits.hour_users_min) {
            wave.hour = Some((users, z));
            let touches = |told: &&mut Wave| start.since_us(told.last) <= Time::HOUR_US;
            match self.waves.back_mut().filter(touches) {
                Some(told) => told.absorb(wave),
                None => self.waves.push_back(wave),
            }
            return;
        }
        self.hour.before.push_back(users);
        if self.hour.before.len() > BASELINE_HOURS_MAX {
            self.hour.before.pop_front();
        }
    }

    fn tell(&mut self, wave: &Wave) {
        let estate = &self.context.estate;
        let is_cold = !wave.is_full && wave.first.since_us(estate.first_time) < HISTORY_MIN_US;
        if self.findings.len() < WAVES_MAX {
            self.findings.extend(wave.finding(self.limits, is_cold.then_some(estate.users.len())));
        }
    }
}

/// How many standard deviations these users are above the hours before. One user more or less is no deviation.
fn deviations(before: &VecDeque<usize>, users: usize) -> Option<f64> {
    let hours = before.len() as f64;
    let mean = before.iter().sum::<usize>() as f64 / hours;
    let variance = before.iter().map(|count| (*count as f64 - mean).powi(2)).sum::<f64>() / hours;
    (hours > 0.0).then(|| (users as f64 - mean) / variance.sqrt().max(1.0))
}

#[cfg(test)]
mod tests {
    use matagi_model::{EntityKind, Role, Severity};

    use super::*;
    use crate::testing::{Row, office_days, run_hosted, sign_in};

    const SECOND: i64 = Time::SECOND_US;
    const ATTACK: i64 = 9 * Time::DAY_US + 3 * Time::HOUR_US;

    fn user(n: i64) -> String {
        format!("u{n}@c.example")
    }

    /// A tenant of so many people, each with a home.
    fn tenant(people: i64, days: i64) -> Vec<Row> {
        (0..people).flat_map(|n| office_days(&user(n), &format!("192.0.{n}.7"), 0..days)).collect()
    }

    /// One wrong password for each user, each from an address of its own, ten seconds apart.
    fn burst(start: i64, users: i64, addresses: i64) -> Vec<Row> {
        let failure = |n: i64| sign_in(start + n * 10 * SECOND, &user(n % users), &attacker(n % addresses), "50126");
        (0..users.max(addresses)).map(failure).collect()
    }

    fn attacker(n: i64) -> String {
        format!("203.0.113.{}", n + 1)
    }

    fn codes(finding: &Finding) -> Vec<&str> {
        finding.reasons.iter().map(|reason| reason.code.as_str()).collect()
    }

    #[test]
    fn twenty_users_from_twenty_addresses_and_one_password_fits() {
        let mut rows = tenant(40, 8);
        rows.extend(burst(ATTACK, 20, 20));
        rows.push(sign_in(ATTACK + Time::HOUR_US, &user(7), &attacker(3), "0"));
        let found = run_hosted(&DistributedSpray, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Critical));
        assert_eq!(codes(&found[0]), ["burst", "few-each", "then-success"]);
        let victims: Vec<_> = found[0].entities().filter(|(_, role)| *role == Role::Victim).collect();
        assert_eq!((victims.len(), victims[0].0.value.as_str()), (1, "u7@c.example"));
        assert_eq!((found[0].values(EntityKind::Ip).count(), found[0].evidence_count), (20, 21));
    }

    #[test]
    fn nineteen_users_are_below_the_threshold() {
        let mut rows = tenant(40, 8);
        rows.extend(burst(ATTACK, 19, 20));
        assert!(run_hosted(&DistributedSpray, rows).is_empty());
    }

    #[test]
    fn the_morning_after_a_new_password_policy_is_no_spray() {
        let mut rows = tenant(40, 8);
        let mistype = |n: i64| sign_in(ATTACK + n * SECOND, &user(n), &format!("192.0.{n}.9"), "50126");
        rows.extend((0..40).map(mistype));
        assert!(run_hosted(&DistributedSpray, rows).is_empty());
    }

    #[test]
    fn a_federation_outage_is_no_spray() {
        let mut rows = tenant(40, 8);
        let failure = |n: i64| sign_in(ATTACK + n * SECOND, &user(n), &attacker(n), "80002");
        rows.extend((0..40).map(failure));
        assert!(run_hosted(&DistributedSpray, rows).is_empty());
    }

    #[test]
    fn ten_accounts_locked_at_home_are_told_without_a_break_in() {
        let mut rows = tenant(40, 8);
        for n in 0..10 {
            let home = format!("192.0.{n}.7");
            rows.push(sign_in(ATTACK + n * SECOND, &user(n), &home, "50053"));
            rows.push(sign_in(ATTACK + Time::HOUR_US + n, &user(n), &home, "0"));
        }
        let found = run_hosted(&DistributedSpray, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        assert_eq!(codes(&found[0]), ["lockouts", "few-each"]);
    }

    #[test]
    fn a_tenant_of_five_with_two_days_of_history() {
        let attack = 2 * Time::DAY_US;
        let mut rows = tenant(5, 2);
        rows.extend(burst(attack, 3, 4));
        let found = run_hosted(&DistributedSpray, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Medium));
        assert_eq!(codes(&found[0]), ["burst", "few-each", "cold"]);

        let mut three_addresses = tenant(5, 2);
        three_addresses.extend(burst(attack, 3, 3));
        assert!(run_hosted(&DistributedSpray, three_addresses).is_empty());
    }

    #[test]
    fn windows_that_touch_are_one_wave() {
        let waves = |pause: i64| {
            let mut rows = tenant(40, 8);
            rows.extend(burst(ATTACK, 20, 20));
            rows.extend(burst(ATTACK + pause, 20, 20));
            run_hosted(&DistributedSpray, rows).len()
        };
        assert_eq!((waves(6 * Time::MINUTE_US), waves(Time::HOUR_US)), (1, 2));
    }

    #[test]
    fn a_slow_spray_stands_out_of_the_tenants_own_hours() {
        let slow = |users: i64| {
            let mut rows = tenant(40, 8);
            // Round the clock one sign-in, and now and then a stranger's mistake.
            for hour in 0..8 * 24 {
                let code = if hour % 5 == 0 { "50126" } else { "50058" };
                rows.push(sign_in(hour * Time::HOUR_US, &user(39), "198.51.100.1", code));
            }
            let failure = |n: i64| sign_in(ATTACK + n * 4 * Time::MINUTE_US, &user(n), &attacker(n), "50126");
            rows.extend((0..users).map(failure));
            run_hosted(&DistributedSpray, rows)
        };
        let found = slow(12);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        assert_eq!(codes(&found[0]), ["busy-hour", "few-each"]);
        assert!(slow(9).is_empty());
    }
}
