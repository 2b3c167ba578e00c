//! Second rung: hunts in SQL, one file each, with a head in TOML that says what the rows mean.

mod findings;
mod head;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use matagi_model::{Finding, Phrasebook, ScanError, Scanner, Settings};

pub use findings::findings_of;
pub use head::{EntityColumn, Hunt, HuntParameter, HuntReason};

use crate::sigma::embedded;

/// Rows that a hunt may return; each is evidence, and a hunt that returns more is not specific enough to be read.
const ROWS_MAX: usize = 20_000;
/// Bytes of a hunt file.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// Files of a folder of hunts.
const FILES_MAX: usize = 10_000;

/// Why a hunt cannot be used or did not run. Every other hunt runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HuntError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// File or folder.
        path: String,
        /// Why.
        why: String,
    },
    /// The head or the text of a hunt is wrong; `text` and `offset` let a terminal show the place.
    #[error("{path}:{line}: {message}")]
    Head {
        /// File.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Byte in `text` where it is wrong.
        offset: usize,
        /// The whole file.
        text: Arc<str>,
        /// What is wrong.
        message: String,
    },
    /// The query failed.
    #[error("{path}:{line}: {id} did not run: {message}")]
    Query {
        /// File.
        path: String,
        /// Line of the SQL to look at, from 1.
        line: usize,
        /// Hunt.
        id: String,
        /// The engine's words.
        message: String,
        /// Why.
        #[source]
        source: Box<ScanError>,
    },
    /// The query returned something else than its head promises.
    #[error("{path}: {id}: {message}")]
    Rows {
        /// File.
        path: String,
        /// Hunt.
        id: String,
        /// What is wrong.
        message: String,
    },
}

/// Hunts that are ready to run, by id.
#[derive(Debug, Default, Clone)]
pub struct HuntSet {
    hunts: BTreeMap<String, Arc<Hunt>>,
}

impl HuntSet {
    /// The hunts that come with Matagi.
    ///
    /// # Panics
    /// If one of them cannot be read; a test reads them all.
    pub fn builtin() -> Self {
        let mut set = Self::default();
        for (path, text) in embedded::HUNTS {
            set.add(path, text).expect("a test reads every built-in hunt");
        }
        set
    }

    /// Hunts of a folder (`*.sql`, not its subfolders), and what is wrong with the others, both in order of path.
    pub fn load(dir: &Path) -> (Self, Vec<HuntError>) {
        let mut set = Self::default();
        let mut errors = Vec::new();
        let unreadable = |path: &Path, why: String| HuntError::Read { path: path.to_string_lossy().into_owned(), why };
        let mut files: Vec<_> = match fs::read_dir(dir) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(error) => return (set, vec![unreadable(dir, error.to_string())]),
        };
        files.retain(|file| file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql")));
        files.sort();
        if files.len() > FILES_MAX {
            errors.push(unreadable(dir, format!("more than {FILES_MAX} hunts; the first are used")));
            files.truncate(FILES_MAX);
        }
        for file in files {
            match read(&file) {
                Ok(text) => errors.extend(set.add(&file.to_string_lossy(), &text).err()),
                Err(why) => errors.push(unreadable(&file, why)),
            }
        }
        (set, errors)
    }

    /// Adds the hunt of one text.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn add(&mut self, path: &str, text: &str) -> Result<(), HuntError> {
        let hunt = head::read(path, text)?;
        if let Some(other) = self.hunts.get(&hunt.id) {
            let message = format!("its id is already that of {}", other.path);
            return Err(HuntError::Head { path: path.to_owned(), line: 1, offset: 0, text: text.into(), message });
        }
        self.hunts.insert(hunt.id.clone(), Arc::new(hunt));
        Ok(())
    }

    /// Adds another set; of two hunts with one id the other's is kept.
    pub fn merge(&mut self, other: Self) {
        self.hunts.extend(other.hunts);
    }

    /// The hunts, by id.
    pub fn hunts(&self) -> impl Iterator<Item = &Hunt> {
        self.hunts.values().map(AsRef::as_ref)
    }

    /// Runs every hunt, until `is_cancelled` says stop. What fails is said in sentences, the rest goes on.
    pub fn run(
        &self,
        scanner: &dyn Scanner,
        settings: &Settings,
        is_cancelled: &dyn Fn() -> bool,
    ) -> (Vec<Finding>, Vec<String>) {
        let (findings, errors) = self.run_each(scanner, settings, is_cancelled);
        (findings, errors.iter().map(HuntError::to_string).collect())
    }

    /// As [`Self::run`], with the errors as they are.
    pub fn run_each(
        &self,
        scanner: &dyn Scanner,
        settings: &Settings,
        is_cancelled: &dyn Fn() -> bool,
    ) -> (Vec<Finding>, Vec<HuntError>) {
        let mut findings = Vec::new();
        let mut errors = Vec::new();
        for hunt in self.hunts.values().take_while(|_| !is_cancelled()) {
            match run_one(hunt, scanner, settings) {
                Ok(found) => findings.extend(found),
                Err(error) => errors.push(error),
            }
        }
        (findings, errors)
    }

    /// Adds the sentences of every hunt: `title`, `question`, `method`, `reading` and its reasons.
    pub fn texts(&self, book: &mut Phrasebook) {
        for hunt in self.hunts.values() {
            book.insert(hunt.id.clone(), "title", hunt.title.clone());
            book.insert(hunt.id.clone(), "question", hunt.question.clone());
            book.insert(hunt.id.clone(), "method", hunt.method.clone());
            book.insert(hunt.id.clone(), "reading", hunt.reading.clone());
            for reason in &hunt.reasons {
                book.insert(hunt.id.clone(), reason.code.clone(), reason.text.clone());
            }
        }
    }
}

fn run_one(hunt: &Hunt, scanner: &dyn Scanner, settings: &Settings) -> Result<Vec<Finding>, HuntError> {
    let rows: Vec<RecordBatch> =
        scanner.query(&hunt.sql(settings), ROWS_MAX).map_err(|error| hunt.query_error(error))?;
    findings_of(hunt, &rows)
}

fn read(file: &Path) -> Result<String, String> {
    let opened = fs::File::open(file).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "`take` bounds it")]
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests;
