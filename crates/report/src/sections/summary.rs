//! The first half page: what was found, how bad, and what the evidence cannot show.

use matagi_model::CoverageState;

use super::{Section, SectionMeta, figure, points, say};
use crate::block::{Block, Column, Fit, Inline, Line, Tile, Tone};
use crate::clock::{self, Zone};
use crate::document::{HuntDocument, IncidentDocument};
use crate::texts::{severity, ui};

/// Incidents named on the first page.
const INCIDENTS_NAMED_MAX: usize = 20;

pub(super) struct Summary;

impl Section for Summary {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "summary", terminal: true }
    }

    fn blocks(&self, document: &HuntDocument, lang: &str) -> Vec<Block> {
        let mut blocks = vec![Block::Lead(Inline::line(verdict(document, lang))), Block::Tiles(tiles(document, lang))];
        if let Some(period) = period(document, lang) {
            blocks.push(period);
        }
        if !document.incidents.is_empty() {
            blocks.push(named(document, lang));
        }
        blocks.extend(blind_spots(document, lang));
        blocks
    }
}

fn verdict(document: &HuntDocument, lang: &str) -> String {
    let count = document.incidents.len();
    let Some(worst) = document.incidents.first() else {
        let key = match (document.inputs.iter().any(|input| input.rows + input.duplicates > 0), &document.findings[..])
        {
            (false, []) => "verdict-nothing-read",
            (true, []) => "verdict-clean",
            _ => "verdict-findings-only",
        };
        return ui(lang, key, &[("count", &figure(document.findings.len() as u64))]);
    };
    let key = if count == 1 { "verdict-one" } else { "verdict-many" };
    let severity = severity(lang, worst.severity);
    let args = [("count", figure(count as u64)), ("severity", severity), ("title", worst.title.clone())];
    ui(lang, key, &args.each_ref().map(|(name, value)| (*name, value.as_str())))
}

fn tiles(document: &HuntDocument, lang: &str) -> Vec<Tile> {
    let sum = |of: fn(&crate::HuntInput) -> u64| document.inputs.iter().map(of).fold(0, u64::saturating_add);
    let worst_incident = document.incidents.iter().map(|incident| incident.severity).max();
    let worst_finding = document.findings.iter().map(|finding| finding.severity).max();
    let tile = |count: u64, key: &str, severity| Tile { value: figure(count), label: say(lang, key), severity };
    vec![
        tile(document.incidents.len() as u64, "tile-incidents", worst_incident),
        tile(document.findings.len() as u64, "tile-findings", worst_finding),
        tile(document.inputs.len() as u64, "tile-inputs", None),
        tile(sum(|input| input.rows), "tile-rows", None),
        tile(sum(|input| input.duplicates), "tile-duplicates", None),
        tile(sum(|input| input.rejected), "tile-rejected", None),
    ]
}

fn period(document: &HuntDocument, lang: &str) -> Option<Block> {
    let (first, last) = document.period();
    let shown = |zone| clock::period(first, last, zone);
    first.is_known().then(|| {
        let line = vec![
            Inline::Text(format!("{} UTC", shown(Zone::Utc))),
            Inline::Muted(format!("({} JST)", shown(Zone::Jst))),
        ];
        Block::KeyValues(vec![(say(lang, "evidence-period"), line)])
    })
}

fn named(document: &HuntDocument, lang: &str) -> Block {
    let columns = vec![
        Column::new(say(lang, "severity-head"), Fit::Whole),
        Column::new(say(lang, "score-head"), Fit::Number),
        Column::new(say(lang, "incident-head"), Fit::Words),
        Column::new(say(lang, "began-head"), Fit::Whole),
        Column::new(say(lang, "id"), Fit::Whole),
    ];
    let row = |incident: &IncidentDocument| -> Vec<Line> {
        vec![
            vec![Inline::Severity(incident.severity)],
            Inline::line(points(incident.score)),
            vec![Inline::Link { anchor: incident.id.clone(), text: incident.title.clone() }],
            vec![Inline::Time(incident.first_time)],
            vec![Inline::mono(&incident.id)],
        ]
    };
    Block::Table { columns, rows: document.incidents.iter().take(INCIDENTS_NAMED_MAX).map(row).collect() }
}

/// What is absent stands on the first page, because it limits everything else on it.
fn blind_spots(document: &HuntDocument, lang: &str) -> Option<Block> {
    let absent = document.coverage.iter().filter(|line| line.state == CoverageState::Absent);
    let body: Vec<Line> = absent.map(|line| Inline::line(&line.text)).collect();
    (!body.is_empty()).then(|| Block::Callout { tone: Tone::Warning, title: say(lang, "cannot-see"), body })
}
