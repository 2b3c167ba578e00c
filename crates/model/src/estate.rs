//! What the evidence itself teaches about the organisation: its domains, its people, their habits.
//!
//! Built once, before any analytic runs, from the columns that every table has. Plain data: analytics ask, never write.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Entity, Ip, Time};

/// How often and when a user showed one feature (an address, a network, a country, a client).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FeatureUse {
    /// Events that showed it.
    pub events: u64,
    /// First time.
    pub first_time: Time,
    /// Last time.
    pub last_time: Time,
    /// Distinct days on which it was seen.
    pub days: BTreeSet<i32>,
    /// Distinct sessions that showed it, at most [`FeatureUse::SESSIONS_MAX`].
    pub sessions: BTreeSet<u64>,
}

impl FeatureUse {
    /// Sessions remembered for a feature: more than these and it is a habit anyway.
    pub const SESSIONS_MAX: usize = 16;
}

/// A user's habits, from successful events of that user only.
#[derive(Debug, Default, Clone)]
pub struct UserProfile {
    /// First known time.
    pub first_time: Time,
    /// Last known time.
    pub last_time: Time,
    /// Successful interactive sign-ins.
    pub sign_ins: u64,
    /// Days with any activity.
    pub days: BTreeSet<i32>,
    /// By address.
    pub ips: BTreeMap<Ip, FeatureUse>,
    /// Addresses from which a device that the directory manages signed in: the user carries it there.
    pub managed_ips: BTreeSet<Ip>,
    /// By autonomous system.
    pub asns: BTreeMap<u32, FeatureUse>,
    /// By country.
    pub countries: BTreeMap<String, FeatureUse>,
    /// By client family and operating system, such as `Chrome/Windows`.
    pub clients: BTreeMap<String, FeatureUse>,
}

/// What some record said of an address. Others about the same address may say nothing: Entra names country and network,
/// the audit log of the same event does not.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct LoggedPlace {
    /// ISO 3166-1 alpha-2 country.
    pub country: Option<String>,
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// Latitude and longitude, degrees.
    pub position: Option<(f64, f64)>,
}

/// What the evidence teaches about the organisation.
#[derive(Debug, Default, Clone)]
pub struct Estate {
    /// Domains that belong to the organisation, lower case.
    pub domains: BTreeSet<String>,
    /// Habits by user principal name.
    pub users: BTreeMap<String, UserProfile>,
    /// Users that used an autonomous system successfully, by its number: many adopters make it the organisation's own.
    pub asn_users: BTreeMap<u32, BTreeSet<String>>,
    /// Users that used an address successfully: many make it a shared egress.
    pub ip_users: BTreeMap<Ip, BTreeSet<String>>,
    /// What some record said of an address, for all the records that do not.
    pub places: BTreeMap<Ip, LoggedPlace>,
    /// First known time of all evidence.
    pub first_time: Time,
    /// Last known time of all evidence.
    pub last_time: Time,
    /// Rules, rights, consents, devices and accounts that were taken away, and when last.
    pub removed: BTreeMap<Entity, Time>,
    /// Events by operation, for "absent is unknown".
    pub operations: BTreeMap<String, u64>,
}

impl Estate {
    /// Whether an e-mail address or user belongs to the organisation. Unknown when no domain is known: then nothing is external.
    pub fn is_internal(&self, address: &str) -> bool {
        let Some((_, domain)) = address.rsplit_once('@') else { return true };
        let domain = domain.trim_end_matches(['>', '.', ' ']).to_lowercase();
        self.domains.is_empty() || self.domains.contains(&domain)
    }
}
