//! Writing: rows come in batch by batch, duplicates stay out, and what is acknowledged is on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::Array;
use matagi_model::{EventBatch, Note, Reject, Table, Time, Uid};

use crate::catalog::{Catalog, Commit, DATA_FOLDER, DataFile};
use crate::lake::SCRATCH_FOLDER;
use crate::lock::WriterLock;
use crate::parquet_file::{UNFINISHED, partition_day};
use crate::seen::{Seen, UIDS_MAX};
use crate::writer::{Job, Kept, Layouts, Writer, Written};
use crate::{Acknowledged, LakeError, SourceSummary, compact, query};

/// Bytes of rows in memory before they are written. As many again are being written meanwhile.
const BUFFER_BYTES_MAX: usize = 48 << 20;

/// Refused records of one input that are kept with their reason; those beyond are only counted.
const REJECTS_KEPT_MAX: u64 = 10_000;

/// Bytes of a reason that are kept.
const REASON_BYTES_MAX: usize = 1024;

/// Refused records and facts that wait for the next commit: more of them cause one.
const REMARKS_MAX: usize = 20_000;

/// Notes of one input that are kept. A reader makes a handful.
const NOTES_KEPT_MAX: u64 = 1_000;

/// The right to write into a lake, and the way to do it.
///
/// `begin`, `append` (any number), `end`, for input after input; then `finish`. Rows count as acknowledged when
/// [`Self::acknowledged`] says so. When the value is dropped without `finish`, or the process dies, the acknowledged
/// rows are there, and reading the same input again adds the rest. After an error nothing more can be written with this
/// value: drop it, and begin again.
#[derive(Debug)]
pub struct Ingest {
    dir: PathBuf,
    catalog: Catalog,
    layouts: Arc<Layouts>,
    seen: Seen,
    writer: Writer,
    job: Job,
    job_bytes: usize,
    buffer_bytes_max: usize,
    current: Option<Current>,
    next_source: u64,
    acknowledged: Acknowledged,
    has_failed: bool,
    /// Last, so that it is given back when the writer has ended.
    _lock: WriterLock,
}

/// The input that is being read.
#[derive(Debug)]
struct Current {
    summary: SourceSummary,
    notes: u64,
}

impl Ingest {
    pub(crate) fn start(dir: &Path) -> Result<Self, LakeError> {
        let lock = WriterLock::take(dir)?;
        let mut catalog = Catalog::open(dir)?;
        let layouts = Arc::new(catalog.prepare_writing()?);
        let retired = catalog.retire()?;
        remove_orphans(dir, &catalog, &retired)?;
        let next_source = catalog.interrupt_sources()?;
        let files = Table::ALL
            .into_iter()
            .map(|table| Ok((table, catalog.files(table)?)))
            .collect::<Result<BTreeMap<Table, Vec<DataFile>>, LakeError>>()?;
        let writer = Writer::start(dir, Catalog::open(dir)?, Arc::clone(&layouts))?;
        Ok(Self {
            dir: dir.to_owned(),
            seen: Seen::new(dir, UIDS_MAX, &files),
            catalog,
            layouts,
            writer,
            job: Job::default(),
            job_bytes: 0,
            buffer_bytes_max: BUFFER_BYTES_MAX,
            current: None,
            next_source,
            acknowledged: Acknowledged::default(),
            has_failed: false,
            _lock: lock,
        })
    }

    /// Bounds memory otherwise than by default: bytes of rows that wait, identities that are remembered.
    #[must_use]
    pub fn with_limits(mut self, buffer_bytes_max: usize, uids_max: usize) -> Self {
        self.buffer_bytes_max = buffer_bytes_max;
        self.seen.set_uids_max(uids_max);
        self
    }

    /// Begins an input; an input that was not ended is ended as `interrupted`. Gives its number.
    pub fn begin(&mut self, path: &str, format: Option<&str>) -> Result<u64, LakeError> {
        self.alive()?;
        if self.current.is_some() {
            self.end("interrupted", None)?;
        }
        let summary = SourceSummary {
            id: self.next_source,
            path: path.to_owned(),
            format: format.map(str::to_owned),
            status: "reading".to_owned(),
            detail: None,
            rows: 0,
            duplicates: 0,
            rejected: 0,
            first_time: Time::UNKNOWN,
            last_time: Time::UNKNOWN,
        };
        let begun = self.catalog.begin_source(&summary);
        self.guard(begun)?;
        self.next_source += 1;
        let id = summary.id;
        self.current = Some(Current { summary, notes: 0 });
        Ok(id)
    }

    /// Takes rows of the current input. Rows that do not say which file they come from get its path.
    pub fn append(&mut self, batch: EventBatch) -> Result<(), LakeError> {
        self.alive()?;
        let result = self.try_append(batch);
        self.guard(result)
    }

    fn try_append(&mut self, batch: EventBatch) -> Result<(), LakeError> {
        let Some(current) = &mut self.current else { return Err(LakeError::NoSource) };
        if batch.rows() == 0 {
            return Ok(());
        }
        let batch = checked(batch, &current.summary.path)?;
        let days = identities(&batch, &mut current.summary)?;
        let mut kept = Vec::with_capacity(batch.rows());
        let (catalog, writer, acknowledged) = (&self.catalog, &mut self.writer, &mut self.acknowledged);
        for (day, (rows, uids)) in days {
            // What is on its way is not among the files yet: wait for it, then ask.
            let fresh = self.seen.accept((batch.table, day), &uids, &mut |table| {
                acknowledged.add(writer.drain()?);
                catalog.files(table)
            })?;
            kept.extend(rows.into_iter().zip(fresh).filter_map(|(row, is_fresh)| is_fresh.then_some(row)));
        }
        let duplicates = (batch.rows() - kept.len()) as u64;
        current.summary.rows += kept.len() as u64;
        current.summary.duplicates += duplicates;
        self.job.duplicates += duplicates;
        if !kept.is_empty() {
            self.job_bytes += batch.columns.get_array_memory_size();
            self.job.tables.entry(batch.table).or_default().push(Kept { batch, rows: kept });
        }
        if self.job_bytes >= self.buffer_bytes_max { self.submit() } else { Ok(()) }
    }

    /// Takes a refused record of the current input.
    pub fn reject(&mut self, mut reject: Reject) {
        let Some(current) = &mut self.current else { return };
        current.summary.rejected += 1;
        if current.summary.rejected <= REJECTS_KEPT_MAX {
            reject.reason.truncate(reject.reason.floor_char_boundary(REASON_BYTES_MAX));
            self.job.commit.rejects.push((current.summary.id, reject));
        }
    }

    /// Takes a fact about the quality of the current input.
    pub fn note(&mut self, note: Note) {
        let Some(current) = &mut self.current else { return };
        current.notes += 1;
        if current.notes <= NOTES_KEPT_MAX {
            self.job.commit.notes.push((current.summary.id, note));
        }
    }

    /// Says which format the current input has, where that was not known at its beginning.
    pub fn set_format(&mut self, format: &str) {
        if let Some(current) = &mut self.current {
            current.summary.format = Some(format.to_owned());
        }
    }

    /// Ends the current input. Its last rows are acknowledged with the next commit ([`Self::flush`], [`Self::finish`]),
    /// and its status becomes visible together with them.
    pub fn end(&mut self, status: &str, detail: Option<&str>) -> Result<SourceSummary, LakeError> {
        self.alive()?;
        let Some(Current { mut summary, .. }) = self.current.take() else { return Err(LakeError::NoSource) };
        status.clone_into(&mut summary.status);
        summary.detail = detail.map(str::to_owned);
        self.job.commit.sources.push(summary.clone());
        let remarks = self.job.commit.rejects.len() + self.job.commit.notes.len() + self.job.commit.sources.len();
        if remarks > REMARKS_MAX {
            let result = self.submit();
            self.guard(result)?;
        }
        Ok(summary)
    }

    /// Commits everything that was taken so far, and gives what is acknowledged.
    pub fn flush(&mut self) -> Result<Acknowledged, LakeError> {
        self.alive()?;
        let result = self.submit().and_then(|()| self.writer.drain());
        let written = self.guard(result)?;
        self.acknowledged.add(written);
        Ok(self.acknowledged)
    }

    /// What has been committed since this ingest began. Commits happen on their own whenever the buffer is full.
    pub fn acknowledged(&self) -> Acknowledged {
        self.acknowledged
    }

    /// Commits the rest, merges small files, and gives the right to write back.
    pub fn finish(mut self) -> Result<Acknowledged, LakeError> {
        if self.current.is_some() {
            self.end("interrupted", None)?;
        }
        let acknowledged = self.flush()?;
        if let Err(error) = compact::run(&self.dir, &mut self.catalog, &self.layouts) {
            // Every row is safe and readable as it lies; the next ingest tries again.
            tracing::warn!(error = &error as &dyn std::error::Error, "small files were not merged");
        }
        Ok(acknowledged)
    }

    fn submit(&mut self) -> Result<(), LakeError> {
        let mut job = std::mem::take(&mut self.job);
        self.job_bytes = 0;
        self.seen.flushed();
        // The input that is being read is written as far as its rows are.
        job.commit.sources.extend(self.current.as_ref().map(|current| current.summary.clone()));
        let is_empty = job.tables.is_empty() && job.duplicates == 0 && job.commit.is_empty();
        if !is_empty {
            self.acknowledged.add(self.writer.submit(job)?);
        }
        Ok(())
    }

    fn alive(&self) -> Result<(), LakeError> {
        if self.has_failed { Err(LakeError::Ended) } else { Ok(()) }
    }

    /// Remembers a failure: what follows it must not be acknowledged as if it had not happened.
    fn guard<T>(&mut self, result: Result<T, LakeError>) -> Result<T, LakeError> {
        self.has_failed |= result.as_ref().is_err_and(|error| !matches!(error, LakeError::NoSource));
        result
    }
}

impl Acknowledged {
    fn add(&mut self, written: Written) {
        self.rows += written.rows;
        self.duplicates += written.duplicates;
        self.files += written.files;
    }
}

impl Commit {
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.sources.is_empty() && self.rejects.is_empty() && self.notes.is_empty()
    }
}

/// The batch, if it has the columns of its table and every row an identity.
fn checked(batch: EventBatch, path: &str) -> Result<EventBatch, LakeError> {
    let (wanted, found) = (batch.table.schema(), batch.columns.schema());
    if wanted.fields() != found.fields() {
        let differs =
            wanted.fields().iter().find(|field| found.field_with_name(field.name()).ok() != Some(field.as_ref()));
        let what = differs.map_or_else(|| "their order".to_owned(), |field| format!("column {}", field.name()));
        return Err(LakeError::Shape { table: batch.table.name(), what });
    }
    let is_unsigned = |paths: &dyn Array| paths.null_count() == paths.len();
    if batch.columns.column_by_name("source_path").is_some_and(|paths| is_unsigned(paths)) {
        return Ok(batch.read_from(path));
    }
    Ok(batch)
}

/// Rows of a batch and their identities, by partition.
type Days = BTreeMap<i32, (Vec<usize>, Vec<Uid>)>;

/// The rows by partition; tells the input's summary about the times.
fn identities(batch: &EventBatch, summary: &mut SourceSummary) -> Result<Days, LakeError> {
    let view = batch.common();
    let mut days = Days::new();
    for row in 0..batch.rows() {
        let (time, uid) = (view.time.get(row), view.event_uid.get(row));
        if uid == Uid::default() {
            let what = format!("row {row} has no event_uid");
            return Err(LakeError::Shape { table: batch.table.name(), what });
        }
        let (rows, uids) = days.entry(partition_day(time)).or_default();
        rows.push(row);
        uids.push(uid);
        if time.is_known() {
            let first = summary.first_time;
            summary.first_time = if first.is_known() { first.min(time) } else { time };
            summary.last_time = if summary.last_time.is_known() { summary.last_time.max(time) } else { time };
        }
    }
    Ok(days)
}

/// Removes what a dead writer left: unfinished files, finished ones that were never committed, spilled queries, and
/// what the catalogue has just forgotten. Only names that this program makes.
fn remove_orphans(dir: &Path, catalog: &Catalog, retired: &[PathBuf]) -> Result<(), LakeError> {
    let failed = |path: &Path, source| LakeError::Write { path: path.to_owned(), source };
    let named = catalog.named_files()?;
    let scratch = dir.join(SCRATCH_FOLDER);
    fs::create_dir_all(&scratch).map_err(|source| failed(&scratch, source))?;
    query::remove_stale_spills(&scratch).map_err(|source| failed(&scratch, source))?;
    let mut orphans: Vec<PathBuf> = retired.iter().filter(|path| path.is_file()).cloned().collect();
    orphans.extend(entries(&scratch)?.into_iter().filter(|(name, _)| name.ends_with(UNFINISHED)).map(|(_, path)| path));
    for table in Table::ALL {
        let folder = dir.join(DATA_FOLDER).join(table.name());
        for (day, folder) in entries(&folder)? {
            for (name, path) in entries(&folder)? {
                let is_ours = name.strip_suffix(".parquet").is_some_and(|digest| digest.parse::<Uid>().is_ok());
                if is_ours && !named.contains(&format!("{DATA_FOLDER}/{}/{day}/{name}", table.name())) {
                    orphans.push(path);
                }
            }
        }
    }
    for orphan in &orphans {
        tracing::info!(path = %orphan.display(), "removing a file that was never committed or is no longer needed");
        fs::remove_file(orphan).map_err(|source| failed(orphan, source))?;
    }
    Ok(())
}

/// Names and paths in a folder; nothing where it is not a folder.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, LakeError> {
    let failed = |source| LakeError::Open { path: folder.to_owned(), source };
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| {
            let entry = entry.map_err(failed)?;
            Ok((entry.file_name().to_string_lossy().into_owned(), entry.path()))
        })
        .collect()
}
