//! One-time codes guessed (MBX-012): six digits are a million tries, and every session allows a few of them.
//!
//! Method: failed second factors of one user within an hour, spread over many sessions; a person types the code again in
//! the session where it failed. Prompts that the record says were refused or unanswered are no guesses (MBX-011). Where a
//! record has no session, its correlation id stands for one; where none has either, the number of failures must do.

use std::collections::{BTreeMap, VecDeque};

use matagi_model::tables::AuthView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Ip, Parameter, Reason, ReasonText,
    Role, Scan, Severity, Stage, Table, Text, Time, UserProfile,
};

use crate::base::{Attack, SecondFactorFailure, SignIn, class, is_service_side, second_factor_failure};

/// The analytic.
pub struct CodeGuessing;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/code-guessing",
    catalogue: &["MBX-012"],
    title: Text::new("One-time codes of {user} being guessed", "{user} のワンタイムコードに対する総当たり"),
    question: Text::new(
        "Is somebody who knows a password guessing the one-time code?",
        "パスワードを知る者がワンタイムコードを総当たりで試していないか。",
    ),
    stage: Stage::CredentialAcquisition,
    attack: &["T1110"],
    scans: &[Scan {
        table: Table::Auth,
        columns: &[
            "status_id",
            "status_code",
            "status_detail",
            "user_type",
            "session_uid",
            "correlation_uid",
            "logon_kind",
            "is_mfa",
        ],
        partition_by: &["user_name"],
    }],
    parameters: &[
        Parameter {
            name: "window_minutes",
            default: 60.0,
            reason: "a code lives minutes: who does not try many within the hour cannot win",
        },
        Parameter { name: "failures_min", default: 20.0, reason: "nobody mistypes six digits twenty times" },
        Parameter {
            name: "sessions_min",
            default: 10.0,
            reason: "a session ends after a few wrong codes, so that guessing needs many; a person has one or two",
        },
    ],
    reasons: &[
        ReasonText::new(
            "failures",
            "{count} failed second factors of {user}, up to {peak} within {minutes} minutes",
            "{user} の多要素認証の失敗が {count} 回（{minutes} 分あたり最大 {peak} 回）",
        ),
        ReasonText::new("sessions", "spread over {count} sessions", "{count} 個のセッションに分けて試行されています"),
        ReasonText::new(
            "sessions-unsaid",
            "the records name no sessions: only the number of failures speaks",
            "記録にセッションの情報がなく、失敗の回数だけによる判断です",
        ),
        ReasonText::new("wrong-codes", "{count} of them were wrong codes", "うち {count} 回はコードの誤りです"),
        ReasonText::new(
            "method-unsaid",
            "the records do not say whether codes or prompts failed: one step milder",
            "失敗したのがコードか承認要求かは記録に残っていないため、深刻度を一段階下げています",
        ),
        ReasonText::new(
            "own-place",
            "all tries come from where {user} usually is: likely a device whose clock is wrong",
            "試行はすべて {user} の普段の接続元からのもので、端末の時刻のずれによる失敗の可能性が高いです",
        ),
        ReasonText::new(
            "then-success",
            "a sign-in from the guessing network ({ip}) succeeded within the window: a code fitted",
            "その後、同じネットワーク（{ip}）からのサインインが成功しており、コードが一致したとみられます",
        ),
    ],
};

/// Failures remembered for one user within the window.
const WINDOW_MAX: usize = 2_000;
/// Users watched at once; those silent for the window are dropped first. Who fails here knew the password: more users
/// than these in an hour are no tenant but a hostile file.
const USERS_MAX: usize = 200_000;
/// Attacks told: what is beyond is the same attack on the same people.
const FINDINGS_MAX: usize = 100_000;
/// A pause that ends an attack: what comes later is told by itself.
const PAUSE_US: i64 = Time::DAY_US;

impl Analytic for CodeGuessing {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small documented parameters")]
        let limits = Limits {
            window_us: (parameter("window_minutes") * 60e6) as i64,
            failures_min: parameter("failures_min") as usize,
            sessions_min: parameter("sessions_min") as usize,
        };
        Box::new(Codes {
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
    window_us: i64,
    failures_min: usize,
    sessions_min: usize,
}

struct Codes {
    limits: Limits,
    context: Context,
    users: BTreeMap<String, Watch>,
    swept: Time,
    findings: Vec<Finding>,
}

struct Failure {
    time: Time,
    ip: Option<Ip>,
    /// The session, or what stands for it.
    session: Option<String>,
    is_session: bool,
    is_code: bool,
    evidence: Evidence,
}

#[derive(Default)]
struct Watch {
    /// Failures of the window that no attack has taken yet.
    waiting: VecDeque<Failure>,
    /// Times and sessions of all failures of the window.
    window: VecDeque<(Time, Option<String>)>,
    /// How often each session stands in the window.
    sessions: BTreeMap<String, usize>,
    guessing: Option<Guessing>,
}

/// The failures of hours in which there were too many.
#[derive(Default)]
struct Guessing {
    attack: Attack,
    peak: usize,
    peak_sessions: usize,
    codes: u64,
    success: Option<(Ip, Option<String>, Evidence)>,
}

impl Fold for Codes {
    fn batch(&mut self, batch: &EventBatch) {
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let (Some(user), time) = (row.user_name.get(index), row.time.get(index)) else { continue };
            if !time.is_known() || is_service_side(Some(user), row.user_type.get(index)) {
                continue;
            }
            let (code, detail) = (row.status_code.get(index), row.status_detail.get(index));
            if let Some(failure) = second_factor_failure(code, detail).filter(|failure| failure.is_wrong_code()) {
                let session = row.session_uid.get(index);
                let failure = Failure {
                    time,
                    ip: row.src_ip.get(index).filter(|ip| !ip.is_internal()),
                    session: session.or(row.correlation_uid.get(index)).map(str::to_owned),
                    is_session: session.is_some(),
                    is_code: failure == SecondFactorFailure::WrongCode,
                    evidence: Evidence::of(Table::Auth, &row, index, detail.unwrap_or_default()),
                };
                self.failed(user, failure);
            } else if class(code, detail, row.status_id.get(index).unwrap_or(0)) == SignIn::Ok {
                self.succeeded(user, time, &row, index);
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Vec<Finding> {
        for (user, watch) in std::mem::take(&mut self.users) {
            self.conclude(&user, watch.guessing);
        }
        self.findings.sort_by_cached_key(|finding| (finding.first_time(), finding.id()));
        self.findings
    }
}

impl Codes {
    fn failed(&mut self, user: &str, failure: Failure) {
        if self.users.len() >= USERS_MAX && !self.users.contains_key(user) {
            self.sweep(failure.time);
            if self.users.len() >= USERS_MAX {
                return;
            }
        }
        let watch = self.users.entry(user.to_owned()).or_default();
        let over = watch.guessing.take_if(|guessing| failure.time.since_us(guessing.attack.last) > PAUSE_US);
        watch.failed(failure, self.limits);
        self.conclude(user, over);
    }

    /// A sign-in from the guesser's network with a second factor, unless the record keeps silent about it.
    fn succeeded(&mut self, user: &str, time: Time, row: &AuthView<'_>, index: usize) {
        let guessing = self.users.get_mut(user).and_then(|watch| watch.guessing.as_mut());
        let Some(guessing) = guessing.filter(|guessing| guessing.success.is_none()) else { return };
        let is_renewal = row.own.logon_kind.get(index) == Some("non_interactive");
        let is_late = time.since_us(guessing.attack.last) > self.limits.window_us;
        if is_renewal || is_late || row.own.is_mfa.get(index) == Some(false) {
            return;
        }
        let Some(ip) = row.src_ip.get(index) else { return };
        if guessing.attack.is_from_network_of(ip) {
            let session = row.session_uid.get(index).map(str::to_owned);
            guessing.success = Some((ip, session, Evidence::of(Table::Auth, row, index, "signed in")));
        }
    }

    /// Forgets users without a failure for as long as an attack may pause. At most once an hour of evidence, because it
    /// looks at all of them.
    fn sweep(&mut self, now: Time) {
        if now.since_us(self.swept) < Time::HOUR_US {
            return;
        }
        self.swept = now;
        let window_us = self.limits.window_us;
        let is_silent = |watch: &mut Watch| {
            let pause_us = if watch.guessing.is_some() { PAUSE_US } else { window_us };
            watch.window.back().is_none_or(|(time, _)| now.since_us(*time) > pause_us)
        };
        let silent: Vec<(String, Watch)> = self.users.extract_if(.., |_, watch| is_silent(watch)).collect();
        for (user, watch) in silent {
            self.conclude(&user, watch.guessing);
        }
    }

    fn conclude(&mut self, user: &str, guessing: Option<Guessing>) {
        let Some(guessing) = guessing.filter(|_| self.findings.len() < FINDINGS_MAX) else { return };
        let minutes = self.limits.window_us / Time::MINUTE_US;
        let finding = guessing.finding(user, minutes, self.context.estate.users.get(user));
        self.findings.push(finding);
    }
}

impl Watch {
    fn failed(&mut self, failure: Failure, limits: Limits) {
        let now = failure.time;
        let is_old = |time: Time| now.since_us(time) > limits.window_us;
        while self.window.front().is_some_and(|(time, _)| is_old(*time)) || self.window.len() >= WINDOW_MAX {
            let session = self.window.pop_front().and_then(|(_, session)| session);
            self.forget(session);
        }
        while self.waiting.front().is_some_and(|failure| is_old(failure.time)) || self.waiting.len() >= WINDOW_MAX {
            self.waiting.pop_front();
        }
        if let Some(session) = &failure.session {
            *self.sessions.entry(session.clone()).or_default() += 1;
        }
        self.window.push_back((now, failure.session.clone()));
        self.waiting.push_back(failure);
        // Where no record names a session, "few sessions" is not known.
        let has_sessions = self.sessions.is_empty() || self.sessions.len() >= limits.sessions_min;
        if self.window.len() >= limits.failures_min && has_sessions {
            let guessing = self.guessing.get_or_insert_default();
            guessing.peak = guessing.peak.max(self.window.len());
            guessing.peak_sessions = guessing.peak_sessions.max(self.sessions.len());
            self.waiting.drain(..).for_each(|failure| guessing.take(failure));
        }
    }

    fn forget(&mut self, session: Option<String>) {
        let Some(session) = session else { return };
        if let Some(count) = self.sessions.get_mut(&session) {
            *count -= 1;
            if *count == 0 {
                self.sessions.remove(&session);
            }
        }
    }
}

impl Guessing {
    fn take(&mut self, failure: Failure) {
        self.codes += u64::from(failure.is_code);
        let session = failure.session.filter(|_| failure.is_session);
        self.attack.take(failure.time, failure.ip, session, failure.evidence);
    }

    fn finding(&self, user: &str, minutes: i64, habits: Option<&UserProfile>) -> Finding {
        let is_own_place = self.attack.is_at_usual_places(habits);
        let mut severity = if self.success.is_some() { Severity::Critical } else { Severity::High };
        let told = [
            ("user", user.to_owned()),
            ("count", self.attack.count.to_string()),
            ("peak", self.peak.to_string()),
            ("minutes", minutes.to_string()),
        ];
        let mut finding = self.attack.begin(&META, user).because(Reason::new("failures", 4.0, told));
        if self.peak_sessions > 0 {
            finding = finding.because(Reason::new("sessions", 3.0, [("count", self.peak_sessions.to_string())]));
        } else {
            finding = finding.because(Reason::new("sessions-unsaid", 0.0, [])).sure(0.6);
        }
        if self.codes > 0 {
            finding = finding.because(Reason::new("wrong-codes", 2.0, [("count", self.codes.to_string())]));
        } else {
            severity = severity.lowered();
            finding = finding.because(Reason::new("method-unsaid", -1.0, [])).sure(0.6);
        }
        let role = if is_own_place { Role::Context } else { Role::Source };
        if let Some((ip, session, success)) = &self.success {
            let weight = if is_own_place { 0.0 } else { 8.0 };
            finding = finding.because(Reason::new("then-success", weight, [("ip", ip.to_string())]));
            finding = finding.proved_by(success.clone()).about(Entity::ip(*ip), role);
            finding = session.iter().fold(finding, |finding, session| finding.about(Entity::session(session), role));
        }
        self.attack.conclude(finding, severity, user, is_own_place, habits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Row, office_days, run, sign_in};

    const ANNA: &str = "anna@c.example";
    const OFFICE: &str = "192.0.2.1";
    const STRANGER: &str = "203.0.113.9";
    /// After twelve days at the office.
    const NIGHT: i64 = 12 * Time::DAY_US;

    fn wrong_code(offset_us: i64, ip: &str, session: Option<i64>) -> Row {
        let mut row = sign_in(offset_us, ANNA, ip, "500121");
        if let Row::Auth(auth) = &mut row {
            auth.common.status_detail = Some("MFA denied; wrong verification code entered".to_owned());
            auth.common.session_uid = session.map(|session| format!("s{session}"));
        }
        row
    }

    /// So many wrong codes a minute apart, in so many sessions.
    fn codes(count: i64, sessions: i64, ip: &str) -> impl Iterator<Item = Row> {
        (0..count).map(move |n| wrong_code(NIGHT + n * Time::MINUTE_US, ip, Some(n % sessions)))
    }

    fn after_office_days(codes: impl Iterator<Item = Row>) -> Vec<Row> {
        office_days(ANNA, OFFICE, 0..12).into_iter().chain(codes).collect()
    }

    fn has(finding: &Finding, code: &str) -> bool {
        finding.reasons.iter().any(|reason| reason.code == code)
    }

    #[test]
    fn twenty_codes_in_ten_sessions() {
        let found = run(&CodeGuessing, after_office_days(codes(20, 10, STRANGER)));
        assert_eq!((found.len(), found[0].severity, found[0].evidence_count), (1, Severity::High, 20));
        assert!(found[0].entities().any(|(entity, role)| entity.value == "s3" && role == Role::Source));
        let mut rows = after_office_days(codes(20, 10, STRANGER));
        rows.push(sign_in(NIGHT + 25 * Time::MINUTE_US, ANNA, STRANGER, "0"));
        assert_eq!(run(&CodeGuessing, rows)[0].severity, Severity::Critical);
    }

    #[test]
    fn a_person_who_types_again_in_one_session_is_nothing() {
        assert!(run(&CodeGuessing, after_office_days(codes(25, 2, OFFICE))).is_empty());
    }

    #[test]
    fn a_wrong_clock_at_the_own_desk_stays_low() {
        let found = run(&CodeGuessing, after_office_days(codes(20, 10, OFFICE)));
        assert_eq!((found[0].severity, has(&found[0], "own-place")), (Severity::Low, true));
    }

    #[test]
    fn thresholds_are_met_within_the_window_only() {
        assert!(run(&CodeGuessing, after_office_days(codes(19, 19, STRANGER))).is_empty());
        assert!(run(&CodeGuessing, after_office_days(codes(30, 9, STRANGER))).is_empty());
        let slow = (0..40).map(|n| wrong_code(NIGHT + n * 4 * Time::MINUTE_US, STRANGER, Some(n)));
        assert!(run(&CodeGuessing, after_office_days(slow)).is_empty());
    }

    #[test]
    fn refused_prompts_are_no_codes() {
        let prompts = codes(30, 15, STRANGER).map(|mut row| {
            if let Row::Auth(auth) = &mut row {
                auth.common.status_detail = Some("MFA denied; user declined the authentication".to_owned());
            }
            row
        });
        assert!(run(&CodeGuessing, after_office_days(prompts)).is_empty());
    }

    #[test]
    fn records_that_say_nothing_are_milder_and_so_is_a_short_history() {
        let silent = (0..20).map(|n| sign_in(NIGHT + n * Time::MINUTE_US, ANNA, STRANGER, "500121"));
        let found = run(&CodeGuessing, after_office_days(silent));
        assert_eq!(found[0].severity, Severity::Medium);
        assert!(has(&found[0], "method-unsaid") && has(&found[0], "sessions-unsaid"));
        let cold = run(&CodeGuessing, codes(20, 10, STRANGER).collect());
        assert_eq!((cold[0].severity, has(&cold[0], "cold")), (Severity::Medium, true));
    }
}
