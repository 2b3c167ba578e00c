//! Parquet tables, catalogue and query engine: the only crate that names DataFusion
