//! One data file: how rows become Parquet, and how they come back.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, FieldRef, SchemaRef};
use arrow_select::interleave::interleave_record_batch;
use matagi_model::{EventBatch, Table, Time, Uid};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, LogicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

use crate::LakeError;
use crate::catalog::{ColumnStats, DATA_FOLDER, NewFile, TableLayout};
use crate::lake::SCRATCH_FOLDER;

/// Rows that are decoded, sorted or handed over at a time.
pub(crate) const BATCH_ROWS_MAX: usize = 8192;

/// Rows of a group: wide events, so that a group stays in the tens of megabytes.
const ROW_GROUP_ROWS_MAX: usize = 128 * 1024;

/// Rows of a page; the page index skips pages.
const PAGE_ROWS_MAX: usize = 20_000;

/// Columns whose values hardly repeat: a dictionary would only be tried and thrown away.
const EPHEMERAL: [&str; 6] =
    ["event_uid", "source_record", "raw", "message_uid", "network_message_uid", "correlation_uid"];

/// Text that a hunter looks up by value. Never a binary column: DuckDB up to 1.5.5 finds nothing in one with a filter.
const LOOKED_UP: [&str; 4] = ["user_name", "session_uid", "entity_name", "mailbox"];

/// Ending of a file that is being written.
pub(crate) const UNFINISHED: &str = ".parquet.tmp";

/// One row: the number of its batch and its number therein.
pub(crate) type RowAt = (usize, usize);

/// Where a file goes and what it is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Folder of the lake.
    pub dir: &'a Path,
    /// Table.
    pub table: Table,
    /// Its numbers in the catalogue.
    pub layout: &'a TableLayout,
    /// Day since 1970.
    pub day: i32,
}

/// First and last day with a partition of its own, 1990-01-01 and 2100-01-01. Hostile or broken evidence may name any of
/// 200 million days; a file for each would be an attack on the disk.
const DAYS: [i32; 2] = [7305, 47_482];

/// The partition of an instant: its day; 1970-01-01 for what is unknown or earlier than evidence can be, 2100-01-01 for
/// what is later.
pub(crate) fn partition_day(time: Time) -> i32 {
    let day = time.day();
    if day < DAYS[0] { 0 } else { day.min(DAYS[1]) }
}

/// `2024-01-31`; `None` for a day that no calendar has.
fn date(day: i64) -> Option<String> {
    if day == 0 {
        return Some("1970-01-01".to_owned());
    }
    let text = Time(day.checked_mul(Time::DAY_US)?).to_string();
    text.split_once('T').map(|(date, _)| date.to_owned())
}

fn properties(rows: usize) -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    let level = ZstdLevel::try_new(1).expect("1 is a level of zstd");
    let distinct_max = rows.clamp(1, ROW_GROUP_ROWS_MAX) as u64;
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS_MAX))
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_created_by("matagi".to_owned())
        .set_column_dictionary_enabled(column("time"), false)
        .set_column_encoding(column("time"), Encoding::DELTA_BINARY_PACKED)
        .set_column_statistics_enabled(column("raw"), EnabledStatistics::None);
    for name in EPHEMERAL {
        builder = builder.set_column_dictionary_enabled(column(name), false);
    }
    for name in LOOKED_UP {
        builder = builder
            .set_column_bloom_filter_enabled(column(name), true)
            .set_column_bloom_filter_max_ndv(column(name), distinct_max);
    }
    builder.build()
}

/// The error behind a Parquet error, where the disk said it.
pub(crate) fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        error => io::Error::other(error),
    }
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> LakeError {
    move |source| LakeError::Write { path: path.to_owned(), source }
}

/// A batch with the field numbers of the catalogue; the data stay where they are.
fn numbered(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| renamed(array, field)).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).expect("the catalogue's schema is the model's with numbers")
}

/// A list whose element has the wanted field; anything else as it is.
fn renamed(array: &ArrayRef, field: &FieldRef) -> ArrayRef {
    let (DataType::List(element), Some(list)) = (field.data_type(), array.as_list_opt::<i32>()) else {
        return Arc::clone(array);
    };
    if element.data_type() != list.values().data_type() {
        return Arc::clone(array);
    }
    let (_, offsets, values, nulls) = list.clone().into_parts();
    Arc::new(ListArray::new(Arc::clone(element), offsets, values, nulls))
}

/// Writes the rows in this order, syncs, and puts the file in its place. It counts when it is committed.
pub(crate) fn write(target: Target<'_>, batches: &[&EventBatch], order: &[RowAt]) -> Result<NewFile, LakeError> {
    let digest = digest(target, batches, order);
    let scratch = target.dir.join(SCRATCH_FOLDER).join(format!("{digest}{UNFINISHED}"));
    let result = write_scratch(target, batches, order, &scratch).and_then(|metadata| {
        let day = date(i64::from(target.day)).expect("a partition is a day between 1970 and 2100");
        let path = format!("day={day}/{digest}.parquet");
        let place = target.dir.join(DATA_FOLDER).join(target.table.name()).join(&path);
        let footer_bytes = footer_bytes(&scratch).map_err(write_error(&scratch))?;
        let bytes = fs::metadata(&scratch).map_err(write_error(&scratch))?.len();
        publish(&scratch, &place)?;
        let (first_time_us, last_time_us) = time_range(batches, order);
        Ok(NewFile {
            table: target.table,
            table_id: target.layout.table_id,
            day: target.day,
            path,
            rows: order.len() as u64,
            bytes,
            footer_bytes,
            first_time_us,
            last_time_us,
            stats: column_stats(&metadata),
        })
    });
    if result.is_err() {
        // Give the room back at once; were this to fail too, the next writer removes it.
        let _ = fs::remove_file(&scratch);
    }
    result
}

fn digest(target: Target<'_>, batches: &[&EventBatch], order: &[RowAt]) -> String {
    let views: Vec<_> = batches.iter().map(|batch| batch.common()).collect();
    let mut content = Vec::with_capacity(order.len() * 16);
    for &(batch, row) in order {
        content.extend(views[batch].event_uid.get(row).0);
    }
    Uid::of(&[target.table.name().as_bytes(), &target.day.to_le_bytes(), &content]).to_string()
}

/// Earliest and latest time, microseconds.
fn time_range(batches: &[&EventBatch], order: &[RowAt]) -> (i64, i64) {
    let views: Vec<_> = batches.iter().map(|batch| batch.common()).collect();
    let times = order.iter().map(|&(batch, row)| views[batch].time.get(row).0);
    times.fold((i64::MAX, i64::MIN), |(first, last), time_us| (first.min(time_us), last.max(time_us)))
}

fn write_scratch(
    target: Target<'_>,
    batches: &[&EventBatch],
    order: &[RowAt],
    scratch: &Path,
) -> Result<ParquetMetaData, LakeError> {
    let failed = write_error(scratch);
    let failed_parquet = |error| failed(io_error(error));
    let file = File::create(scratch).map_err(&failed)?;
    let schema = &target.layout.schema;
    let mut writer =
        ArrowWriter::try_new(&file, Arc::clone(schema), Some(properties(order.len()))).map_err(failed_parquet)?;
    let columns: Vec<&RecordBatch> = batches.iter().map(|batch| &batch.columns).collect();
    for rows in order.chunks(BATCH_ROWS_MAX) {
        let chunk = interleave_record_batch(&columns, rows)
            .map_err(|error| LakeError::Shape { table: target.table.name(), what: error.to_string() })?;
        writer.write(&numbered(&chunk, schema)).map_err(failed_parquet)?;
    }
    let metadata = writer.close().map_err(failed_parquet)?;
    file.sync_all().map_err(&failed)?;
    Ok(metadata)
}

/// Moves the file to its place and makes the move last.
fn publish(scratch: &Path, place: &Path) -> Result<(), LakeError> {
    let failed = write_error(place);
    let folder = place.parent().expect("a data file lies in the folder of its day");
    if !folder.is_dir() {
        fs::create_dir_all(folder).map_err(&failed)?;
        for above in folder.ancestors().skip(1).take(2) {
            File::open(above).and_then(|above| above.sync_all()).map_err(&failed)?;
        }
    }
    fs::rename(scratch, place).map_err(&failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(&failed)
}

fn footer_bytes(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-8))?;
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    Ok(u64::from(u32::from_le_bytes(length)))
}

fn column_stats(metadata: &ParquetMetaData) -> Vec<ColumnStats> {
    let leaves = metadata.file_metadata().schema_descr().columns();
    let groups = metadata.row_groups();
    leaves
        .iter()
        .enumerate()
        .map(|(leaf, column)| {
            let info = column.self_type().get_basic_info();
            let chunks: Vec<_> = groups.iter().map(|group| group.column(leaf)).collect();
            let kind = match info.logical_type_ref() {
                Some(LogicalType::Timestamp(_)) => Kind::Time,
                Some(LogicalType::Integer(integer)) if !integer.is_signed => Kind::Unsigned,
                _ => Kind::Other,
            };
            let nulls = chunks.iter().map(|chunk| nulls(chunk)).sum::<Option<i64>>();
            ColumnStats {
                column_id: i64::from(if info.has_id() { info.id() } else { 0 }),
                bytes: chunks.iter().map(|chunk| chunk.compressed_size()).sum(),
                values: chunks.iter().map(|chunk| chunk.num_values()).sum(),
                nulls,
                min: bound(&chunks, kind, false),
                max: bound(&chunks, kind, true),
            }
        })
        .collect()
}

#[derive(Clone, Copy)]
enum Kind {
    Time,
    Unsigned,
    Other,
}

/// A bound as a number and as DuckLake spells it; numbers order numbers, text orders the rest.
type Bound = (i128, String);

/// Nulls of a column chunk, if it counted them.
fn nulls(chunk: &ColumnChunkMetaData) -> Option<i64> {
    chunk.statistics().and_then(Statistics::null_count_opt).and_then(|nulls| i64::try_from(nulls).ok())
}

/// The smallest or largest value over all row groups, if every group knows its own exactly.
fn bound(chunks: &[&ColumnChunkMetaData], kind: Kind, largest: bool) -> Option<String> {
    let mut best: Option<Bound> = None;
    for chunk in chunks.iter().filter(|chunk| nulls(chunk) != Some(chunk.num_values())) {
        let here = group_bound(chunk.statistics()?, kind, largest)?;
        let better = best.as_ref().is_none_or(|best| if largest { here > *best } else { here < *best });
        if better {
            best = Some(here);
        }
    }
    best.map(|(_, text)| text)
}

/// The bound of one group, if it is known exactly.
fn group_bound(stats: &Statistics, kind: Kind, largest: bool) -> Option<Bound> {
    let bytes = if largest { stats.max_bytes_opt() } else { stats.min_bytes_opt() }?;
    let is_exact = if largest { stats.max_is_exact() } else { stats.min_is_exact() };
    let number = |width: usize| {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(bytes.get(..width)?);
        Some(wide)
    };
    Some(match (stats, kind) {
        (Statistics::Int64(_), Kind::Time) => {
            let time_us = i64::from_le_bytes(number(8)?);
            (i128::from(time_us), timestamp(time_us)?)
        }
        (Statistics::Int32(_), Kind::Unsigned) => {
            let value = u64::from_le_bytes(number(4)?);
            (i128::from(value), value.to_string())
        }
        (Statistics::Int64(_), Kind::Unsigned) => {
            let value = u64::from_le_bytes(number(8)?);
            (i128::from(value), value.to_string())
        }
        (Statistics::ByteArray(_), _) if is_exact => (0, std::str::from_utf8(bytes).ok()?.to_owned()),
        (Statistics::FixedLenByteArray(_), _) if is_exact => {
            let uid = Uid(bytes.try_into().ok()?);
            (0, uid.to_string().to_uppercase())
        }
        _ => return None,
    })
}

/// As DuckDB spells instants; `None` for a year that it would read otherwise.
fn timestamp(time_us: i64) -> Option<String> {
    let seconds = time_us.div_euclid(Time::SECOND_US);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let date = date(day)?;
    (date.len() == 10).then(|| {
        let (hour, minute) = (second / 3600, second / 60 % 60);
        format!("{date} {hour:02}:{minute:02}:{:02}.{:06}+00", second % 60, time_us.rem_euclid(Time::SECOND_US))
    })
}

/// A data file opened for some of its columns.
pub(crate) struct Reader {
    builder: ParquetRecordBatchReaderBuilder<File>,
    path: PathBuf,
}

impl Reader {
    /// Opens a file and keeps only the columns of `schema` that it has.
    pub fn open(path: &Path, schema: &SchemaRef) -> Result<Self, LakeError> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| LakeError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(error.into()))?;
        let here = Arc::clone(builder.schema());
        let roots = (0..here.fields().len()).filter(|&root| schema.column_with_name(here.field(root).name()).is_some());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        Ok(Self { builder: builder.with_projection(mask).with_batch_size(BATCH_ROWS_MAX), path: path.to_owned() })
    }

    /// What its rows will take in memory, about: the decoded pages and a view a value.
    pub fn memory_bytes(&self, schema: &SchemaRef) -> u64 {
        let metadata = self.builder.metadata();
        let names = metadata.file_metadata().schema_descr();
        let mut bytes = 0;
        for group in metadata.row_groups() {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            bytes += rows * 16 * schema.fields().len() as u64;
            for (leaf, column) in group.columns().iter().enumerate() {
                let root = names.get_column_root(leaf).name();
                if schema.column_with_name(root).is_some() {
                    bytes += u64::try_from(column.uncompressed_size()).unwrap_or(0);
                }
            }
        }
        bytes
    }

    /// Reads batch by batch; columns that the file lacks are null.
    pub fn read(
        self,
        schema: &SchemaRef,
        mut each: impl FnMut(RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let path = self.path;
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| LakeError::Read { path: path.clone(), source };
        let reader = self.builder.build().map_err(|error| failed(error.into()))?;
        for batch in reader {
            let batch = batch.map_err(|error| failed(error.into()))?;
            each(conform(&batch, schema).map_err(|error| failed(error.into()))?)?;
        }
        Ok(())
    }
}

/// A batch with exactly these columns: by name, absent ones null, other types (another program's file) cast.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(array) => {
                let array = renamed(array, field);
                if array.data_type() == field.data_type() {
                    Ok(array)
                } else {
                    arrow_cast::cast(&array, field.data_type())
                }
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
