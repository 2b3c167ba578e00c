//! Twin login (MBX-008): one user signs in twice within seconds, from two networks.
//!
//! A phishing kit in the middle passes the password and the second factor on, and signs in itself: its own sign-in, from
//! rented machines, stands beside the victim's. Two networks that the user is used to are a VPN going up or down; two
//! carriers of one country are a phone leaving the wireless network; neither is told.

use std::collections::{BTreeMap, VecDeque};

use matagi_model::tables::AuthView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Parameter, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{Novelty, SignIn, Surroundings, class, is_silent_request, surroundings};

/// The analytic.
pub struct TwinLogin;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/twin-login",
    catalogue: &["MBX-008"],
    title: Text::new(
        "Twin login of {user}: a second sign-in from {network}",
        "{user} の双子サインイン: ほぼ同時に {network} からもサインイン",
    ),
    question: Text::new(
        "Did somebody sign in beside a user, within seconds, from another network?",
        "本人のサインインと数秒差で、別のネットワークからもサインインした者はいないか。",
    ),
    stage: Stage::CredentialAcquisition,
    attack: &["T1557"],
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
            "request_type",
            "logon_kind",
            "device_uid",
        ],
        partition_by: &["user_name"],
    }],
    parameters: &[Parameter {
        name: "seconds_max",
        default: 30.0,
        reason: "a kit passes the answers on at once; up to 120 for slow ones, at the price of more VPN changes",
    }],
    reasons: &[
        ReasonText::new(
            "twin",
            "{seconds} seconds between the sign-ins from {first_ip} ({first}) and {second_ip} ({second})",
            "{first_ip}（{first}）と {second_ip}（{second}）からのサインインの間隔は {seconds} 秒です",
        ),
        ReasonText::new(
            "one-session",
            "both belong to one session: the stranger has the victim's",
            "どちらも同じセッションに属しており、第三者が本人のセッションを握っています",
        ),
        ReasonText::new("repeated", "{count} such pairs", "同様の組み合わせが {count} 回あります"),
        ReasonText::new(
            "same-device",
            "both from one device that the directory knows: a VPN going up or down, two steps milder",
            "どちらも登録済みの同じ端末からのため、VPNの切り替えとみて深刻度を二段階下げています",
        ),
        ReasonText::new(
            "database-only",
            "the countries come from an address database, which may be wrong: one step milder",
            "国名はアドレス情報データベースによるもので誤りの可能性があるため、深刻度を一段階下げています",
        ),
        ReasonText::new(
            "networks-unknown",
            "neither log nor reference data name the networks, only the addresses differ: one step milder",
            "ログにも参照データにもネットワーク名がなく、アドレスの違いしか分からないため、深刻度を一段階下げています",
        ),
    ],
};

/// Sign-ins of one user held at a time; within seconds a person makes a handful.
const STOPS_MAX: usize = 16;
/// Users held until the next sweep; within seconds few sign in.
const USERS_MAX: usize = 10_000;
/// Pairs told; an attack on more users is told by other analytics too.
const TWINS_MAX: usize = 100_000;
/// Pairs shown of one finding.
const KEPT_MAX: usize = 10;

impl Analytic for TwinLogin {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        #[expect(clippy::cast_possible_truncation, reason = "a small documented parameter")]
        let window_us = (META.parameter("seconds_max", &context.settings) * 1e6) as i64;
        Box::new(Twins { context: context.clone(), window_us, recent: BTreeMap::new(), twins: BTreeMap::new() })
    }
}

/// One sign-in.
struct Stop {
    time: Time,
    around: Surroundings,
    session: Option<String>,
    device: Option<String>,
    evidence: Evidence,
    /// Has a twin already: one sign-in is not told twice.
    is_told: bool,
}

struct Twins {
    context: Context,
    window_us: i64,
    /// The last seconds, by user.
    recent: BTreeMap<String, VecDeque<Stop>>,
    /// By user and the network that is strange: a kit used twice is one finding.
    twins: BTreeMap<(String, String), Twin>,
}

struct Twin {
    finding: Finding,
    pairs: u64,
}

impl Fold for Twins {
    fn batch(&mut self, batch: &EventBatch) {
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let class =
                class(row.status_code.get(index), row.status_detail.get(index), row.status_id.get(index).unwrap_or(0));
            let time = row.time.get(index);
            if class != SignIn::Ok
                || !time.is_known()
                || is_silent_request(row.own.request_type.get(index))
                || matches!(
                    row.own.logon_kind.get(index),
                    Some("non_interactive" | "service_principal" | "managed_identity")
                )
            {
                continue;
            }
            let around = surroundings(&row, index, &self.context).filter(|around| !around.place.relay);
            let Some(around) = around else { continue };
            let place = format!("{} {}", around.place.country_name(), around.place.network());
            self.arrive(Stop {
                time,
                around,
                session: row.session_uid.get(index).map(str::to_owned),
                device: row.own.device_uid.get(index).map(str::to_owned),
                evidence: Evidence::of(Table::Auth, &row, index, &place),
                is_told: false,
            });
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.twins.into_values().map(Twin::finding).collect()
    }
}

impl Twins {
    fn arrive(&mut self, mut second: Stop) {
        let (now, window_us) = (second.time, self.window_us);
        if self.recent.len() >= USERS_MAX {
            self.recent.retain(|_, stops| stops.back().is_some_and(|stop| now.since_us(stop.time) <= window_us));
        }
        let user = second.around.user.clone();
        let mut stops = self.recent.remove(&user).unwrap_or_default();
        while stops.front().is_some_and(|stop| now.since_us(stop.time) > window_us) || stops.len() >= STOPS_MAX {
            stops.pop_front();
        }
        let twin = stops.iter_mut().rev().filter(|first| !first.is_told).find_map(|first| {
            let strange = stranger(first, &second)?;
            first.is_told = true;
            Some(pair(first, &second, strange))
        });
        if let Some((network, finding)) = twin {
            second.is_told = true;
            self.tell(user.clone(), network, finding);
        }
        stops.push_back(second);
        self.recent.insert(user, stops);
    }

    fn tell(&mut self, user: String, network: String, finding: Finding) {
        let key = (user, network);
        if let Some(twin) = self.twins.get_mut(&key) {
            twin.add(finding);
        } else if self.twins.len() < TWINS_MAX {
            self.twins.insert(key, Twin { finding, pairs: 1 });
        }
    }
}

/// Which of the two is the stranger: 0 the first, 1 the second. `None` for what honest people do.
fn stranger(first: &Stop, second: &Stop) -> Option<usize> {
    let (one, two) = (&first.around, &second.around);
    if !one.place.is_elsewhere(&two.place) || !(is_strange(one) || is_strange(two)) {
        return None;
    }
    let is_one_country = one.place.country.is_some() && one.place.country == two.place.country;
    let is_carrier_pair = is_one_country && !one.place.hosting && !two.place.hosting;
    if is_carrier_pair && !one.is_tool() && !two.is_tool() {
        return None;
    }
    // Rented machines before new networks; between two alike, the newer network, and then the later sign-in.
    let rank = |around: &Surroundings| (is_strange(around), around.place.hosting, around.is_new_place());
    Some(usize::from(rank(one) <= rank(two)))
}

/// Never used by this user before, or rented by the hour and not yet a habit.
fn is_strange(around: &Surroundings) -> bool {
    if around.is_common_network {
        return false;
    }
    let novelty = if around.place.asn.is_some() { around.network } else { around.address };
    novelty.is_new() || (around.place.hosting && novelty != Novelty::Known)
}

/// The stranger's network and the finding about these two sign-ins.
fn pair(first: &Stop, second: &Stop, strange: usize) -> (String, Finding) {
    let stranger = if strange == 0 { first } else { second };
    let place = &stranger.around.place;
    let network = if place.asn.is_some() { place.network() } else { place.ip.place().to_string() };
    let user = &stranger.around.user;
    let seconds = second.time.since_us(first.time) as f64 / Time::SECOND_US as f64;
    let mut finding = Finding::new(&META, Severity::High, first.evidence.clone())
        .proved_by(second.evidence.clone())
        .titled("user", user)
        .titled("network", if place.asn.is_some() { network.clone() } else { place.ip.to_string() })
        .about(Entity::user(user), Role::Victim)
        .because(Reason::new(
            "twin",
            6.0,
            [
                ("seconds", format!("{seconds:.0}")),
                ("first_ip", first.around.place.ip.to_string()),
                ("first", first.around.place.network()),
                ("second_ip", second.around.place.ip.to_string()),
                ("second", second.around.place.network()),
            ],
        ));
    for stop in [first, second] {
        let role = if is_strange(&stop.around) { Role::Source } else { Role::Context };
        finding = finding.about(Entity::ip(stop.around.place.ip), role);
    }
    if let Some(session) = &stranger.session {
        finding = finding.about(Entity::session(session), Role::Source);
    }
    if first.session.is_some() && first.session == second.session {
        finding = finding.because(Reason::new("one-session", 2.0, []));
    }
    finding = stranger.around.reasons().into_iter().fold(finding, Finding::because);
    (network, weighed(finding, first, second, stranger))
}

/// The severity, with what speaks for an honest explanation.
fn weighed(mut finding: Finding, first: &Stop, second: &Stop, stranger: &Stop) -> Finding {
    let (one, two) = (&first.around.place, &second.around.place);
    let are_known = one.asn.is_some() && two.asn.is_some();
    let is_abroad = one.country.is_some() && two.country.is_some() && one.country != two.country;
    let is_logged = one.country_is_logged && two.country_is_logged;
    let around = &stranger.around;
    let has_baseline = [around.network, around.address].contains(&Novelty::New);
    let is_same_device = first.device.is_some() && first.device == second.device;
    let speaks_against = [
        (is_same_device, "same-device", 2),
        (!has_baseline, "cold", 1),
        (!are_known && !is_abroad, "networks-unknown", 1),
        (is_abroad && !is_logged && !around.place.hosting, "database-only", 1),
    ];
    for (_, code, steps) in speaks_against.into_iter().filter(|(is_so, ..)| *is_so) {
        for _ in 0..steps {
            finding.severity = finding.severity.lowered();
        }
        finding = finding.because(Reason::new(code, -f64::from(steps), [("user", around.user.clone())]));
    }
    finding
}

impl Twin {
    /// One more pair with the same stranger: the graver one speaks, both prove.
    fn add(&mut self, mut other: Finding) {
        self.pairs += 1;
        if other.severity > self.finding.severity {
            std::mem::swap(&mut self.finding, &mut other);
        }
        let mut finding = self.finding.clone();
        for (entity, role) in other.entities() {
            finding = finding.about(entity.clone(), role);
        }
        self.finding = if self.pairs <= KEPT_MAX as u64 {
            other.evidence().iter().cloned().fold(finding, Finding::proved_by)
        } else {
            finding.and_more(other.evidence_count)
        };
    }

    fn finding(self) -> Finding {
        if self.pairs < 2 {
            return self.finding;
        }
        self.finding.because(Reason::new("repeated", 1.0, [("count", self.pairs.to_string())]))
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::EntityKind;

    use super::*;
    use crate::testing::{Row, office_days, run_hosted, sign_in};

    const ANNA: &str = "anna@c.example";
    const HOME: &str = "192.0.2.1";
    const KIT: &str = "203.0.113.9";
    const MORNING: i64 = 11 * Time::DAY_US + 9 * Time::HOUR_US;
    const SECOND: i64 = Time::SECOND_US;

    fn at(mut row: Row, country: &str, asn: u32) -> Row {
        if let Row::Auth(auth) = &mut row {
            auth.common.src_country = Some(country.to_owned());
            auth.common.src_asn = Some(asn);
        }
        row
    }

    fn home(row: Row) -> Row {
        at(row, "JP", 64_500)
    }

    fn days(days: std::ops::Range<i64>) -> Vec<Row> {
        office_days(ANNA, HOME, days).into_iter().map(home).collect()
    }

    fn severities(rows: Vec<Row>) -> Vec<Severity> {
        run_hosted(&TwinLogin, rows).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn the_kit_signs_in_beside_its_victim() {
        let mut rows = days(0..12);
        rows.push(sign_in(MORNING + 12 * SECOND, ANNA, KIT, "0"));
        let found = run_hosted(&TwinLogin, rows);
        assert_eq!((found.len(), found[0].severity, found[0].evidence().len()), (1, Severity::High, 2));
        assert_eq!(found[0].title_args["network"], "AS64666 Hoster");
        let role = |ip: &str| found[0].entities().find(|(entity, _)| entity.value == ip).map(|(_, role)| role);
        assert_eq!((role(KIT), role(HOME)), (Some(Role::Source), Some(Role::Context)));
    }

    #[test]
    fn thirty_seconds_are_the_edge() {
        let twin = |gap: i64| {
            let mut rows = days(0..12);
            rows.push(sign_in(MORNING + gap, ANNA, KIT, "0"));
            severities(rows).len()
        };
        assert_eq!((twin(30 * SECOND), twin(31 * SECOND)), (1, 0));
    }

    #[test]
    fn a_vpn_that_the_user_is_used_to_goes_up() {
        let mut rows = days(0..12);
        rows.extend((0..12).map(|day| {
            let offset = day * Time::DAY_US + 9 * Time::HOUR_US + 20 * SECOND;
            sign_in(offset, ANNA, KIT, "0")
        }));
        assert!(severities(rows).is_empty());
    }

    #[test]
    fn from_wireless_to_mobile_is_a_carrier_pair() {
        let twin = |country: &str| {
            let mut rows = days(0..12);
            rows.push(at(sign_in(MORNING + 12 * SECOND, ANNA, "198.51.100.7", "0"), country, 64_501));
            severities(rows)
        };
        assert_eq!((twin("JP"), twin("NG")), (vec![], vec![Severity::High]));
    }

    #[test]
    fn one_device_of_the_directory_is_a_vpn() {
        let on_laptop = |mut row: Row| {
            if let Row::Auth(auth) = &mut row {
                auth.own.device_uid = Some("d1".to_owned());
            }
            row
        };
        let mut rows: Vec<_> = days(0..12).into_iter().map(on_laptop).collect();
        rows.push(on_laptop(sign_in(MORNING + 12 * SECOND, ANNA, KIT, "0")));
        assert_eq!(severities(rows), [Severity::Low]);
    }

    #[test]
    fn two_days_of_history_are_cold() {
        let mut rows = days(0..2);
        rows.push(sign_in(Time::DAY_US + 9 * Time::HOUR_US + 12 * SECOND, ANNA, KIT, "0"));
        let found = run_hosted(&TwinLogin, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Medium));
        assert!(found[0].reasons.iter().any(|reason| reason.code == "cold"));
    }

    #[test]
    fn two_phishings_by_one_kit_are_one_finding() {
        let mut rows = days(0..12);
        for (gap, session) in [(12 * SECOND, "s1"), (5 * Time::HOUR_US + 3 * SECOND, "s2")] {
            let mut row = sign_in(MORNING + gap, ANNA, KIT, "0");
            if let Row::Auth(auth) = &mut row {
                auth.common.session_uid = Some(session.to_owned());
            }
            rows.push(row);
        }
        let found = run_hosted(&TwinLogin, rows);
        assert_eq!((found.len(), found[0].evidence().len()), (1, 4));
        assert_eq!(found[0].values(EntityKind::Session).collect::<Vec<_>>(), ["s1", "s2"]);
    }

    #[test]
    fn another_user_at_the_same_second_is_no_twin() {
        let mut rows = days(0..12);
        rows.extend(office_days("ben@c.example", KIT, 0..12).into_iter().map(|row| at(row, "NL", 64_666)));
        assert!(severities(rows).is_empty());
    }
}
