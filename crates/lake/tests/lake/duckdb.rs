//! DuckDB attaches the lake and finds what we find.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use matagi_lake::{Lake, QueryLimits};
use serde_json::{Value, json};

use crate::rows::{batch, ingest, saas, sign_ins};

const PACKAGES: [&str; 3] =
    ["duckdb==1.5.5", "duckdb-extension-ducklake==1.5.5", "duckdb-extension-sqlite-scanner==1.5.5"];

/// The packages in a folder of the build, fetched once; `None` where Python or its registry cannot be reached.
fn packages() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("duckdb-1.5.5");
    if folder.join("complete").is_file() {
        return Some(folder);
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target"]);
    let fetched = pip.arg(&folder).args(PACKAGES).output().is_ok_and(|output| output.status.success());
    fetched.then(|| std::fs::write(folder.join("complete"), "").unwrap())?;
    Some(folder)
}

fn duckdb(packages: &Path, lake: &Path, mode: &str) -> Value {
    // The identity of our row 3100, for the row that DuckDB appends.
    let identity = saas(3100).common.event_uid.to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/duckdb_attach.py");
    let output = Command::new("python3").arg(script).arg(packages).arg(lake).args([mode, &identity]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same questions as the script asks.
fn ours(lake: &Lake) -> Value {
    let sql = "SELECT count(*) AS count, sum(source_record) AS records, sum(item_count) AS items,
         sum(cardinality(message_uids)) AS messages, sum(cardinality(folders)) AS folders,
         count(*) FILTER (WHERE user_name = 'user3@example.org') AS user3,
         count(*) FILTER (WHERE src_ip = ip('192.0.2.100')) AS address,
         count(*) FILTER (WHERE cidr(src_ip, '2001:db8::/32')) AS ipv6,
         count(*) FILTER (WHERE time >= '2024-03-03T00:00:00Z' AND time < '2024-03-04T00:00:00Z') AS day,
         count(*) FILTER (WHERE is_throttled) AS throttled, sum(octet_length(raw)) AS raw_bytes,
         count(DISTINCT event_uid) AS identities FROM saas";
    let mut row = lake.query(sql, &QueryLimits::default()).unwrap().to_json().remove(0);
    let auth = lake.query("SELECT count(*) AS n FROM auth", &QueryLimits::default()).unwrap().to_json();
    row["auth"] = auth[0]["n"].clone();
    row
}

#[test]
fn duckdb_finds_the_same() {
    let Some(packages) = packages() else {
        let skipped =
            "\nSKIPPED duckdb_finds_the_same: pip cannot fetch DuckDB here, so the open format was NOT checked\n";
        return std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    };
    let lake = Lake::temporary().unwrap();
    let empty = duckdb(&packages, lake.path(), "tables");
    assert_eq!(empty, json!([]), "a lake in which nobody wrote has no tables");
    let mut writer = lake.ingest().unwrap();
    writer.begin("a", None).unwrap();
    for start in (0..3000).step_by(200) {
        writer.append(batch(start..start + 300)).unwrap();
        writer.flush().unwrap();
    }
    writer.append(sign_ins(0..40)).unwrap();
    writer.flush().unwrap();
    assert_eq!(duckdb(&packages, lake.path(), "read"), ours(&lake), "many files, while we are writing");
    writer.end("complete", None).unwrap();
    writer.finish().unwrap();
    let merged = duckdb(&packages, lake.path(), "read");
    assert_eq!(merged, ours(&lake), "merged files");
    assert_eq!(merged["count"], 3100);
    assert_eq!(duckdb(&packages, lake.path(), "tables"), json!(["auth", "email", "iam", "saas"]));
    // What the first commits had is still there to travel back to.
    assert_eq!(duckdb(&packages, lake.path(), "travel"), json!([300, 3100]));
    // Rows that DuckDB appends are read, and known as duplicates.
    assert_eq!(duckdb(&packages, lake.path(), "append"), json!(3101));
    let count = lake.query("SELECT count(*) FROM saas", &QueryLimits::default()).unwrap();
    assert_eq!(count.to_rows(), [["3101"]]);
    let summary = ingest(&lake, "b", vec![batch(3000..3102)]);
    assert_eq!((summary.rows, summary.duplicates), (1, 101));
    assert_eq!(duckdb(&packages, lake.path(), "read")["count"], 3102);
}
