//! One pass over what every table has, to learn the organisation: its domains, its people, their habits.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use matagi_model::columns::Cell;
use matagi_model::tables::{CommonView, IamView};
use matagi_model::{AddressBook, Estate, EventBatch, FeatureUse, LoggedPlace, Settings, Table, Time, UserProfile};

use super::{Place, REMOVAL_COLUMNS, SignIn, class, client, is_person, is_service_side, logged_place, place, removal};

/// What a habit is learnt from, in every table of people.
const COLUMNS: [&str; 14] = [
    "time",
    "api_operation",
    "user_name",
    "user_type",
    "src_ip",
    "src_country",
    "src_asn",
    "src_latitude",
    "src_longitude",
    "user_agent",
    "session_uid",
    "status_id",
    "status_code",
    "status_detail",
];

/// Addresses remembered for one user: a phone changes them daily, an attacker's script by the minute.
const IPS_PER_USER_MAX: usize = 2_000;
/// Users remembered behind one address or network: beyond it, it is shared anyway.
const USERS_PER_PLACE_MAX: usize = 64;
/// Users profiled; more are still searched, but have no habits.
const USERS_MAX: usize = 500_000;
/// Removals remembered; beyond it incidents ask for the removal of what may be gone.
const REMOVED_MAX: usize = 500_000;
/// Operations counted; a hostile file may invent them.
const OPERATIONS_MAX: usize = 5_000;

/// Learns the organisation from all evidence, batch by batch. Only what succeeded teaches a habit.
pub struct Learner<'a> {
    addresses: &'a dyn AddressBook,
    estate: Estate,
    /// Users seen by domain, to tell the organisation from its guests.
    domains: BTreeMap<String, u64>,
}

/// What only a sign-in says.
#[derive(Debug, Clone, Copy)]
struct Logon<'a> {
    kind: Option<&'a str>,
    is_managed: bool,
}

impl<'a> Learner<'a> {
    /// Knows nothing yet.
    pub fn new(addresses: &'a dyn AddressBook) -> Self {
        Self { addresses, estate: Estate::default(), domains: BTreeMap::new() }
    }

    /// What it reads of a table; mail is nobody's habit.
    pub fn columns(table: Table) -> Vec<&'static str> {
        match table {
            Table::Auth => COLUMNS.iter().copied().chain(["logon_kind", "device_is_managed"]).collect(),
            Table::Iam => COLUMNS.iter().copied().chain(REMOVAL_COLUMNS).collect(),
            Table::Saas => COLUMNS.to_vec(),
            Table::Email => Vec::new(),
        }
    }

    /// Learns from the next rows.
    pub fn batch(&mut self, batch: &EventBatch) {
        if batch.table == Table::Email {
            return;
        }
        if batch.table == Table::Iam {
            self.changes(batch);
        }
        let row = batch.common();
        let kind = <Option<String> as Cell>::view(batch.columns.column_by_name("logon_kind"));
        let managed = <Option<bool> as Cell>::view(batch.columns.column_by_name("device_is_managed"));
        for index in 0..batch.rows() {
            let logon = Logon { kind: kind.get(index), is_managed: managed.get(index) == Some(true) };
            self.row(batch.table, &row, index, logon);
        }
    }

    fn changes(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in (0..batch.rows()).filter(|&index| row.status_id.get(index) != Some(2)) {
            // An export of rules alone names no one who acts, but it names the organisation's own mailboxes.
            let listed = row.own.mailbox.get(index).filter(|_| row.api_operation.get(index) == Some("Get-InboxRule"));
            if let Some((_, domain)) = listed.and_then(|mailbox| mailbox.rsplit_once('@')) {
                *self.domains.entry(domain.to_lowercase()).or_default() += 1;
            }
            let Some(entity) = removal(&row, index).filter(|_| self.estate.removed.len() < REMOVED_MAX) else {
                continue;
            };
            let last = self.estate.removed.entry(entity).or_default();
            *last = (*last).max(row.time.get(index));
        }
    }

    /// The organisation as it showed itself.
    pub fn finish(mut self, settings: &Settings) -> Estate {
        self.estate.domains.extend(settings.domains.iter().map(|domain| domain.to_lowercase()));
        self.estate.domains.extend(own_domains(&self.domains));
        self.estate
    }

    fn row(&mut self, table: Table, row: &CommonView<'_>, index: usize, logon: Logon<'_>) {
        let time = row.time.get(index);
        if time.is_known() {
            let estate = &mut self.estate;
            if !estate.first_time.is_known() || time < estate.first_time {
                estate.first_time = time;
            }
            estate.last_time = estate.last_time.max(time);
        }
        self.count_operation(row.api_operation.get(index));
        let (user, user_type) = (row.user_name.get(index), row.user_type.get(index));
        let Some(user) = user.filter(|_| !is_service_side(user, user_type)) else { return };
        let succeeded = match table {
            Table::Auth => {
                let class = class(
                    row.status_code.get(index),
                    row.status_detail.get(index),
                    row.status_id.get(index).unwrap_or(0),
                );
                class == SignIn::Ok
            }
            _ => row.status_id.get(index) != Some(2),
        };
        if !succeeded {
            return;
        }
        if let Some((_, domain)) = user.rsplit_once('@').filter(|(local, _)| !local.contains("#ext#")) {
            *self.domains.entry(domain.to_owned()).or_default() += 1;
        }
        if is_person(Some(user), user_type, row.src_ip.get(index)) && logon.kind != Some("service_principal") {
            self.habit(table, row, index, user, time, logon);
        }
    }

    fn count_operation(&mut self, operation: Option<&str>) {
        let Some(operation) = operation else { return };
        if let Some(count) = self.estate.operations.get_mut(operation) {
            *count += 1;
        } else if self.estate.operations.len() < OPERATIONS_MAX {
            self.estate.operations.insert(operation.to_owned(), 1);
        }
    }

    fn habit(&mut self, table: Table, row: &CommonView<'_>, index: usize, user: &str, time: Time, logon: Logon<'_>) {
        let Some(place) = self.place(row, index) else { return };
        if place.microsoft {
            return;
        }
        if !self.estate.users.contains_key(user) {
            if self.estate.users.len() >= USERS_MAX {
                return;
            }
            self.estate.users.insert(user.to_owned(), UserProfile::default());
        }
        let profile = self.estate.users.get_mut(user).expect("inserted above");
        let session = session_of(row, index, time);
        if time.is_known() {
            if !profile.first_time.is_known() || time < profile.first_time {
                profile.first_time = time;
            }
            profile.last_time = profile.last_time.max(time);
            profile.days.insert(time.day());
        }
        if table == Table::Auth && logon.kind != Some("non_interactive") {
            profile.sign_ins += 1;
        }
        if profile.ips.len() < IPS_PER_USER_MAX || profile.ips.contains_key(&place.ip) {
            note(profile.ips.entry(place.ip).or_default(), time, session);
            if logon.is_managed {
                profile.managed_ips.insert(place.ip);
            }
        }
        if let Some(country) = &place.country {
            note(profile.countries.entry(country.clone()).or_default(), time, session);
        }
        if let Some(user_agent) = row.user_agent.get(index) {
            note(profile.clients.entry(client(user_agent).name()).or_default(), time, session);
        }
        remember(self.estate.ip_users.entry(place.ip).or_default(), user);
        if let Some(asn) = place.asn {
            note(profile.asns.entry(asn).or_default(), time, session);
            remember(self.estate.asn_users.entry(asn).or_default(), user);
        }
    }

    fn place(&mut self, row: &CommonView<'_>, index: usize) -> Option<Place> {
        const PLACES_MAX: usize = 200_000;
        let ip = row.src_ip.get(index)?;
        let logged = logged_place(row, index);
        let places = &mut self.estate.places;
        if logged != LoggedPlace::default() && (places.len() < PLACES_MAX || places.contains_key(&ip)) {
            let known = places.entry(ip).or_default();
            known.country = known.country.take().or(logged.country);
            known.asn = known.asn.or(logged.asn);
            known.position = known.position.or(logged.position);
        }
        place(row, index, places, self.addresses)
    }
}

/// The organisation's domains: those in which its users act. A free-mail domain is somebody's guest, never ours.
fn own_domains(domains: &BTreeMap<String, u64>) -> Vec<String> {
    let total: u64 = domains.values().sum();
    domains
        .iter()
        .filter(|(domain, _)| !super::dictionary().is_free_mail(domain))
        // A domain with one act in a thousand is a partner working as a guest.
        .filter(|(domain, count)| domain.ends_with(".onmicrosoft.com") || **count * 1_000 >= total)
        .map(|(domain, _)| domain.clone())
        .collect()
}

fn session_of(row: &CommonView<'_>, index: usize, time: Time) -> u64 {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    match row.session_uid.get(index) {
        Some(session) => hasher.hash_one(session),
        // Without a session id, one address on one day is one session.
        None => hasher.hash_one((row.src_ip.get(index), time.day())),
    }
}

fn note(feature: &mut FeatureUse, time: Time, session: u64) {
    feature.events += 1;
    if feature.sessions.len() < FeatureUse::SESSIONS_MAX {
        feature.sessions.insert(session);
    }
    if time.is_known() {
        if !feature.first_time.is_known() || time < feature.first_time {
            feature.first_time = time;
        }
        feature.last_time = feature.last_time.max(time);
        feature.days.insert(time.day());
    }
}

fn remember(users: &mut std::collections::BTreeSet<String>, user: &str) {
    if users.len() < USERS_PER_PLACE_MAX && !users.contains(user) {
        users.insert(user.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::{Auth, AuthBuilder, AuthOwn, Common};
    use matagi_model::{Ip, NoAddressBook};

    use super::*;

    #[test]
    fn only_success_teaches() {
        let mut builder = AuthBuilder::default();
        for (code, status, ip) in [("0", 1, [192, 0, 2, 1]), ("50126", 2, [203, 0, 113, 9])] {
            builder.push(Auth {
                common: Common {
                    time: Time(Time::DAY_US),
                    user_name: Some("anna@contoso.example".into()),
                    src_ip: Some(Ip::from(std::net::IpAddr::from(ip))),
                    status_code: Some(code.into()),
                    status_id: status,
                    ..Common::default()
                },
                own: AuthOwn::default(),
                raw: None,
            });
        }
        let mut learner = Learner::new(&NoAddressBook);
        learner.batch(&builder.finish());
        let estate = learner.finish(&Settings::default());
        assert_eq!(estate.users["anna@contoso.example"].ips.len(), 1);
        assert!(estate.domains.contains("contoso.example"));
        assert!(estate.is_internal("Ben@Contoso.example") && !estate.is_internal("x@gmail.com"));
    }
}
