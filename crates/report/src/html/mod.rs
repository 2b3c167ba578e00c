//! The document as one self-contained page: no script, no external resource, nothing to load.
//!
//! The page forbids itself everything but its own style sheet (by hash), so that evidence which slipped through
//! escaping would still do nothing.

mod blocks;
mod picture;

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use matagi_model::Time;
use sha2::{Digest, Sha256};

use crate::texts::{language, ui};
use crate::{HuntDocument, clock, sections, visible};

const STYLE: &str = include_str!("style.css");

static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
});

/// The content security policy of [`page`]: everything is forbidden but its own style sheet.
///
/// A server sends it as a header, with `frame-ancestors 'none'`, which a page cannot say about itself.
pub fn content_security_policy() -> &'static str {
    &POLICY
}

/// One page that needs nothing else. `generated_at` is printed on it when it is known: the caller has the clock.
pub fn page(document: &HuntDocument, lang: &str, generated_at: Time) -> String {
    let lang = language(lang);
    let say = |key: &str| escape(&ui(lang, key, &[]));
    let made = if generated_at.is_known() {
        escape(&ui(lang, "generated", &[("time", &clock::utc(generated_at))]))
    } else {
        String::new()
    };
    let (title, product) = (say("report-title"), say("product"));
    let (contents, body) = body(document, lang);
    let mut page = String::with_capacity(body.len() + STYLE.len() + 4_096);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <meta name=\"format-detection\" content=\"telephone=no, email=no, address=no, date=no\">\n\
         <title>{title} · {product}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#summary\">{}</a>\n\
         <header class=\"masthead\"><div class=\"inner\"><p class=\"product\">{LOGO}<span>{product}</span></p>\
         <h1>{title}</h1><p class=\"made\">{made}</p></div></header>\n\
         <nav aria-label=\"{}\"><div class=\"inner\">{contents}</div></nav>\n<main>\n{body}</main>\n\
         <footer><div class=\"inner\">{product} {made}</div></footer>\n</body>\n</html>\n",
        say("skip-to-content"),
        say("contents"),
        POLICY = *POLICY,
    );
    page
}

/// A mountain: the Matagi hunt in the north.
const LOGO: &str = "<svg class=\"logo\" viewBox=\"0 0 32 32\" aria-hidden=\"true\">\
    <path d=\"M2 27 12 8l5 9 3-5 10 15z\"/><path class=\"snow\" d=\"m12 8 3.3 6-2.3-1-1.5 2-1.6-1.6-1.6 1z\"/></svg>";

/// The links of the contents, and the sections.
fn body(document: &HuntDocument, lang: &str) -> (String, String) {
    let (mut contents, mut body) = (String::new(), String::new());
    for section in sections::ALL {
        let of_section = section.blocks(document, lang);
        if of_section.is_empty() {
            continue;
        }
        let (name, title) = (section.meta().name, escape(&ui(lang, section.meta().name, &[])));
        let _ = write!(contents, "<a href=\"#{name}\">{title}</a>");
        let _ = writeln!(body, "<section id=\"{name}\"><h2>{title}</h2>");
        blocks::write(&mut body, &of_section, lang);
        body.push_str("</section>\n");
    }
    (contents, body)
}

/// Text that may stand between tags and in quoted attributes, with hidden characters made visible.
pub(crate) fn escape(text: &str) -> String {
    escape_clean(&visible::line(text))
}

/// Escapes text that was already made visible.
fn escape_clean(clean: &str) -> String {
    let mut escaped = String::with_capacity(clean.len() + 16);
    for character in clean.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '`' => escaped.push_str("&#96;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A name that may stand in `id` and in `href="#…"`: evidence has no say in it.
fn anchor(name: &str) -> String {
    name.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_quotes() {
        assert_eq!(
            escape("<a href='x' b=\"y\">&`\u{202e}"),
            "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;&#96;⟨U+202E⟩"
        );
        assert_eq!(anchor("I-12ab\" onclick=\"x"), "I-12abonclickx");
    }

    #[test]
    fn the_policy_allows_the_style_sheet_alone() {
        let policy = content_security_policy();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains("</"), "nothing is loaded");
    }
}
