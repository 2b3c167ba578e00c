//! What people read, word by word, in both languages.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use common::{MADE, hunt, hunt_with};
use matagi_report::{html, terminal};

#[test]
fn terminal_english() {
    insta::assert_snapshot!(terminal::text(&hunt("en"), "en", 110, false));
}

#[test]
fn terminal_japanese() {
    insta::assert_snapshot!(terminal::text(&hunt("ja"), "ja", 110, false));
}

#[test]
fn terminal_narrow_and_coloured() {
    insta::assert_snapshot!(terminal::text(&hunt("ja"), "ja", 60, true).replace('\u{1b}', "␛"));
}

#[test]
fn explained_incident() {
    let document = hunt("en");
    insta::assert_snapshot!(terminal::explain(&document, "i-1F0A9C33D2", "en", 110, false).unwrap());
}

#[test]
fn explained_finding() {
    let document = hunt("ja");
    let id = &document.findings[0].id;
    insta::assert_snapshot!(terminal::explain(&document, id, "ja", 100, false).unwrap());
    assert_eq!(terminal::explain(&document, "F-nothing", "ja", 100, false), None);
}

#[test]
fn page_english() {
    insta::assert_snapshot!(without_style(&html::page(&hunt("en"), "en", MADE)));
}

#[test]
fn page_japanese() {
    insta::assert_snapshot!(without_style(&html::page(&hunt("ja"), "ja", MADE)));
}

#[test]
fn page_of_an_empty_hunt() {
    for (lang, sentence) in [("en", "Nothing was read"), ("ja", "何も読み取れなかった")] {
        let document = hunt_with(lang, |findings, incidents, inputs| {
            findings.clear();
            incidents.clear();
            inputs.clear();
        });
        assert!(html::page(&document, lang, MADE).contains(sentence));
        assert!(terminal::text(&document, lang, 80, false).contains(sentence));
    }
}

/// The style sheet changes with taste, and its hash with it.
fn without_style(page: &str) -> String {
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, tail) = rest.split_once("</style>").unwrap();
    let (before, hashed) = head.split_once("'sha256-").unwrap();
    let (_, after) = hashed.split_once('\'').unwrap();
    format!("{before}(hash){after}(style){tail}")
}
