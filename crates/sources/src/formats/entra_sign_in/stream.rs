//! Tells sign-ins from audit records within one input. An event hub or a workspace export holds both, and neither may
//! be lost because the first record was of the other kind.

use std::borrow::Cow;

use serde_json::Value;

use super::headers::SignIn;
use super::{columns, row};
use crate::fields::reading::{Mapping, Origin, Raw, Rows};
use crate::fields::{Record, Resolver, fold};
use crate::formats::entra_audit::{self, Audit};
use crate::records::JsonHead;
use crate::values::{self, CultureDates};

/// Rows in which a column without a known name may still show its meaning.
const ASSIGN_ROWS_MAX: u32 = 64;

/// What a record is taken for when it does not say itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sign-in.
    SignIn,
    /// A change of the directory.
    Audit,
}

/// A record whose columns are understood.
pub(crate) enum Parsed {
    /// A sign-in.
    SignIn(Record<SignIn>),
    /// A change of the directory.
    Audit(Record<Audit>),
}

/// Reads records of both kinds.
pub(crate) struct Stream {
    usual: Kind,
    sign_in: Resolver<SignIn>,
    audit: Resolver<Audit>,
    unassigned_rows: u32,
}

impl Stream {
    /// A reader that takes a record which does not name its kind for `usual`.
    pub fn new(usual: Kind) -> Self {
        Self { usual, sign_in: Resolver::default(), audit: Resolver::default(), unassigned_rows: 0 }
    }

    fn assign(&mut self, columns: &[(Cow<'_, str>, Value)]) {
        let needed = [SignIn::Created, SignIn::UserPrincipalName, SignIn::Ip];
        let is_complete = self.unassigned_rows > 0 && needed.iter().all(|field| self.sign_in.has(*field));
        if is_complete || self.unassigned_rows >= ASSIGN_ROWS_MAX || columns.iter().any(|(_, cell)| !cell.is_string()) {
            return;
        }
        self.unassigned_rows += 1;
        columns::assign(&mut self.sign_in, columns);
    }
}

/// Whether this category (or table) of a diagnostic stream holds sign-ins.
fn is_sign_in_category(category: &str) -> bool {
    let category = fold(category);
    category.contains("signinlogs") || category.contains("signinevents")
}

/// Whether it holds changes of the directory.
fn is_audit_category(category: &str) -> bool {
    fold(category) == "auditlogs"
}

/// Categories of the same diagnostic stream that are neither.
fn is_other_category(category: &str) -> bool {
    [
        "provisioninglogs",
        "riskyusers",
        "userriskevents",
        "riskyserviceprincipals",
        "serviceprincipalriskevents",
        "networkaccesstrafficlogs",
        "networkaccessalerts",
        "networkaccessconnectionevents",
        "remotenetworkhealthlogs",
        "enrichedoffice365auditlogs",
        "microsoftgraphactivitylogs",
        "b2crequestlogs",
        "customsecurityattributeauditlogs",
    ]
    .contains(&fold(category).as_str())
}

fn column<'a>(columns: &'a [(Cow<'_, str>, Value)], name: &str) -> Option<&'a Value> {
    columns.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The kind that a record names: the table of Log Analytics, or the category of the diagnostic stream.
fn kind_of(columns: &[(Cow<'_, str>, Value)]) -> Result<Option<Kind>, String> {
    for name in ["type", "category"] {
        let Some(text) = column(columns, name).and_then(Value::as_str) else { continue };
        if let Some(kind) = named(text) {
            return Ok(Some(kind));
        }
        if is_other_category(text) {
            return Err(format!("a record of {text}, which is neither a sign-in nor a change of the directory"));
        }
    }
    let is_audit = column(columns, "targetResources").is_some() && column(columns, "initiatedBy").is_some();
    Ok(is_audit.then_some(Kind::Audit))
}

/// What the head of an input shows of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadKind {
    /// A stream whose first record of ours is of this kind.
    Named(Kind),
    /// A diagnostic stream without any record of ours in its head.
    Foreign,
    /// No word about it: the names of the fields must tell.
    Unnamed,
}

/// The kind that the first object of an input names. Where it is of a neighbouring category, the rest of the head is
/// searched: an event hub mixes them.
pub(crate) fn kind_of_head(object: &JsonHead, head: &[u8]) -> HeadKind {
    let categories = ["category", "Category", "Type", "type"].iter().filter_map(|key| {
        let value = object.value(key).or_else(|| cut_value(&object.text, key))?;
        Some(value.trim_matches('"').to_owned())
    });
    for category in categories {
        if let Some(kind) = named(&category) {
            return HeadKind::Named(kind);
        }
        if is_other_category(&category) {
            let text = String::from_utf8_lossy(head);
            let later = text.split("\"category\"").skip(1).filter_map(|rest| {
                let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
                named(value.split_once('"')?.0)
            });
            return later.into_iter().next().map_or(HeadKind::Foreign, HeadKind::Named);
        }
    }
    HeadKind::Unnamed
}

fn named(category: &str) -> Option<Kind> {
    if is_sign_in_category(category) { Some(Kind::SignIn) } else { is_audit_category(category).then_some(Kind::Audit) }
}

/// The text after a key of an object that is cut off.
fn cut_value(text: &str, key: &str) -> Option<String> {
    let (_, after) = text.split_once(&format!("\"{key}\":\""))?;
    Some(after.split_once('"')?.0.to_owned())
}

/// Takes the record out of the envelope of Azure Monitor: its own properties first, then what only the envelope says.
fn unwrap(mut columns: Vec<(Cow<'_, str>, Value)>) -> Vec<(Cow<'_, str>, Value)> {
    let place = columns.iter().position(|(name, value)| {
        name.eq_ignore_ascii_case("properties")
            && (value.is_object() || value.as_str().is_some_and(|text| text.starts_with('{')))
    });
    let Some(place) = place else { return columns };
    let (_, properties) = columns.remove(place);
    let Value::Object(properties) = crate::fields::nested(properties) else { return columns };
    let mut all: Vec<(Cow<'_, str>, Value)> =
        properties.into_iter().map(|(name, value)| (Cow::Owned(name), value)).collect();
    // In this envelope `tenantId` is the directory; in Log Analytics, which has no envelope, it is the workspace.
    all.extend(columns.drain(..).map(|(name, value)| {
        if name.eq_ignore_ascii_case("tenantId") { (Cow::Borrowed("AADTenantId"), value) } else { (name, value) }
    }));
    all
}

impl Mapping for Stream {
    type Parsed = Parsed;

    fn parse(&mut self, raw: Raw<'_>) -> Result<Parsed, String> {
        let kind = kind_of(&raw.columns)?;
        let columns = unwrap(raw.columns);
        let kind = match kind {
            Some(kind) => kind,
            None => kind_of(&columns)?.unwrap_or(self.usual),
        };
        match kind {
            Kind::SignIn => {
                self.assign(&columns);
                Ok(Parsed::SignIn(Record::of(&mut self.sign_in, columns)))
            }
            Kind::Audit => Ok(Parsed::Audit(Record::of(&mut self.audit, columns))),
        }
    }

    fn culture_date<'p>(&self, parsed: &'p Parsed) -> Option<&'p str> {
        let date = match parsed {
            Parsed::SignIn(record) => [SignIn::Created, SignIn::Generated].map(|field| record.value(field)),
            Parsed::Audit(record) => [Audit::Time, Audit::Generated].map(|field| record.value(field)),
        };
        date.into_iter().find_map(Value::as_str).filter(|date| values::time(date).is_none())
    }

    fn rows(
        &mut self,
        parsed: Parsed,
        origin: Origin,
        dates: &mut CultureDates,
        rows: &mut Rows,
    ) -> Result<(), String> {
        match parsed {
            Parsed::SignIn(record) => rows.auth(row::of(record, origin, dates)?),
            Parsed::Audit(record) => rows.iam(entra_audit::row(record, origin, dates)?),
        }
        Ok(())
    }
}
