//! What the evidence can and cannot show. Absent is unknown, never zero.

use super::{Section, SectionMeta, say};
use crate::block::{Block, Column, Fit, Inline};
use crate::document::HuntDocument;

pub(super) struct EvidenceQuality;

impl Section for EvidenceQuality {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "evidence-quality", terminal: true }
    }

    fn blocks(&self, document: &HuntDocument, lang: &str) -> Vec<Block> {
        let mut blocks = Vec::new();
        if !document.coverage.is_empty() {
            let columns = vec![
                Column::new(say(lang, "state-head"), Fit::Whole),
                Column::new(say(lang, "covered-head"), Fit::Words),
            ];
            let lines = document.coverage.iter();
            let rows = lines.map(|line| vec![vec![Inline::State(line.state)], Inline::line(&line.text)]).collect();
            blocks.push(Block::Table { columns, rows });
        }
        if !document.notes.is_empty() {
            let columns =
                vec![Column::new(say(lang, "input-head"), Fit::Words), Column::new(say(lang, "note-head"), Fit::Words)];
            let notes = document.notes.iter();
            let rows = notes.map(|note| vec![vec![Inline::mono(&note.path)], Inline::line(&note.text)]).collect();
            blocks.push(Block::Table { columns, rows });
        }
        blocks
    }
}
