//! What was read: every input, also those that gave nothing.

use super::{Section, SectionMeta, figure, say};
use crate::block::{Block, Column, Fit, Inline, Line};
use crate::document::{HuntDocument, HuntInput};
use crate::texts::{ui, word};

/// Inputs that are listed; the document holds them all.
const INPUTS_LISTED_MAX: usize = 500;

pub(super) struct Inputs;

impl Section for Inputs {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "inputs", terminal: true }
    }

    fn blocks(&self, document: &HuntDocument, lang: &str) -> Vec<Block> {
        if document.inputs.is_empty() {
            return Vec::new();
        }
        let heads = [
            ("input-head", Fit::Words),
            ("format-head", Fit::Words),
            ("status-head", Fit::Words),
            ("rows-head", Fit::Number),
            ("duplicates-head", Fit::Number),
            ("rejected-head", Fit::Number),
            ("from-head", Fit::Whole),
            ("to-head", Fit::Whole),
        ];
        let columns = heads.into_iter().map(|(key, fit)| Column::new(say(lang, key), fit)).collect();
        let rows = document.inputs.iter().take(INPUTS_LISTED_MAX).map(|input| row(input, lang)).collect();
        let mut blocks = vec![Block::Table { columns, rows }];
        let more = document.inputs.len().saturating_sub(INPUTS_LISTED_MAX);
        if more > 0 {
            let note = ui(lang, "more-inputs", &[("count", &figure(more as u64))]);
            blocks.push(Block::Paragraph(vec![Inline::Muted(note)]));
        }
        blocks
    }
}

fn row(input: &HuntInput, lang: &str) -> Vec<Line> {
    let mut status = Inline::line(word(lang, "status", &input.status));
    status.extend(input.detail.clone().map(Inline::Muted));
    vec![
        vec![Inline::mono(&input.path)],
        vec![Inline::mono(input.format.as_deref().unwrap_or("–"))],
        status,
        Inline::line(figure(input.rows)),
        Inline::line(figure(input.duplicates)),
        Inline::line(figure(input.rejected)),
        vec![Inline::Time(input.first_time)],
        vec![Inline::Time(input.last_time)],
    ]
}
