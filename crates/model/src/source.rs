//! The seam through which evidence comes in.

use std::io::BufRead;

use crate::{EventBatch, Note, Text};

/// What a format says about itself; `matagi sources` and the book are printed from it.
#[derive(Debug, Clone)]
pub struct SourceMeta {
    /// Stable name, the file's name with `-` for `_`: `m365-audit`.
    pub name: &'static str,
    /// What it is.
    pub title: Text,
    /// How a user gets such a file: the cmdlet, portal page or tool.
    pub obtained_with: &'static str,
    /// Tables that it fills.
    pub tables: &'static [crate::Table],
}

/// A record that was refused. The rest of the input goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Position in the input, from 1.
    pub record: u64,
    /// Why, as a sentence without a final stop.
    pub reason: String,
}

/// Why emitting had to stop: the disk is full, or the user pressed Ctrl-C. Sources pass it on.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Stop(pub Box<dyn std::error::Error + Send + Sync>);

/// Where a source puts what it read.
pub trait Emit {
    /// Takes rows. They are not acknowledged before the lake commits them.
    ///
    /// # Errors
    /// [`Stop`] when reading must end now.
    fn batch(&mut self, batch: EventBatch) -> Result<(), Stop>;

    /// Takes a refused record.
    fn reject(&mut self, reject: Reject);

    /// Takes a fact about the quality of this input (a cap, a lossy exporter).
    fn note(&mut self, note: Note);
}

/// Why an input gave nothing more. A bad record is a [`Reject`], never this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The input cannot be read.
    #[error("cannot read")]
    Read(#[from] std::io::Error),
    /// It looked like this format but is not.
    #[error("not {format}: {reason}")]
    NotThisFormat {
        /// The format that was tried.
        format: &'static str,
        /// What is wrong, as a sentence without a final stop.
        reason: String,
    },
    /// A limit that protects against hostile input was reached.
    #[error("{what} is over the limit of {limit}")]
    Limit {
        /// What grew too large.
        what: &'static str,
        /// The limit with its unit.
        limit: String,
    },
    /// Emitting had to stop.
    #[error(transparent)]
    Stopped(#[from] Stop),
}

/// A format of evidence. Recognised by content, never by the file's name.
pub trait Source: Sync {
    /// What it is.
    fn meta(&self) -> &'static SourceMeta;

    /// Whether the first bytes (up to 64 KiB, decoded to UTF-8) look like this format. Must be cheap and must not panic.
    fn sniff(&self, head: &[u8]) -> bool;

    /// Reads the input to its end.
    ///
    /// # Errors
    /// Only when the input cannot be read or is not of this format at all.
    fn read(&self, input: &mut dyn BufRead, out: &mut dyn Emit) -> Result<(), SourceError>;
}

/// How far a long piece of work has come. Numbers only; the binary draws.
pub trait Progress: Sync {
    /// So many bytes of the input were consumed since the last call.
    fn bytes(&self, bytes: u64);
    /// So many rows were made since the last call.
    fn rows(&self, rows: u64);
    /// A new piece of work begins.
    fn stage(&self, name: &str);
    /// Whether the user asked to stop.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Nobody is watching.
impl Progress for () {
    fn bytes(&self, _: u64) {}
    fn rows(&self, _: u64) {}
    fn stage(&self, _: &str) {}
}
