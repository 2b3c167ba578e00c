//! The password was right, something else held (MBX-013): somebody elsewhere knows the password.
//!
//! Method: sign-ins that prove the password and were then held by the second factor or by Conditional Access, from a
//! country, a hosting network or with a tool that the user's successes never showed. A demand for the second factor alone
//! is no barrier: it counts only when no success from the same place follows, because every journey begins with one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use matagi_model::tables::AuthView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Ip, Parameter, Reason, ReasonText,
    Role, Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{Barrier, Novelty, SignIn, Surroundings, barrier, class, surroundings_of_attempt};

/// The analytic.
pub struct BlockedSignIn;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/blocked-sign-in",
    catalogue: &["MBX-013"],
    title: Text::new(
        "Password of {user} known to somebody at {place}",
        "{user} のパスワードが {place} の何者かに知られている",
    ),
    question: Text::new(
        "Whose password was right for somebody whom only the second factor or a policy kept out?",
        "パスワードは正しく、多要素認証やポリシーだけで侵入を免れた者はいるか。",
    ),
    stage: Stage::CredentialAcquisition,
    attack: &["T1078.004"],
    scans: &[Scan {
        table: Table::Auth,
        columns: &[
            "status_id",
            "status_code",
            "status_detail",
            "user_type",
            "src_country",
            "src_asn",
            "src_latitude",
            "src_longitude",
            "user_agent",
            "session_uid",
            "device_is_managed",
        ],
        partition_by: &["user_name"],
    }],
    parameters: &[Parameter {
        name: "answer_minutes",
        default: 30.0,
        reason: "who finds the phone and answers the prompt does so while the page is open",
    }],
    reasons: &[
        ReasonText::new(
            "password-right",
            "{count} times the password was right and something else held: {barriers}",
            "パスワードが正しかったものの、{barriers} により {count} 回止められています",
        ),
        ReasonText::new(
            "nobody-was-there",
            "{user} never signed in within this evidence, and nobody of the organisation was ever there",
            "この証跡に {user} のサインイン成功はなく、組織の誰もその場所を使っていません",
        ),
        ReasonText::new(
            "only-address",
            "country and network are unknown, only the address is new: one step milder",
            "国もネットワークも不明で、新しいのはアドレスだけのため、深刻度を一段階下げています",
        ),
        ReasonText::new(
            "passed-later",
            "a sign-in from there succeeded soon after: likely {user} on a journey, one step milder",
            "直後に同じ場所からのサインインが成功しており、{user} 本人の出張の可能性が高いため、深刻度を一段階下げています",
        ),
        ReasonText::new(
            "relay",
            "a relay or gateway that many honest users share",
            "多くの正規ユーザーが共有する中継サービスです",
        ),
        ReasonText::new("managed-device", "a device that the organisation manages", "組織が管理する端末です"),
    ],
};

/// Places watched at once, those of all users: the attack from more is told by others.
const VISITS_MAX: usize = 100_000;
/// Places told of one user: a botnet shows a new network with every try.
const VISITS_PER_USER_MAX: usize = 20;
/// Evidence kept of one place.
const KEPT_MAX: usize = 20;
/// Demands that wait for an answer; nobody has more open pages than this.
const WAITING_MAX: usize = 200;
/// Addresses and sessions named by a finding.
const NAMED_MAX: usize = 50;
/// The audit log counts seconds: a success may stand before the demand that it answered.
const SAME_MOMENT_US: i64 = 2 * Time::SECOND_US;

impl Analytic for BlockedSignIn {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let countries = context.estate.users.values().flat_map(|profile| profile.countries.keys().cloned()).collect();
        #[expect(clippy::cast_possible_truncation, reason = "a small documented parameter")]
        let answer_us = (META.parameter("answer_minutes", &context.settings) * 60e6) as i64;
        Box::new(Blocked {
            answer_us,
            context: context.clone(),
            countries,
            visits: BTreeMap::new(),
            places: BTreeMap::new(),
            last_successes: BTreeMap::new(),
        })
    }
}

struct Blocked {
    answer_us: i64,
    context: Context,
    /// Countries from which anybody of the organisation ever succeeded.
    countries: BTreeSet<String>,
    /// By user and place.
    visits: BTreeMap<(String, String), Visit>,
    /// Places watched, by user; no more users than visits.
    places: BTreeMap<String, usize>,
    /// When and where a user last succeeded at an odd place.
    last_successes: BTreeMap<String, (Time, String)>,
}

struct Stop {
    time: Time,
    barrier: Barrier,
    ip: Ip,
    session: Option<String>,
    is_managed: bool,
    evidence: Evidence,
}

struct Visit {
    around: Surroundings,
    /// Demands for a second factor that may still be answered.
    waiting: VecDeque<Stop>,
    count: u64,
    barriers: BTreeSet<Barrier>,
    ips: BTreeSet<Ip>,
    sessions: BTreeSet<String>,
    is_managed: bool,
    last_stop: Time,
    is_passed_later: bool,
    evidence: Vec<Evidence>,
}

impl Fold for Blocked {
    fn batch(&mut self, batch: &EventBatch) {
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let time = row.time.get(index);
            let status = row.status_id.get(index).unwrap_or(0);
            let (code, detail) = (row.status_code.get(index), row.status_detail.get(index));
            let held = barrier(code, detail, status);
            if !time.is_known() || (held.is_none() && class(code, detail, status) != SignIn::Ok) {
                continue;
            }
            let Some(around) = surroundings_of_attempt(&row, index, &self.context) else { continue };
            let around = self.compared_with_all(around);
            if !is_odd(&around) {
                continue;
            }
            let stop = held.map(|barrier| {
                let said = format!("{} · {} {}", around.place_name(), barrier.word(), code.unwrap_or_default());
                Stop {
                    time,
                    barrier,
                    ip: around.place.ip,
                    session: row.session_uid.get(index).map(str::to_owned),
                    is_managed: row.own.device_is_managed.get(index) == Some(true),
                    evidence: Evidence::of(Table::Auth, &row, index, said.trim_end()),
                }
            });
            match stop {
                Some(stop) => self.stopped(around, stop),
                None => self.succeeded(&around, time),
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let concluded = self.visits.into_values().map(|mut visit| {
            visit.settle(None);
            visit
        });
        concluded.filter(|visit| visit.count > 0).map(Visit::finding).collect()
    }
}

/// Whether the circumstances are those of somebody else: a country or a hosting network that the user's successes never
/// showed, or a tool that is not the user's own, at a place that is not either. Where nothing is known about the address,
/// the address itself must do.
fn is_odd(around: &Surroundings) -> bool {
    let is_at_home = [around.address, around.network].contains(&Novelty::Known);
    let is_unheard = around.place.country.is_none() && around.place.asn.is_none();
    around.country.is_new()
        || (around.place.hosting && !is_at_home)
        || (around.is_tool() && around.program != Novelty::Known && !is_at_home)
        || (is_unheard && around.address.is_new())
}

impl Blocked {
    /// Somebody without a success of their own is compared with everybody: where nobody of the organisation ever was is
    /// new, on a short history.
    fn compared_with_all(&self, mut around: Surroundings) -> Surroundings {
        let estate = &self.context.estate;
        if estate.users.contains_key(&around.user) || estate.users.is_empty() {
            return around;
        }
        let is_new = |is_used: bool| if is_used { Novelty::Unknown } else { Novelty::NewCold };
        around.address = is_new(estate.ip_users.contains_key(&around.place.ip));
        if let Some(asn) = around.place.asn {
            around.network = is_new(estate.asn_users.contains_key(&asn));
        }
        if let Some(country) = around.place.country.as_ref().filter(|_| !self.countries.is_empty()) {
            around.country = is_new(self.countries.contains(country));
        }
        around
    }

    fn stopped(&mut self, around: Surroundings, stop: Stop) {
        let (user, place) = (around.user.clone(), around.place_key());
        let last = self.last_successes.get(&user).filter(|(_, last_place)| *last_place == place);
        let is_answered = last.is_some_and(|(time, _)| stop.time.since_us(*time) <= SAME_MOMENT_US);
        if stop.barrier == Barrier::Asked && is_answered {
            return;
        }
        let key = (user, place);
        if !self.visits.contains_key(&key) {
            if self.visits.len() >= VISITS_MAX {
                return;
            }
            let places = self.places.entry(around.user.clone()).or_default();
            if *places >= VISITS_PER_USER_MAX {
                return;
            }
            *places += 1;
        }
        let visit = self.visits.entry(key).or_insert_with(|| Visit::new(around));
        visit.stopped(stop, self.answer_us);
    }

    fn succeeded(&mut self, around: &Surroundings, time: Time) {
        let key = (around.user.clone(), around.place_key());
        if let Some(visit) = self.visits.get_mut(&key) {
            visit.succeeded(time, self.answer_us);
        }
        // Only moments count here: forgetting all of them at times costs at most one of them.
        if self.last_successes.len() >= VISITS_MAX {
            self.last_successes.clear();
        }
        self.last_successes.insert(key.0, (time, key.1));
    }
}

impl Visit {
    fn new(around: Surroundings) -> Self {
        Self {
            around,
            waiting: VecDeque::new(),
            count: 0,
            barriers: BTreeSet::new(),
            ips: BTreeSet::new(),
            sessions: BTreeSet::new(),
            is_managed: false,
            last_stop: Time::UNKNOWN,
            is_passed_later: false,
            evidence: Vec::new(),
        }
    }

    fn stopped(&mut self, stop: Stop, answer_us: i64) {
        self.settle(Some(stop.time.plus_us(-answer_us)));
        if stop.barrier == Barrier::Asked {
            self.waiting.push_back(stop);
        } else {
            self.take(stop);
        }
    }

    /// A success answers the demands before it, and says of the refusals before it that they were overcome.
    fn succeeded(&mut self, time: Time, answer_us: i64) {
        self.settle(Some(time.plus_us(-answer_us)));
        self.waiting.clear();
        self.is_passed_later |= self.count > 0 && time.since_us(self.last_stop) <= answer_us;
    }

    /// Demands from before this time, all of them without one, were not answered.
    fn settle(&mut self, before: Option<Time>) {
        let is_settled = |stop: &Stop| before.is_none_or(|before| stop.time < before);
        while self.waiting.len() > WAITING_MAX || self.waiting.front().is_some_and(is_settled) {
            let Some(stop) = self.waiting.pop_front() else { return };
            self.take(stop);
        }
    }

    fn take(&mut self, stop: Stop) {
        self.count += 1;
        self.last_stop = self.last_stop.max(stop.time);
        self.barriers.insert(stop.barrier);
        self.is_managed |= stop.is_managed;
        if self.ips.len() < NAMED_MAX {
            self.ips.insert(stop.ip);
        }
        if self.sessions.len() < NAMED_MAX {
            self.sessions.extend(stop.session);
        }
        if self.evidence.len() < KEPT_MAX {
            self.evidence.push(stop.evidence);
        }
    }

    fn finding(self) -> Finding {
        let around = &self.around;
        let mut evidence = self.evidence.clone();
        evidence.sort_by_key(|one| (one.time, one.event_uid));
        let kept = evidence.len() as u64;
        let mut evidence = evidence.into_iter();
        let barriers: Vec<&str> = self.barriers.iter().map(|barrier| barrier.word()).collect();
        let mut finding = Finding::new(&META, Severity::High, evidence.next().expect("counted stops have evidence"))
            .titled("user", &around.user)
            .titled("place", around.place_name())
            .about(Entity::user(&around.user), Role::Victim)
            .because(Reason::new(
                "password-right",
                5.0,
                [("count", self.count.to_string()), ("barriers", barriers.join(", "))],
            ));
        finding = around.reasons().into_iter().fold(finding, Finding::because);
        finding = self.weighed(finding);
        finding = evidence.fold(finding, Finding::proved_by).and_more(self.count.saturating_sub(kept));
        finding = self.ips.iter().fold(finding, |finding, ip| finding.about(Entity::ip(*ip), Role::Source));
        self.sessions.iter().fold(finding, |finding, session| finding.about(Entity::session(session), Role::Source))
    }

    /// What speaks for the user, each with its step down.
    fn weighed(&self, mut finding: Finding) -> Finding {
        let around = &self.around;
        let told_user = || ("user", around.user.clone());
        let is_only_address = !around.country.is_new() && !around.place.hosting && !around.is_tool();
        let is_own_device = around.owner_reason().is_some();
        let steps = [
            (is_only_address, "only-address", -1.0, 1),
            (around.place.relay, "relay", -1.0, 1),
            (self.is_managed, "managed-device", -2.0, 1),
            (self.is_passed_later, "passed-later", -2.0, 1),
            (is_own_device, "own-program", -3.0, 2),
            (is_judged_on_little(around), "cold", -1.0, 1),
        ];
        for (_, code, weight, down) in steps.into_iter().filter(|(is_so, ..)| *is_so) {
            (0..down).for_each(|_| finding.severity = finding.severity.lowered());
            let client = around.client.as_ref().map(crate::base::Client::name).unwrap_or_default();
            finding = finding.because(Reason::new(code, weight, [told_user(), ("client", client)]));
        }
        finding
    }
}

/// Whether no baseline stands behind the judgement.
fn is_judged_on_little(around: &Surroundings) -> bool {
    let judgements = [around.address, around.network, around.country];
    around.is_cold() || !judgements.iter().any(|novelty| matches!(novelty, Novelty::New | Novelty::Known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Row, office_days, run, sign_in};

    const ANNA: &str = "anna@c.example";
    const OFFICE: &str = "192.0.2.1";
    const ABROAD: &str = "198.51.100.7";
    /// After twelve days at the office.
    const NIGHT: i64 = 12 * Time::DAY_US;

    fn at(mut row: Row, country: &str, asn: u32) -> Row {
        if let Row::Auth(auth) = &mut row {
            auth.common.src_country = Some(country.to_owned());
            auth.common.src_asn = Some(asn);
        }
        row
    }

    fn with(mut row: Row, user_agent: &str) -> Row {
        if let Row::Auth(auth) = &mut row {
            auth.common.user_agent = Some(user_agent.to_owned());
        }
        row
    }

    fn abroad(offset_us: i64, code: &str) -> Row {
        at(sign_in(offset_us, ANNA, ABROAD, code), "NG", 64_501)
    }

    fn after_office_days(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
        let office = office_days(ANNA, OFFICE, 0..12).into_iter().map(|row| at(row, "JP", 64_500));
        office.chain(rows).collect()
    }

    fn has(finding: &Finding, code: &str) -> bool {
        finding.reasons.iter().any(|reason| reason.code == code)
    }

    #[test]
    fn a_policy_stops_somebody_abroad_who_knows_the_password() {
        let codes = ["53003", "50076", "500121", "53003"];
        let stops = (0..).zip(codes).map(|(n, code)| abroad(NIGHT + n * Time::HOUR_US, code));
        let found = run(&BlockedSignIn, after_office_days(stops));
        assert_eq!((found.len(), found[0].severity, found[0].evidence_count), (1, Severity::High, 4));
        assert!(has(&found[0], "new-country"));
        assert!(found[0].entities().any(|(entity, role)| entity.value == ABROAD && role == Role::Source));
    }

    #[test]
    fn a_traveller_who_answers_the_prompt_is_nothing() {
        let rows =
            [abroad(NIGHT, "50074"), abroad(NIGHT + Time::MINUTE_US, "0"), abroad(NIGHT + Time::MINUTE_US, "50076")];
        assert!(run(&BlockedSignIn, after_office_days(rows)).is_empty());
    }

    #[test]
    fn an_answer_counts_within_half_an_hour() {
        let rows = |minutes: i64| [abroad(NIGHT, "50074"), abroad(NIGHT + minutes * Time::MINUTE_US, "0")];
        assert!(run(&BlockedSignIn, after_office_days(rows(30))).is_empty());
        assert_eq!(run(&BlockedSignIn, after_office_days(rows(31))).len(), 1);
    }

    #[test]
    fn a_mistyped_code_on_a_journey_is_milder() {
        let rows = [abroad(NIGHT, "500121"), abroad(NIGHT + Time::MINUTE_US, "0")];
        let found = run(&BlockedSignIn, after_office_days(rows));
        assert_eq!((found[0].severity, has(&found[0], "passed-later")), (Severity::Medium, true));
    }

    #[test]
    fn the_own_place_and_wrong_passwords_are_nothing() {
        let home = at(sign_in(NIGHT, ANNA, OFFICE, "53003"), "JP", 64_500);
        let colleague = at(sign_in(NIGHT, ANNA, "192.0.2.77", "500121"), "JP", 64_500);
        assert!(run(&BlockedSignIn, after_office_days([home, colleague, abroad(NIGHT, "50126")])).is_empty());
    }

    #[test]
    fn a_tool_elsewhere_is_told_and_a_script_at_the_desk_is_not() {
        let tool = |ip, asn| with(at(sign_in(NIGHT, ANNA, ip, "53003"), "JP", asn), "python-requests/2.31");
        let found = run(&BlockedSignIn, after_office_days([tool("203.0.113.5", 64_502)]));
        assert_eq!((found[0].severity, has(&found[0], "tool-client")), (Severity::High, true));
        assert!(run(&BlockedSignIn, after_office_days([tool(OFFICE, 64_500)])).is_empty());
    }

    #[test]
    fn in_a_small_organisation_on_its_second_day() {
        let people = ["ben@c.example", "carl@c.example"];
        let mut rows: Vec<Row> =
            people.iter().flat_map(|user| office_days(user, OFFICE, 0..2)).map(|row| at(row, "JP", 64_500)).collect();
        rows.push(abroad(Time::DAY_US, "53003"));
        rows.push(at(sign_in(Time::DAY_US, people[0], ABROAD, "53003"), "NG", 64_501));
        let found = run(&BlockedSignIn, rows);
        assert_eq!(found.len(), 2, "anna never signed in, ben did");
        assert!(found.iter().all(|one| one.severity == Severity::Medium && has(one, "cold")));
    }

    #[test]
    fn one_finding_a_network_and_a_botnet_does_not_flood() {
        let tries = (0..200_u32).map(|n| {
            let ip = format!("198.51.{}.{}", n % 40, n % 250 + 1);
            at(sign_in(NIGHT + i64::from(n) * Time::MINUTE_US, ANNA, &ip, "53003"), "NG", 65_000 + n % 40)
        });
        assert_eq!(run(&BlockedSignIn, after_office_days(tries)).len(), VISITS_PER_USER_MAX);
    }

    #[test]
    fn the_audit_log_may_tell_the_success_first() {
        let rows = [abroad(NIGHT, "0"), abroad(NIGHT + Time::SECOND_US, "50074")];
        assert!(run(&BlockedSignIn, after_office_days(rows)).is_empty());
    }
}
