//! Who is suspected after the first pass, and whether a row is a suspect's doing.

use matagi_model::tables::CommonView;
use matagi_model::{Context, EntityKind, Finding, Ip, Role, Severity, Stage, Suspects, Suspicion, Time};

use super::{is_strange, is_usual_address};

/// A finding that names more users or addresses than this is about the organisation, not about one account.
const NAMED_MAX: usize = 20;

/// Logs of different services do not tell time alike; what a finding names first may have been second.
const LOG_SKEW_US: i64 = 30 * Time::MINUTE_US;

/// The suspects of the first pass: what findings about getting in say of sessions, places and users.
pub fn suspects(findings: &[Finding], context: &Context) -> Suspects {
    let mut suspects = Suspects::default();
    // What is merely new (a first sign-in by device code at one's own desk) makes nobody a suspect.
    let is_telling = |finding: &Finding| {
        finding.severity >= Severity::High
            || (finding.severity == Severity::Medium && finding.reasons.iter().any(|reason| is_strange(&reason.code)))
    };
    let entered = |finding: &&Finding| {
        matches!(finding.stage, Stage::CredentialAcquisition | Stage::InitialAccess) && is_telling(finding)
    };
    for finding in findings.iter().filter(entered) {
        let suspicion = Suspicion {
            finding: finding.id(),
            catalogue: finding.catalogue.clone(),
            severity: finding.severity,
            first_time: finding.first_time(),
            last_time: finding.last_time(),
        };
        for session in named(finding, EntityKind::Session, &[Role::Source]) {
            suspects.add_session(session, &suspicion);
        }
        // Whom a spray tried in vain is a target; whose password it found is a victim.
        let users = named(finding, EntityKind::User, &[Role::Victim, Role::Actor]);
        let ips = named(finding, EntityKind::Ip, &[Role::Source]);
        for user in users {
            suspects.add_entry(user, &suspicion);
            for ip in ips.iter().filter_map(|ip| ip.parse::<std::net::IpAddr>().ok()).map(Ip::from) {
                if !is_own(user, ip, suspicion.first_time, context) {
                    suspects.add_place(user, ip, &suspicion);
                }
            }
        }
    }
    suspects
}

fn named<'a>(finding: &'a Finding, kind: EntityKind, roles: &[Role]) -> Vec<&'a str> {
    let named: Vec<&str> = finding
        .entities()
        .filter(|(entity, role)| entity.kind == kind && roles.contains(role))
        .map(|(entity, _)| entity.value.as_str())
        .collect();
    if named.len() > NAMED_MAX { Vec::new() } else { named }
}

/// Whether an address was the user's own at a time: the thief shares the session with its owner, but not the owner's desk.
fn is_own(user: &str, ip: Ip, time: Time, context: &Context) -> bool {
    context.estate.users.get(user).is_some_and(|profile| is_usual_address(profile, ip, time))
}

/// Why what this row did is suspected: its session or its user's place is, and it does not come from the user's own desk.
pub fn suspicion<'a>(row: &CommonView<'_>, index: usize, context: &'a Context) -> Option<&'a Suspicion> {
    let suspects = &context.suspects;
    let (user, ip) = (row.user_name.get(index), row.src_ip.get(index));
    let is_at_home = || user.zip(ip).is_some_and(|(user, ip)| is_own(user, ip, row.time.get(index), context));
    let by_session = row.session_uid.get(index).and_then(|session| suspects.session(session)).filter(|_| !is_at_home());
    let suspicion = by_session.or_else(|| suspects.place(user?, ip?))?;
    // A session that was stolen later was the owner's before.
    let time = row.time.get(index);
    let is_after =
        !time.is_known() || !suspicion.first_time.is_known() || time.since_us(suspicion.first_time) >= -LOG_SKEW_US;
    is_after.then_some(suspicion)
}

#[cfg(test)]
mod tests {
    use matagi_model::{Entity, Evidence};

    use super::*;
    use crate::analytics::mailbox::new_place::NewPlace;
    use crate::testing::{batches, learnt, office_days, run, sign_in, usage};
    use matagi_model::tables::{CommonView, SaasOwn};

    /// Anna at her desk for twelve days, then somebody from elsewhere.
    fn evidence() -> Vec<crate::testing::Row> {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..12);
        rows.push(sign_in(11 * Time::DAY_US, "anna@c.example", "198.51.100.7", "0"));
        rows
    }

    #[test]
    fn the_thief_is_suspected_and_the_desk_is_not() {
        let mut rows = evidence();
        for ip in ["192.0.2.1", "198.51.100.7"] {
            rows.push(usage(11 * Time::DAY_US + 5, "anna@c.example", ip, "Send", SaasOwn::default()));
        }
        let batches = batches(rows);
        let mut context = learnt(&batches);
        let mut finding = run(&NewPlace, evidence()).remove(0);
        finding.severity = Severity::High;
        context.suspects = suspects(&[finding], &context).into();
        let sent = batches.last().unwrap();
        let row: CommonView<'_> = sent.common();
        let suspected: Vec<bool> = (0..2).map(|index| suspicion(&row, index, &context).is_some()).collect();
        let from: Vec<String> = (0..2).map(|index| row.src_ip.get(index).unwrap().to_string()).collect();
        for (ip, suspected) in from.iter().zip(suspected) {
            assert_eq!(suspected, ip == "198.51.100.7", "{ip}");
        }
    }

    #[test]
    fn those_whom_a_spray_tried_in_vain_are_not_suspected() {
        let context = Context::default();
        let evidence = Evidence {
            event_uid: matagi_model::Uid::default(),
            table: matagi_model::Table::Auth,
            time: Time(9),
            origin: matagi_model::Origin::default(),
            fact: String::new(),
        };
        let meta = matagi_model::Analytic::meta(&crate::analytics::mailbox::password_spray::PasswordSpray);
        let ip = Entity::ip(Ip::from(std::net::IpAddr::from([198, 51, 100, 7])));
        let finding = Finding::new(meta, Severity::High, evidence)
            .about(Entity::user("ben@c.example"), Role::Target)
            .about(ip, Role::Source);
        assert!(suspects(&[finding], &context).is_empty());
    }
}
