//! How to read the report, and whose reference data stands behind it.

use super::{Section, SectionMeta, say};
use crate::block::{Block, Inline, Item};
use crate::document::HuntDocument;
use crate::texts::ui;

pub(super) struct About;

impl Section for About {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "about", terminal: false }
    }

    fn blocks(&self, document: &HuntDocument, lang: &str) -> Vec<Block> {
        let sentences = ["about-score", "about-unknown", "about-times", "about-hidden"];
        let items = sentences.into_iter().map(|key| Item::from(Inline::line(say(lang, key)))).collect();
        let mut blocks = vec![Block::List { ordered: false, items }];
        let heading = Inline::line(say(lang, "reference"));
        blocks.push(Block::Heading { level: 3, anchor: None, line: heading });
        if document.reference.is_empty() {
            blocks.push(Block::Paragraph(Inline::line(say(lang, "no-reference"))));
        } else {
            let items = document.reference.iter().map(|line| Item::from(Inline::line(line))).collect();
            blocks.push(Block::List { ordered: false, items });
        }
        let made = [("version", env!("CARGO_PKG_VERSION")), ("schema", &document.schema)];
        blocks.push(Block::Paragraph(vec![Inline::Muted(ui(lang, "made-by", &made))]));
        blocks
    }
}
