//! What to do, in order, with the command where there is one.

use super::{Part, SectionMeta};
use crate::block::{Block, Inline, Item};
use crate::document::{HuntDocument, IncidentDocument};

pub(super) struct NextSteps;

impl Part for NextSteps {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "next-steps", terminal: true }
    }

    fn blocks(&self, _document: &HuntDocument, incident: &IncidentDocument, _lang: &str) -> Vec<Block> {
        if incident.next_steps.is_empty() {
            return Vec::new();
        }
        let steps = incident.next_steps.iter();
        let items = steps.map(|step| Item { line: Inline::line(&step.text), code: step.command.clone() }).collect();
        vec![Block::List { ordered: true, items }]
    }
}
