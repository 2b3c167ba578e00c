//! The disk fills up in the middle of an ingest.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use matagi_lake::{Lake, LakeError};
use matagi_model::tables::SaasBuilder;
use matagi_model::{EventBatch, Uid};

use crate::rows::{contents, saas};

/// Names the lake to the child that may only write small files.
const CHILD: &str = "MATAGI_LAKE_FULL_CHILD";

const BATCHES: u64 = 40;
const BATCH_ROWS: u64 = 100;

/// 100 rows of 4 KB that no codec makes smaller by more than half.
fn noise(number: u64) -> EventBatch {
    let mut builder = SaasBuilder::default();
    for number in number * BATCH_ROWS..(number + 1) * BATCH_ROWS {
        let mut row = saas(number);
        row.raw = Some(
            (0..128).map(|part: u64| Uid::of(&[&number.to_le_bytes(), &part.to_le_bytes()]).to_string()).collect(),
        );
        builder.push(row);
    }
    builder.finish()
}

/// Ingests with a commit a batch; gives the rows that were acknowledged, and how it ended.
fn fill(lake: &Lake) -> (u64, Result<(), LakeError>) {
    let mut acknowledged = 0;
    let mut work = || {
        let mut writer = lake.ingest()?;
        writer.begin("evidence", None)?;
        for number in 0..BATCHES {
            writer.append(noise(number))?;
            writer.flush()?;
            acknowledged = (number + 1) * BATCH_ROWS;
        }
        writer.end("complete", None)?;
        writer.finish().map(drop)
    };
    let result = work();
    (acknowledged, result)
}

fn check(lake: &Lake, acknowledged: u64, result: &Result<(), LakeError>, is_error_known: fn(&LakeError) -> bool) {
    let error = result.as_ref().expect_err("4000 rows of 4 KB do not fit");
    assert!(is_error_known(error), "{error:?}");
    assert!(acknowledged < BATCHES * BATCH_ROWS);
    let rows = contents(lake);
    assert!(rows.len() as u64 >= acknowledged && (0..acknowledged).all(|number| rows.contains_key(&number)));
    let leftovers = std::fs::read_dir(lake.path().join("tmp")).unwrap().count();
    assert!(leftovers <= 1, "nothing unfinished holds room: at most the folder of the query engine");
}

fn complete(lake: &Lake) {
    let (_, result) = fill(lake);
    result.unwrap();
    assert_eq!(contents(lake).len() as u64, BATCHES * BATCH_ROWS);
}

fn say(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

fn mount(options: &str, dir: &Path) -> bool {
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir).output();
    mount.is_ok_and(|output| output.status.success())
}

/// Takes the small disk away again, also when the test fails.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).output();
    }
}

#[test]
fn a_full_disk_loses_nothing_and_more_room_completes_it() {
    let dir = tempfile::tempdir().unwrap();
    if !mount("size=5m", dir.path()) {
        return say(
            "\nSKIPPED a_full_disk_loses_nothing...: no right to mount a small disk; a_limit_on_files... stands in\n",
        );
    }
    let _mounted = Mounted(dir.path());
    let lake = Lake::create(dir.path()).unwrap();
    let (acknowledged, result) = fill(&lake);
    assert!(acknowledged > 0, "some fits: {result:?}");
    check(&lake, acknowledged, &result, LakeError::is_disk_full);
    // Still full: the same again, still without loss.
    let (_, again) = fill(&lake);
    check(&lake, acknowledged, &again, LakeError::is_disk_full);
    assert!(mount("remount,size=64m", dir.path()));
    complete(&lake);
}

/// Runs in the child.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let lake = Lake::open(dir).unwrap();
    let (acknowledged, result) = fill(&lake);
    // Whether it is the catalogue or a data file that meets the limit is chance; SQLite calls it an I/O error.
    check(&lake, acknowledged, &result, |_| true);
    assert!(acknowledged > 0, "the catalogue and the first files fit");
}

/// A quota on the size of files, as a shell sets it: the catalogue or a merged file is what grows over it.
#[test]
fn a_limit_on_files_loses_nothing_and_a_higher_one_completes_it() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path()).unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 700; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["disk_full::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir.path())
        .status();
    match status {
        Err(error) => return say(&format!("\nSKIPPED a_limit_on_files_loses_nothing...: no shell: {error}\n")),
        Ok(status) => assert!(status.success()),
    }
    complete(&lake);
}
