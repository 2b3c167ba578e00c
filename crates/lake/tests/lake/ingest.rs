//! What goes in comes back, once.

use std::fs;
use std::path::{Path, PathBuf};

use matagi_lake::{Lake, LakeError, QueryLimits};
use matagi_model::{EventBatch, Note, Reject, Time};

use crate::rows::{START, assert_holds, batch, ingest, sign_ins};

fn data_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(data_files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[test]
fn rows_come_back_and_a_second_ingest_adds_nothing() {
    let lake = Lake::temporary().unwrap();
    let first = ingest(&lake, "a.csv", vec![batch(0..300), sign_ins(0..20), batch(300..500)]);
    assert_eq!((first.rows, first.duplicates, first.status.as_str()), (520, 0, "complete"));
    assert_holds(&lake, 0..500);
    let before = data_files(&lake.path().join("v1"));
    let second = ingest(&lake, "b.csv", vec![batch((0..500).rev()), sign_ins(0..20)]);
    assert_eq!((second.rows, second.duplicates), (0, 520));
    assert_eq!((second.first_time, second.last_time), (first.first_time, first.last_time));
    assert_eq!(data_files(&lake.path().join("v1")), before);
    assert_holds(&lake, 0..500);
    assert_eq!(lake.sources().unwrap(), [first, second]);
    let tables = lake.tables().unwrap();
    assert_eq!(tables.iter().map(|table| table.rows).collect::<Vec<_>>(), [20, 0, 500, 0]);
}

#[test]
fn duplicates_are_found_within_a_batch_across_flushes_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path()).unwrap();
    let mut writer = lake.ingest().unwrap();
    writer.begin("a", None).unwrap();
    writer.append(batch([1, 2, 2, 1])).unwrap();
    writer.append(batch([2, 3])).unwrap();
    assert_eq!(writer.flush().unwrap().rows, 3);
    writer.append(batch([3, 4])).unwrap();
    let summary = writer.end("complete", None).unwrap();
    assert_eq!((summary.rows, summary.duplicates), (4, 4));
    let acknowledged = writer.finish().unwrap();
    assert_eq!((acknowledged.rows, acknowledged.duplicates), (4, 4));
    drop(lake);
    let lake = Lake::open(dir.path()).unwrap();
    let summary = ingest(&lake, "b", vec![batch([4, 5])]);
    assert_eq!((summary.rows, summary.duplicates), (1, 1));
    assert_holds(&lake, 1..=5);
}

/// A day with more rows than may be remembered is streamed; many days push each other out of memory.
#[test]
fn duplicates_are_found_however_little_memory_there_is() {
    for uids_max in [0, 60, 10_000] {
        let lake = Lake::temporary().unwrap();
        for _ in 0..2 {
            let mut writer = lake.ingest().unwrap().with_limits(50_000, uids_max);
            writer.begin("a", None).unwrap();
            for start in (0..400).step_by(40) {
                writer.append(batch(start..start + 60)).unwrap();
            }
            writer.end("complete", None).unwrap();
            writer.finish().unwrap();
        }
        assert_holds(&lake, 0..420);
        let sources = lake.sources().unwrap();
        assert_eq!(sources.iter().map(|source| source.rows).collect::<Vec<_>>(), [420, 0], "{uids_max}");
        assert_eq!(sources[0].duplicates, 180);
    }
}

#[test]
fn readers_see_only_what_is_committed() {
    let lake = Lake::temporary().unwrap();
    let mut writer = lake.ingest().unwrap();
    writer.begin("a", None).unwrap();
    writer.append(batch(0..10)).unwrap();
    assert_holds(&lake, []);
    assert_eq!(lake.sources().unwrap()[0].status, "reading");
    writer.flush().unwrap();
    assert_holds(&lake, 0..10);
    writer.append(batch(10..20)).unwrap();
    assert_holds(&lake, 0..10);
    // The process gives up: what was acknowledged stays, the input counts as interrupted, reading it again completes it.
    drop(writer);
    assert_holds(&lake, 0..10);
    assert_eq!((lake.sources().unwrap()[0].status.as_str(), lake.sources().unwrap()[0].rows), ("interrupted", 10));
    let summary = ingest(&lake, "a", vec![batch(0..20)]);
    assert_eq!((summary.rows, summary.duplicates), (10, 10));
    assert_holds(&lake, 0..20);
}

#[test]
fn orphans_go_and_committed_files_stay() {
    let lake = Lake::temporary().unwrap();
    ingest(&lake, "a", vec![batch(0..50)]);
    let committed = data_files(&lake.path().join("v1"));
    // A crash between rename and commit, one while writing, one of a query, and a file of somebody else.
    let orphan = committed[0].with_file_name("00112233445566778899aabbccddeeff.parquet");
    fs::copy(&committed[0], &orphan).unwrap();
    let unfinished = lake.path().join("tmp/00112233445566778899aabbccddeeff.parquet.tmp");
    fs::write(&unfinished, "PAR1").unwrap();
    let spill = lake.path().join("tmp/query-dead");
    fs::create_dir(&spill).unwrap();
    fs::write(spill.join("lock"), "").unwrap();
    let foreign = committed[0].with_file_name("notes.txt");
    fs::write(&foreign, "mine").unwrap();
    assert_holds(&lake, 0..50);
    drop(lake.ingest().unwrap());
    assert!(!orphan.exists() && !unfinished.exists() && !spill.exists());
    assert!(foreign.exists());
    assert!(committed.iter().all(|file| file.exists()));
    assert_holds(&lake, 0..50);
}

#[test]
fn one_writer_at_a_time() {
    let lake = Lake::temporary().unwrap();
    let writer = lake.ingest().unwrap();
    assert!(matches!(lake.ingest(), Err(LakeError::Busy { .. })));
    drop(writer);
    lake.ingest().unwrap();
}

#[test]
fn small_files_of_a_day_are_merged_and_nothing_changes_for_readers() {
    let lake = Lake::temporary().unwrap();
    let mut writer = lake.ingest().unwrap();
    writer.begin("a", None).unwrap();
    for start in 0..12 {
        writer.append(batch((0..30).map(|row| row * 12 + start))).unwrap();
        writer.flush().unwrap();
    }
    let before = lake.tables().unwrap()[2].files;
    writer.end("complete", None).unwrap();
    writer.finish().unwrap();
    let after = lake.tables().unwrap()[2].files;
    // Six days of 12 files become six files; the few rows without a time stay as they are.
    assert!(before > 70 && after <= 6 + 8, "{before} files, then {after}");
    assert_holds(&lake, 0..360);
    let summary = ingest(&lake, "again", vec![batch(0..360)]);
    assert_eq!((summary.rows, summary.duplicates), (0, 360));
}

#[test]
fn refused_records_and_notes_are_kept_with_their_input() {
    let lake = Lake::temporary().unwrap();
    let mut writer = lake.ingest().unwrap();
    writer.begin("bad.csv", None).unwrap();
    writer.set_format("m365-audit");
    for record in 1..=10_050 {
        writer.reject(Reject { record, reason: "x".repeat(10_000) });
    }
    writer.note(Note::new("row-cap", [("rows", "50000".to_owned())]));
    let summary = writer.end("complete", Some("cut")).unwrap();
    writer.begin("worse.csv", None).unwrap();
    writer.reject(Reject { record: 7, reason: "no time".into() });
    writer.end("failed", None).unwrap();
    writer.finish().unwrap();
    assert_eq!((summary.rejected, summary.format.as_deref()), (10_050, Some("m365-audit")));
    assert_eq!(lake.rejects(Some(1), 100_000).unwrap().len(), 10_000);
    assert!(lake.rejects(Some(1), 1).unwrap()[0].reason.len() <= 4096);
    let rejects = lake.rejects(Some(2), 10).unwrap();
    assert_eq!((rejects[0].path.as_str(), rejects[0].record, rejects[0].reason.as_str()), ("worse.csv", 7, "no time"));
    assert_eq!(lake.rejects(None, 5).unwrap().len(), 5);
    let notes = lake.notes().unwrap();
    assert_eq!((notes[0].source, notes[0].note.args["rows"].as_str()), (1, "50000"));
    let sources = lake.sources().unwrap();
    assert_eq!((sources[0].detail.as_deref(), sources[1].status.as_str()), (Some("cut"), "failed"));
}

#[test]
fn hunts_are_remembered_by_language() {
    let lake = Lake::temporary().unwrap();
    assert_eq!(lake.last_hunt("en").unwrap(), None);
    for round in 0..30 {
        let (en, ja) = (format!("round {round}"), format!("第{round}回"));
        lake.save_hunt(START.plus_us(round), &[("en", &en), ("ja", &ja)]).unwrap();
    }
    assert_eq!(lake.last_hunt("ja").unwrap().as_deref(), Some("第29回"));
    assert_eq!(lake.last_hunt("fr").unwrap(), None);
}

#[test]
fn a_fault_of_the_caller_is_an_error_and_not_a_loss() {
    let lake = Lake::temporary().unwrap();
    let mut writer = lake.ingest().unwrap();
    assert!(matches!(writer.append(batch(0..1)), Err(LakeError::NoSource)));
    writer.begin("a", None).unwrap();
    let whole = batch(0..2);
    let part = EventBatch { table: whole.table, columns: whole.columns.project(&[0, 1]).unwrap() };
    assert!(matches!(writer.append(part), Err(LakeError::Shape { .. })));
    // After an error nothing is acknowledged any more.
    assert!(matches!(writer.append(whole), Err(LakeError::Ended)));
    assert!(matches!(writer.finish(), Err(LakeError::Ended)));
    assert_holds(&lake, []);
}

#[test]
fn places_without_a_lake_say_so() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Lake::open(dir.path().join("none")), Err(LakeError::Missing { .. })));
    let lake = Lake::open_or_create(dir.path().join("日本 [1] #%20")).unwrap();
    ingest(&lake, "a", vec![batch(0..5)]);
    let again = Lake::open_or_create(lake.path()).unwrap();
    assert_holds(&again, 0..5);
    assert_eq!(again.query("SELECT count(*) FROM saas", &QueryLimits::default()).unwrap().to_rows(), [["5"]]);
    assert!(matches!(Lake::create(lake.path()), Err(LakeError::Exists { .. })));
    let connection = rusqlite::Connection::open(lake.path().join("catalog.db")).unwrap();
    connection.execute("UPDATE matagi_meta SET value = '99' WHERE key = 'format'", []).unwrap();
    assert!(matches!(Lake::open(lake.path()), Err(LakeError::Newer { found: 99, known: 1, .. })));
}

/// Rows at the ends of what 64 bits of microseconds can say are kept like any other.
#[test]
fn impossible_times_are_kept() {
    let lake = Lake::temporary().unwrap();
    let mut builder = matagi_model::tables::SaasBuilder::default();
    for (number, time_us) in [(0, i64::MIN), (1, i64::MAX), (2, -1), (3, 253_402_300_800_000_000)] {
        let mut row = crate::rows::saas(number);
        row.common.time = Time(time_us);
        builder.push(row);
    }
    ingest(&lake, "a", vec![builder.finish()]);
    assert_eq!(crate::rows::contents(&lake).len(), 4);
}
