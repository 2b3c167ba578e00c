//! `matagi explain`

use std::io::Write;

use crate::Outcome;
use crate::app::App;
use crate::cli::Format;
use crate::error::CommandError;
use crate::last_hunt;
use crate::ui::Ui;

/// Explain a finding or incident of the last hunt: reasons, arithmetic, records
///
/// Takes the ids that `matagi hunt` and `matagi incidents` print. `--format json` prints the finding or incident as it
/// stands in the hunt's document.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi explain I-3f2a9c01d4\n  \
    matagi explain F-81be02c77a --lang ja")]
pub(crate) struct Explain {
    /// Id of a finding (F-...) or incident (I-...)
    #[arg(value_name = "ID")]
    id: String,
}

pub(crate) fn run(ui: &Ui, app: &App, args: &Explain) -> Result<Outcome, CommandError> {
    let document = last_hunt::load(app)?;
    let unknown = || {
        CommandError::new(format!("the last hunt has no `{}`", args.id)).hint("`matagi incidents` lists what it found")
    };
    let mut out = ui.data();
    match app.format_or(Format::Text) {
        Format::Text => {
            let text = matagi_report::terminal::explain(
                &document,
                &args.id,
                ui.lang().code(),
                Ui::width(),
                Ui::is_colourful(),
            )
            .ok_or_else(unknown)?;
            write!(out, "{text}")?;
        }
        Format::Json => {
            let json = document.incident(&args.id).map(serde_json::to_string_pretty);
            let json =
                json.or_else(|| document.finding(&args.id).map(serde_json::to_string_pretty)).ok_or_else(unknown)?;
            writeln!(out, "{}", json.expect("plain data serialises"))?;
        }
        _ => return Err(CommandError::new("an explanation is no list").hint("take --format text or json")),
    }
    out.flush()?;
    Ok(Outcome::Ran)
}
