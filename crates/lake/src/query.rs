//! SQL over the lake: reads only, within limits of memory, time and rows.

use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::{MemTable, TableProvider};
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext, col};
use matagi_model::Table;
use object_store::local::LocalFileSystem;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::catalog::DataFile;
use crate::lake::SCRATCH_FOLDER;
use crate::parquet_file::BATCH_ROWS_MAX;
use crate::scan::Stop;
use crate::{Lake, LakeError, QueryResult, functions};

/// Where the engine finds the lake's folder.
const STORE: &str = "lake://main/";

/// Memory of a sort that the engine does for a scan, bytes; beyond it spills.
const SORT_BYTES_MAX: usize = 192 << 20;

/// Threads of the engine. More do not help on the machines that hunters have, and each needs memory of its own.
const THREADS_MAX: usize = 4;

/// Start of the name of a folder that a process spills into.
pub(crate) const SPILL_PREFIX: &str = "query-";

/// File in it that is locked as long as the process lives.
pub(crate) const SPILL_LOCK: &str = "lock";

/// What a query may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// Rows of the result; there being more is not an error, but [`QueryResult::truncated`] says so.
    pub rows_max: usize,
    /// Memory of the operators, bytes; sorts and aggregates spill to disk beyond it, others fail.
    pub memory_bytes_max: usize,
    /// Bytes of the result in memory; beyond it the result is truncated.
    pub result_bytes_max: usize,
    /// Time.
    pub time_max: Duration,
}

impl Default for QueryLimits {
    /// 100,000 rows, 256 MiB for the operators and as much for the result, five minutes.
    fn default() -> Self {
        Self {
            rows_max: 100_000,
            memory_bytes_max: 256 << 20,
            result_bytes_max: 256 << 20,
            time_max: Duration::from_mins(5),
        }
    }
}

/// DataFusion on threads of its own.
#[derive(Debug)]
pub(crate) struct Engine {
    runtime: Option<Runtime>,
    /// What queries share: the store, where they spill, and the footers of files, which never change.
    environment: Arc<RuntimeEnv>,
    _spill: TempDir,
    _spill_lock: std::fs::File,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // An ordinary drop waits for the threads, which is forbidden inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Engine {
    /// Starts the threads.
    pub fn start(dir: &Path) -> Result<Self, LakeError> {
        let failed = |source| LakeError::Open { path: dir.to_owned(), source };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS_MAX);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("lake-query")
            .enable_time()
            .build()
            .map_err(failed)?;
        let store = LocalFileSystem::new_with_prefix(dir).map_err(|error| failed(std::io::Error::other(error)))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(SPILL_PREFIX);
        // A lake on a medium that cannot be written spills where the system keeps its temporary files.
        let spill = builder.tempdir_in(dir.join(SCRATCH_FOLDER)).or_else(|_| builder.tempdir()).map_err(failed)?;
        let lock = std::fs::File::create(spill.path().join(SPILL_LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let of_engine = |error: DataFusionError| failed(std::io::Error::other(error));
        let environment = RuntimeEnvBuilder::new().with_temp_file_path(spill.path()).build_arc().map_err(of_engine)?;
        let url = ObjectStoreUrl::parse(STORE).map_err(of_engine)?;
        environment.register_object_store(url.as_ref(), Arc::new(store));
        Ok(Self { runtime: Some(runtime), environment, _spill: spill, _spill_lock: lock })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("taken only when dropped")
    }

    fn session(&self, memory_bytes_max: usize) -> Result<SessionContext, DataFusionError> {
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.environment)
            .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes_max)))
            .build_arc()?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(THREADS_MAX);
        let config = SessionConfig::new()
            .with_target_partitions(threads)
            .with_batch_size(BATCH_ROWS_MAX)
            .with_information_schema(true)
            .with_default_catalog_and_schema("matagi", "main")
            .with_collect_statistics(false);
        let context = SessionContext::new_with_config_rt(config, runtime);
        for function in functions::all() {
            context.register_udf(function);
        }
        Ok(context)
    }

    /// Hands over the rows of some files in order of time and identity.
    pub fn sorted(
        &self,
        table: Table,
        files: &[DataFile],
        schema: &SchemaRef,
        emit: &mut dyn FnMut(RecordBatch) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let failed = |error| Stop::Lake(explain(&error));
        let context = self.session(SORT_BYTES_MAX).map_err(failed)?;
        let provider = provider(table, files).map_err(failed)?;
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut stream = self
            .runtime()
            .block_on(async {
                let rows = context.read_table(provider)?.select_columns(&names)?;
                rows.sort(vec![col("time").sort(true, false), col("event_uid").sort(true, false)])?
                    .execute_stream()
                    .await
            })
            .map_err(failed)?;
        while let Some(batch) = self.runtime().block_on(next(&mut stream)) {
            emit(batch.map_err(failed)?)?;
        }
        Ok(())
    }
}

async fn next(stream: &mut SendableRecordBatchStream) -> Option<Result<RecordBatch, DataFusionError>> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

/// The committed files of a table as DataFusion reads them.
fn provider(table: Table, files: &[DataFile]) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    if files.is_empty() {
        return Ok(Arc::new(MemTable::try_new(table.schema(), vec![Vec::new()])?));
    }
    let paths = files
        .iter()
        .map(|file| ListingTableUrl::parse(format!("{STORE}{}", file.path)))
        .collect::<Result<Vec<_>, _>>()?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config =
        ListingTableConfig::new_with_multi_paths(paths).with_listing_options(options).with_schema(table.schema());
    Ok(Arc::new(ListingTable::try_new(config)?))
}

/// The view for people: addresses and identities as text, an unknown time as null.
fn view_sql(table: Table) -> String {
    let columns: Vec<String> = table
        .docs()
        .iter()
        .map(|doc| match (&doc.data_type, doc.name) {
            (DataType::FixedSizeBinary(_), name) if name.ends_with("_uid") => format!("uid_text({name}) AS {name}"),
            (DataType::FixedSizeBinary(_), name) => format!("ip_text({name}) AS {name}"),
            (_, "time") => "nullif(time, to_timestamp_micros(0)::timestamp with time zone) AS time".to_owned(),
            (_, name) => name.to_owned(),
        })
        .collect();
    format!("CREATE VIEW {table}_v AS SELECT {} FROM {table}", columns.join(", "), table = table.name())
}

/// Whether a query may ask for the view of a table. Planning all of them for every query would be slow.
fn may_need_view(sql: &str, table: Table) -> bool {
    let sql = sql.to_lowercase();
    let lists = ["show", "describe", "information_schema"].iter().any(|word| sql.contains(word));
    lists || sql.contains(&format!("{}_v", table.name()))
}

impl Lake {
    /// Runs one SQL query. Tables are those of the model; `<table>_v` is the same with addresses and identities as
    /// text. Functions: those of DataFusion, and `ip`, `ip_text`, `cidr`, `uid`, `uid_text`.
    ///
    /// Only reading is possible; anything else is [`LakeError::ReadOnly`].
    pub fn query(&self, sql: &str, limits: &QueryLimits) -> Result<QueryResult, LakeError> {
        let engine = self.engine()?;
        let catalog = self.catalog()?;
        let context = engine.session(limits.memory_bytes_max).map_err(|error| explain(&error))?;
        for table in Table::ALL {
            let provider = provider(table, &catalog.files(table)?).map_err(|error| explain(&error))?;
            context.register_table(table.name(), provider).map_err(|error| explain(&error))?;
        }
        let (sql, limits) = (sql.to_owned(), *limits);
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        // Waiting outside of the engine: operators that do not yield would keep its own clock from running.
        let task = engine.runtime().spawn(async move {
            let result = answer_query(&context, &sql, &limits).await;
            // Nobody listens any more when the time is over.
            let _ = answer.send(result);
        });
        match answered.recv_timeout(limits.time_max) {
            Ok(result) => result.map_err(|error| explain(&error)),
            Err(RecvTimeoutError::Timeout) => {
                task.abort();
                Err(LakeError::Limit { limit: format!("{} s", limits.time_max.as_secs_f64()) })
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(LakeError::Query { message: "the engine gave up on this query".to_owned() })
            }
        }
    }
}

async fn answer_query(
    context: &SessionContext,
    sql: &str,
    limits: &QueryLimits,
) -> Result<QueryResult, DataFusionError> {
    for table in Table::ALL.into_iter().filter(|table| may_need_view(sql, *table)) {
        context.sql(&view_sql(table)).await?;
    }
    collect(context, sql, limits).await
}

/// The plan with a pause after whatever makes many rows out of few: without it, a join that a filter empties would run on
/// after its time is over, and nothing could stop it.
fn interruptible(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    let plan = plan.transform_up(|node| {
        let multiplies = node.name().ends_with("JoinExec") || node.name() == "UnnestExec";
        Ok(if multiplies { Transformed::yes(Arc::new(CooperativeExec::new(node)) as _) } else { Transformed::no(node) })
    })?;
    Ok(plan.data)
}

async fn collect(context: &SessionContext, sql: &str, limits: &QueryLimits) -> Result<QueryResult, DataFusionError> {
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(sql, reads).await?;
    // One row more than wanted tells whether there are more.
    let frame = frame.limit(0, Some(limits.rows_max.saturating_add(1)))?;
    let tasks = Arc::new(frame.task_ctx());
    let plan = interruptible(frame.create_physical_plan().await?)?;
    let mut stream = execute_stream(plan, tasks)?;
    let schema = stream.schema();
    let (mut batches, mut rows, mut bytes, mut truncated) = (Vec::new(), 0, 0, false);
    while let Some(batch) = next(&mut stream).await {
        let mut batch = batch?;
        let room = limits.rows_max - rows;
        if batch.num_rows() > room {
            truncated = true;
            batch = batch.slice(0, room);
        }
        rows += batch.num_rows();
        bytes += batch.get_array_memory_size();
        if batch.num_rows() > 0 {
            batches.push(batch);
        }
        truncated |= bytes > limits.result_bytes_max;
        if truncated {
            break;
        }
    }
    Ok(QueryResult { schema, batches, truncated })
}

/// One line for a person out of DataFusion's chain of errors.
fn explain(error: &DataFusionError) -> LakeError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => LakeError::Limit { limit: "the memory that it may use".to_owned() },
        DataFusionError::SchemaError(error, _) => LakeError::Query { message: explain_name(error) },
        DataFusionError::SQL(error, _) => {
            LakeError::Query { message: format!("not SQL: {}", first_line(&error.to_string())) }
        }
        root => explain_message(&root.strip_backtrace()),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn explain_message(text: &str) -> LakeError {
    let text = first_line(text);
    let text = text
        .split_once(": ")
        .filter(|(kind, _)| kind.starts_with("Error ") || kind.ends_with("rror"))
        .map_or(text, |(_, rest)| rest);
    for (kind, statement) in
        [("DDL", "CREATE or DROP"), ("DML", "INSERT, UPDATE, DELETE or COPY"), ("Statement", "SET")]
    {
        if text.starts_with(&format!("{kind} not supported")) {
            let what = text.split_once(": ").map_or(statement, |(_, what)| what);
            return LakeError::ReadOnly { statement: what.to_owned() };
        }
    }
    let hint = if text.contains("FixedSizeBinary") {
        "; addresses and identities are 16 bytes: compare with ip('192.0.2.1') or uid('...'), or ask the view <table>_v"
    } else {
        ""
    };
    LakeError::Query { message: format!("{text}{hint}") }
}

fn explain_name(error: &SchemaError) -> String {
    let SchemaError::FieldNotFound { field, valid_fields } = error else {
        return first_line(&error.to_string()).to_owned();
    };
    let mut near: Vec<(usize, &str)> = valid_fields
        .iter()
        .map(|valid| (distance(field.name(), valid.name()), valid.name()))
        .filter(|(distance, name)| *distance <= 3.max(name.len() / 3) || name.contains(field.name()))
        .collect();
    near.sort_unstable();
    near.dedup();
    let near: Vec<&str> = near.into_iter().take(4).map(|(_, name)| name).collect();
    if near.is_empty() {
        return format!("there is no column {}", field.name());
    }
    format!("there is no column {}; near: {}", field.name(), near.join(", "))
}

/// Edits between two names.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, left) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (index, right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[other.len()]
}

/// Removes the folders that dead processes spilled into.
pub(crate) fn remove_stale_spills(scratch: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(scratch)? {
        let folder: PathBuf = entry?.path();
        let is_spill = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SPILL_PREFIX));
        let lock = std::fs::File::open(folder.join(SPILL_LOCK)).ok().filter(|_| is_spill);
        if lock.is_some_and(|lock| lock.try_lock().is_ok()) {
            std::fs::remove_dir_all(&folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_near() {
        assert_eq!(distance("user_nam", "user_name"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
