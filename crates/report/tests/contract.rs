//! The document holds what the contract `matagi.hunt/1` promises, and survives a trip through JSON.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

mod common;

use common::{hunt, hunt_with};
use matagi_report::HuntDocument;
use serde_json::Value;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn has(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value.get(name).is_some(), "{name} is missing among {:?}", keys(value));
    }
}

#[test]
fn the_names_are_those_of_the_contract() {
    let json: Value = serde_json::from_str(&hunt("en").to_json()).unwrap();
    assert_eq!(json["schema"], "matagi.hunt/1");
    has(&json, &["inputs", "findings", "incidents", "coverage"]);
    has(&json["inputs"][0], &["path", "format", "rows", "duplicates", "rejected", "first_time", "last_time"]);
    let finding = &json["findings"][0];
    has(finding, &["id", "analytic", "catalogue", "title", "severity", "confidence", "first_time", "last_time"]);
    has(finding, &["entities", "techniques", "reasons", "evidence"]);
    has(&finding["entities"][0], &["kind", "value", "role"]);
    has(&finding["reasons"][0], &["code", "text", "weight"]);
    has(&finding["evidence"][0], &["event_uid", "table", "time", "source", "fact"]);
    has(&finding["evidence"][0]["source"], &["path", "record"]);
    let incident = &json["incidents"][0];
    has(incident, &["id", "title", "severity", "score", "first_time", "last_time", "entities", "findings"]);
    has(incident, &["stages", "reasons", "narrative"]);
    assert_eq!(incident["severity"], "critical");
    assert_eq!(incident["first_time"], "2024-03-11T23:12:09Z");
    assert!(incident["narrative"][0].is_string());
}

#[test]
fn unknown_times_are_null() {
    let json: Value = serde_json::from_str(&hunt("en").to_json()).unwrap();
    let lone = json["findings"].as_array().unwrap().last().unwrap();
    assert!(lone["first_time"].is_null() && lone["evidence"][0]["time"].is_null(), "{lone}");
}

#[test]
fn a_document_survives_json() {
    let document = hunt("ja");
    assert_eq!(serde_json::from_str::<HuntDocument>(&document.to_json()).unwrap(), document);
}

#[test]
fn the_order_does_not_depend_on_the_order_of_discovery() {
    let turned = hunt_with("en", |findings, incidents, inputs| {
        findings.reverse();
        incidents.reverse();
        inputs.reverse();
    });
    assert_eq!(hunt("en"), turned);
    let worst: Vec<_> = turned.findings.iter().map(|finding| finding.severity.word()).collect();
    assert_eq!(worst, ["critical", "high", "medium", "low"]);
}

#[test]
fn an_incident_scores_the_sum_of_its_printed_reasons() {
    let incident = &hunt("en").incidents[0];
    let sum: f64 = incident.reasons.iter().map(|reason| reason.weight).sum();
    assert!((sum - incident.score).abs() < 1e-9);
}

#[test]
fn words_of_the_vocabulary_and_quoted_titles_are_translated() {
    let absent = hunt("ja").coverage.remove(0);
    assert_eq!(absent.text, "メッセージ追跡: 誰が誰にメールを送ったかは不明です");
    let incident = &hunt("ja").incidents[0];
    assert_eq!(incident.title, "anna.berg@aozora.example のメールボックス乗っ取り");
    assert!(
        incident.reasons[0].text.ends_with("重大度: 緊急）: 「invoice; 請求書」に関するメールを隠す受信トレイルール")
    );
    assert_eq!(incident.narrative[1], "「invoice; 請求書」に関するメールを隠す受信トレイルール");
    assert!(incident.reasons[2].text.contains("アカウントの不正使用、潜伏の維持"), "{}", incident.reasons[2].text);
}

#[test]
fn runs_of_records_are_one_line_of_the_timeline() {
    let timeline = &hunt("en").incidents[0].timeline;
    let counts: Vec<u64> = timeline.iter().map(|line| line.count).collect();
    assert_eq!(counts, [1, 1, 8]);
}
