//! `matagi report`

use std::io::Write;

use camino::Utf8PathBuf;

use crate::Outcome;
use crate::app::App;
use crate::error::CommandError;
use crate::last_hunt;
use crate::ui::Ui;

/// Write the last hunt as one self-contained HTML page
///
/// The page needs no network and no other file. `--lang` chooses its language.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi report --out hunt.html\n  \
    matagi report --lang ja > report.ja.html")]
pub(crate) struct Report {
    /// File to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
}

pub(crate) fn run(ui: &Ui, app: &App, args: &Report) -> Result<Outcome, CommandError> {
    let document = last_hunt::load(app)?;
    let page = matagi_report::html::page(&document, ui.lang().code(), app.now);
    if let Some(path) = &args.out {
        last_hunt::write_file(path, page.as_bytes())?;
        ui.say("report-written", [("path", path.to_string())]);
    } else {
        let mut out = ui.data();
        out.write_all(page.as_bytes())?;
        out.flush()?;
    }
    Ok(Outcome::Ran)
}
