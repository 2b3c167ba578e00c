//! Archives: zip, gzip, Zstandard and 7z, also inside one another.

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use matagi_model::Stop;
use sevenz_rust2::{ArchiveReader, EntryDecision, Error as SevenError, Password};
use zip::result::ZipError;

use super::{Outcome, Walk, broken, is_junk, said};
use crate::bounded::{Bound, Budget, fill};

/// Bytes that show what a container is.
const MAGIC_BYTES: usize = 512;
/// Bytes read at a time below a decompressor.
const BUFFER_BYTES: usize = 128 << 10;
/// Largest window of a Zstandard frame, as a power of two: 128 MiB, what `zstd` itself accepts without being asked.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// Memory for the dictionary of a 7z archive, KiB: the largest preset of 7-Zip ("ultra") needs 64 MiB.
const SEVEN_MEMORY_KIB_MAX: usize = 512 << 10;
/// Members that may turn out to be bombs before the rest of their archive is left out.
const BOMBS_MAX: u32 = 3;
/// Characters of a member's name that are shown.
const NAME_CHARS_MAX: usize = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Zip,
    Gzip,
    Zstd,
    Seven,
    /// Known, but not read here.
    Other(&'static str),
    None,
}

fn container(head: &[u8]) -> Container {
    const MAGICS: [(&[u8], Container); 10] = [
        (b"PK\x03\x04", Container::Zip),
        (b"PK\x05\x06", Container::Zip),
        (b"\x1f\x8b", Container::Gzip),
        (b"\x28\xb5\x2f\xfd", Container::Zstd),
        (b"7z\xbc\xaf\x27\x1c", Container::Seven),
        (b"\xfd7zXZ\0", Container::Other("an xz archive")),
        (b"BZh", Container::Other("a bzip2 archive")),
        (b"Rar!\x1a\x07", Container::Other("a RAR archive")),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Container::Other("an old Office document or an Outlook message")),
        (b"%PDF-", Container::Other("a PDF")),
    ];
    if let Some((_, found)) = MAGICS.iter().find(|(magic, _)| head.starts_with(magic)) {
        // Text may begin with the three letters of bzip2, but then no level and no block follow.
        let is_text = *found == Container::Other("a bzip2 archive") && head.get(4..10) != Some(b"1AY&SY");
        return if is_text { Container::None } else { *found };
    }
    if head.get(257..262) == Some(b"ustar") { Container::Other("a tar archive") } else { Container::None }
}

/// A reader that can go back: archives with an index need it.
pub(super) trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

/// Forwards to a reader behind a reference; the archive crates want a sized type.
struct Handle<'r>(&'r mut dyn ReadSeek);

impl Read for Handle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for Handle<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}

impl Walk<'_> {
    /// An input that can go back.
    pub(super) fn seekable(
        &mut self,
        name: &str,
        input: &mut dyn ReadSeek,
        budget: &Budget,
        depth: u32,
    ) -> Result<(), Stop> {
        let mut head = [0; MAGIC_BYTES];
        let (filled, result) = fill(&mut Handle(input), &mut head);
        if let Err(error) = result.and_then(|()| input.rewind()) {
            return self.failed(name, said(&error));
        }
        match container(&head[..filled]) {
            Container::Zip | Container::Seven if depth >= self.options.archive_depth_max => self.too_deep(name),
            Container::Zip => self.zip(name, input, budget, depth),
            Container::Seven => self.seven(name, input, budget, depth),
            _ => self.unseekable(name, &mut Handle(input), budget, depth),
        }
    }

    /// An input that is read once, from its beginning.
    pub(super) fn unseekable(
        &mut self,
        name: &str,
        input: &mut dyn Read,
        budget: &Budget,
        depth: u32,
    ) -> Result<(), Stop> {
        let mut head = vec![0; MAGIC_BYTES];
        let (filled, result) = fill(input, &mut head);
        head.truncate(filled);
        let kind = container(&head);
        if depth >= self.options.archive_depth_max && !matches!(kind, Container::None | Container::Other(_)) {
            return self.too_deep(name);
        }
        // What broke within the first bytes breaks again after them.
        let after: Box<dyn Read> = match result {
            Ok(()) => Box::new(input),
            Err(error) => Box::new(Failing(Some(error))),
        };
        let mut whole = Cursor::new(head).chain(after);
        match kind {
            Container::None => self.text(name, &mut whole),
            Container::Other(what) => {
                self.once(name, &Outcome::Unrecognised { reason: format!("{what}, which is not read") })
            }
            Container::Gzip => {
                let inner = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, whole));
                self.unseekable(name, &mut budget.bounded(inner), budget, depth + 1)
            }
            Container::Zstd => match zstd::stream::read::Decoder::new(whole) {
                Ok(mut inner) => match inner.window_log_max(ZSTD_WINDOW_LOG_MAX) {
                    Ok(()) => self.unseekable(name, &mut budget.bounded(inner), budget, depth + 1),
                    Err(error) => self.failed(name, said(&error)),
                },
                Err(error) => self.failed(name, said(&error)),
            },
            Container::Zip | Container::Seven => self.spooled(name, &mut whole, budget, depth),
        }
    }

    fn too_deep(&mut self, name: &str) -> Result<(), Stop> {
        let reason = format!("archives nested deeper than {}", self.options.archive_depth_max);
        self.failed(name, reason)
    }

    /// Puts an archive aside on disk, because its index stands at its end.
    fn spooled(&mut self, name: &str, input: &mut dyn Read, budget: &Budget, depth: u32) -> Result<(), Stop> {
        let most = self.options.spool_bytes_max;
        let mut file = match tempfile::tempfile() {
            Ok(file) => file,
            Err(error) => return self.failed(name, format!("cannot make a temporary file: {error}")),
        };
        match io::copy(&mut input.take(most.saturating_add(1)), &mut file) {
            Ok(copied) if copied > most => {
                return self.failed(name, Bound::Bytes { limit: most }.to_string());
            }
            Ok(_) => {}
            // What came before the break may still hold readable members.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && Bound::of(&error).is_none() => {}
            Err(error) => return self.failed(name, said(&error)),
        }
        match file.rewind() {
            Ok(()) => self.seekable(name, &mut file, budget, depth),
            Err(error) => self.failed(name, said(&error)),
        }
    }

    fn zip(&mut self, name: &str, input: &mut dyn ReadSeek, budget: &Budget, depth: u32) -> Result<(), Stop> {
        let archive = zip::ZipArchive::new(BufReader::with_capacity(BUFFER_BYTES, Handle(input)));
        let mut archive = match archive {
            Ok(archive) => archive,
            Err(error) => return self.zip_without_index(name, input, budget, depth, &error),
        };
        // A document of Office is a zip archive of XML: nothing that its members could be recognised as.
        if archive.index_for_name("[Content_Types].xml").is_some() {
            let reason = "an Office document: save it as CSV".to_owned();
            return self.once(name, &Outcome::Unrecognised { reason });
        }
        if archive.is_empty() {
            return self.once(name, &Outcome::Empty);
        }
        let mut bombs = 0;
        for index in 0..archive.len().min(self.options.archive_entries_max) {
            let member = archive.name_for_index(index).and_then(Result::ok).map(std::borrow::Cow::into_owned);
            let member = member.unwrap_or_else(|| format!("member {}", index + 1));
            let mut file = match archive.by_index(index) {
                Ok(file) => file,
                Err(error) => {
                    self.failed(&shown(name, &member), zip_said(&error))?;
                    continue;
                }
            };
            if file.is_dir() || is_junk_path(&member) {
                continue;
            }
            let before = budget.spent_bytes();
            self.unseekable(&shown(name, &member), &mut budget.bounded(&mut file), budget, depth + 1)?;
            if budget.is_spent() {
                bombs += 1;
                if bombs == BOMBS_MAX {
                    return self.failed(name, "decompression bombs in it: the rest is left out".to_owned());
                }
                budget.forgive(before);
            }
        }
        if archive.len() > self.options.archive_entries_max {
            return self
                .failed(name, format!("more than {} members: the rest is left out", self.options.archive_entries_max));
        }
        Ok(())
    }

    /// A zip archive that was cut loses its index, but each member stands behind a header of its own.
    fn zip_without_index(
        &mut self,
        name: &str,
        input: &mut dyn ReadSeek,
        budget: &Budget,
        depth: u32,
        error: &ZipError,
    ) -> Result<(), Stop> {
        let reason = format!("{}; its members were read as far as they go", zip_said(error));
        if let Err(error) = input.rewind() {
            return self.failed(name, said(&error));
        }
        let mut stream = BufReader::with_capacity(BUFFER_BYTES, Handle(input));
        let rows_before = self.totals.rows;
        for _ in 0..self.options.archive_entries_max {
            match zip::read::read_zipfile_from_stream(&mut stream) {
                Ok(Some(mut file)) => {
                    let member = String::from_utf8_lossy(file.name_raw()).into_owned();
                    if !member.ends_with('/') && !is_junk_path(&member) {
                        self.unseekable(&shown(name, &member), &mut budget.bounded(&mut file), budget, depth + 1)?;
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        self.once(name, &broken(self.totals.rows - rows_before, reason))
    }

    fn seven(&mut self, name: &str, input: &mut dyn ReadSeek, budget: &Budget, depth: u32) -> Result<(), Stop> {
        let source = BufReader::with_capacity(BUFFER_BYTES, Handle(input));
        let mut archive = match ArchiveReader::new_with_memory_limit(source, Password::empty(), SEVEN_MEMORY_KIB_MAX) {
            Ok(archive) => archive,
            Err(error) => return self.failed(name, seven_said(&error)),
        };
        // More threads would each hold a dictionary.
        archive.set_thread_count(1);
        let rows_before = self.totals.rows;
        let (mut members, mut stopped) = (0_usize, None);
        let most = self.options.archive_entries_max;
        let result = archive.for_each_entries_with_decision(|entry, reader| {
            if entry.is_directory() || is_junk_path(entry.name()) {
                return Ok(EntryDecision::Continue);
            }
            members += 1;
            if members > most {
                return Ok(EntryDecision::Stop);
            }
            let shown = shown(name, entry.name());
            let before = budget.spent_bytes();
            let mut bounded = budget.bounded(reader);
            if let Err(stop) = self.unseekable(&shown, &mut bounded, budget, depth + 1) {
                stopped = Some(stop);
                return Ok(EntryDecision::Stop);
            }
            // What was not read has to be unpacked all the same before the next member, but not without a limit. An
            // error in it is met again by the archive's own reader.
            let _rest = io::copy(&mut bounded, &mut io::sink());
            if budget.is_spent() {
                budget.forgive(before);
                return Ok(EntryDecision::SkipBlock);
            }
            Ok(EntryDecision::Continue)
        });
        if let Some(stop) = stopped {
            return Err(stop);
        }
        match result {
            Err(error) => self.once(name, &broken(self.totals.rows - rows_before, seven_said(&error))),
            Ok(()) if members == 0 => self.once(name, &Outcome::Empty),
            Ok(()) if members > most => self.failed(name, format!("more than {most} members: the rest is left out")),
            Ok(()) => Ok(()),
        }
    }
}

/// Gives one error, then nothing.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// `outer.zip!inner.csv`, without what could confuse a terminal.
fn shown(archive: &str, member: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let member: String = member.chars().take(NAME_CHARS_MAX).map(clean).collect();
    format!("{archive}!{member}")
}

fn is_junk_path(member: &str) -> bool {
    member.split(['/', '\\']).any(is_junk)
}

fn zip_said(error: &ZipError) -> String {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            "encrypted: unpack it with its password first".to_owned()
        }
        ZipError::CompressionMethodNotSupported(_) => format!("packed in a way that is not read: {error}"),
        ZipError::Io(error) => said(error),
        ZipError::InvalidArchive(_) => "the zip archive is damaged or cut off".to_owned(),
        other => format!("cannot read the zip archive: {other}"),
    }
}

fn seven_said(error: &SevenError) -> String {
    match error {
        SevenError::PasswordRequired | SevenError::MaybeBadPassword(_) => {
            "encrypted: unpack it with its password first".to_owned()
        }
        // AES stands in the list of methods like any compression.
        SevenError::UnsupportedCompressionMethod(method) if method.contains("AES") => {
            "encrypted: unpack it with its password first".to_owned()
        }
        SevenError::Io(error, _) if Bound::of(error).is_some() => said(error),
        SevenError::Io(error, _) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the 7z archive is cut off: its index stands at the end and is missing".to_owned()
        }
        SevenError::NextHeaderCrcMismatch | SevenError::ChecksumVerificationFailed => {
            "the 7z archive is damaged: a checksum is wrong".to_owned()
        }
        SevenError::MaxMemLimited { .. } => {
            format!("the 7z archive needs more than {} MiB of memory to unpack", SEVEN_MEMORY_KIB_MAX >> 10)
        }
        SevenError::Other(what) | SevenError::Unsupported(what) => format!("cannot read the 7z archive: {what}"),
        other => format!("cannot read the 7z archive: {other}"),
    }
}
