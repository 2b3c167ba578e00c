//! A legacy mail protocol that the user never used before (MBX-006): IMAP, POP, SMTP AUTH and their kind know no second
//! factor, so that a password alone opens the mailbox.
//!
//! Method: the days on which a user used a protocol. A use without another in the 30 days before begins an episode; its
//! first three days are the finding. Who does nearly nothing else is a scanner or printer, and told only when it moves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use matagi_model::tables::{AuthView, CommonView, SaasView};
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, FeatureUse, Finding, Fold, Ip, Parameter, Reason,
    ReasonText, Role, Scan, Severity, Stage, Table, Text, Time, UserProfile,
};

use crate::base::{Novelty, SignIn, Surroundings, class, is_service_side, novelty, place, surroundings, was_there};

/// The analytic.
pub struct LegacyClient;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/legacy-client",
    catalogue: &["MBX-006"],
    title: Text::new("{user} over {protocol}, not used before", "{user} がこれまで使っていなかった {protocol} で接続"),
    question: Text::new(
        "Who suddenly reads or sends mail over an old protocol?",
        "古いプロトコルで突然メールを読み書きし始めた者はいないか。",
    ),
    stage: Stage::CredentialAcquisition,
    attack: &["T1078.004"],
    scans: &[
        Scan {
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
                "client_app",
                "logon_kind",
            ],
            partition_by: &["user_name"],
        },
        Scan {
            table: Table::Saas,
            columns: &[
                "status_id",
                "user_type",
                "src_country",
                "src_asn",
                "src_latitude",
                "src_longitude",
                "user_agent",
                "session_uid",
                "client_info",
            ],
            partition_by: &["user_name"],
        },
    ],
    parameters: &[
        Parameter { name: "sends_hour_max", default: 20.0, reason: "a person who writes more in an hour is a machine" },
        Parameter {
            name: "sends_within_hours",
            default: 24.0,
            reason: "stolen SMTP access is used the same day, before the password is changed",
        },
        Parameter {
            name: "machine_share",
            default: 0.9,
            reason: "a scanner or printer does nothing else; a person's mail program also signs in otherwise",
        },
    ],
    reasons: &[
        ReasonText::new(
            "first-use",
            "first use of {protocol} by {user} on record: {count} times within three days",
            "{user} による {protocol} の利用は記録上初めてで、3 日間に {count} 回あります",
        ),
        ReasonText::new(
            "used-again",
            "{user} had not used {protocol} for over 30 days: {count} times within three days",
            "{user} は {protocol} を 30 日以上使っていませんでしたが、3 日間に {count} 回利用しています",
        ),
        ReasonText::new(
            "sends",
            "up to {count} messages sent within an hour after it: one step graver",
            "その後 1 時間に最大 {count} 通が送信されているため、深刻度を一段階上げています",
        ),
        ReasonText::new(
            "from-new-place",
            "from a place where {user} never worked: one step graver",
            "{user} がこれまで使ったことのない場所からのため、深刻度を一段階上げています",
        ),
    ],
};

/// User and protocol pairs watched: hostile files may invent users.
const PAIRS_MAX: usize = 200_000;
/// Episodes of one pair: with 30 quiet days between them, three years.
const EPISODES_MAX: usize = 36;
/// Evidence kept of one episode, and of the messages sent after it.
const KEPT_MAX: usize = 10;
const SENDS_KEPT_MAX: usize = 5;
/// Addresses and sessions named by a finding.
const NAMED_MAX: usize = 20;
/// Sends counted within an hour; more is many enough.
const SENDS_MAX: usize = 10_000;
/// A use is no news when another lies within so many days before.
const QUIET_DAYS: i32 = 30;
/// The first days of an episode; what lasts longer is a habit.
const EPISODE_US: i64 = 72 * Time::HOUR_US;
/// A use so early in the evidence says nothing about what was before.
const FIRST_WEEK_US: i64 = 7 * Time::DAY_US;

const SMTP: &str = "Authenticated SMTP";

/// The legacy protocol that Entra names, under one name whatever the language and spelling.
fn protocol_of_sign_in(client_app: &str) -> Option<&'static str> {
    let folded: String = client_app.to_lowercase().chars().filter(|char| char.is_alphanumeric()).collect();
    Some(match folded.as_str() {
        "imap" | "imap4" => "IMAP4",
        "pop" | "pop3" => "POP3",
        "authenticatedsmtp" | "smtp" => SMTP,
        "exchangeactivesync" => "Exchange ActiveSync",
        "exchangewebservices" => "Exchange Web Services",
        "mapi" | "mapioverhttp" => "MAPI Over HTTP",
        "otherclients" | "その他のクライアント" | "autresclients" | "andereclients" | "otrosclientes" => {
            "Other clients"
        }
        _ => return None,
    })
}

/// The legacy protocol of a mailbox record: `Client=POP3/IMAP4;Protocol=IMAP4`.
fn protocol_of_use(client_info: &str) -> Option<&'static str> {
    let lower = client_info.to_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let client = parts.next()?.strip_prefix("client=")?;
    if !matches!(client, "pop3/imap4" | "pop3" | "imap4") {
        return None;
    }
    Some(match parts.find_map(|part| part.strip_prefix("protocol=")).unwrap_or(client) {
        "imap4" => "IMAP4",
        "pop3" => "POP3",
        _ => "POP3/IMAP4",
    })
}

impl Analytic for LegacyClient {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        #[expect(clippy::cast_possible_truncation, reason = "a small documented parameter")]
        let sends_within_us = (META.parameter("sends_within_hours", &context.settings) * 3.6e9) as i64;
        Box::new(Users { context: context.clone(), sends_within_us, pairs: BTreeMap::new() })
    }
}

struct Users {
    context: Context,
    sends_within_us: i64,
    pairs: BTreeMap<(String, &'static str), Pair>,
}

/// One user and one protocol.
#[derive(Default)]
struct Pair {
    uses: FeatureUse,
    episodes: Vec<Episode>,
}

/// The first days of a protocol that was not used for long.
struct Episode {
    start: Time,
    uses: u64,
    evidence: Vec<Evidence>,
    ips: BTreeSet<(Ip, Role)>,
    sessions: BTreeSet<String>,
    strange: Option<Box<Surroundings>>,
    /// Messages sent within the last hour, and at the most.
    sends: VecDeque<Time>,
    sends_peak: usize,
    sends_evidence: Vec<Evidence>,
}

impl Fold for Users {
    fn batch(&mut self, batch: &EventBatch) {
        match batch.table {
            Table::Auth => self.sign_ins(&AuthView::new(batch), batch.rows()),
            Table::Saas => self.uses(&SaasView::new(batch), batch.rows()),
            Table::Iam | Table::Email => {}
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let pairs = self.pairs.iter();
        pairs.flat_map(|((user, protocol), pair)| pair.findings(user, protocol, &self.context)).collect()
    }
}

impl Users {
    fn sign_ins(&mut self, row: &AuthView<'_>, rows: usize) {
        for index in 0..rows {
            let Some(protocol) = row.own.client_app.get(index).and_then(protocol_of_sign_in) else { continue };
            let class =
                class(row.status_code.get(index), row.status_detail.get(index), row.status_id.get(index).unwrap_or(0));
            let is_program = matches!(row.own.logon_kind.get(index), Some("service_principal" | "managed_identity"));
            if class == SignIn::Ok && !is_program {
                self.used(Table::Auth, row, index, protocol);
            }
        }
    }

    fn uses(&mut self, row: &SaasView<'_>, rows: usize) {
        for index in 0..rows {
            if row.status_id.get(index) == Some(2) {
                continue;
            }
            if let Some(protocol) = row.own.client_info.get(index).and_then(protocol_of_use) {
                self.used(Table::Saas, row, index, protocol);
            }
            if matches!(row.api_operation.get(index), Some("Send" | "SendAs" | "SendOnBehalf")) {
                self.sent(row, index);
            }
        }
    }

    fn used(&mut self, table: Table, row: &CommonView<'_>, index: usize, protocol: &'static str) {
        let (Some(user), time) = (row.user_name.get(index), row.time.get(index)) else { return };
        let here = place(row, index, &self.context.estate.places, self.context.addresses.as_ref());
        let is_microsoft = here.is_some_and(|place| place.microsoft);
        if !time.is_known() || is_microsoft || is_service_side(Some(user), row.user_type.get(index)) {
            return;
        }
        let key = (user.to_owned(), protocol);
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&key) {
            return;
        }
        let pair = self.pairs.entry(key).or_default();
        let Some(episode) = pair.used(time) else { return };
        episode.uses += 1;
        if episode.evidence.len() < KEPT_MAX {
            episode.evidence.push(Evidence::of(table, row, index, protocol));
        }
        let around = surroundings(row, index, &self.context);
        // A scanner that sends once a quarter is back, not new; but a break-in's first days make no place familiar.
        let habits = self.context.estate.users.get(user);
        let was_there = |around: &Surroundings| {
            habits.is_some_and(|profile| was_there(profile, around.place.ip, time.plus_us(-EPISODE_US)))
        };
        let is_strange = around.as_ref().is_some_and(|around| around.is_new_place() && !was_there(around));
        if let Some(ip) = row.src_ip.get(index).filter(|ip| !ip.is_internal() && episode.ips.len() < NAMED_MAX) {
            episode.ips.insert((ip, if is_strange { Role::Source } else { Role::Context }));
        }
        if is_strange {
            if let Some(session) = row.session_uid.get(index).filter(|_| episode.sessions.len() < NAMED_MAX) {
                episode.sessions.insert(session.to_owned());
            }
            episode.strange = episode.strange.take().or(around.map(Box::new));
        }
    }

    /// Counts a message after SMTP AUTH began; sign-ins come before it, whatever their time.
    fn sent(&mut self, row: &SaasView<'_>, index: usize) {
        let (Some(user), time) = (row.user_name.get(index), row.time.get(index)) else { return };
        let Some(pair) = self.pairs.get_mut(&(user.to_owned(), SMTP)) else { return };
        let within_us = self.sends_within_us;
        let follows = |episode: &&mut Episode| (0..=within_us).contains(&time.since_us(episode.start));
        for episode in pair.episodes.iter_mut().filter(follows) {
            let is_old = |sent: &Time| time.since_us(*sent) > Time::HOUR_US;
            while episode.sends.front().is_some_and(is_old) || episode.sends.len() >= SENDS_MAX {
                episode.sends.pop_front();
            }
            episode.sends.push_back(time);
            episode.sends_peak = episode.sends_peak.max(episode.sends.len());
            if episode.sends_evidence.len() < SENDS_KEPT_MAX {
                episode.sends_evidence.push(Evidence::of(Table::Saas, row, index, ""));
            }
        }
    }
}

impl Pair {
    /// Notes a use; the episode that it belongs to, if any. Mailbox records come after all sign-ins and may be older.
    fn used(&mut self, time: Time) -> Option<&mut Episode> {
        let day = time.day();
        let is_quiet = self.uses.days.range(day - QUIET_DAYS..=day).next().is_none();
        self.uses.events += 1;
        self.uses.days.insert(day);
        if self.uses.sessions.len() < FeatureUse::SESSIONS_MAX {
            // Legacy protocols have no sessions: a day counts as one.
            self.uses.sessions.insert(u64::from(day.unsigned_abs()));
        }
        if !self.uses.first_time.is_known() || time < self.uses.first_time {
            self.uses.first_time = time;
        }
        self.uses.last_time = self.uses.last_time.max(time);
        let near = self.episodes.iter().position(|episode| time.since_us(episode.start).abs() <= EPISODE_US);
        if near.is_none() && is_quiet && self.episodes.len() < EPISODES_MAX {
            self.episodes.push(Episode::new(time));
            return self.episodes.last_mut();
        }
        let episode = self.episodes.get_mut(near?)?;
        episode.start = episode.start.min(time);
        Some(episode)
    }

    fn findings(&self, user: &str, protocol: &str, context: &Context) -> Vec<Finding> {
        let empty = UserProfile::default();
        let profile = context.estate.users.get(user).unwrap_or(&empty);
        let share = META.parameter("machine_share", &context.settings);
        // What the user did otherwise, to compare with where the history is short.
        let all = profile.ips.values().map(|used| used.events).sum::<u64>().max(self.uses.events);
        let rest = FeatureUse {
            events: all - self.uses.events,
            sessions: (0_u64..).take(profile.days.len().min(FeatureUse::SESSIONS_MAX)).collect(),
            ..FeatureUse::default()
        };
        let is_machine = self.uses.events as f64 >= share * all as f64;
        let mut findings = Vec::new();
        for episode in &self.episodes {
            let day = episode.start.day();
            // A mailbox record may have shown a use that the sign-ins did not.
            if self.uses.days.range(day - QUIET_DAYS..day).next().is_some() {
                continue;
            }
            let into_evidence_us = episode.start.since_us(context.estate.first_time);
            let is_first = episode.start == self.uses.first_time;
            let is_settled = into_evidence_us < FIRST_WEEK_US || !is_first;
            if is_machine && is_settled && episode.strange.is_none() {
                continue;
            }
            let kinds = [self.uses.clone(), rest.clone()];
            let newness = match novelty(profile, Some(&self.uses), kinds.iter(), episode.start) {
                // Nothing else of this user to compare with, but the organisation's evidence begins long before.
                Novelty::Known | Novelty::Unknown if episode.strange.is_some() || !is_settled => Novelty::NewCold,
                newness => newness,
            };
            if newness.is_new() {
                findings.extend(episode.finding(user, protocol, is_first, newness, context));
            }
        }
        findings
    }
}

impl Episode {
    fn new(start: Time) -> Self {
        Self {
            start,
            uses: 0,
            evidence: Vec::new(),
            ips: BTreeSet::new(),
            sessions: BTreeSet::new(),
            strange: None,
            sends: VecDeque::new(),
            sends_peak: 0,
            sends_evidence: Vec::new(),
        }
    }

    fn finding(
        &self,
        user: &str,
        protocol: &str,
        is_first: bool,
        newness: Novelty,
        context: &Context,
    ) -> Option<Finding> {
        let mut evidence = self.evidence.clone();
        evidence.sort_by_key(|proof| (proof.time, proof.event_uid));
        let kept = evidence.len() as u64;
        let mut evidence = evidence.into_iter();
        let code = if is_first { "first-use" } else { "used-again" };
        let told = [("user", user.to_owned()), ("protocol", protocol.to_owned()), ("count", self.uses.to_string())];
        let mut finding = Finding::new(&META, Severity::Medium, evidence.next()?)
            .titled("user", user)
            .titled("protocol", protocol)
            .about(Entity::user(user), Role::Victim)
            .because(Reason::new(code, 3.0, told));
        let mut severity = Severity::Medium;
        if let Some(around) = &self.strange {
            severity = severity.raised();
            finding = finding.because(Reason::new("from-new-place", 1.0, [("user", user.to_owned())]));
            finding = around.reasons().into_iter().fold(finding, Finding::because);
        }
        finding = evidence.fold(finding, Finding::proved_by).and_more(self.uses.saturating_sub(kept));
        if self.sends_peak as f64 > META.parameter("sends_hour_max", &context.settings) {
            severity = severity.raised();
            finding = finding.because(Reason::new("sends", 3.0, [("count", self.sends_peak.to_string())]));
            finding = self.sends_evidence.iter().cloned().fold(finding, Finding::proved_by);
        }
        if newness == Novelty::NewCold {
            severity = severity.lowered();
            finding = finding.because(Reason::new("cold", -1.0, [("user", user.to_owned())]));
        }
        finding.severity = severity.min(Severity::High);
        for (ip, role) in &self.ips {
            finding = finding.about(Entity::ip(*ip), *role);
        }
        Some(self.sessions.iter().fold(finding, |finding, uid| finding.about(Entity::session(uid), Role::Source)))
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, office_days, run_hosted, sign_in, usage};

    const ANNA: &str = "anna@c.example";
    const SCANNER: &str = "scanner@c.example";
    const HOME: &str = "192.0.2.1";
    const THIEF: &str = "203.0.113.9";
    const DAY_11: i64 = 11 * Time::DAY_US + 10 * Time::HOUR_US;

    fn over(client_app: &str, offset: i64, user: &str, ip: &str) -> Row {
        let mut row = sign_in(offset, user, ip, "0");
        if let Row::Auth(auth) = &mut row {
            auth.own.client_app = Some(client_app.to_owned());
            auth.common.user_agent = None;
        }
        row
    }

    fn reads(offset: i64, ip: &str) -> Row {
        let client_info = Some("Client=POP3/IMAP4;Protocol=IMAP4".to_owned());
        usage(offset, ANNA, ip, "MailItemsAccessed", SaasOwn { client_info, ..SaasOwn::default() })
    }

    fn codes(finding: &Finding) -> Vec<&str> {
        finding.reasons.iter().map(|reason| reason.code.as_str()).collect()
    }

    fn severities(rows: Vec<Row>) -> Vec<Severity> {
        run_hosted(&LegacyClient, rows).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn imap_for_the_first_time_from_a_rented_machine() {
        let mut rows = office_days(ANNA, HOME, 0..12);
        rows.push(over("IMAP4", DAY_11, ANNA, THIEF));
        rows.push(reads(DAY_11 + Time::MINUTE_US, THIEF));
        let found = run_hosted(&LegacyClient, rows);
        assert_eq!((found.len(), found[0].severity, found[0].evidence_count), (1, Severity::High, 2));
        assert_eq!(codes(&found[0])[..2], ["first-use", "from-new-place"]);
        let role = |value: &str| found[0].entities().find(|(entity, _)| entity.value == value).map(|(_, role)| role);
        assert_eq!((role(THIEF), role(ANNA)), (Some(Role::Source), Some(Role::Victim)));
    }

    #[test]
    fn a_new_program_at_home_is_medium() {
        let mut rows = office_days(ANNA, HOME, 0..12);
        rows.push(over("IMAP4", DAY_11, ANNA, HOME));
        assert_eq!(severities(rows), [Severity::Medium]);
    }

    #[test]
    fn who_always_used_it_is_not_told() {
        let mut rows = office_days(ANNA, HOME, 0..40);
        rows.extend((0..40).map(|day| over("IMAP4", day * Time::DAY_US + 10 * Time::HOUR_US, ANNA, HOME)));
        assert!(severities(rows).is_empty());
    }

    #[test]
    fn thirty_quiet_days_make_it_new_again() {
        let again = |day: i64| {
            let mut rows = office_days(ANNA, HOME, 0..60);
            rows.extend((0..10).map(|day| over("POP3", day * Time::DAY_US + 10 * Time::HOUR_US, ANNA, HOME)));
            rows.push(over("POP3", day * Time::DAY_US, ANNA, HOME));
            let found = run_hosted(&LegacyClient, rows);
            found.iter().map(|finding| codes(finding)[0].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!((again(39), again(40)), (vec![], vec!["used-again".to_owned()]));
    }

    #[test]
    fn a_scanner_that_sends_now_and_then_is_told_only_when_it_moves() {
        let mut rows = office_days(ANNA, HOME, 0..90);
        rows.extend((0..10).chain([41, 80]).map(|day| over("SMTP", day * Time::DAY_US, SCANNER, HOME)));
        assert!(severities(rows).is_empty());

        let mut rows = office_days(ANNA, HOME, 0..90);
        rows.extend((0..10).chain([41, 80]).map(|day| over("SMTP", day * Time::DAY_US, SCANNER, HOME)));
        rows.push(over("SMTP", 80 * Time::DAY_US + Time::HOUR_US, SCANNER, THIEF));
        assert_eq!(severities(rows), [Severity::High]);
    }

    #[test]
    fn a_sleeping_account_that_wakes_up_over_imap_is_told_mildly() {
        let mut rows = office_days(ANNA, HOME, 0..12);
        rows.push(over("IMAP4", DAY_11, "left@c.example", "198.51.100.9"));
        let found = run_hosted(&LegacyClient, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Low));
        assert!(codes(&found[0]).contains(&"cold"));
    }

    #[test]
    fn more_than_twenty_messages_in_an_hour_are_one_step_up() {
        let sent = |count: i64| {
            let mut rows = office_days(ANNA, HOME, 0..12);
            rows.push(over("Authenticated SMTP", DAY_11, ANNA, HOME));
            let send = |n: i64| usage(DAY_11 + n * Time::MINUTE_US, ANNA, HOME, "Send", SaasOwn::default());
            rows.extend((1..=count).map(send));
            severities(rows)
        };
        assert_eq!((sent(20), sent(21)), (vec![Severity::Medium], vec![Severity::High]));
    }

    #[test]
    fn two_days_of_history_are_cold() {
        let mut rows = office_days(ANNA, HOME, 0..2);
        rows.push(over("IMAP4", Time::DAY_US + 10 * Time::HOUR_US, ANNA, HOME));
        let found = run_hosted(&LegacyClient, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Low));
        assert!(codes(&found[0]).contains(&"cold"));
    }

    #[test]
    fn what_people_use_today_is_no_legacy() {
        let mut rows = office_days(ANNA, HOME, 0..12);
        for client_app in ["Browser", "Mobile Apps and Desktop clients", ""] {
            rows.push(over(client_app, DAY_11, ANNA, THIEF));
        }
        assert!(severities(rows).is_empty());
        assert_eq!(protocol_of_use("Client=OWA;Mozilla/5.0"), None);
        assert_eq!(protocol_of_use("Client=POP3/IMAP4; Protocol=POP3"), Some("POP3"));
        assert_eq!(protocol_of_use("Client=POP3/IMAP4"), Some("POP3/IMAP4"));
        assert_eq!(protocol_of_sign_in("その他のクライアント"), Some("Other clients"));
    }
}
