//! What was left behind that still works for the attacker.

use super::{Part, SectionMeta};
use crate::block::{Block, Inline, Item};
use crate::document::{HuntDocument, IncidentDocument};

pub(super) struct WhatWasLeft;

impl Part for WhatWasLeft {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "what-was-left", terminal: true }
    }

    fn blocks(&self, _document: &HuntDocument, incident: &IncidentDocument, _lang: &str) -> Vec<Block> {
        if incident.left_behind.is_empty() {
            return Vec::new();
        }
        let items = incident.left_behind.iter().map(|left| Item::from(Inline::line(&left.text))).collect();
        vec![Block::List { ordered: false, items }]
    }
}
