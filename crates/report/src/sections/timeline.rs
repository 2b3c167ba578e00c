//! When what happened: the picture, then the records.

use super::{Part, SectionMeta, figure, say};
use crate::block::{Block, Column, Fit, Inline, Line};
use crate::clock;
use crate::document::{HuntDocument, IncidentDocument, TimelineLine};
use crate::picture;
use crate::texts::ui;

/// Titles on one line; the findings name the others.
const TITLES_MAX: usize = 3;

/// Lines that everybody sees; the rest is folded.
const LINES_OPEN_MAX: usize = 15;

pub(super) struct Timeline;

impl Part for Timeline {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "timeline", terminal: true }
    }

    fn blocks(&self, _document: &HuntDocument, incident: &IncidentDocument, lang: &str) -> Vec<Block> {
        if incident.timeline.is_empty() {
            return Vec::new();
        }
        let mut blocks: Vec<Block> = picture::of_incident(incident, lang).map(Block::Timeline).into_iter().collect();
        let lines = &incident.timeline;
        let (open, folded) = lines.split_at(lines.len().min(LINES_OPEN_MAX));
        let summary = ui(lang, "records-in-order", &[("count", &figure(open.len() as u64))]);
        blocks.push(Block::Fold { is_open: true, summary: Inline::line(summary), blocks: vec![table(open, lang)] });
        if !folded.is_empty() {
            let summary = ui(lang, "more-lines", &[("count", &figure(folded.len() as u64))]);
            blocks.push(Block::Fold {
                is_open: false,
                summary: Inline::line(summary),
                blocks: vec![table(folded, lang)],
            });
        }
        if incident.timeline_omitted > 0 {
            let note = ui(lang, "lines-omitted", &[("count", &figure(incident.timeline_omitted))]);
            blocks.push(Block::Paragraph(vec![Inline::Muted(note)]));
        }
        blocks
    }
}

fn table(lines: &[TimelineLine], lang: &str) -> Block {
    let columns = vec![
        Column::new(say(lang, "time-head"), Fit::Whole),
        Column::new(say(lang, "severity-head"), Fit::Whole),
        Column::new(say(lang, "what-head"), Fit::Words),
        Column::new(say(lang, "record-head"), Fit::Words),
    ];
    Block::Table { columns, rows: lines.iter().map(|line| row(line, lang)).collect() }
}

fn row(line: &TimelineLine, lang: &str) -> Vec<Line> {
    let shown = line.titles.iter().take(TITLES_MAX).map(String::as_str).collect::<Vec<_>>().join(" · ");
    let mut what = Inline::line(shown);
    if line.titles.len() > TITLES_MAX {
        what.push(Inline::Muted(ui(
            lang,
            "more-entities",
            &[("count", &figure((line.titles.len() - TITLES_MAX) as u64))],
        )));
    }
    let mut record = vec![Inline::mono(&line.fact)];
    if line.count > 1 {
        let until = clock::utc(line.last_time);
        let args = [("count", figure(line.count)), ("until", until)];
        let run = ui(lang, "run", &args.each_ref().map(|(name, value)| (*name, value.as_str())));
        what.push(Inline::Muted(run));
    }
    let record_number = line.source.record;
    if !line.source.path.is_empty() {
        record.push(Inline::Muted(format!("{}#{record_number}", line.source.path)));
    }
    vec![vec![Inline::Time(line.time)], vec![Inline::Severity(line.severity)], what, record]
}
