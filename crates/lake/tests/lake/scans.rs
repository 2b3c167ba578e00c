//! Scans: order, projection, memory.

use matagi_lake::Lake;
use matagi_model::{ScanError, Scanner, Table, Time, Uid};

use crate::rows::{address, batch, ingest};

fn order(lake: &Lake, cluster_bytes_max: u64) -> Vec<(Time, Uid, Option<String>)> {
    let mut rows = Vec::new();
    lake.scan_within(Table::Saas, &["user_name", "time", "event_uid"], cluster_bytes_max, &mut |batch| {
        assert!(batch.rows() <= 8192);
        let view = batch.common();
        rows.extend(
            (0..batch.rows())
                .map(|row| (view.time.get(row), view.event_uid.get(row), view.user_name.get(row).map(str::to_owned))),
        );
        Ok(())
    })
    .unwrap();
    rows
}

/// Sorted in memory or by the engine: the same rows in the same order.
#[test]
fn both_ways_to_sort_agree() {
    let lake = Lake::temporary().unwrap();
    ingest(&lake, "a", vec![batch(0..9000)]);
    ingest(&lake, "b", vec![batch(9000..12_000)]);
    let in_memory = order(&lake, u64::MAX);
    assert_eq!(in_memory.len(), 12_000);
    assert!(in_memory.is_sorted_by_key(|(time, uid, _)| (*time, *uid)));
    assert_eq!(order(&lake, 0), in_memory);
}

#[test]
fn only_the_named_columns_are_handed_over_in_their_order() {
    let lake = Lake::temporary().unwrap();
    ingest(&lake, "a", vec![batch(0..10)]);
    let mut addresses = std::collections::BTreeSet::new();
    lake.scan(Table::Saas, &["src_ip", "raw"], &mut |batch| {
        let schema = batch.columns.schema();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["src_ip", "raw"]);
        addresses.extend((0..batch.rows()).filter_map(|row| batch.common().src_ip.get(row)));
        Ok(())
    })
    .unwrap();
    assert_eq!(addresses, (0..10).map(address).collect());
    let mut rows = 0;
    lake.scan(Table::Saas, &[], &mut |batch| {
        rows += batch.rows();
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 10);
}

#[test]
fn an_empty_table_gives_nothing_and_an_unknown_column_is_said() {
    let lake = Lake::temporary().unwrap();
    lake.scan(Table::Email, &["time"], &mut |_| panic!("no rows, no batches")).unwrap();
    let error = lake.scan(Table::Email, &["nonsense"], &mut |_| Ok(())).unwrap_err();
    assert!(format!("{:?}", error.source).contains("nonsense"));
}

#[test]
fn the_callback_can_stop() {
    let lake = Lake::temporary().unwrap();
    ingest(&lake, "a", vec![batch(0..100)]);
    for cluster_bytes_max in [0, u64::MAX] {
        let mut calls = 0;
        let error = lake
            .scan_within(Table::Saas, &["time"], cluster_bytes_max, &mut |_| {
                calls += 1;
                Err(ScanError { what: "enough".into(), source: "stop".into() })
            })
            .unwrap_err();
        assert_eq!((calls, error.what.as_str()), (1, "enough"));
    }
}

/// Readers that began before a merge go on; those that began later see the merged file.
#[test]
fn a_scan_sees_one_state() {
    let lake = Lake::temporary().unwrap();
    ingest(&lake, "a", vec![batch(0..600)]);
    let mut rows = 0;
    let mut wrote = false;
    lake.scan(Table::Saas, &["time"], &mut |batch| {
        if !wrote {
            ingest(&lake, "b", vec![crate::rows::batch(600..900)]);
            wrote = true;
        }
        rows += batch.rows();
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 600);
    assert_eq!(order(&lake, u64::MAX).len(), 900);
}
