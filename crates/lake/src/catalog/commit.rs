//! What one transaction writes: data files, what they replace, and how far the inputs have come.

use std::path::PathBuf;

use matagi_model::{Note, Reject, Table};
use rusqlite::{Transaction, params};

use super::{Catalog, ColumnStats, SQL_NOW, capped, failed, sql};
use crate::{LakeError, SourceSummary};

/// How long replaced files stay for those who are still reading them, as SQLite says it.
const RETIRE_AFTER: &str = "-1 hour";

/// A data file that lies in its place, synced, and counts from the commit on.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    /// Table.
    pub table: Table,
    /// Number of the table.
    pub table_id: i64,
    /// Day since 1970.
    pub day: i32,
    /// Path below the table's folder.
    pub path: String,
    /// Rows.
    pub rows: u64,
    /// Size, bytes.
    pub bytes: u64,
    /// Size of the footer without its length and magic, bytes.
    pub footer_bytes: u64,
    /// Earliest time, microseconds.
    pub first_time_us: i64,
    /// Latest time, microseconds.
    pub last_time_us: i64,
    /// Statistics of each leaf column.
    pub stats: Vec<ColumnStats>,
}

/// Everything that becomes true at one instant.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// Files that count from now on.
    pub files: Vec<NewFile>,
    /// Numbers of the files that they replace.
    pub replaced: Vec<i64>,
    /// Inputs as they are now.
    pub sources: Vec<SourceSummary>,
    /// Refused records.
    pub rejects: Vec<(u64, Reject)>,
    /// Facts about the inputs.
    pub notes: Vec<(u64, Note)>,
}

impl Catalog {
    /// Writes down that an input was begun. Not synced: after a power failure it is as if it had not been begun.
    pub fn begin_source(&self, source: &SourceSummary) -> Result<(), LakeError> {
        let begin = failed("begin a source");
        self.connection.pragma_update(None, "synchronous", "normal").map_err(&begin)?;
        let result = put_source(&self.connection, source);
        self.connection.pragma_update(None, "synchronous", "full").map_err(&begin)?;
        result.map_err(&begin)
    }

    /// Marks what a dead writer left unfinished, and gives the number for the next input.
    pub fn interrupt_sources(&self) -> Result<u64, LakeError> {
        let mark = failed("mark what was interrupted");
        self.connection
            .execute("UPDATE matagi_source SET status = 'interrupted' WHERE status = 'reading'", [])
            .map_err(&mark)?;
        self.connection
            .query_row("SELECT coalesce(max(source_id), 0) + 1 FROM matagi_source", [], |row| row.get(0))
            .map(super::count)
            .map_err(&mark)
    }

    /// Makes it all true, or nothing.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), LakeError> {
        let failure = failed("commit");
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&failure)?;
        write(&transaction, commit).map_err(&failure)?;
        transaction.commit().map_err(&failure)
    }

    /// Every file that the catalogue names, replaced ones included: whatever else lies there is an orphan.
    pub fn named_files(&self) -> Result<std::collections::BTreeSet<String>, LakeError> {
        let list = failed("list the data files");
        let mut statement = self
            .connection
            .prepare(
                "SELECT s.path || t.path || f.path FROM ducklake_data_file f JOIN ducklake_table t USING (table_id)
                 JOIN ducklake_schema s USING (schema_id) WHERE f.path_is_relative",
            )
            .map_err(&list)?;
        let rows = statement.query_map([], |row| row.get(0)).map_err(&list)?;
        rows.collect::<Result<_, _>>().map_err(&list)
    }

    /// Forgets the snapshots of more than an hour ago and the files that only they need; gives the paths of the files,
    /// which nobody may read any more. The newest of the old snapshots stays: it was true an hour ago.
    pub fn retire(&mut self) -> Result<Vec<PathBuf>, LakeError> {
        let failure = failed("forget replaced files");
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&failure)?;
        let paths = retire(&transaction).map_err(&failure)?;
        transaction.commit().map_err(&failure)?;
        Ok(paths.into_iter().map(|path| self.dir.join(path)).collect())
    }
}

fn put_source(connection: &rusqlite::Connection, source: &SourceSummary) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO matagi_source VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?
        .execute(params![
            sql(source.id),
            source.path,
            source.format,
            source.status,
            source.detail.as_deref().map(capped),
            sql(source.rows),
            sql(source.duplicates),
            sql(source.rejected),
            source.first_time.0,
            source.last_time.0
        ])
        .map(drop)
}

fn write(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<()> {
    if !commit.files.is_empty() {
        let snapshot = snapshot(transaction, commit)?;
        for file in &commit.files {
            put_file(transaction, snapshot, file)?;
        }
        for id in &commit.replaced {
            transaction
                .prepare_cached("UPDATE ducklake_data_file SET end_snapshot = ?2 WHERE data_file_id = ?1")?
                .execute([*id, snapshot])?;
            transaction
                .prepare_cached(
                    "UPDATE ducklake_table_stats SET record_count = ducklake_table_stats.record_count - f.record_count,
                     file_size_bytes = ducklake_table_stats.file_size_bytes - f.file_size_bytes
                     FROM ducklake_data_file f WHERE f.data_file_id = ?1 AND f.table_id = ducklake_table_stats.table_id",
                )?
                .execute([*id])?;
        }
    }
    for source in &commit.sources {
        put_source(transaction, source)?;
    }
    let mut reject = transaction.prepare_cached("INSERT INTO matagi_reject VALUES (?1, ?2, ?3)")?;
    for (source, Reject { record, reason }) in &commit.rejects {
        reject.execute(params![sql(*source), sql(*record), capped(reason)])?;
    }
    let mut note = transaction.prepare_cached("INSERT INTO matagi_note VALUES (?1, ?2, ?3)")?;
    for (source, Note { code, args }) in &commit.notes {
        let args = serde_json::to_string(args).unwrap_or_default();
        note.execute(params![sql(*source), capped(code), args])?;
    }
    Ok(())
}

fn snapshot(transaction: &Transaction<'_>, commit: &Commit) -> rusqlite::Result<i64> {
    let snapshot = transaction.query_row(
        &format!(
            "INSERT INTO ducklake_snapshot SELECT snapshot_id + 1, {SQL_NOW}, schema_version, next_catalog_id, next_file_id
             FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1 RETURNING snapshot_id"
        ),
        [],
        |row| row.get(0),
    )?;
    let mut tables: Vec<i64> = commit.files.iter().map(|file| file.table_id).collect();
    tables.sort_unstable();
    tables.dedup();
    let change = if commit.replaced.is_empty() { "inserted_into_table" } else { "compacted_table" };
    let changes: Vec<String> = tables.iter().map(|table| format!("{change}:{table}")).collect();
    transaction.execute(
        "INSERT INTO ducklake_snapshot_changes VALUES (?1, ?2, NULL, NULL, NULL)",
        params![snapshot, changes.join(",")],
    )?;
    Ok(snapshot)
}

fn put_file(transaction: &Transaction<'_>, snapshot: i64, file: &NewFile) -> rusqlite::Result<()> {
    let id: i64 = transaction.query_row(
        "UPDATE ducklake_snapshot SET next_file_id = next_file_id + 1 WHERE snapshot_id = ?1 RETURNING next_file_id - 1",
        [snapshot],
        |row| row.get(0),
    )?;
    transaction
        .prepare_cached(
            "INSERT INTO ducklake_data_file SELECT ?1, ?2, ?3, NULL, NULL, ?4, 1, 'parquet', ?5, ?6, ?7, next_row_id, NULL, NULL, NULL, NULL
             FROM ducklake_table_stats WHERE table_id = ?2",
        )?
        .execute(params![
            id,
            file.table_id,
            snapshot,
            file.path,
            sql(file.rows),
            sql(file.bytes),
            sql(file.footer_bytes)
        ])?;
    transaction
        .prepare_cached(
            "UPDATE ducklake_table_stats SET record_count = record_count + ?2, next_row_id = next_row_id + ?2,
             file_size_bytes = file_size_bytes + ?3 WHERE table_id = ?1",
        )?
        .execute(params![file.table_id, sql(file.rows), sql(file.bytes)])?;
    transaction.prepare_cached("INSERT INTO matagi_file VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        id,
        file.table.name(),
        file.day,
        file.first_time_us,
        file.last_time_us
    ])?;
    let mut insert = transaction
        .prepare_cached("INSERT INTO ducklake_file_column_stats VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL, NULL)")?;
    for stats in &file.stats {
        insert.execute(params![
            id,
            file.table_id,
            stats.column_id,
            stats.bytes,
            stats.values,
            stats.nulls,
            stats.min,
            stats.max
        ])?;
    }
    Ok(())
}

fn retire(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<String>> {
    let oldest: Option<i64> = transaction.query_row(
        "SELECT max(snapshot_id) FROM ducklake_snapshot WHERE julianday(substr(snapshot_time, 1, 19)) < julianday('now', ?1)",
        [RETIRE_AFTER],
        |row| row.get(0),
    )?;
    let Some(oldest) = oldest else { return Ok(Vec::new()) };
    let mut statement = transaction.prepare(
        "SELECT s.path || t.path || f.path FROM ducklake_data_file f JOIN ducklake_table t USING (table_id)
         JOIN ducklake_schema s USING (schema_id) WHERE f.end_snapshot <= ?1 AND f.path_is_relative",
    )?;
    let paths = statement.query_map([oldest], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    drop(statement);
    for sql in [
        "DELETE FROM ducklake_file_column_stats WHERE data_file_id IN (SELECT data_file_id FROM ducklake_data_file WHERE end_snapshot <= ?1)",
        "DELETE FROM matagi_file WHERE data_file_id IN (SELECT data_file_id FROM ducklake_data_file WHERE end_snapshot <= ?1)",
        "DELETE FROM ducklake_data_file WHERE end_snapshot <= ?1",
        "DELETE FROM ducklake_snapshot_changes WHERE snapshot_id < ?1",
        "DELETE FROM ducklake_snapshot WHERE snapshot_id < ?1",
    ] {
        transaction.execute(sql, [oldest])?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::DataFile;

    fn file(name: &str) -> NewFile {
        NewFile {
            table: Table::Saas,
            table_id: 3,
            day: 19_783,
            path: format!("day=2024-03-01/{name}.parquet"),
            rows: 10,
            bytes: 100,
            footer_bytes: 20,
            first_time_us: 1,
            last_time_us: 2,
            stats: vec![ColumnStats { column_id: 1, bytes: 5, values: 10, nulls: Some(0), min: None, max: None }],
        }
    }

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let dir = tempfile::tempdir().unwrap();
        Catalog::create(dir.path()).unwrap();
        let mut catalog = Catalog::open(dir.path()).unwrap();
        assert_eq!(catalog.prepare_writing().unwrap()[&Table::Saas].table_id, 3);
        (dir, catalog)
    }

    fn number(catalog: &Catalog, sql: &str) -> i64 {
        catalog.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn ids(catalog: &Catalog) -> Vec<i64> {
        catalog.files(Table::Saas).unwrap().iter().map(|DataFile { id, .. }| *id).collect()
    }

    #[test]
    fn a_merge_replaces_and_an_hour_later_the_old_files_are_nobodys() {
        let (_dir, mut catalog) = catalog();
        catalog.commit(&Commit { files: vec![file("a"), file("b")], ..Commit::default() }).unwrap();
        catalog.commit(&Commit { files: vec![file("c")], replaced: vec![0, 1], ..Commit::default() }).unwrap();
        assert_eq!(ids(&catalog), [2]);
        assert_eq!(number(&catalog, "SELECT record_count FROM ducklake_table_stats WHERE table_id = 3"), 10);
        assert_eq!(number(&catalog, "SELECT next_row_id FROM ducklake_table_stats WHERE table_id = 3"), 30);
        assert!(catalog.retire().unwrap().is_empty(), "somebody may still read them");
        assert_eq!(catalog.named_files().unwrap().len(), 3);
        let past = "UPDATE ducklake_snapshot SET snapshot_time = '2020-01-01 00:00:00.000+00'";
        catalog.connection.execute(past, []).unwrap();
        let retired = catalog.retire().unwrap();
        assert_eq!(
            retired.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(ids(&catalog), [2]);
        assert_eq!(number(&catalog, "SELECT count(*) FROM ducklake_snapshot"), 1);
        assert_eq!(number(&catalog, "SELECT count(*) FROM ducklake_file_column_stats"), 1);
    }

    #[test]
    fn a_commit_is_whole_or_not_at_all() {
        let (_dir, mut catalog) = catalog();
        catalog.connection.execute_batch("DROP TABLE matagi_note").unwrap();
        let rejects = vec![(1, Reject { record: 1, reason: "x".into() })];
        let commit = Commit { files: vec![file("a")], rejects, ..Commit::default() };
        assert!(catalog.commit(&commit).is_err(), "the last statement fails");
        assert_eq!(ids(&catalog), [0_i64; 0]);
        assert_eq!(number(&catalog, "SELECT count(*) FROM matagi_reject"), 0);
    }

    #[test]
    fn what_another_engine_deleted_is_not_shown_but_refused() {
        let (_dir, mut catalog) = catalog();
        catalog.commit(&Commit { files: vec![file("a")], ..Commit::default() }).unwrap();
        let delete = "INSERT INTO ducklake_delete_file (delete_file_id, table_id, data_file_id) VALUES (9, 3, 0)";
        catalog.connection.execute(delete, []).unwrap();
        assert!(matches!(catalog.files(Table::Saas), Err(LakeError::Foreign { .. })));
    }
}
