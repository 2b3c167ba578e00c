//! What a report consists of. One file a section, one line a section in [`ALL`] (of the whole hunt) or [`PARTS`]
//! (of one incident); a test keeps folder and lists in agreement.

mod about;
mod evidence_quality;
mod findings;
pub(crate) mod incidents;
mod inputs;
mod next_steps;
mod records;
mod score;
mod summary;
mod timeline;
mod what_was_left;
mod what_was_read;
mod who_and_where;

use crate::HuntDocument;
use crate::block::{Block, Inline, Line};
use crate::document::{EntityDocument, IncidentDocument};
use crate::texts;

pub(crate) use records::of_finding;

/// Every section, in the order in which a report has them.
#[rustfmt::skip] // one line each, so that two people adding one do not collide
pub static ALL: &[&dyn Section] = &[
    &summary::Summary,
    &incidents::Incidents,
    &findings::Findings,
    &evidence_quality::EvidenceQuality,
    &inputs::Inputs,
    &records::Records,
    &about::About,
];

/// Every part of one incident, in order.
#[rustfmt::skip]
pub static PARTS: &[&dyn Part] = &[
    &timeline::Timeline,
    &what_was_read::WhatWasRead,
    &what_was_left::WhatWasLeft,
    &next_steps::NextSteps,
    &who_and_where::WhoAndWhere,
    &score::Score,
];

/// What a section or part says about itself.
#[derive(Debug, Clone, Copy)]
pub struct SectionMeta {
    /// The file's name with `-` for `_`; also its anchor, and the key of its title in the scope `ui`.
    pub name: &'static str,
    /// Whether a terminal shows it: detail is left to `explain`.
    pub terminal: bool,
}

/// A section of a report.
pub trait Section: Sync {
    /// What it is.
    fn meta(&self) -> SectionMeta;
    /// Its blocks; none when it has nothing to say, and then it has no heading either.
    fn blocks(&self, document: &HuntDocument, lang: &str) -> Vec<Block>;
}

/// A part of the story of one incident.
pub trait Part: Sync {
    /// What it is.
    fn meta(&self) -> SectionMeta;
    /// Its blocks; none when it has nothing to say, and then it has no heading either.
    fn blocks(&self, document: &HuntDocument, incident: &IncidentDocument, lang: &str) -> Vec<Block>;
}

/// A sentence of this crate without arguments.
fn say(lang: &str, key: &str) -> String {
    texts::ui(lang, key, &[])
}

/// A count as people write it: 1,234,567.
fn figure(count: u64) -> String {
    let digits = count.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A score or weight: whole points, with one decimal where there is one.
fn points(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract().abs() < 0.05 { format!("{rounded:.0}") } else { format!("{rounded:.1}") }
}

/// What reference data says about an address, in one line.
fn facts(entity: &EntityDocument, lang: &str) -> Line {
    let Some(facts) = &entity.facts else { return Vec::new() };
    let mut words: Vec<String> = Vec::new();
    words.extend(facts.asn.map(|asn| format!("AS{asn}")));
    words.extend(facts.as_name.clone());
    words.extend(facts.country.clone());
    let flags = [(facts.hosting, "hosting"), (facts.relay, "relay"), (facts.microsoft, "microsoft")];
    words.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, key)| say(lang, key)));
    if words.is_empty() { Vec::new() } else { Inline::line(words.join(" · ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_is_registered_and_titled() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sections");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().replace('_', "-"))
            .filter(|name| name != "mod")
            .collect();
        let names: Vec<&str> = ALL.iter().map(|s| s.meta().name).chain(PARTS.iter().map(|p| p.meta().name)).collect();
        assert_eq!(
            files,
            names.iter().map(|&name| name.to_owned()).collect(),
            "src/sections/ and the lists must agree"
        );
        assert_eq!(files.len(), names.len(), "a section is listed once");
        for name in names {
            assert_ne!(say("en", name), say("ja", name), "{name} has a title in both languages");
        }
    }

    #[test]
    fn figures_are_grouped() {
        assert_eq!(figure(0), "0");
        assert_eq!(figure(999), "999");
        assert_eq!(figure(1_234_567), "1,234,567");
        assert_eq!(points(40.0), "40");
        assert_eq!(points(39.96), "40");
        assert_eq!(points(-2.54), "-2.5");
    }
}
