//! Columns of a sign-in export whose names no spelling covers: a portal in a sixth language still writes dates, user
//! principal names and addresses.

use std::borrow::Cow;

use serde_json::Value;

use super::headers::SignIn;
use crate::fields::{Resolver, is_guid};
use crate::values;

/// Columns that the portal's sign-in export has at least; fewer do not show what the file is.
const COLUMNS_MIN: usize = 18;

/// What a value alone shows.
fn meaning(cell: &str) -> Option<SignIn> {
    let cell = cell.trim();
    if is_date(cell) {
        Some(SignIn::Created)
    } else if is_address(cell) {
        Some(SignIn::UserPrincipalName)
    } else if values::ip(cell).is_some() {
        Some(SignIn::Ip)
    } else if is_place(cell) {
        Some(SignIn::Location)
    } else {
        None
    }
}

fn is_date(cell: &str) -> bool {
    // Shorter digits only are an error code or an autonomous system number, and an epoch is not what a portal writes.
    cell.contains([':', 'T']) && cell.starts_with(|first: char| first.is_ascii_digit()) && {
        values::time(cell).is_some() || values::CultureDates::default().time(cell).is_some()
    }
}

fn is_address(cell: &str) -> bool {
    let Some((local, domain)) = cell.split_once('@') else { return false };
    !local.is_empty() && domain.contains('.') && !cell.contains(char::is_whitespace) && !domain.contains('@')
}

/// `Osaka, Osaka, JP`.
fn is_place(cell: &str) -> bool {
    let Some((before, country)) = cell.rsplit_once(", ") else { return false };
    before.contains(", ") && country.len() == 2 && country.bytes().all(|letter| letter.is_ascii_uppercase())
}

/// Gives the columns without a known name the meaning that their values show, for fields that no name has claimed.
pub(super) fn assign(resolver: &mut Resolver<SignIn>, columns: &[(Cow<'_, str>, Value)]) {
    // Every name must have been seen before a field counts as unclaimed.
    let unknown: Vec<_> = columns.iter().filter(|(name, _)| resolver.is_unknown(name)).collect();
    for (name, value) in unknown {
        let Some(cell) = value.as_str().filter(|cell| !cell.trim().is_empty()) else { continue };
        if let Some(field) = meaning(cell).filter(|field| !resolver.has(*field)) {
            resolver.assign(name, field);
        }
    }
}

/// Whether a row's values alone show a sign-in of the portal: a date, identifiers, a user, an address and a place.
pub(super) fn is_sign_in_row<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    let (mut count, mut guids, mut dates, mut users, mut addresses, mut places) = (0, 0, 0, 0, 0, 0);
    for cell in cells {
        count += 1;
        guids += usize::from(is_guid(cell.trim()));
        match meaning(cell) {
            Some(SignIn::Created) => dates += 1,
            Some(SignIn::UserPrincipalName) => users += 1,
            Some(SignIn::Ip) => addresses += 1,
            Some(SignIn::Location) => places += 1,
            _ => {}
        }
    }
    count >= COLUMNS_MIN && guids >= 4 && dates == 1 && users >= 1 && addresses >= 1 && places == 1
}
