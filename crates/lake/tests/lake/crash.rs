//! The process is killed at random moments of an ingest; nothing acknowledged is lost, nothing half is seen.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use matagi_lake::Lake;

use crate::rows::{assert_holds, batch, contents, saas};

/// Names the lake to the child; without it the child's test does nothing.
const CHILD: &str = "MATAGI_LAKE_CRASH_CHILD";

/// Rows of the evidence that the child reads. It commits every 60, and merges small files at the end.
const ROWS: u64 = 6_000;
const COMMIT_ROWS: u64 = 60;

/// Kills that hit in the middle: after the child's first commit, before its end.
const KILLS: u32 = 50;

/// Longest life of a child at first; on a busy machine, where it dies before its first commit, the next may live longer.
const LIFE_MS_MAX: u64 = 600;

/// Runs in the child: reads the evidence from its beginning, and says after each commit how far it is acknowledged.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let lake = Lake::open_or_create(dir).unwrap();
    let mut writer = lake.ingest().unwrap();
    writer.begin("evidence", Some("test")).unwrap();
    for start in (0..ROWS).step_by(usize::try_from(COMMIT_ROWS).unwrap()) {
        writer.append(batch(start..start + COMMIT_ROWS)).unwrap();
        writer.flush().unwrap();
        let line = format!("\nacknowledged {}\n", start + COMMIT_ROWS);
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).unwrap();
    }
    writer.end("complete", None).unwrap();
    writer.finish().unwrap();
}

/// Lets a child live so long; gives how many rows it acknowledged, and whether it had to be killed.
fn run_child(dir: &Path, life: Option<Duration>) -> (u64, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).max().unwrap_or(0)
    });
    if let Some(life) = life {
        std::thread::sleep(life);
        // SIGKILL: no destructor, no handler.
        child.kill().unwrap();
    }
    let status = child.wait().unwrap();
    assert!(life.is_some() || status.success(), "the last child must come to its end");
    (reader.join().unwrap(), !status.success())
}

#[test]
fn a_killed_ingest_loses_nothing_that_was_acknowledged() {
    let mut dir = tempfile::tempdir().unwrap();
    let (mut kills, mut acknowledged_max, mut life_ms_max) = (0, 0, LIFE_MS_MAX);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    while kills < KILLS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (acknowledged, killed) = run_child(dir.path(), Some(Duration::from_millis(random % life_ms_max)));
        let hit = killed && acknowledged > 0;
        kills += u32::from(hit);
        life_ms_max = if hit { life_ms_max } else { (life_ms_max * 9 / 8).min(10 * LIFE_MS_MAX) };
        acknowledged_max = acknowledged.max(acknowledged_max);
        // A child may die before it made the lake.
        let Ok(lake) = Lake::open(dir.path()) else { continue };
        let rows = contents(&lake);
        let here = rows.keys().copied().take_while(|number| *number < acknowledged_max).count();
        assert_eq!(here as u64, acknowledged_max, "every acknowledged row is there");
        for (number, mut row) in rows {
            row.common.source_path = None;
            assert_eq!(row, saas(number), "no partial row");
        }
        if !killed {
            // It came through, merging included: the next ones begin anew.
            assert_holds(&lake, 0..ROWS);
            dir = tempfile::tempdir().unwrap();
            acknowledged_max = 0;
        }
    }
    run_child(dir.path(), None);
    let lake = Lake::open(dir.path()).unwrap();
    assert_holds(&lake, 0..ROWS);
    let sources = lake.sources().unwrap();
    let (last, killed) = sources.split_last().unwrap();
    assert_eq!(last.status, "complete");
    // A child may be killed between its last commit and its exit.
    assert!(killed.iter().all(|source| ["interrupted", "complete"].contains(&source.status.as_str())));
    assert_eq!(sources.iter().map(|source| source.rows).sum::<u64>(), ROWS, "each row is counted where it was added");
}
