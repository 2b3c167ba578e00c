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
            return self.once(&name, &Outcome::Unrecognised { reason: "not a file".to_owned() });
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
            Ok(entries) if entries.is_empty() => self.once(name, &Outcome::Empty),
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
                None => self.once(name, &Outcome::Empty),
            };
        }
        let source = match self.recognise(&text) {
            Ok(source) => source,
            Err(outcome) => return self.once(name, &outcome),
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
            Err(panic) => {
                broken(rows, format!("the reader of {} broke down: {}", source.meta().name, panic_text(&*panic)))
            }
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
    fn once(&mut self, name: &str, outcome: &Outcome) -> Result<(), Stop> {
        self.begin(name, None)?;
        self.end(outcome)
    }

    fn failed(&mut self, name: &str, reason: String) -> Result<(), Stop> {
        self.once(name, &Outcome::Failed { reason })
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const RECORD: &str =
        r#"{"CreationTime":"2024-01-01T00:00:00","Id":"1","Operation":"Send","RecordType":2,"UserId":"a@b.example"}"#;

    #[derive(Default)]
    struct Log(Vec<String>);

    impl Emit for Log {
        fn batch(&mut self, batch: EventBatch) -> Result<(), Stop> {
            let path = batch.common().source_path.get(0).unwrap_or("-").to_owned();
            self.0.push(format!("  {} rows of {}", batch.rows(), path.rsplit('/').next().unwrap()));
            Ok(())
        }
        fn reject(&mut self, reject: Reject) {
            self.0.push(format!("  rejected {}: {}", reject.record, reject.reason));
        }
        fn note(&mut self, note: Note) {
            self.0.push(format!("  note {} {:?}", note.code, note.args));
        }
    }

    impl Intake for Log {
        fn begin(&mut self, path: &str, format: Option<&'static str>) -> Result<(), Stop> {
            self.0.push(format!("{} as {}", path.rsplit('/').next().unwrap(), format.unwrap_or("nothing")));
            Ok(())
        }
        fn end(&mut self, outcome: &Outcome) -> Result<(), Stop> {
            self.0.push(format!("  {outcome:?}"));
            Ok(())
        }
    }

    fn log_with(bytes: &[u8], options: &Options) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        fs::write(&path, bytes).unwrap();
        let mut log = Log::default();
        read_paths(&[path], options, &(), &mut log).unwrap();
        log.0.join("\n")
    }

    fn log(bytes: &[u8]) -> String {
        log_with(bytes, &Options::default())
    }

    fn streamed(bytes: &[u8]) -> String {
        let mut log = Log::default();
        read_stream("in", &mut &bytes[..], &Options::default(), &(), &mut log).unwrap();
        log.0.join("\n")
    }

    pub(super) fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in members {
            let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn zstandard(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 3).unwrap()
    }

    /// A 7z archive of stored files, written by hand: what writes them is not part of this program.
    fn seven(members: &[(&str, &[u8])]) -> Vec<u8> {
        let data: Vec<u8> = members.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let number = |value: usize| -> Vec<u8> {
            // The full form: eight bytes after a first byte of ones.
            let mut bytes = vec![0xFF];
            bytes.extend((value as u64).to_le_bytes());
            bytes
        };
        let mut header = vec![0x01, 0x04, 0x06];
        header.extend(number(0));
        header.extend(number(members.len()));
        header.push(0x09);
        for (_, bytes) in members {
            header.extend(number(bytes.len()));
        }
        header.extend([0x00, 0x07, 0x0B]);
        header.extend(number(members.len()));
        header.push(0x00);
        // One coder with a one-byte id: copy.
        header.extend([0x01, 0x01, 0x00].repeat(members.len()));
        header.push(0x0C);
        for (_, bytes) in members {
            header.extend(number(bytes.len()));
        }
        header.extend([0x00, 0x08, 0x00, 0x00, 0x05]);
        header.extend(number(members.len()));
        let mut names = vec![0x00];
        for (name, _) in members {
            names.extend(name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        }
        header.push(0x11);
        header.extend(number(names.len()));
        header.extend(names);
        header.extend([0x00, 0x00]);
        let mut start = Vec::new();
        start.extend((data.len() as u64).to_le_bytes());
        start.extend((header.len() as u64).to_le_bytes());
        start.extend(crc32(&header).to_le_bytes());
        let mut archive = b"7z\xbc\xaf\x27\x1c\x00\x04".to_vec();
        archive.extend(crc32(&start).to_le_bytes());
        archive.extend(start);
        archive.extend(data);
        archive.extend(header);
        archive
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }

    #[test]
    fn containers_are_seen_through() {
        let plain = RECORD.as_bytes();
        for bytes in [plain.to_vec(), gzipped(plain), zstandard(plain), gzipped(&zstandard(plain))] {
            let expected = "in as m365-audit\n  1 rows of in\n  Read";
            assert_eq!(log(&bytes), expected);
            assert_eq!(streamed(&bytes), expected);
        }
        let inner = zipped(&[("c.jsonl", plain)]);
        for bytes in [
            zipped(&[("a.json", plain), ("__MACOSX/._a.json", b"junk"), ("b/", b""), ("b/inner.zip", &inner)]),
            gzipped(&zipped(&[("a.json", plain), ("b/inner.zip", &inner)])),
            seven(&[("a.json", plain), ("b/inner.zip", &inner)]),
        ] {
            let log = log(&bytes);
            assert!(log.contains("in!a.json as m365-audit\n  1 rows of in!a.json\n  Read"), "{log}");
            assert!(log.contains("inner.zip!c.jsonl as m365-audit\n"), "{log}");
            assert_eq!(streamed(&bytes), log);
        }
    }

    #[test]
    fn what_is_not_evidence_is_said() {
        assert_eq!(log(b""), "in as nothing\n  Empty");
        assert_eq!(log(&gzipped(b"")), "in as nothing\n  Empty");
        assert_eq!(log(&[0; 1000]), "in as nothing\n  Unrecognised { reason: \"binary data\" }");
        assert_eq!(log(b"a letter\n"), "in as nothing\n  Unrecognised { reason: \"text of no known format\" }");
        assert_eq!(
            log(b"x,y\n1,2\n"),
            "in as nothing\n  Unrecognised { reason: \"CSV of no known format, with x, y\" }"
        );
        assert_eq!(log(b"{\"x\":1}"), "in as nothing\n  Unrecognised { reason: \"JSON of no known format, with x\" }");
        assert!(log(b"%PDF-1.7").contains("a PDF, which is not read"));
        assert!(log(&zipped(&[("[Content_Types].xml", b"<x/>")])).contains("an Office document: save it as CSV"));
        assert_eq!(log(&zipped(&[])), "in as nothing\n  Empty");
    }

    #[test]
    fn a_folder_is_read_in_order_and_one_bad_input_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("sub/none")).unwrap();
        fs::write(folder.path().join("b.json"), RECORD).unwrap();
        fs::write(folder.path().join("a.zip"), &zipped(&[("x", RECORD.as_bytes())])[..60]).unwrap();
        fs::write(folder.path().join("sub/c.json"), RECORD).unwrap();
        fs::write(folder.path().join(".DS_Store"), "junk").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("..", folder.path().join("sub/loop")).unwrap();
        let mut log = Log::default();
        let missing = folder.path().join("missing");
        let totals = read_paths(&[missing, folder.path().into()], &Options::default(), &(), &mut log).unwrap();
        let begun: Vec<_> = log.0.iter().filter(|line| !line.starts_with(' ')).map(String::as_str).collect();
        assert_eq!(
            begun,
            [
                "missing as nothing",
                "a.zip!x as nothing",
                "a.zip as nothing",
                "b.json as m365-audit",
                "c.json as m365-audit",
                "none as nothing",
            ]
        );
        assert_eq!((totals.read, totals.failed, totals.empty, totals.rows), (2, 3, 1, 2));
    }

    #[test]
    fn a_zip_bomb_is_refused_and_the_rest_goes_on() {
        let options = Options { ratio_max: 50, ratio_slack_bytes: 1 << 20, ..Options::default() };
        let spaces = vec![b' '; 32 << 20];
        let bomb = [RECORD.as_bytes(), &spaces].concat();
        let log = log_with(&zipped(&[("a", &bomb), ("b", RECORD.as_bytes())]), &options);
        assert!(log.contains("Partial { reason: \"refused as a decompression bomb"), "{log}");
        assert!(log.contains("1 rows of in!b\n  Read"), "{log}");
        let bombs = log_with(&zipped(&[("a", &bomb), ("b", &bomb), ("c", &bomb), ("d", &bomb)]), &options);
        assert!(bombs.contains("in!c") && !bombs.contains("in!d"), "{bombs}");
        assert!(bombs.contains("the rest is left out"), "{bombs}");
        let gz = log_with(&gzipped(&[RECORD.as_bytes(), &spaces].concat()), &options);
        assert!(gz.contains("1 rows") && gz.contains("Partial") && gz.contains("decompression bomb"), "{gz}");
        assert!(!log_with(&gzipped(&vec![b' '; 1 << 20]), &options).contains("bomb"));
    }

    #[test]
    fn archives_nested_without_end_are_refused() {
        let mut bytes = RECORD.as_bytes().to_vec();
        for _ in 0..=ARCHIVE_DEPTH_MAX {
            bytes = gzipped(&bytes);
        }
        assert!(log(&bytes).contains("archives nested deeper than 5"));
        let mut bytes = zipped(&[("x", RECORD.as_bytes())]);
        for _ in 0..=ARCHIVE_DEPTH_MAX {
            bytes = zipped(&[("x.zip", &bytes)]);
        }
        assert!(log(&bytes).contains("archives nested deeper than 5"));
    }

    #[test]
    fn more_members_than_allowed_are_left_out_and_said() {
        let options = Options { archive_entries_max: 1, ..Options::default() };
        for bytes in [
            zipped(&[("a", RECORD.as_bytes()), ("b", RECORD.as_bytes())]),
            seven(&[("a", RECORD.as_bytes()), ("b", RECORD.as_bytes())]),
        ] {
            let log = log_with(&bytes, &options);
            assert!(log.contains("1 rows of in!a") && log.contains("more than 1 members"), "{log}");
        }
    }

    #[test]
    fn a_truncated_7z_is_said() {
        let whole = seven(&[("a.json", RECORD.as_bytes())]);
        for length in [7, 20, 40, whole.len() - 1] {
            let log = log(&whole[..length]);
            assert!(log.contains("Failed"), "{length}: {log}");
        }
        assert!(log(&whole[..whole.len() - 1]).contains("cut off"), "{}", log(&whole[..whole.len() - 1]));
    }

    #[test]
    fn a_truncated_zip_gives_the_members_that_are_whole() {
        let whole = zipped(&[("a.json", RECORD.as_bytes()), ("b.json", RECORD.as_bytes())]);
        let cut = log(&whole[..whole.len() - 80]);
        assert!(cut.contains("in!a.json as m365-audit\n  1 rows of in!a.json\n  Read"), "{cut}");
        assert!(cut.contains("Partial { reason: \"the zip archive is damaged or cut off"), "{cut}");
    }

    #[test]
    fn truncated_streams_keep_what_could_be_read() {
        let text: String = (0..20_000_u32)
            .map(|id| RECORD.replace("\"1\"", &format!("\"{}\"", blake3::hash(&id.to_le_bytes()))) + "\n")
            .collect();
        for bytes in [gzipped(text.as_bytes()), zstandard(text.as_bytes())] {
            let log = log(&bytes[..bytes.len() / 2]);
            assert!(log.contains("rows of in") && log.contains("cut off"), "{log}");
            assert!(log.contains("Partial"), "{log}");
        }
    }

    #[test]
    fn encrypted_archives_are_said() {
        // The flag of encryption in both headers of the only member.
        let mut bytes = zipped(&[("a", RECORD.as_bytes())]);
        bytes[6] |= 1;
        let central = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[central + 8] |= 1;
        assert!(log(&bytes).contains("encrypted"), "{}", log(&bytes));
    }

    #[test]
    fn encodings_are_read_and_guesses_said() {
        let wide: Vec<u8> = format!("\u{feff}{RECORD}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(log(&wide), "in as m365-audit\n  1 rows of in\n  Read");
        let latin = [RECORD.replace("a@b", "caf").as_bytes(), b"\n"].concat();
        let latin: Vec<u8> = String::from_utf8(latin)
            .unwrap()
            .replace("caf", "caf\u{1}")
            .bytes()
            .map(|byte| if byte == 1 { 0xE9 } else { byte })
            .collect();
        assert!(log(&latin).contains("note guessed-encoding {\"encoding\": \"windows-1252\"}"), "{}", log(&latin));
    }

    #[test]
    fn a_format_may_be_demanded() {
        let options = Options { format: Some("m365-audit".to_owned()), ..Options::default() };
        assert!(log_with(b"x\n", &options).starts_with("in as m365-audit"));
        let options = Options { format: Some("mars".to_owned()), ..Options::default() };
        assert!(log_with(b"x\n", &options).contains("no format is called `mars`"));
    }

    #[test]
    fn the_user_can_stop() {
        struct Later(AtomicU64);
        impl Progress for Later {
            fn bytes(&self, _: u64) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
            fn rows(&self, _: u64) {}
            fn stage(&self, _: &str) {}
            fn is_cancelled(&self) -> bool {
                self.0.load(Ordering::Relaxed) > 0
            }
        }
        let mut log = Log::default();
        let text = format!("{RECORD}\n").repeat(10_000);
        let stop = read_stream("in", &mut text.as_bytes(), &Options::default(), &Later(AtomicU64::new(0)), &mut log);
        assert!(stop.unwrap_err().0.downcast_ref::<Cancelled>().is_some());
    }

    #[test]
    fn a_full_disk_ends_the_reading() {
        struct Full;
        impl Emit for Full {
            fn batch(&mut self, _: EventBatch) -> Result<(), Stop> {
                Err(Stop("no space left".into()))
            }
            fn reject(&mut self, _: Reject) {}
            fn note(&mut self, _: Note) {}
        }
        impl Intake for Full {
            fn begin(&mut self, _: &str, _: Option<&'static str>) -> Result<(), Stop> {
                Ok(())
            }
            fn end(&mut self, _: &Outcome) -> Result<(), Stop> {
                Ok(())
            }
        }
        let stop = read_stream("in", &mut RECORD.as_bytes(), &Options::default(), &(), &mut Full).unwrap_err();
        assert_eq!(stop.to_string(), "no space left");
    }
}
