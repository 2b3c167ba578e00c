//! Bytes to batches: one file a format.
//!
//! [`inputs::read_paths`] walks files, folders and archives, recognises the format of each by its content and hands
//! rows over as [`EventBatch`](matagi_model::EventBatch)es. A format is one file in `src/formats/` and one line in
//! [`ALL`]; [`records`] and [`values`] hold what formats share.

use matagi_model::Source;

pub mod bounded;
mod decode;
mod fields;
pub mod inputs;
pub mod records;
pub mod values;

/// The formats, one module each.
mod formats {
    pub(super) mod entra_audit;
    pub(super) mod entra_sign_in;
    pub(super) mod inbox_rules;
    pub(super) mod message_trace;
}

/// Every format we read, in order of sniffing: the more particular ones first.
#[rustfmt::skip] // one line per format, so that two people adding one do not collide
pub static ALL: &[&dyn Source] = &[
    &formats::entra_sign_in::EntraSignIn,
    &formats::entra_audit::EntraAudit,
    &formats::message_trace::MessageTrace,
    &formats::inbox_rules::InboxRules,
];

/// The format of this name.
pub fn named(name: &str) -> Option<&'static dyn Source> {
    ALL.iter().find(|source| source.meta().name == name).copied()
}

/// The format that the head of an input (up to 64 KiB, decoded to UTF-8) looks like.
pub fn sniff(head: &[u8]) -> Option<&'static dyn Source> {
    ALL.iter().find(|source| source.sniff(head)).copied()
}
