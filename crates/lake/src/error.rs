//! What can go wrong in a lake.

use std::io;
use std::path::PathBuf;

/// Why an operation on the lake failed. The variant names the operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LakeError {
    /// The folder or one of its files cannot be opened or made.
    #[error("cannot open lake at {path}")]
    Open {
        /// Folder of the lake.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no lake here.
    #[error("there is no lake at {path}")]
    Missing {
        /// Folder that was looked at.
        path: PathBuf,
    },
    /// There is a lake here already.
    #[error("there is a lake at {path} already")]
    Exists {
        /// Folder of the lake.
        path: PathBuf,
    },
    /// A newer program wrote this lake.
    #[error("lake at {path} was written by a newer matagi (format {found}, this build reads {known})")]
    Newer {
        /// Folder of the lake.
        path: PathBuf,
        /// Format that the lake has.
        found: u32,
        /// Newest format that this build knows.
        known: u32,
    },
    /// Another program changed the lake in a way that this build would read wrongly.
    #[error("lake at {path} was changed by another program: {what}")]
    Foreign {
        /// Folder of the lake.
        path: PathBuf,
        /// What it did.
        what: String,
    },
    /// Another process writes into this lake now.
    #[error("another matagi is writing into the lake at {path}")]
    Busy {
        /// Folder of the lake.
        path: PathBuf,
    },
    /// The catalogue refused.
    #[error("cannot {what} in the catalogue")]
    Catalog {
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A data file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file cannot be written. See [`Self::is_disk_full`].
    #[error("cannot write {path}")]
    Write {
        /// File.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Rows do not have the columns of their table.
    #[error("rows for table {table} do not have its columns: {what}")]
    Shape {
        /// Name of the table.
        table: &'static str,
        /// What differs.
        what: String,
    },
    /// Rows, rejects or an end came without a source that they belong to: a fault of the caller.
    #[error("no source was begun")]
    NoSource,
    /// An earlier failure ended this ingest; what was acknowledged before it is safe.
    #[error("writing ended with an earlier error")]
    Ended,
    /// The query is wrong, or cannot be answered.
    #[error("{message}")]
    Query {
        /// What is wrong, in one line for a person.
        message: String,
    },
    /// The statement would change something.
    #[error("queries only read: {statement} is not possible here")]
    ReadOnly {
        /// Kind of statement.
        statement: String,
    },
    /// A query used up what it may use.
    #[error("the query needed more than {limit}")]
    Limit {
        /// The limit with its unit.
        limit: String,
    },
}

impl LakeError {
    /// Whether the cause is that the disk (or a quota on it) is full. What was acknowledged before is safe; after room
    /// was made, reading the same evidence again completes it.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Write { source, .. } | Self::Open { source, .. } => is_full(source),
            Self::Catalog { source, .. } => source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            _ => false,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_recognised() {
        let write = |kind| LakeError::Write { path: "x".into(), source: io::Error::from(kind) };
        assert!(write(io::ErrorKind::StorageFull).is_disk_full());
        assert!(!write(io::ErrorKind::PermissionDenied).is_disk_full());
        let full = rusqlite::ffi::Error { code: rusqlite::ErrorCode::DiskFull, extended_code: 13 };
        let full = LakeError::Catalog { what: "commit", source: rusqlite::Error::SqliteFailure(full, None) };
        assert!(full.is_disk_full());
    }
}
