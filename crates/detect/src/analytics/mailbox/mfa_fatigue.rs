//! MFA fatigue (MBX-011): prompts on a person's phone until one of them is approved.
//!
//! Method: second factors that failed by refusal, by silence or for a reason that the record does not say are prompts; five
//! within ten minutes or ten within a day are a raid. A sign-in within half an hour after a prompt belongs to the raid when
//! it comes from the prompts' network or from a place that is not the user's own. Prompts that all come from the user's own
//! place are the user's: a push that does not arrive looks the same.

use std::collections::{BTreeMap, VecDeque};

use matagi_model::tables::AuthView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Ip, Parameter, Reason, ReasonText,
    Role, Scan, Severity, Stage, Table, Text, Time, UserProfile,
};

use crate::base::{
    Attack, SecondFactorFailure, SignIn, class, is_service_side, is_usual_address, second_factor_failure,
};

/// The analytic.
pub struct MfaFatigue;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/mfa-fatigue",
    catalogue: &["MBX-011"],
    title: Text::new("{user} flooded with second-factor prompts", "{user} に多要素認証の承認要求が集中"),
    question: Text::new(
        "Is somebody being worn down with second-factor prompts, and was one approved?",
        "多要素認証の承認要求を繰り返し送り付けられている者がいるか。承認してしまったか。",
    ),
    stage: Stage::CredentialAcquisition,
    attack: &["T1621"],
    scans: &[Scan {
        table: Table::Auth,
        columns: &[
            "status_id",
            "status_code",
            "status_detail",
            "user_type",
            "session_uid",
            "request_type",
            "logon_kind",
            "is_mfa",
        ],
        partition_by: &["user_name"],
    }],
    parameters: &[
        Parameter {
            name: "prompts_10_minutes_min",
            default: 5.0,
            reason: "a person whose push does not arrive gives up or takes another way after three or four",
        },
        Parameter {
            name: "prompts_day_min",
            default: 10.0,
            reason: "patient raids send one prompt an hour, at night too; a flaky phone fails a few times a day",
        },
        Parameter {
            name: "approval_minutes",
            default: 30.0,
            reason: "who gives in does so while the prompts still come, or to end the last of them",
        },
    ],
    reasons: &[
        ReasonText::new(
            "prompts",
            "{count} second-factor prompts for {user} were not approved, up to {peak} within ten minutes",
            "{user} への多要素認証の要求が {count} 回承認されませんでした（10 分あたり最大 {peak} 回）",
        ),
        ReasonText::new("refused", "{count} of them were refused", "うち {count} 回は本人が拒否しています"),
        ReasonText::new(
            "reported",
            "{user} reported {count} of them as fraud",
            "{user} がうち {count} 回を不正な要求として報告しています",
        ),
        ReasonText::new(
            "method-unsaid",
            "the records do not say how the second factor failed",
            "二つ目の要素が失敗した理由は記録に残っていません",
        ),
        ReasonText::new(
            "approved",
            "{minutes} minutes after a prompt, a sign-in from the prompts' own network ({ip}) succeeded",
            "承認要求の {minutes} 分後、要求と同じネットワーク（{ip}）からのサインインが成功しています",
        ),
        ReasonText::new(
            "approved-elsewhere",
            "{minutes} minutes after a prompt, a sign-in from {ip} succeeded, which is no usual place of {user}",
            "承認要求の {minutes} 分後、{user} の普段の接続元ではない {ip} からのサインインが成功しています",
        ),
        ReasonText::new(
            "own-place",
            "all prompts come from where {user} usually is: likely a push that does not arrive",
            "要求はすべて {user} の普段の接続元からのもので、通知の不達による失敗の可能性が高いです",
        ),
    ],
};

/// Prompts remembered for one user within a day: far above any threshold, bounded against floods.
const WINDOW_MAX: usize = 1_000;
/// Users watched at once; those silent for a day are dropped first. A prompt needs the right password: more users than
/// these on one day are no tenant but a hostile file.
const USERS_MAX: usize = 200_000;
/// Raids told: what is beyond is the same attack on the same people.
const FINDINGS_MAX: usize = 100_000;
/// Two records of one address within this are one prompt, told by two exports: nobody answers a prompt so fast.
const ONE_PROMPT_US: i64 = 2 * Time::SECOND_US;
/// The short window of the raid.
const BURST_US: i64 = 10 * Time::MINUTE_US;

impl Analytic for MfaFatigue {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small documented parameters")]
        let limits = Limits {
            burst_min: parameter("prompts_10_minutes_min") as usize,
            day_min: parameter("prompts_day_min") as usize,
            approval_us: (parameter("approval_minutes") * 60e6) as i64,
        };
        Box::new(Prompts {
            limits,
            context: context.clone(),
            users: BTreeMap::new(),
            swept: Time::UNKNOWN,
            findings: Vec::new(),
        })
    }
}

#[derive(Clone, Copy)]
struct Limits {
    burst_min: usize,
    day_min: usize,
    approval_us: i64,
}

struct Prompts {
    limits: Limits,
    context: Context,
    users: BTreeMap<String, Watch>,
    swept: Time,
    findings: Vec<Finding>,
}

struct Prompt {
    time: Time,
    ip: Option<Ip>,
    session: Option<String>,
    failure: SecondFactorFailure,
    evidence: Evidence,
}

#[derive(Default)]
struct Watch {
    /// Prompts of the last day that no raid has taken yet.
    waiting: VecDeque<Prompt>,
    /// Times and addresses of all prompts of the last day.
    window: VecDeque<(Time, Option<Ip>)>,
    raid: Option<Raid>,
}

/// The prompts of days on which there were too many.
#[derive(Default)]
struct Raid {
    attack: Attack,
    peak: usize,
    refused: u64,
    reported: u64,
    unsaid: u64,
    approval: Option<Approval>,
}

struct Approval {
    ip: Ip,
    minutes: i64,
    is_same_network: bool,
    session: Option<String>,
    evidence: Evidence,
}

impl Fold for Prompts {
    fn batch(&mut self, batch: &EventBatch) {
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let (Some(user), time) = (row.user_name.get(index), row.time.get(index)) else { continue };
            if !time.is_known() || is_service_side(Some(user), row.user_type.get(index)) {
                continue;
            }
            let (code, detail) = (row.status_code.get(index), row.status_detail.get(index));
            if let Some(failure) = second_factor_failure(code, detail).filter(|failure| failure.is_denied()) {
                let prompt = Prompt {
                    time,
                    ip: row.src_ip.get(index).filter(|ip| !ip.is_internal()),
                    session: row.session_uid.get(index).map(str::to_owned),
                    failure,
                    evidence: Evidence::of(Table::Auth, &row, index, detail.unwrap_or_default()),
                };
                self.prompted(user, prompt);
            } else if class(code, detail, row.status_id.get(index).unwrap_or(0)) == SignIn::Ok {
                self.succeeded(user, time, &row, index);
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Vec<Finding> {
        for (user, watch) in std::mem::take(&mut self.users) {
            self.conclude(&user, watch.raid);
        }
        self.findings.sort_by_cached_key(|finding| (finding.first_time(), finding.id()));
        self.findings
    }
}

impl Prompts {
    fn prompted(&mut self, user: &str, prompt: Prompt) {
        if self.users.len() >= USERS_MAX && !self.users.contains_key(user) {
            self.sweep(prompt.time);
            if self.users.len() >= USERS_MAX {
                return;
            }
        }
        let watch = self.users.entry(user.to_owned()).or_default();
        let is_over = |raid: &mut Raid| prompt.time.since_us(raid.attack.last) > Time::DAY_US;
        let over = watch.raid.take_if(is_over);
        watch.prompted(prompt, self.limits);
        self.conclude(user, over);
    }

    /// A sign-in that may be the approval: interactive, with a second factor unless the record keeps silent about it.
    fn succeeded(&mut self, user: &str, time: Time, row: &AuthView<'_>, index: usize) {
        let is_by_person = !matches!(
            row.own.logon_kind.get(index),
            Some("non_interactive" | "service_principal" | "managed_identity")
        ) && row.own.request_type.get(index) != Some("OAuth2:Token")
            && row.own.is_mfa.get(index) != Some(false);
        let raid = self.users.get_mut(user).and_then(|watch| watch.raid.as_mut());
        let Some(raid) = raid.filter(|raid| raid.approval.is_none() && is_by_person) else { return };
        let since = time.since_us(raid.attack.last);
        let Some(ip) = row.src_ip.get(index).filter(|ip| !ip.is_internal() && since <= self.limits.approval_us) else {
            return;
        };
        let is_same_network = raid.attack.is_from_network_of(ip);
        let habits = self.context.estate.users.get(user);
        let is_strange = || {
            let is_microsoft = self.context.addresses.facts(ip).microsoft;
            !is_microsoft && !habits.is_some_and(|profile| is_usual_address(profile, ip, raid.attack.first))
        };
        if is_same_network || is_strange() {
            raid.approval = Some(Approval {
                ip,
                minutes: since / Time::MINUTE_US,
                is_same_network,
                session: row.session_uid.get(index).map(str::to_owned),
                evidence: Evidence::of(Table::Auth, row, index, "approved"),
            });
        }
    }

    /// Forgets users without a prompt for a day. At most once an hour of evidence, because it looks at all of them.
    fn sweep(&mut self, now: Time) {
        if now.since_us(self.swept) < Time::HOUR_US {
            return;
        }
        self.swept = now;
        let is_silent =
            |watch: &mut Watch| watch.window.back().is_none_or(|(time, _)| now.since_us(*time) > Time::DAY_US);
        let silent: Vec<(String, Watch)> = self.users.extract_if(.., |_, watch| is_silent(watch)).collect();
        for (user, watch) in silent {
            self.conclude(&user, watch.raid);
        }
    }

    fn conclude(&mut self, user: &str, raid: Option<Raid>) {
        let Some(raid) = raid.filter(|_| self.findings.len() < FINDINGS_MAX) else { return };
        let finding = raid.finding(user, self.context.estate.users.get(user));
        self.findings.push(finding);
    }
}

impl Watch {
    fn prompted(&mut self, prompt: Prompt, limits: Limits) {
        let now = prompt.time;
        let is_old = |time: Time| now.since_us(time) > Time::DAY_US;
        while self.window.front().is_some_and(|(time, _)| is_old(*time)) || self.window.len() >= WINDOW_MAX {
            self.window.pop_front();
        }
        while self.waiting.front().is_some_and(|prompt| is_old(prompt.time)) || self.waiting.len() >= WINDOW_MAX {
            self.waiting.pop_front();
        }
        let lately = self.window.iter().rev().take_while(|(time, _)| now.since_us(*time) <= ONE_PROMPT_US);
        if lately.into_iter().any(|(_, ip)| *ip == prompt.ip) {
            return;
        }
        self.window.push_back((now, prompt.ip));
        self.waiting.push_back(prompt);
        let burst = self.window.iter().rev().take_while(|(time, _)| now.since_us(*time) <= BURST_US).count();
        if burst >= limits.burst_min || self.window.len() >= limits.day_min {
            let raid = self.raid.get_or_insert_default();
            raid.peak = raid.peak.max(burst);
            self.waiting.drain(..).for_each(|prompt| raid.take(prompt));
        }
    }
}

impl Raid {
    fn take(&mut self, prompt: Prompt) {
        self.refused += u64::from(prompt.failure == SecondFactorFailure::Refused);
        self.reported += u64::from(prompt.failure == SecondFactorFailure::Reported);
        self.unsaid += u64::from(prompt.failure == SecondFactorFailure::Unsaid);
        self.attack.take(prompt.time, prompt.ip, prompt.session, prompt.evidence);
    }

    /// Whether the prompts, and the sign-in after them, are the user's own.
    fn is_own_place(&self, habits: Option<&UserProfile>) -> bool {
        let is_usual = |ip: Ip| habits.is_some_and(|profile| is_usual_address(profile, ip, self.attack.first));
        let is_approved_elsewhere = self.approval.as_ref().is_some_and(|approval| !is_usual(approval.ip));
        self.reported == 0 && !is_approved_elsewhere && self.attack.is_at_usual_places(habits)
    }

    fn finding(&self, user: &str, habits: Option<&UserProfile>) -> Finding {
        let is_own_place = self.is_own_place(habits);
        let severity = if self.approval.is_some() { Severity::Critical } else { Severity::High };
        let told =
            [("user", user.to_owned()), ("count", self.attack.count.to_string()), ("peak", self.peak.to_string())];
        let finding = self.attack.begin(&META, user).because(Reason::new("prompts", 5.0, told));
        let mut finding = self.told_how(finding, user);
        if let Some(approval) = &self.approval {
            finding = approval.told(finding, user, is_own_place);
        }
        self.attack.conclude(finding, severity, user, is_own_place, habits)
    }

    fn told_how(&self, mut finding: Finding, user: &str) -> Finding {
        if self.refused > 0 {
            finding = finding.because(Reason::new("refused", 1.0, [("count", self.refused.to_string())]));
        }
        if self.reported > 0 {
            let args = [("user", user.to_owned()), ("count", self.reported.to_string())];
            finding = finding.because(Reason::new("reported", 3.0, args));
        }
        if self.unsaid == self.attack.count {
            finding = finding.because(Reason::new("method-unsaid", 0.0, [])).sure(0.6);
        }
        finding
    }
}

impl Approval {
    fn told(&self, finding: Finding, user: &str, is_own_place: bool) -> Finding {
        let (minutes, ip) = (("minutes", self.minutes.to_string()), ("ip", self.ip.to_string()));
        let reason = match (is_own_place, self.is_same_network) {
            (true, _) => Reason::new("approved", 0.0, [minutes, ip]),
            (false, true) => Reason::new("approved", 10.0, [minutes, ip]),
            (false, false) => Reason::new("approved-elsewhere", 8.0, [minutes, ip, ("user", user.to_owned())]),
        };
        let role = if is_own_place { Role::Context } else { Role::Source };
        let finding = finding.because(reason).proved_by(self.evidence.clone()).about(Entity::ip(self.ip), role);
        self.session.iter().fold(finding, |finding, session| finding.about(Entity::session(session), role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Row, office_days, run, sign_in};

    const ANNA: &str = "anna@c.example";
    const OFFICE: &str = "192.0.2.1";
    const STRANGER: &str = "203.0.113.9";
    /// A Friday evening after twelve days at the office.
    const NIGHT: i64 = 12 * Time::DAY_US;

    fn denied(offset_us: i64, ip: &str) -> Row {
        let mut row = sign_in(offset_us, ANNA, ip, "500121");
        if let Row::Auth(auth) = &mut row {
            auth.common.status_detail = Some("MFA denied; user declined the authentication".to_owned());
        }
        row
    }

    fn prompts(count: i64, gap_us: i64, ip: &str) -> impl Iterator<Item = Row> {
        (0..count).map(move |n| denied(NIGHT + n * gap_us, ip))
    }

    fn after_office_days(prompts: impl Iterator<Item = Row>) -> Vec<Row> {
        office_days(ANNA, OFFICE, 0..12).into_iter().chain(prompts).collect()
    }

    fn has(finding: &Finding, code: &str) -> bool {
        finding.reasons.iter().any(|reason| reason.code == code)
    }

    #[test]
    fn five_refusals_in_ten_minutes_and_then_a_yes() {
        let mut rows = after_office_days(prompts(5, 2 * Time::MINUTE_US, STRANGER));
        assert_eq!(run(&MfaFatigue, rows)[0].severity, Severity::High);
        rows = after_office_days(prompts(5, 2 * Time::MINUTE_US, STRANGER));
        rows.push(sign_in(NIGHT + 20 * Time::MINUTE_US, ANNA, STRANGER, "0"));
        let found = run(&MfaFatigue, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Critical));
        assert!(has(&found[0], "approved") && has(&found[0], "refused"));
        assert_eq!((found[0].evidence().len(), found[0].evidence_count), (6, 6));
        assert!(found[0].entities().any(|(entity, role)| entity.value == STRANGER && role == Role::Source));
    }

    #[test]
    fn a_flaky_push_at_the_own_desk_stays_low() {
        let mut rows = after_office_days(prompts(6, Time::MINUTE_US, OFFICE));
        rows.push(sign_in(NIGHT + 8 * Time::MINUTE_US, ANNA, OFFICE, "0"));
        let found = run(&MfaFatigue, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Low));
        assert!(has(&found[0], "own-place"));
        assert!(found[0].entities().all(|(_, role)| role != Role::Source));
    }

    #[test]
    fn the_victims_own_work_is_no_approval() {
        let mut rows = after_office_days(prompts(5, 2 * Time::MINUTE_US, STRANGER));
        rows.push(sign_in(NIGHT + 9 * Time::MINUTE_US, ANNA, OFFICE, "0"));
        let found = run(&MfaFatigue, rows);
        assert_eq!((found[0].severity, has(&found[0], "approved")), (Severity::High, false));
    }

    #[test]
    fn four_in_ten_minutes_are_nothing_and_so_is_the_fifth_a_second_too_late() {
        let slow = prompts(4, 2 * Time::MINUTE_US, STRANGER);
        let late = denied(NIGHT + 10 * Time::MINUTE_US + Time::SECOND_US, STRANGER);
        assert!(run(&MfaFatigue, after_office_days(slow.chain([late]))).is_empty());
        let slow = prompts(4, 2 * Time::MINUTE_US, STRANGER);
        let just = denied(NIGHT + 10 * Time::MINUTE_US, STRANGER);
        assert_eq!(run(&MfaFatigue, after_office_days(slow.chain([just]))).len(), 1);
    }

    #[test]
    fn one_prompt_an_hour_is_a_raid_by_the_tenth() {
        assert!(run(&MfaFatigue, after_office_days(prompts(9, Time::HOUR_US, STRANGER))).is_empty());
        assert_eq!(run(&MfaFatigue, after_office_days(prompts(10, Time::HOUR_US, STRANGER))).len(), 1);
    }

    #[test]
    fn a_prompt_told_by_two_exports_counts_once() {
        let twice =
            (0..3).flat_map(|n| [0, Time::SECOND_US].map(|us| denied(NIGHT + n * Time::MINUTE_US + us, STRANGER)));
        assert!(run(&MfaFatigue, after_office_days(twice)).is_empty());
    }

    #[test]
    fn without_history_one_step_milder() {
        let mut rows: Vec<Row> = prompts(5, Time::MINUTE_US, STRANGER).collect();
        rows.push(sign_in(NIGHT + 20 * Time::MINUTE_US, ANNA, STRANGER, "0"));
        let found = run(&MfaFatigue, rows);
        assert_eq!((found[0].severity, has(&found[0], "cold")), (Severity::High, true));
    }
}
