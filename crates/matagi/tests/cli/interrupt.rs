//! Ctrl-C in the middle of an ingest: what was committed stays, and the same evidence completes the lake.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{World, audit_lines};

/// Longest time in which a stop may take effect, in a build without optimisation on a busy machine.
const STOP_MAX: Duration = Duration::from_mins(1);

#[test]
fn ctrl_c_keeps_what_was_committed_and_a_rerun_completes_it() {
    let world = World::new();
    let all = audit_lines(0..30_000);
    world.file("audit.jsonl", &all);
    let mut child = world.spawn(&["ingest", "-", "--lake", "lake"]);
    let mut stdin = child.stdin.take().unwrap();
    let (begun, rest) = all.as_bytes().split_at(all.len() / 3);
    stdin.write_all(begun).unwrap();
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    // The rest comes drop by drop, so that the program can only end by the signal.
    let started = Instant::now();
    for block in rest.chunks(256).cycle() {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        assert!(started.elapsed() < STOP_MAX, "Ctrl-C had no effect");
        let _gone = stdin.write_all(block);
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(stdin);
    crate::ran(&child.wait_with_output().unwrap()).exits(130).says(&["stopped:", "kept"]);

    let before = world.rows("lake");
    assert!(before < 30_000);
    let inputs = world.run(&["sources", "inputs", "--lake", "lake", "--format", "json"]).exits(0).json();
    assert_eq!(inputs[0]["status"], "interrupted", "{inputs}");
    assert_eq!(inputs[0]["rows"].as_u64(), Some(before), "rows that are told are rows that are there");
    world.run(&["ingest", "audit.jsonl", "--lake", "lake"]).exits(0);
    assert_eq!(world.rows("lake"), 30_000);
}

#[test]
fn an_interrupted_hunt_without_a_lake_leaves_nothing() {
    let world = World::new();
    let temporary = world.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = world.command(&["hunt", "-"]);
    command.env("TMPDIR", &temporary).stdin(std::process::Stdio::piped());
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = audit_lines(0..2_000);
    stdin.write_all(lines.as_bytes()).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < STOP_MAX, "Ctrl-C had no effect");
        let _gone = stdin.write_all(&lines.as_bytes()[..lines.len() / 8]);
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = crate::ran(&child.wait_with_output().unwrap()).exits(130);
    assert_eq!(ran.stdout, "");
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "the temporary lake is removed");
}

#[test]
fn the_browser_sees_the_last_hunt_until_ctrl_c() {
    let world = World::new();
    world.file("hostile.jsonl", crate::HOSTILE_RULE);
    world.run(&["hunt", "hostile.jsonl"]).exits(0);
    world.run(&["serve", "--address", "0.0.0.0:0"]).exits(2).says(&["loopback"]);
    let mut child = world.spawn(&["serve", "--address", "127.0.0.1:0"]);
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("an address");
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET /api/v1/hunt HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let answer = std::io::read_to_string(connection).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("matagi.hunt/1"), "{answer}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
