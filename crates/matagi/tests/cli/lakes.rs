//! Lakes: which one is used, what a second reading adds, what is kept afterwards.

use std::fs;

use crate::{HOSTILE_RULE, World, audit_lines};

#[test]
fn a_second_ingest_adds_nothing() {
    let world = World::new();
    world.file("in/audit.jsonl", audit_lines(0..500));
    let first = world.run(&["ingest", "in", "--lake", "lake"]).exits(0).says(&["500 rows, 0 duplicates, 0 rejected"]);
    assert_eq!(first.stdout, "");
    assert_eq!(world.rows("lake"), 500);
    world.run(&["ingest", "in", "--lake", "lake"]).exits(0);
    // The same records in another file and another order.
    let backwards: String = audit_lines(0..600).lines().rev().fold(String::new(), |all, line| all + line + "\n");
    world.file("again.jsonl", backwards);
    world.run(&["ingest", "again.jsonl", "--lake", "lake"]).exits(0).says(&["100 rows, 500 duplicates"]);
    assert_eq!(world.rows("lake"), 600);
}

#[test]
fn standard_input_is_read_like_a_file() {
    let world = World::new();
    let input = audit_lines(0..300);
    world.run_with(&["ingest", "-", "--lake", "lake"], input.as_bytes()).exits(0).says(&["300 rows"]);
    assert_eq!(world.rows("lake"), 300);
    world.file("audit.jsonl", input);
    world.run(&["ingest", "audit.jsonl", "--lake", "lake"]).exits(0);
    assert_eq!(world.rows("lake"), 300);
}

#[test]
fn init_makes_a_lake_that_the_next_commands_find() {
    let world = World::new();
    world.run(&["init"]).exits(0).says(&["matagi.toml", "lake"]);
    assert!(world.path("lake/catalog.db").is_file());
    let configuration = fs::read_to_string(world.path("matagi.toml")).unwrap();
    assert!(configuration.contains("# [parameters."), "{configuration}");
    world.file("sub/folder/audit.jsonl", audit_lines(0..10));
    let mut below = world.command(&["ingest", "audit.jsonl"]);
    crate::ran(&below.current_dir(world.path("sub/folder")).output().unwrap()).exits(0).says(&["10 rows"]);
    assert_eq!(world.rows("lake"), 10);
    world.run(&["init"]).exits(0).says(&["not touched"]);
    assert_eq!(fs::read_to_string(world.path("matagi.toml")).unwrap(), configuration);
    assert_eq!(world.rows("lake"), 10);
}

#[test]
fn the_option_comes_before_the_environment_and_that_before_the_configuration() {
    let world = World::new();
    world.file("matagi.toml", "lake = \"configured\"\n");
    world.file("audit.jsonl", audit_lines(0..5));
    let with_environment = |arguments: &[&str]| {
        crate::ran(&world.command(arguments).env("MATAGI_LAKE", "environment").output().unwrap()).exits(0);
    };
    with_environment(&["ingest", "audit.jsonl", "--lake", "option"]);
    assert!(world.path("option").exists() && !world.path("environment").exists() && !world.path("configured").exists());
    with_environment(&["ingest", "audit.jsonl"]);
    assert!(world.path("environment").exists() && !world.path("configured").exists());
    world.run(&["ingest", "audit.jsonl"]).exits(0);
    assert!(world.path("configured").exists());
}

#[test]
fn without_a_lake_there_is_a_hint() {
    let world = World::new();
    for arguments in [&["ingest", "x"][..], &["query", "SELECT 1"], &["rejects"]] {
        world.file("x", audit_lines(0..1));
        world.run(arguments).exits(2).says(&["error:", "hint:", "matagi init"]);
    }
    world.run(&["hunt"]).exits(2).says(&["hint: matagi hunt PATH"]);
    world.run(&["incidents"]).exits(2).says(&["matagi hunt"]);
    world.run(&["incidents", "--lake", "nowhere"]).exits(2).says(&["matagi init"]);
}

#[test]
fn two_hunts_without_a_lake_never_mix_and_leave_nothing_but_their_result() {
    let world = World::new();
    world.file("hostile.jsonl", HOSTILE_RULE);
    world.file("quiet.jsonl", audit_lines(0..20));
    let temporary = world.path("tmp");
    fs::create_dir(&temporary).unwrap();
    let hunt = |path: &str| {
        let output = world.command(&["hunt", path, "--format", "json"]).env("TMPDIR", &temporary).output().unwrap();
        crate::ran(&output).exits(0).json()
    };
    assert!(!hunt("hostile.jsonl")["findings"].as_array().unwrap().is_empty());
    let listed = world.run(&["incidents", "--findings", "--format", "json"]).exits(0).json();
    assert!(!listed.as_array().unwrap().is_empty());
    let quiet = hunt("quiet.jsonl");
    assert_eq!(quiet["inputs"].as_array().unwrap().len(), 1);
    assert_eq!(quiet["findings"], serde_json::json!([]));
    assert_eq!(world.run(&["incidents", "--findings", "--format", "json"]).exits(0).json(), serde_json::json!([]));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "the temporary lake is removed");
}

#[test]
fn a_hunt_over_a_lake_covers_all_of_it_and_is_kept_there() {
    let world = World::new();
    world.file("hostile.jsonl", HOSTILE_RULE);
    world.file("quiet.jsonl", audit_lines(0..20));
    world.run(&["hunt", "hostile.jsonl", "--lake", "lake"]).exits(0);
    let both = world.run(&["hunt", "quiet.jsonl", "--lake", "lake", "--format", "json"]).exits(0).json();
    assert_eq!(both["inputs"].as_array().unwrap().len(), 2);
    let id = both["findings"][0]["id"].as_str().expect("the rule is found").to_owned();
    let english = world.run(&["explain", &id, "--lake", "lake"]).exits(0).stdout;
    assert!(english.contains("hostile.jsonl") && english.contains("New-InboxRule"), "{english}");
    let japanese = world.run(&["explain", &id, "--lake", "lake", "--lang", "ja"]).exits(0).stdout;
    assert!(japanese != english && japanese.chars().any(|character| ('ぁ'..='ん').contains(&character)), "{japanese}");
    let page = world.run(&["report", "--lake", "lake"]).exits(0).stdout;
    assert!(page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"), "{page}");
    world.run(&["explain", "F-0000000000", "--lake", "lake"]).exits(2).says(&["matagi incidents"]);
}

#[test]
fn rejects_are_listed_with_file_record_and_reason() {
    let world = World::new();
    let mut lines = audit_lines(0..3);
    lines.push_str("{\"CreationTime\":\"2024-05-01T00:00:00\",\"Id\":\"x\",\"Operat\n");
    lines.push_str(&audit_lines(3..6));
    world.file("audit.jsonl", lines);
    world.run(&["ingest", "audit.jsonl", "--lake", "lake"]).exits(0).says(&["1 rejected (matagi rejects show 1)"]);
    let rejects = world.run(&["rejects", "show", "1", "--lake", "lake", "--format", "json"]).exits(0).json();
    assert_eq!(rejects[0]["record"], 4, "{rejects}");
    assert!(rejects[0]["path"].as_str().unwrap().ends_with("audit.jsonl"));
    assert!(!rejects[0]["reason"].as_str().unwrap().is_empty());
    world.run(&["rejects", "show", "7", "--lake", "lake"]).exits(2).says(&["no input 7"]);
    assert_eq!(world.rows("lake"), 6);
}

#[test]
fn a_configuration_mistake_is_shown_with_its_line() {
    let world = World::new();
    world.file("matagi.toml", "lake = \"lake\"\nlanguage = \"ja\"\n");
    world.run(&["sources"]).exits(2).says(&["matagi.toml:2:1", "language", "hint:"]);
}
