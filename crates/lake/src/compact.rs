//! Merging of small files: an export that is not in order of time leaves many files a day, and each costs every query.

use std::collections::BTreeMap;
use std::path::Path;

use matagi_model::{EventBatch, Table};

use crate::LakeError;
use crate::catalog::{Catalog, Commit, DataFile};
use crate::parquet_file::{Reader, Target, write};
use crate::writer::{Layouts, by_day};

/// A (table, day) with at most so many small files stays as it is: merging writes everything again.
const SMALL_FILES_MAX: usize = 8;

/// A file below this size is small.
const SMALL_BYTES_MAX: u64 = 16 << 20;

/// Rows of one merge in memory, decoded, as estimated before reading.
const MERGE_BYTES_MAX: u64 = 96 << 20;

/// Merges where it is worth it. Each merge is a commit of its own; the old files stay for readers of older snapshots
/// until a later writer retires them.
pub(crate) fn run(dir: &Path, catalog: &mut Catalog, layouts: &Layouts) -> Result<(), LakeError> {
    for table in Table::ALL {
        let mut days: BTreeMap<i32, Vec<DataFile>> = BTreeMap::new();
        for file in catalog.files(table)? {
            if let Some(day) = file.day.filter(|_| file.bytes < SMALL_BYTES_MAX) {
                days.entry(day).or_default().push(file);
            }
        }
        for (day, mut files) in days {
            if files.len() > SMALL_FILES_MAX {
                files.sort_by_key(|file| (file.bytes, file.id));
                let target = Target { dir, table, layout: &layouts[&table], day };
                merge_day(catalog, target, files)?;
            }
        }
    }
    Ok(())
}

fn merge_day(catalog: &mut Catalog, target: Target<'_>, files: Vec<DataFile>) -> Result<(), LakeError> {
    let schema = target.table.schema();
    let (mut group, mut group_bytes) = (Vec::new(), 0);
    for file in files {
        let bytes = Reader::open(&target.dir.join(&file.path), &schema)?.memory_bytes(&schema);
        if group_bytes + bytes > MERGE_BYTES_MAX {
            merge(catalog, target, &std::mem::take(&mut group))?;
            group_bytes = 0;
        }
        group_bytes += bytes;
        group.push(file);
    }
    merge(catalog, target, &group)
}

fn merge(catalog: &mut Catalog, target: Target<'_>, files: &[DataFile]) -> Result<(), LakeError> {
    if files.len() < 2 {
        return Ok(());
    }
    let schema = target.table.schema();
    let mut batches = Vec::new();
    for file in files {
        Reader::open(&target.dir.join(&file.path), &schema)?.read(&schema, |columns| {
            batches.push(EventBatch { table: target.table, columns });
            Ok(())
        })?;
    }
    let batches: Vec<&EventBatch> = batches.iter().collect();
    let all = batches.iter().enumerate().flat_map(|(batch, rows)| (0..rows.rows()).map(move |row| (batch, row)));
    let mut commit = Commit { replaced: files.iter().map(|file| file.id).collect(), ..Commit::default() };
    for (day, order) in by_day(&batches, all) {
        commit.files.push(write(Target { day, ..target }, &batches, &order)?);
    }
    tracing::debug!(table = target.table.name(), day = target.day, files = files.len(), "merged small files");
    catalog.commit(&commit)
}
