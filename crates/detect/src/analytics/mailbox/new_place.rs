//! A place that is new for a user (MBX-016): country, network or hosting range never seen for that person before.
//!
//! Every table is read, because a stolen token acts without a sign-in of its own.

use std::collections::BTreeMap;

use matagi_model::columns::Cell;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Reason, ReasonText, Role, Scan,
    Severity, Stage, Table, Text,
};

use crate::base::{SignIn, Surroundings, class, surroundings};

/// The analytic.
pub struct NewPlace;

const COLUMNS: &[&str] = &[
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
];

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/new-place",
    catalogue: &["MBX-016"],
    title: Text::new("{user} active from a new place: {place}", "{user} が初めての場所から活動: {place}"),
    question: Text::new(
        "Who worked from a country or network where that person never was?",
        "本人がこれまで使ったことのない国やネットワークから活動した者はいるか。",
    ),
    stage: Stage::InitialAccess,
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
                "device_uid",
                "device_is_managed",
            ],
            partition_by: &["user_name"],
        },
        Scan { table: Table::Iam, columns: COLUMNS, partition_by: &["user_name"] },
        Scan { table: Table::Saas, columns: COLUMNS, partition_by: &["user_name"] },
    ],
    parameters: &[],
    reasons: &[
        ReasonText::new(
            "acts",
            "{count} acts from there, {sign_ins} of them sign-ins",
            "そこからの操作は {count} 件、うちサインインは {sign_ins} 件です",
        ),
        ReasonText::new(
            "no-sign-in",
            "activity without any sign-in from there: as with a stolen token",
            "その場所からのサインイン記録がないまま操作されており、トークン窃取と同じ状況です",
        ),
        ReasonText::new(
            "relay",
            "a relay or gateway that many honest users share",
            "多くの正規ユーザーが共有する中継サービスです",
        ),
        ReasonText::new("managed-device", "a device that the organisation manages", "組織が管理する端末です"),
        ReasonText::new(
            "database-only",
            "the country comes from an address database, which may be wrong",
            "国名はアドレス情報データベースによるもので、誤りの可能性があります",
        ),
    ],
};

impl Analytic for NewPlace {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Places { context: context.clone(), places: BTreeMap::new() })
    }
}

/// Evidence kept of one place.
const KEPT_MAX: usize = 10;
/// Places reported at the most; an attack from more is told by other analytics.
const PLACES_MAX: usize = 100_000;

struct Visit {
    around: Surroundings,
    evidence: Vec<Evidence>,
    acts: u64,
    sign_ins: u64,
    is_managed: bool,
}

struct Places {
    context: Context,
    places: BTreeMap<(String, String), Visit>,
}

impl Fold for Places {
    fn batch(&mut self, batch: &EventBatch) {
        let row = batch.common();
        let managed = <Option<bool> as Cell>::view(batch.columns.column_by_name("device_is_managed"));
        for index in 0..batch.rows() {
            let is_sign_in = batch.table == Table::Auth;
            let status = row.status_id.get(index).unwrap_or(0);
            let succeeded = if is_sign_in {
                class(row.status_code.get(index), row.status_detail.get(index), status) == SignIn::Ok
            } else {
                status != 2
            };
            if !succeeded {
                continue;
            }
            let Some(around) = surroundings(&row, index, &self.context).filter(Surroundings::is_new_place) else {
                continue;
            };
            let key = (around.user.clone(), around.place_key());
            if self.places.len() >= PLACES_MAX && !self.places.contains_key(&key) {
                continue;
            }
            let place = format!("{} {}", around.place.country_name(), around.place.network());
            let visit = self.places.entry(key).or_insert_with(|| Visit {
                around,
                evidence: Vec::new(),
                acts: 0,
                sign_ins: 0,
                is_managed: false,
            });
            visit.acts += 1;
            visit.sign_ins += u64::from(is_sign_in);
            visit.is_managed |= managed.get(index) == Some(true);
            if visit.evidence.len() < KEPT_MAX {
                visit.evidence.push(Evidence::of(batch.table, &row, index, &place));
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.places.into_values().map(Visit::finding).collect()
    }
}

impl Visit {
    fn finding(self) -> Finding {
        let around = &self.around;
        let mut evidence = self.evidence;
        evidence.sort();
        let kept = evidence.len() as u64;
        let mut evidence = evidence.into_iter();
        let mut finding = Finding::new(&META, Severity::Low, evidence.next().expect("a visit has evidence"))
            .titled("user", &around.user)
            .titled("place", around.place_name())
            .about(Entity::user(&around.user), Role::Victim)
            .about(Entity::ip(around.place.ip), Role::Source)
            .because(Reason::new(
                "acts",
                0.0,
                [("count", self.acts.to_string()), ("sign_ins", self.sign_ins.to_string())],
            ));
        finding = around.reasons().into_iter().fold(finding, Finding::because);
        let mut severity = if around.country.is_new() { Severity::Medium } else { Severity::Low };
        let is_tool = around.is_tool();
        let is_new_program = around.program == crate::base::Novelty::New;
        if around.place.hosting {
            severity = severity.raised();
        }
        if is_tool || (is_new_program && (around.country.is_new() || around.place.hosting)) {
            severity = severity.raised();
        }
        if self.sign_ins == 0 && !around.is_cold() {
            finding = finding.because(Reason::new("no-sign-in", 1.0, []));
        }
        for (is_so, code) in
            [(around.place.relay, "relay"), (self.is_managed, "managed-device"), (around.is_cold(), "cold")]
        {
            if is_so {
                severity = severity.lowered();
                finding = finding.because(Reason::new(code, -1.0, [("user", around.user.clone())]));
            }
        }
        if around.country.is_new() && !around.place.country_is_logged {
            severity = severity.min(if around.place.hosting || is_tool { Severity::High } else { Severity::Medium });
            finding = finding.because(Reason::new("database-only", 0.0, []));
        }
        finding.severity = severity.min(Severity::High);
        evidence.fold(finding, Finding::proved_by).and_more(self.acts.saturating_sub(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Row, office_days, run, sign_in};
    use matagi_model::Time;

    fn at(mut row: Row, country: &str, asn: u32) -> Row {
        if let Row::Auth(auth) = &mut row {
            auth.common.src_country = Some(country.to_owned());
            auth.common.src_asn = Some(asn);
        }
        row
    }

    #[test]
    fn a_new_country_is_medium_and_a_new_provider_at_home_is_low() {
        let mut rows: Vec<_> =
            office_days("anna@c.example", "192.0.2.1", 0..12).into_iter().map(|row| at(row, "JP", 64_500)).collect();
        rows.push(at(sign_in(11 * Time::DAY_US, "anna@c.example", "198.51.100.7", "0"), "NG", 64_501));
        rows.push(at(sign_in(11 * Time::DAY_US + 7, "anna@c.example", "203.0.113.7", "0"), "JP", 64_502));
        let mut found: Vec<_> =
            run(&NewPlace, rows).iter().map(|one| (one.severity, one.title_args["place"].clone())).collect();
        found.sort();
        assert_eq!(found, [(Severity::Low, "JP (AS64502)".to_owned()), (Severity::Medium, "NG (AS64501)".to_owned())]);
    }

    #[test]
    fn the_usual_place_is_nothing() {
        assert!(run(&NewPlace, office_days("anna@c.example", "192.0.2.1", 0..12)).is_empty());
    }
}
