//! Where an address is, from the log first and reference data second.

use std::collections::BTreeMap;

use matagi_model::tables::CommonView;
use matagi_model::{AddressBook, Ip, LoggedPlace};

/// Where something came from, and how sure we are.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent facts, none of them a state")]
pub struct Place {
    /// The address.
    pub ip: Ip,
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// Its name.
    pub as_name: Option<String>,
    /// ISO 3166-1 alpha-2 country.
    pub country: Option<String>,
    /// Whether the log itself said the country. Databases disagree about hosting and VPN ranges: a country that only
    /// they know never makes a finding more than medium.
    pub country_is_logged: bool,
    /// Whether log and database name the same country, when both do.
    pub countries_agree: bool,
    /// Latitude and longitude, degrees: the log's, else the middle of the country.
    pub position: Option<(f64, f64)>,
    /// A hosting, VPN or Tor range.
    pub hosting: bool,
    /// Microsoft's own network: no person sits there.
    pub microsoft: bool,
    /// A relay that many honest users share.
    pub relay: bool,
}

impl Place {
    /// `AS20473 The Constant Company`, or `-`.
    pub fn network(&self) -> String {
        match (self.asn, &self.as_name) {
            (Some(asn), Some(name)) => format!("AS{asn} {name}"),
            (Some(asn), None) => format!("AS{asn}"),
            (None, Some(name)) => name.clone(),
            (None, None) => "-".to_owned(),
        }
    }

    /// Whether two places are two networks; where the networks are not known, two addresses of one family that are no
    /// neighbours. One machine has an address of either family, often in one and the same system.
    pub fn is_elsewhere(&self, other: &Self) -> bool {
        if let (Some(one), Some(two)) = (self.asn, other.asn) {
            return one != two;
        }
        self.ip.addr().is_ipv4() == other.ip.addr().is_ipv4() && self.ip.place() != other.ip.place()
    }

    /// The country, or `-`.
    pub fn country_name(&self) -> &str {
        self.country.as_deref().unwrap_or("-")
    }
}

/// Autonomous systems of Microsoft's services.
const MICROSOFT_ASNS: [u32; 3] = [8068, 8069, 8075];

/// What a row itself says of its address.
pub fn logged_place(row: &CommonView<'_>, index: usize) -> LoggedPlace {
    let position = match (row.src_latitude.get(index), row.src_longitude.get(index)) {
        (Some(latitude), Some(longitude)) if (latitude, longitude) != (0.0, 0.0) => Some((latitude, longitude)),
        _ => None,
    };
    LoggedPlace {
        country: row.src_country.get(index).filter(|country| country.len() == 2).map(str::to_uppercase),
        asn: row.src_asn.get(index),
        position,
    }
}

/// The place of a row's address; `None` if the row has no address outside. What the row does not say, another record of
/// the same address may (`places`), else reference data.
pub fn place(
    row: &CommonView<'_>,
    index: usize,
    places: &BTreeMap<Ip, LoggedPlace>,
    addresses: &dyn AddressBook,
) -> Option<Place> {
    let ip = row.src_ip.get(index).filter(|ip| !ip.is_internal())?;
    let facts = addresses.facts(ip);
    let mut logged = logged_place(row, index);
    if let Some(other) = places.get(&ip) {
        logged.country = logged.country.or_else(|| other.country.clone());
        logged.asn = logged.asn.or(other.asn);
        logged.position = logged.position.or(other.position);
    }
    let asn = logged.asn.or(facts.asn);
    let country = logged.country.clone().or_else(|| facts.country.clone());
    Some(Place {
        ip,
        asn,
        as_name: facts.as_name,
        country_is_logged: logged.country.is_some(),
        countries_agree: logged.country.is_none() || facts.country.is_none() || logged.country == facts.country,
        position: logged.position.or_else(|| super::dictionary().centroid(country.as_deref()?)),
        country,
        hosting: facts.hosting,
        microsoft: facts.microsoft || asn.is_some_and(|asn| MICROSOFT_ASNS.contains(&asn)),
        relay: facts.relay,
    })
}

/// Great-circle distance, kilometres (haversine over a sphere of 6,371 km).
pub fn distance_km(one: (f64, f64), two: (f64, f64)) -> f64 {
    let (latitude_1, latitude_2) = (one.0.to_radians(), two.0.to_radians());
    let half_latitude = (latitude_2 - latitude_1) / 2.0;
    let half_longitude = (two.1 - one.1).to_radians() / 2.0;
    let a = half_latitude.sin().powi(2) + latitude_1.cos() * latitude_2.cos() * half_longitude.sin().powi(2);
    2.0 * 6_371.0 * a.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokyo_to_london_is_9560_km() {
        let km = distance_km((35.68, 139.69), (51.51, -0.13));
        assert!((km - 9_560.0).abs() < 20.0, "{km}");
    }
}
