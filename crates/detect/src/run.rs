//! One hunt: learn the organisation, read every table once, conclude, correlate.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use matagi_model::{
    AddressBook, Analytic, Context, Coverage, Estate, EventBatch, Evidence, Finding, Fold, Incident, Phrasebook,
    Progress, ScanError, Scanner, Settings, Table,
};

use crate::coverage::Survey;
use crate::sigma::RulePass;
use crate::{ALL, Content, FOLLOWING, base, correlate};

/// Why a hunt could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// The evidence cannot be read.
    #[error("cannot read the evidence")]
    Scan(#[from] ScanError),
    /// The user asked to stop.
    #[error("stopped")]
    Cancelled,
}

/// What a hunt concluded.
#[derive(Debug, Default)]
pub struct Detection {
    /// Findings, by time, then id.
    pub findings: Vec<Finding>,
    /// Incidents, worst first.
    pub incidents: Vec<Incident>,
    /// What the evidence can and cannot show.
    pub coverage: Vec<Coverage>,
    /// Content that could not run, as sentences; everything else did.
    pub failures: Vec<String>,
}

/// Runs all content over the evidence.
///
/// # Errors
/// When the evidence cannot be read or `progress` says stop. Content that fails is listed in [`Detection::failures`].
pub fn hunt(
    scanner: &dyn Scanner,
    content: &Content,
    settings: Settings,
    addresses: Arc<dyn AddressBook>,
    progress: &dyn Progress,
) -> Result<Detection, DetectError> {
    let settings = Arc::new(settings);
    // The SQL hunts ask the engine on their own; they need nothing of what the folds learn.
    let has_failed = AtomicBool::new(false);
    let is_over = || has_failed.load(Ordering::Relaxed) || progress.is_cancelled();
    let (folded, (hunted, failures)) = std::thread::scope(|threads| {
        let hunts = threads.spawn(|| content.hunts.run(scanner, &settings, &is_over));
        let folded = fold(scanner, content, &settings, addresses, progress);
        has_failed.store(folded.is_err(), Ordering::Relaxed);
        (folded, hunts.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (mut findings, mut context, survey) = folded?;
    if progress.is_cancelled() {
        return Err(DetectError::Cancelled);
    }
    findings.extend(hunted);
    context.suspects = Arc::new(base::suspects(&findings, &context));
    if !context.suspects.is_empty() {
        progress.stage("follow");
        findings.extend(read_tables(scanner, FOLLOWING, None, &context, progress)?);
    }
    for finding in &mut findings {
        weigh_importance(finding, &context.settings);
    }
    findings.sort_by_cached_key(|finding| (finding.first_time(), finding.id()));
    findings.dedup_by_key(|finding| finding.id());

    progress.stage("correlate");
    let mut incidents = correlate::incidents(&findings, &context);
    correlate::measure(&mut incidents, scanner, &context)?;
    let coverage = survey.assess(&context);
    Ok(Detection { findings, incidents, coverage, failures })
}

/// The folds of the first pass, after one look at everything: their findings, and what that look taught.
fn fold(
    scanner: &dyn Scanner,
    content: &Content,
    settings: &Arc<Settings>,
    addresses: Arc<dyn AddressBook>,
    progress: &dyn Progress,
) -> Result<(Vec<Finding>, Context, Survey), DetectError> {
    progress.stage("learn");
    let (estate, survey) = survey(scanner, settings, addresses.as_ref(), progress)?;
    let context =
        Context { estate: Arc::new(estate), addresses, settings: Arc::clone(settings), suspects: Arc::default() };
    progress.stage("detect");
    let findings = read_tables(scanner, ALL, Some(content), &context, progress)?;
    Ok((findings, context, survey))
}

/// What the organisation is like, and what the evidence is.
fn survey(
    scanner: &dyn Scanner,
    settings: &Settings,
    addresses: &dyn AddressBook,
    progress: &dyn Progress,
) -> Result<(Estate, Survey), ScanError> {
    let mut learner = base::Learner::new(addresses);
    let mut survey = Survey::default();
    for table in Table::ALL {
        let columns: BTreeSet<&str> = base::Learner::columns(table).into_iter().chain(Survey::columns(table)).collect();
        let columns: Vec<&str> = columns.into_iter().collect();
        scanner.scan(table, &columns, &mut |batch| {
            learner.batch(batch);
            survey.batch(batch);
            counted(batch, progress)
        })?;
    }
    Ok((learner.finish(settings), survey))
}

/// Tells how far the hunt is; an error when the user wants no more.
fn counted(batch: &EventBatch, progress: &dyn Progress) -> Result<(), ScanError> {
    progress.rows(batch.rows() as u64);
    if progress.is_cancelled() {
        return Err(ScanError { what: batch.table.name().to_owned(), source: "stopped by the user".into() });
    }
    Ok(())
}

/// One pass over each table feeds every analytic that asked for it, and the Sigma rules.
fn read_tables(
    scanner: &dyn Scanner,
    analytics: &[&dyn Analytic],
    content: Option<&Content>,
    context: &Context,
    progress: &dyn Progress,
) -> Result<Vec<Finding>, DetectError> {
    let mut folds: Vec<(&dyn Analytic, Box<dyn Fold>)> =
        analytics.iter().map(|&analytic| (analytic, analytic.start(context))).collect();
    let mut sigma = content.map(|content| content.rules.start(context));
    for table in Table::ALL {
        let mut columns: BTreeSet<&str> = sigma.as_ref().map(|rules| rules.columns(table)).unwrap_or_default();
        for scan in analytics.iter().flat_map(|analytic| analytic.meta().scans).filter(|scan| scan.table == table) {
            columns.extend(scan.columns);
            columns.extend(Evidence::COLUMNS);
        }
        if columns.is_empty() {
            continue;
        }
        let columns: Vec<&str> = columns.into_iter().collect();
        scanner.scan(table, &columns, &mut |batch| {
            for (analytic, fold) in &mut folds {
                if analytic.meta().scans.iter().any(|scan| scan.table == table) {
                    fold.batch(batch);
                }
            }
            if let Some(rules) = &mut sigma {
                rules.batch(batch);
            }
            counted(batch, progress)
        })?;
    }
    let mut findings: Vec<Finding> = folds.into_iter().flat_map(|(_, fold)| fold.finish()).collect();
    findings.extend(sigma.map(RulePass::finish).unwrap_or_default());
    Ok(findings)
}

/// What happens to an important user weighs one step more, and says so.
fn weigh_importance(finding: &mut Finding, settings: &Settings) {
    let important =
        settings.important_users.iter().find(|user| finding.entities().any(|(entity, _)| entity.value == **user));
    if let Some(user) = important {
        finding.severity = finding.severity.raised();
        finding.reasons.push(matagi_model::Reason::new("important-user", 1.0, [("user", user.clone())]));
    }
}

/// Every sentence that findings may need: of the analytics, the rules and the hunts. The report adds its own.
pub fn phrasebook(content: &Content) -> Phrasebook {
    let mut book = Phrasebook::default();
    for analytic in crate::analytics() {
        let meta = analytic.meta();
        book.insert(meta.id, "title", meta.title.clone());
        book.insert(meta.id, "question", meta.question.clone());
        for reason in meta.reasons {
            book.insert(meta.id, reason.code, reason.text.clone());
        }
    }
    for reason in base::REASONS {
        book.insert(Phrasebook::SHARED, reason.code, reason.text.clone());
    }
    content.texts(&mut book);
    book
}
