//! Why this score: every reason with its points, as a waterfall that ends at the sum.

use super::{Part, SectionMeta, points, say};
use crate::block::{Block, Column, Fit, Inline, Line};
use crate::document::{HuntDocument, IncidentDocument, ReasonDocument};

pub(super) struct Score;

impl Part for Score {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "score", terminal: true }
    }

    fn blocks(&self, _document: &HuntDocument, incident: &IncidentDocument, lang: &str) -> Vec<Block> {
        waterfall(&incident.reasons, lang).into_iter().collect()
    }
}

/// Reasons and their sum; nothing where there are no reasons.
pub(super) fn waterfall(reasons: &[ReasonDocument], lang: &str) -> Option<Block> {
    if reasons.is_empty() {
        return None;
    }
    let mut reached = 0.0;
    let steps: Vec<(f64, f64)> = reasons
        .iter()
        .map(|reason| {
            let from = reached;
            reached += if reason.weight.is_finite() { reason.weight } else { 0.0 };
            (from, reached)
        })
        .collect();
    let max = steps.iter().fold(1.0, |max: f64, (_, to)| max.max(*to));
    let columns = vec![
        Column::new(say(lang, "reason-head"), Fit::Words),
        Column::new(say(lang, "points-head"), Fit::Number),
        Column::new("", Fit::Whole),
    ];
    let mut rows: Vec<Vec<Line>> = reasons
        .iter()
        .zip(steps)
        .map(|(reason, (from, to))| {
            vec![Inline::line(&reason.text), Inline::line(signed(reason.weight)), vec![Inline::Bar { from, to, max }]]
        })
        .collect();
    rows.push(vec![
        vec![Inline::Strong(say(lang, "sum"))],
        vec![Inline::Strong(points(reached))],
        vec![Inline::Bar { from: 0.0, to: reached, max }],
    ]);
    Some(Block::Table { columns, rows })
}

fn signed(weight: f64) -> String {
    let shown = points(weight);
    if weight < 0.0 || shown == "0" { shown.replace('-', "−") } else { format!("+{shown}") }
}
