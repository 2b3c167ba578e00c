//! Every incident as one story: what happened, in sentences, then its parts.

use super::{PARTS, Section, SectionMeta, figure, points, say};
use crate::block::{Block, Inline, Item, Line};
use crate::clock::{self, Zone};
use crate::document::{HuntDocument, IncidentDocument};
use crate::texts::ui;

/// Incidents told in full; the summary and the document name the others.
const INCIDENTS_TOLD_MAX: usize = 20;

pub(super) struct Incidents;

impl Section for Incidents {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "incidents", terminal: true }
    }

    fn blocks(&self, document: &HuntDocument, lang: &str) -> Vec<Block> {
        let told = document.incidents.iter().take(INCIDENTS_TOLD_MAX);
        let mut blocks: Vec<Block> = told.map(|incident| card(document, incident, lang, false)).collect();
        let more = document.incidents.len().saturating_sub(INCIDENTS_TOLD_MAX);
        if more > 0 {
            let note = ui(lang, "more-incidents", &[("count", &figure(more as u64))]);
            blocks.push(Block::Paragraph(vec![Inline::Muted(note)]));
        }
        blocks
    }
}

/// One incident. `whole` keeps the parts that a terminal leaves to `explain`.
pub(crate) fn card(document: &HuntDocument, incident: &IncidentDocument, lang: &str, whole: bool) -> Block {
    let mut blocks = vec![
        Block::Heading { level: 3, anchor: None, line: vec![Inline::Strong(incident.title.clone())] },
        Block::KeyValues(head(incident, lang)),
    ];
    if !incident.narrative.is_empty() {
        let sentences = incident.narrative.iter().map(|sentence| Item::from(Inline::line(sentence)));
        let title = Inline::line(say(lang, "what-happened"));
        blocks.push(Block::Heading { level: 4, anchor: None, line: title });
        blocks.push(Block::List { ordered: true, items: sentences.collect() });
    }
    for part in PARTS.iter().filter(|part| whole || part.meta().terminal) {
        let of_part = part.blocks(document, incident, lang);
        if !of_part.is_empty() {
            let title = Inline::line(say(lang, part.meta().name));
            blocks.push(Block::Heading { level: 4, anchor: None, line: title });
            blocks.extend(of_part);
        }
    }
    Block::Card { severity: incident.severity, anchor: incident.id.clone(), blocks }
}

fn head(incident: &IncidentDocument, lang: &str) -> Vec<(String, Line)> {
    let (first, last) = (incident.first_time, incident.last_time);
    let score = ui(lang, "score-of-100", &[("score", &points(incident.score))]);
    let rating = vec![Inline::Severity(incident.severity), Inline::Strong(score), Inline::mono(&incident.id)];
    let mut head = vec![(say(lang, "rating"), rating)];
    if first.is_known() {
        let when = vec![
            Inline::Text(format!("{} UTC", clock::period(first, last, Zone::Utc))),
            Inline::Muted(format!(
                "({} JST · {})",
                clock::period(first, last, Zone::Jst),
                clock::span(lang, first, last)
            )),
        ];
        head.push((say(lang, "when"), when));
    }
    if !incident.stages.is_empty() {
        let stages: Vec<&str> = incident.stages.iter().map(|stage| stage.title.as_str()).collect();
        head.push((say(lang, "stages-seen"), Inline::line(stages.join(" → "))));
    }
    head
}
