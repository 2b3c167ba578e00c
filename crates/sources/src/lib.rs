//! Bytes to batches: one file a format
