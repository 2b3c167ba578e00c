//! Everything that touches the engine, in one test binary.

mod contents;
mod crash;
mod disk_full;
mod duckdb;
mod ingest;
mod queries;
mod rows;
mod scans;
mod throughput;
