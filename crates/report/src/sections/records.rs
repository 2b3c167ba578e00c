//! The proof: every finding with its reasons and the records that it stands on.

use super::{Section, SectionMeta, figure, points, say, score, who_and_where};
use crate::block::{Block, Column, Fit, Inline, Line};
use crate::clock::{self, Zone};
use crate::document::{EvidenceDocument, FindingDocument, HuntDocument};
use crate::texts::{ui, word};

/// Findings shown with their records on a page; the document holds them all.
const FINDINGS_PROVED_MAX: usize = 200;

pub(super) struct Records;

impl Section for Records {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "records", terminal: false }
    }

    fn blocks(&self, document: &HuntDocument, lang: &str) -> Vec<Block> {
        let proved = document.findings.iter().take(FINDINGS_PROVED_MAX);
        let mut blocks: Vec<Block> = proved.map(|finding| fold(finding, lang)).collect();
        let more = document.findings.len().saturating_sub(FINDINGS_PROVED_MAX);
        if more > 0 {
            let note = ui(lang, "more-findings-note", &[("count", &figure(more as u64))]);
            blocks.push(Block::Paragraph(vec![Inline::Muted(note)]));
        }
        blocks
    }
}

fn fold(finding: &FindingDocument, lang: &str) -> Block {
    let summary =
        vec![Inline::Severity(finding.severity), Inline::Strong(finding.title.clone()), Inline::mono(&finding.id)];
    Block::Card {
        severity: finding.severity,
        anchor: finding.id.clone(),
        blocks: vec![Block::Fold { is_open: false, summary, blocks: of_finding(finding, lang) }],
    }
}

/// Everything about one finding.
pub(crate) fn of_finding(finding: &FindingDocument, lang: &str) -> Vec<Block> {
    let mut blocks = vec![Block::KeyValues(head(finding, lang))];
    let heading = |key: &str| Block::Heading { level: 4, anchor: None, line: Inline::line(say(lang, key)) };
    if let Some(waterfall) = score::waterfall(&finding.reasons, lang) {
        blocks.extend([heading("reasons"), waterfall]);
    }
    let entities = who_and_where::of_entities(&finding.entities, lang);
    if !entities.is_empty() {
        blocks.push(heading("who-and-where"));
        blocks.extend(entities);
    }
    blocks.push(heading("evidence"));
    let columns = vec![
        Column::new(say(lang, "time-head"), Fit::Whole),
        Column::new(say(lang, "record-head"), Fit::Words),
        Column::new(say(lang, "source-head"), Fit::Words),
    ];
    blocks.push(Block::Table { columns, rows: finding.evidence.iter().map(row).collect() });
    let more = finding.evidence_count.saturating_sub(finding.evidence.len() as u64);
    if more > 0 {
        let note = ui(lang, "more-records", &[("count", &figure(more))]);
        blocks.push(Block::Paragraph(vec![Inline::Muted(note)]));
    }
    blocks
}

fn head(finding: &FindingDocument, lang: &str) -> Vec<(String, Line)> {
    let confidence = format!("{} %", points((finding.confidence * 100.0).round()));
    let mut head = vec![
        (say(lang, "confidence"), Inline::line(confidence)),
        (say(lang, "stage-head"), Inline::line(word(lang, "stage", finding.stage.word()))),
        (say(lang, "analytic-head"), vec![Inline::mono(&finding.analytic)]),
    ];
    if finding.first_time.is_known() {
        let period = format!("{} UTC", clock::period(finding.first_time, finding.last_time, Zone::Utc));
        head.insert(0, (say(lang, "when"), Inline::line(period)));
    }
    if !finding.catalogue.is_empty() {
        head.push((say(lang, "catalogue"), vec![Inline::mono(finding.catalogue.join(" "))]));
    }
    if !finding.techniques.is_empty() {
        head.push((say(lang, "attack"), vec![Inline::mono(finding.techniques.join(" "))]));
    }
    head
}

fn row(evidence: &EvidenceDocument) -> Vec<Line> {
    let source = format!("{}#{}", evidence.source.path, evidence.source.record);
    vec![
        vec![Inline::Time(evidence.time)],
        vec![Inline::mono(&evidence.fact)],
        vec![Inline::Muted(source), Inline::Muted(format!("{} {}", evidence.table, evidence.event_uid))],
    ]
}
