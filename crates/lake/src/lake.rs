//! The lake: a folder of Parquet files and the catalogue that says which of them count.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use matagi_model::{Table, Time};
use tempfile::TempDir;

use crate::catalog::{Catalog, DATA_FOLDER};
use crate::lock::WriterLock;
use crate::query::Engine;
use crate::{Ingest, LakeError, RejectedRecord, SourceNote, SourceSummary, TableSummary};

/// Folder for files that are being written and for what queries spill.
pub(crate) const SCRATCH_FOLDER: &str = "tmp";

/// Evidence at rest. Cheap to open; any number of readers beside one writer, in this process or others.
#[derive(Debug)]
pub struct Lake {
    path: PathBuf,
    engine: OnceLock<Engine>,
    /// Removes the folder when the lake goes away.
    _temporary: Option<TempDir>,
}

impl Lake {
    /// Makes a lake in a folder, which may be there already but must not hold a lake.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self, LakeError> {
        let dir = dir.as_ref();
        if make(dir)? { Self::open(dir) } else { Err(LakeError::Exists { path: dir.to_owned() }) }
    }

    /// Opens a lake that is there.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, LakeError> {
        Catalog::open(dir.as_ref())?;
        let path =
            dir.as_ref().canonicalize().map_err(|source| LakeError::Open { path: dir.as_ref().to_owned(), source })?;
        Ok(Self { path, engine: OnceLock::new(), _temporary: None })
    }

    /// Opens the lake in this folder, or makes one.
    pub fn open_or_create(dir: impl AsRef<Path>) -> Result<Self, LakeError> {
        match Self::open(dir.as_ref()) {
            Err(LakeError::Missing { .. }) => {
                make(dir.as_ref())?;
                Self::open(dir)
            }
            result => result,
        }
    }

    /// Makes a lake that is removed with the value: for one hunt without a lake of one's own, and for tests.
    pub fn temporary() -> Result<Self, LakeError> {
        let dir = tempfile::Builder::new()
            .prefix("matagi-")
            .tempdir()
            .map_err(|source| LakeError::Open { path: std::env::temp_dir(), source })?;
        let lake = Self::create(dir.path())?;
        Ok(Self { _temporary: Some(dir), ..lake })
    }

    /// Folder of the lake.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Begins to write. One process writes at a time; dropping the value ends it.
    ///
    /// What a crash left behind is cleaned here: files that were never committed go, inputs that were never ended are
    /// marked interrupted.
    pub fn ingest(&self) -> Result<Ingest, LakeError> {
        Ingest::start(&self.path)
    }

    /// What became of every input, oldest first.
    pub fn sources(&self) -> Result<Vec<SourceSummary>, LakeError> {
        let mut sources = self.catalog()?.sources()?;
        if sources.iter().any(|source| source.status == "reading") && !WriterLock::is_held(&self.path) {
            // The writer died; the next one will write this down.
            let interrupted = sources.iter_mut().filter(|source| source.status == "reading");
            interrupted.for_each(|source| "interrupted".clone_into(&mut source.status));
        }
        Ok(sources)
    }

    /// Refused records in order, of one input or of all, at most `limit`.
    pub fn rejects(&self, source: Option<u64>, limit: usize) -> Result<Vec<RejectedRecord>, LakeError> {
        self.catalog()?.rejects(source, limit)
    }

    /// Facts about the quality of the inputs, in their order.
    pub fn notes(&self) -> Result<Vec<SourceNote>, LakeError> {
        self.catalog()?.notes()
    }

    /// Remembers what a hunt said: one document a language, `("en", "{...}")`.
    pub fn save_hunt(&self, now: Time, documents: &[(&str, &str)]) -> Result<(), LakeError> {
        self.catalog()?.save_hunt(now, documents)
    }

    /// What the last hunt said in this language.
    pub fn last_hunt(&self, lang: &str) -> Result<Option<String>, LakeError> {
        self.catalog()?.last_hunt(lang)
    }

    /// What every table holds.
    pub fn tables(&self) -> Result<Vec<TableSummary>, LakeError> {
        let catalog = self.catalog()?;
        Table::ALL
            .into_iter()
            .map(|table| {
                let files = catalog.files(table)?;
                Ok(TableSummary {
                    table: table.name().to_owned(),
                    rows: files.iter().map(|file| file.rows).sum(),
                    files: files.len() as u64,
                    bytes: files.iter().map(|file| file.bytes).sum(),
                })
            })
            .collect()
    }

    /// A connection to the catalogue. Opening one takes less than a millisecond, and it lets this type be shared.
    pub(crate) fn catalog(&self) -> Result<Catalog, LakeError> {
        Catalog::open(&self.path)
    }

    /// The query engine; its threads start with the first query.
    pub(crate) fn engine(&self) -> Result<&Engine, LakeError> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let engine = Engine::start(&self.path)?;
        Ok(self.engine.get_or_init(|| engine))
    }
}

/// Makes folders and catalogue; says whether there was no lake before.
fn make(dir: &Path) -> Result<bool, LakeError> {
    for folder in [DATA_FOLDER, SCRATCH_FOLDER] {
        std::fs::create_dir_all(dir.join(folder)).map_err(|source| LakeError::Open { path: dir.to_owned(), source })?;
    }
    Catalog::create(dir)
}
