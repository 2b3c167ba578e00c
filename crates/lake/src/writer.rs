//! The thread that sorts, encodes and commits while the caller goes on parsing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use matagi_model::{EventBatch, Table};

use crate::LakeError;
use crate::catalog::{Catalog, Commit, TableLayout};
use crate::parquet_file::{RowAt, Target, partition_day, write};

/// Rows of a batch that are new; the others stay behind.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The batch as it came.
    pub batch: EventBatch,
    /// Which of its rows are new.
    pub rows: Vec<usize>,
}

/// Everything that becomes true together.
#[derive(Debug, Default)]
pub(crate) struct Job {
    /// New rows.
    pub tables: BTreeMap<Table, Vec<Kept>>,
    /// Rows among them that the lake had.
    pub duplicates: u64,
    /// What the catalogue is told beside the files.
    pub commit: Commit,
}

/// What a job came to.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Written {
    pub rows: u64,
    pub files: u64,
    pub duplicates: u64,
}

/// The tables as the catalogue numbers them.
pub(crate) type Layouts = BTreeMap<Table, TableLayout>;

/// The caller's end.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<SyncSender<Job>>,
    results: Receiver<Result<Written, LakeError>>,
    thread: Option<JoinHandle<()>>,
    in_flight: usize,
}

impl Writer {
    /// Starts the thread. It owns its connection to the catalogue.
    pub fn start(dir: &Path, catalog: Catalog, layouts: Arc<Layouts>) -> Result<Self, LakeError> {
        // No slot between the two: one job is being filled, one written, none waits. That bounds the memory.
        let (jobs, inbox) = sync_channel::<Job>(0);
        let (outbox, results) = channel();
        let path = dir.to_owned();
        let thread = std::thread::Builder::new()
            .name("lake-writer".to_owned())
            .spawn(move || run(&path, catalog, &layouts, &inbox, &outbox))
            .map_err(|source| LakeError::Open { path: dir.to_owned(), source })?;
        Ok(Self { jobs: Some(jobs), results, thread: Some(thread), in_flight: 0 })
    }

    /// Hands a job over; waits until the one before is done. Gives what was done meanwhile.
    pub fn submit(&mut self, job: Job) -> Result<Written, LakeError> {
        let Some(jobs) = &self.jobs else { return Err(LakeError::Ended) };
        if jobs.send(job).is_err() {
            // The thread ended: with an error, which is waiting in its results.
            return self.drain().and(Err(LakeError::Ended));
        }
        self.in_flight += 1;
        let mut written = Written::default();
        while let Ok(result) = self.results.try_recv() {
            self.in_flight -= 1;
            written.add(result?);
        }
        Ok(written)
    }

    /// Waits until everything that was handed over is committed.
    pub fn drain(&mut self) -> Result<Written, LakeError> {
        let mut written = Written::default();
        while self.in_flight > 0 {
            let result = self.results.recv().map_err(|_| LakeError::Ended)?;
            self.in_flight -= 1;
            written.add(result?);
        }
        Ok(written)
    }
}

impl Written {
    /// Adds what another job came to.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.files += other.files;
        self.duplicates += other.duplicates;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told already, by the missing result.
            let _ = thread.join();
        }
    }
}

fn run(
    dir: &Path,
    mut catalog: Catalog,
    layouts: &Layouts,
    inbox: &Receiver<Job>,
    outbox: &Sender<Result<Written, LakeError>>,
) {
    while let Ok(job) = inbox.recv() {
        let result = write_job(dir, &mut catalog, layouts, job);
        let failed = result.is_err();
        // After a failure nothing more is taken: rows that came later must not be acknowledged before earlier ones.
        if outbox.send(result).is_err() || failed {
            return;
        }
    }
}

fn write_job(dir: &Path, catalog: &mut Catalog, layouts: &Layouts, job: Job) -> Result<Written, LakeError> {
    let Job { tables, duplicates, mut commit } = job;
    let mut rows = 0;
    for (table, kept) in &tables {
        let batches: Vec<&EventBatch> = kept.iter().map(|kept| &kept.batch).collect();
        let all = kept.iter().enumerate().flat_map(|(batch, kept)| kept.rows.iter().map(move |&row| (batch, row)));
        for (day, order) in by_day(&batches, all) {
            let target = Target { dir, table: *table, layout: &layouts[table], day };
            rows += order.len() as u64;
            commit.files.push(write(target, &batches, &order)?);
        }
    }
    catalog.commit(&commit)?;
    let files = commit.files.len() as u64;
    tracing::debug!(rows, files, "committed");
    Ok(Written { rows, files, duplicates })
}

/// Rows by partition, within a day by (user, time, identity): a user's day lies together.
pub(crate) fn by_day(batches: &[&EventBatch], rows: impl Iterator<Item = RowAt>) -> BTreeMap<i32, Vec<RowAt>> {
    let views: Vec<_> = batches.iter().map(|batch| batch.common()).collect();
    let mut days: BTreeMap<i32, Vec<RowAt>> = BTreeMap::new();
    for (batch, row) in rows {
        days.entry(partition_day(views[batch].time.get(row))).or_default().push((batch, row));
    }
    for order in days.values_mut() {
        order.sort_by(|&(batch, row), &(other_batch, other_row)| {
            let (view, other) = (&views[batch], &views[other_batch]);
            view.user_name
                .get(row)
                .cmp(&other.user_name.get(other_row))
                .then_with(|| view.time.get(row).cmp(&other.time.get(other_row)))
                .then_with(|| view.event_uid.get(row).cmp(&other.event_uid.get(other_row)))
        });
    }
    days
}
