//! `matagi ingest`

use camino::Utf8PathBuf;
use matagi_lake::Lake;

use crate::Outcome;
use crate::app::App;
use crate::error::CommandError;
use crate::evidence::{self, Reading};
use crate::ui::Ui;

/// Read files, folders, archives or standard input into the lake
///
/// The format is recognised from the content; `--as` overrides it. zip, gz, zst and 7z are opened on the way. Reading the
/// same evidence twice adds nothing. Exit status 2 when no input could be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi ingest ual-2024-05.csv signins/ export.zip\n  \
    zstd -dc audit.jsonl.zst | matagi ingest --as m365-audit -")]
pub(crate) struct Ingest {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
}

/// What to read, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Inputs {
    /// Files, folders or archives; `-` is standard input
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<Utf8PathBuf>,
    /// Take every input as this format (see `matagi sources formats`)
    #[arg(id = "as", long = "as", value_name = "FORMAT", requires = "paths")]
    pub(crate) source_format: Option<String>,
    /// Exit 2 when any input could not be read to its end
    #[arg(long)]
    pub(crate) strict: bool,
}

pub(crate) fn run(ui: &Ui, app: &App, args: &Ingest) -> Result<Outcome, CommandError> {
    if args.inputs.paths.is_empty() {
        return Err(CommandError::new("nothing to read").hint("matagi ingest PATH... ; `-` is standard input"));
    }
    evidence::check(&args.inputs)?;
    let lake = Lake::open_or_create(app.need_lake_dir()?)?;
    let reading = evidence::read(ui, &lake, &args.inputs, true)?;
    Ok(ended(&reading, &args.inputs))
}

/// How reading ended, as an exit status.
pub(crate) const fn ended(reading: &Reading, inputs: &Inputs) -> Outcome {
    if reading.inputs_read == 0 || (inputs.strict && reading.inputs_unread > 0) {
        Outcome::Failed
    } else {
        Outcome::Ran
    }
}
