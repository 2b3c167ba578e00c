//! SQL: read-only, limited, and readable.

use std::time::Duration;

use matagi_lake::{Lake, LakeError, QueryLimits, QueryResult};
use matagi_model::Scanner;

use crate::rows::{batch, ingest};

fn lake(rows: u64) -> Lake {
    let lake = Lake::temporary().unwrap();
    ingest(&lake, "a.csv", vec![batch(0..rows)]);
    lake
}

fn ask(lake: &Lake, sql: &str) -> QueryResult {
    lake.query(sql, &QueryLimits::default()).unwrap()
}

fn message(lake: &Lake, sql: &str) -> String {
    lake.query(sql, &QueryLimits::default()).unwrap_err().to_string()
}

#[test]
fn addresses_are_asked_for_and_shown_as_text() {
    let lake = lake(100);
    let count =
        |condition: &str| ask(&lake, &format!("SELECT count(*) FROM saas WHERE {condition}")).to_rows()[0][0].clone();
    assert_eq!(count("src_ip = ip('192.0.2.1')"), "1");
    assert_eq!(count("src_ip = ip('::ffff:192.0.2.1')"), "1");
    assert_eq!(count("cidr(src_ip, '192.0.2.0/24')"), "66");
    assert_eq!(count("cidr(src_ip, '192.0.2.64/26')"), "24");
    assert_eq!(count("cidr(src_ip, '2001:db8::/32')"), "34");
    let row =
        ask(&lake, "SELECT src_ip, ip_text(src_ip) t, min(event_uid) u FROM saas WHERE source_record = 2 GROUP BY 1");
    assert_eq!(row.to_rows()[0][..2], ["192.0.2.1", "192.0.2.1"]);
    let uid = row.to_rows()[0][2].clone();
    assert_eq!(uid.len(), 32);
    assert_eq!(count(&format!("event_uid = uid('{uid}')")), "1");
    assert_eq!(count(&format!("uid_text(event_uid) = '{uid}'")), "1");
    assert!(message(&lake, "SELECT ip('192.0.2.999') FROM saas").contains("192.0.2.999"));
    assert!(message(&lake, "SELECT count(*) FROM saas WHERE src_ip = '192.0.2.1'").contains("ip('192.0.2.1')"));
}

#[test]
fn views_show_text() {
    let lake = lake(50);
    let result =
        ask(&lake, "SELECT time, src_ip, event_uid, folders, raw FROM saas_v ORDER BY source_record DESC LIMIT 2");
    let rows = result.to_json();
    assert_eq!(rows[0]["time"], serde_json::Value::Null, "an unknown time is nothing, not 1970");
    assert_eq!(rows[1]["src_ip"], "2001:db8::30");
    assert!(rows[1]["time"].as_str().unwrap().starts_with("2024-03-0"), "{}", rows[1]["time"]);
    assert!(rows[1]["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(rows[1]["event_uid"].as_str().unwrap().len(), 32);
    assert_eq!(ask(&lake, "SELECT folders FROM saas WHERE source_record = 3").to_json()[0]["folders"][1], "\\Folder 1");
    assert_eq!(ask(&lake, "SELECT * FROM auth_v").rows(), 0);
}

#[test]
fn results_can_be_written() {
    let lake = lake(5);
    let result = ask(&lake, "SELECT source_record AS n, raw FROM saas ORDER BY 1 LIMIT 1");
    assert_eq!(result.to_csv(), "n,raw\r\n1,\"{\"\"Id\"\":0,\"\"Text\"\":\"\"受信トレイ 0\"\"}\"\r\n");
    let path = lake.path().join("out.parquet");
    result.write_parquet(&path).unwrap();
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 1);
}

#[test]
fn nothing_can_be_changed() {
    let lake = lake(5);
    for sql in [
        "CREATE TABLE x AS SELECT 1",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW x AS SELECT 1",
        "DROP TABLE saas",
        "INSERT INTO saas SELECT * FROM saas",
        "DELETE FROM saas",
        "UPDATE saas SET raw = ''",
        "COPY saas TO '/tmp/matagi-must-not-exist.csv'",
        "COPY (SELECT 1) TO '/tmp/matagi-must-not-exist.csv'",
        "SET datafusion.execution.batch_size = 1",
        "EXPLAIN ANALYZE INSERT INTO saas SELECT * FROM saas",
    ] {
        let error = lake.query(sql, &QueryLimits::default()).unwrap_err();
        assert!(matches!(error, LakeError::ReadOnly { .. }), "{sql}: {error}");
    }
    assert!(lake.query("SELECT 1; DROP TABLE saas", &QueryLimits::default()).is_err());
    assert!(lake.query("SELECT * FROM '/etc/passwd'", &QueryLimits::default()).is_err());
    assert_eq!(ask(&lake, "SELECT count(*) FROM saas").to_rows(), [["5"]]);
}

#[test]
fn mistakes_are_explained_in_one_line() {
    let lake = lake(5);
    let error = message(&lake, "SELECT usr_name FROM saas");
    assert!(error.starts_with("there is no column usr_name; near: user_name"), "{error}");
    assert!(message(&lake, "SELEC 1").starts_with("not SQL"));
    assert!(message(&lake, "SELECT * FROM sas").contains("sas"));
    for sql in ["SELECT x", "SELECT nofunction(1)", "", "SELECT count(*) FROM saas WHERE raw > 1 + 'x'", "SELECT 1/0"] {
        if let Err(error) = lake.query(sql, &QueryLimits::default()) {
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }
}

#[test]
fn rows_time_and_memory_are_limited() {
    let lake = lake(100);
    let few = lake.query("SELECT raw FROM saas", &QueryLimits { rows_max: 7, ..QueryLimits::default() }).unwrap();
    assert_eq!((few.rows(), few.truncated), (7, true));
    let all = lake.query("SELECT raw FROM saas", &QueryLimits { rows_max: 100, ..QueryLimits::default() }).unwrap();
    assert_eq!((all.rows(), all.truncated), (100, false));
    let small = QueryLimits { result_bytes_max: 1, ..QueryLimits::default() };
    assert!(lake.query("SELECT raw FROM saas", &small).unwrap().truncated);
    let hurried = QueryLimits { time_max: Duration::from_millis(300), ..QueryLimits::default() };
    let endless =
        "SELECT count(*) FROM generate_series(1, 100000) a(x), generate_series(1, 10000000) b(y) WHERE x * y % 7 = 3";
    let error = lake.query(endless, &hurried).unwrap_err();
    assert!(matches!(error, LakeError::Limit { .. }), "{error}");
    let again = lake.query("SELECT count(*) FROM saas", &QueryLimits::default()).unwrap();
    assert_eq!(again.to_rows(), [["100"]], "the engine is free again");
    let poor = QueryLimits { memory_bytes_max: 1 << 20, ..QueryLimits::default() };
    let greedy = "SELECT array_agg(x) FROM generate_series(1, 3000000) t(x)";
    let error = lake.query(greedy, &poor).unwrap_err();
    assert!(matches!(error, LakeError::Limit { .. }), "{error}");
}

#[test]
fn the_seam_of_detection_asks_the_same() {
    let lake = lake(10);
    let scanner: &dyn Scanner = &lake;
    let batches = scanner.query("SELECT user_name, count(*) FROM saas GROUP BY 1 ORDER BY 1", 100).unwrap();
    assert_eq!(batches.iter().map(arrow_array::RecordBatch::num_rows).sum::<usize>(), 8);
    assert!(scanner.query("nonsense", 1).is_err());
}

/// As a server does: from a thread of another runtime that may block; and the lake may go away in its tasks.
#[test]
fn another_runtime_may_ask() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let rows = runtime.block_on(async {
        let lake = std::sync::Arc::new(lake(10));
        let asked = std::sync::Arc::clone(&lake);
        let rows =
            tokio::task::spawn_blocking(move || ask(&asked, "SELECT count(*) FROM saas").to_rows()).await.unwrap();
        drop(lake);
        rows
    });
    assert_eq!(rows, [["10"]]);
}
