//! Matagi: evidence in, explained incident out, a human decides.

mod app;
mod cli;
mod config;
mod error;
mod evidence;
mod last_hunt;
mod output;
mod progress;
mod ui;

/// One file a verb.
mod commands {
    pub(crate) mod doctor;
    pub(crate) mod explain;
    pub(crate) mod hunt;
    pub(crate) mod incidents;
    pub(crate) mod ingest;
    pub(crate) mod init;
    pub(crate) mod query;
    pub(crate) mod reference;
    pub(crate) mod rejects;
    pub(crate) mod report;
    pub(crate) mod rules;
    pub(crate) mod serve;
    pub(crate) mod sources;
    pub(crate) mod synth;
}

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::cli::{Cli, Verb};
use crate::error::CommandError;
use crate::ui::Ui;

/// How a command that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Exit 0.
    Ran,
    /// Findings at or above `--fail-on`: exit 1.
    Found,
    /// Some of the work could not be done, and the user has read which: exit 2.
    Failed,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("MATAGI_LOG").unwrap_or_else(|_| EnvFilter::new("error")))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    progress::catch_interrupts();
    match run(cli) {
        Ok(Outcome::Ran) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Ok(Outcome::Failed) => ExitCode::from(2),
        Err(error) => {
            error.print(&mut io::stderr(), io::stderr().is_terminal());
            ExitCode::from(error.status())
        }
    }
}

fn run(cli: Cli) -> Result<Outcome, CommandError> {
    let app = App::load(cli.globals)?;
    let ui = Ui::new(app.lang(), app.globals.quiet, app.globals.no_progress);
    match cli.verb {
        Verb::Init(args) => commands::init::run(&ui, &app, &args),
        Verb::Ingest(args) => commands::ingest::run(&ui, &app, &args),
        Verb::Hunt(args) => commands::hunt::run(&ui, &app, &args),
        Verb::Incidents(args) => commands::incidents::run(&ui, &app, &args),
        Verb::Explain(args) => commands::explain::run(&ui, &app, &args),
        Verb::Query(args) => commands::query::run(&ui, &app, &args),
        Verb::Rejects(args) => commands::rejects::run(&ui, &app, &args),
        Verb::Sources(args) => commands::sources::run(&ui, &app, &args),
        Verb::Rules(args) => commands::rules::run(&ui, &app, &args),
        Verb::Reference(args) => commands::reference::run(&ui, &app, &args),
        Verb::Report(args) => commands::report::run(&ui, &app, &args),
        Verb::Serve(args) => commands::serve::run(&ui, &app, &args),
        Verb::Synth(args) => commands::synth::run(&ui, &app, &args),
        Verb::Doctor(args) => commands::doctor::run(&ui, &app, &args),
    }
}
