//! The document as one self-contained page.

use matagi_model::Time;

use crate::HuntDocument;

/// One page that needs nothing else: no script, no external resource.
pub fn page(document: &HuntDocument, lang: &str, generated_at: Time) -> String {
    let json = document.to_json().replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=\"{}\"><title>Matagi</title><p>{generated_at}<pre>{json}</pre>",
        crate::language(lang)
    )
}
