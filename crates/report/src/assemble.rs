//! From findings and incidents to the document of one language.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use matagi_model::text::fill;
use matagi_model::{
    AddressFacts, Coverage, CoverageState, Entity, EntityKind, Evidence, Exposure, Finding, Incident, Phrasebook,
    Reason, Role, Sentence, StageStep, Time,
};

use crate::document::{
    CoverageDocument, EntityDocument, EvidenceDocument, ExposureDocument, FindingDocument, Hunt, HuntDocument,
    IncidentDocument, NextStepDocument, NoteDocument, ReasonDocument, SCHEMA, SentenceDocument, StageDocument,
    TimelineLine,
};
use crate::texts;

/// Timeline lines kept with an incident: more than anybody reads, few enough for one page.
pub const TIMELINE_LINES_MAX: usize = 400;

/// Records of one kind in a row from which on they are told as one line.
const RUN_MIN: usize = 4;

/// Tells a hunt in one language.
///
/// The phrasebook must hold the sentences of every analytic and rule beside [`crate::phrasebook`]. Arguments that hold
/// words of the vocabulary are translated on the way: `stage` and `stages` (comma-separated), `severity`, `table`, and
/// `title` where it is the id or the English title of one of the findings. A coverage code may have a sentence for each
/// state (`sign-ins-absent`). The order of everything is fixed, so that two runs are equal.
pub fn document(hunt: &Hunt<'_>, phrasebook: &Phrasebook, lang: &str) -> HuntDocument {
    let lang = texts::language(lang);
    let teller = Teller {
        lang,
        phrasebook,
        findings: hunt.findings,
        facts: &hunt.address_facts,
        titles: titles(hunt.findings, lang),
    };
    let mut findings: Vec<_> = hunt.findings.iter().map(|finding| teller.finding(finding)).collect();
    findings.sort_by(|a, b| {
        let key = |finding: &FindingDocument| (Reverse(finding.severity), order(finding.first_time));
        key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
    });
    let by_id: BTreeMap<&str, &FindingDocument> =
        findings.iter().map(|finding| (finding.id.as_str(), finding)).collect();
    let mut incidents: Vec<_> = hunt.incidents.iter().map(|incident| teller.incident(incident, &by_id)).collect();
    incidents
        .sort_by(|a, b| b.score.total_cmp(&a.score).then(b.severity.cmp(&a.severity)).then_with(|| a.id.cmp(&b.id)));
    let mut inputs = hunt.inputs.clone();
    inputs.sort_by(|a, b| a.path.cmp(&b.path));
    HuntDocument {
        schema: SCHEMA.to_owned(),
        lang: lang.to_owned(),
        inputs,
        findings,
        incidents,
        coverage: teller.coverage(hunt.coverage),
        notes: teller.notes(hunt),
        reference: hunt.reference.clone(),
    }
}

/// Unknown times come last.
fn order(time: Time) -> (bool, Time) {
    (!time.is_known(), time)
}

/// JSON has no infinities; a number that is none counts for nothing.
fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}

/// Id or English title → title in this language, for arguments that quote a finding.
fn titles(findings: &[Finding], lang: &str) -> BTreeMap<String, String> {
    let mut titles = BTreeMap::new();
    for finding in findings {
        let title = fill(finding.title.get(lang), &finding.title_args);
        titles.insert(finding.id(), title.clone());
        titles.insert(fill(&finding.title.en, &finding.title_args), title);
    }
    titles
}

struct Teller<'a> {
    lang: &'static str,
    phrasebook: &'a Phrasebook,
    findings: &'a [Finding],
    facts: &'a BTreeMap<String, AddressFacts>,
    titles: BTreeMap<String, String>,
}

impl Teller<'_> {
    fn say(&self, scope: &str, code: &str, args: &BTreeMap<String, String>) -> String {
        let translated = args
            .iter()
            .map(|(name, value)| (name.clone(), self.argument(name, value).unwrap_or_else(|| value.clone())));
        self.phrasebook.render(self.lang, scope, code, &translated.collect())
    }

    fn argument(&self, name: &str, value: &str) -> Option<String> {
        match name {
            "title" => self.titles.get(value).cloned(),
            "stage" | "stages" => {
                let stages = value.split(',').map(|stage| texts::word(self.lang, "stage", stage.trim()));
                Some(stages.collect::<Vec<_>>().join(&texts::ui(self.lang, "list-separator", &[])))
            }
            "severity" | "table" => Some(texts::word(self.lang, name, value)),
            _ => None,
        }
    }

    fn finding(&self, finding: &Finding) -> FindingDocument {
        let mut evidence: Vec<_> = finding.evidence().iter().map(record).collect();
        evidence.sort_by_key(|record| (order(record.time), record.event_uid));
        FindingDocument {
            id: finding.id(),
            analytic: finding.analytic.clone(),
            catalogue: finding.catalogue.clone(),
            title: fill(finding.title.get(self.lang), &finding.title_args),
            severity: finding.severity,
            confidence: finite(finding.confidence),
            stage: finding.stage,
            score: finite(finding.score()),
            first_time: finding.first_time(),
            last_time: finding.last_time(),
            entities: self.entities(finding.entities()),
            techniques: finding.techniques.clone(),
            reasons: self.reasons(&finding.analytic, &finding.reasons),
            evidence,
            evidence_count: finding.evidence_count,
        }
    }

    fn reasons(&self, scope: &str, reasons: &[Reason]) -> Vec<ReasonDocument> {
        let told = |reason: &Reason| ReasonDocument {
            code: reason.code.clone(),
            text: self.say(scope, &reason.code, &reason.args),
            weight: finite(reason.weight),
        };
        reasons.iter().map(told).collect()
    }

    fn entities<'e>(&self, entities: impl Iterator<Item = (&'e Entity, Role)>) -> Vec<EntityDocument> {
        let mut told: Vec<_> = entities
            .map(|(entity, role)| EntityDocument {
                kind: entity.kind,
                value: entity.value.clone(),
                role,
                facts: self.facts_of(entity),
            })
            .collect();
        told.sort_by(|a, b| (a.role, a.kind, &a.value).cmp(&(b.role, b.kind, &b.value)));
        told
    }

    fn facts_of(&self, entity: &Entity) -> Option<AddressFacts> {
        if entity.kind != EntityKind::Ip {
            return None;
        }
        self.facts.get(&entity.value).filter(|facts| **facts != AddressFacts::default()).cloned()
    }

    fn incident(&self, incident: &Incident, findings: &BTreeMap<&str, &FindingDocument>) -> IncidentDocument {
        let (timeline, timeline_omitted) = timeline(&incident.findings, findings);
        IncidentDocument {
            id: incident.id.clone(),
            title: self.sentence(&incident.title).text,
            severity: incident.severity,
            score: finite(incident.score),
            first_time: incident.first_time,
            last_time: incident.last_time,
            entities: self.entities(incident.entities.iter().map(|(entity, role)| (entity, *role))),
            findings: incident.findings.clone(),
            stages: incident.stages.iter().map(|step| self.stage(step)).collect(),
            reasons: self.reasons("incident", &incident.reasons),
            narrative: incident.narrative.iter().map(|said| self.sentence(said).text).collect(),
            left_behind: incident.left_behind.iter().map(|said| self.sentence(said)).collect(),
            exposure: incident.exposure.iter().map(exposure).collect(),
            next_steps: incident
                .next_steps
                .iter()
                .map(|step| NextStepDocument {
                    code: step.code.clone(),
                    text: self.say("next-step", &step.code, &step.args),
                    command: step.command.clone(),
                })
                .collect(),
            timeline,
            timeline_omitted,
        }
    }

    fn stage(&self, step: &StageStep) -> StageDocument {
        StageDocument {
            stage: step.stage,
            title: texts::word(self.lang, "stage", step.stage.word()),
            first_time: step.first_time,
            findings: step.findings.clone(),
        }
    }

    /// The sentence `title` of an analytic is the title of its finding with these arguments: rules and hunts have no
    /// sentences of their own in the phrasebook.
    fn sentence(&self, said: &Sentence) -> SentenceDocument {
        let titled = || {
            let is_told = |finding: &&Finding| finding.analytic == said.scope && finding.title_args == said.args;
            let finding = self.findings.iter().find(is_told).filter(|_| said.code == "title")?;
            Some(fill(finding.title.get(self.lang), &finding.title_args))
        };
        let text = titled().unwrap_or_else(|| self.say(&said.scope, &said.code, &said.args));
        SentenceDocument { code: said.code.clone(), text }
    }

    fn coverage(&self, coverage: &[Coverage]) -> Vec<CoverageDocument> {
        let mut told: Vec<_> = coverage
            .iter()
            .map(|line| CoverageDocument { code: line.code.clone(), state: line.state, text: self.covered(line) })
            .collect();
        told.sort_by(|a, b| (Reverse(a.state), &a.code, &a.text).cmp(&(Reverse(b.state), &b.code, &b.text)));
        debug_assert!(CoverageState::Absent > CoverageState::Present, "the worst comes first");
        told
    }

    fn covered(&self, line: &Coverage) -> String {
        let state = match line.state {
            CoverageState::Present => "present",
            CoverageState::Partial => "partial",
            CoverageState::Absent => "absent",
        };
        let own = format!("{}-{state}", line.code);
        let code = if self.phrasebook.has("coverage", &own) { &own } else { &line.code };
        self.say("coverage", code, &line.args)
    }

    fn notes(&self, hunt: &Hunt<'_>) -> Vec<NoteDocument> {
        let mut told: Vec<_> = hunt
            .notes
            .iter()
            .map(|(path, note)| NoteDocument {
                path: path.clone(),
                code: note.code.clone(),
                text: self.say("note", &note.code, &note.args),
            })
            .collect();
        told.sort_by(|a, b| (&a.path, &a.code, &a.text).cmp(&(&b.path, &b.code, &b.text)));
        told.dedup();
        told
    }
}

fn record(evidence: &Evidence) -> EvidenceDocument {
    EvidenceDocument {
        event_uid: evidence.event_uid,
        table: evidence.table.name().to_owned(),
        time: evidence.time,
        source: evidence.origin.clone(),
        fact: evidence.fact.clone(),
    }
}

fn exposure(exposure: &Exposure) -> ExposureDocument {
    ExposureDocument {
        mailbox: exposure.mailbox.clone(),
        messages: exposure.messages,
        message_uids: exposure.message_uids.iter().take(Exposure::MESSAGES_MAX).cloned().collect(),
        folders: exposure.folders.clone(),
        readers: exposure.readers.clone(),
        quality: exposure.quality,
    }
}

/// The records behind an incident's findings, each once, in order of time; runs of one kind are one line.
fn timeline(ids: &[String], findings: &BTreeMap<&str, &FindingDocument>) -> (Vec<TimelineLine>, u64) {
    let mut behind: BTreeMap<_, (&EvidenceDocument, Vec<&FindingDocument>)> = BTreeMap::new();
    let members: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    for finding in members.iter().filter_map(|id| findings.get(id)) {
        for evidence in &finding.evidence {
            let key = (order(evidence.time), evidence.event_uid);
            behind.entry(key).or_insert_with(|| (evidence, Vec::new())).1.push(finding);
        }
    }
    let mut lines: Vec<TimelineLine> = Vec::new();
    for run in behind.into_values().collect::<Vec<_>>().chunk_by(same_kind) {
        if run.len() < RUN_MIN {
            lines.extend(run.iter().map(|(evidence, findings)| line(evidence, evidence, 1, findings)));
        } else if let (Some((first, findings)), Some((last, _))) = (run.first(), run.last()) {
            lines.push(line(first, last, run.len(), findings));
        }
    }
    let omitted = lines.len().saturating_sub(TIMELINE_LINES_MAX);
    if omitted > 0 {
        // The worst stay, in order of time.
        let mut by_severity: Vec<usize> = (0..lines.len()).collect();
        by_severity.sort_by(|&a, &b| lines[b].severity.cmp(&lines[a].severity).then(Ordering::Equal));
        let kept: BTreeSet<usize> = by_severity.into_iter().take(TIMELINE_LINES_MAX).collect();
        let mut index = 0..;
        lines.retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
    }
    (lines, omitted as u64)
}

type Entry<'a> = (&'a EvidenceDocument, Vec<&'a FindingDocument>);

/// Whether two records are told as one: the same findings stand on them, and the same operation comes first.
fn same_kind(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    let operation = |entry: &Entry<'_>| entry.0.fact.split('·').next().map(|word| word.trim().to_owned());
    let ids = |entry: &Entry<'_>| entry.1.iter().map(|finding| finding.id.clone()).collect::<Vec<_>>();
    a.0.time.is_known() == b.0.time.is_known() && ids(a) == ids(b) && operation(a) == operation(b)
}

fn line(
    first: &EvidenceDocument,
    last: &EvidenceDocument,
    count: usize,
    findings: &[&FindingDocument],
) -> TimelineLine {
    let mut worst = findings.to_vec();
    worst.sort_by(|a, b| (Reverse(a.severity), &a.id).cmp(&(Reverse(b.severity), &b.id)));
    let mut titles: Vec<String> = Vec::new();
    for title in worst.iter().map(|finding| &finding.title) {
        if !titles.contains(title) {
            titles.push(title.clone());
        }
    }
    let leader = worst.first().expect("a record is here because a finding stands on it");
    TimelineLine {
        time: first.time,
        last_time: last.time,
        count: count as u64,
        stage: leader.stage,
        severity: leader.severity,
        fact: first.fact.clone(),
        titles,
        findings: worst.iter().map(|finding| finding.id.clone()).collect(),
        event_uid: first.event_uid,
        source: first.source.clone(),
    }
}
