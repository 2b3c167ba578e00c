//! Our tables as DuckLake describes tables: numbered columns, to which the data files refer by Parquet field id.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use matagi_model::Table;
use matagi_model::columns::ColumnDoc;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Catalog, DATA_FOLDER, SQL_NOW, failed};
use crate::LakeError;

/// A UUID made by SQLite's random numbers (version 4).
const SQL_UUID: &str =
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a'
     || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))";

/// Statistics of one column in one data file, as DuckLake spells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnStats {
    /// Number of the column.
    pub column_id: i64,
    /// Compressed size, bytes.
    pub bytes: i64,
    /// Values, nulls included.
    pub values: i64,
    /// Nulls, where they were counted.
    pub nulls: Option<i64>,
    /// Smallest value, where it is exact.
    pub min: Option<String>,
    /// Largest value, where it is exact.
    pub max: Option<String>,
}

/// A table as the catalogue numbers it.
#[derive(Debug, Clone)]
pub(crate) struct TableLayout {
    /// Number in the catalogue.
    pub table_id: i64,
    /// Columns in the model's order, each with its field id.
    pub schema: SchemaRef,
}

/// DuckLake's name of a type.
fn type_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Timestamp(..) => "timestamptz",
        DataType::FixedSizeBinary(_) => "blob",
        DataType::UInt8 => "uint8",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float64 => "float64",
        DataType::Boolean => "boolean",
        DataType::List(_) => "list",
        _ => "varchar",
    }
}

/// The first snapshot, which has only the schema `main`, and what every DuckLake says about itself.
pub(super) fn first_snapshot(transaction: &Transaction<'_>, format: u32) -> rusqlite::Result<()> {
    transaction.execute_batch(&format!(
        "INSERT INTO ducklake_metadata VALUES ('version', '1.0', NULL, NULL), ('created_by', 'Matagi', NULL, NULL),
             ('data_path', '', NULL, NULL), ('encrypted', 'false', NULL, NULL);
         INSERT INTO ducklake_snapshot VALUES (0, {SQL_NOW}, 0, 1, 0);
         INSERT INTO ducklake_snapshot_changes VALUES (0, 'created_schema:\"main\"', NULL, NULL, NULL);
         INSERT INTO ducklake_schema VALUES (0, {SQL_UUID}, 0, NULL, 'main', '{DATA_FOLDER}/', 1);
         INSERT INTO matagi_meta VALUES ('format', '{format}');"
    ))
}

/// The columns that the catalogue knows of a table: name to (number, number of the list's element).
type Known = BTreeMap<String, (i64, Option<i64>)>;

impl Catalog {
    /// Brings the catalogue to the model's tables (new tables, new columns) and to the place where the lake lies now.
    pub fn prepare_writing(&mut self) -> Result<BTreeMap<Table, TableLayout>, LakeError> {
        let prepare = failed("prepare the tables");
        let dir = self.dir.canonicalize().map_err(|source| LakeError::Open { path: self.dir.clone(), source })?;
        let transaction =
            self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(&prepare)?;
        let layouts = prepare_tables(&transaction, &dir).map_err(&prepare)?;
        transaction.commit().map_err(&prepare)?;
        Ok(layouts)
    }
}

fn prepare_tables(transaction: &Transaction<'_>, dir: &Path) -> rusqlite::Result<BTreeMap<Table, TableLayout>> {
    // Where a lake lies is not part of its content, but DuckLake wants it written down.
    let data_path = format!("{}/", dir.display());
    transaction.execute(
        "UPDATE ducklake_metadata SET value = ?1 WHERE key = 'data_path' AND scope IS NULL AND value <> ?1",
        [data_path],
    )?;
    let mut layouts = BTreeMap::new();
    for table in Table::ALL {
        let table_id = match table_id(transaction, table)? {
            Some(table_id) => table_id,
            None => create_table(transaction, table)?,
        };
        let known = add_columns(transaction, table, table_id)?;
        layouts.insert(table, TableLayout { table_id, schema: numbered(table, &known) });
    }
    Ok(layouts)
}

fn table_id(connection: &Connection, table: Table) -> rusqlite::Result<Option<i64>> {
    connection
        .query_row(
            "SELECT table_id FROM ducklake_table WHERE table_name = ?1 AND end_snapshot IS NULL",
            [table.name()],
            |row| row.get(0),
        )
        .optional()
}

/// A new snapshot with a new version of the schema; gives its number.
fn schema_snapshot(transaction: &Transaction<'_>, catalog_ids: i64, changes: &str) -> rusqlite::Result<i64> {
    let snapshot = transaction.query_row(
        &format!(
            "INSERT INTO ducklake_snapshot SELECT snapshot_id + 1, {SQL_NOW}, schema_version + 1, next_catalog_id + ?1, next_file_id
             FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1 RETURNING snapshot_id"
        ),
        [catalog_ids],
        |row| row.get(0),
    )?;
    transaction.execute(
        "INSERT INTO ducklake_snapshot_changes VALUES (?1, ?2, NULL, NULL, NULL)",
        params![snapshot, changes],
    )?;
    Ok(snapshot)
}

fn schema_version(transaction: &Transaction<'_>, snapshot: i64, table_id: i64) -> rusqlite::Result<usize> {
    transaction.execute(
        "INSERT INTO ducklake_schema_versions SELECT snapshot_id, schema_version, ?2 FROM ducklake_snapshot WHERE snapshot_id = ?1",
        [snapshot, table_id],
    )
}

fn create_table(transaction: &Transaction<'_>, table: Table) -> rusqlite::Result<i64> {
    let snapshot = schema_snapshot(transaction, 1, &format!("created_table:\"main\".\"{}\"", table.name()))?;
    let table_id: i64 = transaction.query_row(
        "SELECT next_catalog_id - 1 FROM ducklake_snapshot WHERE snapshot_id = ?1",
        [snapshot],
        |row| row.get(0),
    )?;
    transaction.execute(
        &format!("INSERT INTO ducklake_table VALUES (?1, {SQL_UUID}, ?2, NULL, 0, ?3, ?3 || '/', 1)"),
        params![table_id, snapshot, table.name()],
    )?;
    transaction.execute("INSERT INTO ducklake_table_stats VALUES (?1, 0, 0, 0)", [table_id])?;
    transaction.execute(
        "INSERT INTO ducklake_tag VALUES (?1, ?2, NULL, 'comment', ?3)",
        params![table_id, snapshot, table.about()],
    )?;
    schema_version(transaction, snapshot, table_id)?;
    insert_columns(transaction, table_id, snapshot, 1, &table.docs(), true)?;
    Ok(table_id)
}

/// Adds the columns that the model has and the catalogue has not; they may be null, because older files lack them.
fn add_columns(transaction: &Transaction<'_>, table: Table, table_id: i64) -> rusqlite::Result<Known> {
    let known = known_columns(transaction, table_id)?;
    let new: Vec<ColumnDoc> = table.docs().into_iter().filter(|doc| !known.contains_key(doc.name)).collect();
    if new.is_empty() {
        return Ok(known);
    }
    let snapshot = schema_snapshot(transaction, 0, &format!("altered_table:{table_id}"))?;
    schema_version(transaction, snapshot, table_id)?;
    let first: i64 = transaction.query_row(
        "SELECT coalesce(max(column_id), 0) + 1 FROM ducklake_column WHERE table_id = ?1",
        [table_id],
        |row| row.get(0),
    )?;
    insert_columns(transaction, table_id, snapshot, first, &new, false)?;
    known_columns(transaction, table_id)
}

fn insert_columns(
    transaction: &Transaction<'_>,
    table_id: i64,
    snapshot: i64,
    first: i64,
    docs: &[ColumnDoc],
    may_require: bool,
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO ducklake_column VALUES (?1, ?2, NULL, ?3, ?1, ?4, ?5, NULL, 'NULL', ?6, ?7, 'literal', 'duckdb')",
    )?;
    let mut stats = transaction
        .prepare_cached("INSERT INTO ducklake_table_column_stats VALUES (?1, ?2, ?3, NULL, NULL, NULL, NULL)")?;
    let mut comment =
        transaction.prepare_cached("INSERT INTO ducklake_column_tag VALUES (?1, ?2, ?3, NULL, 'comment', ?4)")?;
    let mut id = first;
    for doc in docs {
        let nullable = doc.nullable || !may_require;
        insert.execute(params![id, snapshot, table_id, doc.name, type_name(&doc.data_type), nullable, None::<i64>])?;
        comment.execute(params![table_id, id, snapshot, doc.about])?;
        if let DataType::List(element) = &doc.data_type {
            insert.execute(params![
                id + 1,
                snapshot,
                table_id,
                "element",
                type_name(element.data_type()),
                true,
                Some(id)
            ])?;
            id += 1;
        }
        stats.execute(params![table_id, id, nullable])?;
        id += 1;
    }
    Ok(())
}

fn known_columns(connection: &Connection, table_id: i64) -> rusqlite::Result<Known> {
    let mut statement = connection.prepare_cached(
        "SELECT c.column_name, c.column_id, e.column_id FROM ducklake_column c
         LEFT JOIN ducklake_column e ON e.table_id = c.table_id AND e.parent_column = c.column_id AND e.end_snapshot IS NULL
         WHERE c.table_id = ?1 AND c.parent_column IS NULL AND c.end_snapshot IS NULL",
    )?;
    let rows = statement.query_map([table_id], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    rows.collect()
}

fn with_id(field: Field, id: i64) -> Field {
    field.with_metadata([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into())
}

fn numbered(table: Table, known: &Known) -> SchemaRef {
    let fields: Vec<FieldRef> = table
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let Some(&(id, element_id)) = known.get(field.name()) else { return Arc::clone(field) };
            let mut field = field.as_ref().clone();
            if let (DataType::List(element), Some(element_id)) = (field.data_type().clone(), element_id) {
                let element = with_id(element.as_ref().clone(), element_id);
                field = field.with_data_type(DataType::List(Arc::new(element)));
            }
            Arc::new(with_id(field, id))
        })
        .collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_numbered_once_and_the_second_time_nothing_changes() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Catalog::create(dir.path()).unwrap());
        assert!(!Catalog::create(dir.path()).unwrap());
        let mut catalog = Catalog::open(dir.path()).unwrap();
        let first = catalog.prepare_writing().unwrap();
        let snapshots = |catalog: &Catalog| {
            catalog
                .connection
                .query_row("SELECT max(snapshot_id) FROM ducklake_snapshot", [], |row| row.get::<_, i64>(0))
        };
        let before = snapshots(&catalog).unwrap();
        let second = catalog.prepare_writing().unwrap();
        assert_eq!(snapshots(&catalog).unwrap(), before);
        for table in Table::ALL {
            assert_eq!(first[&table].schema, second[&table].schema);
            let ids: std::collections::BTreeSet<_> = first[&table]
                .schema
                .fields()
                .iter()
                .map(|field| field.metadata()[PARQUET_FIELD_ID_META_KEY].clone())
                .collect();
            assert_eq!(ids.len(), table.schema().fields().len(), "{}", table.name());
        }
    }

    #[test]
    fn a_column_that_the_model_gained_is_added() {
        let dir = tempfile::tempdir().unwrap();
        Catalog::create(dir.path()).unwrap();
        let mut catalog = Catalog::open(dir.path()).unwrap();
        catalog.prepare_writing().unwrap();
        let sql = "DELETE FROM ducklake_column WHERE column_name = 'subject'";
        assert_eq!(catalog.connection.execute(sql, []).unwrap(), 1);
        let layout = &catalog.prepare_writing().unwrap()[&Table::Saas];
        let (_, field) = layout.schema.column_with_name("subject").unwrap();
        let ids = layout.schema.fields().iter().map(|field| &field.metadata()[PARQUET_FIELD_ID_META_KEY]);
        assert_eq!(ids.filter(|id| **id == field.metadata()[PARQUET_FIELD_ID_META_KEY]).count(), 1);
    }
}
