//! The catalogue: one SQLite file that says which data files count, in the tables of DuckLake 1.0.

mod commit;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use matagi_model::{Table, Time};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::{LakeError, RejectedRecord, SourceNote, SourceSummary};

pub(crate) use commit::{Commit, NewFile};
pub(crate) use schema::{ColumnStats, TableLayout};

/// Layout of our own tables that this build reads and writes.
pub(crate) const FORMAT: u32 = 1;

/// File of the catalogue within the lake.
pub(crate) const CATALOG_FILE: &str = "catalog.db";

/// Folder of the data files within the lake; also the path of DuckLake's schema `main`.
pub(crate) const DATA_FOLDER: &str = "v1";

/// How long to wait for another connection's transaction. Ours take milliseconds; a slow disk may take seconds.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// Hunts that are remembered, so that a server that hunts every minute does not fill the disk.
const HUNTS_MAX: i64 = 20;

/// Instants in SQLite, in DuckLake's spelling. It is the catalogue that asks the clock: when a snapshot was made is a
/// fact about the catalogue, and nothing that a hunter reads depends on it.
const SQL_NOW: &str = "strftime('%Y-%m-%d %H:%M:%f+00', 'now')";

/// Bytes of SQL text that one value may have; a longer reason or note was made by somebody who wants the disk full.
const TEXT_BYTES_MAX: usize = 4096;

/// A committed data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Number in the catalogue.
    pub id: i64,
    /// Path below the lake's folder, with `/`.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Size, bytes.
    pub bytes: u64,
    /// Day since 1970; `None` for a file that another program added.
    pub day: Option<i32>,
    /// Earliest time, microseconds; the smallest number where it is not known.
    pub first_time_us: i64,
    /// Latest time, microseconds; the largest number where it is not known.
    pub last_time_us: i64,
}

/// A connection to the catalogue.
#[derive(Debug)]
pub(crate) struct Catalog {
    connection: Connection,
    dir: PathBuf,
}

pub(crate) fn failed(what: &'static str) -> impl Fn(rusqlite::Error) -> LakeError {
    move |source| LakeError::Catalog { what, source }
}

/// At most [`TEXT_BYTES_MAX`] bytes of a text.
fn capped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
}

/// A count as SQLite stores it. Nothing here comes near 2^63.
fn sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Catalog {
    /// Makes the catalogue of a new lake. Says whether it had to: two processes may try at once.
    pub fn create(dir: &Path) -> Result<bool, LakeError> {
        let catalog = Self::connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        let mut connection = catalog.connection;
        let create = failed("make the tables");
        connection.pragma_update(None, "journal_mode", "wal").map_err(&create)?;
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&create)?;
        if has_tables(&transaction).map_err(&create)? {
            return Ok(false);
        }
        transaction.execute_batch(include_str!("tables.sql")).map_err(&create)?;
        schema::first_snapshot(&transaction, FORMAT).map_err(&create)?;
        transaction.commit().map_err(&create)?;
        Ok(true)
    }

    /// Opens the catalogue of a lake that is there.
    pub fn open(dir: &Path) -> Result<Self, LakeError> {
        if !dir.join(CATALOG_FILE).is_file() {
            return Err(LakeError::Missing { path: dir.to_owned() });
        }
        let catalog = Self::connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let open = failed("find the format");
        if !has_tables(&catalog.connection).map_err(&open)? {
            return Err(LakeError::Missing { path: dir.to_owned() });
        }
        let found: String = catalog
            .connection
            .query_row("SELECT value FROM matagi_meta WHERE key = 'format'", [], |row| row.get(0))
            .map_err(&open)?;
        let found = found.parse().unwrap_or(u32::MAX);
        if found > FORMAT {
            return Err(LakeError::Newer { path: dir.to_owned(), found, known: FORMAT });
        }
        Ok(catalog)
    }

    fn connect(dir: &Path, flags: OpenFlags) -> Result<Self, LakeError> {
        let open = failed("open the file");
        let connection = Connection::open_with_flags(dir.join(CATALOG_FILE), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(&open)?;
        connection.busy_timeout(LOCK_WAIT).map_err(&open)?;
        // A commit survives a power failure, not only a killed process.
        connection.pragma_update(None, "synchronous", "full").map_err(&open)?;
        Ok(Self { connection, dir: dir.to_owned() })
    }

    /// The committed files of a table, by their earliest time.
    pub fn files(&self, table: Table) -> Result<Vec<DataFile>, LakeError> {
        let list = failed("list the data files");
        self.refuse_foreign(&list)?;
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT f.data_file_id, s.path || t.path || f.path, f.record_count, f.file_size_bytes, m.day, m.first_time, m.last_time
                 FROM ducklake_data_file f JOIN ducklake_table t USING (table_id) JOIN ducklake_schema s USING (schema_id)
                 LEFT JOIN matagi_file m USING (data_file_id)
                 WHERE t.table_name = ?1 AND t.end_snapshot IS NULL AND f.end_snapshot IS NULL
                 ORDER BY m.first_time, f.data_file_id",
            )
            .map_err(&list)?;
        let rows = statement
            .query_map([table.name()], |row| {
                Ok(DataFile {
                    id: row.get(0)?,
                    path: row.get(1)?,
                    rows: count(row.get(2)?),
                    bytes: count(row.get(3)?),
                    day: row.get(4)?,
                    first_time_us: row.get::<_, Option<i64>>(5)?.unwrap_or(i64::MIN),
                    last_time_us: row.get::<_, Option<i64>>(6)?.unwrap_or(i64::MAX),
                })
            })
            .map_err(&list)?;
        rows.collect::<Result<_, _>>().map_err(&list)
    }

    /// Another engine may delete rows or keep small inserts inside the catalogue; to read around that would be wrong.
    fn refuse_foreign(&self, list: &impl Fn(rusqlite::Error) -> LakeError) -> Result<(), LakeError> {
        let deletes: i64 = self
            .connection
            .query_row("SELECT count(*) FROM ducklake_delete_file WHERE end_snapshot IS NULL", [], |row| row.get(0))
            .map_err(list)?;
        let outside: i64 = self
            .connection
            .query_row(
                "SELECT count(*) FROM ducklake_data_file WHERE end_snapshot IS NULL AND path_is_relative = 0",
                [],
                |row| row.get(0),
            )
            .map_err(list)?;
        let inlined: i64 = self
            .connection
            .query_row("SELECT count(*) FROM ducklake_inlined_data_tables", [], |row| row.get(0))
            .map_err(list)?;
        let what = match (deletes, outside, inlined) {
            (0, 0, 0) => return Ok(()),
            (0, 0, _) => format!("it keeps rows inside the catalogue, in {inlined} tables"),
            (0, _, _) => format!("{outside} data files lie outside of the lake"),
            _ => format!("rows were deleted, by {deletes} files"),
        };
        Err(LakeError::Foreign { path: self.dir.clone(), what })
    }

    /// What became of every input, oldest first.
    pub fn sources(&self) -> Result<Vec<SourceSummary>, LakeError> {
        let list = failed("list the sources");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT source_id, path, format, status, detail, row_count, duplicate_count, reject_count, first_time, last_time
                 FROM matagi_source ORDER BY source_id",
            )
            .map_err(&list)?;
        let rows = statement
            .query_map([], |row| {
                Ok(SourceSummary {
                    id: count(row.get(0)?),
                    path: row.get(1)?,
                    format: row.get(2)?,
                    status: row.get(3)?,
                    detail: row.get(4)?,
                    rows: count(row.get(5)?),
                    duplicates: count(row.get(6)?),
                    rejected: count(row.get(7)?),
                    first_time: Time(row.get(8)?),
                    last_time: Time(row.get(9)?),
                })
            })
            .map_err(&list)?;
        rows.collect::<Result<_, _>>().map_err(&list)
    }

    /// Refused records in order, of one input or all.
    pub fn rejects(&self, source: Option<u64>, limit: usize) -> Result<Vec<RejectedRecord>, LakeError> {
        let list = failed("list the rejects");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT r.source_id, s.path, r.record, r.reason FROM matagi_reject r JOIN matagi_source s USING (source_id)
                 WHERE ?1 IS NULL OR r.source_id = ?1 ORDER BY r.source_id, r.record LIMIT ?2",
            )
            .map_err(&list)?;
        let rows = statement
            .query_map(params![source.map(sql), i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok(RejectedRecord {
                    source: count(row.get(0)?),
                    path: row.get(1)?,
                    record: count(row.get(2)?),
                    reason: row.get(3)?,
                })
            })
            .map_err(&list)?;
        rows.collect::<Result<_, _>>().map_err(&list)
    }

    /// Facts about the quality of the inputs, in order.
    pub fn notes(&self) -> Result<Vec<SourceNote>, LakeError> {
        let list = failed("list the notes");
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT n.source_id, s.path, n.code, n.args FROM matagi_note n JOIN matagi_source s USING (source_id)
                 ORDER BY n.source_id, n.rowid",
            )
            .map_err(&list)?;
        let rows = statement
            .query_map([], |row| {
                let args: String = row.get(3)?;
                // We wrote this JSON ourselves; were it damaged, the code alone still says what is wrong.
                let args = serde_json::from_str(&args).unwrap_or_default();
                let note = matagi_model::Note { code: row.get(2)?, args };
                Ok(SourceNote { source: count(row.get(0)?), path: row.get(1)?, note })
            })
            .map_err(&list)?;
        rows.collect::<Result<_, _>>().map_err(&list)
    }

    /// Remembers what a hunt said, in each language, and forgets the oldest hunts.
    pub fn save_hunt(&mut self, now: Time, documents: &[(&str, &str)]) -> Result<(), LakeError> {
        let save = failed("remember the hunt");
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&save)?;
        let id: i64 = transaction
            .query_row("SELECT coalesce(max(hunt_id), 0) + 1 FROM matagi_hunt", [], |row| row.get(0))
            .map_err(&save)?;
        for (lang, document) in documents {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO matagi_hunt VALUES (?1, ?2, ?3, ?4)",
                    params![id, now.0, lang, document],
                )
                .map_err(&save)?;
        }
        transaction.execute("DELETE FROM matagi_hunt WHERE hunt_id <= ?1", [id - HUNTS_MAX]).map_err(&save)?;
        transaction.commit().map_err(&save)
    }

    /// What the last hunt said in this language.
    pub fn last_hunt(&self, lang: &str) -> Result<Option<String>, LakeError> {
        self.connection
            .query_row(
                "SELECT document FROM matagi_hunt WHERE lang = ?1 ORDER BY hunt_id DESC LIMIT 1",
                [lang],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed("find the last hunt"))
    }
}

fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'matagi_meta'", [], |row| {
        row.get::<_, i64>(0).map(|tables| tables > 0)
    })
}
