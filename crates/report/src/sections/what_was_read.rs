//! What of the mailboxes the actor read, and how far the figure can be trusted.

use matagi_model::ExposureQuality;

use super::{Part, SectionMeta, figure, say};
use crate::block::{Block, Column, Fit, Inline, Item, Line, Tone};
use crate::document::{ExposureDocument, HuntDocument, IncidentDocument};
use crate::texts::{ui, word};

pub(super) struct WhatWasRead;

impl Part for WhatWasRead {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "what-was-read", terminal: true }
    }

    fn blocks(&self, _document: &HuntDocument, incident: &IncidentDocument, lang: &str) -> Vec<Block> {
        if incident.exposure.is_empty() {
            return Vec::new();
        }
        let columns = vec![
            Column::new(say(lang, "mailbox-head"), Fit::Words),
            Column::new(say(lang, "messages-head"), Fit::Number),
            Column::new(say(lang, "folders-head"), Fit::Words),
            Column::new(say(lang, "readers-head"), Fit::Words),
            Column::new(say(lang, "quality-head"), Fit::Words),
        ];
        let rows = incident.exposure.iter().map(|exposure| row(exposure, lang)).collect();
        let mut blocks = vec![Block::Table { columns, rows }];
        let unknown = incident.exposure.iter().filter(|exposure| exposure.quality == ExposureQuality::Unknown);
        let unknown: Vec<Line> = unknown.map(|exposure| vec![Inline::mono(&exposure.mailbox)]).collect();
        if !unknown.is_empty() {
            blocks.push(Block::Callout { tone: Tone::Warning, title: say(lang, "exposure-unknown"), body: unknown });
        }
        blocks.extend(incident.exposure.iter().filter_map(|exposure| messages(exposure, lang)));
        blocks
    }
}

fn row(exposure: &ExposureDocument, lang: &str) -> Vec<Line> {
    let messages = match exposure.quality {
        ExposureQuality::Exact => figure(exposure.messages),
        ExposureQuality::LowerBound => format!("≥ {}", figure(exposure.messages)),
        ExposureQuality::Unknown if exposure.messages > 0 => format!("≥ {}", figure(exposure.messages)),
        ExposureQuality::Unknown => "?".to_owned(),
    };
    let quality = match exposure.quality {
        ExposureQuality::Exact => "exact",
        ExposureQuality::LowerBound => "lower_bound",
        ExposureQuality::Unknown => "unknown",
    };
    let listed = |items: &[String]| match items {
        [] => vec![Inline::Muted("–".to_owned())],
        items => Inline::line(items.join(&say(lang, "list-separator"))),
    };
    vec![
        vec![Inline::mono(&exposure.mailbox)],
        Inline::line(messages),
        listed(&exposure.folders),
        listed(&exposure.readers),
        Inline::line(word(lang, "exposure", quality)),
    ]
}

fn messages(exposure: &ExposureDocument, lang: &str) -> Option<Block> {
    if exposure.message_uids.is_empty() {
        return None;
    }
    let args = [("count", figure(exposure.message_uids.len() as u64)), ("mailbox", exposure.mailbox.clone())];
    let summary = ui(lang, "message-ids", &args.each_ref().map(|(name, value)| (*name, value.as_str())));
    let items = exposure.message_uids.iter().map(|uid| Item::from(vec![Inline::mono(uid)])).collect();
    Some(Block::Fold {
        is_open: false,
        summary: Inline::line(summary),
        blocks: vec![Block::List { ordered: false, items }],
    })
}
