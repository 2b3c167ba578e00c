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
    pub(super) mod m365_audit;
    pub(super) mod message_trace;
}

/// Every format we read, in order of sniffing: the more particular ones first.
#[rustfmt::skip] // one line per format, so that two people adding one do not collide
pub static ALL: &[&dyn Source] = &[
    &formats::m365_audit::M365Audit,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_format_file_is_registered() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/formats");
        let files: BTreeSet<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .map(|path| path.file_stem().unwrap().to_string_lossy().replace('_', "-"))
            .collect();
        let names: BTreeSet<_> = ALL.iter().map(|source| source.meta().name.to_owned()).collect();
        assert_eq!(files, names, "src/formats/ and ALL must agree");
        assert_eq!(names.len(), ALL.len(), "names are unique");
    }

    #[test]
    fn a_format_is_found_by_its_name() {
        assert_eq!(named("m365-audit").unwrap().meta().name, "m365-audit");
        assert!(named("m365").is_none());
    }
}
