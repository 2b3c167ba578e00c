//! Which records the lake has already, in bounded memory however large the lake is.
//!
//! For each (table, day) that is being written to, the identities are loaded once and kept while there is room. A day
//! with more rows than there is room for is never loaded: its files are streamed past the few new rows instead.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use matagi_model::{EventBatch, Table, Uid};

use crate::LakeError;
use crate::catalog::DataFile;
use crate::parquet_file::Reader;

/// Identities in memory: about 35 bytes each at worst, so 70 MB.
pub(crate) const UIDS_MAX: usize = 2_000_000;

type Key = (Table, i32);

/// One (table, day) in memory.
#[derive(Debug, Default)]
struct Loaded {
    uids: HashSet<Uid>,
    used: u64,
}

/// The identities of what is committed or about to be.
#[derive(Debug)]
pub(crate) struct Seen {
    dir: PathBuf,
    uids_max: usize,
    /// Rows that are committed or on their way, by day.
    rows: BTreeMap<Key, u64>,
    /// Rows of files that another program added, which may be of any day.
    foreign: BTreeMap<Table, u64>,
    /// Accepted since the last flush.
    pending: BTreeMap<Key, HashSet<Uid>>,
    loaded: BTreeMap<Key, Loaded>,
    clock: u64,
}

impl Seen {
    /// Nothing is loaded yet.
    pub fn new(dir: &Path, uids_max: usize, files: &BTreeMap<Table, Vec<DataFile>>) -> Self {
        let (mut rows, mut foreign) = (BTreeMap::new(), BTreeMap::new());
        for (table, file) in files.iter().flat_map(|(table, files)| files.iter().map(|file| (*table, file))) {
            match file.day {
                Some(day) => *rows.entry((table, day)).or_default() += file.rows,
                None => *foreign.entry(table).or_default() += file.rows,
            }
        }
        let (pending, loaded) = (BTreeMap::new(), BTreeMap::new());
        Self { dir: dir.to_owned(), uids_max, rows, foreign, pending, loaded, clock: 0 }
    }

    /// Room for so many identities.
    pub fn set_uids_max(&mut self, uids_max: usize) {
        self.uids_max = uids_max;
    }

    fn rows(&self, key: Key) -> u64 {
        self.rows.get(&key).copied().unwrap_or(0) + self.foreign.get(&key.0).copied().unwrap_or(0)
    }

    fn is_large(&self, key: Key) -> bool {
        usize::try_from(self.rows(key)).unwrap_or(usize::MAX) > self.uids_max / 2
    }

    /// Which of these records of one day are new; they count as seen from now on.
    ///
    /// `files` gives the committed files of the table, after everything on its way was committed. It is called only
    /// when it must be.
    pub fn accept(
        &mut self,
        key: Key,
        uids: &[Uid],
        files: &mut dyn FnMut(Table) -> Result<Vec<DataFile>, LakeError>,
    ) -> Result<Vec<bool>, LakeError> {
        self.clock += 1;
        let known = if let Some(loaded) = self.loaded.get_mut(&key) {
            loaded.used = self.clock;
            None
        } else if self.rows(key) == 0 {
            self.loaded.insert(key, Loaded { uids: HashSet::new(), used: self.clock });
            None
        } else if self.is_large(key) {
            let wanted: HashSet<Uid> = uids.iter().copied().collect();
            Some(self.stream(key, files, &|uid| wanted.contains(uid))?)
        } else {
            let uids = self.stream(key, files, &|_| true)?;
            self.loaded.insert(key, Loaded { uids, used: self.clock });
            None
        };
        let known = known.as_ref().unwrap_or_else(|| &self.loaded[&key].uids);
        let pending = self.pending.entry(key).or_default();
        let fresh = uids.iter().map(|uid| !known.contains(uid) && pending.insert(*uid)).collect();
        self.evict(key);
        Ok(fresh)
    }

    /// What was accepted is on its way to the disk.
    pub fn flushed(&mut self) {
        for (key, uids) in std::mem::take(&mut self.pending) {
            *self.rows.entry(key).or_default() += uids.len() as u64;
            if self.is_large(key) {
                self.loaded.remove(&key);
            } else if let Some(loaded) = self.loaded.get_mut(&key) {
                loaded.uids.extend(uids);
            }
        }
    }

    fn stream(
        &self,
        (table, day): Key,
        files: &mut dyn FnMut(Table) -> Result<Vec<DataFile>, LakeError>,
        keep: &dyn Fn(&Uid) -> bool,
    ) -> Result<HashSet<Uid>, LakeError> {
        let schema = uid_schema(table);
        let mut uids = HashSet::new();
        for file in files(table)?.iter().filter(|file| file.day.is_none_or(|here| here == day)) {
            Reader::open(&self.dir.join(&file.path), &schema)?.read(&schema, |columns| {
                let batch = EventBatch { table, columns };
                let view = batch.common();
                uids.extend((0..batch.rows()).map(|row| view.event_uid.get(row)).filter(keep));
                Ok(())
            })?;
        }
        Ok(uids)
    }

    /// Forgets the days that were not used for longest, until the rest fits.
    fn evict(&mut self, in_use: Key) {
        let mut total: usize = self.loaded.values().map(|loaded| loaded.uids.len()).sum();
        if total <= self.uids_max {
            return;
        }
        let by_use: BTreeSet<(u64, Key)> = self.loaded.iter().map(|(key, loaded)| (loaded.used, *key)).collect();
        for (_, key) in by_use.into_iter().filter(|(_, key)| *key != in_use) {
            if total <= self.uids_max {
                return;
            }
            total -= self.loaded.remove(&key).map_or(0, |loaded| loaded.uids.len());
        }
    }
}

fn uid_schema(table: Table) -> SchemaRef {
    let schema = table.schema();
    let (_, field) = schema.column_with_name("event_uid").expect("every table has it");
    Arc::new(Schema::new(vec![field.clone()]))
}
