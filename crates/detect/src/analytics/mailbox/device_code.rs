//! Device-code phishing (MBX-010): the victim types an attacker's code into Microsoft's own page.
//!
//! Method: a successful sign-in by the device code flow of somebody who had none in the thirty days before. The address of
//! that sign-in is often the victim's own, so that a usual place proves nothing; the attacker shows where the same session
//! goes on from another network. People and rooms that use the flow on several days from their own place are regulars.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::{AuthView, CommonView};
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Parameter, Reason,
    ReasonText, Role, Scan, Severity, Stage, Table, Text, Time, UserProfile,
};

use crate::base::{SignIn, Surroundings, class, is_cold, is_service_side, surroundings};

/// The analytic.
pub struct DeviceCode;

const COLUMNS: &[&str] =
    &["status_id", "user_type", "src_country", "src_asn", "src_latitude", "src_longitude", "user_agent", "session_uid"];

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/device-code",
    catalogue: &["MBX-010"],
    title: Text::new("First sign-in of {user} by device code", "{user} による初めてのデバイスコード認証"),
    question: Text::new(
        "Who signed in by device code who never does, and who else uses that session?",
        "普段使わないデバイスコード認証でサインインした者はいるか。そのセッションを他者が使っていないか。",
    ),
    stage: Stage::CredentialAcquisition,
    attack: &["T1566.002", "T1528"],
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
                "app_uid",
                "app_name",
                "resource_uid",
                "resource_name",
                "request_type",
                "auth_protocol",
                "original_transfer_method",
                "logon_kind",
            ],
            partition_by: &["user_name"],
        },
        Scan { table: Table::Iam, columns: COLUMNS, partition_by: &["user_name"] },
        Scan { table: Table::Saas, columns: COLUMNS, partition_by: &["user_name"] },
    ],
    parameters: &[
        Parameter {
            name: "history_days",
            default: 30.0,
            reason: "who uses command lines or shared screens signs in there at least once a month",
        },
        Parameter {
            name: "regular_days_min",
            default: 3.0,
            reason: "a victim types a stranger's code once; on a third day, from the own place, it is a habit",
        },
    ],
    reasons: &[
        ReasonText::new(
            "first-use",
            "{user} signed in by device code with {app}; none in the {days} days before",
            "{user} が {app} でデバイスコード認証を行いました。過去 {days} 日間に使用例はありません",
        ),
        ReasonText::new(
            "mail-resource",
            "the token opens {resource}: mail and directory",
            "取得されたトークンでは {resource} を通じてメールやディレクトリに到達できます",
        ),
        ReasonText::new(
            "broker",
            "the authentication broker asked: its token can be turned into any other, and registers devices",
            "認証ブローカーによる要求で、トークンを他の用途に転用でき、端末の登録も可能になります",
        ),
        ReasonText::new(
            "used-elsewhere",
            "the same session was later used from {ip} ({place}), where {user} was not before",
            "同じセッションがその後 {ip}（{place}）から使われており、{user} がそれまで使ったことのない場所です",
        ),
        ReasonText::new(
            "request-type-only",
            "only the request type speaks of a device code, other confirmation pages have it too: one step milder",
            "デバイスコードを示すのは要求種別だけで、他の確認画面でも記録されるため、深刻度を一段階下げています",
        ),
    ],
};

/// Users watched: few use the flow at all.
const USERS_MAX: usize = 200_000;
/// Sessions followed, those of all users.
const SESSIONS_MAX: usize = 200_000;
/// First uses told of one user: one a month fills years.
const USES_PER_USER_MAX: usize = 24;
/// Days of ordinary use remembered; a few make a regular.
const DAYS_MAX: usize = 64;
/// Evidence kept of one use: the other place must find room beside it.
const KEPT_MAX: usize = 10;
/// Sessions named by a finding.
const NAMED_MAX: usize = 20;
/// The authentication broker, whose token can be turned into any other.
const BROKER: &str = "29d9ed98-a469-4536-ade2-f981bc1d605e";
/// What opens mail and directory: Exchange, Graph, and Graph's predecessor.
const MAIL_RESOURCES: [&str; 3] = [
    "00000002-0000-0ff1-ce00-000000000000",
    "00000003-0000-0000-c000-000000000000",
    "00000002-0000-0000-c000-000000000000",
];

impl Analytic for DeviceCode {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small documented parameters")]
        Box::new(Codes {
            history_days: parameter("history_days") as i64,
            regular_days_min: parameter("regular_days_min") as usize,
            context: context.clone(),
            users: BTreeMap::new(),
            sessions: BTreeMap::new(),
        })
    }
}

struct Codes {
    history_days: i64,
    regular_days_min: usize,
    context: Context,
    users: BTreeMap<String, Account>,
    /// Which use a user's session began with.
    sessions: BTreeMap<(String, String), usize>,
}

#[derive(Default)]
struct Account {
    last: Time,
    /// Days of use by the person, from a place that is not new.
    days: BTreeSet<i32>,
    uses: Vec<Use>,
}

/// A first use, and what followed within the history.
struct Use {
    time: Time,
    app: String,
    resource: Option<String>,
    is_broker: bool,
    /// A record says that it was a device code, not only the request type.
    is_said: bool,
    around: Option<Box<Surroundings>>,
    sessions: BTreeSet<String>,
    count: u64,
    evidence: Vec<Evidence>,
    elsewhere: Option<Box<(Surroundings, Evidence)>>,
    more_elsewhere: u64,
}

/// How a record speaks of the device code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Said,
    RequestType,
}

impl Fold for Codes {
    fn batch(&mut self, batch: &EventBatch) {
        if batch.table != Table::Auth {
            let row = batch.common();
            for index in 0..batch.rows() {
                if row.status_id.get(index) != Some(2) {
                    self.followed(batch.table, &row, index);
                }
            }
            return;
        }
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let status = row.status_id.get(index).unwrap_or(0);
            let is_ok = class(row.status_code.get(index), row.status_detail.get(index), status) == SignIn::Ok;
            if is_ok && row.time.get(index).is_known() {
                self.followed(Table::Auth, &row, index);
                if let Some(mark) = mark(&row, index) {
                    self.used(&row, index, mark);
                }
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (user, account) in &self.users {
            let is_regular = account.days.len() >= self.regular_days_min;
            let habits = self.context.estate.users.get(user);
            let told = account.uses.iter().filter(|one| !is_regular || one.is_strange());
            findings.extend(told.map(|one| one.finding(user, self.history_days, habits)));
        }
        findings
    }
}

fn mark(row: &AuthView<'_>, index: usize) -> Option<Mark> {
    let is = |value: Option<&str>, name: &str| value.is_some_and(|value| value.eq_ignore_ascii_case(name));
    if is(row.own.auth_protocol.get(index), "deviceCode")
        || is(row.own.original_transfer_method.get(index), "deviceCodeFlow")
    {
        return Some(Mark::Said);
    }
    is(row.own.request_type.get(index), "Cmsi:Cmsi").then_some(Mark::RequestType)
}

impl Codes {
    fn used(&mut self, row: &AuthView<'_>, index: usize, mark: Mark) {
        let (Some(user), time) = (row.user_name.get(index), row.time.get(index)) else { return };
        let is_new_user = !self.users.contains_key(user);
        if is_service_side(Some(user), row.user_type.get(index)) || (is_new_user && self.users.len() >= USERS_MAX) {
            return;
        }
        let around = surroundings(row, index, &self.context);
        let account = self.users.entry(user.to_owned()).or_default();
        let is_by_person = row.own.logon_kind.get(index) != Some("non_interactive");
        let is_ordinary = !around.as_ref().is_some_and(Surroundings::is_new_place);
        if is_by_person && is_ordinary && account.days.len() < DAYS_MAX {
            account.days.insert(time.day());
        }
        let is_first = !account.last.is_known() || time.since_us(account.last) > self.history_days * Time::DAY_US;
        account.last = time;
        if is_first && account.uses.len() < USES_PER_USER_MAX {
            account.uses.push(Use::new(row, index, around));
        }
        let number = account.uses.len().saturating_sub(1);
        let Some(one) = account.uses.last_mut() else { return };
        one.take(row, index, mark);
        if let Some(session) = row.session_uid.get(index)
            && self.sessions.len() < SESSIONS_MAX
        {
            self.sessions.entry((user.to_owned(), session.to_owned())).or_insert(number);
        }
    }

    /// An act in a session that began with a device code.
    fn followed(&mut self, table: Table, row: &CommonView<'_>, index: usize) {
        if self.sessions.is_empty() {
            return;
        }
        let (Some(user), Some(session)) = (row.user_name.get(index), row.session_uid.get(index)) else { return };
        let Some(&number) = self.sessions.get(&(user.to_owned(), session.to_owned())) else { return };
        let one = self.users.get_mut(user).and_then(|account| account.uses.get_mut(number));
        let Some(one) = one.filter(|one| row.time.get(index) > one.time) else { return };
        let around = surroundings(row, index, &self.context).filter(|around| !around.place.relay);
        let Some(around) = around.filter(|around| one.is_elsewhere(around, self.context.estate.users.get(user))) else {
            return;
        };
        if one.elsewhere.is_some() {
            one.more_elsewhere += 1;
        } else {
            let evidence = Evidence::of(table, row, index, &format!("session {session} · {}", around.place_name()));
            one.elsewhere = Some(Box::new((around, evidence)));
        }
    }
}

impl Use {
    fn new(row: &AuthView<'_>, index: usize, around: Option<Surroundings>) -> Self {
        let app = row.app_name.get(index).or(row.app_uid.get(index)).unwrap_or("-");
        Self {
            time: row.time.get(index),
            app: app.to_owned(),
            resource: None,
            is_broker: false,
            is_said: false,
            around: around.map(Box::new),
            sessions: BTreeSet::new(),
            count: 0,
            evidence: Vec::new(),
            elsewhere: None,
            more_elsewhere: 0,
        }
    }

    fn take(&mut self, row: &AuthView<'_>, index: usize, mark: Mark) {
        self.count += 1;
        self.is_said |= mark == Mark::Said;
        self.is_broker |= row.app_uid.get(index).is_some_and(|uid| uid.eq_ignore_ascii_case(BROKER))
            || row.app_name.get(index) == Some("Microsoft Authentication Broker");
        let (uid, name) = (row.own.resource_uid.get(index), row.own.resource_name.get(index));
        if self.resource.is_none() && opens_mail(uid, name) {
            let known = uid.and_then(|uid| crate::base::dictionary().first_party(uid));
            self.resource = name.or(known).or(uid).map(str::to_owned);
        }
        if self.sessions.len() < NAMED_MAX {
            self.sessions.extend(row.session_uid.get(index).map(str::to_owned));
        }
        if self.evidence.len() < KEPT_MAX {
            let app = row.app_name.get(index).or(row.app_uid.get(index)).unwrap_or("-");
            let said = format!("device code · {app} > {}", name.or(uid).unwrap_or("-"));
            self.evidence.push(Evidence::of(Table::Auth, row, index, &said));
        }
    }

    /// Whether this is another network than that of the sign-in, and none that the user came from before it.
    fn is_elsewhere(&self, around: &Surroundings, habits: Option<&UserProfile>) -> bool {
        let (place, began) = (&around.place, self.around.as_deref().map(|began| &began.place));
        let is_same = began.is_some_and(|began| match (began.asn, place.asn) {
            (Some(one), Some(other)) => one == other,
            _ => began.ip.place() == place.ip.place(),
        });
        let was_there = habits.is_some_and(|profile| {
            let by_network = place.asn.and_then(|asn| profile.asns.get(&asn));
            by_network.or_else(|| profile.ips.get(&place.ip)).is_some_and(|used| used.first_time < self.time)
        });
        began.is_some() && !is_same && !was_there
    }

    /// What no regular's habit explains.
    fn is_strange(&self) -> bool {
        self.elsewhere.is_some() || self.around.as_deref().is_some_and(Surroundings::is_new_place)
    }

    fn finding(&self, user: &str, history_days: i64, habits: Option<&UserProfile>) -> Finding {
        let mut severity = Severity::Medium;
        let mut evidence = self.evidence.iter().cloned();
        let first = evidence.next().expect("a use has its sign-in");
        let told_user = || ("user", user.to_owned());
        let told = [told_user(), ("app", self.app.clone()), ("days", history_days.to_string())];
        let mut finding = Finding::new(&META, severity, first)
            .titled("user", user)
            .about(Entity::user(user), Role::Victim)
            .because(Reason::new("first-use", 4.0, told));
        if let Some(resource) = &self.resource {
            finding = finding.because(Reason::new("mail-resource", 2.0, [("resource", resource.clone())]));
        }
        if self.is_broker {
            finding = finding.because(Reason::new("broker", 2.0, []));
        }
        if self.resource.is_some() || self.is_broker {
            severity = severity.raised();
        }
        if let Some((around, used)) = self.elsewhere.as_deref() {
            severity = severity.raised();
            let args = [told_user(), ("ip", around.place.ip.to_string()), ("place", around.place_name())];
            finding = finding.because(Reason::new("used-elsewhere", 5.0, args)).proved_by(used.clone());
            finding = finding.about(Entity::ip(around.place.ip), Role::Source).and_more(self.more_elsewhere);
            finding = around.reasons().into_iter().fold(finding, Finding::because);
        }
        if !self.is_said {
            severity = severity.lowered();
            finding = finding.because(Reason::new("request-type-only", -1.0, [])).sure(0.5);
        }
        if habits.is_none_or(|profile| is_cold(profile, self.time)) {
            severity = severity.lowered();
            finding = finding.because(Reason::new("cold", -1.0, [told_user()]));
        }
        finding.severity = severity;
        let kept = self.evidence.len() as u64;
        finding = evidence.fold(finding, Finding::proved_by).and_more(self.count.saturating_sub(kept));
        self.about_place(finding)
    }

    /// The sign-in's own address and sessions. The address is the victim's as often as the attacker's.
    fn about_place(&self, mut finding: Finding) -> Finding {
        if let Some(around) = self.around.as_deref() {
            let is_new = around.is_new_place();
            let role = if is_new { Role::Source } else { Role::Context };
            finding = finding.about(Entity::ip(around.place.ip), role);
            if is_new && self.elsewhere.is_none() {
                finding = around.reasons().into_iter().fold(finding, Finding::because);
            }
        }
        finding = finding.about(Entity::new(EntityKind::Application, &self.app), Role::Context);
        self.sessions.iter().fold(finding, |finding, session| finding.about(Entity::session(session), Role::Source))
    }
}

fn opens_mail(uid: Option<&str>, name: Option<&str>) -> bool {
    match uid {
        Some(uid) => MAIL_RESOURCES.contains(&uid.to_lowercase().as_str()),
        None => name.is_some_and(|name| matches!(name, "Microsoft Graph" | "Office 365 Exchange Online")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Row, office_days, run, sign_in, usage};

    const ANNA: &str = "anna@c.example";
    const OFFICE: &str = "192.0.2.1";
    const STRANGER: &str = "203.0.113.9";
    /// After twelve days at the office.
    const NIGHT: i64 = 12 * Time::DAY_US;
    const GRAPH: &str = "00000003-0000-0000-c000-000000000000";
    const MANAGEMENT: &str = "797f4846-ba00-4fd7-ba43-dac1f8f63013";

    fn by_code(offset_us: i64, ip: &str, resource: &str) -> Row {
        let mut row = sign_in(offset_us, ANNA, ip, "0");
        if let Row::Auth(auth) = &mut row {
            auth.own.auth_protocol = Some("deviceCode".to_owned());
            auth.own.resource_uid = Some(resource.to_owned());
            auth.common.app_name = Some("Microsoft Office".to_owned());
            auth.common.session_uid = Some("s1".to_owned());
        }
        row
    }

    fn mail_read(offset_us: i64, ip: &str) -> Row {
        let mut row = usage(offset_us, ANNA, ip, "MailItemsAccessed", matagi_model::tables::SaasOwn::default());
        if let Row::Saas(saas) = &mut row {
            saas.common.session_uid = Some("s1".to_owned());
        }
        row
    }

    fn after_office_days(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
        office_days(ANNA, OFFICE, 0..12).into_iter().chain(rows).collect()
    }

    fn severities(rows: Vec<Row>) -> Vec<Severity> {
        run(&DeviceCode, rows).iter().map(|one| one.severity).collect()
    }

    #[test]
    fn each_sign_is_one_step() {
        let management = after_office_days([by_code(NIGHT, OFFICE, MANAGEMENT)]);
        assert_eq!(severities(management), [Severity::Medium]);
        let graph = after_office_days([by_code(NIGHT, OFFICE, GRAPH)]);
        assert_eq!(severities(graph), [Severity::High]);
        let taken = [by_code(NIGHT, OFFICE, GRAPH), mail_read(NIGHT + Time::HOUR_US, STRANGER)];
        let found = run(&DeviceCode, after_office_days(taken));
        assert_eq!((found[0].severity, found[0].evidence_count), (Severity::Critical, 2));
        let role_of = |value: &str| found[0].entities().find(|(entity, _)| entity.value == value).map(|(_, role)| role);
        assert_eq!(role_of(STRANGER), Some(Role::Source));
        assert_eq!(role_of(OFFICE), Some(Role::Context));
        assert_eq!(role_of("s1"), Some(Role::Source));
    }

    #[test]
    fn the_broker_counts_like_mail() {
        let mut row = by_code(NIGHT, OFFICE, MANAGEMENT);
        if let Row::Auth(auth) = &mut row {
            auth.common.app_uid = Some(BROKER.to_owned());
        }
        assert_eq!(severities(after_office_days([row])), [Severity::High]);
    }

    #[test]
    fn an_administrator_who_does_it_regularly_is_nothing() {
        let days = [2, 5, 9, 11].map(|day| by_code(day * Time::DAY_US + 10 * Time::HOUR_US, OFFICE, MANAGEMENT));
        assert!(run(&DeviceCode, after_office_days(days)).is_empty());
    }

    #[test]
    fn the_session_goes_home_with_its_owner() {
        let home = "198.51.100.20";
        let evenings = (0..12).map(|day| sign_in(day * Time::DAY_US + 20 * Time::HOUR_US, ANNA, home, "0"));
        let moved = [by_code(NIGHT, OFFICE, GRAPH), mail_read(NIGHT + 9 * Time::HOUR_US, home)];
        assert_eq!(severities(after_office_days(evenings.chain(moved))), [Severity::High]);
    }

    #[test]
    fn after_more_than_thirty_days_it_is_a_first_use_again() {
        let twice = |days: i64| {
            let again = NIGHT + days * Time::DAY_US;
            after_office_days([by_code(NIGHT, OFFICE, GRAPH), by_code(again, OFFICE, GRAPH)])
        };
        assert_eq!(run(&DeviceCode, twice(30)).len(), 1);
        assert_eq!(run(&DeviceCode, twice(31)).len(), 2);
    }

    #[test]
    fn without_history_or_with_the_request_type_alone_one_step_milder() {
        let cold = run(&DeviceCode, vec![by_code(NIGHT, OFFICE, GRAPH)]);
        assert_eq!(cold[0].severity, Severity::Medium);
        assert!(cold[0].reasons.iter().any(|reason| reason.code == "cold"));
        let mut row = by_code(NIGHT, OFFICE, GRAPH);
        if let Row::Auth(auth) = &mut row {
            auth.own.auth_protocol = None;
            auth.own.request_type = Some("Cmsi:Cmsi".to_owned());
        }
        assert_eq!(severities(after_office_days([row])), [Severity::Medium]);
    }

    #[test]
    fn failures_and_the_service_itself_are_nothing() {
        let mut failed = by_code(NIGHT, OFFICE, GRAPH);
        if let Row::Auth(auth) = &mut failed {
            auth.common.status_code = Some("70016".to_owned());
            auth.common.status_id = 2;
        }
        let mut service = by_code(NIGHT, OFFICE, GRAPH);
        if let Row::Auth(auth) = &mut service {
            auth.common.user_type = Some("service_principal".to_owned());
        }
        assert!(run(&DeviceCode, after_office_days([failed, service])).is_empty());
    }
}
