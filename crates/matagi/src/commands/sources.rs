//! `matagi sources`

use std::io::Write;

use clap::ValueEnum;
use matagi_lake::{Lake, SourceSummary};
use serde_json::{Value, json};

use crate::Outcome;
use crate::app::App;
use crate::cli::{Format, Range};
use crate::error::CommandError;
use crate::output::{Cell, Kind, Listing};
use crate::ui::Ui;

/// List the formats that can be read and, with a lake, what was read
///
/// As text or JSON both; `formats` or `inputs` lists one of them, in every format.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi sources formats\n  \
    matagi sources inputs --since 30d --format csv")]
pub(crate) struct Sources {
    /// Which list [default: formats, and inputs where there is a lake]
    #[arg(value_name = "LIST")]
    list: Option<Which>,
    #[command(flatten)]
    range: Range,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Formats that can be read
    Formats,
    /// Inputs that the lake has seen
    Inputs,
}

const FORMAT_COLUMNS: &[(&str, Kind)] =
    &[("format", Kind::Text), ("title", Kind::Text), ("tables", Kind::Text), ("obtained_with", Kind::Text)];

const INPUT_COLUMNS: &[(&str, Kind)] = &[
    ("input", Kind::Count),
    ("path", Kind::Text),
    ("format", Kind::Text),
    ("status", Kind::Text),
    ("rows", Kind::Count),
    ("duplicates", Kind::Count),
    ("rejected", Kind::Count),
    ("first_time", Kind::Time),
    ("last_time", Kind::Time),
    ("detail", Kind::Text),
];

pub(crate) fn run(ui: &Ui, app: &App, args: &Sources) -> Result<Outcome, CommandError> {
    let format = app.format_or(Format::Text);
    let mut out = ui.data();
    match args.list {
        Some(Which::Formats) => formats(ui, args.range.limit()).write(format, &mut out)?,
        Some(Which::Inputs) => {
            inputs(app, &args.range, Lake::open(app.need_lake_dir()?)?.sources()?).write(format, &mut out)?;
        }
        None => {
            let read = match app.lake_dir().filter(|dir| dir.exists()) {
                Some(dir) => Some(Lake::open(dir)?.sources()?),
                None => None,
            };
            match format {
                Format::Json => {
                    let parts = [
                        ("formats", Some(formats(ui, usize::MAX))),
                        ("inputs", read.map(|read| inputs(app, &args.range, read))),
                    ];
                    let mut document = serde_json::Map::new();
                    for (name, listing) in parts {
                        let mut bytes = Vec::new();
                        let Some(listing) = listing else { continue };
                        listing.write(Format::Json, &mut bytes)?;
                        let list: Value = serde_json::from_slice(&bytes).expect("a list was just written as JSON");
                        document.insert(name.to_owned(), list);
                    }
                    writeln!(out, "{:#}", json!(document))?;
                }
                Format::Text => {
                    formats(ui, usize::MAX).write(format, &mut out)?;
                    if let Some(read) = read {
                        writeln!(out)?;
                        inputs(app, &args.range, read).write(format, &mut out)?;
                    }
                }
                _ => formats(ui, args.range.limit()).write(format, &mut out)?,
            }
        }
    }
    out.flush()?;
    Ok(Outcome::Ran)
}

fn formats(ui: &Ui, limit: usize) -> Listing {
    let mut listing = Listing::new(FORMAT_COLUMNS);
    for meta in matagi_sources::ALL.iter().take(limit).map(|source| source.meta()) {
        let tables: Vec<&str> = meta.tables.iter().map(|table| table.name()).collect();
        listing.push([
            meta.name.into(),
            meta.title.get(ui.lang().code()).into(),
            Cell::Text(tables.join(" ")),
            meta.obtained_with.into(),
        ]);
    }
    listing
}

fn inputs(app: &App, range: &Range, sources: Vec<SourceSummary>) -> Listing {
    let mut listing = Listing::new(INPUT_COLUMNS);
    let wanted = sources.into_iter().filter(|source| range.holds(source.first_time, source.last_time, app.now));
    for source in wanted.take(range.limit()) {
        listing.push([
            Cell::Count(source.id),
            Cell::Text(source.path),
            source.format.into(),
            Cell::Text(source.status),
            Cell::Count(source.rows),
            Cell::Count(source.duplicates),
            Cell::Count(source.rejected),
            Cell::Time(source.first_time),
            Cell::Time(source.last_time),
            source.detail.into(),
        ]);
    }
    listing
}
