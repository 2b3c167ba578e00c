//! How unusual the circumstances of one event are for the user behind it.

use matagi_model::tables::CommonView;
use matagi_model::{Context, Reason, UserProfile};

use super::{Client, Novelty, Place, client, is_service_side, novelty, novelty_of_attempt, place};

/// The circumstances of one event, judged against the user's habits.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Who.
    pub user: String,
    /// From where.
    pub place: Place,
    /// With what.
    pub client: Option<Client>,
    /// Whether the address is new for the user.
    pub address: Novelty,
    /// Whether the autonomous system is.
    pub network: Novelty,
    /// Whether the country is.
    pub country: Novelty,
    /// Whether the client is.
    pub program: Novelty,
    /// Many users of the organisation use this network: its own, or a provider's.
    pub is_common_network: bool,
    /// A device that the directory manages signed in from this address as this user.
    pub is_managed: bool,
}

/// What an analytic of changes reads: the change itself, and the circumstances in which it was made ([`surroundings`]).
pub const CHANGE_COLUMNS: &[&str] = &[
    "entity_type",
    "entity_name",
    "entity_uid",
    "mailbox",
    "parameters",
    "modified",
    "status_id",
    "user_type",
    "user_uid",
    "src_country",
    "src_asn",
    "src_latitude",
    "src_longitude",
    "user_agent",
    "session_uid",
    "app_uid",
    "correlation_uid",
];

/// Users of an autonomous system that make it the organisation's own; and the share of all users that they must be.
const ADOPTERS_MIN: usize = 3;
const ADOPTERS_SHARE: usize = 10;

/// Judges one event; `None` for the service side, for addresses inside and for Microsoft's own.
pub fn surroundings(row: &CommonView<'_>, index: usize, context: &Context) -> Option<Surroundings> {
    let user = row.user_name.get(index)?;
    if is_service_side(Some(user), row.user_type.get(index)) {
        return None;
    }
    let place =
        place(row, index, &context.estate.places, context.addresses.as_ref()).filter(|place| !place.microsoft)?;
    let time = row.time.get(index);
    let client = row.user_agent.get(index).map(client);
    let empty = UserProfile::default();
    let profile = context.estate.users.get(user).unwrap_or(&empty);
    let country = place.country.as_ref().map_or(Novelty::Unknown, |country| {
        novelty(profile, profile.countries.get(country), profile.countries.values(), time)
    });
    let network =
        place.asn.map_or(Novelty::Unknown, |asn| novelty(profile, profile.asns.get(&asn), profile.asns.values(), time));
    let program = client.as_ref().map_or(Novelty::Unknown, |client| {
        novelty(profile, profile.clients.get(&client.name()), profile.clients.values(), time)
    });
    let adopters =
        place.asn.and_then(|asn| context.estate.asn_users.get(&asn)).map_or(0, std::collections::BTreeSet::len);
    Some(Surroundings {
        user: user.to_owned(),
        address: novelty(profile, profile.ips.get(&place.ip), profile.ips.values(), time),
        is_managed: profile.managed_ips.contains(&place.ip),
        is_common_network: adopters >= ADOPTERS_MIN && adopters * ADOPTERS_SHARE >= context.estate.users.len(),
        place,
        client,
        network,
        country,
        program,
    })
}

/// Judges a sign-in that was stopped; `None` as in [`surroundings`]. Habits are learnt from successes, so that a country
/// from which nobody ever got in is in no profile, and new.
pub fn surroundings_of_attempt(row: &CommonView<'_>, index: usize, context: &Context) -> Option<Surroundings> {
    let around = surroundings(row, index, context)?;
    let Some(profile) = context.estate.users.get(&around.user) else { return Some(around) };
    let time = row.time.get(index);
    let ip = &around.place.ip;
    let address = novelty_of_attempt(profile, profile.ips.get(ip), profile.ips.values(), time);
    let country = around.place.country.as_ref().map_or(Novelty::Unknown, |country| {
        novelty_of_attempt(profile, profile.countries.get(country), profile.countries.values(), time)
    });
    let network = around.place.asn.map_or(Novelty::Unknown, |asn| {
        novelty_of_attempt(profile, profile.asns.get(&asn), profile.asns.values(), time)
    });
    let program = around.client.as_ref().map_or(Novelty::Unknown, |client| {
        novelty_of_attempt(profile, profile.clients.get(&client.name()), profile.clients.values(), time)
    });
    Some(Surroundings { address, network, country, program, ..around })
}

/// Whether a reason of [`Surroundings::reasons`] marks unusual circumstances.
pub fn is_strange(code: &str) -> bool {
    matches!(code, "new-country" | "new-network" | "new-address" | "hosting-network" | "tool-client")
}

impl Surroundings {
    /// What stands for the place when visits are counted: one network in one country is one place; where neither is known,
    /// the address's network is.
    pub fn place_key(&self) -> String {
        match (&self.place.country, self.place.asn) {
            (None, None) => self.place.ip.place().to_string(),
            (country, asn) => format!("{country:?} {asn:?}"),
        }
    }

    /// The place in words: country and network, else the address.
    pub fn place_name(&self) -> String {
        match (&self.place.country, self.place.asn) {
            (None, None) => self.place.ip.to_string(),
            _ => format!("{} ({})", self.place.country_name(), self.place.network()),
        }
    }

    /// Whether the place itself is new: the country, the network, or, where neither is known, the address.
    pub fn is_new_place(&self) -> bool {
        if self.country.is_new() || (self.network.is_new() && !self.is_common_network) {
            return true;
        }
        self.place.asn.is_none() && self.place.country.is_none() && self.address.is_new()
    }

    /// Whether the judgement rests on a short history.
    pub fn is_cold(&self) -> bool {
        [self.address, self.network, self.country].contains(&Novelty::NewCold)
    }

    /// Whether a tool acted that no person reads mail with.
    pub fn is_tool(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.is_tool)
    }

    /// What speaks for the owner on a journey, with a negative weight: a device that the directory manages, or the owner's
    /// own mail program, where people sit. A browser of the same family proves little, a hosting network everything.
    pub fn owner_reason(&self) -> Option<Reason> {
        let client = self.client.as_ref().filter(|client| !client.is_tool && !self.place.hosting)?;
        let args = || [("user", self.user.clone()), ("client", client.name()), ("ip", self.place.ip.to_string())];
        if self.is_managed && !self.program.is_new() {
            return Some(Reason::new("own-device", -3.0, args()));
        }
        (!client.is_browser() && self.program == Novelty::Known).then(|| Reason::new("own-program", -3.0, args()))
    }

    /// What speaks against an ordinary event, with weights for the rule scores of the catalogue.
    pub fn reasons(&self) -> Vec<Reason> {
        let user = || ("user", self.user.clone());
        let ip = || ("ip", self.place.ip.to_string());
        let network = || ("network", self.place.network());
        let mut reasons = Vec::new();
        if self.country.is_new() {
            reasons.push(Reason::new("new-country", 3.0, [user(), ("country", self.place.country_name().to_owned())]));
        } else if self.network.is_new() && !self.is_common_network {
            reasons.push(Reason::new("new-network", 3.0, [user(), ip(), network()]));
        } else if self.is_new_place() {
            reasons.push(Reason::new("new-address", 3.0, [user(), ip()]));
        }
        if self.place.hosting {
            reasons.push(Reason::new("hosting-network", 1.0, [ip(), network()]));
        }
        match &self.client {
            Some(client) if client.is_tool => {
                reasons.push(Reason::new("tool-client", 2.0, [("client", client.name())]));
            }
            Some(client) if self.program == Novelty::New => {
                reasons.push(Reason::new("new-client", 1.0, [user(), ("client", client.name())]));
            }
            _ => {}
        }
        reasons
    }
}
