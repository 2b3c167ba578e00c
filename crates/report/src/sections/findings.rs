//! Every finding in one line, worst first.

use super::{Section, SectionMeta, figure, say};
use crate::block::{Block, Column, Fit, Inline, Line};
use crate::document::{FindingDocument, HuntDocument};
use crate::texts::ui;

/// Findings that are listed; the document holds them all.
const FINDINGS_LISTED_MAX: usize = 500;

pub(super) struct Findings;

impl Section for Findings {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "findings", terminal: true }
    }

    fn blocks(&self, document: &HuntDocument, lang: &str) -> Vec<Block> {
        if document.findings.is_empty() {
            return Vec::new();
        }
        let columns = vec![
            Column::new(say(lang, "severity-head"), Fit::Whole),
            Column::new(say(lang, "finding-head"), Fit::Words),
            Column::new(say(lang, "time-head"), Fit::Whole),
            Column::new(say(lang, "analytic-head"), Fit::Words),
            Column::new(say(lang, "id"), Fit::Whole),
        ];
        let rows = document.findings.iter().take(FINDINGS_LISTED_MAX).map(row).collect();
        let mut blocks = vec![Block::Table { columns, rows }];
        let more = document.findings.len().saturating_sub(FINDINGS_LISTED_MAX);
        if more > 0 {
            let note = ui(lang, "more-findings-note", &[("count", &figure(more as u64))]);
            blocks.push(Block::Paragraph(vec![Inline::Muted(note)]));
        }
        blocks
    }
}

fn row(finding: &FindingDocument) -> Vec<Line> {
    vec![
        vec![Inline::Severity(finding.severity)],
        vec![Inline::Link { anchor: finding.id.clone(), text: finding.title.clone() }],
        vec![Inline::Time(finding.first_time)],
        vec![Inline::mono(&finding.analytic)],
        vec![Inline::mono(&finding.id)],
    ]
}
