//! Evidence that attacks whoever looks at it: in a page, on a terminal, in JSON.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use common::{MADE, hunt_with};
use matagi_model::{Entity, EntityKind, NextStep, Role, Sentence};
use matagi_report::{HuntDocument, html, terminal, visible};

const ATTACKS: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style><style>*{display:none}</style>",
    "</title></code></pre><iframe src=//evil.example></iframe>",
    "<!-- --!> <![CDATA[ ]]>",
    "javascript:alert(1)",
    "\u{1b}]8;;http://evil.example\u{7}click\u{1b}]8;;\u{7}",
    "\u{1b}[2J\u{1b}[H\u{9b}31m",
    "\u{1b}P+q544e\u{1b}\\",
    "invoice\u{202e}fdp.exe\u{2066}\u{2069}\u{200f}",
    "nul\u{0}bell\u{7}back\u{8}\u{8}\u{8}\rover",
    "line\u{2028}line\u{2029}line\nline",
    "pay\u{200b}pal\u{feff}.example",
    "&lt;b&gt;&amp;&#x202e;",
    "{user} {title} {0}",
];

/// The same attack in every field that evidence can reach.
fn attacked(attack: &str) -> HuntDocument {
    let text = || attack.to_owned();
    hunt_with("en", |findings, incidents, inputs| {
        for finding in findings.iter_mut() {
            finding.title_args.insert("user".to_owned(), text());
            finding.analytic = format!("sigma/{attack}");
            finding.techniques.push(text());
            finding.catalogue.push(text());
            *finding = finding.clone().about(Entity::new(EntityKind::UserAgent, attack), Role::Source);
            let mut evidence = finding.evidence()[0].clone();
            evidence.fact = text();
            evidence.origin.path = text();
            *finding = finding.clone().proved_by(evidence);
        }
        let incident = &mut incidents[0];
        incident.id = text();
        incident.title = Sentence::new("takeover", [("user", text())]);
        incident.entities.insert((Entity::new(EntityKind::Rule, attack), Role::Target));
        incident.findings = findings.iter().map(matagi_model::Finding::id).collect();
        incident.narrative.push(Sentence::new("narr-cannot-see", [("user", text())]));
        incident.left_behind.push(Sentence::new("no-such-code", [("target", text())]));
        incident.exposure[0].mailbox = text();
        incident.exposure[0].folders.push(text());
        incident.exposure[0].readers.push(text());
        incident.exposure[0].message_uids.push(text());
        let args = [("mailbox".to_owned(), text())].into();
        incident.next_steps.push(NextStep { code: text(), args, command: Some(text()) });
        inputs[0].path = text();
        inputs[0].format = Some(text());
        inputs[0].status = text();
        inputs[0].detail = Some(text());
    })
}

/// Tags that a page has by itself; everything else would be evidence that became markup.
fn tags(page: &str) -> std::collections::BTreeMap<String, usize> {
    let mut tags = std::collections::BTreeMap::new();
    for piece in page.split('<').skip(1) {
        let name: String = piece.chars().take_while(|character| !matches!(character, ' ' | '>' | '\n')).collect();
        *tags.entry(name).or_default() += 1;
    }
    tags
}

#[test]
fn evidence_never_becomes_markup() {
    let harmless = tags(&html::page(&attacked("harmless"), "en", MADE));
    for attack in ATTACKS {
        let page = html::page(&attacked(attack), "en", MADE);
        assert_eq!(tags(&page), harmless, "{attack:?}");
        assert!(!page.contains("onerror=alert") || page.contains("&gt;&lt;img src=x onerror=alert"), "{attack:?}");
        let body = page.split_once("</style>").unwrap().1;
        assert!(
            !body.contains("='") && !body.contains(" style="),
            "{attack:?}: attributes are quoted, styles are not inline"
        );
    }
}

#[test]
fn no_control_or_reordering_character_reaches_anybody() {
    for attack in ATTACKS {
        let document = attacked(attack);
        let page = html::page(&document, "en", MADE);
        let mut texts = vec![page, document.to_json()];
        for colour in [false, true] {
            texts.push(terminal::text(&document, "en", 80, colour));
            texts.extend(terminal::explain(&document, attack, "en", 80, colour));
        }
        for text in texts {
            let own = own_escapes_removed(&text);
            let bad = own.chars().find(|&character| character != '\n' && visible::is_hidden(character));
            assert_eq!(bad, None, "{attack:?}");
        }
    }
}

/// Escapes that set a look are ours: `ESC [ digits and semicolons m`, nothing else.
fn own_escapes_removed(text: &str) -> String {
    let mut rest = text;
    let mut own = String::new();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        own.push_str(before);
        let after = after.trim_start_matches(|character: char| character.is_ascii_digit() || character == ';');
        rest = after.strip_prefix('m').unwrap_or_else(|| panic!("an escape that is not ours before {after:.20?}"));
    }
    own + rest
}

#[test]
fn a_million_characters_do_not_flood_the_page() {
    let long = "あ".repeat(1_000_000);
    let document = attacked(&long);
    let page = html::page(&document, "ja", MADE);
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("… (+"));
    let text = terminal::text(&document, "ja", 100, false);
    assert!(text.len() < 400_000, "{}", text.len());
}

#[test]
fn narrow_terminals_and_absurd_numbers_do_not_panic() {
    let document = hunt_with("ja", |findings, incidents, inputs| {
        findings[0].confidence = f64::NAN;
        incidents[0].score = f64::INFINITY;
        incidents[0].reasons[0].weight = f64::NAN;
        incidents[0].reasons[1].weight = f64::INFINITY;
        inputs[0].rows = u64::MAX;
        inputs[1].rows = u64::MAX;
        inputs[0].first_time = matagi_model::Time(i64::MIN);
        inputs[0].last_time = matagi_model::Time(i64::MAX);
        incidents[0].first_time = matagi_model::Time(i64::MIN);
        incidents[0].last_time = matagi_model::Time(i64::MAX);
    });
    for width in [0, 1, 40, 79, usize::MAX] {
        assert!(!terminal::text(&document, "ja", width, true).is_empty());
    }
    assert!(html::page(&document, "ja", MADE).ends_with("</html>\n"));
    assert_eq!(document.incidents[0].score.to_bits(), 0.0_f64.to_bits());
    serde_json::from_str::<serde_json::Value>(&document.to_json()).unwrap();
}

#[test]
fn terminal_lines_keep_within_their_width() {
    use unicode_width::UnicodeWidthStr as _;
    for lang in ["en", "ja"] {
        for width in [60, 80, 110] {
            let text = terminal::text(&common::hunt(lang), lang, width, false);
            for line in text.lines().filter(|line| !line.starts_with("      ")) {
                assert!(line.width() <= width, "{lang} {width}: {line}");
            }
        }
    }
}
