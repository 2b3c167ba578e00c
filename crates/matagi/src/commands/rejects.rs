//! `matagi rejects`

use matagi_lake::{Lake, RejectedRecord};

use crate::Outcome;
use crate::app::App;
use crate::cli::{Format, Range};
use crate::error::CommandError;
use crate::output::{Cell, Kind, Listing};
use crate::ui::Ui;

/// List the records that were refused: file, record number, reason
///
/// A refused record is one that Matagi could not read; the rest of its file was read. `--since` and `--until` look at
/// the times of the file that holds it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi rejects --limit 20\n  \
    matagi rejects show 3 --format csv > rejects.csv")]
pub(crate) struct Rejects {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    range: Range,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Only those of one input
    Show {
        /// Number of the input, as `matagi ingest` and `matagi sources` print it
        #[arg(value_name = "N")]
        input: u64,
        #[command(flatten)]
        range: Range,
    },
}

const COLUMNS: &[(&str, Kind)] =
    &[("input", Kind::Count), ("path", Kind::Text), ("record", Kind::Count), ("reason", Kind::Text)];

pub(crate) fn run(ui: &Ui, app: &App, args: &Rejects) -> Result<Outcome, CommandError> {
    let lake = Lake::open(app.need_lake_dir()?)?;
    let (input, range) = match &args.action {
        Some(Action::Show { input, range }) => (Some(*input), range),
        None => (None, &args.range),
    };
    let sources = lake.sources()?;
    if let Some(input) = input.filter(|input| !sources.iter().any(|source| source.id == *input)) {
        return Err(
            CommandError::new(format!("the lake has no input {input}")).hint("`matagi sources inputs` lists them")
        );
    }
    let mut listing = Listing::new(COLUMNS);
    let mut left = range.limit();
    for source in sources.iter().filter(|source| input.is_none_or(|input| input == source.id) && source.rejected > 0) {
        if left == 0 || !range.holds(source.first_time, source.last_time, app.now) {
            continue;
        }
        for RejectedRecord { source, path, record, reason } in lake.rejects(Some(source.id), left)? {
            left = left.saturating_sub(1);
            listing.push([Cell::Count(source), Cell::Text(path), Cell::Count(record), Cell::Text(reason)]);
        }
    }
    listing.write(app.format_or(Format::Table), &mut ui.data())?;
    Ok(Outcome::Ran)
}
