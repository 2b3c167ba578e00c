//! From paths to rows: folders, archives, encodings, formats.
//!
//! One bad input never stops the others, and each input has an [`Outcome`].

mod archives;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use matagi_model::{Emit, EventBatch, Note, Progress, Reject, Source, SourceError, Stop};

use crate::bounded::{Bound, Budget};
use crate::decode::{Charset, Text};

/// Bytes of text that a format may look at to recognise itself.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Archives inside archives. Evidence packs have two or three levels; a deeper one is built to hurt.
pub const ARCHIVE_DEPTH_MAX: u32 = 5;
/// Members of one archive.
pub const ARCHIVE_ENTRIES_MAX: usize = 100_000;
/// Bytes that may come out of one path given by the user, all archives within included.
pub const INPUT_BYTES_MAX: u64 = 1 << 40;
/// Times an archive may grow. Audit logs grow 10 to 60 times; deflate alone can reach 1032.
pub const RATIO_MAX: u64 = 400;
/// Bytes that may come out of an archive before its ratio counts: a small file of equal lines is no bomb.
pub const RATIO_SLACK_BYTES: u64 = 256 << 20;
/// Bytes of an archive inside an archive that are put aside on disk, because its index stands at its end.
pub const SPOOL_BYTES_MAX: u64 = 16 << 30;
/// Folders inside folders.
pub const FOLDER_DEPTH_MAX: u32 = 64;

/// Takes what is read, input by input: [`Intake::begin`], then batches, rejects and notes, then [`Intake::end`].
pub trait Intake: Emit {
    /// An input begins; `format` is its format's name, `None` where none was recognised.
    ///
    /// # Errors
    /// [`Stop`] when reading must end now.
    fn begin(&mut self, path: &str, format: Option<&'static str>) -> Result<(), Stop>;

    /// The input that began last is over.
    ///
    /// # Errors
    /// [`Stop`] when reading must end now.
    fn end(&mut self, outcome: &Outcome) -> Result<(), Stop>;
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Read to its end.
    Read,
    /// There is nothing in it.
    Empty,
    /// Its content is of no known format.
    Unrecognised {
        /// What it looks like, as a sentence without a final stop.
        reason: String,
    },
    /// Read up to where it breaks; the rows before are kept.
    Partial {
        /// Why it broke, as a sentence without a final stop.
        reason: String,
    },
    /// Not read.
    Failed {
        /// Why, as a sentence without a final stop.
        reason: String,
    },
}

impl Outcome {
    /// Why it is not simply read.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Read | Self::Empty => None,
            Self::Unrecognised { reason } | Self::Partial { reason } | Self::Failed { reason } => Some(reason),
        }
    }
}

/// How to read.
#[derive(Debug, Clone)]
pub struct Options {
    /// Take every input as this format instead of recognising it.
    pub format: Option<String>,
    /// Bytes that may come out of one path.
    pub input_bytes_max: u64,
    /// Times an archive may grow.
    pub ratio_max: u64,
    /// Bytes that may come out of an archive before its ratio counts.
    pub ratio_slack_bytes: u64,
    /// Archives inside archives.
    pub archive_depth_max: u32,
    /// Members of one archive.
    pub archive_entries_max: usize,
    /// Bytes of an archive inside an archive put aside on disk.
    pub spool_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: None,
            input_bytes_max: INPUT_BYTES_MAX,
            ratio_max: RATIO_MAX,
            ratio_slack_bytes: RATIO_SLACK_BYTES,
            archive_depth_max: ARCHIVE_DEPTH_MAX,
            archive_entries_max: ARCHIVE_ENTRIES_MAX,
            spool_bytes_max: SPOOL_BYTES_MAX,
        }
    }
}

/// What was read in all.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Inputs, members of archives included.
    pub inputs: u64,
    /// Inputs read to their end.
    pub read: u64,
    /// Inputs without anything in them.
    pub empty: u64,
    /// Inputs of no known format.
    pub unrecognised: u64,
    /// Inputs read in part.
    pub partial: u64,
    /// Inputs not read.
    pub failed: u64,
    /// Rows made.
    pub rows: u64,
    /// Records refused.
    pub rejected: u64,
}

/// The user pressed Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("stopped by the user")]
pub struct Cancelled;

/// Bytes of the files under these paths, as a progress bar wants to know them; standard input counts as none.
pub fn total_bytes(paths: &[PathBuf]) -> u64 {
    let mut visited = BTreeSet::new();
    let mut total = 0_u64;
    let mut todo: Vec<(PathBuf, u32)> = paths.iter().map(|path| (path.clone(), 0)).collect();
    while let Some((path, depth)) = todo.pop() {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_file() {
            total = total.saturating_add(metadata.len());
        } else if metadata.is_dir() && depth < FOLDER_DEPTH_MAX && is_new(&path, &mut visited) {
            todo.extend(entries(&path).unwrap_or_default().into_iter().map(|entry| (entry, depth + 1)));
        }
    }
    total
}

/// Reads every path: a file, a folder with everything below it in order of name, or `-` for standard input.
///
/// # Errors
/// Only [`Stop`]: the intake cannot go on, or the user asked to stop ([`Cancelled`]). Everything else is an [`Outcome`].
pub fn read_paths(
    paths: &[PathBuf],
    options: &Options,
    progress: &dyn Progress,
    intake: &mut dyn Intake,
) -> Result<Totals, Stop> {
    let mut walk = Walk { options, progress, intake, totals: Totals::default() };
    for path in paths {
        if path.as_os_str() == "-" {
            let mut stdin = Watched { inner: io::stdin().lock(), progress };
            walk.stream("-", &mut stdin)?;
        } else {
            walk.path(path, 0, &mut BTreeSet::new())?;
        }
    }
    Ok(walk.totals)
}

/// Reads one stream, as if it were a file of this name.
///
/// # Errors
/// As [`read_paths`].
pub fn read_stream(
    name: &str,
    input: &mut dyn Read,
    options: &Options,
    progress: &dyn Progress,
    intake: &mut dyn Intake,
) -> Result<Totals, Stop> {
    let mut walk = Walk { options, progress, intake, totals: Totals::default() };
    walk.stream(name, &mut Watched { inner: input, progress })?;
    Ok(walk.totals)
}

/// Reports what is read of the outermost file, and ends it when the user asks.
struct Watched<'p, R> {
    inner: R,
    progress: &'p dyn Progress,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.is_cancelled() {
            return Err(io::Error::other(Bound::Cancelled));
        }
        let read = self.inner.read(buffer)?;
        self.progress.bytes(read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Watched<'_, R> {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}

struct Walk<'w> {
    options: &'w Options,
    progress: &'w dyn Progress,
    intake: &'w mut dyn Intake,
    totals: Totals,
}

impl Walk<'_> {
    fn path(&mut self, path: &Path, depth: u32, visited: &mut BTreeSet<PathBuf>) -> Result<(), Stop> {
        let name = path.to_string_lossy().into_owned();
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.failed(&name, format!("cannot open: {error}")),
        };
        if metadata.is_dir() {
            return self.folder(path, &name, depth, visited);
        }
        // What a folder holds beside files may block for ever; what the user names is wanted.
        if depth > 0 && !metadata.is_file() {
            return self.once(&name, Outcome::Unrecognised { reason: "not a file".to_owned() });
        }
        match File::open(path) {
            Ok(file) if metadata.is_file() => self.file(&name, file, metadata.len()),
            Ok(file) => self.stream(&name, &mut Watched { inner: file, progress: self.progress }),
            Err(error) => self.failed(&name, format!("cannot open: {error}")),
        }
    }

    fn folder(&mut self, path: &Path, name: &str, depth: u32, visited: &mut BTreeSet<PathBuf>) -> Result<(), Stop> {
        if !is_new(path, visited) {
            return Ok(());
        }
        if depth >= FOLDER_DEPTH_MAX {
            return self.failed(name, format!("folders nested deeper than {FOLDER_DEPTH_MAX}"));
        }
        match entries(path) {
            Ok(entries) if entries.is_empty() => self.once(name, Outcome::Empty),
            Ok(entries) => entries.iter().try_for_each(|entry| self.path(entry, depth + 1, visited)),
            Err(error) => self.failed(name, format!("cannot read the folder: {error}")),
        }
    }

    fn file(&mut self, name: &str, file: File, bytes: u64) -> Result<(), Stop> {
        let budget = self.budget();
        budget.add_in(bytes);
        let mut file = Watched { inner: file, progress: self.progress };
        self.seekable(name, &mut file, &budget, 0)
    }

    fn stream(&mut self, name: &str, input: &mut dyn Read) -> Result<(), Stop> {
        let budget = self.budget();
        let mut counted = budget.counted(input);
        self.unseekable(name, &mut counted, &budget, 0)
    }

    fn budget(&self) -> Budget {
        Budget::new(self.options.ratio_max, self.options.ratio_slack_bytes, self.options.input_bytes_max)
    }

    /// A text: recognises its format and reads it.
    fn text(&mut self, name: &str, input: &mut dyn Read) -> Result<(), Stop> {
        let mut text = Text::new(input);
        if text.head(1).is_empty() {
            return match text.failure() {
                Some(error) => self.failed(name, said(error)),
                None => self.once(name, Outcome::Empty),
            };
        }
        let source = match self.recognise(&text) {
            Ok(source) => source,
            Err(outcome) => return self.once(name, outcome),
        };
        self.begin(name, Some(source.meta().name))?;
        let mut out = Counting { walk: self, name, in_intake: Cell::new(false), rows: 0, rejected: 0 };
        let result = catch_unwind(AssertUnwindSafe(|| source.read(&mut text, &mut out)));
        let (in_intake, rows, rejected) = (out.in_intake.get(), out.rows, out.rejected);
        self.totals.rows += rows;
        self.totals.rejected += rejected;
        if let Charset::Guessed(encoding) = text.charset() {
            self.intake.note(Note::new("guessed-encoding", [("encoding", encoding.name().to_owned())]));
        }
        let outcome = match result {
            // The intake panicked, not the format: that is nothing to go on after.
            Err(panic) if in_intake => resume_unwind(panic),
            Err(panic) => broken(rows, format!("the reader of {} broke down: {}", source.meta().name, panic_text(&*panic))),
            Ok(Err(SourceError::Stopped(stop))) => return Err(stop),
            Ok(Err(error)) => broken(rows, chain(&error)),
            Ok(Ok(())) => match text.failure() {
                Some(error) => broken(rows, said(error)),
                None => Outcome::Read,
            },
        };
        if self.progress.is_cancelled() {
            self.end(&broken(rows, Bound::Cancelled.to_string()))?;
            return Err(Stop(Box::new(Cancelled)));
        }
        self.end(&outcome)
    }

    fn recognise(&self, text: &Text<'_>) -> Result<&'static dyn Source, Outcome> {
        if let Some(name) = &self.options.format {
            return crate::named(name)
                .ok_or_else(|| Outcome::Failed { reason: format!("no format is called `{name}`") });
        }
        if text.charset() == Charset::Binary {
            return Err(Outcome::Unrecognised { reason: "binary data".to_owned() });
        }
        let head = text.head(HEAD_BYTES_MAX);
        let found = catch_unwind(AssertUnwindSafe(|| crate::sniff(head)));
        match found {
            Ok(Some(source)) => Ok(source),
            Ok(None) => Err(Outcome::Unrecognised { reason: appearance(head) }),
            Err(panic) => Err(Outcome::Failed { reason: format!("a reader broke down: {}", panic_text(&*panic)) }),
        }
    }

    fn begin(&mut self, name: &str, format: Option<&'static str>) -> Result<(), Stop> {
        if self.progress.is_cancelled() {
            return Err(Stop(Box::new(Cancelled)));
        }
        self.progress.stage(name);
        self.intake.begin(name, format)
    }

    fn end(&mut self, outcome: &Outcome) -> Result<(), Stop> {
        self.totals.inputs += 1;
        match outcome {
            Outcome::Read => self.totals.read += 1,
            Outcome::Empty => self.totals.empty += 1,
            Outcome::Unrecognised { .. } => self.totals.unrecognised += 1,
            Outcome::Partial { .. } => self.totals.partial += 1,
            Outcome::Failed { .. } => self.totals.failed += 1,
        }
        self.intake.end(outcome)
    }

    /// An input that is over before it began.
    fn once(&mut self, name: &str, outcome: Outcome) -> Result<(), Stop> {
        self.begin(name, None)?;
        self.end(&outcome)
    }

    fn failed(&mut self, name: &str, reason: String) -> Result<(), Stop> {
        self.once(name, Outcome::Failed { reason })
    }
}

/// Passes rows on, marked with where they come from, and counts them.
struct Counting<'o, 'w> {
    walk: &'o mut Walk<'w>,
    name: &'o str,
    in_intake: Cell<bool>,
    rows: u64,
    rejected: u64,
}

impl Emit for Counting<'_, '_> {
    fn batch(&mut self, batch: EventBatch) -> Result<(), Stop> {
        let rows = batch.rows() as u64;
        if rows == 0 {
            return Ok(());
        }
        let batch = batch.read_from(self.name);
        self.in_intake.set(true);
        let result = self.walk.intake.batch(batch);
        self.in_intake.set(false);
        result?;
        self.rows += rows;
        self.walk.progress.rows(rows);
        Ok(())
    }

    fn reject(&mut self, reject: Reject) {
        self.rejected += 1;
        self.in_intake.set(true);
        self.walk.intake.reject(reject);
        self.in_intake.set(false);
    }

    fn note(&mut self, note: Note) {
        self.in_intake.set(true);
        self.walk.intake.note(note);
        self.in_intake.set(false);
    }
}

fn broken(rows: u64, reason: String) -> Outcome {
    if rows > 0 { Outcome::Partial { reason } } else { Outcome::Failed { reason } }
}

/// An error with its causes, which say more than the error of the format around them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// A read error in the words of who reads evidence.
fn said(error: &io::Error) -> String {
    if let Some(bound) = Bound::of(error) {
        return bound.to_string();
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off: the end is missing".to_owned(),
        _ => format!("cannot read on: {error}"),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a word".to_owned())
}

/// What a text of no known format looks like.
fn appearance(head: &[u8]) -> String {
    const COLUMNS_SHOWN: usize = 6;
    if let Some(object) = crate::records::first_json_object(head) {
        let keys: Vec<&str> = object.keys.iter().take(COLUMNS_SHOWN).map(String::as_str).collect();
        return format!("JSON of no known format, with {}", keys.join(", "));
    }
    match crate::records::csv_headers(head) {
        Some(columns) => {
            let columns: Vec<&str> = columns.iter().take(COLUMNS_SHOWN).map(String::as_str).collect();
            format!("CSV of no known format, with {}", columns.join(", "))
        }
        None => "text of no known format".to_owned(),
    }
}

/// Files that operating systems leave in folders and archives.
fn is_junk(name: &str) -> bool {
    const JUNK: [&str; 10] = [
        ".DS_Store",
        "__MACOSX",
        "Thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        ".Spotlight-V100",
        ".Trashes",
        ".fseventsd",
        "$RECYCLE.BIN",
        "System Volume Information",
    ];
    name.starts_with("._") || JUNK.iter().any(|junk| name.eq_ignore_ascii_case(junk))
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !is_junk(&entry.file_name().to_string_lossy()) {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

/// Whether the folder was not visited yet. Links can lead back to where the walk came from.
fn is_new(folder: &Path, visited: &mut BTreeSet<PathBuf>) -> bool {
    fs::canonicalize(folder).map_or(true, |folder| visited.insert(folder))
}
