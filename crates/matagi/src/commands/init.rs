//! `matagi init`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use camino::Utf8PathBuf;
use matagi_detect::Content;
use matagi_lake::Lake;

use crate::Outcome;
use crate::app::App;
use crate::config::{self, FILE_NAME};
use crate::error::CommandError;
use crate::ui::Ui;

/// Make a lake here, and a commented matagi.toml
///
/// The lake is made in `lake` below DIR. matagi.toml names every key with its default and the reason for it. Neither an
/// existing lake nor an existing matagi.toml is touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi init\n  \
    matagi init /srv/hunts/2024-05")]
pub(crate) struct Init {
    /// Folder to work in; it is made when it does not exist
    #[arg(value_name = "DIR", default_value = ".")]
    dir: Utf8PathBuf,
}

/// The commented configuration, with the lake that was asked for.
fn template(app: &App) -> String {
    let template = config::template(&config::tunables(&Content::builtin()));
    match &app.globals.lake {
        Some(lake) => template.replacen("lake = \"lake\"", &format!("lake = {}", toml::Value::from(lake.as_str())), 1),
        None => template,
    }
}

pub(crate) fn run(ui: &Ui, app: &App, args: &Init) -> Result<Outcome, CommandError> {
    let cannot_write = |what: &Utf8PathBuf, source: &std::io::Error| {
        CommandError::new(format!("cannot write {what}"))
            .because(source)
            .or_hint("choose a folder that you may write to")
    };
    std::fs::create_dir_all(&args.dir).map_err(|source| cannot_write(&args.dir, &source))?;
    let file = args.dir.join(FILE_NAME);
    match OpenOptions::new().write(true).create_new(true).open(&file) {
        Ok(mut to) => {
            to.write_all(template(app).as_bytes()).map_err(|source| cannot_write(&file, &source))?;
            ui.say("wrote", [("path", file.to_string())]);
        }
        Err(source) if source.kind() == ErrorKind::AlreadyExists => ui.say("kept", [("path", file.to_string())]),
        Err(source) => return Err(cannot_write(&file, &source)),
    }
    let lake = app.globals.lake.clone().unwrap_or_else(|| args.dir.join("lake"));
    let existed = lake.join("catalog.db").exists();
    Lake::open_or_create(&lake)?;
    ui.say(if existed { "lake-kept" } else { "lake-made" }, [("path", lake.to_string())]);
    ui.say("init-next", []);
    Ok(Outcome::Ran)
}
