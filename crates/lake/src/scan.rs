//! Reading for detection: a table's rows in order of time, in bounded memory.
//!
//! The catalogue knows each file's earliest and latest time. Files whose times overlap form a cluster (at most a day,
//! because files are cut by day); clusters follow each other in time. A small cluster is sorted in memory, a large one
//! by the query engine, which spills.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::interleave::interleave_record_batch;
use matagi_model::{EventBatch, ScanError, Scanner, Table};

use crate::catalog::DataFile;
use crate::parquet_file::{BATCH_ROWS_MAX, Reader, conform};
use crate::{Lake, LakeError, QueryLimits};

/// Decoded bytes of a cluster that is sorted in memory.
const CLUSTER_BYTES_MAX: u64 = 64 << 20;

/// Batches that are decoded ahead of the caller.
const BATCHES_AHEAD_MAX: usize = 4;

/// What order needs.
const ORDER: [&str; 2] = ["time", "event_uid"];

/// Why a scan ended early.
pub(crate) enum Stop {
    /// The lake cannot go on.
    Lake(LakeError),
    /// The callback does not want more.
    Caller(ScanError),
    /// Whoever was handed the batches is gone: the scan ended before its end.
    Gone,
}

impl From<LakeError> for Stop {
    fn from(error: LakeError) -> Self {
        Self::Lake(error)
    }
}

type Each<'a> = dyn FnMut(&EventBatch) -> Result<(), ScanError> + 'a;

impl Scanner for Lake {
    fn scan(
        &self,
        table: Table,
        columns: &[&str],
        each: &mut dyn FnMut(&EventBatch) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.scan_within(table, columns, CLUSTER_BYTES_MAX, each)
    }

    fn query(&self, sql: &str, rows_max: usize) -> Result<Vec<RecordBatch>, ScanError> {
        let limits = QueryLimits { rows_max, ..QueryLimits::default() };
        let result = Self::query(self, sql, &limits);
        result.map(|result| result.batches).map_err(|error| ScanError { what: sql.to_owned(), source: error.into() })
    }
}

impl Lake {
    /// [`Scanner::scan`] with another bound on what is sorted in memory, decoded bytes.
    pub fn scan_within(
        &self,
        table: Table,
        columns: &[&str],
        cluster_bytes_max: u64,
        each: &mut dyn FnMut(&EventBatch) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.try_scan(table, columns, cluster_bytes_max, each).map_err(|stop| match stop {
            Stop::Caller(error) => error,
            Stop::Gone => ScanError { what: format!("table {}", table.name()), source: "the scan was given up".into() },
            Stop::Lake(error) => ScanError { what: format!("table {}", table.name()), source: error.into() },
        })
    }

    /// One thread decodes and sorts ahead while the caller judges what it was handed.
    fn try_scan(&self, table: Table, columns: &[&str], bytes_max: u64, each: &mut Each<'_>) -> Result<(), Stop> {
        let wanted = projected(table, columns)?;
        let (sender, batches) = sync_channel(BATCHES_AHEAD_MAX);
        std::thread::scope(|threads| {
            threads.spawn(move || {
                let mut hand_over = |batch| sender.send(Ok(batch)).map_err(|_| Stop::Gone);
                if let Err(stop) = self.read_in_order(table, columns, bytes_max, &mut hand_over) {
                    // Nobody listens any more when the caller stopped the scan.
                    let _ = sender.send(Err(stop));
                }
            });
            for batch in batches {
                let columns = conform(&batch?, &wanted).map_err(|error| shape(table, &error))?;
                each(&EventBatch { table, columns }).map_err(Stop::Caller)?;
            }
            Ok(())
        })
    }

    fn read_in_order(
        &self,
        table: Table,
        columns: &[&str],
        bytes_max: u64,
        emit: &mut dyn FnMut(RecordBatch) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut read: Vec<&str> = columns.to_vec();
        read.extend(ORDER.iter().filter(|name| !columns.contains(name)));
        let read = projected(table, &read)?;
        for cluster in clusters(self.catalog()?.files(table)?) {
            let readers = cluster
                .iter()
                .map(|file| Reader::open(&self.path().join(&file.path), &read))
                .collect::<Result<Vec<_>, LakeError>>()?;
            let bytes: u64 = readers.iter().map(|reader| reader.memory_bytes(&read)).sum();
            if bytes <= bytes_max {
                sort_in_memory(table, readers, &read, emit)?;
            } else {
                drop(readers);
                self.engine()?.sorted(table, &cluster, &read, emit)?;
            }
        }
        Ok(())
    }
}

fn shape(table: Table, error: &arrow_schema::ArrowError) -> Stop {
    Stop::Lake(LakeError::Shape { table: table.name(), what: error.to_string() })
}

/// The model's schema with only these columns, in this order.
fn projected(table: Table, columns: &[&str]) -> Result<SchemaRef, LakeError> {
    let schema = table.schema();
    let fields = columns
        .iter()
        .map(|name| {
            schema
                .field_with_name(name)
                .cloned()
                .map_err(|_| LakeError::Shape { table: table.name(), what: format!("there is no column {name}") })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Files in groups whose times do not overlap, in order of time.
fn clusters(mut files: Vec<DataFile>) -> Vec<Vec<DataFile>> {
    files.sort_by_key(|file| (file.first_time_us, file.last_time_us, file.id));
    let mut clusters: Vec<Vec<DataFile>> = Vec::new();
    let mut end_us = i64::MIN;
    for file in files {
        // An equal instant overlaps too: rows of one instant are ordered by identity across files.
        let overlaps = file.first_time_us <= end_us;
        end_us = end_us.max(file.last_time_us);
        match clusters.last_mut() {
            Some(cluster) if overlaps => cluster.push(file),
            _ => clusters.push(vec![file]),
        }
    }
    clusters
}

fn sort_in_memory(
    table: Table,
    readers: Vec<Reader>,
    schema: &SchemaRef,
    emit: &mut dyn FnMut(RecordBatch) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut batches = Vec::new();
    for reader in readers {
        reader.read(schema, |batch| {
            batches.push(EventBatch { table, columns: batch });
            Ok(())
        })?;
    }
    let mut order = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let view = batch.common();
        order.extend((0..batch.rows()).map(|row| (view.time.get(row), view.event_uid.get(row), number, row)));
    }
    order.sort_unstable();
    let columns: Vec<&RecordBatch> = batches.iter().map(|batch| &batch.columns).collect();
    for rows in order.chunks(BATCH_ROWS_MAX) {
        let rows: Vec<(usize, usize)> = rows.iter().map(|&(_, _, batch, row)| (batch, row)).collect();
        emit(interleave_record_batch(&columns, &rows).map_err(|error| shape(table, &error))?)?;
    }
    Ok(())
}
