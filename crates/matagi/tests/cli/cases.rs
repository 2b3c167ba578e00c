//! Every folder below `cases/` is a test: nobody writes Rust to add one.
//!
//! `case.toml`:
//! ```toml
//! now = "2021-10-04T00:00:00Z"      # the present instant of the case
//! tags = ["bec"]
//! expect = ["MBX-022"]              # catalogue ids or analytics that must be found
//! forbid = ["mailbox/hiding-rule"]  # and those that must not
//! max_severity = "low"              # nothing may be worse
//! exit = 0                          # exit status of the hunt
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{World, repository};

/// A case as its author wrote it.
struct Case {
    now: String,
    expect: Vec<String>,
    forbid: Vec<String>,
    max_severity: Option<String>,
    exit: i32,
}

const KEYS: [&str; 6] = ["now", "tags", "expect", "forbid", "max_severity", "exit"];

impl Case {
    fn load(file: &Path) -> Self {
        let table: toml::Table = fs::read_to_string(file).unwrap().parse().unwrap();
        for key in table.keys() {
            assert!(KEYS.contains(&key.as_str()), "{}: unknown key {key}", file.display());
        }
        let text = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let list = |key: &str| -> Vec<String> {
            let values = table.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
            values.iter().map(|value| value.as_str().expect("a list of texts").to_owned()).collect()
        };
        Self {
            now: text("now").unwrap_or_else(|| panic!("{}: a case has a `now`", file.display())),
            expect: list("expect"),
            forbid: list("forbid"),
            max_severity: text("max_severity"),
            exit: table.get("exit").and_then(toml::Value::as_integer).map_or(0, |exit| i32::try_from(exit).unwrap()),
        }
    }
}

const LADDER: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

fn rank(severity: &str) -> usize {
    LADDER.iter().position(|known| *known == severity).unwrap_or_else(|| panic!("`{severity}` is no severity"))
}

/// Catalogue ids and analytics of all findings.
fn found(document: &Value) -> BTreeSet<String> {
    let findings = document["findings"].as_array().unwrap().iter();
    findings
        .flat_map(|finding| {
            let catalogue = finding["catalogue"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
            catalogue.chain([finding["analytic"].as_str().unwrap().to_owned()]).collect::<Vec<_>>()
        })
        .collect()
}

fn findings_text(document: &Value) -> String {
    let mut text = String::new();
    for finding in document["findings"].as_array().unwrap() {
        let field = |name: &str| finding[name].as_str().unwrap_or("-");
        writeln!(text, "{:<13} {} {}", field("severity"), field("analytic"), field("title")).unwrap();
        for reason in finding["reasons"].as_array().unwrap() {
            writeln!(text, "  {:+.1} {}", reason["weight"].as_f64().unwrap(), reason["text"].as_str().unwrap())
                .unwrap();
        }
        for record in finding["evidence"].as_array().unwrap() {
            let (path, number) = (record["source"]["path"].as_str().unwrap(), &record["source"]["record"]);
            let time = record["time"].as_str().unwrap_or("-");
            writeln!(text, "  {time} {path}:{number} {}", record["fact"].as_str().unwrap()).unwrap();
        }
    }
    text
}

fn incidents_text(document: &Value) -> String {
    let mut text = String::new();
    for incident in document["incidents"].as_array().unwrap() {
        let field = |name: &str| incident[name].as_str().unwrap_or("-");
        writeln!(text, "{} {:.0} {}", field("severity"), incident["score"].as_f64().unwrap(), field("title")).unwrap();
        for sentence in incident["narrative"].as_array().unwrap() {
            writeln!(text, "  {}", sentence.as_str().unwrap_or_default()).unwrap();
        }
        for step in incident["next_steps"].as_array().into_iter().flatten() {
            writeln!(text, "  > {}", step["text"].as_str().unwrap()).unwrap();
        }
    }
    text
}

/// Every `cases/<mission>/<case>/case.toml`, in order of name.
fn all() -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let missions = entries(&repository().join("cases")).into_iter().filter(|mission| mission.is_dir());
    missions
        .flat_map(|mission| entries(&mission))
        .map(|case| case.join("case.toml"))
        .filter(|file| file.is_file())
        .collect()
}

#[test]
fn cases() {
    let all = all();
    assert!(!all.is_empty(), "there are no cases");
    // Every case is run, so that one change of a detection shows all that it does.
    let failed: Vec<String> = all
        .iter()
        .filter(|file| catch_unwind(AssertUnwindSafe(|| run(file))).is_err())
        .map(|file| file.parent().unwrap().display().to_string())
        .collect();
    assert!(failed.is_empty(), "cases that failed:\n{}", failed.join("\n"));
}

fn run(file: &Path) {
    let case = Case::load(file);
    let folder = file.parent().unwrap().canonicalize().unwrap();
    assert!(folder.join("README.md").is_file(), "{} has no README.md", folder.display());
    let world = World::new();
    let arguments = ["hunt", "in", "--format", "json", "--lang", "en", "--now", &case.now];
    let mut command = world.command(&arguments);
    let ran = crate::ran(&command.current_dir(&folder).output().unwrap()).exits(case.exit);
    let document = ran.json();
    let found = found(&document);
    for wanted in &case.expect {
        assert!(found.contains(wanted), "{}: {wanted} was not found; found: {found:?}", folder.display());
    }
    for unwanted in &case.forbid {
        assert!(!found.contains(unwanted), "{}: {unwanted} was found", folder.display());
    }
    if let Some(limit) = &case.max_severity {
        for finding in document["findings"].as_array().unwrap() {
            let severity = finding["severity"].as_str().unwrap();
            assert!(rank(severity) <= rank(limit), "{}: {severity}: {}", folder.display(), finding["title"]);
        }
    }
    insta::with_settings!({ snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("expected.findings", findings_text(&document));
        insta::assert_snapshot!("expected.incidents", incidents_text(&document));
    });
}
