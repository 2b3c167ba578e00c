//! The document as text for a terminal.
//!
//! The same sections and blocks as the page, without the folded detail: that is what [`explain`] is for. No byte of
//! evidence can act on the terminal: escape sequences come from this module alone, and only when colour is asked for.

mod blocks;
mod layout;

use blocks::Canvas;

use crate::block::Block;
use crate::document::HuntDocument;
use crate::sections::{self, incidents};
use crate::texts::{language, ui};

/// Narrower terminals get lines of this width all the same.
const WIDTH_MIN: usize = 40;
/// Longer lines are hard to read.
const WIDTH_MAX: usize = 160;

fn canvas(lang: &str, width: usize, colour: bool, whole: bool) -> Canvas<'_> {
    Canvas { out: String::new(), lang, width: width.clamp(WIDTH_MIN, WIDTH_MAX), colour, whole }
}

/// The whole hunt. Lines are at most `width` columns (40 to 160), commands excepted.
pub fn text(document: &HuntDocument, lang: &str, width: usize, colour: bool) -> String {
    let lang = language(lang);
    let mut canvas = canvas(lang, width, colour, false);
    for section in sections::ALL.iter().filter(|section| section.meta().terminal) {
        let of_section = section.blocks(document, lang);
        if !of_section.is_empty() {
            canvas.section(&ui(lang, section.meta().name, &[]));
            canvas.blocks(&of_section);
        }
    }
    if let Some(first) = document.incidents.first().map(|i| &i.id).or(document.findings.first().map(|f| &f.id)) {
        canvas.blank();
        let hint = ui(lang, "explain-hint", &[("id", first)]);
        canvas.blocks(&[Block::Paragraph(vec![crate::block::Inline::Muted(hint)])]);
    }
    canvas.out
}

/// One incident or finding with every reason and every record behind it; `None` when there is none of this id.
pub fn explain(document: &HuntDocument, id: &str, lang: &str, width: usize, colour: bool) -> Option<String> {
    let lang = language(lang);
    let mut canvas = canvas(lang, width, colour, true);
    if let Some(incident) = document.incident(id) {
        canvas.section(&incident.id);
        canvas.blocks(&[incidents::card(document, incident, lang, true)]);
        for finding in incident.findings.iter().filter_map(|id| document.finding(id)) {
            explain_finding(&mut canvas, finding, lang);
        }
    } else {
        explain_finding(&mut canvas, document.finding(id)?, lang);
    }
    Some(canvas.out)
}

fn explain_finding(canvas: &mut Canvas<'_>, finding: &crate::document::FindingDocument, lang: &str) {
    canvas.section(&finding.id);
    let title =
        vec![crate::block::Inline::Severity(finding.severity), crate::block::Inline::Strong(finding.title.clone())];
    canvas.blocks(&[Block::Paragraph(title)]);
    canvas.blocks(&sections::of_finding(finding, lang));
}
