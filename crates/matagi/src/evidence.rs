//! From paths to rows of a lake: what `ingest` and `hunt` share.

use std::fs;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use matagi_lake::{Ingest, Lake, LakeError, SourceSummary};
use matagi_model::{Emit, EventBatch, Note, Phrasebook, Reject, Stop};
use matagi_report::HuntInput;
use matagi_sources::inputs::{self, Intake, Options, Outcome};

use crate::commands::ingest::Inputs;
use crate::error::{CommandError, from_library};
use crate::progress::{Meter, Unit, is_interrupted};
use crate::ui::{Ui, grouped};

/// Inputs told one by one on stderr; a folder may hold a hundred thousand. All are counted, and kept in the lake.
const INPUTS_TOLD_MAX: u64 = 500;
/// Refused records told at once where no lake keeps them for `matagi rejects`.
const REJECTS_TOLD_MAX: u64 = 3;

/// What was read in all.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Inputs seen.
    pub(crate) inputs: u64,
    /// Inputs that were recognised and read, at least in part.
    pub(crate) inputs_read: u64,
    /// Inputs that gave nothing, or broke off.
    pub(crate) inputs_unread: u64,
    rows: u64,
    duplicates: u64,
    rejected: u64,
    has_unrecognised: bool,
}

/// Refuses what can be refused before anything is read: paths that do not exist, formats that nobody knows.
pub(crate) fn check(inputs: &Inputs) -> Result<(), CommandError> {
    for path in inputs.paths.iter().filter(|path| *path != "-") {
        fs::metadata(path).map_err(|source| CommandError::new(format!("cannot read {path}")).because(&source))?;
    }
    if let Some(format) = inputs.source_format.as_deref().filter(|format| matagi_sources::named(format).is_none()) {
        return Err(CommandError::new(format!("no format is called `{format}`"))
            .hint("`matagi sources formats` lists the formats that can be read"));
    }
    Ok(())
}

/// Reads all paths into the lake and tells on stderr what became of each.
pub(crate) fn read(ui: &Ui, lake: &Lake, inputs: &Inputs, is_kept: bool) -> Result<Reading, CommandError> {
    let paths: Vec<PathBuf> = inputs.paths.iter().map(|path| path.clone().into()).collect();
    let meter = ui.meter(Unit::Bytes(inputs::total_bytes(&paths)));
    let options = Options { format: inputs.source_format.clone(), ..Options::default() };
    let mut bridge = Bridge {
        ui,
        meter: &meter,
        ingest: lake.ingest()?,
        lake: lake.path().to_owned(),
        is_kept,
        phrases: matagi_report::phrasebook(),
        reading: Reading::default(),
        current: None,
    };
    let result = inputs::read_paths(&paths, &options, &meter, &mut bridge);
    let Bridge { ingest, reading, .. } = bridge;
    match result {
        Ok(_totals) => {
            ingest.finish()?;
        }
        Err(_stop) if is_interrupted() => {
            let mut ingest = ingest;
            ingest.flush()?;
            meter.clear();
            return Err(interrupted(ui, is_kept));
        }
        Err(Stop(error)) => {
            meter.clear();
            return Err(match error.downcast::<LakeError>() {
                Ok(error) => (*error).into(),
                Err(other) => CommandError::new("reading had to stop").because(other.as_ref()),
            });
        }
    }
    meter.clear();
    told(ui, &reading);
    Ok(reading)
}

fn interrupted(ui: &Ui, is_kept: bool) -> CommandError {
    if is_kept {
        CommandError::interrupted("by the user").hint(ui.text("ingest-interrupted", []))
    } else {
        CommandError::interrupted("by the user").hint(ui.text("hunt-interrupted", []))
    }
}

fn told(ui: &Ui, reading: &Reading) {
    if reading.inputs > INPUTS_TOLD_MAX {
        ui.warn("input-more", [("count", grouped(reading.inputs - INPUTS_TOLD_MAX))]);
    }
    if reading.has_unrecognised {
        ui.warn("unrecognised-hint", []);
    }
    ui.say(
        "ingest-total",
        [
            ("inputs", grouped(reading.inputs)),
            ("rows", grouped(reading.rows)),
            ("duplicates", grouped(reading.duplicates)),
            ("rejected", grouped(reading.rejected)),
            ("unread", grouped(reading.inputs_unread)),
        ],
    );
}

/// Hands over from the sources to the lake.
struct Bridge<'a> {
    ui: &'a Ui,
    meter: &'a Meter,
    ingest: Ingest,
    /// Folder of the lake: what lies in it is no evidence.
    lake: PathBuf,
    /// Whether the lake outlives this command.
    is_kept: bool,
    phrases: Phrasebook,
    reading: Reading,
    current: Option<Current>,
}

/// The input that is being read.
struct Current {
    rejects: Vec<Reject>,
    notes: Vec<Note>,
}

fn stop(error: LakeError) -> Stop {
    Stop(Box::new(error))
}

impl Emit for Bridge<'_> {
    fn batch(&mut self, batch: EventBatch) -> Result<(), Stop> {
        self.ingest.append(batch).map_err(stop)
    }

    fn reject(&mut self, reject: Reject) {
        if let Some(current) = self.current.as_mut().filter(|current| (current.rejects.len() as u64) < REJECTS_TOLD_MAX)
        {
            current.rejects.push(reject.clone());
        }
        self.ingest.reject(reject);
    }

    fn note(&mut self, note: Note) {
        if let Some(current) = self.current.as_mut().filter(|current| !current.notes.contains(&note)) {
            current.notes.push(note.clone());
        }
        self.ingest.note(note);
    }
}

impl Intake for Bridge<'_> {
    fn begin(&mut self, path: &str, format: Option<&'static str>) -> Result<(), Stop> {
        if format.is_none() && is_below(path, &self.lake) {
            return Ok(());
        }
        self.ingest.begin(path, format).map_err(stop)?;
        self.current = Some(Current { rejects: Vec::new(), notes: Vec::new() });
        Ok(())
    }

    fn end(&mut self, outcome: &Outcome) -> Result<(), Stop> {
        let Some(current) = self.current.take() else { return Ok(()) };
        let (status, detail) = if is_interrupted() { ("interrupted", None) } else { status(outcome) };
        let summary = self.ingest.end(status, detail).map_err(stop)?;
        self.reading.inputs += 1;
        self.reading.rows += summary.rows;
        self.reading.duplicates += summary.duplicates;
        self.reading.rejected += summary.rejected;
        self.reading.has_unrecognised |= matches!(outcome, Outcome::Unrecognised { .. });
        if matches!(outcome, Outcome::Read | Outcome::Partial { .. }) {
            self.reading.inputs_read += 1;
        }
        if !matches!(outcome, Outcome::Read) {
            self.reading.inputs_unread += 1;
        }
        if self.reading.inputs <= INPUTS_TOLD_MAX {
            self.meter.beside(|| self.tell(outcome, summary, &current));
        }
        Ok(())
    }
}

impl Bridge<'_> {
    fn tell(&self, outcome: &Outcome, summary: SourceSummary, current: &Current) {
        let SourceSummary { id, path, rows, duplicates, rejected, .. } = summary;
        let named = ("path", path.clone());
        let counts = [("rows", grouped(rows)), ("duplicates", grouped(duplicates)), ("rejected", grouped(rejected))];
        match outcome {
            Outcome::Empty => self.ui.warn("input-empty", [named]),
            Outcome::Unrecognised { reason } => {
                self.ui.warn("input-not-recognised", [named, ("reason", reason.clone())]);
            }
            Outcome::Read => {
                let [rows, duplicates, rejected] = counts;
                if rejected.1 != "0" && self.is_kept {
                    let id = ("id", id.to_string());
                    self.ui.say("input-read-rejects", [named, rows, duplicates, rejected, id]);
                } else {
                    self.ui.say("input-read", [named, rows, duplicates, rejected]);
                }
            }
            other => {
                let reason = ("reason", other.reason().unwrap_or_default().to_owned());
                let [rows, ..] = counts;
                self.ui.warn("input-failed", [named, reason, rows]);
            }
        }
        if !self.is_kept {
            for reject in &current.rejects {
                let record = ("record", grouped(reject.record));
                self.ui.say("input-reject", [("path", path.clone()), record, ("reason", reject.reason.clone())]);
            }
        }
        for note in &current.notes {
            let text = self.phrases.render(self.ui.lang().code(), "note", &note.code, &note.args);
            self.ui.say("input-note", [("path", path.clone()), ("note", text)]);
        }
    }
}

/// How the lake remembers it: the words of the document `matagi.hunt/1`.
fn status(outcome: &Outcome) -> (&'static str, Option<&str>) {
    let word = match outcome {
        Outcome::Read => "read",
        Outcome::Empty => "empty",
        Outcome::Unrecognised { .. } => "not-recognised",
        _ => "failed",
    };
    (word, outcome.reason())
}

/// Whether a path leads into the lake itself (`matagi hunt .` beside `./lake`).
fn is_below(path: &str, lake: &Path) -> bool {
    Utf8Path::new(path).canonicalize().is_ok_and(|path| path.starts_with(lake))
}

/// An input as the document tells it.
pub(crate) fn hunt_input(source: SourceSummary) -> HuntInput {
    let is_old = source.status == "read" && source.rows == 0 && source.duplicates > 0;
    HuntInput {
        path: source.path,
        format: source.format,
        status: if is_old { "already-read".to_owned() } else { source.status },
        detail: source.detail,
        rows: source.rows,
        duplicates: source.duplicates,
        rejected: source.rejected,
        first_time: source.first_time,
        last_time: source.last_time,
    }
}

/// What a user can do about a lake that refuses.
fn hint(error: &LakeError) -> Option<&'static str> {
    Some(match error {
        LakeError::Missing { .. } => {
            "`matagi init` makes one here; `matagi ingest PATH...` makes one where --lake says"
        }
        LakeError::Busy { .. } => "wait for it to end; a process that was killed holds nothing",
        LakeError::Newer { .. } => "install the newer matagi",
        LakeError::Open { .. } | LakeError::Write { .. } => "choose a folder that you may write to, with --lake DIR",
        LakeError::ReadOnly { .. } => "evidence is changed by nobody; `matagi ingest` adds to it",
        LakeError::Limit { .. } => "ask for less: fewer columns, a shorter time, an aggregate",
        _ => return None,
    })
}

impl From<LakeError> for CommandError {
    fn from(error: LakeError) -> Self {
        let explained = Self::new(error.to_string()).because(&error);
        match hint(&error) {
            _ if error.is_disk_full() => explained.disk_full(),
            Some(hint) => explained.or_hint(hint),
            None => explained,
        }
    }
}

from_library!(matagi_model::ScanError);
