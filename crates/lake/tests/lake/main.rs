//! Everything that touches the engine, in one test binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must end")]

mod contents;
mod crash;
mod disk_full;
mod duckdb;
mod ingest;
mod queries;
mod rows;
mod scans;
mod throughput;
