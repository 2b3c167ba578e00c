//! `matagi rules`

use std::io::{self, IsTerminal, Write};

use camino::{Utf8Path, Utf8PathBuf};
use matagi_detect::hunts::{HuntError, HuntSet};
use matagi_detect::sigma::RuleSet;
use matagi_detect::{Content, Refused};
use matagi_model::Severity;
use serde_json::json;

use crate::Outcome;
use crate::app::App;
use crate::cli::Format;
use crate::error::CommandError;
use crate::output::{Cell, Kind, Listing};
use crate::ui::Ui;

/// Check a folder of Sigma rules and SQL hunts, or list everything that a hunt runs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi rules check my-rules/ --format json\n  \
    matagi rules list --format csv")]
pub(crate) struct Rules {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Load the Sigma rules and SQL hunts of a folder and say which are refused, and why
    ///
    /// What is refused is left out of a hunt; everything else runs.
    Check {
        /// Folder of Sigma rules (*.yml, *.yaml) and SQL hunts (*.sql), or one rule
        #[arg(value_name = "DIR")]
        dir: Utf8PathBuf,
        /// Exit 2 when a rule is refused
        #[arg(long)]
        strict: bool,
    },
    /// List analytics, Sigma rules and SQL hunts with their catalogue ids and techniques
    List {
        /// Also the rules of this folder
        #[arg(long, value_name = "DIR")]
        rules: Option<Utf8PathBuf>,
        /// At most so many rows
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
    },
}

pub(crate) fn run(ui: &Ui, app: &App, args: &Rules) -> Result<Outcome, CommandError> {
    match &args.action {
        Action::Check { dir, strict } => check(ui, app, dir, *strict),
        Action::List { rules, limit } => list(ui, app, rules.as_deref(), limit.unwrap_or(usize::MAX)),
    }
}

/// Content of this hunt: the built-in and, where asked for, a folder of the user's; refused rules are said.
pub(crate) fn content(ui: &Ui, dir: Option<&Utf8Path>) -> Result<Content, CommandError> {
    let Some(dir) = dir else { return Ok(Content::builtin()) };
    if !dir.exists() {
        return Err(
            CommandError::new(format!("there is no folder {dir}")).hint("--rules takes a folder of Sigma rules")
        );
    }
    let (mut content, refused) = Content::with_rules(dir.as_std_path());
    let (hunts, wrong) = hunts_of(dir);
    content.hunts.merge(hunts);
    for rule in refused.into_iter().chain(wrong.iter().map(refused_hunt)) {
        ui.warn("rule-refused", [("path", rule.path), ("id", rule.id.unwrap_or_default()), ("reason", rule.reason)]);
    }
    Ok(content)
}

/// SQL hunts of a folder; a single file is a Sigma rule.
fn hunts_of(dir: &Utf8Path) -> (HuntSet, Vec<HuntError>) {
    if dir.is_dir() { HuntSet::load(dir.as_std_path()) } else { (HuntSet::default(), Vec::new()) }
}

/// A hunt that cannot be used, told like a rule that cannot be used.
fn refused_hunt(error: &HuntError) -> Refused {
    let (path, reason) = match error {
        HuntError::Head { path, line, message, .. } => (path.clone(), format!("line {line}: {message}")),
        HuntError::Read { path, why } => (path.clone(), why.clone()),
        other => (String::new(), other.to_string()),
    };
    Refused { path, id: None, reason }
}

/// The head of a hunt with a caret under what is wrong.
fn show_place(error: &HuntError) {
    if let HuntError::Head { path, text, offset, message, .. } = error {
        let shown = CommandError::new(error.to_string()).at(path, text, *offset, 1, message);
        shown.print(&mut io::stderr(), io::stderr().is_terminal());
    }
}

const REFUSED_COLUMNS: &[(&str, Kind)] = &[("path", Kind::Text), ("id", Kind::Text), ("reason", Kind::Text)];

fn check(ui: &Ui, app: &App, dir: &Utf8Path, strict: bool) -> Result<Outcome, CommandError> {
    if !dir.exists() {
        return Err(CommandError::new(format!("there is no file or folder {dir}")));
    }
    let (rules, mut refused) = RuleSet::load(dir.as_std_path());
    let (hunts, wrong) = hunts_of(dir);
    refused.extend(wrong.iter().map(refused_hunt));
    let loaded = rules.len() + hunts.hunts().count();
    let outcome = if strict && !refused.is_empty() { Outcome::Failed } else { Outcome::Ran };
    let counts = [("loaded", loaded.to_string()), ("refused", refused.len().to_string())];
    let mut out = ui.data();
    match app.format_or(Format::Text) {
        Format::Json => {
            let document = json!({ "loaded": loaded, "refused": refused });
            writeln!(out, "{}", serde_json::to_string_pretty(&document).expect("plain data serialises"))?;
            out.flush()?;
        }
        format => {
            wrong.iter().for_each(show_place);
            let mut listing = Listing::new(REFUSED_COLUMNS);
            for rule in refused {
                listing.push([Cell::Text(rule.path), rule.id.into(), Cell::Text(rule.reason)]);
            }
            if format != Format::Text || !listing.is_empty() {
                listing.write(format, &mut out)?;
            }
        }
    }
    ui.say("rules-checked", counts);
    Ok(outcome)
}

const CONTENT_COLUMNS: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("kind", Kind::Text),
    ("severity", Kind::Text),
    ("catalogue", Kind::Text),
    ("techniques", Kind::Text),
    ("title", Kind::Text),
];

fn list(ui: &Ui, app: &App, rules: Option<&Utf8Path>, limit: usize) -> Result<Outcome, CommandError> {
    let lang = ui.lang().code();
    let content = content(ui, rules)?;
    let mut rows: Vec<[Cell; 6]> = Vec::new();
    let mut add = |id: String,
                   kind: &str,
                   severity: Option<Severity>,
                   catalogue: String,
                   techniques: String,
                   title: &str| {
        let severity = severity.map_or(Cell::Empty, |severity| severity.word().into());
        rows.push([Cell::Text(id), kind.into(), severity, Cell::Text(catalogue), Cell::Text(techniques), title.into()]);
    };
    for meta in matagi_detect::analytics().map(matagi_model::Analytic::meta) {
        add(
            meta.id.to_owned(),
            "analytic",
            None,
            meta.catalogue.join(" "),
            meta.attack.join(" "),
            meta.question.get(lang),
        );
    }
    for hunt in content.hunts.hunts() {
        add(
            hunt.id.clone(),
            "hunt",
            Some(hunt.severity),
            hunt.catalogue.join(" "),
            hunt.attack.join(" "),
            hunt.question.get(lang),
        );
    }
    for rule in content.rules.rules() {
        add(
            rule.analytic(),
            "sigma",
            Some(rule.level),
            rule.catalogue.join(" "),
            rule.techniques.join(" "),
            rule.title.get(lang),
        );
    }
    let mut listing = Listing::new(CONTENT_COLUMNS);
    rows.into_iter().take(limit).for_each(|row| listing.push(row));
    listing.write(app.format_or(Format::Table), &mut ui.data())?;
    Ok(Outcome::Ran)
}
