//! Parquet tables, catalogue and query engine: the only crate that names DataFusion.
//!
//! ```text
//! <dir>/catalog.db                                  SQLite: the tables of DuckLake 1.0 and our own, prefixed matagi_
//! <dir>/v1/<table>/day=YYYY-MM-DD/<digest>.parquet  rows of one table and day; nothing but what the catalogue names counts
//! <dir>/tmp/                                        files that are being written, and what queries spill
//! <dir>/writer.lock                                 held by the one process that writes
//! ```
//!
//! A row is acknowledged when the SQLite transaction that names its file is committed, and not before
//! (docs/adr/0002-catalogue.md). The crate hides async: its API blocks, and can be called from any thread that may block.

mod catalog;
mod compact;
mod error;
mod functions;
mod ingest;
mod lake;
mod lock;
mod parquet_file;
mod query;
mod records;
pub mod reference;
mod result;
mod scan;
mod seen;
mod writer;

pub use error::LakeError;
pub use ingest::Ingest;
pub use lake::Lake;
pub use query::QueryLimits;
pub use records::{Acknowledged, RejectedRecord, SourceNote, SourceSummary, TableSummary};
pub use result::QueryResult;
