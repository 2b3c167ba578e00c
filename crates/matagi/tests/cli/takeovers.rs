//! Every kind of takeover that can be planted, found in a small company: the score that the project lives by.

use std::fs;

use super::World;

/// Part of the planted steps that must be found.
const RECALL_MIN: f64 = 0.95;

#[test]
fn every_kind_of_takeover_is_found_and_honest_life_is_not() {
    let world = World::new();
    let plan = ["--seed", "5", "--users", "40", "--days", "14", "--takeover", "all", "--out", "company"];
    world.run(&[&["synth"], &plan[..]].concat()).exits(0);
    let hunt = world.run(&["hunt", "company/evidence", "--format", "json"]).exits(0);
    fs::write(world.path("hunt.json"), &hunt.stdout).unwrap();
    let score = world.run(&["synth", "score", "company/truth.json", "hunt.json", "--format", "json"]).exits(0).json();

    let count = |name: &str| score[name].as_f64().expect("a number");
    assert!(count("steps") >= 50.0, "the plan plants every kind: {score:#}");
    assert!(count("steps_found") >= RECALL_MIN * count("steps"), "missed: {:#}", score["missed"]);
    for takeover in score["takeovers"].as_array().expect("a list") {
        assert_eq!(takeover["incidents"], 1, "one incident a takeover: {takeover:#}");
    }
    assert_eq!(score["merged_incidents"], 0);
    assert!(score["false_incidents"].as_array().is_some_and(|list| list.len() <= 1), "{:#}", score["false_incidents"]);
}
