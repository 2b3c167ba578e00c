//! Not a test: how fast and in how much memory rows are appended and committed. Run it by name, alone.

use std::io::Write as _;
use std::time::Instant;

use matagi_lake::Lake;
use matagi_model::tables::SaasBuilder;
use matagi_model::{Scanner, Table, Uid};

use crate::rows::saas;

/// The most memory that this process ever held, MiB; 0 where the system does not say.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[test]
#[ignore = "measures"]
fn audit_rows_with_2_kb_of_json() {
    let rows: u64 = std::env::var("MATAGI_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let keys: Vec<String> =
        (0..40_u64).map(|part| format!("\"Key{part}\":\"{}\",", Uid::of(&[&part.to_le_bytes()]))).collect();
    let filler = keys.concat();
    let lake = Lake::temporary().unwrap();
    let mut writer = lake.ingest().unwrap();
    writer.begin("evidence", None).unwrap();
    let (mut raw_bytes, mut appending) = (0, std::time::Duration::ZERO);
    let mut builder = SaasBuilder::default();
    for number in 0..rows {
        let mut row = saas(number);
        row.common.time = crate::rows::START.plus_us(i64::try_from(number).unwrap() * 2_000_000);
        let raw = format!("{{\"Id\":\"{}\",{filler}\"n\":{number}}}", row.common.event_uid);
        raw_bytes += raw.len();
        row.raw = Some(raw);
        builder.push(row);
        if builder.len() == 4096 || number + 1 == rows {
            let batch = builder.finish();
            let start = Instant::now();
            writer.append(batch).unwrap();
            appending += start.elapsed();
        }
    }
    let start = Instant::now();
    writer.end("complete", None).unwrap();
    writer.finish().unwrap();
    appending += start.elapsed();
    let written = peak_mib();
    let start = Instant::now();
    let mut scanned = 0;
    lake.scan(Table::Saas, &["time", "user_name", "src_ip", "api_operation"], &mut |batch| {
        scanned += batch.rows();
        Ok(())
    })
    .unwrap();
    let scanning = start.elapsed();
    let report = format!(
        "\n{rows} rows, {} MB of JSON, {:?}: append and commit {:.0} rows/s, {:.0} MB/s, peak {written} MiB; scan of 4 columns {:.0} rows/s, peak {} MiB\n",
        raw_bytes / 1_000_000,
        lake.tables().unwrap()[2],
        rows as f64 / appending.as_secs_f64(),
        raw_bytes as f64 / 1e6 / appending.as_secs_f64(),
        scanned as f64 / scanning.as_secs_f64(),
        peak_mib()
    );
    std::io::stderr().write_all(report.as_bytes()).unwrap();
}
