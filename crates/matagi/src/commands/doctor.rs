//! `matagi doctor`

use camino::{Utf8Path, Utf8PathBuf};
use matagi_detect::Content;
use matagi_lake::Lake;
use matagi_lake::reference::Reference;

use crate::Outcome;
use crate::app::App;
use crate::cli::Format;
use crate::commands::reference;
use crate::error::CommandError;
use crate::output::{Cell, Kind, Listing};
use crate::ui::{Ui, grouped};

/// Check configuration, lake, disk space, reference data and content
///
/// `dimmer` says what a hunt sees less well and why; it is no error. Exit status 2 only when something is broken.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi doctor\n  \
    matagi doctor --lake /srv/hunts/lake --format json")]
pub(crate) struct Doctor {}

const COLUMNS: &[(&str, Kind)] = &[("check", Kind::Text), ("state", Kind::Text), ("detail", Kind::Text)];

/// Below this a hunt over ordinary exports may not find room for its files.
const FREE_BYTES_MIN: u64 = 1024 * 1024 * 1024;
const MEGABYTE: u64 = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    Dim,
    Broken,
}

struct Findings<'a> {
    ui: &'a Ui,
    listing: Listing,
    broken: bool,
}

impl Findings<'_> {
    /// `state` is `good`, `dim` or `broken` in machine formats, a word of the user's language otherwise.
    fn add(&mut self, check: &str, state: State, detail: String, for_people: bool) {
        self.broken |= state == State::Broken;
        let (word, code) = match state {
            State::Good => ("good", "doctor-good"),
            State::Dim => ("dim", "doctor-dim"),
            State::Broken => ("broken", "doctor-broken"),
        };
        let code_of_check = format!("doctor-{check}");
        let (check, word) = if for_people {
            (self.ui.text(&code_of_check, []), self.ui.text(code, []))
        } else {
            (check.to_owned(), word.to_owned())
        };
        self.listing.push([Cell::Text(check), Cell::Text(word), Cell::Text(detail)]);
    }
}

pub(crate) fn run(ui: &Ui, app: &App, _args: &Doctor) -> Result<Outcome, CommandError> {
    let format = app.format_or(Format::Text);
    let for_people = matches!(format, Format::Text | Format::Table);
    let mut found = Findings { ui, listing: Listing::new(COLUMNS), broken: false };
    let config = app.config.file.as_ref().map_or_else(|| ui.text("doctor-config-none", []), Utf8PathBuf::to_string);
    found.add("config", State::Good, config, for_people);
    let lake_dir = app.lake_dir();
    match lake_dir.as_deref() {
        None => found.add("lake", State::Dim, ui.text("doctor-lake-none", []), for_people),
        Some(dir) if !dir.join("catalog.db").exists() => {
            found.add("lake", State::Dim, ui.text("doctor-lake-absent", [("path", dir.to_string())]), for_people);
        }
        Some(dir) => check_lake(&mut found, dir, for_people),
    }
    let temporary = Utf8PathBuf::from_path_buf(std::env::temp_dir()).unwrap_or_else(|_| "/tmp".into());
    check_disk(&mut found, lake_dir.as_deref().unwrap_or(&temporary), for_people);
    check_reference(&mut found, for_people);
    check_content(&mut found, for_people);
    let outcome = if found.broken { Outcome::Failed } else { Outcome::Ran };
    found.listing.write(format, &mut ui.data())?;
    Ok(outcome)
}

fn check_lake(found: &mut Findings<'_>, dir: &Utf8Path, for_people: bool) {
    let read = || -> Result<_, matagi_lake::LakeError> {
        let lake = Lake::open(dir)?;
        Ok((lake.tables()?, lake.sources()?))
    };
    let (tables, sources) = match read() {
        Ok(read) => read,
        Err(error) => {
            let broken = CommandError::from(error);
            return found.add("lake", State::Broken, broken.in_one_line(), for_people);
        }
    };
    let detail = found.ui.text(
        "doctor-lake-good",
        [
            ("path", dir.to_string()),
            ("rows", grouped(tables.iter().map(|table| table.rows).sum())),
            ("files", grouped(tables.iter().map(|table| table.files).sum())),
            ("inputs", grouped(sources.len() as u64)),
        ],
    );
    found.add("lake", State::Good, detail, for_people);
    let rejected: u64 = sources.iter().map(|source| source.rejected).sum();
    if rejected > 0 {
        let detail = found.ui.text("doctor-rejects-some", [("count", grouped(rejected))]);
        found.add("rejects", State::Dim, detail, for_people);
    }
    let interrupted = sources.iter().filter(|source| source.status == "interrupted").count();
    if interrupted > 0 {
        let detail = found.ui.text("doctor-interrupted-some", [("count", grouped(interrupted as u64))]);
        found.add("interrupted", State::Dim, detail, for_people);
    }
}

/// Free space where the lake is, or will be: of the nearest folder that exists.
fn check_disk(found: &mut Findings<'_>, dir: &Utf8Path, for_people: bool) {
    let place = dir.ancestors().find(|place| place.exists()).unwrap_or(Utf8Path::new("."));
    match free_bytes(place) {
        None => {
            let detail = found.ui.text("doctor-disk-unknown", [("path", place.to_string())]);
            found.add("disk", State::Dim, detail, for_people);
        }
        Some(free) => {
            let state = if free < FREE_BYTES_MIN { State::Dim } else { State::Good };
            let free = grouped(free / MEGABYTE);
            let detail = found.ui.text("doctor-disk-free", [("free", free), ("path", place.to_string())]);
            found.add("disk", state, detail, for_people);
        }
    }
}

#[cfg(unix)]
fn free_bytes(place: &Utf8Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(place.as_std_path()).ok()?;
    Some(facts.f_bavail.saturating_mul(facts.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_place: &Utf8Path) -> Option<u64> {
    None
}

fn check_reference(found: &mut Findings<'_>, for_people: bool) {
    let ui = found.ui;
    let opened = reference::open().and_then(|opened| match opened {
        Some(reference) => Ok(Some((reference.summary()?, reference))),
        None => Ok(None),
    });
    match opened {
        Err(error) => found.add("reference", State::Broken, error.in_one_line(), for_people),
        Ok(None) => found.add("reference", State::Dim, ui.text("doctor-reference-none", []), for_people),
        Ok(Some((packages, reference))) => {
            let newest = packages.iter().map(|package| package.date.as_str()).max().unwrap_or("-").to_owned();
            let packages = packages.len().to_string();
            let detail = ui.text("doctor-reference-good", [("packages", packages), ("date", newest)]);
            found.add("reference", State::Good, detail, for_people);
            for (part, without) in missing_parts(&reference) {
                let without = ui.text(without, []);
                let detail = ui.text("doctor-reference-part", [("part", part.to_owned()), ("without", without)]);
                found.add("reference", State::Dim, detail, for_people);
            }
        }
    }
}

/// Parts whose absence a hunt feels, found by asking for an address that every such table knows.
fn missing_parts(reference: &Reference) -> Vec<(&'static str, &'static str)> {
    use matagi_model::{AddressBook, Ip};
    // A resolver that has been announced from one network and country for longer than any of these tables exists.
    let facts = reference.facts(Ip::from(std::net::IpAddr::from([8, 8, 8, 8])));
    let mut missing = Vec::new();
    if facts.asn.is_none() {
        missing.push(("asn", "doctor-reference-asn"));
    }
    if facts.country.is_none() {
        missing.push(("country", "doctor-reference-country"));
    }
    missing
}

fn check_content(found: &mut Findings<'_>, for_people: bool) {
    let content = Content::builtin();
    let detail = found.ui.text(
        "doctor-content-good",
        [
            ("analytics", matagi_detect::analytics().count().to_string()),
            ("rules", content.rules.len().to_string()),
            ("hunts", content.hunts.hunts().count().to_string()),
        ],
    );
    found.add("content", State::Good, detail, for_people);
    let formats = matagi_sources::ALL.len().to_string();
    let detail = found.ui.text("doctor-formats-good", [("count", formats)]);
    found.add("formats", State::Good, detail, for_people);
}
