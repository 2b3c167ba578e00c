//! `matagi hunt`

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use matagi_detect::{DetectError, Detection};
use matagi_lake::Lake;
use matagi_lake::reference::Reference;
use matagi_model::{AddressBook, AddressFacts, EntityKind, Finding, Ip, NoAddressBook, Severity};
use matagi_report::{HuntDocument, HuntInput};

use crate::Outcome;
use crate::app::App;
use crate::cli::{Format, Range};
use crate::commands::incidents;
use crate::commands::ingest::{self, Inputs};
use crate::commands::{reference, rules};
use crate::config::Lang;
use crate::error::{CommandError, from_library};
use crate::evidence;
use crate::last_hunt::{self, Told};
use crate::progress::Unit;
use crate::ui::{Ui, grouped};

from_library!(DetectError);

/// Read evidence, detect, correlate, print the incidents
///
/// With a lake (--lake, MATAGI_LAKE or matagi.toml) the paths are read into it and the hunt covers all of it. Without one
/// a temporary lake is used and removed, so that two hunts never mix evidence. Either way `matagi incidents`, `explain`
/// and `report` work afterwards. `--format json` prints one document of the schema matagi.hunt/1; csv, table and parquet
/// list the findings.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi hunt exports/ --report hunt.html\n  \
    matagi hunt audit.csv signins.json --rules my-rules/ --format json --fail-on high > hunt.json")]
pub(crate) struct Hunt {
    #[command(flatten)]
    inputs: Inputs,
    /// Also run the Sigma rules and SQL hunts of this folder
    #[arg(long, value_name = "DIR")]
    rules: Option<Utf8PathBuf>,
    /// Also write one self-contained HTML page
    #[arg(long, value_name = "FILE.html")]
    report: Option<Utf8PathBuf>,
    /// Exit 1 when a finding is this bad or worse: informational, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
    #[command(flatten)]
    range: Range,
}

pub(crate) fn run(ui: &Ui, app: &App, args: &Hunt) -> Result<Outcome, CommandError> {
    let content = rules::content(ui, args.rules.as_deref())?;
    evidence::check(&args.inputs)?;
    let lake_dir = app.lake_dir();
    let lake = open(lake_dir.as_deref(), !args.inputs.paths.is_empty())?;
    let mut outcome = Outcome::Ran;
    if !args.inputs.paths.is_empty() {
        outcome = ingest::ended(&evidence::read(ui, &lake, &args.inputs, lake_dir.is_some())?, &args.inputs);
    }
    let reference = usable_reference(ui);
    let detection = detect(ui, app, &lake, &content, reference.as_ref(), lake_dir.as_deref())?;
    for failure in &detection.failures {
        ui.warn("content-failed", [("what", failure.clone())]);
    }
    let mut told = tell(&lake, &content, &detection, reference.as_deref())?;
    keep(ui, app, &lake, lake_dir.is_some(), &told)?;

    for document in [&mut told.en, &mut told.ja] {
        restrict(document, &args.range, app);
    }
    let document = told.get(ui.lang());
    if let Some(path) = &args.report {
        let page = matagi_report::html::page(document, ui.lang().code(), app.now);
        last_hunt::write_file(path, page.as_bytes())?;
    }
    print(ui, app, document, args)?;
    ui.say(
        "hunt-done",
        [("incidents", document.incidents.len().to_string()), ("findings", document.findings.len().to_string())],
    );
    if let Some(path) = &args.report {
        ui.say("report-written", [("path", path.to_string())]);
    }
    Ok(if outcome == Outcome::Ran && is_bad(document, args.fail_on) { Outcome::Found } else { outcome })
}

/// The lake to hunt in: the named one (made when there is something to read into it), else one for this hunt alone.
fn open(dir: Option<&Utf8Path>, has_paths: bool) -> Result<Lake, CommandError> {
    Ok(match (dir, has_paths) {
        (Some(dir), true) => Lake::open_or_create(dir)?,
        (Some(dir), false) => Lake::open(dir)?,
        (None, true) => Lake::temporary()?,
        (None, false) => {
            return Err(CommandError::new("nothing to hunt in")
                .hint("matagi hunt PATH... reads evidence and hunts in it; --lake DIR hunts in a lake"));
        }
    })
}

/// Reference data, if there is any that can be used: its absence dims a hunt and never ends it.
fn usable_reference(ui: &Ui) -> Option<Arc<Reference>> {
    match reference::open() {
        Ok(Some(reference)) => Some(Arc::new(reference)),
        Ok(None) => {
            ui.say("hunt-no-reference", []);
            None
        }
        Err(error) => {
            ui.warn("content-failed", [("what", error.in_one_line())]);
            None
        }
    }
}

fn detect(
    ui: &Ui,
    app: &App,
    lake: &Lake,
    content: &matagi_detect::Content,
    reference: Option<&Arc<Reference>>,
    lake_dir: Option<&Utf8Path>,
) -> Result<Detection, CommandError> {
    let rows = lake.tables()?.iter().map(|table| table.rows).sum();
    let place = lake_dir.map_or_else(|| ui.text("hunt-temporary", []), Utf8Path::to_string);
    ui.say("hunt-rows", [("rows", grouped(rows)), ("lake", place)]);
    let addresses: Arc<dyn AddressBook> = match reference {
        Some(reference) => Arc::<Reference>::clone(reference),
        None => Arc::new(NoAddressBook),
    };
    let meter = ui.meter(Unit::Rows(rows));
    let detected = matagi_detect::hunt(lake, content, app.config.settings.clone(), addresses, &meter);
    meter.clear();
    if crate::progress::is_interrupted() {
        return Err(CommandError::interrupted(
            "the hunt was stopped; the evidence that was read is kept in the lake, if one is named",
        ));
    }
    Ok(detected?)
}

/// The document in both languages.
fn tell(
    lake: &Lake,
    content: &matagi_detect::Content,
    detection: &Detection,
    reference: Option<&Reference>,
) -> Result<Told, CommandError> {
    let mut book = matagi_report::phrasebook();
    book.extend(matagi_detect::phrasebook(content));
    let hunt = matagi_report::Hunt {
        inputs: lake.sources()?.into_iter().map(evidence::hunt_input).collect::<Vec<HuntInput>>(),
        findings: &detection.findings,
        incidents: &detection.incidents,
        coverage: &detection.coverage,
        notes: lake.notes()?.into_iter().map(|note| (note.path, note.note)).collect(),
        reference: match reference {
            Some(reference) => packages(reference)?,
            None => Vec::new(),
        },
        address_facts: address_facts(&detection.findings, reference),
    };
    let [en, ja] = Lang::ALL.map(|lang| matagi_report::document(&hunt, &book, lang.code()));
    Ok(Told { en, ja })
}

fn packages(reference: &Reference) -> Result<Vec<String>, CommandError> {
    let packages = reference.summary()?.into_iter();
    Ok(packages
        .map(|package| format!("{} {} ({}), {}", package.name, package.version, package.date, package.licence))
        .collect())
}

/// What is known about every address that a finding names.
fn address_facts(findings: &[Finding], reference: Option<&Reference>) -> BTreeMap<String, AddressFacts> {
    let Some(reference) = reference else { return BTreeMap::new() };
    let named: BTreeSet<&str> = findings.iter().flat_map(|finding| finding.values(EntityKind::Ip)).collect();
    named
        .into_iter()
        .filter_map(|text| {
            let address: std::net::IpAddr = text.parse().ok()?;
            Some((text.to_owned(), reference.facts(Ip::from(address))))
        })
        .filter(|(_, facts)| *facts != AddressFacts::default())
        .collect()
}

/// Keeps the result for `incidents`, `explain` and `report`. A home that cannot be written costs those, not the hunt.
fn keep(ui: &Ui, app: &App, lake: &Lake, has_own_lake: bool, told: &Told) -> Result<(), CommandError> {
    if has_own_lake {
        let (en, ja) = (told.en.to_json(), told.ja.to_json());
        lake.save_hunt(app.now, &[("en", &en), ("ja", &ja)])?;
    } else if let Err(error) = last_hunt::save_for_user(told) {
        ui.warn("hunt-not-kept", [("what", error.in_one_line())]);
    }
    Ok(())
}

/// Leaves the incidents of the wanted time, and the findings of that time or of those incidents.
fn restrict(document: &mut HuntDocument, range: &Range, app: &App) {
    document.incidents.retain(|incident| range.holds(incident.first_time, incident.last_time, app.now));
    document.incidents.truncate(range.limit());
    let told: BTreeSet<&String> = document.incidents.iter().flat_map(|incident| &incident.findings).collect();
    document
        .findings
        .retain(|finding| told.contains(&finding.id) || range.holds(finding.first_time, finding.last_time, app.now));
}

fn print(ui: &Ui, app: &App, document: &HuntDocument, args: &Hunt) -> Result<(), CommandError> {
    let mut out = ui.data();
    match app.format_or(Format::Text) {
        Format::Json => writeln!(out, "{}", document.to_json().trim_end())?,
        Format::Text => {
            let text = matagi_report::terminal::text(document, ui.lang().code(), Ui::width(), Ui::is_colourful());
            write!(out, "{text}")?;
        }
        format => incidents::findings(document, app, &args.range, Severity::Informational).write(format, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

fn is_bad(document: &HuntDocument, fail_on: Option<Severity>) -> bool {
    let worst_finding = document.findings.iter().map(|finding| finding.severity).max();
    let worst_incident = document.incidents.iter().map(|incident| incident.severity).max();
    fail_on.is_some_and(|limit| worst_finding.max(worst_incident).is_some_and(|worst| worst >= limit))
}
