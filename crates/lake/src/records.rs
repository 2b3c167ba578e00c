//! What the lake remembers about its inputs.

use matagi_model::{Note, Time};
use serde::{Deserialize, Serialize};

/// One input and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSummary {
    /// Number within the lake, from 1.
    pub id: u64,
    /// File it was read from; inside an archive `outer.zip!inner.csv`.
    pub path: String,
    /// Name of the format, if one was recognised.
    pub format: Option<String>,
    /// `reading`, `interrupted`, or what the reader said at its end, such as `complete`, `unknown` or `failed`.
    pub status: String,
    /// More about the status, for people.
    pub detail: Option<String>,
    /// Rows that this input added.
    pub rows: u64,
    /// Rows that the lake had already.
    pub duplicates: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// Earliest known time among the rows, duplicates included.
    pub first_time: Time,
    /// Latest known time among the rows, duplicates included.
    pub last_time: Time,
}

/// A refused record, with the input it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecord {
    /// Number of the input.
    pub source: u64,
    /// Path of the input.
    pub path: String,
    /// Position in the input, from 1.
    pub record: u64,
    /// Why it was refused.
    pub reason: String,
}

/// A fact about the quality of one input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceNote {
    /// Number of the input.
    pub source: u64,
    /// Path of the input.
    pub path: String,
    /// The fact.
    pub note: Note,
}

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSummary {
    /// Name.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// Data files.
    pub files: u64,
    /// Size of the data files, bytes.
    pub bytes: u64,
}

/// What has been committed since an ingest began: it survives a crash.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Acknowledged {
    /// Rows added.
    pub rows: u64,
    /// Rows left out because the lake had them.
    pub duplicates: u64,
    /// Data files written.
    pub files: u64,
}
