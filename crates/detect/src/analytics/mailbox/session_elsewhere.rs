//! One session in two places (MBX-017): a session id that another network or country uses too was taken along by somebody.

use std::collections::BTreeMap;
use std::sync::Arc;

use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Reason, ReasonText, Role, Scan,
    Severity, Stage, Table, Text, Time,
};

use crate::base::{Surroundings, surroundings};

/// The analytic.
pub struct SessionElsewhere;

const COLUMNS: &[&str] =
    &["status_id", "user_type", "src_country", "src_asn", "src_latitude", "src_longitude", "user_agent", "session_uid"];

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/session-elsewhere",
    catalogue: &["MBX-017"],
    title: Text::new("Session of {user} used from a second place", "{user} のセッションが別の場所から使われている"),
    question: Text::new(
        "Is one session used from two networks at a time?",
        "一つのセッションが複数のネットワークから使われていないか。",
    ),
    stage: Stage::InitialAccess,
    attack: &["T1539", "T1550.004"],
    scans: &[
        Scan { table: Table::Auth, columns: COLUMNS, partition_by: &["user_name"] },
        Scan { table: Table::Iam, columns: COLUMNS, partition_by: &["user_name"] },
        Scan { table: Table::Saas, columns: COLUMNS, partition_by: &["user_name"] },
    ],
    parameters: &[],
    reasons: &[
        ReasonText::new(
            "second-place",
            "session {session} from {first} ({first_ip}) and from {second} ({second_ip})",
            "セッション {session} が {first}（{first_ip}）と {second}（{second_ip}）の両方から使われています",
        ),
        ReasonText::new(
            "other-client",
            "with another program: {first} and {second}",
            "使用プログラムも {first} と {second} で異なります",
        ),
        ReasonText::new(
            "interleaved",
            "both places alternate: nobody moved",
            "二つの場所が交互に現れており、移動では説明できません",
        ),
        ReasonText::new(
            "moved",
            "once from one to the other, with one program: as when a laptop moves",
            "同じプログラムのまま一度だけ場所が変わっており、ノートPCの移動と同様です",
        ),
    ],
};

impl Analytic for SessionElsewhere {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Sessions { context: context.clone(), sessions: BTreeMap::new() })
    }
}

/// Sessions watched; a million of them are some hundred megabytes.
const SESSIONS_MAX: usize = 500_000;
/// Places remembered for one session.
const PLACES_MAX: usize = 6;

/// What is kept of one place of a session: small, because most sessions have one place and no finding.
struct Stay {
    place: Arc<str>,
    around: Option<Box<(Surroundings, Evidence)>>,
    ip: matagi_model::Ip,
    country: Option<String>,
    client: Arc<str>,
    first: Time,
    last: Time,
    evidence: Evidence,
    acts: u64,
}

#[derive(Default)]
struct Session {
    stays: Vec<Stay>,
}

struct Sessions {
    context: Context,
    sessions: BTreeMap<(String, String), Session>,
}

impl Fold for Sessions {
    fn batch(&mut self, batch: &EventBatch) {
        let row = batch.common();
        for index in 0..batch.rows() {
            let (Some(user), Some(session)) = (row.user_name.get(index), row.session_uid.get(index)) else { continue };
            if row.status_id.get(index) == Some(2) {
                continue;
            }
            let key = (user.to_owned(), session.to_owned());
            if self.sessions.len() >= SESSIONS_MAX && !self.sessions.contains_key(&key) {
                continue;
            }
            let Some(around) = surroundings(&row, index, &self.context).filter(|around| !around.place.relay) else {
                continue;
            };
            let entry = self.sessions.entry(key).or_default();
            let place = place_name(&around);
            let time = row.time.get(index);
            if let Some(stay) =
                entry.stays.iter_mut().find(|stay| *stay.place == *place || stay.ip.place() == around.place.ip.place())
            {
                stay.acts += 1;
                stay.first = stay.first.min(time);
                stay.last = stay.last.max(time);
            } else if entry.stays.len() < PLACES_MAX {
                let evidence = Evidence::of(batch.table, &row, index, &format!("session {session}"));
                entry.stays.reserve_exact(1);
                entry.stays.push(Stay {
                    place: place.into(),
                    ip: around.place.ip,
                    country: around.place.country.clone(),
                    client: around.client.as_ref().map(crate::base::Client::name).unwrap_or_default().into(),
                    first: time,
                    last: time,
                    around: (!entry.stays.is_empty() || around.is_new_place())
                        .then(|| Box::new((around, evidence.clone()))),
                    evidence,
                    acts: 1,
                });
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let sessions = self.sessions.iter();
        // Between places that are both a habit, people and their programs move all day: nothing to tell.
        let is_told = |session: &Session| session.stays.len() > 1 && session.stays.iter().any(Stay::is_strange);
        let told = sessions.filter(|(_, session)| is_told(session));
        told.map(|((user, uid), session)| session.finding(user, uid)).collect()
    }
}

/// Two addresses of one autonomous system are one place; where no system is known, one network is.
fn place_name(around: &Surroundings) -> String {
    match around.place.asn {
        Some(_) => format!("{} {}", around.place.country_name(), around.place.network()),
        None => format!("{} {}", around.place.country_name(), around.place.ip.place()),
    }
}

impl Stay {
    fn is_strange(&self) -> bool {
        self.around.as_deref().is_some_and(|(around, _)| around.is_new_place())
    }
}

impl Session {
    fn finding(&self, user: &str, uid: &str) -> Finding {
        let mut stays: Vec<&Stay> = self.stays.iter().collect();
        stays.sort_by_key(|stay| (stay.first, stay.ip));
        let (first, second) = (stays[0], stays[1]);
        let is_interleaved = stays.windows(2).any(|pair| pair[1].first < pair[0].last);
        let other_client = !first.client.is_empty() && !second.client.is_empty() && first.client != second.client;
        let strange =
            stays.iter().filter_map(|stay| stay.around.as_deref()).filter(|(around, _)| around.is_new_place());
        let strange: Vec<&Surroundings> = strange.map(|(around, _)| around).collect();
        let short_uid: String = uid.chars().take(13).collect();
        let told = |name: &'static str, value: &str| (name, value.to_owned());
        let mut finding = Finding::new(&META, Severity::High, first.evidence.clone())
            .titled("user", user)
            .about(Entity::user(user), Role::Victim)
            .about(Entity::session(uid), Role::Source)
            .because(Reason::new(
                "second-place",
                5.0,
                [
                    told("session", &short_uid),
                    told("first", &first.place),
                    told("first_ip", &first.ip.to_string()),
                    told("second", &second.place),
                    told("second_ip", &second.ip.to_string()),
                ],
            ));
        let mut severity = Severity::Medium;
        let is_new_program =
            strange.iter().any(|around| around.is_tool() || around.program.is_new() || around.place.hosting);
        let is_abroad = stays.iter().any(|stay| stay.country != first.country);
        if other_client && is_new_program {
            severity = severity.raised();
            finding = finding.because(Reason::new(
                "other-client",
                3.0,
                [told("first", &first.client), told("second", &second.client)],
            ));
        }
        if is_interleaved || is_abroad {
            severity = severity.raised();
        }
        if is_interleaved {
            finding = finding.because(Reason::new("interleaved", 2.0, []));
        } else if !other_client && !is_abroad {
            severity = severity.lowered();
            finding = finding.because(Reason::new("moved", -2.0, []));
        }
        if let Some(around) = strange.first() {
            finding = around.reasons().into_iter().fold(finding, Finding::because);
        }
        // One session on a managed device that its owner takes along; a thief's place has no such sign-in.
        if let Some(reason) = strange.iter().map(|around| around.owner_reason()).collect::<Option<Vec<_>>>() {
            severity = severity.lowered().lowered();
            finding = reason.into_iter().take(1).fold(finding, Finding::because);
        }
        finding.severity = severity.min(Severity::High);
        for stay in &stays {
            finding = finding.about(Entity::ip(stay.ip), if stay.is_strange() { Role::Source } else { Role::Context });
        }
        let more = self.stays.iter().map(|stay| stay.acts).sum::<u64>().saturating_sub(stays.len() as u64);
        stays[1..].iter().fold(finding, |finding, stay| finding.proved_by(stay.evidence.clone())).and_more(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Row, office_days, run, sign_in};

    fn within(mut row: Row, session: &str, asn: u32) -> Row {
        if let Row::Auth(auth) = &mut row {
            auth.common.session_uid = Some(session.to_owned());
            auth.common.src_asn = Some(asn);
        }
        row
    }

    #[test]
    fn a_session_taken_along_to_another_network() {
        let mut rows: Vec<_> = office_days("anna@c.example", "192.0.2.1", 0..12)
            .into_iter()
            .map(|row| within(row, "s1", 64_500))
            .collect();
        rows.push(within(
            sign_in(11 * Time::DAY_US + 10 * Time::HOUR_US, "anna@c.example", "198.51.100.7", "0"),
            "s1",
            64_501,
        ));
        let found = run(&SessionElsewhere, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
    }

    #[test]
    fn one_place_is_nothing() {
        let rows = office_days("anna@c.example", "192.0.2.1", 0..12)
            .into_iter()
            .map(|row| within(row, "s1", 64_500))
            .collect();
        assert!(run(&SessionElsewhere, rows).is_empty());
    }
}
