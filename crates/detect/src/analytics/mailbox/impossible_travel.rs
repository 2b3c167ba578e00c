//! Impossible travel (MBX-015): two sign-ins of one user too far apart for the time between them.
//!
//! The two places must differ in what the log itself says where it says anything; a difference that only the address
//! database sees stays at medium. Places the user is used to, relays, and two networks of one country do not count.

use std::collections::BTreeMap;

use matagi_model::tables::AuthView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Parameter, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{SignIn, Surroundings, class, distance_km, is_silent_request, surroundings};

/// The analytic.
pub struct ImpossibleTravel;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/impossible-travel",
    catalogue: &["MBX-015"],
    title: Text::new("Impossible travel of {user}: {from} to {to}", "{user} の不可能な移動: {from} から {to}"),
    question: Text::new(
        "Was one account used in two places that nobody can travel between?",
        "移動不可能な二地点から同じアカウントが使われていないか。",
    ),
    stage: Stage::InitialAccess,
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
            "request_type",
            "logon_kind",
        ],
        partition_by: &["user_name"],
    }],
    parameters: &[
        Parameter {
            name: "distance_min_km",
            default: 500.0,
            reason: "address positions are wrong by up to a few hundred kilometres",
        },
        Parameter { name: "speed_min_km_h", default: 900.0, reason: "an airliner's cruising speed" },
    ],
    reasons: &[
        ReasonText::new(
            "speed",
            "{km} km in {minutes} minutes: {speed} km/h",
            "{minutes} 分間で {km} km 移動したことになります（時速 {speed} km）",
        ),
        ReasonText::new(
            "places",
            "{from_ip} in {from}, then {to_ip} in {to}",
            "{from_ip}（{from}）の後、{to_ip}（{to}）から接続しています",
        ),
        ReasonText::new(
            "database-only",
            "the log does not name the countries; an address database does, and may be wrong",
            "国名はログではなくアドレス情報データベースによるもので、誤りの可能性があります",
        ),
        ReasonText::new("same-device", "both from the same known device", "どちらも登録済みの同じ端末です"),
    ],
};

impl Analytic for ImpossibleTravel {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Travel { context: context.clone(), last: BTreeMap::new(), trips: BTreeMap::new() })
    }
}

struct Stop {
    time: Time,
    around: Surroundings,
    evidence: Evidence,
}

struct Travel {
    context: Context,
    last: BTreeMap<String, Stop>,
    /// By user and the place that is foreign: repeated hops are one finding.
    trips: BTreeMap<(String, String), Finding>,
}

impl Fold for Travel {
    fn batch(&mut self, batch: &EventBatch) {
        let row = AuthView::new(batch);
        for index in 0..batch.rows() {
            let class =
                class(row.status_code.get(index), row.status_detail.get(index), row.status_id.get(index).unwrap_or(0));
            let kind = row.own.logon_kind.get(index);
            let time = row.time.get(index);
            if class != SignIn::Ok
                || !time.is_known()
                || is_silent_request(row.own.request_type.get(index))
                || matches!(kind, Some("non_interactive" | "service_principal" | "managed_identity"))
            {
                continue;
            }
            let Some(around) = surroundings(&row, index, &self.context).filter(|around| !around.place.relay) else {
                continue;
            };
            let place = format!("{} {}", around.place.country_name(), around.place.network());
            let evidence = Evidence::of(Table::Auth, &row, index, &place);
            let stop = Stop { time, around, evidence };
            self.arrive(stop);
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.trips.into_values().collect()
    }
}

impl Travel {
    fn arrive(&mut self, to: Stop) {
        let user = to.around.user.clone();
        if let Some(from) = self.last.get(&user)
            && let Some(finding) = self.judge(from, &to)
        {
            // The foreign end is the one that is new; hopping to and fro is told once.
            let foreign = if to.around.is_new_place() { &to } else { from };
            let key = (user.clone(), foreign.around.place.ip.place().to_string());
            match self.trips.entry(key) {
                std::collections::btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(finding);
                }
                std::collections::btree_map::Entry::Occupied(mut occupied) => {
                    let known = occupied.get().clone();
                    occupied.insert(known.proved_by(to.evidence.clone()));
                }
            }
        }
        self.last.insert(user, to);
    }

    fn judge(&self, from: &Stop, to: &Stop) -> Option<Finding> {
        let (start, end) = (&from.around.place, &to.around.place);
        let is_one_network = start.asn.is_some() && start.asn == end.asn;
        if start.ip == end.ip || start.country == end.country || is_one_network {
            return None;
        }
        if !from.around.is_new_place()
            && !to.around.is_new_place()
            && from.around.address == crate::base::Novelty::Known
        {
            return None;
        }
        let km = distance_km(start.position?, end.position?);
        let us = to.time.since_us(from.time).max(Time::MINUTE_US);
        let speed = km / (us as f64 / Time::HOUR_US as f64);
        let parameter = |name| META.parameter(name, &self.context.settings);
        if km < parameter("distance_min_km") || speed < parameter("speed_min_km_h") {
            return None;
        }
        let is_logged = start.country_is_logged && end.country_is_logged;
        if !(is_logged || start.countries_agree || end.countries_agree) {
            return None;
        }
        let severity = if is_logged { Severity::High } else { Severity::Medium };
        let user = &to.around.user;
        let mut finding = Finding::new(&META, severity, from.evidence.clone())
            .proved_by(to.evidence.clone())
            .titled("user", user)
            .titled("from", start.country_name())
            .titled("to", end.country_name())
            .because(Reason::new(
                "speed",
                6.0,
                [
                    ("km", format!("{km:.0}")),
                    ("minutes", (us / Time::MINUTE_US).to_string()),
                    ("speed", format!("{speed:.0}")),
                ],
            ))
            .because(Reason::new(
                "places",
                2.0,
                [
                    ("from_ip", start.ip.to_string()),
                    ("from", start.country_name().to_owned()),
                    ("to_ip", end.ip.to_string()),
                    ("to", end.country_name().to_owned()),
                ],
            ))
            .about(Entity::user(user), Role::Victim);
        if !is_logged {
            finding = finding.because(Reason::new("database-only", -2.0, []));
        }
        for stop in [from, to] {
            let role = if stop.around.is_new_place() { Role::Source } else { Role::Context };
            finding = finding.about(Entity::ip(stop.around.place.ip), role);
        }
        let strange = if to.around.is_new_place() { &to.around } else { &from.around };
        Some(strange.reasons().into_iter().fold(finding, Finding::because))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Row, office_days, run, sign_in};

    fn at(mut row: Row, country: &str) -> Row {
        if let Row::Auth(auth) = &mut row {
            auth.common.src_country = Some(country.to_owned());
        }
        row
    }

    fn history() -> Vec<Row> {
        office_days("anna@c.example", "192.0.2.1", 0..12).into_iter().map(|row| at(row, "JP")).collect()
    }

    #[test]
    fn tokyo_and_lagos_within_an_hour() {
        let mut rows = history();
        rows.push(at(sign_in(11 * Time::DAY_US + 15 * Time::HOUR_US, "anna@c.example", "198.51.100.7", "0"), "NG"));
        let found = run(&ImpossibleTravel, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        assert!(found[0].entities().any(|(entity, role)| entity.value == "198.51.100.7" && role == Role::Source));
        assert!(found[0].entities().any(|(entity, role)| entity.value == "192.0.2.1" && role == Role::Context));
    }

    #[test]
    fn a_flight_takes_a_day() {
        let mut rows = history();
        rows.push(at(sign_in(13 * Time::DAY_US, "anna@c.example", "198.51.100.7", "0"), "NG"));
        assert!(run(&ImpossibleTravel, rows).is_empty());
    }
}
