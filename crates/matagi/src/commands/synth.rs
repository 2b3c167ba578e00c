//! `matagi synth`

use std::fs;
use std::io::Write;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::Date;
use matagi_synth::{Plan, SynthError, TakeoverChoice, TakeoverKind, Truth};

use crate::Outcome;
use crate::app::App;
use crate::cli::Format;
use crate::error::{CommandError, from_library};
use crate::progress::Unit;
use crate::ui::{Ui, grouped};

from_library!(SynthError);

/// Write the evidence of a fictional company, with the truth about what is in it
///
/// The same numbers give byte-identical files. The evidence goes to OUT/evidence, the truth to OUT/truth.json.
/// `synth score` holds the result of a hunt against that truth.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
    matagi synth --out sample && matagi hunt sample/evidence --format json > hunt.json\n  \
    matagi synth score sample/truth.json hunt.json"
)]
pub(crate) struct Synth {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    plan: PlanArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Hold the JSON document of a hunt against the truth
    Score {
        /// Truth file that `matagi synth` wrote
        #[arg(value_name = "TRUTH")]
        truth: Utf8PathBuf,
        /// What `matagi hunt --format json` printed
        #[arg(value_name = "HUNT.json")]
        hunt: Utf8PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct PlanArgs {
    /// Seed of every random choice
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// People at the company
    #[arg(long, value_name = "N", default_value_t = Plan::default().users)]
    users: u32,
    /// Days of evidence
    #[arg(long, value_name = "N", default_value_t = Plan::default().days)]
    days: u32,
    /// First day
    #[arg(long, value_name = "DATE", default_value_t = Plan::default().start)]
    start: Date,
    /// Takeover to plant, once a victim: spray-and-rules, aitm-token, consent-only, device-code, bec-inside,
    /// token-theft, throttled-audit, or all for one of each
    #[arg(long = "takeover", value_name = "KIND", default_value = TakeoverKind::SprayAndRules.word())]
    takeovers: Vec<TakeoverChoice>,
    /// Approximate size of the whole export, megabytes; more ordinary activity is written until it is reached
    #[arg(long, value_name = "MB")]
    size_mb: Option<u64>,
    /// Folder to write to; it is made when it does not exist
    #[arg(long, value_name = "DIR", default_value = "matagi-synth")]
    out: Utf8PathBuf,
}

/// Bytes of a megabyte of `--size-mb`.
const MEGABYTE: u64 = 1_000_000;

pub(crate) fn run(ui: &Ui, app: &App, args: &Synth) -> Result<Outcome, CommandError> {
    match &args.action {
        Some(Action::Score { truth, hunt }) => score(ui, app, truth, hunt),
        None => write(ui, &args.plan),
    }
}

fn write(ui: &Ui, args: &PlanArgs) -> Result<Outcome, CommandError> {
    let plan = Plan {
        seed: args.seed,
        users: args.users,
        days: args.days,
        start: args.start,
        takeovers: args.takeovers.iter().flat_map(|choice| &choice.0).copied().collect(),
        pad_bytes: args.size_mb.map(|megabytes| megabytes.saturating_mul(MEGABYTE)),
    };
    let meter = ui.meter(Unit::Bytes(plan.pad_bytes.unwrap_or(0)));
    let written = matagi_synth::write(&plan, args.out.as_std_path(), &meter);
    meter.clear();
    let summary = match written {
        Err(SynthError::Cancelled) => {
            return Err(CommandError::interrupted("what was written so far is incomplete")
                .hint("the same command writes it again, from the beginning"));
        }
        other => other?,
    };
    for file in &summary.files {
        ui.say(
            "synth-file",
            [("name", file.name.to_owned()), ("records", grouped(file.records)), ("bytes", grouped(file.bytes))],
        );
    }
    ui.say(
        "synth-done",
        [
            ("takeovers", summary.takeovers.to_string()),
            ("steps", summary.steps.to_string()),
            ("twins", summary.twins.to_string()),
            ("truth", summary.truth.display().to_string()),
        ],
    );
    let mut out = ui.data();
    writeln!(out, "{}", summary.evidence.display())?;
    out.flush()?;
    Ok(Outcome::Ran)
}

/// Largest truth or hunt document, bytes.
const DOCUMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

fn read<T: serde::de::DeserializeOwned>(path: &Utf8Path) -> Result<T, CommandError> {
    let cannot_read = |source: &dyn std::error::Error| format!("{path}: {source}");
    let size_bytes =
        fs::metadata(path).map_err(|source| CommandError::new(format!("cannot read {path}")).because(&source))?.len();
    if size_bytes > DOCUMENT_BYTES_MAX {
        return Err(CommandError::new(format!("{path} is over the limit of {DOCUMENT_BYTES_MAX} bytes")));
    }
    let text =
        fs::read_to_string(path).map_err(|source| CommandError::new(format!("cannot read {path}")).because(&source))?;
    serde_json::from_str(&text).map_err(|source| {
        CommandError::new(cannot_read(&source))
            .hint("synth score takes truth.json and what `matagi hunt --format json` printed")
    })
}

fn score(ui: &Ui, app: &App, truth: &Utf8Path, hunt: &Utf8Path) -> Result<Outcome, CommandError> {
    let truth: Truth = read(truth)?;
    let hunt: serde_json::Value = read(hunt)?;
    let score = matagi_synth::score(&truth, &hunt);
    let mut out = ui.data();
    match app.format_or(Format::Text) {
        Format::Text => write!(out, "{}", score.text(ui.lang().code()))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&score).expect("plain data serialises"))?,
        _ => return Err(CommandError::new("a score is no list").hint("take --format text or json")),
    }
    out.flush()?;
    Ok(Outcome::Ran)
}
