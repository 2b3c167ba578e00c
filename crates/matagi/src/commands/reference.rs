//! `matagi reference`

use std::env;
use std::io::Write;

use camino::Utf8PathBuf;
use matagi_lake::reference::{self, Part, Reference, ReferenceError};

use crate::Outcome;
use crate::app::App;
use crate::cli::Format;
use crate::error::{CommandError, from_library};
use crate::output::{Cell, Kind, Listing};
use crate::progress::Unit;
use crate::ui::{Ui, grouped};

from_library!(ReferenceError);

/// Reference data on addresses, names and techniques: status, build, import, licences
///
/// Nothing of it comes with Matagi, and everything runs without it. It lives in one local file, MATAGI_REFERENCE or
/// matagi/reference.db below XDG_DATA_HOME (~/.local/share).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi reference status\n  \
    matagi reference build --from target/reference/packages\n  \
    matagi reference import --asn asn-ipv4.csv")]
pub(crate) struct ReferenceArgs {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// What is there, of what date, and under which licence (this is the default)
    Status,
    /// Build the file from a folder of unpacked registry packages
    Build {
        /// Folder that holds the packages
        #[arg(long, value_name = "DIR")]
        from: Utf8PathBuf,
    },
    /// Replace one part by a file of your own
    #[command(group = clap::ArgGroup::new("part").required(true).multiple(true))]
    Import {
        /// Address ranges to autonomous systems: CSV (first, last, number, name) or MMDB
        #[arg(long, value_name = "FILE", group = "part")]
        asn: Option<Utf8PathBuf>,
        /// Address ranges to countries: CSV (first, last, code) or MMDB
        #[arg(long, value_name = "FILE", group = "part")]
        country: Option<Utf8PathBuf>,
    },
    /// Print every licence notice that goes with the data
    Licences,
}

/// The file that holds the reference data, whether or not it exists.
pub(crate) fn file() -> Result<Utf8PathBuf, CommandError> {
    if let Some(file) = env::var("MATAGI_REFERENCE").ok().filter(|file| !file.is_empty()) {
        return Ok(file.into());
    }
    Ok(App::user_dir("XDG_DATA_HOME", ".local/share")?.join("reference.db"))
}

/// The reference data, if there is any.
pub(crate) fn open() -> Result<Option<Reference>, CommandError> {
    let opened = Reference::open(file()?.as_std_path());
    opened.map_err(|error| CommandError::from(error).or_hint("`matagi reference build --from DIR` makes it anew"))
}

const COLUMNS: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("version", Kind::Text),
    ("date", Kind::Text),
    ("licence", Kind::Text),
    ("rows", Kind::Count),
];

pub(crate) fn run(ui: &Ui, app: &App, args: &ReferenceArgs) -> Result<Outcome, CommandError> {
    match args.action.as_ref().unwrap_or(&Action::Status) {
        Action::Status => status(ui, app)?,
        Action::Build { from } => build(ui, from)?,
        Action::Import { asn, country } => {
            for (part, path) in [(Part::Asn, asn), (Part::Country, country)] {
                if let Some(path) = path {
                    let added = reference::import(make_room()?.as_std_path(), part, path.as_std_path())?;
                    ui.say("reference-imported", [("path", path.to_string()), ("rows", grouped(added.rows))]);
                }
            }
        }
        Action::Licences => {
            let Some(reference) = open()? else {
                ui.say("reference-absent", [("path", file()?.to_string())]);
                return Ok(Outcome::Ran);
            };
            let mut out = ui.data();
            write!(out, "{}", reference.licences()?)?;
            out.flush()?;
        }
    }
    Ok(Outcome::Ran)
}

fn status(ui: &Ui, app: &App) -> Result<(), CommandError> {
    let mut listing = Listing::new(COLUMNS);
    match open()? {
        None => ui.say("reference-absent", [("path", file()?.to_string())]),
        Some(reference) => {
            ui.say("reference-present", [("path", file()?.to_string())]);
            for package in reference.summary()? {
                listing.push([
                    Cell::Text(package.name),
                    Cell::Text(package.version),
                    Cell::Text(package.date),
                    Cell::Text(package.licence),
                    Cell::Count(package.rows),
                ]);
            }
        }
    }
    listing.write(app.format_or(Format::Table), &mut ui.data())
}

/// The file's path, its folder made.
fn make_room() -> Result<Utf8PathBuf, CommandError> {
    let file = file()?;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|source| CommandError::new(format!("cannot make {folder}")).because(&source))?;
    }
    Ok(file)
}

fn build(ui: &Ui, from: &Utf8PathBuf) -> Result<(), CommandError> {
    let file = make_room()?;
    let meter = ui.meter(Unit::Bytes(0));
    let packages = reference::build_from(from.as_std_path(), file.as_std_path(), &meter);
    meter.clear();
    let packages = match packages {
        Err(error @ ReferenceError::Cancelled) => return Err(CommandError::interrupted(error.to_string())),
        other => other?,
    };
    for package in packages {
        ui.say(
            "reference-built",
            [("name", package.name), ("version", package.version), ("rows", grouped(package.rows))],
        );
    }
    Ok(())
}
