//! What scripts rely on: streams, exit status, the document matagi.hunt/1, the lists.

use std::process::Stdio;

use serde_json::Value;

use crate::{HOSTILE_RULE, World, audit_lines};

fn hostile() -> World {
    let world = World::new();
    world.file("audit.jsonl", audit_lines(0..40) + HOSTILE_RULE);
    world
}

#[track_caller]
fn has(object: &Value, fields: &[&str]) {
    for field in fields {
        assert!(object.get(field).is_some(), "no `{field}` in {object}");
    }
}

fn is_utc(time: &Value) -> bool {
    time.is_null() || time.as_str().is_some_and(|text| text.ends_with('Z') && text.contains('T'))
}

#[test]
fn a_hunt_is_one_json_document_with_the_promised_fields() {
    let world = hostile();
    let document = world.run(&["hunt", "audit.jsonl", "--format", "json", "--lang", "en"]).exits(0).json();
    assert_eq!(document["schema"], "matagi.hunt/1");
    has(&document, &["inputs", "findings", "incidents", "coverage"]);
    let input = &document["inputs"][0];
    has(input, &["path", "format", "rows", "duplicates", "rejected", "first_time", "last_time"]);
    assert_eq!((input["rows"].as_u64(), input["format"].as_str()), (Some(41), Some("m365-audit")));
    let findings = document["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        has(finding, &["id", "analytic", "catalogue", "title", "severity", "confidence", "first_time", "last_time"]);
        has(finding, &["entities", "techniques", "reasons", "evidence"]);
        assert!(is_utc(&finding["first_time"]) && is_utc(&finding["last_time"]));
        let severity = finding["severity"].as_str().unwrap();
        assert!(["informational", "low", "medium", "high", "critical"].contains(&severity));
        finding["entities"].as_array().unwrap().iter().for_each(|entity| has(entity, &["kind", "value", "role"]));
        finding["reasons"].as_array().unwrap().iter().for_each(|reason| has(reason, &["code", "text", "weight"]));
        let evidence = finding["evidence"].as_array().unwrap();
        assert!(!evidence.is_empty(), "a finding without evidence: {finding}");
        for record in evidence {
            has(record, &["event_uid", "table", "time", "source", "fact"]);
            has(&record["source"], &["path", "record"]);
        }
    }
    for incident in document["incidents"].as_array().unwrap() {
        has(incident, &["id", "title", "severity", "score", "first_time", "last_time", "entities", "findings"]);
        has(incident, &["stages", "reasons", "narrative"]);
        let ids: Vec<&Value> = findings.iter().map(|finding| &finding["id"]).collect();
        assert!(incident["findings"].as_array().unwrap().iter().all(|id| ids.contains(&id)));
        let sum: f64 =
            incident["reasons"].as_array().unwrap().iter().map(|reason| reason["weight"].as_f64().unwrap()).sum();
        let score = incident["score"].as_f64().unwrap();
        assert!((sum - score).abs() < 0.01, "score {score} is not the sum of its reasons {sum}");
    }
}

#[test]
fn every_piece_of_evidence_leads_back_to_its_record() {
    let world = hostile();
    let document = world.run(&["hunt", "audit.jsonl", "--lake", "lake", "--format", "json"]).exits(0).json();
    let record = &document["findings"][0]["evidence"][0];
    let (table, uid) = (record["table"].as_str().unwrap(), record["event_uid"].as_str().unwrap());
    let sql = format!("SELECT source_path, source_record FROM {table} WHERE encode(event_uid, 'hex') = '{uid}'");
    let rows = world.run(&["query", &sql, "--lake", "lake", "--format", "json"]);
    if rows.status == Some(0) {
        assert_eq!(rows.json()[0]["source_record"], record["source"]["record"]);
    }
    assert_eq!(record["source"]["record"], 41);
}

#[test]
fn fail_on_decides_between_0_and_1() {
    let world = hostile();
    world.run(&["hunt", "audit.jsonl", "--fail-on", "informational"]).exits(1);
    world.run(&["hunt", "audit.jsonl"]).exits(0);
    let quiet = World::new();
    quiet.file("audit.jsonl", audit_lines(0..40));
    quiet.run(&["hunt", "audit.jsonl", "--fail-on", "informational"]).exits(0);
}

#[test]
fn nothing_but_data_goes_to_stdout_and_quiet_silences_the_rest() {
    let world = hostile();
    let ran = world.run(&["hunt", "audit.jsonl", "--format", "json"]).exits(0).says(&["41 rows"]);
    ran.json();
    let ran = world.run(&["hunt", "audit.jsonl", "--format", "json", "--quiet"]).exits(0);
    assert_eq!(ran.stderr, "");
    for format in ["text", "json", "csv", "table"] {
        let ran = world.run(&["hunt", "audit.jsonl", "--format", format]).exits(0);
        assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{format} has escape codes");
    }
}

#[test]
fn two_runs_are_equal_byte_by_byte() {
    let world = hostile();
    let run = || world.run(&["hunt", "audit.jsonl", "--format", "json", "--now", "2024-06-01"]).exits(0).stdout;
    assert_eq!(run(), run());
}

#[test]
fn every_list_is_json_csv_table_and_parquet() {
    let world = hostile();
    world.run(&["hunt", "audit.jsonl", "--lake", "lake"]).exits(0);
    let lists: [&[&str]; 8] = [
        &["incidents"],
        &["incidents", "--findings"],
        &["sources", "formats"],
        &["sources", "inputs"],
        &["rejects"],
        &["rules", "list"],
        &["reference", "status"],
        &["query", "SELECT time, user_name, src_ip FROM auth ORDER BY time"],
    ];
    for list in lists {
        for format in ["json", "csv", "table", "parquet"] {
            let mut arguments = list.to_vec();
            arguments.extend(["--lake", "lake", "--format", format]);
            let output = world.command(&arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            match format {
                "json" => assert!(serde_json::from_slice::<Value>(&output.stdout).unwrap().is_array(), "{arguments:?}"),
                "parquet" => {
                    assert!(output.stdout.starts_with(b"PAR1") && output.stdout.ends_with(b"PAR1"), "{arguments:?}");
                }
                _ => assert!(!output.stdout.is_empty(), "{arguments:?}"),
            }
        }
    }
}

#[test]
fn lists_take_limit_since_and_until() {
    let world = hostile();
    world.run(&["hunt", "audit.jsonl", "--lake", "lake"]).exits(0);
    let count = |arguments: &[&str]| {
        let mut all = vec!["incidents", "--findings", "--lake", "lake", "--format", "json"];
        all.extend(arguments);
        world.run(&all).exits(0).json().as_array().unwrap().len()
    };
    let all = count(&[]);
    assert!(all >= 1);
    assert_eq!(count(&["--limit", "0"]), 0);
    assert_eq!(count(&["--since", "2024-05-01", "--until", "2024-05-31"]), all);
    assert_eq!(count(&["--since", "2024-06-01"]), 0);
    assert_eq!(count(&["--until", "2024-04-01"]), 0);
    assert_eq!(count(&["--since", "40d", "--now", "2024-06-01"]), all);
    assert_eq!(count(&["--since", "40d", "--now", "2025-06-01"]), 0);
}

#[test]
fn a_query_shows_addresses_as_text_and_errors_with_a_caret() {
    let world = hostile();
    world.run(&["ingest", "audit.jsonl", "--lake", "lake"]).exits(0);
    let query = |sql: &str| world.run(&["query", sql, "--lake", "lake", "--format", "csv"]);
    let rows = query("SELECT DISTINCT src_ip FROM auth ORDER BY src_ip").exits(0).stdout;
    assert_eq!(rows, "src_ip\n192.0.2.1\n");
    query("SELECT FROM WHERE").exits(2).says(&["error:"]);
    query("SELECT nonsense FROM auth").exits(2).says(&["error:", "nonsense"]);
    query("DROP TABLE auth").exits(2).says(&["error:"]);
    assert_eq!(world.rows("lake"), 41);
    let limited = world.run(&["query", "SELECT * FROM auth", "--limit", "3", "--lake", "lake", "--format", "json"]);
    assert_eq!(limited.exits(0).says(&["first 3 rows"]).json().as_array().unwrap().len(), 3);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let world = World::new();
    world.file("audit.jsonl", audit_lines(0..5_000));
    world.run(&["ingest", "audit.jsonl", "--lake", "lake"]).exits(0);
    let mut child = world.spawn(&["query", "SELECT raw FROM auth", "--lake", "lake", "--format", "json"]);
    drop(child.stdout.take());
    let ran = crate::ran(&child.wait_with_output().unwrap()).exits(0);
    assert!(!ran.stderr.contains("error"), "{}", ran.stderr);
}

#[test]
fn rules_of_the_user_run_and_refused_ones_are_said() {
    let world = hostile();
    world.file(
        "rules/anna.yml",
        "title: Sign-in of Anna\nid: 7d3c1c4e-0000-4000-8000-000000000001\nstatus: test\nlevel: high\n\
         logsource:\n  product: m365\ndetection:\n  selection:\n    Operation: UserLoggedIn\n  condition: selection\n",
    );
    world.file(
        "rules/broken.yml",
        "title: Broken\nid: 7d3c1c4e-0000-4000-8000-000000000002\ndetection:\n  condition: 1 of\n",
    );
    let checked = world.run(&["rules", "check", "rules", "--format", "json"]).exits(0).json();
    assert_eq!(checked["loaded"], 1, "{checked}");
    let refused = checked["refused"].as_array().unwrap();
    assert_eq!(refused.len(), 1);
    has(&refused[0], &["path", "id", "reason"]);
    world.run(&["rules", "check", "rules", "--strict"]).exits(2);
    let document = world
        .run(&["hunt", "audit.jsonl", "--rules", "rules", "--format", "json"])
        .exits(0)
        .says(&["broken.yml"])
        .json();
    let mut analytics =
        document["findings"].as_array().unwrap().iter().map(|finding| finding["analytic"].as_str().unwrap());
    assert!(analytics.any(|analytic| analytic == "sigma/7d3c1c4e-0000-4000-8000-000000000001"));
    world.run(&["hunt", "audit.jsonl", "--rules", "no-such-folder"]).exits(2).says(&["no-such-folder"]);
}

#[test]
fn the_report_is_one_file_that_loads_nothing() {
    let world = hostile();
    world
        .run(&["hunt", "audit.jsonl", "--report", "hunt.html", "--now", "2024-06-01", "--lang", "ja"])
        .exits(0)
        .says(&["hunt.html"]);
    let page = std::fs::read_to_string(world.path("hunt.html")).unwrap();
    assert!(page.contains("lang=\"ja\""));
    for loader in ["src=\"http", "href=\"http", "url(http", "@import", "<script src", "<link rel=\"stylesheet\""] {
        assert!(!page.contains(loader), "{loader}");
    }
    world
        .run(&["hunt", "audit.jsonl", "--report", "no/such/folder/x.html"])
        .exits(2)
        .says(&["cannot write no/such/folder/x.html"]);
}

#[test]
fn the_doctor_says_what_is_dimmer_and_what_is_broken() {
    let world = World::new();
    let checks = world.run(&["doctor", "--format", "json"]).exits(0).json();
    let state =
        |name: &str| checks.as_array().unwrap().iter().find(|check| check["check"] == name).unwrap()["state"].clone();
    assert_eq!(state("reference"), "dim");
    assert_eq!(state("content"), "good");
    world.file("lake/catalog.db", "this is no database");
    world.run(&["doctor", "--lake", "lake"]).exits(2);
}

#[test]
fn the_language_is_chosen_by_option_configuration_or_locale() {
    let world = World::new();
    let doctor = |arguments: &[&str], locale: &str| {
        let mut all = vec!["doctor"];
        all.extend(arguments);
        let output = world.command(&all).env("LC_ALL", locale).stdin(Stdio::null()).output().unwrap();
        crate::ran(&output).exits(0).stdout.contains("参照データ")
    };
    assert!(!doctor(&[], "C.UTF-8") && doctor(&[], "ja_JP.UTF-8"));
    assert!(doctor(&["--lang", "ja"], "C.UTF-8") && !doctor(&["--lang", "en"], "ja_JP.UTF-8"));
    world.file("matagi.toml", "lang = \"ja\"\n");
    assert!(doctor(&[], "C.UTF-8"));
}

#[test]
fn the_sample_company_is_written_hunted_and_scored() {
    let world = World::new();
    let written =
        world.run(&["synth", "--out", "sample", "--users", "12", "--days", "10"]).exits(0).says(&["truth.json"]);
    let evidence = written.stdout.trim().to_owned();
    let hunt = world.run(&["hunt", &evidence, "--format", "json"]).exits(0).stdout;
    world.file("hunt.json", &hunt);
    let score = world.run(&["synth", "score", "sample/truth.json", "hunt.json", "--format", "json"]).exits(0).json();
    assert!(score["steps"].as_u64().unwrap() >= 5, "{score}");
    assert!(score["steps_found"].as_u64().unwrap() >= 1, "{score}");
    world.run(&["synth", "score", "sample/truth.json", "sample/truth.json"]).exits(0);
    world.run(&["synth", "score", "hunt.json", "sample/truth.json"]).exits(2).says(&["hint:"]);
}
