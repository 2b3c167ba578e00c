//! `matagi incidents`

use matagi_model::Severity;
use matagi_report::HuntDocument;

use crate::Outcome;
use crate::app::App;
use crate::cli::{Format, Range};
use crate::error::CommandError;
use crate::last_hunt;
use crate::output::{Cell, Kind, Listing};
use crate::ui::Ui;

/// List the incidents of the last hunt, highest score first
///
/// With a lake, the last hunt over that lake; without one, the last `matagi hunt PATH...` of this user. `--findings`
/// lists the findings instead, those that belong to no incident included.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi incidents --since 30d\n  \
    matagi incidents --findings --severity high --format csv > findings.csv")]
pub(crate) struct Incidents {
    /// List findings instead of incidents
    #[arg(long)]
    findings: bool,
    /// Only these and worse: informational, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY", default_value = "informational")]
    severity: Severity,
    #[command(flatten)]
    range: Range,
}

pub(crate) fn run(ui: &Ui, app: &App, args: &Incidents) -> Result<Outcome, CommandError> {
    let document = last_hunt::load(app)?;
    let listing = if args.findings {
        findings(&document, app, &args.range, args.severity)
    } else {
        incidents(&document, app, &args.range, args.severity)
    };
    listing.write(app.format_or(Format::Table), &mut ui.data())?;
    Ok(Outcome::Ran)
}

const INCIDENT_COLUMNS: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("severity", Kind::Text),
    ("score", Kind::Number),
    ("first_time", Kind::Time),
    ("last_time", Kind::Time),
    ("findings", Kind::Count),
    ("title", Kind::Text),
];

fn incidents(document: &HuntDocument, app: &App, range: &Range, severity: Severity) -> Listing {
    let mut listing = Listing::new(INCIDENT_COLUMNS);
    let wanted = document.incidents.iter().filter(|incident| {
        incident.severity >= severity && range.holds(incident.first_time, incident.last_time, app.now)
    });
    for incident in wanted.take(range.limit()) {
        listing.push([
            incident.id.as_str().into(),
            incident.severity.word().into(),
            Cell::Number(incident.score),
            Cell::Time(incident.first_time),
            Cell::Time(incident.last_time),
            Cell::Count(incident.findings.len() as u64),
            incident.title.as_str().into(),
        ]);
    }
    listing
}

const FINDING_COLUMNS: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("severity", Kind::Text),
    ("confidence", Kind::Number),
    ("first_time", Kind::Time),
    ("last_time", Kind::Time),
    ("analytic", Kind::Text),
    ("catalogue", Kind::Text),
    ("techniques", Kind::Text),
    ("entities", Kind::Text),
    ("records", Kind::Count),
    ("title", Kind::Text),
];

/// Findings as a list; `matagi hunt --format csv` prints it too.
pub(crate) fn findings(document: &HuntDocument, app: &App, range: &Range, severity: Severity) -> Listing {
    let mut listing = Listing::new(FINDING_COLUMNS);
    let wanted = document
        .findings
        .iter()
        .filter(|finding| finding.severity >= severity && range.holds(finding.first_time, finding.last_time, app.now));
    for finding in wanted.take(range.limit()) {
        let entities: Vec<String> =
            finding.entities.iter().map(|entity| format!("{}:{}", entity.kind.word(), entity.value)).collect();
        listing.push([
            finding.id.as_str().into(),
            finding.severity.word().into(),
            Cell::Number(finding.confidence),
            Cell::Time(finding.first_time),
            Cell::Time(finding.last_time),
            finding.analytic.as_str().into(),
            Cell::Text(finding.catalogue.join(" ")),
            Cell::Text(finding.techniques.join(" ")),
            Cell::Text(entities.join(" ")),
            Cell::Count(finding.evidence_count),
            finding.title.as_str().into(),
        ]);
    }
    listing
}
